//! ZooKeeper's names for what only a member of several has. A server alone has none of them; of the others, a
//! name is absent where ZooKeeper does not have it in that role.
//!
//! Source: QuorumZooKeeperServer.java, LeaderZooKeeperServer.java, FollowerZooKeeperServer.java (registerMetrics).

use super::{Provider, Unit};
use crate::admin::four_letter::Sizes;
use crate::admin::line;

/// Looked up when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnsembleGauges {
    /// Configured voters.
    pub quorum_size: u64,
    /// It follows, with a vote.
    pub is_follower: bool,
    /// On a leader.
    pub leading: Option<LeaderGauges>,
}

/// What a leader has beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderGauges {
    /// Members that are connected to follow it.
    pub learners: u64,
    /// Those that have all it had at its beginning, and are no observers.
    pub synced_followers: u64,
    /// Those of them that do not vote.
    pub synced_non_voting_followers: u64,
    /// Observers that have all it had at its beginning.
    pub synced_observers: u64,
    /// Syncs that wait for a quorum.
    pub pending_syncs: u64,
    /// Since it leads, in ms.
    pub uptime_ms: u64,
    /// Of proposals, in bytes: what each takes at most.
    pub sizes: Sizes,
}

/// A name, and where its value comes from.
#[derive(Clone, Copy, Debug)]
pub struct EnsembleEntry {
    /// ZooKeeper's name for it.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// The test that moves it, in real members (AD3).
    pub moved_by: &'static str,
    of: fn(&EnsembleGauges) -> Option<i64>,
}

type Of = fn(&EnsembleGauges) -> Option<i64>;

const fn entry(name: &'static str, unit: Unit, of: Of) -> EnsembleEntry {
    EnsembleEntry { name, unit, moved_by: "every_name_of_an_ensemble_is_moved_by_its_members", of }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

use Unit::{Bytes, Items, Milliseconds};

/// All of them, in the order in which they are told.
#[rustfmt::skip] // a table
pub const ENSEMBLE: &[EnsembleEntry] = &[
    entry("quorum_size", Items, |g| Some(int(g.quorum_size))),
    entry("learners", Items, |g| Some(int(g.leading?.learners))),
    entry("synced_followers", Items, |g| Some(int(g.leading?.synced_followers))),
    EnsembleEntry {
        moved_by: "ad3_each_name_is_moved_by_its_own_fact", // every member is configured as a voter or an observer
        ..entry("synced_non_voting_followers", Items, |g| Some(int(g.leading?.synced_non_voting_followers)))
    },
    // A follower tells of its own: none, as observers attach to the leader.
    entry("synced_observers", Items, |g| g.leading.map(|it| int(it.synced_observers)).or(g.is_follower.then_some(0))),
    entry("pending_syncs", Items, |g| Some(int(g.leading?.pending_syncs))),
    entry("leader_uptime", Milliseconds, |g| Some(int(g.leading?.uptime_ms))),
    entry("last_proposal_size", Bytes, |g| Some(g.leading?.sizes.last)),
    entry("min_proposal_size", Bytes, |g| Some(g.leading?.sizes.min)),
    entry("max_proposal_size", Bytes, |g| Some(g.leading?.sizes.max)),
];

/// Their lines in `mntr`.
pub fn mntr_ensemble(gauges: &EnsembleGauges, provider: Provider) -> String {
    let mut text = String::new();
    for (EnsembleEntry { name, .. }, value) in told(gauges) {
        match provider {
            Provider::None => {}
            Provider::Default => line!(&mut text, "zk_{name}\t{value}"),
            Provider::Prometheus => line!(&mut text, "zk_{name}\t{:?}", value as f64),
        }
    }
    text
}

/// Their lines in Prometheus' text.
pub fn prometheus_ensemble(gauges: &EnsembleGauges) -> String {
    let mut text = String::new();
    for (EnsembleEntry { name, unit, .. }, value) in told(gauges) {
        let help = unit.help();
        line!(&mut text, "# HELP {name} {name}{help}\n# TYPE {name} gauge\n{name} {:?}", value as f64);
    }
    text
}

fn told(gauges: &EnsembleGauges) -> impl Iterator<Item = (&'static EnsembleEntry, i64)> {
    ENSEMBLE.iter().filter_map(|entry| Some((entry, (entry.of)(gauges)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(gauges: &EnsembleGauges) -> Vec<&'static str> {
        told(gauges).map(|(entry, _)| entry.name).collect()
    }

    #[test]
    fn ad1_each_role_has_the_names_that_zookeeper_has_there() {
        let follower = EnsembleGauges { quorum_size: 3, is_follower: true, leading: None };
        let leader =
            EnsembleGauges { leading: Some(LeaderGauges::default()), is_follower: false, ..follower };
        let observer = EnsembleGauges { is_follower: false, ..follower };
        assert_eq!(names(&observer), ["quorum_size"]);
        assert_eq!(names(&follower), ["quorum_size", "synced_observers"]);
        assert_eq!(names(&leader).len(), ENSEMBLE.len());
        assert_eq!(
            mntr_ensemble(&follower, Provider::Default),
            "zk_quorum_size\t3\nzk_synced_observers\t0\n"
        );
        assert_eq!(mntr_ensemble(&follower, Provider::None), "");
        let page = prometheus_ensemble(&leader);
        for part in [
            "# HELP leader_uptime leader_uptime in ms\n# TYPE leader_uptime gauge\nleader_uptime 0.0\n",
            "min_proposal_size -1.0\n",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }

    /// AD3: each of a leader's facts moves the line of its own name, and no other.
    #[test]
    fn ad3_each_name_is_moved_by_its_own_fact() {
        let leading = LeaderGauges {
            learners: 101,
            synced_followers: 102,
            synced_non_voting_followers: 103,
            synced_observers: 104,
            pending_syncs: 105,
            uptime_ms: 106,
            sizes: Sizes { last: 107, min: 108, max: 109 },
        };
        let gauges = EnsembleGauges { quorum_size: 100, is_follower: false, leading: Some(leading) };
        let values: Vec<_> = told(&gauges).map(|(_, value)| value).collect();
        assert_eq!(values, (100..110).collect::<Vec<_>>());
    }
}
