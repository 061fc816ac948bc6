//! Holds back writes and syncs while the member has too many in flight (C13).
//!
//! What is held back stays in its connection's inbox, and behind it in its socket: there is no further queue. Reads of
//! other connections, pings among them, go on: they are answered where they come and wait for nobody.
//!
//! Source: compat: RequestThrottler.java, which holds back every request, as all of them take their turn in one line.

use paddock_messages::client::OpCode;
use paddock_messages::client::request::{Read, Request, Write};
use paddock_messages::ids::ConnId;

use super::connections::{Phase, Stall};
use super::core::ArbiterCore;
use super::intake::is_submitted;

/// What becomes of a request that was held back for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Longer than `op_wait_ms`: it is answered with an error.
    Throttled,
    /// Longer than the session's timeout: its connection is closed.
    Stale,
}

impl ArbiterCore {
    /// Whether the member may take on a further write or sync. An arbiter that has none in flight may take one whatever
    /// the others have: else those whose clients keep it full would leave the others no room for ever.
    fn has_turn(&self) -> bool {
        let others = self.entrance.submitted().saturating_sub(self.submitted_told);
        self.submitted == 0 || others + self.submitted < self.settings.throttler.max_requests
    }

    /// Whether the connection's next request has to wait. If so, the connection is on the list of those held: who is on
    /// it, or comes while somebody is, takes its turn there, however soon it is answered what it has in flight.
    pub(super) fn is_held_back(&mut self, conn: ConnId) -> bool {
        if self.settings.throttler.max_requests == 0 {
            return false;
        }
        let (now_ms, has_turn) = (self.now_ms, self.held.is_empty() && self.has_turn());
        let Some(connection) = self.conns.get_mut(conn).filter(|it| it.phase == Phase::Open) else {
            return false;
        };
        let next = connection.inbox.next_opcode().and_then(OpCode::from_code);
        if !next.is_some_and(is_submitted) || !connection.inbox.has_whole() {
            return false; // a turn is for a request, not for each part of it that comes
        }
        if self.released.take_if(|it| *it == conn).is_some() || has_turn {
            return false;
        }
        connection.stall = Some(Stall::Credit);
        connection.held_since_ms.get_or_insert(now_ms);
        if !connection.is_held {
            connection.is_held = true;
            self.held.push_back(conn);
            self.tally.throttle_waits += 1;
        }
        true
    }

    /// Lets the one that was held for longest take on a request, if there is room. False if there is none, or nobody
    /// is held.
    pub(super) fn release_one(&mut self) -> bool {
        if self.held.is_empty() || !self.has_turn() {
            return false;
        }
        let Some(conn) = self.held.pop_front() else { return false };
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.is_held = false;
            self.released = Some(conn);
            self.pump(conn);
            self.released = None;
        }
        true
    }

    /// To be called every `stall_ms`: what other arbiters had in flight may have left room.
    pub fn on_stall_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let Self { held, conns, .. } = self;
        held.retain(|conn| conns.get(*conn).is_some_and(|it| it.is_held && it.phase == Phase::Open));
        self.go_on();
    }

    /// Whether the request was held back for too long. A ping and the end of a session are never late; nor are
    /// setWatches: clients do not look at their error, and would wait for events that nobody sends.
    pub(super) fn outlasted(&mut self, conn: ConnId, request: &Request) -> Option<Late> {
        let connection = self.conns.get(conn)?;
        let (since_ms, timeout_ms) = (connection.held_since_ms?, connection.timeout_ms);
        let waited_ms = self.now_ms.saturating_sub(since_ms);
        self.tally.held(waited_ms * 1_000);
        if matches!(
            request,
            Request::Write(Write::CloseSession) | Request::Read(Read::Ping | Read::SetWatches(..))
        ) {
            return None;
        }
        let throttler = self.settings.throttler;
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        if throttler.drops_stale && waited_ms > timeout_ms {
            self.tally.stale_dropped += 1;
            return Some(Late::Stale);
        }
        let is_late = throttler.op_wait_ms > 0 && waited_ms > throttler.op_wait_ms;
        self.tally.throttled_ops += u64::from(is_late);
        is_late.then_some(Late::Throttled)
    }
}
