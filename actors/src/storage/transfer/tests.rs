//! From one disk to another, down a lane that is a vector.

use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::{RecvTimeoutError, bounded};
use paddock_messages::client::request::CreateOp;
use paddock_messages::codec;
use paddock_messages::frame::{FrameReader, Hello, Lane, SPOKEN};
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::Proposal;
use paddock_messages::quorum::SyncStart;
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::Epoch;

use super::*;
use crate::runtime::Env;
use crate::storage::snapshot_files::{restore, take};
use crate::storage::{
    Command, Crash, Disk, LogView, Logger, LoggerEvent, LoggerThread, MemoryDisk, Options, RealDisk, Reserve,
    ThreadOptions, is_snapshot_name, open, snapshot_name,
};
use crate::tree::{DataTree, Events, SharedTree, TreeOptions};

mod receiving;
mod sending;

const LONG: Duration = Duration::from_secs(30); // for a machine shared with other tests; never waited out
const LARGEST: usize = 1 << 20;

fn z(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

/// The creation of a znode with so many incompressible bytes.
fn txn(zxid: Zxid, bytes: usize) -> Txn {
    let mut crc = zxid.0 as u32;
    let noise = std::iter::repeat_with(|| {
        crc = crc32c::crc32c(&crc.to_le_bytes());
        crc as u8
    });
    let op = Op::Create(Box::new(CreateTxn {
        op: CreateOp::Create,
        path: format!("/node {zxid}").into(),
        data: Some(noise.take(bytes).collect()),
        acl: Acl::open(),
        owner: Owner::Persistent,
        parent_cversion: -1,
    }));
    let session = SessionId(7);
    let header = TxnHeader { session, attach: AttachNumber::default(), cxid: 0, zxid, time: 5 };
    Txn { header, body: TxnBody::One(op) }
}

fn options(server: u64) -> Options {
    let small =
        Options { segment_bytes: 64 << 10, admitted_bytes: 16 << 10, ..Options::new(ServerId(server), 7) };
    Options { reserve: Reserve::Inline, ..small }
}

/// A member's disk, log and tree.
struct Member<D: Disk> {
    disk: D,
    logger: Logger<D>,
    tree: SharedTree,
    txns: Vec<Txn>,
}

impl Member<MemoryDisk> {
    fn new() -> Self {
        Self::on(MemoryDisk::new(1))
    }
}

impl<D: Disk> Member<D> {
    fn on(disk: D) -> Self {
        let (logger, _) = open(disk.clone(), options(1)).unwrap();
        let tree = SharedTree::new(DataTree::new(TreeOptions::default()), 1);
        Self { disk, logger, tree, txns: Vec::new() }
    }

    /// Logs and applies the txns of an epoch with these counters.
    fn log(&mut self, epoch: u32, counters: Range<u32>, bytes: usize) {
        for counter in counters {
            let txn = txn(z(epoch, counter), bytes);
            let mut payload = Vec::new();
            codec::encode_into(&mut payload, &txn).unwrap();
            self.logger.append(txn.header.zxid, &payload);
            self.logger.flush().unwrap();
            self.change(|tree| drop(tree.apply(&txn, &mut Events::unwanted())));
            self.txns.push(txn);
        }
    }

    fn change(&self, change: impl FnOnce(&mut DataTree)) {
        let mut writer = self.tree.write();
        change(writer.tree_mut());
        writer.commit(|_| {});
    }

    fn snapshot(&mut self) {
        let (name, footer) = take(&self.disk, &self.tree).unwrap().unwrap();
        self.logger.add_snapshot(&name, footer.zxid).unwrap();
    }

    fn view(&self) -> LogView {
        self.logger.view().unwrap()
    }
}

/// All that a transfer puts into the channel, and what it says when it is done.
type Sent = (Vec<Part>, Result<Zxid, String>);

fn sent(start: impl FnOnce(Outlet, Box<dyn FnOnce(Result<Zxid, String>) + Send>) -> io::Result<()>) -> Sent {
    let (to, mut parts) = channel();
    let (done, told) = bounded(1);
    let outlet = Outlet { writer: FrameWriter::new(1, LARGEST), to, label: "server 2".into() };
    start(outlet, Box::new(move |how| done.send(how).unwrap())).unwrap();
    let parts = std::iter::from_fn(|| parts.blocking_recv()).collect();
    (parts, told.recv_timeout(LONG).unwrap())
}

fn log_sent(view: LogView, (after, upto): (Zxid, Zxid), batch_bytes: usize) -> Sent {
    let span = Span { after, upto, committed: Zxid::ZERO };
    sent(|outlet, done| spawn_log(view, span, batch_bytes, outlet, done))
}

fn snapshot_sent(view: LogView) -> Sent {
    sent(|outlet, done| spawn_snapshot(view, outlet, done))
}

/// The packets, as the learner's end of the lane reads them.
fn read(parts: Vec<Part>) -> Vec<ToLearner> {
    let mut reader = FrameReader::new(Lane::Data, LARGEST);
    let (from, to) = (ServerId(1), ServerId(2));
    let hello = Hello { from, ensemble: None, lane: Lane::Data, speaks: SPOKEN, to };
    let mut bytes = Vec::new();
    FrameWriter::new(1, LARGEST).write(&Frame::Hello(hello), &mut bytes).unwrap();
    reader.feed(&bytes);
    reader.take().unwrap().unwrap();
    let read = |part: Part| {
        reader.feed(&part.unwrap());
        match reader.take().unwrap() {
            Some(Frame::ToLearner(packet)) => packet,
            other => panic!("each part is a frame: {other:?}"),
        }
    };
    let packets = parts.into_iter().map(read).collect();
    reader.end().unwrap();
    packets
}

/// The txns of proposals, each of which follows the one before; and how many packets there were.
fn proposed(packets: Vec<ToLearner>, mut last: Zxid) -> (Vec<Txn>, usize) {
    let (mut txns, count) = (Vec::new(), packets.len());
    for packet in packets {
        let ToLearner::Proposals { after, items } = packet else { panic!("{packet:?}") };
        assert_eq!(after, last);
        txns.extend(items.iter().filter_map(Proposal::txn).cloned());
        last = txns.last().unwrap().header.zxid;
    }
    (txns, count)
}

/// Gives a receiver the pieces of a snapshot, and lets it finish if there is a `zxid`; what it makes of them.
fn received<D: Disk>(
    disk: &D,
    packets: &[ToLearner],
    zxid: Option<Zxid>,
) -> Result<Result<Received, String>, RecvTimeoutError> {
    let (done, told) = bounded(2);
    let done = move |how| done.send(how).unwrap();
    let env = Env::real();
    let receiver = SnapshotReceiver::start(disk.clone(), "server 1".into(), &env, done).unwrap();
    let room = Arc::new(());
    for packet in packets {
        if let ToLearner::Snapshot { bytes, .. } = packet {
            receiver.piece(bytes.clone(), Arc::clone(&room));
        }
    }
    match zxid {
        Some(zxid) => receiver.finish(zxid, TreeOptions::default()),
        None => drop(receiver),
    }
    let how = told.recv_timeout(LONG);
    if how.is_ok() {
        assert_eq!(told.recv_timeout(LONG).unwrap_err(), RecvTimeoutError::Disconnected, "called once");
    }
    assert_eq!(Arc::strong_count(&room), 1, "every piece's room is given back");
    let mail = env.registry.totals()[&("snapshot_receiver".into(), "Piece")];
    let pieces = packets.iter().filter(|it| matches!(it, ToLearner::Snapshot { .. })).count() as u64;
    assert_eq!((mail.posted, mail.depth), (pieces, 0), "every piece is counted, and none is left");
    how
}

fn snapshots(disk: &impl Disk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("snapshot.")).collect()
}

#[test]
fn a_learner_is_filled_from_a_file_system_while_its_leader_writes() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [leaders, learners] = directories.each_ref().map(|it| RealDisk::new(it.path()).unwrap());
    let mut leader = Member::on(leaders);
    leader.log(1, 1..200, 1_000);
    leader.snapshot();
    leader.log(1, 200..260, 1_000);
    let (events, seen) = crossbeam_channel::unbounded();
    let Member { logger, tree, txns, .. } = leader;
    let thread =
        LoggerThread::start(logger, ThreadOptions::default(), &Env::real(), move |it| drop(events.send(it)))
            .unwrap();
    let view = || {
        let (to, view) = bounded(1);
        let answer = Box::new(move |view: io::Result<LogView>| to.send(view.unwrap()).unwrap());
        thread.handle.send(Command::View { answer }).unwrap();
        view.recv_timeout(LONG).unwrap()
    };
    let (first, second) = (view(), view());
    for zxid in (260..900).map(|counter| z(1, counter)) {
        let write = Box::new(move |to: &mut crate::storage::Records| to.push(zxid, &[1; 1_000]));
        thread.handle.send(Command::Append { role: 1, write, committed: zxid }).unwrap();
    }
    thread.handle.send(Command::Purge { keep: 1 }).unwrap();
    let (parts, done) = snapshot_sent(first);
    let packets = read(parts);
    let mut received = received(&learners, &packets, Some(done.unwrap())).unwrap().unwrap();
    let (parts, done) = log_sent(second, (received.zxid, z(1, 259)), PIECE);
    assert_eq!(done, Ok(z(1, 259)));
    let (rest, _) = proposed(read(parts), received.zxid);
    assert_eq!(rest, txns[199..]);
    for txn in rest {
        received.tree.apply(&txn, &mut Events::unwanted());
    }
    received.tree.check();
    assert_eq!(received.tree.digest(), tree.read().digest());
    assert_eq!(snapshots(&learners), [snapshot_name(z(1, 199))]);
    drop(thread.handle);
    thread.thread.join().unwrap();
    assert!(seen.try_iter().any(|it| matches!(it, LoggerEvent::Purged(it) if it.segments > 0)));
}
