//! What is said about clients: of each kind at most one line a second, which says how many were left
//! out, and the last of them once the second is over. A flood of one kind hides no other.

use std::net::SocketAddr;

use paddock_messages::ids::SessionId;

use super::remark::Remark;
use crate::admin::metrics::Reason;

/// Between two lines of one kind, in ms.
const EVERY_MS: u64 = 1_000;

/// Whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// Where the client is.
    pub peer: SocketAddr,
    /// Whose connection it is, if it has come so far.
    pub session: Option<SessionId>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) whom: Whom,
    pub(super) remark: Remark,
    /// Since the last line of this kind.
    pub(super) left_out: u64,
}

/// Which lines are due.
#[derive(Debug, Default)]
pub(super) struct Remarks([Kind; Reason::COUNT]);

#[derive(Debug, Default)]
struct Kind {
    next_ms: u64,
    left_out: u64,
    last: Option<(Whom, Remark)>,
}

impl Remarks {
    /// Something is to be said: now, if it is given back.
    pub(super) fn say(&mut self, whom: Whom, remark: Remark, now_ms: u64) -> Option<Line> {
        let kind = &mut self.0[remark.reason() as usize];
        if now_ms < kind.next_ms {
            kind.left_out += 1;
            kind.last = Some((whom, remark));
            return None;
        }
        kind.next_ms = now_ms + EVERY_MS;
        kind.last = None;
        Some(Line { whom, remark, left_out: std::mem::take(&mut kind.left_out) })
    }

    /// What was left out and is due now.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<Line> {
        let due = self.0.iter_mut().filter(|kind| kind.left_out > 0 && now_ms >= kind.next_ms);
        let line = |kind: &mut Kind| {
            let (whom, remark) = kind.last.take()?;
            kind.next_ms = now_ms + EVERY_MS;
            Some(Line { whom, remark, left_out: std::mem::take(&mut kind.left_out) - 1 })
        };
        due.filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_line_a_second_and_the_last_is_told_later() {
        let peer = |port| Whom { peer: SocketAddr::from(([127, 0, 0, 1], port)), session: None };
        let mut remarks = Remarks::default();
        let line = |port, remark: Remark, left_out| Line { whom: peer(port), remark, left_out };
        assert_eq!(remarks.say(peer(1), Remark::Tls, 50), Some(line(1, Remark::Tls, 0)));
        assert_eq!(remarks.say(peer(2), Remark::Tls, 51), None);
        assert_eq!(remarks.say(peer(3), Remark::Http, 52), Some(line(3, Remark::Http, 0)), "another kind");
        assert_eq!(remarks.say(peer(4), Remark::Tls, 1_049), None);
        assert_eq!(remarks.due(1_049), []);
        assert_eq!(remarks.due(1_060), [line(4, Remark::Tls, 1)]);
        assert_eq!(remarks.due(9_000), [], "told once");
        assert_eq!(remarks.say(peer(5), Remark::Tls, 2_000), None, "the late line counts");
        assert_eq!(remarks.say(peer(6), Remark::Tls, 2_060), Some(line(6, Remark::Tls, 1)));
    }
}
