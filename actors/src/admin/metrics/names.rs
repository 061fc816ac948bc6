//! The table of all names: what each is, in which unit, and which test moves it; or why it is absent.
//!
//! Source: ServerMetrics.java, ZooKeeperServer.java (registerMetrics) and its subclasses, 3.9.

use super::summary::{Counter, Keyed, Summary};
use super::{Gauges, Meters, QuotaGauges, Reason};

/// What a value is counted in. Times are recorded in µs and told in ms, as ZooKeeper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Milliseconds,
    /// Memory, disk or network.
    Bytes,
    /// Anything one counts one by one.
    Items,
}

impl Unit {
    /// As a name's help ends.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Milliseconds => " in ms",
            Self::Bytes => " in bytes",
            Self::Items => "",
        }
    }
}

/// A gauge's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Told as it is.
    Int(i64),
    /// Told with up to 4 digits after the point.
    Real(f64),
}

fn int(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn real(value: f64) -> Number {
    Number::Real(value)
}

/// Where a name's value comes from, which decides its shape as well.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Looked up.
    Gauge(fn(&Meters, &Gauges) -> Number),
    /// Looked up, for each namespace with a quota; absent where it is `None`.
    GaugeSet(fn(&QuotaGauges) -> Option<i64>),
    /// Counted.
    Counter(fn(&Meters) -> &Counter),
    /// Counted for each namespace.
    CounterSet(fn(&Meters) -> &Keyed<Counter>),
    /// Count, sum, extremes, average.
    Summary(fn(&Meters) -> &Summary),
    /// Likewise, for each namespace.
    SummarySet(fn(&Meters) -> &Keyed<Summary>),
    /// Likewise, and quantiles.
    Advanced(fn(&Meters) -> &Summary),
    /// Likewise, for each member.
    AdvancedSet(fn(&Meters) -> &Keyed<Summary>),
}

/// A name that is served.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// ZooKeeper's name for it.
    pub name: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// What it is counted in.
    pub unit: Unit,
    /// The test that moves it; it moves all its names and no others (AD3).
    pub moved_by: &'static str,
}

const fn entry(name: &'static str, unit: Unit, source: Source, moved_by: &'static str) -> Entry {
    Entry { name, source, unit, moved_by }
}

use Source::{
    Advanced, AdvancedSet, Counter as Count, CounterSet, Gauge, GaugeSet, Summary as Basic, SummarySet,
};
use Unit::{Bytes, Items, Milliseconds};

/// Every name that is served, in the order it is told.
#[rustfmt::skip] // a table
pub const METERS: &[Entry] = &[
    entry("uptime", Milliseconds, Gauge(|_, g| int(g.uptime_ms)), "gauges_move"),
    entry("avg_latency", Milliseconds, Gauge(|m, _| real(m.latency.read().average() / 1_000.0)), "answers_move_their_meters"),
    entry("min_latency", Milliseconds, Gauge(|m, _| int(m.latency.read().min() / 1_000)), "answers_move_their_meters"),
    entry("max_latency", Milliseconds, Gauge(|m, _| int(m.latency.read().max().div_ceil(1_000))), "answers_move_their_meters"),
    entry("packets_received", Items, Gauge(|m, _| int(m.packets_received.get())), "packets_move_their_meters"),
    entry("packets_sent", Items, Gauge(|m, _| int(m.packets_sent.get())), "packets_move_their_meters"),
    entry("num_alive_connections", Items, Gauge(|_, g| int(g.connections)), "gauges_move"),
    entry("outstanding_requests", Items, Gauge(|_, g| int(g.outstanding)), "gauges_move"),
    entry("open_file_descriptor_count", Items, Gauge(|_, g| int(g.process.open_fds)), "gauges_move"),
    entry("max_file_descriptor_count", Items, Gauge(|_, g| int(g.process.max_fds)), "gauges_move"),
    entry("approximate_data_size", Bytes, Gauge(|_, g| int(g.data_size)), "gauges_move"),
    entry("znode_count", Items, Gauge(|_, g| int(g.znodes)), "gauges_move"),
    entry("watch_count", Items, Gauge(|_, g| int(g.watches)), "gauges_move"),
    entry("ephemerals_count", Items, Gauge(|_, g| int(g.ephemerals)), "gauges_move"),
    entry("global_sessions", Items, Gauge(|_, g| int(g.sessions)), "gauges_move"),
    entry("local_sessions", Items, Gauge(|_, g| int(g.local_sessions)), "gauges_move"),
    entry("last_client_response_size", Bytes, Gauge(|m, _| Number::Int(m.response_sizes.read().last)), "packets_move_their_meters"),
    entry("min_client_response_size", Bytes, Gauge(|m, _| Number::Int(m.response_sizes.read().min)), "packets_move_their_meters"),
    entry("max_client_response_size", Bytes, Gauge(|m, _| Number::Int(m.response_sizes.read().max)), "packets_move_their_meters"),
    entry("auth_failed_count", Items, Gauge(|m, _| int(m.auth_failed.get())), "connections_move_their_meters"),
    entry("ensemble_auth_success", Items, Count(|m| &m.ensemble_auth_success), "connections_move_their_meters"),
    entry("ensemble_auth_skip", Items, Count(|m| &m.ensemble_auth_skip), "connections_move_their_meters"),
    entry("ensemble_auth_fail", Items, Count(|m| &m.ensemble_auth_fail), "connections_move_their_meters"),
    entry("fsynctime", Milliseconds, Basic(|m| &m.fsync_time), "the_disk_moves_its_meters"),
    entry("snapshottime", Milliseconds, Basic(|m| &m.snapshot_time), "the_disk_moves_its_meters"),
    entry("dbinittime", Milliseconds, Basic(|m| &m.db_init_time), "the_disk_moves_its_meters"),
    entry("startup_txns_loaded", Items, Basic(|m| &m.startup_txns), "the_disk_moves_its_meters"),
    entry("startup_txns_load_time", Milliseconds, Basic(|m| &m.startup_txns_time), "the_disk_moves_its_meters"),
    entry("startup_snap_load_time", Milliseconds, Basic(|m| &m.startup_snap_time), "the_disk_moves_its_meters"),
    entry("sync_processor_batch_size", Items, Basic(|m| &m.sync_batch_size), "the_disk_moves_its_meters"),
    entry("sync_processor_request_queued", Items, Count(|m| &m.sync_queued), "the_disk_moves_its_meters"),
    entry("sync_processor_queue_flush_time_ms", Milliseconds, Advanced(|m| &m.sync_flush_time), "the_disk_moves_its_meters"),
    entry("sync_processor_queue_size", Items, Basic(|m| &m.sync_queue_size), "the_disk_moves_its_meters"),
    entry("sync_processor_queue_and_flush_time_ms", Milliseconds, Advanced(|m| &m.sync_queue_and_flush_time), "the_disk_moves_its_meters"),
    entry("snapshot_error_count", Items, Count(|m| &m.snapshot_errors), "the_disk_moves_its_meters"),
    entry("digest_mismatches_count", Items, Count(|m| &m.digest_mismatches), "members_that_differ_move_their_meter"),
    entry("looking_count", Items, Count(|m| &m.looking), "members_move_their_meters"),
    entry("election_time", Milliseconds, Basic(|m| &m.election_time), "members_move_their_meters"),
    entry("unavailable_time", Milliseconds, Basic(|m| &m.unavailable_time), "members_move_their_meters"),
    entry("leader_unavailable_time", Milliseconds, Basic(|m| &m.leader_unavailable_time), "members_move_their_meters"),
    entry("diff_count", Items, Count(|m| &m.diffs), "leaders_move_their_meters"),
    entry("snap_count", Items, Count(|m| &m.snaps), "leaders_move_their_meters"),
    entry("inflight_diff_count", Items, Basic(|m| &m.inflight_diffs), "leaders_move_their_meters"),
    entry("inflight_snap_count", Items, Basic(|m| &m.inflight_snaps), "leaders_move_their_meters"),
    entry("quorum_ack_latency", Milliseconds, Advanced(|m| &m.quorum_ack_latency), "leaders_move_their_meters"),
    entry("ack_latency", Milliseconds, AdvancedSet(|m| &m.ack_latency), "leaders_move_their_meters"),
    entry("revalidate_count", Items, Count(|m| &m.revalidations), "leaders_move_their_meters"),
    entry("follower_sync_time", Milliseconds, Basic(|m| &m.follower_sync_time), "learners_move_their_meters"),
    entry("observer_sync_time", Milliseconds, Basic(|m| &m.observer_sync_time), "learners_move_their_meters"),
    entry("learner_request_processor_queue_size", Items, Basic(|m| &m.forward_queue_size), "learners_move_their_meters"),
    entry("learner_proposal_received_count", Items, Count(|m| &m.proposals_received), "learners_move_their_meters"),
    entry("learner_commit_received_count", Items, Count(|m| &m.commits_received), "learners_move_their_meters"),
    entry("proposal_latency", Milliseconds, Advanced(|m| &m.proposal_latency), "learners_move_their_meters"),
    entry("commit_propagation_latency", Milliseconds, Advanced(|m| &m.commit_propagation_latency), "learners_move_their_meters"),
    entry("proposal_ack_creation_latency", Milliseconds, Advanced(|m| &m.ack_creation_latency), "learners_move_their_meters"),
    entry("propagation_latency", Milliseconds, Advanced(|m| &m.propagation_latency), "the_learner_moves_its_meters"),
    entry("readlatency", Milliseconds, Advanced(|m| &m.read_latency), "answers_move_their_meters"),
    entry("updatelatency", Milliseconds, Advanced(|m| &m.update_latency), "answers_move_their_meters"),
    entry("prep_processor_queue_size", Items, Basic(|m| &m.prep_queue_size), "the_proposer_moves_its_meters"),
    entry("prep_processor_queue_time_ms", Milliseconds, Advanced(|m| &m.prep_queue_time), "the_proposer_moves_its_meters"),
    entry("prep_processor_request_queued", Items, Count(|m| &m.prep_queued), "the_proposer_moves_its_meters"),
    entry("prep_process_time", Milliseconds, Basic(|m| &m.prep_time), "the_proposer_moves_its_meters"),
    entry("proposal_process_time", Milliseconds, Basic(|m| &m.proposal_time), "the_proposer_moves_its_meters"),
    entry("close_session_prep_time", Milliseconds, Advanced(|m| &m.close_session_prep_time), "the_proposer_moves_its_meters"),
    entry("proposal_count", Items, Count(|m| &m.proposals), "the_proposer_moves_its_meters"),
    entry("commit_count", Items, Count(|m| &m.commits), "the_proposer_moves_its_meters"),
    entry("outstanding_changes_queued", Items, Count(|m| &m.changes_queued), "the_proposer_moves_its_meters"),
    entry("outstanding_changes_removed", Items, Count(|m| &m.changes_removed), "the_proposer_moves_its_meters"),
    entry("write_commitproc_time_ms", Milliseconds, Advanced(|m| &m.write_commitproc_time), "the_learner_moves_its_meters"),
    entry("write_final_proc_time_ms", Milliseconds, Advanced(|m| &m.write_final_proc_time), "the_learner_moves_its_meters"),
    entry("commit_process_time", Milliseconds, Basic(|m| &m.commit_time), "the_learner_moves_its_meters"),
    entry("request_commit_queued", Items, Count(|m| &m.commits_queued), "the_learner_moves_its_meters"),
    entry("write_per_namespace", Bytes, SummarySet(|m| &m.writes), "the_learner_moves_its_meters"),
    entry("stale_replies", Items, Count(|m| &m.stale_replies), "connections_move_their_meters"),
    entry("large_requests_rejected", Items, Count(|m| &m.large_requests_rejected), "packets_move_their_meters"),
    entry("request_throttle_wait_count", Items, Count(|m| &m.throttle_waits), "the_throttler_moves_its_meters"),
    entry("request_throttle_queue_time_ms", Milliseconds, Advanced(|m| &m.throttle_queue_time), "the_throttler_moves_its_meters"),
    entry("throttled_ops", Items, Count(|m| &m.throttled_ops), "the_throttler_moves_its_meters"),
    entry("stale_requests_dropped", Items, Count(|m| &m.stale_dropped), "the_throttler_moves_its_meters"),
    entry("response_bytes", Bytes, Count(|m| &m.response_bytes), "packets_move_their_meters"),
    entry("watch_bytes", Bytes, Count(|m| &m.watch_bytes), "packets_move_their_meters"),
    entry("bytes_received_count", Bytes, Count(|m| &m.bytes_received), "packets_move_their_meters"),
    entry("read_per_namespace", Bytes, SummarySet(|m| &m.reads), "answers_move_their_meters"),
    entry("connection_request_count", Items, Count(|m| &m.connection_requests), "connections_move_their_meters"),
    entry("connection_rejected", Items, Count(|m| &m.connections_rejected), "connections_move_their_meters"),
    entry("connection_drop_count", Items, Count(|m| &m.connections_dropped), "connections_move_their_meters"),
    entry("connection_drop_probability", Items, Gauge(|_, g| real(g.connection_drop_chance)), "gauges_move"),
    entry("cnxn_closed_without_zk_server_running", Items, Count(|m| m.refused.of(Reason::NotServing)), "connections_move_their_meters"),
    entry("connection_token_deficit", Items, Basic(|m| &m.connection_deficit), "connections_move_their_meters"),
    entry("connection_revalidate_count", Items, Count(|m| &m.connections_revalidated), "connections_move_their_meters"),
    entry("sessionless_connections_expired", Items, Count(|m| &m.sessionless_expired), "connections_move_their_meters"),
    entry("stale_sessions_expired", Items, Count(|m| &m.sessions_expired), "connections_move_their_meters"),
    entry("node_created_watch_count", Items, Basic(|m| &m.node_created_watches), "watches_move_their_meters"),
    entry("node_deleted_watch_count", Items, Basic(|m| &m.node_deleted_watches), "watches_move_their_meters"),
    entry("node_changed_watch_count", Items, Basic(|m| &m.node_changed_watches), "watches_move_their_meters"),
    entry("node_children_watch_count", Items, Basic(|m| &m.node_children_watches), "watches_move_their_meters"),
    entry("quota_count_limit_per_namespace", Items, GaugeSet(|q| q.count_limit), "quotas_move_their_meters"),
    entry("quota_bytes_limit_per_namespace", Bytes, GaugeSet(|q| q.bytes_limit), "quotas_move_their_meters"),
    entry("quota_count_usage_per_namespace", Items, GaugeSet(|q| Some(q.count_usage)), "quotas_move_their_meters"),
    entry("quota_bytes_usage_per_namespace", Bytes, GaugeSet(|q| Some(q.bytes_usage)), "quotas_move_their_meters"),
    entry("quota_exceeded_error_per_namespace", Items, CounterSet(|m| &m.quota_exceeded), "quotas_move_their_meters"),
];

/// Names that are not served, by the reason why.
pub const NOT_APPLICABLE: &[(&str, &[&str])] = &[
    (
        "words and no numbers: mntr alone tells them, of a member of several",
        &["peer_state", "observer_master_id"],
    ),
    (
        "nobody is told of a voter's change of mind: a member that was elected, and that no quorum follows, gives up when \
         its time is over",
        &["quit_leading_due_to_disloyal_voter"],
    ),
    (
        "what waits for a learner's lane is frames of many packets, counted by bytes: see paddock_link_queued_bytes",
        &["learner_handler_qp_size", "learner_handler_qp_time_ms"],
    ),
    (
        "observers learn from the leader alone: nobody else is master of any",
        &["om_proposal_process_time_ms", "om_commit_process_time_ms"],
    ),
    (
        "what other members' clients ask never passes a follower: each member asks the leader itself",
        &["skip_learner_request_to_next_processor_count"],
    ),
    (
        "committed txns are applied where their commit comes, in batches, whoever asked for them: no time passes before \
         what commit_process_time and write_final_proc_time_ms tell",
        &["local_write_committed_time_ms", "server_write_committed_time_ms"],
    ),
    (
        "TLS is not served",
        &[
            "outstanding_tls_handshake",
            "non_mtls_remote_conn_count",
            "non_mtls_local_conn_count",
            "tls_handshake_exceeded",
            "unsuccessful_handshake",
        ],
    ),
    (
        "the AdminServer, which takes and restores snapshots on demand, is not served",
        &[
            "snapshot_rate_limited_count",
            "restore_time",
            "restore_error_count",
            "restore_rate_limited_count",
            "insecure_admin_count",
        ],
    ),
    ("such an error ends the process: its exit code tells which", &["unrecoverable_error_count"]),
    (
        "a request goes to the Learner or is answered where it came: none is turned back on the way",
        &["requests_not_forwarded_to_commit_processor"],
    ),
    ("a closed connection takes its reads along, and its writes are always logged", &["stale_requests"]),
    (
        "answers are made from the tree each time: there is no cache of them",
        &[
            "response_packet_cache_hits",
            "response_packet_cache_misses",
            "response_packet_get_children_cache_hits",
            "response_packet_get_children_cache_misses",
        ],
    ),
    (
        "a closing connection's watches are removed with it: none is ever dead",
        &[
            "dead_watchers_queued",
            "dead_watchers_cleared",
            "add_dead_watcher_stall_time",
            "dead_watchers_cleaner_latency",
        ],
    ),
    (
        "there is no commit processor with queues of its own: see paddock_mailbox_depth and paddock_mailbox_wait_seconds",
        &[
            "commit_commit_proc_req_queued",
            "read_commit_proc_req_queued",
            "write_commit_proc_req_queued",
            "read_commit_proc_issued",
            "write_commit_proc_issued",
            "concurrent_request_processing_in_commit_processor",
            "write_batch_time_in_commit_processor",
            "time_waiting_empty_pool_in_commit_processor_read_ms",
            "requests_in_session_queue",
            "session_queues_drained",
            "pending_session_queue_size",
            "reads_after_write_in_session_queue",
            "reads_issued_from_session_queue",
        ],
    ),
    (
        "a read waits for its session's writes and is executed by one reading of the clock: it would repeat readlatency",
        &["read_commitproc_time_ms"],
    ),
    (
        "reads are executed under one guard by the batch, in about a µs each: to look at the clock for each would cost as much",
        &["read_final_proc_time_ms"],
    ),
    (
        "the log takes up all that waits as one batch, written in one go: sync_processor_queue_flush_time_ms is how long \
         that took, and what sync_processor_queue_and_flush_time_ms has beyond it was waiting",
        &["sync_process_time", "sync_processor_queue_time_ms"],
    ),
    (
        "there is neither Netty nor a thread that closes sockets",
        &["netty_queued_buffer_capacity", "socket_closing_time"],
    ),
    ("there is no Java virtual machine to pause", &["jvm_pause_time_ms"]),
    (
        "a name of ZooKeeper 3.10; this member has 3.9's",
        &[
            "op_count_total",
            "op_count_create",
            "op_count_delete",
            "op_count_exists",
            "op_count_get_data",
            "op_count_set_data",
            "op_count_get_acl",
            "op_count_set_acl",
            "op_count_get_children",
            "op_count_get_all_children_number",
            "op_count_get_ephemerals",
            "op_count_multi",
            "op_count_multi_read",
            "op_count_sync",
            "op_count_ping",
            "op_count_reconfig",
            "op_count_add_watch",
            "op_count_check_watches",
            "op_count_remove_watches",
            "op_count_set_watches",
            "op_count_check",
            "op_count_create_session",
            "op_count_close_session",
            "op_count_who_am_i",
            "ttl_node_created_count",
            "ttl_node_deleted_count",
        ],
    ),
];
