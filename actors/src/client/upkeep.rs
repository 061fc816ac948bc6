//! What time brings: signs of life to be passed on, and connections whose time is up.

use paddock_messages::ids::{ConnId, SessionId};
use paddock_messages::letters::Touched;

use super::connections::{Connection, Phase, Stall};
use super::core::ArbiterCore;
use super::remark::Remark;

/// How much longer than its timeout a connection may be silent, in ms: its session is long gone then,
/// or lives on another member. Source: compat: NIOServerCnxnFactory's expiry interval.
const SILENCE_GRACE_MS: u64 = 10_000;

impl ArbiterCore {
    /// What follows happens at `now_us`, of the clock whose ms each call is given: latencies are counted
    /// in µs by it. What is answered in the step in which it came waited for nothing, and counts as 0.
    pub fn at_us(&mut self, now_us: u64) {
        self.exact_us = now_us;
    }

    pub(super) fn now_us(&self) -> u64 {
        self.exact_us.max(self.now_ms * 1_000)
    }

    /// Notes a sign of life of the connection's session.
    pub(super) fn touch(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(conn) else { return };
        connection.touched_ms = self.now_ms;
        if !connection.is_touched {
            connection.is_touched = true;
            self.touched.push(conn);
        }
    }

    /// Time passed: to be called several times a tick. Gives what the SessionTracker must be told, even
    /// if no session is in it; closes connections whose time is up.
    pub fn on_tick(&mut self, now_ms: u64) -> Touched {
        self.now_ms = now_ms;
        for slot in 0..self.conns.slots() {
            let Some((conn, connection)) = self.conns.in_slot(slot) else { continue };
            connection.pipeline.settle();
            let is_open = matches!(connection.phase, Phase::Open | Phase::Leaving);
            // C4. But one that is held and has nothing in flight may be gone: that is seen only by reading.
            let held_ms = connection.held_since_ms.filter(|_| connection.pipeline.len() == 0);
            let is_lost =
                held_ms.is_some_and(|since| now_ms > since + connection.timeout_ms.unsigned_abs() as u64);
            let is_alive = is_open && connection.stall == Some(Stall::Credit) && !is_lost;
            if is_alive || connection.parked.is_some() {
                connection.heard_ms = now_ms;
            }
            if connection.outbox.unsent().is_empty() {
                connection.took_ms = now_ms; // it owes nothing: patience begins with the next byte
            }
            let verdict = self.judge(conn);
            if is_alive {
                self.touch(conn);
            }
            match verdict {
                Verdict::Stays => {}
                Verdict::Closes(remark) => {
                    self.tally.sessionless_expired += u64::from(matches!(remark, Remark::HalfOpen(_)));
                    self.close(conn, remark);
                }
                Verdict::Cut => self.cut(conn),
            }
        }
        self.close_late();
        self.forget_promises();
        self.relieve();
        self.go_on();
        Touched { arbiter: self.arbiter, as_of_ms: now_ms, sessions: self.take_touched() }
    }

    /// Forgets a connection at once, whatever is unsent.
    fn cut(&mut self, conn: ConnId) {
        self.forget(conn);
        self.woken.push(conn);
    }

    /// Each outbox is bounded, and so are all of them together (C3): a thousand clients that subscribe to
    /// everything and read nothing must not take a thousand times what one may. What those have that are
    /// left alone, with little each, stops nobody's reads (C7).
    pub(super) fn relieve(&mut self) {
        let limit = self.settings.outboxes_limit;
        (self.roof, self.relieved_ms) = (limit, self.now_ms);
        if self.count_owed() > limit {
            let (full, owed) = (self.settings.outbox_full, |it: &Connection| it.outbox.unsent().len());
            let conns = self.conns.iter().filter(|(_, it)| owed(it) > full);
            let mut most: Vec<_> = conns.map(|(conn, it)| (owed(it), conn)).collect();
            most.sort_unstable_by_key(|(unsent, conn)| (std::cmp::Reverse(*unsent), conn.slot));
            for (unsent, conn) in most {
                if self.owed <= limit / 4 * 3 {
                    break; // the next few answers do not stop everybody again
                }
                if !self.is_over(conn) {
                    self.remark(conn, Remark::Deaf(unsent)); // else it was told why it is closed
                }
                self.cut(conn);
            }
            self.roof = limit.max(self.owed + limit / 4);
        }
    }

    fn take_touched(&mut self) -> Vec<SessionId> {
        let Self { touched, conns, last_signs, .. } = self;
        let sessions = touched.drain(..).filter_map(|conn| {
            let connection = conns.get_mut(conn)?;
            connection.is_touched = false;
            (connection.session != SessionId::NONE).then_some(connection.session)
        });
        last_signs.drain(..).chain(sessions).collect()
    }

    fn judge(&self, conn: ConnId) -> Verdict {
        let Some(it) = self.conns.get(conn) else { return Verdict::Stays };
        let silent_ms = self.now_ms.saturating_sub(it.heard_ms);
        let timeout_ms = u64::try_from(it.timeout_ms).unwrap_or(0);
        let unsent = it.outbox.unsent().len();
        let is_deaf = it.outbox.unasked() > self.settings.outbox_limit || self.is_deaf(it, timeout_ms);
        match it.phase {
            Phase::First | Phase::Word if silent_ms >= self.settings.sessionless_timeout_ms => {
                Verdict::Closes(Remark::HalfOpen(self.settings.sessionless_timeout_ms))
            }
            Phase::First | Phase::Word | Phase::Waiting => Verdict::Stays,
            Phase::Closing if is_deaf || unsent == 0 => Verdict::Cut,
            Phase::Closing => Verdict::Stays,
            _ if is_deaf => Verdict::Closes(Remark::Deaf(unsent)),
            _ if silent_ms >= timeout_ms + SILENCE_GRACE_MS => Verdict::Closes(Remark::Silent),
            _ => Verdict::Stays,
        }
    }

    /// Whether there was something to take and none was taken for a timeout.
    fn is_deaf(&self, it: &Connection, timeout_ms: u64) -> bool {
        let patience_ms = timeout_ms.max(1_000);
        !it.outbox.unsent().is_empty() && self.now_ms.saturating_sub(it.took_ms) >= patience_ms
    }
}

/// What becomes of a connection at a tick.
enum Verdict {
    Stays,
    Closes(Remark),
    /// At once, whatever is unsent.
    Cut,
}
