//! The replicated state, and what becomes of requests against it.
//!
//! - T1  `last_zxid` moves after the whole of a txn, and never back.
//! - T2  The digest, `data_size`, the counts of children and of descendants equal what counting gives.
//! - T3  Every znode is found by its parent and name, and is in its parent's list of children; nothing
//!   else is.
//! - T4  The owners' tables name exactly the znodes of that kind; the reaper's lists exactly those due.
//! - T5  `/`, `/zookeeper`, `/zookeeper/quota` and `/zookeeper/config` always exist, in slots 0 to 3.
//! - T6  Applying the end of a history again, over the tree that holds it, changes nothing.
//! - T7  Each ACL's count of users is the number of znodes that refer to it.
//! - T8  A walk begun at zxid Z yields each znode there was at Z once, as it was at Z, whatever is
//!   applied meanwhile.
//! - T9  No ACL's number gets another meaning while a walk goes on.
//! - T10 A step of a walk holds up the writer for the copying of 256 KiB and one znode at most; its
//!   beginning, for that of a reference to each chunk of the tables of sessions and ACLs (T11, T12).

pub mod data_tree;
pub mod events;
pub mod feed;
pub mod node_ref;
pub mod pending;
pub mod prep;
pub mod quota;
pub mod shared;
mod view;
pub mod walk;

mod acl_table;
mod apply;
mod arena;
mod change;
mod check;
mod digest;
mod image;
mod index;
pub mod load;
mod node;
mod owners;
mod sessions;

pub use data_tree::{DataTree, TreeOptions};
pub use events::Events;
pub use load::TreeLoader;
pub use node_ref::NodeRef;
pub use shared::{SharedTree, TreeWriter};

#[cfg(test)]
mod apply_tests;
#[cfg(test)]
mod leader;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod walk_tests;
