//! Epochs whose zxids are used up: the next one begins while clients stay, whatever crashes or is full.

use std::time::{Duration, Instant};

use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;
use rand::Rng;
use rand::rngs::StdRng;
use tempfile::tempdir;

use crate::a_moment;
use crate::world::{World, config, seed};

/// Writes that wait for space must go on this soon after there is some.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

fn epoch(zxid: i64) -> i64 {
    zxid >> 32
}

#[test]
fn a_client_writes_on_through_many_epochs() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch =
        Launch::new(dir.path().join("data")).file(config(dir.path(), "")).args(["--set", "epoch_txns=10"]);
    let mut server = launch.serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    client.create("/a", b"", CreateMode::Persistent).expect("a write");
    let mut watcher = RawClient::connect(server.address()).expect("it serves");
    let (first, mut last) = (epoch(client.last_zxid()), 0);
    for write in 1..=100 {
        let stat = client.set("/a", b"on and on", write - 1).expect("the epoch's end is nobody's business");
        assert!(stat.mzxid > last, "{:x} after {last:x}", stat.mzxid);
        let counter = stat.mzxid & 0xffff_ffff;
        assert!((1..=10).contains(&counter), "{counter} of ten");
        last = stat.mzxid;
    }
    assert!(epoch(last) >= first + 10, "{} epochs", epoch(last) - first);
    assert_eq!(watcher.get("/a").expect("another connection stays, too").1.version, 100);
    let session = client.session().clone();
    server.kill().expect("it is our child");
    let server = launch.serve().expect("it serves again");
    let mut client = RawClient::reattach(server.address(), &session, last).expect("the session is there");
    let stat = client.set("/a", b"after a kill", 100).expect("a write");
    assert!(epoch(stat.mzxid) > epoch(last), "a start is an epoch's beginning");
}

/// CR1 to CR4, with a roll-over every few writes: kills fall before, into and behind them.
#[test]
fn a_server_killed_while_epochs_roll_over_keeps_everything_it_acknowledged() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), ""));
    let mut world = World::new(launch.args(["--set", "epoch_txns=7"]), seed("roll-over"));
    let mut rolled = 0;
    for round in 0..6 {
        let kill = |server: &mut ServerProcess, rng: &mut StdRng| {
            a_moment(rng);
            server.kill().expect("it is our child");
            rolled += server.whole_log().matches("the next one is on its way").count();
        };
        world.round(kill).unwrap_or_else(|found| panic!("round {round}: {found:#?}"));
    }
    world.finish().unwrap_or_else(|found| panic!("at the end: {found:#?}"));
    println!("rounds: 6 kills, {rolled} roll-overs, {} acknowledged", world.acked);
    assert!(rolled > 50, "{rolled} roll-overs");
}

/// The same with power cuts, half of them at a sync: of a batch, or of the new epoch's file.
#[test]
fn a_power_cut_while_epochs_roll_over_takes_nothing_acknowledged() {
    let options = Options { sync_delay: Duration::from_micros(500), ..Options::default() };
    let disk = PowerCutFs::mount(options).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), ""));
    let mut world = World::new(launch.args(["--set", "epoch_txns=3"]), seed("roll-over and power cut"));
    for round in 0..6 {
        let cut = |server: &mut ServerProcess, rng: &mut StdRng| {
            disk.cut_at_sync(rng.random_range(1..12), rng.random());
            assert!(disk.wait_until_off(Duration::from_secs(60)), "no sync under load:\n{}", server.log());
            server.kill().expect("it is our child");
            disk.power_on();
        };
        world.round(cut).unwrap_or_else(|found| panic!("round {round}: {found:#?}"));
    }
    world.finish().unwrap_or_else(|found| panic!("at the end: {found:#?}"));
}

/// Waits until the next segment stands: nothing happens on the disk for a while.
fn wait_until_quiet(disk: &PowerCutFs) {
    let mut before = None;
    while before != Some(disk.counters()) {
        before = Some(disk.counters());
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The log has room, the new epoch's file has not: writes are refused, and go on once it has.
#[test]
fn a_disk_full_exactly_at_the_roll_over_refuses_writes_and_resumes() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    let lines = "preAllocSize=32768\nsnapCount=1000000";
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), lines));
    let server = launch.args(["--set", "epoch_txns=50"]).serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    client.create("/a", b"", CreateMode::Persistent).expect("a write");
    wait_until_quiet(&disk);
    disk.set_capacity(Some(disk.used()));
    let mut acked = 0;
    loop {
        match client.set("/a", b"small", -1) {
            Ok(_) => acked += 1,
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) => break,
            Err(error) => panic!("after {acked} writes: {error}"),
        }
        assert!(acked < 50, "an epoch of 50 txns took {acked} writes:\n{}", server.log());
    }
    assert!(!server.log().contains("disk full: writes"), "the log itself has room:\n{}", server.log());
    assert_eq!(client.get("/a").expect("reads go on").1.version, acked);
    client.ping().expect("so do pings");
    client.sync("/a").expect("and syncs");

    disk.set_capacity(None);
    let began = Instant::now();
    loop {
        match client.set("/a", b"resumed", -1) {
            Ok(stat) => break assert_eq!(stat.version, acked + 1),
            Err(ClientError::Refused(ErrorCode::NotReadOnly)) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(began.elapsed() < RESUMES_WITHIN, "it does not resume:\n{}", server.log());
    }
}
