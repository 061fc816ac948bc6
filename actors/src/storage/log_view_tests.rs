//! What a view holds, against all the log holds read from end to end.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};
use proptest::prelude::*;

use super::*;
use crate::runtime::Env;

const LONG: Duration = Duration::from_secs(30); // for a disk shared with other tests; never waited out

fn options() -> Options {
    let small = Options { segment_bytes: 4 << 10, admitted_bytes: 2 << 10, ..Options::new(ServerId(1), 7) };
    Options { reserve: Reserve::Inline, ..small }
}

const INSTALLED: Zxid = Zxid::new(Epoch(3), 9);

/// What stands in the log under a zxid.
fn payload(zxid: Zxid) -> Vec<u8> {
    vec![zxid.0 as u8; 100 + zxid.counter() as usize % 50]
}

fn append(logger: &mut Logger<MemoryDisk>, zxids: &[Zxid]) {
    for zxid in zxids {
        logger.append(*zxid, &payload(*zxid));
        logger.flush().unwrap();
    }
}

/// A snapshot file of nothing, entered.
fn snapshot(disk: &MemoryDisk, logger: &mut Logger<MemoryDisk>, zxid: Zxid) {
    let name = snapshot_name(zxid);
    disk.create(&name).unwrap().write_at(b"a snapshot", 0).unwrap();
    logger.add_snapshot(&name, zxid).unwrap();
}

fn between(view: &LogView, after: Zxid, upto: Zxid) -> Vec<Zxid> {
    let mut zxids = Vec::new();
    let ended = view.each_between(after, upto, |zxid, found| {
        assert_eq!(found, payload(zxid), "{zxid:?}");
        zxids.push(zxid);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(ended.unwrap(), ControlFlow::Continue(()));
    zxids
}

fn all(view: &LogView) -> Vec<Zxid> {
    between(view, view.log_start(), Zxid(u64::MAX))
}

/// Of each epoch so many txns: the zxids.
fn zxids(epochs: &[(u32, u32)]) -> Vec<Zxid> {
    let mut epoch = 0;
    let mut zxids = Vec::new();
    for (skipped, count) in epochs {
        epoch += 1 + skipped;
        zxids.extend((1..=*count).map(|counter| Zxid::new(Epoch(epoch), counter)));
    }
    zxids
}

proptest! {
    #[test]
    fn floors_and_parts_are_those_of_the_whole_log(
        epochs in prop::collection::vec((0..3u32, 0..60u32), 1..6),
        purged in prop::option::of(0..200usize),
        wanted in prop::collection::vec((0..15u32, 0..70u32), 0..20),
    ) {
        let disk = MemoryDisk::new(1);
        let (mut logger, _) = open(disk.clone(), options()).unwrap();
        let zxids = zxids(&epochs);
        append(&mut logger, &zxids);
        if let Some(zxid) = purged.and_then(|at| zxids.get(at)) {
            snapshot(&disk, &mut logger, *zxid);
            logger.purge(1).unwrap();
        }
        let view = logger.view().unwrap();
        let (start, held) = (view.log_start(), all(&view));
        prop_assert_eq!(&held, &zxids.iter().copied().filter(|it| *it > start).collect::<Vec<_>>());
        let wanted: Vec<_> = wanted.iter().map(|(epoch, counter)| Zxid::new(Epoch(*epoch), *counter)).collect();
        let floor = |at: &Zxid| held.iter().rev().find(|it| *it <= at).copied().unwrap_or(start);
        let places = view.floors(&wanted).unwrap();
        let floors: Vec<_> = places.iter().map(|(zxid, _)| *zxid).collect();
        prop_assert_eq!(&floors, &wanted.iter().map(floor).collect::<Vec<_>>());
        for (zxid, bytes) in places {
            let before: u64 = held.iter().filter(|it| **it <= zxid).map(|it| payload(*it).len() as u64).sum();
            prop_assert!(bytes >= before && bytes <= 8 * before, "{bytes} of {before} up to {zxid:?}");
        }
        for pair in wanted.windows(2) {
            let (after, upto) = (pair[0], pair[1]);
            if after < start {
                prop_assert!(view.each_between(after, upto, |_, _| ControlFlow::Break(())).is_err());
            } else {
                let is_due = |it: &Zxid| *it > after && *it <= upto;
                prop_assert_eq!(between(&view, after, upto), held.iter().copied().filter(is_due).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn only_segments_within_which_an_answer_lies_are_read() {
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = open(disk.clone(), options()).unwrap();
    let zxids = zxids(&[(0, 200)]);
    append(&mut logger, &zxids);
    let view = logger.view().unwrap();
    let reads = |wanted: &[Zxid]| {
        let before = disk.counters().operations;
        view.floors(wanted).unwrap();
        disk.counters().operations - before
    };
    assert_eq!(reads(&[Zxid::ZERO, Zxid::new(Epoch(1), 200), Zxid::new(Epoch(7), 1)]), 0);
    assert_eq!(reads(&[Zxid::new(Epoch(1), 100)]), 1, "a window");
    let near = [Zxid::new(Epoch(1), 100), Zxid::new(Epoch(1), 101), Zxid::new(Epoch(1), 100)];
    assert!(reads(&near) <= 2, "each segment once, and they may lie in two");
    assert!(reads(&zxids) > 20, "there are many segments");
}

#[test]
fn s13_a_view_is_of_its_moment_whatever_is_cut_replaced_and_purged() {
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = open(disk.clone(), options()).unwrap();
    let first = zxids(&[(0, 100)]);
    append(&mut logger, &first);
    snapshot(&disk, &mut logger, first[49]);
    logger.append(Zxid::new(Epoch(1), 101), b"not durable, so in no view");
    let view = logger.view().unwrap();
    assert_eq!((view.durable(), view.snapshot().unwrap().zxid), (first[99], first[49]));
    let check = |what: &str| assert_eq!(all(&view), first, "{what}");
    check("at once");
    logger.flush().unwrap();
    check("a batch more in the segment it ends with");
    logger.truncate_after(first[79]).unwrap();
    check("cut");
    append(&mut logger, &zxids(&[(1, 60)]));
    check("another epoch's in place of what was cut");
    snapshot(&disk, &mut logger, Zxid::new(Epoch(2), 50));
    assert!(logger.purge(1).unwrap().segments > 0);
    check("purged");
    logger.install_snapshot(&snapshot_name(INSTALLED), INSTALLED).unwrap();
    check("replaced");
    let later = logger.view().unwrap();
    assert_eq!((later.log_start(), later.durable(), all(&later)), (INSTALLED, INSTALLED, vec![]));
    assert_eq!(later.floors(&[Zxid(1), Zxid(u64::MAX)]).unwrap(), [(INSTALLED, 0); 2]);
    assert_eq!((later.snapshot_size(), view.snapshot_size()), (None, Some((first[49], 10))));
    assert!(later.generation() > view.generation());
    assert!(
        later.snapshot().unwrap().file.is_err(),
        "there is no such file: that is said to whom it concerns"
    );
}

#[test]
fn a_segment_that_changed_is_named() {
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = open(disk.clone(), options()).unwrap();
    let zxids = zxids(&[(0, 100)]);
    append(&mut logger, &zxids);
    let view = logger.view().unwrap();
    disk.flip_bit(&history::segment_name(2), 100 * 8);
    let read = |after| view.each_between(after, zxids[99], |_, _| ControlFlow::<()>::Continue(()));
    let error = read(Zxid::ZERO).unwrap_err().to_string();
    assert!(error.contains("segment.0000000000000002") && error.contains("check the disk"), "{error}");
    assert!(read(zxids[50]).is_ok(), "it lies behind");
    disk.remove(&history::segment_name(3)).unwrap();
    let error = logger.view().err().unwrap().to_string();
    assert!(error.contains("segment.0000000000000003"), "{error}");
}

fn view(logger: &LoggerHandle) -> Receiver<LogView> {
    let (to, views) = unbounded();
    let answer = Box::new(move |view: std::io::Result<LogView>| drop(to.send(view.unwrap())));
    logger.send(Command::View { answer }).unwrap();
    views
}

#[test]
fn s13_views_of_a_log_that_goes_on_being_written_and_purged_are_exact() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(directory.path()).unwrap();
    let (logger, _) = open(disk.clone(), Options { reserve: Reserve::Thread, ..options() }).unwrap();
    let (events, seen) = unbounded();
    let thread = LoggerThread::start(logger, ThreadOptions::default(), &Env::real(), move |event| {
        drop(events.send(event));
    })
    .unwrap();
    let mut views = Vec::new();
    for zxid in (1..=1_000).map(Zxid) {
        let write = Box::new(move |to: &mut Records| to.push(zxid, &payload(zxid)));
        thread.handle.send(Command::Append { role: 1, write, committed: zxid }).unwrap();
        if zxid.0 % 50 == 0 {
            views.push((zxid, view(&thread.handle)));
            let name = snapshot_name(zxid);
            disk.create(&name).unwrap().write_at(b"a snapshot", 0).unwrap();
            thread.handle.send(Command::AddSnapshot { name, zxid }).unwrap();
            thread.handle.send(Command::Purge { keep: 2 }).unwrap();
        }
    }
    // They are read while the rest of it is written.
    for (upto, view) in views {
        let view = view.recv_timeout(LONG).unwrap();
        assert_eq!(view.durable(), upto, "what was sent before is durable, nothing else was sent");
        assert_eq!(all(&view), (view.log_start().0 + 1..=upto.0).map(Zxid).collect::<Vec<_>>());
        assert_eq!(view.snapshot().map_or(0, |it| it.zxid.0), upto.0 - 50, "the one before");
    }
    thread.handle.send(Command::Shutdown).unwrap();
    thread.thread.join().unwrap();
    let purged =
        seen.try_iter().filter(|it| matches!(it, LoggerEvent::Purged(it) if it.segments > 0)).count();
    assert!(purged > 5, "{purged} purges took a segment");
}

#[test]
fn a_view_of_a_log_that_ends_is_dropped_unanswered() {
    let disk = MemoryDisk::new(1);
    let (logger, _) = open(disk.clone(), options()).unwrap();
    let thread = LoggerThread::start(logger, ThreadOptions::default(), &Env::real(), |_| ()).unwrap();
    disk.fail_syncs(1);
    let write = Box::new(|to: &mut Records| to.push(Zxid(1), b"one"));
    thread.handle.send(Command::Append { role: 1, write, committed: Zxid::ZERO }).unwrap();
    let (to, views) = unbounded::<()>();
    let answer = Box::new(move |_| to.send(()).unwrap());
    let _ = thread.handle.send(Command::View { answer }); // it may have ended already
    thread.thread.join().unwrap();
    drop(thread.handle);
    assert!(views.recv_timeout(LONG).is_err());
}
