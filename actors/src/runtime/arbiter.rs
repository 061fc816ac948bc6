//! Which thread an actor runs on. The wiring decides; an actor never knows.

use std::io;

use actix_rt::{Arbiter, ArbiterHandle};

/// Where to start an actor.
#[derive(Clone, Debug)]
pub enum Place {
    /// On the thread that starts it.
    Here,
    /// On an arbiter: a thread that runs actors.
    On(ArbiterHandle),
}

/// The actor's thread had ended before the actor could start there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot start {0}: the thread it was to run on has ended")]
pub struct NotStarted(pub(super) String);

/// A thread that runs actors, and its name for operators.
#[derive(Debug)]
pub struct NamedArbiter {
    name: String,
    arbiter: Arbiter,
}

impl NamedArbiter {
    /// Starts the thread. Fails when the system refuses one. Panics outside an actix system.
    pub fn start(name: &str) -> io::Result<Self> {
        Ok(Self { name: name.to_owned(), arbiter: Arbiter::try_new()? })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place to start actors at.
    pub fn place(&self) -> Place {
        Place::On(self.arbiter.handle())
    }

    /// Ends the thread and waits for it. Actors still on it end where they stand and count as gone, so
    /// stop them and the guardian first. Blocks; an error says that the thread panicked.
    pub fn stop_and_join(self) -> io::Result<()> {
        self.arbiter.stop();
        self.arbiter.join().map_err(|_| io::Error::other(format!("thread {} panicked", self.name)))
    }
}
