//! Numbers, proposes and commits transactions while this server leads (Zab's broadcast phase).
//! [`Proposer`] decides and touches no disk, clock or network.
//!
//! After every step, in every test and simulation ([`Proposer::check`]):
//! - P1  The zxids of an epoch have no gap: each proposal follows the one before.
//! - P2  Commits leave in zxid order, each zxid once.
//! - P3  A commit has a quorum of *durable* acks; our own comes from our Learner, like any other.
//! - P4  A session is closed by one txn, whether its client asks, its time is up, or both.
//! - P5  Attach numbers rise; a write through an attachment that is not its session's newest changes
//!   nothing.
//! - P6  Nothing gets a zxid while the disk is full, nor beyond [`LAST_COUNTER`].
//! - P7  What one member sends is answered in the order in which it was sent; what is held back waits
//!   for the next epoch or for our own disk, and goes on as soon as it need not.
//! - P8  The next epoch is asked for as soon as all txns of one that is used up are committed, and not
//!   before; once, and again at each tick after a full disk refused it. Until then requests wait, from a
//!   refusal on they are refused.
//! - P9  No more is proposed and not durable on our own disk than the log has room for when it says
//!   that the disk is full: the Proposer's side of S8.
//! - P10 What waits for the disk has an end, however long it waits: clients' requests by what the entrance
//!   admits, expiries and attaches by one a session that lives, new sessions by their number, and what is
//!   proposed without being logged by P9's credit. Beyond, and where a session attaches once more, the
//!   connection that asked is closed at once and without an answer: no client may take its session for
//!   expired.
//! - P11 A sync is answered only if a quorum has confirmed, after it was asked, that it follows no later leader:
//!   by a round of heartbeats, or by its acks of a txn that was proposed after it.
//! - P13 What a session asks that nobody here knows is done only if `localSessionsEnabled` says so, and the member
//!   that asks made the session; it owns no ephemeral znode.
//! - P15 A leader that is to hand over, as its process ends or for an heir, numbers nothing more, and gives the lead up as soon
//!   as all that it has numbered is committed, and the heir has it: so it leaves nothing behind that only some have.
//! - P16 A session is revalidated only while nothing is held back, and what comes down a lane that is no more, or of an older
//!   role, is not looked at: so whatever its connection asked before is numbered before that, or never (C17).
//!
//! Source: Junqueira et al., Zab (DSN 2011), local primary order; compat: Leader.java (propose,
//! tryToCommit), PrepRequestProcessor, ZOOKEEPER-1277 (the counter must not wrap).

pub mod actor;
#[cfg(test)]
mod actor_tests;
pub mod core;
pub mod feature_level;
pub mod lag;
pub mod leadership;
pub mod reigning;
pub mod sync_plan;
pub mod synchronising;

pub use crate::quorum::{Majority, Quorum};
pub use core::{LAST_COUNTER, Output, Proposer, RefusedReconfig, Room};
pub use handing_over::{Ill, OwnDisk, Sight};

mod announcing;
mod configuring;
mod credit;
mod handing_over;
mod held;
mod recent;
mod reconfiguring;
mod rolling_over;
mod sparing;
mod sync_limit;
mod times;
