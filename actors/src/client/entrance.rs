//! What all client arbiters of a member share: how many connections, from where, and how much is in
//! flight. Counts only: nothing here orders anything.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;

use super::{Gates, Settings};

/// Why a connection is closed as soon as it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `maxClientCnxns`.
    #[error(
        "there are {0} connections from this address already (maxClientCnxns); raise it, or look why one machine needs so many"
    )]
    Host(usize),
    /// `maxCnxns`.
    #[error("there are {0} connections already (maxCnxns); raise it, or add a server")]
    Member(usize),
}

/// The counts of one member's entrance.
#[derive(Debug, Default)]
pub struct Entrance {
    connections: AtomicUsize,
    hosts: DashMap<IpAddr, usize>,
    outstanding: AtomicUsize,
    submitted: AtomicUsize,
    pub(super) large_bytes: AtomicUsize,
    gates: Gates,
}

impl Entrance {
    /// One with these gates.
    pub fn behind(gates: Gates) -> Self {
        Self { gates, ..Self::default() }
    }

    pub(super) fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Counts a connection in, unless that is one too many.
    pub(super) fn enter(&self, host: IpAddr, settings: &Settings) -> Result<(), Refusal> {
        let all = settings.max_connections;
        let count = self.connections.fetch_add(1, Relaxed);
        if all > 0 && count >= all {
            self.connections.fetch_sub(1, Relaxed);
            return Err(Refusal::Member(count));
        }
        let mut of_host = self.hosts.entry(host).or_default();
        let limit = settings.max_connections_per_host;
        if limit > 0 && *of_host >= limit {
            self.connections.fetch_sub(1, Relaxed);
            return Err(Refusal::Host(*of_host));
        }
        *of_host += 1;
        Ok(())
    }

    /// Counts in one that is not refused, whatever the limits are.
    pub(super) fn enter_anyway(&self, host: IpAddr) {
        self.connections.fetch_add(1, Relaxed);
        *self.hosts.entry(host).or_default() += 1;
    }

    /// Counts it out.
    pub(super) fn leave(&self, host: IpAddr) {
        self.connections.fetch_sub(1, Relaxed);
        if let Some(mut of_host) = self.hosts.get_mut(&host) {
            *of_host -= 1;
        }
        self.hosts.remove_if(&host, |_, count| *count == 0);
    }

    /// An arbiter's requests in flight went from `before` to `after`.
    pub(super) fn in_flight(&self, before: usize, after: usize) {
        moved(&self.outstanding, before, after);
    }

    /// Its writes and syncs among them, with the reads that stand between them, did.
    pub(super) fn submitted_in_flight(&self, before: usize, after: usize) {
        moved(&self.submitted, before, after);
    }

    /// Those in flight, as each arbiter last told.
    pub(super) fn submitted(&self) -> usize {
        self.submitted.load(Relaxed)
    }

    /// Connections there are.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// The chance of a handshake to be turned away, 0 to 1.
    pub fn drop_chance(&self) -> f64 {
        self.gates.throttle.drop_chance()
    }

    /// Requests in flight, as each arbiter last told.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }
}

fn moved(count: &AtomicUsize, before: usize, after: usize) {
    if after >= before {
        count.fetch_add(after - before, Relaxed);
    } else {
        count.fetch_sub(before - after, Relaxed);
    }
}
