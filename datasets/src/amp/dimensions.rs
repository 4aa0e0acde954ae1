//! The tables that events refer to.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::columns::{
    Batches, Column, batches, flags, instants, optional_smalls, optional_texts, smalls, text_lists,
    texts, wholes,
};
use super::world::{Creator, DAY_US, Poll, Promotion, SECOND_US, User, World};
use super::{Spec, words};

pub(super) const CREATORS: Spec = Spec {
    name: "creators",
    comment: "A person who hosts shows",
    columns: &[
        Column::whole("creator_id", "Key"),
        Column::text("handle", "Unique name in the app"),
        Column::text("name", "Name as shown"),
        Column::text("country", "ISO 3166 code"),
        Column::flag("verified", "Whether the app vouches for the identity"),
        Column::instant("joined_at", "When the creator joined"),
    ],
    batches: creators,
};

pub(super) const SHOWS: Spec = Spec {
    name: "shows",
    comment: "A series of live episodes by one creator",
    columns: &[
        Column::whole("show_id", "Key"),
        Column::whole("creator_id", "Its host: creators.creator_id"),
        Column::text("title", "Title; two shows may share one"),
        Column::text("genre", "One of a dozen genres"),
        Column::text("language", "ISO 639 code"),
        Column::small("planned_minutes", "Planned length of an episode"),
        Column::instant("created_at", "When the show was announced"),
    ],
    batches: shows,
};

pub(super) const EPISODES: Spec = Spec {
    name: "episodes",
    comment: "One broadcast of a show",
    columns: &[
        Column::whole("episode_id", "Key, in order of the start"),
        Column::whole("show_id", "shows.show_id"),
        Column::text("title", "Title"),
        Column::instant("scheduled_at", "When it was to start"),
        Column::instant("started_at", "When it did start"),
        Column::instant("ended_at", "When it ended; replays come after"),
        Column::small("duration_s", "Seconds from start to end"),
    ],
    batches: episodes,
};

pub(super) const USERS: Spec = Spec {
    name: "users",
    comment: "A listener with an account",
    columns: &[
        Column::whole("user_id", "Key, roughly in order of signing up"),
        Column::text("country", "ISO 3166 code"),
        Column::text("platform", "Usual device: ios, android, web or speaker"),
        Column::small("birth_year", "Null if not given").nullable(),
        Column::text("referrer", "How the user found the app; null if unknown").nullable(),
        Column::instant("signed_up_at", "Before the user's first event"),
    ],
    batches: users,
};

pub(super) const POLLS: Spec = Spec {
    name: "polls",
    comment: "A question to the listeners of an episode",
    columns: &[
        Column::whole("poll_id", "Key"),
        Column::whole("episode_id", "episodes.episode_id"),
        Column::text("question", "Question as shown"),
        Column::texts("options", "Answers to choose from, the first is number 1"),
        Column::instant("opened_at", "First moment to vote"),
        Column::instant("closed_at", "First moment too late to vote"),
    ],
    batches: polls,
};

pub(super) const PROMOTIONS: Spec = Spec {
    name: "promotions",
    comment: "A paid promotion of a show, which draws more listeners while it lasts",
    columns: &[
        Column::whole("promotion_id", "Key"),
        Column::whole("show_id", "shows.show_id"),
        Column::text("channel", "push, email, home_banner or social"),
        Column::instant("starts_at", "First moment"),
        Column::instant("ends_at", "First moment after it"),
        Column::whole("budget_cents", "Budget in US cents"),
        Column::whole("impressions", "How often it was shown"),
        Column::whole("clicks", "How often it was followed"),
    ],
    batches: promotions,
};

/// Batches of one row for each index below `count`.
fn indexed<T: Send + 'static>(
    schema: SchemaRef,
    count: u64,
    row: impl Fn(u64) -> T + Send + 'static,
    columns: impl Fn(&[T]) -> Vec<arrow::array::ArrayRef> + Send + 'static,
) -> Batches {
    let mut indices = 0..count;
    let step = move |rows: &mut Vec<T>| {
        let next = indices.next();
        rows.extend(next.map(&row));
        next.is_some()
    };
    batches(schema, step, columns)
}

fn creators(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let world = world.clone();
    let count = world.creators;
    let row = move |index| (index as i64 + 1, world.creator(index));
    indexed(schema, count, row, |rows: &[(i64, Creator)]| {
        vec![
            wholes(rows, |row| row.0),
            texts(rows, |row| &row.1.handle),
            texts(rows, |row| &row.1.name),
            texts(rows, |row| row.1.country),
            flags(rows, |row| row.1.verified),
            instants(rows, |row| row.1.joined_us),
        ]
    })
}

fn shows(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let world = world.clone();
    let count = world.shows.len() as u64;
    indexed(
        schema,
        count,
        |index| index as usize,
        move |rows| {
            let show = |row: &usize| &world.shows[*row];
            vec![
                wholes(rows, |row| *row as i64 + 1),
                wholes(rows, |row| show(row).creator as i64 + 1),
                texts(rows, |row| &show(row).title),
                texts(rows, |row| show(row).genre),
                texts(rows, |row| show(row).language),
                smalls(rows, |row| show(row).minutes as i32),
                instants(rows, |row| show(row).created_us),
            ]
        },
    )
}

fn episodes(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let mut episodes = world.episodes();
    let world = world.clone();
    let step = move |rows: &mut Vec<_>| {
        let next = episodes.next();
        let more = next.is_some();
        rows.extend(next.map(|episode| {
            let topic = words::TOPICS[(episode.seed % words::TOPICS.len() as u64) as usize];
            (format!("{}: {topic}", world.shows[episode.show].title), episode)
        }));
        more
    };
    batches(schema, step, |rows| {
        vec![
            wholes(rows, |row| row.1.id),
            wholes(rows, |row| row.1.show as i64 + 1),
            texts(rows, |row| &row.0),
            instants(rows, |row| row.1.scheduled_us),
            instants(rows, |row| row.1.started_us),
            instants(rows, |row| row.1.started_us + row.1.seconds * SECOND_US),
            smalls(rows, |row| row.1.seconds as i32),
        ]
    })
}

fn users(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let world = world.clone();
    let count = world.users;
    let row = move |index| (index as i64 + 1, world.user(index));
    indexed(schema, count, row, |rows: &[(i64, User)]| {
        vec![
            wholes(rows, |row| row.0),
            texts(rows, |row| row.1.country),
            texts(rows, |row| words::PLATFORMS[row.1.platform]),
            optional_smalls(rows, |row| row.1.birth_year),
            optional_texts(rows, |row| row.1.referrer),
            instants(rows, |row| row.1.signed_up_us),
        ]
    })
}

fn polls(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let mut episodes = world.episodes();
    let world = world.clone();
    let step = move |rows: &mut Vec<(i64, Poll)>| {
        let Some(episode) = episodes.next() else { return false };
        rows.extend(world.polls(&episode).map(|poll| (episode.id, poll)));
        true
    };
    batches(schema, step, |rows| {
        vec![
            wholes(rows, |row| row.1.id),
            wholes(rows, |row| row.0),
            texts(rows, |row| row.1.question),
            text_lists(rows, |row| row.1.options),
            instants(rows, |row| row.1.opened_us),
            instants(rows, |row| row.1.closed_us),
        ]
    })
}

fn promotions(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let world = world.clone();
    let start_us = world.start_us;
    let mut week = 0;
    let mut id = 0;
    let step = move |rows: &mut Vec<(i64, i64, Promotion)>| {
        if week * 7 >= world.days {
            return false;
        }
        for show in 0..world.shows.len() {
            if let Some(promotion) = world.promotion(show, week) {
                id += 1;
                rows.push((id, show as i64 + 1, promotion));
            }
        }
        week += 1;
        true
    };
    batches(schema, step, move |rows| {
        vec![
            wholes(rows, |row| row.0),
            wholes(rows, |row| row.1),
            texts(rows, |row| row.2.channel),
            instants(rows, |row| start_us + row.2.first_day as i64 * DAY_US),
            instants(rows, |row| start_us + row.2.end_day as i64 * DAY_US),
            wholes(rows, |row| row.2.budget_cents),
            wholes(rows, |row| row.2.impressions),
            wholes(rows, |row| row.2.clicks),
        ]
    })
}
