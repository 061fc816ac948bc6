//! Giving the lead up where others can take it, and as the process ends (P15).
//!
//! - P14 A leader whose own disk has made nothing durable for `syncLimit` and some seconds, though it lacks what the others have, hands
//!   the lead over, if the others are a quorum in sync. One whose disk makes anything durable, however late, keeps it;
//!   so does one without which the others are no quorum. Others whose disks hang as well are dropped before (P12).
//!
//! Time is counted in ticks that this process lived through: after it stood still no disk is silent.

use std::time::Duration;

use paddock_messages::roles::HandOver;
use paddock_messages::zxid::Zxid;

use super::actor::{ProposerActor, TICK};
use super::core::Proposer;
use crate::runtime::{Ctx, Serve};

pub(super) const DISK_FULL: &str = "the disk is full, and others can lead";
const DISK_SILENT: &str = "the disk has answered no sync for syncLimit, and others can lead: see to it";

/// Whether our own disk answers, in one epoch.
#[derive(Debug)]
pub struct OwnDisk {
    limit_ticks: usize,
    silent_ticks: usize,
    acked: Zxid,
}

impl OwnDisk {
    /// It may be silent for so long, and a tick more than P12 gives the others at most.
    pub fn new(limit: Duration) -> Self {
        let ticks = usize::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(usize::MAX).max(1);
        Self { limit_ticks: ticks.saturating_add(2), silent_ticks: 0, acked: Zxid::ZERO }
    }

    /// P14: whether it has been silent for too long at this tick, given what it has and what is committed.
    pub fn is_silent(&mut self, acked: Zxid, committed: Zxid) -> bool {
        // The start of an epoch is on no disk.
        let lacks = committed.counter() > 0 && acked < committed;
        let is_silent = lacks && acked == self.acked;
        self.silent_ticks = if is_silent { self.silent_ticks + 1 } else { 0 };
        self.acked = acked;
        self.silent_ticks > self.limit_ticks
    }
}

impl ProposerActor {
    /// Once a tick: a leader gives the lead up for its disk's sake (L8, P14).
    pub(super) fn judge_own_disk(&mut self, ctx: &mut Ctx<'_, Self>) {
        let known = self.core.as_ref().map(|it| (it.acked(self.me).unwrap_or_default(), it.committed()));
        let is_silent = known.is_some_and(|(acked, committed)| self.own_disk.is_silent(acked, committed));
        if self.is_disk_full {
            self.hand_over(DISK_FULL, ctx);
        } else if is_silent {
            self.hand_over(DISK_SILENT, ctx);
        }
    }

    /// Gives the lead up if the others are a quorum that is in sync: whether it does. Nothing is numbered any more from
    /// then on, though the role is yet to end: the log may have no room for it (L8).
    pub(super) fn hand_over(&mut self, why: &'static str, ctx: &mut Ctx<'_, Self>) -> bool {
        let reign = self.reigning.as_ref().and_then(|it| it.reign.as_ref());
        let hands_over = reign.is_some_and(|reign| reign.can_hand_over());
        if hands_over {
            self.core = None;
            self.resign(why, ctx);
        }
        hands_over
    }

    /// P15, Q8: the lead is given up once nothing of it is left to do.
    pub(super) fn end_if_finished(&mut self, ctx: &mut Ctx<'_, Self>) {
        if self.core.as_ref().is_some_and(Proposer::has_finished) {
            self.core = None;
            self.resign(
                "the lead is to be another's, and all that this leader has numbered is committed",
                ctx,
            );
        }
    }
}

impl Serve<HandOver> for ProposerActor {
    fn serve(&mut self, HandOver { role, heir }: HandOver, ctx: &mut Ctx<'_, Self>) {
        if role != self.role || self.reigning.is_none() {
            return;
        }
        match &mut self.core {
            Some(core) => core.finish(heir),
            None => self.resign("the lead is to be another's, and this leader has numbered nothing yet", ctx),
        }
        self.end_if_finished(ctx);
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    /// With these on our own disk, and committed, at each tick: at which the disk is silent for too long.
    fn silent_at(limit_s: u64, ticks: &[(u32, u32)]) -> Vec<usize> {
        let mut disk = OwnDisk::new(Duration::from_secs(limit_s));
        let z = |counter| Zxid::new(Epoch(7), counter);
        let is_silent = |(acked, committed): &(u32, u32)| disk.is_silent(z(*acked), z(*committed));
        let ticks: Vec<bool> = ticks.iter().map(is_silent).collect();
        (0..ticks.len()).filter(|at| ticks[*at]).collect()
    }

    #[test]
    fn p14_a_disk_that_makes_nothing_durable_that_the_others_have_is_silent_and_a_slow_one_is_not() {
        const NEVER: [usize; 0] = [];
        let always = |acked, committed| vec![(acked, committed); 9];
        assert_eq!(silent_at(2, &always(0, 0)), NEVER, "nothing is committed");
        assert_eq!(silent_at(2, &always(4, 4)), NEVER, "it has all");
        assert_eq!(silent_at(2, &always(5, 4)), NEVER, "it is ahead: the others lack what it has");
        assert_eq!(silent_at(2, &always(3, 4)), [5, 6, 7, 8], "it was at 3 at the first tick");
        let behind: Vec<_> = (0..9).map(|at| (at / 2, 100 + at)).collect();
        assert_eq!(silent_at(2, &behind), NEVER, "it moves, however far behind it is");
        assert_eq!(silent_at(1, &behind), NEVER);
        // It hangs, answers once, and hangs again.
        let again: Vec<_> = (0..12).map(|at| (if at < 4 { 1 } else { 2 }, 9)).collect();
        assert_eq!(silent_at(2, &again), [9, 10, 11]);
    }

    /// What it acknowledged last may be of an epoch before, and no disk has the start of one.
    #[test]
    fn p14_a_leader_of_an_epoch_without_txns_has_no_silent_disk() {
        let mut disk = OwnDisk::new(Duration::from_secs(1));
        let (acked, committed) = (Zxid::new(Epoch(6), 44), Epoch(7).start());
        assert!((0..9).all(|_| !disk.is_silent(acked, committed)));
    }
}
