//! Each version of each type: how long its body may be, how it is written and read.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::{Frame, Kind};
use crate::codec::{self, CodecError};
use crate::quorum::{Digests, Heartbeat, ToLeader, ToLearner};

/// The most bytes of a snapshot in one frame.
pub const MOST_SNAPSHOT: usize = 1 << 20;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// A session's end names all its ephemerals, which nothing bounds but memory: such a txn must get through.
const GIB: usize = 1 << 30;

/// The longest body of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// In bytes.
    Of(usize),
    /// 16 MiB and the largest txn: whoever fills a batch up to 16 MiB may always add the one at hand.
    Batch,
}

impl Limit {
    /// In bytes, for this size of the largest txn; below 4 GiB, as a header can say no more.
    pub(super) fn bytes(self, largest_txn: usize) -> usize {
        match self {
            Self::Of(bytes) => bytes,
            Self::Batch => largest_txn.saturating_add(16 * MIB).min(u32::MAX as usize),
        }
    }
}

/// One version of one type.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) version: u8,
    pub(super) limit: Limit,
    /// Appends the body of a frame of this kind.
    pub(super) write: fn(&Frame, &mut Vec<u8>) -> Result<(), CodecError>,
    /// From the whole body.
    pub(super) read: fn(&[u8]) -> Result<Frame, CodecError>,
}

/// A row whose body is what the frame holds, or the packet's fields in the order in which they stand here.
macro_rules! row {
    ($version:literal, $limit:expr, $name:ident) => {
        row!(@ $version, $limit, $name, $name(all), all)
    };
    ($version:literal, $limit:expr, $side:ident::$name:ident { $($field:ident),+ }) => {
        row!(@ $version, $limit, $name, $side($side::$name { $($field),+ }), ($($field,)+))
    };
    ($version:literal, $limit:expr, $side:ident::$name:ident($all:ident)) => {
        row!(@ $version, $limit, $name, $side($side::$name($all)), $all)
    };
    (@ $version:literal, $limit:expr, $name:ident, $side:ident $frame:tt, $body:tt) => {
        Row {
            kind: Kind::$name,
            version: $version,
            limit: $limit,
            write: |frame, to| {
                let Frame::$side $frame = frame else { unreachable!("a row writes frames of its kind") };
                codec::encode_into(to, &$body)
            },
            read: |body| {
                let $body = codec::decode_by_length(body)?;
                Ok(Frame::$side $frame)
            },
        }
    };
}

const SMALL: Limit = Limit::Of(64 * KIB);

/// All that can be read, and written on request; within a type by version. A row stays as it is while any
/// build that is still run reads it.
pub(super) const TABLE: &[Row] = &[
    row!(1, Limit::Of(4 * KIB), Hello),
    row!(1, SMALL, Notification),
    HEARTBEAT_1,
    row!(2, SMALL, Heartbeat),
    row!(4, Limit::Of(4 * MIB), Configuration),
    LEARNER_INFO_1,
    row!(2, SMALL, ToLeader::LearnerInfo { accepted_epoch, counts, asks_for_tree }),
    row!(1, SMALL, ToLeader::AckEpoch { counts, current_epoch, tail }),
    row!(1, SMALL, ToLeader::AckNewLeader { upto }),
    row!(1, SMALL, ToLeader::Ack { upto }),
    row!(1, Limit::Batch, ToLeader::Requests(items)),
    row!(1, Limit::Batch, ToLeader::Touched { as_of_ms, sessions }),
    row!(1, Limit::Batch, ToLeader::Expire(sessions)),
    row!(1, SMALL, ToLearner::LeaderInfo { epoch }),
    row!(1, SMALL, ToLearner::Sync(start)),
    SNAPSHOT_1,
    row!(1, Limit::Of(GIB), ToLearner::Proposals { after, items }),
    row!(4, Limit::Of(GIB), ToLearner::Proposals { after, items }), // with txns of level 1
    row!(1, SMALL, ToLearner::NewLeader { epoch, last, ensemble }),
    row!(1, SMALL, ToLearner::UpToDate { committed }),
    row!(1, Limit::Batch, ToLearner::TurnedAway(handshakes)),
    row!(1, SMALL, ToLearner::Confirmed { upto }),
    row!(1, SMALL, ToLearner::Commit { upto }),
    row!(1, Limit::Batch, ToLearner::Silent(sessions)),
    row!(3, SMALL, ToLearner::NewEpoch { epoch, last }),
];

/// By hand, for it tells less than the next version.
const HEARTBEAT_1: Row = Row {
    kind: Kind::Heartbeat,
    version: 1,
    limit: SMALL,
    write: |frame, to| {
        let Frame::Heartbeat(Heartbeat { number, echo, accepted_epoch, vouches, .. }) = frame else {
            unreachable!("a row writes frames of its kind")
        };
        codec::encode_into(to, &(number, echo, accepted_epoch, vouches))
    },
    read: |body| {
        let (number, echo, accepted_epoch, vouches) = codec::decode_by_length(body)?;
        let digests = Digests::default();
        Ok(Frame::Heartbeat(Heartbeat { number, echo, accepted_epoch, vouches, digests }))
    },
};

/// The same.
const LEARNER_INFO_1: Row = Row {
    kind: Kind::LearnerInfo,
    version: 1,
    limit: SMALL,
    write: |frame, to| {
        let Frame::ToLeader(ToLeader::LearnerInfo { accepted_epoch, counts, .. }) = frame else {
            unreachable!("a row writes frames of its kind")
        };
        codec::encode_into(to, &(accepted_epoch, counts))
    },
    read: |body| {
        let (accepted_epoch, counts) = codec::decode_by_length(body)?;
        let packet = ToLeader::LearnerInfo { accepted_epoch, counts, asks_for_tree: false };
        Ok(Frame::ToLeader(packet))
    },
};

/// By hand, for its bytes are moved as a whole: serde takes a vector's one by one.
const SNAPSHOT_1: Row = Row {
    kind: Kind::Snapshot,
    version: 1,
    limit: Limit::Of(MOST_SNAPSHOT + 6), // 5 for so great a length, 1 for the flag
    write: |frame, to| {
        let Frame::ToLearner(ToLearner::Snapshot { bytes, is_last }) = frame else {
            unreachable!("a row writes frames of its kind")
        };
        codec::encode_into(to, &(Whole(bytes), is_last))
    },
    read: |body| {
        let (bytes, is_last) = codec::decode_by_length::<(Bytes, bool)>(body)?;
        Ok(Frame::ToLearner(ToLearner::Snapshot { bytes: bytes.into(), is_last }))
    },
};

/// Bytes as one part.
struct Whole<'a>(&'a [u8]);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

/// The row of these two bytes of a header.
pub(super) fn row(kind: u8, version: u8) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.kind as u8 == kind && row.version == version)
}

/// How a type is written where `speaking` is agreed.
pub(super) fn row_to_speak(kind: Kind, speaking: u8) -> Option<&'static Row> {
    TABLE.iter().rfind(|row| row.kind == kind && row.version <= speaking)
}

/// Whether there is a way to say it where `speaking` is agreed.
pub fn can_say(kind: Kind, speaking: u8) -> bool {
    row_to_speak(kind, speaking).is_some()
}

/// Each type and version that this build reads.
pub fn kinds() -> impl Iterator<Item = (Kind, u8)> {
    TABLE.iter().map(|row| (row.kind, row.version))
}
