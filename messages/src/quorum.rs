//! What the members of an ensemble say to each other: votes and heartbeats down the ctl lane, everything
//! whose order matters down the data lane. Packets mirror ZooKeeper's (`QuorumPacket`, by the same names),
//! their bytes are our own.
//!
//! Source: compat zab, 3 to 6.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{AttachNumber, ServerId, SessionId};
use crate::letters::{Handshake, Proposal, Request};
use crate::zxid::{Epoch, Zxid};

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerState {
    /// LOOKING: it looks for a leader.
    Looking,
    /// FOLLOWING: it has a leader, and a vote.
    Following,
    /// LEADING: it leads, or is about to.
    Leading,
    /// OBSERVING: it has a leader, and no vote.
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

/// What a member remembers of its ensemble's history: whether its vote may count. The ensemble's random id, chosen
/// by the first epoch's leader and durable before NEWLEADER is acknowledged, tells one that belongs from one
/// that was wiped. Members send it: what is new comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Memory {
    /// All that it ever acknowledged.
    #[default]
    Whole,
    /// The same, of the history of this id, which is not known to be an ensemble's yet: a server alone made it, or
    /// the first epoch's leader, and perhaps no quorum has it. Nothing is committed by others beyond it.
    Seed(u128),
    /// Nothing: it has neither an id nor data.
    Empty,
    /// Nothing, and an operator says that an ensemble may begin with it: its `initialize` file.
    Marked,
    /// Not all: a part of what it may have acknowledged is lost.
    Damaged,
    /// All that it ever acknowledged, which is no txn: it has entered a first epoch that perhaps no quorum has. Such
    /// epochs may have been begun twice, so the id that it was told binds it to nothing.
    Begun,
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
    /// What it remembers.
    pub memory: Memory,
}

impl Notification {
    /// Whether a leader that gives the lead up names who is to lead after it (EL11): the zero vote of one that does not vote.
    pub fn names_an_heir(&self) -> bool {
        let is_zero = |vote: Vote| vote.peer_epoch == Epoch(0) && vote.zxid == Zxid::ZERO;
        self.state == PeerState::Observing && self.vote.is_some_and(is_zero)
    }
}

/// What a member's log says of the configuration, as `/zookeeper/config` has it: its lines and its version. Not told before
/// version 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Committed.
    pub now: Bytes,
    /// In the log to take its place, and not known to be committed.
    pub next: Option<Bytes>,
}

/// A sign of life, and an answer to the other's: whoever gets `echo` back knows that its own heartbeat of
/// that number arrived, and that the answer was sent after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Numbers the sender's heartbeats to this peer since it started, from 1.
    pub number: u64,
    /// The highest number heard from this peer; 0 for none.
    pub echo: u64,
    /// What the sender has accepted, told here before it is acknowledged to the leader that proposed it: whoever
    /// has accepted a later epoch does not vouch for the leader of an earlier one.
    pub accepted_epoch: Epoch,
    /// From a leader to a learner that it serves, while a quorum answers: the learner's sessions are not expired
    /// without a word of its own.
    pub vouches: bool,
    /// What the sender's tree was lately. Not told in version 1.
    pub digests: Digests,
}

/// The digest of a member's tree as of one txn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestPoint {
    /// Everything up to here is in the tree, and nothing else.
    pub zxid: Zxid,
    /// Of all znodes there are then.
    pub digest: u64,
}

/// What a member's tree was lately: members that are a few txns apart, or many thousands under load, still tell
/// digests of the same txn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// How they are computed: those of two versions say nothing about each other.
    pub version: u8,
    /// As of the last txn whose zxid is divisible by 2^7, by 2^12, and by 2^17.
    pub points: [Option<DigestPoint>; 3],
}

/// What a member's log ends with: enough to find the last txn that it shares with another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The last txn that the member knows to be committed: every leader has it.
    pub committed: Zxid,
    /// The first and the last txn of each epoch of which it holds any beyond that, in order. Each is on
    /// disk, and so is all between the two.
    pub runs: Vec<(Zxid, Zxid)>,
}

impl Tail {
    /// The last txn of all.
    pub fn last(&self) -> Zxid {
        self.runs.last().map_or(self.committed, |(_, last)| *last)
    }

    /// Whether it can be true: what a peer sends may be anything.
    pub fn is_sound(&self) -> bool {
        let mut before = self.committed;
        self.runs.iter().all(|&(first, last)| {
            let follows = first > before && last >= first && first.epoch() == last.epoch();
            let is_next = first.counter() == 1 || before.next() == Some(first);
            before = last;
            follows && is_next
        })
    }
}

/// From a learner to its leader, down the data lane, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLeader {
    /// FOLLOWERINFO or OBSERVERINFO: the first packet.
    LearnerInfo {
        /// No leader of a lower epoch is followed any more.
        accepted_epoch: Epoch,
        /// Whether it had a vote when it looked for a leader. One that has lost its memory had none, and what it
        /// says it has accepted says nothing.
        counts: bool,
        /// Its tree is not the one that a quorum has: it asks for the leader's, whatever its log lacks. Not told in
        /// version 1.
        asks_for_tree: bool,
    },
    /// ACKEPOCH: the leader's epoch is durable as accepted, and this is what the learner has.
    AckEpoch {
        /// False if this epoch had been accepted before, perhaps from another leader, or by one without a vote: then
        /// it is no vote.
        counts: bool,
        /// Of the last leader it was synchronised with.
        current_epoch: Epoch,
        /// Where its log may part from the leader's.
        tail: Tail,
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
    /// Which sessions gave a sign of life, several times a tick even when none did. ZooKeeper sends this in the
    /// answer to PING.
    Touched {
        /// All signs before this time of the member's monotonic clock are told, in ms.
        as_of_ms: u64,
        /// Those since the last report.
        sessions: Vec<SessionId>,
    },
    /// Of the sessions that the leader found silent, those to which this member has promised nothing.
    Expire(Vec<(SessionId, AttachNumber)>),
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
    Proposals {
        /// The txn before the first of these: a learner whose last it is not has missed some.
        after: Zxid,
        /// In order.
        items: Arc<Vec<Proposal>>,
    },
    /// NEWLEADER: behind all that synchronisation brings.
    NewLeader {
        /// The leader's.
        epoch: Epoch,
        /// The last txn before this packet: a learner whose last it is not has missed some.
        last: Zxid,
        /// The ensemble's id, which the learner keeps.
        ensemble: u128,
    },
    /// UPTODATE: a quorum has acknowledged NEWLEADER; the learner may serve.
    UpToDate {
        /// Everything up to here is committed.
        committed: Zxid,
    },
    /// These of its sessions were silent for longer than their timeout, as far as it has reported.
    Silent(Vec<(SessionId, AttachNumber)>),
    /// These handshakes of its clients are not granted.
    TurnedAway(Vec<Handshake>),
    /// SYNC: a quorum has confirmed that the leader still led when these syncs were asked.
    Confirmed {
        /// The last of them, by its number in the reign.
        upto: u64,
    },
    /// COMMIT.
    Commit {
        /// Everything up to here is committed.
        upto: Zxid,
    },
    /// To a learner that is served, behind the last epoch's last COMMIT: the next epoch, which begins over the same
    /// lanes. It is answered like NEWLEADER, and led from a COMMIT of its start on. Not told before version 3.
    NewEpoch {
        /// The next one.
        epoch: Epoch,
        /// The last txn of the last one.
        last: Zxid,
    },
}
