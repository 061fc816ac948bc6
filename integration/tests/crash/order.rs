//! What order a client may rely on, on the threads of a real server: its clients on the core's arbiter, on
//! one beside it, and on four, while a crowd keeps all of them busy.
//!
//! - O1  A read sees the write that its session sent before it.
//! - O2  A read between two writes of its session sees the first and not the second.
//! - O3  A watch's event comes before anything that shows its change, an own write's reply included, and
//!   nothing with a higher zxid comes before it.
//! - O4  A sync's answer, and what is read behind it, shows what anyone was told of before it was sent.
//! - O5  A multi is there whole or not at all, and a reply's zxid says what it shows.
//! - O6  Once a session's new connection is attached, nothing of the old one takes effect.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::{Event, RawClient, Reply};
use paddock_messages::client::ops::{AddWatch, PathOnly, PathWatch};
use paddock_messages::client::{OpCode, xid};
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::tempdir;

use crate::world::{config, seed};

/// How many arbiters clients have to themselves; 0 is the core's.
const ARBITERS: [usize; 3] = [0, 1, 4];
/// Sessions that do nothing but keep the server busy.
const CROWD: usize = 6;
/// Sessions that look, in each test: as many as there can be arbiters.
const LOOKING: usize = 4;

/// Never reached when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `rule` against a server of each kind, [`LOOKING`] times at once, by session and seed, with
/// `beside` at its side until all are done.
pub(crate) fn on_each(
    name: &str,
    beside: impl Fn(SocketAddr, &AtomicBool) + Sync,
    rule: impl Fn(SocketAddr, usize, StdRng) + Sync,
) {
    let seed = seed(name);
    for arbiters in ARBITERS {
        let dir = tempdir().expect("the temporary directory is writable");
        let set = format!("client_arbiters={arbiters}");
        let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), ""));
        let server = launch.args(["--set", &set]).serve().expect("it serves");
        let to = server.address();
        let mut first = RawClient::connect(to).expect("it serves");
        for path in ["/crowd", "/a", "/b", "/w"] {
            first.create(path, b"", CreateMode::Persistent).expect("a write");
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stops = StopsAll(&stop);
            (0..CROWD).for_each(|nth| {
                drop(scope.spawn({
                    let stop = &stop;
                    move || crowd(to, nth, stop)
                }));
            });
            scope.spawn(|| beside(to, &stop));
            let looking: Vec<_> = (0..LOOKING)
                .map(|nth| {
                    let rng = StdRng::seed_from_u64(seed ^ (nth as u64) << 8 ^ arbiters as u64);
                    let rule = &rule;
                    scope.spawn(move || rule(to, nth, rng))
                })
                .collect();
            for one in looking {
                one.join().unwrap_or_else(|_| panic!("{name}: with {arbiters} client arbiters: see above"));
            }
        });
        let busy = busy_arbiters(&server);
        assert_eq!(busy, arbiters, "client arbiters that did anything");
    }
}

/// Nobody looks on.
pub(crate) fn alone(_: SocketAddr, _: &AtomicBool) {}

/// Sets the flag when dropped, by a panic too: whoever waits for it ends.
struct StopsAll<'a>(&'a AtomicBool);

impl Drop for StopsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Arbiters that only clients are on and that have run for some time.
fn busy_arbiters(server: &ServerProcess) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).expect("it runs");
    let is_busy = |task: std::path::PathBuf| {
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        let ran_ns = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
        read("comm").starts_with("clients-") && ran_ns.is_some_and(|ns| ns > 1_000_000)
    };
    tasks.filter(|task| task.as_ref().is_ok_and(|task| is_busy(task.path()))).count()
}

/// Writes and reads, some in flight at any time.
fn crowd(to: SocketAddr, nth: usize, stop: &AtomicBool) {
    let mut client = RawClient::connect(to).expect("it serves");
    let path = format!("/crowd/{nth}");
    client.create(&path, b"", CreateMode::Ephemeral).expect("a write");
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..4 {
            client.queue_set(&path, b"busy", -1);
            client.queue(OpCode::GetData, &look(&path, false));
        }
        client.flush().expect("it serves");
        (0..8).for_each(|_| drop(client.reply().expect("it serves").ok().expect("nobody refuses")));
    }
}

pub(crate) fn look(path: &str, watch: bool) -> PathWatch {
    PathWatch { path: path.into(), watch }
}

/// The stat in an answer to getData.
pub(crate) fn stat_of(reply: Reply) -> Stat {
    let mut body = reply.ok().expect("the znode is there");
    Option::<Bytes>::read(&mut body).expect("data");
    Stat::read(&mut body).expect("a stat")
}

/// The next reply and the events before it. O3: an event's zxid is above all that came before it.
pub(crate) fn next(client: &mut RawClient) -> (Vec<Event>, Reply) {
    let mut last = client.last_zxid();
    let reply = client.reply().expect("the connection stays");
    let events: Vec<_> = client.events.drain(..).collect();
    for event in &events {
        assert!(event.zxid > last, "O3: the event of {:#x} comes after a reply of {last:#x}", event.zxid);
        last = event.zxid;
    }
    let zxid = reply.header.zxid;
    assert!(zxid >= last, "O3: a reply of {zxid:#x} after {last:#x}");
    (events, reply)
}

enum Asked {
    Write,
    Read,
}

/// Runs pipelines of writes and reads of one znode of its own, sent in drawn pieces: each read shows the
/// last write before it.
fn own_reads(to: SocketAddr, nth: usize, mut rng: StdRng, draw: impl Fn(&mut StdRng) -> Vec<Asked>) {
    let path = format!("/own-{nth}");
    let mut client = RawClient::connect(to).expect("it serves");
    client.create(&path, b"", CreateMode::Persistent).expect("a write");
    let (mut version, mut mzxid) = (0, client.last_zxid());
    for round in 0..150 {
        let asked = draw(&mut rng);
        for one in &asked {
            match one {
                Asked::Write => client.queue_set(&path, b"data", -1),
                Asked::Read => _ = client.queue(OpCode::GetData, &look(&path, false)),
            }
            if rng.random_bool(0.1) {
                client.flush().expect("it serves");
            }
        }
        client.flush().expect("it serves");
        for (at, one) in asked.iter().enumerate() {
            let (_, reply) = next(&mut client);
            match one {
                Asked::Write => (version, mzxid) = (version + 1, reply.header.zxid),
                Asked::Read => {
                    let stat = stat_of(reply);
                    let (seen, due) = ((stat.version, stat.mzxid), (version, mzxid));
                    assert_eq!(seen, due, "{path}, round {round}: request {at} sees another write");
                }
            }
        }
    }
}

#[test]
fn o1_a_read_sees_the_write_before_it() {
    let draw = |_: &mut StdRng| vec![Asked::Write, Asked::Read];
    on_each("read after write", alone, |to, nth, rng| own_reads(to, nth, rng, draw));
}

#[test]
fn o2_a_read_between_two_writes_sees_the_first_and_not_the_second() {
    let draw = |rng: &mut StdRng| {
        let between = |rng: &mut StdRng| match rng.random_range(0..5) {
            0..3 => Asked::Write,
            _ => Asked::Read,
        };
        (0..rng.random_range(3..24)).map(|_| between(rng)).chain([Asked::Read, Asked::Write]).collect()
    };
    on_each("read between writes", alone, |to, nth, rng| own_reads(to, nth, rng, draw));
}

/// Changes the watched znodes all the time, each by itself.
fn writes_to_watched(to: SocketAddr, stop: &AtomicBool) {
    let mut client = RawClient::connect(to).expect("it serves");
    (0..4).for_each(|n| drop(client.create(&watched(n), b"", CreateMode::Persistent).expect("a write")));
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n = (n + 3) % 4;
        client.set(&watched(n), b"changed", -1).expect("a write");
    }
}

fn watched(n: usize) -> String {
    format!("/w/{n}")
}

/// Waits until the writer has made all that is watched.
fn until_there(client: &mut RawClient) {
    while client.exists(&watched(3)).expect("it serves").is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn o3_an_event_comes_before_anything_that_shows_its_change() {
    on_each("watch before reply", writes_to_watched, |to, _, mut rng| {
        let mut client = RawClient::connect(to).expect("it serves");
        until_there(&mut client);
        // By path, the change after which the watch that is set was set.
        let mut armed = BTreeMap::<String, i64>::new();
        let (mut fired, deadline) = (0, Instant::now() + PATIENCE);
        while fired < 60 {
            assert!(Instant::now() < deadline, "only {fired} events");
            let asked: Vec<_> = (0..8).map(|_| (rng.random_range(0..5), rng.random_bool(0.5))).collect();
            for (n, watch) in &asked {
                match n {
                    4 => client.queue_raw(xid::PING, OpCode::Ping as i32, |_| {}),
                    n => _ = client.queue(OpCode::GetData, &look(&watched(*n), *watch)),
                }
            }
            client.flush().expect("it serves");
            for (n, watch) in asked {
                let (events, reply) = next(&mut client);
                for event in events {
                    let after = armed.remove(&*event.path).expect("O3: one event a watch");
                    assert!(event.zxid > after, "O3: {event:?} of a watch set after {after:#x}");
                    fired += 1;
                }
                if n == 4 {
                    continue;
                }
                let (path, mzxid) = (watched(n), stat_of(reply).mzxid);
                if let Some(after) = armed.get(&path) {
                    assert_eq!(mzxid, *after, "O3: {path} is shown to have changed, and no event came");
                }
                if watch {
                    armed.insert(path, mzxid);
                }
            }
        }
    });
}

#[test]
fn o3_a_recursive_watch_tells_every_change_before_it_shows() {
    on_each("recursive watch", writes_to_watched, |to, _, mut rng| {
        let mut client = RawClient::connect(to).expect("it serves");
        until_there(&mut client);
        let since = client.call(OpCode::AddWatch, &AddWatch { path: "/w".into(), mode: 1 });
        let since = since.expect("it serves").header.zxid;
        let mut told = BTreeMap::<String, i64>::new();
        let (mut events_seen, deadline) = (0, Instant::now() + PATIENCE);
        while events_seen < 100 {
            assert!(Instant::now() < deadline, "only {events_seen} events");
            let n = rng.random_range(0..4);
            client.queue(OpCode::GetData, &look(&watched(n), false));
            client.flush().expect("it serves");
            let (events, reply) = next(&mut client);
            events_seen += events.len();
            told.extend(events.into_iter().map(|event| (event.path.to_string(), event.zxid)));
            let mzxid = stat_of(reply).mzxid;
            if mzxid > since {
                assert_eq!(told.get(&watched(n)), Some(&mzxid), "O3: {} without its event", watched(n));
            }
        }
    });
}

#[test]
fn o3_the_event_of_an_own_write_comes_before_its_reply() {
    on_each("own watch", alone, |to, nth, mut rng| {
        let path = format!("/own-{nth}");
        let mut client = RawClient::connect(to).expect("it serves");
        client.create(&path, b"", CreateMode::Persistent).expect("a write");
        for round in 0..80 {
            let pairs = rng.random_range(1..12);
            for _ in 0..pairs {
                client.queue(OpCode::GetData, &look(&path, true));
                client.queue_set(&path, b"data", -1);
            }
            client.flush().expect("it serves");
            for at in 0..pairs {
                let (events, _) = next(&mut client);
                assert_eq!(events.len(), 0, "round {round}, read {at}: {events:?}");
                let (events, reply) = next(&mut client);
                let zxids: Vec<_> = events.iter().map(|event| event.zxid).collect();
                assert_eq!(zxids, [reply.header.zxid], "O3: round {round}, write {at}");
            }
        }
    });
}

#[test]
fn o4_what_is_read_behind_a_sync_shows_what_anyone_was_told() {
    let told = AtomicI64::new(0); // the last write's zxid, as its writer was told: the same for all servers
    let writes = |to: SocketAddr, stop: &AtomicBool| {
        let mut client = RawClient::connect(to).expect("it serves");
        while !stop.load(Ordering::Relaxed) {
            let stat = client.set("/a", b"told", -1).expect("a write");
            told.store(stat.mzxid, Ordering::SeqCst);
        }
        told.store(0, Ordering::SeqCst);
    };
    on_each("read after sync", writes, |to, nth, mut rng| {
        let own = format!("/own-{nth}");
        let mut client = RawClient::connect(to).expect("it serves");
        client.create(&own, b"", CreateMode::Persistent).expect("a write");
        let (mut seen, deadline) = (0, Instant::now() + PATIENCE);
        while seen < 150 {
            assert!(Instant::now() < deadline, "told of a write in {seen} rounds only");
            let (behind_a_write, before_a_write) = (rng.random_bool(0.3), rng.random_bool(0.3));
            let due = told.load(Ordering::SeqCst);
            if behind_a_write {
                client.queue_set(&own, b"", -1);
            }
            client.queue(OpCode::Sync, &PathOnly { path: "/a".into() });
            client.queue(OpCode::GetData, &look("/a", false));
            if before_a_write {
                client.queue_set(&own, b"", -1);
            }
            client.flush().expect("it serves");
            if behind_a_write {
                next(&mut client);
            }
            let synced = next(&mut client).1.header.zxid;
            let read = stat_of(next(&mut client).1).mzxid;
            assert!(synced >= due, "O4: a sync at {synced:#x}, told of {due:#x}");
            assert!(read >= due, "O4: {read:#x} behind a sync, told of {due:#x}");
            if before_a_write {
                next(&mut client);
            }
            seen += usize::from(due > 0);
        }
    });
}
