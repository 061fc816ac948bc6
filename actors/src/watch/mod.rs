//! Which connection watches which znode, on one client arbiter, and what a change fires.
//!
//! [`Watches`] is pure: the arbiter's core feeds it registrations and changes, and writes the packets.
//! - V1  A connection gets one packet per trigger, however many of its registrations match.
//! - V2  A standard watch fires once: it is gone when it has fired, also where the ACL forbids the
//!   packet, and also where another registration of its connection was told already.
//! - V3  Nothing of a closed connection is left: its slot can be used again.
//! - V4  Connections are told in order of their slots: the same history gives the same packets.
//!
//! Source: compat: WatchManager.java, DataTree.java (`dataWatches`, `childWatches`), wire "Watch events".

mod actor;
mod list;
mod paths;
mod table;

pub use self::actor::WatchDispatcher;
pub use self::table::{Counts, Mistake, WatchKind, Watches};

#[cfg(test)]
mod tests;
