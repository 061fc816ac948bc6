//! On every member, the leader included: what is logged, committed and applied.
//! [`core::Learner`] decides; the actor beside it moves bytes and mail.
//!
//! - L1  A txn is acked only once it is on this member's disk.
//! - L2  Committed txns are applied in zxid order, each once, and nothing else is.
//! - L3  A read that stands between two writes of its session is executed right behind the first.
//! - L4  A connection is answered only for what its own attachment of the session asked.
//! - L5  Proposals arrive without gaps: each zxid follows the one before, or begins a later epoch.
//! - L6  The tree comes to the start of an epoch that is led behind every txn before it, and before any of it.
//! - L7  While the leader is lost, a connection's attachment stands for what it asked of it, until the next leader's word
//!   on its session: each of its txns that is applied is answered, with the reads behind it (L3), as long as no
//!   word of that leader's to any of this member's is here; and it is closed where
//!   the session's end, or a later attachment, is. After a snapshot nothing is known of it.
//! - L9  A session of this member alone is known to nobody else until its upgrade is asked for, ends with the leader
//!   or the lead under which it began, and is ended here; if its client asks for that, behind all that it asked before.
//!   What comes through an attachment of it that is not its newest is not done.
//!
//! Source: Junqueira et al., Zab (DSN 2011), broadcast; compat: `Learner.java`, `FinalRequestProcessor.java`.

pub mod actor;
#[cfg(test)]
mod actor_tests;
pub mod ahead;
mod behind;
pub mod core;
mod disk;
pub mod fence;
mod fenced;
pub mod following;
mod levels;
mod local;
mod queue;
mod reads_only;
pub mod receiving;
mod reconfiguring;
pub mod roles;
mod routes;
pub mod session_ids;
pub(crate) mod timing;
mod told;

#[cfg(test)]
mod tests;
