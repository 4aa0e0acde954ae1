//! The app's standing order: who its users and creators are, and which episodes are on when.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{Datelike, NaiveTime};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::Amp;
use super::dice::{Dice, mix, scale, stream};
use super::words;

pub(super) const SECOND_US: i64 = 1_000_000;
pub(super) const HOUR_US: i64 = 3_600 * SECOND_US;
pub(super) const DAY_US: i64 = 24 * HOUR_US;

/// How many listeners an hour of the day (UTC) draws, relative to the others: quiet before dawn,
/// a small peak on the way to work, the big one in the evening.
pub(super) const HOUR_WEIGHTS: [u64; 24] =
    [30, 18, 10, 6, 4, 5, 12, 28, 40, 34, 28, 30, 38, 36, 34, 38, 48, 64, 82, 96, 100, 92, 70, 46];

/// One user in so many belongs to the keenest, who listen about 17 times as much as the average.
const KEENEST: u64 = 64;

/// Monday to Sunday.
const WEEKDAY_WEIGHTS: [u64; 7] = [88, 90, 94, 100, 116, 118, 94];

const RANK_SHIFT: u64 = 4;

// Tags keep the draws of different things apart. ChaCha streams below `EPISODE_STREAMS` are
// the world's own; the others belong to episodes.
const RANK_STREAM: u64 = 1;
const SHOW_STREAM: u64 = 2;
const EPISODE_STREAMS: u64 = 1 << 32;
const SEED: u64 = 0x0f;
const USER: u64 = 0x10;
const CREATOR: u64 = 0x11;
const EPISODE: u64 = 0x12;
const PROMOTION: u64 = 0x13;
const POLL: u64 = 0x14;

/// Everything that events refer to. Shows are kept; the rest is worked out when asked for, so
/// memory does not grow with users or days.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) users: u64,
    pub(super) creators: u64,
    pub(super) days: u64,
    /// Start of the first day, in microseconds since 1970.
    pub(super) start_us: i64,
    /// Monday is 0.
    first_weekday: usize,
    pub(super) shows: Vec<Show>,
    /// Which users are the keen ones, as a pattern of the low bits of their index.
    keen: u64,
}

pub(super) struct Show {
    pub(super) creator: u64,
    pub(super) title: String,
    pub(super) genre: &'static str,
    pub(super) language: &'static str,
    pub(super) minutes: u64,
    pub(super) start_minute: u64,
    /// Bit 0 is Monday.
    pub(super) weekdays: u8,
    pub(super) created_us: i64,
    /// Zipf's law with exponent 1, shifted (Mandelbrot): without the shift one show would have
    /// half of all listeners.
    weight: u64,
}

pub(super) struct User {
    pub(super) country: &'static str,
    pub(super) platform: usize,
    pub(super) birth_year: Option<i32>,
    pub(super) referrer: Option<&'static str>,
    pub(super) signed_up_us: i64,
}

pub(super) struct Creator {
    pub(super) handle: String,
    pub(super) name: String,
    pub(super) country: &'static str,
    pub(super) verified: bool,
    pub(super) joined_us: i64,
}

#[derive(Clone)]
pub(super) struct Episode {
    pub(super) id: i64,
    /// An index into [`World::shows`].
    pub(super) show: usize,
    pub(super) seed: u64,
    pub(super) scheduled_us: i64,
    pub(super) started_us: i64,
    pub(super) seconds: i64,
    /// Users with an index below this had signed up when the day began.
    pub(super) audience: u64,
    /// The id of its first session; the others follow without a gap.
    pub(super) first_session: i64,
    pub(super) sessions: u64,
}

pub(super) struct Poll {
    pub(super) id: i64,
    pub(super) question: &'static str,
    pub(super) options: &'static [&'static str],
    pub(super) opened_us: i64,
    pub(super) closed_us: i64,
    /// The option, from 0, that most vote for.
    pub(super) favourite: u64,
}

pub(super) struct Promotion {
    pub(super) channel: &'static str,
    pub(super) first_day: u64,
    /// Not promoted any more on this day.
    pub(super) end_day: u64,
    pub(super) budget_cents: i64,
    pub(super) impressions: i64,
    pub(super) clicks: i64,
}

impl World {
    pub(super) fn new(amp: &Amp) -> Self {
        let users = amp.users.max(1);
        // Hashed, so that neighbouring seeds have nothing in common.
        let seed = mix(amp.seed, SEED);
        let creators = (users / 100).max(5);
        let start_us = amp.start.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        Self {
            seed,
            users,
            creators,
            days: u64::from(amp.days),
            start_us,
            first_weekday: amp.start.weekday().num_days_from_monday() as usize,
            shows: shows(seed, (users * 3 / 200).max(8), creators, start_us),
            keen: mix(seed, USER),
        }
    }

    pub(super) fn end_us(&self) -> i64 {
        self.start_us + self.days as i64 * DAY_US
    }

    /// How many users there are when `day` begins: three fifths at first, all at the end.
    fn audience(&self, day: u64) -> u64 {
        let at_first = self.users_at_first();
        at_first + (self.users - at_first) * day / self.days.max(1)
    }

    fn users_at_first(&self) -> u64 {
        (self.users * 3 / 5).max(1)
    }

    pub(super) fn user(&self, index: u64) -> User {
        let mut dice = Dice::new(self.seed ^ index, USER);
        // A user's index is below `audience(day)` only if this is before that day.
        let at_first = self.users_at_first();
        let by = if index < at_first {
            let two_years_us = 730 * DAY_US;
            self.start_us - part(two_years_us, at_first - index, at_first)
        } else {
            let total_us = self.end_us() - self.start_us;
            self.start_us + part(total_us, index - at_first, self.users - at_first)
        };
        User {
            signed_up_us: by - (1 + dice.below(12 * 3_600) as i64) * SECOND_US,
            country: words::COUNTRIES[dice.weighted(words::COUNTRY_WEIGHTS)],
            platform: self.platform(index),
            birth_year: dice.chance(780).then(|| 2006 - dice.low(48) as i32),
            referrer: dice.chance(640).then(|| dice.pick(words::REFERRERS)),
        }
    }

    /// The device that a user mostly listens on, as an index into [`words::PLATFORMS`].
    pub(super) fn platform(&self, index: u64) -> usize {
        Dice::new(self.seed ^ index, USER ^ 0x100).weighted(words::PLATFORM_WEIGHTS)
    }

    /// Draws a user's index below `audience`. A few users draw most of the lots: each further
    /// low bit that agrees with the pattern makes one user in two half as keen again.
    pub(super) fn listener(&self, audience: u64, dice: &mut Dice) -> u64 {
        let candidate = dice.below(audience);
        let mut bits = dice.roll();
        let mut low = 1u64;
        while bits & 3 != 0 && low < KEENEST {
            bits >>= 2;
            low <<= 1;
        }
        let keen = (candidate & !(low - 1)) | (self.keen & (low - 1));
        if keen < audience { keen } else { candidate }
    }

    pub(super) fn creator(&self, index: u64) -> Creator {
        let mut dice = Dice::new(self.seed ^ index, CREATOR);
        let (first, last) = (dice.pick(words::FIRST_NAMES), dice.pick(words::LAST_NAMES));
        Creator {
            // The number keeps handles apart where names are the same.
            handle: format!("{}{}{}", first.to_lowercase(), last.to_lowercase(), index + 1),
            name: format!("{first} {last}"),
            country: words::COUNTRIES[dice.weighted(words::COUNTRY_WEIGHTS)],
            verified: dice.chance(180),
            // Before any show, all of which begin in the year before the first day.
            joined_us: self.start_us - (366 + dice.below(700) as i64) * DAY_US
                + dice.below(86_400) as i64 * SECOND_US,
        }
    }

    /// The promotion of a show that begins in `week`, if it has one.
    pub(super) fn promotion(&self, show: usize, week: u64) -> Option<Promotion> {
        let mut dice = Dice::new(self.seed ^ ((show as u64) << 24) ^ week, PROMOTION);
        if !dice.chance(60) {
            return None;
        }
        let first_day = week * 7 + dice.below(4);
        let budget_cents = 5_000 + 100 * dice.low(2_000) as i64;
        let impressions = budget_cents * (4 + dice.below(9) as i64);
        Some(Promotion {
            channel: dice.pick(words::CHANNELS),
            first_day,
            end_day: (first_day + 2 + dice.below(2)).min(week * 7 + 7),
            budget_cents,
            impressions,
            clicks: impressions * (8 + dice.below(32) as i64) / 1_000,
        })
    }

    pub(super) fn polls(&self, episode: &Episode) -> impl Iterator<Item = Poll> + use<> {
        let mut dice = Dice::new(episode.seed, POLL);
        let (id, started_us, seconds) = (episode.id, episode.started_us, episode.seconds);
        let count = [0, 1, 2][dice.weighted(&[45, 40, 15])];
        (0..count).map(move |number| {
            let (question, options) = dice.pick(words::POLLS);
            let opens_after = seconds * (1 + 2 * number) / 5 + dice.below(120) as i64;
            let opened_us = started_us + opens_after * SECOND_US;
            Poll {
                id: id * 2 + number,
                question,
                options,
                opened_us,
                closed_us: opened_us + (180 + 60 * dice.below(5) as i64) * SECOND_US,
                favourite: dice.below(options.len() as u64),
            }
        })
    }

    /// All episodes in order of their start, one day in memory at a time.
    pub(super) fn episodes(self: &Arc<Self>) -> Episodes {
        Episodes {
            world: self.clone(),
            day: 0,
            today: VecDeque::new(),
            next_id: 1,
            next_session: 1,
        }
    }

    /// What seeds an episode's sessions: each is one draw.
    pub(super) fn sessions_stream(&self, episode: &Episode) -> ChaCha8Rng {
        stream(self.seed, EPISODE_STREAMS + episode.id as u64)
    }
}

fn part(of: i64, numerator: u64, denominator: u64) -> i64 {
    (i128::from(of) * i128::from(numerator) / i128::from(denominator.max(1))) as i64
}

fn shows(seed: u64, count: u64, creators: u64, start_us: i64) -> Vec<Show> {
    // Popularity has nothing to do with ids, so ranks are dealt like cards.
    let mut cards = stream(seed, RANK_STREAM);
    let mut ranks: Vec<u64> = (1..=count).collect();
    for index in (1..ranks.len()).rev() {
        ranks.swap(index, scale(cards.next_u64(), index as u64 + 1) as usize);
    }

    let mut seeds = stream(seed, SHOW_STREAM);
    let show = |(index, rank): (usize, u64)| {
        let mut dice = Dice::new(seeds.next_u64(), 0);
        let index = index as u64;
        let hour = dice.weighted(&HOUR_WEIGHTS) as u64;
        let mood = dice.pick(words::MOODS);
        Show {
            // As far as shows go round, each creator has one.
            creator: if index < creators { index } else { dice.low(creators) },
            title: format!("{mood} {}", dice.pick(words::PLACES)),
            genre: words::GENRES[dice.weighted(words::GENRE_WEIGHTS)],
            language: words::LANGUAGES[dice.weighted(words::LANGUAGE_WEIGHTS)],
            minutes: dice.pick(&[30, 45, 60, 60, 60, 90, 120]),
            start_minute: hour * 60 + dice.pick(&[0, 0, 15, 30]),
            // The first in rank is daily: there is no day without an episode.
            weekdays: if rank == 1 { DAILY } else { weekdays(&mut dice) },
            created_us: start_us - dice.below(365 * 86_400) as i64 * SECOND_US,
            weight: (1 << 32) / (rank + RANK_SHIFT),
        }
    };
    ranks.into_iter().enumerate().map(show).collect()
}

const DAILY: u8 = 0b111_1111;
const WORKDAYS: u8 = 0b001_1111;

fn weekdays(dice: &mut Dice) -> u8 {
    match dice.below(100) {
        0..8 => DAILY,
        8..20 => WORKDAYS,
        20..45 => (1 << dice.below(7)) | (1 << dice.below(7)),
        _ => 1 << dice.below(7),
    }
}

/// See [`World::episodes`].
pub(super) struct Episodes {
    world: Arc<World>,
    /// The day after the one in `today`.
    day: u64,
    today: VecDeque<Episode>,
    next_id: i64,
    next_session: i64,
}

impl Iterator for Episodes {
    type Item = Episode;

    fn next(&mut self) -> Option<Episode> {
        while self.today.is_empty() && self.day < self.world.days {
            self.plan_day();
            self.day += 1;
        }
        self.today.pop_front()
    }
}

impl Episodes {
    fn plan_day(&mut self) {
        let world = self.world.clone();
        let weekday = (world.first_weekday + self.day as usize) % 7;
        let midnight_us = world.start_us + self.day as i64 * DAY_US;
        let audience = world.audience(self.day);

        let mut planned = Vec::new();
        for (index, show) in world.shows.iter().enumerate() {
            let seed = mix(world.seed ^ ((index as u64) << 24) ^ self.day, EPISODE);
            let mut dice = Dice::new(seed, 0);
            let cancelled = dice.chance(50) && show.weekdays != DAILY;
            if (show.weekdays >> weekday) & 1 == 0 || cancelled {
                continue;
            }
            let scheduled_us = midnight_us + show.start_minute as i64 * 60 * SECOND_US;
            let hour = (show.start_minute / 60) as usize;
            let promotion = world.promotion(index, self.day / 7);
            let promoted =
                promotion.is_some_and(|found| (found.first_day..found.end_day).contains(&self.day));
            // Most shows are in the evening anyway, so the hour itself counts for little more.
            let weight = show.weight * (80 + HOUR_WEIGHTS[hour]) * (75 + dice.below(50)) / 10_000;
            let episode = Episode {
                id: 0,
                show: index,
                seed,
                scheduled_us,
                started_us: scheduled_us + dice.low(300) as i64 * SECOND_US,
                seconds: show.minutes as i64 * 60 - 120 + dice.below(600) as i64,
                audience,
                first_session: 0,
                sessions: 0,
            };
            planned.push((if promoted { weight * 8 / 5 } else { weight }, episode));
        }
        planned.sort_by_key(|(_, episode)| (episode.started_us, episode.show));

        // On average a user listens five times a fortnight. Shares are cut from the running sum,
        // so that rounding loses nobody.
        let sessions = audience * WEEKDAY_WEIGHTS[weekday] * 5 / 1_400;
        let total: u64 = planned.iter().map(|(weight, _)| weight).sum();
        let share = |weight: u64| {
            (u128::from(sessions) * u128::from(weight) / u128::from(total.max(1))) as u64
        };
        let mut running = 0;
        for (weight, mut episode) in planned {
            episode.id = self.next_id;
            episode.first_session = self.next_session;
            episode.sessions = share(running + weight) - share(running);
            running += weight;
            self.next_id += 1;
            self.next_session += episode.sessions as i64;
            self.today.push_back(episode);
        }
    }
}
