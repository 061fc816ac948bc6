//! The seam to time. Everything below the wiring that asks for the time asks a [`Clock`].

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time. Two readings of one clock from different threads may be compared.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time since the clock was made, in µs. Never goes back; does not count suspension.
    fn now_us(&self) -> u64;

    /// What a calendar would say, in ms since 1970: for txn headers and stats only. It may jump either
    /// way, so nothing is measured or decided by it.
    fn wall_ms(&self) -> i64;

    /// Monotonic time since the clock was made, in ms.
    fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }
}

/// The machine's clocks. Monotonic time is tokio's, so that it stands still where tokio's is paused.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        micros(self.origin.elapsed())
    }

    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed_ms(since),
            Err(before) => -signed_ms(before.duration()),
        }
    }
}

/// Tokio's clock with a calendar that starts where it is told: under paused time, wholly deterministic.
#[derive(Debug)]
pub struct VirtualClock {
    origin: Instant,
    wall_at_origin_ms: i64,
}

impl VirtualClock {
    /// A clock whose monotonic time starts now, and whose calendar says `wall_ms`.
    pub fn starting_at(wall_ms: i64) -> Self {
        Self { origin: Instant::now(), wall_at_origin_ms: wall_ms }
    }
}

impl Clock for VirtualClock {
    fn now_us(&self) -> u64 {
        micros(self.origin.elapsed())
    }

    fn wall_ms(&self) -> i64 {
        self.wall_at_origin_ms.saturating_add(signed_ms(self.origin.elapsed()))
    }
}

/// A clock that moves only when told to. Its calendar can be set by itself, as an operator would.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_us: AtomicU64,
    wall_offset_ms: AtomicI64,
}

impl ManualClock {
    /// A clock at monotonic time 0 and 1970.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `time` pass.
    pub fn advance(&self, time: Duration) {
        self.now_us.fetch_add(micros(time), SeqCst);
    }

    /// Sets the calendar to `wall_ms`; monotonic time does not move.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_offset_ms.store(wall_ms - (self.now_us() / 1_000) as i64, SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> u64 {
        self.now_us.load(SeqCst)
    }

    fn wall_ms(&self) -> i64 {
        self.wall_offset_ms.load(SeqCst) + (self.now_us() / 1_000) as i64
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn signed_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new();
        assert_eq!((clock.now_us(), clock.now_ms(), clock.wall_ms()), (0, 0, 0));
        clock.advance(Duration::from_micros(1_999));
        assert_eq!((clock.now_us(), clock.now_ms(), clock.wall_ms()), (1_999, 1, 1));
        clock.set_wall_ms(-5); // a calendar set back moves nothing else
        clock.advance(Duration::from_millis(10));
        assert_eq!((clock.now_ms(), clock.wall_ms()), (11, 5));
    }

    #[test]
    fn the_system_clock_starts_at_0_and_knows_the_year() {
        let clock = SystemClock::new();
        assert!(clock.now_ms() < 60_000);
        assert!(clock.wall_ms() > 1_700_000_000_000, "2023 is over");
    }
}
