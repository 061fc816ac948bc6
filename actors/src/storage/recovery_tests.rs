//! What recovery makes of each kind of damage, and what of each crash: tables over a small log.

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use super::batch::{HEADER, RECORD_HEADER};
use super::disk::{Disk, DiskFile};
use super::history::{HISTORY_FILE, segment_name, snapshot_name};
use super::logger::{Faults, LogFailure, Logger, Options, Reserve, Space};
use super::memory_disk::{Crash, MemoryDisk};
use super::recovery::{OpenError, Recovered, discard, open};

fn options() -> Options {
    let mut options = Options::new(ServerId(1), 7);
    (options.segment_bytes, options.admitted_bytes) = (4096, 512);
    options.reserve = Reserve::Inline;
    options
}

fn opened(disk: &MemoryDisk) -> (Logger<MemoryDisk>, Recovered) {
    open(disk.clone(), options()).unwrap()
}

/// A disk with one batch for each of `batches`: zxids from 1 on, so many in each, of 100 bytes; 0 is an
/// idle batch. Batches of up to 3 take 512 bytes, so a segment holds 8.
fn disk_with(batches: &[u64]) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = opened(&disk);
    let mut zxid = 0;
    for count in batches {
        for _ in 0..*count {
            zxid += 1;
            logger.append(Zxid(zxid), &[zxid as u8; 100]);
        }
        if *count == 0 {
            logger.write_idle().unwrap();
        } else {
            let _ = logger.flush().unwrap();
        }
    }
    drop(logger);
    disk
}

fn zxids(logger: &Logger<MemoryDisk>, from: u64) -> Vec<u64> {
    let mut reader = logger.reader(Zxid(from)).unwrap();
    let mut zxids = Vec::new();
    while let Some((zxid, payload)) = reader.next_record().unwrap() {
        assert!(payload.iter().all(|byte| *byte == zxid.0 as u8));
        zxids.push(zxid.0);
    }
    zxids
}

/// Opens and says in a line what came of it.
fn outcome(disk: &MemoryDisk) -> String {
    match open(disk.clone(), options()) {
        Ok((logger, recovered)) => {
            let torn = recovered.torn.map_or(String::new(), |torn| format!(", cut at {}", torn.offset));
            format!("{:?}{torn}", zxids(&logger, 0))
        }
        Err(OpenError::DamagedLog { file, offset, .. }) => {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            format!(
                "damaged: segment {} at {offset}",
                name.trim_start_matches("segment.0").trim_start_matches('0')
            )
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn s3_a_bad_batch_is_torn_if_nothing_follows_and_damage_if_something_does() {
    let body = HEADER + RECORD_HEADER + 50;
    for (batches, segment, byte, expected) in [
        (&[2, 1][..], 1, 512 + body, "[1, 2], cut at 512"), // the very last batch: cannot be told from torn
        (&[2, 1], 1, 512, "[1, 2], cut at 512"),            // its magic
        (&[2, 1, 0], 1, 512 + body, "damaged: segment 1 at 512"), // an idle batch proves it was durable
        (&[2, 1, 0], 1, 1024 + 20, "[1, 2, 3], cut at 1024"), // the idle one itself
        (&[2, 1, 1], 1, body, "damaged: segment 1 at 0"),
        (&[2, 1, 1], 1, 20, "damaged: segment 1 at 0"),
        (&[2, 1, 1], 1, 500, "[1, 2, 3, 4]"),  // padding
        (&[2], 1, 3000, "[1, 2], cut at 512"), // behind the end, and nobody's
        (&[1; 10], 1, 7 * 512 + body, "damaged: segment 1 at 3584"), // the last of a full segment
        (&[1; 10], 2, body, "damaged: segment 2 at 0"),
        (&[1; 9], 2, body, "[1, 2, 3, 4, 5, 6, 7, 8], cut at 0"),
        (&[1; 18], 2, 4 * 512 + 30, "damaged: segment 2 at 2048"), // a whole segment follows
    ] {
        let disk = disk_with(batches).restart(Crash::PowerFailure);
        disk.flip_bit(&segment_name(segment), byte as u64 * 8);
        assert_eq!(outcome(&disk), expected, "{batches:?}, byte {byte} of segment {segment}");
        if expected.contains("cut") {
            let again = disk.restart(Crash::PowerFailure);
            assert!(!outcome(&again).contains("cut"), "what was cut is zero now");
        }
    }
}

#[test]
fn s3_what_a_client_stores_cannot_pass_for_a_batch() {
    // A client that knows the format stores a whole sound batch, but cannot know the salt. Its sector
    // survives a torn write of the batch around it.
    let mut forged = vec![0; 1024 - HEADER - RECORD_HEADER];
    let mut records = super::Records::default();
    records.push(Zxid(9), b"forged");
    let mut bytes = Vec::new();
    let place = super::batch::Place { generation: 1, number: 9, previous: 0 };
    for (salt, expected) in [(0, "[], cut at 0"), (7, "damaged: segment 1 at 0")] {
        records.seal(&place, Zxid::ZERO, salt, &mut bytes);
        forged.truncate(512 - HEADER - RECORD_HEADER);
        forged.extend_from_slice(&bytes);
        let disk = MemoryDisk::new(1);
        let (mut logger, _) = opened(&disk);
        logger.append(Zxid(1), &forged);
        logger.flush().unwrap();
        drop(logger);
        disk.flip_bit(&segment_name(1), 8);
        assert_eq!(outcome(&disk), expected, "salt {salt}");
    }
}

#[test]
fn a_cut_tail_is_zeroed_or_its_rest_would_be_taken_for_damage() {
    // Batch 9, torn in a new segment, leaves a sound header there. A smaller one takes its number in the
    // old segment; the header left behind then is one of this log, in a place where none belongs.
    for (skip_zeroing, expected) in
        [(false, "[1, 2, 3, 4, 5, 6, 7, 8]"), (true, "damaged: segment 1 at 4096")]
    {
        let disk = MemoryDisk::new(1);
        let (mut logger, _) = opened(&disk);
        for zxid in 1..8 {
            logger.append(Zxid(zxid), &[zxid as u8; 100]);
            logger.flush().unwrap();
        }
        logger.append(Zxid(8), &[8; 900]);
        logger.flush().unwrap();
        drop(logger);
        disk.flip_bit(&segment_name(2), 8 * 600);
        let (mut logger, recovered) =
            open(disk.clone(), Options { faults: Faults { skip_zeroing, ..Faults::default() }, ..options() })
                .unwrap();
        assert_eq!((recovered.last, recovered.torn.unwrap().bytes), (Zxid(7), 1024));
        logger.append(Zxid(8), &[8; 100]);
        logger.flush().unwrap();
        drop(logger);
        assert_eq!(outcome(&disk), expected);
    }
}

#[test]
fn each_refusal_names_the_file_and_what_to_do() {
    let own_history = disk_with(&[1]);
    let mut cases: Vec<(MemoryDisk, &str)> = Vec::new();
    let with = |change: &dyn Fn(&MemoryDisk)| {
        let disk = disk_with(&[1]);
        change(&disk);
        disk
    };
    cases.push((with(&|disk| disk.remove(HISTORY_FILE).unwrap()), "memory/history: missing, but segment."));
    cases.push((
        with(&|disk| disk.remove(&segment_name(1)).unwrap()),
        "memory/segment.0000000000000001: this file",
    ));
    cases.push((with(&|disk| disk.flip_bit(HISTORY_FILE, 80)), "memory/history: damaged: the checksum"));
    cases
        .push((with(&|disk| disk.flip_bit(HISTORY_FILE, 1)), "memory/history: at byte 0, format 3 is newer"));
    let java = MemoryDisk::new(1);
    java.create("version-2").unwrap();
    cases.push((java, "memory/version-2: this is the data of a ZooKeeper server on Java"));
    let other = MemoryDisk::new(1);
    drop(open(other.clone(), Options { server: ServerId(2), ..options() }).unwrap());
    cases.push((other, "memory/history: this is the data of server 2, but myid says 1"));
    let full = MemoryDisk::new(1);
    full.set_capacity(3000);
    cases.push((full, "memory/segment.0000000000000001: the disk is full; free at least"));
    let _held = own_history.lock().unwrap();
    cases.push((own_history, "memory/: another process uses this data directory"));
    for (disk, expected) in cases {
        let error = open(disk, options()).err().expect("must be refused").to_string();
        assert!(error.starts_with(expected), "{error}, not {expected}");
    }
}

#[test]
fn a_batch_of_a_newer_format_is_refused_not_cut() {
    let disk = disk_with(&[1, 1]);
    let file = disk.open(&segment_name(1)).unwrap();
    let mut header = [0; HEADER];
    file.read_at(&mut header, 512).unwrap();
    header[4] = 2;
    super::batch::reseal(&mut header, options().salt);
    file.write_at(&header, 512).unwrap();
    let expected = "memory/segment.0000000000000001: at byte 512, format 2 is newer";
    assert!(outcome(&disk).starts_with(expected), "{}", outcome(&disk));
}

fn snapshot_file(disk: &MemoryDisk, zxid: u64) -> String {
    let name = snapshot_name(Zxid(zxid));
    disk.create(&name).unwrap().write_at(b"a tree", 0).unwrap();
    name
}

#[test]
fn s7_a_snapshot_is_entered_when_the_log_is_durable_through_it() {
    let disk = disk_with(&[3]);
    let (mut logger, _) = opened(&disk);
    let name = snapshot_file(&disk, 4);
    let refused = logger.add_snapshot(&name, Zxid(4));
    assert!(matches!(refused, Err(LogFailure::SnapshotAhead { durable: Zxid(3), .. })));
    logger.append(Zxid(4), &[4; 100]);
    logger.add_snapshot(&name, Zxid(4)).unwrap();
    assert_eq!(logger.persisted().upto, Zxid(4), "the open batch was flushed first");
    drop(logger);
    disk.flip_bit(&segment_name(1), (512 + 100) * 8);
    assert_eq!(outcome(&disk), "damaged: segment 1 at 512", "the snapshot proves that 4 was durable");
}

#[test]
fn s16_a_snapshot_of_a_tree_that_differs_is_not_entered_and_one_of_the_leader_s_leaves_the_log() {
    let disk = disk_with(&[1; 40]);
    let (mut logger, _) = opened(&disk);
    for zxid in [5, 20] {
        let name = snapshot_file(&disk, zxid);
        logger.add_snapshot(&name, Zxid(zxid)).unwrap();
    }
    logger.mark_tree(true).unwrap();
    drop(logger);
    let (mut logger, recovered) = opened(&disk);
    assert!(recovered.facts.tree_differs, "it is durable");
    let is_refused = |logger: &mut Logger<MemoryDisk>, zxid| {
        let name = snapshot_file(&disk, zxid);
        matches!(logger.add_snapshot(&name, Zxid(zxid)), Err(LogFailure::SnapshotBehind { .. }))
    };
    assert!(is_refused(&mut logger, 30), "while it is marked");
    let received = snapshot_file(&disk, 12);
    logger.replace_snapshots(&received, Zxid(12)).unwrap();
    assert!(is_refused(&mut logger, 40), "it was begun before");
    logger.append(Zxid(41), &[41; 100]);
    assert!(!is_refused(&mut logger, 41));
    drop(logger);
    let (logger, recovered) = opened(&disk);
    assert!(!recovered.facts.tree_differs);
    assert_eq!(recovered.snapshots.iter().map(|s| s.zxid.0).collect::<Vec<_>>(), [41, 12]);
    assert_eq!(zxids(&logger, 0), (1..=41).collect::<Vec<_>>());
}

#[test]
fn s16_a_snapshot_behind_which_the_log_does_not_go_on_replaces_none() {
    let disk = disk_with(&[1; 40]);
    let (mut logger, _) = opened(&disk);
    for zxid in [20, 30] {
        let name = snapshot_file(&disk, zxid);
        logger.add_snapshot(&name, Zxid(zxid)).unwrap();
    }
    logger.purge(2).unwrap();
    logger.mark_tree(true).unwrap();
    for zxid in [2, 41] {
        let name = snapshot_file(&disk, zxid);
        logger.replace_snapshots(&name, Zxid(zxid)).unwrap_err();
    }
    drop(logger);
    let (_logger, recovered) = opened(&disk);
    assert!(recovered.facts.tree_differs);
    assert_eq!(recovered.snapshots.iter().map(|s| s.zxid.0).collect::<Vec<_>>(), [30, 20]);
}

#[test]
fn purge_keeps_the_log_from_the_oldest_snapshot_on_and_one_segment_before() {
    let disk = disk_with(&[1; 40]); // five segments of eight
    let (mut logger, _) = opened(&disk);
    for zxid in [5, 20, 30, 39] {
        let name = snapshot_file(&disk, zxid);
        logger.add_snapshot(&name, Zxid(zxid)).unwrap();
    }
    let mut old = logger.reader(Zxid(1)).unwrap();
    let purged = logger.purge(3).unwrap();
    assert_eq!((purged.snapshots, purged.segments), (1, 1)); // 20 is in the third: the second stays
    assert_eq!(zxids(&logger, 0), (9..=40).collect::<Vec<_>>());
    assert_eq!(old.next_record().unwrap().unwrap().0, Zxid(1), "a reader outlives the purge");
    drop(logger);
    disk.create("someone-elses").unwrap();
    disk.create("snapshot.00000000000000ff.tmp").unwrap();
    disk.create("snapshot.tmp").unwrap();
    let (_logger, recovered) = opened(&disk);
    assert_eq!(recovered.log_start, Zxid(8));
    assert_eq!(recovered.snapshots.iter().map(|s| s.zxid.0).collect::<Vec<_>>(), [39, 30, 20]);
    let names = disk.list().unwrap();
    assert!(names.contains(&"someone-elses".into()) && !names.iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn zookeeper_3231_a_snapshot_that_was_forgotten_is_none_of_those_kept() {
    let disk = disk_with(&[1; 40]);
    let (mut logger, _) = opened(&disk);
    for zxid in [5, 20, 30, 39] {
        let name = snapshot_file(&disk, zxid);
        logger.add_snapshot(&name, Zxid(zxid)).unwrap();
    }
    for damaged in [39, 30] {
        logger.forget_snapshot(&snapshot_name(Zxid(damaged))).unwrap();
    }
    assert_eq!(logger.purge(2).unwrap().snapshots, 0, "two are left, and both are kept");
    drop(logger);
    let (_logger, recovered) = opened(&disk);
    assert_eq!(recovered.snapshots.iter().map(|s| s.zxid.0).collect::<Vec<_>>(), [20, 5]);
}

#[test]
fn a_missing_snapshot_matters_only_if_the_log_begins_later() {
    let disk = disk_with(&[1; 40]);
    let (mut logger, _) = opened(&disk);
    for zxid in [20, 39] {
        let name = snapshot_file(&disk, zxid);
        logger.add_snapshot(&name, Zxid(zxid)).unwrap();
    }
    logger.purge(2).unwrap();
    drop(logger);
    disk.remove(&snapshot_name(Zxid(39))).unwrap();
    let (logger, recovered) = opened(&disk);
    assert_eq!(recovered.snapshots.len(), 1, "the older one and the log still are everything");
    drop(logger);
    disk.remove(&snapshot_name(Zxid(20))).unwrap();
    assert!(outcome(&disk).contains("this snapshot is missing, and the log begins only after 0x8"));
}

#[test]
fn s10_truncation_ends_at_the_watermark_and_stays() {
    let disk = disk_with(&[2, 3, 1, 2]);
    let (mut logger, _) = opened(&disk);
    logger.commit(Zxid(3));
    let refused = logger.truncate_after(Zxid(2));
    assert!(matches!(refused, Err(LogFailure::BelowWatermark { watermark: Zxid(3), .. })));
    logger.truncate_after(Zxid(4)).unwrap(); // in the middle of a batch
    assert_eq!((zxids(&logger, 2), logger.persisted().generation), (vec![2, 3, 4], 2));
    logger.append(Zxid(9), &[9; 100]);
    logger.flush().unwrap();
    drop(logger);
    let (logger, recovered) = opened(&disk.restart(Crash::PowerFailure));
    assert_eq!((zxids(&logger, 0), recovered.watermark), (vec![1, 2, 3, 4, 9], Zxid(3)));
}

/// The start of an epoch is no txn. An entry that named it would stand beyond the log's end once the epoch's own
/// txns are cut, and the next start would take that for damage.
#[test]
fn s7_a_snapshot_of_an_epochs_start_stands_for_the_last_txn_before_it() {
    let z = |epoch, counter| Zxid::new(Epoch(epoch), counter);
    for has_later in [false, true] {
        let disk = MemoryDisk::new(7);
        let (mut logger, _) = opened(&disk);
        for zxid in [z(1, 1), z(1, 2), z(1, 3)] {
            logger.append(zxid, b"before");
        }
        if has_later {
            logger.append(z(2, 1), b"logged, and not committed");
        }
        let name = snapshot_file(&disk, z(2, 0).0);
        logger.add_snapshot(&name, z(2, 0)).unwrap();
        assert_eq!(logger.newest_snapshot().map(|entry| entry.zxid), Some(z(1, 3)), "{has_later}");
        let cut = logger.truncate_after(z(1, 2));
        assert!(matches!(cut, Err(LogFailure::BelowWatermark { .. })), "what a snapshot stands for: {cut:?}");
        logger.commit(z(2, 0)); // what a leader tells that has begun its epoch
        logger.truncate_after(z(1, 3)).unwrap();
        drop(logger);
        let (_logger, recovered) = opened(&disk);
        assert_eq!(recovered.last, z(1, 3), "{has_later}");
    }
}

#[test]
fn s6_a_damaged_log_is_given_up_only_with_must_resync_set() {
    let disk = disk_with(&[1, 1, 1]);
    let (mut logger, _) = opened(&disk);
    logger.set_epochs(Epoch(3), Epoch(2)).unwrap();
    drop(logger);
    disk.flip_bit(&segment_name(1), 8 * 80);
    let (mut disk, mut refused) = (disk, 0);
    for at in 0.. {
        disk.crash_in(at);
        let done = discard(&disk, &options()).is_ok() && !disk.is_crashed();
        disk = disk.restart(Crash::Kill);
        match open(disk.clone(), options()) {
            Err(OpenError::DamagedLog { .. }) => refused += 1, // untouched so far
            Err(error) => panic!("{error}"),
            Ok((logger, recovered)) => {
                assert!(recovered.facts.must_resync && zxids(&logger, 0).is_empty());
                assert_eq!((recovered.facts.accepted_epoch, recovered.last), (Epoch(3), Zxid::ZERO));
                break;
            }
        }
        assert!(!done, "given up, and still there");
    }
    assert!(refused > 3, "{refused} crashes came before");
}

#[test]
#[should_panic(expected = "S9")]
fn s9_an_epoch_does_not_go_back() {
    let (mut logger, _) = opened(&MemoryDisk::new(1));
    logger.set_epochs(Epoch(3), Epoch(3)).unwrap();
    let _ = logger.set_epochs(Epoch(2), Epoch(2));
}

#[test]
fn a_batch_larger_than_a_segment_is_written_and_read() {
    let disk = disk_with(&[1]);
    let (mut logger, _) = opened(&disk);
    logger.append(Zxid(2), &[2; 20_000]);
    logger.flush().unwrap();
    logger.append(Zxid(3), &[3; 10]);
    logger.flush().unwrap();
    drop(logger);
    assert_eq!(outcome(&disk.restart(Crash::PowerFailure)), "[1, 2, 3]");
}

#[test]
fn s1_after_a_failed_sync_nothing_more_is_taken() {
    let disk = disk_with(&[1]);
    let (mut logger, _) = opened(&disk);
    disk.fail_syncs(1);
    logger.append(Zxid(2), &[2; 10]);
    let failure = logger.flush().unwrap_err();
    assert!(failure.is_fatal() && failure.to_string().contains("fdatasync failed"), "{failure}");
    assert!(matches!(logger.flush(), Err(LogFailure::Dead)));
    assert!(matches!(logger.set_epochs(Epoch(1), Epoch(1)), Err(LogFailure::Dead)));
    assert_eq!(logger.persisted().upto, Zxid(1));
}

#[test]
fn a_full_disk_refuses_what_needs_space_and_harms_nothing() {
    let disk = disk_with(&[1]);
    let (mut logger, _) = opened(&disk);
    disk.set_capacity(disk.used_bytes());
    assert!(matches!(logger.set_epochs(Epoch(1), Epoch(1)), Err(LogFailure::Full { .. })));
    let mut zxid = 1;
    while logger.space() == Space::Enough {
        zxid += 1;
        logger.append(Zxid(zxid), &[zxid as u8; 10]);
        logger.flush().unwrap();
    }
    assert_eq!(zxid, 9, "known as soon as the reserve is in use");
    assert!(!logger.wants_idle(), "what room is left is for what was admitted");
    logger.retry_reserve().unwrap();
    assert_ne!(logger.space(), Space::Enough);
    disk.set_capacity(u64::MAX);
    logger.retry_reserve().unwrap();
    assert_eq!(logger.space(), Space::Enough);
    logger.set_epochs(Epoch(1), Epoch(1)).unwrap();
}

#[test]
fn s8_a_truncated_log_keeps_room_for_what_is_admitted() {
    let disk = MemoryDisk::new(1);
    let late = Options { admitted_bytes: 3500, reserve: Reserve::Late, ..options() };
    let (mut logger, _) = open(disk.clone(), late).unwrap();
    for zxid in 1..10 {
        logger.append(Zxid(zxid), &[zxid as u8; 100]);
        logger.flush().unwrap();
    }
    assert!(logger.is_reserving(), "the ninth is in a new segment, the next not ready");
    logger.truncate_after(Zxid(7)).unwrap(); // into the old one, nearly full
    disk.set_capacity(disk.used_bytes());
    assert_eq!(logger.space(), Space::Enough, "so two writes may be admitted: 2 x 1552 bytes");
    for zxid in 10..12 {
        logger.append(Zxid(zxid), &[zxid as u8; 400]);
        logger.flush().unwrap();
    }
}

#[test]
fn s11_a_start_on_a_full_disk_makes_way_for_its_epoch() {
    let disk = disk_with(&[1, 1]);
    disk.set_capacity(disk.used_bytes());
    let (mut logger, recovered) = opened(&disk);
    assert_eq!(recovered.last, Zxid(2));
    assert!(matches!(logger.set_epochs(Epoch(1), Epoch(1)), Err(LogFailure::Full { .. })));
    assert!(logger.make_way().unwrap());
    logger.set_epochs(Epoch(1), Epoch(1)).unwrap();
    assert!(!logger.make_way().unwrap(), "there is one spare");
}

#[test]
fn s7_a_snapshot_that_is_refused_leaves_no_file() {
    let disk = disk_with(&[1, 1]);
    let (mut logger, _) = opened(&disk);
    let name = snapshot_name(Zxid(1));
    let file = disk.create(&name).unwrap();
    file.write_at(b"a tree", 0).unwrap();
    disk.set_capacity(disk.used_bytes());
    assert!(matches!(logger.add_snapshot(&name, Zxid(1)), Err(LogFailure::Full { .. })));
    assert!(disk.open(&name).is_err(), "nothing would ever delete it");
    disk.set_capacity(u64::MAX);
    disk.create(&name).unwrap().write_at(b"a tree", 0).unwrap();
    logger.add_snapshot(&name, Zxid(1)).unwrap();
    assert!(disk.open(&name).is_ok());
}
