//! When a snapshot is taken and how many are kept.
//! [`core::Snapshotter`] decides; the actor beside it has a thread walk the tree and write the file.
//!
//! - N1  One snapshot is under way at most.
//! - N2  A snapshot is begun after half to all of `snapCount` txns, or of `snapSizeLimitInKb`, drawn anew
//!   each time, so that the members of an ensemble do not all write at once.
//! - N3  One that was given up, because too much changed meanwhile, is begun again; one that failed is
//!   tried again after a pause, or once there is space, and nothing is purged meanwhile.
//! - N4  Unless purging is off, a disk that runs full brings a purge at once, and so does a snapshot kept
//!   meanwhile. A purge that was refused is tried again after a pause.
//!
//! Source: SyncRequestProcessor.shouldSnapshot, DatadirCleanupManager.

pub mod actor;
pub mod core;
