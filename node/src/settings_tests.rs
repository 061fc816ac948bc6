//! Every key of a `zoo.cfg` arrives where it is used.

use std::fmt::Debug;

use paddock_config::{Sources, settings};
use paddock_messages::ids::ServerId;

use super::*;

/// No value is the default, or another key's.
const ZOO_CFG: &str = "\
dataDir=/data/snapshots
dataLogDir=/data/log
clientPort=2999
clientPortListenBacklog=129
tickTime=2100
minSessionTimeout=5001
maxSessionTimeout=50002
maxClientCnxns=301
maxCnxns=5003
nio.sessionlessCnxnTimeout=20004
parkTime=1505
localSessionsUpgradingEnabled=true
readonlymode.enabled=true
4lw.commands.whitelist=ruok, srvr
jute.maxbuffer=9000005
globalOutstandingLimit=2006
largeRequestThreshold=50001
largeRequestMaxBytes=1000002
request_throttle_max_requests=3003
request_throttle_stall_time=104
throttled_op_wait_time=5005
request_stale_latency_check=true
connection_throttle_tokens=207
connection_throttle_fill_time=18
connection_throttle_fill_count=9
connection_throttle_weight_enabled=true
connection_throttle_global_session_weight=5
connection_throttle_local_session_weight=4
connection_throttle_renew_session_weight=6
connection_throttle_freeze_time=107
connection_throttle_drop_increase=0.08
connection_throttle_drop_decrease=0.009
connection_throttle_decrease_ratio=0.11
extendedTypesEnabled=true
reconfigEnabled=true
znode.container.checkIntervalMs=30010
znode.container.maxPerMinute=5011
znode.container.maxNeverUsedIntervalMs=300012
snapCount=50013
snapSizeLimitInKb=1014
fsync.warningthresholdms=515
logSpinUs=56
autopurge.snapRetainCount=17
autopurge.purgeInterval=19
skipACL=yes
ensembleAuthName=prod, europe
DigestAuthenticationProvider.enabled=false
DigestAuthenticationProvider.digestAlg=SHA-256
DigestAuthenticationProvider.superDigest=super:hash
memory.softLimit=3GiB
";

fn load(text: &str) -> Config {
    let directory = tempfile::tempdir().expect("writable");
    let file = directory.path().join("zoo.cfg");
    std::fs::write(&file, text).expect("writable");
    Config::load(Sources::file(Some(file))).expect("a good configuration").config
}

/// The same, of a server with this id.
fn load_as(id: u8, text: &str) -> Config {
    let directory = tempfile::tempdir().expect("writable");
    std::fs::write(directory.path().join("myid"), id.to_string()).expect("writable");
    load(&text.replace("/data/snapshots", &directory.path().display().to_string()))
}

/// Compares the text, which has every field: not all of these types have an equality.
#[track_caller]
fn same(built: impl Debug, expected: impl Debug) {
    assert_eq!(format!("{built:#?}"), format!("{expected:#?}"));
}

fn expected_auth() -> AuthRules {
    AuthRules {
        skip_acl: true,
        digest_enabled: false,
        digest_alg: DigestAlg::Sha256,
        super_digest: Some("super:hash".into()),
        enforced_schemes: Vec::new(),
        ensemble_names: Some(vec!["prod".into(), "europe".into()]),
    }
}

/// Source: `FollowerZooKeeperServer.getGlobalOutstandingLimit`.
#[test]
fn a_member_of_three_and_more_has_its_part_of_the_outstanding_limit() {
    for (servers, limit) in [("", 2_006), ("12", 2_006), ("123", 1_003), ("12345", 501), ("123o", 1_003)] {
        let line = |id: char| match id {
            'o' => "server.9=h9:1:2:observer\n".to_owned(),
            id => format!("server.{id}=h{id}:1:2\n"),
        };
        let lines: String = servers.chars().map(line).collect();
        let lines = format!("{ZOO_CFG}initLimit=5\nsyncLimit=2\n{lines}");
        let config = load_as(1, &lines);
        let voters = config.members.voters().len();
        assert_eq!(client(&config, voters).outstanding_limit, limit, "{servers}");
    }
}

#[test]
fn reconfigs_are_for_operators_unless_the_file_says_for_all_or_for_nobody() {
    for (line, by_clients, by_operators) in
        [("", false, true), ("reconfigEnabled=true", true, true), ("reconfigEnabled=false", false, false)]
    {
        let rules = prep(&load(&ZOO_CFG.replace("reconfigEnabled=true", line)));
        assert_eq!(
            (rules.reconfig.is_some(), rules.reconfig_by_operators.is_some()),
            (by_clients, by_operators),
            "{line}"
        );
    }
}

#[test]
fn every_key_is_in_the_field_that_is_used() {
    let config = &load(ZOO_CFG);
    same(auth(config), expected_auth());
    same(
        prep(config),
        PrepRules {
            auth: expected_auth(),
            extended_types: true,
            reconfig: Some(reconfig::Rules { standalone_enabled: true, multi_address: false }),
            reconfig_by_operators: Some(reconfig::Rules { standalone_enabled: true, multi_address: false }),
            local_sessions: false,
            never_used_ms: 300_012,
        },
    );
    same(
        client(config, 1),
        Settings {
            max_frame: 9_000_005,
            min_session_timeout_ms: 5_001,
            max_session_timeout_ms: 50_002,
            max_connections_per_host: 301,
            max_connections: 5_003,
            outstanding_limit: 2_006,
            large_threshold: Some(50_001),
            large_max_bytes: 1_000_002,
            throttler: Throttler { max_requests: 3_003, stall_ms: 104, op_wait_ms: 5_005, drops_stale: true },
            eager_acl_check: false,
            sessionless_timeout_ms: 20_004,
            park_ms: 1_505,
            linearizable_reads: false,
            local_sessions: false,
            upgrades_local_sessions: true,
            takes_trace_mask: false,
            max_in_flight: 1_024,
            max_in_flight_bytes: 1 << 20,
            outbox_full: 256 << 10,
            outbox_limit: 64 << 20,
            outboxes_limit: 256 << 20,
        },
    );
    same(
        throttle(config, 77, Rng::seeded(5)),
        Throttle::weighted(
            Rate { tokens: 207, fill_count: 9, fill_time_ms: 18 },
            Weights { global: 5, local: 4, renewal: 6 },
            77,
        )
        .dropping(
            Drops { freeze_ms: 107, increase: 80_000, decrease: 9_000, decrease_ratio: 110_000 },
            77,
            Rng::seeded(5),
        ),
    );
    same(soft_limit(config), Some(SoftLimit::new(3 << 30)));
    assert_eq!(four_letter_words(config), ["isro", "ruok", "srvr"].map(str::to_owned).into());
    same(
        reaping(config),
        Reaping { every: Duration::from_millis(30_010), max_per_minute: 5_011, never_used_ms: 300_012 },
    );
    same(
        snapshots(config),
        Policy { txns: 50_013, bytes: Some(1_014 << 10), keep: 17, purge_every_ms: Some(19 * 3_600_000) },
    );
    same(
        log_thread(config),
        ThreadOptions {
            spin: Duration::from_micros(56),
            batch_bytes: 4 << 20,
            slow_sync: Duration::from_millis(515),
        },
    );
    same(
        conf(config),
        ConfFacts {
            client_port: 2_999,
            secure_client_port: -1,
            data_dir: "/data/snapshots".to_owned(),
            data_log_dir: "/data/log".to_owned(),
            tick_ms: 2_100,
            max_client_cnxns: 301,
            min_session_timeout_ms: 5_001,
            max_session_timeout_ms: 50_002,
            listen_backlog: 129,
            server_id: 0,
            ensemble: None,
        },
    );
    let growth = MAX_ACL_GROWTH as u64;
    let Room { admitted, largest } = log_room(config);
    assert_eq!((admitted, largest), (2 * largest, (2 + growth) * 9_000_005));
    let log = |more: &str| segment_bytes(&load(&format!("dataDir=/data\nclientPort=2999\n{more}")));
    assert_eq!(log("preAllocSize=90000"), 90_000 << 10);
    assert_eq!(log("preAllocSize=90000\ntxnLogSizeLimitInKb=80000"), 80_000 << 10);
    assert_eq!(log("preAllocSize=80000\ntxnLogSizeLimitInKb=90000"), 80_000 << 10);
}

/// As the Java server prints its `conf`: what is the member's own, and every member's line.
#[test]
fn conf_tells_an_ensemble_s_limits_ports_and_members() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let lines = "tickTime=2000\ninitLimit=11\nsyncLimit=6\nclientPort=2999\nserver.1=a:2881:3881;2181\n\
                 server.2=b:2882:3882\nserver.3=c:2883:3883\nserver.4=d:2884:3884:observer\n";
    for (id, is_observer) in [(2, false), (4, true)] {
        std::fs::write(data.join("myid"), format!("{id}\n")).unwrap();
        let file = dir.path().join("zoo.cfg");
        std::fs::write(&file, format!("dataDir={}\n{lines}", data.display())).unwrap();
        let config = Config::load(Sources::file(Some(file))).expect("a good configuration").config;
        let facts = conf(&config);
        let told = facts.ensemble.map(|of_file| of_file.of(ServerId(id.into()), &config.members));
        let membership = "server.1=a:2881:3881:participant;0.0.0.0:2181\nserver.2=b:2882:3882:participant\n\
                          server.3=c:2883:3883:participant\nserver.4=d:2884:3884:observer\nversion=0";
        let expected = EnsembleConf {
            init_limit: 11,
            sync_limit: 6,
            election_ports: vec![3_880 + id],
            quorum_ports: vec![2_880 + id],
            is_observer,
            membership: Some(membership.to_owned()),
        };
        assert_eq!((facts.server_id, told), (u64::from(id), Some(expected)));
    }
}

#[test]
fn only_a_test_has_a_member_speak_older_frames_and_none_that_there_are_not() {
    let older = Versions { highest: SPOKEN.highest - 1, ..SPOKEN };
    let number = older.highest.to_string();
    for (newest, expected) in
        [(None, SPOKEN), (Some(&*number), older), (Some("99"), SPOKEN), (Some("x"), SPOKEN)]
    {
        assert_eq!(frames(newest), expected, "{newest:?}");
        assert_eq!(reads_level(newest), level::readable_in(expected.highest), "{newest:?}");
    }
}

/// A server alone has nobody to ask.
#[test]
fn linearizable_reads_are_for_members_of_several() {
    let lines = "linearizableReads=true\ninitLimit=10\nsyncLimit=5\nserver.1=a:2881:3881\n";
    for (more, expected) in [("server.2=b:2882:3882\nserver.3=c:2883:3883\n", true), ("", false)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("myid"), "1\n").unwrap();
        let config = load(&format!("dataDir={}\nclientPort=2999\n{lines}{more}", dir.path().display()));
        assert_eq!(client(&config, 1).linearizable_reads, expected, "{more}");
    }
}

#[test]
fn schemes_are_enforced_only_if_that_is_on() {
    for (enabled, expected) in [(true, &["digest", "ip"][..]), (false, &[])] {
        let lines = format!("enforce.auth.enabled={enabled}\nenforce.auth.schemes=digest, ip\n");
        let rules = auth(&load(&format!("dataDir=/d\nclientPort=2999\n{lines}")));
        assert_eq!(rules.enforced_schemes, expected);
    }
}

/// A server alone leads itself.
#[test]
fn acls_are_looked_up_eagerly_by_members_of_several() {
    let lines = "initLimit=10\nsyncLimit=5\nserver.1=a:2881:3881\n";
    let several = "server.2=b:2882:3882\nserver.3=c:2883:3883\n";
    for (more, expected) in [
        (format!("{several}enableEagerACLCheck=true\n"), true),
        ("enableEagerACLCheck=true\n".to_owned(), false),
        (several.to_owned(), false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("myid"), "1\n").unwrap();
        let config = load(&format!("dataDir={}\nclientPort=2999\n{lines}{more}", dir.path().display()));
        assert_eq!(client(&config, 1).eager_acl_check, expected, "{more}");
    }
    let kept =
        "dataDir=/d\nclientPort=2999\nrequest_stale_latency_check=true\nrequest_throttle_drop_stale=false\n";
    assert!(!throttler(&load(kept)).drops_stale);
}

/// Else the first test could not tell a key that is read from one that is not.
#[test]
fn a_server_alone_has_no_local_sessions_and_one_of_several_has() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("myid"), "1").unwrap();
    let alone = format!("dataDir={}\nclientPort=2999\nlocalSessionsEnabled=true\n", dir.path().display());
    let members = "initLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    for (text, has) in [(alone.clone(), false), (alone + members, true)] {
        let config = &load(&text);
        assert_eq!((prep(config).local_sessions, client(config, 1).local_sessions), (has, has), "{text}");
        assert!(!client(config, 1).upgrades_local_sessions, "not asked for");
        assert_eq!(reads_after(config), None, "nor was that");
    }
    for (tick_ms, after_ms) in [(1_000, 2_000), (2_000, 2_000), (3_000, 3_000)] {
        let text = format!("dataDir=/d\nclientPort=2999\nreadonlymode.enabled=true\ntickTime={tick_ms}\n");
        assert_eq!(reads_after(&load(&text)), Some(Duration::from_millis(after_ms)), "{text}");
    }
}

/// Else the test before could not tell a key that is read from one that is not.
#[test]
fn each_of_these_lines_makes_a_difference() {
    let all = |text: &str| {
        let config = &load(text);
        let first = format!(
            "{:?}",
            (auth(config), prep(config), client(config, 1), throttle(config, 0, Rng::seeded(1)))
        );
        let second = format!("{:?}", (soft_limit(config), four_letter_words(config), reaping(config)));
        let third = format!("{:?}", (snapshots(config), log_thread(config), conf(config)));
        let fourth = format!("{:?}", (log_room(config), segment_bytes(config)));
        [first, second, third, fourth]
    };
    let whole = all(ZOO_CFG);
    for line in ZOO_CFG.lines().filter(|line| !line.starts_with("dataDir=")) {
        let without: String =
            ZOO_CFG.lines().filter(|other| *other != line).map(|other| format!("{other}\n")).collect();
        assert_ne!(all(&without), whole, "{line}");
    }
}

#[test]
fn every_hash_that_can_be_written_is_the_one_that_is_used() {
    use paddock_config::Kind::ChoiceOnly;
    let kind = settings::find("digest_auth.algorithm").map(|setting| setting.kind);
    let Some(ChoiceOnly(names, _)) = kind else { panic!("it is one of a list: {kind:?}") };
    assert!(names.len() > 1);
    for (name, others) in names {
        for spelled in others.iter().chain([name]) {
            let flags = [("digest_auth.algorithm".to_owned(), (*spelled).to_owned())];
            let loaded =
                Config::load(Sources { file: None, like_file: false, env: [], flags }).expect("a good hash");
            let used = format!("{:?}", auth(&loaded.config).digest_alg);
            assert_eq!(used.to_lowercase(), *name, "{spelled}");
        }
    }
}
