//! The typed messages by which a member's actors begin, carry and end its role. A role has a generation, one
//! more for each: what is about an older one reaches nobody.

use crate::ids::{AttachNumber, ServerId, SessionId};
use crate::letters::Request;
use crate::quorum::{Memory, PeerState, Vote};
use crate::zxid::{Epoch, Zxid};

/// What a member is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// End what it did, let the log finish, and say with what it stands: [`Stands`].
    Look,
    /// Lead.
    Lead,
    /// Follow a member.
    Follow {
        /// Which.
        leader: ServerId,
        /// Whether we had a vote.
        had_vote: bool,
    },
}

/// To the member's Learner, from its QuorumPeer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The generation of the role that begins.
    pub role: u64,
    /// Which it is.
    pub part: Part,
}

impl Begin {
    /// The first role of a process: it looks.
    pub const FIRST: u64 = 1;
    /// No role comes behind it: the process is about to end.
    pub const LAST: Self = Self { role: u64::MAX, part: Part::Look };
}

/// To the QuorumPeer, from the Learner: nothing of the last role is left, and all that is committed is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands {
    /// Of the search that it may begin with.
    pub role: u64,
    /// Of the last leader it was synchronised with.
    pub current_epoch: Epoch,
    /// Its last durable txn.
    pub last: Zxid,
    /// What it remembers.
    pub memory: Memory,
    /// Its disk can keep an epoch, as far as is known: otherwise it is of no use to an election.
    pub has_room: bool,
    /// Its log takes what a leader sends: otherwise it follows none until it says so.
    pub joins: bool,
}

/// To the Learner, from the member's QuorumPeer: a quorum agrees on another tree than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeDiffers {
    /// Which of our trees: one that has taken its place since is another matter.
    pub tree: u64,
}

/// To the QuorumPeer, from whoever stops the process: give up the role in good order, and begin none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retire;

/// To the Proposer, from the QuorumPeer: number nothing more, and end the role once all that is numbered is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Of which role.
    pub role: u64,
    /// Who is to have all of it by then, too.
    pub heir: Option<ServerId>,
}

/// To the QuorumPeer, from an operator: have another lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLeader {
    /// Numbers the orders; the answer repeats it.
    pub number: u64,
    /// Who; without, whoever is the most caught up.
    pub to: Option<ServerId>,
}

/// To the QuorumPeer, from the actors of a role: it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleEnded {
    /// Which.
    pub role: u64,
    /// For the log.
    pub why: &'static str,
}

/// To the QuorumPeer, from the actors of a role: what those who look are to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Of which role.
    pub role: u64,
    /// What the member does.
    pub state: PeerState,
    /// The leader's, with the epoch that is led.
    pub vote: Vote,
}

/// To the QuorumPeer, from the Proposer: a sync of this number waits for a quorum's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncAsked {
    /// Of which role.
    pub role: u64,
    /// The last one's number in the reign.
    pub number: u64,
}

/// To the Proposer, from the QuorumPeer: a quorum has confirmed the lead for the syncs up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundHeld {
    /// Of which role.
    pub role: u64,
    /// The last one's number in the reign.
    pub upto: u64,
}

/// To the Proposer, from its own Learner: the member is elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The generation of the role.
    pub role: u64,
    /// What it has accepted.
    pub accepted: Epoch,
    /// Of the last leader it was synchronised with.
    pub current_epoch: Epoch,
    /// Its last durable txn.
    pub last: Zxid,
    /// Of those, the last known to be committed.
    pub committed: Zxid,
    /// The ensemble's id, ours or one that is drawn now.
    pub ensemble: u128,
    /// The feature level that its log comes to, committed or not.
    pub level: u8,
}

/// To the Proposer, from its own Learner: the member leads no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadOver {
    /// The generation of the role that has ended.
    pub role: u64,
}

/// To the Proposer, from its own Learner: what this member's clients ask, in order.
#[derive(Debug)]
pub struct Asked {
    /// The generation of the role.
    pub role: u64,
    /// In order.
    pub items: Vec<Request>,
}

/// To the Proposer, from its own Learner: everything up to `upto` is on this member's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAck {
    /// The generation of the role.
    pub role: u64,
    /// The last durable zxid.
    pub upto: Zxid,
}

/// Which epoch became durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptEpoch {
    /// As accepted.
    Accepted(Epoch),
    /// As current, and accepted.
    Current(Epoch),
    /// None: what is durable is that the member belongs to an ensemble of which a quorum has its history.
    Joined,
    /// None, for want of space.
    Refused,
}

/// To the Proposer, from its own Learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochKept {
    /// The generation of the role.
    pub role: u64,
    /// Which.
    pub epoch: KeptEpoch,
}

/// To the Learner, from its member's Proposer: make this epoch durable, as accepted or as current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepEpoch {
    /// The generation of the role.
    pub role: u64,
    /// Which; never `Refused`.
    pub epoch: KeptEpoch,
}

/// To the Learner, from its member's Proposer: a quorum has our history. It is to be applied whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Establish {
    /// The generation of the role.
    pub role: u64,
    /// The epoch that is led.
    pub epoch: Epoch,
}

/// To the Proposer, from its own Learner: it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryApplied {
    /// The generation of the role.
    pub role: u64,
    /// The epoch that is led.
    pub epoch: Epoch,
}

/// To the Learner, from its member's Proposer: the syncs up to this one are confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The generation of the role.
    pub role: u64,
    /// The last one's number in the reign.
    pub upto: u64,
}

/// To the Learner, from a client arbiter: of the sessions found silent, those to which nothing is promised.
#[derive(Debug, PartialEq, Eq)]
pub struct Over {
    /// The generation of the role in which they were found.
    pub role: u64,
    /// Which.
    pub sessions: Vec<(SessionId, AttachNumber)>,
}

/// To the Learner, from the SessionTracker of a member that follows: what its client arbiters have met.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// All signs before this time of the member's monotonic clock are told, in ms.
    pub as_of_ms: u64,
    /// Those since the last report.
    pub sessions: Vec<SessionId>,
}

/// To the SessionTracker, from the Learner: whose sessions it is to judge from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judge {
    /// The generation of the role.
    pub role: u64,
    /// Whose.
    pub whose: Whose,
}

/// See [`Judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// We lead: every session there is, as the tree has it.
    All,
    /// The leader judges; it hears what we meet.
    TheLeaders,
    /// Nobody's.
    Nobody,
}

/// To the SessionTracker, from the Proposer: what another member has met.
#[derive(Debug, PartialEq, Eq)]
pub struct MemberMet {
    /// Which member.
    pub member: ServerId,
    /// All signs before this time of its own monotonic clock are told, in ms.
    pub as_of_ms: u64,
    /// Those since its last report.
    pub sessions: Vec<SessionId>,
}

/// To the SessionTracker, from the Proposer: a member has a lane to us, a new one; or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberLane {
    /// Which member.
    pub member: ServerId,
    /// Whether it has one.
    pub is_up: bool,
}

/// To the Proposer, from the QuorumPeer: this learner has not answered for a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropLearner {
    /// The generation of the role.
    pub role: u64,
    /// Which.
    pub learner: ServerId,
}

/// To the Proposer, from the SessionTracker: these of a member's sessions are silent; it has the last word.
#[derive(Debug, PartialEq, Eq)]
pub struct SilentAt {
    /// Which member.
    pub member: ServerId,
    /// As of these attachments.
    pub sessions: Vec<(SessionId, AttachNumber)>,
}
