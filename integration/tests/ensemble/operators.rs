//! What an operator sees of members that run: ZooKeeper's names and words in each role, links that move, and who is
//! missing where there is no quorum.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::four_letter_word;
use paddock_messages::znode::CreateMode;

use crate::world::{client, client_for, serving, those};

const LIMIT: Duration = Duration::from_secs(30);

fn word(ensemble: &Ensemble, id: Id, word: &str) -> String {
    four_letter_word(ensemble.client_address(id), word, LIMIT).unwrap()
}

/// `mntr`, by name.
pub(crate) fn mntr(ensemble: &Ensemble, id: Id) -> BTreeMap<String, String> {
    let text = word(ensemble, id, "mntr");
    text.lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// `/metrics`, as it comes.
pub(crate) fn text_of_metrics(ensemble: &Ensemble, id: Id) -> String {
    let mut stream = TcpStream::connect(ensemble.metrics_address(id)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: paddock\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The same: each sample with its labels.
fn page(ensemble: &Ensemble, id: Id) -> BTreeMap<String, f64> {
    let text = text_of_metrics(ensemble, id);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(a, b)| (a.to_owned(), b.parse().unwrap()))
        .collect()
}

fn link(name: &str, peer: Id, lane: &str) -> String {
    format!("paddock_link_{name}{{peer=\"{peer}\",lane=\"{lane}\"}}")
}

#[test]
fn each_role_tells_zookeeper_s_names_and_its_configuration() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    client(&ensemble, leader).create("/a", b"some data", CreateMode::Persistent).unwrap();

    let all_synced = |ensemble: &mut Ensemble| {
        let told = mntr(ensemble, leader);
        (told["zk_learners"] == "3.0" && told["zk_synced_observers"] == "1.0").then_some(told)
    };
    let told = ensemble.wait_for("three learners", all_synced);
    for (name, value) in [
        ("zk_server_state", "leader"),
        ("zk_peer_state", "leading - broadcast"),
        ("zk_quorum_size", "3.0"),
        ("zk_synced_followers", "2.0"),
        ("zk_synced_non_voting_followers", "0.0"),
        ("zk_pending_syncs", "0.0"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let number = |name: &str| told[name].parse::<f64>().unwrap();
    assert!(number("zk_leader_uptime") > 0.0 && number("zk_min_proposal_size") > 0.0, "{told:?}");
    assert!(number("zk_max_proposal_size") >= number("zk_last_proposal_size"), "{told:?}");
    assert!(word(&ensemble, leader, "srvr").contains("\nProposal sizes last/min/max: "));

    let follower = those(&ensemble, Mode::Follower)[0];
    let told = mntr(&ensemble, follower);
    for (name, value) in [
        ("zk_server_state", "follower"),
        ("zk_peer_state", "following - broadcast"),
        ("zk_quorum_size", "3.0"),
        ("zk_synced_observers", "0.0"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert!(!told.contains_key("zk_learners") && !told.contains_key("zk_leader_uptime"), "{told:?}");
    assert!(!word(&ensemble, follower, "srvr").contains("Proposal sizes"));
    let told = mntr(&ensemble, 4);
    assert_eq!(told["zk_peer_state"], "observing - broadcast");
    assert_eq!(told["zk_observer_master_id"], leader.to_string());

    let conf = word(&ensemble, 4, "conf");
    let [quorum, election] = ensemble.peer_addresses(4).map(|at| at.port());
    let own = format!(
        "\nserverId=4\ninitLimit=20\nsyncLimit=5\nelectionAlg=3\nelectionPort={election}\nquorumPort={quorum}\n\
         peerType=1\nmembership: \nserver.1=127.0.0.1:"
    );
    let (config, _) = client(&ensemble, 4).get("/zookeeper/config").unwrap();
    assert!(conf.contains(&own) && conf.ends_with(std::str::from_utf8(&config).unwrap()), "{conf}");
    let line = format!("server.4=127.0.0.1:{quorum}:{election}:observer;{}\n", ensemble.client_address(4));
    assert!(conf.contains(&line), "{conf}");
}

#[test]
fn a_learner_dumps_the_ensemble_s_sessions_with_their_timeouts() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let mut holder = client_for(&ensemble, followers[0], 9_000);
    holder.create("/mine", b"", CreateMode::Ephemeral).unwrap();
    let line = format!("{:#x}\t9000ms", holder.session().id);
    for follower in followers {
        let dumped = |ensemble: &mut Ensemble| {
            let dump = word(ensemble, follower, "dump");
            dump.lines().any(|it| it == line).then_some(dump)
        };
        let dump = ensemble.wait_for("the session at each follower", dumped);
        assert!(dump.starts_with("SessionTracker dump:\nGlobal Sessions(1):\n"), "{dump}");
        assert!(dump.contains("\t/mine\n") && !dump.contains("Session Sets"), "{dump}");
    }
    let dump = word(&ensemble, leader, "dump");
    assert!(dump.starts_with("SessionTracker dump:\nSession Sets (1)/(1):\n"), "{dump}");
}

#[test]
fn links_are_up_and_carry_bytes_and_nobody_stays_behind() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let before = page(&ensemble, leader);
    let mut writes = client(&ensemble, leader);
    writes.create("/a", &[b'x'; 10_000], CreateMode::Persistent).unwrap();
    let caught_up = |ensemble: &mut Ensemble| {
        let now = page(ensemble, leader);
        let lags = |what: &str| -> Vec<f64> {
            followers
                .iter()
                .filter_map(|id| now.get(&format!("paddock_learner_lag_{what}{{peer=\"{id}\"}}")).copied())
                .collect()
        };
        let trips = followers.iter().all(|id| now.contains_key(&link("round_trip_seconds", *id, "ctl")));
        (lags("txns") == [0.0, 0.0] && lags("bytes") == [0.0, 0.0] && trips).then_some(now)
    };
    let now = ensemble.wait_for("followers that have everything", caught_up);
    for id in &followers {
        assert_eq!((now[&link("up", *id, "ctl")], now[&link("up", *id, "data")]), (1.0, 1.0));
        let sent = link("sent_bytes_total", *id, "data");
        assert!(now[&sent] >= before[&sent] + 10_000.0, "{sent}: {} then {}", before[&sent], now[&sent]);
        assert!(now[&link("received_bytes_total", *id, "ctl")] > 0.0);
        let trip = now[&link("round_trip_seconds", *id, "ctl")];
        assert!((0.0..5.0).contains(&trip), "{trip} s");
    }
    // One that is frozen falls behind, until it is dropped.
    ensemble.freeze(followers[0]);
    writes.set("/a", &[b'y'; 10_000], -1).unwrap();
    let lag = |what: &str| format!("paddock_learner_lag_{what}{{peer=\"{}\"}}", followers[0]);
    let now = page(&ensemble, leader);
    let lags = [now.get(&lag("txns")), now.get(&lag("bytes"))].map(|it| it.copied());
    let [txns, bytes] = lags.map(Option::unwrap_or_default); // it may be dropped by now
    assert!((txns == 1.0 && bytes >= 10_000.0) || (txns == 0.0 && bytes == 0.0), "{lags:?}");
    ensemble.wait_for("its end", |ensemble| {
        let now = page(ensemble, leader);
        (now[&link("up", followers[0], "ctl")] == 0.0 && !now.contains_key(&lag("txns"))).then_some(())
    });
    ensemble.thaw(followers[0]);
    ensemble.await_all_serving();
}

#[test]
fn ad7_one_that_is_left_alone_names_the_others_in_srvr_in_its_log_and_in_its_metrics() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    assert_eq!(page(&ensemble, 1)["paddock_no_leader_seconds"], 0.0);
    let left = ensemble.ids().into_iter().find(|id| *id != leader).unwrap();
    let gone: Vec<Id> = ensemble.ids().into_iter().filter(|id| *id != left).collect();
    gone.iter().for_each(|id| ensemble.kill(*id));
    ensemble.await_silence_of(left);
    let both_named = |ensemble: &mut Ensemble| {
        let answer = ensemble.srvr(left)?;
        let why = answer.strip_prefix("This ZooKeeper instance is not currently serving requests\n")?;
        let (_, missing) = why.split_once("not heard of: ")?;
        let named = gone.iter().all(|id| missing.contains(&format!("server {id} (not connected for ")));
        (named && missing.matches("last error: ").count() == 2).then(|| why.to_owned())
    };
    let why = ensemble.wait_for("both names", both_named);
    assert!(why.starts_with("no leader for ") && why.lines().count() == 1, "{why}");
    let [one, other] = [gone[0], gone[1]].map(|id| format!("server {id} (not connected for "));
    ensemble.await_line(left, &["no leader for ", "nobody is served", &one, &other, "last error: "]);
    let now = page(&ensemble, left);
    assert!(now["paddock_no_leader_seconds"] > 0.0);
    for id in &gone {
        assert!(now[&format!("paddock_voter_missing_seconds{{peer=\"{id}\"}}")] > 0.0);
        assert_eq!(now[&link("up", *id, "ctl")], 0.0);
        let error = format!("paddock_link_last_error{{peer=\"{id}\",lane=\"ctl\",error=\"");
        assert!(now.keys().any(|sample| sample.starts_with(&error)), "{now:?}");
    }
    ensemble.start_all();
    ensemble.await_all_serving();
    assert_eq!(page(&ensemble, left)["paddock_no_leader_seconds"], 0.0);
    // Two that follow the same leader may be served before they have found each other.
    ensemble.wait_for("the links to both", |ensemble| {
        let now = page(ensemble, left);
        let missing = |id: &Id| now[&format!("paddock_voter_missing_seconds{{peer=\"{id}\"}}")];
        gone.iter().all(|id| missing(id) == 0.0).then_some(())
    });
}
