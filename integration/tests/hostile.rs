//! A hostile client port, on the real binary: whatever clients send, keep open, do not read or pile up,
//! the server's memory stays bounded, each refusal is counted and logged with the peer, and a client
//! that behaves is served meanwhile.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

#[path = "hostile/addresses.rs"]
mod addresses;
#[path = "hostile/crowd.rs"]
mod crowd;
#[path = "hostile/deaf.rs"]
mod deaf;
#[path = "hostile/descriptors.rs"]
mod descriptors;
#[path = "hostile/field.rs"]
mod field;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/frozen.rs"]
mod frozen;
#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/operators.rs"]
mod operators;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/throttle.rs"]
mod throttle;
#[path = "hostile/watches.rs"]
mod watches;
