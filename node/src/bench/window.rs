//! Time, and which part of it is measured.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Nanoseconds since the program's start, the same for all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Starts at 0.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// 584 years fit.
    pub(super) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// When sending began, and from when to when replies count; in ns of the [`Clock`]. Shared by all threads.
#[derive(Debug)]
pub(super) struct Window {
    begun: AtomicU64,
    from: AtomicU64,
    until: AtomicU64,
}

impl Window {
    /// Open: requests may be sent, none counts.
    pub(super) fn new() -> Self {
        Self { begun: AtomicU64::new(0), from: AtomicU64::new(u64::MAX), until: AtomicU64::new(u64::MAX) }
    }

    /// The load begins at `begun`; replies count between `from` and `until`. Not if it was closed before.
    pub(super) fn begin(&self, begun: u64, from: u64, until: u64) {
        self.begun.store(begun, Relaxed);
        self.from.store(from, Relaxed);
        self.until.fetch_min(until, Relaxed);
    }

    /// Nothing more is sent or counted from now on.
    pub(super) fn close(&self, now: u64) {
        self.until.fetch_min(now, Relaxed);
    }

    /// When the load began.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Whether requests may still be sent.
    pub(super) fn is_open(&self, now: u64) -> bool {
        now < self.until.load(Relaxed)
    }

    /// When sending ended, looked at from `now`.
    pub(super) fn end(&self, now: u64) -> u64 {
        now.min(self.until.load(Relaxed))
    }

    /// Whether a reply that came at `now` counts.
    pub(super) fn counts(&self, now: u64) -> bool {
        self.from.load(Relaxed) <= now && self.is_open(now)
    }

    /// How long it was open for counting, in ns, the last counted reply having come at `last`.
    pub(super) fn length(&self, last: u64) -> u64 {
        let until = self.until.load(Relaxed);
        let end = if until == u64::MAX { last } else { until };
        end.saturating_sub(self.from.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_count_between_warm_up_and_end() {
        let window = Window::new();
        assert!(window.is_open(5) && !window.counts(5), "set-up");
        window.begin(10, 20, 30);
        for (now, open, counts) in [(19, true, false), (20, true, true), (29, true, true), (30, false, false)]
        {
            assert_eq!((window.is_open(now), window.counts(now)), (open, counts), "at {now}");
        }
        assert_eq!(window.length(29), 10);
        window.close(25);
        window.close(28);
        assert_eq!((window.is_open(24), window.is_open(25), window.length(24)), (true, false, 5));
    }

    #[test]
    fn a_number_of_requests_lasts_until_its_last_reply() {
        let window = Window::new();
        window.begin(10, 10, u64::MAX);
        assert_eq!(window.length(17), 7);
        window.close(12);
        assert_eq!(window.length(17), 2, "interrupted");
        let closed = Window::new();
        closed.close(3);
        closed.begin(10, 10, 50);
        assert!(!closed.is_open(11), "an interrupt during the set-up is not forgotten");
    }
}
