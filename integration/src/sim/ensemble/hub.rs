//! A member's client arbiter, as its shell has it: what it is told, what clients give it, and what it asks the Learner.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, Entrance, Serving};
use paddock_actors::session::core::REPORTS_PER_TICK;
use paddock_actors::tree::SharedTree;
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::ids::ConnId;
use paddock_messages::letters::{Silent, Submission, Submissions};
use paddock_messages::roles::Over;

use super::EnsembleFault;
use super::mail::{Control, Letter, Part};
use super::node::Node;
use super::sessions::TICK_MS;
use super::setup::Setup;

/// The client arbiter.
pub(super) struct Hub {
    core: ArbiterCore,
    pub(super) rules: Arc<AuthRules>,
    role: u64,
    /// Clients are served.
    pub(super) is_open: bool,
    next_report_ms: u64,
    /// When time is up for connections that wait for a leader.
    park_over_ms: Option<u64>,
}

impl Hub {
    pub(super) fn new(setup: &Setup, tree: &Arc<SharedTree>, generation: u32) -> Self {
        let (rules, entrance) = (Arc::new(AuthRules::default()), Arc::new(Entrance::default()));
        let settings = Arc::clone(&setup.settings);
        let core = ArbiterCore::new(0, settings, Arc::clone(&rules), Arc::clone(tree), entrance);
        let core = core.number_from(generation);
        Self { core, rules, role: 0, is_open: false, next_report_ms: 0, park_over_ms: None }
    }
}

impl Node {
    /// A client dials.
    pub(super) fn accept(&mut self) -> ConnId {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1_024));
        self.hub.core.on_accept(peer, self.now_ms).expect("there is no limit")
    }

    /// The arbiter reads what a client sent, if it wants to; what it does not stays in `from`.
    pub(super) fn give(&mut self, conn: ConnId, from: &mut Vec<u8>) {
        if self.hub.core.wants_read(conn) {
            self.hub.core.on_bytes(conn, from, self.now_ms);
            from.clear();
            self.collect();
        }
    }

    /// Whether the arbiter reads the connection.
    pub(super) fn reads(&self, conn: ConnId) -> bool {
        self.hub.core.wants_read(conn)
    }

    /// Whether the arbiter has something for the connection.
    pub(super) fn has_unsent(&self, conn: ConnId) -> bool {
        !self.hub.core.unsent(conn).is_empty()
    }

    /// Whether the arbiter has done with the connection, but for what is unsent.
    pub(super) fn is_over(&self, conn: ConnId) -> bool {
        self.hub.core.is_over(conn)
    }

    /// The socket takes all there is.
    pub(super) fn take(&mut self, conn: ConnId) -> Vec<u8> {
        let bytes = self.hub.core.unsent(conn).to_vec();
        self.hub.core.on_sent(conn, bytes.len(), self.now_ms);
        self.collect();
        bytes
    }

    /// The client's end is closed, and the arbiter is told.
    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.hub.core.on_closed(conn);
        self.collect();
    }

    /// Sends on what a step of the arbiter brought.
    fn collect(&mut self) {
        let core = &mut self.hub.core;
        core.take_notices();
        core.take_woken(&mut Vec::new());
        if core.has_submissions() {
            let (role, mut items) = (self.hub.role, core.take_submissions());
            if self.setup.has(EnsembleFault::ParkUnasked) {
                self.answer_revalidations(&mut items);
            }
            self.post(Part::Learner, Letter::Submissions(Submissions { role, items }));
        }
    }

    pub(super) fn on_control(&mut self, control: Control) {
        let now_ms = self.now_ms;
        let hub = &mut self.hub;
        match control {
            Control::Begin(role) => {
                hub.role = role;
                hub.core.begin_role();
            }
            Control::Serve(everybody) => {
                hub.is_open = everybody;
                hub.core.serve(if everybody { Serving::Everybody } else { Serving::Nobody }, now_ms);
            }
            Control::Vouch { until_ms } => hub.core.vouch(until_ms, now_ms),
            Control::Park => {
                let done = hub.core.park(now_ms);
                hub.park_over_ms = Some(now_ms + self.setup.settings.park_ms + 1);
                *self.met.entry("connections parked").or_default() += done.parked as u64;
                *self.met.entry("connections not to be parked").or_default() += done.closed as u64;
            }
            Control::CloseAll => hub.core.close_all(),
            Control::FeedReady => hub.core.drain_feed(now_ms),
        }
        self.collect();
    }

    /// Of sessions that are found silent, those to which nothing is promised.
    pub(super) fn on_silent(&mut self, Silent { role, sessions: silent }: Silent) {
        let sessions = self.hub.core.on_expire(silent, self.now_ms);
        self.collect();
        if !sessions.is_empty() {
            self.post(Part::Learner, Letter::Over(Over { role, sessions }));
        }
    }

    /// What time brings: several times a tick, what was met since the last time.
    pub(super) fn hub_time(&mut self) {
        if self.hub.park_over_ms.is_some_and(|at| self.now_ms >= at) {
            self.hub.park_over_ms = None;
            let closed = self.hub.core.on_park_over(self.now_ms) as u64;
            *self.met.entry("connections parked in vain").or_default() += closed;
            self.collect();
        }
        if self.now_ms < self.hub.next_report_ms {
            return;
        }
        self.hub.next_report_ms = self.now_ms + TICK_MS / REPORTS_PER_TICK;
        let touched = self.hub.core.on_tick(self.now_ms);
        self.post(Part::Sessions, Letter::Touched(touched));
        self.collect();
    }

    /// A mistake, on purpose: the arbiter believes that its parked sessions live on.
    fn answer_revalidations(&mut self, items: &mut Vec<Submission>) {
        let tree = Arc::clone(&self.tree);
        let mut writer = tree.write();
        items.retain(|item| {
            let Submission::Revalidate { client, session, attach, timeout_ms } = *item else { return true };
            writer.push(0, FeedItem::Attached { conn: client.conn, session, attach, timeout_ms });
            false
        });
        self.commit(writer);
    }
}
