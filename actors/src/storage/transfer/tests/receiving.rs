//! What comes out of the lane, whole, damaged or in part, and of disks that fail.

use super::*;

#[test]
fn s15_a_snapshot_arrives_and_is_the_history_of_whoever_installs_it() {
    let mut leader = Member::new();
    leader.log(2, 1..800, 1_000);
    leader.snapshot();
    leader.log(2, 800..810, 10); // behind the snapshot
    let (parts, done) = snapshot_sent(leader.view());
    assert_eq!(done, Ok(z(2, 799)));
    let packets = read(parts);
    assert_eq!(packets[0], ToLearner::Sync(SyncStart::Snap(z(2, 799))));
    let last = |packet: &ToLearner| matches!(packet, ToLearner::Snapshot { is_last: true, .. });
    assert_eq!(packets.iter().position(last), Some(packets.len() - 1));
    assert!(packets.len() > 3, "in pieces");

    let mut learner = Member::new();
    learner.log(1, 1..50, 1_000);
    learner.snapshot();
    let received = received(&learner.disk, &packets, Some(z(2, 799))).unwrap().unwrap();
    assert_eq!((&received.name, received.zxid), (&snapshot_name(z(2, 799)), z(2, 799)));
    assert_eq!(received.tree.last_zxid(), z(2, 799));
    learner.logger.install_snapshot(&received.name, received.zxid).unwrap();
    assert_eq!(snapshots(&learner.disk), [received.name]);
    let mut writer = learner.tree.write();
    writer.replace(received.tree);
    writer.commit(|_| {});
    learner.log(2, 800..810, 10);
    let digest = leader.tree.read().digest();
    assert_eq!(learner.tree.read().digest(), digest);
    let disk = learner.disk.restart(Crash::PowerFailure);
    let (mut logger, recovered) = open(disk.clone(), options(1)).unwrap();
    assert_eq!((recovered.log_start, recovered.last), (z(2, 799), z(2, 809)));
    let restored = restore(&disk, &mut logger, &recovered, TreeOptions::default(), z(2, 809)).unwrap();
    assert_eq!((restored.snapshot, restored.tree.digest()), (z(2, 799), digest));
}

#[test]
fn s15_damage_gives_a_reason_and_no_snapshot() {
    let mut leader = Member::new();
    leader.log(1, 1..600, 1_000);
    leader.snapshot();
    let sound = read(snapshot_sent(leader.view()).0);
    let flipped = |at: usize, byte: usize| {
        let mut packets = sound.clone();
        let ToLearner::Snapshot { bytes, .. } = &mut packets[at] else { panic!("a piece") };
        bytes[byte] ^= 1;
        packets
    };
    let without = |at: usize| {
        let mut packets = sound.clone();
        packets.remove(at);
        packets
    };
    let mut twice = sound.clone();
    twice.push(sound[1].clone());
    for (packets, zxid, expected) in [
        (flipped(1, 0), z(1, 599), "damaged at byte 0"),
        (flipped(2, 1_000), z(1, 599), "damaged"),
        (without(1), z(1, 599), "damaged"),
        (without(2), z(1, 599), "cut short"),
        (without(sound.len() - 1), z(1, 599), "cut short"),
        (twice, z(1, 599), "something follows"),
        (vec![], z(1, 599), "cut short"),
        (sound.clone(), z(1, 600), "is of"),
        (sound.clone(), z(1, 598), "is of"),
    ] {
        let disk = MemoryDisk::new(1);
        let why = received(&disk, &packets, Some(zxid)).unwrap().unwrap_err();
        assert!(why.contains(expected) && why.contains("snapshot.received-"), "{expected}: {why}");
        assert_eq!(snapshots(&disk), [""; 0], "{why}");
    }
}

#[test]
fn s15_the_start_of_an_epoch_stands_for_the_txn_before() {
    let mut leader = Member::new();
    leader.log(1, 1..9, 10);
    leader.change(|tree| tree.begin_epoch(Epoch(3)));
    leader.snapshot();
    let (parts, done) = snapshot_sent(leader.view());
    assert_eq!(done, Ok(z(1, 8)));
    let disk = MemoryDisk::new(1);
    let received = received(&disk, &read(parts), Some(z(1, 8))).unwrap().unwrap();
    assert_eq!((received.name, received.zxid), (snapshot_name(z(3, 0)), z(1, 8)));
    assert_eq!(received.tree.last_zxid(), z(3, 0));
    for (holds, zxid, is_so) in [
        (z(3, 0), z(3, 0), true),
        (z(3, 0), z(2, 9), true),
        (z(3, 0), z(3, 1), false),
        (z(3, 1), z(2, 9), false),
    ] {
        assert_eq!(receive::stands_for(holds, zxid), is_so, "{holds:?} for {zxid:?}");
    }
}

#[test]
fn a_full_disk_is_told_once_and_gets_its_space_back() {
    let mut leader = Member::new();
    leader.log(1, 1..600, 1_000);
    leader.snapshot();
    let packets = read(snapshot_sent(leader.view()).0);
    for room in [0, 1_000, PIECE as u64 + 1] {
        let disk = MemoryDisk::new(1);
        disk.set_capacity(room);
        let why = received(&disk, &packets, Some(z(1, 599))).unwrap().unwrap_err();
        assert!(why.contains("snapshot.received-") && why.contains("free space"), "{why}");
        assert_eq!((snapshots(&disk).len(), disk.used_bytes()), (0, 0));
    }
    let disk = MemoryDisk::new(1);
    disk.fail_syncs(1);
    let why = received(&disk, &packets, Some(z(1, 599))).unwrap().unwrap_err();
    assert!(why.contains("check the disk") && snapshots(&disk).is_empty(), "{why}");
}

#[test]
fn a_receiver_that_is_given_up_leaves_nothing_and_disturbs_no_other() {
    let mut leader = Member::new();
    leader.log(1, 1..600, 1_000);
    leader.snapshot();
    let packets = read(snapshot_sent(leader.view()).0);
    let disk = MemoryDisk::new(1);
    let ended = received(&disk, &packets[..3], None).unwrap_err();
    assert_eq!((ended, snapshots(&disk).len()), (RecvTimeoutError::Disconnected, 0));
    let never = |how: Result<Received, String>| panic!("it was given up: {how:?}");
    let other = SnapshotReceiver::start(disk.clone(), "server 3".into(), &Env::real(), never).unwrap();
    other.piece(vec![1; 100], ());
    received(&disk, &packets, Some(z(1, 599))).unwrap().unwrap();
    drop(other);
    let began = Instant::now();
    while snapshots(&disk).len() > 1 && began.elapsed() < LONG {
        std::thread::yield_now();
    }
    assert_eq!(snapshots(&disk), [snapshot_name(z(1, 599))]);
}

#[test]
fn s15_a_start_after_a_crash_finds_no_part_of_a_snapshot() {
    let mut leader = Member::new();
    leader.log(1, 1..300, 1_000);
    leader.snapshot();
    let packets = read(snapshot_sent(leader.view()).0);
    let (mut operations, mut leftovers) = (0, 0);
    loop {
        let disk = MemoryDisk::new(operations);
        drop(open(disk.clone(), options(2)).unwrap());
        disk.crash_in(operations);
        let received = received(&disk, &packets, Some(z(1, 299))).unwrap();
        let crash = if operations % 2 == 0 { Crash::PowerFailure } else { Crash::Kill };
        let is_crashed = disk.is_crashed();
        let disk = disk.restart(crash);
        let is_whole = snapshots(&disk).iter().any(|name| is_snapshot_name(name));
        leftovers += snapshots(&disk).len();
        assert!(is_whole || received.is_err(), "what was received is durable");
        let (_logger, recovered) = open(disk.clone(), options(2)).unwrap();
        assert_eq!((recovered.snapshots.len(), snapshots(&disk).len()), (0, 0), "nothing was installed");
        if !is_crashed {
            break;
        }
        operations += 1;
    }
    assert!(operations >= 5 && leftovers > 1, "{operations} crashes left {leftovers} files");
}

#[test]
fn dg5_a_snapshot_is_completed_from_our_own_log_and_takes_the_name_of_none() {
    let mut member = Member::new();
    member.log(2, 1..300, 100);
    member.snapshot();
    let packets = read(snapshot_sent(member.view()).0);
    member.log(2, 300..310, 10);
    let (done, told) = bounded(1);
    let done = move |how| done.send(how).unwrap();
    let receiver =
        SnapshotReceiver::start(member.disk.clone(), "server 1".into(), &Env::real(), done).unwrap();
    for packet in packets {
        if let ToLearner::Snapshot { bytes, .. } = packet {
            receiver.piece(bytes, ());
        }
    }
    receiver.finish_behind(z(2, 299), TreeOptions::default(), (Ok(member.view()), z(2, 309)));
    let received = told.recv().unwrap().unwrap();
    let digest = member.tree.read().digest();
    assert!(received.keeps_log);
    assert_eq!((received.tree.last_zxid(), received.tree.digest()), (z(2, 309), digest));
    let name = format!("{}-1", snapshot_name(z(2, 299)));
    assert_eq!((&received.name, received.zxid), (&name, z(2, 299)));
    member.logger.replace_snapshots(&name, received.zxid).unwrap();
    assert_eq!(snapshots(&member.disk), [name]);
    let disk = member.disk.restart(Crash::PowerFailure);
    let (mut logger, recovered) = open(disk.clone(), options(1)).unwrap();
    let restored = restore(&disk, &mut logger, &recovered, TreeOptions::default(), z(2, 309)).unwrap();
    assert_eq!((restored.snapshot, restored.tree.digest()), (z(2, 299), digest));
}
