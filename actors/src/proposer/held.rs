//! What waits for the next epoch or for the disk, in order, and bounded however long it waits (P10).

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;
use paddock_messages::client::request::Write;
use paddock_messages::ids::{AttachNumber, ClientRef, ServerId, SessionId};
use paddock_messages::letters::Request;

/// While so much is held back, no further session is begun.
pub(super) const MOST_HELD: usize = 1 << 16;

/// While so much is held back, no session attaches anew: those who have one go before those who want one.
pub(super) const MOST_ATTACHING: usize = 4 * MOST_HELD;

/// Of how many the memory is kept, once none waits any more.
const KEPT_CAPACITY: usize = 1 << 10;

/// Something that waits.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// By this member's client.
    Asked(ServerId, Request),
    /// The same of a reconfig, asked when so many had been committed (MB2).
    Reconfig(ServerId, Request, u64),
    Expired(SessionId, AttachNumber),
}

impl Item {
    /// The request and whose client asks, if it is a reconfig.
    pub(super) fn reconfig(&self) -> Option<(ServerId, &Request)> {
        match self {
            Self::Reconfig(member, request, _) => Some((*member, request)),
            _ => None,
        }
    }

    /// Whether it is a reconfig that was asked when fewer than so many had been committed.
    pub(super) fn is_overtaken(&self, committed: u64) -> bool {
        matches!(self, Self::Reconfig(_, _, before) if *before < committed)
    }
}

/// Whether it is one that changes the configuration, if anything.
pub(super) fn is_reconfig(request: &Request) -> bool {
    let (Request::Write { write, .. } | Request::LocalWrite { write, .. }) = request else { return false };
    matches!(write, Write::Reconfig(_))
}

/// What came of holding a request back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits.
    Waits,
    /// It waits, in the place of an attach of the same session through this connection, which is dropped:
    /// nothing was asked through it yet, and it would be closed as soon as this one's turn comes.
    InsteadOf(ServerId, ClientRef),
    /// Too much waits.
    Refused(Request),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    items: VecDeque<Item>,
    /// How many were ever taken: the number of the oldest.
    taken: u64,
    /// Sessions whose attach waits, and its number.
    attaching: HashMap<SessionId, u64, RandomState>,
    /// Sessions that were their member's alone, and wait to become everybody's.
    upgrading: HashSet<SessionId, RandomState>,
    /// Sessions whose expiry waits.
    expiring: HashSet<SessionId, RandomState>,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// `reconfigs` were committed by now.
    pub(super) fn keep(&mut self, member: ServerId, request: Request, reconfigs: u64) -> Kept {
        match request {
            Request::Open { .. } if self.len() >= MOST_HELD => return Kept::Refused(request),
            Request::Attach { client, session, .. } => {
                if let Some(number) = self.attaching.get(&session) {
                    let at = usize::try_from(number - self.taken).expect("it is in memory");
                    let Item::Asked(its_member, Request::Attach { client: older, .. }) = &self.items[at]
                    else {
                        unreachable!("P10: {session} attaches at {at}, says its number");
                    };
                    let older = (*its_member, *older);
                    self.items[at] = Item::Asked(member, request);
                    let is_same = older == (member, client);
                    return if is_same { Kept::Waits } else { Kept::InsteadOf(older.0, older.1) };
                }
                if self.len() >= MOST_ATTACHING {
                    return Kept::Refused(request);
                }
                self.attaching.insert(session, self.taken + self.len() as u64);
            }
            Request::Upgrade { session, .. } => _ = self.upgrading.insert(session),
            _ => {}
        }
        self.items.push_back(if is_reconfig(&request) {
            Item::Reconfig(member, request, reconfigs)
        } else {
            Item::Asked(member, request)
        });
        Kept::Waits
    }

    /// Whether the session begins with something that waits here: it is nobody's to call ended.
    pub(super) fn begins(&self, session: SessionId) -> bool {
        self.upgrading.contains(&session)
    }

    /// It is asked for again and again until it is done: once is enough.
    pub(super) fn keep_expiry(&mut self, session: SessionId, attach: AttachNumber) {
        if self.expiring.insert(session) {
            self.items.push_back(Item::Expired(session, attach));
        }
    }

    /// What waits for longest.
    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.taken += 1;
        if self.items.is_empty() && self.items.capacity() > KEPT_CAPACITY {
            self.items.shrink_to(KEPT_CAPACITY);
            self.attaching.shrink_to(KEPT_CAPACITY);
            self.expiring.shrink_to(KEPT_CAPACITY);
        }
        match &item {
            Item::Asked(_, Request::Attach { session, .. }) => _ = self.attaching.remove(session),
            Item::Asked(_, Request::Upgrade { session, .. }) => _ = self.upgrading.remove(session),
            Item::Expired(session, _) => _ = self.expiring.remove(session),
            Item::Asked(..) | Item::Reconfig(..) => {}
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::ids::ConnId;

    use super::*;

    const ME: ServerId = ServerId(1);

    fn attach(session: u64, slot: u32) -> Request {
        let client = ClientRef { arbiter: 0, conn: ConnId { slot, generation: 1 } };
        Request::Attach { client, session: SessionId(session as i64), timeout_ms: 1_000 }
    }

    #[test]
    fn p10_sessions_that_attach_wait_once_each_and_their_number_ends() {
        let mut held = Held::default();
        for round in 0..3 {
            for session in 0..MOST_ATTACHING as u64 {
                let kept = held.keep(ME, attach(session, round), 0);
                assert_eq!(
                    matches!(kept, Kept::InsteadOf(_, it) if it.conn.slot + 1 == round),
                    round > 0,
                    "{kept:?}"
                );
            }
            assert_eq!(held.len(), MOST_ATTACHING);
        }
        let more = attach(u64::from(u32::MAX), 7);
        assert_eq!(held.keep(ME, more.clone(), 0), Kept::Refused(more.clone()));
        assert!(
            matches!(held.keep(ME, attach(5, 9), 0), Kept::InsteadOf(..)),
            "who waits may still come anew"
        );
        for session in 0..6 {
            let slot = if session == 5 { 9 } else { 2 };
            let Some(Item::Asked(_, request)) = held.pop() else { panic!("{session} waits") };
            assert_eq!(request, attach(session, slot), "in the place of its first, through its last");
        }
        assert_eq!(held.keep(ME, more, 0), Kept::Waits);
        assert_eq!(held.keep(ME, attach(0, 4), 0), Kept::Waits, "behind what waits: its turn was");
        assert!(
            matches!(held.keep(ME, attach(6, 4), 0), Kept::InsteadOf(..)),
            "numbers hold when others are taken"
        );
        while held.pop().is_some() {}
        assert!(held.attaching.is_empty() && held.expiring.is_empty());
    }
}
