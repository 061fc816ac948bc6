//! Whom a leader hands the lead to that an operator tells to (Q8), or whose process is to end (Q7).

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;

use super::core::{HAND_OVER_MS, Output, QuorumPeer, Role};
use super::progress::{Progress, Reign};
use crate::proposer::lag::Behind;
use crate::quorum::Quorum;

/// An heir may lack so many bytes: it has them long before the time for handing over is up.
const MOST_BEHIND: u64 = 1 << 20;

/// Why the lead is not moved, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    /// Another does.
    #[error("this server does not lead: ask on server {0}")]
    LeadsElsewhere(ServerId),
    /// It may be about to.
    #[error("this server leads no epoch: wait for an election's end, or ask on the server that leads")]
    NotLeading,
    /// It is asked once more, or the process is to end.
    #[error("the lead is given up already")]
    UnderWay,
    /// Two hand-overs at once.
    #[error("this leader goes over to its next epoch: ask again in a second")]
    RollsOver,
    /// Nothing would change.
    #[error("server {0} leads already")]
    LeadsAlready(ServerId),
    /// An observer, a voter of weight 0, or nobody.
    #[error("server {0} has no vote in this ensemble, so it cannot lead")]
    NoVoter(ServerId),
    /// It would have to be synchronised by the leader that leaves.
    #[error("server {0} is not in sync with this leader: see paddock status")]
    NotInSync(ServerId),
    /// As far as heartbeats tell.
    #[error("server {0} has not answered for peerTimeout")]
    Silent(ServerId),
    /// Writes would wait for it.
    #[error(
        "server {server} lags by {txns} txns, {bytes} bytes, and {MOST_BEHIND} bytes are the most that an heir may lack: \
             ask again when it has caught up"
    )]
    Behind {
        /// Who.
        server: ServerId,
        /// What it lacks.
        txns: u64,
        /// About, at most.
        bytes: u64,
    },
    /// Nobody was named, and nobody will do.
    #[error(
        "no other voter is in sync, answers and lags by less than {MOST_BEHIND} bytes: see paddock status"
    )]
    Nobody,
}

/// The lead on its way to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    heir: ServerId,
    by_ms: u64,
}

impl Moving {
    pub(super) fn is_late(&self, now_ms: u64) -> bool {
        now_ms > self.by_ms
    }
}

impl<Q: Quorum> QuorumPeer<Q> {
    /// An operator wants `to` to lead, or whoever is the most caught up: who is to. `behind` is what learners lack.
    ///
    /// # Errors
    /// Nothing changes then.
    pub fn on_move(
        &mut self,
        to: Option<ServerId>,
        (progress, behind): (&Progress, &BTreeMap<ServerId, Behind>),
        now_ms: u64,
        out: &mut Vec<Output>,
    ) -> Result<ServerId, MoveRefused> {
        let reign = match (self.role(), progress) {
            (Role::Following(leader), _) => return Err(MoveRefused::LeadsElsewhere(leader)),
            (Role::Leading, Progress::Leading(reign)) if reign.established.is_some() => reign,
            _ => return Err(MoveRefused::NotLeading),
        };
        if self.moving.is_some() || self.retires() {
            return Err(MoveRefused::UnderWay);
        }
        if reign.next.is_some() {
            return Err(MoveRefused::RollsOver);
        }
        let heir = match to {
            Some(id) => self.why_not_heir(id, (reign, behind), now_ms).map_or(Ok(id), Err)?,
            None => self.fittest((reign, behind), now_ms).ok_or(MoveRefused::Nobody)?,
        };
        self.hand_over_to(Some(heir), now_ms, out);
        Ok(heir)
    }

    /// The voter that lacks the least, of those that may be an heir.
    pub(super) fn fittest(
        &self,
        (reign, behind): (&Reign, &BTreeMap<ServerId, Behind>),
        now_ms: u64,
    ) -> Option<ServerId> {
        let lacks = |id: &ServerId| behind.get(id).map(|it| it.bytes);
        let fit = self.peers().filter(|id| self.why_not_heir(*id, (reign, behind), now_ms).is_none());
        fit.min_by_key(|id| (lacks(id), std::cmp::Reverse(*id)))
    }

    /// The lead is given up; to nobody more than to others, if there is no heir.
    pub(super) fn hand_over_to(&mut self, heir: Option<ServerId>, now_ms: u64, out: &mut Vec<Output>) {
        let moving = heir.map(|heir| Moving { heir, by_ms: now_ms + HAND_OVER_MS });
        self.moving = moving.or(self.moving);
        out.push(Output::HandOver(heir));
    }

    fn why_not_heir(
        &self,
        id: ServerId,
        (reign, behind): (&Reign, &BTreeMap<ServerId, Behind>),
        now_ms: u64,
    ) -> Option<MoveRefused> {
        if self.is_me(id) {
            return Some(MoveRefused::LeadsAlready(id));
        }
        if !self.may_be_led_by(id) {
            return Some(MoveRefused::NoVoter(id));
        }
        let lacks = behind.get(&id).copied();
        match lacks.filter(|_| reign.serving.contains(&id)) {
            None => Some(MoveRefused::NotInSync(id)),
            Some(_) if !self.answers(id, now_ms) => Some(MoveRefused::Silent(id)),
            Some(Behind { txns, bytes }) => {
                (bytes > MOST_BEHIND).then_some(MoveRefused::Behind { server: id, txns, bytes })
            }
        }
    }

    /// The lead is given up for a reason of this leader's own, such as a vote that it has lost or a full disk: whom it names
    /// now, who lacks the least, if nobody is named yet (Q9).
    pub fn name_heir(
        &mut self,
        (progress, behind): (&Progress, &BTreeMap<ServerId, Behind>),
        now_ms: u64,
    ) -> Option<ServerId> {
        let Progress::Leading(reign) = progress else { return None };
        let leads = self.role() == Role::Leading && reign.established.is_some() && reign.next.is_none();
        if !leads || self.moving.is_some() {
            return None;
        }
        let heir = self.fittest((reign, behind), now_ms)?;
        self.moving = Some(Moving { heir, by_ms: now_ms });
        Some(heir)
    }

    /// Whom the role that has ended was to be handed to, if any: to be told to the Election (EL11), once.
    pub fn take_heir(&mut self) -> Option<ServerId> {
        self.moving.take().map(|it| it.heir)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use paddock_messages::zxid::Epoch;

    use super::super::core::Timing;
    use super::*;
    use crate::quorum::Majority;

    const TIMING: Timing = Timing { peer_timeout_ms: 800, init_ms: 5_000 };

    fn ids(all: &[u64]) -> BTreeSet<ServerId> {
        all.iter().copied().map(ServerId).collect()
    }

    /// Server 1 of voters 1 to 4, with observer 5.
    fn member() -> QuorumPeer<Majority> {
        let mut member = QuorumPeer::new(ServerId(1), Majority(ids(&[1, 2, 3, 4])), TIMING, 0);
        ids(&[2, 3, 4, 5]).into_iter().for_each(|peer| member.on_link(peer));
        member
    }

    fn leader() -> QuorumPeer<Majority> {
        let mut leader = member();
        leader.on_elected(ServerId(1), 0, &mut Vec::new());
        leader
    }

    /// All but 4 are in sync.
    fn reign() -> Reign {
        let all = ids(&[2, 3, 5]);
        let (connected, synchronised, serving) = (all.clone(), all.clone(), all);
        Reign { established: Some(Epoch(3)), connected, synchronised, serving, ..Reign::default() }
    }

    /// What 2, 3 and 5 lack, in bytes.
    fn behind(bytes: [u64; 3]) -> BTreeMap<ServerId, Behind> {
        [2, 3, 5].map(ServerId).into_iter().zip(bytes.map(|bytes| Behind { txns: 1, bytes })).collect()
    }

    fn moved(
        member: &mut QuorumPeer<Majority>,
        to: Option<u64>,
        progress: &Progress,
    ) -> Result<u64, MoveRefused> {
        let mut out = Vec::new();
        let lag = behind([10, 20, 0]);
        let answer = member.on_move(to.map(ServerId), (progress, &lag), 100, &mut out);
        let ordered = answer.ok().map(|heir| Output::HandOver(Some(heir)));
        assert_eq!(out, ordered.into_iter().collect::<Vec<_>>(), "a refusal changes nothing");
        answer.map(|heir| heir.0)
    }

    #[test]
    fn q8_the_lead_goes_to_a_voter_that_is_in_sync_answers_and_is_little_behind() {
        let led = Progress::Leading(reign());
        let of = |to| moved(&mut leader(), to, &led);
        assert_eq!(of(Some(3)), Ok(3));
        assert_eq!(of(None), Ok(2), "it lacks the least");
        assert_eq!(of(Some(1)), Err(MoveRefused::LeadsAlready(ServerId(1))));
        assert_eq!(of(Some(4)), Err(MoveRefused::NotInSync(ServerId(4))));
        assert_eq!(of(Some(5)), Err(MoveRefused::NoVoter(ServerId(5))), "an observer");
        assert_eq!(of(Some(9)), Err(MoveRefused::NoVoter(ServerId(9))));
        let late = |to: Option<u64>, bytes| {
            leader().on_move(to.map(ServerId), (&led, &behind(bytes)), 100, &mut Vec::new())
        };
        let refused = MoveRefused::Behind { server: ServerId(2), txns: 1, bytes: MOST_BEHIND + 1 };
        assert_eq!(late(Some(2), [MOST_BEHIND + 1, 0, 0]), Err(refused));
        assert_eq!(late(Some(2), [MOST_BEHIND, 0, 0]), Ok(ServerId(2)));
        assert_eq!(late(None, [7, 7, 0]), Ok(ServerId(3)), "the greater id, as in an election");
        assert_eq!(late(None, [MOST_BEHIND + 1; 3]), Err(MoveRefused::Nobody));
        let silent = leader().on_move(Some(ServerId(2)), (&led, &behind([0; 3])), 801, &mut Vec::new());
        assert_eq!(silent, Err(MoveRefused::Silent(ServerId(2))));
    }

    #[test]
    fn q8_only_a_leader_moves_the_lead_and_once() {
        let led = Progress::Leading(reign());
        assert_eq!(moved(&mut member(), Some(2), &Progress::Looking), Err(MoveRefused::NotLeading));
        assert_eq!(
            moved(&mut leader(), Some(2), &Progress::Leading(Reign::default())),
            Err(MoveRefused::NotLeading)
        );
        let next = Progress::Leading(Reign { next: Some(Epoch(4)), ..reign() });
        assert_eq!(moved(&mut leader(), Some(2), &next), Err(MoveRefused::RollsOver));
        let mut follower = member();
        follower.on_elected(ServerId(3), 0, &mut Vec::new());
        let elsewhere = Err(MoveRefused::LeadsElsewhere(ServerId(3)));
        assert_eq!(moved(&mut follower, None, &Progress::Looking), elsewhere);

        let mut leader = leader();
        assert_eq!(moved(&mut leader, Some(2), &led), Ok(2));
        assert_eq!(moved(&mut leader, Some(3), &led), Err(MoveRefused::UnderWay));
        let mut out = Vec::new();
        leader.on_ended("over", &mut out);
        assert_eq!((out.as_slice(), leader.take_heir()), (&[Output::Look("over")][..], Some(ServerId(2))));
        assert_eq!(leader.take_heir(), None, "it is told once");
        let mut ending = self::leader();
        ending.on_retire(50, (&led, &behind([10, 20, 0])), &mut Vec::new());
        assert_eq!(moved(&mut ending, Some(2), &led), Err(MoveRefused::UnderWay));
    }

    #[test]
    fn q7_a_leader_whose_process_is_to_end_names_the_voter_that_lacks_the_least() {
        let retired = |mut leader: QuorumPeer<Majority>, reign: Reign, lag: [u64; 3]| {
            let mut out = Vec::new();
            leader.on_retire(100, (&Progress::Leading(reign), &behind(lag)), &mut out);
            leader.on_ended("over", &mut Vec::new());
            (out, leader.take_heir().map(|heir| heir.0))
        };
        let named = |heir: u64| (vec![Output::HandOver(Some(ServerId(heir)))], Some(heir));
        assert_eq!(retired(leader(), reign(), [10, 20, 0]), named(2));
        assert_eq!(retired(leader(), reign(), [20, 10, 0]), named(3));
        assert_eq!(retired(leader(), reign(), [0, 0, 0]), named(3), "the higher id, as in an election");
        // Nobody is waited for who lacks much, nor where the epochs change.
        let nobody = (vec![Output::HandOver(None)], None);
        assert_eq!(retired(leader(), reign(), [2 << 20, 2 << 20, 0]), nobody);
        assert_eq!(retired(leader(), Reign { next: Some(Epoch(4)), ..reign() }, [10, 20, 0]), nobody);
        // Whom an operator has named stays the heir.
        let mut moved_before = leader();
        moved(&mut moved_before, Some(3), &Progress::Leading(reign())).unwrap();
        assert_eq!(retired(moved_before, reign(), [10, 20, 0]), (vec![Output::HandOver(None)], Some(3)));
    }

    #[test]
    fn q9_a_leader_that_gives_the_lead_up_by_itself_names_the_voter_that_lacks_the_least() {
        let ended = |mut leader: QuorumPeer<Majority>, progress: &Progress, lag: [u64; 3], now_ms| {
            let mut out = Vec::new();
            let named = leader.name_heir((progress, &behind(lag)), now_ms);
            leader.on_ended("over", &mut out);
            assert_eq!(out, [Output::Look("over")]);
            (named.map(|heir| heir.0), leader.take_heir().map(|heir| heir.0))
        };
        let led = Progress::Leading(reign());
        assert_eq!(ended(leader(), &led, [10, 20, 0], 100), (Some(2), Some(2)));
        assert_eq!(ended(leader(), &led, [20, 10, 0], 100), (Some(3), Some(3)));
        assert_eq!(ended(leader(), &led, [MOST_BEHIND + 1; 3], 100), (None, None), "nobody is fit");
        assert_eq!(ended(leader(), &led, [10, 20, 0], 801), (None, None), "nobody answers");
        let never_led = Progress::Leading(Reign::default());
        assert_eq!(ended(leader(), &never_led, [0; 3], 100), (None, None));
        // It has lost its vote, and others with it.
        let mut removed = leader();
        removed.decide_by(Majority(ids(&[2, 4])));
        let of_the_others = (Some(2), Some(2));
        assert_eq!(ended(removed, &led, [20, 10, 0], 100), of_the_others, "of those that still have a vote");
        let mut ordered = leader();
        moved(&mut ordered, Some(3), &led).unwrap();
        assert_eq!(
            ended(ordered, &led, [10, 20, 0], 100),
            (None, Some(3)),
            "whom an operator has named stays the heir"
        );
    }

    #[test]
    fn q8_a_leader_whose_heir_does_not_get_everything_in_time_gives_up_all_the_same() {
        let led = Progress::Leading(reign());
        let (mut leader, mut out) = (leader(), Vec::new());
        moved(&mut leader, Some(2), &led).unwrap();
        for (now_ms, ends) in [(100 + HAND_OVER_MS, false), (101 + HAND_OVER_MS, true)] {
            leader.on_time(now_ms, &led, &mut out);
            assert_eq!(out.iter().any(|it| matches!(it, Output::Look(_))), ends, "{now_ms}: {out:?}");
        }
    }
}
