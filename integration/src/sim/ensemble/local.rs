//! Sessions that are a member's alone, in some of the seeds: as its shells have them, and what must be so of them (EN15).
//!
//! No draw of a seed without them is another than before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paddock_actors::client::Settings;
use paddock_actors::session::core::SessionTracker;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Internal, Submission, Touched};
use paddock_messages::roles::Over;
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::Zxid;
use rand::Rng;

use super::EnsembleFault;
use super::clients::{Ears, Person};
use super::learner::Mode;
use super::mail::{Letter, Part};
use super::node::Node;
use super::reads_only;
use super::setup::Setup;
use super::truth::Truth;
use super::world::World;
use crate::sim::Met;

/// The mistakes that are about them.
const MISTAKES: [EnsembleFault; 3] =
    [EnsembleFault::KeepLocalSessions, EnsembleFault::UpgradeBehind, EnsembleFault::ExpireLocalUnasked];

impl Setup {
    /// In every fifth seed; in two of three of those they become everybody's with their first ephemeral.
    pub(super) fn with_local_sessions(mut self) -> Self {
        let is_wanted = match self.fault {
            None => (self.salt >> 4).is_multiple_of(5),
            Some(fault) => MISTAKES.contains(&fault) || reads_only::MISTAKES.contains(&fault),
        };
        if is_wanted {
            let settings: &mut Settings = Arc::make_mut(&mut self.settings);
            settings.local_sessions = true;
            settings.upgrades_local_sessions = self.fault.is_some() || !(self.salt >> 24).is_multiple_of(3);
        }
        self
    }
}

/// Under what a session of a member alone began: the member, its process, and the role.
pub(super) type Reign = (ServerId, u64, u64);

/// What is known of them, apart from all members.
#[derive(Default)]
pub(super) struct Locals {
    /// Whether there may be any, and whether they may become everybody's.
    may: (bool, bool),
    /// Until each is everybody's, or its client knows that it has ended: the timeout, in ms, that it was granted.
    granted: BTreeMap<SessionId, u64>,
    /// Those whose clients have asked for what needs that everybody knows them.
    wanting: BTreeSet<SessionId>,
    /// The last that became everybody's, if nothing came behind it yet.
    upgraded: Option<(SessionId, Zxid)>,
    /// Those whose members have ended them, since the last look.
    expired: Vec<SessionId>,
    upgrades: u64,
    refused: u64,
}

impl Locals {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { may: (settings.local_sessions, settings.upgrades_local_sessions), ..Self::default() }
    }

    pub(super) fn are_wanted(&self) -> bool {
        self.may.0
    }

    pub(super) fn note(&self, met: &mut Met) {
        met.add("local sessions that became everybody's", self.upgrades);
        met.add("ephemerals refused to local sessions", self.refused);
    }

    /// A client was granted one.
    pub(super) fn granted(&mut self, session: SessionId, timeout_ms: u64) {
        self.granted.insert(session, timeout_ms);
    }

    /// Its client asks for an ephemeral znode.
    pub(super) fn wants(&mut self, session: SessionId) {
        self.wanting.insert(session);
    }

    /// EN15: what is applied for the first time.
    pub(super) fn apply(&mut self, txn: &Txn) {
        let (session, zxid) = (txn.header.session, txn.header.zxid);
        if let Some((upgraded, at)) = self.upgraded.take().filter(|(_, at)| at.epoch() == zxid.epoch()) {
            assert_eq!(
                session, upgraded,
                "EN15: what needs {upgraded}, which began at {at:?}, is right behind it"
            );
        }
        match txn.body {
            TxnBody::CreateSession { timeout_ms } => {
                let is_wanted = self.may.1 && self.wanting.contains(&session);
                assert!(is_wanted, "EN15: nothing that {session} asked needs that everybody knows it");
                let granted = self.granted.remove(&session).map(|ms| ms as i32);
                assert!(
                    granted.is_none_or(|ms| ms == timeout_ms),
                    "EN15: {session} was granted {granted:?} ms"
                );
                self.upgraded = Some((session, zxid));
                self.upgrades += 1;
            }
            TxnBody::Error(ErrorCode::EphemeralOnLocalSession) => {
                assert!(!self.may.1, "EN15: {session} was to be everybody's: {txn:?}");
                self.refused += 1;
            }
            _ => {}
        }
    }
}

impl Truth {
    /// The sessions that have ended since the last call; true for those that did not end themselves.
    pub(super) fn take_ended(&mut self) -> Vec<(SessionId, bool)> {
        let mut ended = self.history.take_ended();
        ended.extend(self.locals.expired.drain(..).map(|session| (session, true)));
        ended
    }
}

/// A mistake, on purpose: what needs that everybody knows the session goes before that.
pub(super) fn put_upgrades_behind(items: &mut [Submission]) {
    for at in 1..items.len() {
        if matches!(items[at - 1], Submission::Upgrade { .. }) {
            items.swap(at - 1, at);
        }
    }
}

impl Node {
    /// A role begins: it has none of them.
    pub(super) fn local_tracker(&self, none: SessionTracker) -> Option<SessionTracker> {
        self.setup.settings.local_sessions.then_some(none)
    }

    /// What is met of them is no leader's business.
    pub(super) fn on_local_touched(&mut self, touched: &mut Touched) {
        let role = self.judging.role();
        let Some(local) = self.judging.local.as_mut().filter(|local| !local.is_empty()) else { return };
        let mut sessions = Vec::new();
        local.on_touched(touched, &mut sessions);
        touched.sessions.retain(|session| !local.knows(*session));
        if self.setup.has(EnsembleFault::ExpireLocalUnasked) && !sessions.is_empty() {
            self.post(Part::Learner, Letter::Over(Over { role, sessions }));
        } else {
            self.ask_last_word_of(touched.arbiter, role, sessions);
        }
    }

    /// The arbiters' last word. The Learner ends those that are its own.
    pub(super) fn on_over(&mut self, Over { sessions, .. }: Over) {
        let (mut theirs, mut out) = (Vec::new(), Vec::new());
        for one in sessions {
            let was_ours = self.lp.core.has_local(one.0);
            theirs.extend(self.lp.core.on_over(vec![one], &mut out));
            if was_ours && !self.lp.core.has_local(one.0) {
                self.note("local sessions expired");
                self.truth.borrow_mut().locals.expired.push(one.0);
            }
        }
        self.perform_learner(out);
        match self.lp.mode {
            _ if theirs.is_empty() => {}
            Mode::Leading => self.post(Part::Proposer, Letter::Internal(Internal::Expire(theirs))),
            _ => self.with_stay(|stay, out| stay.on_expire(theirs, out)),
        }
    }

    /// EN15: who has no leader has none of them, but of those that only read.
    pub(super) fn check_local(&self) {
        let many = self.lp.core.local_sessions();
        let may_have = !matches!(self.lp.mode, Mode::Looking { .. }) || self.lp.reading.is_served();
        assert!(may_have || many == 0, "EN15: {} has {many} sessions of its own, and no leader", self.me);
    }
}

impl Person {
    /// What it has just asked may need that everybody knows its session.
    pub(super) fn tell_wanted(&self, truth: &mut Truth) {
        if let Some(session) = self.client.session.as_ref().filter(|session| session.wants_ephemerals) {
            truth.locals.wants(session.id);
        }
    }

    /// It was granted a session that its member alone knows, or has it again.
    pub(super) fn note_local(&self, came_back: bool, truth: &mut Truth, met: &mut Met) {
        let Some(session) = self.client.session.as_ref().filter(|session| session.is_local) else { return };
        truth.locals.granted(session.id, session.timeout_ms);
        met.count(if came_back { "local sessions that came back" } else { "local sessions begun" });
    }

    /// Its session, if its member alone knows it and nothing that it has asked may end it or make it everybody's.
    pub(super) fn own_session(&self) -> Option<SessionId> {
        let session = self.client.session.as_ref();
        session.filter(|it| it.is_local && !it.wants_ephemerals && !it.wants_end).map(|session| session.id)
    }

    /// EN15: who comes back to the very role in which it was granted such a session finds it, unless it has expired.
    pub(super) fn has_lost(&self, session: SessionId, now: Reign, ears: &Ears) {
        let is_lost = self.session().is_none() && self.reign == Some((session, now));
        assert!(
            !is_lost || ears.ended.contains_key(&session),
            "EN15: {session} is lost in the role that granted it"
        );
    }

    /// EN15: a connection of such a session is served by none but the role in which it was granted, unless it has asked
    /// for what makes its session everybody's: whether that is so by now it cannot know.
    pub(super) fn look_at_reign(&mut self, now: Reign, is_over: bool, upgrades: bool) {
        let session = self.client.session.as_ref().filter(|session| session.is_local && self.client.is_up);
        let session = session.filter(|session| !(upgrades && session.wants_ephemerals));
        let Some(session) = session.map(|session| session.id).filter(|_| !is_over) else { return };
        match self.reign {
            Some((its, reign)) if its == session => {
                assert_eq!(reign, now, "EN15: {session} is a member's alone and outlives its leader");
            }
            _ => self.reign = Some((session, now)),
        }
    }
}

impl World {
    /// To where its session is, mostly: nobody else knows it.
    pub(super) fn goes_back(&mut self, at: usize, serving: &[ServerId]) -> Option<ServerId> {
        let person = &self.people[at];
        let is_local = person.client.session.as_ref().is_some_and(|session| session.is_local);
        let last = person.last.filter(|last| is_local && serving.contains(last))?;
        self.rng.random_bool(0.8).then_some(last)
    }

    /// Whether nothing is left of a session whose client is gone.
    pub(super) fn is_gone(&self, session: SessionId) -> bool {
        let truth = self.truth.borrow();
        let is_held = |node: &Node| node.lp.core.has_local(session);
        let held = self.members.values().filter_map(|it| it.node.as_deref()).any(is_held);
        truth.has_ended(session)
            || !held && self.setup.settings.local_sessions && truth.history.begun_at(session).is_none()
    }
}
