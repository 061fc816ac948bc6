//! The first frame of a connection, in ZooKeeper's order of checks, and its answer.

use bytes::Bytes;
use paddock_messages::client::session::{
    ConnectRequest, ConnectResponse, PASSWORD_LEN, negotiate_timeout, password,
};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, ConnId, SessionId};
use paddock_messages::letters::Submission;
use paddock_messages::wire::frame;
use paddock_messages::zxid::Zxid;

use super::connections::Phase;
use super::core::{ArbiterCore, Notice, Serving};
use super::outbox::counted;
use super::parking::wants_writes;
use super::remark::Remark;
use super::throttle::Asks;

/// What makes the first four bytes a command instead of a length. Source: FourLetterCommands.java.
const WORDS: [&[u8; 4]; 19] = [
    b"conf",
    b"cons",
    b"crst",
    b"dirs",
    b"dump",
    b"envi",
    b"gtmk",
    b"ruok",
    b"stmk",
    b"srvr",
    b"srst",
    b"stat",
    b"wchc",
    b"wchp",
    b"wchs",
    b"mntr",
    b"isro",
    b"hash",
    b"\xff\xf4\xff\xfd", // telnet's way to hang up
];

/// What of a handshake may be kept while it waits (C16): a password of another length is none of ours, and one that is may
/// share memory with all that came with it.
fn kept(mut request: ConnectRequest) -> ConnectRequest {
    let password = request.fields.password.take().filter(|it| it.len() == PASSWORD_LEN);
    request.fields.password = password.map(|it| Bytes::copy_from_slice(&it));
    request
}

impl ArbiterCore {
    /// Whether the first four bytes are settled: a length to go on with.
    pub(super) fn is_past_words(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        let Some(word) = connection.inbox.first_word() else { return false };
        if WORDS.contains(&&word) {
            let mask = connection.inbox.mask_behind_word();
            if &word == b"stmk" && mask.is_none() && self.settings.takes_trace_mask {
                return false;
            }
            connection.phase = Phase::Word;
            connection.inbox = super::framing::Inbox::default();
            self.tally.packets_received += 1;
            self.tally.bytes_received += word.len() as u64;
            self.notice(Notice::FourLetter { conn, word, mask });
            return false;
        }
        let stranger = match &word {
            [0x16, 0x03, ..] => Remark::Tls,
            b"GET " | b"PUT " | b"POST" | b"HEAD" | b"OPTI" | b"DELE" | b"PRI " | b"CONN" => Remark::Http,
            _ => return true,
        };
        self.close(conn, stranger);
        false
    }

    /// The first frame. Source: ZooKeeperServer.processConnectRequest.
    pub(super) fn on_handshake(&mut self, conn: ConnId, body: Bytes) {
        let Ok(request) = ConnectRequest::read(body) else {
            return self.close(conn, Remark::NoHandshake);
        };
        self.tally.connection_requests += 1;
        let asks = match request.fields.session_id {
            0 if self.settings.local_sessions => Asks::Local,
            0 => Asks::Global,
            _ => Asks::Renewal,
        };
        let gate = Some(&self.entrance.gates().throttle).filter(|_| !self.is_operators(conn));
        if let Some((may_connect, deficit)) = gate.and_then(|gate| gate.take(asks, self.now_ms)) {
            self.tally.throttled(u64::from(deficit));
            if !may_connect {
                self.tally.connections_rejected += 1;
                return self.close(conn, Remark::Throttled);
            }
        }
        self.connect(conn, Box::new(kept(request)));
    }

    /// What a handshake that is let in asks.
    pub(super) fn connect(&mut self, conn: ConnId, request: Box<ConnectRequest>) {
        let wants_writes = wants_writes(&request);
        match self.serving {
            Serving::Nobody if wants_writes && self.awaits_leader() => {
                return self.wait_for_leader(conn, request);
            }
            Serving::Nobody => return self.close(conn, Remark::NotServing),
            Serving::ReadOnly if wants_writes => return self.close(conn, Remark::ReadOnly),
            _ => {}
        }
        self.drain(); // the least that this server can say it has
        let seen = request.fields.last_zxid_seen;
        if seen > self.at.to_wire() {
            return self.close(conn, Remark::Ahead { seen: Zxid::from_wire(seen), here: self.at });
        }
        if self.serving == Serving::ReadOnly && !self.may_read(conn, SessionId(request.fields.session_id)) {
            return self.close(conn, Remark::ReadOnly);
        }
        let (min, max) = (self.settings.min_session_timeout_ms, self.settings.max_session_timeout_ms);
        let timeout_ms = negotiate_timeout(request.fields.timeout_ms, min, max);
        let session = SessionId(request.fields.session_id);
        self.tally.connections_revalidated += u64::from(session != SessionId::NONE);
        let Some(connection) = self.conns.get_mut(conn) else { return };
        connection.phase = Phase::Connecting;
        connection.timeout_ms = timeout_ms;
        connection.has_flag = request.read_only.is_some();
        let has_password = request.fields.password.as_deref() == Some(&password(session)[..]);
        connection.asks = Some(request);
        let client = self.client(conn);
        if session == SessionId::NONE {
            self.submissions.push(Submission::Open { client, timeout_ms });
        } else if has_password {
            self.submissions.push(Submission::Attach { client, session, timeout_ms });
        } else {
            self.expired(conn, Remark::WrongPassword); // as if it had; its connection is left alone
        }
    }

    /// Whether this session can be had without a leader. One that everybody knows cannot, and its client keeps it for
    /// later; nor can a new one where none is the member's alone: that is told by a header. Source:
    /// ReadOnlyZooKeeperServer.validateSession, ReadOnlyRequestProcessor.
    fn may_read(&mut self, conn: ConnId, session: SessionId) -> bool {
        if session != SessionId::NONE {
            return self.tree.read().session_timeout(session).is_none();
        }
        if !self.settings.local_sessions {
            self.send(conn, 0, Some(ErrorCode::NotReadOnly), |_| {});
            self.wake(conn);
        }
        self.settings.local_sessions
    }

    /// The Learner gave the connection its session.
    pub(super) fn on_attached(
        &mut self,
        conn: ConnId,
        session: SessionId,
        attach: AttachNumber,
        timeout_ms: i32,
    ) {
        if self.unpark(conn, session, attach) {
            return;
        }
        let Some(connection) = self.conns.get_mut(conn).filter(|it| it.phase == Phase::Connecting) else {
            return;
        };
        connection.phase = Phase::Open;
        connection.asks = None;
        connection.touched_ms = self.now_ms;
        (connection.session, connection.attach, connection.timeout_ms) = (session, attach, timeout_ms);
        connection.is_local = attach.is_local();
        self.respond(conn, &ConnectResponse::granted(session, timeout_ms));
        if let Some(older) = self.by_session.insert(session, conn).filter(|older| *older != conn) {
            self.close(older, Remark::Moved);
        }
        self.resume(conn);
    }

    /// There is no such session.
    pub(super) fn on_attach_refused(&mut self, conn: ConnId) {
        if self.conns.get(conn).is_some_and(|it| it.parked.is_some()) {
            self.close(conn, Remark::LeaderLost); // it asks anew, and hears that
        } else if self.conns.get(conn).is_some_and(|it| it.phase == Phase::Connecting) {
            self.expired(conn, Remark::NoSession);
        }
    }

    /// That there is no such session, or that the password is wrong: a client cannot tell which.
    fn expired(&mut self, conn: ConnId, why: Remark) {
        self.respond(conn, &ConnectResponse::expired());
        self.close(conn, why);
    }

    fn respond(&mut self, conn: ConnId, response: &ConnectResponse) {
        /// What the statistics call a handshake: createSession.
        const CREATE_SESSION: i32 = -10;
        let read_only = self.serving == Serving::ReadOnly;
        let Self { conns, spare, totals, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let flag = connection.has_flag.then_some(read_only);
        let to = connection.outbox.to(spare);
        counted(to, tally, |to| frame(to, |to| response.write_with(flag, to)));
        connection.stats.sent += 1;
        connection.stats.last_op = Some(CREATE_SESSION);
        totals.sent += 1;
        self.wake(conn);
    }
}
