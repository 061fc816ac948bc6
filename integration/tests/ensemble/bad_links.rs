//! Links that carry one way, or one lane alone, and a partition that comes and goes each second: who is cut off is done without,
//! nobody's lead changes for it, each log says which link, and all is well by itself once the network is.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode, Shape};
use paddock_integration::network::{Block, End, Lane, Network};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::trees;
use crate::world::{client, those};

/// Three that serve, each behind a line of its own; nothing where there can be no network.
fn in_network(act: impl FnOnce(&mut Network, &mut Ensemble) + Send) {
    let run = |network: &mut Network| {
        let dir = tempfile::tempdir().unwrap();
        let mut ensemble = Ensemble::in_network(dir.path(), Shape::default(), network);
        ensemble.start_all();
        ensemble.await_all_serving();
        act(network, &mut ensemble);
    };
    match Network::new(vec![1, 2, 3]) {
        Ok(network) => network.inside(run),
        Err(why) => println!("\nskipped: no network namespaces here: {why}"),
    }
}

/// Why a role ends that heard nothing.
const SILENT: &str = "the leader does not answer";

/// What `from` sends to `to`.
fn way(from: Id, to: Id, lane: Lane) -> Block {
    Block { from: End::Member(from), to: End::Member(to), lane }
}

#[test]
fn a_follower_whose_link_to_the_leader_carries_one_way_or_one_lane_is_done_without_until_it_is_mended() {
    in_network(|network, ensemble| {
        let leader = ensemble.await_leader();
        let (out, epoch) = (those(ensemble, Mode::Follower)[0], ensemble.epoch(leader));
        let mut writes = client(ensemble, leader);
        writes.create("/a", b"", CreateMode::Persistent).unwrap();
        let mut acked = 0;
        let both = |lane| vec![way(out, leader, lane), way(leader, out, lane)];
        // What is lost, and why the one that is cut off leaves its leader, as its log says. Where the leader can still tell it, that is
        // either of two: each misses the other after the same time.
        let either = &[SILENT, "the data lane to the leader is closed"][..];
        for (lost, blocks, why) in [
            ("all that the leader sends", vec![way(leader, out, Lane::All)], &[SILENT][..]),
            ("all that is sent to the leader", vec![way(out, leader, Lane::All)], either),
            ("votes and heartbeats", both(Lane::Election), either),
            ("data", both(Lane::Quorum), &["the leader"]),
        ] {
            let told = ensemble.log(out).len();
            network.block(blocks);
            ensemble.wait_for(&format!("without {lost}, the end of its service"), |ensemble| {
                acked = writes.set("/a", lost.as_bytes(), acked).expect("two of three go on").version;
                ensemble.log(out)[told..].contains("the role is over").then_some(())
            });
            let line = ensemble.wait_for(&format!("without {lost}, what it waits for"), |ensemble| {
                let log = ensemble.log(out)[told..].to_owned();
                log.lines().find(|line| line.contains("no leader for ")).map(str::to_owned)
            });
            let log = ensemble.log(out)[told..].to_owned();
            assert!(
                log.lines().any(|line| {
                    line.contains("the role is over") && why.iter().any(|why| line.contains(why))
                }),
                "{lost}: {log}"
            );
            assert!(line.contains(&format!("server {leader}")), "{lost}: {line}");
            network.heal();
            assert_eq!(ensemble.await_all_serving(), leader, "{lost}");
            assert_eq!(ensemble.epoch(leader), epoch, "{lost}: nobody had to elect anew");
        }
        assert_eq!(trees::same(ensemble)["/a"].1.version, acked, "each write that was acknowledged");
    });
}

/// It hears nobody, and all hear it: the others must not stay behind one that orders nothing.
#[test]
fn a_leader_that_is_heard_and_hears_nobody_is_replaced() {
    in_network(|network, ensemble| {
        let deaf = ensemble.await_leader();
        client(ensemble, deaf).create("/a", b"", CreateMode::Persistent).unwrap();
        let others = those(ensemble, Mode::Follower);
        network.block(others.iter().map(|id| way(*id, deaf, Lane::All)));
        ensemble.await_line(deaf, &["the role is over", "no quorum of synchronised voters answers"]);
        let next = ensemble.wait_for("another leader", |ensemble| {
            others.iter().copied().find(|id| ensemble.mode(*id) == Some(Mode::Leader))
        });
        let version = client(ensemble, next).set("/a", b"goes on", 0).unwrap().version;
        ensemble.await_line(deaf, &["no leader for ", "not heard of: server"]);
        let epoch = ensemble.epoch(next);
        network.heal();
        assert_eq!(
            (ensemble.await_all_serving(), ensemble.epoch(next)),
            (next, epoch),
            "it comes back as a follower"
        );
        assert_eq!(trees::same(ensemble)["/a"].1.version, version);
    });
}

/// So often the network comes and goes.
const FLAPS: u32 = 5;
/// As long as it takes to be missed.
const EACH: Duration = Duration::from_secs(1);
/// About links and roles a member may say so many lines, each time.
const LINES: usize = 60;

#[test]
fn a_member_whose_network_comes_and_goes_each_second_is_done_without_and_fills_no_log() {
    in_network(|network, ensemble| {
        let told = under_load(ensemble, seed("flapping"), ANSWERED_WITHIN, |ensemble, progress, _| {
            for leads in [false, true] {
                let leader = ensemble.await_all_serving();
                let id = if leads { leader } else { those(ensemble, Mode::Follower)[0] };
                let others: Vec<Id> = ensemble.ids().into_iter().filter(|it| *it != id).collect();
                let before: Vec<_> = others.iter().map(|id| ensemble.log(*id).lines().count()).collect();
                let blocks: Vec<_> =
                    others.iter().flat_map(|it| [way(id, *it, Lane::All), way(*it, id, Lane::All)]).collect();
                let epoch = ensemble.epoch(leader);
                for _ in 0..FLAPS {
                    network.block(blocks.iter().copied());
                    std::thread::sleep(EACH);
                    network.heal();
                    std::thread::sleep(EACH);
                    progress.await_write_after(Instant::now());
                }
                let after = ensemble.await_all_serving();
                let took = ensemble.epoch(after).zip(epoch).map(|(after, before)| after - before);
                println!("links: {took:?} elections while member {id}, which led: {leads}, came and went");
                assert!(leads || took == Some(0), "one that follows takes nobody's lead");
                for (id, before) in others.iter().zip(before) {
                    let log = ensemble.log(*id);
                    let lines: Vec<_> = log.lines().skip(before).collect();
                    assert!(lines.len() < LINES, "{} lines:\n{}", lines.len(), lines.join("\n"));
                }
            }
        });
        told.verify(ensemble);
    });
}
