//! Monitoring agents' own ways to read the answers, re-told: what they find, and what makes them fail.

use std::collections::BTreeMap;

use super::tests::facts;
use super::*;
use crate::admin::metrics::{Gauges, Meters, Provider, mntr};

/// Datadog's `zk.py`: `Zookeeper version: ([^.]+)\.([^.]+)\.([^-]+)`, ignoring case.
fn datadog_version(line: &str) -> Option<[String; 3]> {
    let rest = line.strip_prefix("Zookeeper version: ")?;
    let mut parts = rest.splitn(3, '.');
    let (major, minor, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let revision = rest.split('-').next().filter(|revision| !revision.is_empty())?;
    Some([major, minor, revision].map(str::to_owned))
}

/// The rest of Datadog's `parse_stat`: each line by its place, value after the colon.
fn datadog_stat(text: &str) -> BTreeMap<&'static str, f64> {
    let mut lines = text.lines();
    assert_eq!(datadog_version(lines.next().unwrap()), Some(["3", "9", "6"].map(str::to_owned)));
    assert_eq!(lines.next(), Some("Clients:"));
    let connections = lines.by_ref().take_while(|line| !line.trim().is_empty()).count();
    let mut value = |key: &str| {
        let (found, value) = lines.next().unwrap().split_once(':').unwrap();
        assert_eq!(found, key);
        value.trim().to_owned()
    };
    let latency = value("Latency min/avg/max");
    let latency: Vec<f64> = latency.split('/').map(|part| part.parse().unwrap()).collect();
    let mut found = BTreeMap::from([("clients", connections as f64), ("avg", latency[1])]);
    for (key, name) in [("Received", "received"), ("Sent", "sent"), ("Connections", "connections")] {
        found.insert(name, value(key).parse().unwrap());
    }
    found.insert("outstanding", value("Outstanding").parse().unwrap());
    let zxid = value("Zxid");
    found.insert("zxid", i64::from_str_radix(zxid.strip_prefix("0x").unwrap(), 16).unwrap() as f64);
    assert_eq!(value("Mode"), "standalone");
    found.insert("nodes", value("Node count").parse().unwrap());
    found
}

#[test]
fn datadog_reads_stat() {
    let found = datadog_stat(&answer(Word::Stat, &facts()));
    let expected = [
        ("avg", 2.6),
        ("clients", 2.0),
        ("connections", 2.0),
        ("nodes", 7.0),
        ("outstanding", 0.0),
        ("received", 11.0),
        ("sent", 10.0),
        ("zxid", 3.0),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

fn monitor() -> String {
    let mut facts = facts();
    let meters = Meters::default();
    meters.quota_exceeded("/a b\nzk_forged\t1");
    facts.metrics = mntr(&meters, &Gauges::default(), Provider::Default);
    answer(Word::Mntr, &facts)
}

/// Telegraf's zookeeper input refuses the whole answer over one line that is not
/// `^zk_(\w[\w\.\-]*)\s+([\w\.\-]+)`.
#[test]
fn telegraf_takes_every_line_of_mntr() {
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let text = monitor();
    assert!(text.lines().count() > 50);
    for line in text.lines() {
        let (name, value) = line.strip_prefix("zk_").and_then(|rest| rest.split_once('\t')).expect(line);
        assert!(name.chars().all(word) && !name.starts_with(['.', '-']), "{line}");
        assert!(value.starts_with(word), "{line}");
    }
}

/// Prometheus' zookeeper exporters and collectd's plugin split at the tab and take the rest for a
/// number, but for version and state.
#[test]
fn exporters_find_numbers_in_mntr() {
    for line in monitor().lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, value] = fields[..] else { panic!("{line}: not two fields") };
        match name {
            "zk_version" => assert!(value.starts_with("3.9.6-")),
            "zk_server_state" => assert_eq!(value, "standalone"),
            _ => assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}"),
        }
    }
}

/// `zkServer.sh status` and most health checks.
#[test]
fn health_checks_grep() {
    let text = answer(Word::Srvr, &facts());
    for wanted in ["Mode: standalone", "Zxid: 0x3", "Node count: 7"] {
        assert!(text.lines().any(|line| line == wanted), "{wanted} in {text}");
    }
}
