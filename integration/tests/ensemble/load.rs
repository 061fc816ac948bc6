//! Clients that write all the time, each to any member that serves it, with one session, and keep a diary.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use paddock_integration::ensemble::{Ensemble, Id, PATIENCE};
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, Reply, Session};
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::diary::{Chapter, Diary, Held, is_set, judge, prefix, sets};
use crate::trees::{self, Tree};
use crate::world::client;

const CLIENTS: usize = 4;
/// Operations that a client sends at once; then it takes all answers.
const AT_ONCE: u64 = 4;
/// Between that and the next ones: what they leave behind must be read by the test in little time.
const PACE: Duration = Duration::from_millis(3);
/// Between two looks, and two attempts to connect.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A living member answers or closes before this, which is shorter than the sessions' timeout of 20 s.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// How far all clients are.
pub(crate) struct Progress {
    began: Instant,
    acked: AtomicU64,
    /// When the newest acknowledged operation was sent, in ns since `began`.
    newest_ns: AtomicU64,
    /// When anything was acknowledged last, the same way.
    told_ns: AtomicU64,
    /// The longest time in which nothing was, as far as it was looked at.
    gap_ns: AtomicU64,
    /// Connections that were given up because nobody answered.
    pub(crate) silences: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        let [acked, newest_ns, told_ns, gap_ns, silences] = [const { AtomicU64::new(0) }; 5];
        let (began, stop) = (Instant::now(), AtomicBool::new(false));
        Self { began, acked, newest_ns, told_ns, gap_ns, silences, stop }
    }

    fn since_begin(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// An operation that was sent at `sent_ns` is acknowledged.
    fn on_ack(&self, sent_ns: u64) {
        let now = self.since_begin(Instant::now());
        let before = self.told_ns.fetch_max(now, Ordering::Relaxed);
        self.gap_ns.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
        self.acked.fetch_add(1, Ordering::Relaxed);
        self.newest_ns.fetch_max(sent_ns, Ordering::Relaxed);
    }

    /// The longest time without an acknowledgement since this was asked last.
    pub(crate) fn take_longest_gap(&self) -> Duration {
        let since_last =
            self.since_begin(Instant::now()).saturating_sub(self.told_ns.load(Ordering::Relaxed));
        Duration::from_nanos(self.gap_ns.swap(0, Ordering::Relaxed).max(since_last))
    }

    /// Waits until so many more operations are acknowledged.
    pub(crate) fn await_more(&self, count: u64) {
        let wanted = self.acked.load(Ordering::Relaxed) + count;
        self.await_that("more acknowledgements", || self.acked.load(Ordering::Relaxed) >= wanted);
    }

    /// Waits until an operation is acknowledged that was sent after this moment.
    pub(crate) fn await_write_after(&self, moment: Instant) {
        let moment = self.since_begin(moment);
        self.await_that("a write's acknowledgement", || self.newest_ns.load(Ordering::Relaxed) > moment);
    }

    fn await_that(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(!self.stop.load(Ordering::Relaxed), "a client has failed, see above");
            assert!(Instant::now() < deadline, "{what} did not come");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Sets the flag when dropped, by a panic too: whoever looks at it ends.
pub(crate) struct StopsAll<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a load has left behind.
pub(crate) struct Told {
    diaries: Vec<Diary>,
    /// See [`Progress::silences`].
    pub(crate) silences: u64,
}

impl Told {
    pub(crate) fn acked(&self) -> u64 {
        self.diaries.iter().map(Diary::acked).sum()
    }

    pub(crate) fn clients(&self) -> usize {
        self.diaries.len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.diaries.iter().map(|diary| diary.chapters.len()).sum()
    }

    /// Waits until all members serve that run, and compares what they hold with each other and with what the
    /// clients were told; returns it.
    pub(crate) fn verify(&self, ensemble: &mut Ensemble) -> Tree {
        ensemble.await_all_serving();
        let tree = trees::same(ensemble);
        let own = |diary: &Diary| {
            let (data, stat) = &tree[&own_path(diary.client)];
            (stat.version, String::from_utf8_lossy(data).into_owned())
        };
        let children = tree.keys().filter_map(|path| path.strip_prefix("/sequence/").map(str::to_owned));
        let held = Held { own: self.diaries.iter().map(own).collect(), children: children.collect() };
        let found = judge(&self.diaries, &held);
        assert!(
            found.is_empty(),
            "{} violations, the first: {:#?}",
            found.len(),
            &found[..found.len().min(10)]
        );
        assert!(self.acked() > 0, "nothing was acknowledged");
        tree
    }
}

/// Has clients write while `chaos` does what it does; an answer may take `limit`.
pub(crate) fn under_load(
    ensemble: &mut Ensemble,
    seed: u64,
    limit: Duration,
    chaos: impl FnOnce(&mut Ensemble, &Progress, &mut StdRng),
) -> Told {
    let leader = ensemble.await_leader();
    load_by(leader, ensemble, seed, limit, chaos)
}

/// The same of any ensemble that has a member which serves, or a server that is to become one.
pub(crate) fn load_by(
    serving: Id,
    ensemble: &mut Ensemble,
    seed: u64,
    limit: Duration,
    chaos: impl FnOnce(&mut Ensemble, &Progress, &mut StdRng),
) -> Told {
    let mut first = client(ensemble, serving);
    let paths = (0..CLIENTS).map(own_path).chain(["/sequence".to_owned()]);
    paths.for_each(|path| drop(first.create(&path, b"", CreateMode::Persistent).unwrap()));
    first.close().unwrap();
    let (progress, to) = (Progress::new(), ensemble.client_addresses());
    let diaries = std::thread::scope(|scope| {
        let stops = StopsAll(&progress.stop);
        let start = |nth: usize| {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(1 + nth as u64));
            let diary = Diary { client: nth, ..Diary::default() };
            let (to, progress) = (&to, &progress);
            scope.spawn(move || Writer { to, progress, limit, rng, diary, session: None, last_zxid: 0 }.run())
        };
        let running: Vec<_> = (0..CLIENTS).map(start).collect();
        chaos(ensemble, &progress, &mut StdRng::seed_from_u64(seed));
        drop(stops);
        running.into_iter().map(|client| client.join().expect("a client's own assertions hold")).collect()
    });
    Told { diaries, silences: progress.silences.into_inner() }
}

fn own_path(client: usize) -> String {
    format!("/own-{client}")
}

/// One client.
struct Writer<'a> {
    to: &'a [SocketAddr],
    progress: &'a Progress,
    limit: Duration,
    rng: StdRng,
    diary: Diary,
    session: Option<Session>,
    last_zxid: i64,
}

impl Writer<'_> {
    fn run(mut self) -> Diary {
        let _ends_the_test = OnPanic(&self.progress.stop);
        while let Some(mut connection) = self.attach() {
            while !self.is_over() {
                if let Err(error) = self.turn(&mut connection) {
                    self.note(&error);
                    break;
                }
                std::thread::sleep(PACE);
            }
            self.last_zxid = self.last_zxid.max(connection.last_zxid());
            connection.hang_up();
        }
        self.diary
    }

    fn is_over(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// Only an end of the connection may be; a silence is counted.
    fn note(&self, error: &ClientError) {
        let (client, n) = (self.diary.client, self.diary.next());
        assert!(error.is_disconnect(), "client {client}, before operation {n}: {error}");
        self.progress.silences.fetch_add(u64::from(error.is_silence()), Ordering::Relaxed);
    }

    /// Connects to members at random until one serves, and begins a chapter; `None` at the end of the load.
    fn attach(&mut self) -> Option<RawClient> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_over() {
            match self.try_to_attach() {
                Ok(connection) => return Some(connection),
                Err(error) => self.note(&error),
            }
            assert!(Instant::now() < deadline, "nobody serves client {}", self.diary.client);
            std::thread::sleep(LOOK_EVERY);
        }
        None
    }

    fn try_to_attach(&mut self) -> Result<RawClient, ClientError> {
        let to = self.to[self.rng.random_range(0..self.to.len())];
        let (session, last_zxid_seen, answer_limit) = (self.session.clone(), self.last_zxid, self.limit);
        let handshake = Handshake { session, last_zxid_seen, answer_limit, ..Handshake::default() };
        let mut connection = RawClient::connect_with(to, &handshake)?;
        if let Some(session) = &self.session {
            assert_eq!(connection.session().id, session.id, "client {} has its session", self.diary.client);
        }
        self.session = Some(connection.session().clone());
        let path = own_path(self.diary.client);
        connection.sync(&path)?;
        let (data, stat) = connection.get(&path)?;
        let (first, data) = (self.diary.next(), String::from_utf8_lossy(&data).into_owned());
        self.diary.chapters.push(Chapter { first, sent: 0, acked: 0, version: stat.version, data });
        self.last_zxid = self.last_zxid.max(connection.last_zxid());
        Ok(connection)
    }

    /// Sends operations and takes all answers.
    fn turn(&mut self, connection: &mut RawClient) -> Result<(), ClientError> {
        let client = self.diary.client;
        let next = self.diary.next();
        for n in next..next + AT_ONCE {
            let data = n.to_string();
            if is_set(n) {
                connection.queue_set(&own_path(client), data.as_bytes(), -1);
            } else {
                let path = format!("/sequence/{}", prefix(client, n));
                connection.queue_create(&path, data.as_bytes(), CreateMode::PersistentSequential);
            }
        }
        self.chapter().sent += AT_ONCE; // whatever part of them leaves
        let sent = self.progress.since_begin(Instant::now());
        connection.flush()?;
        for n in next..next + AT_ONCE {
            self.take(n, connection.reply()?)?;
            self.progress.on_ack(sent);
        }
        Ok(())
    }

    fn chapter(&mut self) -> &mut Chapter {
        self.diary.chapters.last_mut().expect("a connection begins one")
    }

    /// Notes the acknowledgement of operation `n`, which must say what it must.
    fn take(&mut self, n: u64, reply: Reply) -> Result<(), ClientError> {
        let (client, zxid) = (self.diary.client, reply.header.zxid);
        let mut body = reply.ok()?;
        assert!(zxid > self.last_zxid, "client {client}: zxid {zxid:#x} after {:#x}", self.last_zxid);
        self.last_zxid = zxid;
        let chapter = self.chapter();
        chapter.acked += 1;
        if is_set(n) {
            let expected = i64::from(chapter.version) + sets(chapter.first, n + 1) as i64;
            let version = Stat::read(&mut body)?.version;
            assert_eq!(i64::from(version), expected, "client {client}: the version that operation {n} made");
        } else {
            let path = ByteString::read(&mut body)?;
            let name = path.strip_prefix("/sequence/").expect("a path below the parent's").to_owned();
            self.diary.names.insert(n, name);
        }
        Ok(())
    }
}

/// Sets the flag if its holder panics: whoever waits for it then fails at once.
struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
    }
}
