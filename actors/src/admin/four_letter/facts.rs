//! What the answers are made of: plain data, collected by whoever owns it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use paddock_config::members::Server;
use paddock_config::{Members, PeerAddress, PeerType};
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::zxid::Zxid;

/// What a member does at the moment, as `Mode:` and `zk_server_state` name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The only member of its ensemble.
    #[default]
    Standalone,
    /// Numbers the transactions.
    Leader,
    /// Votes and follows.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Cut off from the ensemble, and serving those who said that they only read.
    ReadOnly,
}

impl Mode {
    /// The word tools look for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// The last, smallest and largest of some sizes in bytes; -1 before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The latest.
    pub last: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { last: -1, min: -1, max: -1 }
    }
}

/// The member in numbers: `srvr`, `stat`, `isro`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFacts {
    /// Whether clients' requests are answered now.
    pub serving: bool,
    /// What it does.
    pub mode: Mode,
    /// The last transaction it applied.
    pub zxid: Zxid,
    /// Shortest time to an answer in ms since the last reset.
    pub min_latency_ms: u64,
    /// Average time to an answer in ms.
    pub avg_latency_ms: f64,
    /// Longest time to an answer in ms.
    pub max_latency_ms: u64,
    /// Packets received since the last reset.
    pub received: u64,
    /// Packets sent since the last reset.
    pub sent: u64,
    /// Connections open.
    pub connections: u64,
    /// Requests that wait for an answer.
    pub outstanding: u64,
    /// Znodes, the root and `/zookeeper` included.
    pub node_count: u64,
    /// Of proposals, on a leader of several members.
    pub proposal_sizes: Option<Sizes>,
    /// Why it does not serve, in one line without an end.
    pub outlook: Option<String>,
    /// How far its role has come, in an ensemble.
    pub peer_state: Option<&'static str>,
    /// Whom it learns from, on an observer.
    pub observer_master: Option<ServerId>,
}

/// One connection: a line of `stat` and `cons`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The client's end.
    pub peer: SocketAddr,
    /// Whether it is read now; not while too much of it is in flight.
    pub reading: bool,
    /// Whether bytes wait to be written.
    pub writing: bool,
    /// Requests that wait for an answer.
    pub queued: u64,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// What the full line adds, once there is a session.
    pub session: Option<ConnectedSession>,
    /// When it would be closed if nothing more came, in ms since 1970.
    pub expires_at_ms: i64,
}

/// The part of a connection's line that needs a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectedSession {
    /// Which.
    pub id: SessionId,
    /// The last operation's short name, `NA` before the first.
    pub last_op: &'static str,
    /// When the connection was accepted, in ms since 1970.
    pub established_ms: i64,
    /// The session's timeout in ms.
    pub timeout_ms: i32,
    /// The last request's xid; negative ones (pings) are not shown.
    pub last_cxid: i64,
    /// The zxid last told to the client.
    pub last_zxid: Zxid,
    /// When the last answer left, in ms of the monotonic clock.
    pub last_response_ms: u64,
    /// Time to the last answer in ms.
    pub last_latency_ms: u64,
    /// The shortest.
    pub min_latency_ms: u64,
    /// The average, rounded down.
    pub avg_latency_ms: u64,
    /// The longest.
    pub max_latency_ms: u64,
}

/// Data watches: who watches what. Child and persistent watches are not told, as in the Java server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFacts {
    /// Each session's paths.
    pub by_session: BTreeMap<SessionId, Vec<String>>,
}

/// Sessions due at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiryBucket {
    /// When they expire unless heard of, in ms since 1970.
    pub at_ms: i64,
    /// Which.
    pub sessions: Vec<SessionId>,
}

/// Sessions and what goes with them: `dump`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// By the time they expire, earliest first.
    pub buckets: Vec<ExpiryBucket>,
    /// The same, of those that are this member's alone, where there may be such.
    pub local: Option<Vec<ExpiryBucket>>,
    /// All sessions with their timeouts in ms, on a learner: it does not know when they expire.
    pub global: Option<Vec<(SessionId, i32)>>,
    /// Ephemeral znodes of sessions that have any.
    pub ephemerals: BTreeMap<SessionId, Vec<String>>,
}

/// The configuration in use: `conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfFacts {
    /// Where clients connect; -1 if nowhere.
    pub client_port: i32,
    /// Where they do with TLS; -1 if nowhere.
    pub secure_client_port: i32,
    /// Where snapshots lie, absolute.
    pub data_dir: String,
    /// Where logs lie, absolute.
    pub data_log_dir: String,
    /// One tick, in ms.
    pub tick_ms: u64,
    /// Connections from one address; 0 for any number.
    pub max_client_cnxns: u64,
    /// Least session timeout in ms.
    pub min_session_timeout_ms: u64,
    /// Longest session timeout in ms.
    pub max_session_timeout_ms: u64,
    /// Connections the kernel may hold until they are accepted; -1 for its own default.
    pub listen_backlog: i64,
    /// Of this member; 0 for one alone.
    pub server_id: u64,
    /// What is told in an ensemble only.
    pub ensemble: Option<EnsembleConf>,
}

/// The part of `conf` that needs an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnsembleConf {
    /// In ticks.
    pub init_limit: u64,
    /// In ticks.
    pub sync_limit: u64,
    /// For votes.
    pub election_ports: Vec<u16>,
    /// For everything else between members.
    pub quorum_ports: Vec<u16>,
    /// Whether it has no vote.
    pub is_observer: bool,
    /// The configuration's text, without a last newline; none on a read-only member.
    pub membership: Option<String>,
}

impl EnsembleConf {
    /// The same of `me`, where these members are in force. Of one that is not among them only their text is told.
    #[must_use]
    pub fn of(self, me: ServerId, members: &Members) -> Self {
        let membership = Some(format!("{members}version={:x}", members.version));
        let Some(own) = members.servers.get(&me) else { return Self { membership, ..self } };
        Self {
            election_ports: ports(own, |at| at.election_port),
            quorum_ports: ports(own, |at| at.quorum_port),
            is_observer: own.role == PeerType::Observer,
            membership,
            ..self
        }
    }
}

fn ports(own: &Server, port: impl Fn(&PeerAddress) -> u16) -> Vec<u16> {
    let mut all: Vec<_> = own.addresses.iter().map(port).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Bytes of the data and the log directory, what is set aside included: `dirs`, `conf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirSizes {
    /// Of the snapshots' directory.
    pub data: u64,
    /// Of the logs' directory.
    pub log: u64,
}

/// A digest of the whole tree at some zxid: a line of `hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestFact {
    /// When.
    pub zxid: Zxid,
    /// The digest.
    pub digest: u64,
}

/// What surrounds the process: `envi`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentFacts {
    /// Of the machine.
    pub host_name: String,
    /// Of the kernel.
    pub os_name: String,
    /// Of the processor.
    pub os_arch: String,
    /// Of the kernel.
    pub os_version: String,
    /// Who runs the process.
    pub user_name: String,
    /// Where that user is at home.
    pub user_home: String,
    /// Where the process works.
    pub user_dir: String,
    /// Memory in use by the process, in MB.
    pub used_mb: u64,
    /// Memory there is, in MB.
    pub total_mb: u64,
}

/// Everything a word may ask for. What it does not ask for ([`super::Word::needs`]) may stay empty.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Always needed: whether it serves.
    pub server: ServerFacts,
    /// Connections, in any order: they are told in this one.
    pub connections: Vec<ConnectionFacts>,
    /// Watches.
    pub watches: WatchFacts,
    /// Sessions.
    pub sessions: SessionFacts,
    /// Configuration.
    pub conf: ConfFacts,
    /// Bytes on disk.
    pub dirs: DirSizes,
    /// Oldest first.
    pub digests: Vec<DigestFact>,
    /// The process's surroundings.
    pub environment: EnvironmentFacts,
    /// What follows version and state in `mntr`, from [`crate::admin::metrics::mntr`].
    pub metrics: String,
    /// Which events Java would trace: a number that is kept and means nothing. 306 at first.
    pub trace_mask: i64,
}
