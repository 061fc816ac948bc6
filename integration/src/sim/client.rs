//! A client that believes nothing: every byte it gets is held against the truth.
//!
//! - VC1  Replies come in the order of the requests; but for pings, where there are other members: one that cannot
//!   vouch for a session answers its pings when it can.
//! - VC2  No header's zxid is behind one that came before on the connection.
//! - VC3  A read finds exactly what is so at its reply's zxid.
//! - VC5  A write's zxid is beyond that of every read asked before it.
//! - VC6  No two sequential creates get the same number, as long as their parent is the same.
//! - VC7  A write's reply names its own txn, and says what that came to.
//! - VC8  What is answered holds everything that any client was told before it was asked; pings, and
//!   questions about the connection's own watches, aside: they show nothing of the tree. Where there are other
//!   members, that is so for writes and syncs, and for reads where they are linearizable.
//!
//! What watches bring is stated in [`watching`](super::watching).

use std::collections::{HashSet, VecDeque};

use bytes::{Buf, Bytes};
use paddock_messages::client::event::EventKind;
use paddock_messages::client::session::ConnectResponse;
use paddock_messages::client::{ReplyHeader, xid};
use paddock_messages::ids::SessionId;
use paddock_messages::txn::TxnBody;
use paddock_messages::wire::Wire;
use paddock_messages::znode::Stat;
use paddock_messages::zxid::Zxid;

pub(super) use super::heard::Heard;
use super::truth::Truth;
use super::watching::{Kind, Watch, Watching};

/// What a request was, as far as its reply is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Takes a zxid; `sequential` if the reply is a path that nobody else may ever get, `set` if it is the
    /// stat of this path.
    Write { sequential: bool, set: Option<String> },
    /// getData or exists of a path, with or without a watch.
    Data { path: String, watch: bool, exists: bool },
    /// getChildren of a path, with or without a watch.
    Children { path: String, watch: bool },
    /// A sync.
    Sync,
    /// setWatches, or setWatches2.
    SetWatches { since: Zxid, watches: Vec<Watch> },
    /// addWatch.
    AddWatch(Watch),
    /// checkWatches, or removeWatches, of the kind with this number.
    AskWatches { path: String, number: i32, removes: bool },
    /// Anything else that is answered in its turn.
    Other,
    /// Ends the session.
    Close,
}

/// A session, as the client knows it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) password: Bytes,
    pub(super) timeout_ms: u64,
    /// When the client last had an answer, in ms: the server promises to keep the session from then
    /// for a whole timeout.
    pub(super) answered_ms: u64,
    /// The same for what promises that, whoever serves it: the handshake, and the answers to pings.
    pub(super) promised_ms: u64,
    /// As far as its client can know, its member alone knows it.
    pub(super) is_local: bool,
    /// It has asked for an ephemeral znode.
    pub(super) wants_ephemerals: bool,
    /// It has asked for its end.
    pub(super) wants_end: bool,
}

/// A request that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Due {
    xid: i32,
    asked: Asked,
    /// The highest zxid that any client had been told when it was asked.
    floor: Zxid,
    /// Whether a write was under way when it was asked.
    behind_write: bool,
}

/// One client, over as many connections as it takes.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) session: Option<Session>,
    /// The handshake is done.
    pub(super) is_up: bool,
    pub(super) last_zxid: Zxid,
    pub(super) due: VecDeque<Due>,
    next_xid: i32,
    received: Vec<u8>,
    pub(super) watching: Watching,
    /// Writes that were done, and reads that were answered, since it was last asked.
    pub(super) done: (u64, u64),
    /// The last zxid of this connection that a read was answered with.
    shown: Zxid,
    due_of_reads: DueOfReads,
    /// It is content with a member that has no leader.
    pub(super) may_read: bool,
    /// It was told that it has such a one.
    pub(super) reads_only: bool,
}

/// Of what was answered before it was asked, what a read must show (VC8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DueOfReads {
    /// All of it: there is one member.
    #[default]
    All,
    /// All of it, in data and children.
    Linearizable,
    /// What the client itself was told: its member may be behind.
    Own,
}

impl Asked {
    /// VC8: whether the answer shows all that was answered before.
    fn shows_all(&self, due: DueOfReads) -> bool {
        match self {
            Self::Write { .. } | Self::Sync | Self::Close => true,
            Self::AskWatches { .. } => false,
            Self::Data { .. } | Self::Children { .. } => due != DueOfReads::Own,
            Self::SetWatches { .. } | Self::AddWatch(_) | Self::Other => due == DueOfReads::All,
        }
    }
}

impl Client {
    /// One whose reads must show so much.
    pub(super) fn of(due_of_reads: DueOfReads) -> Self {
        Self { due_of_reads, ..Self::default() }
    }

    /// The next request's xid.
    pub(super) fn ask(&mut self, asked: Asked, floor: Zxid) -> i32 {
        self.next_xid += 1;
        self.ask_as(self.next_xid, asked, floor)
    }

    /// A request with this xid.
    pub(super) fn ask_as(&mut self, xid: i32, asked: Asked, floor: Zxid) -> i32 {
        let behind_write = self.due.iter().any(|due| matches!(due.asked, Asked::Write { .. }));
        if let Some(session) = self.session.as_mut().filter(|_| asked == Asked::Close) {
            session.wants_end = true;
        }
        self.due.push_back(Due { xid, asked, floor, behind_write });
        xid
    }

    /// A ping is under way, too.
    pub(super) fn ping(&mut self) {
        self.due.push_back(Due {
            xid: xid::PING,
            asked: Asked::Other,
            floor: Zxid::ZERO,
            behind_write: false,
        });
    }

    /// The xid of its last request.
    pub(super) fn asked(&self) -> i32 {
        self.next_xid
    }

    /// Whether a read stands between two writes among what was asked up to this xid and is not answered.
    pub(super) fn has_read_between(&self, upto: i32) -> bool {
        let is_write = |due: &Due| match due.asked {
            Asked::Write { .. } => Some(true),
            Asked::Data { .. } | Asked::Children { .. } => Some(false),
            _ => None,
        };
        let asked = self.due.iter().filter(|due| due.xid <= upto).filter_map(is_write);
        asked.skip_while(|is_write| !is_write).skip_while(|is_write| *is_write).any(|is_write| is_write)
    }

    /// Whether it has asked for the end of its session.
    pub(super) fn is_leaving(&self) -> bool {
        self.due.iter().any(|due| due.asked == Asked::Close)
    }

    /// The connection is gone, and with it everything that was not answered.
    pub(super) fn disconnected(&mut self) {
        let unanswered = self.due.drain(..).filter_map(|due| match due.asked {
            Asked::SetWatches { since, watches } => Some((since, watches)),
            _ => None,
        });
        self.watching.lost(self.last_zxid, unanswered);
        if self.session.is_none() {
            self.watching.take_wanted(); // they end with it
            self.watching.origins.clear();
        }
        self.received.clear();
        (self.is_up, self.reads_only) = (false, false);
        self.shown = Zxid::ZERO;
    }

    /// Takes what the server sent at `now_ms`.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        truth: &mut Truth,
        numbers: &mut HashSet<String>,
        heard: &mut Heard,
    ) {
        self.received.extend_from_slice(bytes);
        while let Some(frame) = self.next_frame() {
            if self.is_up {
                self.packet(frame, now_ms, truth, numbers, heard);
            } else {
                self.handshake(frame, now_ms, truth, heard);
            }
        }
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(*self.received.first_chunk()?) as usize;
        if self.received.len() < 4 + length {
            return None;
        }
        let frame = Bytes::copy_from_slice(&self.received[4..4 + length]);
        self.received.drain(..4 + length);
        Some(frame)
    }

    fn handshake(&mut self, mut frame: Bytes, now_ms: u64, truth: &Truth, heard: &mut Heard) {
        let response = ConnectResponse::read(&mut frame).expect("a handshake");
        if response.timeout_ms == 0 {
            heard.expired += 1;
            self.session = None;
            return;
        }
        self.reads_only = frame.get_u8() == 1;
        assert!(self.may_read || !self.reads_only, "EN16: who writes, too, is to read only");
        heard.read_only_sessions += u64::from(self.reads_only);
        let id = SessionId(response.session_id);
        let before = self.session.take().filter(|session| session.id == id);
        self.is_up = true;
        self.session = Some(Session {
            id,
            password: response.password.expect("a session has a password"),
            timeout_ms: response.timeout_ms as u64,
            answered_ms: now_ms,
            promised_ms: now_ms + response.timeout_ms as u64,
            is_local: truth.begun_at(id).is_none(),
            wants_ephemerals: before.as_ref().is_some_and(|session| session.wants_ephemerals),
            wants_end: before.is_some_and(|session| session.wants_end),
        });
    }

    fn packet(
        &mut self,
        mut frame: Bytes,
        now_ms: u64,
        truth: &mut Truth,
        numbers: &mut HashSet<String>,
        heard: &mut Heard,
    ) {
        let header = ReplyHeader::read(&mut frame).expect("a reply");
        if header.xid == xid::EVENT {
            return self.event(header.zxid, frame, truth, heard);
        }
        let zxid = self.shows(header.zxid);
        self.watching.on_reply(zxid, truth);
        heard.replies += 1;
        let overtakes = self.due.front().is_some_and(|due| due.xid == xid::PING && header.xid != xid::PING);
        heard.overtaken += u64::from(overtakes);
        let due = self.take_due(header.xid).unwrap_or_else(|| panic!("VC1: nothing was asked: {header:?}"));
        let Due { xid, asked, floor, behind_write } = due;
        assert_eq!(header.xid, xid, "VC1: {asked:?} was due");
        if !matches!(asked, Asked::SetWatches { .. }) {
            self.watching.nothing_missed();
        }
        // A leader with a full disk, deposed or not, refuses on the spot: that says nothing of what there is.
        let ends_local = asked == Asked::Close && self.is_local();
        let says =
            asked.shows_all(self.due_of_reads) && header.err != REFUSED && !ends_local && !self.reads_only;
        assert!(
            zxid >= floor || !says,
            "VC8: {asked:?} was answered as of {zxid:?}, {floor:?} was known when it was asked"
        );
        if let Some(session) = &mut self.session {
            session.answered_ms = now_ms;
            if xid == xid::PING {
                session.promised_ms = now_ms + session.timeout_ms;
            }
        }
        let is_read = matches!(asked, Asked::Data { .. } | Asked::Children { .. });
        let before_write = || self.due.iter().any(|due| matches!(due.asked, Asked::Write { .. }));
        heard.reads_between += u64::from(is_read && behind_write && before_write());
        heard.read_only_reads += u64::from(is_read && self.reads_only);
        match asked {
            Asked::Write { .. } | Asked::Sync if self.reads_only => {
                assert!(
                    header.err == REFUSED && frame.is_empty(),
                    "EN16: {asked:?} is answered with {}",
                    header.err
                );
                heard.read_only_refused += 1;
            }
            Asked::Write { .. } if header.err == REFUSED => heard.refused += 1,
            Asked::Write { sequential, set } => {
                assert!(zxid > self.shown, "VC5: a write at {zxid:?} after a read at {:?}", self.shown);
                self.check_write(xid, zxid, header.err, truth);
                truth.ack(zxid);
                self.learn_whose(zxid, truth);
                self.done.0 += 1;
                if let Some(path) = set.filter(|_| header.err == 0) {
                    let (_, stat) = truth.at(&path, zxid).expect("VC7: what was set is there");
                    assert_eq!(Stat::read(&mut frame).expect("a stat"), stat, "VC7: {path} at {zxid:?}");
                }
                if sequential && header.err == 0 {
                    heard.sequence_numbers += 1;
                    let path = bytestring::ByteString::read(&mut frame).expect("a path");
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    let since = truth.at(parent, zxid).map(|(_, stat)| stat.czxid);
                    let number = format!("{path}, parent of {since:?}");
                    assert!(numbers.insert(number), "VC6: {path} was given before");
                }
            }
            Asked::Data { path, watch, exists } => {
                heard.reads_checked += 1;
                self.done.1 += 1;
                check_read(&path, zxid, header.err, frame, exists, truth);
                if watch && (header.err == 0 || exists) {
                    let kind = if header.err == 0 { Kind::Data } else { Kind::Exist };
                    self.watching.register(kind, path, zxid);
                }
            }
            Asked::Children { path, watch } => {
                heard.reads_checked += 1;
                if truth.at(&path, zxid).is_none() {
                    assert_eq!(header.err, -101, "VC3: {path} does not exist at {zxid:?}");
                } else {
                    assert_eq!(header.err, 0, "VC3: {path} exists at {zxid:?}");
                    check_children(&path, zxid, &mut frame, truth);
                    if watch {
                        self.watching.register(Kind::Child, path, zxid);
                    }
                }
            }
            Asked::Close if header.err == REFUSED => heard.refused += 1,
            Asked::Close if ends_local => {
                assert_eq!(header.err, 0, "the end of a session of this member alone does not fail");
                heard.local_ends += 1;
                self.session = None;
            }
            Asked::Close => {
                self.check_write(xid, zxid, header.err, truth);
                truth.ack(zxid);
                self.session = None;
            }
            Asked::SetWatches { since, watches } => {
                assert_eq!(header.err, 0, "VC9: setWatches does not fail");
                let (one_shot, persistent, missed) = self.watching.on_set_again(since, watches, zxid, truth);
                heard.set_again += one_shot;
                heard.persistent_again += persistent;
                heard.missed_events += missed;
            }
            Asked::AddWatch((kind, path)) => {
                assert_eq!(header.err, 0, "addWatch does not fail");
                self.watching.register(kind, path, zxid);
            }
            Asked::AskWatches { path, number, removes } => {
                let found = self.watching.on_asked(&path, number, removes, header.err);
                heard.removed += u64::from(found && removes);
                heard.found += u64::from(found && !removes);
                heard.no_watcher += u64::from(!found);
            }
            Asked::Sync => {
                assert!(header.err == 0 || header.err == -112, "a sync fails with {}", header.err);
                heard.syncs += 1;
            }
            Asked::Other => {}
        }
        self.shown = self.shown.max(zxid);
    }

    fn is_local(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_local)
    }

    /// A write that was numbered behind its session's beginning came behind it.
    fn learn_whose(&mut self, zxid: Zxid, truth: &Truth) {
        if let Some(session) = &mut self.session {
            session.is_local &= truth.begun_at(session.id).is_none_or(|at| zxid < at);
        }
    }

    /// It asks for an ephemeral znode.
    pub(super) fn wants_ephemerals(&mut self) {
        if let Some(session) = &mut self.session {
            session.wants_ephemerals = true;
        }
    }

    /// What is answered next (VC1).
    fn take_due(&mut self, xid: i32) -> Option<Due> {
        if self.due_of_reads == DueOfReads::All {
            return self.due.pop_front();
        }
        let is_ping = xid == xid::PING;
        let at = self.due.iter().position(|due| (due.xid == xid::PING) == is_ping)?;
        self.due.remove(at)
    }

    /// VC7.
    fn check_write(&self, xid: i32, zxid: Zxid, err: i32, truth: &Truth) {
        let txn = truth
            .txn(zxid)
            .unwrap_or_else(|| panic!("VC7: {xid} is answered with {zxid:?}, which is not applied"));
        let session = self.session.as_ref().expect("it has one").id;
        assert_eq!((txn.header.session, txn.header.cxid), (session, xid), "VC7: the txn of {zxid:?}");
        let expected = if let TxnBody::Error(code) = txn.body { code.code() } else { 0 };
        assert_eq!(err, expected, "VC7: {txn:?}");
    }

    /// VC2.
    fn shows(&mut self, zxid: i64) -> Zxid {
        let zxid = Zxid::from_wire(zxid);
        assert!(zxid >= self.last_zxid, "VC2: {zxid:?} after {:?}", self.last_zxid);
        self.last_zxid = zxid;
        zxid
    }

    fn event(&mut self, zxid: i64, mut frame: Bytes, truth: &Truth, heard: &mut Heard) {
        let kind = frame.get_i32();
        let kind = EVENTS.into_iter().find(|event| *event as i32 == kind).expect("a kind of event");
        frame.advance(4);
        let path = bytestring::ByteString::read(&mut frame).expect("a path").to_string();
        if zxid == -1 {
            return self.watching.on_missed(kind, path);
        }
        let zxid = self.shows(zxid);
        heard.events += 1;
        heard.persistent_events += u64::from(self.watching.on_event(zxid, kind, &path, truth));
    }
}

/// What a server tells of.
const EVENTS: [EventKind; 4] =
    [EventKind::Created, EventKind::Deleted, EventKind::DataChanged, EventKind::ChildrenChanged];
/// notReadOnly: what a full disk makes of writes.
const REFUSED: i32 = -119;

fn check_children(path: &str, zxid: Zxid, body: &mut Bytes, truth: &Truth) {
    let mut names = Vec::<bytestring::ByteString>::read(body).expect("names");
    names.sort_unstable();
    assert_eq!(names, truth.children_at(path, zxid), "VC3: children of {path} at {zxid:?}");
}

fn check_read(path: &str, zxid: Zxid, err: i32, mut body: Bytes, exists: bool, truth: &Truth) {
    let Some((data, stat)) = truth.at(path, zxid) else {
        assert_eq!(err, -101, "VC3: {path} does not exist at {zxid:?}");
        return;
    };
    assert_eq!(err, 0, "VC3: {path} exists at {zxid:?}");
    if !exists {
        let found = Option::<Bytes>::read(&mut body).expect("data");
        assert_eq!(found, data, "VC3: data of {path} at {zxid:?}");
    }
    assert_eq!(Stat::read(&mut body).expect("a stat"), stat, "VC3: stat of {path} at {zxid:?}");
}
