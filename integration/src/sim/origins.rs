//! Since when there is each watch of a client: to count those that fire when another leads, or another member serves
//! their client, than when they were set.

use std::collections::BTreeMap;

use paddock_messages::zxid::Epoch;

use super::watching::Watch;

/// Of every one-shot watch that was set and is not known to be over.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The epoch in which each was set, and whether its client went to another member since.
    since: BTreeMap<Watch, (Epoch, bool)>,
    carried: u64,
}

impl Origins {
    /// A watch is set; one that is there already stays what it is.
    pub(super) fn set(&mut self, watch: Watch, epoch: Epoch) {
        self.since.entry(watch).or_insert((epoch, false));
    }

    /// The client goes to another member.
    pub(super) fn move_on(&mut self) {
        self.since.values_mut().for_each(|(_, moved)| *moved = true);
    }

    /// A watch fires in `epoch`.
    pub(super) fn fire(&mut self, watch: &Watch, epoch: Epoch) {
        if let Some((set_in, moved)) = self.since.remove(watch) {
            self.carried += u64::from(moved || set_in != epoch);
        }
    }

    /// A watch is over without that.
    pub(super) fn forget(&mut self, watch: &Watch) {
        self.since.remove(watch);
    }

    /// All watches are over: their session is.
    pub(super) fn clear(&mut self) {
        self.since.clear();
    }

    /// How many have fired in another epoch than they were set in, or at another member.
    pub(super) fn carried(&self) -> u64 {
        self.carried
    }
}
