//! One sight of three voters and an observer, told in each way.

use std::ops::RangeInclusive;

use paddock_config::Members;
use paddock_messages::zxid::{Epoch, Zxid};

use super::*;
use crate::admin::status::{QuorumStatus, Status};
use crate::quorum_peer::Search;

/// Server 1 at 100 s: 2 is connected, 3 is not, 4 observes.
fn sight(told: Told) -> Sight {
    let up = |since_ms| LinkStatus {
        state: LinkState::Up,
        address: Some("10.0.0.2:3888".parse().unwrap()),
        since_ms,
        bytes_sent: 10,
        bytes_received: 20,
        queued_bytes: 30,
        ..LinkStatus::default()
    };
    let gone = LinkStatus {
        state: LinkState::Dialling,
        address: Some("10.0.0.3:3888".parse().unwrap()),
        since_ms: 93_500,
        last_error: Some("it said \"no\"\nand closed".into()),
        ..LinkStatus::default()
    };
    Sight {
        now_ms: 100_000,
        me: ServerId(1),
        is_fenced: false,
        is_disk_full: false,
        voters: [1, 2, 3].map(ServerId).into(),
        observers: [ServerId(4)].into(),
        servers: servers(1..=3, "10.0.0"),
        office: Office { told, since_ms: 88_000, aim: Aim::Search, search: None },
        waits: None,
        links: BTreeMap::from([
            (ServerId(2), [LinkStatus { round_trip_us: Some(1_500), ..up(1_000) }, LinkStatus::default()]),
            (ServerId(3), [gone, LinkStatus::default()]),
            (ServerId(4), [up(2_000), up(3_000)]),
        ]),
        serves_reads: false,
        reign: None,
        epoch: None,
        behind: BTreeMap::new(),
        pending_syncs: 0,
        level: 0,
        spoken: 4,
    }
}

/// Of whom is away nothing is known; the older of two decides.
#[test]
fn fl4_the_level_that_is_possible_is_what_all_read_that_are_there_and_the_present_one_while_one_is_not() {
    let mut sight = sight(Told::Leading);
    let tells = |sight: &Sight, possible: u8| {
        let told = format!(
            "zk_paddock_feature_level\t{}\nzk_paddock_possible_feature_level\t{possible}\n",
            sight.level
        );
        assert!(sight.mntr().contains(&told), "{told} in\n{}", sight.mntr());
    };
    for (of_2, of_4) in [(4, 4), (3, 4)] {
        for (id, spoken) in [(2, of_2), (4, of_4)] {
            sight.links.get_mut(&ServerId(id)).unwrap()[0].speaking = Some(spoken);
        }
        tells(&sight, 0); // 3 is away
    }
    sight.links.get_mut(&ServerId(3)).unwrap()[0] = sight.links[&ServerId(2)][0].clone();
    tells(&sight, 0); // they are there, and two of them are older
    for id in [2, 3] {
        sight.links.get_mut(&ServerId(id)).unwrap()[0].speaking = Some(4);
    }
    tells(&sight, 1);
    sight.spoken = 3;
    tells(&sight, 0); // so are we
    (sight.spoken, sight.level) = (4, 1);
    tells(&sight, 1);
    sight.links.get_mut(&ServerId(3)).unwrap()[0].state = LinkState::Dialling;
    tells(&sight, 1); // whoever is away cannot come back older
}

fn looking(aim: Aim, unheard: &[u64], reasons: &[&str]) -> Sight {
    let waits = Waits {
        unheard: unheard.iter().copied().map(ServerId).collect(),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    };
    let before = sight(Told::Looking);
    Sight { office: Office { aim, ..before.office }, waits: Some(waits), ..before }
}

const THREE: &str = "not heard of: server 3 (not connected for 6 s, last at 10.0.0.3:3888, last error: it said \"no\" and closed)";

#[test]
fn ad7_a_member_that_serves_reads_alone_says_so_and_only_while_it_looks() {
    let mut it = looking(Aim::Search, &[3], &[]);
    assert!(!it.serves_reads_only());
    it.serves_reads = true;
    let line = it.outlook().unwrap();
    assert!(
        line.starts_with("no leader for 12 s, so only those are served that only read; waiting for: "),
        "{line}"
    );
    assert!(it.serves_reads_only());
    it.office.told = Told::Following;
    assert!(!it.serves_reads_only());
}

#[test]
fn ad7_the_line_says_for_how_long_who_is_missing_since_when_and_why() {
    let start = "no leader for 12 s, so nobody is served; waiting for: ";
    for (sight, waits) in [
        (looking(Aim::Search, &[3], &[]), THREE.to_owned()),
        (looking(Aim::Search, &[], &[]), THREE.to_owned()), // its vote is remembered, its link is gone
        (
            looking(Aim::Search, &[2, 3], &["server 4 is odd"]),
            format!(
                "not heard of: server 2 (connected), {}; server 4 is odd",
                &THREE["not heard of: ".len()..]
            ),
        ),
        (
            looking(Aim::Lead, &[], &[]),
            format!("enough voters to follow this server, which was elected; {THREE}"),
        ),
        (
            looking(Aim::Follow(ServerId(2)), &[], &[]),
            format!(
                "server 2, which was elected, to bring this server up to date; its data port (not connected for \
                 100 s); {THREE}"
            ),
        ),
    ] {
        assert_eq!(sight.outlook(), Some(format!("{start}{waits}")));
    }
    let mut all_there = looking(Aim::Search, &[], &[]);
    all_there.links.remove(&ServerId(3));
    assert_eq!(all_there.outlook(), Some(format!("{start}the others' votes")));
    for told in [Told::Leading, Told::Following, Told::Observing] {
        assert_eq!(sight(told).outlook(), None, "{told:?}");
    }
}

#[test]
fn ad7_the_metrics_name_the_same_voters_as_the_line() {
    let page = sight(Told::Looking).prometheus();
    for line in [
        "paddock_no_leader_seconds 12\n",
        "paddock_voter_missing_seconds{peer=\"2\"} 0\n",
        "paddock_voter_missing_seconds{peer=\"3\"} 6.5\n",
        "paddock_link_last_error{peer=\"3\",lane=\"ctl\",error=\"it said \\\"no\\\"\\nand closed\"} 1\n",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
    assert!(!page.contains("paddock_voter_missing_seconds{peer=\"4\"}"), "an observer is no voter: {page}");
    let page = sight(Told::Following).prometheus();
    assert!(page.contains("paddock_no_leader_seconds 0\n"), "{page}");
}

#[test]
fn each_link_and_each_learner_has_its_samples() {
    let mut sight = sight(Told::Leading);
    sight.behind.insert(ServerId(2), Behind { txns: 7, bytes: 700 });
    let (page, words) = (sight.prometheus(), sight.mntr());
    for (in_page, in_words) in [
        ("link_up{peer=\"2\",lane=\"ctl\"} 1", "link_up_2_ctl\t1"),
        ("link_up{peer=\"3\",lane=\"ctl\"} 0", "link_up_3_ctl\t0"),
        ("link_sent_bytes_total{peer=\"4\",lane=\"data\"} 10", "link_sent_bytes_total_4_data\t10"),
        ("link_received_bytes_total{peer=\"4\",lane=\"data\"} 20", "link_received_bytes_total_4_data\t20"),
        ("link_queued_bytes{peer=\"4\",lane=\"data\"} 30", "link_queued_bytes_4_data\t30"),
        ("link_round_trip_seconds{peer=\"2\",lane=\"ctl\"} 0.0015", "link_round_trip_seconds_2_ctl\t0.0015"),
        ("learner_lag_txns{peer=\"2\"} 7", "learner_lag_txns_2\t7"),
        ("learner_lag_bytes{peer=\"2\"} 700", "learner_lag_bytes_2\t700"),
    ] {
        assert!(page.lines().any(|line| line == format!("paddock_{in_page}")), "{in_page} in\n{page}");
        assert!(words.lines().any(|line| line == format!("zk_paddock_{in_words}")), "{in_words} in\n{words}");
    }
    let state =
        "link_state_seconds{peer=\"3\",lane=\"ctl\",state=\"dialling\",address=\"10.0.0.3:3888\"} 6.5\n";
    assert!(page.contains(state), "{page}");
    let not_wanted = "link_up{peer=\"2\",lane=\"data\"}";
    assert!(!page.contains(not_wanted), "no data lane is wanted with server 2: {page}");
    let words = words.lines().map(|line| line.split_once('\t').unwrap());
    assert!(words.into_iter().all(|(_, value)| value.parse::<f64>().is_ok()), "agents read numbers");
}

#[test]
fn a_leader_counts_its_learners_by_what_they_are() {
    let mut it = sight(Told::Leading);
    let all = |ids: &[u64]| ids.iter().copied().map(ServerId).collect::<BTreeSet<_>>();
    it.reign = Some(Reign {
        established: Some(Epoch(3)),
        connected: all(&[2, 3, 4, 9]),
        synchronised: all(&[2, 4, 9]), // 9 is in nobody's file
        ..Reign::default()
    });
    it.pending_syncs = 5;
    let sizes = Sizes { last: 1, min: 1, max: 1 };
    let leading = LeaderGauges {
        learners: 4,
        synced_followers: 2,
        synced_non_voting_followers: 1,
        synced_observers: 1,
        pending_syncs: 5,
        uptime_ms: 12_000,
        sizes,
    };
    let expected = EnsembleGauges { quorum_size: 3, is_follower: false, leading: Some(leading) };
    assert_eq!(it.gauges(sizes), expected);
    let follower = EnsembleGauges { quorum_size: 3, is_follower: true, leading: None };
    assert_eq!(sight(Told::Following).gauges(sizes), follower);
}

#[test]
fn an_observer_names_whom_it_learns_from_and_each_role_its_state() {
    let mut it = sight(Told::Observing);
    it.office.aim = Aim::Follow(ServerId(2));
    assert_eq!((it.observer_master(), it.peer_state()), (Some(ServerId(2)), "observing - broadcast"));
    it.office.told = Told::Following;
    assert_eq!((it.observer_master(), it.peer_state()), (None, "following - broadcast"));
}

#[test]
fn dg4_a_member_whose_tree_differs_says_that_and_not_that_it_waits_for_voters() {
    let sight = Sight { is_fenced: true, ..looking(Aim::Follow(ServerId(2)), &[3], &[]) };
    let outlook = sight.outlook().unwrap();
    assert!(outlook.contains("not the one that a quorum has, so nobody is served here"), "{outlook}");
    assert!(!outlook.contains("server 3"), "{outlook}");
}

#[test]
fn l8_a_member_whose_disk_is_full_says_that_first() {
    let sight = Sight { is_disk_full: true, ..looking(Aim::Search, &[3], &[]) };
    let outlook = sight.outlook().unwrap();
    assert!(outlook.contains("waiting for: room on this server's disk: until then"), "{outlook}");
}

/// Each at this network's address of its number.
fn servers(ids: RangeInclusive<u64>, network: &str) -> BTreeMap<ServerId, Server> {
    let line = |id| format!("server.{id}={network}.{id}:2888:3888;2181\n");
    Members::read(&ids.map(line).collect::<String>()).unwrap().servers
}

/// Each member's role, and what it lacks.
fn members(status: &Status) -> Vec<(u64, Option<&str>, Option<u64>)> {
    status.members.iter().map(|it| (it.server, it.role.as_deref(), it.lag.map(|lag| lag.txns))).collect()
}

#[test]
fn a_leader_s_status_tells_each_role_and_lag_and_who_is_in_sync() {
    let mut it = sight(Told::Leading);
    let all = |ids: &[u64]| ids.iter().copied().map(ServerId).collect::<BTreeSet<_>>();
    it.reign = Some(Reign {
        connected: all(&[2, 4]),
        synchronised: all(&[2, 4]),
        serving: all(&[2]),
        ..Reign::default()
    });
    it.epoch = Some(Epoch(3));
    it.behind.insert(ServerId(2), Behind { txns: 7, bytes: 700 });
    it.office.search = Some(Search { why: "it was time", began_ms: 87_000, took_ms: Some(25) });
    it.level = 1;
    let status = it.status(Zxid(0x3_0000_0007), &servers(2..=4, "10.9.9"));
    assert_eq!(
        members(&status),
        [
            (1, Some("leader"), None),
            (2, Some("follower"), Some(7)),
            (3, Some("away"), None),
            (4, Some("synchronising"), None),
        ]
    );
    assert_eq!((status.leader, status.epoch, status.zxid.as_str()), (Some(1), Some(3), "0x300000007"));
    assert_eq!(status.feature_level, Some(1));
    let quorum = QuorumStatus { voters: vec![1, 2, 3], synchronised: Some(vec![1, 2]) };
    assert_eq!(status.quorum, Some(quorum));
    let election = status.election.unwrap();
    assert_eq!((election.began_seconds_ago, election.took_ms), (13, Some(25)));
    assert_eq!(
        status.members[2].ctl.as_ref().unwrap().last_error.as_deref(),
        Some("it said \"no\"\nand closed")
    );
    // The configuration in force knows better than the file, which names one that it does not.
    let addresses: Vec<&str> = status.members.iter().map(|it| it.address.as_str()).collect();
    let expected = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.4"].map(|at| format!("{at}:2888:3888"));
    assert_eq!(addresses, expected);
    assert!(!status.members[3].is_voter);
}

#[test]
fn a_follower_s_status_names_its_leader_and_guesses_nothing_of_the_others() {
    let mut it = sight(Told::Following);
    it.office.aim = Aim::Follow(ServerId(2));
    let status = it.status(Zxid(7), &BTreeMap::new());
    let known = [(1, Some("follower"), None), (2, Some("leader"), None), (3, None, None), (4, None, None)];
    assert_eq!(members(&status), known);
    assert_eq!((status.leader, status.quorum.unwrap().synchronised), (Some(2), None));
    let status = looking(Aim::Follow(ServerId(2)), &[], &[]).status(Zxid(7), &BTreeMap::new());
    assert_eq!((status.leader, status.mode.as_str(), status.is_serving), (None, "looking", false));
    assert!(
        status.outlook.is_some() && status.members.iter().all(|it| it.role.is_none() == (it.server != 1))
    );
}
