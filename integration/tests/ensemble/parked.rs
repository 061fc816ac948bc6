//! Losing the leader costs a client of another member nothing: its connection waits for the next leader, with its
//! session and watches. Writes in flight are executed once and answered, whichever leader executes them, and reads between them
//! keep their places. At a member that starts clients wait in the same way.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::binary;
use paddock_integration::raw_client::{ClientError, Handshake, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};

use crate::trees;
use crate::world::{client, is_turned_away, serving, those, waiting};

/// Long enough for an election on any machine; all of a member's clients on one thread.
const PATIENT: &str = "parkTime=30000\nclientArbiters=0\n";
/// What a member's log says as its connections are parked.
const PARKED: &str = "the leader is lost: clients wait for the next one";
/// Writes at once.
const AT_ONCE: usize = 50;
/// Bytes of a stat, with which the answers to sets and gets end.
const STAT: usize = 68;

fn parked(ensemble: &Ensemble, id: Id) -> usize {
    ensemble.log(id).matches(PARKED).count()
}

fn watch(client: &mut RawClient, path: &str) {
    client.call(OpCode::GetData, &PathWatch { path: path.into(), watch: true }).unwrap().ok().unwrap();
}

fn events(client: &mut RawClient) -> Vec<(i32, String)> {
    client.events.drain(..).map(|event| (event.kind, event.path.to_string())).collect()
}

#[test]
fn clients_of_the_others_outlive_a_killed_leader_with_their_connections_and_watches() {
    let (_dir, mut ensemble) = serving(3, 1, PATIENT);
    client(&ensemble, 1).create("/watched", b"", CreateMode::Persistent).unwrap();
    let mut gaps = Vec::new();
    for round in 0..3 {
        let leader = ensemble.await_leader();
        let others: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
        let mut watching: Vec<_> = others.iter().map(|id| client(&ensemble, *id)).collect();
        let mut writing: Vec<_> = others.iter().map(|id| client(&ensemble, *id)).collect();
        for (nth, client) in watching.iter_mut().enumerate() {
            client.create(&format!("/mine-{round}-{nth}"), b"", CreateMode::Ephemeral).unwrap();
            watch(client, "/watched");
        }
        let before: Vec<_> = others.iter().map(|id| parked(&ensemble, *id)).collect();
        let killed = Instant::now();
        ensemble.kill(leader);
        ensemble.wait_for("all to park their clients", |ensemble| {
            others.iter().zip(&before).all(|(id, before)| parked(ensemble, *id) > *before).then_some(())
        });
        for (nth, client) in writing.iter_mut().enumerate() {
            let written = round * others.len() + nth;
            let stat = client.set("/watched", b"new", -1).unwrap();
            assert_eq!(stat.version as usize, written + 1, "round {round}: each write is executed once");
            if nth == 0 {
                gaps.push(killed.elapsed());
            }
        }
        let next = ensemble.await_leader();
        assert!(others.contains(&next), "round {round}: the next leader's clients are among them");
        for (nth, client) in watching.iter_mut().enumerate() {
            let id = others[nth];
            client.sync("/watched").unwrap();
            assert_eq!(events(client), [(3, "/watched".to_owned())], "round {round}: member {id}");
            let mine = format!("/mine-{round}-{nth}");
            let owner = client.exists(&mine).unwrap().map(|stat| stat.ephemeral_owner);
            assert_eq!(owner, Some(client.session().id), "round {round}: member {id}");
            client.delete(&mine, -1).unwrap();
            client.ping().unwrap();
        }
        ensemble.start(leader);
        ensemble.await_all_serving();
        watching.into_iter().chain(writing).for_each(|client| client.close().unwrap());
    }
    trees::same(&ensemble);
    println!("parked: from the kill to the next write's acknowledgement on the same connection: {gaps:.0?}");
}

#[test]
fn what_is_in_flight_when_the_leader_is_killed_is_executed_once_and_answered_on_the_same_connection() {
    let (_dir, mut ensemble) = serving(3, 0, PATIENT);
    let mut lost = 0;
    for round in 0..5 {
        let leader = ensemble.await_leader();
        let mut clients: Vec<_> =
            those(&ensemble, Mode::Follower).into_iter().map(|id| client(&ensemble, id)).collect();
        let path = |nth: usize| format!("/in-flight-{round}-{nth}");
        for (nth, client) in clients.iter_mut().enumerate() {
            client.create(&path(nth), b"", CreateMode::Persistent).unwrap();
            (0..AT_ONCE).for_each(|_| client.queue_set(&path(nth), b"x", -1));
            client.flush().unwrap();
        }
        thread::sleep(Duration::from_millis(round));
        ensemble.kill(leader);
        for (nth, client) in clients.iter_mut().enumerate() {
            for answered in 0..AT_ONCE {
                let reply = client.reply().unwrap_or_else(|error| {
                    panic!("round {round}: closed behind {answered} answers: {error}");
                });
                assert!(reply.ok().is_ok(), "round {round}: a write was refused");
            }
            let stat = client.set(&path(nth), b"after", AT_ONCE as i32).unwrap();
            assert_eq!(stat.version as usize, AT_ONCE + 1, "round {round}: each is executed once");
        }
        lost += ensemble
            .ids()
            .into_iter()
            .filter(|id| *id != leader)
            .map(|id| parked(&ensemble, id))
            .sum::<usize>();
        ensemble.start(leader);
        ensemble.await_all_serving();
    }
    trees::same(&ensemble);
    assert!(lost > 0, "connections waited for a leader");
}

/// Sets `path` and reads it in turns, many at once, until `is_over`. Gives how often.
fn set_and_get(mut client: RawClient, path: &str, is_over: &AtomicBool) -> usize {
    let (mut asked, mut answered) = (0, 0);
    while answered < asked || !is_over.load(Relaxed) {
        while asked - answered < AT_ONCE && !is_over.load(Relaxed) {
            client.queue_set(path, b"x", -1);
            client.queue(OpCode::GetData, &PathWatch { path: path.into(), watch: false });
            asked += 1;
        }
        client.flush().unwrap();
        for what in ["set", "get"] {
            let reply = client.reply().unwrap_or_else(|error| panic!("{path}, {what} {answered}: {error}"));
            let body = reply.ok().unwrap();
            let version = Stat::read(&mut body.slice(body.len() - STAT..)).unwrap().version;
            assert_eq!(version as usize, answered + 1, "{path}: {what} {answered}");
        }
        answered += 1;
    }
    client.close().unwrap();
    answered
}

#[test]
fn c17_reads_between_writes_find_the_write_before_them_and_stay_connected_as_the_leader_is_killed() {
    let (_dir, mut ensemble) = serving(3, 0, PATIENT);
    for round in 0..3 {
        let leader = ensemble.await_leader();
        let followers = those(&ensemble, Mode::Follower);
        let before: Vec<_> = followers.iter().map(|id| parked(&ensemble, *id)).collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut running = Vec::new();
        for (nth, id) in followers.iter().enumerate() {
            let path = format!("/between-{round}-{nth}");
            let mut client = client(&ensemble, *id);
            client.create(&path, b"", CreateMode::Persistent).unwrap();
            let is_over = Arc::clone(&is_over);
            running.push(thread::spawn(move || set_and_get(client, &path, &is_over)));
        }
        thread::sleep(Duration::from_millis(50));
        ensemble.kill(leader);
        ensemble.wait_for("all to park their clients", |ensemble| {
            followers.iter().zip(&before).all(|(id, before)| parked(ensemble, *id) > *before).then_some(())
        });
        ensemble.await_leader();
        is_over.store(true, Relaxed);
        let done: Vec<usize> = running.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(done.iter().all(|many| *many >= AT_ONCE), "round {round}: {done:?}");
        ensemble.start(leader);
        ensemble.await_all_serving();
    }
    trees::same(&ensemble);
}

#[test]
fn without_a_leader_in_time_connections_are_closed() {
    let (_dir, mut ensemble) = serving(3, 0, "parkTime=500\n");
    let leader = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    let mut idle = client(&ensemble, followers[0]);
    idle.set_answer_limit(Duration::from_secs(20)).unwrap();
    ensemble.freeze(leader);
    ensemble.freeze(followers[1]);
    let frozen = Instant::now();
    let end = idle.reply();
    assert!(end.as_ref().is_err_and(is_turned_away), "it is closed: {end:?}");
    println!("parked: closed {:.0?} after the others froze", frozen.elapsed());
    assert!(frozen.elapsed() >= Duration::from_millis(500), "it waits at first");
    ensemble.thaw(leader);
    ensemble.thaw(followers[1]);
    ensemble.await_all_serving();
    let again = RawClient::reattach(ensemble.client_address(leader), idle.session(), idle.last_zxid());
    again.unwrap().close().unwrap();
}

/// Its first connection that is not refused.
fn first_taken(at: SocketAddr) -> Result<RawClient, ClientError> {
    loop {
        match RawClient::connect(at) {
            Err(ClientError::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                thread::sleep(Duration::from_millis(1));
            }
            taken => return taken,
        }
    }
}

#[test]
fn c16_clients_that_come_to_a_member_that_starts_are_refused_or_wait_for_its_leader() {
    let (_dir, mut ensemble) = serving(3, 0, PATIENT);
    let starting = those(&ensemble, Mode::Follower)[0];
    let others: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != starting).collect();
    let at = ensemble.client_address(starting);
    ensemble.stop(starting);
    others.iter().for_each(|id| ensemble.freeze(*id));
    let coming: Vec<_> = (0..5).map(|_| thread::spawn(move || first_taken(at))).collect();
    ensemble.start(starting);
    ensemble.await_line(starting, &["listening for clients"]);
    let hasty = Handshake { answer_limit: Duration::from_millis(500), ..Handshake::default() };
    let unanswered = RawClient::connect_with(at, &hasty).unwrap_err();
    assert!(unanswered.is_silence(), "it waits: {unanswered}");
    let srvr = ensemble.srvr(starting).unwrap();
    assert!(srvr.contains("not currently serving"), "nor do operators wait: {srvr}");
    for (live, is_well) in [("--live", true), ("--timeout-ms=500", false)] {
        let health =
            Command::new(binary().unwrap()).args(["health", live, &at.to_string()]).output().unwrap();
        let says = health.stdout.ends_with(b"not serving: it may be waiting for other members\n");
        assert!(says && health.status.success() == is_well, "{health:?}");
    }
    others.iter().for_each(|id| ensemble.thaw(*id));
    for client in coming {
        let mut client = client.join().unwrap().expect("it waits for the leader, and is let in");
        client.create(&format!("/{}", client.session().id), b"", CreateMode::Persistent).unwrap();
        client.close().unwrap();
    }
    ensemble.await_all_serving();
}

#[test]
fn c16_a_member_that_starts_and_finds_no_leader_in_time_closes_who_waits() {
    let (_dir, mut ensemble) = waiting(3, 0, "parkTime=500\n");
    ensemble.start(1);
    let end = first_taken(ensemble.client_address(1));
    assert!(end.as_ref().is_err_and(is_turned_away), "it is closed: {end:?}");
}
