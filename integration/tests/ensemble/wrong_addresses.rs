//! Files that lead members to the wrong door: ports in the wrong order, the port of clients, another ensemble. The others
//! go on, nothing is taken in that does not belong here, and each log says which line to correct.

use std::path::PathBuf;

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, serving, those};

fn file(ensemble: &Ensemble, id: Id) -> PathBuf {
    ensemble.dir().join(id.to_string()).join("zoo.cfg")
}

/// Has a member that does not run start with another text in its file next time; returns the right one.
fn misconfigure(ensemble: &Ensemble, id: Id, wrong: impl FnOnce(&str) -> String) -> String {
    let right = std::fs::read_to_string(file(ensemble, id)).unwrap();
    let text = wrong(&right);
    assert_ne!(text, right, "nothing is wrong with it");
    std::fs::write(file(ensemble, id), text).unwrap();
    right
}

/// `quorum:election;` of one member, as every file has it.
fn ports(ensemble: &Ensemble, id: Id) -> [u16; 2] {
    ensemble.peer_addresses(id).map(|address| address.port())
}

/// The two ports of each line in the wrong order.
fn swapped(ensemble: &Ensemble, text: &str) -> String {
    ensemble.ids().into_iter().fold(text.to_owned(), |text, id| {
        let [quorum, election] = ports(ensemble, id);
        text.replace(&format!(":{quorum}:{election};"), &format!(":{election}:{quorum};"))
    })
}

/// The others write `/a` the first, or the next time, while one is not with them; returns its version.
fn the_others_go_on(ensemble: &mut Ensemble, out: Id, version: i32) -> i32 {
    let id =
        ensemble.wait_for("a leader among the others", |ensemble| ensemble.leader().filter(|id| *id != out));
    let mut client = client(ensemble, id);
    let version = client.set("/a", b"goes on", version).unwrap().version;
    assert_eq!(ensemble.mode(out), None, "it serves nobody");
    version
}

/// Started again with the right file it is one of them as before, and all hold `/a` as it was written last.
fn corrected(ensemble: &mut Ensemble, id: Id, right: &str, version: i32) {
    ensemble.stop(id);
    std::fs::write(file(ensemble, id), right).unwrap();
    ensemble.start(id);
    ensemble.await_all_serving();
    assert_eq!(trees::same(ensemble)["/a"].1.version, version);
}

/// The lowest id is dialled by all others, the greatest dials all of them.
#[test]
fn ports_in_the_wrong_order_in_one_member_s_file_keep_it_out_and_both_logs_say_so() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    for (version, id) in [(0, 1), (1, 3)] {
        ensemble.stop(id);
        let right = misconfigure(&ensemble, id, |text| swapped(&ensemble, text));
        ensemble.start(id);
        let order =
            ["a ctl lane with server", "does not come up", "compare the order of the ports of server.N"];
        ensemble.await_line(if id == 1 { 3 } else { id }, &order);
        let refused = ["is refused: it opens a", "lane where", "compare the order of the ports of server.N"];
        ensemble.await_line(1, &refused);
        let version = the_others_go_on(&mut ensemble, id, version);
        let why = ensemble.srvr(id).unwrap_or_default();
        assert!(why.contains("no leader for "), "{why}");
        corrected(&mut ensemble, id, &right, version);
    }
}

#[test]
fn the_port_of_clients_in_the_place_of_the_leader_s_quorum_port_keeps_one_member_out() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    let out = those(&ensemble, Mode::Follower)[0];
    ensemble.stop(out);
    let ([quorum, election], clients) = (ports(&ensemble, leader), ensemble.client_address(leader).port());
    let right = misconfigure(&ensemble, out, |text| {
        text.replace(&format!(":{quorum}:{election};"), &format!(":{clients}:{election};"))
    });
    ensemble.start(out);
    ensemble.await_line(
        out,
        &[
            "a data lane with server",
            "does not come up",
            &format!("127.0.0.1:{clients}: it closed the connection before its hello"),
            "compare the server.N line with its clientPort",
        ],
    );
    let version = the_others_go_on(&mut ensemble, out, 0);
    corrected(&mut ensemble, out, &right, version);
}

#[test]
fn a_port_that_is_for_clients_and_for_members_is_refused_at_the_start() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    ensemble.await_leader();
    let out = those(&ensemble, Mode::Follower)[0];
    ensemble.stop(out);
    let ([quorum, election], clients) = (ports(&ensemble, out), ensemble.client_address(out).port());
    let right = misconfigure(&ensemble, out, |text| {
        text.replace(&format!(":{quorum}:{election};"), &format!(":{clients}:{election};"))
    });
    ensemble.start(out);
    let status = ensemble.wait_for_end(out);
    let log = ensemble.log(out);
    assert_eq!(status.code(), Some(i32::from(ExitCode::BadConfiguration.code())), "{log}");
    assert!(
        log.contains(&format!("the client port, {clients}, is the quorum port of this server's own line")),
        "{log}"
    );
    std::fs::write(file(&ensemble, out), right).unwrap();
    ensemble.start(out);
    ensemble.await_all_serving();
}

/// Server 3 of another ensemble stands where server 3 of this one should be, and looks for 1 and 2 here, as after a machine was
/// given to somebody else. Then server 1, whom the others dial.
#[test]
fn a_member_of_another_ensemble_is_kept_out_and_each_log_names_both_ensembles() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let (_other_dir, mut other) = serving(3, 0, "");
    let leader = ensemble.await_leader();
    client(&ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
    let of_other = other.await_leader();
    client(&other, of_other).create("/theirs", b"", CreateMode::Persistent).unwrap();
    let mut version = 0;
    for id in [3, 1] {
        ensemble.stop(id);
        other.stop(id);
        ensemble.wait_for("a leader without it", |ensemble| ensemble.leader());
        let here = std::fs::read_to_string(file(&ensemble, id)).unwrap();
        let [own, foreign] = [&ensemble, &other].map(|it| it.data_dir(id).display().to_string());
        let right = misconfigure(&other, id, |_| here.replace(&own, &foreign));
        other.start(id);
        let names_both = ["it belongs to ensemble", "and this server to", "one of them has another's data"];
        // Who is dialled refuses, and who dials is told.
        let member = if id == 3 { 1 } else { 3 };
        ensemble.await_line(member, &names_both);
        other.await_line(id, &names_both);
        version = the_others_go_on(&mut ensemble, id, version);
        assert!(RawClient::connect(ensemble.client_address(id)).is_err(), "it serves nobody as one of them");
        other.stop(id);
        std::fs::write(file(&other, id), right).unwrap();
        ensemble.start(id);
        other.start(id);
        ensemble.await_all_serving();
        other.await_all_serving();
    }
    let tree = trees::same(&ensemble);
    assert!(!tree.contains_key("/theirs"));
    assert_eq!(tree["/a"].1.version, version);
    assert!(!trees::same(&other).contains_key("/a"));
}
