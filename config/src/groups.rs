//! The parts of a [`Config`](crate::Config) that belong together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Purging of snapshots, and of log files that no kept snapshot needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Autopurge {
    /// How many of the newest good snapshots stay: at least 3.
    pub snap_retain_count: u32,
    /// Hours from one purge to the next; 0 for never.
    pub interval_hours: u32,
}

/// The deletion of containers that became empty, and of TTL znodes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Container {
    /// ms from one check to the next.
    pub check_interval_ms: u64,
    /// Deletions a minute, at most.
    pub max_per_minute: u32,
    /// ms after which a container that never had a child is deleted; 0 for never.
    pub max_never_used_ms: u64,
}

/// The `digest` authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DigestAuth {
    /// Whether clients may use it.
    pub enabled: bool,
    /// How a password becomes an id; the same on all members.
    pub algorithm: DigestAlgorithm,
}

/// A hash of the `digest` scheme.
#[expect(missing_docs, reason = "they are called as they are")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestAlgorithm {
    /// ZooKeeper's default.
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

/// New connections taken from a bucket of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ConnectionThrottle {
    /// Tokens the bucket holds: connections in a burst; 0 for no throttle.
    pub tokens: u32,
    /// ms after which tokens are added.
    pub fill_time_ms: u32,
    /// Tokens added each time.
    pub fill_count: u32,
    /// Whether a connection costs what is said here: `tokens` and `fill_count` are then those of connections that
    /// begin a session which all members know.
    pub weight_enabled: bool,
    /// Tokens for one that begins such a session.
    pub global_session_weight: u32,
    /// For one that begins a session of this member alone. No other costs less than that.
    pub local_session_weight: u32,
    /// For one that goes on with a session.
    pub renew_session_weight: u32,
    /// ms, after more than which the chance that a connection is turned away may change; `None`: nobody is by chance.
    pub freeze_time_ms: Option<u32>,
    /// What the chance rises by while there is no token.
    pub drop_increase: Fraction,
    /// What it falls by …
    pub drop_decrease: Fraction,
    /// … while no more than this part of the tokens is missing.
    pub decrease_ratio: Fraction,
}

/// Who may ask anything at all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct EnforceAuth {
    /// Whether a client must have proved an identity of one of the schemes before it may ask.
    pub enabled: bool,
    /// The schemes, with commas between; `None` only while that is off.
    pub schemes: Option<String>,
}

impl EnforceAuth {
    /// Those that are enforced; none unless that is on.
    pub fn enforced(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().filter(|_| self.enabled).flat_map(|all| all.split(',').map(str::trim))
    }
}

/// Writes held back while many are in progress.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RequestThrottle {
    /// Writes and syncs in progress, of all clients, beyond which no further ones are taken on; 0 for no limit.
    pub max_requests: u32,
    /// ms after which those held back look for room at the latest.
    pub stall_time_ms: u32,
    /// ms after which one that was held back is refused; 0 for never.
    pub op_wait_time_ms: u32,
    /// Whether a stale one closes its connection.
    pub drop_stale: bool,
    /// Whether one is stale that was held back for longer than its session's timeout.
    pub stale_latency_check: bool,
}

/// Metrics for scraping.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Metrics {
    /// Who may read them.
    pub class: MetricsClass,
    /// The address `/metrics` listens on, with [`MetricsClass::Prometheus`].
    pub host: String,
    /// Its TCP port; 0 for any free one.
    pub port: u16,
}

/// Where metrics can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsClass {
    /// From the four-letter word `mntr` alone.
    Default,
    /// Over HTTP as well, in Prometheus' text format.
    Prometheus,
    /// Nowhere.
    None,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Memory {
    /// Beyond this, writes that add data are refused; `None` for no limit.
    pub soft_limit: Option<MemoryLimit>,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum MemoryLimit {
    /// This many bytes.
    Bytes(u64),
    /// This much, 1 to 100 %, of what the machine or the container has.
    Percent(u8),
}

impl TryFrom<String> for MemoryLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        crate::kind::memory_limit(&text).ok_or_else(|| format!("{text} is no amount of memory"))
    }
}

impl From<MemoryLimit> for String {
    fn from(limit: MemoryLimit) -> Self {
        match limit {
            MemoryLimit::Bytes(bytes) => bytes.to_string(),
            MemoryLimit::Percent(percent) => format!("{percent}%"),
        }
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fraction {
    /// 0 to 1,000,000.
    pub millionths: u32,
}

impl Fraction {
    /// From a decimal number; what is above 1 is all of it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let part = text.trim().parse::<f64>().ok().filter(|part| part.is_finite() && *part >= 0.0)?;
        Some(Self { millionths: (part.min(1.0) * 1e6).round() as u32 })
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.millionths) / 1e6)
    }
}

impl TryFrom<String> for Fraction {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text).ok_or_else(|| format!("{text} is no part of a whole"))
    }
}

impl From<Fraction> for String {
    fn from(part: Fraction) -> Self {
        part.to_string()
    }
}

/// A share of something, or none: less than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    /// 0 to 1,000,000; -1 for none.
    pub millionths: i32,
}

impl Share {
    /// From a decimal number. Source: compat: ZKDatabase.java, whose default stands in for what is above 1.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let share = text.trim().parse::<f64>().ok().filter(|share| share.is_finite())?;
        let millionths = match share {
            ..0.0 => -1,
            0.0..=1.0 => (share * 1e6).round() as i32,
            _ => 330_000,
        };
        Some(Self { millionths })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millionths {
            ..0 => f.write_str("-1"),
            millionths => write!(f, "{}", f64::from(millionths) / 1e6),
        }
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text).ok_or_else(|| format!("{text} is no share"))
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

/// The node's own log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// What is logged: a level, or `target=level` directives as tracing's `EnvFilter` takes them.
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What only matters with other members, all of it in ticks unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ensemble {
    /// Ticks in which a learner must be connected and synchronised.
    pub init_limit: u32,
    /// Ticks a learner may lag behind.
    pub sync_limit: u32,
    /// ms of silence on the heartbeat lane after which a member counts as gone.
    pub peer_timeout_ms: u32,
    /// ms that connections wait for a new leader, or for the first one after the start, before they are closed.
    pub park_ms: u32,
    /// Whether a client of this member reads nothing older than what anybody was answered before.
    pub linearizable_reads: bool,
    /// Whether one `server.N` line makes a server alone (`true`) or an ensemble of one.
    pub standalone: bool,
    /// Whether op 16 is allowed; `None` unless written, which then also keeps the member list to the file.
    pub reconfig: Option<bool>,
    /// Whether the leader takes clients.
    pub leader_serves: bool,
    /// Whether peers are listened to on all addresses and not just on the member's own.
    pub listen_on_all_ips: bool,
    /// Whether a member may have several addresses.
    pub multi_address: bool,
    /// Whether observers log and snapshot.
    pub observer_sync: bool,
    /// What this member is when no `server.N` line says so.
    pub peer_type: PeerType,
    /// A learner that lacks more of the log than this share of the newest snapshot's size is sent the snapshot;
    /// 0: the log, whenever it is still there; none: the snapshot, whenever it has any of it.
    pub snapshot_size_factor: Share,
}

/// Whether a member votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerType {
    /// It votes.
    #[default]
    Participant,
    /// It learns and serves, and never votes.
    Observer,
}

/// Sessions that only their own member knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LocalSessions {
    /// Whether new sessions begin as local.
    pub enabled: bool,
    /// Whether one becomes global when it creates an ephemeral znode.
    pub upgrading: bool,
}

/// Text that is never printed: `Debug` and `Serialize` give `(hidden)`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands for a secret wherever values are printed.
pub const HIDDEN: &str = "(hidden)";

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(HIDDEN)
    }
}
