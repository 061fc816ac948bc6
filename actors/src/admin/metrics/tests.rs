//! The table is complete and honest, each hook moves what it says, and both renderings are as expected.

mod moves;
mod zookeepers_names;

use std::collections::BTreeSet;

use zookeepers_names::ZOOKEEPERS_NAMES;

use super::*;
use crate::admin::four_letter::Sizes;

fn served() -> BTreeSet<&'static str> {
    METERS.iter().map(|entry| entry.name).collect()
}

#[test]
fn ad2_every_name_stands_in_the_table_once() {
    let mut listed: Vec<&str> = METERS.iter().map(|entry| entry.name).collect();
    listed.extend(ENSEMBLE.iter().map(|entry| entry.name));
    listed.extend(NOT_APPLICABLE.iter().flat_map(|(_, names)| *names));
    let once: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "a name stands twice");
    let expected: BTreeSet<&str> = ZOOKEEPERS_NAMES.split_whitespace().collect();
    let missing: Vec<_> = expected.difference(&once).collect();
    let unknown: Vec<_> = once.difference(&expected).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, not ZooKeeper's {unknown:?}");
    assert!(NOT_APPLICABLE.iter().all(|(reason, _)| reason.len() > 15), "a reason is a sentence");
}

/// A name that is not applicable is absent, not 0.
#[test]
fn ad2_what_is_not_applicable_is_not_served() {
    let (meters, gauges) = (Meters::default(), Gauges::default());
    let texts = [
        mntr(&meters, &gauges, Provider::Default),
        mntr(&meters, &gauges, Provider::Prometheus),
        prometheus(&meters, &gauges),
    ];
    for name in NOT_APPLICABLE.iter().flat_map(|(_, names)| *names) {
        for text in &texts {
            let tells = |line: &str| {
                let word = line.split(['\t', ' ', '{']).next().unwrap_or("");
                word.trim_start_matches("zk_") == *name || word.ends_with(&format!("_{name}"))
            };
            // `…_latency` of one name may end like another's; such names are served themselves
            let told =
                text.lines().find(|line| tells(line) && !served().iter().any(|its| line.contains(its)));
            assert_eq!(told, None, "{name}");
        }
    }
}

/// With [`moves`], whose every test moves exactly the names that the table says it does.
#[test]
fn ad3_every_served_name_is_moved_by_a_test_that_exists() {
    let source = include_str!("tests/moves.rs");
    for Entry { name, moved_by, .. } in METERS {
        let exists = source.contains(&format!("#[test]\nfn {moved_by}("));
        assert!(exists, "{name}: no test {moved_by} in tests/moves.rs");
    }
}

fn some() -> (Meters, Gauges) {
    let (meters, mut gauges) = (Meters::default(), Gauges { uptime_ms: 592, ..Gauges::default() });
    let mut tally = ClientTally::default();
    tally.packets_received = 3;
    tally.read_answered(500);
    tally.read_answered(2_300);
    tally.read_from("/app", 28);
    meters.absorb(&mut tally);
    meters.quota_exceeded("/app/x");
    gauges.quotas.insert("app".into(), QuotaGauges { count_limit: Some(9), ..QuotaGauges::default() });
    (meters, gauges)
}

#[test]
fn ad1_mntr_has_the_shapes_of_each_kind() {
    let (meters, gauges) = some();
    let text = mntr(&meters, &gauges, Provider::Default);
    let lines: BTreeSet<&str> = text.lines().collect();
    for line in [
        "zk_uptime\t592",
        "zk_avg_latency\t1.4",
        "zk_max_latency\t3",
        "zk_packets_received\t3",
        "zk_min_client_response_size\t-1",
        "zk_app_quota_count_limit_per_namespace\t9",
        "zk_app_quota_exceeded_error_per_namespace\t1",
        "zk_avg_readlatency\t1.4",
        "zk_min_readlatency\t0",
        "zk_max_readlatency\t3",
        "zk_cnt_readlatency\t2",
        "zk_sum_readlatency\t3",
        "zk_p50_readlatency\t1",
        "zk_p999_readlatency\t2",
        "zk_avg_fsynctime\t0.0",
        "zk_cnt_fsynctime\t0",
        "zk_cnt_app_read_per_namespace\t1",
        "zk_sum_app_read_per_namespace\t100",
    ] {
        assert!(lines.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("p50_fsynctime") && !text.contains("bytes_limit"), "{text}");
    assert_eq!(mntr(&meters, &gauges, Provider::None), "");
    let text = mntr(&meters, &gauges, Provider::Prometheus);
    assert!(text.contains("zk_readlatency{quantile=\"0.5\"}\t0.512\n"), "{text}");
}

#[test]
fn ad1_prometheus_has_the_shapes_of_each_kind() {
    let (meters, gauges) = some();
    let text = prometheus(&meters, &gauges);
    for part in [
        "# HELP uptime uptime in ms\n# TYPE uptime gauge\nuptime 592.0\n",
        "# TYPE quota_count_limit_per_namespace gauge\nquota_count_limit_per_namespace{key=\"app\"} 9.0\n",
        "# TYPE watch_bytes counter\nwatch_bytes 0.0\n",
        "quota_exceeded_error_per_namespace{key=\"app\"} 1.0\n",
        "# TYPE readlatency summary\nreadlatency{quantile=\"0.5\"} 0.512\nreadlatency{quantile=\"0.9\"} 2.3\n\
         readlatency{quantile=\"0.99\"} 2.3\nreadlatency_count 2.0\nreadlatency_sum 2.8\n",
        "fsynctime{quantile=\"0.5\"} NaN\nfsynctime_count 0.0\nfsynctime_sum 0.0\n",
        "read_per_namespace{key=\"app\",quantile=\"0.5\"} 100.0\nread_per_namespace_count{key=\"app\"} 1.0\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn ad5_what_clients_write_stays_in_its_place() {
    let meters = Meters::default();
    meters.quota_exceeded("/a\"b\nzk_forged\t1\\");
    let text = mntr(&meters, &Gauges::default(), Provider::Default);
    assert!(text.contains("zk_a_b_zk_forged_1__quota_exceeded_error_per_namespace\t1\n"), "{text}");
    let text = prometheus(&meters, &Gauges::default());
    assert!(text.contains("{key=\"a\\\"b\\nzk_forged\t1\\\\\"} 1.0\n"), "{text}");
    for text in [text, mntr(&meters, &Gauges::default(), Provider::Prometheus)] {
        assert!(!text.lines().any(|line| line.starts_with("zk_forged")), "{text}");
    }
}

#[test]
fn srst_forgets_what_zookeeper_forgets() {
    let nothing = mntr(&Meters::default(), &some().1, Provider::Default);
    for (provider, is_all) in [(Provider::Default, true), (Provider::Prometheus, false)] {
        let (meters, gauges) = some();
        meters.proposal_sizes.note(Sizes { last: 1, min: 1, max: 1 });
        meters.reset(provider);
        let text = mntr(&meters, &gauges, Provider::Default);
        for line in ["zk_avg_latency\t0.0", "zk_packets_received\t0", "zk_uptime\t592"] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(meters.proposal_sizes.read(), Sizes::default(), "{provider:?}");
        assert_eq!(text.contains("zk_cnt_readlatency\t0"), is_all, "{text}");
        assert!(!is_all || nothing.lines().all(|line| text.contains(line)), "{text}");
    }
}

#[test]
fn mailboxes_tell_depth_counts_and_times() {
    let mut reading = paddock_messages::mail::MeterReading {
        depth: 2,
        posted: 5,
        handled: 3,
        refused_full: 6,
        refused_gone: 7,
        limit: 64,
        ..Default::default()
    };
    reading.wait.buckets[0] = 1;
    reading.wait.buckets[3] = 2; // 4 µs up to 8 µs
    reading.wait.sum_us = 11;
    let text = mailboxes(&BTreeMap::from([(("learner".into(), "Commit"), reading)]));
    let labels = "actor=\"learner\",message=\"Commit\"";
    for line in [
        format!("# TYPE paddock_mailbox_depth gauge\npaddock_mailbox_depth{{{labels}}} 2\n"),
        format!("paddock_mailbox_limit{{{labels}}} 64\n"),
        format!("paddock_mailbox_posted_total{{{labels}}} 5\n"),
        format!("paddock_mailbox_refused_full_total{{{labels}}} 6\n"),
        format!("paddock_mailbox_refused_gone_total{{{labels}}} 7\n"),
        format!(
            "# TYPE paddock_mailbox_wait_seconds histogram\npaddock_mailbox_wait_seconds_bucket{{{labels},le=\"0.000001\"}} 1\n"
        ),
        format!("paddock_mailbox_wait_seconds_bucket{{{labels},le=\"0.000004\"}} 1\n"),
        format!("paddock_mailbox_wait_seconds_bucket{{{labels},le=\"0.000008\"}} 3\n"),
        format!("paddock_mailbox_wait_seconds_bucket{{{labels},le=\"+Inf\"}} 3\n"),
        format!("paddock_mailbox_wait_seconds_sum{{{labels}}} 0.000011\n"),
        format!("paddock_mailbox_wait_seconds_count{{{labels}}} 3\n"),
        format!("paddock_mailbox_handle_seconds_count{{{labels}}} 0\n"),
    ] {
        assert!(text.contains(&line), "{line} in\n{text}");
    }
}
