//! EL9: whose vote may count, by what is remembered; and what a search waits for, in words for an operator.

use std::collections::BTreeSet;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::Memory;

use super::core::Election;
use crate::quorum::Quorum;

/// What a member waits for whose disk is full (L8).
pub const NO_ROOM: &str = "room on this server's disk: until then it follows no leader";

/// What a search for a leader waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Voters of which nothing was heard.
    pub unheard: Vec<ServerId>,
    /// Who has no vote and why, in words for an operator.
    pub reasons: Vec<String>,
}

impl<Q: Quorum> Election<Q> {
    /// Every voter, this member too, linked or not.
    pub(super) fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.quorum().voters().into_iter()
    }

    /// These decide, as our log says (MB1). To be called before it looks.
    pub fn decide_by(&mut self, quorum: Q) {
        self.quorum = quorum;
    }

    /// Whether this member may have a vote.
    pub(super) fn may_vote(&self) -> bool {
        self.may_count(self.memory)
    }

    /// Whether the vote of one who remembers so much may count.
    pub(super) fn may_count(&self, memory: Memory) -> bool {
        match memory {
            Memory::Whole | Memory::Seed(_) | Memory::Begun => true,
            Memory::Empty | Memory::Marked => self.may_begin(),
            Memory::Damaged => false,
        }
    }

    /// The histories that are known of and may be no ensemble's yet.
    fn seeds(&self) -> BTreeSet<u128> {
        let seed = |memory| if let Memory::Seed(id) = memory { Some(id) } else { None };
        self.voters().filter_map(|voter| self.memory_of(voter)).filter_map(seed).collect()
    }

    /// Whether there is nothing that could be lost: every voter is here, and none has anything, or anything but
    /// one and the same seed; or an operator has said of a quorum that it may begin anew.
    fn may_begin(&self) -> bool {
        let known: Vec<Option<Memory>> = self.voters().map(|voter| self.memory_of(voter)).collect();
        let is_empty =
            |memory: Option<Memory>| matches!(memory, Some(Memory::Empty | Memory::Marked | Memory::Begun));
        let is_seed = |memory: &Option<Memory>| matches!(memory, Some(Memory::Seed(_)));
        let all = known.iter().all(|memory| is_empty(*memory) || is_seed(memory));
        let marked = self.quorum().holds(|voter| self.memory_of(voter) == Some(Memory::Marked));
        let has_memory = known.contains(&Some(Memory::Whole));
        (all && self.seeds().len() <= 1) || (marked && !has_memory)
    }

    /// Who is missing, and who has no vote and why: what an operator needs to know while there is no leader.
    pub fn waits_for(&self) -> Waits {
        let (mut missing, mut empty, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for voter in self.voters() {
            match self.memory_of(voter) {
                None => missing.push(voter),
                Some(Memory::Empty) => empty.push(voter),
                Some(Memory::Damaged) => damaged.push(voter),
                Some(_) => {}
            }
        }
        let list = |all: &[_]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !empty.is_empty() && !self.may_begin() {
            parts.push(format!(
                "without data, so without a vote until a leader has given it all: server {} (a new ensemble begins once \
                 every voter is there and none has data, or a quorum of them has an empty file named initialize in \
                 its data directory, which `paddock init` makes)",
                list(&empty)
            ));
        }
        if !damaged.is_empty() {
            parts.push(format!(
                "with a damaged log, so without a vote until a leader has given it all: server {}",
                list(&damaged)
            ));
        }
        if self.seeds().len() > 1 {
            parts.push(
                "servers that were alone have different histories: one may stay, empty the data directories of the \
                 others"
                    .to_owned(),
            );
        }
        Waits { unheard: missing, reasons: parts }
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::quorum::{Notification, PeerState, Vote};
    use paddock_messages::zxid::{Epoch, Zxid};

    use super::super::core::Output;
    use super::*;
    use crate::quorum::Majority;

    fn vote(leader: u64) -> Vote {
        Vote { peer_epoch: Epoch(0), zxid: Zxid::ZERO, leader: ServerId(leader) }
    }

    /// What a member of voters 1 to 3 that remembers `own` comes to, once the others have said what they
    /// remember, each voting for the greatest of those that may: whom it has decided for, and by a vote or not.
    fn decided(own: Memory, others: [Option<Memory>; 2]) -> Option<(u64, bool)> {
        let voters: BTreeSet<_> = [1, 2, 3].map(ServerId).into();
        let mut election = Election::new(ServerId(1), Majority(voters));
        election.remember(own);
        let (mut out, mut now_ms) = (Vec::new(), 0);
        election.look(Some(vote(1)), now_ms, &mut out);
        for (peer, _) in [2, 3].into_iter().zip(others).filter(|(_, memory)| memory.is_some()) {
            election.on_link(ServerId(peer), true, now_ms, &mut out);
        }
        for _ in 0..4 {
            let round = election.round();
            for (peer, memory) in [2, 3].into_iter().zip(others) {
                let Some(memory) = memory else { continue };
                let greatest = if others[1].is_some() { 3 } else { 2 };
                let heard =
                    Notification { state: PeerState::Looking, vote: Some(vote(greatest)), round, memory };
                election.on_notification(ServerId(peer), heard, now_ms, &mut out);
                election.check();
            }
            now_ms += 100;
            if election.is_looking() {
                election.on_time(now_ms, &mut out);
            }
        }
        out.iter().find_map(|it| match it {
            Output::Decided(vote) => Some((vote.leader.0, election.had_vote())),
            Output::Send { .. } => None,
        })
    }

    #[test]
    fn el9_who_has_lost_its_memory_has_a_vote_only_where_nothing_can_be_lost() {
        use Memory::{Begun, Damaged, Empty, Marked, Whole};
        const SEED: Memory = Memory::Seed(5);
        for (own, others, expected) in [
            (Whole, [Some(Whole), Some(Whole)], Some((3, true))),
            (Whole, [None, Some(Whole)], Some((3, true))),
            // An empty disk among others: the two that remember decide, whatever it says.
            (Whole, [Some(Empty), Some(Whole)], Some((3, true))),
            (Whole, [Some(Damaged), Some(Whole)], Some((3, true))),
            (Whole, [None, Some(Empty)], None),
            (Whole, [None, Some(Marked)], None),
            (Whole, [Some(Damaged), Some(Empty)], None),
            (Empty, [Some(Whole), Some(Whole)], None), // it learns of the leader once there is one
            (Empty, [None, Some(Whole)], None),
            (Damaged, [Some(Whole), Some(Whole)], None),
            // A new ensemble: all are here, and there is nothing.
            (Empty, [Some(Empty), Some(Empty)], Some((3, true))),
            (Empty, [Some(Marked), Some(Empty)], Some((3, true))),
            (Empty, [None, Some(Empty)], None),
            (Empty, [Some(Damaged), Some(Empty)], None),
            // A first epoch was entered, perhaps two, and no quorum has it.
            (Begun, [Some(Empty), Some(Empty)], Some((3, true))),
            (Empty, [Some(Begun), Some(Begun)], Some((3, true))),
            (Begun, [None, Some(Begun)], Some((3, true))),
            (Begun, [None, Some(Empty)], None),
            (Begun, [Some(Empty), Some(Whole)], Some((3, true))),
            // An ensemble grows from one that was alone.
            (Empty, [Some(Empty), Some(SEED)], Some((3, true))),
            (Empty, [Some(SEED), Some(SEED)], Some((3, true))), // the first epoch was not known to all
            (SEED, [Some(Empty), Some(Empty)], Some((3, true))),
            (Empty, [Some(Memory::Seed(6)), Some(SEED)], None),
            (SEED, [None, Some(Empty)], None),
            (Whole, [Some(Empty), Some(SEED)], Some((3, true))),
            // An operator says of a quorum that it may begin.
            (Marked, [None, Some(Marked)], Some((3, true))),
            (Marked, [Some(Marked), None], Some((2, true))),
            (Marked, [None, Some(Empty)], None),
            (Marked, [Some(Whole), Some(Marked)], None),
        ] {
            assert_eq!(decided(own, others), expected, "{own:?} beside {others:?}");
        }
    }

    #[test]
    fn what_is_waited_for_is_told_by_name() {
        let voters: BTreeSet<_> = [1, 2, 3].map(ServerId).into();
        let mut election = Election::new(ServerId(1), Majority(voters));
        let mut out = Vec::new();
        election.look(Some(vote(1)), 0, &mut out);
        election.on_link(ServerId(2), true, 0, &mut out);
        let heard = Notification { state: PeerState::Looking, vote: None, round: 1, memory: Memory::Empty };
        election.on_notification(ServerId(2), heard, 0, &mut out);
        let told = election.waits_for();
        assert_eq!(told.unheard, [ServerId(3)]);
        assert!(told.reasons.len() == 1 && told.reasons[0].contains("server 2 (a new"), "{told:?}");
    }
}
