//! Each distinct ACL once: a znode holds its number. Source: ReferenceCountedACLCache.
//!
//! - T12 A copy of the numbers' ACLs takes one reference for each [`CHUNK`] of them; a change copies at most
//!   one chunk.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use paddock_messages::znode::{Acl, Id, Perms};

/// The number of the open ACL, which is never freed.
pub(super) const OPEN: u32 = 0;

/// ACLs in one chunk: 8 KiB of references.
const CHUNK: usize = 512;

/// The ACL of each number, the open one where the number is free: a copy shares its chunks until they
/// change.
#[derive(Clone, Debug)]
pub(super) struct ByNumber {
    /// All but the last are full.
    chunks: Vec<Arc<Vec<Arc<[Acl]>>>>,
    len: usize,
}

impl ByNumber {
    fn get(&self, id: u32) -> &Arc<[Acl]> {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }

    fn set(&mut self, id: u32, acl: Arc<[Acl]>) {
        Arc::make_mut(&mut self.chunks[id as usize / CHUNK])[id as usize % CHUNK] = acl;
    }

    fn push(&mut self, acl: Arc<[Acl]>) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::default());
        }
        let last = self.chunks.last_mut().expect("one was pushed where there was none");
        Arc::make_mut(last).push(acl);
        self.len += 1;
    }

    /// References that a copy copies.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// All in use but the open one, with their numbers.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (u32, &Arc<[Acl]>)> {
        let numbered = (0..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()));
        numbered.filter(|(_, acl)| !is_open(acl))
    }
}

/// ACLs by number, and numbers by ACL.
#[derive(Debug)]
pub(super) struct AclTable {
    by_number: ByNumber,
    /// How many znodes refer to each number.
    users: Vec<u32>,
    open: Arc<[Acl]>,
    ids: HashMap<Arc<[Acl]>, u32, FixedState>,
    free: Vec<u32>,
    /// Freed while a snapshot walk may still write znodes that refer to them: not used again before
    /// it ends.
    withheld: Vec<u32>,
    frozen: bool,
}

impl AclTable {
    pub(super) fn new(seed: u64) -> Self {
        let open: Arc<[Acl]> = Acl::open().into();
        let mut by_number = ByNumber { chunks: Vec::new(), len: 0 };
        by_number.push(open.clone());
        let ids = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { by_number, users: vec![0], open, ids, free: Vec::new(), withheld: Vec::new(), frozen: false }
    }

    pub(super) fn get(&self, id: u32) -> &Arc<[Acl]> {
        self.by_number.get(id)
    }

    /// As it is now (T12).
    pub(super) fn by_number(&self) -> ByNumber {
        self.by_number.clone()
    }

    /// The number of `acl`, which has one more user from now.
    pub(super) fn acquire(&mut self, acl: &[Acl]) -> u32 {
        if is_open(acl) {
            return OPEN;
        }
        if let Some(&id) = self.ids.get(acl) {
            self.users[id as usize] += 1;
            return id;
        }
        let acl: Arc<[Acl]> = acl.into();
        let id = match self.free.pop() {
            Some(id) => {
                self.by_number.set(id, acl.clone());
                self.users[id as usize] = 1;
                id
            }
            None => {
                self.by_number.push(acl.clone());
                self.users.push(1);
                u32::try_from(self.users.len() - 1).expect("fewer ACLs than znodes")
            }
        };
        self.ids.insert(acl, id);
        id
    }

    /// One more user of an ACL that has some.
    pub(super) fn share(&mut self, id: u32) {
        if id != OPEN {
            self.users[id as usize] += 1;
        }
    }

    /// One user less; the number is free after the last.
    pub(super) fn release(&mut self, id: u32) {
        if id == OPEN {
            return;
        }
        self.users[id as usize] -= 1;
        if self.users[id as usize] == 0 {
            self.ids.remove(self.by_number.get(id));
            self.by_number.set(id, self.open.clone());
            let free = if self.frozen { &mut self.withheld } else { &mut self.free };
            free.push(id);
        }
    }

    /// From now, no freed number is used again.
    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Freed numbers may be used again.
    pub(super) fn thaw(&mut self) {
        self.frozen = false;
        self.free.append(&mut self.withheld);
    }

    /// All in use but the open one, by number, with how many use it.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (u32, &Arc<[Acl]>, u32)> {
        self.by_number.in_use().map(|(id, acl)| (id, acl, self.users[id as usize]))
    }
}

/// Whether everybody may do everything.
pub(super) fn is_open(acl: &[Acl]) -> bool {
    let [Acl { perms: Perms::ALL, id: Id { scheme, id } }] = acl else { return false };
    &**scheme == "world" && &**id == "anyone"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(number: usize) -> Vec<Acl> {
        let id = Id { scheme: "digest".into(), id: format!("user{number}:x").into() };
        vec![Acl { perms: Perms::ALL, id }]
    }

    #[test]
    fn t12_a_copy_shares_chunks_and_stays_what_it_was() {
        let mut table = AclTable::new(7);
        let ids: Vec<u32> = (0..2_000).map(|number| table.acquire(&acl(number))).collect();
        let copy = table.by_number();
        assert_eq!(copy.chunks.len(), 2_001_usize.div_ceil(CHUNK));
        table.freeze();
        table.release(ids[0]);
        assert_eq!(table.acquire(&acl(2_000)), 2_001, "T9: no number is used again");
        let shared = table.by_number.chunks.iter().zip(&copy.chunks).filter(|(a, b)| Arc::ptr_eq(a, b));
        assert_eq!(shared.count(), copy.chunks.len() - 2);
        let as_it_was = copy.in_use().map(|(id, acl)| (id, acl.to_vec()));
        assert!(as_it_was.eq(ids.iter().enumerate().map(|(number, id)| (*id, acl(number)))));
        assert_eq!(table.in_use().count(), 2_000);
        assert!(table.in_use().all(|(id, _, users)| users == 1 && id != ids[0]));
        table.thaw();
        assert_eq!(table.acquire(&acl(0)), ids[0]);
    }
}
