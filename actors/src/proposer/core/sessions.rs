//! Sessions that begin, and through which attachments they may ask.

use bytestring::ByteString;
use paddock_messages::client::request::Write;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Asker, Proposal};
use paddock_messages::txn::{TxnBody, TxnHeader};

use super::Proposer;
use crate::quorum::Quorum;
use crate::tree::prep::{Place, View};

/// What becomes of a request, by the session and attachment it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Lives,
    /// It attached elsewhere since.
    Moved,
    /// It is closing, closed, or never was.
    Ended,
}

impl<Q: Quorum> Proposer<Q> {
    /// A member says through which attachment it serves a session: whether it may go on. The highest
    /// number heard holds (P5).
    pub fn on_revalidated(&mut self, view: &impl View, session: SessionId, attach: AttachNumber) -> bool {
        self.pending.forget(view.last_zxid());
        self.standing(view, session, attach) == Standing::Lives
    }

    pub(super) fn open(
        &mut self,
        view: &impl View,
        session: SessionId,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Proposal {
        let zxid = self.next();
        let body = self.prep(view).create_session(session, timeout_ms, zxid);
        let attach = self.grant(session);
        self.propose(TxnHeader { session, attach, cxid: 0, zxid, time: now_ms }, body)
    }

    /// A session that was its member's alone begins for everybody, and keeps its attachment's number: what is
    /// asked behind this comes through it. A number that is no member's own is not believed.
    pub(super) fn upgrade(
        &mut self,
        view: &impl View,
        session: SessionId,
        attach: AttachNumber,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Proposal {
        if !attach.is_local() {
            return self.open(view, session, timeout_ms, now_ms);
        }
        let zxid = self.next();
        let body = self.prep(view).create_session(session, timeout_ms, zxid);
        self.propose(TxnHeader { session, attach, cxid: 0, zxid, time: now_ms }, body)
    }

    /// P13. Whether we take a member's word for it that a session lives.
    pub(super) fn is_local_of(&self, member: ServerId, session: SessionId) -> bool {
        self.rules.local_sessions && session.is_of(member)
    }

    pub(super) fn local_write(
        &mut self,
        view: &impl View,
        member: ServerId,
        from: &Asker,
        xid: i32,
        write: Write,
        now_ms: i64,
    ) -> Proposal {
        let (session, attach) = (from.session, from.attach);
        if self.is_full() {
            self.forget_level(&write);
            return Proposal::Refused { session, attach, xid, code: ErrorCode::NotReadOnly };
        }
        let zxid = self.next();
        let body = if self.is_local_of(member, session) {
            let (is_live, is_local) = (true, true);
            let at = Place { session, is_live, is_local, ids: &from.ids, zxid, time: now_ms };
            self.body(view, at, write)
        } else {
            self.forget_level(&write);
            TxnBody::Error(ErrorCode::SessionExpired)
        };
        self.propose(TxnHeader { session, attach, cxid: xid, zxid, time: now_ms }, body)
    }

    pub(super) fn local_sync(
        &mut self,
        member: ServerId,
        from: &Asker,
        xid: i32,
        path: Option<ByteString>,
    ) -> Proposal {
        let (session, attach) = (from.session, from.attach);
        if self.is_local_of(member, session) {
            Proposal::Synced { number: self.number_sync(), session, attach, xid, path }
        } else {
            Proposal::Refused { session, attach, xid, code: ErrorCode::SessionExpired }
        }
    }

    pub(super) fn latest_grant(&self) -> AttachNumber {
        AttachNumber { epoch: self.epoch, counter: self.granted }
    }

    /// P5: higher than any before it.
    pub(super) fn grant(&mut self, session: SessionId) -> AttachNumber {
        self.granted += 1;
        let attach = self.latest_grant();
        let before = self.newest.insert(session, attach);
        assert!(before.is_none_or(|before| before < attach), "P5: {attach:?} after {before:?}");
        attach
    }

    /// P5. A number not heard of before counts as heard: its member was told that the session lives. One
    /// that nobody gave is no attachment. Who has a number here lives, for it goes with the session.
    pub(super) fn standing(
        &mut self,
        view: &impl View,
        session: SessionId,
        attach: AttachNumber,
    ) -> Standing {
        if attach > self.latest_grant() {
            return Standing::Moved;
        }
        if let Some(newest) = self.newest.get_mut(&session) {
            *newest = attach.max(*newest);
            return if attach < *newest { Standing::Moved } else { Standing::Lives };
        }
        if !self.prep(view).is_live(session) {
            return Standing::Ended;
        }
        self.newest.insert(session, attach);
        Standing::Lives
    }

    pub(super) fn refusal(&mut self, view: &impl View, from: &Asker) -> Option<ErrorCode> {
        match self.standing(view, from.session, from.attach) {
            Standing::Moved => Some(ErrorCode::SessionMoved),
            Standing::Ended => Some(ErrorCode::SessionExpired),
            Standing::Lives => None,
        }
    }
}
