//! Who ends which znode: ephemerals by session, containers and TTL znodes by when they fall due.
//!
//! Kept up to date with every change, so that neither the end of a session nor the reaper looks at
//! more znodes than it takes. Source: DataTree.ephemerals, ContainerManager.getCandidates.

use std::collections::{BTreeMap, BTreeSet};

use paddock_messages::ids::SessionId;
use paddock_messages::znode::Owner;

use super::node::{Kind, Node, Slot};

/// Owners of the znodes that have one.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// The session, or the TTL in ms, of each znode that has one.
    values: BTreeMap<Slot, i64>,
    owned: BTreeMap<SessionId, BTreeSet<Slot>>,
    /// Containers that have had children and have none.
    spent: BTreeSet<Slot>,
    /// Containers that never had children, by mtime.
    unused: BTreeSet<(i64, Slot)>,
    /// Childless TTL znodes, by mtime + TTL.
    due: BTreeSet<(i64, Slot)>,
}

/// Which kind of znode `owner` makes.
pub(super) fn kind_of(owner: Owner) -> Kind {
    match owner {
        Owner::Persistent => Kind::Persistent,
        Owner::Session(_) => Kind::Session,
        Owner::Container => Kind::Container,
        Owner::Ttl(_) => Kind::Ttl,
    }
}

impl Owners {
    /// The owner of the znode in `slot`.
    pub(super) fn of(&self, slot: Slot, kind: Kind) -> Owner {
        let value = || self.values.get(&slot).copied().expect("T4: a session or TTL has its entry");
        match kind {
            Kind::Persistent => Owner::Persistent,
            Kind::Container => Owner::Container,
            Kind::Session => Owner::Session(SessionId(value())),
            Kind::Ttl => Owner::Ttl(value() as u64),
        }
    }

    pub(super) fn add(&mut self, slot: Slot, owner: Owner) {
        match owner {
            Owner::Persistent | Owner::Container => {}
            Owner::Ttl(ms) => {
                self.values.insert(slot, ms as i64);
            }
            Owner::Session(session) => {
                self.values.insert(slot, session.0);
                self.owned.entry(session).or_default().insert(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, slot: Slot, owner: Owner) {
        if let Owner::Session(session) = owner
            && let Some(slots) = self.owned.get_mut(&session)
        {
            slots.remove(&slot);
            if slots.is_empty() {
                self.owned.remove(&session);
            }
        }
        self.values.remove(&slot);
    }

    /// Slots of the ephemerals of `session`.
    pub(super) fn owned_by(&self, session: SessionId) -> impl Iterator<Item = Slot> + '_ {
        self.owned.get(&session).into_iter().flatten().copied()
    }

    /// Sessions that own ephemerals, with their slots.
    pub(super) fn owning(&self) -> impl Iterator<Item = (SessionId, &BTreeSet<Slot>)> {
        self.owned.iter().map(|(&session, slots)| (session, slots))
    }

    /// Ephemerals of all sessions.
    pub(super) fn ephemeral_count(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }

    /// The znode's children or mtime are about to change, or it goes: it is no candidate for now.
    pub(super) fn withdraw(&mut self, slot: Slot, node: &Node) {
        match self.candidacy(slot, node) {
            Candidacy::No => {}
            Candidacy::Spent => drop(self.spent.remove(&slot)),
            Candidacy::Unused(mtime) => drop(self.unused.remove(&(mtime, slot))),
            Candidacy::Due(at) => drop(self.due.remove(&(at, slot))),
        }
    }

    /// The znode has changed, or is new.
    pub(super) fn enlist(&mut self, slot: Slot, node: &Node) {
        match self.candidacy(slot, node) {
            Candidacy::No => {}
            Candidacy::Spent => drop(self.spent.insert(slot)),
            Candidacy::Unused(mtime) => drop(self.unused.insert((mtime, slot))),
            Candidacy::Due(at) => drop(self.due.insert((at, slot))),
        }
    }

    fn candidacy(&self, slot: Slot, node: &Node) -> Candidacy {
        match node.kind() {
            _ if node.children > 0 => Candidacy::No,
            Kind::Container if node.cversion > 0 => Candidacy::Spent,
            Kind::Container => Candidacy::Unused(node.mtime),
            Kind::Ttl => {
                let Owner::Ttl(ms) = self.of(slot, Kind::Ttl) else { return Candidacy::No };
                Candidacy::Due(node.mtime.saturating_add(ms as i64))
            }
            Kind::Persistent | Kind::Session => Candidacy::No,
        }
    }

    /// Znodes whose time has come at `now_ms`: at most `max`, the work as much. `unused_ms`: how long a
    /// container may wait for its first child; 0 is for ever.
    pub(super) fn reapable(&self, now_ms: i64, unused_ms: u64, max: usize) -> Vec<Slot> {
        let never = if unused_ms == 0 { i64::MIN } else { now_ms.saturating_sub_unsigned(unused_ms) };
        let unused = self.unused.iter().take_while(|&&(mtime, _)| mtime < never);
        let due = self.due.iter().take_while(|&&(at, _)| at < now_ms);
        let timed = due.chain(unused).map(|&(_, slot)| slot);
        self.spent.iter().copied().chain(timed).take(max).collect()
    }
}

/// Which of the reaper's lists a znode stands in.
enum Candidacy {
    No,
    Spent,
    Unused(i64),
    Due(i64),
}
