//! One test per kind of work: it moves the names that the table says it does, and no others (AD3).

use std::collections::BTreeSet;

use paddock_messages::ids::ServerId;

use super::super::*;

/// The names whose lines differ after `work`, in both renderings.
fn moved(work: impl FnOnce(&Meters, &mut Gauges)) -> BTreeSet<&'static str> {
    let (meters, mut gauges) = (Meters::default(), Gauges::default());
    let texts = |meters: &Meters, gauges: &Gauges| {
        [mntr(meters, gauges, Provider::Prometheus), mntr(meters, gauges, Provider::Default)]
    };
    let before = texts(&meters, &gauges);
    work(&meters, &mut gauges);
    let after = texts(&meters, &gauges);
    let [in_prometheus, in_mntr] = [0, 1].map(|i| {
        let old: BTreeSet<&str> = before[i].lines().collect();
        after[i].lines().filter(|line| !old.contains(line)).filter_map(name_of).collect::<BTreeSet<_>>()
    });
    assert_eq!(in_prometheus, in_mntr, "both renderings move");
    in_mntr
}

/// The table's name that a line tells: the longest that fits, as `x` is the end of `avg_x`.
fn name_of(line: &str) -> Option<&'static str> {
    let word = line.strip_prefix("zk_")?.split(['\t', '{']).next()?;
    let fits = |name: &&str| {
        let stem = word.strip_suffix("_count").or(word.strip_suffix("_sum")).unwrap_or(word);
        [word, stem].iter().any(|word| word == name || word.ends_with(&format!("_{name}")))
    };
    METERS.iter().map(|entry| entry.name).filter(fits).max_by_key(|name| name.len())
}

fn check(test: &str, work: impl FnOnce(&Meters, &mut Gauges)) {
    let expected: BTreeSet<&str> =
        METERS.iter().filter(|entry| entry.moved_by == test).map(|entry| entry.name).collect();
    assert!(!expected.is_empty(), "{test} is in the table");
    assert_eq!(moved(work), expected);
}

#[test]
fn gauges_move() {
    check("gauges_move", |_, gauges| {
        *gauges = Gauges {
            uptime_ms: 1,
            connections: 2,
            outstanding: 3,
            connection_drop_chance: 0.25,
            data_size: 4,
            znodes: 5,
            watches: 6,
            ephemerals: 7,
            sessions: 8,
            local_sessions: 11,
            process: ProcessFacts { open_fds: 9, max_fds: 10, ..ProcessFacts::default() },
            quotas: BTreeMap::new(),
        };
    });
}

#[test]
fn packets_move_their_meters() {
    check("packets_move_their_meters", |meters, _| {
        let mut tally = ClientTally::default();
        tally.packets_received = 1;
        tally.bytes_received = 45;
        tally.packets_sent = 2;
        tally.large_requests_rejected = 1;
        tally.responded(41);
        tally.notified(60);
        meters.absorb(&mut tally);
    });
}

#[test]
fn the_throttler_moves_its_meters() {
    check("the_throttler_moves_its_meters", |meters, _| {
        let mut tally = ClientTally::default();
        tally.throttle_waits = 1;
        tally.throttled_ops = 2;
        tally.stale_dropped = 3;
        tally.held(4_000);
        meters.absorb(&mut tally);
    });
}

#[test]
fn answers_move_their_meters() {
    check("answers_move_their_meters", |meters, _| {
        let mut tally = ClientTally::default();
        tally.read_answered(3_000);
        tally.write_answered(5_000);
        tally.read_from("/app/x", 100);
        meters.absorb(&mut tally);
    });
}

#[test]
fn connections_move_their_meters() {
    check("connections_move_their_meters", |meters, _| {
        let mut tally = ClientTally::default();
        tally.connection_requests = 1;
        tally.connections_rejected = 1;
        tally.connections_dropped = 1;
        tally.connections_revalidated = 1;
        tally.sessionless_expired = 1;
        tally.stale_replies = 1;
        tally.throttled(4);
        tally.auth_failed = 1;
        tally.ensemble_named(true);
        tally.ensemble_named(false);
        tally.ensemble_auth_fail = 1;
        tally.refused(Reason::NotServing);
        meters.absorb(&mut tally);
        meters.sessions_expired(2);
    });
}

#[test]
fn watches_move_their_meters() {
    check("watches_move_their_meters", |meters, _| {
        let mut tally = ClientTally::default();
        tally.node_created(1);
        tally.node_deleted(2);
        tally.node_changed(3);
        tally.children_changed(4);
        meters.absorb(&mut tally);
        assert_eq!(
            [1, 2, 3, 4],
            [
                meters.node_created_watches.read().sum(),
                meters.node_deleted_watches.read().sum(),
                meters.node_changed_watches.read().sum(),
                meters.node_children_watches.read().sum(),
            ]
        );
    });
}

#[test]
fn the_proposer_moves_its_meters() {
    check("the_proposer_moves_its_meters", |meters, _| {
        meters.prepared(&Prepared {
            requests: 4,
            waited_us: 2_000,
            checked_in_us: 3_000,
            posted_in_us: 1_000,
            proposed: 3,
            closes: 1,
        });
        meters.committed(3);
        meters.settled(2);
        assert_eq!((meters.prep_queue_time.read().count(), meters.prep_queue_time.read().sum()), (4, 8_000));
    });
}

#[test]
fn the_learner_moves_its_meters() {
    check("the_learner_moves_its_meters", |meters, _| {
        meters.applied(&Applied { commits: 2, waited_us: 4_000, took_us: 6_000 });
        let mut ages = Ages::default();
        ages.add(1_000, 1_007);
        meters.propagated(ages);
        assert_eq!(meters.propagation_latency.read().sum(), 7_000);
        let mut writes = KeyedTally::default();
        writes.add("/app/x", 106);
        writes.add("/", 1); // of no namespace
        meters.written(&mut writes);
        assert_eq!(meters.write_final_proc_time.read().sum(), 6_000, "the batch's time, shared");
    });
}

#[test]
fn the_disk_moves_its_meters() {
    check("the_disk_moves_its_meters", |meters, _| {
        meters.synced(&Synced { txns: 3, took_us: 9_000 });
        meters.made_durable(3, 11_000);
        meters.log_queue(2);
        meters.snapshot_taken(9_000);
        meters.snapshot_failed();
        meters.recovered(&Recovered { snapshot_us: 5_000, log_us: 4_000, txns: 12 });
        assert_eq!(meters.sync_batch_size.read().sum(), 3);
        let waited = meters.sync_queue_and_flush_time.read();
        assert_eq!((waited.count(), waited.sum(), meters.sync_queue_size.read().sum()), (3, 33_000, 2));
        assert_eq!(meters.db_init_time.read().sum(), 9_000);
    });
}

#[test]
fn quotas_move_their_meters() {
    check("quotas_move_their_meters", |meters, gauges| {
        let quota =
            QuotaGauges { count_limit: Some(1), bytes_limit: Some(2), count_usage: 3, bytes_usage: 4 };
        gauges.quotas.insert("app".into(), quota);
        meters.quota_exceeded("/app/x");
    });
}

#[test]
fn members_that_differ_move_their_meter() {
    check("members_that_differ_move_their_meter", |meters, _| meters.trees_differ());
}

#[test]
fn members_move_their_meters() {
    check("members_move_their_meters", |meters, _| {
        meters.looks();
        meters.elected(3_000);
        meters.serves(5_000, false);
        meters.serves(7_000, true);
        let [all, led] =
            [&meters.unavailable_time, &meters.leader_unavailable_time].map(|of| of.read().sum());
        assert_eq!((all, led), (12_000, 7_000));
    });
}

#[test]
fn leaders_move_their_meters() {
    check("leaders_move_their_meters", |meters, _| {
        meters.sync_began(SyncKind::Diff, 1);
        meters.sync_began(SyncKind::Snap, 2);
        meters.sync_ended(SyncKind::Snap, 1);
        meters.quorum_acked(4, 1_000);
        meters.member_acked(ServerId(2), 3_000);
        meters.revalidated(1);
        assert_eq!((meters.diffs.get(), meters.snaps.get()), (1, 1), "an end is no sync");
    });
}

#[test]
fn learners_move_their_meters() {
    check("learners_move_their_meters", |meters, _| {
        meters.synchronised(3_000, true);
        meters.synchronised(4_000, false);
        meters.forwarded(5);
        let mut ages = Ages::default();
        [1_000, 1_010, 2_000].iter().for_each(|time_ms| ages.add(*time_ms, 1_030)); // the last is from the future
        meters.proposals_came(ages);
        meters.commit_came(3, 2_000);
        meters.ack_made(3, 1_000);
        let came = meters.proposal_latency.read();
        assert_eq!((came.count(), came.sum()), (3, 3 * 16_666), "30 and 20 ms, and none");
    });
}
