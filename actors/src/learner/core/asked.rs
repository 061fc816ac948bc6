//! What this member's clients ask: most of it goes to the leader, and what is about sessions of this member alone
//! is decided here (L9).

use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Write;
use paddock_messages::ids::{AttachNumber, ClientRef, SessionId};
use paddock_messages::letters::{Asker, Request, SessionChange, Submission};

use super::{Learner, Output, State};
use crate::learner::routes::Here;
use crate::tree::feed::{CloseReason, FeedItem};

/// What came of a local session, to be done under the tree's lock.
#[derive(Debug)]
pub(super) enum Step {
    Push(ClientRef, Answer),
    Change(SessionChange),
}

/// What a connection is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Attached { session: SessionId, attach: AttachNumber, timeout_ms: i32 },
    Refused,
    Closed(CloseReason),
}

impl Learner {
    /// New sessions are this member's alone until an ephemeral znode is asked for (`localSessionsEnabled`).
    pub fn with_local_sessions(mut self) -> Self {
        self.local.begin = true;
        self
    }

    /// There are at most so many of them, for tests.
    #[cfg(test)]
    pub(crate) fn limit_local_sessions(&mut self, most: usize) {
        self.local.most = most;
    }

    /// How many sessions there are that nobody else knows of.
    pub fn local_sessions(&self) -> usize {
        self.local.len()
    }

    /// Whether a session is this member's alone.
    pub fn has_local(&self, session: SessionId) -> bool {
        self.local.get(session).is_some()
    }

    /// Nobody leads, and clients are served what is here: no request is for anybody else until the next
    /// [`Self::on_leader_lost`].
    pub fn on_alone(&mut self) {
        self.local.alone = true;
    }

    /// What this member's clients ask, in order.
    pub fn on_submissions(&mut self, items: Vec<Submission>, out: &mut Vec<Output>) {
        let requests: Vec<_> = items.into_iter().filter_map(|item| self.submit(item)).collect();
        if !requests.is_empty() {
            out.push(Output::Forward(requests));
        }
        if !self.due.is_empty() || !self.steps.is_empty() {
            out.push(Output::Apply);
        }
    }

    fn submit(&mut self, item: Submission) -> Option<Request> {
        Some(match item {
            Submission::Open { client, timeout_ms } => {
                let session = self.ids.issue();
                if self.local.begin {
                    self.open_here(session, client, timeout_ms);
                    return None;
                }
                self.routes.open(session, client);
                Request::Open { session, timeout_ms }
            }
            Submission::Attach { client, session, timeout_ms } => {
                if let Some(attach) = self.local.attach(session, timeout_ms) {
                    self.attach_here(session, client, attach, timeout_ms);
                    return None;
                }
                if self.local.is_upgrading(session) {
                    // Whether it lives is not known yet; its client asks again.
                    self.steps.push(Step::Push(client, Answer::Closed(CloseReason::SessionNotBegun)));
                    return None;
                }
                if self.local.alone {
                    self.steps.push(Step::Push(client, Answer::Refused));
                    return None;
                }
                Request::Attach { client, session, timeout_ms }
            }
            Submission::Revalidate { client, session, attach, timeout_ms } => {
                Request::Revalidate { client, session, attach, timeout_ms }
            }
            Submission::Write { from, xid, write } => return self.write(from, xid, write),
            Submission::Sync { from, xid, path } => match self.is_local(&from) {
                Some(false) => return None,
                Some(true) => {
                    self.routes.asked(&from);
                    Request::LocalSync { from, xid, path }
                }
                None => {
                    self.routes.asked(&from);
                    Request::Sync { from, xid, path }
                }
            },
            Submission::SyncReads { arbiter, number } => Request::SyncReads { arbiter, number },
            Submission::Read { from, xid, read } => {
                self.wait(from, xid, Here::Read(read));
                return None;
            }
            Submission::Upgrade { session, attach } => {
                let timeout_ms = self.local.upgrade(session, attach)?.timeout_ms;
                self.steps.push(Step::Change(SessionChange::LocalEnded(session)));
                Request::Upgrade { session, attach, timeout_ms }
            }
        })
    }

    /// Whether the session is this member's alone; false if the attachment is not its newest: nothing that comes
    /// through it is done any more.
    fn is_local(&self, from: &Asker) -> Option<bool> {
        let local = self.local.get(from.session)?;
        Some(local.attach == from.attach)
    }

    fn write(&mut self, from: Asker, xid: i32, write: Write) -> Option<Request> {
        match (self.is_local(&from), write) {
            (Some(false), _) => None,
            (Some(true), Write::CloseSession) => {
                self.wait(from, xid, Here::End);
                None
            }
            (Some(true), write) => {
                self.routes.asked(&from);
                Some(Request::LocalWrite { from, xid, write })
            }
            (None, write) => {
                self.routes.asked(&from);
                Some(Request::Write { from, xid, write })
            }
        }
    }

    fn wait(&mut self, from: Asker, xid: i32, what: Here) {
        let session = from.session;
        if self.routes.wait(from, xid, what) {
            self.due.push_back(session);
        }
    }

    fn open_here(&mut self, session: SessionId, client: ClientRef, timeout_ms: i32) {
        match self.local.open(session, timeout_ms) {
            Some(attach) => self.attach_here(session, client, attach, timeout_ms),
            None => self.steps.push(Step::Push(client, Answer::Closed(CloseReason::SessionNotBegun))),
        }
    }

    fn attach_here(&mut self, session: SessionId, client: ClientRef, attach: AttachNumber, timeout_ms: i32) {
        if let Some(old) = self.routes.attach(session, client, attach) {
            self.steps.push(Step::Push(old, Answer::Closed(CloseReason::SessionMoved)));
        }
        let lives = SessionChange::LocalLives { session, attach, timeout_ms, arbiter: client.arbiter };
        self.steps.push(Step::Push(client, Answer::Attached { session, attach, timeout_ms }));
        self.steps.push(Step::Change(lives));
    }

    /// The client arbiters' last word: nothing is promised to these. Those that are this member's alone end; the
    /// others are the leader's to end.
    pub fn on_over(
        &mut self,
        mut sessions: Vec<(SessionId, AttachNumber)>,
        out: &mut Vec<Output>,
    ) -> Vec<(SessionId, AttachNumber)> {
        sessions.retain(|(session, attach)| {
            let Some(local) = self.local.get(*session) else { return true };
            if local.attach == *attach {
                self.end_here(*session);
            }
            false
        });
        self.ask_to_apply(out);
        sessions
    }

    fn end_here(&mut self, session: SessionId) {
        self.local.remove(session);
        self.routes.remove(session);
        self.steps.push(Step::Change(SessionChange::LocalEnded(session)));
    }

    /// The session has asked to end, and all that it asked before is answered.
    pub(super) fn close_here(&mut self, to: ClientRef, session: SessionId, xid: i32, state: &mut impl State) {
        let (zxid, outcome) = (state.last_zxid(), Outcome::Done);
        state.push(to.arbiter, FeedItem::Reply { conn: to.conn, xid, zxid, outcome });
        self.end_here(session);
    }

    pub(super) fn do_steps(&mut self, state: &mut impl State, changes: &mut Vec<SessionChange>) {
        for step in self.steps.drain(..) {
            match step {
                Step::Push(ClientRef { arbiter, conn }, told) => state.push(
                    arbiter,
                    match told {
                        Answer::Attached { session, attach, timeout_ms } => {
                            FeedItem::Attached { conn, session, attach, timeout_ms }
                        }
                        Answer::Refused => FeedItem::AttachRefused { conn },
                        Answer::Closed(why) => FeedItem::Close { conn, why },
                    },
                ),
                Step::Change(change) => changes.push(change),
            }
        }
    }

    /// The leader did not take a session of ours that was to be everybody's: it is ours as before, without a
    /// connection.
    pub(super) fn not_upgraded(&mut self, session: SessionId) {
        let Some(local) = self.local.not_upgraded(session) else { return };
        let arbiter = self.routes.get(session).map_or(0, |route| route.client.arbiter);
        let (attach, timeout_ms) = (local.attach, local.timeout_ms);
        self.steps.push(Step::Change(SessionChange::LocalLives { session, attach, timeout_ms, arbiter }));
    }
}
