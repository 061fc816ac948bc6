//! Session ids: unique without asking anybody, for as long as the clock goes on, and as good as unique where it is set
//! back: two starts behind the same known session repeat ids only if the clock's last 20 bits of ms are the same at both.

use paddock_messages::ids::{ServerId, SessionId};

/// So far above the highest session that is known a clock that was set back begins: more than were ever begun behind
/// that one and are not known, as they have ended or a quorum has them and our disk has not. A minute of the clock.
const UNKNOWN: i64 = 1 << 32;
/// Those bits of the clock tell two such starts apart, behind which the same session is the highest that is known.
const APART: i64 = (1 << 20) - 1;

/// Gives out session ids: the server's id in the top byte, then 40 bits of the clock at the start and
/// 16 bits of counter; from there each is the one before plus one. Source:
/// `SessionTrackerImpl.initializeNextSessionId`.
#[derive(Debug)]
pub struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// Ids of `server` from `now_ms` (since 1970) on, or far above `highest`, the highest of this server's that is
    /// known, if that is not below: a clock that was set back must not give an id twice.
    pub fn new(server: ServerId, now_ms: i64, highest: Option<SessionId>) -> Self {
        // 40 bits of ms (bits 16–55), the counter below; the top byte of the shifted clock is dropped.
        let from_clock = ((now_ms as u64) << 24 >> 8) as i64 | ((server.0 as i64) << 56);
        let behind = highest.filter(|id| id.0 >= from_clock);
        let above = UNKNOWN + ((now_ms & APART) << 16);
        let own = |id: i64| id & ((1 << 56) - 1) | ((server.0 as i64) << 56); // no other member's, ever
        Self { next: behind.map_or(from_clock, |id| own(id.0.wrapping_add(above))) }
    }

    /// The next id; never 0, nor the one that means a container.
    pub fn issue(&mut self) -> SessionId {
        while matches!(self.next, 0 | i64::MIN) {
            self.next += 1;
        }
        let id = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_the_server_and_never_repeat_when_the_clock_goes_back() {
        let mut ids = SessionIds::new(ServerId(1), 1_700_000_000_000, None);
        let first = ids.issue();
        assert_eq!(first.0 >> 56, 1);
        assert_eq!(ids.issue().0, first.0 + 1);
        let known = Some(SessionId(first.0 + 1));
        let [again, anew] =
            [0, 1].map(|ms| SessionIds::new(ServerId(1), 1_600_000_000_000 + ms, known).issue());
        assert!(again.0 > first.0 + UNKNOWN, "those that began behind it have ended");
        assert!(anew.0 - again.0 >= 1 << 16, "and so have those that began after the start before");
        let mut later = SessionIds::new(ServerId(1), 1_700_000_000_001, Some(SessionId(first.0 + 1)));
        assert_eq!(later.issue().0, first.0 + (1 << 16), "the clock goes on");
        let mut alone = SessionIds::new(ServerId(0), 0, None);
        assert_eq!(alone.issue(), SessionId(1), "0 asks for a new session");
    }

    #[test]
    fn an_id_is_javas() {
        // SessionTrackerImpl.initializeNextSessionId(1) with System.nanoTime()/1000000 = 0x123456789abc.
        let mut ids = SessionIds::new(ServerId(1), 0x1234_5678_9abc, None);
        assert_eq!(ids.issue().0, 0x0134_5678_9abc_0000);
    }
}
