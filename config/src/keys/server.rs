//! Keys that any server has, alone or in an ensemble, and that Paddock acts upon.

use super::{Key, honoured, yes_no};

pub(super) const KEYS: &[Key] = &[
    // Where it listens, where it keeps.
    honoured("clientPort", "client_port", "2181").file_only(),
    honoured("clientPortAddress", "client_host", "127.0.0.2").file_only(),
    honoured("clientPortListenBacklog", "listen_backlog", "128").file_only(),
    honoured("dataDir", "data_dir", "/var/lib/zookeeper").file_only(),
    honoured("dataLogDir", "data_log_dir", "/var/log/zookeeper").file_only(),
    honoured("datadir.autocreate", "datadir_autocreate", "false"),
    honoured("db.autocreate", "db_autocreate", "false"),
    // Sessions and connections.
    honoured("tickTime", "tick_ms", "2000").file_only(),
    honoured("minSessionTimeout", "min_session_timeout_ms", "5000").file_only(),
    honoured("maxSessionTimeout", "max_session_timeout_ms", "50000").file_only(),
    honoured("maxClientCnxns", "max_client_cnxns", "300").file_only(),
    honoured("maxCnxns", "max_cnxns", "5000"),
    honoured("nio.sessionlessCnxnTimeout", "sessionless_timeout_ms", "20000"),
    honoured("clientTcpKeepAlive", "tcp_keepalive", "true"),
    honoured("localSessionsEnabled", "local_sessions.enabled", "true").file_only(),
    honoured("localSessionsUpgradingEnabled", "local_sessions.upgrading", "true").file_only(),
    honoured("readonlymode.enabled", "read_only_mode_enabled", "true"),
    // Requests.
    honoured("jute.maxbuffer", "jute_max_buffer", "0x3fffff"),
    honoured("globalOutstandingLimit", "global_outstanding_limit", "2000"),
    honoured("largeRequestMaxBytes", "large_request_max_bytes", "209715200"),
    honoured("largeRequestThreshold", "large_request_threshold", "524288"),
    honoured("connection_throttle_tokens", "connection_throttle.tokens", "200"),
    honoured("connection_throttle_fill_time", "connection_throttle.fill_time_ms", "10"),
    honoured("connection_throttle_fill_count", "connection_throttle.fill_count", "5"),
    honoured("connection_throttle_weight_enabled", "connection_throttle.weight_enabled", "true"),
    honoured("connection_throttle_global_session_weight", "connection_throttle.global_session_weight", "4"),
    honoured("connection_throttle_local_session_weight", "connection_throttle.local_session_weight", "2"),
    honoured("connection_throttle_renew_session_weight", "connection_throttle.renew_session_weight", "3"),
    honoured("connection_throttle_freeze_time", "connection_throttle.freeze_time_ms", "100"),
    honoured("connection_throttle_drop_increase", "connection_throttle.drop_increase", "0.05"),
    honoured("connection_throttle_drop_decrease", "connection_throttle.drop_decrease", "0.005"),
    honoured("connection_throttle_decrease_ratio", "connection_throttle.decrease_ratio", "0.1"),
    honoured("request_throttle_max_requests", "request_throttle.max_requests", "20000"),
    honoured("request_throttle_stall_time", "request_throttle.stall_time_ms", "50"),
    honoured("throttled_op_wait_time", "request_throttle.op_wait_time_ms", "5000"),
    honoured("request_throttle_drop_stale", "request_throttle.drop_stale", "false"),
    honoured("request_stale_latency_check", "request_throttle.stale_latency_check", "true"),
    // Znodes.
    honoured("extendedTypesEnabled", "extended_types_enabled", "true"),
    honoured("emulate353TTLNodes", "emulate_353_ttl_nodes", "true"),
    honoured("znode.container.checkIntervalMs", "container.check_interval_ms", "30000"),
    honoured("znode.container.maxPerMinute", "container.max_per_minute", "5000"),
    honoured("znode.container.maxNeverUsedIntervalMs", "container.max_never_used_ms", "300000"),
    honoured("enforceQuota", "enforce_quota", "true"),
    // What is on disk.
    honoured("snapCount", "snap_count", "50000"),
    honoured("snapSizeLimitInKb", "snap_size_limit_kb", "1048576"),
    honoured("preAllocSize", "segment_size_kb", "131072"),
    honoured("txnLogSizeLimitInKb", "log_size_limit_kb", "32768"),
    yes_no("forceSync", "force_sync", "no"),
    honoured("fsync.warningthresholdms", "fsync_warning_ms", "500"),
    honoured("digest.enabled", "digest_enabled", "false"),
    honoured("snapshot.trust.empty", "snapshot_trust_empty", "true"),
    honoured("autopurge.snapRetainCount", "autopurge.snap_retain_count", "10").file_only(),
    honoured("autopurge.purgeInterval", "autopurge.interval_hours", "24").file_only(),
    // Paddock's own, in ZooKeeper's style; times in ms.
    honoured("memory.softLimit", "memory.soft_limit", "2GiB"),
    honoured("pidFile", "pid_file", "/run/paddock.pid").file_only(),
    honoured("clientArbiters", "client_arbiters", "2"),
    honoured("serverIdOffset", "server_id_offset", "1"),
    honoured("logSpinUs", "log_spin_us", "50"),
    honoured("epochTxns", "epoch_txns", "1000000"),
    honoured("log.format", "log.format", "json").file_only(), // other Java programs have such properties
    honoured("log.level", "log.level", "debug").file_only(),
    honoured("peerTimeout", "ensemble.peer_timeout_ms", "2000"),
    honoured("parkTime", "ensemble.park_ms", "1000"),
    honoured("linearizableReads", "ensemble.linearizable_reads", "true"),
    // Operators.
    honoured("4lw.commands.whitelist", "four_letter_words", "ruok, srvr"),
    honoured("metricsProvider.className", "metrics.class", PROMETHEUS).file_only(),
    honoured("metricsProvider.httpHost", "metrics.host", "127.0.0.2").file_only(),
    honoured("metricsProvider.httpPort", "metrics.port", "7070").file_only(),
];

const PROMETHEUS: &str = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
