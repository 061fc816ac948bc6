//! A client as its library would be: one session, kept over connections to any member; what it is answered, and
//! what it cannot know.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, Session};
use paddock_messages::client::ops::{Create, MaybePath, PathWatch};
use paddock_messages::client::{OpCode, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{Acl, AclEntry, CreateMode, Stat};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::order::Span;

/// Of every request: [`RawClient`]'s own numbers are smaller.
const XID: i32 = 1 << 20;
/// A client gives up a connection on which nothing is answered for so long, if it is not more patient.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const RETRY_EVERY: Duration = Duration::from_millis(20);
/// A client does so much between two operations at most, in ms.
const PACE_MS: u64 = 16;

/// What all clients share.
pub(super) struct World {
    pub(super) to: Vec<SocketAddr>,
    /// Members do a sync before each read by themselves.
    pub(super) reads_are_linearizable: bool,
    began: Instant,
    /// No client begins anything any more.
    pub(super) stop: AtomicBool,
    /// Operations that were done, refused, and of which nothing is known.
    pub(super) done: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) unknown: AtomicU64,
    /// Connections to a session that had another before, and sessions that had expired.
    pub(super) moved: AtomicU64,
    pub(super) expired: AtomicU64,
    /// The greatest zxid of all replies.
    pub(super) newest: AtomicI64,
}

impl World {
    pub(super) fn new(to: Vec<SocketAddr>, reads_are_linearizable: bool) -> Self {
        let [done, refused, unknown, moved, expired] = [const { AtomicU64::new(0) }; 5];
        let (stop, newest) = (AtomicBool::new(false), AtomicI64::new(0));
        let began = Instant::now();
        Self { to, reads_are_linearizable, began, stop, done, refused, unknown, moved, expired, newest }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// From a moment on until now.
    pub(super) fn span(&self, begin: u64) -> Span {
        Span { begin, end: self.now() }
    }
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    Done(T),
    Refused(ErrorCode),
    /// Nobody said. It may have been done, or be done yet.
    Unknown,
}

impl<T> Outcome<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(it) => Outcome::Done(f(it)),
            Self::Refused(code) => Outcome::Refused(code),
            Self::Unknown => Outcome::Unknown,
        }
    }

    pub(super) fn done(self) -> Option<T> {
        if let Self::Done(it) = self { Some(it) } else { None }
    }
}

/// An answer: the zxid of its header, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) zxid: i64,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn read<T: Wire>(&mut self) -> T {
        T::read(&mut self.body).unwrap_or_else(|error| panic!("an answer: {error}"))
    }
}

/// One client.
pub(super) struct Link<'a> {
    pub(super) world: &'a World,
    pub(super) rng: StdRng,
    timeout_ms: i32,
    /// How long an answer may take.
    pub(super) answer_limit: Duration,
    connection: Option<RawClient>,
    pub(super) session: Option<Session>,
    /// Sessions that it has had before, and connections of this one.
    pub(super) sessions: i64,
    pub(super) connections: u64,
    pub(super) last_zxid: i64,
    /// Of connections that have ended, not yet taken.
    events: Vec<(i64, String)>,
    /// What must not be, whatever the client does.
    pub(super) found: Vec<String>,
}

impl<'a> Link<'a> {
    pub(super) fn new(world: &'a World, rng: StdRng, timeout_ms: i32) -> Self {
        Self {
            world,
            rng,
            timeout_ms,
            answer_limit: ANSWER_LIMIT,
            connection: None,
            session: None,
            sessions: 0,
            connections: 0,
            last_zxid: 0,
            events: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Rests a moment, and sees to it that there is a connection; false if there is none now.
    pub(super) fn is_ready(&mut self) -> bool {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(1..=PACE_MS)));
        if self.connection.is_none() {
            self.connect();
        }
        self.connection.is_some()
    }

    /// Breaks the connection, if there is one.
    pub(super) fn hang_up(&mut self) {
        self.keep_events();
        if let Some(connection) = self.connection.take() {
            connection.hang_up();
        }
    }

    fn connect(&mut self) {
        let to = *self.world.to.choose(&mut self.rng).expect("there are members");
        let (session, timeout_ms, last_zxid_seen) = (self.session.clone(), self.timeout_ms, self.last_zxid);
        let answer_limit = self.answer_limit;
        let handshake =
            Handshake { session, timeout_ms, last_zxid_seen, answer_limit, ..Handshake::default() };
        match RawClient::connect_with(to, &handshake) {
            Ok(connection) => {
                let is_mine = |session: &Session| session.id == connection.session().id;
                if self.session.as_ref().is_some_and(|session| !is_mine(session)) {
                    self.found.push(format!("{:?} was given {:?}", self.session, connection.session()));
                }
                self.world.moved.fetch_add(u64::from(self.session.is_some()), Ordering::Relaxed);
                self.session = Some(connection.session().clone());
                self.connections += 1;
                self.connection = Some(connection);
            }
            Err(ClientError::Expired) => {
                self.world.expired.fetch_add(1, Ordering::Relaxed);
                (self.session, self.connections, self.sessions) = (None, 0, self.sessions + 1);
            }
            Err(error) => {
                self.expect_end(&error);
                std::thread::sleep(RETRY_EVERY);
            }
        }
    }

    fn expect_end(&mut self, error: &ClientError) {
        if !error.is_disconnect() {
            self.found.push(format!("session {:?}: {error}", self.session));
        }
    }

    /// Sends one request and takes its answer.
    pub(super) fn ask(&mut self, opcode: OpCode, body: &impl Wire) -> Outcome<Answer> {
        self.ask_raw(opcode, |to| body.write(to))
    }

    pub(super) fn ask_raw(&mut self, opcode: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> Outcome<Answer> {
        self.queue(opcode, body);
        self.take(opcode)
    }

    fn queue(&mut self, opcode: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
        let number = if opcode == OpCode::SetWatches { xid::SET_WATCHES } else { XID };
        if let Some(connection) = &mut self.connection {
            connection.queue_raw(number, opcode as i32, body);
        }
    }

    /// Sends what is queued, if there is anything, and takes the answer to the oldest.
    fn take(&mut self, opcode: OpCode) -> Outcome<Answer> {
        let Some(connection) = &mut self.connection else { return Outcome::Unknown };
        let answered = connection.flush().and_then(|()| connection.reply());
        let outcome = match answered {
            Ok(reply) => {
                self.note_zxid(reply.header.zxid);
                let zxid = reply.header.zxid;
                match reply.ok() {
                    Ok(body) => Outcome::Done(Answer { zxid, body }),
                    // Another connection has the session, or none has: what was asked here was not done here.
                    Err(ClientError::Refused(ErrorCode::SessionMoved | ErrorCode::SessionExpired)) => {
                        Outcome::Unknown
                    }
                    Err(ClientError::Refused(code)) => Outcome::Refused(code),
                    Err(error) => {
                        self.found.push(format!("{opcode:?}: {error}"));
                        Outcome::Unknown
                    }
                }
            }
            Err(error) => {
                self.expect_end(&error);
                Outcome::Unknown
            }
        };
        let counter = match &outcome {
            Outcome::Done(_) => &self.world.done,
            Outcome::Refused(_) => &self.world.refused,
            Outcome::Unknown => &self.world.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if outcome == Outcome::Unknown {
            self.hang_up();
        }
        outcome
    }

    fn note_zxid(&mut self, zxid: i64) {
        if zxid < self.last_zxid {
            let seen = self.last_zxid;
            self.found.push(format!("session {:x?} has seen {seen:#x}: {zxid:#x}", self.session));
        }
        self.last_zxid = self.last_zxid.max(zxid);
        self.world.newest.fetch_max(zxid, Ordering::Relaxed);
    }

    /// Events since the last call, as zxid and path.
    pub(super) fn events(&mut self) -> Vec<(i64, String)> {
        self.keep_events();
        std::mem::take(&mut self.events)
    }

    fn keep_events(&mut self) {
        let events = self.connection.iter_mut().flat_map(|connection| connection.events.drain(..));
        self.events.extend(events.map(|event| (event.zxid, event.path.to_string())));
    }

    /// The name that was given, and the znode's zxid.
    pub(super) fn create(&mut self, path: &str, data: &str, mode: CreateMode) -> Outcome<(String, i64)> {
        let answer = self.ask(OpCode::Create, &create(path, data, mode));
        answer.map(|mut answer| (answer.read::<ByteString>().to_string(), answer.zxid))
    }

    pub(super) fn sync(&mut self, path: &str) -> Outcome<()> {
        self.ask(OpCode::Sync, &MaybePath { path: Some(path.into()) }).map(drop)
    }

    pub(super) fn get(&mut self, path: &str, watch: bool) -> Outcome<(String, Stat)> {
        self.ask(OpCode::GetData, &PathWatch { path: path.into(), watch }).map(data_and_stat)
    }

    /// Reads behind a sync that leaves with it: nothing comes between.
    pub(super) fn synced_get(&mut self, path: &str) -> Outcome<(String, Stat)> {
        self.queue(OpCode::Sync, |to| MaybePath { path: Some(path.into()) }.write(to));
        self.queue(OpCode::GetData, |to| PathWatch { path: path.into(), watch: false }.write(to));
        let synced = self.take(OpCode::Sync).map(drop);
        let read = self.take(OpCode::GetData).map(data_and_stat);
        match synced {
            Outcome::Done(()) => read,
            Outcome::Refused(code) => Outcome::Refused(code),
            Outcome::Unknown => Outcome::Unknown,
        }
    }

    pub(super) fn exists(&mut self, path: &str) -> Outcome<Option<Stat>> {
        match self.ask(OpCode::Exists, &PathWatch { path: path.into(), watch: false }) {
            Outcome::Refused(ErrorCode::NoNode) => Outcome::Done(None),
            answer => answer.map(|mut answer| Some(answer.read())),
        }
    }

    /// Names, and the zxid of the reply.
    pub(super) fn children(&mut self, path: &str) -> Outcome<(Vec<String>, i64)> {
        let answer = self.ask(OpCode::GetChildren, &PathWatch { path: path.into(), watch: false });
        answer.map(|mut answer| {
            let names = answer.read::<Vec<ByteString>>();
            (names.iter().map(ToString::to_string).collect(), answer.zxid)
        })
    }
}

fn data_and_stat(mut answer: Answer) -> (String, Stat) {
    let data = answer.read::<Option<Bytes>>().unwrap_or_default();
    (String::from_utf8_lossy(&data).into_owned(), answer.read())
}

/// With the open ACL.
pub(super) fn create(path: &str, data: &str, mode: CreateMode) -> Create {
    let acl = Acl::open().iter().map(AclEntry::from).collect();
    let data = Some(Bytes::copy_from_slice(data.as_bytes()));
    Create { path: path.into(), data, acl: Some(acl), flags: mode as i32 }
}
