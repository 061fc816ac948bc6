//! The SessionTracker's shell.

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::letters::{SessionChanges, Silent, Touched};
use paddock_messages::mail::Outbox;

use super::core::SessionTracker;
use crate::runtime::{Ctx, ExitCode, Serve, Service};

/// Mail from whoever asks for an operator: look at the core on its own thread, and post what was found.
pub struct AskTracker(pub Box<dyn FnOnce(&SessionTracker) + Send>);

/// See the module.
pub struct SessionTrackerActor {
    core: SessionTracker,
    /// Each client arbiter's hub, by arbiter: it has the last word on its sessions.
    hubs: Vec<Outbox<Silent>>,
    silent: Vec<(SessionId, AttachNumber)>,
}

impl SessionTrackerActor {
    /// Posts whom to expire to the one of `hubs` that serves them.
    pub fn new(core: SessionTracker, hubs: Vec<Outbox<Silent>>) -> Self {
        Self { core, hubs, silent: Vec::new() }
    }
}

impl Service for SessionTrackerActor {}

impl Serve<SessionChanges> for SessionTrackerActor {
    fn serve(&mut self, letter: SessionChanges, _: &mut Ctx<'_, Self>) {
        self.core.on_changes(&letter.0);
    }
}

impl Serve<Touched> for SessionTrackerActor {
    fn serve(&mut self, letter: Touched, ctx: &mut Ctx<'_, Self>) {
        self.core.on_touched(&letter, &mut self.silent);
        if self.silent.is_empty() {
            return;
        }
        let silent = Silent(std::mem::take(&mut self.silent));
        if self.hubs[usize::from(letter.arbiter)].post(silent).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the client arbiter that serves a silent session has ended");
        }
    }
}

impl Serve<AskTracker> for SessionTrackerActor {
    fn serve(&mut self, letter: AskTracker, _: &mut Ctx<'_, Self>) {
        (letter.0)(&self.core);
    }
}
