//! When to say again what may have been lost.

/// The first time after a change, in ms.
pub const MIN_REPEAT_MS: u64 = 200;
/// The longest between two times, in ms.
pub const MAX_REPEAT_MS: u64 = 60_000;

/// Twice as long after each time, until something changes. Source: compat zab, 11 (notification intervals).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repeat {
    interval_ms: u64,
    due_ms: u64,
}

impl Repeat {
    /// Something changed.
    pub(super) fn restart(&mut self, now_ms: u64) {
        self.interval_ms = MIN_REPEAT_MS;
        self.due_ms = now_ms.saturating_add(MIN_REPEAT_MS);
    }

    /// When it is said again next.
    pub(super) fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// Whether it is time; then the next time is later.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        if now_ms < self.due_ms {
            return false;
        }
        self.interval_ms = (self.interval_ms * 2).clamp(MIN_REPEAT_MS, MAX_REPEAT_MS);
        self.due_ms = now_ms.saturating_add(self.interval_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn el6_repeats_come_after_200_ms_and_then_ever_later_up_to_a_minute() {
        let mut repeat = Repeat::default();
        repeat.restart(1_000);
        let times: Vec<u64> = (0..400_000).filter(|now_ms| repeat.is_due(*now_ms)).collect();
        let gaps: Vec<u64> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(times[0], 1_200);
        assert_eq!(gaps[..4], [400, 800, 1_600, 3_200]);
        assert_eq!(gaps[8..], [60_000, 60_000, 60_000, 60_000]);
        repeat.restart(500_000);
        assert_eq!(repeat.due_ms(), 500_200);
    }
}
