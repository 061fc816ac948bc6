//! How long things took, in fixed buckets: cheap to record from any thread, exact in count and sum.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets of a [`Times`]: 0 holds what took less than 1 µs, `i` what took 2^(i-1) µs up to 2^i µs,
/// the last also everything longer (2^26 µs is 67 s).
pub const BUCKETS: usize = 28;

/// A duration's bucket.
pub fn bucket_of(took_us: u64) -> usize {
    ((u64::BITS - took_us.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// The end of a bucket in µs, itself outside it; `u64::MAX` for the last.
pub fn bucket_end_us(bucket: usize) -> u64 {
    if bucket + 1 < BUCKETS { 1 << bucket } else { u64::MAX }
}

/// Durations recorded so far.
#[derive(Debug, Default)]
pub struct Times {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Times {
    /// Adds one duration. Durations beyond 584 years are cut there.
    pub fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(ns / 1_000)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
        if ns > self.max_ns.load(Relaxed) {
            self.max_ns.fetch_max(ns, Relaxed);
        }
    }

    /// What was recorded until now; records made during the call may be half seen.
    pub fn read(&self) -> TimesReading {
        TimesReading {
            buckets: std::array::from_fn(|i| self.buckets[i].load(Relaxed)),
            sum_us: self.sum_ns.load(Relaxed) / 1_000,
            max_us: self.max_ns.load(Relaxed) / 1_000,
        }
    }
}

/// [`Times`] as read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimesReading {
    /// Durations by [`bucket_of`].
    pub buckets: [u64; BUCKETS],
    /// All durations together, in µs, rounded down once.
    pub sum_us: u64,
    /// The longest, in µs.
    pub max_us: u64,
}

impl TimesReading {
    /// How many durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// A bound in µs that `per_mille` of the durations stay under (or are equal to, where it is the
    /// longest): less than twice the true quantile from 1 µs on. 0 if nothing was recorded.
    pub fn quantile_us(&self, per_mille: u64) -> u64 {
        let rank = (u128::from(self.count()) * u128::from(per_mille.min(1_000))).div_ceil(1_000);
        let mut seen = 0_u128;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank.max(1) {
                return bucket_end_us(bucket).min(self.max_us);
            }
        }
        0
    }

    /// Adds another's durations to these.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }
}
