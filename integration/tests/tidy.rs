//! What a machine can check of how the code reads. Each check says file, line and what to do.
#![allow(missing_docs, reason = "a test binary")]

#[path = "tidy/bugs.rs"]
mod bugs;
#[path = "tidy/invariants.rs"]
mod invariants;
#[path = "tidy/sources.rs"]
mod sources;

use sources::{Source, all};

/// Files are split by concern before they reach this many lines.
const MOST_LINES: usize = 500;

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn files_are_short() {
    let faults: Vec<_> = all()
        .iter()
        .filter(|source| source.lines().count() > MOST_LINES)
        .map(|source| format!("{}: {} lines", source.path, source.lines().count()))
        .collect();
    report("split by concern what is longer than 500 lines", &faults);
}

#[test]
fn cores_are_pure() {
    const IMPURE: &[&str] = &[
        "actix",
        "tokio",
        "std::fs",
        "std::net::Tcp",
        "std::thread",
        "std::time::Instant",
        "SystemTime",
        "async fn",
        ".await",
        "rand::rng",
        "thread_rng",
        "crossbeam",
        "rustix",
        "quanta",
    ];
    let faults: Vec<_> =
        all().iter().filter(|source| source.is_core()).flat_map(|source| source.find_code(IMPURE)).collect();
    report("a core decides and does nothing else: give it what it needs as an argument", &faults);
}

/// Times of txns, how old they are and what falls due by them, the first number of a session, an operator's screen; and the clock
/// itself.
const CALENDARS: &[&str] = &[
    "actors/src/proposer/actor.rs",
    "actors/src/learner/actor.rs",
    "actors/src/learner/behind.rs",
    "actors/src/admin/actor.rs",
    "actors/src/runtime/clock.rs",
    "node/src/recover.rs",
    "node/src/wiring.rs",
];

#[test]
fn the_calendar_is_asked_for_times_that_are_seen_and_for_nothing_else() {
    let faults: Vec<_> = all()
        .iter()
        .filter(|source| ["node/", "actors/", "messages/"].iter().any(|it| source.path.starts_with(it)))
        .filter(|source| !source.is_test())
        .flat_map(|source| source.find_code(&["wall_ms()", "SystemTime::now"]))
        .filter(|fault| !CALENDARS.iter().any(|calendar| fault.starts_with(calendar)))
        .collect();
    report("the calendar may jump: measure with the monotonic clock", &faults);
}

/// What makes mail, and an actor's own timers.
const POSTERS: &[&str] = &["messages/src/mail.rs", "actors/src/runtime/timers.rs"];

#[test]
fn mail_goes_through_the_meters() {
    let faults: Vec<_> = all()
        .iter()
        .filter(|source| !source.path.starts_with("integration/tests/tidy"))
        .flat_map(|source| source.find_code(&["do_send(", ".try_send("]))
        .filter(|fault| !POSTERS.iter().any(|poster| fault.starts_with(poster)))
        .collect();
    report("post through an Outbox: nothing else is metered and bounded", &faults);
}

/// Channels that carry no mail between actors or to threads, and why each needs no meter.
const CHANNELS: &[(&str, &str)] = &[
    ("actors/src/admin/http.rs", "tells its starter once whether the port could be had"),
    ("actors/src/peer_link/outgoing.rs", "what storage/transfer sends, as the lane takes it"),
    ("actors/src/runtime/thread_mail.rs", "the metered queue itself"),
    ("actors/src/storage/logger.rs", "one answer of the thread that makes a segment"),
    ("actors/src/storage/logger_thread.rs", "the errors of the metered queue"),
    ("actors/src/storage/snapshot/read.rs", "blocks read ahead, a few, within one call"),
    ("actors/src/storage/transfer/mod.rs", "a stream of frames, 8 at most, whose sender waits for the lane"),
    ("node/src/bench/mod.rs", "the benchmark is a client"),
    ("node/src/bench/worker.rs", "the benchmark is a client"),
    ("node/src/recover/reach.rs", "a command asks who answers"),
    ("node/src/ensemble.rs", "tells its starter once whether the ports could be had"),
];

/// How a channel is made, or named.
const CHANNEL_WORDS: &[&str] = &[
    "crossbeam_channel",
    "mpsc",
    "oneshot",
    "flume",
    "async_channel",
    "broadcast::",
    "sync::watch",
    "SegQueue",
    "ArrayQueue",
];

fn channels(sources: &[Source]) -> Vec<String> {
    let ours = |source: &&Source| {
        ["node/src/", "actors/src/", "messages/src/", "config/src/"]
            .iter()
            .any(|it| source.path.starts_with(it))
    };
    let code = sources.iter().filter(ours).filter(|source| !source.is_test());
    code.flat_map(|source| source.find_code(CHANNEL_WORDS)).collect()
}

#[test]
fn channels_are_metered_or_carry_no_mail() {
    let found = channels(&all());
    let is_of = |fault: &String, path: &str| fault.split(':').next() == Some(path);
    let raw = found.iter().filter(|fault| !CHANNELS.iter().any(|(path, _)| is_of(fault, path)));
    let stale = CHANNELS.iter().filter(|(path, _)| !found.iter().any(|fault| is_of(fault, path)));
    let faults = raw.cloned().chain(stale.map(|(path, _)| format!("{path}: has no channel any more")));
    report(
        "post through an Outbox or runtime::thread_mail, which are metered; or say in CHANNELS why it is no mail",
        &faults.collect::<Vec<_>>(),
    );
}

#[test]
fn no_marks_of_unfinished_work() {
    const MARKS: &[&str] = &["todo!", "unimplemented!", "FIXME", "#[ignore", "dbg!("];
    let faults: Vec<_> = all()
        .iter()
        .filter(|source| !source.path.starts_with("integration/tests/tidy"))
        .flat_map(|source| source.find_anywhere(MARKS))
        .collect();
    report("finish it, or leave it out", &faults);
}

#[test]
fn every_invariant_is_stated_once_and_earned_by_a_test() {
    let sources = all();
    let stated = invariants::stated(&sources);
    assert!(stated.len() > 10, "the statements were found: {stated:?}");
    let tests = invariants::named_by_tests(&sources);
    let mut faults = Vec::new();
    for (id, places) in &stated {
        if places.len() > 1 {
            faults.push(format!("{id} is stated more than once: {}", places.join(", ")));
        }
        if !tests.contains(&id.to_lowercase()) {
            faults.push(format!("{}: no test is called …{}_…", places[0], id.to_lowercase()));
        }
    }
    report("an invariant has one statement and a test of its name", &faults);
}

/// The checks above can fail: each finds what it looks for in a source made for it.
#[test]
fn the_checks_can_fail() {
    let core =
        Source::new("actors/src/x/core.rs", "use tokio::time;\n// tokio in a comment\nlet a = b.unwrap();\n");
    assert!(core.is_core());
    assert_eq!(core.find_code(&["tokio"]), ["actors/src/x/core.rs:1: tokio"]);
    let raw = "#[cfg(test)]\nmod tests;\nuse std::sync::mpsc; // oneshot\n#[cfg(test)]\nmod more {\n    use flume;\n";
    let [raw, tests] = ["actors/src/x/actor.rs", "actors/src/x/tests.rs"].map(|path| Source::new(path, raw));
    assert_eq!(channels(&[raw, tests]), ["actors/src/x/actor.rs:3: mpsc"]);
    let doc = Source::new("actors/src/x/mod.rs", "//! - Q7  Nothing is lost.\n//!   - not one\n");
    assert_eq!(invariants::stated(&[doc]).keys().collect::<Vec<_>>(), ["Q7"]);
    let test = Source::new(
        "actors/src/x/tests.rs",
        "#[test]\nfn q7_and_q8a_hold_t1_to_t3() {}\nfn helper_r1_() {}\n",
    );
    let named = invariants::named_by_tests(&[test]);
    assert!(
        named.contains("q7") && named.contains("q8a") && named.contains("t2") && !named.contains("r1"),
        "{named:?}"
    );
}
