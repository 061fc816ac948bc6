//! The arbiter's connections, and what each of them holds.

use std::net::SocketAddr;
use std::sync::Arc;

use paddock_messages::client::session::ConnectRequest;
use paddock_messages::ids::{AttachNumber, ConnId, SessionId};
use paddock_messages::znode::Id;
use paddock_messages::zxid::Zxid;

use super::framing::Inbox;
use super::outbox::Outbox;
use super::parking::Parked;
use super::pipeline::Pipeline;
use super::stats::Stats;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing decoded yet.
    First,
    /// The first four bytes were a command; its answer is awaited.
    Word,
    /// The handshake is with the Learner.
    Connecting,
    /// The handshake waits for a leader (C16).
    Waiting,
    /// It has a session.
    Open,
    /// It asked to end its session: nothing more is read; the reply ends it.
    Leaving,
    /// To be closed once its outbox is sent.
    Closing,
}

/// Why a connection that could be read is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// Too many of its own requests, or the member's, are in flight.
    Credit,
    /// Its client does not take its replies.
    Outbox,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) phase: Phase,
    pub(super) stall: Option<Stall>,
    /// While it waits for a leader (C8).
    pub(super) parked: Option<Parked>,
    /// What its handshake asks, until it has its session: of the next leader, if this one is lost (C16).
    pub(super) asks: Option<Box<ConnectRequest>>,
    pub(super) inbox: Inbox,
    pub(super) pipeline: Pipeline,
    pub(super) outbox: Outbox,
    pub(super) ids: Arc<[Id]>,
    pub(super) session: SessionId,
    pub(super) attach: AttachNumber,
    pub(super) timeout_ms: i32,
    /// Whether its session is this member's alone (C11).
    pub(super) is_local: bool,
    /// Whether the handshake carried the read-only byte.
    pub(super) has_flag: bool,
    /// Since when what is in the inbox has been held back, in ms (C13).
    pub(super) held_since_ms: Option<u64>,
    /// Pings whose turn came while the member could not vouch for the session.
    pub(super) owed_pings: u32,
    /// In ms: accepted; last heard of; the socket last took something or had nothing to take.
    pub(super) accepted_ms: u64,
    pub(super) heard_ms: u64,
    pub(super) took_ms: u64,
    /// When it last gave or was given a sign of life, in ms.
    pub(super) touched_ms: u64,
    /// When a ping was last answered, which may have waited: a promise from then on (E1), in ms.
    pub(super) answered_ms: u64,
    pub(super) stats: Stats,
    /// The last header zxid (W1).
    pub(super) last: Zxid,
    /// Whether it is on the list of that name already.
    pub(super) is_ready: bool,
    pub(super) is_resumable: bool,
    pub(super) is_held: bool,
    pub(super) is_woken: bool,
    pub(super) is_told: bool,
    pub(super) is_touched: bool,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, ids: Arc<[Id]>, now_ms: u64) -> Self {
        Self {
            peer,
            phase: Phase::First,
            stall: None,
            parked: None,
            asks: None,
            inbox: Inbox::default(),
            pipeline: Pipeline::default(),
            outbox: Outbox::default(),
            ids,
            session: SessionId::NONE,
            attach: AttachNumber::default(),
            timeout_ms: 0,
            is_local: false,
            has_flag: false,
            held_since_ms: None,
            owed_pings: 0,
            accepted_ms: now_ms,
            heard_ms: now_ms,
            took_ms: now_ms,
            touched_ms: now_ms,
            answered_ms: 0,
            stats: Stats::default(),
            last: Zxid::ZERO,
            is_ready: false,
            is_resumable: false,
            is_held: false,
            is_woken: false,
            is_told: false,
            is_touched: false,
        }
    }
}

impl Connection {
    /// Until when its session was promised to live, in ms (E1).
    pub(super) fn promised_ms(&self) -> u64 {
        self.touched_ms.max(self.answered_ms) + u64::try_from(self.timeout_ms).unwrap_or(0)
    }
}

/// Connections by slot; a slot's generation rises with each use (C5).
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Of each new slot: drawn, so that mail about a connection of an earlier process reaches nobody.
    pub(super) first_generation: u32,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// A watcher is a slot in 28 bits.
const MAX_SLOTS: usize = 1 << 28;

impl Connections {
    pub(super) fn insert(&mut self, connection: Connection) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            assert!(self.slots.len() < MAX_SLOTS, "descriptors end long before");
            self.slots.push(Slot { generation: self.first_generation, ..Slot::default() });
            u32::try_from(self.slots.len() - 1).expect("below 2^28")
        });
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        place.connection = Some(Box::new(connection));
        ConnId { slot, generation: place.generation }
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        let connection = place.connection.take()?;
        self.free.push(id.slot);
        Some(connection)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        let place = self.slots.get(id.slot as usize).filter(|place| place.generation == id.generation)?;
        place.connection.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        place.connection.as_deref_mut()
    }

    /// Whoever is in `slot` now.
    pub(super) fn in_slot(&mut self, slot: u32) -> Option<(ConnId, &mut Connection)> {
        let place = self.slots.get_mut(slot as usize)?;
        let id = ConnId { slot, generation: place.generation };
        place.connection.as_deref_mut().map(|connection| (id, connection))
    }

    /// How many slots there are, used or not.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("below 2^28")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        (0..).zip(&self.slots).filter_map(|(slot, place)| {
            let id = ConnId { slot, generation: place.generation };
            place.connection.as_deref().map(|connection| (id, connection))
        })
    }
}
