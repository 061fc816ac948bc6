//! `/zookeeper/config` tells clients who is in the ensemble: what the leader's file says.

use std::io::Write;

use paddock_integration::ensemble::{Ensemble, Id};
use paddock_messages::path::CONFIG;

use crate::world::{client, serving};

/// The text that this member has, and the zxid of its last change.
fn told(ensemble: &Ensemble, id: Id) -> (String, i64) {
    let mut client = client(ensemble, id);
    client.sync("/").unwrap();
    let (data, stat) = client.get(CONFIG).unwrap();
    client.close().unwrap();
    (String::from_utf8(data.to_vec()).unwrap(), stat.mzxid)
}

/// What the files say.
fn expected(ensemble: &Ensemble, version: i64) -> String {
    let line = |id| {
        let [quorum, election] = ensemble.peer_addresses(id).map(|address| address.port());
        let role = if ensemble.voters().contains(&id) { "participant" } else { "observer" };
        format!("server.{id}=127.0.0.1:{quorum}:{election}:{role};{}\n", ensemble.client_address(id))
    };
    let lines: String = ensemble.ids().into_iter().map(line).collect();
    format!("{lines}version={version:x}")
}

#[test]
fn every_member_tells_who_is_in_the_ensemble_and_a_new_leader_tells_nothing_new() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let version = told(&ensemble, leader).1;
    for id in ensemble.ids() {
        assert_eq!(told(&ensemble, id), (expected(&ensemble, version), version), "member {id}");
    }
    ensemble.kill(leader);
    let next = ensemble.await_leader();
    assert_ne!(next, leader);
    ensemble.start(leader);
    ensemble.await_all_serving();
    for id in ensemble.ids() {
        assert_eq!(told(&ensemble, id), (expected(&ensemble, version), version), "member {id} later");
    }
}

#[test]
fn files_with_one_more_member_change_it_at_the_next_start() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    let (before, version) = told(&ensemble, leader);
    let more = "server.9=127.0.0.1:1:2:observer\n";
    ensemble.kill_all();
    for id in ensemble.ids() {
        let file = ensemble.dir().join(id.to_string()).join("zoo.cfg");
        writeln!(std::fs::OpenOptions::new().append(true).open(file).unwrap(), "\n{more}").unwrap();
    }
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    let (after, version_after) = told(&ensemble, leader);
    assert!(version_after > version, "{version:x}, then {version_after:x}");
    let members = before.strip_suffix(&format!("version={version:x}")).unwrap();
    assert_eq!(after, format!("{members}{more}version={version_after:x}"));
    for id in ensemble.ids() {
        assert_eq!(told(&ensemble, id), (after.clone(), version_after), "member {id}");
    }
}
