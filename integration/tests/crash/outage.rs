//! An outage of the server is nobody's fault: however long it was, a session has its whole timeout from the
//! restart on, and no longer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use paddock_integration::process::Launch;
use paddock_integration::raw_client::{ClientError, Handshake, RawClient};
use paddock_messages::znode::CreateMode;
use tempfile::tempdir;

use crate::world::config;

/// The shortest that can be had with these ticks.
const TIMEOUT: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(500);
const OUTAGE: Duration = Duration::from_millis(2_500);
/// Beyond what is promised, for a busy machine.
const SLACK: Duration = Duration::from_secs(10);

/// A session with an ephemeral.
fn holder(to: SocketAddr, path: &str, timeout: Duration) -> RawClient {
    let timeout_ms = timeout.as_millis() as i32;
    let handshake = Handshake { timeout_ms, ..Handshake::default() };
    let mut client = RawClient::connect_with(to, &handshake).expect("it serves");
    assert_eq!(client.session().timeout_ms, timeout_ms, "as asked for");
    client.create(path, b"", CreateMode::Ephemeral).expect("a write");
    client
}

#[test]
fn d12_an_outage_longer_than_its_timeout_expires_no_session_that_comes_back() {
    let dir = tempdir().expect("the temporary directory is writable");
    let lines = format!("tickTime={}", TICK.as_millis());
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), &lines));
    let mut server = launch.serve().expect("it serves");
    let to = server.address();
    let comes_back = holder(to, "/comes-back", TIMEOUT);
    let stays_away = holder(to, "/stays-away", TIMEOUT);
    let watches = holder(to, "/watches", Duration::from_secs(10));
    let [back, away, watcher] = [&comes_back, &stays_away, &watches].map(|client| client.session().clone());
    let last = watches.last_zxid();
    server.kill().expect("it is our child");
    std::thread::sleep(OUTAGE);

    let began = Instant::now();
    let server = launch.serve().expect("it serves again");
    let to = server.address();
    let mut holder = RawClient::reattach(to, &back, last).expect("the session that comes back in time lives");
    assert_eq!(*holder.session(), back, "the same session");
    let mut watcher = RawClient::reattach(to, &watcher, last).expect("it lives");
    let owner = |watcher: &mut RawClient, path| {
        watcher.exists(path).expect("it serves").map(|stat| stat.ephemeral_owner)
    };
    assert_eq!(owner(&mut watcher, "/comes-back"), Some(back.id));
    let gone_after = loop {
        holder.ping().expect("it is served");
        let found = owner(&mut watcher, "/stays-away");
        let waited = began.elapsed();
        match found {
            None => break waited,
            Some(owner) => assert_eq!(owner, away.id),
        }
        assert!(waited < TIMEOUT + TICK * 3 / 2 + SLACK, "it never expires:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    };
    println!("outage: a session that stayed away was gone {gone_after:?} after the start");
    assert!(gone_after >= TIMEOUT, "it had {gone_after:?} from the start on, and not its {TIMEOUT:?}");
    let told = "silent for longer than their timeout: to be expired";
    server.wait_for_line(&["INFO", told, &format!("{:#x}", away.id)]);
    let again = RawClient::reattach(to, &away, last);
    assert!(matches!(again, Err(ClientError::Expired)), "{again:?}");
    assert_eq!(owner(&mut watcher, "/comes-back"), Some(back.id), "it pings and lives on");
    holder.set("/comes-back", b"still mine", 0).expect("its session lives");
    let (log, lives) = (server.log(), format!("{:#x}", back.id));
    assert!(!log.lines().any(|line| line.contains(told) && line.contains(&lives)), "{lives} lives:\n{log}");
}
