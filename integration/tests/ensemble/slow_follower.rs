//! A follower whose data lane takes far less than is written, while its votes and heartbeats come through: it costs
//! the leader a bounded amount of memory and nobody's writes, and is synchronised anew.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode, Shape};
use paddock_integration::network::Lane;
use paddock_integration::raw_client::RawClient;
use paddock_integration::relay::Route;
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, those};

const MIB: u64 = 1 << 20;
/// Of each write.
const DATA: &[u8] = &[7; 64 << 10];
/// Writes that a client sends at once; then it takes all answers.
const AT_ONCE: u64 = 16;
/// Half of them at the leader, half at the follower that keeps up.
const WRITERS: u64 = 4;
/// Writes of each client before: all that is kept of the newest txns is full by then.
const BEFORE: u64 = 256;
/// Writes of each client while one follower is slow.
const MEANWHILE: u64 = 2_048;

/// What the slow one's data lane takes, in bytes a second.
const RATE: u64 = 128 << 10;
/// A write may take so long meanwhile, on a busy machine.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
/// What may wait for one learner.
const QUEUE: u64 = 64 * MIB;
/// The same, and as much again: a batch that goes beyond it, what is under way to the other follower and to the disk,
/// and what the allocator keeps of all that.
const MOST_MORE: u64 = 2 * QUEUE;
/// What the system keeps of a connection, at most: at the leader and at the follower, each on either side of the relay.
const IN_SOCKETS: u64 = 2 * (4 + 32) * MIB;

/// Limits that a slow follower does not come to: what waits for it is what it is dropped for. And heartbeats may be late
/// on a busy machine.
const PATIENT: &str = "syncLimit=120\ninitLimit=120\npeerTimeout=3000";

/// One that sets a znode of its own, and knows how often it has.
struct Writer {
    client: RawClient,
    path: String,
    version: i32,
}

impl Writer {
    fn new(ensemble: &Ensemble, at: Id, nth: u64) -> Self {
        let (mut client, path) = (client(ensemble, at), format!("/slow-{nth}"));
        client.create(&path, b"", CreateMode::Persistent).unwrap();
        Self { client, path, version: 0 }
    }

    /// Each of so many writes is done once, or this panics. The longest that one has taken.
    fn write(&mut self, writes: u64) -> Duration {
        let round = || {
            let sent = Instant::now();
            (0..AT_ONCE as i32).for_each(|nth| self.client.queue_set(&self.path, DATA, self.version + nth));
            self.client.flush().unwrap();
            for _ in 0..AT_ONCE {
                self.client.reply().unwrap().ok().unwrap_or_else(|error| panic!("{}: {error}", self.path));
                self.version += 1;
            }
            sent.elapsed() // the last has taken the longest
        };
        std::iter::repeat_with(round).take((writes / AT_ONCE) as usize).max().expect("some are asked for")
    }
}

/// All of them at once. How long that has taken, and the slowest write of it.
fn write(writers: &mut [Writer], each: u64) -> (Duration, Duration) {
    let began = Instant::now();
    let slowest = std::thread::scope(|scope| {
        let writing: Vec<_> =
            writers.iter_mut().map(|writer| scope.spawn(move || writer.write(each))).collect();
        writing.into_iter().map(|writer| writer.join().unwrap()).max()
    });
    (began.elapsed(), slowest.expect("there are some"))
}

/// Of a member's process, in bytes: `VmRSS`, which is now, or `VmHWM`, which was the most.
fn memory(ensemble: &Ensemble, id: Id, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", ensemble.pid(id))).unwrap();
    let kib =
        status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')?.strip_suffix(" kB"));
    kib.expect("it runs").trim().parse::<u64>().unwrap() << 10
}

fn mib_a_second(each: u64, took: Duration) -> f64 {
    (WRITERS * each * DATA.len() as u64) as f64 / MIB as f64 / took.as_secs_f64()
}

#[test]
fn a_follower_that_takes_too_little_is_dropped_at_a_bound_of_memory_and_holds_no_write_back() {
    // Were all that waits for it kept, it would be seen.
    const { assert!(WRITERS * MEANWHILE * DATA.len() as u64 > MOST_MORE + IN_SOCKETS) };
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { lines: PATIENT.to_owned(), ..Shape::default() };
    let mut ensemble = Ensemble::relayed(dir.path(), shape);
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    let (slow, quick) = (those(&ensemble, Mode::Follower)[0], those(&ensemble, Mode::Follower)[1]);
    let epoch = ensemble.epoch(leader);
    let at = [leader, quick].into_iter().cycle();
    let mut writers: Vec<_> = at.zip(0..WRITERS).map(|(at, nth)| Writer::new(&ensemble, at, nth)).collect();
    let before = write(&mut writers, BEFORE);
    client(&ensemble, slow).sync("/").unwrap();

    let (had, told) = (memory(&ensemble, leader, "VmRSS"), ensemble.log(leader).len());
    let more = |ensemble: &Ensemble| memory(ensemble, leader, "VmHWM").saturating_sub(had);
    let bounded = |ensemble: &Ensemble, slowest: Duration| {
        assert!(slowest < WRITTEN_WITHIN, "a write took {slowest:?}");
        let more = more(ensemble);
        assert!(more < MOST_MORE, "the leader had {had} bytes, and {more} more for a slow follower");
    };
    let data = Route { from: slow, to: leader, lane: Lane::Quorum };
    ensemble.relay().throttle(data, Some(RATE));
    let meanwhile = write(&mut writers, MEANWHILE);
    let log = ensemble.log(leader)[told..].to_owned();
    let dropped =
        format!("with server {slow} is down: the peer takes too little: dropped to be synchronised anew");
    println!(
        "rounds: {:.0} MiB/s of writes, and {:.0} with a slow follower, dropped {} times, the slowest write {:.1?} and \
         {:.1?}; the leader had {} MiB and at most {} more",
        mib_a_second(BEFORE, before.0),
        mib_a_second(MEANWHILE, meanwhile.0),
        log.matches(&dropped).count(),
        before.1,
        meanwhile.1,
        had / MIB,
        more(&ensemble) / MIB,
    );
    bounded(&ensemble, meanwhile.1);
    assert!(log.contains(&dropped), "{log}");

    // It is synchronised anew while it is as slow, which costs no more.
    ensemble.wait_for("its next lane", |ensemble| {
        ensemble.log(leader)[told..].contains(&format!("with server {slow} is up")).then_some(())
    });
    let (_, slowest) = write(&mut writers, MEANWHILE / 2);
    bounded(&ensemble, slowest);
    let log = ensemble.log(leader)[told..].to_owned();
    assert!(!log.contains("a learner is dropped"), "something else was noticed first: {log}");
    assert!(!log.contains("ctl lane"), "its heartbeats were to come through: {log}");
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));

    println!("rounds: at most {} MiB more while it is synchronised anew", more(&ensemble) / MIB);
    ensemble.relay().throttle(data, None);
    let at = ensemble.client_address(slow);
    let last = &writers[0];
    ensemble.wait_for("all that was written, at the one that was slow", |_| {
        let mut reads = RawClient::connect(at).ok()?;
        reads.sync(&last.path).ok()?;
        (reads.get(&last.path).ok()?.1.version == last.version).then_some(())
    });
    assert_eq!((ensemble.await_all_serving(), ensemble.epoch(leader)), (leader, epoch));
    let tree = trees::same(&ensemble);
    for Writer { path, version, .. } in &writers {
        assert_eq!(tree[path].1.version, *version, "{path}: each write that was acknowledged");
    }
}
