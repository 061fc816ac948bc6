//! A disk without space: writes are refused, everything else goes on, and space that returns is used.

use std::time::{Duration, Instant};

use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::Launch;
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;
use tempfile::tempdir;

use crate::world::config;

/// More writes than the log space reserved in advance can take.
const MANY: u64 = 20_000;
/// Never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(120);
/// A server that ran out of space looks for it this often, with some allowance for a busy machine.
const RESUMES_WITHIN: Duration = Duration::from_secs(10);

/// Writes until one is refused; returns how many were acknowledged.
fn fill(client: &mut RawClient) -> u64 {
    let data = [7; 2000];
    for acked in 0..MANY {
        match client.set("/a", &data, -1) {
            Ok(_) => {}
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) => return acked,
            Err(error) => panic!("after {acked} writes: {error}"),
        }
    }
    panic!("the disk is full and {MANY} writes were acknowledged");
}

/// A full disk that older snapshots and segments can mend mends itself.
#[test]
fn a_full_disk_is_purged_and_writes_go_on_without_anybody_s_help() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    // The second purge by the clock is an hour away.
    let lines = "snapCount=40\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=3";
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), lines));
    let mut server = launch.serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    client.create("/a", b"", CreateMode::Persistent).expect("a write");
    let data = [7; 64 << 10];
    for _ in 0..1_200 {
        client.set("/a", &data, -1).expect("there is room");
    }
    let purges = |log: &str| log.matches("purged: older files deleted").count();
    assert!(purges(&server.log()) <= 1, "{}", server.log());

    disk.set_capacity(Some(disk.used()));
    let (mut acked, deadline) = (0, Instant::now() + PATIENCE);
    while acked < 1_500 {
        match client.set("/a", &data, -1) {
            Ok(_) => acked += 1,
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) => {}
            Err(error) => panic!("after {acked} writes: {error}"),
        }
        assert!(Instant::now() < deadline, "after {acked} writes it stays full:\n{}", server.log());
    }
    server.kill().expect("it is our child");
    let log = server.whole_log();
    assert!(log.contains("disk full: writes are refused"), "{acked} writes fitted:\n{log}");
    assert!(purges(&log) >= 2, "{log}");
}

#[test]
fn a_full_disk_refuses_writes_keeps_reads_and_resumes_by_itself() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    // No snapshot meanwhile: purging would make room again.
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), "snapCount=1000000"));
    let server = launch.serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    client.create("/a", b"", CreateMode::Persistent).expect("a write");
    disk.set_capacity(Some(disk.used()));
    let acked = fill(&mut client);

    let (_, stat) = client.get("/a").expect("reads go on");
    assert_eq!(stat.version, i32::try_from(acked).expect("few"), "a refused write changes nothing");
    client.ping().expect("so do pings");
    let session = client.session().clone();
    let refused = RawClient::connect(server.address());
    assert!(refused.is_err_and(|error| error.is_disconnect()), "a new session would be a write");
    let again = RawClient::reattach(server.address(), &session, client.last_zxid());
    client = again.expect("a session that is there can be taken over");

    disk.set_capacity(None);
    let deadline = Instant::now() + RESUMES_WITHIN;
    loop {
        match client.set("/a", b"resumed", -1) {
            Ok(stat) => break assert_eq!(stat.version, i32::try_from(acked + 1).expect("few")),
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) if Instant::now() < deadline => {}
            Err(error) => panic!("{error}: it does not resume"),
        }
    }
    disk.cut(1);
    drop(server);
    disk.power_on();
    let server = launch.serve().expect("it serves again");
    let mut client = RawClient::reattach(server.address(), &session, 0).expect("the session is there");
    assert_eq!(client.get("/a").expect("it is there").0, "resumed");
}
