//! With `linearizableReads` a read shows all that anybody was answered before it, at whichever member it is asked, or
//! is not answered.

use std::time::Duration;

use paddock_integration::ensemble::{Ensemble, Id, Mode, Shape};
use paddock_integration::network::{Block, End, Lane, Network};
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::znode::{CreateMode, Stat};

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{client, serving, those};

const SETTING: &str = "linearizableReads=true\n";
/// Times that each pair of members is tried.
const TURNS: usize = 40;
/// A read that nobody may answer is waited for so long.
const NOT_ANSWERED_FOR: Duration = Duration::from_millis(500);

fn clients(ensemble: &Ensemble) -> Vec<RawClient> {
    ensemble.ids().into_iter().map(|id| client(ensemble, id)).collect()
}

#[test]
fn c10_a_read_at_any_member_shows_what_was_acknowledged_at_any_other() {
    for arbiters in [0, 1, 4] {
        let (_dir, mut ensemble) = serving(3, 1, &format!("{SETTING}clientArbiters={arbiters}\n"));
        let told = under_load(&mut ensemble, arbiters, ANSWERED_WITHIN, |ensemble, _, _| {
            let mut clients = clients(ensemble);
            clients[0].create("/a", b"", CreateMode::Persistent).unwrap();
            let pairs =
                |turn| (0..4).flat_map(move |writer| (0..4).map(move |reader| (turn, writer, reader)));
            for (version, (turn, writer, reader)) in (0..).zip((0..TURNS).flat_map(pairs)) {
                let data = format!("{turn}.{writer}.{reader}");
                let written = clients[writer].set("/a", data.as_bytes(), version).unwrap();
                let read = clients[reader].get("/a").unwrap();
                assert_eq!(read, (data.into(), written), "{arbiters}: written at {writer}, read at {reader}");
            }
            pipelined(&mut clients);
        });
        told.verify(&mut ensemble);
    }
}

/// Each client sends writes and reads all at once: what it reads is its last write's doing, or a later one's of all.
fn pipelined(clients: &mut [RawClient]) {
    for client in &mut *clients {
        for _ in 0..50 {
            client.queue_set("/a", b"", -1);
            client.queue(OpCode::GetData, &PathWatch { path: "/a".into(), watch: false });
            client.queue(OpCode::Exists, &PathWatch { path: "/a".into(), watch: false });
        }
        client.flush().unwrap();
    }
    let mut last = [0; 4];
    for _ in 0..50 {
        for (client, last) in clients.iter_mut().zip(&mut last) {
            let written = stat(client);
            assert!(written.version > *last, "{} after {last}", written.version);
            let read = stat(client);
            let looked = stat(client);
            assert!(written.version <= read.version && read.version <= looked.version, "in the order asked");
            *last = looked.version;
        }
    }
}

/// At the end of an answer.
fn stat(client: &mut RawClient) -> Stat {
    let mut body = client.reply().unwrap().ok().unwrap();
    paddock_messages::wire::Wire::read(&mut body.split_off(body.len() - 68)).unwrap()
}

/// A network in which an ensemble with the setting serves, its leader, and a follower.
fn in_network(act: impl FnOnce(&mut Network, &mut Ensemble, Id, Id) + Send) {
    let run = |network: &mut Network| {
        let dir = tempfile::tempdir().unwrap();
        // What is silent on one port alone stays a member for long.
        let lines = format!("{SETTING}syncLimit=60\ninitLimit=60");
        let mut ensemble = Ensemble::in_network(dir.path(), Shape { lines, ..Shape::default() }, network);
        ensemble.start_all();
        let leader = ensemble.await_all_serving();
        let follower = those(&ensemble, Mode::Follower)[0];
        client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
        act(network, &mut ensemble, leader, follower);
    };
    match Network::new(vec![1, 2, 3]) {
        Ok(network) => network.inside(run),
        Err(why) => println!("\nskipped: no network namespaces here: {why}"),
    }
}

/// Asks for `/a`, which nobody may answer now.
fn ask_in_vain(reads: &mut RawClient) {
    reads.set_answer_limit(NOT_ANSWERED_FOR).unwrap();
    reads.queue(OpCode::GetData, &PathWatch { path: "/a".into(), watch: false });
    reads.flush().unwrap();
    let told = reads.reply();
    assert!(told.is_err(), "it was answered: {told:?}");
}

#[test]
fn c10_a_follower_that_is_behind_answers_no_read_before_it_has_what_was_acknowledged() {
    in_network(|network, ensemble, leader, behind| {
        let (mut writes, mut reads) = (client(ensemble, leader), client(ensemble, behind));
        network.block([Block { from: End::Member(leader), to: End::Member(behind), lane: Lane::Quorum }]);
        let written = writes.set("/a", b"new", -1).expect("two of three go on");
        ask_in_vain(&mut reads);
        network.heal();
        reads.set_answer_limit(ANSWERED_WITHIN).unwrap();
        let read = stat(&mut reads);
        assert_eq!(read, written);
    });
}

#[test]
fn c10_a_leader_that_is_cut_off_answers_no_read_from_then_on() {
    in_network(|network, ensemble, old, _| {
        let mut reads = client(ensemble, old);
        let others = ensemble.ids().into_iter().filter(|id| *id != old);
        network.block(others.flat_map(|other| {
            let block = |from, to| Block { from: End::Member(from), to: End::Member(to), lane: Lane::All };
            [block(old, other), block(other, old)]
        }));
        ask_in_vain(&mut reads);
    });
}

#[test]
fn c10_a_leader_that_was_deposed_while_it_stood_still_answers_no_read_with_what_it_has() {
    let (_dir, mut ensemble) = serving(3, 0, &format!("{SETTING}clientArbiters=4\n"));
    client(&ensemble, 1).create("/a", b"", CreateMode::Persistent).unwrap();
    for round in 0..3 {
        let old = ensemble.await_leader();
        let mut reads: Vec<_> = (0..8).map(|_| client(&ensemble, old)).collect();
        ensemble.freeze(old);
        let new = ensemble.await_leader();
        let written = client(&ensemble, new).set("/a", format!("{round}").as_bytes(), -1).unwrap();
        for client in &mut reads {
            client.queue(OpCode::GetData, &PathWatch { path: "/a".into(), watch: false });
            client.flush().unwrap();
        }
        ensemble.thaw(old);
        for client in &mut reads {
            // It is closed, or parked and answered once there is a leader again.
            if let Ok(reply) = client.reply() {
                let mut body = reply.ok().unwrap();
                let read: Stat =
                    paddock_messages::wire::Wire::read(&mut body.split_off(body.len() - 68)).unwrap();
                assert_eq!(read, written, "round {round}");
            }
        }
        ensemble.await_all_serving();
    }
}
