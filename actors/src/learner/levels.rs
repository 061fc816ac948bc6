//! The ensemble's feature level as this member knows it, and as its hellos tell it
//! ([`level`](paddock_messages::level)).

use paddock_messages::level;

use super::actor::LearnerActor;
use crate::runtime::{Ctx, ExitCode};

impl LearnerActor {
    /// The highest feature level that is read here.
    pub(super) fn reads_level(&self) -> u8 {
        level::readable_in(self.others().identity.lock().speaks.highest)
    }

    /// The tree is at this level: from here on no hello lets anybody in who cannot read it (FL3).
    ///
    /// # Panics
    /// If it was at a higher one (FL2).
    pub(super) fn tell_level(&mut self, level: u8) {
        assert!(level >= self.level, "FL2: the feature level falls from {} to {level}", self.level);
        let from = std::mem::replace(&mut self.level, level);
        if from == level {
            return;
        }
        if let Some(others) = &self.others {
            others.identity.lock().level = level;
        }
        tracing::info!(
            from,
            to = level,
            "the ensemble's feature level is raised: builds that cannot read it stay out from now on"
        );
    }

    /// A leader must not send it: ours is told at the hello, and the leader drops whom it does not suit.
    pub(super) fn end_unreadable(&self, level: u8, ctx: &mut Ctx<'_, Self>) {
        let reads = self.reads_level();
        let leader = self.leader().map_or_else(String::new, |it| format!(" by leader {it}"));
        let why = format!(
            "the ensemble is raised to feature level {level}{leader}, and this version of paddock reads {reads} at most; \
             run the version that the leader runs, or a later one: nothing of it was logged here"
        );
        ctx.fatal(ExitCode::NewerFormat, &why);
    }
}
