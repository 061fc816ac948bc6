//! A copy of a member's data from before, put back while the others went on.

use std::fs;
use std::path::Path;

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, serving, those};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Stops a member, does something to its data, and starts it again.
fn with_data(ensemble: &mut Ensemble, id: Id, act: impl FnOnce(&Path)) {
    ensemble.stop(id);
    act(&ensemble.data_dir(id));
    ensemble.start(id);
    ensemble.await_all_serving();
}

/// The leader knows what it had acknowledged.
#[test]
fn a_member_on_an_older_copy_of_its_disk_is_told_and_brought_to_what_the_others_hold() {
    let (dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let (old, other) = (those(&ensemble, Mode::Follower)[0], those(&ensemble, Mode::Follower)[1]);
    let backup = dir.path().join("backup");
    with_data(&mut ensemble, old, |data| copy(data, &backup));
    let epoch = ensemble.epoch(leader);
    for nth in 0..100 {
        writes.set("/a", b"acknowledged", nth).unwrap();
    }
    // It has all of them on disk, and has said so.
    ensemble.wait_for("its last ack", |ensemble| (ensemble.zxid(old)? == writes.last_zxid()).then_some(()));
    with_data(&mut ensemble, old, |data| {
        fs::remove_dir_all(data).unwrap();
        copy(&backup, data);
    });
    let told = format!("server {old} had acknowledged all through");
    ensemble.await_line(
        leader,
        &["ERROR", &told, "an older copy of its disk was put back", "start it with an empty directory"],
    );
    assert_eq!(
        (ensemble.leader(), ensemble.epoch(leader)),
        (Some(leader), epoch),
        "nobody had to elect anew"
    );
    assert_eq!(trees::same(&ensemble)["/a"].1.version, 100);
    // With it and another there is a quorum, which has all that was acknowledged.
    ensemble.kill(leader);
    let next = ensemble.await_leader();
    assert!([old, other].contains(&next));
    assert_eq!(client(&ensemble, next).set("/a", b"and on", 100).unwrap().version, 101);
}

/// What the guide says to do instead of it: an empty one has no vote until it has everything, so that an acknowledged write that
/// only one living member holds is waited for.
#[test]
fn a_member_that_starts_empty_in_place_of_an_older_copy_elects_nobody_who_lacks_what_was_acknowledged() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    let mut writes = client(&ensemble, leader);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let (lost, away) = (those(&ensemble, Mode::Follower)[0], those(&ensemble, Mode::Follower)[1]);
    ensemble.stop(away);
    assert_eq!(writes.set("/a", b"on two of three", 0).unwrap().version, 1);
    ensemble.kill(leader);
    ensemble.kill(lost);
    ensemble.wipe(lost);
    ensemble.start(lost);
    ensemble.start(away);
    let line = ensemble.await_line(away, &["no leader for ", "waiting for:"]);
    assert!(line.contains(&format!("server {leader}")), "{line}");
    assert_eq!(ensemble.leader(), None, "neither has what was acknowledged");
    ensemble.start(leader);
    ensemble.await_all_serving();
    assert_eq!(trees::same(&ensemble)["/a"].1.version, 1);
}
