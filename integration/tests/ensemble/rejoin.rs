//! A member that returns is brought to what the others hold: by what it has missed, by all there is, or by
//! taking from it what was never committed.

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, serving, those};

/// The ways in which a member has been synchronised since its last start, as its log says.
fn ways(ensemble: &Ensemble, id: Id) -> Vec<String> {
    let log = ensemble.log(id);
    let told = log.lines().filter_map(|line| line.split("synchronisation: ").nth(1));
    told.filter_map(|rest| rest.split(|c: char| !c.is_ascii_uppercase()).next().map(str::to_owned)).collect()
}

/// It serves, leads nobody, and was synchronised in this way.
fn came_by(ensemble: &mut Ensemble, id: Id, way: &str) {
    ensemble.await_all_serving();
    ensemble.await_line(id, &["synchronisation: "]);
    assert_eq!(ways(ensemble, id), [way], "member {id}");
    assert_ne!(ensemble.mode(id), Some(Mode::Leader), "member {id}");
}

/// Sets this znode so many times through this member, many in flight.
fn write(ensemble: &Ensemble, id: Id, path: &str, times: usize) {
    write_data(ensemble, id, path, times, &[7; 100]);
}

fn write_data(ensemble: &Ensemble, id: Id, path: &str, times: usize, data: &[u8]) {
    let mut client = client(ensemble, id);
    if client.exists(path).unwrap().is_none() {
        client.create(path, b"", CreateMode::Persistent).unwrap();
    }
    for _ in 0..times.div_ceil(100) {
        (0..100).for_each(|_| client.queue_set(path, data, -1));
        client.flush().unwrap();
        (0..100).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
    }
    client.close().unwrap();
}

#[test]
fn a_follower_that_missed_little_is_sent_what_it_missed() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    write(&ensemble, leader, "/before", 100);
    for id in [those(&ensemble, Mode::Follower)[0], 4] {
        ensemble.kill(id);
        write(&ensemble, leader, "/missed", 100);
        ensemble.start(id);
        came_by(&mut ensemble, id, "DIFF");
        let tree = trees::same(&ensemble);
        assert_eq!(trees::of(&ensemble, id), tree);
        write(&ensemble, id, "/after", 100);
    }
    let tree = trees::same(&ensemble);
    assert_eq!(tree["/missed"].1.version, 200);
    assert_eq!(tree["/after"].1.version, 200);
}

/// Has a voter delete the beginning of its log: it does so a moment after it starts, if there is enough by then.
fn have_purged(ensemble: &mut Ensemble, id: Id) {
    let has = |log: String| {
        let mut purged = log.lines().filter(|line| line.contains("purged: older files deleted"));
        purged.any(|line| !line.contains("segments=0"))
    };
    if !has(ensemble.every_log(id)) {
        ensemble.stop(id);
        ensemble.start(id);
        ensemble.wait_for("a purge", |ensemble| has(ensemble.every_log(id)).then_some(()));
    }
    ensemble.await_all_serving();
}

/// Writes of 64 KiB that fill more than four files of the log.
const MANY: usize = 1_200;

#[test]
fn members_that_are_empty_or_too_far_behind_are_sent_a_snapshot() {
    let (_dir, mut ensemble) =
        serving(3, 1, "snapCount=100\nautopurge.snapRetainCount=3\nautopurge.purgeInterval=1");
    let leader = ensemble.await_leader();
    write(&ensemble, leader, "/before", 300);
    let empty = those(&ensemble, Mode::Follower)[0];
    let stale = those(&ensemble, Mode::Observer)[0];
    ensemble.kill(empty);
    ensemble.wipe(empty);
    ensemble.kill(stale);
    // Several files of the log, all but the last older than every snapshot that is kept.
    write_data(&ensemble, leader, "/missed", MANY, &[7; 64 << 10]);
    for id in ensemble.running() {
        have_purged(&mut ensemble, id);
    }
    for id in [empty, stale] {
        ensemble.start(id);
        came_by(&mut ensemble, id, "SNAP");
        write(&ensemble, id, "/after", 100);
    }
    let tree = trees::same(&ensemble);
    let versions = ["/before", "/missed", "/after"].map(|path| tree[path].1.version);
    assert_eq!(versions, [300, MANY as i32, 200]);

    // What came as a snapshot is on disk: it survives.
    ensemble.kill_all();
    ensemble.start_all();
    ensemble.await_all_serving();
    assert_eq!(trees::same(&ensemble), tree);
}

/// The most memory that a member has had since it was started, in bytes.
fn most_memory(ensemble: &Ensemble, id: Id) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", ensemble.pid(id))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it runs");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Writes of 64 KiB that come to 225 MiB of the log.
const LONG: usize = 3_600;

#[test]
fn z10_a_log_that_is_longer_than_memory_should_be_is_applied_as_it_comes() {
    let (_dir, mut ensemble) =
        serving(3, 0, "snapCount=100\nautopurge.purgeInterval=0\nsnapshotSizeFactor=0");
    let leader = ensemble.await_leader();
    let late = those(&ensemble, Mode::Follower)[0];
    ensemble.kill(late);
    write_data(&ensemble, leader, "/missed", LONG, &[7; 64 << 10]);
    ensemble.start(late);
    came_by(&mut ensemble, late, "DIFF");
    let most = most_memory(&ensemble, late);
    println!("a log of {} MiB took {} MiB of memory", (LONG << 16) >> 20, most >> 20);
    assert!(most < 120 << 20, "{most} bytes");
    assert_eq!(trees::same(&ensemble)["/missed"].1.version, LONG as i32);
}

#[test]
fn z10_a_member_is_spared_a_long_log_by_a_small_snapshot() {
    let (_dir, mut ensemble) = serving(3, 0, "snapCount=100\nautopurge.purgeInterval=0");
    let leader = ensemble.await_leader();
    let late = those(&ensemble, Mode::Follower)[0];
    for (bytes, way) in [(100, "DIFF"), (64 << 10, "SNAP")] {
        ensemble.kill(late);
        write_data(&ensemble, leader, "/missed", 400, &vec![7; bytes]);
        ensemble.start(late);
        came_by(&mut ensemble, late, way);
        write(&ensemble, late, "/after", 100);
    }
    assert_eq!(trees::same(&ensemble)["/after"].1.version, 200);
}

#[test]
fn what_only_a_dead_leader_had_is_taken_from_it_when_it_returns() {
    const LIMBO: usize = 20;
    let (_dir, mut ensemble) = serving(3, 0, "");
    let old = ensemble.await_leader();
    write(&ensemble, old, "/before", 100);
    let mut client = client(&ensemble, old);
    // Frozen, they read nothing that the leader sends, and it does not know yet; killed then, they never will.
    let followers = those(&ensemble, Mode::Follower);
    followers.iter().for_each(|id| ensemble.freeze(*id));
    for nth in 0..LIMBO {
        client.queue_create(&format!("/limbo-{nth}"), b"", CreateMode::Persistent);
    }
    client.flush().unwrap();
    let acked = (0..LIMBO).take_while(|_| client.reply().is_ok_and(|reply| reply.ok().is_ok())).count();
    assert_eq!(acked, 0, "acknowledged by one of three");
    // It has given up, and what it proposed before is in its log.
    ensemble.await_silence_of(old);
    followers.iter().for_each(|id| ensemble.kill(*id));
    ensemble.kill(old);

    followers.iter().for_each(|id| ensemble.start(*id));
    let new = ensemble.await_all_serving();
    write(&ensemble, new, "/since", 100);
    ensemble.start(old);
    came_by(&mut ensemble, old, "TRUNC");
    let tree = trees::same(&ensemble);
    let limbo: Vec<_> = tree.keys().filter(|path| path.starts_with("/limbo-")).collect();
    assert!(limbo.is_empty(), "nobody but the old leader can have had {limbo:?}");
    assert_eq!((tree["/before"].1.version, tree["/since"].1.version), (100, 100));
    write(&ensemble, old, "/since", 100);

    // It is gone from the old leader's disk, too, and does not come back.
    ensemble.kill_all();
    ensemble.start_all();
    ensemble.await_all_serving();
    let again = trees::same(&ensemble);
    assert_eq!((again.len(), again["/since"].1.version), (tree.len(), 200));
}
