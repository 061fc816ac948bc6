//! Read-only mode: a member that finds no leader for long serves what it has, to clients that only read.

use paddock_messages::roles::{Judge, Whose};

use super::actor::LearnerActor;
use super::roles::{Mode, Search};
use crate::client::Serving;
use crate::client::hub::Control;
use crate::storage::Facts;

/// Whether those are served meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reads {
    #[default]
    NotYet,
    /// The search has lasted long enough.
    Due,
    Served,
}

/// Whether what is here is an ensemble's, and nothing of it is known to be lost or wrong: an empty disk has nothing
/// to tell, and a tree that differs from a quorum's tells something else.
fn is_whole(facts: &Facts, is_fenced: bool) -> bool {
    facts.ensemble.is_some() && !facts.must_resync && !is_fenced
}

impl Search {
    /// Whether they are served from now on: once in a search that has lasted long enough, and all that is known to
    /// be committed is applied, if it [is whole](is_whole) (Q6).
    fn begins_reads(&mut self, is_whole: bool) -> bool {
        let begins = is_whole && self.is_told && self.reads == Reads::Due;
        if begins {
            self.reads = Reads::Served;
        }
        begins
    }
}

impl LearnerActor {
    /// The search of this role has lasted for as long as clients that only read are to wait.
    pub(super) fn on_long_search(&mut self, role: u64) {
        if role != self.role {
            return;
        }
        if let Mode::Looking(search) = &mut self.mode {
            search.reads = Reads::Due;
            self.serve_reads();
        }
    }

    pub(super) fn serve_reads(&mut self) {
        let is_whole = is_whole(&self.facts, self.fence.is_up());
        let Mode::Looking(search) = &mut self.mode else { return };
        if !search.begins_reads(is_whole) {
            return;
        }
        self.core.on_alone();
        let (role, others) = (self.role, self.others());
        others.board.serve_reads(true);
        drop(others.judge.post(Judge { role, whose: Whose::Nobody }));
        for hub in &others.hubs {
            drop(hub.post(Control::Begin(role)));
            drop(hub.post(Control::Serve(Serving::ReadOnly)));
        }
        let last = self.core.applied();
        tracing::warn!(%last, "no leader: clients that only read are served what is here (readonlymode.enabled)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q6_reads_are_served_once_in_a_long_search_of_what_is_whole_and_applied() {
        for (reads, is_told, is_whole, begins) in [
            (Reads::Due, true, true, true),
            (Reads::NotYet, true, true, false),
            (Reads::Due, false, true, false),
            (Reads::Due, true, false, false),
            (Reads::Served, true, true, false),
        ] {
            let mut search = Search { is_told, reads, ..Search::default() };
            assert_eq!(search.begins_reads(is_whole), begins, "{reads:?}, {is_told}, {is_whole}");
            assert_eq!(search.reads, if begins { Reads::Served } else { reads });
            assert!(!search.begins_reads(is_whole), "once");
        }
        for (ensemble, must_resync, is_fenced, expected) in [
            (Some(7), false, false, true),
            (Some(7), true, false, false),
            (None, false, false, false),
            (Some(7), false, true, false),
        ] {
            let facts = Facts { ensemble, must_resync, ..Facts::default() };
            assert_eq!(is_whole(&facts, is_fenced), expected, "{facts:?}, {is_fenced}");
        }
    }
}
