//! Every name that only members of several have is moved by members that work, told by `mntr` and by `/metrics`
//! alike; and nothing else is served.

use std::collections::{BTreeMap, BTreeSet};

use paddock_actors::admin::metrics::{ENSEMBLE, METERS};
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathOnly;
use paddock_messages::znode::CreateMode;

use crate::operators::{mntr, text_of_metrics};
use crate::served::{Moved, OWN, names, samples, tests_of_others_exist, types};
use crate::world::{client, serving, those};

/// What is served beside ZooKeeper's names, of a member of several alone, and what it is to Prometheus.
const OWN_OF_MEMBERS: &[(&str, &str)] = &[
    ("paddock_feature_level", "gauge"),
    ("paddock_learner_lag_bytes", "gauge"),
    ("paddock_learner_lag_txns", "gauge"),
    ("paddock_link_last_error", "gauge"),
    ("paddock_link_queued_bytes", "gauge"),
    ("paddock_link_received_bytes_total", "counter"),
    ("paddock_link_round_trip_seconds", "gauge"),
    ("paddock_link_sent_bytes_total", "counter"),
    ("paddock_link_state_seconds", "gauge"),
    ("paddock_link_up", "gauge"),
    ("paddock_link_version", "gauge"),
    ("paddock_no_leader_seconds", "gauge"),
    ("paddock_possible_feature_level", "gauge"),
    ("paddock_voter_missing_seconds", "gauge"),
];

/// What was seen of all members, in `mntr` and in `/metrics`.
#[derive(Default)]
struct Seen {
    words: Moved,
    page: Moved,
}

impl Seen {
    fn look(&mut self, ensemble: &Ensemble) {
        ensemble.running().into_iter().for_each(|id| self.look_at(ensemble, id));
    }

    fn look_at(&mut self, ensemble: &Ensemble, id: Id) {
        let own =
            |name: &str| OWN_OF_MEMBERS.iter().find(|(its, _)| name.starts_with(its)).map(|(its, _)| *its);
        let mut words = BTreeMap::<String, f64>::new();
        for (name, value) in mntr(ensemble, id).into_iter().filter(|(name, _)| !name.contains("quantile=")) {
            if let (Some(name), Ok(value)) = (name.strip_prefix("zk_"), value.parse::<f64>()) {
                let whole = name.split('{').next().expect("a split has a first part");
                *words.entry(own(name).unwrap_or(whole).to_owned()).or_default() += value; // of all peers
            }
        }
        self.words.look(&words);
        self.look_at_page(ensemble, id);
    }

    fn look_at_page(&mut self, ensemble: &Ensemble, id: Id) {
        self.page.look(&samples(text_of_metrics(ensemble, id).lines(), ' '));
    }
}

fn write(client: &mut RawClient, times: usize, data: &[u8]) {
    (0..times).for_each(|_| client.queue_set("/a", data, -1));
    client.flush().unwrap();
    (0..times).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
}

#[test]
fn every_name_of_an_ensemble_is_moved_by_its_members() {
    // Members that do not answer are to be kept until they have been seen.
    let (_dir, mut ensemble) = serving(3, 1, "snapCount=20\npeerTimeout=20000\nsyncLimit=20");
    let mut seen = Seen::default();
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let mut through = client(&ensemble, followers[0]);
    through.create("/a", b"", CreateMode::Persistent).unwrap();
    write(&mut through, 1_200, b"some data"); // one in a thousand is timed
    let session = through.session().clone();
    through.hang_up();
    RawClient::reattach(ensemble.client_address(followers[1]), &session, 0).unwrap();

    // One that is empty, and is sent a snapshot: it lacks more of the log than is sent otherwise.
    ensemble.kill(followers[0]);
    ensemble.wipe(followers[0]);
    let mut at_leader = client(&ensemble, leader);
    write(&mut at_leader, 200, &[7; 64 << 10]);
    ensemble.wait_for("a voter that is missing", |ensemble| {
        seen.look_at(ensemble, leader);
        seen.words.rests(["paddock_voter_missing_seconds"].into_iter()).is_empty().then_some(())
    });
    ensemble.start(followers[0]);
    ensemble.await_all_serving();
    ensemble.await_line(followers[0], &["synchronisation: SNAP"]);
    ensemble.wait_for("heartbeats", |ensemble| {
        seen.look(ensemble);
        let trips = || ["paddock_link_round_trip_seconds"].into_iter();
        [&seen.words, &seen.page].iter().all(|seen| seen.rests(trips()).is_empty()).then_some(())
    });

    // What waits for members that do not answer.
    followers.iter().for_each(|id| ensemble.freeze(*id));
    at_leader.queue_set("/a", b"waits", -1);
    at_leader.queue(OpCode::Sync, &PathOnly { path: "/".into() });
    at_leader.flush().unwrap();
    let waiting = ["pending_syncs", "paddock_learner_lag_txns", "paddock_learner_lag_bytes"];
    ensemble.wait_for("what waits", |ensemble| {
        seen.look_at(ensemble, leader);
        [&seen.words, &seen.page].iter().all(|seen| seen.rests(waiting.into_iter()).is_empty()).then_some(())
    });
    followers.iter().for_each(|id| ensemble.thaw(*id));
    ensemble.await_all_serving();

    // One that is left alone.
    let alone = ensemble.voters()[0];
    let others = ensemble.voters().into_iter().filter(|id| *id != alone);
    others.for_each(|id| ensemble.kill(id));
    ensemble.await_silence_of(alone);
    ensemble.wait_for("the end of its links", |ensemble| {
        seen.look_at_page(ensemble, alone); // such a member does not answer `mntr`
        seen.page
            .rests(
                ["paddock_voter_missing_seconds", "paddock_link_last_error", "paddock_no_leader_seconds"]
                    .into_iter(),
            )
            .is_empty()
            .then_some(())
    });

    let of_ensemble = || names(true).chain(ENSEMBLE.iter().map(|entry| entry.name));
    let own = || OWN_OF_MEMBERS.iter().map(|(name, _)| *name);
    assert_eq!(
        seen.page.rests(of_ensemble().chain(own())),
        [""; 0],
        "/metrics serves names that nothing moved"
    );
    // For Prometheus alone: what takes words, and what a member that answers `mntr` has as 0.
    let not_in_words = ["paddock_link_state_seconds", "paddock_link_last_error", "paddock_no_leader_seconds"];
    let told = of_ensemble().chain(own().filter(|name| !not_in_words.contains(name)));
    assert_eq!(seen.words.rests(told), [""; 0], "mntr serves names that nothing moved");

    tests_of_others_exist();

    let page = text_of_metrics(&ensemble, alone);
    let told: BTreeSet<&str> = types(&page).into_keys().collect();
    let listed =
        METERS.iter().map(|entry| entry.name).chain(OWN.iter().chain(OWN_OF_MEMBERS).map(|(name, _)| *name));
    let one_that_looks = ENSEMBLE.iter().map(|entry| entry.name).filter(|name| *name == "quorum_size");
    assert_eq!(told, listed.chain(one_that_looks).collect());
    OWN_OF_MEMBERS.iter().for_each(|(name, kind)| assert_eq!(types(&page)[name], *kind, "{name}"));
}
