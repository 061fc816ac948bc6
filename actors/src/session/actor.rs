//! The SessionTracker's shell.

use std::collections::BTreeSet;
use std::sync::Arc;

use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Home, Internal, SessionChanges, Silent, Touched};
use paddock_messages::mail::Outbox;
use paddock_messages::roles::{Begin, Judge, MemberLane, MemberMet, Report, SilentAt, Whose};

use super::core::SessionTracker;
use crate::runtime::{Ctx, ExitCode, Serve, Service};
use crate::tree::SharedTree;

/// Looks at the deadlines of the sessions that everybody knows, and at those of this member's alone.
pub type Look = dyn FnOnce(&SessionTracker, Option<&SessionTracker>) + Send;

/// Mail from whoever asks for an operator: look at the cores on their own thread, and post what was found.
pub struct AskTracker(pub Box<Look>);

/// Whom a member of several has beside those of a server alone.
pub struct Others {
    /// The Learner, which tells the leader what is met here.
    pub report: Outbox<Report>,
    /// The Proposer, for sessions of other members: each has the last word on its own.
    pub silent_at: Outbox<SilentAt>,
    /// The same, for sessions that nobody serves.
    pub internal: Outbox<Internal>,
    /// Sessions are found in it.
    pub tree: Arc<SharedTree>,
    /// In ms.
    pub tick_ms: u64,
    /// `localSessionsEnabled`.
    pub local_sessions: bool,
    /// `peerTimeout`, in ms: how long another member may go on to make promises unheard.
    pub peer_timeout_ms: u64,
}

/// See the module.
pub struct SessionTrackerActor {
    core: SessionTracker,
    /// Of the sessions that are this member's alone, in this role (E5).
    local: Option<SessionTracker>,
    judge: Judge,
    /// Each client arbiter's hub, by arbiter: it has the last word on its sessions.
    hubs: Vec<Outbox<Silent>>,
    others: Option<Others>,
    silent: Vec<(SessionId, AttachNumber)>,
    /// The members that have a lane to us.
    members: BTreeSet<ServerId>,
    /// What the leader is to hear: until when each arbiter has told all it met, and what.
    as_of_ms: Vec<u64>,
    met: Vec<SessionId>,
}

impl SessionTrackerActor {
    /// Posts whom to expire to the one of `hubs` that serves them. Without `others` it judges all sessions from
    /// the beginning.
    pub fn new(core: SessionTracker, hubs: Vec<Outbox<Silent>>, others: Option<Others>) -> Self {
        let whose = if others.is_some() { Whose::Nobody } else { Whose::All };
        let judge = Judge { role: Begin::FIRST, whose };
        let as_of_ms = vec![0; hubs.len()];
        Self {
            core,
            local: None,
            judge,
            hubs,
            others,
            silent: Vec::new(),
            members: BTreeSet::new(),
            as_of_ms,
            met: Vec::new(),
        }
    }

    /// E5. What is left of the letter is of sessions that others know, too.
    fn on_local_touched(&mut self, letter: &mut Touched, ctx: &mut Ctx<'_, Self>) {
        let Some(local) = self.local.as_mut().filter(|local| !local.is_empty()) else { return };
        local.on_touched(letter, &mut self.silent);
        letter.sessions.retain(|session| !local.knows(*session));
        self.ask_last_word(letter.arbiter, ctx);
    }

    fn ask_last_word(&mut self, arbiter: u16, ctx: &mut Ctx<'_, Self>) {
        if !self.silent.is_empty() {
            let silent = Silent { role: self.judge.role, sessions: std::mem::take(&mut self.silent) };
            if self.hubs[usize::from(arbiter)].post(silent).is_err() {
                ctx.fatal(ExitCode::ActorGone, "the client arbiter that serves a silent session has ended");
            }
        }
    }

    fn on_touched(&mut self, letter: &Touched, ctx: &mut Ctx<'_, Self>) {
        self.core.on_touched(letter, &mut self.silent);
        self.ask_last_word(letter.arbiter, ctx);
        let Some(others) = self.others.as_ref().filter(|_| letter.arbiter == 0) else { return };
        let mut expired = Vec::new();
        self.core.on_tick(ctx.clock().now_ms(), &mut expired);
        if !expired.is_empty() {
            tracing::info!(
                sessions = expired.len(),
                "no member serves them, and their timeout is over: to be expired"
            );
            if others.internal.post(Internal::Expire(expired)).is_err() {
                ctx.fatal(ExitCode::ActorGone, "the Proposer has ended");
            }
        }
    }

    /// What all arbiters have told goes to the leader, several times a tick even if nothing was met.
    fn pass_on(&mut self, letter: Touched, ctx: &mut Ctx<'_, Self>) {
        let Some(others) = &self.others else { return };
        self.met.extend(letter.sessions);
        self.as_of_ms[usize::from(letter.arbiter)] = letter.as_of_ms;
        if letter.arbiter == 0 {
            let as_of_ms = self.as_of_ms.iter().copied().min().unwrap_or(0);
            let sessions = std::mem::take(&mut self.met);
            if others.report.post(Report { as_of_ms, sessions }).is_err() {
                ctx.fatal(ExitCode::ActorGone, "the Learner has ended");
            }
        }
    }
}

impl Service for SessionTrackerActor {}

impl Serve<SessionChanges> for SessionTrackerActor {
    fn serve(&mut self, letter: SessionChanges, _: &mut Ctx<'_, Self>) {
        if self.judge.whose == Whose::All {
            self.core.on_changes(&letter.0);
        }
        if let Some(local) = &mut self.local {
            local.on_local_changes(&letter.0);
        }
    }
}

impl Serve<Touched> for SessionTrackerActor {
    fn serve(&mut self, mut letter: Touched, ctx: &mut Ctx<'_, Self>) {
        self.on_local_touched(&mut letter, ctx);
        match self.judge.whose {
            Whose::All => self.on_touched(&letter, ctx),
            Whose::TheLeaders => self.pass_on(letter, ctx),
            Whose::Nobody => {}
        }
    }
}

impl Serve<AskTracker> for SessionTrackerActor {
    fn serve(&mut self, letter: AskTracker, _: &mut Ctx<'_, Self>) {
        (letter.0)(&self.core, self.local.as_ref());
    }
}

impl Serve<Judge> for SessionTrackerActor {
    fn serve(&mut self, judge: Judge, ctx: &mut Ctx<'_, Self>) {
        let Some(others) = &self.others else { return };
        let none = || SessionTracker::new(self.hubs.len(), others.tick_ms, ctx.clock().now_ms());
        self.local = others.local_sessions.then(none);
        self.core = none().among_members(others.peer_timeout_ms);
        if judge.whose == Whose::Nobody {
            self.members.clear();
        }
        self.members.iter().for_each(|member| self.core.on_member(*member));
        if judge.whose == Whose::All {
            // Their members may have promised something while they did not hear that their leader was lost.
            self.core.on_found(others.tree.read().sessions(), 2 * others.peer_timeout_ms);
        }
        self.judge = judge;
        self.met.clear();
        self.as_of_ms.fill(0);
    }
}

impl Serve<MemberMet> for SessionTrackerActor {
    fn serve(&mut self, letter: MemberMet, ctx: &mut Ctx<'_, Self>) {
        let MemberMet { member, as_of_ms, sessions } = letter;
        let Some(others) = self.others.as_ref().filter(|_| self.judge.whose == Whose::All) else { return };
        self.core.on_report(Home::Member(member), as_of_ms, &sessions, &mut self.silent);
        let silent = std::mem::take(&mut self.silent);
        if !silent.is_empty() && others.silent_at.post(SilentAt { member, sessions: silent }).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the Proposer has ended");
        }
    }
}

impl Serve<MemberLane> for SessionTrackerActor {
    fn serve(&mut self, MemberLane { member, is_up }: MemberLane, _: &mut Ctx<'_, Self>) {
        if is_up {
            self.members.insert(member);
        } else {
            self.members.remove(&member);
        }
        match self.others.as_ref().filter(|_| self.judge.whose == Whose::All) {
            Some(_) if is_up => self.core.on_member(member),
            Some(others) => self.core.on_member_gone(member, others.peer_timeout_ms),
            None => {}
        }
    }
}
