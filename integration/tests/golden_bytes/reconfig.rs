//! What a reconfig makes of a configuration, by Apache's servers and by ours. Not compared: what the quorum, the
//! version and the asker decide, which is recorded for those that look at them; and two reconfigs at once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use paddock_config::Members;
use paddock_config::reconfig::{Change, Rules};
use paddock_integration::golden::reconfig::{Recording, Told, read, record, split_version, write};
use paddock_messages::error_code::ErrorCode as E;

/// As the servers are set that were recorded.
const RULES: Rules = Rules { standalone_enabled: true, multi_address: false };
/// Decided once it is known what it would become.
const DECIDED_BEHIND: [E; 2] = [E::NewConfigNoQuorum, E::NoAuth];

/// Who is told something else, what, and why: an error, or nothing where it is done.
const OTHERWISE: &[(&str, Option<E>, &str)] = &[
    ("IPv6", None, "ours keeps an address as it was written, Java's writes all of its groups"),
    ("a port for TLS", None, "a third part is what later ZooKeepers have"),
    ("blanks behind", None, "as in a file of ours"),
    ("a port beyond 65535", Some(E::BadArguments), "it was read, and is bad"),
    ("a stranger in a group", Some(E::BadArguments), "it was read, and is bad; Java's server fails"),
    ("an id above 255", Some(E::BadArguments), "a session's number has a byte for it"),
    ("a negative id", Some(E::BadArguments), "a session's number has a byte for it"),
    ("port 0", Some(E::BadArguments), "nobody could connect"),
    ("a blank in a host", Some(E::BadArguments), "no name has one"),
    ("a client's address without a host", Some(E::BadArguments), "Java's server takes localhost then"),
    (
        "names that lead nowhere",
        Some(E::BadArguments),
        "Java looks up names, and compares none that it cannot",
    ),
];

fn path() -> PathBuf {
    super::path().with_file_name("java-3.9-reconfig.txt")
}

/// The recording, made anew first if asked for.
pub(super) fn recording() -> Recording {
    static RECORDED: std::sync::Once = std::sync::Once::new();
    RECORDED.call_once(|| {
        if std::env::var("GOLDEN").as_deref() == Ok("record") {
            let dir = tempfile::tempdir().expect("TMPDIR is writable");
            let recording = record(dir.path()).expect("Apache's servers answer");
            let text = write(&recording);
            assert_eq!(read(&text), recording, "the file holds all that was seen");
            std::fs::write(path(), text).expect("the recording can be written");
        }
    });
    read(&std::fs::read_to_string(path()).expect("the recording is there"))
}

/// As Java prints it, and read again.
fn members(text: &str) -> Members {
    Members::read(split_version(text).0).expect("ours reads what Java prints")
}

/// What a row of the recording means for ours: the lines it must become, `None` for any, or the error.
fn expected(told: &Told) -> Result<Option<&str>, E> {
    match told {
        Told::Becomes(text) => Ok(Some(split_version(text).0)),
        Told::Refused(code) => match E::from_code(*code).expect("a code that is known") {
            code if DECIDED_BEHIND.contains(&code) => Ok(None),
            code => Err(code),
        },
    }
}

#[test]
fn u4_a_reconfig_makes_of_a_configuration_what_it_does_at_apache_s() {
    let Recording { first, cases } = recording();
    let (mut now, mut faults, mut otherwise) = (first, Vec::new(), BTreeSet::new());
    for (ask, told) in &cases {
        let change = ask.change();
        let before = match change {
            Change::Incremental { .. } => members(&now),
            Change::Full { .. } => Members::default(), // of those before nothing is asked
        };
        if let Told::Becomes(text) = told {
            now.clone_from(text);
        }
        let expected = expected(told);
        if expected == Err(E::BadVersion) {
            continue; // looked at before all else
        }
        let ours = before.changed(&change, RULES);
        let (text, code) = match &ours {
            Ok(ours) => (Some(ours.to_string()), None),
            Err(why) => (None, Some(why.code())),
        };
        let same = expected.err() == code
            && expected.ok().flatten().is_none_or(|java| text.as_deref() == Some(java));
        let known = OTHERWISE.iter().find(|(name, ..)| *name == ask.name);
        otherwise.extend(known.map(|(name, ..)| *name));
        if known.map_or(!same, |(_, known, _)| same || *known != code) {
            faults.push(format!("{ask:?}\n  ours {ours:?}\n  Java's {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(otherwise.len(), OTHERWISE.len(), "who is told something else was asked");
}
