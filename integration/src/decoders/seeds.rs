//! What a corpus begins with: the recorded frames, and files made by what they ask for.

use std::path::Path;

use bytes::Bytes;
use paddock_actors::storage::batch::{Place, Records};
use paddock_actors::storage::history::History;
use paddock_actors::storage::snapshot;
use paddock_actors::tree::{DataTree, Events, SharedTree};
use paddock_messages::client::request::{Request, Write};
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::txn::Txn;
use paddock_messages::wire::{Wire, frame};
use paddock_messages::zxid::Zxid;

use super::writes;
use crate::differential::op::Action;
use crate::golden::file::{self, Case};

fn cases() -> Vec<Case> {
    file::read(include_str!("../../golden/java-3.9.txt"))
}

/// Opcode and body of each recorded request.
fn recorded() -> Vec<(i32, Vec<u8>)> {
    let request = |case: Case| match case.op.action {
        Action::Request { opcode, body, .. } => Some((opcode, body)),
        _ => None,
    };
    cases().into_iter().filter_map(request).collect()
}

fn which(opcode: i32) -> u8 {
    OpCode::ALL.iter().position(|code| *code as i32 == opcode).unwrap_or(0) as u8
}

fn first(byte: u8, bytes: &[u8]) -> Vec<u8> {
    [&[byte], bytes].concat()
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    recorded().iter().map(|(opcode, body)| first(which(*opcode), body)).collect()
}

pub(super) fn replies() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for case in cases() {
        let which = which(case.op.opcode().unwrap_or(0));
        for bytes in case.seen.iter().flatten().filter_map(file::bytes) {
            seeds.push(first(which, &bytes));
            seeds.push(first(which, bytes.get(16..).unwrap_or(&[]))); // the body alone
        }
    }
    seeds
}

pub(super) fn sessions() -> Vec<Vec<u8>> {
    let framed = |xid: i32, opcode: i32, body: &[u8]| {
        let mut bytes = Vec::new();
        frame(&mut bytes, |to| {
            RequestHeader { xid, opcode }.write(to);
            to.extend_from_slice(body);
        });
        bytes
    };
    let all: Vec<_> = (1..).zip(recorded()).map(|(xid, (opcode, body))| framed(xid, opcode, &body)).collect();
    let together = all.chunks(5).map(<[Vec<u8>]>::concat).map(|bytes| first(64, &bytes));
    together.chain(all.iter().map(|bytes| first(255, bytes))).collect()
}

pub(super) fn handshakes() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (session_id, read_only) in [(0, None), (0, Some(false)), (i64::MIN, Some(true))] {
        let (protocol_version, last_zxid_seen, timeout_ms) = (0, 0, 30_000);
        let password = Some(Bytes::from_static(&[0; 16]));
        let fields = ConnectFields { protocol_version, last_zxid_seen, timeout_ms, session_id, password };
        let mut bytes = vec![7];
        frame(&mut bytes, |to| ConnectRequest { fields, read_only }.write(to));
        seeds.push(bytes);
    }
    seeds.extend([&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01"].map(|bytes| first(9, bytes)));
    seeds.extend(words());
    seeds
}

pub(super) fn words() -> Vec<Vec<u8>> {
    let words = paddock_config::FOUR_LETTER_WORDS.iter().map(|word| first(2, word.as_bytes()));
    words.chain([first(3, b"stmk\0\0\0\0\0\0\0\x02"), first(1, b"ruok\n"), first(9, b"none")]).collect()
}

/// The txns that the recorded requests become, and the tree they make.
fn history_of_requests() -> (Vec<Txn>, DataTree) {
    let (mut tree, mut txns) = (writes::tree(), Vec::new());
    for (opcode, body) in recorded() {
        let known = OpCode::from_code(opcode);
        let request = known.and_then(|opcode| Request::read(opcode, &mut Bytes::from(body)).ok());
        let Some(Request::Write(write)) = request else { continue };
        if matches!(write, Write::CloseSession) {
            continue; // all behind it would be refused
        }
        let txn = writes::prepared(&tree, &[], write);
        tree.apply(&txn, &mut Events::unwanted());
        txns.push(txn);
    }
    (txns, tree)
}

fn encoded(txn: &Txn) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode_into(&mut bytes, txn).expect("a txn can be written");
    bytes
}

pub(super) fn txns() -> Vec<Vec<u8>> {
    history_of_requests().0.iter().map(encoded).collect()
}

pub(super) fn batches() -> Vec<Vec<u8>> {
    let at = Place { generation: 3, number: 9, previous: 0xabcd };
    let seal = |txns: &[Txn]| {
        let (mut records, mut bytes) = (Records::default(), Vec::new());
        txns.iter().for_each(|txn| records.push(txn.header.zxid, &encoded(txn)));
        records.seal(&at, Zxid(1), 5, &mut bytes);
        bytes
    };
    history_of_requests().0.chunks(3).map(seal).collect()
}

pub(super) fn flips() -> Vec<Vec<u8>> {
    [0u16, 160, 4_096 + 8, 8_192, 12_288, 20_000].map(|bit| bit.to_le_bytes().to_vec()).into()
}

pub(super) fn snapshots() -> Vec<Vec<u8>> {
    let tree = SharedTree::new(history_of_requests().1, 0);
    let walk = tree.write().tree_mut().begin_walk(1 << 20).expect("no other walk is under way");
    let mut file = Vec::new();
    snapshot::write(walk, &tree, Path::new("seed"), &mut file).expect("memory takes all");
    vec![unpacked(&file), file]
}

/// A file's blocks as [`super::storage::packed`] takes them.
fn unpacked(file: &[u8]) -> Vec<u8> {
    let (mut rest, mut blocks) = (&file[16..], Vec::new());
    let int = |at: usize, from: &[u8]| u32::from_le_bytes(*from[at..].first_chunk().expect("a sound file"));
    while rest.len() >= 20 {
        let (kind, raw, packed) = (int(0, rest), int(4, rest) as usize, int(8, rest) as usize);
        let block = zstd::bulk::decompress(&rest[20..20 + packed], raw).expect("a sound file");
        blocks.extend([kind as u8, raw as u8, (raw >> 8) as u8]);
        blocks.extend(block);
        rest = &rest[20 + packed..];
    }
    blocks
}

pub(super) fn histories() -> Vec<Vec<u8>> {
    let bytes = History::new(ServerId(1), 5).encode();
    vec![bytes[1..bytes.len() - 4].to_vec(), bytes]
}

/// One like that of an empty log, and one that is too short.
pub(super) fn pairs() -> Vec<Vec<u8>> {
    vec![vec![1, 5, 1, 0], vec![1, 5]]
}

pub(super) fn acls() -> Vec<Vec<u8>> {
    let ips = ["10.1.2.3", "10.0.0.0/8", "010.1.2.3/0", "::1", "fe80::/10", "::/0", "1.2.3.4/33", "a/b"];
    let others = [(1, "user:hash"), (2, ""), (3, "anyone"), (4, "x"), (5, "CN=x"), (6, "")];
    ips.map(|ip| (0, ip)).iter().chain(&others).map(|(which, id)| first(*which, id.as_bytes())).collect()
}

pub(super) fn quotas() -> Vec<Vec<u8>> {
    let limits =
        ["count=1,bytes=2", "count=-1,bytes=-1=;byteHardLimit=14;countHardLimit=1", "count=", "x", ""];
    let with_usage = |limits: &str| first(limits.len() as u8, format!("{limits}count=1,bytes=2").as_bytes());
    limits.map(with_usage).into()
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = paddock_config::keys::all()
        .map(|key| format!("{}={}\n", key.name.replace('*', "1"), key.sample).into_bytes())
        .collect();
    seeds.push(b"tickTime=2000\ndataDir=/var/lib/zookeeper\nclientPort=2181\ninitLimit=5\nsyncLimit=2\nserver.1=zoo1:2888:3888\nserver.2=zoo2:2888:3888;2181\n".to_vec());
    seeds.push(b"# comment\n! other\nkey : value \\\n  continued\n\\u0063lientPort 2181\n".to_vec());
    seeds
}
