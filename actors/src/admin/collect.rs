//! What each actor adds to an answer, as plain facts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use paddock_messages::ids::SessionId;
use paddock_messages::path::{QUOTA, QUOTA_LIMITS, QUOTA_STATS};

use super::four_letter::{
    ConnectedSession, ConnectionFacts, DigestFact, DirSizes, EnvironmentFacts, ExpiryBucket, Facts,
    ServerFacts, SessionFacts, WatchFacts,
};
use super::metrics::{Gauges, QuotaGauges};
use crate::client::ArbiterCore;
use crate::client::stats::{ConnectionInfo, Latency, Totals, short_name};
use crate::session::core::SessionTracker;
use crate::tree::quota::QuotaText;
use crate::tree::{DataTree, NodeRef};

/// One client arbiter's part.
#[derive(Clone, Debug, Default)]
pub struct ArbiterPart {
    /// Its packets and latencies.
    pub totals: Totals,
    /// Its connections, if they were asked for.
    pub connections: Vec<ConnectionFacts>,
    /// Its watches, if they were asked for.
    pub watches: WatchFacts,
}

/// Both clocks at one moment, to tell times of one in the other.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock, in ms.
    pub ms: u64,
    /// The wall clock, in ms since 1970.
    pub wall_ms: i64,
}

impl Now {
    fn wall_of(self, ms: u64) -> i64 {
        self.wall_ms - (self.ms as i64 - ms as i64)
    }
}

/// The connections of an arbiter.
pub fn connections(core: &ArbiterCore, now: Now) -> Vec<ConnectionFacts> {
    core.connections().map(|info| connection(&info, now)).collect()
}

fn connection(info: &ConnectionInfo, now: Now) -> ConnectionFacts {
    let stats = &info.stats;
    let session = info.session.map(|id| ConnectedSession {
        id,
        last_op: short_name(stats.last_op),
        established_ms: now.wall_of(info.established_ms),
        timeout_ms: info.timeout_ms,
        last_cxid: i64::from(stats.last_cxid),
        last_zxid: stats.last_zxid,
        last_response_ms: stats.last_response_ms,
        last_latency_ms: stats.last_latency_ms,
        min_latency_ms: stats.latency.min_ms,
        avg_latency_ms: stats.latency.mean_ms() as u64,
        max_latency_ms: stats.latency.max_ms,
    });
    ConnectionFacts {
        peer: info.peer,
        reading: info.reading,
        writing: info.writing,
        queued: info.queued as u64,
        received: stats.received,
        sent: stats.sent,
        session,
        expires_at_ms: now.wall_ms + i64::from(info.timeout_ms),
    }
}

/// The data watches of an arbiter, by session.
pub fn watches(core: &ArbiterCore) -> WatchFacts {
    let sessions: HashMap<u32, SessionId> =
        core.connections().filter_map(|info| Some((info.conn.slot, info.session?))).collect();
    let by_slot = core.watches().by_connection().into_iter();
    let own = |paths: Vec<&str>| paths.into_iter().map(str::to_owned).collect();
    WatchFacts {
        by_session: by_slot.filter_map(|(slot, paths)| Some((*sessions.get(&slot)?, own(paths)))).collect(),
    }
}

/// What the tree knows of the member.
pub fn of_tree(tree: &DataTree, server: &mut ServerFacts) {
    server.zxid = tree.last_zxid();
    server.node_count = u64::from(tree.node_count()) + 1; // ZooKeeper counts the root twice
}

/// What the tree is asked for metrics, quotas included.
pub fn gauges_of_tree(tree: &DataTree, gauges: &mut Gauges) {
    gauges.znodes = u64::from(tree.node_count()) + 1; // as above
    gauges.data_size = tree.data_size();
    gauges.ephemerals = tree.ephemeral_count() as u64;
    gauges.sessions = tree.session_count() as u64;
    gauges.quotas = quotas(tree);
}

/// Limits and usage of all quotas, added up by the first component of the path they are set on. A hard
/// limit goes before a soft one. Source: QuotaMetricsUtils.java.
fn quotas(tree: &DataTree) -> BTreeMap<String, QuotaGauges> {
    let mut all: BTreeMap<String, QuotaGauges> = BTreeMap::new();
    for top in tree.node(QUOTA).iter().flat_map(|node| node.child_nodes()) {
        let mut open: Vec<NodeRef<'_>> = top.child_nodes().collect();
        while let Some(node) = open.pop() {
            let text = QuotaText::parse(node.data());
            match node.name() {
                QUOTA_LIMITS => all.entry(top.name().into()).or_default().add_limits(&text),
                QUOTA_STATS => all.entry(top.name().into()).or_default().add_usage(&text),
                _ => open.extend(node.child_nodes()),
            }
        }
    }
    all
}

impl QuotaGauges {
    fn add_limits(&mut self, limits: &QuotaText) {
        add_limit(&mut self.count_limit, limits.count_hard_limit(), limits.count());
        add_limit(&mut self.bytes_limit, limits.bytes_hard_limit(), limits.bytes());
    }

    fn add_usage(&mut self, usage: &QuotaText) {
        self.count_usage = self.count_usage.saturating_add(usage.count());
        self.bytes_usage = self.bytes_usage.saturating_add(usage.bytes());
    }
}

/// -1 is no limit.
fn add_limit(sum: &mut Option<i64>, hard: i64, soft: i64) {
    let limit = if hard > -1 { hard } else { soft };
    if limit > -1 {
        *sum = Some(sum.unwrap_or(0).saturating_add(limit));
    }
}

/// The digests of the tree that are kept.
pub fn digests(tree: &DataTree) -> Vec<DigestFact> {
    tree.digests().map(|(zxid, digest)| DigestFact { zxid, digest }).collect()
}

/// Adds an arbiter's part to the answer.
pub fn add(part: ArbiterPart, latency: &mut Latency, facts: &mut Facts) {
    latency.merge(&part.totals.latency);
    facts.server.received += part.totals.received;
    facts.server.sent += part.totals.sent;
    facts.connections.extend(part.connections);
    facts.watches.by_session.extend(part.watches.by_session);
}

/// The sessions by the time they expire, or as a learner knows them, and their ephemerals. `local` are the
/// deadlines of those that are this member's alone.
pub fn sessions(
    (tracker, local): (&SessionTracker, Option<&SessionTracker>),
    tree: &DataTree,
    is_learner: bool,
    now: Now,
) -> SessionFacts {
    let bucket = |(in_ms, sessions)| ExpiryBucket { at_ms: now.wall_ms + in_ms, sessions };
    let owners = tree.ephemeral_owners().map(|id| (id, tree.ephemerals(id).collect()));
    let global = is_learner.then(|| {
        let mut all: Vec<_> = tree.sessions().collect();
        all.sort_unstable();
        all
    });
    SessionFacts {
        global,
        buckets: tracker.buckets().into_iter().map(bucket).collect(),
        local: local.map(|local| local.buckets().into_iter().map(bucket).collect()),
        ephemerals: owners.collect(),
    }
}

/// Bytes of snapshots and of everything else in the data and the log directory; 0 for what cannot be read.
pub fn dirs(directories: &BTreeSet<PathBuf>) -> DirSizes {
    let mut sizes = DirSizes::default();
    let entries = directories.iter().filter_map(|directory| std::fs::read_dir(directory).ok());
    for entry in entries.flatten().flatten() {
        let len = entry.metadata().map_or(0, |meta| meta.len());
        if entry.file_name().to_string_lossy().starts_with("snapshot.") {
            sizes.data += len;
        } else {
            sizes.log += len;
        }
    }
    sizes
}

/// The process's surroundings, as far as the system tells.
pub fn environment() -> EnvironmentFacts {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let memory = rustix::system::sysinfo();
    let total = u64::from(memory.mem_unit) * memory.totalram as u64;
    let free = u64::from(memory.mem_unit) * memory.freeram as u64;
    EnvironmentFacts {
        host_name: text(uname.nodename()),
        os_name: text(uname.sysname()),
        os_arch: text(uname.machine()),
        os_version: text(uname.release()),
        user_name: variable("USER"),
        user_home: variable("HOME"),
        user_dir: std::env::current_dir().map_or_else(|_| String::new(), |dir| dir.display().to_string()),
        used_mb: total.saturating_sub(free) >> 20,
        total_mb: total >> 20,
    }
}
