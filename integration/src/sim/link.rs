//! A connection between a client and an arbiter: bytes under way, in order, in any pieces.

use std::collections::VecDeque;

use paddock_messages::ids::ConnId;
use rand::Rng;
use rand::rngs::StdRng;

use super::node::Node;

pub(super) struct Link {
    pub(super) arbiter: u16,
    pub(super) conn: ConnId,
    /// Whose it is, until the client gives it up.
    pub(super) client: Option<usize>,
    pub(super) to_server: VecDeque<u8>,
    /// With the time at which the server answered it, or somewhat before.
    pub(super) to_client: VecDeque<(u64, Vec<u8>)>,
    /// Since when the server has something to send.
    pub(super) answered_ms: Option<u64>,
    /// Nothing from the client arrives before.
    pub(super) frozen_until: u64,
    /// The server has closed it.
    pub(super) over: bool,
}

impl Link {
    /// The server reads a piece, if it wants to.
    pub(super) fn give(&mut self, node: &mut Node, rng: &mut StdRng) {
        let core = &mut node.arbiters[usize::from(self.arbiter)];
        if !core.wants_read(self.conn) {
            return;
        }
        let most = if rng.random_bool(0.8) {
            self.to_server.len()
        } else {
            rng.random_range(1..=self.to_server.len())
        };
        let piece: Vec<u8> = self.to_server.drain(..most).collect();
        core.on_bytes(self.conn, &piece, node.now_ms);
        node.collect(self.arbiter);
    }

    /// Whether the socket would take something, or the server has done with it.
    pub(super) fn is_due(&self, node: &Node) -> bool {
        let core = &node.arbiters[usize::from(self.arbiter)];
        !self.over && (!core.unsent(self.conn).is_empty() || core.is_over(self.conn))
    }

    /// Notes since when the server has something to send; to be called before time passes.
    pub(super) fn note(&mut self, node: &Node) {
        let core = &node.arbiters[usize::from(self.arbiter)];
        if core.unsent(self.conn).is_empty() {
            self.answered_ms = None;
        } else {
            self.answered_ms.get_or_insert(node.now_ms);
        }
    }

    /// The socket takes a piece; with nothing left of a connection that is over, it closes.
    pub(super) fn take(&mut self, node: &mut Node, rng: &mut StdRng) {
        let core = &mut node.arbiters[usize::from(self.arbiter)];
        let unsent = core.unsent(self.conn);
        let most = if rng.random_bool(0.8) { unsent.len() } else { rng.random_range(0..=unsent.len()) };
        if most > 0 {
            self.to_client.push_back((self.answered_ms.unwrap_or(node.now_ms), unsent[..most].to_vec()));
            core.on_sent(self.conn, most, node.now_ms);
        }
        if core.is_over(self.conn) && core.unsent(self.conn).is_empty() {
            core.on_closed(self.conn);
            self.over = true;
        }
        node.collect(self.arbiter);
    }

    /// The client's end is closed.
    pub(super) fn hang_up(&mut self, node: &mut Node) {
        node.arbiters[usize::from(self.arbiter)].on_closed(self.conn);
        node.collect(self.arbiter);
        self.over = true;
    }
}
