//! The tree against the model, over random histories.

use proptest::prelude::*;

use super::data_tree::{DataTree, TreeOptions};
use super::events::Events;
use super::leader::{Leader, wishes};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn t1_t2_t3_t4_t5_t7_the_tree_is_the_model(history in wishes(60, true)) {
        let mut leader = Leader::new();
        let mut tree = DataTree::new(TreeOptions::default());
        leader.model.compare(&tree);
        for wish in &history {
            let txn = leader.txn(wish);
            let mut expected = Vec::new();
            let answer = leader.model.apply(&txn, &mut expected);
            let mut events = Events::new(true);
            prop_assert_eq!(tree.apply(&txn, &mut events), answer, "{:?}", txn);
            prop_assert_eq!(events.items(), &expected[..], "{:?}", txn);
            leader.model.compare(&tree);
            tree.check();
        }
    }

    #[test]
    fn t6_the_end_of_a_history_again_changes_nothing(
        history in wishes(80, false),
        from in 0..1000usize,
        twice in any::<bool>(),
    ) {
        let mut leader = Leader::new();
        let mut tree = DataTree::new(TreeOptions::default());
        let txns: Vec<_> = history.iter().map(|wish| leader.grant(wish)).collect();
        txns.iter().for_each(|txn| drop(tree.apply(txn, &mut Events::unwanted())));
        for _ in 0..=usize::from(twice) {
            for txn in &txns[from % txns.len()..] {
                tree.apply(txn, &mut Events::unwanted());
                tree.check();
            }
        }
        leader.model.compare(&tree);
    }
}
