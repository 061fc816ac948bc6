//! Data of an ensemble at a feature level that the build that starts on it does not read, and that it does.

use bytes::Bytes;
use paddock_messages::codec;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use super::snapshot::SnapshotError;
use super::snapshot_files::{RestoreError, restore, take};
use super::{Disk, DiskFile, Logger, MemoryDisk, Options, Recovered, open};
use crate::tree::{DataTree, Events, SharedTree, TreeOptions};

fn reading(reads_level: u8) -> TreeOptions {
    TreeOptions { reads_level, ..TreeOptions::default() }
}

fn opened(disk: &MemoryDisk) -> (Logger<MemoryDisk>, Recovered) {
    open(disk.clone(), Options::new(ServerId(1), 7)).unwrap()
}

fn txn(counter: u32, body: TxnBody) -> Txn {
    let (session, attach, zxid) = (SessionId::NONE, AttachNumber::default(), Zxid::new(Epoch(1), counter));
    Txn { header: TxnHeader { session, attach, cxid: 0, zxid, time: 0 }, body }
}

/// Some text, this level, some text; all committed.
fn raised(level: u8) -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = opened(&disk);
    let text = || TxnBody::Reconfig { text: Bytes::from_static(b"version=0") };
    for txn in [txn(1, text()), txn(2, TxnBody::FeatureLevel { level }), txn(3, text())] {
        let mut payload = Vec::new();
        codec::encode_into(&mut payload, &txn).unwrap();
        logger.append(txn.header.zxid, &payload);
    }
    logger.commit(Zxid::new(Epoch(1), 3));
    let _ = logger.flush().unwrap();
    disk
}

fn started(disk: &MemoryDisk, reads: u8) -> Result<DataTree, RestoreError> {
    let (mut logger, recovered) = opened(disk);
    let upto = recovered.last;
    restore(disk, &mut logger, &recovered, reading(reads), upto).map(|restored| restored.tree)
}

#[test]
fn fl3_a_log_that_raises_the_level_beyond_what_is_read_is_not_started_on() {
    for (level, reads) in [(1, 0), (2, 1), (200, 1)] {
        let error = started(&raised(level), reads).unwrap_err();
        let expected = format!(
            "the txn {} in the log raises the ensemble to feature level {level}, and this version of paddock reads {reads} at \
             most; run the version that wrote it, or a later one",
            Zxid::new(Epoch(1), 2)
        );
        assert_eq!(error.to_string(), expected);
    }
    for (level, reads) in [(1, 1), (1, 2)] {
        assert_eq!(started(&raised(level), reads).unwrap().feature_level(), level);
    }
}

/// Nor is an older one taken in its stead, or anything deleted: the file is sound.
#[test]
fn fl3_a_snapshot_of_a_level_that_is_not_read_stops_the_start() {
    let disk = raised(1);
    let (mut logger, recovered) = opened(&disk);
    let mut before = DataTree::new(reading(1));
    before.apply(&txn(1, TxnBody::Reconfig { text: Bytes::new() }), &mut Events::unwanted());
    let now = restore(&disk, &mut logger, &recovered, reading(1), recovered.last).unwrap().tree;
    let mut names = Vec::new();
    for tree in [before, now] {
        let (name, footer) = take(&disk, &SharedTree::new(tree, 1)).unwrap().unwrap();
        logger.add_snapshot(&name, footer.zxid).unwrap();
        names.push(name);
    }
    drop(logger);
    let error = started(&disk, 0).unwrap_err();
    assert!(
        matches!(&error, RestoreError::Snapshot(SnapshotError::Level { level: 1, reads: 0, .. })),
        "{error}"
    );
    assert!(error.to_string().contains("run the version that wrote it, or a later one"), "{error}");
    assert_eq!(started(&disk, 1).unwrap().feature_level(), 1);
    let version = |name: &String| {
        let mut header = [0; 16];
        disk.open(name).unwrap().read_at(&mut header, 0).unwrap();
        header[8]
    };
    assert_eq!(names.iter().map(version).collect::<Vec<_>>(), [1, 2], "every build reads one of level 0");
}
