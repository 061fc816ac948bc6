//! The watched paths: each stored once, whoever watches it and how.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use super::list::Watchers;

/// A watched path's place.
pub(super) type PathId = u32;

/// One watched path.
#[derive(Debug, Default)]
pub(super) struct Path {
    pub(super) text: Box<str>,
    pub(super) watchers: Watchers,
}

/// Paths by place and by text. A place whose path nobody watches is used again.
#[derive(Debug, Default)]
pub(super) struct Paths {
    places: Vec<Path>,
    free: Vec<PathId>,
    by_text: HashTable<PathId>,
    // Hostile paths only lengthen probes of this one table; no order is taken from it.
    hasher: FixedState,
}

impl Paths {
    pub(super) fn find(&self, text: &str) -> Option<PathId> {
        let hash = self.hasher.hash_one(text);
        self.by_text.find(hash, |&id| &*self.places[id as usize].text == text).copied()
    }

    /// The place of `text`, made if need be.
    pub(super) fn intern(&mut self, text: &str) -> PathId {
        if let Some(id) = self.find(text) {
            return id;
        }
        let path = Path { text: text.into(), watchers: Watchers::None };
        let id = match self.free.pop() {
            Some(id) => {
                self.places[id as usize] = path;
                id
            }
            None => self.push(path),
        };
        let (places, hasher) = (&self.places, &self.hasher);
        let rehash = |&id: &PathId| hasher.hash_one(&*places[id as usize].text);
        self.by_text.insert_unique(hasher.hash_one(text), id, rehash);
        id
    }

    fn push(&mut self, path: Path) -> PathId {
        if self.places.len() == self.places.capacity() {
            // By an eighth, not by doubling: half a million paths should not cost twice their size.
            self.places.reserve_exact(self.places.len() / 8 + 16);
        }
        self.places.push(path);
        PathId::try_from(self.places.len() - 1).expect("4 billion paths do not fit into memory")
    }

    pub(super) fn watchers(&mut self, id: PathId) -> &mut Watchers {
        &mut self.places[id as usize].watchers
    }

    pub(super) fn get(&self, id: PathId) -> &Path {
        &self.places[id as usize]
    }

    /// Frees the place if nobody watches its path any more.
    pub(super) fn release(&mut self, id: PathId) {
        let path = &self.places[id as usize];
        if !path.watchers.as_slice().is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(&*path.text);
        if let Ok(entry) = self.by_text.find_entry(hash, |&other| other == id) {
            entry.remove();
            self.places[id as usize] = Path::default();
            self.free.push(id);
        }
    }

    /// Every watched path, in no order that means anything but always the same one.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().filter(|path| !path.watchers.as_slice().is_empty())
    }
}
