//! A disk that does not answer: reported each second, and nothing else comes of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use paddock_integration::ports::free_port;
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use tempfile::tempdir;

use crate::world::config;

/// Never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
const SILENT: &str = "the disk does not answer";

/// What the metrics tell of the disk, in seconds.
fn stuck_seconds(port: u16) -> f64 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("metrics are served");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it listens");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    let value = page.lines().find_map(|line| line.strip_prefix("paddock_log_stuck_seconds "));
    value.unwrap_or_else(|| panic!("no such metric in\n{page}")).parse().expect("a number")
}

fn until(server: &ServerProcess, what: &str, done: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(&server.log()) {
        assert!(Instant::now() < deadline, "{what}:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn k1_a_disk_that_does_not_answer_is_reported_each_second_and_only_holds_back_writes() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    let port = free_port().expect("a port");
    let lines = format!(
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
         metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort={port}"
    );
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), &lines));
    let server = launch.serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    let mut reader = RawClient::connect(server.address()).expect("it serves");
    client.create("/a", b"", CreateMode::Persistent).expect("a write");

    disk.hold_syncs(true);
    let began = Instant::now();
    client.queue_set("/a", b"waits", -1);
    client.flush().expect("it is sent");
    until(&server, "three reports", |log| log.matches(SILENT).count() >= 3);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3), "one a second, from the first second on: three in {took:?}");
    let line = server.log().lines().find(|line| line.contains(SILENT)).expect("there are three").to_owned();
    for part in ["segment.", "seconds=", "check the disk"] {
        assert!(line.contains(part), "{line} does not say {part}");
    }
    assert!(stuck_seconds(port) >= 3.0);
    assert_eq!(reader.get("/a").expect("reads go on").0, "");
    reader.ping().expect("so do pings");
    assert!(!server.log().contains("answers again"));

    disk.hold_syncs(false);
    client.reply().expect("it is answered").ok().expect("and done");
    until(&server, "the end is told", |log| log.contains("the disk answers again"));
    assert!(stuck_seconds(port) < 1.0);
    assert_eq!(reader.get("/a").expect("reads go on").0, "waits");
}
