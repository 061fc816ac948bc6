//! Each distinct ACL once: a znode holds its number. Source: ReferenceCountedACLCache.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use paddock_messages::znode::{Acl, Id, Perms};

/// The number of the open ACL, which is never freed.
pub(super) const OPEN: u32 = 0;

#[derive(Debug)]
struct Entry {
    acl: Arc<[Acl]>,
    users: u32,
}

/// ACLs by number, and numbers by ACL.
#[derive(Debug)]
pub(super) struct AclTable {
    entries: Vec<Entry>,
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
        let entries = vec![Entry { acl: open, users: 0 }];
        let ids = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { entries, ids, free: Vec::new(), withheld: Vec::new(), frozen: false }
    }

    pub(super) fn get(&self, id: u32) -> &Arc<[Acl]> {
        &self.entries[id as usize].acl
    }

    /// The number of `acl`, which has one more user from now.
    pub(super) fn acquire(&mut self, acl: &[Acl]) -> u32 {
        if is_open(acl) {
            return OPEN;
        }
        if let Some(&id) = self.ids.get(acl) {
            self.entries[id as usize].users += 1;
            return id;
        }
        let acl: Arc<[Acl]> = acl.into();
        let entry = Entry { acl: acl.clone(), users: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("fewer ACLs than znodes")
            }
        };
        self.ids.insert(acl, id);
        id
    }

    /// One more user of an ACL that has some.
    pub(super) fn share(&mut self, id: u32) {
        if id != OPEN {
            self.entries[id as usize].users += 1;
        }
    }

    /// One user less; the number is free after the last.
    pub(super) fn release(&mut self, id: u32) {
        if id == OPEN {
            return;
        }
        let entry = &mut self.entries[id as usize];
        entry.users -= 1;
        if entry.users == 0 {
            self.ids.remove(&entry.acl);
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
        let numbered = self.entries.iter().enumerate().skip(1);
        numbered.filter(|(_, e)| e.users > 0).map(|(id, e)| (id as u32, &e.acl, e.users))
    }
}

/// Whether everybody may do everything.
pub(super) fn is_open(acl: &[Acl]) -> bool {
    let [Acl { perms: Perms::ALL, id: Id { scheme, id } }] = acl else { return false };
    &**scheme == "world" && &**id == "anyone"
}
