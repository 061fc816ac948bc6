//! Frames there and back, cut, damaged, hostile; and as they stand in `integration/golden/frames-v1.txt`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::client::ops::SetData;
use crate::client::request::{Write, WriteOp};
use crate::ids::SessionId;
use crate::letters::{Asker, Handshake, Proposal, Request};
use crate::level;
use crate::quorum::Digests;
use crate::txn::{Op, Txn, TxnBody, TxnHeader};
use crate::zxid::{Epoch, Zxid};

mod levels;

/// In bytes.
const LARGEST_TXN: usize = 4_000;
const MIB: usize = 1 << 20;

/// The first version that has a word for it.
fn first(kind: Kind) -> u8 {
    (1..).find(|version| can_say(kind, *version)).unwrap()
}

fn written(frame: &Frame) -> Vec<u8> {
    written_in(first(frame.kind()).max(level::frames_of(frame.level())), frame)
}

fn of_each_type() -> Vec<(String, Frame)> {
    samples::all().into_iter().chain(samples::of_version_3()).chain(samples::of_version_4()).collect()
}

fn written_in(version: u8, frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameWriter::new(version, LARGEST_TXN).write(frame, &mut bytes).unwrap();
    bytes
}

fn hello() -> Frame {
    Frame::Hello(samples::HELLO)
}

/// A reader of the lane on which `kind` comes, past the hello.
fn greeted(kind: Kind) -> FrameReader {
    let mut reader = FrameReader::new(kind.lane().unwrap_or(Lane::Ctl), LARGEST_TXN);
    if kind != Kind::Hello {
        reader.feed(&written(&hello()));
        assert_eq!(reader.take().unwrap(), Some(hello()));
    }
    reader
}

/// What a header says, and a body, with the right checksum.
fn sealed(kind: u8, version: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let summed = [&[MAGIC, version, kind][..], &length.to_le_bytes()].concat();
    let crc = crc32c::crc32c(&[&summed, body].concat());
    [&summed, &crc.to_le_bytes()[..], body].concat()
}

fn fault(reader: &mut FrameReader, bytes: &[u8]) -> Fault {
    reader.feed(bytes);
    reader.take().unwrap_err().fault
}

fn commit(counter: u32) -> Frame {
    Frame::ToLearner(ToLearner::Commit { upto: Zxid::new(Epoch(1), counter) })
}

/// A batch of one txn with so many bytes of data.
fn batch(data: usize) -> Frame {
    let header = TxnHeader {
        session: SessionId(1),
        attach: Default::default(),
        cxid: 1,
        zxid: Zxid::new(Epoch(1), 2),
        time: 0,
    };
    let data = Some(bytes::Bytes::from(vec![7; data]));
    let body = TxnBody::One(Op::SetData { path: "/a".into(), data, version: 1 });
    let items = Arc::new(vec![Proposal::Txn(Txn { header, body })]);
    Frame::ToLearner(ToLearner::Proposals { after: Zxid::new(Epoch(1), 1), items })
}

/// What clients ask, as long as that.
fn asked(data: usize) -> Frame {
    let ids = Arc::from([]);
    let from = Asker { session: SessionId(1), attach: Default::default(), ids };
    let data = Some(bytes::Bytes::from(vec![7; data]));
    let write = Write::One(WriteOp::SetData(SetData { path: "/a".into(), data, version: 1 }));
    Frame::ToLeader(ToLeader::Requests(vec![Request::Write { from, xid: 1, write }]))
}

#[test]
fn fr1_every_type_reads_back_and_so_does_a_lane_of_them_cut_anywhere() {
    let mut met = BTreeSet::new();
    for lane in [Lane::Ctl, Lane::Data] {
        let mine = |(_, frame): (String, Frame)| (frame.kind().lane() == Some(lane)).then_some(frame);
        let frames: Vec<_> =
            std::iter::once(hello()).chain(of_each_type().into_iter().filter_map(mine)).collect();
        let bytes: Vec<_> = frames.iter().flat_map(written).collect();
        met.extend(frames.iter().map(|frame| frame.kind() as u8));
        for size in [1, 2, 7, 11, 64, 1_000, bytes.len()] {
            let (mut reader, mut taken) = (FrameReader::new(lane, LARGEST_TXN), Vec::new());
            for piece in bytes.chunks(size) {
                reader.feed(piece);
                while let Some(frame) = reader.take().unwrap() {
                    taken.push(frame);
                }
            }
            reader.end().unwrap();
            assert_eq!(taken, frames, "pieces of {size}");
        }
    }
    assert_eq!(met.len(), Kind::ALL.len(), "every type has a sample");
}

#[test]
fn fr1_every_prefix_waits_and_every_cut_in_two_reads_back() {
    for (name, frame) in of_each_type() {
        let bytes = written(&frame);
        for cut in 0..bytes.len() {
            let mut reader = greeted(frame.kind());
            reader.feed(&bytes[..cut]);
            assert!(reader.take().unwrap().is_none(), "{name} cut at {cut}");
            match reader.end() {
                Ok(()) => assert_eq!(cut, 0, "{name}"),
                Err(error) => {
                    assert!(matches!(error.fault, Fault::Cut(left) if left == cut), "{name}: {error}");
                }
            }
            reader.feed(&bytes[cut..]);
            assert_eq!(reader.take().unwrap().as_ref(), Some(&frame), "{name} cut at {cut}");
            reader.end().unwrap();
        }
    }
}

#[test]
fn fr3_every_flipped_bit_is_refused() {
    for (name, frame) in of_each_type() {
        let bytes = written(&frame);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut reader = greeted(frame.kind());
            reader.feed(&damaged);
            // A greater length waits for what is not there; once so much has come, it is refused, too.
            if let Ok(taken) = reader.take() {
                assert!(taken.is_none() && (24..56).contains(&bit), "{name}: bit {bit}: {taken:?}");
                assert!(matches!(reader.end().unwrap_err().fault, Fault::Cut(_)));
                reader.feed(&vec![0; 1 << 19]);
                let later = reader.take();
                assert!(!matches!(later, Ok(Some(_))), "{name}: bit {bit}: {later:?}");
                assert!(later.is_err() || bit >= 24 + 19, "{name}: bit {bit}");
            }
        }
    }
}

#[test]
fn fr3_a_wrong_length_with_the_right_checksum_is_refused() {
    for (name, frame) in of_each_type() {
        let (kind, bytes) = (frame.kind(), written(&frame));
        let body = &bytes[HEADER..];
        for cut in 0..body.len() {
            let short = sealed(kind as u8, first(kind), cut as u32, &body[..cut]);
            let fault = fault(&mut greeted(kind), &short);
            assert!(matches!(fault, Fault::Body { length, .. } if length == cut), "{name}, {cut}: {fault}");
        }
        let long = [body, &[0]].concat();
        let fault = fault(&mut greeted(kind), &sealed(kind as u8, first(kind), long.len() as u32, &long));
        assert!(matches!(fault, Fault::Body { .. }), "{name}: {fault}");
        assert!(fault.to_string().ends_with("1 bytes are left after the value"), "{name}: {fault}");
    }
}

#[test]
fn fr2_a_length_beyond_its_types_limit_is_refused_by_the_header_alone() {
    for &kind in Kind::ALL {
        let limit = match kind {
            Kind::Hello => 4 << 10,
            Kind::Configuration => 4 * MIB,
            Kind::Snapshot => MIB + 6,
            Kind::Proposals => 1 << 30,
            Kind::Requests | Kind::TurnedAway => 16 * MIB + LARGEST_TXN,
            Kind::Touched | Kind::Expire | Kind::Silent => 16 * MIB + LARGEST_TXN,
            _ => 64 << 10,
        };
        let mut reader = greeted(kind);
        reader.feed(&sealed(kind as u8, first(kind), limit as u32, &[]));
        assert!(reader.take().unwrap().is_none(), "{kind:?} of {limit} may come");
        assert!(reader.memory() < 4_096, "{kind:?}: {} bytes for none", reader.memory());
        for length in [limit as u32 + 1, u32::MAX] {
            let mut reader = greeted(kind);
            let fault = fault(&mut reader, &sealed(kind as u8, first(kind), length, &[]));
            let expected = format!("{kind:?} of {length} bytes, where {limit} are allowed");
            assert_eq!(fault.to_string(), expected);
            assert!(reader.memory() < 4_096);
        }
    }
    let most = table::row(Kind::Requests as u8, 1).unwrap().limit.bytes(usize::MAX);
    assert_eq!(most, u32::MAX as usize, "what a header can say");
}

#[test]
fn fr2_what_only_a_leader_says_is_refused_by_the_header_of_a_learner() {
    for &kind in Kind::ALL.iter().filter(|kind| kind.lane() == Some(Lane::Data)) {
        let mut reader = FrameReader::new(Lane::Data, LARGEST_TXN).of_a_learner();
        reader.feed(&written(&hello()));
        assert_eq!(reader.take().unwrap(), Some(hello()));
        reader.feed(&sealed(kind as u8, first(kind), 1_000, &[]));
        let is_refused = reader.take().is_err_and(|error| matches!(error.fault, Fault::Direction(_)));
        let expected =
            of_each_type().iter().any(|(_, it)| it.kind() == kind && matches!(it, Frame::ToLearner(_)));
        assert_eq!(is_refused, expected, "{kind:?}");
    }
}

#[test]
fn fr2_lengths_inside_a_body_take_no_memory_for_what_is_not_there() {
    let many = [&[253][..], &u64::MAX.to_le_bytes()].concat();
    let billion = [&[252][..], &(1u32 << 30).to_le_bytes()].concat();
    for length in [many, billion] {
        for (kind, before) in [
            (Kind::Requests, &[][..]),                          // of requests
            (Kind::Requests, &[1, 3, 2, 0, 0, 0]),              // of identities
            (Kind::Proposals, &[0]),                            // of proposals
            (Kind::Proposals, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 2]), // of ephemerals
            (Kind::Proposals, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 6]), // of a path
            (Kind::Snapshot, &[]),
            (Kind::TurnedAway, &[]),
            (Kind::AckEpoch, &[1, 0, 0]), // of runs
        ] {
            let body = [before, &length].concat();
            let bytes = sealed(kind as u8, first(kind), body.len() as u32, &body);
            let fault = fault(&mut greeted(kind), &bytes);
            assert!(matches!(fault, Fault::Body { .. }), "{kind:?} {before:?}: {fault}");
        }
    }
}

#[test]
fn fr2_memory_goes_by_what_was_fed_and_is_given_back() {
    let large = batch(8 * MIB);
    let bytes = written(&large);
    let mut reader = greeted(Kind::Proposals);
    let mut fed = 0;
    for piece in bytes[..bytes.len() - 1].chunks(64 << 10) {
        reader.feed(piece);
        fed += piece.len();
        assert!(reader.take().unwrap().is_none());
        assert!(reader.memory() <= (2 * fed).max(MIB), "{} bytes for {fed}", reader.memory());
    }
    reader.feed(&bytes[bytes.len() - 1..]);
    reader.feed(&written(&commit(2))[..5]);
    assert_eq!(reader.take().unwrap(), Some(large));
    assert!(reader.take().unwrap().is_none());
    assert!(reader.memory() <= MIB, "{} bytes are kept", reader.memory());
    reader.feed(&written(&commit(2))[5..]);
    assert_eq!(reader.take().unwrap(), Some(commit(2)));
}

#[test]
fn what_may_not_come_is_refused_by_its_first_bytes_and_says_what_and_where() {
    let data = |bytes: &[u8]| fault(&mut greeted(Kind::Commit), bytes).to_string();
    assert_eq!(data(b"G"), "it begins with 0x47 instead of 0xd5");
    assert_eq!(data(&[MAGIC, 9, 0x28]), "type 0x28 in version 9 is not known here");
    assert_eq!(data(&[MAGIC, 0, 0x28]), "type 0x28 in version 0 is not known here");
    assert_eq!(data(&[MAGIC, 1, 0x7f]), "type 0x7f in version 1 is not known here");
    assert_eq!(data(&[MAGIC, 1, 0x01]), "a second hello");
    assert_eq!(data(&[MAGIC, 1, 0x03]), "Heartbeat does not belong on the data lane");
    let ctl = fault(&mut greeted(Kind::Heartbeat), &[MAGIC, 1, 0x23]).to_string();
    assert_eq!(ctl, "Proposals does not belong on the ctl lane");
    let early = fault(&mut FrameReader::new(Lane::Data, 0), &[MAGIC, 1, 0x10]).to_string();
    assert_eq!(early, "LearnerInfo came before the hello");

    let mut reader = greeted(Kind::Commit);
    reader.feed(&written(&commit(1)));
    reader.feed(&[MAGIC, 1, 0x28, 2, 0, 0, 0, 1, 2, 3, 4, 0, 0]);
    reader.take().unwrap();
    let offset = written(&hello()).len() + written(&commit(1)).len();
    for _ in 0..2 {
        let error = reader.take().unwrap_err().to_string();
        let expected = "Commit of 2 bytes has the checksum 0x7273706b, its header says 0x04030201";
        assert_eq!(error, format!("the frame at byte {offset}: {expected}"));
        reader.feed(&vec![0; MIB]);
    }
    assert!(reader.memory() < 4_096, "what comes after an error is dropped");
}

#[test]
fn what_is_too_long_is_not_written_and_leaves_nothing() {
    let writer = FrameWriter::new(1, LARGEST_TXN);
    let piece = |len| Frame::ToLearner(ToLearner::Snapshot { bytes: vec![1; len], is_last: false });
    let mut out = written(&commit(1));
    let before = out.clone();
    let error = writer.write(&piece(MOST_SNAPSHOT + 1), &mut out).unwrap_err().to_string();
    assert_eq!(error, "Snapshot of 1048583 bytes is more than the 1048582 of a frame");
    let error = writer.write(&asked(16 * MIB + LARGEST_TXN), &mut out).unwrap_err();
    assert!(matches!(error, WriteError::TooLong { kind: Kind::Requests, .. }), "{error}");
    assert_eq!(out, before);
    for largest in [piece(MOST_SNAPSHOT), asked(16 * MIB + LARGEST_TXN - 100), batch(40 * MIB)] {
        let mut reader = greeted(largest.kind());
        reader.feed(&written(&largest));
        assert!(reader.take().unwrap() == Some(largest));
    }
}

#[test]
fn a_shared_frame_is_encoded_once_and_is_what_a_writer_writes() {
    let writer = FrameWriter::new(1, LARGEST_TXN);
    let mut shared = SharedFrame::new(batch(1_000));
    let all: Vec<_> = (0..3).map(|_| shared.bytes(&writer).unwrap()).collect();
    assert!(all.iter().all(|bytes| bytes.as_ptr() == all[0].as_ptr()), "the same memory");
    assert_eq!(all[0], written(&batch(1_000)));
    let mut long = SharedFrame::new(asked(17 * MIB));
    assert!(matches!(long.bytes(&writer), Err(WriteError::TooLong { .. })));
}

#[test]
fn a_version_that_both_speak_is_agreed_on_and_the_highest() {
    let range = |(lowest, highest)| Versions { lowest, highest };
    for (one, other, agreed) in [
        ((1, 1), (1, 1), Some(1)),
        ((1, 3), (2, 5), Some(3)),
        ((2, 5), (1, 3), Some(3)),
        ((1, 2), (3, 4), None),
        ((1, 4), (3, 2), None), // no range
        ((0, 255), (255, 255), Some(255)),
    ] {
        assert_eq!(highest_of_both(range(one), range(other)), agreed, "{one:?} {other:?}");
    }
    let ours = range((1, 2));
    assert_eq!((speak(ours, range((1, 1))), speak(ours, range((1, 9)))), (Ok(1), Ok(2)));
    let error = speak(ours, range((3, 9))).unwrap_err().to_string();
    assert_eq!(error, "we speak frames of version 1 to 2, the peer speaks 3 to 9");
}

#[test]
fn the_table_has_each_type_in_each_version_once_and_in_order() {
    let rows: Vec<_> = kinds().map(|(kind, version)| (kind as u8, version)).collect();
    assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
    for &kind in Kind::ALL {
        let first = match kind {
            Kind::NewEpoch => 3,
            Kind::Configuration => 4,
            _ => SPOKEN.lowest,
        };
        for version in 0..=SPOKEN.highest {
            assert_eq!(can_say(kind, version), version >= first, "{kind:?} in version {version}");
        }
    }
    assert!(rows.iter().all(|(_, version)| (SPOKEN.lowest..=SPOKEN.highest).contains(version)));
    let silent = FrameWriter::new(0, 0).write(&commit(1), &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(silent, "Commit cannot be said in version 0");
}

fn golden(version: u8) -> PathBuf {
    let name = format!("../integration/golden/frames-v{version}.txt");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// `GOLDEN=record cargo test -p paddock-messages fr4` writes the files: only for new lines, never to make a
/// difference go away.
#[test]
fn fr4_each_version_of_every_type_is_as_it_was_recorded() {
    as_recorded(1, &samples::all());
    as_recorded(2, &samples::of_version_2());
    as_recorded(3, &samples::of_version_3());
    as_recorded(4, &samples::of_version_4());
}

fn as_recorded(version: u8, samples: &[(String, Frame)]) {
    let bytes_of = |frame| written_in(version, frame);
    let text: String =
        samples.iter().map(|(name, frame)| format!("{name} {}\n", hex(&bytes_of(frame)))).collect();
    if std::env::var("GOLDEN").as_deref() == Ok("record") {
        std::fs::write(golden(version), &text).unwrap();
    }
    let (recorded, mut names) = (std::fs::read_to_string(golden(version)).unwrap(), BTreeSet::new());
    assert_eq!(recorded.lines().count(), samples.len());
    for (line, (name, frame)) in recorded.lines().zip(samples) {
        let (recorded_name, digits) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        assert!(recorded_name == name && names.insert(name), "{recorded_name}, {name}");
        assert_eq!(bytes, bytes_of(frame), "{name} is written otherwise: it needs a next version");
        assert_eq!(bytes[1], version, "{name} has no row of this version");
        let mut reader = greeted(frame.kind());
        reader.feed(&bytes);
        assert_eq!(reader.take().unwrap().as_ref(), Some(frame), "{name} is read otherwise");
    }
}

#[test]
fn what_version_1_cannot_say_is_left_out_and_every_later_row_has_a_sample() {
    let mut met = BTreeSet::new();
    for (name, frame) in samples::of_version_2() {
        met.insert(frame.kind() as u8);
        let mut reader = greeted(frame.kind());
        reader.feed(&written(&frame));
        let old = reader.take().unwrap().unwrap();
        assert!(old != frame && written(&old) == written(&frame), "{name}: {old:?}");
    }
    let of = |wanted| kinds().filter(move |(_, it)| *it == wanted).map(|(kind, _)| kind as u8);
    assert_eq!(met, of(2).collect());
    assert_eq!(of(3).collect::<Vec<_>>(), [Kind::NewEpoch as u8]);
    assert_eq!(of(4).collect::<Vec<_>>(), [Kind::Configuration as u8, Kind::Proposals as u8]);
}

#[test]
fn what_version_2_has_no_word_for_is_not_written_in_it() {
    for (name, frame) in samples::of_version_3() {
        let told = FrameWriter::new(2, LARGEST_TXN).write(&frame, &mut Vec::new());
        assert_eq!(told.unwrap_err().to_string(), "NewEpoch cannot be said in version 2", "{name}");
    }
}

#[test]
fn fr5_nothing_newer_than_what_was_agreed_is_read() {
    for (name, frame) in samples::of_version_2() {
        for (agreed, version, is_read) in [(1, 1, true), (1, 2, false), (2, 1, true), (2, 2, true)] {
            let mut reader = greeted(frame.kind());
            reader.agree(agreed);
            reader.feed(&written_in(version, &frame));
            let told = reader.take();
            let refused = format!("{:?} in version 2, where 1 was agreed", frame.kind());
            match &told {
                Ok(read) => assert!(is_read && read.is_some(), "{name} in {version}: {read:?}"),
                Err(error) => assert!(!is_read && error.fault.to_string() == refused, "{name}: {error}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn fr2_no_bytes_make_the_reader_panic(
        raw in proptest::collection::vec(any::<u8>(), 0..300),
        kind in proptest::sample::select(Kind::ALL),
    ) {
        let mut reader = FrameReader::new(Lane::Data, LARGEST_TXN);
        reader.feed(&raw);
        while let Ok(Some(_)) = reader.take() {}
        let mut reader = greeted(kind);
        reader.feed(&sealed(kind as u8, first(kind), raw.len() as u32, &raw));
        while let Ok(Some(_)) = reader.take() {}
        let _ = reader.end();
    }

    #[test]
    fn fr1_any_numbers_read_back(
        zxid: u64, epoch: u32, session: i64, timeout_ms: i32, raw in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        let (upto, epoch) = (Zxid(zxid), Epoch(epoch));
        let handshakes = vec![Handshake::Open(SessionId(session)); raw.len()];
        for frame in [
            Frame::ToLeader(ToLeader::Ack { upto }),
            Frame::ToLeader(ToLeader::LearnerInfo { accepted_epoch: epoch, counts: false, asks_for_tree: false }),
            Frame::ToLeader(ToLeader::Requests(vec![Request::Open { session: SessionId(session), timeout_ms }; 3])),
            Frame::ToLearner(ToLearner::NewLeader { epoch, last: upto, ensemble: 1 << 127 }),
            Frame::ToLearner(ToLearner::TurnedAway(handshakes)),
            Frame::ToLearner(ToLearner::Snapshot { bytes: raw, is_last: zxid % 2 == 0 }),
            Frame::Heartbeat(Heartbeat { number: zxid, echo: session as u64, accepted_epoch: epoch, vouches: true, digests: Digests::default() }),
        ] {
            let mut reader = greeted(frame.kind());
            reader.feed(&written(&frame));
            prop_assert_eq!(reader.take().unwrap(), Some(frame));
        }
    }
}
