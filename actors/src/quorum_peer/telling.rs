//! What members tell each other of the configuration, down their ctl lanes (MB4), and what of it is news.

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Notification, PeerState};

use crate::membership::Told;

/// One member's part in it. It holds one word a member at most.
#[derive(Debug, Default)]
pub struct Telling {
    /// What our own log says; none while that is a file's.
    own: Option<Told>,
    /// What each member has said since the role began: said again it is no news.
    heard: BTreeMap<ServerId, Told>,
}

impl Telling {
    /// Our log says this. Whether every member is to be told.
    pub fn on_own(&mut self, told: Option<Told>) -> bool {
        let is_new = self.own != told;
        self.own = told;
        is_new && self.own.is_some()
    }

    /// What a member is to be told whose lane has come up.
    pub fn own(&self) -> Option<&Told> {
        self.own.as_ref()
    }

    /// What a member is to be told that said this: one that looks may do so among those who have left, and what it was
    /// told before may be lost.
    pub fn on_notification(&self, heard: &Notification) -> Option<&Told> {
        self.own().filter(|_| heard.state == PeerState::Looking)
    }

    /// A member has told this. Whether our Learner is to hear of it.
    pub fn on_heard(&mut self, from: ServerId, told: &Told) -> bool {
        if self.heard.get(&from) == Some(told) {
            return false;
        }
        self.heard.insert(from, told.clone());
        true
    }

    /// A member's lane is down: our Learner is to hear that, whatever was told.
    pub fn on_lane_down(&mut self, from: ServerId) {
        self.heard.remove(&from);
    }

    /// A role begins: our Learner may have forgotten what it heard in the last, as its leader knew better.
    pub fn on_role(&mut self) {
        self.heard.clear();
    }
}

#[cfg(test)]
mod tests {
    use paddock_config::Members;
    use paddock_messages::quorum::Memory;

    use super::*;

    fn told(version: u64) -> Told {
        Told { now: Members { version, ..Members::default() }, next: None }
    }

    #[test]
    fn mb4_what_a_member_says_again_is_no_news_until_a_role_begins_or_its_lane_was_down() {
        let (mut telling, two, three) = (Telling::default(), ServerId(2), ServerId(3));
        assert!(telling.on_heard(two, &told(5)) && telling.on_heard(three, &told(5)));
        assert!(!telling.on_heard(two, &told(5)) && telling.on_heard(two, &told(6)));
        assert!(telling.on_heard(two, &told(5)), "whatever it said before");
        telling.on_lane_down(two);
        assert!(telling.on_heard(two, &told(5)) && !telling.on_heard(three, &told(5)));
        telling.on_role();
        assert!(telling.on_heard(two, &told(5)) && telling.on_heard(three, &told(5)));
    }

    #[test]
    fn mb4_all_are_told_what_is_new_and_who_looks_is_told_again() {
        let mut telling = Telling::default();
        let says = |state| Notification { state, vote: None, round: 1, memory: Memory::Whole };
        assert!(!telling.on_own(None) && telling.own().is_none(), "a file's is not told");
        assert_eq!(telling.on_notification(&says(PeerState::Looking)), None);
        assert!(telling.on_own(Some(told(5))) && !telling.on_own(Some(told(5))));
        assert_eq!(telling.on_notification(&says(PeerState::Looking)), Some(&told(5)));
        for state in [PeerState::Following, PeerState::Leading, PeerState::Observing] {
            assert_eq!(telling.on_notification(&says(state)), None, "{state:?}");
        }
        assert!(telling.on_own(Some(told(6))) && telling.own() == Some(&told(6)));
    }
}
