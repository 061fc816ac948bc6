//! One member at a limit of its machine: of open files, of memory. The others go on, and it says which limit.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use paddock_integration::ensemble::{Ensemble, Mode, PATIENCE};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::admin::status;
use crate::trees;
use crate::world::{client, serving, those};

/// Open files of which the member has so few that clients have 150.
const FEW: &[&str] = &["sh", "-c", "ulimit -n 200 && exec \"$0\" \"$@\""];
const CROWD: usize = 300;
/// Of one znode.
const BYTES: usize = 500_000;
const MIB: u64 = 1 << 20;

/// Its clients wait at the door; it follows, votes and elects as ever.
#[test]
fn a_member_without_descriptors_for_clients_still_makes_the_quorum() {
    let (_dir, mut ensemble) = serving(3, 0, "nio.sessionlessCnxnTimeout=60000");
    let leader = ensemble.await_leader();
    let (short, other) = (those(&ensemble, Mode::Follower)[0], those(&ensemble, Mode::Follower)[1]);
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    ensemble.stop(short);
    ensemble.run_under(short, FEW);
    ensemble.start(short);
    ensemble.await_all_serving();
    let at = ensemble.client_address(short);
    let crowd: Vec<_> = (0..CROWD).map(|_| TcpStream::connect(at).unwrap()).collect();
    ensemble.await_line(
        short,
        &["accepting clients pauses: 150 connections", "raise the limit of open files (LimitNOFILE)"],
    );
    // Operators have a way of their own.
    assert!(status(&ensemble, short).is_serving);
    ensemble.kill(leader);
    let at = ensemble.client_address(other);
    let mut asked = 0;
    let acked = ensemble.wait_for("a write by the two", |_| {
        let mut client = RawClient::connect(at).ok()?;
        asked += 1;
        client.set("/a", b"two of three", -1).ok()
    });
    drop(crowd);
    ensemble.await_line(short, &["accepting clients again"]);
    ensemble.start(leader);
    ensemble.await_all_serving();
    assert!(!ensemble.log(short).contains("Too many open files"), "the log and the links have theirs");
    let version = trees::same(&ensemble)["/a"].1.version;
    assert!((acked.version..=asked).contains(&version), "{acked:?}, and {asked} writes were sent: {version}");
}

/// What others order it applies; what its own clients ask that grows is refused.
#[test]
fn a_member_above_its_soft_limit_refuses_its_own_clients_what_grows_and_follows_on() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    let full = those(&ensemble, Mode::Follower)[0];
    ensemble.stop(full);
    let file = ensemble.dir().join(full.to_string()).join("zoo.cfg");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}memory.softLimit=100MiB\n")).unwrap();
    ensemble.start(full);
    ensemble.await_all_serving();
    let mut writes = client(&ensemble, leader);
    fill(&mut writes, 250, || false);
    ensemble.await_line(full, &["memory.softLimit is exceeded", "limit_mib=100"]);
    let mut own = client(&ensemble, full);
    let refused =
        ensemble.wait_for("a refusal", |_| own.create("/own", &[7; BYTES], CreateMode::Persistent).err());
    assert!(matches!(refused, ClientError::Refused(ErrorCode::ThrottledOp)), "{refused}");
    ensemble.await_line(full, &["client 127.0.0.1:", "there is no memory", "memory.softLimit"]);
    writes.create("/more", &[7; BYTES], CreateMode::Persistent).expect("the others have room");
    own.sync("/").unwrap();
    assert!(own.exists("/more").unwrap().is_some(), "it follows on");
    // Less is never refused.
    (0..250).for_each(|nth| own.delete(&format!("/fill-{nth}"), 0).expect("it was acknowledged"));
    ensemble.await_line(full, &["memory is below memory.softLimit again"]);
    let tree = trees::same(&ensemble);
    assert!(tree.contains_key("/more") && !tree.contains_key("/own"), "{:?}", tree.keys());
    assert!(!tree.keys().any(|path| path.starts_with("/fill-")), "{:?}", tree.keys());
}

/// Creates so many znodes, unless it is enough before; returns how many.
fn fill(client: &mut RawClient, count: usize, is_enough: impl Fn() -> bool) -> usize {
    let create = |nth| client.create(&format!("/fill-{nth}"), &[7; BYTES], CreateMode::Persistent).unwrap();
    (0..count).take_while(|_| !is_enough()).map(create).count()
}

fn address_space(ensemble: &Ensemble, pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).map(str::trim).map(str::to_owned);
    let kib = line.and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("{:?} has no size", ensemble.ids())) << 10
}

/// What the kernel refuses, no program can do without: it ends at once, and nothing is lost.
#[test]
fn a_member_that_the_kernel_gives_no_more_memory_ends_and_the_others_go_on() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    let full = those(&ensemble, Mode::Follower)[0];
    let pid = ensemble.pid(full);
    let most = address_space(&ensemble, pid) + 48 * MIB;
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(Pid::from_raw(pid.cast_signed()), Resource::As, limit).unwrap();
    let mut writes = client(&ensemble, leader);
    let ended = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ");
    let filled = fill(&mut writes, 1_000, ended);
    let deadline = Instant::now() + PATIENCE;
    while !ended() {
        assert!(Instant::now() < deadline, "it needs no more memory");
        std::thread::yield_now();
    }
    let status = ensemble.wait_for_end(full);
    let log = ensemble.log(full);
    println!("limits: {status}: {:?}", log.lines().last());
    assert_eq!(status.signal(), Some(6), "{log}");
    assert!(log.contains("memory allocation of "), "{log}");
    writes.create("/after", b"", CreateMode::Persistent).expect("two of three go on");
    assert_eq!(ensemble.leader(), Some(leader));
    ensemble.start(full);
    ensemble.await_all_serving();
    let tree = trees::same(&ensemble);
    assert!(tree.contains_key("/after"));
    let held =
        (0..filled).filter(|nth| tree.get(&format!("/fill-{nth}")).is_some_and(|it| it.0.len() == BYTES));
    assert_eq!(held.count(), filled, "each that was acknowledged");
}
