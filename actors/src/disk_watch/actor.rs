//! The shell: looks each second, from a thread that no disk holds up.

use std::time::Duration;

use super::core::{DiskWatch, Report};
use crate::runtime::{Ctx, Service};
use crate::storage::SyncWatch;

/// How often it looks.
const TICK: Duration = Duration::from_secs(1);

/// See the module.
pub struct DiskWatchActor {
    core: DiskWatch,
    log: SyncWatch,
}

impl DiskWatchActor {
    /// Watches the thread that writes the log.
    pub fn new(log: SyncWatch) -> Self {
        Self { core: DiskWatch::default(), log }
    }

    fn look(&mut self, _: &mut Ctx<'_, Self>) {
        match self.core.on_tick(self.log.stuck()) {
            Some(Report::Silent(stuck)) => tracing::error!(
                file = %stuck.file.display(), seconds = stuck.since.as_secs(),
                "the disk does not answer: writes wait, reads and pings go on; check the disk, its driver and the \
                 kernel's log, or stop this process to let another member take over"
            ),
            Some(Report::Answers { file, after }) => {
                tracing::warn!(file = %file.display(), seconds = after.as_secs(), "the disk answers again");
            }
            None => {}
        }
    }
}

impl Service for DiskWatchActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(TICK, Self::look);
    }
}

/// `paddock_log_stuck_seconds`: how long the write or sync of the log under way has taken; 0 without one.
pub fn prometheus(log: &SyncWatch) -> String {
    let seconds = log.stuck().map_or(0.0, |stuck| stuck.since.as_secs_f64());
    format!(
        "# HELP paddock_log_stuck_seconds how long the log's disk has not answered\n\
         # TYPE paddock_log_stuck_seconds gauge\npaddock_log_stuck_seconds {seconds}\n"
    )
}
