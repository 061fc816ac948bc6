//! What operators' commands tell of a member and order it to do, over the socket in its data directory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use paddock_actors::admin::move_leader::Moved;
use paddock_actors::admin::status::Status;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::{Launch, binary};
use paddock_integration::rounds::{rounds, seed};
use rand::seq::IndexedRandom;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{serving, those};

/// What a command of these words said, and its end.
pub(crate) fn paddock(words: &[&str], at: &Path) -> Output {
    Command::new(binary().unwrap()).args(words).arg(at).output().unwrap()
}

/// The same of one whose user types so.
pub(crate) fn typed(command: &mut Command, typed: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes()); // it may have refused before it asks
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn status(ensemble: &Ensemble, id: Id) -> Status {
    let told = paddock(&["status", "--json"], &ensemble.data_dir(id));
    assert!(told.status.success(), "{}", text(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Each member's role, as one tells it.
pub(crate) fn roles(status: &Status) -> Vec<(Id, Option<&str>)> {
    status.members.iter().map(|it| (it.server, it.role.as_deref())).collect()
}

#[test]
fn status_tells_what_a_leader_a_follower_and_one_that_is_left_alone_know() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let role_of = |id: Id| match id {
        4 => "observer",
        id if id == leader => "leader",
        _ => "follower",
    };
    let of_leader = ensemble.wait_for("all in sync, and no lag, as the leader tells", |ensemble| {
        let status = status(ensemble, leader);
        let expected: Vec<_> = ensemble.ids().into_iter().map(|id| (id, Some(role_of(id)))).collect();
        let lags = status.members.iter().filter_map(|it| it.lag).filter(|lag| lag.txns == 0);
        (roles(&status) == expected && lags.count() == 3).then_some(status)
    });
    assert!(of_leader.is_serving && of_leader.leader == Some(leader) && of_leader.mode == "leader");
    assert!(of_leader.epoch.is_some_and(|epoch| of_leader.zxid.starts_with(&format!("{epoch:#x}"))));
    assert_eq!(of_leader.feature_level, Some(0), "nobody has asked for more");
    assert_eq!(of_leader.quorum.unwrap().synchronised, Some(vec![1, 2, 3]));
    let election = of_leader.election.unwrap();
    assert!(election.took_ms.is_some() && !election.why.is_empty(), "{election:?}");
    for other in of_leader.members.iter().filter(|it| it.server != leader) {
        assert!(other.frames.is_some() && other.is_voter == (other.server != 4), "{other:?}");
        assert_eq!(other.data.as_ref().map(|it| it.state.as_str()), Some("up"), "{other:?}");
    }
    let of_follower = status(&ensemble, followers[0]);
    assert_eq!((of_follower.leader, of_follower.epoch), (Some(leader), of_leader.epoch));
    let other = of_follower.members.iter().find(|it| it.server == followers[1]).unwrap();
    assert!(other.role.is_none() && other.lag.is_none(), "a follower cannot know: {other:?}");

    let listed = text(&paddock(&["member", "list"], &ensemble.data_dir(leader)).stdout);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    // By the file with which it was started, too.
    let by_file = paddock(&["status"], &ensemble.data_dir(leader).parent().unwrap().join("zoo.cfg"));
    assert!(text(&by_file.stdout).contains(&format!("\nleader {leader}, epoch ")), "{by_file:?}");

    ensemble.kill(leader);
    ensemble.kill(followers[1]);
    ensemble.await_silence_of(followers[0]);
    let alone = status(&ensemble, followers[0]);
    assert!(!alone.is_serving && alone.leader.is_none() && alone.mode == "looking", "{alone:?}");
    assert!(alone.outlook.unwrap().starts_with("no leader for "));
    let dead = paddock(&["status"], &ensemble.data_dir(leader));
    assert_eq!(dead.status.code(), Some(1), "its socket is left behind, and nobody listens");
    assert!(text(&dead.stderr).starts_with("no node is running on "), "{dead:?}");
    ensemble.start(leader); // in the place of the socket it left
    ensemble.await_leader();
    assert!(status(&ensemble, leader).is_serving);
}

#[test]
fn a_server_alone_has_a_status_which_is_watched_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Launch::new(dir.path()).serve().unwrap();
    let mut watch = Command::new(binary().unwrap())
        .args(["status", "--watch", "--json"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let status: Status = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert!(status.mode == "standalone" && status.is_serving && status.members.len() == 1, "{status:?}");
        assert_eq!(status.feature_level, Some(0));
    }
    assert!(server.terminate().unwrap().success());
    lines.for_each(drop);
    let mut said = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(1));
    assert!(said.starts_with("no node is running on "), "{said}");
}

/// What `move-leader` says on one member: what came of it, or why nothing did.
fn move_leader(ensemble: &Ensemble, on: Id, to: Option<Id>) -> Result<Moved, String> {
    let to = to.map_or_else(String::new, |id| format!("--to={id}"));
    let mut words = vec!["member", "move-leader", "--json"];
    words.extend((!to.is_empty()).then_some(to.as_str()));
    let told = paddock(&words, &ensemble.data_dir(on));
    if told.status.success() {
        return Ok(serde_json::from_slice(&told.stdout).unwrap());
    }
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    Err(text(&told.stderr))
}

/// The ids are in favour of server 3 whoever leads; each is made to lead, and each client keeps its session, and what it was
/// told.
#[test]
fn q8_el11_the_lead_moves_to_whom_an_operator_names_and_no_write_and_no_session_is_lost() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let (rounds, mut gaps) = (rounds(6), Vec::new());
    let mut in_vain = Vec::new();
    let told = under_load(&mut ensemble, seed("moving"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for round in 0..rounds {
            let leader = ensemble.await_all_serving();
            progress.await_write_after(Instant::now());
            progress.take_longest_gap();
            let heir = *those(ensemble, Mode::Follower).choose(rng).unwrap();
            let named = (round % 3 < 2).then_some(heir);
            let moved = move_leader(ensemble, leader, named);
            progress.await_write_after(Instant::now());
            gaps.push(progress.take_longest_gap());
            let leads = ensemble.await_all_serving();
            match moved {
                Ok(moved) => {
                    assert!(
                        named.is_none_or(|heir| moved.leader == heir) && leads != leader,
                        "{named:?}: {moved:?}"
                    );
                    assert_eq!(leads, moved.leader);
                }
                // On a machine that is too busy the others may not hear of the heir in time; then it says so.
                Err(why) => {
                    assert!(why.starts_with(&format!("server {leads} leads epoch ")), "{named:?}: {why}");
                    in_vain.push(why);
                }
            }
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    assert!(in_vain.len() as u64 <= rounds / 3, "{in_vain:?}");
    println!(
        "rounds: {rounds}, {} acknowledged; in vain: {in_vain:?}; the longest times without an acknowledgement: {gaps:?}",
        told.acked()
    );
}

#[test]
fn q8_an_order_that_cannot_be_done_is_refused_with_its_reason_and_changes_nothing() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let epoch = status(&ensemble, leader).epoch;
    for (on, to, says) in [
        (leader, Some(leader), format!("server {leader} leads already")),
        (leader, Some(4), "server 4 has no vote in this ensemble".to_owned()),
        (leader, Some(9), "server 9 has no vote in this ensemble".to_owned()),
        (followers[0], None, format!("this server does not lead: ask on server {leader}")),
        (4, Some(leader), format!("this server does not lead: ask on server {leader}")),
    ] {
        let refused = move_leader(&ensemble, on, to).unwrap_err();
        assert!(refused.starts_with(&says), "{on} {to:?}: {refused}");
    }
    ensemble.kill(followers[0]);
    ensemble.wait_for("the leader to notice", |ensemble| {
        let status = status(ensemble, leader);
        roles(&status).contains(&(followers[0], Some("away"))).then_some(())
    });
    let refused = move_leader(&ensemble, leader, Some(followers[0])).unwrap_err();
    assert!(refused.starts_with(&format!("server {} is not in sync", followers[0])), "{refused}");
    let after = status(&ensemble, leader);
    assert_eq!((after.leader, after.epoch), (Some(leader), epoch), "nothing has changed");
    // One that is left can lead, though it is one of two.
    let moved = move_leader(&ensemble, leader, None).unwrap();
    assert_eq!(moved.leader, followers[1]);

    let dir = tempfile::tempdir().unwrap();
    let _alone = Launch::new(dir.path()).serve().unwrap();
    let told = paddock(&["member", "move-leader"], dir.path());
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("this server is alone: there is nobody else to lead"), "{told:?}");
}

/// The head and the body of the answer.
pub(crate) fn post(at: SocketAddr, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// `super` with the password `secret`.
const SUPER: &str = "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=\n";

#[test]
fn ad9_over_http_an_operator_proves_who_it_is_and_each_change_is_a_line_in_the_log() {
    let (_dir, mut ensemble) = serving(3, 0, SUPER);
    let leader = ensemble.await_all_serving();
    let at = ensemble.metrics_address(leader);
    for (headers, status) in [
        ("", 401),
        ("Authorization: digest super:wrong\r\n", 403),
        ("Authorization: digest super:secret\r\nOrigin: http://evil.example\r\n", 403),
    ] {
        let answer = post(at, "/api/leader", headers, "{}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
    }
    assert!(!ensemble.log(leader).contains("order: "), "nothing was ordered");
    let answer = post(at, "/api/leader", "Authorization: digest super:secret\r\n", "{}");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_ne!(ensemble.await_all_serving(), leader);
    ensemble.await_line(leader, &["order: the lead is to be another's", "super from 127.0.0.1, over HTTP"]);
}
