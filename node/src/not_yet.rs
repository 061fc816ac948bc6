//! Settings that are read and understood, and come to something else in this version: whoever asks by them
//! for anything else than what happens is told.

use paddock_config::keys::key_of;
use paddock_config::{Loaded, Note, NoteKind, Origin};

/// A setting that alone does nothing.
struct Row {
    name: &'static str,
    /// The value that this version behaves as, whatever is written; `None` for none.
    behaves_as: Option<&'static str>,
    /// Whether something is missing.
    kind: NoteKind,
    /// What happens instead of what another value asks for.
    instead: &'static str,
}

const fn not_yet(name: &'static str, behaves_as: Option<&'static str>, instead: &'static str) -> Row {
    Row { name, behaves_as, kind: NoteKind::NotYet, instead }
}

const NO_EFFECT: &[Row] = &[
    not_yet("snapshot_trust_empty", Some("false"), JAVA_DATA),
    not_yet(
        "emulate_353_ttl_nodes",
        Some("false"),
        "TTL znodes in the form of ZooKeeper 3.5.3 come with its data only, which cannot be imported yet; where there are \
         none, it would have the ephemeral znodes of servers with ids from 128 taken for TTL znodes",
    ),
    not_yet("tcp_keepalive", Some("true"), "keep-alive is on for every client"),
    not_yet("ensemble.leader_serves", Some("true"), "the leader serves clients as every member does"),
    not_yet("ensemble.observer_sync", Some("true"), "observers log and take snapshots as voters do"),
    Row {
        name: "digest_enabled",
        behaves_as: Some("true"),
        kind: NoteKind::NotNeeded,
        instead: "the tree's digest is always kept, for one CRC-32 a change: each snapshot is checked by it",
    },
];

const JAVA_DATA: &str = "it is for data of a Java server, which cannot be imported yet";

/// One for each such setting that asks for what does not happen.
pub(crate) fn notes(loaded: &Loaded) -> Vec<Note> {
    let note = |row: &Row| {
        let (at, value) = written(loaded, row.name)?;
        let asks = value != row.behaves_as;
        asks.then(|| Note {
            kind: row.kind,
            key: spelling(row.name, at),
            at: at.clone(),
            effect: row.instead.into(),
        })
    };
    NO_EFFECT.iter().filter_map(note).chain(raised_segment(loaded)).collect()
}

/// Where a setting is written, if it is, and its value.
fn written<'a>(loaded: &'a Loaded, name: &str) -> Option<(&'a Origin, Option<&'a str>)> {
    let found = loaded.origins.iter().find(|effective| effective.name == name)?;
    let is_written = !matches!(found.origin, Origin::Default | Origin::Derived(_));
    is_written.then_some((&found.origin, found.value.as_deref()))
}

/// The setting as whoever wrote it knows it.
fn spelling(name: &str, at: &Origin) -> String {
    let is_zoo_cfg =
        matches!(at, Origin::File { path, .. } if path.extension().is_none_or(|it| it != "toml"));
    key_of(name).filter(|_| is_zoo_cfg).unwrap_or(name).to_owned()
}

/// A file of the log that is asked to be smaller than it can.
fn raised_segment(loaded: &Loaded) -> Option<Note> {
    let config = &loaded.config;
    let effective_kb = paddock::segment_bytes(config) >> 10;
    let (name, asked_kb) = match config.log_size_limit_kb {
        Some(limit) if limit < config.segment_size_kb => ("log_size_limit_kb", limit),
        _ => ("segment_size_kb", config.segment_size_kb),
    };
    let (at, _) = written(loaded, name).filter(|_| u64::from(asked_kb) < effective_kb)?;
    let effect = format!(
        "raised to {effective_kb} KiB: a file of the log has room for all that may be in flight, which follows from \
         jute.maxbuffer"
    );
    Some(Note { kind: NoteKind::Warning, key: spelling(name, at), at: at.clone(), effect })
}

#[cfg(test)]
mod tests {
    use paddock_config::{Config, Sources};

    use super::*;

    fn loaded(flags: &[(&str, &str)]) -> Loaded {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Sources { file: None, like_file: false, env: [], flags }).expect("a good configuration")
    }

    fn told(flags: &[(&str, &str)]) -> Vec<String> {
        notes(&loaded(flags)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_who_asks_for_what_is_not_there_is_told_and_every_row_names_a_setting() {
        assert_eq!(told(&[]), [""; 0]);
        for Row { name, behaves_as, instead, .. } in NO_EFFECT {
            let same = behaves_as.unwrap_or("-1");
            assert_eq!(told(&[(name, same)]), [""; 0], "{name}={same} is what happens");
            let other = if same == "true" {
                "false"
            } else if same == "false" {
                "true"
            } else {
                "1024"
            };
            let all = told(&[(name, other)]);
            assert_eq!(all.len(), 1, "{name}={other}: {all:?}");
            assert!(all[0].starts_with(&format!("flag {name}: {name}: not ")), "{all:?}");
            assert!(all[0].ends_with(instead), "{all:?}");
        }
    }

    #[test]
    fn a_note_names_what_is_written_in_the_file() {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        for (file, text, says) in [
            ("zoo.cfg", "clientPort=2181\nleaderServes=no\ndataDir=d\n", ":2: leaderServes: not yet"),
            (
                "a.toml",
                "data_dir = \"d\"\n[ensemble]\nleader_serves = false\n",
                ":3: ensemble.leader_serves: not yet",
            ),
        ] {
            let path = dir.path().join(file);
            std::fs::write(&path, text).expect("the temporary directory is writable");
            let loaded = Config::load(Sources {
                file: Some(path),
                like_file: false,
                env: [],
                flags: [] as [(String, String); 0],
            });
            let all: Vec<_> =
                notes(&loaded.expect("a good configuration")).iter().map(ToString::to_string).collect();
            assert!(all.len() == 1 && all[0].contains(says), "{all:?}");
        }
    }

    #[test]
    fn the_smaller_of_two_sizes_is_a_segment_s_and_too_small_a_one_is_raised_and_told() {
        const ROOM_KB: u64 = 16 << 10; // with jute.maxbuffer as it is
        for (segment, limit, kb, says) in [
            ("65536", "-1", 65_536, ""),
            ("65536", "32768", 32_768, ""),
            ("65536", "131072", 65_536, ""),
            ("65536", "1024", ROOM_KB, "log_size_limit_kb: warning: raised to 16384 KiB"),
            ("64", "-1", ROOM_KB, "segment_size_kb: warning: raised to 16384 KiB"),
            ("64", "1024", ROOM_KB, "segment_size_kb: warning: raised to 16384 KiB"),
        ] {
            let flags = [("segment_size_kb", segment), ("log_size_limit_kb", limit)];
            assert_eq!(paddock::segment_bytes(&loaded(&flags).config) >> 10, kb, "{segment}, {limit}");
            let all = told(&flags);
            assert_eq!(all.len(), usize::from(!says.is_empty()), "{all:?}");
            assert!(all.iter().all(|line| line.contains(says)), "{all:?}");
        }
    }
}
