//! Each word's text, as a Java server 3.9.5 gave it for the same state; only version and process differ.

use std::collections::BTreeMap;

use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::zxid::{Epoch, Zxid};

use super::*;

const SESSION: SessionId = SessionId(0x0100_002f_aeec_0000);

/// One session that made `/app` and an ephemeral, read `/app` and watches it; and the asking connection.
pub(super) fn facts() -> Facts {
    let asking = ConnectionFacts {
        peer: "127.0.0.1:45140".parse().unwrap(),
        reading: false,
        writing: false,
        queued: 0,
        received: 1,
        sent: 0,
        session: None,
        expires_at_ms: 1_795_170_591_000,
    };
    let session = ConnectedSession {
        id: SESSION,
        last_op: "GETC",
        established_ms: 1_795_170_577_393,
        timeout_ms: 30_000,
        last_cxid: 4,
        last_zxid: Zxid(3),
        last_response_ms: 3_125_495,
        last_latency_ms: 1,
        min_latency_ms: 0,
        avg_latency_ms: 2,
        max_latency_ms: 6,
    };
    let client = ConnectionFacts {
        peer: "127.0.0.1:45084".parse().unwrap(),
        reading: true,
        received: 5,
        sent: 5,
        session: Some(session),
        expires_at_ms: 1_795_170_611_000,
        ..asking
    };
    Facts {
        server: ServerFacts {
            serving: true,
            zxid: Zxid(3),
            min_latency_ms: 1,
            avg_latency_ms: 2.6,
            max_latency_ms: 6,
            received: 11,
            sent: 10,
            connections: 2,
            node_count: 7,
            ..ServerFacts::default()
        },
        connections: vec![asking, client],
        watches: WatchFacts { by_session: BTreeMap::from([(SESSION, vec!["/app".into()])]) },
        sessions: SessionFacts {
            local: None,
            buckets: vec![ExpiryBucket { at_ms: 1_795_170_607_000, sessions: vec![SESSION] }],
            global: None,
            ephemerals: BTreeMap::from([(SESSION, vec!["/app/e".into()])]),
        },
        conf: conf(),
        dirs: DirSizes { data: 67_109_358, log: 67_109_358 },
        digests: vec![DigestFact { zxid: Zxid::new(Epoch(1), 128), digest: 1_371_985_504 }],
        environment: EnvironmentFacts {
            host_name: "localhost".into(),
            os_name: "Linux".into(),
            used_mb: 34,
            total_mb: 247,
            ..EnvironmentFacts::default()
        },
        metrics: "zk_znode_count\t7\n".into(),
        trace_mask: 306,
    }
}

fn conf() -> ConfFacts {
    ConfFacts {
        client_port: 48_775,
        secure_client_port: -1,
        data_dir: "/data/version-2".into(),
        data_log_dir: "/log/version-2".into(),
        tick_ms: 2_000,
        max_client_cnxns: 60,
        min_session_timeout_ms: 4_000,
        max_session_timeout_ms: 40_000,
        listen_backlog: -1,
        server_id: 0,
        ensemble: None,
    }
}

const NUMBERS: &str = "\
Latency min/avg/max: 1/2.6/6
Received: 11
Sent: 10
Connections: 2
Outstanding: 0
Zxid: 0x3
Mode: standalone
Node count: 7
";

fn version_line() -> String {
    format!("Zookeeper version: {}\n", crate::admin::full_version())
}

#[test]
fn ad1_answers_have_javas_shape() {
    let clients = "Clients:\n /127.0.0.1:45140[0](queued=0,recved=1,sent=0)\n \
                   /127.0.0.1:45084[1](queued=0,recved=5,sent=5)\n\n";
    for (word, text) in [
        (Word::Ruok, "imok".to_owned()),
        (Word::Isro, "rw".into()),
        (Word::Srvr, version_line() + NUMBERS),
        (Word::Stat, version_line() + clients + NUMBERS),
        (
            Word::Conf,
            "clientPort=48775\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=67109358\n\
             dataLogDir=/log/version-2\ndataLogSize=67109358\ntickTime=2000\nmaxClientCnxns=60\n\
             minSessionTimeout=4000\nmaxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=0\n"
                .into(),
        ),
        (
            Word::Cons,
            " /127.0.0.1:45140[0](queued=0,recved=1,sent=0)\n \
             /127.0.0.1:45084[1](queued=0,recved=5,sent=5,sid=0x100002faeec0000,lop=GETC,est=1795170577393,\
             to=30000,lcxid=0x4,lzxid=0x3,lresp=3125495,llat=1,minlat=0,avglat=2,maxlat=6)\n\n"
                .into(),
        ),
        (Word::Crst, "Connection stats reset.\n".into()),
        (Word::Srst, "Server stats reset.\n".into()),
        (
            Word::Dump,
            "SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at Fri Nov 20 10:30:07 UTC 2026:\n\
             \t0x100002faeec0000\nephemeral nodes dump:\nSessions with Ephemerals (1):\n\
             0x100002faeec0000:\n\t/app/e\nConnections dump:\nConnections Sets (2)/(2):\n\
             1 expire at Fri Nov 20 10:29:51 UTC 2026:\n\tip: /127.0.0.1:45140 sessionId: 0x0\n\
             1 expire at Fri Nov 20 10:30:11 UTC 2026:\n\
             \tip: /127.0.0.1:45084 sessionId: 0x100002faeec0000\n"
                .into(),
        ),
        (
            Word::Mntr,
            format!(
                "zk_version\t{}\nzk_server_state\tstandalone\nzk_znode_count\t7\n",
                crate::admin::full_version()
            ),
        ),
        (Word::Wchs, "1 connections watching 1 paths\nTotal watches:1\n".into()),
        (Word::Wchc, "0x100002faeec0000\n\t/app\n\n".into()),
        (Word::Wchp, "/app\n\t0x100002faeec0000\n\n".into()),
        (Word::Dirs, "datadir_size: 67109358\nlogdir_size: 67109358\n".into()),
        (Word::Hash, "100000080: 1371985504\n".into()),
        (Word::Gtmk, "306".into()),
        (Word::Stmk, "306".into()),
        (Word::TelnetClose, String::new()),
    ] {
        assert_eq!(answer(word, &facts()), text, "{}", word.name());
    }
}

#[test]
fn ad1_the_environment_has_javas_keys() {
    let text = answer(Word::Envi, &facts());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "Environment:");
    let keys: Vec<_> = lines[1..].iter().map(|line| line.split('=').next().unwrap()).collect();
    let javas = "zookeeper.version host.name java.version java.vendor java.home java.class.path \
                 java.library.path java.io.tmpdir java.compiler os.name os.arch os.version user.name \
                 user.home user.dir os.memory.free os.memory.max os.memory.total";
    assert_eq!(keys, javas.split_whitespace().collect::<Vec<_>>());
    for line in ["host.name=localhost", "java.version=<NA>", "os.memory.free=213MB", "os.memory.max=247MB"] {
        assert!(lines.contains(&line), "{line} in {text}");
    }
}

#[test]
fn ad1_an_ensemble_tells_more() {
    let mut facts = facts();
    facts.server.mode = Mode::Leader;
    facts.server.proposal_sizes = Some(Sizes::default());
    assert!(answer(Word::Srvr, &facts).ends_with("Node count: 7\nProposal sizes last/min/max: -1/-1/-1\n"));
    facts.conf.ensemble = Some(EnsembleConf {
        init_limit: 10,
        sync_limit: 5,
        election_ports: vec![3888, 3889],
        quorum_ports: vec![2888],
        is_observer: false,
        membership: Some("server.1=a:2888:3888:participant\nversion=0".into()),
    });
    let more = "serverId=0\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888|3889\n\
                quorumPort=2888\npeerType=0\nmembership: \nserver.1=a:2888:3888:participant\nversion=0";
    assert!(answer(Word::Conf, &facts).ends_with(more));
}

#[test]
fn ad1_a_read_only_member_says_so() {
    let mut facts = facts();
    facts.server.mode = Mode::ReadOnly;
    assert_eq!(answer(Word::Isro, &facts), "ro");
    let said = version_line() + "READ-ONLY mode; serving only read-only clients\n";
    assert!(answer(Word::Srvr, &facts).starts_with(&said));
}

#[test]
fn ad1_connection_lines_follow_interest_and_sign() {
    let mut facts = facts();
    let client = &mut facts.connections[1];
    client.writing = true;
    let session = client.session.as_mut().unwrap();
    session.last_cxid = -2; // a ping: Java shows no xid
    session.id = SessionId(-1);
    let text = answer(Word::Cons, &facts);
    assert!(text.contains("[5](") && text.contains("sid=0xffffffffffffffff"), "{text}");
    assert!(!text.contains("lcxid"), "{text}");
}

#[test]
fn ad6_while_not_serving_only_words_without_the_tree_are_answered() {
    let mut facts = facts();
    facts.server.serving = false;
    let answered: Vec<_> = Word::all().filter(|word| answer(*word, &facts) != NOT_SERVING).collect();
    use Word::*;
    assert_eq!(answered, [Ruok, Isro, Envi, Gtmk, Stmk, TelnetClose]);
    assert_eq!(answer(Isro, &facts), "null");
}

/// Programs read the first line; people the second.
#[test]
fn ad7_srvr_and_stat_say_why_the_member_does_not_serve_behind_javas_line() {
    let mut facts = facts();
    facts.server.serving = false;
    facts.server.outlook = Some("no leader for 3 s".into());
    for word in Word::all().filter(|word| word.needs_serving()) {
        let why = if matches!(word, Word::Srvr | Word::Stat) { "no leader for 3 s\n" } else { "" };
        assert_eq!(answer(word, &facts), format!("{NOT_SERVING}{why}"), "{}", word.name());
    }
}

#[test]
fn ad1_a_learner_dumps_sessions_with_their_timeouts() {
    let mut facts = facts();
    facts.sessions.global = Some(vec![(SessionId(-1), 4_000), (SESSION, 30_000)]);
    let text = answer(Word::Dump, &facts);
    let start = format!(
        "SessionTracker dump:\nGlobal Sessions(2):\n0xffffffffffffffff\t4000ms\n{SESSION}\t30000ms\n\
         ephemeral nodes dump:\nSessions with Ephemerals (1):\n"
    );
    assert!(text.starts_with(&start) && !text.contains("Session Sets"), "{text}");
}

#[test]
fn ad1_sessions_of_the_member_alone_come_first_and_the_others_are_called_global() {
    let mut facts = facts();
    facts.sessions.local = Some(vec![ExpiryBucket { at_ms: 0, sessions: vec![SessionId(7)] }]);
    let local = "SessionTracker dump:\nLocal Session Sets (1)/(1):\n1 expire at Thu Jan 01 00:00:00 UTC 1970:\n\t0x7\n";
    let text = answer(Word::Dump, &facts);
    assert!(text.starts_with(&format!("{local}Global Session Sets (1)/(1):\n")), "{text}");
    facts.sessions.global = Some(vec![(SESSION, 30_000)]);
    let text = answer(Word::Dump, &facts);
    assert!(text.starts_with(&format!("{local}Global Sessions(1):\n{SESSION}\t30000ms\n")), "{text}");
}

#[test]
fn ad1_mntr_tells_a_member_s_states_first() {
    let mut facts = facts();
    facts.server.mode = Mode::Observer;
    facts.server.peer_state = Some("observing - broadcast");
    facts.server.observer_master = Some(ServerId(2));
    let text = answer(Word::Mntr, &facts);
    let lines: Vec<_> = text.lines().skip(1).take(4).collect();
    let expected = [
        "zk_server_state\tobserver",
        "zk_peer_state\tobserving - broadcast",
        "zk_observer_master_id\t2",
        "zk_znode_count\t7",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn words_are_known_by_their_bytes_alone() {
    for word in Word::all().filter(|word| *word != Word::TelnetClose) {
        let bytes: [u8; 4] = word.name().as_bytes().try_into().unwrap();
        assert_eq!(Word::from_bytes(bytes), Some(word));
        assert!(i32::from_be_bytes(bytes) > 0x000f_ffff * 16, "{} is no frame's length", word.name());
    }
    assert_eq!(Word::from_bytes([0xff, 0xf4, 0xff, 0xfd]), Some(Word::TelnetClose));
    for none in [*b"abcd", *b"RUOK", [0, 0, 0, 45]] {
        assert_eq!(Word::from_bytes(none), None);
    }
    assert_eq!(Word::Stmk.argument_bytes(), 8);
    assert_eq!(Word::Gtmk.argument_bytes(), 0);
}

#[test]
fn the_whitelist_refuses_by_name() {
    let whitelist = BTreeSet::from(["stat".to_owned()]);
    assert!(Word::Stat.is_allowed(&whitelist) && Word::Srvr.is_allowed(&whitelist));
    assert!(!Word::Ruok.is_allowed(&whitelist) && !Word::TelnetClose.is_allowed(&whitelist));
    assert_eq!(Word::Ruok.refusal(), "ruok is not executed because it is not in the whitelist.\n");
}

/// What an answer is made of is asked for: with the rest left empty it is the same.
#[test]
fn needs_are_enough() {
    for word in Word::all() {
        let (all, mut asked) =
            (facts(), Facts { server: facts().server, trace_mask: 306, ..Facts::default() });
        for need in word.needs() {
            match need {
                Need::Connections => asked.connections.clone_from(&all.connections),
                Need::Watches => asked.watches = all.watches.clone(),
                Need::Sessions => asked.sessions = all.sessions.clone(),
                Need::Conf => asked.conf = all.conf.clone(),
                Need::Dirs => asked.dirs = all.dirs,
                Need::Digests => asked.digests.clone_from(&all.digests),
                Need::Environment => asked.environment = all.environment.clone(),
                Need::Metrics => asked.metrics.clone_from(&all.metrics),
                Need::ResetConnections | Need::ResetServer | Need::SetTraceMask => {}
            }
        }
        assert_eq!(answer(word, &asked), answer(word, &all), "{}", word.name());
    }
}
