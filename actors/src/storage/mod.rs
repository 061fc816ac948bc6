//! What is on disk, and when it is durable.
//!
//! A member's data directory holds the file `history`, the segments of its transaction log, its
//! snapshots, and a lock; the log can have a directory of its own (`pair.rs`). [`history`] says which of them belong together. The [`Logger`] alone writes
//! the log and `history`; [`LoggerThread`] gives it a thread; [`open`] makes one of what a crash left.
//! A [`LogView`] is read beside the Logger; [`transfer`] brings what it holds to another member.
//! [`Disk`] is the seam: [`RealDisk`], or [`MemoryDisk`], which the simulation crashes.
//!
//! What must hold:
//! - S1  Nothing is called persisted before the sync after its write has returned. After a failed write
//!   or sync nothing is written any more, and nothing further is called persisted.
//! - S2  Zxids in the log ascend, without repetition.
//! - S3  Batch n+1 is written only after batch n's sync returned. So a sound batch behind a bad one is
//!   damage, which stops the start, and a bad one with none behind it is a write that never ended.
//! - S4  What recovery returns is durable: it survives a power failure right after.
//! - S5  `history` is replaced whole, and names only files that are durable; recovery deletes segments and
//!   snapshots that it does not name, and no other file.
//! - S6  A damaged log is given up only after `must_resync` is durable.
//! - S7  A snapshot enters `history` only when the log is durable through its zxid.
//! - S8  Until a full disk is announced, there is room for all that may be admitted before.
//! - S9  Neither epoch goes back, and the current one never passes the accepted one.
//! - S10 A txn at or below the commit watermark is never truncated.
//! - S11 On a disk without a free byte older files can be purged, and a start can keep its epoch.
//! - S16 No snapshot of a tree that differs from a quorum's enters `history` once that is known, nor later.
//!
//! Source: ZooKeeper's FileTxnLog and PurgeTxnLog for what operators expect; the format is our own.

pub mod batch;
mod disk;
pub mod history;
#[cfg(test)]
mod level_tests;
mod log_view;
#[cfg(test)]
mod log_view_tests;
mod logger;
mod logger_thread;
#[cfg(test)]
mod logger_thread_tests;
mod maintenance;
mod memory_disk;
#[cfg(test)]
mod model;
mod pair;
#[cfg(test)]
mod pair_tests;
mod real_disk;
mod recovery;
#[cfg(test)]
mod recovery_tests;
mod reserve;
#[cfg(test)]
mod simulation;
pub mod snapshot;
pub mod snapshot_files;
mod spare;
pub mod stream;
mod survey;
mod sync_watch;
pub mod transfer;
mod txn_log;

pub use batch::{Records, admitted_overhead};
pub use disk::{Disk, DiskFile, ReplaceError, is_full};
pub use history::{Facts, HistoryError, SnapshotEntry, is_snapshot_name, snapshot_name};
pub use log_view::LogView;
pub use logger::{ADMITTED_OVERHEAD, LogFailure, Logger, Options, Persisted, Reserve, Space};
pub use logger_thread::{Command, LoggerEvent, LoggerHandle, LoggerThread, ThreadOptions};
pub use maintenance::Purged;
pub use memory_disk::{Crash, DiskCounters, MemoryDisk, MemoryFile};
pub use real_disk::{RealDisk, RealFile};
pub use recovery::{OpenError, Recovered, TornTail, discard, is_empty, open};
pub use survey::{Survey, survey};
pub use sync_watch::{Stuck, SyncWatch};
pub use txn_log::LogReader;
