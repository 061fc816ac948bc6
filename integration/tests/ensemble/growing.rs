//! A server alone becomes a member in place, and others join it (MB6).

use std::process::{Command, Stdio};
use std::time::Duration;

use paddock_actors::admin::members::Configuration;
use paddock_actors::admin::status::Status;
use paddock_integration::ensemble::{Ensemble, PATIENCE, Ports};
use paddock_integration::process::{Launch, ServerProcess, binary};
use paddock_integration::raw_client::{RawClient, four_letter_word};
use paddock_integration::rounds::{rounds, seed};
use paddock_messages::znode::CreateMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::admin::{paddock, text};
use crate::joining::grow_and_shrink;
use crate::reconfig::await_modes;
use crate::world::{client, serving, waiting};

#[test]
fn mb6_a_server_alone_grows_to_three_and_five_and_shrinks_to_three_while_all_is_written() {
    // Its file has a line for it, so that one command is enough; standaloneEnabled is true.
    let (_dir, mut ensemble) = waiting(1, 0, "");
    ensemble.start(1);
    let is_alone = |it: &mut Ensemble| it.srvr(1).filter(|text| text.contains("Mode: standalone"));
    ensemble.wait_for("a server alone", is_alone);
    let elsewhere = ensemble.choose_place().line();
    let refused = crate::member_changes::member(&ensemble, 1, &["add", "1", &elsewhere]).unwrap_err();
    assert!(
        refused.contains("its file has it at server.1=127.0.0.1:"),
        "it would not start again: {refused}"
    );
    grow_and_shrink(&mut ensemble);
    ensemble.await_line(1, &["begins anew, in place", "as a member"]);
}

/// `paddock serve` as it is started without a file, and where the others would find it.
fn alone() -> (TempDir, Launch, String) {
    let dir = tempfile::tempdir().unwrap();
    let ports = Ports::choose(1).remove(0);
    let launch = Launch { port: ports.client().port(), ..Launch::new(dir.path()) };
    (dir, launch, ports.line())
}

fn member(dir: &TempDir, words: &[&str]) -> Result<Configuration, String> {
    let told = paddock(&[&["member"], words, &["--json"]].concat(), dir.path());
    if told.status.success() {
        Ok(serde_json::from_slice(&told.stdout).unwrap())
    } else {
        Err(text(&told.stderr))
    }
}

fn mode(dir: &TempDir) -> String {
    let told = paddock(&["status", "--json"], dir.path());
    serde_json::from_slice::<Status>(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}")).mode
}

fn await_mode(dir: &TempDir, server: &mut ServerProcess, wanted: &str) {
    server.wait_until_serving().unwrap();
    assert_eq!(mode(dir), wanted);
}

#[test]
fn mb6_a_server_without_a_file_is_a_member_from_then_on_with_its_sessions_and_its_process() {
    let (dir, launch, place) = alone();
    let mut server = launch.serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    client.create("/lives", b"", CreateMode::Ephemeral).unwrap();
    let before = client.create("/before", b"", CreateMode::Persistent).map(|_| client.last_zxid()).unwrap();
    let session = client.session().clone();

    let taken = format!("127.0.0.1:{}:3888", server.address().port());
    // What would hurt is refused, and nothing has changed.
    for (words, says) in [
        (&["add", "2", "127.0.0.1:1:2;3"][..], "paddock member add 1 'HOST:2888:3888;CLIENTPORT'"),
        (&["add", "1", "192.0.2.1:2888:3888;2181"], "cannot become a member there: 192.0.2.1:3888"),
        (&["add", "1", &taken], "cannot become a member there"),
        (&["add", "1", "127.0.0.1:2888:3888:observer;2181"], "needs its vote"),
        (&["promote", "1"], "server 1 is alone"),
        (&["remove", "1"], "server 1 is alone"),
    ] {
        let refused = member(&dir, words).unwrap_err();
        assert!(refused.contains(says), "{words:?}: {refused}");
    }
    assert_eq!(mode(&dir), "standalone");
    client.exists("/lives").unwrap().expect("its connection is the same");

    let process = server.id();
    let told = member(&dir, &["add", "1", &place]).unwrap();
    assert_eq!(told.members.len(), 1, "{told:?}");
    server.wait_for_line(&["order: the members are to be others", "over admin.sock"]);
    server.wait_for_line(&["begins anew, in place"]);
    await_mode(&dir, &mut server, "leader");
    assert_eq!((server.id(), server.ended().unwrap()), (process, None), "the same process");
    let mut client = RawClient::reattach(server.address(), &session, before).unwrap();
    for path in ["/lives", "/before"] {
        assert!(client.exists(path).unwrap().is_some(), "{path}");
    }
    client.create("/after", b"", CreateMode::Persistent).unwrap();
    assert!(client.last_zxid() > before, "zxids go on");
    assert!(member(&dir, &["add", "1", &place]).unwrap_err().contains("server 1 votes already"));

    // As a member, by its log alone.
    server.kill().unwrap();
    let mut server = launch.serve().unwrap();
    await_mode(&dir, &mut server, "leader");
    let conf = four_letter_word(server.address(), "conf", PATIENCE).unwrap();
    let own = format!(
        "\npeerType=0\nmembership: \nserver.1={}\nversion={}",
        told.members[0].split_once('=').unwrap().1,
        told.version
    );
    assert!(conf.contains("\nserverId=1\ninitLimit=") && conf.ends_with(&own), "{conf}");
    assert_eq!(member(&dir, &["add", "1", &place]).map_err(|it| it.contains("votes already")), Err(true));
    assert!(server.terminate().unwrap().success());
    // A file that forbids reconfigs is the truth, and that names nobody.
    let file = dir.path().join("zoo.cfg");
    std::fs::write(&file, "reconfigEnabled=false\n").unwrap();
    let mut server = launch.file(file).serve().unwrap();
    await_mode(&dir, &mut server, "standalone");
    let refused = member(&dir, &["add", "1", &place]).unwrap_err();
    assert!(refused.contains("reconfigEnabled=false"), "{refused}");
}

/// Else it would serve a history of its own.
#[test]
fn mb6_a_member_that_is_started_without_its_file_is_a_member_by_its_log() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let other = if leader == 3 { 2 } else { 3 };
    crate::member_changes::member(&ensemble, leader, &["demote", &other.to_string()]).unwrap();
    await_modes(
        &mut ensemble,
        &[1, 2, 3].into_iter().filter(|id| *id != other).collect::<Vec<_>>(),
        &[other],
    );
    ensemble.stop(other);
    client(&ensemble, leader).create("/meanwhile", b"", CreateMode::Persistent).unwrap();
    let port = ensemble.client_address(other).port();
    let without = Launch { port, ..Launch::new(ensemble.data_dir(other)) }.serve().unwrap();
    let told = paddock(&["status", "--json"], &ensemble.data_dir(other));
    assert_eq!(serde_json::from_slice::<Status>(&told.stdout).unwrap().mode, "observer");
    let mut reader = RawClient::connect(without.address()).unwrap();
    reader.sync("/").unwrap();
    assert!(reader.exists("/meanwhile").unwrap().is_some());
    // Nor has a file that is said to be the truth, and names nobody, one begin a history of its own.
    drop(without);
    let file = ensemble.dir().join("names-nobody.cfg");
    std::fs::write(&file, "reconfigEnabled=false\n").unwrap();
    let launch = Launch { port, ..Launch::new(ensemble.data_dir(other)) };
    let mut refused = launch.file(file).spawn().unwrap();
    let code = refused.wait().unwrap().code();
    assert!(
        refused.whole_log().contains("the log has this server among others (1, 2, 3)"),
        "{}",
        refused.whole_log()
    );
    assert_eq!(code, Some(2));
}

#[test]
fn mb6_killed_as_it_grows_it_is_alone_or_a_member_and_has_all_that_it_acknowledged() {
    let mut rng = StdRng::seed_from_u64(seed("killed as it grows"));
    let mut members = 0;
    let rounds = rounds(12);
    for round in 0..rounds {
        let (dir, launch, place) = alone();
        let mut server = launch.serve().unwrap();
        let mut client = RawClient::connect(server.address()).unwrap();
        let paths: Vec<String> = (0..20).map(|nth| format!("/{nth}")).collect();
        for path in &paths {
            client.create(path, b"", CreateMode::Persistent).unwrap();
        }
        let mut order = Command::new(binary().unwrap())
            .args(["member", "add", "1", &place, "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if round % 2 == 0 {
            // By the time that this is seen the txn is often committed; before, often nothing is asked yet.
            server.wait_for_line(&["order: the members are to be others"]);
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..25_000)));
        server.kill().unwrap();
        order.kill().unwrap();
        order.wait().unwrap();
        drop(server);
        let mut server = launch.serve().unwrap();
        let is_member = mode(&dir) == "leader";
        members += usize::from(is_member);
        if !is_member {
            assert_eq!(mode(&dir), "standalone", "round {round}");
            member(&dir, &["add", "1", &place]).unwrap();
            await_mode(&dir, &mut server, "leader");
        }
        let mut client = RawClient::connect(server.address()).unwrap();
        for path in &paths {
            assert!(client.exists(path).unwrap().is_some(), "round {round}: {path}");
        }
    }
    assert!(members > 0 || rounds < 4, "each was killed before its txn was on the disk");
    println!("rounds: {rounds} killed as they grew, {members} of them members");
}
