//! Does this set of servers hold? Majority quorums, and hierarchical ones by group and weight.
//!
//! - CQ1  Any two sets that hold have a server in common.
//! - CQ2  A set that holds still does with more servers in it; observers and strangers never count.
//!
//! Source: compat: QuorumMaj.java, QuorumHierarchical.java, containsQuorum.

use std::collections::{BTreeMap, BTreeSet};

use paddock_messages::ids::ServerId;

/// The voters of an ensemble, and which sets of them decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// More than half of the voters.
    Majority(BTreeSet<ServerId>),
    /// More than half of the groups that weigh anything, each with more than half of its weight.
    Hierarchical(Vec<Group>),
}

/// Some voters and how much each one's word counts among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Each member's weight; one of 0 counts for nothing.
    pub weights: BTreeMap<ServerId, u64>,
}

impl Group {
    fn total(&self) -> u64 {
        self.weights.values().sum()
    }
}

impl Quorum {
    /// Whether the servers of `set` decide for the ensemble.
    pub fn holds(&self, set: &BTreeSet<ServerId>) -> bool {
        self.holds_if(|id| set.contains(&id))
    }

    /// Whether the servers for which `has` is true decide for the ensemble. An ensemble without
    /// voters has no quorum.
    pub fn holds_if(&self, has: impl Fn(ServerId) -> bool) -> bool {
        match self {
            Self::Majority(voters) => 2 * voters.iter().filter(|id| has(**id)).count() > voters.len(),
            Self::Hierarchical(groups) => {
                let counting = groups.iter().filter(|group| group.total() > 0);
                let (mut all, mut won) = (0, 0);
                for group in counting {
                    let weight: u64 = group.weights.iter().filter(|(id, _)| has(**id)).map(|(_, w)| w).sum();
                    all += 1;
                    won += usize::from(2 * weight > group.total());
                }
                2 * won > all
            }
        }
    }

    /// Everyone whose acknowledgement is asked for, in order of id.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        match self {
            Self::Majority(voters) => voters.clone(),
            Self::Hierarchical(groups) => groups.iter().flat_map(|g| g.weights.keys().copied()).collect(),
        }
    }

    /// How much this server's word counts: 0 for an observer or a stranger, who also never lead.
    pub fn weight(&self, id: ServerId) -> u64 {
        match self {
            Self::Majority(voters) => voters.contains(&id).into(),
            Self::Hierarchical(groups) => groups.iter().filter_map(|group| group.weights.get(&id)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ids: &[u64]) -> BTreeSet<ServerId> {
        ids.iter().copied().map(ServerId).collect()
    }

    fn groups(groups: &[&[(u64, u64)]]) -> Quorum {
        let group = |weights: &&[(u64, u64)]| Group {
            weights: weights.iter().map(|(id, weight)| (ServerId(*id), *weight)).collect(),
        };
        Quorum::Hierarchical(groups.iter().map(group).collect())
    }

    fn check(quorum: &Quorum, cases: &[(&[u64], bool)]) {
        for (ids, holds) in cases {
            assert_eq!(quorum.holds(&set(ids)), *holds, "{ids:?} of {quorum:?}");
        }
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        check(&Quorum::Majority(set(&[])), &[(&[], false), (&[1], false)]);
        check(&Quorum::Majority(set(&[1])), &[(&[], false), (&[1], true), (&[2], false)]);
        check(&Quorum::Majority(set(&[1, 2])), &[(&[1], false), (&[1, 2], true)]);
        check(
            &Quorum::Majority(set(&[1, 2, 3])),
            &[(&[1], false), (&[1, 3], true), (&[1, 4, 5, 6], false)], // CQ2: strangers do not count
        );
        check(&Quorum::Majority(set(&[1, 2, 3, 4])), &[(&[1, 2], false), (&[1, 2, 4], true)]);
    }

    #[test]
    fn a_hierarchical_quorum_is_a_majority_of_weight_in_a_majority_of_groups() {
        // The example of the Administrator's Guide: three groups of three.
        let three =
            groups(&[&[(1, 1), (2, 1), (3, 1)], &[(4, 1), (5, 1), (6, 1)], &[(7, 1), (8, 1), (9, 1)]]);
        check(
            &three,
            &[
                (&[1, 2, 4, 5], true), // four of nine: what hierarchical quorums are for
                (&[1, 2, 3], false),
                (&[1, 4, 7], false),
                (&[1, 2, 4, 7], false),
                (&[], false),
            ],
        );
        // A group of weight 0 is no group; a server of weight 0 no voice.
        let weighty = groups(&[&[(1, 2), (2, 1), (3, 0)], &[(4, 0), (5, 0)]]);
        check(&weighty, &[(&[1], true), (&[2, 3, 4, 5], false), (&[4, 5], false)]);
        assert_eq!(three.weight(ServerId(4)), 1);
        assert_eq!(weighty.weight(ServerId(1)), 2);
        assert_eq!(weighty.weight(ServerId(9)), 0);
        assert_eq!(weighty.voters(), set(&[1, 2, 3, 4, 5]));
        check(&groups(&[&[(1, 0)]]), &[(&[1], false)]); // nobody counts: never a quorum
    }

    fn any_quorum() -> impl Strategy<Value = Quorum> {
        let group = proptest::collection::vec(0_u64..4, 0..4);
        prop_oneof![
            proptest::collection::btree_set((0_u64..8).prop_map(ServerId), 0..7).prop_map(Quorum::Majority),
            proptest::collection::vec(group, 0..4).prop_map(|groups| {
                let mut ids = (0..).map(ServerId);
                let group = |weights: Vec<u64>| Group { weights: ids.by_ref().zip(weights).collect() };
                Quorum::Hierarchical(groups.into_iter().map(group).collect())
            }),
        ]
    }

    proptest! {
        /// CQ1.
        #[test]
        fn cq1_two_quorums_meet(quorum in any_quorum(), chosen in any::<u16>()) {
            let mine = |id: ServerId| chosen >> id.0 & 1 == 1;
            prop_assert!(!(quorum.holds_if(mine) && quorum.holds_if(|id| !mine(id))));
        }

        /// CQ2.
        #[test]
        fn cq2_more_servers_do_not_undo_a_quorum(quorum in any_quorum(), chosen in any::<u16>(), more in any::<u16>()) {
            let has = |bits: u16| move |id: ServerId| bits >> id.0 & 1 == 1;
            prop_assert!(!quorum.holds_if(has(chosen)) || quorum.holds_if(has(chosen | more)));
        }
    }
}
