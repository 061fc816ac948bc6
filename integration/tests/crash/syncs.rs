//! Syncs that are slow and syncs that fail: no answer before the one, none after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use rand::Rng;
use rand::rngs::StdRng;
use tempfile::tempdir;

use crate::world::{World, config, seed};

/// What strace adds to each sync before it happens.
const DELAY: Duration = Duration::from_millis(300);
/// The same where it need not be told from a busy machine.
const A_WHILE: Duration = Duration::from_millis(80);

/// strace around every sync of every thread. `-D` makes the server the child and strace its
/// grandchild, so that the server is the process that is killed and whose exit code is seen.
fn strace(inject: &str) -> Vec<String> {
    strace_calls("fsync,fdatasync", inject)
}

/// The same around other calls.
fn strace_calls(calls: &str, inject: &str) -> Vec<String> {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{inject}"));
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).into()
}

/// How long a handshake for a new session, and then each of a few writes, took: for several clients at once.
fn latencies(lines: &str) -> Vec<Duration> {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), lines));
    let delay = format!("delay_enter={}", DELAY.as_micros());
    let server = launch.under(strace(&delay)).serve().expect("it serves, slowly");
    let address = server.address();
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|client| scope.spawn(move || client_latencies(address, client))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("no client fails")).collect()
    })
}

fn client_latencies(server: SocketAddr, client: u32) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut begun = Instant::now();
    let mut connection = RawClient::connect(server).expect("it serves");
    took.push(begun.elapsed());
    let path = format!("/{client}");
    for nth in 0..4 {
        begun = Instant::now();
        match nth {
            0 => drop(connection.create(&path, b"", CreateMode::Ephemeral).expect("a write")),
            3 => connection.delete(&path, -1).expect("a write"),
            _ => drop(connection.set(&path, b"data", -1).expect("a write")),
        }
        took.push(begun.elapsed());
    }
    took
}

#[test]
fn no_write_is_answered_before_its_sync_has_ended() {
    let took = latencies("");
    assert_eq!(took.len(), 15);
    assert!(took.iter().all(|took| *took >= DELAY), "{took:?}");
}

/// The proof that the test above can fail.
#[test]
fn a_server_told_not_to_sync_answers_early() {
    let took = latencies("forceSync=no");
    assert!(took.iter().any(|took| *took < DELAY), "{took:?}");
}

/// What a server says of a few writes whose syncs take [`A_WHILE`].
fn lines_on_slow_syncs(lines: &str) -> Vec<String> {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), lines));
    let delay = format!("delay_enter={}", A_WHILE.as_micros());
    let mut server = launch.under(strace(&delay)).serve().expect("it serves, slowly");
    assert_eq!(client_latencies(server.address(), 0).len(), 5);
    server.terminate().expect("it stops");
    let log = server.whole_log();
    log.lines().filter(|line| line.contains("was slow")).map(str::to_owned).collect()
}

/// Each slow sync is one line that says which file, how slow, and what to do; what is not slow enough is none.
#[test]
fn a_slow_sync_is_one_line_that_says_what_to_do() {
    let found = lines_on_slow_syncs("fsync.warningthresholdms=60");
    assert!((5..=20).contains(&found.len()), "five writes and little else: {found:#?}");
    for line in &found {
        let parts = [" WARN ", "give the log (dataLogDir) a disk of its own", "segment."];
        assert!(parts.iter().all(|part| line.contains(part)), "{line} does not say {parts:?}");
        let ms = line.split_once(" ms=").and_then(|(_, rest)| rest.parse().ok()).map(Duration::from_millis);
        assert!(ms.is_some_and(|ms| ms >= A_WHILE), "{line}");
    }
    let found = lines_on_slow_syncs("fsync.warningthresholdms=60000");
    assert!(found.is_empty(), "{found:#?}");
}

/// Waits for a server to end by itself as a failed log write demands.
fn ends_with_log_error(server: &mut ServerProcess) {
    let ended = server.wait();
    server.kill().expect("it is our child"); // if it lives on, its clients wait for this
    let status = ended.expect("it ends by itself");
    assert_eq!(status.code(), Some(i32::from(ExitCode::LogIo.code())), "{}", server.whole_log());
}

/// strace counts for each thread by itself: the log's thread comes to so many calls first, and not before
/// the load.
#[test]
fn a_failed_write_or_sync_ends_the_server_and_is_not_retried() {
    for (calls, inject) in [("fsync,fdatasync", "error=EIO:when=200"), ("pwrite64", "error=EIO:when=200")] {
        let dir = tempdir().expect("the temporary directory is writable");
        let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), "snapCount=1000000"));
        let mut world = World::new(launch, seed(calls));
        world.round(|server, _| drop(server.kill())).expect("nothing is lost by a kill");
        world.launch = world.launch.clone().under(strace_calls(calls, inject));
        let ends = |server: &mut ServerProcess, _: &mut StdRng| {
            ends_with_log_error(server);
            let log = server.whole_log();
            let last = log.lines().last().unwrap_or_default();
            let parts = ["the process ends", "segment.", "os error 5", "check the disk"];
            assert!(parts.iter().all(|part| last.contains(part)), "{calls}: {last}");
        };
        world.round_to_its_end(ends).unwrap_or_else(|found| panic!("{calls}: {found:#?}"));
        world.launch.prefix.clear();
        world.finish().expect("what was acknowledged before the failure is there");
    }
}

/// The failed sync makes nothing durable, and the power cut after it drops what it was to make
/// durable: an acknowledgement of it would be found out.
#[test]
fn what_a_failed_sync_was_to_make_durable_is_not_acknowledged() {
    let options = Options { sync_delay: Duration::from_micros(500), ..Options::default() };
    let disk = PowerCutFs::mount(options).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    // No snapshots, and segments that last for the whole test: a failed sync of a snapshot or of the
    // next segment's zeros is no failure of the log. The first rounds see to it that there is a next.
    let lines = "preAllocSize=16384\nsnapCount=1000000";
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), lines));
    let mut world = World::new(launch, seed("failed sync and power cut"));
    for _ in 0..2 {
        world.round(|server, _| drop(server.kill())).unwrap_or_else(|found| panic!("{found:#?}"));
    }
    for _ in 0..6 {
        let crash = |server: &mut ServerProcess, rng: &mut StdRng| {
            disk.fail_sync(rng.random_range(1..30));
            ends_with_log_error(server);
            disk.cut(rng.random());
            disk.power_on();
        };
        world.round(crash).unwrap_or_else(|found| panic!("{found:#?}"));
    }
    world.finish().unwrap_or_else(|found| panic!("{found:#?}"));
}
