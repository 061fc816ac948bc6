//! Bytes to requests, outcomes to bytes, txns to bytes and back.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{PathWatch, SetData};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Request;
use paddock_messages::codec;
use paddock_messages::txn::Txn;
use paddock_messages::wire::Wire;
use paddock_messages::znode::Stat;
use paddock_messages::zxid::{Epoch, Zxid};

use crate::{DATA, PATH, set};

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));

    let set_data = SetData { path: PATH.into(), data: Some(Bytes::from_static(DATA)), version: -1 };
    let get_data = PathWatch { path: PATH.into(), watch: false };
    for (name, opcode, body) in [
        ("set request", OpCode::SetData, bytes(&set_data)),
        ("get request", OpCode::GetData, bytes(&get_data)),
    ] {
        group.bench_function(format!("decode a {name}"), |bencher| {
            bencher.iter(|| Request::read(opcode, &mut black_box(body.clone())).expect("it was encoded"));
        });
    }

    let (outcome, mut out) = (Outcome::Stat(Stat::default()), Vec::new());
    group.bench_function("encode a set reply", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&outcome).write_reply(7, Zxid::new(Epoch(1), 7), &mut out);
        });
    });

    let (txn, mut out) = (set(7, PATH), Vec::new());
    group.bench_function("encode a txn", |bencher| {
        bencher.iter(|| {
            out.clear();
            codec::encode_into(&mut out, black_box(&txn)).expect("every part can be written");
        });
    });
    group.bench_function("decode a txn", |bencher| {
        bencher.iter(|| codec::decode::<Txn, 4096>(black_box(&out)).expect("it was encoded"));
    });
    group.finish();
}

fn bytes(record: &impl Wire) -> Bytes {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    bytes.into()
}
