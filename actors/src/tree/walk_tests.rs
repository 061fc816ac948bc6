//! Walks over a tree that changes: what is loaded from them is the tree at which they began.

use paddock_messages::ids::SessionId;
use paddock_messages::znode::{Acl, Id, Perms};
use proptest::prelude::*;

use super::data_tree::{DataTree, TreeOptions};
use super::events::Events;
use super::leader::{Leader, Wish, wishes};
use super::load::{LoadError, TreeLoader};
use super::walk::{QUEUE_LIMIT, Step, Walk};

fn grow(leader: &mut Leader, tree: &mut DataTree, history: &[Wish]) {
    for wish in history {
        tree.apply(&leader.grant(wish), &mut Events::unwanted());
    }
}

fn load(walk: &Walk, images: &[u8]) -> Result<DataTree, LoadError> {
    let mut loader =
        TreeLoader::new(TreeOptions { hash_seed: 9, ..TreeOptions::default() }, walk.head().clone());
    loader.add(images)?;
    let job = loader.index_job();
    loader.finish(|| job.run())
}

fn finish(walk: &mut Walk, tree: &DataTree) -> Vec<u8> {
    let mut images = Vec::new();
    while walk.step(tree, 3, &mut images) == Step::More {
        walk.take_handed(&mut images);
    }
    walk.take_handed(&mut images);
    images
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Slots are freed and used again, sessions end, ACLs change, quotas are counted: all during the walk.
    #[test]
    fn t8_t9_a_walk_yields_the_tree_at_which_it_began(
        before in wishes(60, true),
        meanwhile in proptest::collection::vec((wishes(6, true), 0..3u32), 0..10),
        after in wishes(20, true),
    ) {
        let mut leader = Leader::new();
        let mut tree = DataTree::new(TreeOptions::default());
        grow(&mut leader, &mut tree, &before);
        let mut at_z = Leader { model: leader.model.clone() };
        let mut walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
        let mut images = Vec::new();
        for (wishes, slots) in &meanwhile {
            grow(&mut leader, &mut tree, wishes);
            walk.step(&tree, *slots, &mut images);
            walk.take_handed(&mut images);
        }
        images.extend(finish(&mut walk, &tree));
        let mut loaded = load(&walk, &images).unwrap();
        drop(walk);
        loaded.check();
        at_z.model.compare(&loaded);
        // It goes on like any tree, and so does the one that was walked.
        grow(&mut at_z, &mut loaded, &after);
        loaded.check();
        at_z.model.compare(&loaded);
        grow(&mut leader, &mut tree, &after);
        tree.check();
        leader.model.compare(&tree);
    }
}

fn tree_of(count: u32) -> (DataTree, u32) {
    let mut tree = DataTree::new(TreeOptions::default());
    for at in 1..=count {
        tree.apply(&super::apply_tests::create(at, &format!("/n{at}"), b"data"), &mut Events::unwanted());
    }
    (tree, count)
}

#[test]
fn t8_a_walk_whose_queue_overflows_is_abandoned_and_another_can_begin() {
    let (mut tree, last) = tree_of(100);
    let mut walk = tree.begin_walk(300).unwrap();
    assert!(tree.begin_walk(300).is_none(), "one at a time");
    let mut images = Vec::new();
    assert_eq!(walk.step(&tree, 10, &mut images), Step::More);
    for at in 1..=100 {
        let txn = super::apply_tests::set_data(last + at, &format!("/n{at}"), b"new", 1);
        tree.apply(&txn, &mut Events::unwanted());
    }
    assert_eq!(walk.step(&tree, 10, &mut images), Step::Abandoned);
    assert!(tree.begin_walk(QUEUE_LIMIT).is_none(), "the first still is there");
    drop(walk);
    let mut walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
    let images = finish(&mut walk, &tree);
    assert_eq!(load(&walk, &images).unwrap().digest(), tree.digest());
}

/// What is done under the guard is counted, since time depends on the machine.
#[test]
fn t10_a_step_copies_little_however_large_the_znodes_and_whatever_waits() {
    let (mut tree, count) = tree_of(2_000);
    static LARGE: [u8; 100_000] = [7; 100_000];
    for at in 1..=40 {
        let txn = super::apply_tests::set_data(count + at, &format!("/n{}", at * 50), &LARGE, 1);
        tree.apply(&txn, &mut Events::unwanted());
    }
    let mut walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
    for at in 1..=40 {
        let txn = super::apply_tests::set_data(count + 40 + at, &format!("/n{}", at * 50), b"", 2);
        tree.apply(&txn, &mut Events::unwanted()); // 4 MB are handed over
    }
    let (mut images, mut steps, mut most) = (Vec::new(), 0, 0);
    loop {
        let before = images.len();
        let step = walk.step(&tree, 256, &mut images);
        most = most.max(images.len() - before);
        steps += 1;
        walk.take_handed(&mut images);
        if step == Step::Done {
            break;
        }
    }
    assert!(steps >= 2_000 / 256, "{steps} steps");
    assert!(most <= (256 << 10) + 100_100, "{most} bytes in one step");
    assert!(images.len() > 4_000_000, "and nothing is missing: {}", images.len());
    // Large znodes end a step before its slots are used up.
    let (mut tree, count) = tree_of(300);
    for at in 1..=300 {
        let txn = super::apply_tests::set_data(count + at, &format!("/n{at}"), &LARGE, 1);
        tree.apply(&txn, &mut Events::unwanted());
    }
    let (mut walk, mut images) = (tree.begin_walk(QUEUE_LIMIT).unwrap(), Vec::new());
    assert_eq!(walk.step(&tree, 256, &mut images), Step::More);
    assert!((256 << 10..(256 << 10) + 100_100).contains(&images.len()), "{}", images.len());
}

#[test]
fn t10_a_walk_begins_without_a_visit_to_each_session_and_acl() {
    let (mut tree, _) = tree_of(10);
    let session = |id: i64| (SessionId(id), 4_000);
    tree.sessions = (0..50_000).map(session).collect();
    for number in 0..5_000 {
        tree.acls.acquire(&[Acl {
            perms: Perms::READ,
            id: Id { scheme: "ip".into(), id: number.to_string().into() },
        }]);
    }
    let walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
    assert!(walk.references().is_some_and(|copied| copied <= 1 + 55_000 / 500), "{:?}", walk.references());
    tree.sessions.remove(SessionId(7));
    assert!(walk.head().sessions.iter().copied().eq((0..50_000).map(session)), "as they were");
    assert_eq!(walk.head().acls.len(), 5_001, "and that of the configuration");
}

#[test]
fn t8_a_walk_ends_with_its_tree_or_behind_a_replay() {
    let (mut tree, last) = tree_of(10);
    let mut walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
    let (other, _) = tree_of(10);
    assert_eq!(walk.step(&other, 10, &mut Vec::new()), Step::Abandoned, "a tree that was put in its place");
    let again = super::apply_tests::create(last, &format!("/n{last}"), b"data");
    tree.apply(&again, &mut Events::unwanted());
    assert_eq!(walk.step(&tree, 10, &mut Vec::new()), Step::Abandoned, "czxid no longer tells old from new");
}

#[test]
fn what_is_not_a_tree_does_not_load() {
    let (mut tree, _) = tree_of(3);
    let mut walk = tree.begin_walk(QUEUE_LIMIT).unwrap();
    let images = finish(&mut walk, &tree);
    let twice = [&images[..], &images[..]].concat();
    assert_eq!(load(&walk, &twice).unwrap_err(), LoadError::Slot(0));
    assert_eq!(load(&walk, &images[..images.len() - 1]).unwrap_err(), LoadError::Malformed);
    assert_eq!(load(&walk, &[]).unwrap_err(), LoadError::Count { found: 0, count: 7 });
    let last_data = images.len() - 1;
    let mut changed = images.clone();
    changed[last_data] ^= 1;
    assert!(matches!(load(&walk, &changed), Err(LoadError::Digest { .. })));
    // The parent of the last znode, after flags and slot: itself, nobody, a slot there is not.
    let image = images.len() - (1 + 6 * 4 + 5 * 8 + 4 + 2 + 4 + 4);
    for (parent, error) in
        [(6, LoadError::Orphan(6)), (99, LoadError::Orphan(6)), (u32::MAX, LoadError::Slot(6))]
    {
        let mut moved = images.clone();
        moved[image + 5..image + 9].copy_from_slice(&u32::to_le_bytes(parent));
        assert_eq!(load(&walk, &moved).unwrap_err(), error);
    }
}
