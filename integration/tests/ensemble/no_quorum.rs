//! Without a quorum nobody is served, and nothing is acknowledged; with one again, everything acknowledged is
//! there.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::{Launch, binary};
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, four_letter_word};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, is_turned_away, serving, those, waiting};

/// What Java's server says to `srvr` and `stat` then; here the reason stands behind it.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";
/// So long it must stay true that nobody is served.
const LOOKED_AT_FOR: Duration = Duration::from_secs(3);
/// A question is answered, or its connection closed, before this.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// None of these serves anyone, again and again.
pub(crate) fn nobody_is_served_by(ensemble: &Ensemble, ids: &[Id]) {
    let began = Instant::now();
    while began.elapsed() < LOOKED_AT_FOR {
        for id in ids {
            let to = ensemble.client_address(*id);
            let handshake = Handshake { answer_limit: ANSWERED_WITHIN, ..Handshake::default() };
            match RawClient::connect_with(to, &handshake) {
                Ok(client) => panic!("member {id} has granted {:?}", client.session()),
                Err(error) => assert!(is_turned_away(&error), "member {id}: {error}"),
            }
            for word in ["srvr", "stat"] {
                // An answer or an end of the connection; an error if its port was closed, or before all was read.
                let answer = four_letter_word(to, word, ANSWERED_WITHIN).unwrap_or_default();
                let why = answer.strip_prefix(NOT_SERVING);
                let is_why = why.is_some_and(|why| why.starts_with("no leader for ") && why.ends_with('\n'));
                assert!(answer.is_empty() || is_why, "member {id} to {word}: {answer}");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a member listens to others, whether it serves clients or not.
pub(crate) fn await_start(ensemble: &mut Ensemble, id: Id) {
    let [_, votes] = ensemble.peer_addresses(id);
    ensemble.wait_for(&format!("member {id} to listen"), |_| TcpStream::connect(votes).ok());
}

/// Nobody knows whether the one that is missing has data: two of three begin nothing.
#[test]
fn an_ensemble_begins_once_every_voter_is_there() {
    let (_dir, mut ensemble) = waiting(3, 0, "");
    for id in [1, 2] {
        ensemble.start(id);
        await_start(&mut ensemble, id);
    }
    nobody_is_served_by(&ensemble, &[1, 2]);
    ensemble.await_line(1, &["waiting for", "not heard of: server 3", "initialize"]);
    ensemble.start(3);
    ensemble.await_all_serving();
    client(&ensemble, 1).create("/all", b"", CreateMode::Persistent).unwrap();
}

/// `paddock init` with a member's file and id: its exit code, and what it said.
fn init(ensemble: &Ensemble, id: Id) -> (Option<i32>, String) {
    let file = ensemble.dir().join(id.to_string()).join("zoo.cfg");
    let mut command = Command::new(binary().unwrap());
    let output = command.arg("init").arg(file).args(["--id", &id.to_string()]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn an_operator_s_word_lets_a_quorum_begin_without_the_third_and_counts_once() {
    let (_dir, mut ensemble) = waiting(3, 0, "");
    let marker = |ensemble: &Ensemble, id| ensemble.data_dir(id).join("initialize");
    for id in [1, 2] {
        std::fs::remove_file(ensemble.data_dir(id).join("myid")).unwrap();
        let (code, said) = init(&ensemble, id);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("server {id} may begin")) && marker(&ensemble, id).exists(), "{said}");
        ensemble.start(id);
    }
    ensemble.await_all_serving();
    client(&ensemble, 1).create("/two", b"", CreateMode::Persistent).unwrap();
    for id in [1, 2] {
        assert!(!marker(&ensemble, id).exists(), "member {id}");
    }
    let (code, said) = init(&ensemble, 2);
    assert_eq!((code, marker(&ensemble, 2).exists()), (Some(3), false), "it has data: {said}");
    ensemble.start(3);
    ensemble.await_all_serving();
    trees::same(&ensemble);
}

/// Its file gets more lines, and empty members come to it: all that it had is theirs.
#[test]
fn an_ensemble_grows_from_a_server_that_was_alone() {
    let (_dir, mut ensemble) = waiting(3, 0, "");
    let launch = Launch { port: ensemble.client_address(2).port(), ..Launch::new(ensemble.data_dir(2)) };
    let mut alone = launch.serve().unwrap();
    let mut writes = RawClient::connect(alone.address()).unwrap();
    writes.create("/alone", b"", CreateMode::Persistent).unwrap();
    assert!(alone.terminate().unwrap().success());
    ensemble.start(1);
    ensemble.start(2);
    for id in [1, 2] {
        await_start(&mut ensemble, id);
    }
    nobody_is_served_by(&ensemble, &[1, 2]);
    ensemble.start(3);
    assert_eq!(ensemble.await_all_serving(), 2, "who has data leads");
    client(&ensemble, 3).create("/three", b"", CreateMode::Persistent).unwrap();
    let tree = trees::same(&ensemble);
    assert!(tree.contains_key("/alone") && tree.contains_key("/three"));
}

/// A disk is lost, and with it what made a write safe: the one that may lack it is no leader by that disk's vote.
#[test]
fn who_has_lost_its_disk_has_no_vote_until_a_leader_has_given_it_all() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    ensemble.kill(3);
    ensemble.await_leader();
    let mut writes = client(&ensemble, 1);
    writes.create("/only-1-and-2-have-it", b"", CreateMode::Persistent).unwrap();
    ensemble.kill_all();
    ensemble.wipe(2);
    for id in [2, 3] {
        ensemble.start(id);
        await_start(&mut ensemble, id);
    }
    nobody_is_served_by(&ensemble, &[2, 3]);
    ensemble.await_line(3, &["waiting for", "not heard of: server 1", "without a vote", "server 2"]);
    ensemble.start(1);
    ensemble.await_all_serving();
    assert!(trees::same(&ensemble).contains_key("/only-1-and-2-have-it"));
    // It remembers now: two of three go on without the first.
    ensemble.kill(1);
    ensemble.await_leader();
    client(&ensemble, 2).create("/without-1", b"", CreateMode::Persistent).unwrap();
}

#[test]
fn one_of_three_voters_serves_nobody_also_with_an_observer_and_two_do() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    ensemble.kill_all();
    ensemble.start(1);
    ensemble.start(4);
    for id in [1, 4] {
        await_start(&mut ensemble, id);
    }
    nobody_is_served_by(&ensemble, &[1, 4]);
    ensemble.start(2);
    ensemble.await_all_serving();
    let mut client = client(&ensemble, 1);
    client.create("/by-two", b"", CreateMode::Persistent).unwrap();
    client.close().unwrap();
    ensemble.start(3);
    ensemble.await_all_serving();
    assert!(trees::same(&ensemble).contains_key("/by-two"));
}

#[test]
fn a_member_whose_quorum_dies_serves_no_longer_and_all_acknowledged_is_there_with_the_next() {
    for survivor in [Mode::Leader, Mode::Follower] {
        let (_dir, mut ensemble) = serving(3, 0, "");
        let survivor = those(&ensemble, survivor)[0];
        let mut at_survivor = client(&ensemble, survivor);
        at_survivor.create("/log", b"", CreateMode::Persistent).unwrap();
        for nth in 0..100 {
            at_survivor.set("/log", format!("{nth}").as_bytes(), nth).unwrap();
        }
        for id in ensemble.ids() {
            if id != survivor {
                ensemble.kill(id);
            }
        }
        // From here on there is no quorum, whether the survivor knows it or not.
        at_survivor.queue_create("/never-acknowledged", b"", CreateMode::Persistent);
        let answer = at_survivor.flush().and_then(|()| at_survivor.reply()?.ok());
        assert!(answer.is_err(), "acknowledged by one of three");
        ensemble.await_silence_of(survivor);
        nobody_is_served_by(&ensemble, &[survivor]);
        assert!(matches!(at_survivor.get("/log"), Err(ClientError::Io(_))), "the connection is closed");

        ensemble.start_all();
        ensemble.await_all_serving();
        let tree = trees::same(&ensemble);
        let (data, stat) = &tree["/log"];
        assert_eq!((data.as_ref(), stat.version), (&b"99"[..], 100));
    }
}
