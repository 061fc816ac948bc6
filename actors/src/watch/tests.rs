use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Counts, WatchKind, Watches};
use crate::tree::feed::WatchTable;

const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/a/c", ""];
const KINDS: [WatchKind; 4] =
    [WatchKind::Data, WatchKind::Child, WatchKind::Persistent, WatchKind::Recursive];
const TABLES: [WatchTable; 3] = [WatchTable::Data, WatchTable::Child, WatchTable::Both];

/// The two tables as ZooKeeper's manual describes them, without a thought for memory or time.
#[derive(Default)]
struct Model {
    data: BTreeMap<(String, u32), BTreeSet<u8>>,
    child: BTreeMap<(String, u32), BTreeSet<u8>>,
}

const STANDARD: u8 = 0;
const PERSISTENT: u8 = 1;
const RECURSIVE: u8 = 2;

impl Model {
    fn add(&mut self, slot: u32, path: &str, kind: WatchKind) {
        let key = (path.to_owned(), slot);
        match kind {
            WatchKind::Data => _ = self.data.entry(key).or_default().insert(STANDARD),
            WatchKind::Child => _ = self.child.entry(key).or_default().insert(STANDARD),
            WatchKind::Recursive => _ = self.data.entry(key).or_default().insert(RECURSIVE),
            WatchKind::Persistent => {
                self.data.entry(key.clone()).or_default().insert(PERSISTENT);
                self.child.entry(key).or_default().insert(PERSISTENT);
            }
        }
    }

    fn remove(&mut self, slot: u32, path: &str, asked: i32) -> bool {
        let key = (path.to_owned(), slot);
        let mut any = false;
        for (table, modes) in [
            (&mut self.data, [(2, STANDARD), (3, STANDARD), (4, PERSISTENT), (5, RECURSIVE)]),
            (&mut self.child, [(1, STANDARD), (3, STANDARD), (4, PERSISTENT), (3, PERSISTENT)]),
        ] {
            let Some(held) = table.get_mut(&key) else { continue };
            for (number, mode) in modes.into_iter().chain([(3, PERSISTENT), (3, RECURSIVE)]) {
                any |= number == asked && held.remove(&mode);
            }
        }
        self.tidy();
        any
    }

    fn close(&mut self, slot: u32) {
        self.data.retain(|key, _| key.1 != slot);
        self.child.retain(|key, _| key.1 != slot);
    }

    fn trigger(&mut self, path: &str, table: WatchTable) -> Vec<u32> {
        let mut told = BTreeSet::new();
        if table != WatchTable::Child {
            for ((at, slot), modes) in &mut self.data {
                let above = (at == "/" && path.starts_with('/')) || path.starts_with(&format!("{at}/"));
                if at == path || (above && !at.is_empty() && modes.contains(&RECURSIVE)) {
                    told.insert(*slot);
                }
                if at == path {
                    modes.remove(&STANDARD);
                }
            }
        }
        if table != WatchTable::Data {
            for ((_, slot), modes) in self.child.iter_mut().filter(|(key, _)| key.0 == path) {
                told.insert(*slot);
                modes.remove(&STANDARD);
            }
        }
        self.tidy();
        told.into_iter().collect()
    }

    fn tidy(&mut self) {
        self.data.retain(|_, modes| !modes.is_empty());
        self.child.retain(|_, modes| !modes.is_empty());
    }

    fn counts(&self) -> Counts {
        Counts {
            connections: self.data.keys().map(|key| key.1).collect::<BTreeSet<_>>().len(),
            paths: self.data.keys().map(|key| &key.0).collect::<BTreeSet<_>>().len(),
            watches: self.data.len(),
        }
    }
}

proptest! {
    #[test]
    fn v1_v2_v3_v4_watches_are_the_two_tables_of_the_manual(
        steps in proptest::collection::vec((0..10u8, 0..4u32, 0..PATHS.len(), 0..4usize), 0..200),
    ) {
        let (mut watches, mut model) = (Watches::default(), Model::default());
        for (step, slot, path, choice) in steps {
            let path = PATHS[path];
            match step {
                0..5 => {
                    watches.add(slot, path, KINDS[choice]);
                    model.add(slot, path, KINDS[choice]);
                }
                5 | 6 => {
                    let asked = choice as i32 + 1 + i32::from(step == 6);
                    let there = watches.has(slot, path, asked);
                    prop_assert_eq!(watches.remove(slot, path, asked), there);
                    prop_assert_eq!(model.remove(slot, path, asked), there);
                }
                7 => {
                    watches.close(slot);
                    model.close(slot);
                }
                _ => {
                    let table = TABLES[choice % 3];
                    prop_assert_eq!(watches.trigger(path, table), model.trigger(path, table));
                }
            }
            let pairs: BTreeSet<_> = model.data.keys().chain(model.child.keys()).collect();
            prop_assert_eq!(watches.len(), pairs.len());
            prop_assert_eq!(watches.counts(), model.counts());
        }
        (0..4).for_each(|slot| watches.close(slot));
        prop_assert!(watches.is_empty());
        prop_assert_eq!(watches.paths.iter().count(), 0);
    }
}

/// One step of a table: who watches what, or which change tells whom.
enum Step {
    Add(u32, &'static str, WatchKind),
    Fires(&'static str, WatchTable, &'static [u32]),
}

fn check(steps: &[Step]) {
    let mut watches = Watches::default();
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Add(slot, path, kind) => watches.add(slot, path, kind),
            Step::Fires(path, table, told) => assert_eq!(watches.trigger(path, table), told, "step {at}"),
        }
    }
}

#[test]
fn v1_v2_each_is_told_once_and_a_standard_watch_once_for_all() {
    use Step::{Add, Fires};
    use WatchKind::{Child, Data, Persistent, Recursive};
    use WatchTable as T;
    check(&[
        Add(7, "/a", Data),
        Add(7, "/a", Child),
        Add(7, "/", Recursive),
        Add(3, "/a", Child),
        Fires("/a", T::Both, &[3, 7]), // 7 by three registrations
        Fires("/a", T::Child, &[]),    // both child watches went with the znode
        Fires("/a", T::Data, &[7]),    // the recursive one stays
        Add(3, "/a", Persistent),
        Fires("/a/b", T::Data, &[7]), // persistent is for the znode itself
        Fires("/a", T::Child, &[3]),  // recursive hears no child events
        Fires("/", T::Data, &[7]),
        Fires("/", T::Child, &[]),
    ]);
}

#[test]
fn a_client_that_watches_anew_after_each_event_costs_no_more_memory() {
    let mut watches = Watches::default();
    for round in 0..10_000 {
        watches.add(0, PATHS[round % 6], WatchKind::Data);
        watches.trigger(PATHS[round % 6], WatchTable::Data);
    }
    assert!(watches.is_empty());
    assert!(watches.held[0].paths.len() < 32, "{}", watches.held[0].paths.len());
}
