//! Chance that is the same everywhere: ChaCha8 for streams, an integer hash for what hangs on them.
//!
//! All of it is integer arithmetic. Floating point would be as random, but `powf` and `ln` differ
//! in the last bit between platforms, and one bit is another data set.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The ChaCha8 stream `number` of a data set.
pub(super) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_stream(number);
    stream
}

/// A value that `seed` and `tag` decide, unrelated to that of any other tag.
pub(super) fn mix(seed: u64, tag: u64) -> u64 {
    Dice(seed ^ tag.wrapping_mul(0xd6e8_feb8_6659_fd93)).roll()
}

/// SplitMix64: many cheap draws from one seed.
///
/// Opening a ChaCha stream for each session would cost more than the session itself.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, tag: u64) -> Self {
        Self(mix(seed, tag))
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, without `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        scale(self.roll(), end)
    }

    /// A number below `end` for which small is more likely: half are in the first fifth or so.
    pub(super) fn low(&mut self, end: u64) -> u64 {
        let bound = self.below(end) + 1;
        self.below(bound)
    }

    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An index into `weights`, as likely as its weight.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// Maps the full range of `roll` evenly to the numbers below `end`.
pub(super) fn scale(roll: u64, end: u64) -> u64 {
    ((u128::from(roll) * u128::from(end)) >> 64) as u64
}
