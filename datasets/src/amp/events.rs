//! The tables of what users do. Rows are in order of the episode, not of time.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::columns::{Batches, Column, batches, instants, smalls, texts, wholes};
use super::session::{self, ENDINGS, Event, MODES, Session, Stretch};
use super::world::{Episode, Episodes, World};
use super::{Spec, words};

const EVENT_ID: Column =
    Column::whole("event_id", "Key over all tables of events; an event sent twice has it twice");
const SESSION_ID: Column = Column::whole("session_id", "One user's visit to one episode");
const USER_ID: Column = Column::whole("user_id", "users.user_id");
const EPISODE_ID: Column = Column::whole("episode_id", "episodes.episode_id");
const SHOW_ID: Column = Column::whole("show_id", "The episode's show: shows.show_id");
const EVENT_TIME: Column = Column::instant("event_time", "When it happened, by the device's clock");
const INGEST_TIME: Column =
    Column::instant("ingest_time", "When it arrived: mostly seconds later, sometimes days");

pub(super) const LISTENS: Spec = Spec {
    name: "listens",
    comment: "An uninterrupted stretch of listening, reported when it ends",
    columns: &[
        EVENT_ID,
        SESSION_ID,
        USER_ID,
        EPISODE_ID,
        SHOW_ID,
        Column::text("mode", "live or replay"),
        Column::text("platform", "Device: ios, android, web or speaker"),
        Column::small("position_s", "Where in the episode the stretch begins, in seconds"),
        Column::small("listened_s", "Length of the stretch in seconds"),
        Column::text("ended_by", "pause, leave, drop (connection lost) or end (of the episode)"),
        Column::instant("event_time", "When the stretch ended, by the device's clock"),
        INGEST_TIME,
    ],
    batches: listens,
};

pub(super) const LIKES: Spec = Spec {
    name: "likes",
    comment: "A like for what is being played",
    columns: &[EVENT_ID, SESSION_ID, USER_ID, EPISODE_ID, SHOW_ID, EVENT_TIME, INGEST_TIME],
    batches: likes,
};

pub(super) const FOLLOWS: Spec = Spec {
    name: "follows",
    comment: "A user's wish to hear of a creator's shows; a second one changes nothing",
    columns: &[
        EVENT_ID,
        SESSION_ID,
        USER_ID,
        Column::whole("creator_id", "creators.creator_id"),
        EVENT_TIME,
        INGEST_TIME,
    ],
    batches: follows,
};

pub(super) const CHAT_MESSAGES: Spec = Spec {
    name: "chat_messages",
    comment: "A message in the chat of an episode",
    columns: &[
        EVENT_ID,
        SESSION_ID,
        USER_ID,
        EPISODE_ID,
        Column::text("text", "The message"),
        EVENT_TIME,
        INGEST_TIME,
    ],
    batches: chat_messages,
};

pub(super) const POLL_VOTES: Spec = Spec {
    name: "poll_votes",
    comment: "A listener's vote in a poll, at most one in a session",
    columns: &[
        EVENT_ID,
        Column::whole("poll_id", "polls.poll_id"),
        SESSION_ID,
        USER_ID,
        Column::small("choice", "Number of the option, from 1"),
        EVENT_TIME,
        INGEST_TIME,
    ],
    batches: poll_votes,
};

/// A session that is known to take place, and not yet played.
struct Visit<'a> {
    world: &'a World,
    episode: &'a Episode,
    id: i64,
    seed: u64,
}

impl Visit<'_> {
    fn play(&self) -> Session {
        Session::play(self.world, self.episode, self.id, self.seed)
    }

    fn show_id(&self) -> i64 {
        self.episode.show as i64 + 1
    }

    fn creator_id(&self) -> i64 {
        self.world.shows[self.episode.show].creator as i64 + 1
    }
}

/// The sessions of all episodes, one after the other.
struct Visits {
    world: Arc<World>,
    episodes: Episodes,
    current: Option<(Episode, ChaCha8Rng)>,
    number: u64,
}

impl Visits {
    fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), episodes: world.episodes(), current: None, number: 0 }
    }

    fn next(&mut self) -> Option<Visit<'_>> {
        while self.current.as_ref().is_none_or(|(episode, _)| self.number >= episode.sessions) {
            let episode = self.episodes.next()?;
            let stream = self.world.sessions_stream(&episode);
            self.current = Some((episode, stream));
            self.number = 0;
        }
        let (episode, stream) = self.current.as_mut()?;
        let id = episode.first_session + self.number as i64;
        self.number += 1;
        Some(Visit { world: &self.world, episode, id, seed: stream.next_u64() })
    }
}

/// Batches of the rows that `add` adds for each visit whose seed is `wanted`.
fn events<T: Send + 'static>(
    world: &Arc<World>,
    schema: SchemaRef,
    wanted: fn(u64) -> bool,
    add: fn(&mut Vec<T>, &Visit<'_>),
    columns: fn(&[T]) -> Vec<ArrayRef>,
) -> Batches {
    let mut visits = Visits::new(world);
    let step = move |rows: &mut Vec<T>| {
        let Some(visit) = visits.next() else { return false };
        if wanted(visit.seed) {
            add(rows, &visit);
        }
        true
    };
    batches(schema, step, columns)
}

/// What a row of any event table starts from.
struct Row<T> {
    event: Event,
    session_id: i64,
    user_id: i64,
    rest: T,
}

impl<T> Row<T> {
    fn new(event: Event, session: &Session, rest: T) -> Self {
        Self { event, session_id: session.id, user_id: session.user as i64 + 1, rest }
    }
}

struct Listen {
    episode_id: i64,
    show_id: i64,
    mode: usize,
    platform: usize,
    stretch: Stretch,
}

fn listens(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let add = |rows: &mut Vec<Row<Listen>>, visit: &Visit<'_>| {
        let session = visit.play();
        for (number, stretch) in session.stretches().iter().enumerate() {
            for event in session.report(number).each() {
                let listen = Listen {
                    episode_id: visit.episode.id,
                    show_id: visit.show_id(),
                    mode: session.mode,
                    platform: session.platform,
                    stretch: *stretch,
                };
                rows.push(Row::new(event, &session, listen));
            }
        }
    };
    events(
        world,
        schema,
        |_| true,
        add,
        |rows| {
            vec![
                wholes(rows, |row| row.event.id),
                wholes(rows, |row| row.session_id),
                wholes(rows, |row| row.user_id),
                wholes(rows, |row| row.rest.episode_id),
                wholes(rows, |row| row.rest.show_id),
                texts(rows, |row| MODES[row.rest.mode]),
                texts(rows, |row| words::PLATFORMS[row.rest.platform]),
                smalls(rows, |row| row.rest.stretch.position_s as i32),
                smalls(rows, |row| row.rest.stretch.seconds as i32),
                texts(rows, |row| ENDINGS[row.rest.stretch.ended_by]),
                instants(rows, |row| row.event.time_us),
                instants(rows, |row| row.event.ingest_us),
            ]
        },
    )
}

fn likes(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let add = |rows: &mut Vec<Row<(i64, i64)>>, visit: &Visit<'_>| {
        let session = visit.play();
        for event in session.likes().flat_map(|like| like.each()) {
            rows.push(Row::new(event, &session, (visit.episode.id, visit.show_id())));
        }
    };
    events(world, schema, session::has_likes, add, |rows| {
        vec![
            wholes(rows, |row| row.event.id),
            wholes(rows, |row| row.session_id),
            wholes(rows, |row| row.user_id),
            wholes(rows, |row| row.rest.0),
            wholes(rows, |row| row.rest.1),
            instants(rows, |row| row.event.time_us),
            instants(rows, |row| row.event.ingest_us),
        ]
    })
}

fn follows(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let add = |rows: &mut Vec<Row<i64>>, visit: &Visit<'_>| {
        let session = visit.play();
        for event in session.follow().each() {
            rows.push(Row::new(event, &session, visit.creator_id()));
        }
    };
    events(world, schema, session::has_follow, add, |rows| {
        vec![
            wholes(rows, |row| row.event.id),
            wholes(rows, |row| row.session_id),
            wholes(rows, |row| row.user_id),
            wholes(rows, |row| row.rest),
            instants(rows, |row| row.event.time_us),
            instants(rows, |row| row.event.ingest_us),
        ]
    })
}

fn chat_messages(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let add = |rows: &mut Vec<Row<(i64, &'static str)>>, visit: &Visit<'_>| {
        let session = visit.play();
        for (text, message) in session.messages() {
            for event in message.each() {
                rows.push(Row::new(event, &session, (visit.episode.id, text)));
            }
        }
    };
    events(world, schema, session::has_messages, add, |rows| {
        vec![
            wholes(rows, |row| row.event.id),
            wholes(rows, |row| row.session_id),
            wholes(rows, |row| row.user_id),
            wholes(rows, |row| row.rest.0),
            texts(rows, |row| row.rest.1),
            instants(rows, |row| row.event.time_us),
            instants(rows, |row| row.event.ingest_us),
        ]
    })
}

fn poll_votes(world: &Arc<World>, schema: SchemaRef) -> Batches {
    let add = |rows: &mut Vec<Row<(i64, i32)>>, visit: &Visit<'_>| {
        let mut session = None;
        for (number, poll) in visit.world.polls(visit.episode).enumerate() {
            let session = session.get_or_insert_with(|| visit.play());
            let Some((choice, vote)) = session.vote(number, &poll) else { continue };
            for event in vote.each() {
                rows.push(Row::new(event, session, (poll.id, choice)));
            }
        }
    };
    events(world, schema, session::has_votes, add, |rows| {
        vec![
            wholes(rows, |row| row.event.id),
            wholes(rows, |row| row.rest.0),
            wholes(rows, |row| row.session_id),
            wholes(rows, |row| row.user_id),
            smalls(rows, |row| row.rest.1),
            instants(rows, |row| row.event.time_us),
            instants(rows, |row| row.event.ingest_us),
        ]
    })
}
