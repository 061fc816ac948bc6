use super::*;

/// `session what begin-end`, where what is `set value=version`, `set value?` (no answer), `cas value@expected` and
/// then the same or `!` (refused), `get value=version`, or `sync value=version`.
fn op(text: &str) -> Op {
    let words: Vec<_> = text.split(' ').collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let (begin, end) = words[3].split_once('-').unwrap();
    let span = Span { begin: number(begin), end: number(end) };
    let (subject, told) = match words[2].split_once('=') {
        Some((subject, version)) => (subject, Some(version.parse().unwrap())),
        None => (words[2].trim_end_matches(['?', '!']), None),
    };
    let (value, expected) = subject.split_once('@').unwrap_or((subject, "-1"));
    let value = number(value);
    let what = match words[1] {
        "get" => What::Read,
        "sync" => What::SyncedRead,
        _ => What::Set { expected: expected.parse().unwrap() },
    };
    let told = match told {
        Some(version) => Told::Done { version, value },
        None if words[2].ends_with('!') => Told::BadVersion,
        None => Told::Nothing,
    };
    Op { session: number(words[0]) as i64, what, value, span, told }
}

fn found(ops: &[&str], last: (i32, u64)) -> Vec<String> {
    judge(&ops.iter().map(|text| op(text)).collect::<Vec<_>>(), last)
}

#[test]
fn what_may_be_is_accepted() {
    for (name, ops, last) in [
        ("one after the other", &["1 set 7=1 0-1", "2 sync 7=1 2-3", "2 set 8=2 4-5"][..], (2, 8)),
        ("a stale plain read", &["1 set 7=1 0-1", "2 get 0=0 2-3"], (1, 7)),
        ("at once", &["1 set 7=2 0-9", "2 set 8=1 1-8", "3 sync 8=1 2-3"], (2, 7)),
        ("no answer, no effect", &["1 set 7? 0-1", "2 set 8=1 2-3"], (1, 8)),
        ("no answer, seen", &["1 set 7? 0-1", "2 sync 7=1 2-3"], (1, 7)),
        ("no answer, late", &["1 set 7? 0-1", "2 sync 0=0 2-3", "2 sync 7=1 4-5"], (1, 7)),
        ("no answer, overwritten unseen", &["1 set 7? 0-1", "2 set 8=2 2-3"], (2, 8)),
        ("refused", &["1 set 7=1 0-1", "2 cas 8@0! 2-3", "2 cas 9@1=2 4-5"], (2, 9)),
        ("refused for one at once", &["1 set 7=1 2-5", "2 cas 8@0! 3-4"], (1, 7)),
    ] {
        assert_eq!(found(ops, last), [""; 0], "{name}");
    }
}

#[test]
fn what_must_not_be_is_found() {
    for (name, ops, last, expected) in [
        ("a lost update", &["1 set 7=1 0-1", "2 set 8=1 2-3"][..], (1, 8), "two made version 1"),
        ("a lost last update", &["1 set 7=1 0-1", "2 set 8=2 2-3"], (1, 7), "lost, the last version is 1"),
        ("all is lost", &["1 set 7=1 0-1"], (0, 0), "lost, the last version is 0"),
        ("a stale read behind a sync", &["1 set 7=1 0-1", "2 sync 0=0 2-3"], (1, 7), "ended before"),
        ("reordered", &["1 set 7=2 0-1", "2 set 8=1 2-3"], (2, 7), "ended before"),
        ("read before it was set", &["2 sync 7=1 0-1", "1 set 7? 2-3"], (1, 7), "ended before"),
        ("a value nobody set", &["1 sync 7=1 0-1"], (1, 7), "which nobody set"),
        ("refused, and there", &["1 cas 7@0! 0-1"], (1, 7), "which nobody set"),
        ("refused for no reason", &["1 cas 7@0! 0-1", "1 set 8=1 2-3"], (1, 8), "ended before"),
        ("another than it expected", &["1 set 7=1 0-1", "1 cas 8@0=2 2-3"], (2, 8), "was not what it"),
        ("so without an answer", &["1 set 7=1 0-1", "1 cas 8@0? 2-3"], (2, 8), "took effect as version 2"),
        ("set twice", &["1 set 7? 0-1", "2 set 8=2 2-3", "2 sync 7=1 4-5"], (3, 7), "was set twice"),
        (
            "a version of two values",
            &["1 set 7? 0-1", "2 set 8=1 0-1", "2 get 7=1 4-5"],
            (1, 8),
            "version 1 was",
        ),
        ("a version from nowhere", &["2 set 8=2 2-3"], (2, 8), "nobody can have made version 1"),
        ("made too late", &["2 set 8=2 2-3", "1 set 7? 4-5"], (2, 8), "nobody can have made version 1"),
        ("one for two", &["1 set 7? 0-1", "2 set 8=3 2-3"], (3, 8), "nobody can have made version 2"),
        (
            "a session goes back",
            &["1 set 7=1 0-1", "1 get 0=0 2-3"],
            (1, 7),
            "its session had seen version 1",
        ),
    ] {
        let found = found(ops, last);
        assert!(found.iter().any(|one| one.contains(expected)), "{name}: {found:#?}");
    }
}
