//! EL11: whom a leader that gives the lead up would have lead after it.

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Notification, Vote};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::quorum::Quorum;

/// So long a member ranks the heir first, in ms: those who have heard of it and those who have not would wait for each
/// other for ever.
const NAMED_MS: u64 = 500;

/// Whom this member had for a leader last, and whom that one named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heir {
    last_leader: Option<ServerId>,
    named: Option<ServerId>,
    /// Until when it is ranked first, once that is known.
    until_ms: Option<u64>,
    /// It is no more than others, whoever names it again.
    is_over: bool,
}

impl Heir {
    /// The member has a role: this leads it.
    pub(super) fn on_settled(&mut self, leader: ServerId) {
        *self = Self { last_leader: Some(leader), ..Self::default() };
    }

    /// This member, which led, names it.
    pub(super) fn name(&mut self, heir: Option<ServerId>) {
        if heir.is_some() && heir != self.named {
            (self.named, self.until_ms, self.is_over) = (heir, None, false);
        }
    }

    /// Until when the heir is ranked first, if one is.
    pub(super) fn until_ms(&self) -> Option<u64> {
        self.until_ms.filter(|_| !self.is_over)
    }

    /// The member looks, and it is `now_ms`. Whether the heir is no more than others from now on.
    pub(super) fn lapses(&mut self, now_ms: u64) -> bool {
        if self.named.is_none() || self.is_over {
            return false;
        }
        let until_ms = *self.until_ms.get_or_insert(now_ms.saturating_add(NAMED_MS));
        self.is_over = now_ms >= until_ms;
        self.is_over
    }

    /// `from` said this. Whether votes rank otherwise from now on. Who led may have no vote any more: that may be why it
    /// leads no longer.
    pub(super) fn on_word(&mut self, from: ServerId, heard: &Notification, quorum: &impl Quorum) -> bool {
        let is_farewell = heard.names_an_heir() && self.last_leader == Some(from);
        let heir = heard.vote.map(|vote| vote.leader).filter(|heir| is_farewell && quorum.can_lead(*heir));
        let is_new = heir.is_some() && heir != self.named;
        self.name(heir);
        is_new
    }

    /// The greater wins: by epoch, zxid, whether it is named, id.
    pub(super) fn rank(&self, vote: &Vote) -> (Epoch, Zxid, bool, ServerId) {
        (vote.peer_epoch, vote.zxid, self.named == Some(vote.leader) && !self.is_over, vote.leader)
    }

    /// How a leader says whom it names. Nobody that has a role or looks says anything of this form, and builds that do not
    /// know it take it for no vote.
    pub(super) fn vote(heir: ServerId) -> Vote {
        Vote { peer_epoch: Epoch(0), zxid: Zxid::ZERO, leader: heir }
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::quorum::{Memory, PeerState};

    use super::*;
    use crate::quorum::Majority;

    /// As a leader that its own reconfig has removed: the others have a configuration without it by then.
    #[test]
    fn el11_the_last_leader_names_an_heir_though_it_has_no_vote_any_more() {
        let quorum = Majority([1, 2, 3].map(ServerId).into());
        let says = |state, vote: Option<u64>| {
            let vote = vote.map(|heir| Heir::vote(ServerId(heir)));
            Notification { state, vote, round: 1, memory: Memory::default() }
        };
        let heard = |from: u64, word: Notification| {
            let mut heir = Heir::default();
            heir.on_settled(ServerId(5));
            (heir.on_word(ServerId(from), &word, &quorum), heir.named.map(|heir| heir.0))
        };
        let farewell = says(PeerState::Observing, Some(2));
        assert_eq!(heard(5, farewell), (true, Some(2)));
        assert_eq!(heard(3, farewell), (false, None), "it did not lead");
        assert_eq!(heard(5, says(PeerState::Observing, Some(5))), (false, None), "an heir has a vote");
        assert_eq!(heard(5, says(PeerState::Observing, None)), (false, None), "nobody is named");
        assert_eq!(heard(5, says(PeerState::Following, Some(2))), (false, None));
        let follows = Vote { peer_epoch: Epoch(3), zxid: Zxid(7), leader: ServerId(2) };
        let observes = Notification { vote: Some(follows), ..farewell };
        assert_eq!(heard(5, observes), (false, None), "it tells of a leader, whom it observes");
    }

    /// Those who have heard of it and those who have not would vote for different members for ever.
    #[test]
    fn el11_an_heir_is_ranked_first_for_half_a_second_of_a_search_and_once() {
        let mut heir = Heir::default();
        let vote = |id| Vote { peer_epoch: Epoch(3), zxid: Zxid(7), leader: ServerId(id) };
        let is_first = |heir: &Heir| heir.rank(&vote(1)) > heir.rank(&vote(2));
        heir.on_settled(ServerId(5));
        assert!(!heir.lapses(0) && !is_first(&heir), "nobody is named");
        heir.name(Some(ServerId(1)));
        assert!(is_first(&heir));
        assert_eq!(heir.until_ms(), None, "it does not look yet");
        for (now_ms, lapses) in [(100, false), (599, false), (600, true), (601, false)] {
            assert_eq!(heir.lapses(now_ms), lapses, "{now_ms}");
            assert_eq!(is_first(&heir), now_ms < 600, "{now_ms}");
            assert_eq!(heir.until_ms(), (now_ms < 600).then_some(600), "{now_ms}");
        }
        heir.name(Some(ServerId(1))); // the leader says so again: it is yet to end its role
        assert!(!is_first(&heir));
        heir.name(Some(ServerId(2)));
        assert!(!heir.lapses(700) && heir.until_ms() == Some(1_200), "another one is new");
    }
}
