//! Sessions of one member alone: they cost no txn, nobody else knows them, and they end with the leader; one that
//! asks for an ephemeral znode becomes everybody's, where that is allowed.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::{ClientError, RawClient, Session, four_letter_word};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;

use crate::world::{client, client_for, is_turned_away, serving, those};

const LOCAL: &str = "localSessionsEnabled=true\n4lw.commands.whitelist=*\n";
const UPGRADING: &str = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n4lw.commands.whitelist=*\nparkTime=30000\n";

fn word(ensemble: &Ensemble, id: Id, word: &str) -> String {
    four_letter_word(ensemble.client_address(id), word, Duration::from_secs(10)).unwrap()
}

/// How many sessions of its own a member counts, and how many of everybody's.
fn counted(ensemble: &Ensemble, id: Id) -> [f64; 2] {
    let metrics = word(ensemble, id, "mntr");
    ["zk_local_sessions", "zk_global_sessions"].map(|name| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{metrics}")).trim().parse().unwrap()
    })
}

fn reattach(ensemble: &Ensemble, id: Id, session: &Session) -> Result<RawClient, ClientError> {
    RawClient::reattach(ensemble.client_address(id), session, 0)
}

fn is_expired(ensemble: &Ensemble, id: Id, session: &Session) {
    let again = reattach(ensemble, id, session);
    assert!(matches!(again, Err(ClientError::Expired)), "at member {id}: {again:?}");
}

/// A leader, a follower and an observer.
fn one_of_each(ensemble: &Ensemble) -> [Id; 3] {
    [Mode::Leader, Mode::Follower, Mode::Observer].map(|mode| those(ensemble, mode)[0])
}

#[test]
fn local_sessions_take_no_zxid_and_their_member_alone_knows_them() {
    let (_dir, ensemble) = serving(3, 1, LOCAL);
    let homes = one_of_each(&ensemble);
    let mut start = client(&ensemble, homes[0]);
    let mut zxid = start.set("/zookeeper", b"", -1).unwrap().mzxid;
    start.close().unwrap();
    for (nth, home) in homes.into_iter().enumerate() {
        let path = format!("/by-{nth}");
        let mut first = client(&ensemble, home);
        let session = first.session().clone();
        assert_eq!(session.id >> 56, home as i64, "it names its member");
        first.sync("/").unwrap();
        assert_eq!(first.create(&path, b"", CreateMode::Persistent).unwrap(), path);
        let refused = first.create("/mine", b"", CreateMode::Ephemeral);
        assert!(
            matches!(refused, Err(ClientError::Refused(ErrorCode::EphemeralOnLocalSession))),
            "{refused:?}"
        );
        assert_eq!(first.set(&path, b"1", 0).unwrap().mzxid, zxid + 3, "nothing but what it asked");
        zxid += 3;
        let dump = word(&ensemble, home, "dump");
        assert!(
            dump.contains("Local Session Sets") && dump.contains(&format!("\t{:#x}\n", session.id)),
            "{dump}"
        );
        assert_eq!(counted(&ensemble, home), [1.0, 0.0]);

        let mut second = reattach(&ensemble, home, &session).unwrap();
        assert!(first.ping().is_err_and(|error| is_turned_away(&error)), "one connection speaks for it");
        second.ping().unwrap();
        for other in ensemble.ids().into_iter().filter(|id| *id != home) {
            is_expired(&ensemble, other, &session);
        }
        assert_eq!(second.set(&path, b"2", 1).unwrap().mzxid, zxid + 1, "it lives on");
        second.queue_set(&path, b"3", 2);
        second.close().unwrap();
        zxid += 2;
        is_expired(&ensemble, home, &session);
        let mut look = client(&ensemble, home);
        assert_eq!(look.get(&path).unwrap().1.mzxid, zxid, "what stood before its end is done");
        look.close().unwrap();
        assert_eq!(counted(&ensemble, home), [0.0, 0.0]);
    }
}

#[test]
fn a_silent_local_session_ends_after_its_timeout_and_one_that_pings_lives() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let (_dir, ensemble) = serving(3, 1, LOCAL);
    let homes = one_of_each(&ensemble);
    let timeout_ms = TIMEOUT.as_millis() as i32;
    let mut pinging: Vec<_> = homes.iter().map(|home| client_for(&ensemble, *home, timeout_ms)).collect();
    let mut gone: Vec<_> = homes.iter().map(|home| client_for(&ensemble, *home, timeout_ms)).collect();
    let mut silent: Vec<_> = homes.iter().map(|home| client_for(&ensemble, *home, timeout_ms)).collect();
    let since = Instant::now();
    silent.iter_mut().for_each(|client| client.ping().unwrap());
    let left: Vec<_> = gone.drain(..).map(|client| client.session().clone()).collect();
    while since.elapsed() < Duration::from_millis(2_500) {
        pinging.iter_mut().for_each(|client| client.ping().unwrap());
        std::thread::sleep(Duration::from_millis(300));
    }
    let ends: Vec<_> = silent
        .iter_mut()
        .map(|client| {
            let end = client.reply();
            assert!(end.as_ref().is_err_and(is_turned_away), "{end:?}");
            let took = since.elapsed();
            pinging.iter_mut().for_each(|client| client.ping().unwrap());
            took
        })
        .collect();
    println!("local: silent sessions of {TIMEOUT:?} ended after {ends:.1?}");
    for ((home, client), session) in homes.iter().zip(&silent).zip(&left) {
        is_expired(&ensemble, *home, client.session());
        is_expired(&ensemble, *home, session);
    }
    let limits = TIMEOUT..TIMEOUT + Duration::from_secs(12); // beyond a tick and a half: a busy machine
    assert!(ends.iter().all(|end| limits.contains(end)), "{ends:?}");
    let (mut clients, at) = (pinging.iter_mut(), homes[0]);
    assert!(clients.all(|client| client.ping().is_ok()), "who pings lives, at member {at} and the others");
}

#[test]
fn a_local_session_becomes_everybodys_with_its_first_ephemeral_in_its_order_with_its_watches() {
    let (_dir, mut ensemble) = serving(3, 1, UPGRADING);
    for (nth, home) in one_of_each(&ensemble).into_iter().enumerate() {
        let other = ensemble.ids().into_iter().find(|id| *id != home).unwrap();
        let (path, mine) = (format!("/watched-{nth}"), format!("/mine-{nth}"));
        let mut upgrades = client(&ensemble, home);
        upgrades.create(&path, b"", CreateMode::Persistent).unwrap();
        let read = PathWatch { path: path.as_str().into(), watch: true };
        upgrades.call(OpCode::GetData, &read).unwrap().ok().unwrap();
        // All at once: what stands before the upgrade, and behind it.
        let before = upgrades.last_zxid();
        upgrades.queue_set("/zookeeper", b"", -1);
        upgrades.queue(OpCode::Exists, &PathWatch { path: mine.as_str().into(), watch: false });
        upgrades.queue_create(&mine, b"", CreateMode::Ephemeral);
        upgrades.queue_set("/zookeeper", b"", -1);
        upgrades.flush().unwrap();
        let replies: Vec<_> = (0..4).map(|_| upgrades.reply().unwrap()).collect();
        let zxids: Vec<_> = replies.iter().map(|reply| reply.header.zxid - before).collect();
        assert_eq!(zxids, [1, 1, 3, 4], "createSession and create take consecutive zxids");
        assert_eq!(replies.iter().map(|reply| reply.header.err).collect::<Vec<_>>(), [0, -101, 0, 0]);
        assert_eq!(counted(&ensemble, home), [0.0, 1.0]);

        let session = upgrades.session().clone();
        let mut witness = client(&ensemble, other);
        witness.sync("/").unwrap();
        assert_eq!(witness.exists(&mine).unwrap().unwrap().ephemeral_owner, session.id);
        witness.set(&path, b"new", -1).unwrap();
        upgrades.sync("/").unwrap();
        assert_eq!(
            upgrades.events.drain(..).map(|event| event.kind).collect::<Vec<_>>(),
            [3],
            "its watch is kept"
        );
        let mut moved = reattach(&ensemble, other, &session).unwrap();
        assert_eq!(*moved.session(), session, "the same id and password");
        moved.delete(&mine, -1).unwrap();
        moved.create(&mine, b"", CreateMode::Ephemeral).unwrap();
        assert!(upgrades.set(&path, b"late", -1).is_err(), "it has moved");
        moved.close().unwrap();
        witness.sync("/").unwrap();
        assert!(witness.exists(&mine).unwrap().is_none(), "its end takes its ephemerals");
        witness.close().unwrap();
    }
    // Nobody speaks for it any more: the leader ends it.
    let leader = ensemble.await_leader();
    let home = those(&ensemble, Mode::Follower)[0];
    let mut silent = client_for(&ensemble, home, 2_000);
    silent.create("/silent", b"", CreateMode::Ephemeral).unwrap();
    let since = Instant::now();
    silent.hang_up();
    let mut witness = client(&ensemble, leader);
    ensemble.wait_for("the silent session to end", |_| {
        witness.sync("/").unwrap();
        witness.exists("/silent").unwrap().is_none().then_some(())
    });
    assert!(since.elapsed() >= Duration::from_secs(2), "{:?}", since.elapsed());
}

#[test]
fn local_sessions_end_with_the_leader_and_those_that_became_everybodys_go_on() {
    let (_dir, mut ensemble) = serving(3, 1, UPGRADING);
    let leader = ensemble.await_leader();
    let homes: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
    let mut local: Vec<_> = homes.iter().map(|home| client(&ensemble, *home)).collect();
    let mut global: Vec<_> = homes.iter().map(|home| client(&ensemble, *home)).collect();
    for (home, client) in homes.iter().zip(&mut global) {
        client.create(&format!("/mine-{home}"), b"", CreateMode::Ephemeral).unwrap();
    }
    ensemble.kill(leader);
    for client in &mut local {
        let end = client.reply();
        assert!(end.as_ref().is_err_and(is_turned_away), "its connection is closed: {end:?}");
    }
    ensemble.wait_for("the next leader", |ensemble| {
        homes.iter().all(|home| ensemble.mode(*home).is_some()).then_some(())
    });
    for (home, client) in homes.iter().zip(&local) {
        is_expired(&ensemble, *home, client.session());
    }
    for (home, client) in homes.iter().zip(&mut global) {
        let stat = client.exists(&format!("/mine-{home}")).unwrap().unwrap();
        assert_eq!(stat.ephemeral_owner, client.session().id, "at member {home}");
        client.set("/zookeeper", b"", -1).unwrap();
    }
}
