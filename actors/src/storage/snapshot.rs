//! A snapshot file: the tree at one zxid, in blocks that are packed and checked one by one.
//!
//! - S20 A file without a good footer is no snapshot: the footer is written last, and says how many
//!   znodes there are and what their digest is.
//! - S21 Loading gives the tree that was walked, or an error that names file and offset.
//!
//! Layout, all integers little-endian:
//! ```text
//! file   magic "PDKSNAP\n", version u32, CRC32C of the twelve bytes before u32; blocks
//! block  kind u32, raw length u32, packed length u32, CRC32C of the packed bytes u32,
//!        CRC32C of the sixteen bytes before u32; packed bytes (zstd)
//! kinds  1 head: zxid, digest, count, slots, sessions, ACLs; 2 images of znodes; 3 footer: zxid,
//!        count, digest; nothing follows
//! ```

mod format;
mod read;
mod write;

pub use format::{Footer, SnapshotError};
pub use read::load;
pub use write::{SLOTS_PER_STEP, SnapshotWriter, write};

#[cfg(test)]
mod tests;
