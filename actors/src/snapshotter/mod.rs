//! When a snapshot is taken and how many are kept.
//! [`core::Snapshotter`] decides; the actor beside it has a thread walk the tree and write the file.
//!
//! - N1  One snapshot is under way at most.
//! - N2  A snapshot is begun after half to all of `snapCount` txns, or of `snapSizeLimitInKb`, drawn anew
//!   each time, so that the members of an ensemble do not all write at once.
//! - N3  One that was given up, because too much changed meanwhile, is begun again; one that failed is
//!   tried again after a pause, and nothing is purged until one has succeeded.
//!
//! Source: SyncRequestProcessor.shouldSnapshot, DatadirCleanupManager.

pub mod actor;
pub mod core;
