//! What a member's durable facts say about its memory of the ensemble's history.

use paddock_messages::quorum::Memory;
use paddock_messages::zxid::{Epoch, Zxid};

use crate::storage::Facts;

/// What a member remembers whose log ends with `last`; `may_begin` if an operator has marked an empty disk.
pub fn memory(facts: &Facts, last: Zxid, may_begin: bool) -> Memory {
    match facts.ensemble {
        _ if facts.must_resync => Memory::Damaged,
        Some(id) if facts.seed => Memory::Seed(id),
        Some(_) => Memory::Whole,
        None if last > Zxid::ZERO || facts.current_epoch > Epoch(0) => Memory::Damaged,
        None if may_begin => Memory::Marked,
        None => Memory::Empty,
    }
}

/// The facts of one that has all that the leader of this epoch has, as of NEWLEADER. Whether a quorum has it is
/// not known to one that belonged to no ensemble before.
pub fn entered(facts: Facts, epoch: Epoch, ensemble: u128) -> Facts {
    Facts {
        ensemble: Some(facts.ensemble.unwrap_or(ensemble)),
        accepted_epoch: facts.accepted_epoch.max(epoch),
        current_epoch: epoch,
        must_resync: false,
        seed: facts.seed || facts.ensemble.is_none(),
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
        assert_eq!((is(&first), first.accepted_epoch), (Memory::Seed(9), Epoch(2)));
        let joined = Facts { seed: false, ..first };
        assert_eq!(is(&joined), Memory::Whole);
        assert_eq!(is(&entered(joined, Epoch(3), 8)), Memory::Whole, "and keeps its id");
        let damaged = Facts { must_resync: true, ..joined };
        assert_eq!(is(&damaged), Memory::Damaged);
        assert_eq!(is(&entered(damaged, Epoch(3), 8)), Memory::Whole, "all that it lacked has come");
    }
}
