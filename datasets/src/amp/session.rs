//! One user's visit to one episode, as a state machine: playing, paused, dropped, gone.
//!
//! What a user does besides listening (like, follow, chat, vote) happens while playing.

use super::dice::{Dice, mix};
use super::world::{DAY_US, Episode, HOUR_US, HOUR_WEIGHTS, Poll, SECOND_US, World};
use super::{DUPLICATE_PER_MILLE, LATE_PER_MILLE, LATE_SECONDS_MIN, words};

/// A session has at most this many stretches; who pauses more often leaves.
const STRETCHES_MAX: usize = 12;

/// Event ids are a session's id times this, plus a number below it for each of its events.
const EVENTS_PER_SESSION: i64 = 64;
const FIRST_LIKE: i64 = 16;
const FIRST_FOLLOW: i64 = 24;
const FIRST_MESSAGE: i64 = 32;
const FIRST_VOTE: i64 = 56;

// Tags keep the draws of different things apart, so that a table of likes need not work out chat.
const COURSE: u64 = 0x20;
const LIKE: u64 = 0x21;
const FOLLOW: u64 = 0x22;
const CHAT: u64 = 0x23;
const VOTE: u64 = 0x24;

pub(super) const MODES: [&str; 2] = ["live", "replay"];
pub(super) const ENDINGS: [&str; 4] = ["pause", "leave", "drop", "end"];

const PAUSE: usize = 0;
const LEAVE: usize = 1;
const DROP: usize = 2;
const END: usize = 3;

pub(super) struct Session {
    pub(super) id: i64,
    pub(super) seed: u64,
    /// The user's index, one less than the id.
    pub(super) user: u64,
    /// An index into [`words::PLATFORMS`].
    pub(super) platform: usize,
    /// An index into [`MODES`].
    pub(super) mode: usize,
    stretches: [Stretch; STRETCHES_MAX],
    stretch_count: usize,
}

/// Uninterrupted playing.
#[derive(Clone, Copy, Default)]
pub(super) struct Stretch {
    pub(super) started_us: i64,
    /// Where in the episode it begins.
    pub(super) position_s: i64,
    pub(super) seconds: i64,
    /// An index into [`ENDINGS`].
    pub(super) ended_by: usize,
}

/// What every event has: an id, and the times it happened and arrived.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) id: i64,
    pub(super) time_us: i64,
    pub(super) ingest_us: i64,
}

impl Session {
    /// Plays the session of `episode` that has this id and seed.
    pub(super) fn play(world: &World, episode: &Episode, id: i64, seed: u64) -> Self {
        let mut dice = Dice::new(seed, COURSE);
        let user = world.listener(episode.audience, &mut dice);
        let platform = if dice.chance(900) {
            world.platform(user)
        } else {
            dice.weighted(words::PLATFORM_WEIGHTS)
        };

        let replay_us =
            if dice.chance(180) { replay_start(world, episode, &mut dice) } else { None };
        let live = replay_us.is_none();
        // Listeners of a live show come early rather than late.
        let mut position_s =
            if live || dice.chance(300) { dice.low(episode.seconds as u64) as i64 } else { 0 };
        let live_us = episode.started_us + position_s * SECOND_US;
        let mut now_us = replay_us.unwrap_or(live_us) + dice.below(1_000) as i64 * 1_000;

        let mut stretches = [Stretch::default(); STRETCHES_MAX];
        let mut stretch_count = 0;
        while stretch_count < STRETCHES_MAX && position_s < episode.seconds {
            let left = episode.seconds - position_s;
            let wanted = 10 + dice.low(4_200) as i64;
            let (seconds, ended_by) = if wanted >= left {
                (left, END)
            } else {
                (wanted, [PAUSE, LEAVE, DROP][dice.weighted(&[46, 42, 12])])
            };
            stretches[stretch_count] =
                Stretch { started_us: now_us, position_s, seconds, ended_by };
            stretch_count += 1;
            let gap = match ended_by {
                PAUSE => 5 + dice.low(900) as i64,
                DROP => 3 + dice.below(60) as i64,
                _ => break,
            };
            now_us += (seconds + gap) * SECOND_US;
            // Who pauses a live show misses what goes on meanwhile.
            position_s += if live { seconds + gap } else { seconds };
        }
        Self { id, seed, user, platform, mode: usize::from(!live), stretches, stretch_count }
    }

    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.stretches[..self.stretch_count]
    }

    /// The event that reports a stretch when it ends.
    pub(super) fn report(&self, number: usize) -> Deliveries {
        let stretch = &self.stretches[number];
        self.event(number as i64, stretch.started_us + stretch.seconds * SECOND_US)
    }

    pub(super) fn likes(&self) -> impl Iterator<Item = Deliveries> {
        let mut dice = Dice::new(self.seed, LIKE ^ 0x100);
        let count = 1 + dice.low(4) as i64;
        (0..count).map(move |number| {
            let time_us = self.moment(&mut dice);
            self.event(FIRST_LIKE + number, time_us)
        })
    }

    pub(super) fn follow(&self) -> Deliveries {
        let mut dice = Dice::new(self.seed, FOLLOW ^ 0x100);
        let time_us = self.moment(&mut dice);
        self.event(FIRST_FOLLOW, time_us)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = (&'static str, Deliveries)> {
        let mut dice = Dice::new(self.seed, CHAT ^ 0x100);
        let count = 1 + dice.low(12) as i64;
        (0..count).map(move |number| {
            let time_us = self.moment(&mut dice);
            (dice.pick(words::MESSAGES), self.event(FIRST_MESSAGE + number, time_us))
        })
    }

    /// The option, from 1, that this user votes for in poll `number` of the episode, if the user
    /// is playing while the poll is open.
    pub(super) fn vote(&self, number: usize, poll: &Poll) -> Option<(i32, Deliveries)> {
        let mut dice = Dice::new(self.seed, VOTE ^ 0x100 ^ ((number as u64) << 16));
        let (from_us, to_us) = self.stretches().iter().find_map(|stretch| {
            let from_us = stretch.started_us.max(poll.opened_us);
            let to_us = (stretch.started_us + stretch.seconds * SECOND_US).min(poll.closed_us);
            (from_us < to_us).then_some((from_us, to_us))
        })?;
        let time_us = from_us + dice.low((to_us - from_us) as u64) as i64;
        let options = poll.options.len() as u64;
        let choice = (poll.favourite + dice.low(options)) % options;
        Some((choice as i32 + 1, self.event(FIRST_VOTE + number as i64, time_us)))
    }

    /// A time at which the user is playing.
    fn moment(&self, dice: &mut Dice) -> i64 {
        let stretch = dice.pick(self.stretches());
        stretch.started_us + dice.below((stretch.seconds * SECOND_US) as u64) as i64
    }

    fn event(&self, number: i64, time_us: i64) -> Deliveries {
        let id = self.id * EVENTS_PER_SESSION + number;
        let mut dice = Dice::new(self.seed, number as u64 ^ 0x1000);
        let late_us = if dice.chance(LATE_PER_MILLE) {
            // The device was offline.
            (LATE_SECONDS_MIN + dice.low(48 * 3_600) as i64) * SECOND_US
        } else {
            50_000 + dice.low(8_000) as i64 * 1_000
        };
        let first = Event { id, time_us, ingest_us: time_us + late_us };
        // The answer was lost, so the device sent the event again.
        let again = dice.chance(DUPLICATE_PER_MILLE).then(|| {
            let wait_us = (1_000 + dice.low(30_000) as i64) * 1_000;
            Event { ingest_us: first.ingest_us + wait_us, ..first }
        });
        Deliveries { first, again }
    }
}

/// One event, as often as it arrives.
pub(super) struct Deliveries {
    first: Event,
    again: Option<Event>,
}

impl Deliveries {
    pub(super) fn each(self) -> impl Iterator<Item = Event> {
        std::iter::once(self.first).chain(self.again)
    }
}

pub(super) fn has_likes(seed: u64) -> bool {
    mix(seed, LIKE) % 1_000 < 140
}

pub(super) fn has_follow(seed: u64) -> bool {
    mix(seed, FOLLOW) % 1_000 < 35
}

pub(super) fn has_messages(seed: u64) -> bool {
    mix(seed, CHAT) % 1_000 < 90
}

pub(super) fn has_votes(seed: u64) -> bool {
    mix(seed, VOTE) % 1_000 < 350
}

/// When a replay begins: within three days of the show, at a usual hour, and before the data
/// ends, or never.
fn replay_start(world: &World, episode: &Episode, dice: &mut Dice) -> Option<i64> {
    let ended_us = episode.started_us + episode.seconds * SECOND_US;
    let days = (ended_us - world.start_us) / DAY_US + dice.low(3) as i64;
    let hour = dice.weighted(&HOUR_WEIGHTS) as i64;
    let start_us =
        world.start_us + days * DAY_US + hour * HOUR_US + dice.below(3_600) as i64 * SECOND_US;
    (ended_us..world.end_us()).contains(&start_us).then_some(start_us)
}
