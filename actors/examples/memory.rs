//! What a million znodes and half a million watches cost, in resident memory and time:
//! `cargo run --release -p paddock-actors --example memory`. Takes half a gigabyte.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use paddock_actors::storage::snapshot::{load, write};
use paddock_actors::tree::walk::QUEUE_LIMIT;
use paddock_actors::tree::{DataTree, Events, SharedTree, TreeOptions};
use paddock_actors::watch::{WatchKind, Watches};
use paddock_messages::client::request::CreateOp;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

const ZNODES: u32 = 1_000_000;

fn main() {
    for (paths, watchers) in [(500_000, 1), (100_000, 5), (100, 5_000)] {
        watches(paths, watchers);
    }
    znodes(); // last: it gives back memory that would be taken again
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("statm's second field is a number") * rustix::param::page_size() as u64
}

fn znodes() {
    let mut tree = DataTree::new(TreeOptions::default());
    let (before, began) = (resident(), Instant::now());
    for at in 0..ZNODES {
        let parent = at / 1_001 * 1_001;
        let child = if at == parent { String::new() } else { format!("/c-{at:010}") };
        tree.apply(&create(at + 1, &format!("/parent-{parent:07}{child}")), &mut Events::unwanted());
    }
    let built = began.elapsed();
    println!(
        "{} bytes resident per znode of 100 bytes, {built:?} to build",
        (resident() - before) / u64::from(ZNODES)
    );
    let (shared, began, mut file) = (SharedTree::new(tree, 0), Instant::now(), Vec::new());
    let walk = shared.write().tree_mut().begin_walk(QUEUE_LIMIT).expect("no other walk goes on");
    write(walk, &shared, Path::new("memory"), &mut file).expect("memory takes it");
    println!("{} bytes of snapshot in {:?}", file.len(), began.elapsed());
    let began = Instant::now();
    let loaded = load(Path::new("memory"), &file[..], TreeOptions::default()).expect("it was just written");
    println!("loaded in {:?}", began.elapsed());
    assert_eq!(loaded.digest(), shared.read().digest());
}

fn create(counter: u32, path: &str) -> Txn {
    let header = TxnHeader {
        session: SessionId(1),
        attach: AttachNumber::default(),
        cxid: 0,
        zxid: Zxid::new(Epoch(1), counter),
        time: 0,
    };
    let op = Op::Create(Box::new(CreateTxn {
        op: CreateOp::Create,
        path: path.into(),
        data: Some(Bytes::from_static(&[b'x'; 100])),
        acl: Acl::open(),
        owner: Owner::Persistent,
        parent_cversion: 1,
    }));
    Txn { header, body: TxnBody::One(op) }
}

fn watches(paths: u32, watchers: u32) {
    let before = resident();
    let mut watches = Watches::default();
    for path in 0..paths {
        for slot in 0..watchers {
            // As a lock recipe names its znodes: 30 characters.
            watches.add(slot * 7 + path % 7, &format!("/locks/resource/node-{path:09}"), WatchKind::Data);
        }
    }
    let each = (resident() - before) / u64::from(paths * watchers);
    println!("{paths} paths, {watchers} watchers each: {each} bytes a watch");
    std::mem::forget(watches); // or the next would use the memory of this one
}
