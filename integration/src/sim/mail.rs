//! The mail between the actors of one node.

use std::sync::Arc;

use paddock_actors::snapshotter::core::Ended;
use paddock_actors::storage::Space;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::letters::{
    Handshake, Internal, Proposal, Requests, SessionChange, Submission, Touched,
};
use paddock_messages::zxid::{Epoch, Zxid};

/// Who sends and who gets mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Arbiter(u16),
    Learner,
    Proposer,
    Logger,
    Sessions,
    Snapshotter,
}

pub(super) enum Mail {
    Submissions(Vec<Submission>),
    Requests(Requests),
    Proposals(Vec<Proposal>),
    TurnedAway(Vec<Handshake>),
    Append {
        batch: Arc<Vec<Proposal>>,
        committed: Zxid,
    },
    Durable {
        upto: Zxid,
        bytes: u64,
    },
    Ack(Zxid),
    Commit(Zxid),
    FeedReady,
    Space(Space),
    Changes(Vec<SessionChange>),
    Touched(Touched),
    Silent(Vec<(SessionId, AttachNumber)>),
    Expire(Internal),
    Applied {
        txns: u64,
        bytes: u64,
    },
    AddSnapshot {
        name: String,
        zxid: Zxid,
    },
    Entered(Ended),
    Purge(usize),
    Purged(bool),
    Short(bool),
    KeepEpoch(Epoch),
    /// Durable, or refused by a full disk.
    EpochKept(Option<Epoch>),
}

impl Mail {
    /// What a crash leaves undone while this is on its way.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Submissions(_) => "crashes before requests were forwarded",
            Self::Requests(_) => "crashes before requests were proposed",
            Self::Proposals(_) => "crashes before proposals were appended",
            Self::Append { .. } => "crashes before an append was written",
            Self::Durable { .. } => "crashes between sync and ack",
            Self::Ack(_) => "crashes between ack and commit",
            Self::Commit(_) => "crashes between commit and apply",
            Self::FeedReady => "crashes between apply and reply",
            Self::Silent(_) | Self::Expire(_) => "crashes before an expiry was proposed",
            Self::AddSnapshot { .. } => "crashes between a snapshot and its entry",
            Self::KeepEpoch(_) => "crashes before the next epoch was durable",
            Self::EpochKept(_) => "crashes between an epoch and its first txn",
            _ => "crashes beside other mail",
        }
    }
}
