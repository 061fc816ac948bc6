//! Thousands of clients lose their member at once, the leader, and all come to the others, at once too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::PATIENCE;
use paddock_integration::raw_client::{ClientError, Greeting, Handshake, RawClient, Session};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{client, serving};

const CLIENTS: usize = 5_000;
/// Threads that they share.
const AT_ONCE: usize = 50;
/// Beside them the test has few files open.
const OWN_FILES: usize = 200;
/// Nobody's session may run out on a machine that is busy.
const TIMEOUT_MS: i32 = 60_000;
/// Clients that are turned away try the next member after this.
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

fn handshake(session: Option<Session>) -> Handshake {
    Handshake { session, timeout_ms: TIMEOUT_MS, ..Handshake::default() }
}

/// All connect and send their handshakes, and only then anybody reads an answer; who is turned away comes again with all others
/// that were, to the next member. Returns them, and how often they came.
fn come_back(to: &[SocketAddr], sessions: Vec<Session>) -> (Vec<RawClient>, usize) {
    let deadline = Instant::now() + PATIENCE;
    let (mut back, mut out) = (Vec::new(), sessions);
    for wave in 0.. {
        if out.is_empty() {
            return (back, wave);
        }
        assert!(Instant::now() < deadline, "{} sessions are without a member", out.len());
        let send = |session: Session| {
            let at = to[(session.id as usize + wave) % to.len()];
            (Greeting::send(at, &handshake(Some(session.clone()))), session)
        };
        let answer = |(sent, session): (Result<Greeting, ClientError>, Session)| match sent
            .and_then(Greeting::answer)
        {
            Ok(client) => {
                assert_eq!(client.session().id, session.id);
                Ok(client)
            }
            Err(ClientError::Expired) => panic!("session {:#x} has ended", session.id),
            Err(error) => {
                assert!(error.is_disconnect(), "session {:#x}: {error}", session.id);
                Err(session)
            }
        };
        let (came, again): (Vec<_>, Vec<_>) =
            on_threads(on_threads(out, send), answer).into_iter().partition(Result::is_ok);
        back.extend(came.into_iter().flatten());
        out = again.into_iter().filter_map(Result::err).collect();
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
        let mut client = RawClient::connect_with(at, &handshake(None)).unwrap();
        if nth.is_multiple_of(10) {
            client.create(&format!("/mine/{nth}"), b"", CreateMode::Ephemeral).unwrap();
        }
        client
    };
    let crowd = on_threads((0..count).collect(), begin);
    let sessions: Vec<_> = crowd.iter().map(|client| client.session().clone()).collect();
    let others: Vec<_> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
    let to: Vec<_> = others.iter().map(|id| ensemble.client_address(*id)).collect();

    let told = under_load(&mut ensemble, seed("stampede"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(200);
        ensemble.kill(leader);
        let began = Instant::now();
        drop(crowd);
        let (mut back, waves) = come_back(&to, sessions);
        println!(
            "rounds: {count} clients are back {:.1?} after the leader's end, in {waves} waves",
            began.elapsed()
        );
        let next = ensemble.await_leader();
        let epoch = ensemble.epoch(next);
        let first = back.first_mut().unwrap();
        first.sync("/").unwrap();
        assert_eq!(first.children("/mine").unwrap().len(), count.div_ceil(10), "what they own is there");
        progress.await_write_after(Instant::now());
        on_threads(back, |mut client| client.ping().expect("it is served"));
        assert_eq!((ensemble.leader(), ensemble.epoch(next)), (Some(next), epoch), "one election was enough");
        ensemble.start(leader);
        ensemble.await_all_serving();
    });
    told.verify(&mut ensemble);
    for id in others {
        assert!(!ensemble.log(id).contains("ERROR"), "member {id}");
    }
}
