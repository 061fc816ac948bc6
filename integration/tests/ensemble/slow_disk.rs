//! A leader whose disk does not answer for a while, or at all, or always late: the others' disks are a quorum, or not.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Mode, Shape};
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_messages::znode::CreateMode;

use crate::full_disk::TWO_FILES;
use crate::trees;
use crate::world::{client, those};

/// Heartbeats of members that do nothing else may be late on a busy machine.
const PATIENT: &str = "peerTimeout=20000";

/// Three members of these ticks, with these further lines, each on a disk whose syncs can be held.
fn started(tick_ms: u32, lines: &str) -> (tempfile::TempDir, Ensemble, Vec<PowerCutFs>) {
    let dir = tempfile::tempdir().unwrap();
    let mut ensemble =
        Ensemble::shaped(dir.path(), Shape { tick_ms, lines: lines.to_owned(), ..Shape::default() });
    let mount = |id| {
        let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
        ensemble.put_on(id, disk.path());
        disk
    };
    let disks = (1..=3).map(mount).collect();
    ensemble.start_all();
    (dir, ensemble, disks)
}

/// How long one sync of the leader's takes.
const SYNC: Duration = Duration::from_secs(5);
/// For a sync that had begun before.
const UNDER_WAY: Duration = Duration::from_millis(200);
/// Between two writes: in all there are fewer than the leader may propose beyond what its own disk has.
const PACE: Duration = Duration::from_millis(10);
/// Twice what `syncLimit` comes to where it is a second, as it is counted.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// What a write may take meanwhile, on a busy machine.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_sync_of_5_s_on_the_leader_costs_no_election_and_holds_back_no_write_at_a_follower() {
    let (_dir, mut ensemble, disks) = started(2_000, "");
    let leader = ensemble.await_all_serving();
    let (epoch, follower) = (ensemble.epoch(leader), those(&ensemble, Mode::Follower)[0]);
    let [mut at_leader, mut writes] = [leader, follower].map(|id| client(&ensemble, id));
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    at_leader.sync("/a").unwrap();

    let disk = &disks[leader as usize - 1];
    disk.hold_syncs(true);
    std::thread::sleep(UNDER_WAY);
    let (began, synced, mut version) = (Instant::now(), disk.counters().syncs, 0);
    at_leader.queue_set("/a", b"", -1);
    at_leader.flush().unwrap();
    while began.elapsed() < SYNC {
        let sent = Instant::now();
        version = writes.set("/a", b"", -1).unwrap().version;
        assert!(sent.elapsed() < WRITTEN_WITHIN, "version {version} took {:?}", sent.elapsed());
        std::thread::sleep(PACE);
    }
    assert_eq!(disk.counters().syncs, synced, "the leader's disk has answered");
    disk.hold_syncs(false);
    // It answers with what its own disk has.
    at_leader.reply().unwrap().ok().unwrap();
    ensemble.await_line(leader, &["the disk answers again"]);
    assert_eq!((ensemble.await_all_serving(), ensemble.epoch(leader)), (leader, epoch));
    assert_eq!(trees::same(&ensemble)["/a"].1.version, version);
    println!("rounds: {version} writes during a sync of the leader's of {SYNC:?}");
}

/// P14: it has the longest log, and yet others lead until its disk answers.
#[test]
fn p14_a_leader_whose_disk_does_not_answer_for_sync_limit_hands_over() {
    let (_dir, mut ensemble, disks) = started(200, PATIENT);
    let leader = ensemble.await_all_serving();
    let mut writes = client(&ensemble, those(&ensemble, Mode::Follower)[0]);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let disk = &disks[leader as usize - 1];
    let held = Instant::now();
    disk.hold_syncs(true);
    writes.set("/a", b"the others have it", 0).unwrap();
    ensemble.await_line(leader, &["has answered no sync for syncLimit", "others can lead"]);
    let next = ensemble.wait_for("another leader", |ensemble| {
        ensemble.ids().into_iter().find(|id| *id != leader && ensemble.mode(*id) == Some(Mode::Leader))
    });
    let mut writes = client(&ensemble, next);
    assert_eq!(writes.set("/a", b"and more", 1).unwrap().version, 2);
    println!("rounds: a leader whose disk hung was followed by another's write after {:.1?}", held.elapsed());
    let epoch = ensemble.epoch(next);
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(ensemble.epoch(next), epoch, "nobody goes back to one whose log is yet to finish");
    disk.hold_syncs(false);
    assert_eq!((ensemble.await_all_serving(), ensemble.epoch(next)), (next, epoch));
    assert_eq!(ensemble.mode(leader), Some(Mode::Follower));
    assert_eq!(trees::same(&ensemble)["/a"].1.version, 2);
}

/// What a sync takes on a disk that answers, and does not keep up.
const LATE: Duration = Duration::from_millis(1_200);
/// Of ticks, so that `syncLimit` comes to some such syncs.
const LATE_TICK_MS: u32 = 400;

/// A disk that has synced nothing for so long is at rest.
const AT_REST: Duration = Duration::from_secs(1);

/// Waits until nobody asks anything of it: syncs that wait for each other would make it a silent one.
fn await_rest(ensemble: &mut Ensemble, disk: &PowerCutFs) {
    let (mut syncs, mut since) = (0, Instant::now());
    ensemble.wait_for("the disk to be at rest", |_| {
        let now = disk.counters().syncs;
        if now != syncs || disk.used() < TWO_FILES {
            (syncs, since) = (now, Instant::now());
        }
        (since.elapsed() >= AT_REST).then_some(())
    });
}

/// P14: it becomes a follower, whose disk holds nobody up.
#[test]
fn p14_a_leader_whose_disk_does_not_keep_up_for_sync_limit_hands_over() {
    let (_dir, mut ensemble, disks) = started(LATE_TICK_MS, PATIENT);
    let leader = ensemble.await_all_serving();
    let at = those(&ensemble, Mode::Follower)[0];
    let mut writes = client(&ensemble, at);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let disk = &disks[leader as usize - 1];
    await_rest(&mut ensemble, disk);
    disk.set_sync_delay(LATE);
    let (began, mut acked) = (Instant::now(), 0);
    let mut write_for = |ensemble: &Ensemble, time: Duration| {
        let until = Instant::now() + time;
        while Instant::now() < until {
            match writes.set("/a", b"", -1) {
                Ok(stat) => acked = stat.version,
                // Its own member may be the next to lead, or be without a leader for a moment.
                Err(error) if error.is_disconnect() => writes = client(ensemble, at),
                Err(error) => panic!("{error}"),
            }
            std::thread::sleep(PACE);
        }
    };
    while !ensemble.log(leader).contains("not kept up with a quorum of disks for syncLimit") {
        assert!(began.elapsed() < 3 * LONG_ENOUGH, "server {leader} leads on:\n{}", ensemble.log(leader));
        write_for(&ensemble, UNDER_WAY);
    }
    println!("rounds: a leader whose disk took {LATE:?} for a sync gave up after {:.1?}", began.elapsed());
    let next = ensemble.wait_for("another leader", |ensemble| {
        ensemble.ids().into_iter().find(|id| *id != leader && ensemble.mode(*id) == Some(Mode::Leader))
    });
    let epoch = ensemble.epoch(next);
    write_for(&ensemble, LONG_ENOUGH);
    assert_eq!(
        (ensemble.leader(), ensemble.epoch(next)),
        (Some(next), epoch),
        "the disks of the others keep up"
    );
    disk.set_sync_delay(Duration::ZERO);
    assert_eq!((ensemble.await_all_serving(), ensemble.epoch(next)), (next, epoch));
    let version = trees::same(&ensemble)["/a"].1.version;
    assert!(version >= acked, "{version}, and {acked} was acknowledged");
}

/// P14: without it the others are no quorum.
#[test]
fn p14_a_leader_keeps_the_lead_while_a_follower_s_disk_does_not_answer_either() {
    let (_dir, mut ensemble, disks) = started(200, PATIENT);
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let epoch = ensemble.epoch(leader);
    let mut writes = client(&ensemble, followers[1]);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let hang = [leader, followers[0]].map(|id| &disks[id as usize - 1]);
    hang.iter().for_each(|disk| disk.hold_syncs(true));
    writes.queue_set("/a", b"one disk of three has it", 0);
    writes.flush().unwrap();
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));
    assert!(!ensemble.log(leader).contains("others can lead"));
    hang.iter().for_each(|disk| disk.hold_syncs(false));
    assert_eq!((ensemble.await_all_serving(), ensemble.epoch(leader)), (leader, epoch));
    assert_eq!(trees::same(&ensemble)["/a"].1.version, 1);
}
