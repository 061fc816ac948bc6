//! A server alone always leads: it still goes through an epoch's beginning with every durability rule of a
//! leader.
//!
//! - Q1  An epoch is led only after it is durable, and is higher than any this disk has seen.
//! - Q2  A server alone commits what its log holds: it is its own quorum. So a start loses nothing that
//!   was acknowledged, and nothing that was only logged comes back later.
//!
//! Source: compat zab, discovery and synchronisation with a quorum of one.

use paddock_messages::zxid::{Epoch, Zxid};

use crate::storage::{Facts, Recovered};

/// What a server alone does at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// To be made durable before anything else happens.
    pub facts: Facts,
    /// The epoch it leads from then on.
    pub epoch: Epoch,
    /// Everything through here is committed.
    pub committed: Zxid,
}

/// Begins the reign of a server alone over what its disk holds; `ensemble` is a random id, used if it
/// has none yet. `None` when all epochs are used up.
pub fn reign(recovered: &Recovered, ensemble: u128) -> Option<Reign> {
    let old = recovered.facts;
    let epoch = old.accepted_epoch.max(old.current_epoch).max(recovered.last.epoch()).next()?;
    let facts = Facts {
        ensemble: Some(old.ensemble.unwrap_or(ensemble)),
        accepted_epoch: epoch,
        current_epoch: epoch,
        must_resync: false,
        seed: true,
        tree_differs: old.tree_differs,
    };
    Some(Reign { facts, epoch, committed: recovered.last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovered(accepted: u32, current: u32, last: Zxid) -> Recovered {
        let facts =
            Facts { accepted_epoch: Epoch(accepted), current_epoch: Epoch(current), ..Facts::default() };
        Recovered {
            facts,
            snapshots: vec![],
            log_start: Zxid::ZERO,
            watermark: Zxid::ZERO,
            last,
            torn: None,
            fresh: false,
        }
    }

    #[test]
    fn q1_the_epoch_is_higher_than_any_seen() {
        for (accepted, current, last, epoch) in [(0, 0, 0, 1), (3, 2, 2, 4), (1, 1, 7, 8)] {
            let last = Zxid::new(Epoch(last), 9);
            let reign = reign(&recovered(accepted, current, last), 5).expect("epochs are left");
            assert_eq!(reign.epoch, Epoch(epoch));
            assert_eq!((reign.facts.accepted_epoch, reign.facts.current_epoch), (reign.epoch, reign.epoch));
            assert_eq!(reign.facts.ensemble, Some(5));
        }
        assert_eq!(reign(&recovered(u32::MAX, 1, Zxid::ZERO), 5), None);
    }

    #[test]
    fn q2_all_that_is_logged_is_committed() {
        let last = Zxid::new(Epoch(2), 9);
        assert_eq!(reign(&recovered(2, 2, last), 5).map(|reign| reign.committed), Some(last));
    }
}
