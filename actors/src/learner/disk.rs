//! A full disk in an ensemble. The log has room for what was admitted before that was known, and for nothing else, so
//! the member leaves its leader and stands for nothing until there is room: others are a quorum without it. A leader
//! gives the lead up only if they are one now; until then it refuses writes, as a server alone does.
//!
//! - L8  A member whose disk is full follows nobody, and as leader numbers nothing: nothing is sent to a log that has
//!   no room for it, from the moment on at which that is known.

use paddock_messages::roles::Begin;

use super::actor::LearnerActor;
use super::roles::Mode;
use crate::proposer::actor::DiskSpace;
use crate::runtime::{Ctx, Serve};
use crate::storage::Space;

impl Serve<DiskSpace> for LearnerActor {
    fn serve(&mut self, DiskSpace(space): DiskSpace, ctx: &mut Ctx<'_, Self>) {
        if self.others.is_none() {
            return; // its Proposer refuses
        }
        self.is_disk_full = matches!(space, Space::Full { .. });
        self.others().board.fill_disk(self.is_disk_full);
        match (space, &mut self.mode) {
            (Space::Full { .. }, Mode::Leading) => {} // its Proposer decides
            (Space::Full { needed }, mode) => {
                tracing::error!(
                    needed,
                    "disk full: this member follows no leader and has no vote until so many bytes are free"
                );
                match mode {
                    Mode::Looking(_) => self.stand_anew(),
                    _ => self.leave("its disk is full", ctx),
                }
            }
            (Space::Enough, Mode::Looking(_)) => {
                tracing::info!("the disk has room again: looking for a leader");
                self.stand_anew();
            }
            (Space::Enough, _) => {}
        }
    }
}

impl LearnerActor {
    /// What it stands with has changed, if it looks for a leader.
    pub(super) fn stand_anew(&mut self) {
        if let Mode::Looking(search) = &mut self.mode
            && self.role != Begin::LAST.role
        {
            search.is_told = false;
        }
    }
}
