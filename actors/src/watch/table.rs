//! [`Watches`]: registrations in, who is to be told out.

use std::collections::BTreeMap;

use super::list::{Kinds, Watchers};
use super::paths::{PathId, Paths};
use crate::tree::feed::WatchTable;

/// How a connection watches a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// exists and getData: once, for the znode itself.
    Data,
    /// getChildren: once, for the list of children.
    Child,
    /// addWatch mode 0: both, until removed.
    Persistent,
    /// addWatch mode 1: the znode and all below it, until removed.
    Recursive,
}

impl WatchKind {
    fn kinds(self) -> Kinds {
        match self {
            Self::Data => Kinds::DATA,
            Self::Child => Kinds::CHILD,
            Self::Persistent => Kinds::PERSISTENT,
            Self::Recursive => Kinds::RECURSIVE,
        }
    }

    /// The one-shot watch of this table.
    pub fn standard(table: WatchTable) -> Self {
        if table == WatchTable::Child { Self::Child } else { Self::Data }
    }
}

/// What checkWatches and removeWatches call 1 children, 2 data, 3 any, 4 persistent, 5 recursive; any
/// other number matches nothing, and the decoder lets none through.
fn asked_kinds(number: i32) -> Kinds {
    match number {
        1 => Kinds::CHILD,
        2 => Kinds::DATA,
        3 => Kinds::ALL,
        4 => Kinds::PERSISTENT,
        5 => Kinds::RECURSIVE,
        _ => Kinds::default(),
    }
}

/// What counts as watching data, for the four-letter words: all but the child table's.
const DATA_TABLE: Kinds = Kinds::DATA.and(Kinds::PERSISTENT).and(Kinds::RECURSIVE);

/// What `wchs` shows, of the data table alone, as ZooKeeper does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections with at least one watch.
    pub connections: usize,
    /// Paths with at least one watcher.
    pub paths: usize,
    /// Pairs of connection and path.
    pub watches: usize,
}

/// What this table could do wrong, for the tests that must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A persistent watch is gone after its first event.
    PersistentOnce,
    /// What is removed stays.
    KeepRemoved,
}

/// The watches of one client arbiter's connections. Connections are named by slot, below 2^28; whoever
/// gives a slot to another connection calls [`Watches::close`] first.
#[derive(Debug, Default)]
pub struct Watches {
    pub(super) paths: Paths,
    // By slot: every path the connection watches, and perhaps some it does no longer.
    pub(super) held: Vec<Held>,
    pairs: usize,
    recursive: usize,
    hits: Vec<u32>,
    mistake: Option<Mistake>,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) paths: Vec<PathId>,
    live: usize,
}

impl Watches {
    /// From here on it makes this mistake: only tests want that.
    pub fn make(&mut self, mistake: Mistake) {
        self.mistake = Some(mistake);
    }

    /// Registers; again is the same as once.
    pub fn add(&mut self, slot: u32, path: &str, kind: WatchKind) {
        let id = self.paths.intern(path);
        let before = self.paths.watchers(id).kinds_of(slot);
        let after = before.and(kind.kinds());
        if after != before {
            self.change(slot, id, before, after);
        }
        if before == Kinds::default() {
            self.remember(slot, id);
        }
    }

    /// Whether the connection holds a watch of the asked kind (numbered as removeWatches does) here.
    pub fn has(&self, slot: u32, path: &str, asked: i32) -> bool {
        self.paths
            .find(path)
            .is_some_and(|id| self.paths.get(id).watchers.kinds_of(slot).meets(asked_kinds(asked)))
    }

    /// Removes what [`Watches::has`] finds; false if that is nothing.
    pub fn remove(&mut self, slot: u32, path: &str, asked: i32) -> bool {
        let Some(id) = self.paths.find(path) else { return false };
        let before = self.paths.watchers(id).kinds_of(slot);
        if !before.meets(asked_kinds(asked)) {
            return false;
        }
        if self.mistake == Some(Mistake::KeepRemoved) {
            return true;
        }
        self.change(slot, id, before, before.without(asked_kinds(asked)));
        self.paths.release(id);
        true
    }

    /// Forgets everything of a connection that is closed (V3).
    pub fn close(&mut self, slot: u32) {
        let Some(held) = self.held.get_mut(slot as usize) else { return };
        for id in std::mem::take(held).paths {
            let before = self.paths.watchers(id).kinds_of(slot);
            if before != Kinds::default() {
                self.change(slot, id, before, Kinds::default());
                self.paths.release(id);
            }
        }
        self.held[slot as usize].live = 0;
    }

    /// A change of `path` that concerns `table`: who is to be told, in order (V1, V4); the standard
    /// watches that fired are gone (V2). The slice is overwritten by the next call.
    pub fn trigger(&mut self, path: &str, table: WatchTable) -> &[u32] {
        self.hits.clear();
        if self.pairs == 0 {
            return &[];
        }
        let (matching, mut fired) = match table {
            WatchTable::Data => (DATA_TABLE, Kinds::DATA),
            WatchTable::Child => (Kinds::CHILD.and(Kinds::PERSISTENT), Kinds::CHILD),
            WatchTable::Both => (Kinds::ALL, Kinds::STANDARD),
        };
        if self.mistake == Some(Mistake::PersistentOnce) {
            fired = fired.and(Kinds::PERSISTENT);
        }
        if let Some(id) = self.paths.find(path) {
            self.fire(id, matching, fired);
        }
        if table != WatchTable::Child && self.recursive > 0 {
            self.add_recursive_above(path);
        }
        &self.hits
    }

    fn fire(&mut self, id: PathId, matching: Kinds, fired: Kinds) {
        let Self { paths, hits, held, pairs, .. } = self;
        paths.watchers(id).fire(matching, fired, |slot, kinds| {
            hits.push(slot);
            if kinds.without(fired) == Kinds::default() {
                *pairs -= 1;
                held[slot as usize].live -= 1;
            }
        });
        self.paths.release(id);
    }

    /// Watchers of everything below one of `path`'s ancestors, the root included.
    fn add_recursive_above(&mut self, path: &str) {
        let exact = self.hits.len();
        let mut rest = path;
        while let Some(at) = rest.rfind('/').filter(|_| rest != "/") {
            rest = if at == 0 { "/" } else { &rest[..at] };
            let Some(id) = self.paths.find(rest) else { continue };
            let watchers = self.paths.get(id).watchers.as_slice().iter();
            self.hits.extend(watchers.filter(|w| w.kinds().meets(Kinds::RECURSIVE)).map(|w| w.slot()));
        }
        if self.hits.len() > exact {
            self.hits.sort_unstable();
            self.hits.dedup();
        }
    }

    /// Pairs of connection and path with at least one watch of any kind.
    pub fn len(&self) -> usize {
        self.pairs
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// For `wchs`. Walks every watch: for operators, not for the way of a request.
    pub fn counts(&self) -> Counts {
        let by_connection = self.by_connection();
        Counts {
            connections: by_connection.len(),
            paths: self.by_path().len(),
            watches: by_connection.values().map(Vec::len).sum(),
        }
    }

    /// For `wchp`: the connections that watch each path's data, by path.
    pub fn by_path(&self) -> BTreeMap<&str, Vec<u32>> {
        let watching = |watchers: &Watchers| {
            let data = watchers.as_slice().iter().filter(|w| w.kinds().meets(DATA_TABLE));
            data.map(|w| w.slot()).collect::<Vec<_>>()
        };
        let all = self.paths.iter().map(|path| (&*path.text, watching(&path.watchers)));
        all.filter(|(_, slots)| !slots.is_empty()).collect()
    }

    /// For `wchc`: the paths whose data each connection watches, in order.
    pub fn by_connection(&self) -> BTreeMap<u32, Vec<&str>> {
        let mut all = BTreeMap::<u32, Vec<&str>>::new();
        for (path, slots) in self.by_path() {
            slots.into_iter().for_each(|slot| all.entry(slot).or_default().push(path));
        }
        all
    }

    /// Keeps the counts while what `slot` holds on `id` changes.
    fn change(&mut self, slot: u32, id: PathId, before: Kinds, after: Kinds) {
        self.paths.watchers(id).set(slot, after);
        let there = |kinds: Kinds| usize::from(kinds != Kinds::default());
        let recursive = |kinds: Kinds| usize::from(kinds.meets(Kinds::RECURSIVE));
        self.pairs = self.pairs + there(after) - there(before);
        self.recursive = self.recursive + recursive(after) - recursive(before);
        if let Some(held) = self.held.get_mut(slot as usize) {
            held.live = held.live.saturating_sub(there(before)); // `remember` adds the new ones
            held.live += there(before) * there(after);
        }
    }

    /// Notes that the connection now watches a path it did not watch before.
    fn remember(&mut self, slot: u32, id: PathId) {
        let at = slot as usize;
        if self.held.len() <= at {
            self.held.resize_with(at + 1, Held::default);
        }
        let held = &mut self.held[at];
        held.live += 1;
        if held.paths.len() >= 2 * held.live + 16 {
            let paths = &self.paths;
            held.paths.sort_unstable();
            held.paths.dedup();
            held.paths.retain(|&id| paths.get(id).watchers.kinds_of(slot) != Kinds::default());
        }
        if self.held[at].paths.last() != Some(&id) {
            self.held[at].paths.push(id);
        }
    }
}
