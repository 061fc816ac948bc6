//! Members that are not who they say.

use std::fs;
use std::path::Path;

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Mode};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::trees;
use crate::world::{client, serving, those};

/// All files of one data directory into another, but for `myid`.
fn copy_data(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("myid") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn a_member_does_not_start_on_another_s_data() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let mut client = client(&ensemble, leader);
    client.create("/counter", b"", CreateMode::Persistent).unwrap();
    let (own, other) = (those(&ensemble, Mode::Follower)[0], 4);
    ensemble.stop(own);
    ensemble.stop(other);
    ensemble.wipe(own);
    copy_data(&ensemble.data_dir(other), &ensemble.data_dir(own));
    ensemble.start(own);
    let status = ensemble.wait_for_end(own);
    let log = ensemble.log(own);
    assert_eq!(status.code(), Some(i32::from(ExitCode::OtherServer.code())), "{log}");
    let told = format!("the data of server {other}, but myid says {own}");
    assert!(log.contains(&told), "{log}");
    client.set("/counter", b"goes on", 0).unwrap();

    ensemble.wipe(own);
    ensemble.start_all();
    ensemble.await_all_serving();
    assert_eq!(trees::same(&ensemble)["/counter"].1.version, 1);
    client.close().expect("this connection has seen nothing of it");
}

#[test]
fn a_second_member_with_the_same_id_stops_nobody_s_service() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let follower = those(&ensemble, Mode::Follower)[0];
    let mut client = client(&ensemble, leader);
    client.create("/counter", b"", CreateMode::Persistent).unwrap();
    let mut double = ensemble.start_double_of(follower);
    // It is refused, or lives and says something: until it has, there is nothing to be seen.
    ensemble.wait_for("the double to do something", |_| {
        let over = double.ended().unwrap().is_some();
        (over || !double.log().is_empty()).then_some(())
    });
    for nth in 0..300 {
        client.set("/counter", b"goes on", nth).unwrap();
    }
    let _ = double.kill(); // it may have ended by itself
    let double_s = double.whole_log();
    ensemble.await_all_serving();
    client.set("/counter", b"and on", 300).unwrap();
    let tree = trees::same(&ensemble);
    assert_eq!(tree["/counter"].1.version, 301, "the double's log:\n{double_s}");
    // The true one still takes part: with it and without the other voter there is a quorum.
    let other =
        those(&ensemble, Mode::Follower).into_iter().find(|id| *id != follower).expect("there are two");
    ensemble.kill(other);
    client.set("/counter", b"and on", 301).unwrap();
}

/// Of one that server 3 dials.
fn await_suspicion(ensemble: &mut Ensemble) {
    ensemble.wait_for("a line that names the cause", |ensemble| {
        let told = |id: &u64| {
            ensemble.log(*id).contains("do two servers run as server 3? Each needs a myid of its own")
        };
        [1, 2].iter().any(told).then_some(())
    });
}

/// Both dial all others, and each new connection takes the place of the other's.
#[test]
fn two_members_with_the_same_id_are_told_of_and_once_one_has_gone_all_is_as_before() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    let mut double = ensemble.start_double_of(3);
    await_suspicion(&mut ensemble);
    double.kill().unwrap();
    let leader = ensemble.await_all_serving();
    client(&ensemble, leader).set("/a", b"goes on", 0).unwrap();
    trees::same(&ensemble);
}

/// A machine that was cloned, with all that its disk had. The other two are a quorum without either, and go on.
#[test]
fn a_clone_of_a_member_is_told_of_and_once_it_has_gone_everything_acknowledged_is_there() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let told = under_load(&mut ensemble, seed("clone"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(200);
        ensemble.stop(3);
        let mut clone = ensemble.start_clone_of(3);
        ensemble.start(3);
        await_suspicion(ensemble);
        progress.await_more(1_000);
        assert!(clone.ended().unwrap().is_none(), "it takes part:\n{}", clone.log());
        clone.kill().unwrap();
        ensemble.await_all_serving();
        progress.await_more(200);
    });
    let tree = told.verify(&mut ensemble);
    // Nor is anything of it only on the disk of one that is left.
    let leader = ensemble.await_leader();
    ensemble.kill(leader);
    ensemble.await_leader();
    ensemble.await_all_serving();
    assert!(trees::same(&ensemble) == tree, "without member {leader} something else is there");
    println!("rounds: {} acknowledged while a clone ran", told.acked());
}
