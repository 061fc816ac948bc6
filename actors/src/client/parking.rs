//! Parked connections: the leader is lost, and they wait for the next one (C8, C9). Clients that are cut sleep
//! before they come back, and would not notice how soon there was another.
//!
//! What is in flight when the leader is lost may be committed or not. Of writes the next leader's word on the session
//! tells which: it stands in that leader's order behind all that there is of them, in its history or numbered by it, as
//! a member's requests are numbered in the order in which it asked them, and none that came in an older role or down
//! an older lane is numbered behind it (P16). So whatever of them is executed, a beginning, is answered before that
//! word comes, and what is left never will be, and is asked again (C17). A sync changes nothing and is asked again
//! likewise. Where it is no beginning, as the leader that is lost refused the first and numbered the second, the
//! connection is closed; the xids tell. Where two have the same one it is closed, too.
//!
//! A read between two writes has its place as before. If the Learner got it, it keeps it, and executes it right behind
//! the write in front of it, whichever leader's log that is applied from (L3, L7). If not, it did not get the write
//! behind it, either, and that is not executed. So what is not answered when the word comes stands in front of nothing
//! that is executed, and is asked again in its place; what was kept for it is dropped with the word. What needs no tree
//! is answered here, as the feed's item before it comes.

use paddock_messages::client::OpCode;
use paddock_messages::client::request::Request;
use paddock_messages::client::session::ConnectRequest;
use paddock_messages::ids::{AttachNumber, ConnId, SessionId};
use paddock_messages::letters::{Asker, Submission};

use super::connections::{Connection, Phase};
use super::core::{ArbiterCore, Serving};
use super::remark::Remark;

/// How a connection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    /// It is closed unless it goes on before this, in ms.
    until_ms: u64,
    /// The leader of this role is asked about its session (C9).
    is_asked: bool,
}

/// What losing the leader came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parking {
    /// Connections that wait for the next leader.
    pub parked: usize,
    /// Those that cannot: their sessions are this member's alone, or are just becoming everybody's.
    pub closed: usize,
}

/// Whether read-only mode would not do.
pub(super) fn wants_writes(request: &ConnectRequest) -> bool {
    !request.read_only.unwrap_or(false)
}

impl ArbiterCore {
    /// From now on this member serves `whom`. Nobody's connection is closed by it (see [`Self::close_all`]) but
    /// those that are parked, where they cannot go on.
    pub fn serve(&mut self, whom: Serving, now_ms: u64) {
        (self.serving, self.now_ms) = (whom, now_ms);
        if whom == Serving::Everybody {
            self.leader_until_ms = None;
        }
        if whom != Serving::Nobody {
            self.revalidate();
            self.connect_waiting();
            self.go_on();
        }
    }

    /// The leader is lost: connections with a session wait for the next one, at most
    /// [`park_ms`](super::Settings::park_ms) from when they last had one; those that cannot are closed. To be
    /// called when everything that the old leader brought is in the feed; and at the start, where there is none yet.
    pub fn park(&mut self, now_ms: u64) -> Parking {
        self.now_ms = now_ms;
        self.drain(); // the old leader's last answers
        let until_ms = now_ms.saturating_add(self.settings.park_ms);
        self.leader_until_ms.get_or_insert(until_ms);
        let awaits_leader = self.awaits_leader();
        let mut done = Parking::default();
        for slot in 0..self.conns.slots() {
            let Some((conn, connection)) = self.conns.in_slot(slot) else { continue };
            let until_ms = connection.parked.map_or(until_ms, |before| before.until_ms);
            match connection.phase {
                Phase::First | Phase::Word if self.settings.park_ms > 0 => {} // it has asked no leader for anything
                Phase::Closing => {}
                Phase::Connecting | Phase::Waiting
                    if awaits_leader && connection.asks.as_deref().is_some_and(wants_writes) =>
                {
                    connection.phase = Phase::Waiting;
                }
                Phase::Open | Phase::Leaving if connection.may_park() && until_ms > now_ms => {
                    connection.parked = Some(Parked { until_ms, is_asked: false });
                    done.parked += 1;
                    self.wake(conn);
                }
                _ => {
                    done.closed += 1;
                    self.close(conn, Remark::LeaderLost);
                }
            }
        }
        self.go_on();
        done
    }

    /// There is a leader, and all it brought is applied: those who wait ask to go on.
    pub(super) fn revalidate(&mut self) {
        self.drain();
        self.close_late();
        for slot in 0..self.conns.slots() {
            let Some((conn, connection)) = self.conns.in_slot(slot) else { continue };
            let Some(parked) = &mut connection.parked else { continue };
            if self.serving != Serving::Everybody {
                self.close(conn, Remark::LeaderLost);
                continue;
            }
            parked.is_asked = true;
            let Connection { session, attach, timeout_ms, .. } = *connection;
            let client = self.client(conn);
            self.submissions.push(Submission::Revalidate { client, session, attach, timeout_ms });
        }
    }

    /// Time passed: those for whom there was no leader in time are closed. Gives how many.
    pub fn on_park_over(&mut self, now_ms: u64) -> usize {
        self.now_ms = now_ms;
        let closed = self.close_late();
        if self.serving == Serving::Nobody && !self.awaits_leader() {
            self.connect_waiting(); // in vain
        }
        self.go_on();
        closed
    }

    /// C16. Whether the next leader is worth waiting for.
    pub(super) fn awaits_leader(&self) -> bool {
        self.leader_until_ms.is_some_and(|until| self.now_ms < until)
    }

    pub(super) fn wait_for_leader(&mut self, conn: ConnId, request: Box<ConnectRequest>) {
        let Some(connection) = self.conns.get_mut(conn) else { return };
        (connection.phase, connection.asks) = (Phase::Waiting, Some(request));
        self.wake(conn);
    }

    /// The handshakes that wait are asked, or are told that nobody is served.
    fn connect_waiting(&mut self) {
        for slot in 0..self.conns.slots() {
            let Some((conn, connection)) = self.conns.in_slot(slot) else { continue };
            if let Some(request) = connection.asks.take_if(|_| connection.phase == Phase::Waiting) {
                self.connect(conn, request);
            }
        }
    }

    pub(super) fn close_late(&mut self) -> usize {
        let mut closed = 0;
        for slot in 0..self.conns.slots() {
            let Some((conn, connection)) = self.conns.in_slot(slot) else { continue };
            if connection.parked.is_some_and(|it| it.until_ms <= self.now_ms) {
                self.close(conn, Remark::LeaderLost);
                closed += 1;
            }
        }
        closed
    }

    /// C9. The leader has revalidated a session. False if the connection is not parked.
    pub(super) fn unpark(&mut self, conn: ConnId, session: SessionId, attach: AttachNumber) -> bool {
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        let Some(parked) = connection.parked else { return false };
        if !parked.is_asked {
            return true; // what a leader of before was asked
        }
        let is_it = (connection.session, connection.attach) == (session, attach);
        if !is_it || parked.until_ms <= self.now_ms {
            self.close(conn, Remark::LeaderLost);
            return true;
        }
        connection.parked = None;
        self.ask_again(conn);
        let Some(connection) = self.conns.get_mut(conn) else { return true };
        (connection.heard_ms, connection.touched_ms) = (self.now_ms, self.now_ms);
        connection.held_since_ms = connection.held_since_ms.map(|_| self.now_ms); // not by the throttler
        self.owes_pings |= connection.owed_pings > 0;
        self.make_ready(conn);
        self.resume(conn);
        self.wake(conn);
        self.pay_pings();
        true
    }

    /// C17. Before anything newer of the connection is asked.
    fn ask_again(&mut self, conn: ConnId) {
        let Self { conns, submissions, .. } = self;
        let Some(connection) = conns.get(conn) else { return };
        let (session, attach) = (connection.session, connection.attach);
        for (entry, again) in connection.pipeline.to_ask_again() {
            let from = Asker { session, attach, ids: again.ids.clone() };
            let (xid, opcode) = (entry.xid, OpCode::from_code(entry.opcode));
            let request = opcode.map(|opcode| Request::read(opcode, &mut again.body.clone()));
            submissions.push(match request {
                Some(Ok(Request::Write(write))) => Submission::Write { from, xid, write },
                Some(Ok(Request::Sync(of))) => Submission::Sync { from, xid, path: of.path },
                Some(Ok(Request::Read(read))) => Submission::Read { from, xid, read },
                other => unreachable!("C17: xid {xid} was submitted before, and is read as {other:?} now"),
            });
        }
    }
}

impl Connection {
    /// Whether it can wait for the next leader. While a session becomes everybody's, nobody can tell what is done of
    /// what was asked behind that; one that has become so keeps its attachment's number (L9).
    fn may_park(&self) -> bool {
        let is_unknown = self.attach.is_local() && self.pipeline.waits();
        !self.is_local && !is_unknown
    }
}
