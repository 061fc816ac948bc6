//! Settings that are read and understood, and have no effect in this version: whoever writes one is told.

use paddock_config::{Loaded, Origin};

/// A setting, and what happens instead of what it asks for.
const NOT_YET: &[(&str, &str)] = &[
    ("db_autocreate", "an empty data directory always begins a new history"),
    ("snapshot_trust_empty", "it is for data of a Java server, which cannot be imported yet"),
    ("emulate_353_ttl_nodes", "it is for data of a Java server, which cannot be imported yet"),
    ("tcp_keepalive", "keep-alive is on for every client"),
    ("local_sessions.enabled", "every session is global"),
    ("local_sessions.upgrading", "every session is global"),
    ("read_only_mode_enabled", "a server alone always has its quorum"),
    ("large_request_threshold", "large requests are bounded by jute.maxbuffer alone"),
    ("large_request_max_bytes", "large requests are bounded by jute.maxbuffer alone"),
    ("eager_acl_check", "ACLs are checked by the leader, in the order of the writes"),
    ("log_size_limit_kb", "segments have the size of preAllocSize"),
];

/// A line for each such setting that is written somewhere.
pub(crate) fn remarks(loaded: &Loaded) -> Vec<String> {
    let written = |name: &str| match loaded.origin(name) {
        None | Some(Origin::Default | Origin::Derived(_)) => None,
        Some(origin) => Some(origin.to_string()),
    };
    let remark = |&(name, instead): &(&str, &str)| {
        written(name).map(|origin| format!("{origin}: {name} has no effect yet: {instead}"))
    };
    NOT_YET.iter().filter_map(remark).collect()
}

#[cfg(test)]
mod tests {
    use paddock_config::{Config, Sources};

    use super::*;

    #[test]
    fn only_what_is_written_is_remarked_and_every_row_names_a_setting() {
        let load = |flags: Vec<(String, String)>| {
            Config::load(Sources { file: None, env: [], flags }).expect("a good configuration")
        };
        let defaults = load(vec![]);
        assert_eq!(remarks(&defaults), [""; 0]);
        for (name, _) in NOT_YET {
            assert!(defaults.origin(name).is_some(), "{name} is no setting");
        }
        let loaded = load(vec![("log_size_limit_kb".into(), "1024".into())]);
        assert_eq!(
            remarks(&loaded),
            [
                "flag log_size_limit_kb: log_size_limit_kb has no effect yet: segments have the size of preAllocSize"
            ]
        );
    }
}
