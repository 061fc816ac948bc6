//! The file `history`: which history this data directory holds, and of which files it is made.
//!
//! Byte 0 is the format, then the fields by [`codec`], then the CRC32C of all before. Format 1 lacks the last
//! field, `tree_differs`, which is false there: 2 is written only while it is true. The file is replaced whole, so
//! either the old or the new one is there, whenever the crash came (S5).

use paddock_messages::codec::{self, CodecError};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};
use serde::{Deserialize, Serialize};

/// Its name in the data directory.
pub const HISTORY_FILE: &str = "history";
/// What a sound file takes at most: far more than any number of segments kept.
pub const HISTORY_LIMIT: usize = 16 << 20;
const FORMAT: u8 = 1;
const MARKED: u8 = 2;

/// What a member must not forget besides its log; the actors decide it, the Logger keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Drawn at random by the first epoch's leader; without one the member belongs to none yet.
    pub ensemble: Option<u128>,
    /// No leader with a lower epoch is followed any more.
    pub accepted_epoch: Epoch,
    /// The epoch of the last leader this member was synchronised with.
    pub current_epoch: Epoch,
    /// What was here is incomplete: no vote until a leader's history has replaced it.
    pub must_resync: bool,
    /// An import, a restore or a server alone: an ensemble may begin with it.
    pub seed: bool,
    /// What snapshots and log come to is not the tree that a quorum has: no client of the ensemble is served
    /// from it. The log is sound.
    pub tree_differs: bool,
}

/// A snapshot file that stands for every txn up to `zxid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// Its file.
    pub name: String,
    /// The last txn in it.
    pub zxid: Zxid,
}

/// A segment of the log, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// See [`segment_name`].
    pub file: u64,
    /// What its batches say; batches of another generation are not of this history.
    pub generation: u64,
}

/// Where the chain of batches goes on: the next one's number, and the CRC of the header before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Of the next batch.
    pub number: u64,
    /// Of the header before it.
    pub previous: u32,
}

impl Chain {
    /// Before the first batch of all.
    pub const START: Self = Self { number: 1, previous: 0 };
}

/// The whole content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The member whose data this is.
    pub server: ServerId,
    /// Drawn at random once: part of every header's CRC.
    pub salt: u64,
    /// One more for each SNAP or TRUNC.
    pub generation: u64,
    /// The log holds every txn after this one.
    pub log_start: Zxid,
    /// Where its first segment begins.
    pub chain: Chain,
    /// Oldest first.
    pub snapshots: Vec<SnapshotEntry>,
    /// In order; the last ones may be reserved, not yet written.
    pub segments: Vec<SegmentEntry>,
    /// Epochs and identity.
    pub facts: Facts,
}

/// Why a `history` was not read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Written by a later version.
    #[error("format {0} is newer than this version of paddock reads")]
    Newer(u8),
    /// Cut short or altered.
    #[error("the checksum does not match")]
    Checksum,
    /// The checksum matches, the fields do not.
    #[error(transparent)]
    Fields(#[from] CodecError),
}

impl History {
    /// One that holds nothing yet.
    pub fn new(server: ServerId, salt: u64) -> Self {
        Self {
            server,
            salt,
            generation: 1,
            log_start: Zxid::ZERO,
            chain: Chain::START,
            snapshots: Vec::new(),
            segments: Vec::new(),
            facts: Facts::default(),
        }
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let is_marked = self.facts.tree_differs;
        let mut out = vec![if is_marked { MARKED } else { FORMAT }];
        codec::encode_into(&mut out, self).expect("numbers, strings and lists of known length");
        if !is_marked {
            out.pop(); // the byte of the last field
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// From the file's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, HistoryError> {
        let last_field: &[u8] = match bytes.first() {
            Some(&format) if format > MARKED => return Err(HistoryError::Newer(format)),
            Some(&MARKED) => &[],
            Some(&FORMAT) => &[0],
            _ => return Err(HistoryError::Checksum),
        };
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(HistoryError::Checksum)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(HistoryError::Checksum);
        }
        let fields = [&body[1..], last_field].concat();
        Ok(codec::decode::<Self, HISTORY_LIMIT>(&fields)?)
    }

    /// The snapshots it can be loaded from, newest first: those at or after which the log is whole.
    pub fn usable_snapshots(&self) -> impl Iterator<Item = &SnapshotEntry> {
        self.snapshots.iter().rev().filter(|snapshot| snapshot.zxid >= self.log_start)
    }
}

/// The file of the segment `file`.
pub fn segment_name(file: u64) -> String {
    format!("segment.{file:016x}")
}

/// The number in a segment's name; `None` if it is not one.
pub fn segment_number(name: &str) -> Option<u64> {
    let hex = name.strip_prefix("segment.").filter(|hex| hex.len() == 16)?;
    u64::from_str_radix(hex, 16).ok()
}

/// The usual name of the snapshot at `zxid`.
pub fn snapshot_name(zxid: Zxid) -> String {
    format!("snapshot.{:016x}", zxid.0)
}

/// What a snapshot is called that the disk did not give: `snapshot.unreadable.<16 hex digits>`, which no start deletes.
pub(super) fn unreadable_name(name: &str) -> String {
    format!("snapshot.unreadable.{}", name.trim_start_matches("snapshot."))
}

/// Whether a name is a snapshot's, a temporary one included: `snapshot.<16 hex digits>`, and whatever
/// follows it after a `.` or `-`. Recovery deletes such files when `history` does not name them.
pub fn is_snapshot_name(name: &str) -> bool {
    let Some((hex, rest)) = name.strip_prefix("snapshot.").and_then(|rest| rest.split_at_checked(16)) else {
        return false;
    };
    hex.bytes().all(|b| b.is_ascii_hexdigit()) && (rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> History {
        let mut history = History::new(ServerId(3), 77);
        history.segments = vec![SegmentEntry { file: 4, generation: 1 }];
        for zxid in [5, 9, 12] {
            history.snapshots.push(SnapshotEntry { name: snapshot_name(Zxid(zxid)), zxid: Zxid(zxid) });
        }
        history.log_start = Zxid(7);
        history.facts = Facts { ensemble: Some(1 << 100), seed: true, ..Facts::default() };
        history
    }

    #[test]
    fn is_read_back_and_every_prefix_and_flipped_bit_is_refused() {
        let marked = Facts { tree_differs: true, ..sample().facts };
        check(&sample(), 1);
        check(&History { facts: marked, ..sample() }, 2);
    }

    fn check(history: &History, format: u8) {
        let bytes = history.encode();
        assert_eq!((&History::decode(&bytes).unwrap(), bytes[0]), (history, format));
        for cut in 0..bytes.len() {
            assert!(matches!(History::decode(&bytes[..cut]), Err(HistoryError::Checksum)), "{cut} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(History::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = sample().encode();
        bytes[0] = 3;
        assert!(matches!(History::decode(&bytes), Err(HistoryError::Newer(3))));
    }

    #[test]
    fn snapshots_older_than_the_log_are_of_no_use() {
        let zxids: Vec<u64> = sample().usable_snapshots().map(|snapshot| snapshot.zxid.0).collect();
        assert_eq!(zxids, [12, 9]);
    }

    #[test]
    fn only_own_names_are_own() {
        assert_eq!(segment_number(&segment_name(0xab)), Some(0xab));
        for name in ["segment.1", "segment.", "log.1", "segment.000000000000000g", "version-2"] {
            assert_eq!(segment_number(name), None, "{name}");
        }
        for (name, own) in [
            (snapshot_name(Zxid(5)).as_str(), true),
            ("snapshot.0000000000000005.tmp", true),
            ("snapshot.0000000000000005-2", true),
            ("snapshot.5", false),
            ("snapshot.00000000000000055", false),
            ("snapshot.mine", false),
            ("my-snapshot.0000000000000005", false),
        ] {
            assert_eq!(is_snapshot_name(name), own, "{name}");
        }
    }
}
