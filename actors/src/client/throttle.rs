//! A bucket of tokens that handshakes take from: how fast clients may connect. Each takes one, or, with weights, what
//! it costs the ensemble: beginning a session that all know is a txn, one of the member's own is none. Before that
//! they may be turned away by chance ([`Drops`]).
//!
//! Source: compat: BlueThrottle.java, which loses what is left of a fill time.

use parking_lot::Mutex;

use super::drops::{Chance, Drops};
use crate::runtime::rng::Rng;

/// What the operator decides. ZooKeeper's `connection_throttle_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens the bucket holds, and begins with.
    pub tokens: u32,
    /// So many are put in …
    pub fill_count: u32,
    /// … each time so many ms have passed; at least 1.
    pub fill_time_ms: u32,
}

/// What a handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A session that every member knows.
    Global,
    /// A session of this member alone.
    Local,
    /// To go on with one.
    Renewal,
}

/// Tokens that each costs; all 1 unless the operator wants weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// For [`Asks::Global`]. The operator counts in these: the bucket, and what is put in, are so many times larger.
    pub global: u32,
    /// For [`Asks::Local`].
    pub local: u32,
    /// For [`Asks::Renewal`].
    pub renewal: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { global: 1, local: 1, renewal: 1 }
    }
}

impl Weights {
    fn cost(self, of: Asks) -> u32 {
        match of {
            Asks::Global => self.global,
            Asks::Local => self.local,
            Asks::Renewal => self.renewal,
        }
    }
}

/// The bucket. Decides by the times it is told.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    tokens: u32,
    /// Everything due up to here has been put in, in ms.
    filled_ms: u64,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now_ms: u64) -> Self {
        Self { rate, tokens: rate.tokens, filled_ms: now_ms }
    }

    /// Puts in what is due.
    fn fill(&mut self, now_ms: u64) {
        let every = u64::from(self.rate.fill_time_ms.max(1));
        let times = now_ms.saturating_sub(self.filled_ms) / every;
        self.filled_ms += times * every; // what is left of the time counts for the next
        let more = times.saturating_mul(u64::from(self.rate.fill_count));
        let tokens = u64::from(self.tokens).saturating_add(more).min(u64::from(self.rate.tokens));
        self.tokens = u32::try_from(tokens).expect("no more than the bucket holds");
    }

    /// Takes so many tokens, if they are there; else none.
    pub fn take(&mut self, cost: u32, now_ms: u64) -> bool {
        self.fill(now_ms);
        let rest = self.tokens.checked_sub(cost);
        self.tokens = rest.unwrap_or(self.tokens);
        rest.is_some()
    }

    /// Tokens that are missing.
    pub fn deficit(&self) -> u32 {
        self.rate.tokens - self.tokens
    }
}

/// A bucket, and what stands before it if the operator wants that.
#[derive(Debug)]
struct Entry {
    bucket: Bucket,
    chance: Option<Chance>,
}

impl Entry {
    /// Source: compat: BlueThrottle.java, checkLimit: who is turned away by chance takes no token.
    fn take(&mut self, cost: u32, now_ms: u64) -> bool {
        self.bucket.fill(now_ms);
        let tokens = (self.bucket.deficit(), self.bucket.rate.tokens);
        let is_away = self.chance.as_mut().is_some_and(|chance| chance.turns_away(tokens, now_ms));
        !is_away && self.bucket.take(cost, now_ms)
    }
}

/// A bucket that all client arbiters take from, if there is one: a short lock a handshake, none without.
#[derive(Debug, Default)]
pub struct Throttle {
    entry: Option<Mutex<Entry>>,
    weights: Weights,
}

impl Throttle {
    /// At this rate, each handshake for a token.
    pub fn new(rate: Rate, now_ms: u64) -> Self {
        Self::weighted(rate, Weights::default(), now_ms)
    }

    /// At this rate of handshakes that ask for a global session; others by what they cost.
    pub fn weighted(rate: Rate, weights: Weights, now_ms: u64) -> Self {
        let rate = Rate {
            tokens: rate.tokens.saturating_mul(weights.global),
            fill_count: rate.fill_count.saturating_mul(weights.global),
            ..rate
        };
        let bucket = Bucket::new(rate, now_ms);
        Self { entry: Some(Mutex::new(Entry { bucket, chance: None })), weights }
    }

    /// The same, that turns handshakes away by chance; by this randomness.
    pub fn dropping(mut self, drops: Drops, now_ms: u64, rng: Rng) -> Self {
        if let Some(entry) = &mut self.entry {
            entry.get_mut().chance = Some(Chance::new(drops, now_ms, rng));
        }
        self
    }

    /// Whether one more may connect that asks for this, and how many tokens are missing then; `None` if all may.
    pub(super) fn take(&self, asks: Asks, now_ms: u64) -> Option<(bool, u32)> {
        let mut entry = self.entry.as_ref()?.lock();
        Some((entry.take(self.weights.cost(asks), now_ms), entry.bucket.deficit()))
    }

    /// The chance of being turned away whatever the bucket holds, 0 to 1.
    pub fn drop_chance(&self) -> f64 {
        let of = |entry: &Mutex<Entry>| entry.lock().chance.as_ref().map_or(0.0, Chance::get);
        self.entry.as_ref().map_or(0.0, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_filled_by_time_and_never_beyond_its_size() {
        let mut bucket = Bucket::new(Rate { tokens: 3, fill_count: 2, fill_time_ms: 10 }, 100);
        for (now_ms, taken, deficit) in [
            (100, true, 1),
            (100, true, 2),
            (100, true, 3),
            (109, false, 3), // not yet
            (110, true, 2),
            (115, true, 3),
            (119, false, 3),
            (121, true, 2), // the rest of the time before was not lost: due at 120
            (90, true, 3),  // another thread's clock may be a moment behind
            (10_000, true, 1),
            (u64::MAX, true, 1),
        ] {
            assert_eq!((bucket.take(1, now_ms), bucket.deficit()), (taken, deficit), "at {now_ms}");
        }
    }

    #[test]
    fn each_takes_what_it_costs_or_nothing() {
        use Asks::{Global, Local, Renewal};
        let rate = Rate { tokens: 2, fill_count: 1, fill_time_ms: 10 };
        let weights = Weights { global: 3, local: 1, renewal: 2 };
        let throttle = Throttle::weighted(rate, weights, 0);
        for (asks, now_ms, taken, deficit) in [
            (Global, 0, true, 3),
            (Renewal, 0, true, 5),
            (Renewal, 0, false, 5), // there is one, which it leaves to others
            (Local, 0, true, 6),
            (Local, 9, false, 6),
            (Global, 10, true, 6), // three are put in at a time
            (Local, 10, false, 6),
            (Global, 1_000, true, 3), // two times three, no more
        ] {
            assert_eq!(throttle.take(asks, now_ms), Some((taken, deficit)), "{asks:?} at {now_ms}");
        }
    }

    #[test]
    fn without_a_rate_all_may_connect() {
        assert_eq!(Throttle::default().take(Asks::Global, 5), None);
        let throttle = Throttle::new(Rate { tokens: 1, fill_count: 1, fill_time_ms: 1_000 }, 0);
        let take = |asks, now_ms| throttle.take(asks, now_ms);
        assert_eq!(
            [take(Asks::Global, 1), take(Asks::Local, 2), take(Asks::Renewal, 1_000)],
            [Some((true, 1)), Some((false, 1)), Some((true, 1))]
        );
    }

    #[test]
    fn who_is_turned_away_by_chance_takes_no_token_and_the_chance_goes_by_those_there_were() {
        let rate = Rate { tokens: 2, fill_count: 1, fill_time_ms: 100 };
        let drops = Drops { freeze_ms: 10, increase: 1_000_000, decrease: 1_000_000, decrease_ratio: 0 };
        let throttle = Throttle::new(rate, 0).dropping(drops, 0, Rng::seeded(3));
        for (now_ms, taken, deficit, chance) in [
            (0, true, 1, 0.0),
            (20, true, 2, 0.0), // one was there before
            (25, false, 2, 0.0),
            (31, false, 2, 1.0),  // none was
            (105, false, 1, 1.0), // one is filled in, and left
            (199, false, 1, 1.0),
            (212, true, 1, 0.0), // none is missing any more
        ] {
            assert_eq!(throttle.take(Asks::Global, now_ms), Some((taken, deficit)), "at {now_ms}");
            assert_eq!(throttle.drop_chance(), chance, "at {now_ms}");
        }
        let all_may = Throttle::default().dropping(drops, 0, Rng::seeded(3));
        assert_eq!((all_may.take(Asks::Global, 99), all_may.drop_chance()), (None, 0.0));
    }

    /// Recorded from the class of ZooKeeper 3.9.5 with these settings, told these times and given these draws.
    #[test]
    fn the_throttle_decides_as_javas() {
        use Asks::{Global, Local, Renewal};
        let rate = Rate { tokens: 3, fill_count: 1, fill_time_ms: 20 };
        let weights = Weights { global: 3, local: 1, renewal: 2 };
        let drops = Drops { freeze_ms: 10, increase: 300_000, decrease: 200_000, decrease_ratio: 700_000 };
        let throttle = Throttle::weighted(rate, weights, 0).dropping(drops, 0, Rng::seeded(11));
        type Handshake = (Asks, bool, u32); // whether it may connect, and how many tokens are missing then
        let steps: &[(u64, f64, &[Handshake])] = &[
            (0, 0.0, &[(Global, true, 3), (Local, true, 4), (Renewal, true, 6), (Global, true, 9)]),
            (11, 0.3, &[(Local, false, 9), (Renewal, false, 9)]),
            (22, 0.1, &[(Renewal, true, 8), (Global, false, 8), (Local, true, 9)]),
            (33, 0.4, &[(Global, false, 9), (Local, false, 9), (Renewal, false, 9)]),
            (44, 0.2, &[(Local, true, 7), (Renewal, true, 9)]),
            (55, 0.5, &[(Renewal, false, 9), (Global, false, 9), (Local, false, 9)]),
            (66, 0.3, &[(Global, true, 9), (Local, false, 9)]),
            (77, 0.6, &[(Local, false, 9), (Renewal, false, 9), (Global, false, 9)]),
            (88, 0.4, &[(Renewal, false, 6), (Global, true, 9), (Local, false, 9), (Renewal, false, 9)]),
            (99, 0.7, &[(Global, false, 9), (Local, false, 9)]),
            (110, 0.5, &[(Local, true, 7), (Renewal, false, 7)]),
        ];
        for (now_ms, chance, all) in steps {
            for (asks, taken, deficit) in *all {
                assert_eq!(throttle.take(*asks, *now_ms), Some((*taken, *deficit)), "{asks:?} at {now_ms}");
            }
            assert_eq!(throttle.drop_chance(), *chance, "at {now_ms}");
        }
    }
}
