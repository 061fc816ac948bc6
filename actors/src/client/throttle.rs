//! A bucket of tokens that handshakes take from: how fast clients may connect. Each takes one, or, with weights, what
//! it costs the ensemble: beginning a session that all know is a txn, one of the member's own is none.
//!
//! Source: compat: BlueThrottle.java without its random dropping, which is off unless configured.

use parking_lot::Mutex;

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

    /// Takes so many tokens, if they are there; else none.
    pub fn take(&mut self, cost: u32, now_ms: u64) -> bool {
        let every = u64::from(self.rate.fill_time_ms.max(1));
        let times = now_ms.saturating_sub(self.filled_ms) / every;
        self.filled_ms += times * every; // what is left of the time counts for the next
        let more = times.saturating_mul(u64::from(self.rate.fill_count));
        let tokens = u64::from(self.tokens).saturating_add(more).min(u64::from(self.rate.tokens));
        self.tokens = u32::try_from(tokens).expect("no more than the bucket holds");
        let rest = self.tokens.checked_sub(cost);
        self.tokens = rest.unwrap_or(self.tokens);
        rest.is_some()
    }

    /// Tokens that are missing.
    pub fn deficit(&self) -> u32 {
        self.rate.tokens - self.tokens
    }
}

/// A bucket that all client arbiters take from, if there is one: a short lock a handshake, none without.
#[derive(Debug, Default)]
pub struct Throttle {
    bucket: Option<Mutex<Bucket>>,
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
        Self { bucket: Some(Mutex::new(Bucket::new(rate, now_ms))), weights }
    }

    /// Whether one more may connect that asks for this, and how many tokens are missing then; `None` if all may.
    pub(super) fn take(&self, asks: Asks, now_ms: u64) -> Option<(bool, u32)> {
        let mut bucket = self.bucket.as_ref()?.lock();
        Some((bucket.take(self.weights.cost(asks), now_ms), bucket.deficit()))
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
}
