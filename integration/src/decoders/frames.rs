//! What comes down a lane between two members.

use paddock_messages::frame::{Frame, FrameReader, FrameWriter, HEADER, Kind, Lane, MAGIC, SPOKEN, kinds};

/// In bytes, so that batches beyond the limit are met with a header alone.
const LARGEST_TXN: usize = 1 << 10;
/// What a reader may keep, in bytes.
const KEPT: usize = 1 << 20;

/// The recorded frames; the first is a hello.
fn recorded() -> Vec<Vec<u8>> {
    let line = |line: &str| {
        let (_, digits) = line.split_once(' ').expect("a name and digits");
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    let (one, two) = (include_str!("../../golden/frames-v1.txt"), include_str!("../../golden/frames-v2.txt"));
    one.lines().chain(two.lines()).map(line).collect()
}

fn lane(first: u8) -> Lane {
    if first & 1 == 0 { Lane::Ctl } else { Lane::Data }
}

/// The first byte says which lane, and how the rest is cut; the rest is what comes, once as it is and once
/// as bodies of frames with all else put right ([`sealed`]).
pub fn frame(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let piece = usize::from(first >> 1).max(1);
    read(lane(first), rest, piece);
    read(lane(first), &sealed(rest), piece);
}

/// A hello, then frames: a byte for the type and its version, two for the length, then the body.
fn sealed(mut data: &[u8]) -> Vec<u8> {
    let rows: Vec<(Kind, u8)> = kinds().collect();
    let mut bytes = recorded().swap_remove(0);
    while let Some(([which, low, high], rest)) = data.split_first_chunk() {
        let (kind, version) = rows[usize::from(*which) % rows.len()];
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        let head = [&[MAGIC, version, kind as u8][..], &(length as u32).to_le_bytes()].concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head), body);
        bytes.extend([&head, &crc.to_le_bytes()[..], body].concat());
        data = rest;
    }
    bytes
}

fn read(lane: Lane, bytes: &[u8], piece: usize) {
    let mut reader = FrameReader::new(lane, LARGEST_TXN);
    for piece in bytes.chunks(piece) {
        reader.feed(piece);
        loop {
            match reader.take() {
                Ok(Some(frame)) => check(lane, &frame),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return;
                }
            }
        }
        assert!(reader.memory() <= (2 * bytes.len()).max(KEPT), "FZ1: {} bytes", reader.memory());
    }
    let _ = reader.end();
}

/// Written again it reads back the same.
fn check(lane: Lane, frame: &Frame) {
    let writer = FrameWriter::new(SPOKEN.highest, LARGEST_TXN);
    let mut bytes = Vec::new();
    if !matches!(frame, Frame::Hello(_)) {
        bytes = recorded().swap_remove(0);
    }
    writer.write(frame, &mut bytes).expect("it was read with the same limits");
    let mut reader = FrameReader::new(lane, LARGEST_TXN);
    reader.feed(&bytes);
    let mut again = reader.take();
    if !matches!(frame, Frame::Hello(_)) {
        again = reader.take();
    }
    assert_eq!(again.expect("FZ2").as_ref(), Some(frame), "FZ2");
}

/// Each recorded frame behind a hello, as it is and as [`sealed`] takes it.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let rows: Vec<(Kind, u8)> = kinds().collect();
    let all = recorded();
    let mut seeds = Vec::new();
    for bytes in &all {
        let which = rows.iter().position(|(kind, version)| [*version, *kind as u8] == bytes[1..3]);
        let which = which.expect("a type that is read");
        let first = if rows[which].0.lane() == Some(Lane::Ctl) { 254 } else { 255 };
        seeds.push([&[first], &all[0][..], bytes].concat());
        let [low, high, ..] = bytes.len().saturating_sub(HEADER).to_le_bytes();
        seeds.push([&[first, which as u8, low, high], &bytes[HEADER..]].concat());
    }
    seeds
}
