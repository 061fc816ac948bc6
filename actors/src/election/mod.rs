//! Who should lead: fast leader election, without I/O, clock or randomness.
//!
//! Every member that looks for a leader tells all others for whom it votes, and in which round. It begins
//! with itself, turns to the greatest vote it hears of, and has decided once a quorum votes as it does. A
//! member that has a role answers who looks with the leader it has.
//!
//! After every step, in every test ([`Election::check`], and across members the tests' world):
//! - EL1  Only voters' newest words over live links count, and only for who may lead: not what a member said
//!   before its link broke, not a word without a vote, nor one from or for a stranger or a weight of 0.
//! - EL2  In a round a member's own vote only becomes greater. It is for itself, as it stands, or for one that
//!   it has a live link to and therefore could follow; when that link breaks, a new round begins.
//! - EL3  Decided is only what a quorum of such words says: of one round and one vote, our own among them
//!   while we look; or of members that have a leader, who agree on it and its epoch, and whose leader itself
//!   says that it leads. By QS1 one set of words therefore elects one leader at most.
//! - EL4  A member without a vote elects nobody and raises nobody's round: it joins a leader that is there.
//! - EL5  A member that has a role keeps it and its round, whatever it hears; it only answers.
//! - EL6  What is current has been sent over every live link, and is sent again: to all while looking, else to
//!   those that look.
//! - EL7  A quorum that votes as we do is waited on for at most [`GRACE_MS`], and not at all if every voter
//!   with a live link votes so.
//! - EL8  No number in a notification panics or overflows: a round more than [`ROUNDS_AHEAD`] above ours is
//!   ignored, whatever else its notification says.
//! - EL9  One that has lost what it may have acknowledged, or never had anything, has no vote, and its word counts
//!   for nothing: but where every voter is here and nobody has anything (one may have been a server alone), or an
//!   operator says of a quorum that it may begin.
//! - EL10 A member whose role has ended tells nobody of a leader until it looks: nobody joins it, or its leader, on its
//!   word, however long its log takes to finish. Its vote is to come, and waited for as EL7 says, unless its process
//!   ends.
//! - EL11 A leader that gives the lead up may name its heir: whoever followed it last ranks that one's vote above all others of
//!   its epoch and zxid, whatever their ids, for half a second of its search, or until it
//!   has a leader again. A vote with more history stays the greater.
//!
//! Not promised: that one leader is elected. Words change while they travel, so two members may decide
//! for two leaders, in one round too: a voter of both quorums then turned from the lesser vote to the
//! greater in between. Nor that the elected still lives, or has all that is committed, if a voter's words
//! were older than its log. Zab's discovery and synchronisation keep history safe: an epoch has one leader
//! because a quorum accepts it once. A decision that comes to nothing costs time, and leads to another
//! round.
//!
//! Source: compat zab, 3; compat: FastLeaderElection.java, lookForLeader.

pub mod actor;
pub mod core;

pub use core::{Election, GRACE_MS, MAX_REPEAT_MS, MIN_REPEAT_MS, Output, ROUNDS_AHEAD};
pub use memory::{NO_ROOM, Waits};

mod heir;
mod memory;
mod repeat;
