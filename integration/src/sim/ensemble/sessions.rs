//! Sessions' signs of life: what a member tells its leader, what the leader makes of it, and the last word of
//! the member that serves the session.

use paddock_actors::proposer::Proposer;
use paddock_actors::quorum_peer::Progress;
use paddock_actors::session::core::{REPORTS_PER_TICK, SessionTracker};
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Home, Internal, SessionChange, Touched};

use super::EnsembleFault;
use super::node::{Effect, Node, Role};
use super::setup::{PEER_TIMEOUT_MS, SimQuorum};

/// A tick, in ms.
pub(super) const TICK_MS: u64 = 2_000;

/// A session whose attachment has been applied here.
pub(super) struct Served {
    attach: AttachNumber,
    /// Until when its client was promised that it lives.
    promised_ms: u64,
    /// Whether it gave a sign of life since the last report.
    touched: bool,
}

impl Node {
    /// A session is attached here: its client is told, which promises as much as a ping.
    pub(super) fn attached(&mut self, session: SessionId, attach: AttachNumber, timeout_ms: i32) {
        let promised_ms = self.now_ms + timeout_ms as u64;
        self.served.insert(session, Served { attach, promised_ms, touched: true });
    }

    /// A ping of a session that is attached here; whether it is answered.
    pub(super) fn ping(&mut self, session: SessionId, timeout_ms: u64) -> bool {
        let may = self.peer.may_promise(self.now_ms, &self.progress());
        let Some(served) = self.served.get_mut(&session) else { return false };
        served.touched = true;
        if may {
            served.promised_ms = self.now_ms + timeout_ms;
        }
        may
    }

    pub(super) fn progress(&self) -> Progress {
        match &self.role {
            Role::Looking => Progress::Looking,
            Role::Leading(reign, _) => reign.progress(),
            Role::Following(_, stay) => stay.progress(),
        }
    }

    /// A new leader finds sessions that somebody else may have promised something.
    pub(super) fn track(&mut self) {
        let mut tracker = SessionTracker::new(1, TICK_MS, self.now_ms).among_members(PEER_TIMEOUT_MS);
        if let Progress::Leading(reign) = self.progress() {
            reign.connected.into_iter().for_each(|member| tracker.on_member(member));
        }
        let tree = self.tree.read();
        if self.setup.has(EnsembleFault::ExpireFound) {
            tracker.on_found(tree.sessions().map(|(session, _)| (session, 1)), 0);
        } else {
            tracker.on_found(tree.sessions(), 2 * PEER_TIMEOUT_MS);
        }
        drop(tree);
        self.tracker = Some(tracker);
    }

    pub(super) fn tracked(&mut self, changes: &[SessionChange]) {
        if let Some(tracker) = &mut self.tracker {
            tracker.on_changes(changes);
        }
    }

    /// A learner is served no more. What was vouched for it lasts a timeout.
    pub(super) fn lost_member(&mut self, member: ServerId) {
        if let Some(tracker) = &mut self.tracker {
            tracker.on_member_gone(member, PEER_TIMEOUT_MS);
        }
    }

    /// Several times a tick: what was met since the last time.
    pub(super) fn report(&mut self) {
        if self.now_ms < self.next_report_ms {
            return;
        }
        self.next_report_ms = self.now_ms + TICK_MS / REPORTS_PER_TICK;
        let touched =
            |(session, it): (&SessionId, &mut Served)| std::mem::take(&mut it.touched).then_some(*session);
        let sessions: Vec<SessionId> = self.served.iter_mut().filter_map(touched).collect();
        let now = self.now_ms;
        if let Some(tracker) = &mut self.tracker {
            let (mut silent, mut expired) = (Vec::new(), Vec::new());
            tracker.on_touched(&Touched { arbiter: 0, as_of_ms: now, sessions }, &mut silent);
            tracker.on_tick(now, &mut expired);
            expired.extend(self.last_word(silent));
            self.expire(expired);
        } else {
            self.with_stay(|stay, out| stay.on_touched(now, sessions, out));
        }
    }

    /// What a learner has met.
    pub(super) fn reported(&mut self, from: ServerId, as_of_ms: u64, sessions: &[SessionId]) {
        let mut silent = Vec::new();
        if let Some(tracker) = &mut self.tracker {
            tracker.on_report(Home::Member(from), as_of_ms, sessions, &mut silent);
        }
        if silent.is_empty() {
            return;
        }
        if self.setup.has(EnsembleFault::ExpireUnasked) {
            self.expire(silent);
        } else {
            self.with_reign(|reign, out| reign.on_silent(from, silent, out));
        }
    }

    /// Of sessions that the leader finds silent, those to which nothing is promised. One whose attachment has
    /// not been applied here yet is about to be told that it lives.
    pub(super) fn last_word(
        &mut self,
        mut silent: Vec<(SessionId, AttachNumber)>,
    ) -> Vec<(SessionId, AttachNumber)> {
        let now = self.now_ms;
        silent.retain(|(session, attach)| {
            let served = self.served.get(session).filter(|served| served.attach >= *attach);
            served.is_some_and(|served| served.promised_ms <= now)
        });
        for (session, _) in &silent {
            self.served.remove(session);
            self.effects.push(Effect::CloseSession(*session));
        }
        silent
    }

    pub(super) fn expire(&mut self, sessions: Vec<(SessionId, AttachNumber)>) {
        if sessions.is_empty() {
            return;
        }
        let now = self.wall_ms();
        self.with_proposer(|proposer: &mut Proposer<SimQuorum>, tree, out| {
            proposer.on_internal(tree, Internal::Expire(sessions), now, out);
            proposer.check(tree.last_zxid());
        });
    }
}
