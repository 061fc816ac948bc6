//! Containers and znodes with a TTL fall due on Apache's server and on ours: the same ones, in the same
//! order, with the same events and stats. Zxids are compared by their order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_integration::java_server::JavaServer;
use paddock_integration::process::Launch;
use paddock_integration::raw_client::{ClientError, Event, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{AddWatch, Create, CreateTtl};
use paddock_messages::znode::{Acl, AclEntry, CreateMode, Stat};

/// Both servers look for what is due so often.
const EVERY_MS: &str = "100";
/// Long enough for a pipelined child to be there before its parent falls due.
const TTL_MS: i64 = 300;
/// What outlives this was looked at several times.
const CLOCK_MS: i64 = 1_000;
/// Far above what any server needs; then the test says what is missing.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The clients of one server, and what those that watch saw.
struct Story {
    server: SocketAddr,
    actor: RawClient,
    /// Has a persistent recursive watch on everything.
    watcher: RawClient,
    /// Has a persistent watch on the parent of everything.
    parents: RawClient,
    lines: Vec<(i64, String)>,
}

impl Story {
    fn begin(server: SocketAddr) -> Result<Self, ClientError> {
        let mut actor = RawClient::connect(server)?;
        actor.create("/p", b"", CreateMode::Persistent)?;
        let (mut watcher, mut parents) = (RawClient::connect(server)?, RawClient::connect(server)?);
        watcher.call(OpCode::AddWatch, &AddWatch { path: "/p".into(), mode: 1 })?.ok()?;
        parents.call(OpCode::AddWatch, &AddWatch { path: "/p".into(), mode: 0 })?.ok()?;
        Ok(Self { server, actor, watcher, parents, lines: Vec::new() })
    }

    fn create(path: &str, mode: CreateMode) -> Create {
        let acl = Acl::open().iter().map(AclEntry::from).collect();
        Create { path: path.into(), data: Some(Bytes::new()), acl: Some(acl), flags: mode as i32 }
    }

    fn queue_container(&mut self, path: &str) {
        self.actor.queue(OpCode::CreateContainer, &Self::create(path, CreateMode::Container));
    }

    fn queue_ttl(&mut self, path: &str, mode: CreateMode, ttl: i64) {
        self.actor.queue(OpCode::CreateTtl, &CreateTtl { create: Self::create(path, mode), ttl });
    }

    /// Sends what is queued as one write: nothing falls due in between.
    fn send(&mut self) -> Result<(), ClientError> {
        self.actor.flush()?;
        while self.actor.in_flight() > 0 {
            self.actor.reply()?.ok()?;
        }
        Ok(())
    }

    /// Writes down what both watches saw, once `path` is gone.
    fn until_gone(&mut self, path: &str) -> Result<(), ClientError> {
        let began = Instant::now();
        let deleted = |event: &Event| event.kind == 2 && event.path == path;
        while !self.watcher.events.iter().any(deleted) {
            assert!(began.elapsed() < PATIENCE, "{path} was not reaped; seen: {:?}", self.lines);
            thread::sleep(LOOK_EVERY);
            self.watcher.ping()?;
        }
        self.parents.sync("/")?; // behind all that the watcher has seen
        for (who, client) in [("all", &mut self.watcher), ("parent", &mut self.parents)] {
            for Event { zxid, kind, path } in client.events.drain(..) {
                self.lines.push((zxid, format!("{who}: event {kind} {path}")));
            }
        }
        Ok(())
    }

    fn stat(&mut self, path: &str) -> Result<(), ClientError> {
        match self.actor.exists(path)? {
            None => self.lines.push((-1, format!("{path}: gone"))),
            Some(Stat {
                version, cversion, aversion, num_children, ephemeral_owner, czxid, pzxid, ..
            }) => {
                let line =
                    format!("{path}: {version} {cversion} {aversion} {num_children} {ephemeral_owner:#x}");
                self.lines.push((czxid, line));
                self.lines.push((pzxid, format!("{path}: pzxid")));
            }
        }
        Ok(())
    }

    /// The lines, each zxid by its place among all of them.
    fn end(self) -> Vec<String> {
        let zxids: BTreeSet<i64> = self.lines.iter().map(|(zxid, _)| *zxid).collect();
        let place = |zxid: i64| zxids.range(..zxid).count();
        self.lines.iter().map(|(zxid, line)| format!("{line} #{}", place(*zxid))).collect()
    }
}

fn containers(server: SocketAddr) -> Result<Vec<String>, ClientError> {
    let mut story = Story::begin(server)?;
    // One that loses its only child; one inside another; one that was never used.
    story.queue_container("/p/unused");
    for path in ["/p/c", "/p/nest", "/p/nest/inner"] {
        story.queue_container(path);
    }
    for path in ["/p/c/x", "/p/nest/inner/x"] {
        story.actor.queue_create(path, b"", CreateMode::Persistent);
    }
    story.send()?;
    for (child, last) in [("/p/c/x", "/p/c"), ("/p/nest/inner/x", "/p/nest")] {
        story.actor.delete(child, -1)?;
        story.until_gone(last)?;
    }
    // One whose last child goes with its session.
    story.queue_container("/p/held");
    story.send()?;
    let mut holder = RawClient::connect(story.server)?;
    holder.create("/p/held/by", b"", CreateMode::Ephemeral)?;
    holder.close()?;
    story.until_gone("/p/held")?;
    for path in ["/p", "/p/unused"] {
        story.stat(path)?;
    }
    Ok(story.end())
}

fn ttls(server: SocketAddr) -> Result<Vec<String>, ClientError> {
    let mut story = Story::begin(server)?;
    story.queue_ttl("/p/t", CreateMode::PersistentWithTtl, TTL_MS);
    story.send()?;
    story.until_gone("/p/t")?;
    story.queue_ttl("/p/s-", CreateMode::PersistentSequentialWithTtl, TTL_MS);
    story.send()?;
    story.until_gone("/p/s-0000000001")?;
    // One with a child is kept for as long as it has it, and then not for its TTL again.
    story.queue_ttl("/p/parent", CreateMode::PersistentWithTtl, TTL_MS);
    story.actor.queue_create("/p/parent/x", b"", CreateMode::Persistent);
    story.queue_ttl("/p/clock", CreateMode::PersistentWithTtl, CLOCK_MS);
    story.send()?;
    story.until_gone("/p/clock")?;
    story.stat("/p/parent")?;
    story.actor.delete("/p/parent/x", -1)?;
    story.until_gone("/p/parent")?;
    story.stat("/p")?;
    story.stat("/p/parent")?;
    Ok(story.end())
}

fn never_used(server: SocketAddr) -> Result<Vec<String>, ClientError> {
    let mut story = Story::begin(server)?;
    story.queue_container("/p/unused");
    story.send()?;
    story.until_gone("/p/unused")?;
    story.queue_container("/p/used");
    story.actor.queue_create("/p/used/x", b"", CreateMode::Persistent);
    story.queue_ttl("/p/clock", CreateMode::PersistentWithTtl, CLOCK_MS);
    story.send()?;
    story.until_gone("/p/clock")?;
    story.stat("/p/used")?;
    story.stat("/p")?;
    Ok(story.end())
}

/// Tells `story` to Apache's server and to ours; `keys` are zoo.cfg's, which Java takes as properties.
fn compare(keys: &[(&str, &str)], story: fn(SocketAddr) -> Result<Vec<String>, ClientError>) -> Outcome {
    let keys: Vec<(&str, &str)> =
        [("znode.container.checkIntervalMs", EVERY_MS)].into_iter().chain(keys.iter().copied()).collect();
    let flags: Vec<String> = keys.iter().map(|(key, value)| format!("-D{key}={value}")).collect();
    let java = JavaServer::start(&[], &flags.iter().map(String::as_str).collect::<Vec<_>>())?;
    let theirs = story(java.address())?;
    drop(java);

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("zoo.cfg");
    let lines: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    std::fs::write(&file, lines.concat() + "extendedTypesEnabled=true\nforceSync=no\n")?;
    let paddock = Launch::new(folder.path().join("data")).file(file).serve()?;
    assert_eq!(story(paddock.address())?, theirs, "left: ours, right: Apache's");
    assert!(theirs.len() > 5, "{theirs:?}");
    Ok(())
}

#[test]
fn containers_fall_due_as_on_apaches_server() -> Outcome {
    compare(&[], containers)
}

#[test]
fn ttls_fall_due_as_on_apaches_server() -> Outcome {
    compare(&[], ttls)
}

#[test]
fn never_used_containers_fall_due_as_on_apaches_server() -> Outcome {
    compare(&[("znode.container.maxNeverUsedIntervalMs", "300")], never_used)
}
