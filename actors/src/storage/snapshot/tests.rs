use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use paddock_messages::client::request::CreateOp;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

use super::format::{BLOCK_HEADER, FILE_HEADER, SnapshotError};
use super::{SnapshotWriter, load, write};
use crate::tree::walk::QUEUE_LIMIT;
use crate::tree::{DataTree, Events, SharedTree, TreeOptions};

const FILE: &str = "snapshot.1";

fn txn(counter: u32, body: TxnBody) -> Txn {
    let zxid = Zxid::new(Epoch(1), counter);
    let header = TxnHeader { session: SessionId(7), attach: AttachNumber::default(), cxid: 0, zxid, time: 5 };
    Txn { header, body }
}

/// Of every kind of znode one, and `count` more, each with incompressible bytes of data.
fn tree(count: u32, bytes: usize) -> DataTree {
    let mut tree = DataTree::new(TreeOptions::default());
    let mut apply = |txn: &Txn| drop(tree.apply(txn, &mut Events::unwanted()));
    apply(&txn(1, TxnBody::CreateSession { timeout_ms: 4_000 }));
    let owners = [Owner::Session(SessionId(7)), Owner::Container, Owner::Ttl(9), Owner::Persistent];
    let acls = [Acl::open(), Acl::read_only(), vec![]];
    for at in 0..count {
        let mut crc = at;
        let noise = std::iter::repeat_with(|| {
            crc = crc32c::crc32c(&crc.to_le_bytes());
            crc as u8
        });
        let data = (at % 5 > 0).then(|| Bytes::from_iter(noise.take(bytes)));
        let op = Op::Create(Box::new(CreateTxn {
            op: CreateOp::Create,
            path: format!("/node {at}").into(),
            data,
            acl: acls[at as usize % 3].clone(),
            owner: owners[at as usize % 4],
            parent_cversion: -1,
        }));
        apply(&txn(2 + at, TxnBody::One(op)));
    }
    tree
}

fn saved(tree: DataTree) -> (DataTree, Vec<u8>) {
    let mut file = Vec::new();
    let shared = SharedTree::new(tree, 1);
    let walk = shared.write().tree_mut().begin_walk(QUEUE_LIMIT).unwrap();
    let footer = write(walk, &shared, Path::new(FILE), &mut file).unwrap();
    let tree = shared.into_inner();
    assert_eq!(
        (footer.zxid, footer.count, footer.digest),
        (tree.last_zxid(), tree.node_count(), tree.digest())
    );
    (tree, file)
}

fn reload(bytes: &[u8]) -> Result<DataTree, SnapshotError> {
    load(Path::new(FILE), bytes, TreeOptions { hash_seed: 3, ..TreeOptions::default() })
}

fn assert_same(one: &DataTree, two: &DataTree) {
    assert_eq!(
        (one.last_zxid(), one.digest(), one.data_size()),
        (two.last_zxid(), two.digest(), two.data_size())
    );
    assert_eq!(Vec::from_iter(one.sessions()), Vec::from_iter(two.sessions()));
    assert_eq!(one.node_count(), two.node_count());
    for child in one.root().child_nodes() {
        let path = child.path();
        let other = two.node(&path).unwrap();
        assert_eq!(
            (child.stat(), child.data(), child.owner()),
            (other.stat(), other.data(), other.owner()),
            "{path}"
        );
        assert_eq!((child.acl(), child.is_open()), (other.acl(), other.is_open()), "{path}");
    }
}

#[test]
fn s21_a_tree_comes_back_from_its_file() {
    for (count, bytes) in [(0, 0), (50, 10), (600, 10_000)] {
        let (tree, file) = saved(tree(count, bytes));
        let loaded = reload(&file).unwrap();
        loaded.check();
        assert_same(&tree, &loaded);
    }
}

#[test]
fn s20_every_beginning_of_a_file_is_cut_short() {
    let (_, file) = saved(tree(20, 10));
    for len in 0..file.len() {
        match reload(&file[..len]) {
            Err(SnapshotError::CutShort { offset, .. }) => assert!(offset <= len as u64),
            other => panic!("{len} of {} bytes: {other:?}", file.len()),
        }
    }
}

#[test]
fn s21_every_changed_byte_is_noticed() {
    let (_, file) = saved(tree(20, 10));
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        let error = reload(&changed).expect_err("it is not what was written");
        assert!(matches!(error, SnapshotError::Damaged { .. }), "byte {at}: {error}");
    }
}

/// Level 0 is written as ever, for older builds read it; a level is read back, and as safe as all else.
#[test]
fn fl2_s21_the_feature_level_is_in_the_head_of_a_file_of_its_own_format() {
    let mut raised = tree(20, 10);
    raised.apply(&txn(100, TxnBody::FeatureLevel { level: 1 }), &mut Events::unwanted());
    let (raised, file) = saved(raised);
    let (_, plain) = saved(tree(20, 10));
    assert_eq!((plain[8], file[8]), (1, 2));
    assert_eq!((reload(&plain).unwrap().feature_level(), raised.feature_level()), (0, 1));
    let again = reload(&file).unwrap();
    assert_eq!(again.feature_level(), 1);
    assert_same(&raised, &again);
    assert!(again.membership().is_none());
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(matches!(reload(&changed), Err(SnapshotError::Damaged { .. })), "byte {at}");
    }
    // The head of the one in a file of the other: a level that is missing, or too much.
    for (header, rest) in [(&file, &plain), (&plain, &file)] {
        let mixed = [&header[..FILE_HEADER], &rest[FILE_HEADER..]].concat();
        let error = reload(&mixed).unwrap_err().to_string();
        assert!(error.contains("the head is malformed"), "{error}");
    }
}

#[test]
fn mb1_s21_a_configuration_that_a_reconfig_has_made_is_read_back() {
    let text = Bytes::from_static(b"server.7=a:1:2:participant;3\nversion=64");
    let mut reconfigured = tree(20, 10);
    reconfigured.apply(&txn(100, TxnBody::FeatureLevel { level: 1 }), &mut Events::unwanted());
    let body = TxnBody::Membership { from: text.clone(), to: text };
    reconfigured.apply(&txn(101, body), &mut Events::unwanted());
    let (reconfigured, file) = saved(reconfigured);
    let again = reload(&file).unwrap();
    assert_same(&reconfigured, &again);
    let members = again.membership().expect("it is there");
    assert_eq!((members.version, members.voters().len()), (0x64, 1));
}

#[test]
fn s21_parts_out_of_place_and_newer_formats_are_refused() {
    let (_, file) = saved(tree(20, 10));
    let (_, other) = saved(tree(21, 10));
    let blocks = |file: &[u8]| {
        let mut blocks = Vec::new();
        let mut rest = &file[FILE_HEADER..];
        while !rest.is_empty() {
            let len = BLOCK_HEADER + u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
            blocks.push(rest[..len].to_vec());
            rest = &rest[len..];
        }
        blocks
    };
    let (header, parts, others) = (&file[..FILE_HEADER], blocks(&file), blocks(&other));
    let [head, images, footer] = &parts[..] else { panic!("three blocks") };
    for (what, parts, expected) in [
        ("as it was", vec![head, images, footer], None),
        ("a byte more", vec![head, images, footer, footer], Some("something follows the footer")),
        ("no head", vec![images, footer], Some("out of place")),
        ("two heads", vec![head, head, images, footer], Some("out of place")),
        ("no znodes", vec![head, footer], Some("0 znodes where")),
        ("znodes twice", vec![head, images, images, footer], Some("used twice")),
        ("another's footer", vec![head, images, &others[2]], Some("the footer does not fit")),
        ("another's znodes", vec![head, &others[1], footer], Some("beyond the last one")),
        ("no footer", vec![head, images], Some("not a snapshot")),
    ] {
        let bytes: Vec<u8> = header.iter().chain(parts.into_iter().flatten()).copied().collect();
        let error = reload(&bytes).err().map(|error| error.to_string());
        assert_eq!(error.is_none(), expected.is_none(), "{what}: {error:?}");
        if let (Some(error), Some(expected)) = (error, expected) {
            assert!(error.starts_with(FILE) && error.contains(expected), "{what}: {error}");
        }
    }
    let mut newer = file.clone();
    newer[8] = 3;
    let crc = crc32c::crc32c(&newer[..12]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(reload(&newer), Err(SnapshotError::Newer { version: 3, .. })));
}

/// Fails once so many bytes have passed.
struct Faulty<T>(T, usize);

impl<T> Faulty<T> {
    fn pass(&mut self, bytes: usize) -> io::Result<usize> {
        if self.1 == 0 && bytes > 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        let passed = bytes.min(self.1);
        self.1 -= passed;
        Ok(passed)
    }
}

impl<T: Write> Write for Faulty<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let passed = self.pass(bytes.len())?;
        self.0.write(&bytes[..passed])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Read> Read for Faulty<T> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let passed = self.pass(to.len())?;
        self.0.read(&mut to[..passed])
    }
}

#[test]
fn s20_a_disk_that_fails_is_told_from_a_file_that_ends() {
    let (tree, file) = saved(tree(20, 10));
    for limit in [0, FILE_HEADER, FILE_HEADER + 3, file.len() - 1] {
        let read = load(Path::new(FILE), Faulty(&file[..], limit), TreeOptions::default());
        assert!(matches!(read, Err(SnapshotError::Io { .. })), "{limit}");
    }
    let shared = SharedTree::new(tree, 0);
    for limit in [0, FILE_HEADER, file.len() - 1] {
        let walk = shared.write().tree_mut().begin_walk(QUEUE_LIMIT).unwrap();
        let written = write(walk, &shared, Path::new(FILE), &mut Faulty(Vec::new(), limit));
        assert!(matches!(written, Err(SnapshotError::Io { .. })), "{limit}");
    }
}

/// A sink that alters the tree at each write: the writer holds no guard while it writes.
struct Busy<'a>(&'a SharedTree, u32, Vec<u8>);

impl Write for Busy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let path = format!("/node {}", 599 - self.1 % 600);
        self.1 += 1;
        let data = Some(Bytes::from_static(b"new"));
        let op = Op::SetData { path: path.into(), data, version: 1 };
        let mut tree = self.0.write();
        tree.apply(&txn(10_000 + self.1, TxnBody::One(op)));
        tree.commit(drop);
        self.2.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn s21_a_file_written_while_the_tree_changes_is_of_one_zxid() {
    let shared = SharedTree::new(tree(600, 10_000), 1);
    let before = tree(600, 10_000);
    let walk = shared.write().tree_mut().begin_walk(QUEUE_LIMIT).unwrap();
    let mut sink = Busy(&shared, 0, Vec::new());
    write(walk, &shared, Path::new(FILE), &mut sink).unwrap();
    assert!(sink.1 > 4, "it was busy");
    let loaded = reload(&sink.2).unwrap();
    assert_same(&before, &loaded);
    assert_ne!(shared.read().digest(), loaded.digest());
}

#[test]
fn a_walk_with_too_small_a_queue_makes_no_file() {
    let shared = SharedTree::new(tree(600, 10_000), 1);
    let walk = shared.write().tree_mut().begin_walk(100).unwrap();
    let written = write(walk, &shared, Path::new(FILE), &mut Busy(&shared, 0, Vec::new()));
    assert!(matches!(written, Err(SnapshotError::Abandoned)));
}

/// Notes for each write whether whoever applies txns could have had the tree, and how many there were.
struct Beside<'a> {
    tree: &'a SharedTree,
    writes: usize,
}

impl Write for Beside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(self.tree.is_free(), "the tree is held while the file is written");
        self.writes += 1;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counted, not timed: what is done under one hold of the tree's guard is what makes it short.
#[test]
fn t10_a_snapshot_holds_the_tree_for_few_znodes_at_a_time_and_never_while_it_writes() {
    const ZNODES: u32 = 5_000;
    let shared = SharedTree::new(tree(ZNODES, 100), 0);
    let mut writer = shared.write();
    let walk = writer.tree_mut().begin_walk(QUEUE_LIMIT).unwrap();
    writer.commit(|_| {});
    let mut beside = Beside { tree: &shared, writes: 0 };
    let mut snapshot = SnapshotWriter::begin(walk, Path::new(FILE), &mut beside).unwrap();
    let mut holds = 1;
    while snapshot.step(&shared, &mut beside).unwrap().is_none() {
        assert!(shared.is_free());
        holds += 1;
    }
    assert!(holds >= ZNODES / 256, "{holds} holds for {ZNODES} znodes");
    assert!(beside.writes > 2, "{} writes", beside.writes);
}
