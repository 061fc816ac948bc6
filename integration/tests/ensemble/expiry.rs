//! A session that nobody hears of for its timeout ends, on all members at once and no sooner; one that pings
//! outlives its leader.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode, PATIENCE};
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, Session};
use paddock_messages::znode::CreateMode;

use crate::load::StopsAll;
use crate::world::{client, client_for, serving, those};

const TIMEOUT: Duration = Duration::from_secs(4);
/// Of the ensembles here.
const TICK: Duration = Duration::from_secs(1);
/// Beyond what is promised, for a busy machine.
const SLACK: Duration = Duration::from_secs(10);
/// A client library pings three times within a timeout; these do so more often.
const PING_EVERY: Duration = Duration::from_millis(300);

/// A session that has just been heard of for the last time, with an ephemeral.
struct Silent {
    client: RawClient,
    path: String,
    /// It was heard of after this.
    since: Instant,
}

fn silent(ensemble: &Ensemble, id: Id) -> Silent {
    let path = format!("/silent-{id}");
    let mut client = client_for(ensemble, id, TIMEOUT.as_millis() as i32);
    let since = Instant::now();
    client.create(&path, b"", CreateMode::Ephemeral).unwrap();
    Silent { client, path, since }
}

fn is_there(client: &mut RawClient, path: &str) -> bool {
    client.sync(path).unwrap();
    client.exists(path).unwrap().is_some()
}

/// Waits until the ephemeral is gone, asking each member in turn; once one says so, all must. Returns how long
/// it was there since the session was heard of.
fn gone_after(ensemble: &Ensemble, silent: &Silent) -> Duration {
    let mut clients: Vec<_> = ensemble.running().into_iter().map(|id| (id, client(ensemble, id))).collect();
    while clients.iter_mut().all(|(_, client)| is_there(client, &silent.path)) {
        assert!(silent.since.elapsed() < PATIENCE, "{} does not go", silent.path);
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = silent.since.elapsed();
    for (id, client) in &mut clients {
        assert!(
            !is_there(client, &silent.path),
            "{} is gone elsewhere, and there at member {id}",
            silent.path
        );
    }
    clients.into_iter().for_each(|(_, client)| client.close().unwrap());
    after
}

#[test]
fn a_silent_session_ends_after_its_timeout_on_all_members() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let homes = [leader, those(&ensemble, Mode::Follower)[0], those(&ensemble, Mode::Observer)[0]];
    for home in homes {
        let mut silent = silent(&ensemble, home);
        let after = gone_after(&ensemble, &silent);
        println!("expiry: a silent session at member {home}, the leader is {leader}: gone after {after:?}");
        assert!(after >= TIMEOUT, "after {after:?}");
        assert!(after < TIMEOUT + 2 * TICK + SLACK, "after {after:?}");
        let (session, error) = (silent.client.session().clone(), silent.client.ping());
        assert!(error.as_ref().is_err_and(ClientError::is_disconnect), "its connection is closed: {error:?}");
        for id in ensemble.ids() {
            let again = RawClient::reattach(ensemble.client_address(id), &session, 0);
            assert!(matches!(again, Err(ClientError::Expired)), "at member {id}: {again:?}");
        }
    }
}

#[test]
fn a_session_whose_member_was_killed_ends_after_its_timeout() {
    for mode in [Mode::Observer, Mode::Follower, Mode::Leader] {
        let (_dir, mut ensemble) = serving(3, 1, "");
        let home = those(&ensemble, mode)[0];
        let silent = silent(&ensemble, home);
        ensemble.kill(home);
        ensemble.await_all_serving();
        let after = gone_after(&ensemble, &silent);
        println!("expiry: a session whose {mode:?} was killed: gone after {after:?}");
        assert!(after >= TIMEOUT, "after {after:?}");
        if mode != Mode::Leader {
            assert!(after < TIMEOUT + 2 * TICK + SLACK, "after {after:?}");
        }
    }
}

/// Pings until it is told to stop, at whichever member serves it, and has its ephemeral then. Returns how often
/// it had to connect.
fn pings(to: &[SocketAddr], home: usize, stop: &AtomicBool) -> usize {
    let path = format!("/pings-{home}");
    let (mut session, mut seen, mut connects) = (None::<Session>, 0, 0);
    let mut deadline = Instant::now() + PATIENCE;
    let mut attempt = 0;
    while !stop.load(Ordering::Relaxed) || session.is_none() {
        let at = to[(home + attempt) % to.len()];
        attempt += 1;
        let handshake = Handshake {
            timeout_ms: TIMEOUT.as_millis() as i32,
            session: session.clone(),
            last_zxid_seen: seen,
            answer_limit: TIMEOUT / 2,
            ..Handshake::default()
        };
        let served = RawClient::connect_with(at, &handshake).and_then(|mut client| {
            connects += 1;
            if session.replace(client.session().clone()).is_none() {
                client.create(&path, b"", CreateMode::Ephemeral)?;
            }
            while !stop.load(Ordering::Relaxed) {
                client.ping()?;
                deadline = Instant::now() + PATIENCE;
                seen = seen.max(client.last_zxid());
                std::thread::sleep(PING_EVERY);
            }
            client.hang_up();
            Ok(())
        });
        if let Err(error) = served {
            assert!(error.is_disconnect(), "the session of {path}: {error}");
            assert!(Instant::now() < deadline, "nobody serves the session of {path}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let session = session.expect("it was served once");
    let again = to.iter().find_map(|to| RawClient::reattach(*to, &session, seen).ok());
    let mut client = again.unwrap_or_else(|| panic!("the session of {path} is gone"));
    client.sync("/").unwrap();
    let owner = client.exists(&path).unwrap().map(|stat| stat.ephemeral_owner);
    assert_eq!(owner, Some(session.id), "{path}");
    client.close().unwrap();
    connects
}

#[test]
fn a_session_that_pings_outlives_its_leader() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let (to, stop) = (ensemble.client_addresses(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stops = StopsAll(&stop);
        let running: Vec<_> = (0..to.len())
            .map(|home| {
                let (to, stop) = (&to, &stop);
                scope.spawn(move || pings(to, home, stop))
            })
            .collect();
        let leader = ensemble.await_leader();
        let mut look = client(&ensemble, leader);
        let made = |client: &mut RawClient| (0..4).all(|nth| is_there(client, &format!("/pings-{nth}")));
        ensemble.wait_for("all sessions", |_| made(&mut look).then_some(()));
        ensemble.kill(leader);
        ensemble.await_all_serving();
        std::thread::sleep(3 * TIMEOUT); // so long none may end
        ensemble.start(leader);
        ensemble.await_all_serving();
        drop(stops);
        for (nth, one) in running.into_iter().enumerate() {
            let connects = one.join().expect("its assertions hold");
            assert!(nth + 1 != leader as usize || connects > 1, "the leader's own client had to move");
            println!("expiry: the session that began at member {} connected {connects} times", nth + 1);
        }
    });
}
