//! The member's role: looking, leading or following, and on what evidence it keeps it.
//!
//! - Q3  A member follows only while its leader has answered within the peer timeout, has accepted no later epoch,
//!   and says within two that it serves the member; and leads only while a quorum of voters has that are
//!   synchronised and have accepted no later epoch. Synchronisation may take as long as it goes on.
//! - Q4  Before it looks for a leader anew, the role is ended and what was given to the log is durable: it
//!   stands with that.
//! - Q5  A learner that has not answered within the peer timeout, or since it came, is served no longer: its
//!   sessions are nobody's.
//! - Q6  A member serves clients that only read while it has looked for a leader for longer than two seconds and a
//!   tick, if it is to: what is committed, as far as it knows, and nothing of which all or a part was lost. Before its next
//!   role it closes all their connections.
//! - Q7  A member whose process is to end begins no role any more, and gives up the one that it has: a leader once it has
//!   handed the lead over (P15), or [`HAND_OVER_MS`] later. It names the voter that lacks the least, if one is as Q8 has it.
//! - Q8  A leader that an operator tells to gives the lead up for a voter that is in sync, answers and is little behind, which it
//!   names (EL11), and for no other: once that one has all that was numbered (P15), or [`HAND_OVER_MS`] later.
//! - Q9  A leader that gives the lead up though others follow it, as one that has lost its vote or whose disk is full, names the
//!   voter that lacks the least, if one is as Q8 has it.
//!
//! Source: compat zab, 6, 10 and 11; QuorumPeer.java, ZOOKEEPER-4712 (roles that end in part).

pub mod actor;
pub mod alone;
pub mod core;
pub mod digests;
mod memory;
pub mod moving;
pub mod office;
pub mod progress;
mod pulse;
mod round_trip;
pub mod telling;

pub use alone::{Reign, committed_alone, reign};
pub use core::HAND_OVER_MS;
pub use memory::{belongs, entered, memory};
pub use office::{Aim, MoveAnswer, MoveTold, Office, RoleTold, Search, Told};
pub use progress::{Board, OwnDigests, Progress};
