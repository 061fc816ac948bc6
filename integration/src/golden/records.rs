//! Bytes through `paddock-messages`' records and back (U1).

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::client::ops::{
    AddWatch, Create, CreateTtl, MaybePath, MultiHeader, PathOnly, PathType, PathVersion, PathWatch,
    PersistentWatches, Reconfig, SetAcl, SetData, SetWatches,
};
use paddock_messages::client::session::{AuthPacket, SaslToken};
use paddock_messages::wire::{DecodeError, Wire};
use paddock_messages::znode::{AclEntry, Stat};

/// A record read and written again, onto `to`.
type Again = fn(&mut Bytes, &mut Vec<u8>) -> Result<(), DecodeError>;

fn again<T: Wire>(from: &mut Bytes, to: &mut Vec<u8>) -> Result<(), DecodeError> {
    T::read(from)?.write(to);
    Ok(())
}

/// A request's body, read into its record and written again.
///
/// # Errors
/// The bytes are not that record.
pub fn request_again(opcode: i32, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (mut from, mut to) = (Bytes::copy_from_slice(body), Vec::new());
    request(opcode, &mut from, &mut to)?;
    Ok(to)
}

/// A reply's body, likewise.
///
/// # Errors
/// The bytes are not that record.
pub fn reply_again(opcode: i32, body: &Bytes) -> Result<Vec<u8>, DecodeError> {
    let (mut from, mut to) = (body.clone(), Vec::new());
    if !from.is_empty() {
        reply(opcode, &mut from, &mut to)?;
    }
    Ok(to)
}

fn request(opcode: i32, from: &mut Bytes, to: &mut Vec<u8>) -> Result<(), DecodeError> {
    let records: &[Again] = match opcode {
        1 | 15 | 19 => &[again::<Create>],
        21 => &[again::<CreateTtl>],
        2 | 13 => &[again::<PathVersion>],
        3 | 4 | 8 | 12 => &[again::<PathWatch>],
        5 => &[again::<SetData>],
        7 => &[again::<SetAcl>],
        6 | 104 => &[again::<PathOnly>],
        9 | 103 => &[again::<MaybePath>],
        14 | 22 => return list(from, to, request),
        16 => &[again::<Reconfig>],
        17 | 18 => &[again::<PathType>],
        100 => &[again::<AuthPacket>],
        101 => &[again::<SetWatches>],
        102 => &[again::<SaslToken>],
        105 => &[again::<SetWatches>, again::<PersistentWatches>],
        106 => &[again::<AddWatch>],
        _ => &[],
    };
    records.iter().try_for_each(|again| again(from, to))
}

fn reply(opcode: i32, from: &mut Bytes, to: &mut Vec<u8>) -> Result<(), DecodeError> {
    let records: &[Again] = match opcode {
        1 => &[again::<ByteString>],
        3 | 5 | 7 => &[again::<Stat>],
        4 | 16 => &[again::<Option<Bytes>>, again::<Stat>],
        6 => &[again::<Vec<AclEntry>>, again::<Stat>],
        8 | 103 => &[again::<Vec<ByteString>>],
        9 => &[again::<Option<ByteString>>],
        12 => &[again::<Vec<ByteString>>, again::<Stat>],
        14 | 22 => return list(from, to, reply),
        15 | 19 | 21 => &[again::<ByteString>, again::<Stat>],
        102 => &[again::<SaslToken>],
        104 | 106 | -1 => &[again::<i32>],
        107 => &[clients],
        _ => &[],
    };
    records.iter().try_for_each(|again| again(from, to))
}

/// whoAmI's list of two strings each.
fn clients(from: &mut Bytes, to: &mut Vec<u8>) -> Result<(), DecodeError> {
    let count = i32::read(from)?;
    count.write(to);
    (0..count).try_for_each(|_| {
        again::<ByteString>(from, to)?;
        again::<ByteString>(from, to)
    })
}

fn list(
    from: &mut Bytes,
    to: &mut Vec<u8>,
    one: fn(i32, &mut Bytes, &mut Vec<u8>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    loop {
        let header = MultiHeader::read(from)?;
        header.write(to);
        if header.done {
            return Ok(());
        }
        one(header.kind, from, to)?;
    }
}
