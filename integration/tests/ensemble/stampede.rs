//! Thousands of clients lose their member at once, the leader, and all come to the others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::PATIENCE;
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, Session};
use paddock_messages::znode::CreateMode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::world::{client, serving};

const CLIENTS: usize = 5_000;
/// Threads that they share: each has one client at a time on its way.
const AT_ONCE: usize = 50;
/// Beside them the test has few files open.
const OWN_FILES: usize = 200;
/// Nobody's session may run out on a machine that is busy.
const TIMEOUT_MS: i32 = 60_000;
/// A client that is turned away tries the next member after this.
const PAUSE: Duration = Duration::from_millis(20);

/// How many clients there can be here; the members have as many open files as this process may.
fn clients() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let allowed = limit.maximum.map_or(usize::MAX, |all| usize::try_from(all).unwrap());
    let clients = CLIENTS.min(allowed.saturating_sub(OWN_FILES));
    if clients < CLIENTS {
        println!("\nskipped: open files allow only {clients} clients here, not {CLIENTS} (ulimit -Hn)");
    }
    clients
}

/// Each element on one of the threads.
fn on_threads<T: Send, U: Send>(all: Vec<T>, act: impl Fn(T) -> U + Sync) -> Vec<U> {
    let mut shares: Vec<Vec<T>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    all.into_iter().enumerate().for_each(|(nth, one)| shares[nth % AT_ONCE].push(one));
    std::thread::scope(|scope| {
        let start = |share: Vec<T>| scope.spawn(|| share.into_iter().map(&act).collect::<Vec<_>>());
        let running: Vec<_> = shares.into_iter().map(start).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("its own assertions hold")).collect()
    })
}

/// Goes from one member to the next, as clients do, until one has taken its session.
fn come_back(to: &[SocketAddr], session: &Session) -> RawClient {
    let deadline = Instant::now() + PATIENCE;
    for nth in 0.. {
        let handshake =
            Handshake { session: Some(session.clone()), timeout_ms: TIMEOUT_MS, ..Handshake::default() };
        match RawClient::connect_with(to[(session.id as usize + nth) % to.len()], &handshake) {
            Ok(client) => return client,
            Err(ClientError::Expired) => panic!("session {:#x} has ended", session.id),
            Err(error) => assert!(Instant::now() < deadline, "session {:#x}: {error}", session.id),
        }
        std::thread::sleep(PAUSE);
    }
    unreachable!("it tries for ever")
}

#[test]
fn five_thousand_clients_of_a_leader_that_dies_are_served_by_the_others_with_their_sessions() {
    let count = clients();
    let (_dir, mut ensemble) = serving(3, 0, &format!("maxSessionTimeout={TIMEOUT_MS}"));
    let leader = ensemble.await_leader();
    let at = ensemble.client_address(leader);
    client(&ensemble, leader).create("/mine", b"", CreateMode::Persistent).unwrap();
    let begin = |nth: usize| {
        let handshake = Handshake { timeout_ms: TIMEOUT_MS, ..Handshake::default() };
        let mut client = RawClient::connect_with(at, &handshake).unwrap();
        if nth.is_multiple_of(10) {
            client.create(&format!("/mine/{nth}"), b"", CreateMode::Ephemeral).unwrap();
        }
        client
    };
    let crowd = on_threads((0..count).collect(), begin);
    let sessions: Vec<_> = crowd.iter().map(|client| client.session().clone()).collect();
    let others: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
    let to: Vec<_> = others.iter().map(|id| ensemble.client_address(*id)).collect();

    ensemble.kill(leader);
    let began = Instant::now();
    drop(crowd);
    let mut back = on_threads(sessions, |session| {
        let client = come_back(&to, &session);
        assert_eq!(client.session().id, session.id);
        client
    });
    println!("rounds: {count} clients are back {:.1?} after the leader's end", began.elapsed());
    let next = ensemble.await_leader();
    let epoch = ensemble.epoch(next);
    let first = back.first_mut().unwrap();
    first.sync("/").unwrap();
    assert_eq!(first.children("/mine").unwrap().len(), count.div_ceil(10), "what they own is there");
    on_threads(back, |mut client| client.ping().expect("it is served"));
    assert_eq!((ensemble.leader(), ensemble.epoch(next)), (Some(next), epoch), "one election was enough");
    for id in others {
        assert!(!ensemble.log(id).contains("ERROR"), "member {id}");
    }
}
