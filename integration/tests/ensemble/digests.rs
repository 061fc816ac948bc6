//! Members of which one has another tree, by no fault of its log or its disk.

use std::path::Path;

use paddock_actors::storage::snapshot_files::{restore, take};
use paddock_actors::storage::{Options, RealDisk, open};
use paddock_actors::tree::{Events, SharedTree, TreeOptions};
use paddock_integration::ensemble::{Ensemble, Id, Mode, PATIENCE};
use paddock_integration::raw_client::{RawClient, four_letter_word};
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::txn::{Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, serving, those};

/// More than two digests are told of.
const WRITES: u32 = 300;

/// Sets the data of `/a` in the tree of a member that does not run, and in nothing else: a snapshot that says so
/// is the newest of its history, whole, and where it should be.
fn alter(data_dir: &Path, id: Id) {
    let disk = RealDisk::new(data_dir).unwrap();
    let (mut logger, recovered) = open(disk.clone(), Options::new(ServerId(id), 1)).unwrap();
    let options = TreeOptions::default();
    let mut tree = restore(&disk, &mut logger, &recovered, options, recovered.watermark).unwrap().tree;
    let (session, attach, zxid) = (SessionId(1), AttachNumber::default(), tree.last_zxid());
    let header = TxnHeader { session, attach, cxid: 1, zxid, time: 1 };
    let op = Op::SetData { path: "/a".into(), data: Some("wrong".into()), version: 1 };
    tree.apply(&Txn { header, body: TxnBody::One(op) }, &mut Events::unwanted());
    let (name, footer) = take(&disk, &SharedTree::new(tree, 0)).unwrap().unwrap();
    logger.add_snapshot(&name, footer.zxid).unwrap();
    logger.shutdown().unwrap();
}

fn write(client: &mut RawClient) {
    for _ in 0..WRITES {
        client.set("/b", b"b", -1).unwrap();
    }
}

/// Three of which `odd` has another tree and does not run; by default a follower. And who that is.
fn altered(lines: &str, odd: Option<Id>) -> (tempfile::TempDir, Ensemble, Id) {
    let (dir, mut ensemble) = serving(3, 0, lines);
    let odd = odd.unwrap_or_else(|| those(&ensemble, Mode::Follower)[0]);
    let mut all = client(&ensemble, odd);
    all.create("/a", b"right", CreateMode::Persistent).unwrap();
    all.create("/b", b"", CreateMode::Persistent).unwrap();
    write(&mut all);
    all.close().unwrap();
    ensemble.stop(odd);
    alter(&ensemble.data_dir(odd), odd);
    (dir, ensemble, odd)
}

const FOUND: &str = "this member's tree is not the one that a quorum has";
const SNAPSHOTS: &str = "snapCount=100";

fn data(ensemble: &Ensemble, id: Id) -> bytes::Bytes {
    client(ensemble, id).get("/a").unwrap().0
}

#[test]
fn dg2_dg4_a_follower_with_another_tree_is_found_closes_its_clients_and_gets_the_leader_s() {
    let (_dir, mut ensemble, odd) = altered(SNAPSHOTS, None);
    ensemble.start(odd);
    let leader = ensemble.await_all_serving();
    assert_eq!(data(&ensemble, odd), "wrong");
    let (mut served, epoch) = (client(&ensemble, odd), ensemble.epoch(leader));
    write(&mut client(&ensemble, leader));
    ensemble.await_line(odd, &["ERROR", FOUND]);
    let closed = (0..).find_map(|_| served.get("/a").err()).unwrap();
    assert!(closed.is_disconnect() && !closed.is_silence(), "{closed}");
    ensemble.await_line(odd, &["this member's tree is the leader's now"]);
    assert_eq!(ensemble.await_all_serving(), leader);
    assert_eq!(ensemble.epoch(leader), epoch, "nobody else was disturbed");
    assert_eq!(data(&ensemble, odd), "right");
    trees::same(&ensemble);
    ensemble.kill(odd);
    ensemble.start(odd);
    ensemble.await_all_serving();
    assert_eq!(data(&ensemble, odd), "right", "on its disk, too");
}

#[test]
fn dg4_a_leader_with_another_tree_steps_down() {
    let (_dir, mut ensemble, odd) = altered(SNAPSHOTS, Some(3));
    ensemble.start(odd);
    ensemble.await_all_serving();
    ensemble.kill_all();
    [1, odd].iter().for_each(|id| ensemble.start(*id));
    assert_eq!(ensemble.await_all_serving(), odd, "of two equals the higher id leads");
    ensemble.start(2);
    ensemble.await_all_serving();
    let mut writer = client(&ensemble, 1);
    for _ in 0..WRITES {
        if writer.set("/b", b"b", -1).is_err() {
            break; // it has stepped down
        }
    }
    ensemble.await_line(odd, &["ERROR", FOUND]);
    ensemble.await_line(odd, &["the role is over", "its tree is not the one that a quorum has"]);
    ensemble.await_line(odd, &["this member's tree is the leader's now"]);
    ensemble.await_all_serving();
    assert_eq!(data(&ensemble, odd), "right");
    trees::same(&ensemble);
}

#[test]
fn dg4_dg5_without_a_leader_s_snapshot_it_follows_and_acknowledges_and_serves_nobody_restarts_included() {
    let (_dir, mut ensemble, odd) = altered("snapCount=1000000", None);
    ensemble.start(odd);
    let leader = ensemble.await_all_serving();
    write(&mut client(&ensemble, leader));
    ensemble.await_line(odd, &["ERROR", FOUND]);
    ensemble.await_silence_of(odd);
    // It follows anew, which is behind what it has written down of its tree.
    ensemble.wait_for("the member to follow again", |ensemble| {
        (ensemble.log(odd).matches("up to date with the leader").count() >= 2).then_some(())
    });
    ensemble.kill(odd);
    ensemble.start(odd);
    ensemble.await_line(odd, &["ERROR", "was found to be another than a quorum's before it ended"]);
    let third = ensemble.ids().into_iter().find(|id| ![odd, leader].contains(id)).unwrap();
    ensemble.await_line(odd, &["up to date with the leader"]);
    ensemble.kill(third);
    write(&mut client(&ensemble, leader)); // it is one of the two that make a quorum
    assert_eq!(ensemble.mode(odd), None);
    let outlook = ensemble.srvr(odd).unwrap();
    assert!(outlook.contains("not the one that a quorum has"), "{outlook}");
}

#[test]
fn dg3_two_that_differ_without_a_third_both_say_so_and_go_on() {
    let (_dir, mut ensemble, odd) = altered("", None);
    let third = those(&ensemble, Mode::Follower)[0];
    ensemble.kill(third);
    ensemble.start(odd);
    let leader = ensemble.await_all_serving();
    let mut writer = client(&ensemble, leader);
    write(&mut writer);
    for one in [odd, leader] {
        ensemble.await_line(one, &["ERROR", "members' trees differ, and no quorum agrees"]);
    }
    write(&mut writer);
    for one in [odd, leader] {
        let mntr = four_letter_word(ensemble.client_address(one), "mntr", PATIENCE).unwrap();
        assert!(mntr.contains("zk_digest_mismatches_count\t1.0\n"), "once: {mntr}");
    }
    assert_eq!(client(&ensemble, odd).get("/a").unwrap().0, "wrong", "it serves what it has");
}
