//! Reports a disk that does not answer. Nothing else comes of it: acknowledgements wait, reads and pings
//! go on, and the process lives, since what a hanging disk holds is not lost.
//!
//! - K1  A write or sync of the log that takes a second or more is reported each second, with its file;
//!   and once more when the disk has answered.

pub mod actor;
pub mod core;
