//! The member's role: looking, leading or following, and on what evidence it keeps it.
//!
//! - Q3  A member follows only while its leader has answered within the peer timeout, has accepted no later epoch,
//!   and says within two that it serves the member; and leads only while a quorum of voters has that are
//!   synchronised and have accepted no later epoch.
//! - Q4  Before it looks for a leader anew, the role is ended and what was given to the log is durable: it
//!   stands with that.
//!
//! Source: compat zab, 6 and 11; QuorumPeer.java, ZOOKEEPER-4712 (roles that end in part).

pub mod actor;
pub mod alone;
pub mod core;
pub mod progress;
mod pulse;

pub use alone::{Reign, reign};
pub use progress::{Board, Progress};
