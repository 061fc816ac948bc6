//! The SessionTracker's shell.

use std::sync::Arc;

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::letters::{Internal, SessionChanges, Touched};
use paddock_messages::mail::Outbox;

use super::core::SessionTracker;
use crate::admin::metrics::Meters;
use crate::runtime::{Ctx, ExitCode, Serve, Service};

/// Mail from whoever asks for an operator: look at the core on its own thread, and post what was found.
pub struct AskTracker(pub Box<dyn FnOnce(&SessionTracker) + Send>);

/// See the module.
pub struct SessionTrackerActor {
    core: SessionTracker,
    proposer: Outbox<Internal>,
    expired: Vec<(SessionId, AttachNumber)>,
    meters: Arc<Meters>,
}

impl SessionTrackerActor {
    /// Posts whom to expire to `proposer`.
    pub fn new(core: SessionTracker, proposer: Outbox<Internal>, meters: Arc<Meters>) -> Self {
        Self { core, proposer, expired: Vec::new(), meters }
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
        self.core.on_touched(&letter, &mut self.expired);
        if self.expired.is_empty() {
            return;
        }
        self.meters.sessions_expired(self.expired.len() as u64);
        tracing::info!(sessions = ?self.expired, "expired: silent for longer than their timeout");
        if self.proposer.post(Internal::Expire(std::mem::take(&mut self.expired))).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the session tracker's Proposer has ended");
        }
    }
}

impl Serve<AskTracker> for SessionTrackerActor {
    fn serve(&mut self, letter: AskTracker, _: &mut Ctx<'_, Self>) {
        (letter.0)(&self.core);
    }
}
