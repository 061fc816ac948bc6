//! The bytes of what members say to each other: frames down a lane, one behind the other.
//!
//! ```text
//! 0     1         2      3        7        11
//! magic | version | type | length | CRC32C | body
//! ```
//! Numbers are little-endian; `length` counts the bytes of the body; the checksum covers all that stands
//! before it and the body; the body is the fields of the packet, in order, by [`crate::codec`].
//! - FR1  Frames read back as they were written, wherever the stream is cut.
//! - FR2  No bytes make [`FrameReader`] panic. It holds what it was fed and not yet asked for, and takes no
//!   memory for bytes that have not come.
//! - FR3  A frame that is not as it was written is never taken for one.
//! - FR4  What a version of a type looks like never changes: `integration/golden/frames-v1.txt`, to
//!   `-v4.txt`.
//! - FR5  Nothing is read that is newer than what was agreed with the peer: a build that has no such version could not.
//! - FR6  No txn of a feature level stands in frames of a version that members speak which cannot read it.
//!
//! A type's bytes change with the order of the fields and variants it holds, whatever module they are
//! declared in: what is new gets a row of its own in [`table`], with the next version.

mod read;
#[cfg(test)]
mod samples;
mod table;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;
use crate::letters::Proposal;
use crate::quorum::{Configuration, Heartbeat, Notification, ToLeader, ToLearner};

pub use read::{Fault, FrameError, FrameReader};
pub use table::{MOST_SNAPSHOT, can_say, kinds};
pub use write::{FrameWriter, SharedFrame, WriteError};

/// The first byte of every frame; another stands for another way to frame.
pub const MAGIC: u8 = 0xd5;
/// Bytes before the body.
pub const HEADER: usize = 11;
/// Bytes of the header that the checksum covers, with the body.
const SUMMED: usize = 7;

/// What one frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// First on each lane, from both sides.
    Hello(Hello),
    /// Down the ctl lane.
    Notification(Notification),
    /// Down the ctl lane.
    Heartbeat(Heartbeat),
    /// Down the ctl lane.
    Configuration(Configuration),
    /// Down the data lane.
    ToLeader(ToLeader),
    /// Down the data lane.
    ToLearner(ToLearner),
}

/// Who speaks, and how: the first frame on each lane, from both sides. Always written in version 1, which
/// every build must read: nothing is agreed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender.
    pub from: ServerId,
    /// The sender's ensemble, once it belongs to one.
    pub ensemble: Option<u128>,
    /// What this connection is for.
    pub lane: Lane,
    /// What the sender reads and writes.
    pub speaks: Versions,
    /// Whom the sender believes to have at the other end.
    pub to: ServerId,
}

/// What a connection between two members is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Votes and heartbeats, on the election port.
    Ctl,
    /// All whose order matters, on the quorum port.
    Data,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ctl => "ctl",
            Self::Data => "data",
        })
    }
}

/// Versions of frames, both ends included. Version N stands, for each type, for the newest of its rows that
/// is no newer than N: one number says how all of them are written, and what there is no word for ([`can_say`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub lowest: u8,
    /// The newest.
    pub highest: u8,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

/// What this build reads and writes.
pub const SPOKEN: Versions = Versions { lowest: 1, highest: 4 };

/// There is no version that both ends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("we speak frames of version {ours}, the peer speaks {theirs}")]
pub struct NoCommonVersion {
    /// [`SPOKEN`], or less.
    pub ours: Versions,
    /// As its hello says.
    pub theirs: Versions,
}

/// The highest version that this member and the peer speak: the newest of the older build. Each pair of members
/// agrees for itself: an old one holds back only what is said to it.
pub fn speak(ours: Versions, theirs: Versions) -> Result<u8, NoCommonVersion> {
    highest_of_both(ours, theirs).ok_or(NoCommonVersion { ours, theirs })
}

fn highest_of_both(one: Versions, other: Versions) -> Option<u8> {
    let highest = one.highest.min(other.highest);
    (highest >= one.lowest.max(other.lowest)).then_some(highest)
}

macro_rules! kinds {
    ($($name:ident = $number:literal,)*) => {
        /// The type of a frame; its number never gets another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is the packet of that name")]
        #[repr(u8)]
        pub enum Kind { $($name = $number,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    Hello = 0x01,
    Notification = 0x02,
    Heartbeat = 0x03,
    Configuration = 0x04, // from version 4 on
    // ToLeader
    LearnerInfo = 0x10,
    AckEpoch = 0x11,
    AckNewLeader = 0x12,
    Ack = 0x13,
    Requests = 0x14,
    Touched = 0x15,
    Expire = 0x16,
    // ToLearner
    LeaderInfo = 0x20,
    Sync = 0x21,
    Snapshot = 0x22,
    Proposals = 0x23,
    NewLeader = 0x24,
    UpToDate = 0x25,
    TurnedAway = 0x26,
    Confirmed = 0x27,
    Commit = 0x28,
    Silent = 0x29,
    NewEpoch = 0x2a, // from version 3 on
}

impl Kind {
    /// Down which lane it goes; `None` for a hello, which goes down both.
    pub fn lane(self) -> Option<Lane> {
        match self {
            Self::Hello => None,
            Self::Notification | Self::Heartbeat | Self::Configuration => Some(Lane::Ctl),
            _ => Some(Lane::Data),
        }
    }
}

impl Kind {
    /// Whether only a leader says it.
    pub fn is_a_leaders(self) -> bool {
        self as u8 & 0xf0 == 0x20
    }
}

impl Frame {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Notification(_) => Kind::Notification,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Configuration(_) => Kind::Configuration,
            Self::ToLeader(packet) => match packet {
                ToLeader::LearnerInfo { .. } => Kind::LearnerInfo,
                ToLeader::AckEpoch { .. } => Kind::AckEpoch,
                ToLeader::AckNewLeader { .. } => Kind::AckNewLeader,
                ToLeader::Ack { .. } => Kind::Ack,
                ToLeader::Requests(_) => Kind::Requests,
                ToLeader::Touched { .. } => Kind::Touched,
                ToLeader::Expire(_) => Kind::Expire,
            },
            Self::ToLearner(packet) => match packet {
                ToLearner::LeaderInfo { .. } => Kind::LeaderInfo,
                ToLearner::Sync(_) => Kind::Sync,
                ToLearner::Snapshot { .. } => Kind::Snapshot,
                ToLearner::Proposals { .. } => Kind::Proposals,
                ToLearner::NewLeader { .. } => Kind::NewLeader,
                ToLearner::UpToDate { .. } => Kind::UpToDate,
                ToLearner::TurnedAway(_) => Kind::TurnedAway,
                ToLearner::Confirmed { .. } => Kind::Confirmed,
                ToLearner::Commit { .. } => Kind::Commit,
                ToLearner::Silent(_) => Kind::Silent,
                ToLearner::NewEpoch { .. } => Kind::NewEpoch,
            },
        }
    }
}

impl Frame {
    /// The feature level without which what it carries cannot be read ([`crate::level`]).
    fn level(&self) -> u8 {
        match self {
            Self::ToLearner(ToLearner::Proposals { items, .. }) => {
                items.iter().map(Proposal::level).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// Of the header's first bytes and the body.
fn checksum(summed: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(summed), body)
}
