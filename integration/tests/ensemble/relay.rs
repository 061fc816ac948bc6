//! Connections between members that are slow, half open, late, or lead to somebody who says nothing.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode, Shape};
use paddock_integration::network::Lane;
use paddock_integration::raw_client::RawClient;
use paddock_integration::relay::{Arrivals, End, Route};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;
use rand::Rng;
use tempfile::TempDir;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::trees;
use crate::world::{client, those};

/// Of everything that one member says to another.
const DELAY: Duration = Duration::from_millis(40);
/// The same of one follower alone: there and back in much less than it takes to count as gone.
const SLOW: Duration = Duration::from_millis(100);
/// A member whose connections broke in silence serves again after this: two timeouts of a peer (1 s) until it has
/// noticed, and what a busy machine takes.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// How long members are watched that nothing should happen to.
const WATCHED: Duration = Duration::from_secs(10);
/// The longest that a client may wait for an answer meanwhile, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Three that serve, and whose connections are so slow.
fn serving(delay: Duration) -> (TempDir, Ensemble) {
    let dir = tempfile::tempdir().unwrap();
    let mut ensemble = Ensemble::relayed(dir.path(), Shape::default());
    ensemble.relay().delay_all(delay);
    ensemble.start_all();
    ensemble.await_all_serving();
    (dir, ensemble)
}

/// By which a learner's data lane to its leader is dialled.
fn data(learner: Id, leader: Id) -> Route {
    Route { from: learner, to: leader, lane: Lane::Quorum }
}

/// By which the ctl lane of two members is dialled.
fn ctl(one: Id, other: Id) -> Route {
    Route { from: one.max(other), to: one.min(other), lane: Lane::Election }
}

fn end(route: Route, of: Id) -> End {
    if route.from == of { End::Dialler } else { End::Dialled }
}

fn took(client: &mut RawClient) -> Duration {
    let began = Instant::now();
    client.set("/a", b"", -1).unwrap();
    began.elapsed()
}

/// Waits until a member answers with this version of `/a`, which may be after it has closed connections.
fn await_version(ensemble: &mut Ensemble, id: Id, version: i32) {
    let at = ensemble.client_address(id);
    ensemble.wait_for(&format!("version {version} at member {id}"), |_| {
        let mut reads = RawClient::connect(at).ok()?;
        reads.sync("/a").ok()?;
        (reads.get("/a").ok()?.1.version == version).then_some(())
    });
}

#[test]
fn an_ensemble_of_slow_links_elects_writes_and_fails_over() {
    let (_dir, mut ensemble) = serving(DELAY);
    client(&ensemble, 1).create("/a", b"", CreateMode::Persistent).unwrap();
    let told = under_load(&mut ensemble, seed("slow links"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..3 {
            let leader = ensemble.await_all_serving();
            let follower = those(ensemble, Mode::Follower)[0];
            // To a follower and back; and from a follower to the leader and back, too.
            for (id, ways) in [(leader, 2), (follower, 4)] {
                let mut client = client(ensemble, id);
                let took = [(); 5].map(|()| took(&mut client));
                assert!(took.iter().all(|took| *took >= ways * DELAY), "at member {id}: {took:?}");
            }
            progress.await_more(rng.random_range(1..200));
            let began = Instant::now();
            ensemble.kill(leader);
            progress.await_write_after(began);
            println!("slow links: a write is done {:?} after the leader's end", began.elapsed());
            ensemble.start(leader);
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
}

#[test]
fn one_slow_follower_holds_no_write_back_and_stays_a_follower() {
    const WRITES: u32 = 50;
    let (_dir, mut ensemble) = serving(Duration::ZERO);
    let leader = ensemble.await_all_serving();
    let (slow, epoch) = (those(&ensemble, Mode::Follower)[0], ensemble.epoch(leader));
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let looks = |ensemble: &Ensemble| ensemble.log(slow).matches("looking for a leader").count();
    let looked = looks(&ensemble);
    for other in ensemble.ids().into_iter().filter(|id| *id != slow) {
        for (from, to) in [(slow, other), (other, slow)] {
            ensemble.relay().delay(Route { from, to, lane: Lane::All }, SLOW);
        }
    }
    let took: Duration = (0..WRITES).map(|_| took(&mut writes)).sum();
    assert!(took < WRITES * SLOW, "{WRITES} writes took {took:?}: with its acks each takes twice {SLOW:?}");
    await_version(&mut ensemble, slow, WRITES as i32);
    assert_eq!(ensemble.await_all_serving(), leader);
    assert_eq!((ensemble.epoch(leader), ensemble.mode(slow)), (epoch, Some(Mode::Follower)));
    assert_eq!(looks(&ensemble), looked, "it has left its leader");
}

#[test]
fn a_follower_whose_connections_are_half_open_comes_back_without_an_election() {
    let (_dir, mut ensemble) = serving(Duration::ZERO);
    let leader = ensemble.await_all_serving();
    let (follower, epoch) = (those(&ensemble, Mode::Follower)[0], ensemble.epoch(leader));
    let mut writes = client(&ensemble, leader);
    ["/a", "/trapped"]
        .iter()
        .for_each(|path| drop(writes.create(path, b"", CreateMode::Persistent).unwrap()));
    let (data, ctl) = (data(follower, leader), ctl(follower, leader));
    let (mut version, mut trapped, mut acked) = (0, 0, 0);
    for cut in [&[data][..], &[ctl], &[data, ctl]] {
        for told in [leader, follower] {
            await_version(&mut ensemble, follower, version);
            let at = ensemble.client_address(follower);
            let mut asks = ensemble.wait_for("its service", |_| RawClient::connect(at).ok());
            let before: Vec<_> = cut.iter().map(|route| ensemble.relay().accepted(*route)).collect();
            let began = Instant::now();
            cut.iter().for_each(|route| ensemble.relay().cut(*route, end(*route, told)));
            asks.queue_set("/trapped", b"", -1);
            let _ = asks.flush(); // it may be closed already
            trapped += 1;
            ensemble.wait_for("its connections to be made anew", |ensemble| {
                version = writes.set("/a", b"", -1).expect("two of three go on").version;
                let mut routes = cut.iter().zip(&before);
                routes.all(|(route, before)| ensemble.relay().accepted(*route) > *before).then_some(())
            });
            await_version(&mut ensemble, follower, version);
            let back = began.elapsed();
            println!("half open: {cut:?}, told {told}: back after {back:?}");
            assert!(back < BACK_WITHIN, "{cut:?}, of which {told} was told: {back:?}");
            // It was answered, or its connection closed.
            acked += i32::from(asks.reply().is_ok_and(|reply| reply.ok().is_ok()));
            assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch), "{cut:?}, {told}");
        }
    }
    let there = trees::same(&ensemble)["/trapped"].1.version;
    assert!(
        (acked..=trapped).contains(&there),
        "{acked} of {trapped} were acknowledged, and {there} are there"
    );
}

#[test]
fn a_member_that_accepts_and_says_nothing_costs_the_others_a_line() {
    const SILENT: Id = 1;
    let (_dir, mut ensemble) = serving(Duration::ZERO);
    ensemble.kill(SILENT);
    let leader = ensemble.await_all_serving();
    let epoch = ensemble.epoch(leader);
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let others = ensemble.running();
    let files = |ensemble: &Ensemble| {
        let files = |id: &Id| std::fs::read_dir(format!("/proc/{}/fd", ensemble.pid(*id))).unwrap().count();
        others.iter().map(files).collect::<Vec<_>>()
    };
    let lines = |ensemble: &Ensemble| {
        let lines = |id: &Id| ensemble.log(*id).lines().filter(|line| line.contains("server 1")).count();
        others.iter().map(lines).collect::<Vec<_>>()
    };
    let told = |ensemble: &Ensemble| {
        let told = |id: &Id| ensemble.log(*id).matches("it said no hello within").count();
        others.iter().map(told).collect::<Vec<_>>()
    };
    let earlier = told(&ensemble);
    for from in &others {
        ensemble.relay().on_arrivals(Route { from: *from, to: SILENT, lane: Lane::All }, Arrivals::Silent);
    }
    ensemble.wait_for("the line", |ensemble| {
        told(ensemble).iter().zip(&earlier).all(|(now, earlier)| now > earlier).then_some(())
    });
    let accepted =
        |ensemble: &Ensemble| others.iter().map(|id| ensemble.relay().accepted(ctl(*id, SILENT))).min();
    let (before, began) = ((files(&ensemble), lines(&ensemble), accepted(&ensemble)), Instant::now());
    while began.elapsed() < WATCHED {
        let took = took(&mut writes);
        assert!(took < SERVED_WITHIN, "beside one that is silent a client waited {took:?}");
    }
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));
    assert!(accepted(&ensemble) >= before.2.map(|count| count + 3), "they dial it again and again");
    assert_eq!(lines(&ensemble), before.1, "and say so once");
    for (now, before) in files(&ensemble).iter().zip(&before.0) {
        assert!(*now <= before + 2, "open files: {now}, and {before} before");
    }
    for from in &others {
        ensemble.relay().on_arrivals(Route { from: *from, to: SILENT, lane: Lane::All }, Arrivals::Carried);
    }
    ensemble.start(SILENT);
    assert_eq!(ensemble.await_all_serving(), leader);
    assert_eq!(ensemble.epoch(leader), epoch);
    trees::same(&ensemble);
}

/// The dialler has given the old one up and dialled anew; then what it had said at first arrives.
#[test]
fn the_hello_of_an_older_connection_does_not_end_the_newer() {
    let (_dir, mut ensemble) = serving(Duration::ZERO);
    let leader = ensemble.await_all_serving();
    let (follower, epoch) = (those(&ensemble, Mode::Follower)[0], ensemble.epoch(leader));
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let routes = [ctl(follower, leader), data(follower, leader)];
    for route in routes {
        let before = ensemble.relay().accepted(route);
        ensemble.relay().on_arrivals(route, Arrivals::Held);
        ensemble.relay().cut(route, End::Dialler);
        ensemble
            .wait_for("the old one", |ensemble| (ensemble.relay().accepted(route) > before).then_some(()));
        let held = ensemble.relay().accepted(route); // it may have dialled once more meanwhile
        ensemble.relay().on_arrivals(route, Arrivals::Carried);
        ensemble.wait_for("the new one", |ensemble| (ensemble.relay().accepted(route) > held).then_some(()));
        let version = writes.set("/a", b"", -1).unwrap().version;
        await_version(&mut ensemble, follower, version);
        let made = routes.map(|route| ensemble.relay().accepted(route));
        ensemble.relay().release(route);
        std::thread::sleep(Duration::from_secs(3));
        let version = writes.set("/a", b"", -1).unwrap().version;
        await_version(&mut ensemble, follower, version);
        assert_eq!(routes.map(|route| ensemble.relay().accepted(route)), made, "{route:?}");
        assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch), "{route:?}");
    }
    trees::same(&ensemble);
}
