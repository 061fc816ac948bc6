//! From a connection's bytes to its pipeline: what is asked, and whether more may be asked now.

use std::sync::Arc;

use bytes::Bytes;
use paddock_messages::client::reply::write_header;
use paddock_messages::client::request::{
    CreateOp, Read, Request, Write, WriteOp, path_of_prefix, read_header,
};
use paddock_messages::client::session::AuthPacket;
use paddock_messages::client::{OpCode, ReplyHeader, RequestHeader};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ConnId;
use paddock_messages::letters::{Asker, Submission};
use paddock_messages::wire::{Wire, frame, write_nullable};
use paddock_messages::znode::{AclEntry, CreateMode, Id};

use super::connections::{Phase, Stall};
use super::core::{ArbiterCore, Serving};
use super::framing::Next;
use super::growth::Excess;
use super::large::Large;
use super::outbox::counted;
use super::pipeline::{Again, Entry, Stamp, What};
use super::reads::{may_watch, needs_no_tree};
use super::remark::Remark;
use super::throttler::Late;
use crate::auth::{add_auth, enforce, means_another_ensemble};

/// Whether it goes to the Learner.
pub(super) fn is_submitted(opcode: OpCode) -> bool {
    use OpCode as O;
    matches!(
        opcode,
        O::Create
            | O::Create2
            | O::CreateContainer
            | O::CreateTtl
            | O::Delete
            | O::SetData
            | O::SetAcl
            | O::Multi
            | O::Reconfig
            | O::CloseSession
            | O::Sync
    )
}

/// Whether it is a write: what the Learner is told of, but for a sync.
pub(super) fn is_write(opcode: i32) -> bool {
    OpCode::from_code(opcode).is_some_and(|opcode| is_submitted(opcode) && opcode != OpCode::Sync)
}

/// Whether it asks for a znode that its session owns. Source: QuorumZooKeeperServer.checkUpgradeSession.
fn wants_ephemeral(write: &Write) -> bool {
    let of_op = |op: &WriteOp| match op {
        WriteOp::Create(CreateOp::Create | CreateOp::Create2, create) => {
            CreateMode::from_flag(create.flags).is_some_and(CreateMode::is_ephemeral)
        }
        _ => false,
    };
    match write {
        Write::One(op) => of_op(op),
        Write::Multi(ops) => ops.iter().any(of_op),
        _ => false,
    }
}

/// Identities of one connection, by number and by bytes: each goes with every request, and into ACLs.
const MAX_IDS: usize = 64;
pub(super) const MAX_ID_BYTES: usize = 16 << 10;

/// What `auth` in its ACLs, for which the connection's identities are put, may add to one request, in
/// frames of the largest size.
pub const MAX_ACL_GROWTH: usize = 2;

/// About, as an ACL has them.
pub(super) fn bytes_of(ids: &[Id]) -> usize {
    ids.iter().map(|id| 32 + id.scheme.len() + id.id.len()).sum()
}

/// What `auth` in the request's ACLs comes to, in bytes.
fn acl_bytes(request: &Request, ids: &[Id]) -> usize {
    let autos = |acl: &Option<Vec<AclEntry>>| {
        acl.iter().flatten().filter(|entry| entry.scheme.as_deref() == Some("auth")).count()
    };
    let of_op = |op: &WriteOp| if let WriteOp::Create(_, of) = op { autos(&of.acl) } else { 0 };
    let count = match request {
        Request::Write(Write::One(op)) => of_op(op),
        Request::Write(Write::Multi(ops)) => ops.iter().map(of_op).sum(),
        Request::Write(Write::SetAcl(of)) => autos(&of.acl),
        _ => 0,
    };
    if count == 0 { 0 } else { count * bytes_of(ids) }
}

/// A request's header, how many bytes its frame had, what that takes of all large requests' share, and what stands
/// behind the header, where it may have to be asked again (C17).
#[derive(Debug)]
struct Head {
    xid: i32,
    opcode: i32,
    bytes: usize,
    large: Option<Large>,
    body: Bytes,
}

impl ArbiterCore {
    /// Decodes what a connection's inbox holds, as far as its credit reaches.
    pub(super) fn pump(&mut self, conn: ConnId) {
        while self.may_go_on(conn) {
            let Some(connection) = self.conns.get_mut(conn) else { return };
            let first = connection.phase == Phase::First;
            if first && !self.is_past_words(conn) {
                break;
            }
            if self.must_answer_first(conn) || self.is_held_back(conn) || self.is_beyond_large(conn) {
                break;
            }
            let max = self.settings.max_frame;
            let Some(connection) = self.conns.get_mut(conn) else { return };
            match connection.inbox.next(max) {
                Next::More => {
                    connection.held_since_ms = None; // what comes from now on was not held
                    break;
                }
                Next::Frame(body) => self.on_frame(conn, body, first),
                Next::TooLarge(head, length) if !first => self.on_too_large(conn, head, length),
                Next::TooLarge(_, length) => {
                    self.on_bad_length(conn, i32::try_from(length).unwrap_or(i32::MAX));
                }
                Next::Bad(length) => self.on_bad_length(conn, length),
            }
        }
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.inbox.settle();
        }
    }

    /// Before a write is taken on, the reads that are due are answered: none may see it (C1). True if
    /// they cannot be, because the client does not take the answers (or others do not: C7), or a sync comes first
    /// (C10); or if there is no room for the answers to those that wait for earlier writes (C6).
    fn must_answer_first(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.conns.get(conn) else { return false };
        if connection.pipeline.reads() == 0 && connection.pipeline.due().is_none() {
            return false;
        }
        let next = connection.inbox.next_opcode().and_then(OpCode::from_code);
        if !next.is_some_and(is_submitted) {
            return false;
        }
        if connection.pipeline.due().is_some() {
            self.serve_ready();
        }
        let may_end_behind_sync = self.settings.linearizable_reads;
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        let pipeline = &connection.pipeline;
        if pipeline.due().is_some() || may_end_behind_sync && pipeline.ends_behind_sync() {
            connection.stall.get_or_insert(Stall::Credit); // each answer looks again
            return true;
        }
        !self.keep_room(conn)
    }

    /// Whether the connection may ask for more; notes why not.
    fn may_go_on(&mut self, conn: ConnId) -> bool {
        let others = self.entrance.outstanding() - self.in_flight_told.min(self.entrance.outstanding());
        let settings = &self.settings;
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        if !matches!(connection.phase, Phase::First | Phase::Open) || connection.parked.is_some() {
            return false; // C8
        }
        let mine = connection.pipeline.len();
        let is_much = mine >= settings.max_in_flight
            || connection.pipeline.bytes() >= settings.max_in_flight_bytes
            || (mine > 0 && others + self.in_flight >= settings.outstanding_limit);
        let was = connection.stall;
        connection.stall = if connection.outbox.unsent().len() >= settings.outbox_full {
            Some(Stall::Outbox)
        } else {
            is_much.then_some(Stall::Credit)
        };
        let (now, is_open) = (connection.stall, connection.stall.is_none());
        if was != now {
            self.wake(conn);
        }
        is_open
    }

    /// The connection may be able to go on: it will be looked at when the step is done.
    pub(super) fn resume(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get_mut(conn).filter(|it| !it.is_resumable) {
            connection.is_resumable = true;
            self.resumable.push_back(conn);
        }
    }

    fn on_bad_length(&mut self, conn: ConnId, length: i32) {
        self.tally.large_requests_rejected += u64::from(length > 0);
        self.close(conn, Remark::BadLength(length));
    }

    fn on_frame(&mut self, conn: ConnId, body: Bytes, first: bool) {
        let bytes = body.len();
        self.count_in(conn, bytes);
        if first {
            return self.on_handshake(conn, body);
        }
        self.touch(conn);
        let mut from = body;
        let Ok((RequestHeader { xid, opcode }, known)) = read_header(&mut from) else {
            return self.close(conn, Remark::Undecodable); // not even a header: nothing to answer
        };
        if !self.is_let_in(conn, xid, known) {
            return;
        }
        let large = match self.take_large(bytes) {
            Ok(large) => large,
            Err(remark) => return self.close_large(conn, remark),
        };
        let waits = self.conns.get(conn).is_some_and(|it| it.pipeline.waits());
        let is_kept = waits || known.is_some_and(is_submitted);
        let body = if is_kept { from.clone() } else { Bytes::new() };
        let head = Head { xid, opcode, bytes, large, body };
        let Some(opcode) = known else {
            self.remark(conn, Remark::Unimplemented(opcode));
            return self.refuse(conn, head, ErrorCode::Unimplemented, Stamp::None);
        };
        match Request::read(opcode, &mut from) {
            Err(_) => {
                self.remark(conn, Remark::Undecodable);
                self.refuse(conn, head, ErrorCode::Marshalling, Stamp::Current);
            }
            Ok(Request::Auth(packet)) => self.on_auth(conn, xid, &packet),
            Ok(Request::Sasl(_)) => self.on_sasl(conn, xid),
            Ok(request) => self.on_request(conn, head, request),
        }
    }

    /// Above `jute.maxbuffer`: refused in its turn. Clients split a multi when the connection closes.
    fn on_too_large(&mut self, conn: ConnId, mut head: Bytes, length: usize) {
        self.count_in(conn, length);
        self.tally.large_requests_rejected += 1;
        self.touch(conn);
        let bad_length = Remark::BadLength(i32::try_from(length).unwrap_or(i32::MAX));
        let Ok((RequestHeader { xid, opcode }, Some(known))) = read_header(&mut head) else {
            return self.close(conn, bad_length);
        };
        if !self.is_let_in(conn, xid, Some(known)) {
            return;
        }
        if matches!(known, OpCode::Multi | OpCode::MultiRead) {
            return self.close(conn, bad_length);
        }
        self.remark(conn, Remark::TooLarge { length, path: path_of_prefix(known, head) });
        let head = Head { xid, opcode, bytes: 0, large: None, body: Bytes::new() };
        self.refuse(conn, head, ErrorCode::Marshalling, Stamp::Current);
    }

    /// Whether it may ask anything but to prove who it is (`enforce.auth.enabled`). Else it is told so, and closed.
    fn is_let_in(&mut self, conn: ConnId, xid: i32, opcode: Option<OpCode>) -> bool {
        if matches!(opcode, Some(OpCode::Auth | OpCode::Sasl)) {
            return true;
        }
        let Some(connection) = self.conns.get(conn) else { return false };
        let Err(code) = enforce(&connection.ids, &self.rules) else { return true };
        self.send_at_once(conn, xid, Some(code), |_| {});
        self.close(conn, Remark::AuthRequired);
        false
    }

    fn on_request(&mut self, conn: ConnId, head: Head, request: Request) {
        let Some(connection) = self.conns.get(conn) else { return };
        let from = Self::asker(connection);
        match self.outlasted(conn, &request) {
            Some(Late::Stale) => return self.close(conn, Remark::Stale),
            Some(Late::Throttled) => {
                self.remark(conn, Remark::HeldTooLong);
                return self.refuse(conn, head, ErrorCode::ThrottledOp, Stamp::Current);
            }
            None => {}
        }
        if acl_bytes(&request, &from.ids) > MAX_ACL_GROWTH * self.settings.max_frame {
            self.remark(conn, Remark::AclGrowth);
            return self.refuse(conn, head, ErrorCode::Marshalling, Stamp::Current);
        }
        match self.over_memory(&request) {
            Some(Excess::Closes) => return self.close(conn, Remark::OutOfMemory),
            Some(Excess::Refused) => {
                self.remark(conn, Remark::OutOfMemory);
                return self.refuse(conn, head, ErrorCode::ThrottledOp, Stamp::Current);
            }
            None => {}
        }
        match request {
            Request::Read(read) => self.on_read(conn, head, read, from),
            _ if self.serving == Serving::ReadOnly && !self.ends_own(conn, &request) => {
                self.remark(conn, Remark::ReadOnly);
                self.refuse(conn, head, ErrorCode::NotReadOnly, Stamp::Current);
            }
            Request::Write(write) => {
                if let Some(code) = self.eagerly_refused(conn, &write, &from.ids) {
                    return self.refuse(conn, head, code, Stamp::Zero);
                }
                self.upgrade_for(conn, &write);
                let (xid, ids) = (head.xid, from.ids.clone());
                self.submit(conn, head, ids, Submission::Write { from, xid, write });
            }
            Request::Sync(of) => {
                let (xid, ids) = (head.xid, from.ids.clone());
                self.submit(conn, head, ids, Submission::Sync { from, xid, path: of.path });
            }
            Request::Auth(_) | Request::Sasl(_) => unreachable!("answered outside the order"),
        }
    }

    /// Whether it ends a session that is this member's alone: nobody else is asked.
    fn ends_own(&self, conn: ConnId, request: &Request) -> bool {
        matches!(request, Request::Write(Write::CloseSession))
            && self.conns.get(conn).is_some_and(|it| it.is_local)
    }

    /// C11. Told in front of the reads that wait, too: they need not know.
    fn upgrade_for(&mut self, conn: ConnId, write: &Write) {
        if !self.settings.upgrades_local_sessions || !wants_ephemeral(write) {
            return;
        }
        let Some(connection) = self.conns.get_mut(conn).filter(|it| it.is_local) else { return };
        connection.is_local = false;
        let (session, attach) = (connection.session, connection.attach);
        self.submissions.push(Submission::Upgrade { session, attach });
    }

    fn on_read(&mut self, conn: ConnId, mut head: Head, read: Read, from: Asker) {
        let waits = self.conns.get(conn).is_some_and(|it| it.pipeline.waits());
        let announced = waits && may_watch(&read);
        if announced {
            self.announce();
        }
        // Who is content with a member that has no leader asked for what that has.
        let is_behind =
            self.settings.linearizable_reads && self.serving != Serving::ReadOnly && !needs_no_tree(&read);
        let behind = if is_behind { self.read_syncs.stamp() } else { 0 };
        let again = Again { body: std::mem::take(&mut head.body), ids: from.ids };
        let what = What::Read { read: Box::new(read), again, announced, behind };
        self.enqueue(conn, head, what);
    }

    /// A write or sync goes to the Learner, behind the reads that wait for earlier ones (C1).
    fn submit(&mut self, conn: ConnId, mut head: Head, ids: Arc<[Id]>, submission: Submission) {
        let Self { conns, submissions, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let before = connection.pipeline.submitted();
        if connection.pipeline.waits() {
            let (session, attach) = (connection.session, connection.attach);
            connection.pipeline.submit_reads(|xid, read, ids| {
                let from = Asker { session, attach, ids };
                submissions.push(Submission::Read { from, xid, read });
            });
        }
        let ends = matches!(submission, Submission::Write { write: Write::CloseSession, .. });
        self.submissions.push(submission);
        let again = Again { body: std::mem::take(&mut head.body), ids };
        self.enqueue(conn, head, What::Submitted { again, is_read: false, announced: false });
        let Some(connection) = self.conns.get_mut(conn) else { return };
        self.submitted += connection.pipeline.submitted() - before;
        if ends {
            connection.inbox = super::framing::Inbox::default(); // what follows is dropped
            connection.phase = Phase::Leaving;
            self.wake(conn);
        }
    }

    fn refuse(&mut self, conn: ConnId, head: Head, err: ErrorCode, zxid: Stamp) {
        self.enqueue(conn, head, What::Refused { err: err.code(), zxid });
    }

    fn enqueue(&mut self, conn: ConnId, head: Head, what: What) {
        let since_us = self.now_us();
        let announced = usize::from(what.is_announced());
        let Some(connection) = self.conns.get_mut(conn).filter(|it| it.phase == Phase::Open) else {
            self.announced -= announced;
            return;
        };
        let Head { xid, opcode, bytes, large, .. } = head;
        connection.pipeline.push(Entry { xid, opcode, since_us, bytes, expected: 0, what, large });
        self.in_flight += 1;
        self.make_ready(conn);
    }

    /// Notes that a connection's oldest request is due.
    pub(super) fn make_ready(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(conn) else { return };
        if !connection.is_ready && connection.pipeline.due().is_some() {
            connection.is_ready = true;
            self.ready.push_back(conn);
        }
    }

    /// A frame came, of `bytes` behind its length.
    fn count_in(&mut self, conn: ConnId, bytes: usize) {
        self.tally.packets_received += 1;
        self.tally.bytes_received += 4 + bytes as u64;
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.stats.received += 1;
            connection.heard_ms = self.now_ms;
            self.totals.received += 1;
        }
    }

    /// Adds identities at once; they hold for what comes after.
    fn on_auth(&mut self, conn: ConnId, xid: i32, packet: &AuthPacket) {
        let Some(connection) = self.conns.get_mut(conn) else { return };
        let (scheme, auth) = (packet.scheme.as_deref(), packet.auth.as_deref());
        if means_another_ensemble(scheme, auth, &self.rules) {
            self.tally.ensemble_auth_fail += 1;
            return self.close(conn, Remark::OtherEnsemble);
        }
        match add_auth(scheme, auth, connection.peer.ip(), &self.rules) {
            Ok(more) => {
                if more.is_empty() {
                    self.tally.ensemble_named(auth.is_some_and(|name| !name.is_empty()));
                }
                let mut ids = connection.ids.to_vec();
                for id in more {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                if ids.len() > MAX_IDS || bytes_of(&ids) > MAX_ID_BYTES {
                    self.tally.auth_failed += 1;
                    self.send_at_once(conn, xid, Some(ErrorCode::AuthFailed), |_| {});
                    return self.close(conn, Remark::TooManyIds);
                }
                connection.ids = ids.into();
                self.send_at_once(conn, xid, None, |_| {});
            }
            Err(code) => {
                self.tally.auth_failed += 1;
                self.send_at_once(conn, xid, Some(code), |_| {});
                self.close(conn, Remark::AuthFailed);
            }
        }
    }

    /// There is no SASL here: a null token says so, and the client goes on without.
    fn on_sasl(&mut self, conn: ConnId, xid: i32) {
        self.send_at_once(conn, xid, None, |to| write_nullable(None, to));
    }

    /// An answer outside the order: its zxid is 0.
    fn send_at_once(
        &mut self,
        conn: ConnId,
        xid: i32,
        code: Option<ErrorCode>,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let Self { conns, spare, totals, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let err = code.map_or(0, ErrorCode::code);
        counted(connection.outbox.to(spare), tally, |to| {
            frame(to, |to| {
                ReplyHeader { xid, zxid: 0, err }.write(to);
                body(to);
            });
        });
        connection.stats.sent += 1;
        totals.sent += 1;
        self.wake(conn);
    }

    /// The pings that were due while nobody could vouch for the session.
    pub(super) fn send_pong(&mut self, conn: ConnId) {
        self.note_promise(conn);
        let zxid = self.at;
        let Self { conns, spare, totals, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let ping = paddock_messages::client::xid::PING;
        let to = connection.outbox.to(spare);
        counted(to, tally, |to| write_header(ping, zxid.to_wire(), 0, to));
        connection.stats.sent += 1;
        connection.last = zxid;
        totals.sent += 1;
        self.wake(conn);
    }
}
