//! A leader whose disk does not answer for a while: the others' disks are a quorum.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Mode, Shape};
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, those};

/// How long one sync of the leader's takes.
const SYNC: Duration = Duration::from_secs(5);
/// For a sync that had begun before.
const UNDER_WAY: Duration = Duration::from_millis(200);
/// Between two writes: in all there are fewer than the leader may propose beyond what its own disk has.
const PACE: Duration = Duration::from_millis(10);
/// What a write may take meanwhile, on a busy machine.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_sync_of_5_s_on_the_leader_costs_no_election_and_holds_back_no_write_at_a_follower() {
    let dir = tempfile::tempdir().unwrap();
    let mut ensemble = Ensemble::shaped(dir.path(), Shape { tick_ms: 2_000, ..Shape::default() });
    let mount = |id| {
        let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
        ensemble.put_on(id, disk.path());
        disk
    };
    let disks: Vec<_> = (1..=3).map(mount).collect();
    ensemble.start_all();
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
