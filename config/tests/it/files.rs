//! Files as they are found in the world, and TOML.

use paddock_config::keys;
use paddock_config::{MemoryLimit, MetricsClass, NoteKind, PeerType};

use proptest::prelude::*;

use crate::{Case, told};

/// `zoo_sample.cfg`, as shipped with ZooKeeper 3.9 (comments shortened).
const SAMPLE: &str = "# The number of milliseconds of each tick
tickTime=2000
# The number of ticks that the initial
# synchronization phase can take
initLimit=10
syncLimit=5
# do not use /tmp for storage, /tmp here is just
# example sakes.
dataDir=DIR
clientPort=2181
#maxClientCnxns=60
#autopurge.snapRetainCount=3
#autopurge.purgeInterval=1

## Metrics Providers
#
# https://prometheus.io Metrics Exporter
#metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
#metricsProvider.httpHost=0.0.0.0
#metricsProvider.httpPort=7000
#metricsProvider.exportJvmInfo=true
";

#[test]
fn the_sample_file_runs_without_a_remark() {
    let config = {
        let loaded = Case::file("zoo.cfg", SAMPLE).ok();
        assert_eq!(loaded.notes, []);
        loaded.config
    };
    assert_eq!(config.client_addr.map(|addr| addr.to_string()), Some("0.0.0.0:2181".to_owned()));
    assert_eq!(
        (config.tick_ms, config.min_session_timeout_ms, config.max_session_timeout_ms),
        (2000, 4000, 40000)
    );
    assert_eq!((config.autopurge.snap_retain_count, config.autopurge.interval_hours), (3, 1));
    assert!(!config.is_distributed());
}

/// An ensemble as a well-kept installation writes it: Windows line ends, blanks, continuation, Prometheus.
#[test]
fn an_ensemble_s_file_is_read_whole() {
    let text = "! ours\r\ntickTime = 2000\r\ndataDir = DIR\r\ndataLogDir: /var/lib/zk-log\r\nclientPort 2181\r\n\
        initLimit=10\r\nsyncLimit=5\r\nmaxClientCnxns=0\r\nautopurge.snapRetainCount=5\r\nautopurge.purgeInterval=0\r\n\
        4lw.commands.whitelist=mntr, \\\r\n    conf, ruok\r\nserver.1=zoo1.example.com:2888:3888\r\n\
        server.2=zoo2.example.com:2888:3888\r\nserver.3=[2001:db8::3]:2888:3888\r\n\
        server.4=zoo4.example.com:2888:3888:observer\r\n\
        metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\r\n\
        metricsProvider.httpPort=7070\r\nmetricsProvider.exportJvmInfo=true\r\nadmin.enableServer=false\r\n\
        jute.maxbuffer=0x400000\r\nleaderServes=no\r\nDigestAuthenticationProvider.superDigest=super:xQJmx=\r\n";
    let case = Case::file("zoo.cfg", text);
    case.write("myid", "3\n");
    let loaded = case.ok();
    let config = &loaded.config;
    assert_eq!(config.server_id.map(|id| id.0), Some(3));
    assert_eq!(config.log_dir().to_str(), Some("/var/lib/zk-log"));
    assert_eq!(config.members.voters().len(), 3);
    assert_eq!(config.members.servers.values().filter(|server| server.role == PeerType::Observer).count(), 1);
    assert_eq!(
        config.four_letter_words.iter().map(String::as_str).collect::<Vec<_>>(),
        ["conf", "mntr", "ruok"]
    );
    assert_eq!((config.metrics.class, config.metrics.port), (MetricsClass::Prometheus, 7070));
    assert_eq!(config.jute_max_buffer, 1 << 22);
    assert_eq!((config.autopurge.interval_hours, config.autopurge.snap_retain_count), (0, 5));
    assert_eq!(config.super_digest.as_ref().map(paddock_config::Secret::reveal), Some("super:xQJmx="));
    assert!(!config.ensemble.leader_serves && config.is_distributed());
    assert_eq!(told(&case, &loaded, "four_letter_words").1, "zoo.cfg:11");
    let kinds: Vec<_> = loaded.notes.iter().map(|note| (note.key.as_str(), note.kind)).collect();
    assert_eq!(kinds, [("metricsProvider.exportJvmInfo", NoteKind::NotNeeded)]);
}

/// A dynamic file, as ZooKeeper writes it after a reconfig.
#[test]
fn a_dynamic_file_holds_the_members_and_their_version() {
    let case = Case::zoo(
        "initLimit=1\nsyncLimit=1\nreconfigEnabled=true\ndynamicConfigFile=DIR/zoo.cfg.dynamic.1f\n",
    );
    case.write(
        "zoo.cfg.dynamic.1f",
        "server.1=a:1:2:participant;2181\nserver.2=b:1:2:participant;127.0.0.1:2182",
    );
    case.write("myid", "2");
    let loaded = case.ok();
    assert_eq!(loaded.config.members.version, 0x1f);
    assert_eq!(loaded.config.client_addr.map(|addr| addr.to_string()), Some("127.0.0.1:2182".to_owned()));
    assert_eq!(loaded.config.ensemble.reconfig, Some(true));
    for name in ["server.2", "client_addr"] {
        assert_eq!(told(&case, &loaded, name).1, "zoo.cfg.dynamic.1f:2", "{name}");
    }
    for (text, error) in [
        ("server.1=a:1:2\nversion=1f\n", "zoo.cfg.dynamic.1f:2: a dynamic file has no version line"),
        (
            "server.1=a:1:2\ntickTime=1\n",
            "zoo.cfg.dynamic.1f:2: unknown key tickTime; the nearest is server.<id>",
        ),
        ("server.1=a:1\n", "zoo.cfg.dynamic.1f:1: server.1=a:1: must be host"),
    ] {
        case.write("zoo.cfg.dynamic.1f", text);
        assert!(case.error().contains(error), "{}", case.error());
    }
}

#[test]
fn latin_1_is_read_where_utf_8_is_not_written() {
    let case = Case::zoo("clientPort=1\n");
    let path = case.dir.path().join("zoo.cfg");
    let mut bytes = std::fs::read(&path).expect("written");
    bytes.extend(b"# caf\xe9\ndataLogDir=/\xe9\n");
    std::fs::write(&path, bytes).expect("writable");
    assert_eq!(case.ok().config.log_dir().to_str(), Some("/é"));
}

const TOML: &str = "# Paddock's own
client_port = 2_181
client_host = \"127.0.0.1\"
data_dir = \"DIR\"
tick_ms = 0x3e8
four_letter_words = [\"ruok\", \"stat\"]
max_client_cnxns = 0

[autopurge]
interval_hours = \"2d\"

[memory]
soft_limit = \"512MiB\"

[log]
format = \"json\"
level = \"warn,paddock=debug\"

[server]
1 = \"zoo1:2888:3888;2181\"
";

#[test]
fn toml_has_the_settings_own_names() {
    for name in ["paddock.toml", "paddock"] {
        let case = Case::file(name, TOML);
        let loaded = case.ok();
        let config = &loaded.config;
        assert_eq!((config.tick_ms, config.max_client_cnxns, config.autopurge.interval_hours), (1000, 0, 48));
        assert_eq!(config.memory.soft_limit, Some(MemoryLimit::Bytes(512 << 20)));
        assert_eq!(config.four_letter_words.len(), 2);
        assert_eq!(config.members.servers.len(), 1);
        for (setting, line) in
            [("client_port", 2), ("four_letter_words", 6), ("autopurge.interval_hours", 10), ("server.1", 20)]
        {
            assert_eq!(told(&case, &loaded, setting).1, format!("{name}:{line}"), "{setting}");
        }
    }
}

#[test]
fn toml_errors_name_line_and_key() {
    for (text, error) in [
        ("tick_mss = 1", "p.toml:2: unknown key tick_mss: did you mean tick_ms?"),
        (
            "[autopurge]\nsnap_retain = 3",
            "p.toml:3: unknown key autopurge.snap_retain; the nearest is autopurge.snap",
        ),
        ("tickTime = 2000", "p.toml:2: unknown key tickTime: did you mean tick_ms?"),
        ("colour = \"red\"", "p.toml:2: unknown key colour; the nearest is"),
        ("tick_ms = 0", "p.toml:2: tick_ms=0: must be a whole number from 1 to 86400000"),
        ("tick_ms = true", "p.toml:2: tick_ms=true: must be a whole number"),
        ("skip_acl = \"yes\"", "p.toml:2: skip_acl=yes: must be true or false"),
        ("tick_ms = 1.5", "p.toml:2: tick_ms=1.5: must be"),
        ("tick_ms = 1979-05-27", "p.toml:2: tick_ms=(datetime): must be a string, a number"),
        ("four_letter_words = [1, 2]", "p.toml:2: four_letter_words=(array): must be"),
        ("tick_ms = 1\ntick_ms = 2", "p.toml:3: "),
        ("tick_ms = ", "p.toml:2: "),
    ] {
        let found = Case::file("p.toml", &format!("data_dir = \"DIR\"\n{text}\n")).error();
        assert!(found.contains(error), "{text}: {found}");
    }
}

#[test]
fn the_name_s_ending_decides_before_the_content() {
    let config = Case::file("odd.cfg", "dataDir=DIR\nclientPort=1\n[section]\n").ok();
    assert!(config.notes.iter().any(|note| note.key == "[section]" && note.kind == NoteKind::Unknown));
    let config = Case::file("zookeeper", "# no ending\ndataDir=DIR\nclientPort=7\n").ok().config;
    assert_eq!(config.client_addr.map(|addr| addr.port()), Some(7));
}

/// A line with a key that exists and a value that may be anything. Host names are left out: they
/// would be looked up.
fn any_line() -> impl Strategy<Value = String> {
    let names: Vec<_> = keys::all().map(|row| row.name).filter(|name| *name != "clientPortAddress").collect();
    let key = proptest::sample::select(names).prop_map(|name| name.replace('*', "1"));
    let value = prop_oneof!["-?[0-9]{1,20}", "true|false|yes|no", "[a-c:;|\\[\\]0-9]{0,20}", "\\PC{0,20}"];
    (key, value).prop_map(|(key, value)| format!("{key}={value}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a file says, it is a configuration or an error that names a file.
    #[test]
    fn no_file_makes_the_loader_panic(lines in proptest::collection::vec(any_line(), 0..12)) {
        let case = Case::zoo(&lines.join("\n"));
        if let Err(error) = case.load() {
            for error in error.all() {
                let told = case.relative(&error.to_string());
                prop_assert!(told.contains("zoo.cfg") || told.contains("cannot be read"), "{told}");
            }
        }
    }
}
