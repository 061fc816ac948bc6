//! Sessions' signs of life: the client arbiter that meets them and has the last word, and the SessionTracker, as
//! their shells have them.

use std::collections::{BTreeMap, BTreeSet};

use paddock_actors::session::core::{REPORTS_PER_TICK, SessionTracker};
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Home, Internal, SessionChanges, Silent, Submission, Submissions, Touched};
use paddock_messages::roles::{Begin, Judge, MemberLane, MemberMet, Over, Report, SilentAt, Whose};

use super::EnsembleFault;
use super::mail::{Control, Letter, Part};
use super::node::{Effect, Node};
use super::setup::PEER_TIMEOUT_MS;

/// A tick, in ms.
const TICK_MS: u64 = 2_000;

/// A session whose attachment has been applied here.
struct Served {
    /// Until when its client was promised that it lives.
    promised_ms: u64,
    /// Whether it gave a sign of life since the last report.
    touched: bool,
}

/// The client arbiter.
#[derive(Default)]
pub(super) struct Hub {
    role: u64,
    /// Clients are served.
    pub(super) is_open: bool,
    vouched_until_ms: u64,
    served: BTreeMap<SessionId, Served>,
    next_report_ms: u64,
}

/// The SessionTracker.
pub(super) struct Judging {
    core: SessionTracker,
    judge: Judge,
    members: BTreeSet<ServerId>,
}

impl Judging {
    pub(super) fn new(now_ms: u64) -> Self {
        let judge = Judge { role: Begin::FIRST, whose: Whose::Nobody };
        Self { core: tracker(now_ms), judge, members: BTreeSet::new() }
    }
}

fn tracker(now_ms: u64) -> SessionTracker {
    SessionTracker::new(1, TICK_MS, now_ms).among_members(PEER_TIMEOUT_MS)
}

impl Node {
    /// What the feed has for clients goes to them. Who is told that its session is attached is promised as much
    /// as by a ping.
    fn drain_feed(&mut self) {
        let mut items = Vec::new();
        self.tree.feeds()[0].drain(&mut items);
        for item in &items {
            if let FeedItem::Attached { session, timeout_ms, .. } = item {
                let promised_ms = self.now_ms + *timeout_ms as u64;
                self.hub.served.insert(*session, Served { promised_ms, touched: true });
            }
        }
        self.effects.push(Effect::Answer(items));
    }

    /// A ping of a session that is attached here; whether it is answered.
    pub(super) fn ping(&mut self, session: SessionId, timeout_ms: u64) -> bool {
        let may = self.now_ms <= self.hub.vouched_until_ms;
        let Some(served) = self.hub.served.get_mut(&session) else { return false };
        served.touched = true;
        if may {
            served.promised_ms = self.now_ms + timeout_ms;
        }
        may
    }

    /// What clients of this member ask.
    pub(super) fn submit(&mut self, items: Vec<Submission>) {
        let role = self.hub.role;
        self.post(Part::Learner, Letter::Submissions(Submissions { role, items }));
    }

    pub(super) fn on_control(&mut self, control: Control) {
        match control {
            Control::Begin(role) => self.hub.role = role,
            Control::Serve(everybody) => self.hub.is_open = everybody,
            Control::Vouch { until_ms } => self.hub.vouched_until_ms = until_ms,
            Control::CloseAll => {
                let now_ms = self.now_ms;
                self.hub.served.retain(|_, served| served.promised_ms > now_ms); // what was promised holds
                self.effects.push(Effect::CloseAll);
            }
            Control::FeedReady => self.drain_feed(),
        }
    }

    /// Of sessions that are found silent, those to which nothing is promised.
    pub(super) fn on_silent(&mut self, Silent { role, sessions: mut silent }: Silent) {
        self.drain_feed(); // who is just told that its session lives is promised that
        let now = self.now_ms;
        silent.retain(|(session, _)| {
            self.hub.served.get(session).is_none_or(|served| served.promised_ms <= now)
        });
        for (session, _) in &silent {
            self.hub.served.remove(session);
            self.effects.push(Effect::CloseSession(*session));
        }
        if !silent.is_empty() {
            self.post(Part::Learner, Letter::Over(Over { role, sessions: silent }));
        }
    }

    /// Several times a tick: what was met since the last time.
    pub(super) fn report(&mut self) {
        if self.now_ms < self.hub.next_report_ms {
            return;
        }
        self.hub.next_report_ms = self.now_ms + TICK_MS / REPORTS_PER_TICK;
        let touched =
            |(session, it): (&SessionId, &mut Served)| std::mem::take(&mut it.touched).then_some(*session);
        let sessions = self.hub.served.iter_mut().filter_map(touched).collect();
        let touched = Touched { arbiter: 0, as_of_ms: self.now_ms, sessions };
        self.post(Part::Sessions, Letter::Touched(touched));
    }

    pub(super) fn on_touched(&mut self, touched: Touched) {
        let role = self.judging.judge.role;
        match self.judging.judge.whose {
            Whose::All => {
                let (mut sessions, mut expired) = (Vec::new(), Vec::new());
                self.judging.core.on_touched(&touched, &mut sessions);
                if !sessions.is_empty() {
                    self.post(Part::Hub, Letter::Silent(Silent { role, sessions }));
                }
                self.judging.core.on_tick(self.now_ms, &mut expired);
                if !expired.is_empty() {
                    self.post(Part::Proposer, Letter::Internal(Internal::Expire(expired)));
                }
            }
            Whose::TheLeaders => {
                let Touched { as_of_ms, sessions, .. } = touched;
                self.post(Part::Learner, Letter::Report(Report { as_of_ms, sessions }));
            }
            Whose::Nobody => {}
        }
    }

    pub(super) fn on_session_changes(&mut self, changes: &SessionChanges) {
        if self.judging.judge.whose == Whose::All {
            self.judging.core.on_changes(&changes.0);
        }
    }

    /// A new leader finds sessions that somebody else may have promised something.
    pub(super) fn on_judge(&mut self, judge: Judge) {
        let Judging { core, members, judge: last } = &mut self.judging;
        *core = tracker(self.now_ms);
        if judge.whose == Whose::Nobody {
            members.clear();
        }
        members.iter().for_each(|member| core.on_member(*member));
        if judge.whose == Whose::All {
            let tree = self.tree.read();
            if self.setup.has(EnsembleFault::ExpireFound) {
                core.on_found(tree.sessions().map(|(session, _)| (session, 1)), 0);
            } else {
                core.on_found(tree.sessions(), 2 * PEER_TIMEOUT_MS);
            }
        }
        *last = judge;
    }

    /// What a learner has met.
    pub(super) fn on_member_met(&mut self, MemberMet { member, as_of_ms, sessions }: MemberMet) {
        if self.judging.judge.whose != Whose::All {
            return;
        }
        let mut silent = Vec::new();
        self.judging.core.on_report(Home::Member(member), as_of_ms, &sessions, &mut silent);
        if silent.is_empty() {
            return;
        }
        if self.setup.has(EnsembleFault::ExpireUnasked) {
            self.post(Part::Proposer, Letter::Internal(Internal::Expire(silent)));
        } else {
            self.post(Part::Proposer, Letter::SilentAt(SilentAt { member, sessions: silent }));
        }
    }

    pub(super) fn on_member_lane(&mut self, MemberLane { member, is_up }: MemberLane) {
        let Judging { core, members, judge } = &mut self.judging;
        if is_up {
            members.insert(member);
        } else {
            members.remove(&member);
        }
        match judge.whose {
            Whose::All if is_up => core.on_member(member),
            Whose::All => core.on_member_gone(member, PEER_TIMEOUT_MS),
            _ => {}
        }
    }
}
