//! What a member's durable facts say about its memory of the ensemble's history.

use paddock_messages::quorum::Memory;
use paddock_messages::zxid::{Epoch, Zxid};

use crate::storage::Facts;

/// What a member remembers whose log ends with `last`; `may_begin` if an operator has marked an empty disk.
pub fn memory(facts: &Facts, last: Zxid, may_begin: bool) -> Memory {
    match facts.ensemble {
        _ if facts.must_resync => Memory::Damaged,
        Some(_) if facts.seed && last == Zxid::ZERO => Memory::Begun,
        Some(id) if facts.seed => Memory::Seed(id),
        Some(_) => Memory::Whole,
        None if last > Zxid::ZERO || facts.current_epoch > Epoch(0) => Memory::Damaged,
        None if may_begin => Memory::Marked,
        None => Memory::Empty,
    }
}

/// To which ensemble a member belongs whose log ends with `last`: what its hellos say, and whose leaders it follows.
/// One that has begun with nothing belongs to none yet; nor does it once it has been sent txns of a later epoch than
/// it has entered: the ensemble that they are of is told only behind them, and it may have ended before.
pub fn belongs(facts: &Facts, last: Zxid) -> Option<u128> {
    let is_between = facts.seed && last.epoch() > facts.current_epoch;
    facts.ensemble.filter(|_| memory(facts, last, false) != Memory::Begun && !is_between)
}

/// The facts of one that has all that the leader of this epoch has, as of NEWLEADER. Whether a quorum has it is
/// not known to one that belonged to no ensemble before. Who belongs to one enters no other's epoch (Z9).
pub fn entered(facts: Facts, epoch: Epoch, ensemble: u128) -> Facts {
    Facts {
        ensemble: Some(ensemble),
        accepted_epoch: facts.accepted_epoch.max(epoch),
        current_epoch: epoch,
        must_resync: false,
        seed: facts.seed || facts.ensemble.is_none(),
        tree_differs: facts.tree_differs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_empty_then_a_seed_and_whole_once_a_quorum_has_its_history() {
        let is = |facts: &Facts| memory(facts, Zxid::ZERO, false);
        let empty = Facts { accepted_epoch: Epoch(2), ..Facts::default() };
        assert_eq!((is(&empty), memory(&empty, Zxid::ZERO, true)), (Memory::Empty, Memory::Marked));
        assert_eq!(memory(&empty, Zxid(1), true), Memory::Damaged, "there is data, and whose is not known");
        let first = entered(empty, Epoch(1), 9);
        assert_eq!((is(&first), first.accepted_epoch), (Memory::Begun, Epoch(2)));
        assert_eq!(belongs(&first, Zxid::ZERO), None, "another may have begun, too, and have a quorum");
        assert_eq!(is(&entered(first, Epoch(2), 8)), Memory::Begun);
        assert_eq!(memory(&first, Zxid(1), false), Memory::Seed(9));
        assert_eq!(belongs(&first, Zxid(1)), Some(9));
        // Sent by the leader of epoch 2, who may be another ensemble's, and not to its end.
        assert_eq!(belongs(&first, Zxid::new(Epoch(2), 7)), None);
        assert_eq!(belongs(&entered(first, Epoch(2), 8), Zxid::new(Epoch(2), 7)), Some(8));
        let joined = Facts { seed: false, ..first };
        assert_eq!(is(&joined), Memory::Whole);
        assert_eq!(
            (is(&entered(joined, Epoch(3), 9)), belongs(&joined, Zxid::ZERO)),
            (Memory::Whole, Some(9))
        );
        let damaged = Facts { must_resync: true, ..joined };
        assert_eq!(is(&damaged), Memory::Damaged);
        assert_eq!(is(&entered(damaged, Epoch(3), 9)), Memory::Whole, "all that it lacked has come");
    }
}
