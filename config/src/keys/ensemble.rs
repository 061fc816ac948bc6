//! Keys about members, election and synchronisation.

use super::Asked::{Always, WhenNot, WhenTrue};
use super::{Key, Outcome, honoured, not_yet, refused, row, unneeded, yes_no};

const HEARTBEATS: &str = "silence is judged by heartbeats between members (ensemble.peer_timeout_ms)";
const OBSERVERS: &str = "observers attach to the leader, and try again by themselves";
const DIFFS: &str =
    "a learner is sent what the log still holds, or a snapshot that spares it much (snapshotSizeFactor)";
const LEADER: &str = "the leader is written otherwise, and has no such part";
const PORTS: &str = "members know each other by name and do not probe addresses one by one";

pub(super) const KEYS: &[Key] = &[
    row("server.*", "zoo1:2888:3888;2181", Outcome::Member).file_only(),
    row("group.*", "1", Outcome::Member).file_only(),
    row("weight.*", "2", Outcome::Member).file_only(),
    row("dynamicConfigFile", "zoo.cfg.dynamic.100000000", Outcome::DynamicFile).file_only(),
    honoured("initLimit", "ensemble.init_limit", "20").file_only(),
    honoured("syncLimit", "ensemble.sync_limit", "2").file_only(),
    honoured("peerType", "ensemble.peer_type", "observer").file_only(),
    honoured("standaloneEnabled", "ensemble.standalone", "false").file_only(),
    honoured("reconfigEnabled", "ensemble.reconfig", "true").file_only(),
    honoured("quorumListenOnAllIPs", "ensemble.listen_on_all_ips", "true").file_only(),
    honoured("multiAddress.enabled", "ensemble.multi_address", "true"),
    honoured("syncEnabled", "ensemble.observer_sync", "false").file_only(),
    honoured("observer.syncEnabled", "ensemble.observer_sync", "false"),
    yes_no("leaderServes", "ensemble.leader_serves", "no"),
    honoured("snapshotSizeFactor", "ensemble.snapshot_size_factor", "0.5"),
    refused(
        "electionAlg",
        WhenNot("3"),
        "0",
        "3, fast leader election, is the only one ZooKeeper has; remove the line",
    )
    .file_only(),
    not_yet("oraclePath", Always, "/etc/oracle", "the oracle of a two-member ensemble is not asked")
        .file_only(),
    not_yet(
        "forceSnapshotSync",
        WhenTrue,
        "true",
        "a learner that can be synchronised from the log is not sent a snapshot instead",
    ),
    // Decided otherwise.
    unneeded(
        "connectToLearnerMasterLimit",
        "7",
        "a learner tries its leader until another is found, each address for 2 s",
    )
    .file_only(),
    unneeded(
        "electionPortBindRetry",
        "10",
        "a port that is taken ends the start at once, with exit code 30: whoever starts the process tries again",
    ),
    unneeded("tcpKeepAlive", "true", HEARTBEATS),
    unneeded("observerMasterPort", "2191", OBSERVERS).file_only(),
    unneeded("observer.reconnectDelayMs", "100", OBSERVERS),
    unneeded("observer.election.DelayMs", "300", OBSERVERS),
    unneeded("observerMaster.sizeLimit", "1048576", OBSERVERS),
    unneeded("commitLogCount", "1000", DIFFS),
    unneeded("fastleader.minNotificationInterval", "100", HEARTBEATS),
    unneeded("fastleader.maxNotificationInterval", "30000", HEARTBEATS),
    unneeded("cnxTimeout", "3000", HEARTBEATS),
    unneeded("quorumCnxnTimeoutMs", "10000", HEARTBEATS),
    unneeded("leader.maxTimeToWaitForEpoch", "2000", HEARTBEATS),
    unneeded("leaderConnectDelayDuringRetryMs", "50", HEARTBEATS),
    unneeded("leader.nodelay", "false", "small packets are never held back"),
    unneeded("follower.nodelay", "false", "small packets are never held back"),
    unneeded(
        "leader.maxConcurrentSnapSyncs",
        "5",
        "a learner reads a snapshot file, which costs the leader no memory",
    ),
    unneeded("leader.maxConcurrentDiffSyncs", "50", DIFFS),
    unneeded("leader.closeSocketAsync", "true", LEADER),
    unneeded("learner.closeSocketAsync", "true", LEADER),
    unneeded("learner.asyncSending", "true", LEADER),
    unneeded("leader.ackLoggingFrequency", "100", LEADER),
    unneeded("forward_learner_requests_to_commit_processor_disabled", "true", LEADER),
    unneeded("follower.skipLearnerRequestToNextProcessor", "true", LEADER),
    unneeded("multiAddress.reachabilityCheckTimeoutMs", "500", PORTS),
    unneeded("multiAddress.reachabilityCheckEnabled", "false", PORTS),
];
