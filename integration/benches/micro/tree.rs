//! Txns to state, and look-ups, in a tree of 100,000 znodes visited in no order the processor can guess.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use paddock_actors::tree::{DataTree, Events, TreeOptions};
use paddock_messages::client::request::CreateOp;
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody};
use paddock_messages::znode::{Acl, Owner};

use crate::{DATA, header, set};

const ZNODES: u32 = 100_000;
/// Coprime with [`ZNODES`]: all are visited.
const STRIDE: u32 = 61_803;

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree");
    group.throughput(Throughput::Elements(1));
    let mut tree = DataTree::new(TreeOptions::default());
    for at in 0..ZNODES {
        tree.apply(&create(at + 1, &path(at)), &mut Events::unwanted());
    }
    let paths: Vec<_> = (0..ZNODES).map(|at| path((at * STRIDE) % ZNODES)).collect();

    let mut walk = paths.iter().cycle();
    group.bench_function("look up a znode", |bencher| {
        bencher.iter(|| tree.node(walk.next().expect("it has no end")).map(|node| black_box(node.stat())));
    });
    let (mut walk, mut counter) = (paths.iter().cycle(), ZNODES);
    group.bench_function("apply a set", |bencher| {
        let next = || {
            counter += 1;
            set(counter, walk.next().expect("it has no end"))
        };
        bencher.iter_batched(next, |txn| tree.apply(&txn, &mut Events::unwanted()), BatchSize::SmallInput);
    });
    group.finish();
}

/// A thousand parents.
fn path(at: u32) -> String {
    if at < 1_000 { format!("/parent-{at:04}") } else { format!("/parent-{:04}/child-{at:07}", at % 1_000) }
}

fn create(counter: u32, path: &str) -> Txn {
    let op = Op::Create(Box::new(CreateTxn {
        op: CreateOp::Create,
        path: path.into(),
        data: Some(Bytes::from_static(DATA)),
        acl: Acl::open(),
        owner: Owner::Persistent,
        parent_cversion: 1,
    }));
    Txn { header: header(counter), body: TxnBody::One(op) }
}
