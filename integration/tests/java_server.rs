//! Apache's server as our tests start it, and ours beside it: `paddock bench` over both, what each reaps,
//! how each refuses reconfig. Needs java and, the first time, Maven.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

#[path = "java_server/bench.rs"]
mod bench;

#[path = "java_server/reaping.rs"]
mod reaping;

#[path = "java_server/reconfig.rs"]
mod reconfig;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use paddock_integration::java_server::{JavaServer, JavaServerError};

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What it answers to `word`; `None` if nobody listens.
fn ask(address: SocketAddr, word: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn j1_j2_j3_it_serves_restarts_and_leaves_nothing() {
    let mut server = JavaServer::start(&[], &[]).unwrap();
    let address = server.address();
    assert_eq!(ask(address, "ruok").as_deref(), Some("imok"), "J2: not serving after start");
    let first = server.pid().unwrap();

    server.stop().unwrap();
    assert!(!is_alive(first), "stopped, but alive");
    assert_eq!(ask(address, "ruok"), None);
    server.restart().unwrap();
    assert_eq!(server.address(), address, "J3: another port");
    assert_eq!(ask(address, "ruok").as_deref(), Some("imok"), "J2: not serving after a restart");
    assert!(server.data_dir().join("version-2").is_dir(), "J3: no data");

    server.kill().unwrap();
    server.restart().unwrap();
    let last = server.pid().unwrap();
    assert!(is_alive(last));
    drop(server);
    assert!(!is_alive(last), "J1: the process outlived its owner");
}

#[test]
fn a_later_key_wins_and_a_bad_one_is_quoted() {
    let server = JavaServer::start(&[("tickTime", "1234")], &[]).unwrap();
    let conf = ask(server.address(), "conf").unwrap();
    assert!(conf.contains("tickTime=1234\n"), "{conf}");
    let error = JavaServer::start(&[("tickTime", "often")], &[]).unwrap_err();
    assert!(matches!(&error, JavaServerError::Ended { tail } if tail.contains("often")), "{error}");
}
