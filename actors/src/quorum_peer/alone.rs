//! A server alone always leads: it still goes through an epoch's beginning with every durability rule of a
//! leader.
//!
//! - Q1  An epoch is led only after it is durable, and is higher than any this disk has seen.
//! - Q2  A server alone commits what its log holds: it is its own quorum. So a start loses nothing that
//!   was acknowledged, and nothing that was only logged comes back later. A reconfig in it that names others
//!   is an ensemble's: so is the log then, and nothing of its end is committed by a server that thinks it is alone.
//!
//! Source: compat zab, discovery and synchronisation with a quorum of one.

use paddock_messages::ids::ServerId;
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::membership::members;
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

/// Through where `me`, whose tree has had no reconfig yet, has committed what its log holds behind that tree: all of it, or
/// what makes it a member itself (MB6), behind which it is one. `None` if that is for others to say.
pub fn committed_alone(me: ServerId, logged: &[Txn]) -> Option<Zxid> {
    let is_me = |text: &[u8]| members(text).is_some_and(|it| it.servers.keys().eq([&me]));
    for txn in logged {
        if let TxnBody::Membership { from, to } = &txn.body {
            return (is_me(from) && is_me(to)).then_some(txn.header.zxid);
        }
    }
    Some(logged.last().map_or(Zxid::ZERO, |txn| txn.header.zxid))
}

#[cfg(test)]
mod tests {
    use paddock_messages::ids::{AttachNumber, SessionId};
    use paddock_messages::txn::TxnHeader;

    use super::*;
    use crate::membership::text;

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

    fn txn(counter: u32, reconfig: Option<[&str; 2]>) -> Txn {
        let zxid = Zxid::new(Epoch(1), counter);
        let line = |id: char| format!("server.{id}=h{id}:1:2:participant;3\n");
        let of = |ids: &str| text(&ids.chars().map(line).collect::<String>(), zxid);
        let body = match reconfig {
            Some([from, to]) => TxnBody::Membership { from: of(from), to: of(to) },
            None => TxnBody::FeatureLevel { level: 1 },
        };
        let (session, attach) = (SessionId::NONE, AttachNumber::default());
        Txn { header: TxnHeader { session, attach, cxid: 0, zxid, time: 0 }, body }
    }

    #[test]
    fn q2_mb6_a_log_that_is_an_ensembles_is_not_committed_by_one_that_thinks_it_is_alone() {
        for (logged, expected) in [
            (vec![txn(1, None), txn(2, None)], Some(2)),
            (vec![txn(1, None), txn(2, Some(["1", "1"])), txn(3, None)], Some(2)),
            (vec![txn(1, None), txn(2, Some(["1", "12"]))], None),
            (vec![txn(1, Some(["123", "1"])), txn(2, Some(["1", "1"]))], None),
            (vec![txn(1, Some(["2", "2"]))], None),
        ]
        .map(|(logged, counter)| {
            let zxid = counter.map(|it: u32| Zxid::new(Epoch(1), it));
            (logged, zxid)
        }) {
            assert_eq!(committed_alone(ServerId(1), &logged), expected, "{logged:?}");
        }
        assert_eq!(committed_alone(ServerId(1), &[]), Some(Zxid::ZERO));
    }
}
