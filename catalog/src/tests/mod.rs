//! What a catalog promises, whatever it is kept in: each check runs on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the one that `BOATHOUSE_TEST_POSTGRES_URL` names; each check gets a schema of its
//! own there. Without the variable its checks say that they are skipped.

mod databases;
mod edits;
mod fixture;
mod opening;
mod partitions;
mod processes;
mod scale;
mod snapshots;
mod tables;
mod updates;

/// Makes a test of each check for each store. A check gets the URL of a store that is empty.
macro_rules! conformance {
    ($($topic:ident: $($check:ident),+;)+) => {
        mod sqlite {
            $(mod $topic {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    crate::tests::fixture::on_sqlite(crate::tests::$topic::$check).await;
                })+
            })+
        }

        mod postgres {
            $(mod $topic {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    crate::tests::fixture::on_postgres(crate::tests::$topic::$check).await;
                })+
            })+
        }
    };
}

conformance! {
    databases:
        default_is_there_from_the_start,
        a_database_is_kept_as_given_but_for_the_case_of_its_name,
        a_database_goes_with_its_tables_only_if_asked,
        tables_made_while_their_database_is_dropped_go_or_stay_with_it;
    tables:
        a_table_is_kept_as_given,
        names_are_looked_up_in_any_case,
        what_cannot_be_made_leaves_nothing,
        a_table_of_a_used_name_has_nothing_of_the_old_one,
        lists_are_sorted,
        one_of_many_makes_a_table,
        any_text_is_kept;
    updates:
        an_update_keeps_the_old_definition,
        a_stale_update_is_a_conflict,
        a_rename_moves_everything,
        a_rename_cannot_take_a_name,
        a_drop_can_depend_on_the_version,
        partition_keys_cannot_change_under_partitions,
        of_many_updates_of_one_version_one_is_done;
    partitions:
        files_and_statistics_are_kept,
        a_partition_is_put_replaced_and_removed,
        a_filter_finds_what_a_scan_finds,
        partitions_are_ordered_by_value,
        what_is_no_partition_is_refused,
        more_partitions_than_a_statement_takes;
    snapshots:
        a_table_reads_the_partitions_it_had,
        old_data_versions_are_purged,
        concurrent_commits_are_neither_lost_nor_doubled;
    edits:
        pages_are_disjoint_and_complete,
        each_edit_has_an_outcome_of_its_own,
        concurrent_edits_are_neither_lost_nor_doubled,
        changes_apply_together_or_not_at_all,
        documents_are_kept_by_kind_parent_and_name,
        what_belongs_to_a_table_goes_with_it,
        access_keys_come_and_go,
        versions_can_be_skipped_and_deleted;
    opening:
        what_was_written_is_there_again,
        many_open_a_new_store_at_once,
        a_newer_store_is_refused;
    processes:
        processes_share_a_store,
        a_killed_writer_leaves_whole_commits;
    scale:
        lookups_search_an_index,
        hundreds_of_thousands_of_partitions;
}
