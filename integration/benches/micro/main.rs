//! What one request costs in the parts that every request passes: codec, tree, log.
//! `cargo bench -p paddock-integration [-- FILTER]`
#![allow(missing_docs, reason = "a benchmark")]

mod codec;
mod log;
mod tree;
mod write_path;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{Op, Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

/// A path and data of usual sizes.
const PATH: &str = "/services/frontend/instance-0000000042";
const DATA: &[u8] = &[b'x'; 100];

/// The `counter`th txn: sets the data at `path`.
fn set(counter: u32, path: &str) -> Txn {
    let op = Op::SetData { path: path.into(), data: Some(Bytes::from_static(DATA)), version: counter as i32 };
    Txn { header: header(counter), body: TxnBody::One(op) }
}

fn header(counter: u32) -> TxnHeader {
    let zxid = Zxid::new(Epoch(1), counter);
    TxnHeader { session: SessionId(1), attach: AttachNumber::default(), cxid: 0, zxid, time: 0 }
}

fn short() -> Criterion {
    Criterion::default().without_plots()
}

criterion_group! { name = benches; config = short(); targets = codec::all, tree::all, log::all, write_path::all }
criterion_main!(benches);
