//! Metrics: ZooKeeper's names, the mailboxes' meters and the process's basics.
//!
//! [`Meters`] are moved once per batch through the methods in `hooks.rs`; [`Gauges`] are read when
//! somebody asks; `names.rs` is the table of all names and drives both renderings.

mod ensemble;
mod hooks;
mod mailboxes;
mod member_hooks;
mod names;
mod process;
mod refusals;
mod render;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

pub use paddock_config::MetricsClass as Provider;

pub use self::ensemble::{
    ENSEMBLE, EnsembleEntry, EnsembleGauges, LeaderGauges, mntr_ensemble, prometheus_ensemble,
};
pub use self::hooks::{Applied, ClientTally, Prepared, Recovered, Synced};
pub use self::mailboxes::mailboxes;
pub use self::member_hooks::{Ages, SyncKind};
pub use self::names::{Entry, METERS, NOT_APPLICABLE, Source, Unit};
pub use self::process::ProcessFacts;
pub use self::refusals::{Reason, Refused, mntr_refusals, refusals};
pub(super) use self::render::label;
pub use self::render::{mntr, prometheus};
pub use self::summary::{
    Counter, Keyed, KeyedTally, LONGEST_KEY, MOST_KEYS, OTHER, SizeMeter, Summary, Tally, namespace,
};

use super::four_letter::ServerFacts;

/// What this member counts itself, all since the start or the last `srst`. Times are in µs. Shared by
/// all threads; nobody waits, but for a short lock where a set is keyed by namespace.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each is named and explained by its line in the table")]
pub struct Meters {
    /// How many sessions of this member alone there are now.
    pub local_sessions: AtomicU64,
    pub latency: Summary,
    pub packets_received: Counter,
    pub packets_sent: Counter,
    pub response_sizes: SizeMeter,
    pub auth_failed: Counter,
    pub ensemble_auth_success: Counter,
    pub ensemble_auth_skip: Counter,
    pub ensemble_auth_fail: Counter,

    pub read_latency: Summary,
    pub update_latency: Summary,
    pub bytes_received: Counter,
    pub response_bytes: Counter,
    pub watch_bytes: Counter,
    pub stale_replies: Counter,
    pub large_requests_rejected: Counter,
    pub throttle_waits: Counter,
    pub throttle_queue_time: Summary,
    pub throttled_ops: Counter,
    pub stale_dropped: Counter,
    pub reads: Keyed<Summary>,

    pub connection_requests: Counter,
    pub connections_rejected: Counter,
    pub connections_dropped: Counter,
    pub connection_deficit: Summary,
    pub refused: Refused,
    pub connections_revalidated: Counter,
    pub sessionless_expired: Counter,
    pub sessions_expired: Counter,

    pub node_created_watches: Summary,
    pub node_deleted_watches: Summary,
    pub node_changed_watches: Summary,
    pub node_children_watches: Summary,

    pub prep_queued: Counter,
    pub prep_queue_size: Summary,
    pub prep_queue_time: Summary,
    pub prep_time: Summary,
    pub proposal_time: Summary,
    pub close_session_prep_time: Summary,
    pub proposals: Counter,
    pub commits: Counter,
    pub changes_queued: Counter,
    pub changes_removed: Counter,
    pub proposal_sizes: SizeMeter,
    pub quota_exceeded: Keyed<Counter>,

    pub commits_queued: Counter,
    pub write_commitproc_time: Summary,
    pub write_final_proc_time: Summary,
    pub commit_time: Summary,
    pub writes: Keyed<Summary>,

    pub looking: Counter,
    pub election_time: Summary,
    pub unavailable_time: Summary,
    pub leader_unavailable_time: Summary,
    pub diffs: Counter,
    pub snaps: Counter,
    pub inflight_diffs: Summary,
    pub inflight_snaps: Summary,
    pub follower_sync_time: Summary,
    pub observer_sync_time: Summary,
    pub proposals_received: Counter,
    pub commits_received: Counter,
    pub propagation_latency: Summary,
    pub proposal_latency: Summary,
    pub quorum_ack_latency: Summary,
    pub ack_latency: Keyed<Summary>,
    pub commit_propagation_latency: Summary,
    pub ack_creation_latency: Summary,
    pub revalidations: Counter,
    pub forward_queue_size: Summary,

    pub sync_queued: Counter,
    pub sync_batch_size: Summary,
    pub sync_flush_time: Summary,
    pub sync_queue_size: Summary,
    pub sync_queue_and_flush_time: Summary,
    pub fsync_time: Summary,
    pub snapshot_time: Summary,
    pub snapshot_errors: Counter,
    pub digest_mismatches: Counter,
    pub db_init_time: Summary,
    pub startup_txns: Summary,
    pub startup_txns_time: Summary,
    pub startup_snap_time: Summary,
}

impl Meters {
    /// Sets what `srvr` tells of these meters.
    pub fn fill(&self, server: &mut ServerFacts) {
        let latency = self.latency.read();
        server.min_latency_ms = latency.min() / 1_000;
        server.avg_latency_ms = latency.average() / 1_000.0;
        server.max_latency_ms = latency.max().div_ceil(1_000);
        server.received = self.packets_received.get();
        server.sent = self.packets_sent.get();
    }

    /// `srst`: forgets latencies, packets and sizes; counters and summaries too, unless they are scraped
    /// by Prometheus, whose counters are not meant to fall. Source: ServerStats.java, reset.
    pub fn reset(&self, provider: Provider) {
        self.latency.reset();
        self.packets_received.reset();
        self.packets_sent.reset();
        self.response_sizes.reset();
        self.proposal_sizes.reset();
        if provider == Provider::Prometheus {
            return;
        }
        Reason::ALL.iter().for_each(|reason| self.refused.of(*reason).reset());
        for entry in METERS {
            match entry.source {
                Source::Gauge(_) | Source::GaugeSet(_) => {}
                Source::Counter(of) => of(self).reset(),
                Source::Summary(of) | Source::Advanced(of) => of(self).reset(),
                Source::SummarySet(of) | Source::AdvancedSet(of) => {
                    of(self).all().iter().for_each(|(_, its)| its.reset());
                }
                Source::CounterSet(of) => of(self).all().iter().for_each(|(_, its)| its.reset()),
            }
        }
    }
}

/// What is not counted but looked up when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Since the start, in ms.
    pub uptime_ms: u64,
    /// Connections open.
    pub connections: u64,
    /// Requests that wait for an answer.
    pub outstanding: u64,
    /// Of a handshake to be turned away, 0 to 1.
    pub connection_drop_chance: f64,
    /// Bytes of all paths and data.
    pub data_size: u64,
    /// Znodes, the root and `/zookeeper` included.
    pub znodes: u64,
    /// Data and child watches.
    pub watches: u64,
    /// Ephemeral znodes.
    pub ephemerals: u64,
    /// Sessions that all members know.
    pub sessions: u64,
    /// Sessions of this member alone.
    pub local_sessions: u64,
    /// The process's own.
    pub process: ProcessFacts,
    /// By the first component of the path the quota is set on.
    pub quotas: BTreeMap<String, QuotaGauges>,
}

/// A quota: what is allowed, and what is used. A limit that is not set is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaGauges {
    /// Znodes at most.
    pub count_limit: Option<i64>,
    /// Bytes at most.
    pub bytes_limit: Option<i64>,
    /// Znodes there are.
    pub count_usage: i64,
    /// Bytes there are.
    pub bytes_usage: i64,
}
