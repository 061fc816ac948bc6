//! `paddock bench` over Paddock and over Apache's server.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use paddock_integration::java_server::JavaServer;
use paddock_integration::process::{Launch, ServerProcess, binary};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

fn paddock() -> (TempDir, ServerProcess) {
    let dir = tempdir().unwrap();
    let server = Launch::new(dir.path().join("data")).serve().unwrap();
    (dir, server)
}

fn bench(server: SocketAddr, args: &str) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.arg("bench").arg(server.to_string()).args(args.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(server: SocketAddr, args: &str) -> Output {
    bench(server, args).output().unwrap()
}

fn json(done: &Output) -> Value {
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each op, with znodes and clients that do not divide the requests; nothing stays behind.
fn every_op(server: SocketAddr) {
    let mut client = RawClient::connect(server).unwrap();
    client.create("/paddock-bench-foreign", b"", CreateMode::Persistent).unwrap();
    for op in ["set", "get", "create", "delete", "exists", "children", "mix"] {
        for shape in
            ["--clients 3 --pipeline 7 --znodes 5", "--threads 2 --clients 5 --rate 20000 --value-size 3"]
        {
            let told = json(&run(server, &format!("--op {op} --requests 1000 --json {shape}")));
            assert_eq!((&told["op"], &told["replies"]), (&op.into(), &1000.into()), "{told}");
            let [p50, max] = ["p50", "max"].map(|name| told["latency_us"][name].as_u64().unwrap());
            assert!(0 < p50 && p50 <= max, "{told}");
        }
    }
    let mut left = client.children("/").unwrap();
    left.sort();
    assert_eq!(left, ["paddock-bench-foreign", "zookeeper"], "BN3");
}

#[test]
fn bn3_it_measures_paddock_and_leaves_nothing() {
    let (_dir, server) = paddock();
    every_op(server.address());
    let done = run(server.address(), "--seconds 0.2 --warmup 0.1 --clients 2 --pipeline 4");
    let table = text(&done.stdout);
    assert!(done.status.success() && table.ends_with("every reply was right\n"), "{table}");
}

#[test]
fn bn3_it_measures_apaches_server_and_leaves_nothing() {
    every_op(JavaServer::start(&[], &[]).unwrap().address());
}

/// Runs until it tells progress; the rest of its stderr can be read from what is returned.
fn begun(server: SocketAddr, args: &str) -> (Child, BufReader<ChildStderr>) {
    let mut child = bench(server, args).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("ops/s") {
        assert!(log.read_line(&mut told).unwrap() > 0, "it ended: {told}");
    }
    (child, log)
}

#[test]
fn bn3_an_interrupt_ends_it_with_what_was_measured() {
    let (_dir, server) = paddock();
    for shape in ["--clients 4", "--rate 100 --threads 2"] {
        let (child, _log) =
            begun(server.address(), &format!("--op create --seconds 1e6 --warmup 0 --json {shape}"));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let done = child.wait_with_output().unwrap();
        let told = json(&done);
        assert!(told["interrupted"] == true && told["replies"].as_u64() > Some(0), "{told}");
        assert_eq!(RawClient::connect(server.address()).unwrap().children("/").unwrap(), ["zookeeper"]);
    }
}

#[test]
fn bn3_a_wrong_reply_ends_it_with_what_was_wrong() {
    let (_dir, server) = paddock();
    let (child, mut log) = begun(server.address(), "--op get --seconds 1e6 --warmup 0 --clients 2");
    let mut client = RawClient::connect(server.address()).unwrap();
    let root = client.children("/").unwrap().into_iter().find(|name| name != "zookeeper").unwrap();
    client.delete(&format!("/{root}/c00001/z0000000000"), -1).unwrap(); // as no reply may tell
    let done = child.wait_with_output().unwrap();
    let mut told = String::new();
    log.read_to_string(&mut told).unwrap();
    assert_eq!(done.status.code(), Some(1), "{told}");
    let wrong = format!("wrong reply to get /{root}/c00001/z0000000000");
    assert!(told.contains(&wrong) && told.contains("it is refused: no such znode (-101)"), "{told}");
    assert!(!text(&done.stdout).contains("every reply was right"));
    assert_eq!(client.children("/").unwrap(), ["zookeeper"]);
}

#[test]
fn a_server_that_is_not_there_or_goes_away_is_named() {
    let (_dir, mut server) = paddock();
    let address = server.address();
    let (child, mut log) = begun(address, "--seconds 1e6 --warmup 0");
    server.kill().unwrap();
    let mut told = String::new();
    log.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    assert!(told.contains(&format!("{address}: ")) && told.contains("cannot be removed"), "{told}");
    let done = run(address, "--seconds 1");
    assert_eq!(done.status.code(), Some(1));
    let told = text(&done.stderr);
    assert!(told.starts_with(&format!("{address}: cannot connect: ")), "{told}");
    assert_eq!(run(address, "--op delete").status.code(), Some(2), "without --requests");
}
