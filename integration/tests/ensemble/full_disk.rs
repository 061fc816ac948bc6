//! Members of which one has a full disk, a real one: the others go on, and it comes back by itself.

use std::time::Instant;

use paddock_integration::ensemble::{Ensemble, Id, Mode, PATIENCE};
use paddock_integration::loop_disk::LoopDisk;
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::{CreateMode, Stat};

use crate::trees;
use crate::world::{client, those, waiting};

/// Room for all that is written here, twice: a batch that does not fit the rest of a file of the log, of 16 MiB, begins
/// the next, so one that is sent much at once takes more of them; and nothing is purged.
const DISK_MIB: u64 = 320;
/// Of one write.
const BYTES: usize = 64 << 10;
/// What the file that the log is in takes of a disk, and the one that is made in advance.
pub(crate) const TWO_FILES: u64 = 32 << 20;
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

/// What those were told who set `/a`, one write at a time.
#[derive(Default)]
struct Told {
    /// The newest version that was acknowledged.
    acked: i32,
    /// How many acknowledgements there were.
    acks: i32,
    /// Writes that may have happened: their answer was lost.
    unknown: i32,
}

impl Told {
    /// Notes one write's answer, and hands it on.
    fn note(&mut self, answer: Result<Stat, ClientError>) -> Result<Stat, ClientError> {
        match &answer {
            Ok(stat) => {
                assert!(stat.version > self.acked, "version {} after {}", stat.version, self.acked);
                (self.acked, self.acks) = (stat.version, self.acks + 1);
            }
            Err(error) => self.unknown += i32::from(error.is_disconnect()),
        }
        answer
    }

    /// Nobody has written since: all members hold what was acknowledged, once each, and beyond it no more than was sent.
    fn verify(&self, ensemble: &Ensemble) {
        let version = trees::same(ensemble)["/a"].1.version;
        let most = self.acks + self.unknown;
        assert!(
            (self.acked..=most).contains(&version),
            "version {version}, of which {} was acknowledged, and {most} writes can have happened",
            self.acked
        );
    }
}

/// Sets `/a` until it has this version; connects anew to one of `ids` where it is turned away.
fn write_until(ensemble: &Ensemble, ids: &[Id], version: i32, told: &mut Told) {
    let data = [7; BYTES];
    let mut client = any(ensemble, ids);
    let deadline = Instant::now() + PATIENCE;
    while told.acked < version {
        match told.note(client.set("/a", &data, -1)) {
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
    let mut told = Told::default();
    write_until(&ensemble, &others, MANY, &mut told);
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
    told.verify(&ensemble);
}

#[test]
fn a_leader_with_a_full_disk_gives_the_lead_up_to_those_that_have_room() {
    let (_dir, mut ensemble, disks) = on_disks();
    let full = ensemble.await_leader();
    client(&ensemble, full).create("/a", b"", CreateMode::Persistent).unwrap();
    disks[full as usize - 1].fill().unwrap();
    let all = ensemble.ids();
    let mut told = Told::default();
    write_until(&ensemble, &all, MANY, &mut told);
    ensemble.await_line(full, &["the disk is full, and others can lead"]);
    let next = ensemble.await_leader();
    assert_ne!(next, full);
    ensemble.await_silence_of(full);
    let epoch = ensemble.epoch(next);

    disks[full as usize - 1].free().unwrap();
    ensemble.await_all_serving();
    assert_eq!((ensemble.leader(), ensemble.epoch(next)), (Some(next), epoch), "it comes back as a follower");
    told.verify(&ensemble);
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
    let mut told = Told::default();
    let data = [7; BYTES];
    let refused =
        (0..MANY).find_map(|_| told.note(writes.set("/a", &data, -1)).err()).expect("the disk is full");
    assert!(matches!(refused, ClientError::Refused(ErrorCode::NotReadOnly)), "{refused}");
    let (_, stat) = writes.get("/a").expect("reads go on");
    assert_eq!(stat.version, told.acked, "a refused write changes nothing");
    assert_eq!(ensemble.leader(), Some(full));

    // The third comes back: those two are a quorum that has room.
    ensemble.start(followers[1]);
    write_until(&ensemble, &followers, told.acked + 10, &mut told);
    let next = ensemble.await_leader();
    assert_ne!(next, full);
    disks[full as usize - 1].free().unwrap();
    ensemble.await_all_serving();
    told.verify(&ensemble);
}

/// Sets `/a` until nobody can and says why: so many members are without a leader for want of room that no quorum is left, or the leader
/// refuses writes.
fn write_until_nobody_can(ensemble: &Ensemble, told: &mut Told) {
    let waits =
        |id: &Id| ensemble.srvr(*id).is_some_and(|it| it.contains("waiting for: room on this server's disk"));
    let refuses = |id: &Id| ensemble.log(*id).contains("disk full: writes are refused with -119");
    let (all, data) = (ensemble.ids(), [7; BYTES]);
    let (mut client, deadline) = (None::<RawClient>, Instant::now() + PATIENCE);
    loop {
        assert!(Instant::now() < deadline, "{} writes, and there is room for more", told.acks);
        let Some(writes) = &mut client else {
            if all.iter().any(refuses) || all.iter().filter(|id| waits(id)).count() > all.len() / 2 {
                return;
            }
            client = all.iter().find_map(|id| RawClient::connect(ensemble.client_address(*id)).ok());
            continue;
        };
        if told.note(writes.set("/a", &data, -1)).is_err() {
            client = None;
        }
    }
}

/// All goes on by itself once there is room.
#[test]
fn disks_that_fill_on_all_members_stop_writes_until_there_is_room_and_lose_none() {
    let (_dir, mut ensemble, disks) = on_disks();
    let leader = ensemble.await_leader();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    disks.iter().for_each(|disk| disk.fill().unwrap());
    let mut told = Told::default();
    write_until_nobody_can(&ensemble, &mut told);

    disks.iter().for_each(|disk| disk.free().unwrap());
    ensemble.await_all_serving();
    told.verify(&ensemble);
    let (all, more) = (ensemble.ids(), told.acked + 10);
    write_until(&ensemble, &all, more, &mut told);
    told.verify(&ensemble);
}

/// What does not fit is half written as the power goes: it must be neither taken for a write nor hide one.
#[test]
fn disks_that_fill_on_all_members_and_then_lose_their_power_lose_no_write() {
    let (_dir, mut ensemble) = waiting(3, 0, "snapCount=1000000");
    let mount = |id: Id| {
        let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
        ensemble.put_on(id, disk.path());
        disk
    };
    let disks: Vec<_> = (1..=3).map(mount).collect();
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    for disk in &disks {
        // A log whose next file is only half made when the disk fills takes no write at all.
        ensemble.wait_for("the log's next file", |_| (disk.used() >= TWO_FILES).then_some(()));
        // Of what is used little is another file's: so much may be missing of this one.
        disk.set_capacity(Some(disk.used() + (1 << 20)));
    }
    let mut told = Told::default();
    write_until_nobody_can(&ensemble, &mut told);

    (0..).zip(&disks).for_each(|(seed, disk)| disk.cut(seed));
    ensemble.kill_all();
    for disk in &disks {
        disk.set_capacity(None);
        disk.power_on();
    }
    ensemble.start_all();
    ensemble.await_all_serving();
    told.verify(&ensemble);
    assert!(told.acked > 0, "something fitted");
}
