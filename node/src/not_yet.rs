//! Settings that are read and understood, and have no effect in this version: whoever asks by them for
//! anything else than what happens is told.

use paddock_config::{Loaded, Note, NoteKind, Origin};

/// A setting, the value that this version behaves as, and what happens instead of any other.
const NOT_YET: &[(&str, Option<&str>, &str)] = &[
    ("db_autocreate", Some("true"), "an empty data directory always begins a new history"),
    ("snapshot_trust_empty", Some("false"), "it is for data of a Java server, which cannot be imported yet"),
    ("emulate_353_ttl_nodes", Some("false"), "it is for data of a Java server, which cannot be imported yet"),
    ("tcp_keepalive", Some("true"), "keep-alive is on for every client"),
    ("local_sessions.enabled", Some("false"), "every session is global"),
    ("local_sessions.upgrading", Some("false"), "every session is global"),
    ("read_only_mode_enabled", Some("false"), "a server alone always has its quorum"),
    ("large_request_threshold", None, LARGE),
    ("large_request_max_bytes", Some("104857600"), LARGE),
    ("eager_acl_check", Some("false"), "ACLs are checked by the leader, in the order of the writes"),
    ("log_size_limit_kb", None, "segments have the size of preAllocSize"),
];

const LARGE: &str = "large requests are bounded by jute.maxbuffer alone";

/// One for each such setting that asks for what is not there.
pub(crate) fn notes(loaded: &Loaded) -> Vec<Note> {
    let note = |&(name, behaves_as, instead): &(&str, Option<&str>, &str)| {
        let found = loaded.origins.iter().find(|effective| effective.name == name)?;
        let is_written = !matches!(found.origin, Origin::Default | Origin::Derived(_));
        (is_written && found.value.as_deref() != behaves_as).then(|| Note {
            kind: NoteKind::NotYet,
            key: name.to_owned(),
            at: found.origin.clone(),
            effect: instead.to_owned(),
        })
    };
    NOT_YET.iter().filter_map(note).collect()
}

#[cfg(test)]
mod tests {
    use paddock_config::{Config, Sources};

    use super::*;

    fn told(flags: &[(&str, &str)]) -> Vec<String> {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = Config::load(Sources { file: None, env: [], flags }).expect("a good configuration");
        notes(&loaded).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_who_asks_for_what_is_not_there_is_told_and_every_row_names_a_setting() {
        assert_eq!(told(&[]), [""; 0]);
        for (name, behaves_as, instead) in NOT_YET {
            let same = behaves_as.unwrap_or("-1");
            assert_eq!(told(&[(name, same)]), [""; 0], "{name}={same} is what happens");
            let other = if same == "true" {
                "false"
            } else if same == "false" {
                "true"
            } else {
                "1024"
            };
            assert_eq!(
                told(&[(name, other)]),
                [format!("flag {name}: {name}: not yet supported: {instead}")],
                "{name}={other}"
            );
        }
    }
}
