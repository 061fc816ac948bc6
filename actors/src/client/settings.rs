//! The limits of the client port.

use paddock_messages::client::DEFAULT_MAX_BUFFER;

/// What an operator decides about clients. Sizes in bytes, times in ms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `jute.maxbuffer`: the largest frame that is decoded.
    pub max_frame: usize,
    /// `minSessionTimeout`.
    pub min_session_timeout_ms: i32,
    /// `maxSessionTimeout`.
    pub max_session_timeout_ms: i32,
    /// `maxClientCnxns`: connections from one address; 0 is no limit.
    pub max_connections_per_host: usize,
    /// `maxCnxns`: connections to this member; 0 is no limit.
    pub max_connections: usize,
    /// `globalOutstandingLimit`: while the member has more requests in flight, a connection that has
    /// one is not read.
    pub outstanding_limit: usize,
    /// `largeRequestThreshold`: a request of more bytes is a large one; `None`: none is.
    pub large_threshold: Option<usize>,
    /// `largeRequestMaxBytes`: a large request that would have all those in flight at this member exceed it closes
    /// its connection.
    pub large_max_bytes: usize,
    /// What holds back writes and syncs while the member has many in flight (C13).
    pub throttler: Throttler,
    /// `enableEagerACLCheck`: what the tree here permits a client is looked up before the leader is asked (C15).
    pub eager_acl_check: bool,
    /// Requests of one connection in flight; beyond it is not read.
    pub max_in_flight: usize,
    /// The same by bytes of their frames. One frame may exceed it.
    pub max_in_flight_bytes: usize,
    /// A connection with so much unsent is not read, and none of its reads begins.
    pub outbox_full: usize,
    /// A connection with so much of events unsent, or of anything when the answer to a read between writes
    /// comes, or that took nothing for a session timeout, is closed.
    /// Half of it is what reads between writes may be answered with, as things stand when they are handed on.
    pub outbox_limit: usize,
    /// While all connections of an arbiter together have more than so much unsent, no read begins, and
    /// those with the most of it are cut at the next tick.
    pub outboxes_limit: usize,
    /// `zookeeper.nio.sessionlessCnxnTimeout`: how long a handshake may take to begin.
    pub sessionless_timeout_ms: u64,
    /// `parkTime`: how long a connection waits for the next leader once its own is lost, and for the first one from the
    /// start; 0: it is closed at once.
    pub park_ms: u64,
    /// `linearizableReads`: whether a read of the tree shows all that anybody was answered before it came (C10). Of
    /// no use where there is no other member; without a leader none is answered, but for clients of read-only
    /// mode, which asked for what there is.
    pub linearizable_reads: bool,
    /// `localSessionsEnabled`: new sessions are this member's alone.
    pub local_sessions: bool,
    /// `localSessionsUpgradingEnabled`: such a session becomes everybody's at its first ephemeral znode.
    pub upgrades_local_sessions: bool,
    /// Whether the word `stmk` may be answered: only then the eight bytes behind it are waited for.
    pub takes_trace_mask: bool,
}

/// ZooKeeper's `request_throttle_*`; times in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttler {
    /// While the member has so many writes and syncs in flight, with the reads between them, it takes on no further
    /// ones, but one for each arbiter that has none (C13); 0: it always does.
    pub max_requests: usize,
    /// How often those held back look whether other client arbiters' requests left room; at least 1.
    pub stall_ms: u64,
    /// `throttled_op_wait_time`: what was held back for longer is refused; 0: nothing is.
    pub op_wait_ms: u64,
    /// `request_stale_latency_check` with `request_throttle_drop_stale`: what was held back for longer than its session's
    /// timeout closes its connection.
    pub drops_stale: bool,
}

/// A frame of up to so many times [`Settings::max_frame`] is refused without closing the connection.
pub const DISCARDED_FRAMES: usize = 16;

impl Default for Settings {
    /// ZooKeeper's defaults, with a tick of 2 s.
    fn default() -> Self {
        Self {
            max_frame: DEFAULT_MAX_BUFFER,
            min_session_timeout_ms: 4_000,
            max_session_timeout_ms: 40_000,
            max_connections_per_host: 60,
            max_connections: 0,
            outstanding_limit: 1_000,
            large_threshold: None,
            large_max_bytes: 100 << 20,
            throttler: Throttler::default(),
            eager_acl_check: false,
            max_in_flight: 1_024,
            max_in_flight_bytes: 1 << 20,
            outbox_full: 256 << 10,
            outbox_limit: 64 << 20,
            outboxes_limit: 256 << 20,
            sessionless_timeout_ms: 10_000,
            park_ms: 2_000,
            linearizable_reads: false,
            local_sessions: false,
            upgrades_local_sessions: false,
            takes_trace_mask: true,
        }
    }
}
