//! Which layer wins, and what each takes. L1.

use crate::{Case, told};

/// Every layer over the one before it, by a setting that all can set.
#[test]
fn cf1_a_higher_layer_wins_and_its_origin_is_told() {
    let layers: [(&str, &str, &str); 6] = [
        ("", "100000", "default"),
        ("jvm", "11", "environment variable JVMFLAGS"),
        ("file", "12", "zoo.cfg:3"),
        ("zoo", "13", "environment variable ZOO_CFG_EXTRA"),
        ("paddock", "14", "environment variable PADDOCK_SNAP_COUNT"),
        ("flag", "15", "flag snap-count"),
    ];
    for upto in 1..=layers.len() {
        let has = |name: &str| layers[..upto].iter().any(|(layer, ..)| *layer == name);
        let file = if has("file") { "clientPort=1\nsnapCount=12\n" } else { "clientPort=1\n" };
        let mut env = Vec::new();
        if has("jvm") {
            env.extend([
                ("SERVER_JVMFLAGS", "-Dzookeeper.snapCount=10"),
                ("JVMFLAGS", "-Dzookeeper.snapCount=11"),
            ]);
        }
        if has("zoo") {
            env.push(("ZOO_CFG_EXTRA", "snapCount=13"));
        }
        if has("paddock") {
            env.push(("PADDOCK_SNAP_COUNT", "14"));
        }
        let flags: &[_] = if has("flag") { &[("snap-count", "15")] } else { &[] };
        let case = Case::zoo(file).env(&env).flags(flags);
        let loaded = case.ok();
        let (_, value, origin) = layers[upto - 1];
        assert_eq!(told(&case, &loaded, "snap_count"), (value.to_owned(), origin.to_owned()));
        assert_eq!(loaded.config.snap_count.to_string(), value);
        assert_eq!(loaded.notes, []);
    }
}

#[test]
fn defaults_differ_with_and_without_a_file() {
    let case = Case::bare();
    let bare = case.ok();
    assert_eq!(bare.notes, []);
    let file = Case::zoo("").ok();
    for (name, without, with) in [
        ("client_addr", "127.0.0.1:2181", "none"),
        ("tick_ms", "2000", "3000"),
        ("min_session_timeout_ms", "4000", "6000"),
        ("max_session_timeout_ms", "40000", "60000"),
        ("data_dir", "./data", "DIR"),
        ("extended_types_enabled", "true", "false"),
        ("autopurge.snap_retain_count", "3", "3"),
        ("autopurge.interval_hours", "1", "1"),
        (
            "four_letter_words",
            "conf,envi,isro,mntr,ruok,srvr,stat,wchs",
            "conf,envi,isro,mntr,ruok,srvr,stat,wchs",
        ),
        ("memory.soft_limit", "80%", "80%"),
        ("log_spin_us", "100", "100"),
        ("ensemble.peer_timeout_ms", "1000", "1000"),
        ("client_arbiters", "none", "none"),
        ("large_request_threshold", "none", "none"),
        ("metrics.host", "127.0.0.1", "0.0.0.0"),
    ] {
        assert_eq!(told(&case, &bare, name).0, without, "{name}");
        if name != "data_dir" {
            assert_eq!(told(&case, &file, name).0, with, "{name}");
        }
    }
    assert_eq!(bare.config.client_arbiters_on(1), 0);
    assert_eq!(bare.config.client_arbiters_on(8), 6);
    assert_eq!(bare.config.log_dir(), bare.config.data_dir);
    assert!(!bare.config.is_distributed());
}

#[test]
fn what_follows_from_a_setting_follows_from_the_one_that_holds() {
    let case = Case::zoo("clientPort=1\ntickTime=10\nsyncLimit=3\ninitLimit=7\nminSessionTimeout=-1\n")
        .flags(&[("tick_ms", "20")]);
    let loaded = case.ok();
    for (name, value, origin) in [
        ("min_session_timeout_ms", "40", "follows from tick_ms"),
        ("max_session_timeout_ms", "400", "follows from tick_ms"),
        ("ensemble.peer_timeout_ms", "60", "follows from ensemble.sync_limit"),
    ] {
        assert_eq!(told(&case, &loaded, name), (value.to_owned(), origin.to_owned()));
    }
}

#[test]
fn the_container_image_s_variables_are_understood() {
    let case = Case::bare();
    let dir = case.dir.path().to_str().expect("UTF-8").to_owned();
    let case = case.env(&[
        ("ZOO_DATA_DIR", &dir),
        ("ZOO_DATA_LOG_DIR", "/datalog"),
        ("ZOO_TICK_TIME", "2500"),
        ("ZOO_INIT_LIMIT", "6"),
        ("ZOO_SYNC_LIMIT", "3"),
        ("ZOO_MAX_CLIENT_CNXNS", "0"),
        ("ZOO_STANDALONE_ENABLED", "false"),
        ("ZOO_ADMINSERVER_ENABLED", "true"),
        ("ZOO_AUTOPURGE_PURGEINTERVAL", "2"),
        ("ZOO_AUTOPURGE_SNAPRETAINCOUNT", "5"),
        ("ZOO_4LW_COMMANDS_WHITELIST", "ruok, mntr"),
        ("ZOOPIDFILE", "/run/zookeeper_server.pid"),
        ("ZOO_CFG_EXTRA", "skipACL=yes  metricsProvider.httpPort=7001"),
        ("ZOO_MY_ID", "2"),
        ("ZOO_SERVERS", "server.1=zoo1:2888:3888;2181 server.2=zoo2:2888:3888;0.0.0.0:2182"),
        ("ZOO_LOG_DIR", "/logs"),
        ("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"),
        ("ZOO_TICKTIME", "1"), // nearly one of them
        ("ZOO_KEEPER_PORT_2181_TCP_ADDR", "10.0.0.1"),
        ("ZOO_UNRELATED_THING", "x"),
        ("ZOO_SYNC_LIMITS", ""), // empty is unset
    ]);
    let loaded = case.ok();
    for (name, value, variable) in [
        ("data_dir", dir.as_str(), "ZOO_DATA_DIR"),
        ("data_log_dir", "/datalog", "ZOO_DATA_LOG_DIR"),
        ("tick_ms", "2500", "ZOO_TICK_TIME"),
        ("ensemble.init_limit", "6", "ZOO_INIT_LIMIT"),
        ("ensemble.sync_limit", "3", "ZOO_SYNC_LIMIT"),
        ("max_client_cnxns", "0", "ZOO_MAX_CLIENT_CNXNS"),
        ("ensemble.standalone", "false", "ZOO_STANDALONE_ENABLED"),
        ("autopurge.interval_hours", "2", "ZOO_AUTOPURGE_PURGEINTERVAL"),
        ("autopurge.snap_retain_count", "5", "ZOO_AUTOPURGE_SNAPRETAINCOUNT"),
        ("four_letter_words", "mntr,ruok", "ZOO_4LW_COMMANDS_WHITELIST"),
        ("pid_file", "/run/zookeeper_server.pid", "ZOOPIDFILE"),
        ("skip_acl", "true", "ZOO_CFG_EXTRA"),
        ("metrics.port", "7001", "ZOO_CFG_EXTRA"),
        ("server_id", "2", "ZOO_MY_ID"),
        ("datadir_autocreate", "false", "ZOO_DATADIR_AUTOCREATE_DISABLE"),
        ("server.2", "zoo2:2888:3888;0.0.0.0:2182", "ZOO_SERVERS"),
    ] {
        let expect = (value.to_owned(), format!("environment variable {variable}"));
        assert_eq!(told(&case, &loaded, name), expect, "{name}");
    }
    assert_eq!(loaded.config.client_addr.map(|addr| addr.to_string()), Some("0.0.0.0:2182".to_owned()));
    assert!(loaded.config.is_distributed());
    let notes = case.notes().join("\n");
    assert!(
        notes.contains("ZOO_TICKTIME: unknown: ignored; the nearest variable is ZOO_TICK_TIME"),
        "{notes}"
    );
    assert!(notes.contains("ZOO_ADMINSERVER_ENABLED: admin.enableServer: not yet supported"), "{notes}");
    assert!(
        !notes.contains("KEEPER") && !notes.contains("UNRELATED") && !notes.contains("LIMITS"),
        "{notes}"
    );
}

#[test]
fn malformed_variables_name_themselves() {
    for (name, value, error) in [
        ("ZOO_TICK_TIME", "0", "environment variable ZOO_TICK_TIME: tickTime=0: must be a whole number"),
        (
            "ZOO_MY_ID",
            "me",
            "environment variable ZOO_MY_ID: ZOO_MY_ID=me: must be a whole number from 0 to 255",
        ),
        ("ZOO_CFG_EXTRA", "skipACL", "environment variable ZOO_CFG_EXTRA: skipACL: must be key=value"),
        (
            "ZOO_CFG_EXTRA",
            "skipAcl=yes",
            "environment variable ZOO_CFG_EXTRA: unknown key skipAcl: did you mean skipACL?",
        ),
        ("ZOO_SERVERS", "server.1=zoo1", "environment variable ZOO_SERVERS: server.1=zoo1: must be host"),
        ("PADDOCK_TICK_MS", "x", "environment variable PADDOCK_TICK_MS: PADDOCK_TICK_MS=x: must be"),
        (
            "PADDOCK_TICK_MSS",
            "1",
            "environment variable PADDOCK_TICK_MSS: unknown key PADDOCK_TICK_MSS: did you mean tick_ms?",
        ),
        (
            "JVMFLAGS",
            "-Dzookeeper.snapcount=5",
            "environment variable JVMFLAGS: unknown key snapcount: did you mean",
        ),
        ("JVMFLAGS", "-Dzookeeper.snapCount=", "environment variable JVMFLAGS: snapCount=: must be"),
        (
            "JVMFLAGS",
            "-Dzookeeper.sessionRequireClientSASLAuth=true",
            "sessionRequireClientSASLAuth=true is refused",
        ),
        ("JVMFLAGS", "-Dreadonlymode.enabled=1", "readonlymode.enabled=1: must be true or false"),
    ] {
        let error_found = Case::bare().env(&[(name, value)]).error();
        assert!(
            error_found.starts_with(error) || error_found.contains(&format!(": {error}")),
            "{error_found}"
        );
    }
}

/// Of a key that no setting holds, the highest layer's value counts too.
#[test]
fn the_file_s_word_replaces_the_system_property_s() {
    let env = [("JVMFLAGS", "-Dzookeeper.sessionRequireClientSASLAuth=true -Dzookeeper.audit.enable=true")];
    let case = Case::zoo("clientPort=1\nsessionRequireClientSASLAuth=false\naudit.enable=false\n").env(&env);
    assert_eq!(case.ok().notes, []);
}

#[test]
fn other_java_flags_are_not_ours() {
    let flags = "-Xmx4g -XX:+UseG1GC -Dcom.sun.management.jmxremote -Djute.maxbuffer=4194304 -Dssl.other=1 -Dkinit \
                 -Dzookeeper.tickTime=1";
    let case = Case::bare().env(&[("SERVER_JVMFLAGS", flags)]);
    let loaded = case.ok();
    assert_eq!((loaded.config.jute_max_buffer, loaded.config.tick_ms), (4_194_304, 2000));
    assert_eq!(
        case.notes(),
        [
            "environment variable SERVER_JVMFLAGS: kinit: not needed: it is read by clients, not by servers",
            "environment variable SERVER_JVMFLAGS: zookeeper.tickTime: warning: no effect here: it is read from the \
             configuration file only, as by ZooKeeper",
        ]
    );
}

#[test]
fn paddock_s_own_variables_and_flags_take_every_setting() {
    for setting in paddock_config::settings::SETTINGS {
        let default = if setting.default.is_empty() { "-" } else { setting.default };
        let sample = match setting.name {
            "server_id" => "7",
            "server_id_offset" => "1",
            "min_session_timeout_ms" => "5000",
            "data_log_dir" | "super_digest" => "text",
            _ if default == "-" && setting.kind == paddock_config::Kind::Bool => "true",
            _ if default == "-" => "100000",
            "client_host" => "127.0.0.2",
            _ => default,
        };
        let sample =
            if setting.name == "client_arbiters" || setting.name == "listen_backlog" { "4" } else { sample };
        let variable = format!("PADDOCK_{}", setting.name.replace('.', "__").to_uppercase());
        let case = Case::bare().env(&[(&variable, sample)]);
        assert_eq!(told(&case, &case.ok(), setting.name).1, format!("environment variable {variable}"));
        let flag = setting.name.replace('_', "-");
        let case = Case::bare().flags(&[(&flag, sample)]);
        assert_eq!(told(&case, &case.ok(), setting.name).1, format!("flag {flag}"));
    }
}

#[test]
fn unknown_names_are_told_variables_or_refused_flags() {
    let case = Case::bare().env(&[
        ("PADDOCK_COLOUR_OF_THE_SHED", "red"),
        ("PADDOCK_CONFIG", "/etc/zoo.cfg"),
        ("PADDOCK_CLIENT_PORT", "tcp://10.0.0.1:2181"),
        ("PADDOCK_PORT_2181_TCP", "tcp://10.0.0.1:2181"),
        ("PADDOCK_TICK_MS", ""),
        ("PATH", "/bin"),
    ]);
    let notes = case.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("environment variable PADDOCK_COLOUR_OF_THE_SHED: "), "{notes:?}");
    let error = Case::bare().flags(&[("colour-of-the-shed", "red")]).error();
    assert!(
        error.starts_with("flag colour-of-the-shed: unknown key colour-of-the-shed; the nearest is"),
        "{error}"
    );
}

#[test]
fn a_member_list_replaces_the_one_below() {
    let case = Case::zoo("server.1=a:1:2;2181\nserver.2=b:1:2;2181\ninitLimit=1\nsyncLimit=1\n")
        .env(&[("PADDOCK_SERVER__7", "c:1:2:participant;2183"), ("PADDOCK_SERVER_ID", "7")]);
    let config = case.ok().config;
    assert_eq!(config.members.servers.keys().map(|id| id.0).collect::<Vec<_>>(), [7]);
    assert_eq!(config.client_addr.map(|addr| addr.port()), Some(2183));
}
