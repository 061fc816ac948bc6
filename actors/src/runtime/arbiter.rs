//! Which thread an actor runs on. The wiring decides; an actor never knows.

use std::ffi::CString;
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
    /// Starts the thread; `top -H` and a debugger show the first 15 bytes of its name. Fails when the
    /// system refuses a thread or the name has a NUL. Panics outside an actix system.
    pub fn start(name: &str) -> io::Result<Self> {
        let shown = CString::new(name).map_err(io::Error::other)?;
        let arbiter = Arbiter::try_new()?;
        // Only the thread itself can, and before all that is started on it later. Unnamed it runs as well.
        arbiter.spawn_fn(move || _ = rustix::thread::set_name(&shown));
        Ok(Self { name: name.to_owned(), arbiter })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn the_system_shows_a_thread_by_its_name() {
        for (name, shown) in [("clients-1", "clients-1"), ("more than 15 bytes", "more than 15 by")] {
            let arbiter = NamedArbiter::start(name).unwrap();
            let Place::On(handle) = arbiter.place() else { panic!("it is a thread of its own") };
            let (told, heard) = std::sync::mpsc::channel();
            handle.spawn_fn(move || told.send(rustix::thread::name().unwrap()).unwrap());
            assert_eq!(heard.recv().unwrap().to_str(), Ok(shown));
            arbiter.stop_and_join().unwrap();
        }
    }
}
