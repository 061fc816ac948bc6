//! What an operator can know about a link, and how often the log is told.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a link is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// No lane is wanted.
    #[default]
    Idle,
    /// It tries to reach the peer.
    Dialling,
    /// It is the peer that dials.
    Waiting,
    /// A lane is up.
    Up,
}

impl LinkState {
    /// For operators.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Dialling => "dialling",
            Self::Waiting => "waiting",
            Self::Up => "up",
        }
    }
}

/// One link, as it is now. Counts are of all its lanes since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// What it is about.
    pub state: LinkState,
    /// Where the peer is, or last was.
    pub address: Option<SocketAddr>,
    /// The version of frames that was agreed with the peer when a lane last came up.
    pub speaking: Option<u8>,
    /// Why the last lane ended, or did not come up; none once one is up.
    pub last_error: Option<String>,
    /// Since when it is in this state, in ms of the member's monotonic clock.
    pub since_ms: u64,
    /// Given to the system, hellos left out.
    pub bytes_sent: u64,
    /// Read, hellos left out.
    pub bytes_received: u64,
    /// Waiting to be given to the system.
    pub queued_bytes: u64,
    /// Of the last heartbeat that the peer answered at once, in µs; on the ctl lane, while this member leads.
    pub round_trip_us: Option<u64>,
}

/// For whoever shows it.
pub type SharedStatus = Arc<Mutex<LinkStatus>>;

/// Between two lines that differ, in ms.
const EVERY_MS: u64 = 1_000;
/// Between two lines that say the same, in ms.
const AGAIN_MS: u64 = 30_000;

/// Keeps repeated failures from flooding the log.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: String,
    next_ms: u64,
    again_ms: u64,
    left_out: u64,
}

impl Quiet {
    /// Whether to write this line now; then, how many were left out since the last.
    pub(super) fn admit(&mut self, line: &str, now_ms: u64) -> Option<u64> {
        if now_ms < self.next_ms || (line == self.last && now_ms < self.again_ms) {
            self.left_out += 1;
            return None;
        }
        line.clone_into(&mut self.last);
        (self.next_ms, self.again_ms) = (now_ms + EVERY_MS, now_ms + AGAIN_MS);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Times at once; then one a second.
const MOST_AT_ONCE: u64 = 10;

/// Keeps a lane that comes and goes all the time from flooding the log, and whoever is told of it.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// When all of it will be there again, in ms.
    full_ms: u64,
}

impl Allowance {
    /// Whether it may happen once more.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        let full_ms = self.full_ms.max(now_ms) + EVERY_MS;
        let is_left = full_ms <= now_ms + MOST_AT_ONCE * EVERY_MS;
        if is_left {
            self.full_ms = full_ms;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_and_the_same_one_twice_a_minute() {
        let mut quiet = Quiet::default();
        for (now_ms, line, admitted) in [
            (0, "refused", Some(0)),
            (999, "timed out", None),
            (1_000, "timed out", Some(1)),
            (5_000, "timed out", None),
            (6_000, "refused", Some(1)),
            (35_999, "refused", None),
            (36_000, "refused", Some(1)),
        ] {
            assert_eq!(quiet.admit(line, now_ms), admitted, "{line} at {now_ms}");
        }
    }

    #[test]
    fn ten_at_once_then_one_a_second() {
        let mut allowance = Allowance::default();
        let taken = |allowance: &mut Allowance, now_ms| (0..100).filter(|_| allowance.take(now_ms)).count();
        assert_eq!(taken(&mut allowance, 0), 10);
        assert_eq!(taken(&mut allowance, 999), 0);
        assert_eq!(taken(&mut allowance, 3_000), 3);
        assert_eq!(taken(&mut allowance, 1_000_000), 10);
    }
}
