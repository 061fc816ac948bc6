//! Learners that do not keep up: whatever their heartbeats say, what is proposed does not come back as acks.
//!
//! - P12  A voter that serves and has not acknowledged for `syncLimit` what was proposed is dropped; one that has come
//!   less than that ago is given as long. So a data lane that brings nothing any more is noticed where heartbeats go on.
//!
//! Time is counted in ticks that this process lived through: after it stood still nobody is late.
//!
//! Source: compat: LearnerHandler.java, SyncLimitCheck.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;

use super::actor::{ProposerActor, TICK};
use crate::quorum::Quorum;

/// Of one epoch.
#[derive(Debug)]
pub(super) struct SyncLimit {
    ticks: usize,
    /// What had been proposed at each of the last ticks, oldest first.
    proposed: VecDeque<Zxid>,
    /// For how many ticks each voter has served.
    serves: BTreeMap<ServerId, usize>,
}

impl SyncLimit {
    /// A limit of so long, and a tick more.
    pub(super) fn new(limit: Duration) -> Self {
        let ticks = usize::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(usize::MAX).max(1);
        Self { ticks: ticks.saturating_add(1), proposed: VecDeque::new(), serves: BTreeMap::new() }
    }

    /// P12: who is late, of the voters that serve, given what each has acknowledged and what is proposed.
    pub(super) fn on_tick(&mut self, proposed: Zxid, acked: &BTreeMap<ServerId, Zxid>) -> Vec<ServerId> {
        self.serves.retain(|voter, _| acked.contains_key(voter));
        acked.keys().for_each(|voter| *self.serves.entry(*voter).or_default() += 1);
        self.proposed.push_back(proposed);
        let due = if self.proposed.len() > self.ticks { self.proposed.pop_front() } else { None };
        // The start of an epoch is acknowledged by nobody.
        let Some(due) = due.filter(|due| due.counter() > 0) else { return Vec::new() };
        let is_late = |(voter, acked): &(&ServerId, &Zxid)| **acked < due && self.serves[voter] > self.ticks;
        acked.iter().filter(is_late).map(|(voter, _)| *voter).collect()
    }
}

impl ProposerActor {
    /// Drops those that are late; they are synchronised anew.
    pub(super) fn drop_late(&mut self) {
        let (Some(core), Some(reigning)) = (&self.core, &self.reigning) else { return };
        let Some(reign) = &reigning.reign else { return };
        let serves = |it: &ServerId| reign.is_serving(*it) && self.rules.by.is_voter(*it);
        let voters = reigning.lanes.keys().copied().filter(serves);
        let acked = voters.filter_map(|voter| Some((voter, core.acked(voter)?))).collect();
        let late = self.sync_limit.on_tick(core.last(), &acked);
        for voter in &late {
            self.hang_up(*voter, "it has not acknowledged for syncLimit what was proposed");
        }
        if !late.is_empty() {
            self.publish();
        }
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(7), counter)
    }

    /// Ticks with these proposed and these acks of voter 2: whether it is late at each.
    fn late(limit_s: u64, ticks: &[(u32, Option<u32>)]) -> Vec<bool> {
        let mut limit = SyncLimit::new(Duration::from_secs(limit_s));
        let tick = |(proposed, acked): &(u32, Option<u32>)| {
            let acked = acked.iter().map(|acked| (ServerId(2), z(*acked))).collect();
            let late = limit.on_tick(z(*proposed), &acked);
            assert!(late.is_empty() || late == [ServerId(2)]);
            !late.is_empty()
        };
        ticks.iter().map(tick).collect()
    }

    #[test]
    fn p12_who_does_not_ack_for_the_limit_is_late_and_who_has_nothing_to_ack_or_just_came_is_not() {
        const NO: bool = false;
        // Nothing is proposed: the start of the epoch is never acknowledged.
        assert_eq!(late(2, &[(0, Some(0)); 8]), [NO; 8]);
        // It keeps up, two ticks behind.
        let behind: Vec<_> = (0..20_u32).map(|at| (at, Some(at.saturating_sub(2)))).collect();
        assert_eq!(late(2, &behind), [NO; 20]);
        // It stops at 3.
        let stuck: Vec<_> = (0..9_u32).map(|at| (at, Some(at.min(3)))).collect();
        assert_eq!(late(2, &stuck), [NO, NO, NO, NO, NO, NO, NO, true, true]);
        // It comes at 5, far behind, and catches up in time, or not.
        let comes = |from: u32, acks: u32| -> Vec<_> {
            (0..14_u32).map(|at| (at, (at >= from).then(|| if at >= from + 3 { acks } else { 0 }))).collect()
        };
        assert_eq!(late(2, &comes(5, 13)), [NO; 14]);
        assert_eq!(late(2, &comes(5, 1)).iter().position(|late| *late), Some(8));
    }
}
