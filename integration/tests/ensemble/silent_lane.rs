//! A network that brings heartbeats and silently drops all else.

use paddock_integration::ensemble::{Ensemble, Mode, Shape};
use paddock_integration::network::{Block, End, Lane, Network};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, those};

#[test]
fn p12_a_follower_whose_acks_are_lost_is_dropped_after_sync_limit_and_comes_back() {
    match Network::new(vec![1, 2, 3]) {
        Ok(network) => network.inside(run),
        Err(why) => println!("\nskipped: no network namespaces here: {why}"),
    }
}

fn run(network: &mut Network) {
    let dir = tempfile::tempdir().unwrap();
    // The system gives a silent connection up after `initLimit`, which is longer.
    let lines = "syncLimit=3\ninitLimit=60".to_owned();
    let mut ensemble = Ensemble::in_network(dir.path(), Shape { lines, ..Shape::default() }, network);
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    let deaf = those(&ensemble, Mode::Follower)[0];
    let epoch = ensemble.epoch(leader);
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();

    network.block([Block { from: End::Member(deaf), to: End::Member(leader), lane: Lane::Quorum }]);
    let mut acked = 0;
    ensemble.wait_for("the leader to drop who does not ack", |ensemble| {
        acked = writes.set("/a", b"", acked).expect("two of three go on").version;
        ensemble.log(leader).contains("it has not acknowledged for syncLimit").then_some(())
    });
    ensemble.await_silence_of(deaf);
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));

    network.heal();
    ensemble.await_all_serving();
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), epoch));
    assert_eq!(trees::same(&ensemble)["/a"].1.version, acked, "each write that was acknowledged");
}
