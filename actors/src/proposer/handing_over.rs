//! Giving the lead up where others can take it, and as the process ends (P15).
//!
//! - P14 A leader whose own disk has made nothing durable for `syncLimit` and some seconds, though it lacks what the others
//!   have, hands the lead over, if the others are a quorum in sync; and so does one whose disk answers, and in each second of as
//!   long lacked what was committed a second before, or answered once at most while all else waited for it (P9). One whose disk
//!   is behind for less, or catches up in between, keeps the lead; so does one without which the others are no quorum. Others
//!   whose disks hang as well are dropped before (P12).
//!
//! Time is counted in ticks that this process lived through: after it stood still no disk is silent, or slow.

use std::time::Duration;

use paddock_messages::roles::HandOver;
use paddock_messages::zxid::Zxid;

use super::actor::{ProposerActor, TICK};
use super::core::Proposer;
use crate::runtime::{Ctx, Serve};

pub(super) const DISK_FULL: &str = "the disk is full, and others can lead";
const DISK_SILENT: &str = "the disk has answered no sync for syncLimit, and others can lead: see to it";
const DISK_SLOW: &str =
    "the disk has not kept up with a quorum of disks for syncLimit, and others can lead: see to it";

/// What there is to see of our own disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// What it has, as far as is known.
    pub acked: Zxid,
    /// What a quorum has.
    pub committed: Zxid,
    /// Nothing more is begun until it has more, though a quorum has all that was (P9).
    pub waits: bool,
    /// How often it has had more.
    pub syncs: u64,
}

/// What is wrong with our own disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    /// It answers nothing.
    Silent,
    /// It answers, and does not keep up.
    Slow,
}

/// Whether our own disk answers and keeps up, in one epoch.
#[derive(Debug)]
pub struct OwnDisk {
    limit_ticks: usize,
    silent_ticks: usize,
    slow_ticks: usize,
    /// At the last tick.
    before: Sight,
}

impl OwnDisk {
    /// It may be silent, or slow, for so long, and a tick more than P12 gives the others at most.
    pub fn new(limit: Duration) -> Self {
        let ticks = usize::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(usize::MAX).max(1);
        let limit_ticks = ticks.saturating_add(2);
        Self { limit_ticks, silent_ticks: 0, slow_ticks: 0, before: Sight::default() }
    }

    /// P14: what has been wrong with it for too long at this tick.
    pub fn on_tick(&mut self, now: Sight) -> Option<Ill> {
        let before = std::mem::replace(&mut self.before, now);
        // The start of an epoch is on no disk.
        let lacks = |wanted: Zxid| wanted.counter() > 0 && now.acked < wanted;
        let is_silent = lacks(now.committed) && now.acked == before.acked;
        let holds_up = now.waits && lacks(now.committed) && now.syncs <= before.syncs + 1;
        let is_slow = lacks(before.committed) || holds_up;
        self.silent_ticks = if is_silent { self.silent_ticks + 1 } else { 0 };
        self.slow_ticks = if is_slow { self.slow_ticks + 1 } else { 0 };
        match (self.silent_ticks > self.limit_ticks, self.slow_ticks > self.limit_ticks) {
            (true, _) => Some(Ill::Silent),
            (_, true) => Some(Ill::Slow),
            _ => None,
        }
    }
}

impl ProposerActor {
    /// Once a tick: a leader gives the lead up for its disk's sake (L8, P14).
    pub(super) fn judge_own_disk(&mut self, ctx: &mut Ctx<'_, Self>) {
        let ill = self.core.as_ref().and_then(|core| self.own_disk.on_tick(core.own_disk()));
        let why = match ill {
            _ if self.is_disk_full => DISK_FULL,
            Some(Ill::Silent) => DISK_SILENT,
            Some(Ill::Slow) => DISK_SLOW,
            None => return,
        };
        self.hand_over(why, ctx);
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

    /// With these on our own disk, and committed, at each tick: when something has been wrong for too long, and what.
    fn ill_at(limit_s: u64, ticks: &[(u32, u32)]) -> Vec<(usize, Ill)> {
        let mut disk = OwnDisk::new(Duration::from_secs(limit_s));
        let z = |counter| Zxid::new(Epoch(7), counter);
        let ill = |(acked, committed): &(u32, u32)| {
            disk.on_tick(Sight { acked: z(*acked), committed: z(*committed), ..Sight::default() })
        };
        let ticks: Vec<_> = ticks.iter().map(ill).collect();
        (0..ticks.len()).filter_map(|at| Some((at, ticks[at]?))).collect()
    }

    #[test]
    fn p14_a_disk_that_makes_nothing_durable_that_the_others_have_is_silent() {
        let always = |acked, committed| vec![(acked, committed); 9];
        assert_eq!(ill_at(2, &always(0, 0)), [], "nothing is committed");
        assert_eq!(ill_at(2, &always(4, 4)), [], "it has all");
        assert_eq!(ill_at(2, &always(5, 4)), [], "it is ahead: the others lack what it has");
        let silent = [5, 6, 7, 8].map(|at| (at, Ill::Silent));
        assert_eq!(ill_at(2, &always(3, 4)), silent, "it was at 3 at the first tick");
        assert_eq!(ill_at(4, &always(3, 4)), silent[2..]);
    }

    #[test]
    fn p14_a_disk_that_lacks_for_long_what_was_committed_a_tick_before_is_slow() {
        let slow = |from: usize, to: usize| (from..to).map(|at| (at, Ill::Slow)).collect::<Vec<_>>();
        let ticks = |has: fn(u32) -> u32| (0..12).map(|at| (has(at), 10 * at)).collect::<Vec<_>>();
        assert_eq!(ill_at(2, &ticks(|at| 10 * at)), [], "it has all");
        assert_eq!(ill_at(2, &ticks(|at| (10 * at).saturating_sub(10))), [], "a tick behind");
        let behind = ticks(|at| (10 * at).saturating_sub(11));
        assert_eq!(ill_at(2, &behind), slow(6, 12), "more than a tick behind, from the third on");
        assert_eq!(ill_at(4, &behind), slow(8, 12));
        // It hangs, answers once, and hangs again: it does not keep up either.
        let again: Vec<_> = (0..12).map(|at| (if at < 4 { 1 } else { 2 }, 9)).collect();
        assert_eq!(ill_at(2, &again), [slow(5, 9), (9..12).map(|at| (at, Ill::Silent)).collect()].concat());
        // It catches up now and then: as one sync of many seconds does, where others follow that are none.
        let catches_up = ticks(|at| 10 * at - if at % 5 == 0 { 0 } else { 10 * (at % 5) });
        assert_eq!(ill_at(2, &catches_up), []);
    }

    /// At each tick it has all of the tick before, and only as much more is begun as it is allowed to lack.
    #[test]
    fn p14_a_disk_that_holds_everything_up_for_long_is_slow_and_one_that_is_merely_busy_is_not() {
        let z = |counter| Zxid::new(Epoch(7), counter);
        let ill_at = |waits: fn(u32) -> bool, syncs_a_tick: u64| {
            let mut disk = OwnDisk::new(Duration::from_secs(2));
            let sight = |at| Sight {
                acked: z(5 * at),
                committed: z(5 * at + 5),
                waits: waits(at),
                syncs: syncs_a_tick * u64::from(at),
            };
            let ticks = (0..9).map(|at| disk.on_tick(sight(at)));
            ticks.enumerate().filter_map(|(at, ill)| Some((at, ill?))).collect::<Vec<_>>()
        };
        assert_eq!(ill_at(|_| false, 1), []);
        assert_eq!(ill_at(|_| true, 1), [4, 5, 6, 7, 8].map(|at| (at, Ill::Slow)));
        assert_eq!(ill_at(|at| at % 4 > 0, 1), [], "it keeps up in between");
        assert_eq!(ill_at(|_| true, 2), [], "much is written, and it syncs as fast as that goes");
    }

    /// What it acknowledged last may be of an epoch before, and no disk has the start of one.
    #[test]
    fn p14_nothing_is_wrong_with_the_disk_of_a_leader_whose_epoch_has_no_txns() {
        let mut disk = OwnDisk::new(Duration::from_secs(1));
        let acked = Zxid::new(Epoch(6), 44);
        let sight = Sight { acked, committed: Epoch(7).start(), waits: true, syncs: 0 };
        assert!((0..9).all(|_| disk.on_tick(sight).is_none()));
    }
}
