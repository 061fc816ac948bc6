//! Members of which one has a full disk, a real one: the others go on, and it comes back by itself.

use std::time::Instant;

use paddock_integration::ensemble::{Ensemble, Id, Mode, PATIENCE};
use paddock_integration::loop_disk::LoopDisk;
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, those, waiting};

/// Room for all that is written here, twice: a batch that does not fit the rest of a file of the log, of 16 MiB, begins
/// the next, so one that is sent much at once takes more of them; and nothing is purged.
const DISK_MIB: u64 = 320;
/// Of one write.
const BYTES: usize = 64 << 10;
/// More writes than the space takes that is reserved in advance.
const MANY: i32 = 1_500;

/// A disk for each of three, which serve.
fn on_disks() -> (tempfile::TempDir, Ensemble, Vec<LoopDisk>) {
    // No snapshot meanwhile: purging would make room.
    let (dir, mut ensemble) = waiting(3, 0, "snapCount=1000000");
    let mount = |id: Id| {
        let disk = LoopDisk::mount(DISK_MIB).expect("mounting needs root and a free loop device");
        ensemble.put_on(id, disk.path());
        disk
    };
    let disks = (1..=3).map(mount).collect();
    ensemble.start_all();
    ensemble.await_all_serving();
    (dir, ensemble, disks)
}

/// A client of any of these that serves.
fn any(ensemble: &Ensemble, ids: &[Id]) -> RawClient {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ids.iter().find_map(|id| RawClient::connect(ensemble.client_address(*id)).ok());
        if let Some(client) = found {
            return client;
        }
        assert!(Instant::now() < deadline, "none of {ids:?} serves");
    }
}

/// Sets `/a` until it has this version; connects anew to one of `ids` where it is turned away, and takes a write of
/// unknown fate for what its version says.
fn write_until(ensemble: &Ensemble, ids: &[Id], version: i32) {
    let data = [7; BYTES];
    let mut client = any(ensemble, ids);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.set("/a", &data, -1) {
            Ok(stat) if stat.version >= version => return,
            Ok(_) => {}
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) => {
                panic!("a quorum has room, and writes are refused")
            }
            Err(_) => client = any(ensemble, ids),
        }
        assert!(Instant::now() < deadline, "{version} writes take too long");
    }
}

#[test]
fn l8_a_follower_with_a_full_disk_leaves_and_comes_back_by_itself() {
    let (_dir, mut ensemble, disks) = on_disks();
    let leader = ensemble.await_leader();
    let full = those(&ensemble, Mode::Follower)[0];
    let epoch = ensemble.epoch(leader);
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    disks[full as usize - 1].fill().unwrap();
    let others: Vec<Id> = ensemble.ids().into_iter().filter(|id| *id != full).collect();
    write_until(&ensemble, &others, MANY);
    ensemble.await_line(full, &["disk full", "follows no leader"]);
    ensemble.await_silence_of(full);
    assert_eq!(
        (ensemble.leader(), ensemble.epoch(leader)),
        (Some(leader), epoch),
        "nobody else was disturbed"
    );

    disks[full as usize - 1].free().unwrap();
    ensemble.await_all_serving();
    ensemble.await_line(full, &["the disk has room again"]);
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));
    trees::same(&ensemble);
}

#[test]
fn a_leader_with_a_full_disk_gives_the_lead_up_to_those_that_have_room() {
    let (_dir, mut ensemble, disks) = on_disks();
    let full = ensemble.await_leader();
    client(&ensemble, full).create("/a", b"", CreateMode::Persistent).unwrap();
    disks[full as usize - 1].fill().unwrap();
    let all = ensemble.ids();
    write_until(&ensemble, &all, MANY);
    ensemble.await_line(full, &["the disk is full, and others can lead"]);
    let next = ensemble.await_leader();
    assert_ne!(next, full);
    ensemble.await_silence_of(full);
    let epoch = ensemble.epoch(next);

    disks[full as usize - 1].free().unwrap();
    ensemble.await_all_serving();
    assert_eq!((ensemble.leader(), ensemble.epoch(next)), (Some(next), epoch), "it comes back as a follower");
    trees::same(&ensemble);
}

/// Without the third, a leader that gave up would leave nobody: it refuses writes, and reads go on.
#[test]
fn a_leader_with_a_full_disk_that_the_others_need_refuses_writes() {
    let (_dir, mut ensemble, disks) = on_disks();
    let full = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    let mut writes = client(&ensemble, followers[0]);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    ensemble.kill(followers[1]);
    disks[full as usize - 1].fill().unwrap();
    let data = [7; BYTES];
    let refused = (0..MANY).find_map(|_| writes.set("/a", &data, -1).err()).expect("the disk is full");
    assert!(matches!(refused, ClientError::Refused(ErrorCode::NotReadOnly)), "{refused}");
    let (_, stat) = writes.get("/a").expect("reads go on");
    assert_eq!(ensemble.leader(), Some(full));

    // The third comes back: those two are a quorum that has room.
    ensemble.start(followers[1]);
    write_until(&ensemble, &followers, stat.version + 10);
    let next = ensemble.await_leader();
    assert_ne!(next, full);
    disks[full as usize - 1].free().unwrap();
    ensemble.await_all_serving();
    trees::same(&ensemble);
}

/// The followers leave, so that nobody is served; or the leader is the first to notice, and refuses writes. Either way all goes on by
/// itself once there is room, with all that was acknowledged.
#[test]
fn disks_that_fill_on_all_members_stop_writes_until_there_is_room_and_lose_none() {
    let (_dir, mut ensemble, disks) = on_disks();
    let leader = ensemble.await_leader();
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    disks.iter().for_each(|disk| disk.fill().unwrap());
    let data = [7; BYTES];
    let acked =
        (0..MANY).map_while(|_| writes.set("/a", &data, -1).ok()).last().map_or(0, |stat| stat.version);
    assert!(acked + 1 < MANY, "no disk has room");
    let all = ensemble.ids();
    ensemble.wait_for("a line that names the disk", |ensemble| {
        all.iter().any(|id| ensemble.log(*id).contains("disk full: ")).then_some(())
    });
    for id in &all {
        let is_out = ensemble.log(*id).contains("disk full: this member follows no leader");
        let told = |ensemble: &mut Ensemble| {
            ensemble.srvr(*id).filter(|it| it.contains("waiting for: room on this server's disk"))
        };
        if is_out {
            ensemble.wait_for("its reason", told);
        }
    }

    disks.iter().for_each(|disk| disk.free().unwrap());
    ensemble.await_all_serving();
    write_until(&ensemble, &all, acked + 10);
    trees::same(&ensemble);
}
