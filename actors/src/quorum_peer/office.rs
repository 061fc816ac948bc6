//! What the member is, for those who tell operators.

use std::sync::Arc;

use paddock_messages::ids::ServerId;
use parking_lot::Mutex;

use super::moving::MoveRefused;

/// What the member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// It has no leader, or none that serves it.
    #[default]
    Looking,
    /// It leads an epoch.
    Leading,
    /// It follows a leader, with a vote.
    Following,
    /// It follows a leader, without one.
    Observing,
}

/// What the election made of the member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// Nothing yet.
    #[default]
    Search,
    /// It is to lead.
    Lead,
    /// It is to follow this one.
    Follow(ServerId),
}

/// A search for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Why there was one.
    pub why: &'static str,
    /// When it began, in ms of the member's monotonic clock.
    pub began_ms: u64,
    /// How long it took until somebody was elected, in ms; none while it goes on.
    pub took_ms: Option<u64>,
}

/// What the member is, since when, and what it is to become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Office {
    /// What it is.
    pub told: Told,
    /// Since when, in ms of the member's monotonic clock.
    pub since_ms: u64,
    /// What it is to become, or became.
    pub aim: Aim,
    /// The last search, this one included.
    pub search: Option<Search>,
}

/// Where the QuorumPeer tells it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RoleTold(Arc<Mutex<Office>>);

impl RoleTold {
    /// What it is now.
    pub fn get(&self) -> Office {
        *self.0.lock()
    }

    /// It is this from now on, if it was not.
    pub(super) fn set(&self, told: Told, now_ms: u64) {
        let mut office = self.0.lock();
        if office.told != told {
            (office.told, office.since_ms) = (told, now_ms);
        }
    }

    /// It looks for a leader because of this.
    pub(super) fn search(&self, why: &'static str, now_ms: u64) {
        let mut office = self.0.lock();
        office.aim = Aim::Search;
        office.search = Some(Search { why, began_ms: now_ms, took_ms: None });
    }

    /// Somebody was elected: it is to become this.
    pub(super) fn aim(&self, aim: Aim, now_ms: u64) {
        let mut office = self.0.lock();
        office.aim = aim;
        if let Some(search) = &mut office.search {
            search.took_ms = Some(now_ms.saturating_sub(search.began_ms));
        }
    }
}

/// Where the QuorumPeer answers an order to move the lead. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MoveTold(Arc<Mutex<Option<(u64, MoveAnswer)>>>);

/// Who is to lead; or why nobody else is.
pub type MoveAnswer = Result<ServerId, MoveRefused>;

impl MoveTold {
    pub(super) fn answer(&self, number: u64, answer: MoveAnswer) {
        *self.0.lock() = Some((number, answer));
    }

    /// The answer to the order of this number; none if there is none yet, or a later one was answered.
    pub fn answer_to(&self, number: u64) -> Option<MoveAnswer> {
        self.0.lock().filter(|(its, _)| *its == number).map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_search_is_told_with_its_reason_and_how_long_it_took() {
        let told = RoleTold::default();
        assert_eq!(told.get().search, None);
        told.search("the leader does not answer", 100);
        let search = |took_ms| Some(Search { why: "the leader does not answer", began_ms: 100, took_ms });
        assert_eq!((told.get().aim, told.get().search), (Aim::Search, search(None)));
        told.aim(Aim::Follow(ServerId(2)), 130);
        assert_eq!((told.get().aim, told.get().search), (Aim::Follow(ServerId(2)), search(Some(30))));
    }

    #[test]
    fn a_search_lasts_from_the_last_leader_s_end_however_often_it_begins_anew() {
        let told = RoleTold::default();
        for (what, now_ms, since_ms) in [
            (Told::Looking, 5, 0),
            (Told::Following, 9, 9),
            (Told::Looking, 20, 20),
            (Told::Looking, 30, 20),
            (Told::Leading, 40, 40),
        ] {
            told.set(what, now_ms);
            assert_eq!((told.get().told, told.get().since_ms), (what, since_ms), "at {now_ms}");
        }
    }
}
