//! Files that the disk does not give, or does not take, while all else works: what is named, and what is lost by it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::raw_client::RawClient;
use tempfile::tempdir;

use crate::order::PATIENCE;
use crate::outcomes::{named, newest, warnings};
use crate::refusals::{check_all, files, populated, refused};
use crate::world::config;

/// strace that fails these calls on this file, and on no other.
fn failing(calls: &str, file: &Path) -> Vec<String> {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error=EIO"));
    let file = file.display().to_string();
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", &file, "-e", &trace, "-e", &inject]
        .map(str::to_owned)
        .into()
}

const READS: &str = "read,pread64";

/// It may be whole, and is all there is of it: another day the disk may give it.
#[test]
fn a_snapshot_that_cannot_be_read_is_set_aside_and_nothing_is_lost() {
    let dir = tempdir().unwrap();
    // No other snapshot is taken beside it.
    let launch = populated(dir.path()).file(config(dir.path(), "snapCount=1000000"));
    let snapshot = newest(&launch.data_dir, "snapshot.0");
    let bytes = fs::read(&snapshot).unwrap();
    let mut server = launch.clone().under(failing(READS, &snapshot)).serve().unwrap();
    check_all(&server, "without its newest snapshot");
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let log = server.whole_log();
    let of_snapshots = |line: &&str| line.contains("snapshot");
    let lines: Vec<_> = warnings(&log).into_iter().filter(of_snapshots).collect();
    let [line] = lines[..] else { panic!("{log}") };
    let aside = named(&launch.data_dir, "snapshot.unreadable.").remove(0);
    let (name, kept) = (snapshot.display().to_string(), aside.display().to_string());
    let parts =
        [" ERROR ", "cannot be read", "os error 5", "nothing is lost", "check the disk", &name, &kept];
    assert!(parts.iter().all(|part| line.contains(part)), "{line} does not say {parts:?}");
    assert!(!snapshot.exists(), "it is not used again");
    let mut server = launch.serve().unwrap();
    check_all(&server, "at the next start");
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    assert!(!warnings(&server.whole_log()).iter().any(of_snapshots), "{}", server.whole_log());
    assert_eq!(fs::read(&aside).unwrap(), bytes, "no start takes it away");
}

/// There is no other of them.
#[test]
fn a_history_or_a_log_that_cannot_be_read_stops_the_start_and_stays() {
    let dir = tempdir().unwrap();
    let launch = populated(dir.path()).file(config(dir.path(), "snapCount=1000000"));
    let before = files(&launch.data_dir);
    for file in [launch.data_dir.join("history"), newest(&launch.data_dir, "segment.")] {
        let (code, log) = refused(&launch.clone().under(failing(READS, &file)));
        assert_eq!(code, ExitCode::DataDirectory, "{log}");
        let last = log.lines().last().unwrap();
        let name = file.display().to_string();
        let parts = [name.as_str(), "os error 5", "check the disk"];
        assert!(parts.iter().all(|part| last.contains(part)), "{last} does not say {parts:?}");
        assert_eq!(files(&launch.data_dir), before, "nothing is touched");
    }
    let server = launch.serve().unwrap();
    check_all(&server, "once the disk gives them");
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_and_the_server_goes_on() {
    let dir = tempdir().unwrap();
    let launch = populated(dir.path()).file(config(dir.path(), "snapCount=20"));
    let before = named(&launch.data_dir, "snapshot.0");
    let unfinished = launch.data_dir.join("snapshot.tmp");
    let mut server = launch.clone().under(failing("pwrite64", &unfinished)).serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut version = client.get("/znode-0").unwrap().1.version;
    let told = |log: &str| {
        let parts = [" WARN ", "snapshot failed", "os error 5", "snapshot.tmp", "tried again"];
        log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    };
    while !told(&server.log()) {
        assert!(Instant::now() < deadline, "no line:\n{}", server.log());
        version = client.set("/znode-0", b"new", version).unwrap().version;
        std::thread::sleep(Duration::from_millis(5));
    }
    version = client.set("/znode-0", b"newer", version).unwrap().version;
    assert_eq!(named(&launch.data_dir, "snapshot."), before, "half a one is left nowhere");
    server.kill().unwrap();
    let server = launch.serve().unwrap();
    let (data, stat) = RawClient::connect(server.address()).unwrap().get("/znode-0").unwrap();
    assert_eq!((data.as_ref(), stat.version), (b"newer".as_slice(), version));
}
