//! A whole ensemble in one thread, in virtual time, from a seed: the cores of election, quorum peer, leadership,
//! following, Proposer, Learner and session tracker of every member, each over a disk that tears and loses, and a
//! network that delays, loses, cuts and freezes between any two of their steps.
//!
//! A member's cores speak to each other as its actors do: by letters, which wait in mailboxes for as long as the
//! seed draws ([`mail`]), on threads that may stand still. What the shells decide (whose role a letter is of, what
//! waits for what) is written here once more, part by part, and is to be kept as they have it.
//!
//! Clients speak the protocol, byte by byte, to the member's client arbiter, which is the real one: writes and multis,
//! ephemerals, reads, and watches that they carry to the next member. They hold an ensemble to what a single node is
//! held to ([`client`](super::client), [`watching`](super::watching)): each read finds what is so at its reply's zxid,
//! with all of a multi or none of it; each change of a watched znode is told once, in its order, before anything that
//! shows it, whoever leads and whichever member tells.
//!
//! A seed draws the ensemble, what the clients ask and what breaks; the same seed is the same run. Besides what
//! the cores assert of themselves, [`truth`] and [`clients`] check:
//! - EN1  A zxid never means two things, and every member applies the same txns in the same order, without a
//!   gap; at the same zxid all have the same digest.
//! - EN2  What a client was told is done stays done, whoever crashes: it is in the history of every later leader.
//! - EN3  No epoch is led by two members.
//! - EN4  A session's writes are applied in the order of its requests, each at most once, and a write that began
//!   after another was answered comes behind it.
//! - EN5  Once nothing goes wrong any more, an ensemble elects, synchronises every member, serves every client, and
//!   comes to rest with the same applied everywhere.
//! - EN6  A sync that began after a write was answered, a client's or one for a member's reads, is answered only where
//!   that write is applied.
//! - EN7  A session whose client was answered lives for a whole timeout from then, whoever leads or serves it; one
//!   whose client is gone ends.
//! - EN8  What a member acknowledges, and what a leader tells or leads, is on its disk: epochs as well as txns.
//! - EN9  Nobody enters an epoch that a voter with more has acknowledged.
//! - EN10 A member whose tree is made another than everybody else's finds that, and nobody else of itself; it gets
//!   the leader's, and keeps its log.
//! - EN11 A member that knows its disk to be full gives its log nothing more, and numbers nothing as leader; no log runs
//!   out of room for what it was given before; and where there is room again, all goes on.
//! - EN12 No session's id is given twice, whatever the clocks say; and nothing else rests on them.
//! - EN13 A member whose role has ended tells nobody that it has one, from the moment on at which its Election hears of
//!   that: however long its log takes to finish.
//! - EN14 A leader that hands over as it is stopped has numbered nothing that its successors lack.
//! - EN15 A session of a member alone becomes everybody's only for what its client asked that needs it, right before
//!   that; until then it is served by one member in one role, and is not ended before what it was promised. An
//!   ephemeral znode's owner is known to everybody.
//! - EN16 A member without a leader serves those who said that they would do with that, tells them so, and nobody else:
//!   what they read is the committed state of one zxid, what they write is refused, and none of them stays once there is a
//!   leader.
//! - EN17 A leader gives the lead up within some seconds once its own disk answers nothing, or is more than a second
//!   behind or holds everything up, where others can lead; and not for a disk that was so for less, or
//!   with which nothing is wrong.
//! - EN18 Each raise of the feature level in the one history is to a higher one, and all members come to the same; what
//!   [`level`](paddock_messages::level) says holds after every step, whichever builds lead and follow.
//! - EN19 A new history that is made of what is left has all that any member has applied or any client was answered for,
//!   unless it was told that this may be lost.
//! - EN20 What a leader commits has been acknowledged by a quorum of each configuration that decides: of weight, where
//!   voters are in groups.

mod applying;
mod arbiters;
mod behind;
mod clients;
mod clocks;
mod crashing;
mod ctl;
mod damage;
mod faults;
mod fenced;
mod flapping;
mod groups;
mod healing;
mod hub;
mod lanes;
mod learner;
mod levels;
mod local;
mod losing;
mod mail;
mod moving;
mod network;
mod node;
mod old_lanes;
mod reads_only;
mod reconfiguring;
mod recovering;
mod reigning;
mod sessions;
mod setup;
mod silent_disk;
mod space;
mod starting;
mod stopping;
mod storage;
mod synchronising;
mod truth;
mod visits;
mod world;

use super::{Met, caught};

/// Mistakes made on purpose, in the shell that stands in for the actors: each must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnsembleFault {
    /// The Logger says that an append is durable before it has written it.
    AckBeforePersist,
    /// The log is not synced.
    NoSync,
    /// The Proposer commits what one member has.
    CommitOnMinority,
    /// Observers count in every quorum.
    CountObservers,
    /// The Proposer counts heads where voters are in groups and have weights.
    CountHeads,
    /// An accepted epoch is acknowledged and not kept.
    ForgetAccepted,
    /// A current epoch is acknowledged and not kept.
    ForgetCurrent,
    /// NEWLEADER is acknowledged before what came before it is durable (ZOOKEEPER-3911, 4643, 4646, 4785).
    AckNewLeaderEarly,
    /// NEWLEADER overtakes what synchronisation brings (ZOOKEEPER-3104).
    NewLeaderFirst,
    /// TRUNC cuts memory and not the log.
    ForgetTruncate,
    /// A candidate does not see that a learner has more than it.
    IgnoreAhead,
    /// A sync is confirmed without a round of heartbeats (ZOOKEEPER-1675, 2136).
    ConfirmUnasked,
    /// A member votes and leads with what the log has before it has finished (ZOOKEEPER-4712).
    LookWithoutDrain,
    /// What was logged and not known to be committed is forgotten at a start (ZOOKEEPER-2845).
    ForgetLogged,
    /// A snapshot from the leader replaces the tree and not the log.
    KeepOldLog,
    /// Sessions that their member reports as silent are expired without its last word.
    ExpireUnasked,
    /// A new leader gives the sessions that it finds no time.
    ExpireFound,
    /// The gap between what the log brings and what is broadcast is not filled (ZOOKEEPER-2418).
    LeaveGap,
    /// A snapshot from the leader is installed before it is durable (ZOOKEEPER-2872, 3642).
    SnapshotUnsynced,
    /// One that has lost its disk votes and counts as if it had lost nothing.
    CountAmnesiac,
    /// Letters are taken whatever the role they were posted in.
    IgnoreRole,
    /// A member that finds its tree to differ goes on with it.
    IgnoreDigest,
    /// A member whose disk is full goes on as if there were room.
    IgnoreFullDisk,
    /// A follower whose disk is full acknowledges what it no longer writes.
    AckUnwritten,
    /// A watch's event comes behind the next reply.
    TellLate,
    /// Parked connections go on without their sessions being revalidated.
    ParkUnasked,
    /// A connection is not told what the next leader's history has of its writes, so that they are asked again.
    AskAgainDone,
    /// A read between two writes is asked again behind both.
    AskReadsBehind,
    /// A leader numbers what came down a lane that is no more behind what comes down the learner's next one.
    NumberOldLanes,
    /// Sessions are judged by the wall clock.
    JudgeByWallClock,
    /// A leader goes on to the next epoch before a quorum has it on disk.
    RollOverAlone,
    /// A leader that is stopped hands over before all that it has numbered is committed.
    HandOverEarly,
    /// An Election goes on saying that its member leads, or follows, until it looks.
    SayRoleOn,
    /// A configuration decides alone as soon as it is proposed.
    ActivateEarly,
    /// The old configuration decides alone until the new one is committed.
    CountOldAlone,
    /// Members that have left count in quorums.
    LetRemovedVote,
    /// Links are to those alone whom a configuration named when the process began.
    LinkNoMore,
    /// A server of our ensemble whom nobody here names is not heard.
    RefuseGuests,
    /// The feature level is raised whoever is away, or cannot read it.
    RaiseUnasked,
    /// What was a member's alone is served on when the leader is lost.
    KeepLocalSessions,
    /// An ephemeral znode is asked for before its owner is everybody's.
    UpgradeBehind,
    /// Sessions that are a member's alone are expired without its arbiter's last word.
    ExpireLocalUnasked,
    /// A member without a leader serves everybody.
    ServeWithoutQuorum,
    /// Who only reads stays when there is a leader.
    KeepReaders,
    /// Who only reads is shown what is logged.
    ReadUncommitted,
    /// The last word on a session is asked of an arbiter that does not serve it.
    AskAnotherArbiter,
    /// All arbiters of a member drain the feed of the first.
    OneFeedForAll,
    /// A leader whose disk answers nothing keeps the lead.
    LeadOnSilentDisk,
    /// A leader whose disk answers, and does not keep up, keeps the lead.
    LeadOnSlowDisk,
    /// One whose data was damaged, and given up, votes and counts as if it had lost nothing.
    CountDamaged,
    /// A new history is made of any disk that is left.
    RecoverOnLess,
    /// What may be lost by it is judged by what the files have, whatever the log says.
    JudgeByFile,
}

impl EnsembleFault {
    /// Every one.
    pub const ALL: [Self; 52] = [
        Self::AckBeforePersist,
        Self::NoSync,
        Self::CommitOnMinority,
        Self::CountObservers,
        Self::CountHeads,
        Self::ForgetAccepted,
        Self::ForgetCurrent,
        Self::AckNewLeaderEarly,
        Self::NewLeaderFirst,
        Self::ForgetTruncate,
        Self::IgnoreAhead,
        Self::ConfirmUnasked,
        Self::LookWithoutDrain,
        Self::ForgetLogged,
        Self::KeepOldLog,
        Self::ExpireUnasked,
        Self::ExpireFound,
        Self::LeaveGap,
        Self::SnapshotUnsynced,
        Self::CountAmnesiac,
        Self::IgnoreRole,
        Self::IgnoreDigest,
        Self::IgnoreFullDisk,
        Self::AckUnwritten,
        Self::TellLate,
        Self::ParkUnasked,
        Self::AskAgainDone,
        Self::AskReadsBehind,
        Self::NumberOldLanes,
        Self::JudgeByWallClock,
        Self::RollOverAlone,
        Self::HandOverEarly,
        Self::SayRoleOn,
        Self::ActivateEarly,
        Self::CountOldAlone,
        Self::LetRemovedVote,
        Self::LinkNoMore,
        Self::RefuseGuests,
        Self::RaiseUnasked,
        Self::KeepLocalSessions,
        Self::UpgradeBehind,
        Self::ExpireLocalUnasked,
        Self::ServeWithoutQuorum,
        Self::KeepReaders,
        Self::ReadUncommitted,
        Self::AskAnotherArbiter,
        Self::OneFeedForAll,
        Self::LeadOnSilentDisk,
        Self::LeadOnSlowDisk,
        Self::CountDamaged,
        Self::RecoverOnLess,
        Self::JudgeByFile,
    ];
}

/// Runs one seed. What it met, or what was wrong, and where.
pub fn run(seed: u64, fault: Option<EnsembleFault>) -> Result<Met, String> {
    caught(|| world::World::new(seed, fault).run())
}
