//! What the members of an ensemble say to each other: votes and heartbeats down the ctl lane, everything
//! whose order matters down the data lane. Packets mirror ZooKeeper's (`QuorumPacket`, by the same names),
//! their bytes are our own.
//!
//! Source: compat zab, 3 to 6.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;
use crate::letters::{Proposal, Request};
use crate::zxid::{Epoch, Zxid};

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerState {
    /// For a leader.
    Looking,
    /// A leader, as a voter.
    Following,
    /// The others.
    Leading,
    /// A leader, without a vote.
    Observing,
}

/// Who should lead. The greater wins: by epoch, then zxid, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// The candidate's current epoch; of an established leader, the epoch it leads.
    pub peer_epoch: Epoch,
    /// The last txn that the candidate has on disk, committed or not.
    pub zxid: Zxid,
    /// The candidate.
    pub leader: ServerId,
}

/// A member tells what it does and for whom it votes. The newest replaces those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What the sender does.
    pub state: PeerState,
    /// For whom it votes, or whom it follows; `None` from a member without a vote that has no leader.
    pub vote: Option<Vote>,
    /// The sender's round of election.
    pub round: u64,
}

/// A sign of life, and an answer to the other's: whoever gets `echo` back knows that its own heartbeat of
/// that number arrived, and that the answer was sent after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Numbers the sender's heartbeats to this peer since it started, from 1.
    pub number: u64,
    /// The highest number heard from this peer; 0 for none.
    pub echo: u64,
}

/// From a learner to its leader, down the data lane, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLeader {
    /// FOLLOWERINFO or OBSERVERINFO: the first packet.
    LearnerInfo {
        /// No leader of a lower epoch is followed any more.
        accepted_epoch: Epoch,
    },
    /// ACKEPOCH: the leader's epoch is durable as accepted, and this is what the learner has.
    AckEpoch {
        /// False if this epoch had been accepted before, perhaps from another leader: then it is no vote.
        counts: bool,
        /// Of the last leader it was synchronised with.
        current_epoch: Epoch,
        /// Its last durable txn.
        last: Zxid,
    },
    /// ACK of NEWLEADER: all before that packet is durable, and so is the epoch as the current one.
    AckNewLeader {
        /// Its last durable txn.
        upto: Zxid,
    },
    /// ACK: everything up to here is durable.
    Ack {
        /// Its last durable txn.
        upto: Zxid,
    },
    /// REQUEST: what its clients ask, in order.
    Requests(Vec<Request>),
}

/// How a learner's log is brought to the leader's: the first packet of a synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncStart {
    /// DIFF: it has nothing that the leader has not; what follows comes right behind what it has.
    Diff,
    /// TRUNC: it cuts what comes after this txn, which both have.
    Trunc(Zxid),
    /// SNAP: it replaces all it has by a snapshot, which follows, with every txn up to this one.
    Snap(Zxid),
}

/// From the leader to a learner, down the data lane, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLearner {
    /// LEADERINFO: the epoch that the leader proposes, or leads.
    LeaderInfo {
        /// Durable on the leader as accepted.
        epoch: Epoch,
    },
    /// DIFF, TRUNC or SNAP.
    Sync(SyncStart),
    /// A piece of the snapshot; the last one is marked.
    Snapshot {
        /// The file's next bytes.
        bytes: Vec<u8>,
        /// Whether the file ends here.
        is_last: bool,
    },
    /// PROPOSAL, many at once: during synchronisation and after.
    Proposals(Arc<Vec<Proposal>>),
    /// NEWLEADER: behind all that synchronisation brings.
    NewLeader {
        /// The leader's.
        epoch: Epoch,
    },
    /// UPTODATE: a quorum has acknowledged NEWLEADER; the learner may serve.
    UpToDate {
        /// Everything up to here is committed.
        committed: Zxid,
    },
    /// COMMIT.
    Commit {
        /// Everything up to here is committed.
        upto: Zxid,
    },
}
