//! The sessions of this member alone: no leader, no log and no other member knows of them.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use paddock_messages::ids::{AttachNumber, SessionId};

/// So many there are at most; a handshake for one more is closed unanswered. With their places in the tracker
/// they take about 300 bytes each.
pub(super) const MOST_LOCAL: usize = 1 << 20;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Local {
    /// Its newest attachment.
    pub(super) attach: AttachNumber,
    /// In ms.
    pub(super) timeout_ms: i32,
}

/// See the module. What it holds ends with the leader, or the lead.
#[derive(Debug)]
pub(super) struct LocalSessions {
    /// How many there may be.
    pub(super) most: usize,
    /// Whether new sessions begin here (`localSessionsEnabled`).
    pub(super) begin: bool,
    /// Nobody leads: what is not known here is known nowhere.
    pub(super) alone: bool,
    granted: u64,
    all: HashMap<SessionId, Local, RandomState>,
    /// On their way to become everybody's.
    upgrading: HashMap<SessionId, Local, RandomState>,
}

impl Default for LocalSessions {
    fn default() -> Self {
        Self {
            most: MOST_LOCAL,
            begin: false,
            alone: false,
            granted: 0,
            all: HashMap::default(),
            upgrading: HashMap::default(),
        }
    }
}

impl LocalSessions {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn grant(&mut self) -> AttachNumber {
        self.granted += 1;
        AttachNumber::local(self.granted)
    }

    /// Begins one; `None` if there are too many.
    pub(super) fn open(&mut self, session: SessionId, timeout_ms: i32) -> Option<AttachNumber> {
        if self.len() >= self.most {
            return None;
        }
        let attach = self.grant();
        self.all.insert(session, Local { attach, timeout_ms });
        Some(attach)
    }

    /// One attaches anew; `None` if there is no such session.
    pub(super) fn attach(&mut self, session: SessionId, timeout_ms: i32) -> Option<AttachNumber> {
        if !self.all.contains_key(&session) {
            return None;
        }
        let attach = self.grant();
        self.all.insert(session, Local { attach, timeout_ms });
        Some(attach)
    }

    pub(super) fn get(&self, session: SessionId) -> Option<Local> {
        self.all.get(&session).copied()
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        self.all.remove(&session);
    }

    /// It becomes everybody's, if this is its attachment.
    pub(super) fn upgrade(&mut self, session: SessionId, attach: AttachNumber) -> Option<Local> {
        let local = self.get(session).filter(|local| local.attach == attach)?;
        self.all.remove(&session);
        self.upgrading.insert(session, local);
        Some(local)
    }

    pub(super) fn is_upgrading(&self, session: SessionId) -> bool {
        self.upgrading.contains_key(&session)
    }

    /// It is everybody's.
    pub(super) fn upgraded(&mut self, session: SessionId) -> bool {
        !self.upgrading.is_empty() && self.upgrading.remove(&session).is_some()
    }

    /// The leader did not take it: it is this member's as before.
    pub(super) fn not_upgraded(&mut self, session: SessionId) -> Option<Local> {
        let before = self.upgrading.remove(&session)?;
        // What is still on its way through the attachment that was refused is not done, as what it asked first is not.
        let local = Local { attach: self.grant(), ..before };
        self.all.insert(session, local);
        Some(local)
    }

    /// All end. What they were granted is never granted again.
    pub(super) fn end_all(&mut self) {
        let Self { most, begin, granted, .. } = *self;
        *self = Self { most, begin, granted, ..Self::default() };
    }
}
