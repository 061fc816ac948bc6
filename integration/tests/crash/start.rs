//! The command as its users run it: what it says and how it ends when it cannot start, TOML, JSON logs,
//! `check-config`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use paddock_actors::runtime::ExitCode;
use paddock_integration::ports::free_port;
use paddock_integration::process::{Launch, ServerProcess, binary};
use paddock_integration::raw_client::{RawClient, four_letter_word};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{Create, CreateTtl};
use paddock_messages::znode::{Acl, AclEntry, CreateMode};
use tempfile::tempdir;

use crate::order::PATIENCE;
use crate::refusals::refused;
use crate::world::config;

/// Runs the command to its end.
fn run(args: &[&str]) -> (Output, String) {
    let output = Command::new(binary().unwrap()).args(args).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn what_cannot_be_meant_ends_with_2_before_anything_is_done() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let typo = write(dir.path(), "typo.cfg", &format!("dataDir={data}\nclientPort=0\ntickTiem=2000\n"));
    let number = write(dir.path(), "number.cfg", &format!("dataDir={data}\nclientPort=0\ntickTime=soon\n"));
    let toml = write(dir.path(), "typo.toml", &format!("data_dir = {data:?}\ntick_mss = 2000\n"));
    let missing = dir.path().join("none.cfg").display().to_string();
    for (args, parts) in [
        (&["serve", &number][..], &["number.cfg:3", "tickTime", "soon"][..]),
        (&["serve", &toml], &["typo.toml", "tick_mss", "tick_ms"]),
        (&["serve", &missing], &["none.cfg"]),
        (&["serve", "--data-dir", &data, "--set", "log.level=loud=louder=loudest"], &["log.level"]),
        (&["serve", "--data-dir", &data, "--set", "tick_mss=1"], &["tick_mss"]),
        (&["serve", "--data-dir", &data, "--set", "tick_ms"], &["NAME=VALUE"]),
        (&["serve", "--nonsense"], &["--nonsense", "Usage"]),
        (&["serve", &typo, "--client-port", "high"], &["--client-port"]),
        (&["check-config", &number], &["number.cfg:3", "tickTime", "soon"]),
        (&["nonsense"], &["nonsense", "Usage"]),
    ] {
        let (output, text) = run(args);
        assert_eq!(
            output.status.code(),
            Some(i32::from(ExitCode::BadConfiguration.code())),
            "{args:?}: {text}"
        );
        assert!(parts.iter().all(|part| text.contains(part)), "{args:?}: {text}: not {parts:?}");
        assert!(!Path::new(&data).exists(), "{args:?} has made the data directory");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_has_its_own_exit_code() {
    let dir = tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, log) = refused(&Launch { port, ..Launch::new(dir.path().join("a")) });
    assert_eq!(code, ExitCode::BindClientPort, "{log}");
    let last = log.lines().last().unwrap();
    let parts =
        [&format!("127.0.0.1:{port}"), "cannot listen for clients", "is another server running there?"];
    assert!(parts.iter().all(|part| last.contains(*part)), "{last}");

    let lines = format!(
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
         metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort={port}"
    );
    let mut server =
        Launch::new(dir.path().join("b")).file(config(dir.path(), &lines)).spawn().expect("it starts");
    let status = server.wait().unwrap();
    let log = server.whole_log();
    assert_eq!(status.code(), Some(i32::from(ExitCode::AdminServer.code())), "{log}");
    assert!(log.lines().last().is_some_and(|line| line.contains(&port.to_string())), "{log}");
}

#[test]
fn what_is_not_supported_yet_is_told_once_a_key_and_the_rest_is_served() {
    let dir = tempdir().unwrap();
    let port = free_port().unwrap();
    let keys = [
        ("audit.enable", "true", "no audit log"),
        ("ssl.keyStore.location", "/etc/zookeeper/keys.jks", "TLS"),
        ("secureClientPort", "2281", "nothing listens on this port"),
        (
            "authProvider.1",
            "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            "SASLAuthenticationProvider",
        ),
        ("admin.serverPort", "8081", "AdminServer"),
    ];
    let lines: String = keys.iter().map(|(key, value, _)| format!("{key}={value}\n")).collect();
    let file = config(dir.path(), &format!("clientPort={port}\n{lines}"));
    let launch = Launch { port, ..Launch::new(dir.path().join("data")).file(file) };
    let mut server = launch.serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    client.create("/a", b"", CreateMode::Persistent).unwrap();
    client.close().unwrap();
    assert!(server.terminate().unwrap().success());
    let log = server.whole_log();
    let of = |key: &str| log.lines().filter(|line| line.contains(key)).collect::<Vec<_>>();
    for (key, _, part) in keys {
        let [line] = of(key)[..] else { panic!("{key}: not one line:\n{log}") };
        let parts = [" WARN ", "zoo.cfg:", "not yet supported", part];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}: not {parts:?}");
    }
    assert_eq!(of("not yet supported").len(), keys.len(), "of nothing else:\n{log}");
}

/// Each line of its log as JSON.
fn json_lines(server: &ServerProcess) -> Vec<serde_json::Value> {
    let log = server.whole_log();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn a_toml_file_is_taken_and_each_line_of_its_json_log_is_an_object() {
    let dir = tempdir().unwrap();
    let text = "tick_ms = 500\nsnap_count = 1000\n[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let file = write(dir.path(), "paddock.toml", text);
    let mut server = Launch::new(dir.path().join("data")).file(file).serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    assert_eq!(client.session().timeout_ms, 20 * 500, "the most that this tick allows");
    let session = format!("0x{:x}", client.session().id);
    client.create("/a", b"line\nbreak \"quoted\"", CreateMode::Persistent).unwrap();
    client.close().unwrap();
    assert!(server.terminate().unwrap().success());
    let lines = json_lines(&server);
    for line in &lines {
        for part in ["/timestamp", "/level", "/fields/message"] {
            let found = line.pointer(part).and_then(|value| value.as_str());
            assert!(found.is_some_and(|text| !text.is_empty()), "no {part} in {line}");
        }
    }
    let has = |part: &str| lines.iter().any(|line| line.to_string().contains(part));
    for part in ["paddock starts", "serving clients", "SIGTERM: stopping", &session] {
        assert!(has(part), "no {part:?} in {lines:#?}");
    }
}

#[test]
fn check_config_tells_what_holds_and_where_it_is_from_and_starts_nothing() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let port = free_port().unwrap();
    let text = format!(
        "dataDir={}\nclientPort={port}\ntickTime=3000\nmaxSessionTimeout=77000\nadmin.enableServer=false\n",
        data.display()
    );
    let file = write(dir.path(), "zoo.cfg", &text);
    let (output, said) = run(&["check-config", &file]);
    assert!(output.status.success(), "{said}");
    let line = |name: &str| {
        let mut lines = said.lines();
        let found = lines.find(|line| line.starts_with(&format!("{name} = ")));
        found.unwrap_or_else(|| panic!("no {name} in\n{said}")).to_owned()
    };
    for (name, value, origin) in [
        ("tick_ms", "3000", "zoo.cfg:3"),
        ("min_session_timeout_ms", "6000", "follows from tick_ms"),
        ("max_session_timeout_ms", "77000", "zoo.cfg:4"),
        ("client_port", &port.to_string(), "zoo.cfg:2"),
        ("snap_count", "100000", "default"),
    ] {
        let line = line(name);
        let rest = line.split_once(" = ").unwrap().1;
        let (found, from) = rest.split_once('#').unwrap();
        assert!(found.trim() == value && from.contains(origin), "{line}: not {value} from {origin}");
    }
    let (output, json) = run(&["check-config", "--json", &file]);
    assert!(output.status.success(), "{json}");
    let _: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!data.exists(), "nothing is started");
}

/// Only the port is another than the documented one, which somebody may have here.
#[test]
fn without_a_file_it_serves_on_loopback_keeps_its_data_in_the_current_directory_and_has_ttl_znodes() {
    let dir = tempdir().unwrap();
    let port = free_port().unwrap();
    let launch = Launch { port, ..Launch::default() }.under(["env", "-C", &dir.path().display().to_string()]);
    let launch = launch.args(["--client-port", &port.to_string()]);
    let mut server = launch.serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    let acl = Some(Acl::open().iter().map(AclEntry::from).collect());
    let create = Create { path: "/a".into(), data: None, acl, flags: CreateMode::PersistentWithTtl as i32 };
    let reply = client.call(OpCode::CreateTtl, &CreateTtl { create, ttl: 60_000 }).unwrap();
    reply.ok().unwrap();
    client.close().unwrap();
    let conf = four_letter_word(server.address(), "conf", PATIENCE).unwrap();
    let data = dir.path().join("data").canonicalize().unwrap();
    let parts = ["tickTime=2000", &format!("dataDir={}", data.display())];
    assert!(parts.iter().all(|part| conf.contains(part)), "{conf} does not say {parts:?}");
    assert!(data.join("history").exists());
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let log = server.whole_log();
    assert!(log.contains(&format!("serving clients address=127.0.0.1:{port}")), "{log}");
}

/// As ZooKeeper's server is started without a file.
#[test]
fn a_port_and_a_directory_stand_for_a_file() {
    let dir = tempdir().unwrap();
    let (port, data) = (free_port().unwrap(), dir.path().join("data").display().to_string());
    let launch = Launch { port, ..Launch::default() }.args([&port.to_string(), &data, "1000", "5"]);
    let launch = launch.args(["--set", "client_host=127.0.0.1"]);
    let mut server = launch.serve().unwrap();
    let conf = four_letter_word(server.address(), "conf", PATIENCE).unwrap();
    let port = format!("clientPort={port}");
    let parts = [port.as_str(), "tickTime=1000", "maxClientCnxns=5", &format!("dataDir={data}")];
    assert!(parts.iter().all(|part| conf.contains(part)), "{conf} does not say {parts:?}");
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let has = |text: &str, name: &str, value: &str| {
        text.lines().any(|line| line.trim_start().starts_with(name) && line.contains(value))
    };
    let (output, text) = run(&["check-config", "2181", &data]);
    assert!(output.status.success(), "{text}");
    assert!(has(&text, "client_host", "0.0.0.0") && has(&text, "tick_ms", "3000"), "as with a file: {text}");
    let mut command = Command::new(binary().unwrap());
    let output =
        command.args(["check-config", "2181", &data]).env("PADDOCK_TICK_MS", "1500").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(has(&text, "tick_ms", "1500"), "the environment stands above what is not said: {text}");
    let (output, text) = run(&["check-config", "high", &data]);
    assert_eq!(output.status.code(), Some(i32::from(ExitCode::BadConfiguration.code())), "{text}");
    assert!(text.contains("client_port") && text.contains("high"), "{text}");
}
