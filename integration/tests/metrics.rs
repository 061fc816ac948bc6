//! Every name that the metrics serve is moved by a running server's work, told by `mntr` and by
//! `/metrics` alike; and nothing else is served.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

#[path = "metrics/served.rs"]
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_actors::admin::metrics::{METERS, NOT_APPLICABLE};
use paddock_integration::ports::free_port;
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, four_letter_word};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{MultiHeader, PathWatch, SetData};
use paddock_messages::client::session::AuthPacket;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::CreateMode;
use served::{Moved, OWN, names, samples, tests_of_others_exist, types};
use tempfile::tempdir;

/// How long anything here may take before the test fails; never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a server that needs time: for an expiry, or a snapshot.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// `maxClientCnxns` here.
const MOST_CONNECTIONS: usize = 12;

/// Labels of `paddock_refused_total`; in `mntr` each is a name of its own.
const REASONS: &[&str] = &[
    "ahead",
    "auth_failed",
    "auth_required",
    "bad_length",
    "ceased_to_serve",
    "connection_throttle",
    "deaf",
    "half_open",
    "http",
    "identities",
    "large_requests",
    "leader_lost",
    "max_client_cnxns",
    "max_cnxns",
    "memory",
    "no_handshake",
    "no_session",
    "not_serving",
    "not_taken",
    "other_ensemble",
    "read_only",
    "request_throttle",
    "session_ended",
    "session_moved",
    "session_not_begun",
    "silent",
    "tls",
    "too_large",
    "undecodable",
    "unimplemented",
    "word_unanswered",
    "wrong_password",
];

/// The part of `mntr` that tells metrics, as Prometheus names them.
fn mntr(server: &ServerProcess) -> BTreeMap<String, f64> {
    let text = four_letter_word(server.address(), "mntr", PATIENCE).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("zk_"));
    samples(lines.filter(|line| !line.starts_with("version") && !line.starts_with("server_state")), '\t')
}

/// `GET /metrics`: the body.
fn scrape(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: paddock\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    body.to_owned()
}

/// Does `work` until `mntr` tells more than 0 of the name: for what needs time, or a race won.
fn until(server: &ServerProcess, sample: &str, mut work: impl FnMut()) {
    let deadline = Instant::now() + PATIENCE;
    while mntr(server).get(sample).is_none_or(|value| *value == 0.0) {
        assert!(Instant::now() < deadline, "{sample} does not move; the log:\n{}", server.log());
        work();
        std::thread::sleep(LOOK_EVERY);
    }
}

fn config(dir: &Path, lines: &[String]) -> PathBuf {
    let path = dir.join("zoo.cfg");
    let text = format!("clientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\n{}\n", lines.join("\n"));
    std::fs::write(&path, text).unwrap();
    path
}

fn watch(client: &mut RawClient, opcode: OpCode, path: &str) {
    client.call(opcode, &PathWatch { path: path.into(), watch: true }).unwrap();
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ErrorCode {
    match result {
        Err(ClientError::Refused(code)) => code,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Each kind of watch is left and fired.
fn fire_watches(to: SocketAddr) {
    let (mut watcher, mut writer) = (RawClient::connect(to).unwrap(), RawClient::connect(to).unwrap());
    watch(&mut watcher, OpCode::Exists, "/app/new");
    watch(&mut watcher, OpCode::GetChildren, "/app");
    writer.create("/app/new", b"1", CreateMode::Persistent).unwrap();
    watch(&mut watcher, OpCode::GetData, "/app/new");
    writer.set("/app/new", b"2", -1).unwrap();
    watch(&mut watcher, OpCode::Exists, "/app/new");
    writer.delete("/app/new", -1).unwrap();
    watcher.sync("/").unwrap();
    let kinds: Vec<i32> = watcher.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [1, 4, 3, 2]);
    watcher.close().unwrap();
    writer.close().unwrap();
}

/// What a server refuses: credentials, a large request, a write beyond its quota, a multi.
fn be_refused(to: SocketAddr) {
    let mut client = RawClient::connect(to).unwrap();
    let large = vec![b'x'; 20_000];
    assert_eq!(refusal(client.set("/app", &large, -1)), ErrorCode::Marshalling);

    client.create("/quota", b"", CreateMode::Persistent).unwrap();
    client.create("/zookeeper/quota/quota", b"", CreateMode::Persistent).unwrap();
    let limits = b"count=-1,bytes=-1=;byteHardLimit=8;countHardLimit=5";
    client.create("/zookeeper/quota/quota/zookeeper_limits", limits, CreateMode::Persistent).unwrap();
    let usage = b"count=1,bytes=0";
    client.create("/zookeeper/quota/quota/zookeeper_stats", usage, CreateMode::Persistent).unwrap();
    client.set("/quota", b"small", -1).unwrap();
    assert_eq!(refusal(client.set("/quota", b"much too large", -1)), ErrorCode::QuotaExceeded);

    client.queue_raw(1_000, OpCode::Multi as i32, |to| {
        MultiHeader { kind: OpCode::SetData as i32, done: false, err: -1 }.write(to);
        SetData { path: "/quota".into(), data: Some(Bytes::from_static(b"multi")), version: -1 }.write(to);
        MultiHeader::END.write(to);
    });
    client.flush().unwrap();
    client.reply().unwrap().ok().unwrap();

    let packet = AuthPacket { kind: 0, scheme: Some("unheard-of".into()), auth: Some(Bytes::new()) };
    assert_eq!(refusal(client.call(OpCode::Auth, &packet).unwrap().ok()), ErrorCode::AuthFailed);

    let mut client = RawClient::connect(to).unwrap();
    let means = |ensemble: &'static str| AuthPacket {
        kind: 0,
        scheme: Some("ensemble".into()),
        auth: Some(Bytes::from_static(ensemble.as_bytes())),
    };
    for ours in ["", "here"] {
        client.call(OpCode::Auth, &means(ours)).unwrap().ok().unwrap();
    }
    let another = client.call(OpCode::Auth, &means("elsewhere"));
    let is_closed =
        |error: &io::Error| matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
    assert!(matches!(&another, Err(ClientError::Io(error)) if is_closed(error)), "{another:?}");
}

/// Connections that end in all the ways there are.
fn come_and_go(server: &ServerProcess) {
    let to = server.address();
    let silent = TcpStream::connect(to).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!((&silent).read(&mut [0]).unwrap(), 0, "closed, since it says nothing");

    let many: Vec<_> = (0..2 * MOST_CONNECTIONS).map(|_| TcpStream::connect(to).unwrap()).collect();
    let last = many.last().expect("there are many");
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!((&mut &*last).read(&mut [0]), Ok(0) | Err(_)), "refused");
    drop(many);

    until(server, "stale_replies", || {
        let Ok(mut client) = RawClient::connect(to) else { return }; // the many are perhaps not gone yet
        (0..200).for_each(|_| client.queue_set("/app", b"nobody waits for the answer", -1));
        client.flush().unwrap();
        client.hang_up();
    });
    let short = Handshake { timeout_ms: 1_000, ..Handshake::default() };
    let client = RawClient::connect_with(to, &short).unwrap();
    RawClient::reattach(to, client.session(), client.last_zxid()).unwrap().hang_up();
    until(server, "stale_sessions_expired", || {});
}

/// So many requests at once that some take a while.
fn hurry(to: SocketAddr) {
    let mut client = RawClient::connect(to).unwrap();
    (0..3_000).for_each(|_| client.queue_set("/app", b"again", -1));
    client.flush().unwrap();
    (0..3_000).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
    client.close().unwrap();
}

/// Writes whose answers nobody takes for now, until `seen`.
fn keep_busy(server: &ServerProcess, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut client = RawClient::connect(server.address()).unwrap();
    loop {
        (0..3_000).for_each(|_| client.queue_set("/app", b"again", -1));
        client.flush().unwrap();
        let done = seen();
        (0..3_000).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
        if done {
            return client.close().unwrap();
        }
        assert!(Instant::now() < deadline, "no request is ever seen under way; the log:\n{}", server.log());
    }
}

#[test]
fn every_served_name_is_moved_by_a_running_server() {
    let dir = tempdir().unwrap();
    let port = free_port().unwrap();
    let lines = [
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider".into(),
        "metricsProvider.httpHost=127.0.0.1".into(),
        format!("metricsProvider.httpPort={port}"),
        format!("maxClientCnxns={MOST_CONNECTIONS}"),
        "tickTime=500".into(),
        "nio.sessionlessCnxnTimeout=1000".into(),
        "jute.maxbuffer=10000".into(),
        "enforceQuota=true".into(),
        "ensembleAuthName=here".into(),
        "snapCount=100".into(),
        "connection_throttle_tokens=1000".into(),
        "request_throttle_max_requests=500".into(), // fewer than a client in a hurry has in flight
    ];
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), &lines));
    let mut first = launch.serve().unwrap();
    let mut client = RawClient::connect(first.address()).unwrap();
    client.create("/app", b"to be loaded", CreateMode::Persistent).unwrap();
    first.kill().unwrap();

    let mut server = launch.serve().unwrap();
    let to = server.address();
    let unfinished = dir.path().join("data/snapshot.tmp");
    std::fs::create_dir(&unfinished).unwrap(); // the first snapshot fails
    hurry(to);
    until(&server, "snapshot_error_count", || {});
    std::fs::remove_dir(&unfinished).unwrap();
    fire_watches(to);
    be_refused(to);
    come_and_go(&server);
    until(&server, "snapshottime_count", || {});

    let mut client = RawClient::connect(to).unwrap();
    client.create("/app/mine", b"", CreateMode::Ephemeral).unwrap();
    watch(&mut client, OpCode::GetData, "/app/mine");
    let (mut in_mntr, mut on_page) = (Moved::default(), Moved::default());
    keep_busy(&server, || {
        in_mntr.look(&mntr(&server));
        on_page.look(&samples(scrape(port).lines(), ' '));
        [&in_mntr, &on_page].iter().all(|seen| seen.rests(["outstanding_requests"].into_iter()).is_empty())
    });
    let page = scrape(port);
    in_mntr.look(&mntr(&server));
    on_page.look(&samples(page.lines(), ' '));
    let own = OWN.iter().map(|(name, _)| *name);
    assert_eq!(in_mntr.rests(names(false)), [""; 0], "mntr serves names that nothing moved");
    assert_eq!(on_page.rests(names(false).chain(own)), [""; 0], "/metrics serves names that nothing moved");
    tests_of_others_exist();
    check_names(&page);
    let mut own: Vec<_> = mntr(&server).into_keys().filter(|name| name.starts_with("paddock_")).collect();
    own.sort_unstable();
    assert_eq!(own, REASONS.iter().map(|name| format!("paddock_refused_{name}")).collect::<Vec<_>>());
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "nobody listens any more");
}

/// The page has the two tables' names, and no other.
fn check_names(page: &str) {
    let types = types(page);
    let told: BTreeSet<&str> = types.keys().copied().collect();
    let own = OWN.iter().map(|(name, _)| *name);
    let listed: BTreeSet<&str> = METERS.iter().map(|entry| entry.name).chain(own).collect();
    assert_eq!(told, listed);
    OWN.iter().for_each(|(name, kind)| assert_eq!(types[name], *kind, "{name}"));
    let prefix = "paddock_refused_total{reason=\"";
    let reason = |line: &str| Some(line.strip_prefix(prefix)?.split_once('"')?.0.to_owned());
    let mut reasons: Vec<String> = page.lines().filter_map(reason).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, REASONS);
    let absent = NOT_APPLICABLE.iter().flat_map(|(_, names)| *names);
    assert_eq!(absent.filter(|name| told.contains(*name)).count(), 0);
    for part in [
        "paddock_mailbox_handled_total{actor=\"learner\",message=\"Commit\"} ",
        "paddock_mailbox_handled_total{actor=\"logger\",message=\"Append\"} ",
        "paddock_mailbox_wait_seconds_count{actor=\"proposer\",message=\"Asked\"} ",
        "process_resident_memory_bytes ",
    ] {
        let value = page.lines().find_map(|line| line.strip_prefix(part));
        let value: f64 = value.unwrap_or_else(|| panic!("no {part} in\n{page}")).parse().unwrap();
        assert!(value > 0.0, "{part}{value}");
    }
}

#[test]
fn the_default_provider_tells_mntr_alone_and_srst_forgets() {
    let dir = tempdir().unwrap();
    let port = free_port().unwrap();
    let lines = ["metricsProvider.httpHost=127.0.0.1".into(), format!("metricsProvider.httpPort={port}")];
    let server = Launch::new(dir.path().join("data")).file(config(dir.path(), &lines)).serve().unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "nobody listens for /metrics");

    hurry_once(server.address());
    let told = mntr(&server);
    assert!(told["packets_sent"] >= 101.0 && told["cnt_updatelatency"] >= 100.0, "{told:?}");
    assert!(told["sum_app_write_per_namespace"] >= 100.0, "{told:?}");
    four_letter_word(server.address(), "srst", PATIENCE).unwrap();
    let told = mntr(&server);
    assert!(told["packets_sent"] < 10.0 && told["cnt_updatelatency"] < 10.0, "{told:?}");
    assert!(told["packets_received"] < 10.0, "the word itself is one: {told:?}");
}

/// A client that comes while there is no leader is counted under both names, and named in the log.
#[test]
fn a_member_that_serves_nobody_says_so_of_each_client() {
    let dir = tempdir().unwrap();
    let port = free_port().unwrap();
    let mut lines = vec![
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider".into(),
        "metricsProvider.httpHost=127.0.0.1".into(),
        format!("metricsProvider.httpPort={port}"),
        "initLimit=10".into(),
        "syncLimit=5".into(),
    ];
    for id in 1..=3 {
        let (data, votes) = (free_port().unwrap(), free_port().unwrap());
        lines.push(format!("server.{id}=127.0.0.1:{data}:{votes}"));
    }
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), &lines)).args(["--id", "1"]);
    let server = launch.spawn().unwrap();
    server.wait_for_line(&["listening for clients"]);
    let name = "cnxn_closed_without_zk_server_running";
    let count = || samples(scrape(port).lines(), ' ')[name];
    let before = count();
    assert!(RawClient::connect(server.address()).is_err(), "two of three are not there");
    let deadline = Instant::now() + PATIENCE;
    while count() == before {
        assert!(Instant::now() < deadline, "{name} does not move; the log:\n{}", server.log());
        std::thread::sleep(LOOK_EVERY);
    }
    assert!(scrape(port).contains("paddock_refused_total{reason=\"not_serving\"} 1\n"));
    server.wait_for_line(&["client 127.0.0.1:", "while this member serves nobody", "closed: "]);
}

/// A znode and a hundred writes.
fn hurry_once(to: SocketAddr) {
    let mut client = RawClient::connect(to).unwrap();
    client.create("/app", b"", CreateMode::Persistent).unwrap();
    (0..100).for_each(|_| client.queue_set("/app", b"again", -1));
    client.flush().unwrap();
    (0..100).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
    client.close().unwrap();
}
