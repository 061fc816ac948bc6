//! A bucket of tokens, one for each handshake: how fast clients may connect.
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

    /// Takes a token, if there is one.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let every = u64::from(self.rate.fill_time_ms.max(1));
        let times = now_ms.saturating_sub(self.filled_ms) / every;
        self.filled_ms += times * every; // what is left of the time counts for the next
        let more = times.saturating_mul(u64::from(self.rate.fill_count));
        let tokens = u64::from(self.tokens).saturating_add(more).min(u64::from(self.rate.tokens));
        self.tokens = u32::try_from(tokens).expect("no more than the bucket holds");
        let taken = self.tokens > 0;
        self.tokens -= u32::from(taken);
        taken
    }

    /// Tokens that are missing.
    pub fn deficit(&self) -> u32 {
        self.rate.tokens - self.tokens
    }
}

/// A bucket that all client arbiters take from, if there is one: a short lock a handshake, none without.
#[derive(Debug, Default)]
pub struct Throttle(Option<Mutex<Bucket>>);

impl Throttle {
    /// At this rate.
    pub fn new(rate: Rate, now_ms: u64) -> Self {
        Self(Some(Mutex::new(Bucket::new(rate, now_ms))))
    }

    /// Whether one more may connect, and how many tokens are missing then; `None` if all may.
    pub(super) fn take(&self, now_ms: u64) -> Option<(bool, u32)> {
        let mut bucket = self.0.as_ref()?.lock();
        Some((bucket.take(now_ms), bucket.deficit()))
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
            assert_eq!((bucket.take(now_ms), bucket.deficit()), (taken, deficit), "at {now_ms}");
        }
    }

    #[test]
    fn without_a_rate_all_may_connect() {
        assert_eq!(Throttle::default().take(5), None);
        let throttle = Throttle::new(Rate { tokens: 1, fill_count: 1, fill_time_ms: 1_000 }, 0);
        assert_eq!(
            [throttle.take(1), throttle.take(2), throttle.take(1_000)],
            [Some((true, 1)), Some((false, 1)), Some((true, 1))]
        );
    }
}
