//! Every setting by Paddock's own name: what it takes, and what holds when nobody sets it.
//!
//! The names are those of [`Config`](crate::Config)'s fields, a dot for each step: TOML files,
//! `PADDOCK_` variables and flags use them, and `zoo.cfg`'s keys are mapped to them.
//!
//! - CS1  Each setting is one field of `Config`, and each field one setting.
//! - CS2  Each default is a value its own kind takes.

use crate::kind::Kind;

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, in `snake_case`, with dots.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value without a configuration file; empty for none.
    pub default: &'static str,
    /// Its value with a file that does not mention it; empty for none.
    pub with_file: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default, with_file: default }
}

impl Setting {
    const fn with_file(mut self, default: &'static str) -> Self {
        self.with_file = default;
        self
    }
}

/// The words that tell and change nothing: answered unless the file says otherwise.
const SAFE_WORDS: &str = "srvr,stat,ruok,mntr,conf,isro,envi,wchs";
const DAY_MS: i64 = 86_400_000;
const I32: i64 = i32::MAX as i64;
const MAX_WEIGHT: i64 = 1_000;

use Kind::{
    Bool, Choice, ChoiceOnly, Hours, Int, IntOrDefault, IntOrOff, Levels, Limit, Secret, Text, Words,
};

/// All of them, in the order of the report.
pub const SETTINGS: &[Setting] = &[
    setting("server_id", Int(0, 255), ""),
    setting("server_id_offset", Int(0, 255), ""),
    // Where it listens, where it keeps.
    setting("client_host", Text, "127.0.0.1").with_file("0.0.0.0"),
    setting("client_port", Int(0, 65_535), "2181").with_file(""),
    setting("data_dir", Text, "./data").with_file(""),
    setting("data_log_dir", Text, ""),
    setting("pid_file", Text, ""),
    setting("datadir_autocreate", Bool, "true"),
    setting("db_autocreate", Bool, "true"),
    // Sessions and connections.
    setting("tick_ms", Int(1, DAY_MS), "2000").with_file("3000"),
    setting("min_session_timeout_ms", IntOrDefault(1, I32), ""),
    setting("max_session_timeout_ms", IntOrDefault(1, I32), ""),
    setting("sessionless_timeout_ms", Int(1, DAY_MS), "10000"),
    setting("max_client_cnxns", Limit(I32), "60"),
    setting("max_cnxns", Limit(I32), "0"),
    setting("listen_backlog", IntOrDefault(1, 65_535), ""),
    setting("tcp_keepalive", Bool, "false"),
    setting("local_sessions.enabled", Bool, "false"),
    setting("local_sessions.upgrading", Bool, "false"),
    setting("read_only_mode_enabled", Bool, "false"),
    // Requests.
    setting("jute_max_buffer", Int(1_024, 1 << 30), "1048575"),
    setting("global_outstanding_limit", Int(1, I32), "1000"),
    setting("large_request_max_bytes", Int(1, 1 << 40), "104857600"),
    setting("large_request_threshold", IntOrOff(I32), "-1"),
    setting("request_throttle.max_requests", Limit(I32), "0"),
    setting("request_throttle.stall_time_ms", Int(1, DAY_MS), "100"),
    setting("request_throttle.op_wait_time_ms", Limit(I32), "0"),
    setting("request_throttle.drop_stale", Bool, "true"),
    setting("request_throttle.stale_latency_check", Bool, "false"),
    setting("connection_throttle.tokens", Int(0, I32), "0"),
    setting("connection_throttle.fill_time_ms", Int(1, DAY_MS), "1"),
    setting("connection_throttle.fill_count", Int(1, I32), "1"),
    setting("connection_throttle.weight_enabled", Bool, "false"),
    setting("connection_throttle.global_session_weight", Int(1, MAX_WEIGHT), "3"),
    setting("connection_throttle.local_session_weight", Int(1, MAX_WEIGHT), "1"),
    setting("connection_throttle.renew_session_weight", Int(1, MAX_WEIGHT), "2"),
    setting("connection_throttle.freeze_time_ms", IntOrDefault(0, I32), "-1"),
    setting("connection_throttle.drop_increase", Kind::Fraction, "0.02"),
    setting("connection_throttle.drop_decrease", Kind::Fraction, "0.002"),
    setting("connection_throttle.decrease_ratio", Kind::Fraction, "0"),
    // Znodes.
    setting("extended_types_enabled", Bool, "true").with_file("false"),
    setting("emulate_353_ttl_nodes", Bool, "false"),
    setting("container.check_interval_ms", Int(1, DAY_MS), "60000"),
    setting("container.max_per_minute", Int(1, I32), "10000"),
    setting("container.max_never_used_ms", Int(0, I32), "0"),
    setting("enforce_quota", Bool, "false"),
    // Who may do what.
    setting("skip_acl", Bool, "false"),
    setting("eager_acl_check", Bool, "false"),
    setting("enforce_auth.enabled", Bool, "false"),
    setting("enforce_auth.schemes", Text, ""),
    setting("ensemble_auth_names", Text, ""),
    setting("digest_auth.enabled", Bool, "true"),
    setting("digest_auth.algorithm", ChoiceOnly(HASHES, NO_OTHER_HASH), "sha1"),
    setting("super_digest", Secret, ""),
    // What is on disk.
    setting("snap_count", Int(2, I32), "100000"),
    setting("snap_size_limit_kb", IntOrOff(1 << 40), "4194304"),
    setting("segment_size_kb", Int(64, 4_194_304), "65536"),
    setting("log_size_limit_kb", IntOrOff(4_194_304), "-1"),
    setting("force_sync", Bool, "true"),
    setting("fsync_warning_ms", Int(0, DAY_MS), "1000"),
    setting("log_spin_us", Int(0, 1_000), "100"),
    setting("epoch_txns", Int(1, 0xFFFF_0000), "4294901760"),
    setting("digest_enabled", Bool, "true"),
    setting("snapshot_trust_empty", Bool, "false"),
    setting("autopurge.snap_retain_count", Int(0, I32), "3"),
    setting("autopurge.interval_hours", Hours(87_600), "1"),
    // Operators.
    setting("four_letter_words", Words, SAFE_WORDS),
    setting("metrics.class", Choice(METRICS), "default"),
    setting("metrics.host", Text, "127.0.0.1").with_file("0.0.0.0"),
    setting("metrics.port", Int(0, 65_535), "7000"),
    setting("log.format", Choice(&[("text", &[]), ("json", &[])]), "text"),
    setting("log.level", Levels, "info"),
    // The machine.
    setting("client_arbiters", Int(0, 1_024), ""),
    setting("memory.soft_limit", Kind::Memory, "80%"),
    // Other members.
    setting("ensemble.init_limit", Int(1, I32), "10"),
    setting("ensemble.sync_limit", Int(1, I32), "5"),
    setting("ensemble.peer_timeout_ms", Int(10, I32), ""),
    setting("ensemble.park_ms", Int(0, I32), "2000"),
    setting("ensemble.linearizable_reads", Bool, "false"),
    setting("ensemble.standalone", Bool, "true"),
    setting("ensemble.reconfig", Bool, ""),
    setting("ensemble.leader_serves", Bool, "true"),
    setting("ensemble.listen_on_all_ips", Bool, "false"),
    setting("ensemble.multi_address", Bool, "false"),
    setting("ensemble.observer_sync", Bool, "true"),
    setting("ensemble.peer_type", Choice(&[("participant", &[]), ("observer", &[])]), "participant"),
    setting("ensemble.snapshot_size_factor", Kind::Share, "0.33"),
];

/// By the names of Java's MessageDigest.
const HASHES: &[(&str, &[&str])] = &[
    ("sha1", &["SHA-1", "SHA"]),
    ("sha224", &["SHA-224"]),
    ("sha256", &["SHA-256"]),
    ("sha384", &["SHA-384"]),
    ("sha512", &["SHA-512"]),
    ("sha512_224", &["SHA-512/224", "SHA512/224"]),
    ("sha512_256", &["SHA-512/256", "SHA512/256"]),
    ("sha3_224", &["SHA3-224"]),
    ("sha3_256", &["SHA3-256"]),
    ("sha3_384", &["SHA3-384"]),
    ("sha3_512", &["SHA3-512"]),
];
const NO_OTHER_HASH: &str = "MD2 and MD5 are broken, and those of other providers, such as BouncyCastle, cannot be \
                             loaded here; ACL entries by another hash match nobody";

const METRICS: &[(&str, &[&str])] = &[
    ("default", &["org.apache.zookeeper.metrics.impl.DefaultMetricsProvider"]),
    ("prometheus", &["org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"]),
    ("none", &["org.apache.zookeeper.metrics.impl.NullMetricsProvider"]),
];

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_are_values() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..at].iter().all(|other| other.name != setting.name), "{} twice", setting.name);
            assert_eq!(setting.name, setting.name.to_lowercase(), "config-rs folds case");
            for default in [setting.default, setting.with_file] {
                // CF2.
                assert!(
                    default.is_empty() || setting.kind.read(default).is_some(),
                    "{}={default}",
                    setting.name
                );
            }
        }
    }
}
