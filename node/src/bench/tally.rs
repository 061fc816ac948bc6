//! What was measured: replies and their latencies.

use hdrhistogram::Histogram;

/// The longest latency told apart from longer ones, in µs: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Latencies below 2 ms are kept to the µs, longer ones to a thousandth.
const DIGITS: u8 = 3;

/// Replies that count; latencies in µs.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) reads: Histogram<u64>,
    pub(super) writes: Histogram<u64>,
    /// When the last of them came, in ns of the clock.
    pub(super) last: u64,
    /// Requests that an open loop had no time to send.
    pub(super) unsent: u64,
}

impl Tally {
    /// Empty.
    pub(super) fn new() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are in order");
        Self { reads: empty.clone(), writes: empty, last: 0, unsent: 0 }
    }

    /// A reply at `now` to what was sent, or to be sent, at `since`; both in ns.
    pub(super) fn record(&mut self, reads: bool, since: u64, now: u64) {
        let histogram = if reads { &mut self.reads } else { &mut self.writes };
        histogram.saturating_record(now.saturating_sub(since) / 1_000);
        self.last = now;
    }

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for (to, from) in [(&mut self.reads, &other.reads), (&mut self.writes, &other.writes)] {
            to.add(from).expect("all have the same bounds");
        }
        self.last = self.last.max(other.last);
        self.unsent += other.unsent;
    }

    /// Takes what is there and begins anew.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }

    /// Reads and writes together.
    pub(super) fn all(&self) -> Histogram<u64> {
        let mut all = self.reads.clone();
        all.add(&self.writes).expect("all have the same bounds");
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_to_the_microsecond_and_added_up() {
        let mut tally = Tally::new();
        for us in 1..=1_000 {
            tally.record(us % 2 == 0, 5_000, 5_000 + us * 1_000 + 999);
        }
        let mut total = Tally::new();
        total.add(&tally.take());
        assert_eq!(tally.all().len(), 0, "taken");
        assert_eq!((total.reads.len(), total.writes.len(), total.last), (500, 500, 1_005_999));
        let all = total.all();
        assert_eq!((all.min(), all.max(), all.value_at_quantile(0.5)), (1, 1_000, 500));
    }

    #[test]
    fn a_latency_beyond_all_bounds_counts_as_the_longest() {
        let mut tally = Tally::new();
        tally.record(true, 0, u64::MAX);
        assert!(tally.reads.max() >= LONGEST_US);
    }
}
