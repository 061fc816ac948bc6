//! What a meter keeps: counts, and summaries that many threads add to without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use paddock_messages::mail::{BUCKETS, TimesReading, bucket_of};
use parking_lot::Mutex;

use crate::admin::four_letter::Sizes;

/// Something counted.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `more`.
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Relaxed);
        }
    }

    /// How many until now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// From 0 again.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Values of one batch, of one thread: adding is plain arithmetic. Times are in µs.
#[derive(Clone, Debug)]
pub struct Tally {
    buckets: [u32; BUCKETS],
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Tally {
    /// One more value.
    pub fn add(&mut self, value: u64) {
        self.buckets[bucket_of(value)] += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.min > self.max
    }
}

/// Values of all batches and threads. The same for basic and advanced ones: both cost two additions
/// to what is shared, and now and then a new extreme.
#[derive(Debug, Default)]
pub struct Summary {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    /// The complement of the smallest, so that 0 means none.
    inverse_min: AtomicU64,
    max: AtomicU64,
}

impl Summary {
    /// One more value; times in µs.
    pub fn add(&self, value: u64) {
        self.add_many(value, 1);
    }

    /// The same value `times` times: what a batch shares, for each of its requests.
    pub fn add_many(&self, value: u64, times: u64) {
        if times > 0 {
            self.buckets[bucket_of(value)].fetch_add(times, Relaxed);
            self.widen(value.saturating_mul(times), value, value);
        }
    }

    /// Takes a batch's values, and leaves the batch empty.
    pub fn absorb(&self, tally: &mut Tally) {
        if tally.is_empty() {
            return;
        }
        for (bucket, count) in self.buckets.iter().zip(&tally.buckets).filter(|(_, count)| **count > 0) {
            bucket.fetch_add(u64::from(*count), Relaxed);
        }
        self.widen(tally.sum, tally.min, tally.max);
        *tally = Tally::default();
    }

    fn widen(&self, sum: u64, min: u64, max: u64) {
        self.sum.fetch_add(sum, Relaxed);
        if !min > self.inverse_min.load(Relaxed) {
            self.inverse_min.fetch_max(!min, Relaxed);
        }
        if max > self.max.load(Relaxed) {
            self.max.fetch_max(max, Relaxed);
        }
    }

    /// From nothing again. Values added meanwhile may be half forgotten; a reading stays consistent.
    pub fn reset(&self) {
        self.buckets
            .iter()
            .chain([&self.sum, &self.inverse_min, &self.max])
            .for_each(|it| it.store(0, Relaxed));
    }

    /// All of it at about one moment.
    pub fn read(&self) -> SummaryReading {
        SummaryReading {
            values: TimesReading {
                buckets: std::array::from_fn(|i| self.buckets[i].load(Relaxed)),
                sum_us: self.sum.load(Relaxed),
                max_us: self.max.load(Relaxed),
            },
            inverse_min: self.inverse_min.load(Relaxed),
        }
    }
}

/// A [`Summary`] as read at one moment, in the unit it was recorded in.
#[derive(Clone, Copy, Debug)]
pub struct SummaryReading {
    values: TimesReading,
    inverse_min: u64,
}

impl SummaryReading {
    /// How many values.
    pub fn count(&self) -> u64 {
        self.values.count()
    }

    /// All values together.
    pub fn sum(&self) -> u64 {
        self.values.sum_us
    }

    /// The smallest; 0 if there is none. Never above [`SummaryReading::max`].
    pub fn min(&self) -> u64 {
        if self.inverse_min == 0 { 0 } else { (!self.inverse_min).min(self.values.max_us) }
    }

    /// The largest; 0 if there is none.
    pub fn max(&self) -> u64 {
        self.values.max_us
    }

    /// The mean, never outside minimum and maximum (AD4); 0 if there is no value.
    pub fn average(&self) -> f64 {
        let mean = self.sum() as f64 / self.count().max(1) as f64;
        mean.clamp(self.min() as f64, self.max() as f64)
    }

    /// A bound that `per_mille` of the values stay under, less than twice the true quantile.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        self.values.quantile_us(per_mille).max(self.min())
    }
}

/// Most keys a set has. Clients choose the keys, so their number must end; the rest is [`OTHER`]'s.
pub const MOST_KEYS: usize = 1_000;

/// Longest key in bytes that has a place of its own.
pub const LONGEST_KEY: usize = 256;

/// Keys that a batch's tally keeps for the next; with more it starts anew, as to look through many empty
/// ones costs more than to make a few.
const KEPT_KEYS: usize = 64;

/// The key of everything beyond [`MOST_KEYS`] and [`LONGEST_KEY`].
pub const OTHER: &str = "_other";

/// The key a path is counted under: its first component; the root has none. Source: PathUtils.java,
/// getTopNamespace.
pub fn namespace(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?;
    let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len()); // names are short
    Some(&rest[..end]).filter(|first| !first.is_empty())
}

/// One `T` for each key.
#[derive(Debug, Default)]
pub struct Keyed<T>(Mutex<BTreeMap<Box<str>, Arc<T>>>);

impl<T: Default> Keyed<T> {
    /// The key's own, or that of [`OTHER`] when there are too many keys.
    pub fn of(&self, key: &str) -> Arc<T> {
        let mut all = self.0.lock();
        if let Some(its) = all.get(key) {
            return its.clone();
        }
        let own = all.len() - usize::from(all.contains_key(OTHER));
        let key = if own < MOST_KEYS && key.len() <= LONGEST_KEY { key } else { OTHER };
        all.entry(key.into()).or_default().clone()
    }

    /// All of them by key.
    pub fn all(&self) -> Vec<(Box<str>, Arc<T>)> {
        self.0.lock().iter().map(|(key, its)| (key.clone(), its.clone())).collect()
    }
}

/// Values of one batch by namespace. Keys stay, so that a batch allocates only for new ones.
#[derive(Debug, Default)]
pub struct KeyedTally(BTreeMap<Box<str>, Tally>);

impl KeyedTally {
    /// One more value of `path`'s namespace; none of the root's.
    pub fn add(&mut self, path: &str, value: u64) {
        let Some(key) = namespace(path) else { return };
        if let Some(tally) = self.0.get_mut(key) {
            return tally.add(value);
        }
        let key = if self.0.len() < MOST_KEYS && key.len() <= LONGEST_KEY { key } else { OTHER };
        self.0.entry(key.into()).or_default().add(value);
    }

    pub(super) fn empty_into(&mut self, set: &Keyed<Summary>) {
        for (key, tally) in self.0.iter_mut().filter(|(_, tally)| !tally.is_empty()) {
            set.of(key).absorb(tally);
        }
        if self.0.len() > KEPT_KEYS {
            self.0.clear();
        }
    }
}

/// Sizes of answers: the last, smallest and largest since the last reset.
#[derive(Debug)]
pub struct SizeMeter {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

impl Default for SizeMeter {
    fn default() -> Self {
        Self { last: AtomicI64::new(-1), min: AtomicI64::new(i64::MAX), max: AtomicI64::new(-1) }
    }
}

impl SizeMeter {
    /// What a batch saw; nothing if it saw none.
    pub fn note(&self, sizes: Sizes) {
        if sizes.last >= 0 {
            self.last.store(sizes.last, Relaxed);
            self.min.fetch_min(sizes.min, Relaxed);
            self.max.fetch_max(sizes.max, Relaxed);
        }
    }

    /// As the Java server tells them: -1 before the first.
    pub fn read(&self) -> Sizes {
        let min = self.min.load(Relaxed);
        Sizes {
            last: self.last.load(Relaxed),
            min: if min == i64::MAX { -1 } else { min },
            max: self.max.load(Relaxed),
        }
    }

    /// As before the first.
    pub fn reset(&self) {
        self.last.store(-1, Relaxed);
        self.min.store(i64::MAX, Relaxed);
        self.max.store(-1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ad4_summaries_are_consistent(values in prop::collection::vec(0_u64..100_000_000, 0..200)) {
            let (one, batch) = (Summary::default(), Summary::default());
            let mut tally = Tally::default();
            for value in &values {
                one.add(*value);
                tally.add(*value);
            }
            batch.absorb(&mut tally);
            prop_assert!(tally.is_empty());
            for reading in [one.read(), batch.read()] {
                prop_assert_eq!(reading.count(), values.len() as u64);
                prop_assert_eq!(reading.sum(), values.iter().sum::<u64>());
                prop_assert_eq!(reading.min(), values.iter().min().copied().unwrap_or(0));
                prop_assert_eq!(reading.max(), values.iter().max().copied().unwrap_or(0));
                let (min, max) = (reading.min() as f64, reading.max() as f64);
                prop_assert!((min..=max).contains(&reading.average()));
                let quantiles = [500, 900, 950, 990, 999].map(|per_mille| reading.quantile(per_mille));
                prop_assert!(quantiles.is_sorted());
                prop_assert!(quantiles.iter().all(|q| (reading.min()..=reading.max()).contains(q)));
            }
        }
    }

    #[test]
    fn many_of_one_value_are_as_many_single_ones() {
        let (many, single) = (Summary::default(), Summary::default());
        many.add_many(7, 3);
        many.add_many(9, 0);
        (0..3).for_each(|_| single.add(7));
        assert_eq!(format!("{:?}", many.read()), format!("{:?}", single.read()));
        many.reset();
        assert_eq!(format!("{:?}", many.read()), format!("{:?}", Summary::default().read()));
    }

    #[test]
    fn namespaces_are_first_components_and_their_number_ends() {
        for (path, key) in [("/", None), ("", None), ("/a", Some("a")), ("/a/b", Some("a"))] {
            assert_eq!(namespace(path), key);
        }
        let (set, mut tally) = (Keyed::<Summary>::default(), KeyedTally::default());
        (0..MOST_KEYS + 10).for_each(|i| tally.add(&format!("/n{i}"), 1));
        tally.empty_into(&set);
        tally.add("/n0", 1);
        tally.empty_into(&set);
        assert!(set.all().len() <= MOST_KEYS + 1);
        assert_eq!(set.of("n0").read().count(), 2);
        assert_eq!(set.of(OTHER).read().count(), 10);
        tally.add(&format!("/{}", "x".repeat(LONGEST_KEY + 1)), 1);
        tally.empty_into(&set);
        assert_eq!(set.of(OTHER).read().count(), 11);
    }
}
