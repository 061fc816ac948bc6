//! The configuration of a node: what may be set, what holds otherwise, and where a value came from.
//!
//! [`Config::load`] puts the layers on top of each other, each over the one before it:
//!
//! 1. defaults, which differ with and without a file;
//! 2. `-Dzookeeper.key=value` in `SERVER_JVMFLAGS`, then `JVMFLAGS`: below the file, because
//!    ZooKeeper's file replaces system properties;
//! 3. the file: `zoo.cfg` with ZooKeeper's keys, or TOML with Paddock's names;
//! 4. the `ZOO_` variables of ZooKeeper's container image;
//! 5. `PADDOCK_` variables, `__` between the steps of a name;
//! 6. flags.
//!
//! Whoever names a member (`server.N`, `group.N`, `weight.N`) in a layer names all of them: member
//! lists are replaced, not mixed.
//!
//! What must hold of every load:
//! - CF1  A higher layer's value wins, and its origin is told.
//! - CF2  Nothing written is ignored in silence: it takes effect, or there is a note, or an error.
//! - CF3  What would leave the node less protected than the file asks is an error, never a note.
//! - CF4  No secret is in a report, an error or a `Debug` text.

mod environment;
mod error;
mod groups;
mod identity;
pub mod keys;
mod kind;
mod layers;
mod load;
mod machine;
pub mod members;
pub mod properties;
pub mod quorum;
pub mod reconfig;
mod report;
pub mod settings;
mod toml_file;
mod validity;
mod zoo_cfg;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use paddock_messages::ids::ServerId;
use serde::{Deserialize, Serialize};

pub use error::{ConfigError, Note, NoteKind, Origin};
pub use groups::{
    Autopurge, ConnectionThrottle, Container, DigestAlgorithm, DigestAuth, EnforceAuth, Ensemble, Fraction,
    HIDDEN, LocalSessions, Log, LogFormat, Memory, MemoryLimit, Metrics, MetricsClass, PeerType,
    RequestThrottle, Secret, Share,
};
pub use kind::{FOUR_LETTER_WORDS, Kind};
pub use load::{Loaded, Sources};
pub use machine::{Machine, ThisMachine};
pub use members::{Members, PeerAddress};
pub use quorum::Quorum;
pub use report::{Effective, Report};

/// Everything a node can be told. Made by [`Config::load`]; every field is within its range.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Config {
    /// The log makes this server a member of an ensemble, which the file does not: known once the data is open, and false
    /// before.
    #[serde(skip)]
    pub has_grown: bool,
    /// This member's id, 0 to 255, from a flag, a variable, `myid` or the host's name; `None` for a server that
    /// never had one.
    pub server_id: Option<ServerId>,
    /// Added to the number that ends the host's name, it makes `server_id`: `zk-0` is server 1 with an offset of 1.
    pub server_id_offset: Option<u8>,
    /// Where clients are listened to, unless a reconfig has put this server elsewhere; `None` for nowhere. Port 0 takes any
    /// free one. `0.0.0.0` and `::` are all of the machine's addresses, IPv6 and IPv4.
    #[serde(skip_deserializing)]
    pub client_addr: Option<SocketAddr>,
    /// Holds `myid`, snapshots, and the log unless it has a place of its own.
    pub data_dir: PathBuf,
    /// Holds the log; `None` for `data_dir`.
    pub data_log_dir: Option<PathBuf>,
    /// Names the process while it runs; `None` for no such file.
    pub pid_file: Option<PathBuf>,
    /// Whether missing data directories are made; if not, they end the start.
    pub datadir_autocreate: bool,
    /// Whether an empty data directory may begin a new history; if not, only with an `initialize` file.
    pub db_autocreate: bool,

    /// The unit of time, ms, that timeouts are given in.
    pub tick_ms: u32,
    /// The shortest session timeout granted, ms; 2 ticks unless set.
    pub min_session_timeout_ms: u32,
    /// The longest session timeout granted, ms; 20 ticks unless set.
    pub max_session_timeout_ms: u32,
    /// ms a connection may take to open a session.
    pub sessionless_timeout_ms: u32,
    /// Connections from one address; 0 for any number.
    pub max_client_cnxns: u32,
    /// Connections in all; 0 for any number.
    pub max_cnxns: u32,
    /// Connections the system queues before they are accepted; `None` for its own choice.
    pub listen_backlog: Option<u32>,
    /// Whether client connections use TCP keepalive.
    pub tcp_keepalive: bool,
    /// Sessions that only their own member knows.
    pub local_sessions: LocalSessions,
    /// Whether a member without a quorum serves reads.
    pub read_only_mode_enabled: bool,

    /// The longest request, bytes.
    pub jute_max_buffer: u32,
    /// Requests in progress, of all clients, at most.
    pub global_outstanding_limit: u32,
    /// Bytes of all large requests in progress, at most.
    pub large_request_max_bytes: u64,
    /// Bytes from which a request counts as large; `None` for never.
    pub large_request_threshold: Option<u32>,
    /// Writes held back while many are in progress.
    pub request_throttle: RequestThrottle,
    /// New connections per time.
    pub connection_throttle: ConnectionThrottle,

    /// Whether TTL znodes can be made.
    pub extended_types_enabled: bool,
    /// Whether ephemeral owners are read as ZooKeeper 3.5.3 wrote TTLs.
    pub emulate_353_ttl_nodes: bool,
    /// The deletion of containers and TTL znodes.
    pub container: Container,
    /// Whether a write beyond a hard quota is refused.
    pub enforce_quota: bool,

    /// Whether ACLs are not checked at all.
    pub skip_acl: bool,
    /// Whether the member a client talks to checks ACLs before it forwards a write.
    pub eager_acl_check: bool,
    /// Who may ask anything at all.
    pub enforce_auth: EnforceAuth,
    /// What clients may call this ensemble, with commas between; `None`: they are not asked.
    pub ensemble_auth_names: Option<String>,
    /// The `digest` scheme.
    pub digest_auth: DigestAuth,
    /// `user:hash` of whoever may do everything; `None` for nobody.
    pub super_digest: Option<Secret>,

    /// Transactions after which a snapshot is taken (half of it, plus as much at random).
    pub snap_count: u32,
    /// KiB of log after which a snapshot is taken; `None` for any amount.
    pub snap_size_limit_kb: Option<u64>,
    /// KiB a log segment is reserved with.
    pub segment_size_kb: u32,
    /// KiB after which the log begins a new segment; `None` for when the segment is full.
    pub log_size_limit_kb: Option<u32>,
    /// Whether a write is on disk before it is acknowledged. `false` loses data at a power cut.
    pub force_sync: bool,
    /// ms a sync may take before it is logged and counted.
    pub fsync_warning_ms: u32,
    /// µs the log's thread spins for more after a small batch.
    pub log_spin_us: u32,
    /// Transactions after which a new epoch begins, without a pause for anyone: fewer than fit are only
    /// to see it happen.
    pub epoch_txns: u32,
    /// Whether members compare digests of their trees.
    pub digest_enabled: bool,
    /// Whether an import takes a log without a snapshot.
    pub snapshot_trust_empty: bool,
    /// Purging of what no recovery needs.
    pub autopurge: Autopurge,

    /// The four-letter words that are answered.
    pub four_letter_words: BTreeSet<String>,
    /// Metrics for scraping.
    pub metrics: Metrics,
    /// The node's own log.
    pub log: Log,

    /// Threads for clients beside the core's; 0 shares the core's. `None`: none on one or two cores,
    /// else two fewer than cores.
    pub client_arbiters: Option<usize>,
    /// Memory.
    pub memory: Memory,

    /// What only matters with other members.
    pub ensemble: Ensemble,
    /// The `server.N` lines.
    #[serde(skip_deserializing)]
    pub members: Members,
}

impl Config {
    /// Reads and puts together everything that `sources` name. Reads the file, the dynamic file it
    /// names and `myid`; looks up the client address. All errors found are in the one returned.
    pub fn load<E, F>(sources: Sources<E, F>) -> Result<Loaded, ConfigError>
    where
        E: IntoIterator<Item = (String, String)>,
        F: IntoIterator<Item = (String, String)>,
    {
        load::load(&ThisMachine, sources)
    }

    /// The same on another machine: its files, its names.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_on<E, F>(machine: &dyn Machine, sources: Sources<E, F>) -> Result<Loaded, ConfigError>
    where
        E: IntoIterator<Item = (String, String)>,
        F: IntoIterator<Item = (String, String)>,
    {
        load::load(machine, sources)
    }

    /// Where the log is: `data_log_dir`, or `data_dir` without one.
    pub fn log_dir(&self) -> &std::path::Path {
        self.data_log_dir.as_deref().unwrap_or(&self.data_dir)
    }

    /// How many client arbiters there are on a machine with this many cores.
    pub fn client_arbiters_on(&self, cores: usize) -> usize {
        self.client_arbiters.unwrap_or_else(|| cores.saturating_sub(2))
    }

    /// Whether this node is a member of an ensemble, of one or of more. One `server.N` line makes a
    /// server alone unless `ensemble.standalone` is off, or its log has it otherwise.
    /// Source: compat: QuorumPeerConfig.java, isDistributed.
    pub fn is_distributed(&self) -> bool {
        self.has_grown
            || self.members.voters().len() > 1
            || !self.ensemble.standalone && !self.members.voters().is_empty()
    }
}
