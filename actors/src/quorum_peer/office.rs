//! What the member is, for those who tell operators.

use std::sync::Arc;

use paddock_messages::ids::ServerId;
use parking_lot::Mutex;

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

/// What the member is, since when, and what it is to become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Office {
    /// What it is.
    pub told: Told,
    /// Since when, in ms of the member's monotonic clock.
    pub since_ms: u64,
    /// What it is to become, or became.
    pub aim: Aim,
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

    pub(super) fn aim(&self, aim: Aim) {
        self.0.lock().aim = aim;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
