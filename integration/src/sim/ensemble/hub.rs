//! A member's client arbiters, as their shells have them: what each is told, what clients give it, and what it asks the
//! Learner.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, Entrance, Serving};
use paddock_actors::session::core::REPORTS_PER_TICK;
use paddock_actors::tree::SharedTree;
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::ids::{ClientRef, SessionId};
use paddock_messages::letters::{Silent, Submission, Submissions, Touched};
use paddock_messages::roles::Over;

use super::EnsembleFault;
use super::local::put_upgrades_behind;
use super::mail::{Control, Letter, Part};
use super::node::Node;
use super::reads_only::only_reads;
use super::sessions::TICK_MS;
use super::setup::Setup;

/// A client arbiter.
pub(super) struct Hub {
    core: ArbiterCore,
    pub(super) rules: Arc<AuthRules>,
    pub(super) role: u64,
    /// Clients are served.
    pub(super) is_open: bool,
    /// Who only reads is, and nobody else.
    pub(super) reads_only: bool,
    next_report_ms: u64,
    /// When time is up for connections that wait for a leader.
    park_over_ms: Option<u64>,
    /// The last write that each session asked.
    asked: HashMap<SessionId, i32>,
}

impl Hub {
    /// All of a member.
    pub(super) fn all(setup: &Setup, tree: &Arc<SharedTree>, generation: u32) -> Vec<Self> {
        let (rules, entrance) = (Arc::new(AuthRules::default()), Arc::new(Entrance::default()));
        (0..setup.arbiters)
            .map(|arbiter| Self::new(arbiter, setup, tree, (&rules, &entrance), generation))
            .collect()
    }

    fn new(
        arbiter: u16,
        setup: &Setup,
        tree: &Arc<SharedTree>,
        (rules, entrance): (&Arc<AuthRules>, &Arc<Entrance>),
        generation: u32,
    ) -> Self {
        let (settings, rules) = (Arc::clone(&setup.settings), Arc::clone(rules));
        let feed = setup.feed_of(arbiter);
        let core =
            ArbiterCore::new(feed, settings, Arc::clone(&rules), Arc::clone(tree), Arc::clone(entrance));
        let core = core.number_from(generation);
        Self {
            core,
            rules,
            role: 0,
            is_open: false,
            reads_only: false,
            next_report_ms: 0,
            park_over_ms: None,
            asked: HashMap::new(),
        }
    }

    /// How many of these are writes that were asked before, and how many are reads in front of such (C17).
    fn asked_again(&mut self, items: &[Submission]) -> (u64, u64) {
        let (mut writes, mut reads) = (0, 0);
        for item in items {
            match item {
                Submission::Write { from, xid, .. } => {
                    let last = self.asked.entry(from.session).or_default();
                    writes += u64::from(*xid <= *last);
                    *last = (*last).max(*xid);
                }
                Submission::Read { from, xid, .. } => reads += u64::from(self.is_again(from.session, *xid)),
                _ => {}
            }
        }
        (writes, reads)
    }

    /// Whether a read of this xid stands in front of a write that was asked before. Others have none that is positive.
    fn is_again(&self, session: SessionId, xid: i32) -> bool {
        xid > 0 && self.asked.get(&session).is_some_and(|last| xid < *last)
    }

    /// A mistake, on purpose: a read is asked again behind the write that it stood in front of.
    fn put_reads_behind(&self, items: &mut [Submission]) {
        for at in 1..items.len() {
            let [Submission::Read { from, xid, .. }, Submission::Write { from: behind, .. }] =
                &items[at - 1..=at]
            else {
                continue;
            };
            if from.session == behind.session && self.is_again(from.session, *xid) {
                items.swap(at - 1, at);
            }
        }
    }
}

impl Node {
    /// A client dials.
    pub(super) fn accept(&mut self) -> ClientRef {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1_024));
        let arbiter = self.any_arbiter();
        let conn =
            self.hubs[usize::from(arbiter)].core.on_accept(peer, self.now_ms).expect("there is no limit");
        ClientRef { arbiter, conn }
    }

    /// The arbiter reads what a client sent, if it wants to; what it does not stays in `from`.
    pub(super) fn give(&mut self, of: ClientRef, from: &mut Vec<u8>) {
        if self.hub_of(of).core.wants_read(of.conn) {
            self.hubs[usize::from(of.arbiter)].core.on_bytes(of.conn, from, self.now_ms);
            from.clear();
            self.collect(of.arbiter);
        }
    }

    /// Whether the arbiter reads the connection.
    pub(super) fn reads(&self, of: ClientRef) -> bool {
        self.hub_of(of).core.wants_read(of.conn)
    }

    /// Whether the arbiter has something for the connection.
    pub(super) fn has_unsent(&self, of: ClientRef) -> bool {
        !self.hub_of(of).core.unsent(of.conn).is_empty()
    }

    /// Whether the arbiter has done with the connection, but for what is unsent.
    pub(super) fn is_over(&self, of: ClientRef) -> bool {
        self.hub_of(of).core.is_over(of.conn)
    }

    /// The socket takes all there is.
    pub(super) fn take(&mut self, of: ClientRef) -> Vec<u8> {
        let core = &mut self.hubs[usize::from(of.arbiter)].core;
        let bytes = core.unsent(of.conn).to_vec();
        core.on_sent(of.conn, bytes.len(), self.now_ms);
        self.collect(of.arbiter);
        bytes
    }

    /// The client's end is closed, and the arbiter is told.
    pub(super) fn hang_up(&mut self, of: ClientRef) {
        self.hubs[usize::from(of.arbiter)].core.on_closed(of.conn);
        self.collect(of.arbiter);
    }

    /// Sends on what a step of the arbiter brought.
    fn collect(&mut self, arbiter: u16) {
        let hub = &mut self.hubs[usize::from(arbiter)];
        let core = &mut hub.core;
        core.take_notices();
        core.take_woken(&mut Vec::new());
        if core.has_submissions() {
            let (role, mut items) = (hub.role, core.take_submissions());
            if self.setup.has(EnsembleFault::AskReadsBehind) {
                hub.put_reads_behind(&mut items);
            }
            let (writes, reads) = hub.asked_again(&items);
            *self.met.entry("writes asked again").or_default() += writes;
            *self.met.entry("reads between writes asked again").or_default() += reads;
            assert!(!hub.reads_only || only_reads(&items), "EN16: {} takes {items:?} on", self.me);
            if self.setup.has(EnsembleFault::ParkUnasked) {
                self.answer_revalidations(&mut items);
            }
            if self.setup.has(EnsembleFault::UpgradeBehind) {
                put_upgrades_behind(&mut items);
            }
            self.post(Part::Learner, Letter::Submissions(Submissions { role, items }));
        }
    }

    pub(super) fn at_hub(&mut self, arbiter: u16, letter: Letter) {
        match letter {
            Letter::Control(it) => self.on_control(arbiter, it),
            Letter::Silent(it) => self.on_silent(arbiter, it),
            _ => unreachable!("no other letter is for a client arbiter"),
        }
    }

    /// Clients come behind it (C16).
    pub(super) fn await_first_leader(&mut self) {
        (0..self.setup.arbiters).for_each(|arbiter| self.on_control(arbiter, Control::Park));
    }

    fn on_control(&mut self, arbiter: u16, control: Control) {
        let now_ms = self.now_ms;
        let hub = &mut self.hubs[usize::from(arbiter)];
        match control {
            Control::Begin(role) => {
                hub.role = role;
                hub.core.begin_role();
            }
            Control::Serve(everybody) => {
                (hub.is_open, hub.reads_only) = (everybody, false);
                hub.core.serve(if everybody { Serving::Everybody } else { Serving::Nobody }, now_ms);
            }
            Control::ServeReads => {
                hub.reads_only = true;
                let everybody = self.setup.has(EnsembleFault::ServeWithoutQuorum);
                hub.core.serve(if everybody { Serving::Everybody } else { Serving::ReadOnly }, now_ms);
            }
            Control::Vouch { until_ms } => hub.core.vouch(until_ms, now_ms),
            Control::Park if self.setup.has(EnsembleFault::KeepLocalSessions) => {}
            Control::Park => {
                let done = hub.core.park(now_ms);
                hub.park_over_ms = Some(now_ms + self.setup.settings.park_ms + 1);
                *self.met.entry("connections parked").or_default() += done.parked as u64;
                *self.met.entry("connections not to be parked").or_default() += done.closed as u64;
            }
            Control::CloseAll => hub.core.close_all(),
            Control::FeedReady => hub.core.drain_feed(now_ms),
        }
        self.collect(arbiter);
    }

    /// Of sessions that are found silent, those to which nothing is promised.
    fn on_silent(&mut self, arbiter: u16, Silent { role, sessions: silent }: Silent) {
        let sessions = self.hubs[usize::from(arbiter)].core.on_expire(silent, self.now_ms);
        self.collect(arbiter);
        if !sessions.is_empty() {
            self.post(Part::Learner, Letter::Over(Over { role, sessions }));
        }
    }

    /// What time brings: several times a tick, what was met since the last time.
    pub(super) fn hub_time(&mut self) {
        (0..self.setup.arbiters).for_each(|arbiter| self.time_of(arbiter));
    }

    fn time_of(&mut self, arbiter: u16) {
        let now_ms = self.now_ms;
        let hub = &mut self.hubs[usize::from(arbiter)];
        if hub.park_over_ms.take_if(|at| now_ms >= *at).is_some() {
            let closed = hub.core.on_park_over(now_ms) as u64;
            *self.met.entry("connections parked in vain").or_default() += closed;
            self.collect(arbiter);
        }
        let hub = &mut self.hubs[usize::from(arbiter)];
        if now_ms < hub.next_report_ms {
            return;
        }
        hub.next_report_ms = now_ms + TICK_MS / REPORTS_PER_TICK;
        let touched = Touched { arbiter, ..hub.core.on_tick(now_ms) };
        self.post(Part::Sessions, Letter::Touched(touched));
        self.collect(arbiter);
    }

    /// A mistake, on purpose: the arbiter believes that its parked sessions live on.
    fn answer_revalidations(&mut self, items: &mut Vec<Submission>) {
        let tree = Arc::clone(&self.tree);
        let mut writer = tree.write();
        items.retain(|item| {
            let Submission::Revalidate { client, session, attach, timeout_ms } = *item else { return true };
            writer
                .push(client.arbiter, FeedItem::Attached { conn: client.conn, session, attach, timeout_ms });
            false
        });
        self.commit(writer);
    }
}
