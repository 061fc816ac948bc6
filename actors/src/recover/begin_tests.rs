use paddock_messages::error_code::ErrorCode;

use super::*;
use crate::recover::Holding;
use crate::storage::snapshot_files::{Restored, restore};
use crate::storage::{Crash, MemoryDisk, Options, Reserve, open};
use crate::tree::TreeOptions;

const ME: ServerId = ServerId(2);
const BEFORE: u128 = 7;

fn options() -> Options {
    let mut options = Options::new(ME, 3);
    (options.segment_bytes, options.admitted_bytes) = (64 << 10, 16 << 10);
    options.reserve = Reserve::Inline;
    options
}

fn members(ids: &[u64]) -> Members {
    let line = |id: &u64| format!("server.{id}=h{id}:1:2:participant;3\n");
    Members::read(&ids.iter().map(line).collect::<String>()).expect("members")
}

fn txn(zxid: Zxid, body: TxnBody) -> Vec<u8> {
    let (session, attach) = (SessionId::NONE, AttachNumber::default());
    let mut bytes = Vec::new();
    let header = TxnHeader { session, attach, cxid: 0, zxid, time: 5 };
    codec::encode_into(&mut bytes, &Txn { header, body }).expect("small");
    bytes
}

/// What is left of three: two epochs, of which the end is not known to be committed.
fn left(disk: &MemoryDisk, level: Option<u8>) -> Zxid {
    let (mut logger, _) = open(disk.clone(), options()).expect("it is empty");
    let at = |epoch, counter| Zxid::new(Epoch(epoch), counter);
    logger
        .change_facts(|facts| {
            (facts.ensemble, facts.accepted_epoch, facts.current_epoch) = (Some(BEFORE), Epoch(5), Epoch(4));
        })
        .expect("room");
    for counter in 1..=9 {
        let body = match (counter, level) {
            (2, Some(level)) => TxnBody::FeatureLevel { level },
            _ => TxnBody::Error(ErrorCode::NoNode),
        };
        logger.append(at(4, counter), &txn(at(4, counter), body));
        logger.flush().expect("room");
        logger.commit(at(4, counter.min(6)));
    }
    at(4, 9)
}

fn opened(disk: &MemoryDisk) -> (Logger<MemoryDisk>, Restored, Zxid) {
    let (mut logger, recovered) = open(disk.clone(), options()).expect("it is sound");
    let (tree, last) = (TreeOptions::default(), recovered.last);
    let restored = restore(disk, &mut logger, &recovered, tree, last).expect("it is sound");
    (logger, restored, recovered.watermark)
}

fn begin_on(disk: &MemoryDisk, ensemble: u128) -> Result<(Epoch, Zxid), BeginError> {
    let (mut logger, restored, _) = opened(disk);
    let before = restored.tree.membership().unwrap_or_else(|| members(&[1, 2, 3]));
    let place = members(&[2]).servers[&ME].clone();
    let (server, seen_epoch, time_ms) = (ME, Epoch(8), 6);
    begin(
        &mut logger,
        &restored.tree,
        &Beginning { server, ensemble, seen_epoch, members: before, place, time_ms },
    )
}

/// NH1 to NH4, of a disk on which it is done.
fn check(disk: &MemoryDisk, ensemble: u128, (epoch, version): (Epoch, Zxid), last: Zxid) {
    let held = Holding::of(disk).expect("it is sound").expect("it is not empty");
    assert_eq!(held.ensemble, Some(format!("{ensemble:032x}")), "NH1");
    assert!(epoch > Epoch(8) && (held.accepted_epoch, held.current_epoch) == (epoch, epoch), "NH1: {held:?}");
    assert_eq!((held.last, held.committed, held.last_ms), (version, version, Some(6)), "NH4: it is in force");
    let (logger, restored, watermark) = opened(disk);
    assert_eq!((watermark, restored.tree.last_zxid()), (version, version));
    assert_eq!(restored.tree.feature_level(), level::RECONFIG, "FL1");
    let now = restored.tree.membership().expect("it is in force");
    assert_eq!((now.servers, now.version), (members(&[2]).servers, version.0), "NH4");
    let mut log = logger.reader(Zxid::ZERO).expect("it is sound");
    let mut there = Vec::new();
    while let Some((zxid, _)) = log.next_record().expect("it is sound") {
        there.push(zxid);
    }
    let old: Vec<Zxid> = (1..=last.counter()).map(|counter| Zxid::new(last.epoch(), counter)).collect();
    assert!(there.starts_with(&old), "NH3: {there:?}");
}

#[test]
fn nh1_nh3_nh4_a_new_history_has_all_that_was_logged_and_one_who_decides() {
    for level in [None, Some(level::RECONFIG)] {
        let disk = MemoryDisk::new(1);
        let last = left(&disk, level);
        let done = begin_on(&disk, 11).expect("room");
        assert_eq!(done, (Epoch(9), Zxid::new(Epoch(9), if level.is_some() { 1 } else { 2 })));
        check(&disk.restart(Crash::PowerFailure), 11, done, last);
    }
}

#[test]
fn nh2_wherever_it_is_cut_short_it_belongs_to_the_old_ensemble_as_it_was_or_to_a_new_one_and_can_be_done_again()
 {
    let (mut as_before, mut half) = (0, 0);
    for (kind, seed) in [(Crash::PowerFailure, 1), (Crash::PowerFailure, 2), (Crash::Kill, 3)] {
        for nth in 1.. {
            let disk = MemoryDisk::new(seed);
            let last = left(&disk, None);
            let disk = disk.restart(Crash::Kill);
            drop(opened(&disk)); // what any start mends is mended
            let disk = disk.restart(Crash::Kill);
            let before = Holding::of(&disk).expect("it is sound");
            let (mut logger, restored, _) = opened(&disk);
            disk.crash_in(nth);
            let place = members(&[2]).servers[&ME].clone();
            let (server, ensemble, seen_epoch, time_ms) = (ME, 11, Epoch(8), 6);
            let members = members(&[1, 2, 3]);
            let beginning = Beginning { server, ensemble, seen_epoch, members, place, time_ms };
            let done = begin(&mut logger, &restored.tree, &beginning);
            let is_over = !disk.is_crashed();
            drop(logger);
            let disk = disk.restart(kind);
            let now = Holding::of(&disk).expect("it is sound");
            if let Ok(done) = done {
                check(&disk, 11, done, last);
            } else if now == before {
                as_before += 1;
            } else {
                let now = now.expect("it is not empty");
                assert!(
                    now.ensemble != before.expect("it is not empty").ensemble,
                    "NH2: {now:?} at operation {nth}"
                );
                // A disk that can take no more, just then, has both or neither.
                assert!(now.last.epoch() <= Epoch(4) || now.committed == now.last, "NH4: {now:?}");
                half += 1;
            }
            let again = begin_on(&disk, 12).expect("room");
            check(&disk.restart(kind), 12, again, last);
            if is_over {
                break;
            }
        }
    }
    assert!(as_before > 5 && half > 5, "{as_before} and {half}");
}

#[test]
fn a_full_disk_changes_nothing() {
    let disk = MemoryDisk::new(1);
    left(&disk, None);
    let disk = disk.restart(Crash::Kill);
    drop(opened(&disk));
    let disk = disk.restart(Crash::Kill);
    let (mut logger, restored, _) = opened(&disk);
    disk.set_capacity(disk.used_bytes());
    let before = members(&[1, 2, 3]);
    let place = before.servers[&ME].clone();
    let (server, ensemble, seen_epoch, time_ms) = (ME, 11, Epoch(8), 6);
    let beginning = Beginning { server, ensemble, seen_epoch, members: before, place, time_ms };
    let refused = begin(&mut logger, &restored.tree, &beginning);
    assert!(matches!(refused, Err(BeginError::Log(LogFailure::Full { .. }))), "{refused:?}");
    assert_eq!(logger.facts().ensemble, Some(BEFORE));
}
