//! The last word on an expiry. The SessionTracker judges by reports; a sign of life that came since the
//! last of them is known here alone, and may have been answered with a promise (E1).

use paddock_messages::ids::{AttachNumber, ConnId, SessionId};

use super::connections::Connection;
use super::core::ArbiterCore;
use super::remark::Remark;

impl ArbiterCore {
    /// Of the sessions that the SessionTracker would expire, those to which nothing is promised beyond
    /// `now_ms`. Their connections are closed: none of them is answered any more.
    pub fn on_expire(
        &mut self,
        mut sessions: Vec<(SessionId, AttachNumber)>,
        now_ms: u64,
    ) -> Vec<(SessionId, AttachNumber)> {
        self.now_ms = now_ms;
        self.drain(); // who has just been told that its session lives is promised that
        sessions.retain(|(session, _)| {
            let conn = self.by_session.get(session).copied();
            let here = conn.and_then(|conn| self.conns.get(conn)).map_or(0, Connection::promised_ms);
            let departed = self.departed.get(session).copied().unwrap_or(0);
            let is_over = here.max(departed) <= now_ms;
            if is_over && let Some(conn) = conn {
                self.close(conn, Remark::Silent);
            }
            is_over
        });
        self.go_on();
        sessions
    }

    /// The member's own word for a session holds until then: so long pings are answered.
    pub fn vouch(&mut self, until_ms: u64, now_ms: u64) {
        (self.now_ms, self.vouched_until_ms) = (now_ms, until_ms);
        self.pay_pings();
    }

    /// Answers the pings that waited for the member's word, where there is nothing else to wait for (C8).
    pub(super) fn pay_pings(&mut self) {
        if !self.may_promise() || !std::mem::take(&mut self.owes_pings) {
            return;
        }
        for slot in 0..self.conns.slots() {
            if let Some((conn, connection)) = self.conns.in_slot(slot) {
                if connection.parked.is_some() {
                    continue; // its turn comes when it goes on
                }
                for _ in 0..std::mem::take(&mut connection.owed_pings) {
                    self.send_pong(conn);
                }
            }
        }
    }

    pub(super) fn may_promise(&self) -> bool {
        self.now_ms <= self.vouched_until_ms
    }

    /// A session of this member alone needs no leader's word (C11); nothing is promised to one that is parked (C9).
    pub(super) fn may_promise_to(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|it| it.parked.is_none() && (it.is_local || self.may_promise()))
    }

    /// A ping is answered, however long after it came.
    pub(super) fn note_promise(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.answered_ms = self.now_ms;
        }
    }

    /// A connection ends: what it was promised still holds.
    pub(super) fn keep_promise(&mut self, session: SessionId, until_ms: u64) {
        if until_ms > self.now_ms {
            let known = self.departed.entry(session).or_default();
            *known = until_ms.max(*known);
        }
    }

    /// Promises that are over are forgotten.
    pub(super) fn forget_promises(&mut self) {
        let now_ms = self.now_ms;
        self.departed.retain(|_, until_ms| *until_ms > now_ms);
    }
}
