//! Clients of an ensemble: each speaks the protocol to one member after another, and holds every byte that it gets
//! against the history: EN2, EN4, EN6, and what [`client`](crate::sim::client) and
//! [`watching`](crate::sim::watching) state.

use std::collections::{HashMap, HashSet};

use paddock_messages::ids::{ClientRef, ServerId, SessionId};
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;

use super::EnsembleFault;
use super::local::Reign;
use super::node::Node;
use super::setup::Setup;
use super::truth::Truth;
use crate::sim::client::{Client, DueOfReads, Heard};
use crate::sim::{Met, requests};

/// The most data that a request carries, in bytes.
const MOST_DATA: usize = 60;
/// Requests that a client has under way.
const MOST_DUE: usize = 10;
/// For so long a client waits for any answer, in ms, before it turns to another member.
const PATIENCE_MS: u64 = 4_000;

/// A connection, as its client has it.
pub(super) struct Link {
    pub(super) member: ServerId,
    pub(super) conn: ClientRef,
    /// Not read yet.
    pub(super) to_server: Vec<u8>,
    /// Since when the server has something for it.
    pub(super) answered_ms: Option<u64>,
    /// When it last heard something, or began to wait for it.
    since_ms: u64,
    /// The last xid that was read.
    read_upto: i32,
    /// It has waited for a leader since it was last read.
    parked: Option<Parked>,
    /// It goes to another arbiter of the same member.
    goes_round: bool,
}

/// A connection that waits for a leader.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    /// At first a read stood between two writes in flight.
    pub(super) with_read_between: bool,
}

/// What all clients know together.
#[derive(Default)]
pub(super) struct Ears {
    numbers: HashSet<String>,
    pub(super) heard: Heard,
    /// When the servers ended which session.
    pub(super) ended: HashMap<SessionId, u64>,
}

/// One client.
pub(super) struct Person {
    pub(super) client: Client,
    pub(super) link: Option<Link>,
    /// Whom it was connected to last.
    pub(super) last: Option<ServerId>,
    /// And to which of its arbiters.
    arbiter: u16,
    /// Its session, if that is a member's alone, and under what it was granted.
    pub(super) reign: Option<(SessionId, Reign)>,
    timeout_ms: u64,
    /// It says nothing before.
    pub(super) silent_until_ms: u64,
    next_ping_ms: u64,
    /// Events that a fault holds back.
    late: Vec<u8>,
}

impl Person {
    pub(super) fn new(timeout_ms: u64, setup: &Setup) -> Self {
        let linearizable = setup.settings.linearizable_reads;
        let due_of_reads = if linearizable { DueOfReads::Linearizable } else { DueOfReads::Own };
        Self {
            client: Client::of(due_of_reads),
            link: None,
            last: None,
            arbiter: 0,
            reign: None,
            timeout_ms,
            silent_until_ms: 0,
            next_ping_ms: 0,
            late: Vec::new(),
        }
    }

    pub(super) fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.client.session.as_ref().map(|session| session.id)
    }

    /// Writes answered.
    pub(super) fn done(&self) -> u64 {
        self.client.done.0
    }

    pub(super) fn at(&self) -> Option<ServerId> {
        self.link.as_ref().map(|link| link.member)
    }

    /// Its client is another one from now on, which knows of no session. The old one's connection stays, silent.
    pub(super) fn die(&mut self, setup: &Setup) -> Option<SessionId> {
        self.disconnected();
        let session = self.session();
        *self = Self::new(self.timeout_ms, setup);
        session
    }

    /// Its connection is gone: what it asked may be done or not.
    pub(super) fn disconnected(&mut self) {
        self.link = None;
        self.late.clear();
        self.client.disconnected();
    }

    /// It has a connection: a handshake with its session, if it has one.
    pub(super) fn connect(&mut self, member: ServerId, conn: ClientRef, now_ms: u64) {
        let goes_round = self.last == Some(member) && self.arbiter != conn.arbiter;
        self.arbiter = conn.arbiter;
        if self.last.replace(member) != Some(member) {
            self.client.watching.origins.move_on();
        }
        let to_server = requests::handshake(&self.client, self.timeout_ms as i32);
        let (answered_ms, since_ms, read_upto, parked) = (None, now_ms, self.client.asked(), None);
        self.link =
            Some(Link { member, conn, to_server, answered_ms, since_ms, read_upto, parked, goes_round });
    }

    /// Whether it has waited for an answer for too long.
    pub(super) fn gives_up(&self, now_ms: u64) -> bool {
        let Some(link) = &self.link else { return false };
        let waits = !self.client.is_up || !self.client.due.is_empty();
        waits && now_ms > link.since_ms + PATIENCE_MS
    }

    /// A ping, if it is time, and some requests, if it may send any.
    pub(super) fn ask(&mut self, floor: Zxid, now_ms: u64, rng: &mut StdRng) {
        let Self { client, link: Some(link), .. } = self else { return };
        if !client.is_up {
            return;
        }
        if client.due.is_empty() {
            link.since_ms = now_ms;
        }
        if now_ms >= self.next_ping_ms {
            self.next_ping_ms = now_ms + self.timeout_ms / 3;
            link.to_server.extend(requests::ping(client));
        }
        let is_local = client.session.as_ref().is_some_and(|session| session.is_local);
        if rng.random_bool(if is_local { 0.006 } else { 0.003 }) {
            link.to_server.extend(requests::close(client, floor));
        }
        for _ in 0..rng.random_range(1..5) {
            if client.due.len() >= MOST_DUE || client.is_leaving() {
                break;
            }
            link.to_server.extend(if rng.random_bool(0.15) {
                requests::sync(client, floor)
            } else {
                requests::any(client, floor, MOST_DATA, rng)
            });
        }
    }

    /// Whether it has a session, and not too much under way.
    pub(super) fn may_ask(&self) -> bool {
        let client = &self.client;
        self.link.is_some() && client.is_up && client.due.len() < MOST_DUE && !client.is_leaving()
    }

    /// It asks for this configuration.
    pub(super) fn reconfigure(&mut self, floor: Zxid, members: &str) {
        if let Some(link) = &mut self.link {
            link.to_server.extend(requests::reconfig(&mut self.client, floor, members));
        }
    }

    /// It asks for this server to join the configuration of this version.
    pub(super) fn join(&mut self, floor: Zxid, server: &str, version: u64) {
        if let Some(link) = &mut self.link {
            link.to_server.extend(requests::join(&mut self.client, floor, server, version));
        }
    }

    /// What it has sent comes to `node`, if that reads it. How it was, if it had lost its leader since it was read last.
    pub(super) fn give(&mut self, node: &mut Node) -> Option<Parked> {
        let Self { client, link: Some(link), .. } = self else { return None };
        if !node.reads(link.conn) {
            if client.is_up && !node.is_serving() && link.parked.is_none() {
                link.parked = Some(Parked { with_read_between: client.has_read_between(link.read_upto) });
            }
            return None;
        }
        if !link.to_server.is_empty() {
            node.give(link.conn, &mut link.to_server);
            link.read_upto = client.asked();
        }
        link.parked.take()
    }

    /// What the server sent at `sent_ms` comes now. A session that was given is there until it ends (EN2), which is not
    /// before what its client is told then (EN7).
    pub(super) fn hear(
        &mut self,
        bytes: Vec<u8>,
        (sent_ms, now_ms): (u64, u64),
        (truth, ears, met): (&mut Truth, &mut Ears, &mut Met),
        (setup, rng): (&Setup, &mut StdRng),
    ) {
        let (was_up, before) = (self.client.is_up, self.session());
        let was_local = self.client.session.as_ref().is_some_and(|session| session.is_local);
        let promised = self.promised_ms();
        let bytes = if was_up && setup.has(EnsembleFault::TellLate) { self.delay(&bytes) } else { bytes };
        self.client.receive(&bytes, sent_ms, &mut truth.history, &mut ears.numbers, &mut ears.heard);
        let Some(link) = &mut self.link else { return };
        link.since_ms = now_ms;
        let after = self.client.session.as_ref().map(|session| session.id);
        match (was_up, self.client.is_up) {
            (true, _) => {
                let pongs = self.promised_ms() > promised;
                met.add("pings answered", u64::from(pongs));
            }
            (false, true) => {
                met.count(if before == after { "sessions moved" } else { "sessions begun" });
                let goes_round = before == after && link.goes_round;
                met.add("sessions moved to another arbiter", u64::from(goes_round));
                self.note_local(before == after, truth, met);
                let Some(link) = &mut self.link else { return };
                let floor = truth.acked();
                link.to_server.extend(requests::set_watches(&mut self.client, floor, None, rng));
            }
            (false, false) => {
                if was_local && after.is_none() {
                    met.count("local sessions found ended");
                } else if let Some(session) = before.filter(|_| after.is_none()) {
                    assert!(truth.has_ended(session), "EN2: {session} was given and is not there any more");
                    met.count("sessions found ended");
                }
            }
        }
        if let Some(ended) = after.and_then(|session| ears.ended.get(&session)) {
            let promised = self.promised_ms();
            assert!(
                *ended >= promised,
                "EN7: {after:?} ended at {ended}, and is promised to live until {promised}"
            );
        }
    }

    /// EN7: until when its session was promised to live, as far as it was told.
    pub(super) fn promised_ms(&self) -> u64 {
        self.client.session.as_ref().map_or(0, |session| session.promised_ms)
    }

    /// A mistake, on purpose: each event comes behind the reply that was to follow it.
    fn delay(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut rest, mut out) = (bytes, Vec::new());
        while let Some(length) = rest.first_chunk() {
            let (frame, behind) = rest.split_at(4 + u32::from_be_bytes(*length) as usize);
            rest = behind;
            if frame[4..8] == [0xff; 4] && frame[8..16] != [0xff; 8] {
                self.late.extend_from_slice(frame);
            } else {
                out.extend_from_slice(frame);
                out.append(&mut self.late);
            }
        }
        out
    }
}
