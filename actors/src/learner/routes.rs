//! Which connection of this member speaks for a session, and which reads wait behind its writes.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use paddock_messages::client::request::Read;
use paddock_messages::ids::{AttachNumber, ClientRef, SessionId};
use paddock_messages::letters::Asker;

/// What stands behind writes of its session and is no business of the leader's.
#[derive(Debug)]
pub(super) struct Waiting {
    /// It comes right behind the how manyth write or sync of this attachment.
    after: u64,
    pub(super) from: Asker,
    pub(super) xid: i32,
    pub(super) what: Here,
}

/// See [`Waiting`].
#[derive(Debug)]
pub(super) enum Here {
    /// A read that stands between two writes.
    Read(Read),
    /// The end of a session that is this member's alone.
    End,
}

/// A session's connection here.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) client: ClientRef,
    /// `None` until the session's creation is applied.
    pub(super) attach: Option<AttachNumber>,
    asked: u64,
    answered: u64,
    waiting: VecDeque<Waiting>,
}

/// The routes of all sessions attached to this member. Grows with the sessions, which are limited at
/// the entrance; an entry goes with its session.
#[derive(Debug, Default)]
pub(super) struct Routes {
    all: HashMap<SessionId, Route, RandomState>,
    /// Those of before the leader was lost, until the session is revalidated, attaches anew, or ends (L7).
    parked: HashMap<SessionId, Route, RandomState>,
    /// Some of those may have reads that wait.
    keeps_reads: bool,
}

impl Route {
    /// Whether a read waits for nothing any more.
    pub(super) fn has_due_read(&self) -> bool {
        self.waiting.front().is_some_and(|read| read.after <= self.answered)
    }

    fn count_answer(&mut self, session: SessionId) {
        self.answered += 1;
        assert!(self.answered <= self.asked, "L4: {session} is answered more than it asked");
    }

    /// The next read that comes right behind what has just been answered.
    pub(super) fn pop_read(&mut self) -> Option<Waiting> {
        self.waiting.pop_front_if(|read| read.after <= self.answered)
    }
}

impl Routes {
    /// A session that is about to be created speaks through `client`.
    pub(super) fn open(&mut self, session: SessionId, client: ClientRef) {
        self.all
            .insert(session, Route { client, attach: None, asked: 0, answered: 0, waiting: VecDeque::new() });
    }

    /// The session speaks through `client` from now on; gives the connection it spoke through before.
    pub(super) fn attach(
        &mut self,
        session: SessionId,
        client: ClientRef,
        attach: AttachNumber,
    ) -> Option<ClientRef> {
        if self.all.get(&session).is_some_and(|it| (it.client, it.attach) == (client, Some(attach))) {
            return None; // a leader that had been asked already says it once more: what is asked by it counts
        }
        let route = Route { client, attach: Some(attach), asked: 0, answered: 0, waiting: VecDeque::new() };
        let parked = self.unpark(session);
        let old = self.all.insert(session, route).map(|old| old.client).or(parked);
        old.filter(|old| *old != client)
    }

    /// The leader is lost: nobody is answered any more but by what is applied of what was asked, and what waits
    /// right behind that (L7), and of those that do not outlive the leader nobody at all.
    pub(super) fn park(&mut self, outlives: impl Fn(SessionId) -> bool) {
        let attached = |(session, route): &(SessionId, Route)| route.attach.is_some() && outlives(*session);
        self.parked.extend(std::mem::take(&mut self.all).into_iter().filter(attached));
        self.keeps_reads = !self.parked.is_empty();
    }

    /// Whether anything may be kept for those who are parked.
    #[cfg(test)]
    pub(super) fn keeps_reads(&self) -> bool {
        self.parked.values().any(|route| !route.waiting.is_empty())
    }

    /// This leader answers what this member has asked of it: whatever the one before had numbered is here (P16), so no
    /// read that still waits has its turn. Who goes on asks it again (C17); of who does not nothing is kept.
    pub(super) fn forget_reads(&mut self) {
        if std::mem::take(&mut self.keeps_reads) {
            self.parked.values_mut().for_each(|route| route.waiting = VecDeque::new());
        }
    }

    /// The route that spoke by this very attachment when the leader was lost, and waits for the next; counting one
    /// answer more.
    pub(super) fn answer_late(&mut self, session: SessionId, attach: AttachNumber) -> Option<&mut Route> {
        let route = self.parked.get_mut(&session).filter(|route| route.attach == Some(attach))?;
        route.count_answer(session);
        Some(route)
    }

    /// The connection of such a one, where a later attachment of its session is heard of: it waits in vain.
    pub(super) fn overtaken(&mut self, session: SessionId, attach: AttachNumber) -> Option<ClientRef> {
        self.parked.get(&session).filter(|route| route.attach < Some(attach))?;
        self.unpark(session)
    }

    /// The session's connection of before waits no more, and nothing is kept for it.
    pub(super) fn unpark(&mut self, session: SessionId) -> Option<ClientRef> {
        self.parked.remove(&session).map(|route| route.client)
    }

    /// None of them waits any more.
    pub(super) fn forget_parked(&mut self) {
        self.parked.clear();
    }

    /// The session's creation is applied: gives the connection that asked, if it was one of ours.
    pub(super) fn opened(&mut self, session: SessionId, attach: AttachNumber) -> Option<ClientRef> {
        let route = self.all.get_mut(&session).filter(|route| route.attach.is_none())?;
        route.attach = Some(attach);
        Some(route.client)
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Route> {
        self.all.remove(&session)
    }

    /// A write or sync goes to the leader.
    pub(super) fn asked(&mut self, from: &Asker) {
        if let Some(route) = self.of(from.session, from.attach) {
            route.asked += 1;
        }
    }

    /// A read waits for what its session asked last; true if that is answered already. Dropped if the
    /// session has moved on: then its connection is being closed.
    pub(super) fn wait(&mut self, from: Asker, xid: i32, what: Here) -> bool {
        let Some(route) = self.of(from.session, from.attach) else { return false };
        let after = route.asked;
        route.waiting.push_back(Waiting { after, from, xid, what });
        after <= route.answered
    }

    /// The route of a session, whichever its attachment, whether or not it waits for a leader.
    pub(super) fn get(&mut self, session: SessionId) -> Option<&mut Route> {
        let Self { all, parked, .. } = self;
        all.get_mut(&session).or_else(|| parked.get_mut(&session))
    }

    /// Which arbiter's connection speaks for a session by this attachment, or a later one.
    pub(super) fn arbiter_of(&self, session: SessionId, attach: AttachNumber) -> Option<u16> {
        let route = self.all.get(&session).filter(|route| route.attach >= Some(attach))?;
        Some(route.client.arbiter)
    }

    /// The route of this very attachment (L4), counting one answer more.
    pub(super) fn answer(&mut self, session: SessionId, attach: AttachNumber) -> Option<&mut Route> {
        let route = self.of(session, attach)?;
        route.count_answer(session);
        Some(route)
    }

    /// The route of this very attachment.
    pub(super) fn of(&mut self, session: SessionId, attach: AttachNumber) -> Option<&mut Route> {
        self.all.get_mut(&session).filter(|route| route.attach == Some(attach))
    }
}
