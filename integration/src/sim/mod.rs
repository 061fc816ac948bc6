//! One whole node over a faulty disk, in virtual time, from a seed: the cores of all its actors, clients
//! that check every byte, and everything that may go wrong between any two steps.
//!
//! A seed is a run: it draws the set-up, the schedule, what the clients ask and what breaks. The same seed
//! is the same run. Besides what [`truth`], [`client`] and [`watching`] check, and what the cores assert:
//! - G1  Once nothing goes wrong any more, every client gets a write and a read through, and a snapshot
//!   comes about.
//!
//! E1 and E2, on sessions, are stated beside the SessionTracker.

pub mod bugs;
mod changes;
mod client;
mod crash;
mod damage;
pub mod ensemble;
mod heard;
mod link;
mod mail;
mod met;
mod node;
mod origins;
mod requests;
mod start;
mod truth;
mod watching;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use met::Met;

/// Mistakes in the wiring, made on purpose: each must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The Logger says that an append is durable before it has written it.
    AckBeforePersist,
    /// Every sixteenth append is lost, and called durable.
    LoseAppend,
    /// Everything proposed is committed at once.
    CommitEarly,
    /// The log is not synced.
    NoSync,
    /// Signs of life do not reach the SessionTracker.
    ForgetTouch,
    /// The SessionTracker is not told which sessions there are.
    ForgetChanges,
    /// A client arbiter is not told that its feed has something.
    LoseWake,
    /// A start does not make its epoch durable.
    ForgetEpoch,
    /// Sessions are expired without a word from the arbiter that serves them.
    ExpireUnasked,
    /// A roll-over does not make its epoch durable.
    ForgetRollOver,
    /// The zxid since which a client asks what it missed does not reach the server.
    ForgetSince,
    /// A persistent watch is gone after its first event.
    PersistentOnce,
    /// removeWatches removes nothing.
    KeepRemoved,
    /// After a start an outage counts as the sessions' own silence.
    ForgetOutage,
    /// The Proposer does not count what is proposed and not durable.
    IgnoreCredit,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 15] = [
        Self::AckBeforePersist,
        Self::LoseAppend,
        Self::CommitEarly,
        Self::NoSync,
        Self::ForgetTouch,
        Self::ForgetChanges,
        Self::LoseWake,
        Self::ForgetEpoch,
        Self::ExpireUnasked,
        Self::ForgetRollOver,
        Self::ForgetSince,
        Self::PersistentOnce,
        Self::KeepRemoved,
        Self::ForgetOutage,
        Self::IgnoreCredit,
    ];
}

thread_local! {
    /// What the run of this thread panicked with.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs one seed of a node alone. What it met, or what was wrong, and where.
pub fn run(seed: u64, fault: Option<Fault>) -> Result<Met, String> {
    caught(|| world::World::new(seed, fault).run())
}

/// What a run met, or what it panicked with.
fn caught(run: impl FnOnce() -> Met) -> Result<Met, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                PANIC.set(Some(info.to_string()));
            } else {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    done.map_err(|_| PANIC.take().unwrap_or_else(|| "a panic without words".into()))
}
