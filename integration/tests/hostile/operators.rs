//! What operators and supervisors rely on, on the real binary.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use paddock_integration::ports::free_port;
use paddock_integration::process::{Launch, binary};
use paddock_messages::znode::CreateMode;
use rustix::process::{Pid, Signal, kill_process};

use crate::field::{Field, PATIENCE, wait_until};

fn health(at: SocketAddr, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary().unwrap());
    let output = command.arg("health").arg(at.to_string()).args(args).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn health_tells_serving_waiting_and_dead_apart() {
    let field = Field::new("");
    for args in [&[][..], &["--live"]] {
        let (healthy, line) = health(field.to(), args);
        assert!(healthy && line.ends_with(": serving\n") && line.lines().count() == 1, "{line}");
    }
    assert_eq!(field.told("global_sessions"), 0, "a probe leaves no session behind");

    // A member that waits for others accepts and closes.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let waiting = listener.local_addr().unwrap();
    let closing = std::thread::spawn(move || (0..2).for_each(|_| drop(listener.accept().unwrap())));
    let (healthy, line) = health(waiting, &[]);
    assert!(!healthy && line.contains("not serving"), "{line}");
    let (healthy, line) = health(waiting, &["--live"]);
    assert!(healthy && line.contains("not serving"), "{line}");
    closing.join().unwrap();

    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
    for args in [&[][..], &["--live"]] {
        let (healthy, line) = health(nobody, args);
        assert!(!healthy && line.contains("no answer"), "{line}");
    }
}

/// A client that comes and goes; returns its address, once the log has said whatever it says of it.
fn come_and_go(field: &Field) -> SocketAddr {
    let client = field.client();
    let peer = client.local_addr().unwrap();
    client.close().unwrap();
    let only_mntr = || field.told("num_alive_connections") <= 1;
    wait_until("its connection's end", || field.server.log(), only_mntr);
    // What the log says at any level comes behind it.
    let stranger = field.socket();
    let told = stranger.local_addr().unwrap();
    (&stranger).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    field.wait_for_line(&["INFO", &format!("client {told} ")]);
    peer
}

#[test]
fn sigusr1_changes_the_log_level_and_changes_it_back() {
    let field = Field::new("");
    let toggle = || kill_process(Pid::from_raw(field.server.id() as i32).unwrap(), Signal::USR1).unwrap();
    let before = come_and_go(&field);
    assert_eq!(field.lines_with("DEBUG"), 0, "none yet:\n{}", field.server.log());

    toggle();
    field.wait_for_line(&["log level changed by SIGUSR1", "debug"]);
    let meanwhile = come_and_go(&field);
    for what in ["has come", "is gone"] {
        field.wait_for_line(&["DEBUG", &format!("client {meanwhile} {what}")]);
    }

    toggle();
    field.wait_for_line(&["log level changed by SIGUSR1", "info"]);
    come_and_go(&field); // and what was under way is written
    let debug = field.lines_with("DEBUG");
    let after = come_and_go(&field);
    assert_eq!(field.lines_with("DEBUG"), debug, "no more of them:\n{}", field.server.log());
    for peer in [before, after] {
        assert_eq!(field.lines_with(&format!("client {peer} ")), 0, "{peer}");
    }
}

#[test]
fn a_supervisor_is_told_when_it_serves_and_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).expect("it notifies");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let launch = Launch::new(dir.path().join("data")).under(["env", &variable]);
    let mut server = launch.spawn().unwrap();
    assert!(told().contains("READY=1"));
    paddock_integration::raw_client::RawClient::connect(server.address()).expect("ready is ready");
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    assert!(told().contains("STOPPING=1"));
}

#[test]
fn a_quota_that_is_passed_is_a_line_soft_or_hard_and_a_flood_of_it_is_one_a_second() {
    let field = Field::new("enforceQuota=true");
    let mut client = field.client();
    for (path, limits) in [("/soft", "count=2,bytes=-1"), ("/hard", "count=-1,bytes=-1=;countHardLimit=2")] {
        let quota = format!("/zookeeper/quota{path}");
        client.create(path, b"", CreateMode::Persistent).unwrap();
        client.create(&quota, b"", CreateMode::Persistent).unwrap();
        client
            .create(&format!("{quota}/zookeeper_limits"), limits.as_bytes(), CreateMode::Persistent)
            .unwrap();
        client.create(&format!("{quota}/zookeeper_stats"), b"", CreateMode::Persistent).unwrap();
        client.create(&format!("{path}/first"), b"", CreateMode::Persistent).unwrap();
        for _ in 0..500 {
            client.queue_create(&format!("{path}/more-"), b"", CreateMode::PersistentSequential);
        }
        client.flush().unwrap();
        for _ in 0..500 {
            assert_eq!(client.reply().unwrap().ok().is_ok(), path == "/soft");
        }
        let kind = path.trim_start_matches('/');
        field.wait_for_line(&[
            "WARN",
            &format!("quota exceeded: {path} comes to"),
            &format!("its {kind} limit is 2"),
        ]);
        std::thread::sleep(std::time::Duration::from_millis(1_100)); // the next line may be written
    }
    assert!(field.lines_with("quota exceeded") < 20, "{}", field.server.log());
}
