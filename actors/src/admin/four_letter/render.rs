//! The texts, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use paddock_messages::ids::SessionId;

use super::calendar::date;
use super::facts::*;
use super::{NOT_SERVING, Word};
use crate::admin::{decimal, full_version, line};

/// Who may be served: reads and writes, reads alone, nobody.
pub(super) fn is_read_only(server: &ServerFacts) -> &'static str {
    match server {
        ServerFacts { serving: false, .. } => "null",
        ServerFacts { mode: Mode::ReadOnly, .. } => "ro",
        _ => "rw",
    }
}

/// Java's line; to `srvr` and `stat`, which people read, with the reason behind it.
pub(super) fn not_serving(word: Word, server: &ServerFacts) -> String {
    let mut text = String::from(NOT_SERVING);
    if let (Word::Srvr | Word::Stat, Some(outlook)) = (word, &server.outlook) {
        line!(&mut text, "{outlook}");
    }
    text
}

/// `srvr`, and with connections `stat`.
pub(super) fn server(server: &ServerFacts, connections: Option<&[ConnectionFacts]>) -> String {
    let mut text = String::new();
    line!(&mut text, "Zookeeper version: {}", full_version());
    if server.mode == Mode::ReadOnly {
        line!(&mut text, "READ-ONLY mode; serving only read-only clients");
    }
    if let Some(connections) = connections {
        line!(&mut text, "Clients:");
        for connection in connections {
            line!(&mut text, "{})", brief(connection));
        }
        line!(&mut text, "");
    }
    let ServerFacts { min_latency_ms: min, avg_latency_ms: avg, max_latency_ms: max, .. } = server;
    line!(&mut text, "Latency min/avg/max: {min}/{}/{max}", decimal(*avg));
    line!(&mut text, "Received: {}", server.received);
    line!(&mut text, "Sent: {}", server.sent);
    line!(&mut text, "Connections: {}", server.connections);
    line!(&mut text, "Outstanding: {}", server.outstanding);
    line!(&mut text, "Zxid: {}", server.zxid);
    line!(&mut text, "Mode: {}", server.mode.name());
    line!(&mut text, "Node count: {}", server.node_count);
    if let Some(Sizes { last, min, max }) = server.proposal_sizes {
        line!(&mut text, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
    text
}

/// A connection's line up to what needs a session, the parenthesis still open.
fn brief(connection: &ConnectionFacts) -> String {
    let ConnectionFacts { peer, queued, received, sent, .. } = connection;
    let interest = u8::from(connection.reading) | u8::from(connection.writing) << 2; // SelectionKey's bits
    format!(" /{peer}[{interest:x}](queued={queued},recved={received},sent={sent}")
}

/// `cons`.
pub(super) fn connections(connections: &[ConnectionFacts]) -> String {
    let mut text = String::new();
    for connection in connections {
        line!(&mut text, "{}{})", brief(connection), connection.session.as_ref().map_or(String::new(), full));
    }
    line!(&mut text, "");
    text
}

/// What a session adds to its connection's line.
fn full(session: &ConnectedSession) -> String {
    let ConnectedSession { id, last_op, established_ms, timeout_ms, .. } = session;
    let mut text = format!(",sid={id},lop={last_op},est={established_ms},to={timeout_ms}");
    if session.last_cxid >= 0 {
        write!(text, ",lcxid={:#x}", session.last_cxid).expect("writing to a String does not fail");
    }
    write!(
        text,
        ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
        session.last_zxid,
        session.last_response_ms,
        session.last_latency_ms,
        session.min_latency_ms,
        session.avg_latency_ms,
        session.max_latency_ms,
    )
    .expect("writing to a String does not fail");
    text
}

/// `conf`.
pub(super) fn conf(conf: &ConfFacts, dirs: DirSizes) -> String {
    let mut text = String::new();
    line!(&mut text, "clientPort={}", conf.client_port);
    line!(&mut text, "secureClientPort={}", conf.secure_client_port);
    line!(&mut text, "dataDir={}", conf.data_dir);
    line!(&mut text, "dataDirSize={}", dirs.data);
    line!(&mut text, "dataLogDir={}", conf.data_log_dir);
    line!(&mut text, "dataLogSize={}", dirs.log);
    line!(&mut text, "tickTime={}", conf.tick_ms);
    line!(&mut text, "maxClientCnxns={}", conf.max_client_cnxns);
    line!(&mut text, "minSessionTimeout={}", conf.min_session_timeout_ms);
    line!(&mut text, "maxSessionTimeout={}", conf.max_session_timeout_ms);
    line!(&mut text, "clientPortListenBacklog={}", conf.listen_backlog);
    line!(&mut text, "serverId={}", conf.server_id);
    if let Some(ensemble) = &conf.ensemble {
        ensemble_conf(&mut text, ensemble);
    }
    text
}

fn ensemble_conf(text: &mut String, ensemble: &EnsembleConf) {
    let ports = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join("|");
    line!(text, "initLimit={}", ensemble.init_limit);
    line!(text, "syncLimit={}", ensemble.sync_limit);
    line!(text, "electionAlg=3"); // fast leader election, the only one left
    line!(text, "electionPort={}", ports(&ensemble.election_ports));
    line!(text, "quorumPort={}", ports(&ensemble.quorum_ports));
    line!(text, "peerType={}", u8::from(ensemble.is_observer));
    if let Some(membership) = &ensemble.membership {
        line!(text, "membership: ");
        text.push_str(membership);
    }
}

/// `dump`.
pub(super) fn dump(sessions: &SessionFacts, connections: &[ConnectionFacts]) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    if let Some(local) = &sessions.local {
        text += "Local ";
        session_sets(&mut text, local);
        text += if sessions.global.is_none() { "Global " } else { "" };
    }
    match &sessions.global {
        Some(global) => {
            line!(&mut text, "Global Sessions({}):", global.len());
            global.iter().for_each(|(session, timeout_ms)| line!(&mut text, "{session}\t{timeout_ms}ms"));
        }
        None => session_sets(&mut text, &sessions.buckets),
    }
    line!(&mut text, "ephemeral nodes dump:");
    line!(&mut text, "Sessions with Ephemerals ({}):", sessions.ephemerals.len());
    for (session, paths) in &sessions.ephemerals {
        line!(&mut text, "{session}:");
        paths.iter().for_each(|path| line!(&mut text, "\t{path}"));
    }
    line!(&mut text, "Connections dump:");
    let mut buckets = BTreeMap::<i64, Vec<&ConnectionFacts>>::new();
    for connection in connections {
        buckets.entry(connection.expires_at_ms).or_default().push(connection);
    }
    line!(&mut text, "Connections Sets ({})/({}):", buckets.len(), connections.len());
    for (at_ms, connections) in buckets {
        line!(&mut text, "{} expire at {}:", connections.len(), date(at_ms));
        for connection in connections {
            let session = connection.session.as_ref().map_or(SessionId::NONE, |session| session.id);
            line!(&mut text, "\tip: /{} sessionId: {session}", connection.peer);
        }
    }
    text
}

fn session_sets(text: &mut String, buckets: &[ExpiryBucket]) {
    let count: usize = buckets.iter().map(|bucket| bucket.sessions.len()).sum();
    line!(text, "Session Sets ({})/({count}):", buckets.len());
    for bucket in buckets {
        line!(text, "{} expire at {}:", bucket.sessions.len(), date(bucket.at_ms));
        bucket.sessions.iter().for_each(|session| line!(text, "\t{session}"));
    }
}

/// `envi`. What only a Java program has is `<NA>`.
pub(super) fn environment(facts: &EnvironmentFacts) -> String {
    let mut text = String::from("Environment:\n");
    let version = full_version();
    let free = facts.total_mb.saturating_sub(facts.used_mb);
    let [free, total] = [free, facts.total_mb].map(|mb| format!("{mb}MB"));
    for (key, value) in [
        ("zookeeper.version", version.as_str()),
        ("host.name", &facts.host_name),
        ("java.version", ""),
        ("java.vendor", ""),
        ("java.home", ""),
        ("java.class.path", ""),
        ("java.library.path", ""),
        ("java.io.tmpdir", ""),
        ("java.compiler", ""),
        ("os.name", &facts.os_name),
        ("os.arch", &facts.os_arch),
        ("os.version", &facts.os_version),
        ("user.name", &facts.user_name),
        ("user.home", &facts.user_home),
        ("user.dir", &facts.user_dir),
        ("os.memory.free", &free),
        ("os.memory.max", &total),
        ("os.memory.total", &total),
    ] {
        line!(&mut text, "{key}={}", if value.is_empty() { "<NA>" } else { value });
    }
    text
}

/// `mntr`.
pub(super) fn monitor(server: &ServerFacts, metrics: &str) -> String {
    let mut text = format!("zk_version\t{}\nzk_server_state\t{}\n", full_version(), server.mode.name());
    if let Some(state) = server.peer_state {
        line!(&mut text, "zk_peer_state\t{state}");
    }
    if let Some(master) = server.observer_master {
        line!(&mut text, "zk_observer_master_id\t{master}");
    }
    text + metrics
}

fn by_path(watches: &WatchFacts) -> BTreeMap<&str, BTreeSet<SessionId>> {
    let mut by_path = BTreeMap::<_, BTreeSet<_>>::new();
    for (session, paths) in &watches.by_session {
        for path in paths {
            by_path.entry(path.as_str()).or_default().insert(*session);
        }
    }
    by_path
}

/// `wchs`.
pub(super) fn watch_summary(watches: &WatchFacts) -> String {
    let total: usize = watches.by_session.values().map(Vec::len).sum();
    let (connections, paths) = (watches.by_session.len(), by_path(watches).len());
    format!("{connections} connections watching {paths} paths\nTotal watches:{total}\n")
}

/// `wchc`.
pub(super) fn watches_by_session(watches: &WatchFacts) -> String {
    let mut text = String::new();
    for (session, paths) in &watches.by_session {
        line!(&mut text, "{session}");
        paths.iter().for_each(|path| line!(&mut text, "\t{path}"));
    }
    line!(&mut text, "");
    text
}

/// `wchp`.
pub(super) fn watches_by_path(watches: &WatchFacts) -> String {
    let mut text = String::new();
    for (path, sessions) in by_path(watches) {
        line!(&mut text, "{path}");
        sessions.iter().for_each(|session| line!(&mut text, "\t{session}"));
    }
    line!(&mut text, "");
    text
}

/// `dirs`.
pub(super) fn dirs(dirs: DirSizes) -> String {
    format!("datadir_size: {}\nlogdir_size: {}\n", dirs.data, dirs.log)
}

/// `hash`.
pub(super) fn digests(digests: &[DigestFact]) -> String {
    let mut text = String::new();
    for DigestFact { zxid, digest } in digests {
        line!(&mut text, "{:x}: {digest}", zxid.0);
    }
    text
}
