//! The thread: order of answers, group commit, idle batches, failures.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use super::*;
use crate::runtime::Env;
use crate::storage::{Crash, snapshot_name};

const LONG: Duration = Duration::from_secs(30); // for a disk shared with other tests; never waited out

fn options() -> Options {
    Options { segment_bytes: 64 << 10, admitted_bytes: 16 << 10, ..Options::new(ServerId(1), 7) }
}

/// In memory the next segment is made inline, so that a test knows whose operation fails.
fn started<D: Disk>(disk: D, reserve: Reserve) -> (LoggerThread, Receiver<LoggerEvent>) {
    let (logger, _) = open(disk, Options { reserve, ..options() }).unwrap();
    let (events, seen) = unbounded();
    let thread = LoggerThread::start(logger, ThreadOptions::default(), &Env::real(), move |event| {
        drop(events.send(event));
    });
    (thread.unwrap(), seen)
}

fn append(role: u64, zxid: Zxid, payload: impl AsRef<[u8]> + Send + 'static, committed: Zxid) -> Command {
    Command::Append { role, write: Box::new(move |to| to.push(zxid, payload.as_ref())), committed }
}

#[test]
fn what_is_persisted_in_a_file_system_is_there_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let (logger, seen) = started(RealDisk::new(directory.path()).unwrap(), Reserve::Thread);
    for zxid in 1..=500u64 {
        // several segments
        logger.handle.send(append(4, Zxid(zxid), vec![zxid as u8; 700], Zxid(zxid - 1))).unwrap();
    }
    let facts = Facts { accepted_epoch: Epoch(2), ..Facts::default() };
    logger.handle.send(Command::KeepFacts { role: 5, facts }).unwrap();
    logger.handle.send(Command::Shutdown).unwrap();
    logger.thread.join().unwrap();
    let (mut upto, mut records, mut batches, mut kept) = (Zxid::ZERO, 0, 0, false);
    for event in seen.try_iter() {
        match event {
            LoggerEvent::Persisted { role: 4, persisted, .. } => {
                assert!(persisted.upto > upto && !kept, "answers come in the order of the commands");
                upto = persisted.upto;
            }
            LoggerEvent::Synced { records: synced, .. } => {
                (records, batches) = (records + synced, batches + 1);
            }
            LoggerEvent::FactsKept { role: 5, .. } => kept = true,
            LoggerEvent::Stopped => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((upto, records, kept), (Zxid(500), 500, true));
    assert!(batches < 500, "{batches} batches: what queues up during a sync shares the next");
    let (logger, recovered) = open(RealDisk::new(directory.path()).unwrap(), options()).unwrap();
    assert_eq!((recovered.last, recovered.watermark, recovered.torn), (Zxid(500), Zxid(499), None));
    assert_eq!(recovered.facts, facts);
    let mut reader = logger.reader(Zxid(250)).unwrap();
    for zxid in 250..=500u64 {
        assert_eq!(reader.next_record().unwrap(), Some((Zxid(zxid), &[zxid as u8; 700][..])));
    }
    assert_eq!(reader.next_record().unwrap(), None);
}

/// Behind the one batch that there is.
fn await_idle_batch(disk: &MemoryDisk) {
    let before = disk.counters().operations;
    let began = Instant::now();
    while disk.counters().operations < before + 2 && began.elapsed() < LONG {
        std::thread::yield_now(); // a write and a sync
    }
    assert!(disk.counters().operations >= before + 2, "nothing was written");
}

#[test]
fn an_idle_thread_writes_one_empty_batch() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    logger.handle.send(append(1, Zxid(1), *b"one", Zxid(1))).unwrap();
    assert!(matches!(seen.recv_timeout(LONG), Ok(LoggerEvent::Persisted { .. })));
    await_idle_batch(&disk);
    logger.handle.send(Command::Drain { role: 1 }).unwrap();
    let drained = || matches!(seen.recv_timeout(LONG), Ok(LoggerEvent::Drained { .. }));
    assert!((0..2).any(|_| drained()), "after Synced");
    disk.crash();
    logger.handle.send(Command::Shutdown).unwrap(); // writes nothing: one empty batch is enough
    assert!(matches!(seen.recv_timeout(LONG), Ok(LoggerEvent::Stopped)));
}

#[test]
fn mb5_what_is_said_to_be_committed_is_on_disk_at_once_without_a_txn_behind_it() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    logger.handle.send(append(1, Zxid(5), *b"a reconfig", Zxid(4))).unwrap();
    assert!(matches!(seen.recv_timeout(LONG), Ok(LoggerEvent::Persisted { .. })));
    await_idle_batch(&disk); // which says 4
    logger.handle.send(Command::SayCommitted { committed: Zxid(5) }).unwrap();
    logger.handle.send(Command::Drain { role: 1 }).unwrap();
    let drained = || matches!(seen.recv_timeout(LONG), Ok(LoggerEvent::Drained { .. }));
    assert!((0..4).any(|_| drained()), "after Synced");
    disk.crash();
    logger.handle.send(Command::Shutdown).unwrap();
    logger.thread.join().unwrap();
    let (_, recovered) = open(disk.restart(Crash::PowerFailure), options()).unwrap();
    assert_eq!((recovered.last, recovered.watermark), (Zxid(5), Zxid(5)));
}

#[test]
fn s2_a_broken_invariant_ends_the_thread_and_is_told() {
    let (logger, seen) = started(MemoryDisk::new(1), Reserve::Inline);
    for _ in 0..2 {
        logger.handle.send(append(1, Zxid(1), *b"one", Zxid::ZERO)).unwrap();
    }
    logger.thread.join().unwrap();
    let events: Vec<LoggerEvent> = seen.try_iter().collect();
    assert!(matches!(events.last(), Some(LoggerEvent::Panicked)), "{events:?}");
    assert!(logger.handle.send(Command::Shutdown).is_err());
}

#[test]
fn a_failed_sync_ends_the_thread_and_acknowledges_nothing() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    disk.fail_syncs(1);
    logger.handle.send(append(1, Zxid(1), *b"one", Zxid::ZERO)).unwrap();
    logger.thread.join().unwrap();
    let events: Vec<LoggerEvent> = seen.try_iter().collect();
    assert!(matches!(&events[..], [LoggerEvent::Failed(failure)] if failure.is_fatal()), "{events:?}");
    assert!(logger.handle.send(Command::Shutdown).is_err() && logger.watch.stuck().is_none());
}

/// Writes until the disk is announced to be full; how many bytes are missing then.
fn fill(logger: &LoggerThread, seen: &Receiver<LoggerEvent>) -> u64 {
    for zxid in 1.. {
        logger.handle.send(append(1, Zxid(zxid), [1; 1000], Zxid::ZERO)).unwrap();
        logger.handle.send(Command::Drain { role: 1 }).unwrap();
        loop {
            match seen.recv_timeout(LONG).unwrap() {
                LoggerEvent::Space(Space::Full { needed }) => return needed,
                LoggerEvent::Failed(failure) => panic!("{failure}"),
                LoggerEvent::Drained { .. } => break,
                _ => {}
            }
        }
    }
    unreachable!("a disk is finite")
}

#[test]
fn a_full_disk_is_announced_and_so_is_the_space_that_returns() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    disk.set_capacity(disk.used_bytes());
    assert_eq!(fill(&logger, &seen), 64 << 10);
    disk.set_capacity(u64::MAX);
    let again = std::iter::from_fn(|| seen.recv_timeout(LONG).ok());
    assert!(again.into_iter().any(|event| matches!(event, LoggerEvent::Space(Space::Enough))));
}

#[test]
fn s8_a_disk_that_is_full_at_the_start_is_announced_too() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    disk.set_capacity(disk.used_bytes());
    fill(&logger, &seen);
    logger.handle.send(Command::Shutdown).unwrap();
    logger.thread.join().unwrap();
    let (_logger, seen) = started(disk.restart(Crash::Kill), Reserve::Inline);
    let first = seen.recv_timeout(LONG);
    assert!(matches!(first, Ok(LoggerEvent::Space(Space::Full { .. }))), "{first:?}");
}

#[test]
fn a_snapshot_that_history_has_no_room_for_is_answered_so_that_it_is_tried_again() {
    let disk = MemoryDisk::new(1);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    logger.handle.send(append(1, Zxid(1), [1; 100], Zxid(1))).unwrap();
    logger.handle.send(Command::Drain { role: 1 }).unwrap();
    let drained = |event: &LoggerEvent| matches!(event, LoggerEvent::Drained { .. });
    assert!(std::iter::from_fn(|| seen.recv_timeout(LONG).ok()).any(|event| drained(&event)));
    disk.set_capacity(disk.used_bytes());
    logger.handle.send(Command::AddSnapshot { name: snapshot_name(Zxid(1)), zxid: Zxid(1) }).unwrap();
    let answer = std::iter::from_fn(|| seen.recv_timeout(LONG).ok()).find(|event| {
        matches!(event, LoggerEvent::SnapshotRefused { .. } | LoggerEvent::SnapshotAdded { .. })
    });
    assert!(matches!(answer, Some(LoggerEvent::SnapshotRefused { .. })), "{answer:?}");
}

/// A log of many txns and four snapshots, on a disk without a free byte.
fn filled() -> (MemoryDisk, LoggerThread, Receiver<LoggerEvent>) {
    let disk = MemoryDisk::new(3);
    let (logger, seen) = started(disk.clone(), Reserve::Inline);
    for zxid in 1..=200u64 {
        logger.handle.send(append(1, Zxid(zxid), [7; 2_000], Zxid(zxid))).unwrap();
        if zxid % 50 == 0 {
            let name = snapshot_name(Zxid(zxid));
            disk.create(&name).unwrap().write_at(&[1; 5_000], 0).unwrap();
            logger.handle.send(Command::AddSnapshot { name, zxid: Zxid(zxid) }).unwrap();
        }
    }
    logger.handle.send(Command::Drain { role: 1 }).unwrap();
    while !matches!(seen.recv_timeout(LONG).unwrap(), LoggerEvent::Drained { .. }) {}
    disk.set_capacity(disk.used_bytes());
    (disk, logger, seen)
}

#[test]
fn s11_a_purge_succeeds_without_a_free_byte_and_gives_room_to_the_rest() {
    let (disk, logger, seen) = filled();
    let facts = Facts { accepted_epoch: Epoch(7), ..Facts::default() };
    logger.handle.send(Command::KeepFacts { role: 2, facts }).unwrap();
    let refused = seen.recv_timeout(LONG).unwrap();
    assert!(
        matches!(&refused, LoggerEvent::FactsRefused { role: 2, failure: LogFailure::Full { .. } }),
        "{refused:?}"
    );
    let used = disk.used_bytes();
    logger.handle.send(Command::Purge { keep: 3 }).unwrap();
    let LoggerEvent::Purged(purged) = seen.recv_timeout(LONG).unwrap() else { panic!("not purged") };
    assert_eq!(purged.snapshots, 1);
    assert!(purged.segments > 0 && disk.used_bytes() < used);
    logger.handle.send(Command::KeepFacts { role: 2, facts }).unwrap();
    assert!(matches!(seen.recv_timeout(LONG).unwrap(), LoggerEvent::FactsKept { role: 2, .. }));
    // And again: the space that was spent has been put by anew.
    disk.set_capacity(disk.used_bytes());
    logger.handle.send(Command::Purge { keep: 2 }).unwrap();
    assert!(matches!(seen.recv_timeout(LONG).unwrap(), LoggerEvent::Purged(Purged { snapshots: 1, .. })));
}

#[test]
fn s11_without_space_put_by_a_purge_is_refused_and_deletes_nothing() {
    let (disk, logger, seen) = filled();
    disk.remove("history.spare").unwrap();
    disk.set_capacity(disk.used_bytes());
    let names = disk.list().unwrap();
    logger.handle.send(Command::Purge { keep: 1 }).unwrap();
    let refused = seen.recv_timeout(LONG).unwrap();
    assert!(
        matches!(&refused, LoggerEvent::PurgeRefused { failure: LogFailure::Full { .. } }),
        "{refused:?}"
    );
    assert_eq!(disk.list().unwrap(), names);
}

/// Of mail to the thread: posted, handled, and under way.
fn mail(env: &Env, kind: &'static str) -> [u64; 3] {
    let of = env.registry.totals()[&("logger".into(), kind)];
    [of.posted, of.handled, of.depth]
}

#[test]
fn r6_an_append_is_under_way_until_it_is_durable() {
    let env = Env::real();
    let (logger, _) = open(MemoryDisk::new(1), options()).unwrap();
    let (events, seen) = unbounded();
    let of_thread = env.clone();
    let told = move |event| {
        if let LoggerEvent::Persisted { .. } = event {
            events.send(mail(&of_thread, "Append")).unwrap();
        }
    };
    let logger = LoggerThread::start(logger, ThreadOptions::default(), &env, told).unwrap();
    let (go, waits) = unbounded::<()>();
    let first = Box::new(move |to: &mut Records| {
        waits.recv_timeout(LONG).unwrap(); // until the second is queued: it shares the batch
        to.push(Zxid(1), b"one");
    });
    let (look, looked) = unbounded();
    let of_thread = env.clone();
    let second = Box::new(move |to: &mut Records| {
        look.send(mail(&of_thread, "Append")).unwrap();
        to.push(Zxid(2), b"two");
    });
    for write in [first as Box<dyn FnOnce(&mut Records) + Send>, second] {
        logger.handle.send(Command::Append { role: 1, write, committed: Zxid::ZERO }).unwrap();
    }
    go.send(()).unwrap();
    assert_eq!(looked.recv_timeout(LONG).unwrap(), [2, 0, 2], "encoded, and not durable");
    assert_eq!(seen.recv_timeout(LONG).unwrap(), [2, 2, 0], "durable");
    logger.handle.send(Command::Append { role: 1, write: Box::new(|_| ()), committed: Zxid(2) }).unwrap();
    logger.handle.send(Command::Drain { role: 1 }).unwrap();
    logger.handle.send(Command::Shutdown).unwrap();
    logger.thread.join().unwrap();
    assert_eq!(mail(&env, "Append"), [3, 3, 0], "without a record nothing waits for the disk");
    assert_eq!((mail(&env, "Drain"), mail(&env, "Shutdown")), ([1, 1, 0], [1, 1, 0]));
    assert!(logger.handle.send(Command::Shutdown).unwrap_err().is_gone());
}
