use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

use arrow::array::{Array, AsArray, ListArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::ipc::writer::StreamWriter;

use super::world::{DAY_US, HOUR_US};
use super::*;

const SMALL: f64 = 0.1;

fn table(amp: &Amp, name: &str) -> AmpTable {
    amp.tables().into_iter().find(|table| table.name == name).unwrap()
}

fn read(amp: &Amp, name: &str) -> RecordBatch {
    let table = table(amp, name);
    concat_batches(&table.schema(), &table.batches().collect::<Vec<_>>()).unwrap()
}

fn wholes(rows: &RecordBatch, column: &str) -> Vec<i64> {
    rows[column].as_primitive::<Int64Type>().values().to_vec()
}

fn smalls(rows: &RecordBatch, column: &str) -> Vec<i64> {
    let column = rows[column].as_primitive::<Int32Type>();
    column.values().iter().map(|value| i64::from(*value)).collect()
}

fn instants(rows: &RecordBatch, column: &str) -> Vec<i64> {
    rows[column].as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    rows[column].as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

fn fingerprint(amp: &Amp) -> u64 {
    let mut hasher = DefaultHasher::new();
    for table in amp.tables() {
        let mut writer = StreamWriter::try_new(Vec::new(), &table.schema()).unwrap();
        for batch in table.batches() {
            writer.write(&batch).unwrap();
        }
        hasher.write(&writer.into_inner().unwrap());
    }
    hasher.finish()
}

#[test]
fn the_seed_decides_every_byte() {
    let amp = Amp::new(1, 0.01);
    assert_eq!(fingerprint(&amp), fingerprint(&amp));
    assert_ne!(fingerprint(&amp), fingerprint(&Amp::new(2, 0.01)));
}

#[test]
fn rows_are_the_same_on_every_platform_and_in_every_version() {
    // A change here is a change of everybody's data: say so in the changelog.
    let amp = Amp::new(1, 0.01);
    let digest = |name, column| {
        let values = wholes(&read(&amp, name), column).into_iter();
        values.fold(0, |digest: i64, value| digest.wrapping_mul(31).wrapping_add(value))
    };
    assert_eq!(
        [
            digest("listens", "user_id"),
            digest("likes", "event_id"),
            digest("follows", "creator_id"),
            digest("promotions", "clicks"),
        ],
        [
            -3_123_119_004_896_559_997,
            2_926_333_948_259_967_801,
            -7_460_786_028_388_580_213,
            244_900
        ]
    );
}

#[test]
fn batches_are_full_but_the_last() {
    let sizes: Vec<_> =
        table(&Amp::new(1, SMALL), "listens").batches().map(|batch| batch.num_rows()).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|rows| *rows == BATCH_ROWS), "{sizes:?}");
    assert!((1..=BATCH_ROWS).contains(last), "{sizes:?}");
}

#[test]
fn scale_1_has_about_300_000_listens() {
    let rows: usize =
        table(&Amp::new(1, 1.0), "listens").batches().map(|batch| batch.num_rows()).sum();
    assert!((270_000..330_000).contains(&rows), "{rows}");
}

#[test]
fn a_world_of_one_user_or_no_day_is_still_a_world() {
    let start = Amp::new(1, 1.0).start;
    for (users, days) in [(0, 1), (1, 400), (20, 0)] {
        let amp = Amp { seed: 1, users, days, start };
        for table in amp.tables() {
            let rows: usize = table.batches().map(|batch| batch.num_rows()).sum();
            match table.name {
                "creators" | "shows" | "users" => assert!(rows > 0, "{} of {amp:?}", table.name),
                _ => assert!(rows == 0 || days > 0, "{} of {amp:?}", table.name),
            }
        }
    }
}

#[test]
fn every_column_says_what_it_means() {
    for table in Amp::new(1, 0.01).tables() {
        for field in table.schema().fields() {
            assert!(field.metadata().contains_key("comment"), "{}.{}", table.name, field.name());
        }
        let batch = table.batches().next().unwrap();
        assert_eq!(batch.schema(), table.schema());
    }
}

#[test]
fn what_is_referred_to_is_there() {
    let amp = Amp::new(3, SMALL);
    let tables: HashMap<_, _> =
        amp.tables().iter().map(|table| (table.name, read(&amp, table.name))).collect();
    let keys = |name: &str, column: &str| -> HashSet<i64> {
        let all = wholes(&tables[name], column);
        let keys: HashSet<_> = all.iter().copied().collect();
        assert_eq!(keys.len(), all.len(), "{name}.{column} is not a key");
        keys
    };
    let keys = HashMap::from([
        ("creator_id", keys("creators", "creator_id")),
        ("show_id", keys("shows", "show_id")),
        ("episode_id", keys("episodes", "episode_id")),
        ("user_id", keys("users", "user_id")),
        ("poll_id", keys("polls", "poll_id")),
    ]);
    for (name, rows) in &tables {
        for (column, keys) in &keys {
            if rows.schema().column_with_name(column).is_some() {
                let unknown = wholes(rows, column).into_iter().find(|id| !keys.contains(id));
                assert_eq!(unknown, None, "{name}.{column}");
            }
        }
    }

    // Denormalised columns agree with the tables that they come from.
    let episodes = &tables["episodes"];
    let show_of: HashMap<_, _> =
        wholes(episodes, "episode_id").into_iter().zip(wholes(episodes, "show_id")).collect();
    let listens = &tables["listens"];
    for (episode, show) in wholes(listens, "episode_id").into_iter().zip(wholes(listens, "show_id"))
    {
        assert_eq!(show_of[&episode], show);
    }
}

#[test]
fn events_happen_when_they_can() {
    let amp = Amp::new(4, SMALL);
    let users = read(&amp, "users");
    let signed_up: HashMap<_, _> =
        wholes(&users, "user_id").into_iter().zip(instants(&users, "signed_up_at")).collect();
    let episodes = read(&amp, "episodes");
    let ended: HashMap<_, _> =
        wholes(&episodes, "episode_id").into_iter().zip(instants(&episodes, "ended_at")).collect();
    let started: HashMap<_, _> = wholes(&episodes, "episode_id")
        .into_iter()
        .zip(instants(&episodes, "started_at"))
        .collect();

    let listens = read(&amp, "listens");
    let user = wholes(&listens, "user_id");
    let episode = wholes(&listens, "episode_id");
    let mode = texts(&listens, "mode");
    let position = smalls(&listens, "position_s");
    let length = smalls(&listens, "listened_s");
    let event = instants(&listens, "event_time");
    let ingest = instants(&listens, "ingest_time");
    for row in 0..listens.num_rows() {
        let began = event[row] - length[row] * 1_000_000;
        assert!(length[row] > 0 && position[row] >= 0);
        assert!(signed_up[&user[row]] < began);
        assert!(event[row] < ingest[row]);
        let ended = ended[&episode[row]];
        if mode[row] == "live" {
            assert!(started[&episode[row]] <= began && event[row] < ended + 1_000_000);
        } else {
            assert!(ended <= began);
        }
    }
    let replays = mode.iter().filter(|mode| *mode == "replay").count();
    assert!((5..25).contains(&(replays * 100 / mode.len())), "{replays}");

    let polls = read(&amp, "polls");
    let options: &ListArray = polls["options"].as_list();
    let open: HashMap<_, _> = (0..polls.num_rows())
        .map(|row| {
            let open = instants(&polls, "opened_at")[row]..instants(&polls, "closed_at")[row];
            (wholes(&polls, "poll_id")[row], (open, options.value(row).len() as i64))
        })
        .collect();
    let votes = read(&amp, "poll_votes");
    assert!(votes.num_rows() > 50);
    for row in 0..votes.num_rows() {
        let (open, options) = &open[&wholes(&votes, "poll_id")[row]];
        assert!(open.contains(&instants(&votes, "event_time")[row]));
        assert!((1..=*options).contains(&smalls(&votes, "choice")[row]));
    }
}

#[test]
fn late_and_repeated_events_have_their_share() {
    let listens = read(&Amp::new(5, 0.3), "listens");
    let ids = wholes(&listens, "event_id");
    let distinct: HashSet<_> = ids.iter().collect();
    let repeated_per_mille = (ids.len() - distinct.len()) as f64 * 1_000.0 / distinct.len() as f64;
    let expected = DUPLICATE_PER_MILLE as f64;
    assert!((repeated_per_mille - expected).abs() < expected / 4.0, "{repeated_per_mille}");

    let event = instants(&listens, "event_time");
    let ingest = instants(&listens, "ingest_time");
    let late = event.iter().zip(&ingest);
    let late = late.filter(|(event, ingest)| *ingest - *event >= LATE_SECONDS_MIN * 1_000_000);
    let late_per_mille = late.count() as f64 * 1_000.0 / ids.len() as f64;
    let expected = LATE_PER_MILLE as f64;
    assert!((late_per_mille - expected).abs() < expected / 4.0, "{late_per_mille}");
}

#[test]
fn event_ids_are_unique_over_all_tables() {
    let amp = Amp::new(6, SMALL);
    let mut seen = HashSet::new();
    for name in ["listens", "likes", "follows", "chat_messages", "poll_votes"] {
        let ids: HashSet<_> = wholes(&read(&amp, name), "event_id").into_iter().collect();
        assert!(!ids.is_empty(), "{name}");
        for id in ids {
            assert!(seen.insert(id), "{name} {id}");
        }
    }
}

fn counts(ids: impl IntoIterator<Item = i64>) -> Vec<usize> {
    let mut counts = HashMap::new();
    for id in ids {
        *counts.entry(id).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

#[test]
fn a_few_shows_and_users_make_up_most_of_it() {
    let amp = Amp::new(7, 0.5);
    let listens = read(&amp, "listens");
    let rows = listens.num_rows();

    let shows = counts(wholes(&listens, "show_id"));
    let top_tenth: usize = shows[..shows.len() / 10].iter().sum();
    assert!(top_tenth * 5 > rows * 2, "the top tenth of shows has {top_tenth} of {rows}");
    assert!(shows[0] > 10 * shows[shows.len() / 2], "{} {}", shows[0], shows[shows.len() / 2]);

    let users = counts(wholes(&listens, "user_id"));
    let top_tenth: usize = users[..amp.users as usize / 10].iter().sum();
    let share = top_tenth * 100 / rows;
    assert!((25..75).contains(&share), "the top tenth of users has {share} %");
}

#[test]
fn evenings_are_busier_than_nights() {
    let by_hour = counts_by_hour(&instants(&read(&Amp::new(8, SMALL), "listens"), "event_time"));
    let (night, evening): (usize, usize) =
        (by_hour[2..6].iter().sum(), by_hour[18..22].iter().sum());
    assert!(evening > 3 * night, "{by_hour:?}");
}

fn counts_by_hour(times: &[i64]) -> [usize; 24] {
    let mut by_hour = [0; 24];
    for time in times {
        by_hour[(time.rem_euclid(DAY_US) / HOUR_US) as usize] += 1;
    }
    by_hour
}
