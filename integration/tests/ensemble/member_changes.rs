//! `paddock member add`, `remove`, `promote` and `demote`, on whichever member: what they change, what they refuse, and who may
//! have it done over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use paddock_actors::admin::members::Configuration;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::Launch;
use paddock_integration::rounds::seed;
use paddock_messages::error_code::ErrorCode;

use crate::admin::{paddock, post, roles, status, text};
use crate::load::{ANSWERED_WITHIN, under_load};
use crate::reconfig::{await_modes, code, members, operator, reconfig, told};
use crate::world::{serving, those};

/// The super user's password is "test". Nothing is said of reconfigs, so that operators alone may have them done.
const SUPER: &str = "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n";

/// What a command says on one member: the new configuration, or why there is none.
pub(crate) fn member(ensemble: &Ensemble, on: Id, words: &[&str]) -> Result<Configuration, String> {
    member_at(&ensemble.data_dir(on), words)
}

/// The same on the member that runs in this data directory.
pub(crate) fn member_at(data_dir: &Path, words: &[impl AsRef<str>]) -> Result<Configuration, String> {
    let words: Vec<&str> =
        ["member"].into_iter().chain(words.iter().map(AsRef::as_ref)).chain(["--json"]).collect();
    let told = paddock(&words, data_dir);
    if told.status.success() {
        return Ok(serde_json::from_slice(&told.stdout).unwrap());
    }
    assert_eq!((told.status.code(), told.stdout.len()), (Some(1), 0), "{told:?}");
    Err(text(&told.stderr))
}

/// Where it is, as an operator names it.
pub(crate) fn place(ensemble: &Ensemble, id: Id) -> String {
    let [quorum, election] = ensemble.peer_addresses(id).map(|address| address.port());
    format!("127.0.0.1:{quorum}:{election};{}", ensemble.client_address(id))
}

/// That it is what all are told, and what this answer says.
fn is_in_force(ensemble: &Ensemble, answer: &Configuration, voters: &[Id], observers: &[Id]) {
    let (lines, version) = told(ensemble, voters[0]);
    assert_eq!(lines, members(ensemble, voters, observers));
    assert_eq!(answer.members.join("\n") + "\n", lines);
    assert_eq!(answer.version, format!("{version:x}"));
}

/// Waits until one knows that it is in force, as an order by it holds only for what it knows.
pub(crate) fn await_known(ensemble: &mut Ensemble, by: Id, answer: &Configuration) {
    ensemble.wait_for("the configuration to be known", |ensemble| {
        let mut stream = TcpStream::connect(ensemble.metrics_address(by)).unwrap();
        stream
            .write_all(b"GET /api/members HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{told}");
        (serde_json::from_str::<Configuration>(body).unwrap() == *answer).then_some(())
    });
}

#[test]
fn ad10_any_member_has_others_promoted_demoted_removed_and_added_while_all_is_written() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let (on, other) = (followers[0], followers[1]);
    let id = other.to_string();
    let load = under_load(&mut ensemble, seed("members"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(50);
        let four = member(ensemble, on, &["promote", "4"]).unwrap();
        is_in_force(ensemble, &four, &[1, 2, 3, 4], &[]);
        await_modes(ensemble, &[1, 2, 3, 4], &[]);
        progress.await_write_after(Instant::now());

        let three = member(ensemble, on, &["demote", &id]).unwrap();
        is_in_force(ensemble, &three, &[leader, on, 4], &[other]);
        await_modes(ensemble, &[leader, on, 4], &[other]);
        progress.await_write_after(Instant::now());

        await_known(ensemble, 4, &three);
        let without = member(ensemble, 4, &["remove", &id]).unwrap();
        is_in_force(ensemble, &without, &[leader, on, 4], &[]);
        progress.await_write_after(Instant::now());

        let at = place(ensemble, other);
        await_known(ensemble, on, &without);
        let observer = member(ensemble, on, &["add", &id, &at, "--observer"]).unwrap();
        is_in_force(ensemble, &observer, &[leader, on, 4], &[other]);
        assert_eq!(
            member(ensemble, on, &["add", &id, &at, "--observer"]),
            Ok(observer),
            "it is there already"
        );
        // As one that was interrupted in between is repeated.
        let votes = member(ensemble, on, &["add", &id, &at]).unwrap();
        is_in_force(ensemble, &votes, &[1, 2, 3, 4], &[]);
        await_modes(ensemble, &[1, 2, 3, 4], &[]);
        progress.await_write_after(Instant::now());

        // All at once, on the leader; and in words.
        await_known(ensemble, leader, &votes);
        member(ensemble, leader, &["remove", "4"]).unwrap();
        let at = place(ensemble, 4);
        let added = paddock(&["member", "add", "4", &at], &ensemble.data_dir(leader));
        let said = text(&added.stdout);
        assert!(
            said.starts_with("server 4 votes\nversion ") && said.ends_with(": voters 1, 2, 3, 4\n"),
            "{added:?}"
        );
        assert!(text(&added.stderr).starts_with("server 4 is an observer: it votes as soon as"), "{added:?}");
        // The leader loses its vote, and hands over.
        let (lines, version) = told(ensemble, leader);
        let again = Configuration {
            version: format!("{version:x}"),
            members: lines.lines().map(str::to_owned).collect(),
            alone: None,
        };
        await_known(ensemble, on, &again);
        member(ensemble, on, &["demote", &leader.to_string()]).unwrap();
        await_modes(ensemble, &[on, other, 4], &[leader]);
        ensemble.await_line(leader, &["who lacks the least, is named to lead next"]);
        progress.await_write_after(Instant::now());
        let back = member(ensemble, on, &["promote", &leader.to_string()]).unwrap();
        is_in_force(ensemble, &back, &[1, 2, 3, 4], &[]);
    });
    load.verify(&mut ensemble);
    let by_owner = "over admin.sock";
    ensemble.await_line(on, &["order: the members are to be others", "server.4=", ":participant", by_owner]);
    ensemble.await_line(on, &["the members are others, as ordered", by_owner]);
}

/// Waits until the leader misses one.
fn await_missed(ensemble: &mut Ensemble, leader: Id, id: Id) {
    ensemble.wait_for("the leader to notice", |ensemble| {
        roles(&status(ensemble, leader)).contains(&(id, Some("away"))).then_some(())
    });
}

#[test]
fn what_makes_no_sense_is_not_asked_and_what_the_leader_refuses_is_told_with_what_to_do() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let (on, other) = (followers[0], followers[1]);
    let before = told(&ensemble, 1);
    let leads = format!("the log of server {leader}, which leads, has the reason");
    for (words, says) in [
        (&["remove", "9"][..], "server 9 is no member: these are 1, 2, 3, 4"),
        (&["promote", "9"], "server 9 is no member"),
        (&["promote", "1"], "server 1 votes already"),
        (&["demote", "4"], "server 4 is an observer already"),
        (&["add", "1", &place(&ensemble, 1)], "server 1 votes already"),
        (&["add", "4", "127.0.0.1:1:2;3"], "server 4 is a member already, as 127.0.0.1:"),
        (&["add", "5", "nonsense"], "nonsense: must be host:quorumPort:electionPort"),
        (&["move", "1", &place(&ensemble, 1)], "server 1 is there already, as 127.0.0.1:"),
        (&["move", "9", "127.0.0.1:1:2;3"], "server 9 is no member"),
        (&["add", "5", "0.0.0.0:1:2;3"], "the leader cannot make such a configuration"),
    ] {
        let refused = member(&ensemble, on, words).unwrap_err();
        assert!(refused.starts_with(says), "{words:?}: {refused}");
    }
    let refused = member(&ensemble, on, &["add", "5", "0.0.0.0:1:2;3"]).unwrap_err();
    assert!(refused.contains("(-8); ") && refused.trim_end().ends_with(&leads), "{refused}");
    let bad = paddock(&["member", "remove", "256"], &ensemble.data_dir(on));
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");

    // One that is away gets no vote, neither at once nor by waiting.
    ensemble.kill(4);
    await_missed(&mut ensemble, leader, 4);
    let refused = member(&ensemble, on, &["promote", "4"]).unwrap_err();
    assert!(refused.contains("wait until they serve") && refused.contains("(-13)"), "{refused}");
    ensemble.await_line(leader, &["a reconfig is refused", "server 4 is to vote and is not in sync"]);
    let at = place(&ensemble, 4);
    for (on, waits) in [(leader, "it is not connected with the leader"), (on, "no quorum of the new voters")]
    {
        let began = Instant::now();
        let refused = member(&ensemble, on, &["add", "4", &at, "--wait", "2"]).unwrap_err();
        assert!(began.elapsed() >= Duration::from_secs(2), "it waits");
        let lines: Vec<_> = refused.lines().collect();
        assert_eq!(lines.len(), 3, "what is waited for is said once: {refused}");
        assert!(lines[1].starts_with("waiting for server 4: ") && lines[1].contains(waits), "{refused}");
        assert!(lines[2].starts_with("server 4 stays an observer"), "{refused}");
        assert!(lines[2].ends_with("paddock member promote 4 finishes this"), "{refused}");
    }
    // Two would be left to vote, and one of them is away.
    ensemble.kill(other);
    await_missed(&mut ensemble, leader, other);
    let refused = member(&ensemble, leader, &["demote", &on.to_string()]).unwrap_err();
    assert!(refused.contains("(-13)"), "{refused}");
    assert_eq!(told(&ensemble, leader), before, "nothing has changed");
    // There is nobody to ask.
    ensemble.kill(leader);
    ensemble.await_silence_of(on);
    let refused = member(&ensemble, on, &["remove", "4"]).unwrap_err();
    assert!(refused.starts_with("nothing was asked: no leader for "), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    let _alone = Launch::new(dir.path()).serve().unwrap();
    let told = paddock(&["member", "add", "2", "h:1:2;3"], dir.path());
    assert_eq!(told.status.code(), Some(1));
    assert!(
        text(&told.stderr).starts_with("server 1 is alone, so that others would not find it"),
        "{told:?}"
    );
}

#[test]
fn with_a_file_that_forbids_reconfigs_operators_change_nothing_either() {
    let (_dir, mut ensemble) = serving(3, 1, "reconfigEnabled=false\n");
    let leader = ensemble.await_all_serving();
    for on in [leader, 4] {
        let refused = member(&ensemble, on, &["promote", "4"]).unwrap_err();
        assert!(refused.starts_with("reconfigEnabled=false is written in the leader's file"), "{refused}");
        assert!(refused.contains("(-123)"), "{refused}");
    }
}

#[test]
fn ad9_over_http_who_changes_the_members_proves_who_it_is_and_no_client_gains_by_it() {
    let (_dir, mut ensemble) = serving(3, 1, SUPER);
    let leader = ensemble.await_all_serving();
    let on = those(&ensemble, Mode::Follower)[0];
    let ordered =
        |headers: &str, body: &str| post(ensemble.metrics_address(on), "/api/members", headers, body);
    let boss = "Authorization: digest super:test\r\n";
    let before = told(&ensemble, 1);
    for (headers, body, status, says) in [
        ("", "{\"leave\":\"4\"}", 401, "who are you?"),
        ("Authorization: digest super:wrong\r\n", "{\"leave\":\"4\"}", 403, "no WRITE on"),
        (boss, "{}", 400, "say who is to join"),
        (boss, "{\"leave\":\"4\",\"members\":\"server.1=a:1:2\"}", 400, "either some join"),
        (boss, "{\"leaving\":\"4\"}", 400, "unknown field"),
        (boss, "{\"leave\":\"1,2,3\"}", 409, "\"code\":-8"),
        (boss, "{\"leave\":\"x\"}", 409, "\"code\":-5"),
        (boss, "{\"leave\":\"4\",\"version\":\"7\"}", 409, "\"code\":-103"),
    ] {
        let answer = ordered(headers, body);
        let head = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&head) && answer.contains(says), "{body}: {answer}");
    }
    // `reconfigEnabled` is about clients, super too, on a member that operators use.
    let mut client = operator(&ensemble, on);
    let asked = reconfig(&mut client, [None, Some("4"), None], -1);
    assert_eq!(code(asked), ErrorCode::ReconfigDisabled);
    assert_eq!(told(&ensemble, 1), before);

    let version = format!("{:x}", before.1);
    let answer = ordered(boss, &format!("{{\"leave\":\"4\",\"version\":\"{version}\"}}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    is_in_force(&ensemble, &serde_json::from_str(body).unwrap(), &[1, 2, 3], &[]);
    let by = "super from 127.0.0.1, over HTTP";
    ensemble.await_line(on, &["the members were not changed as ordered", by, "(-103)"]);
    ensemble.await_line(on, &["order: the members are to be others", by, &version]);
    ensemble.await_line(on, &["the members are others, as ordered", by]);
    assert!(!ensemble.log(leader).contains("order: "), "it was ordered elsewhere");
}
