//! O6: once a session's new connection is attached, nothing of the old one takes effect.

use std::net::SocketAddr;
use std::time::Duration;

use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};
use rand::Rng;

use crate::order::{alone, on_each};

/// Writes of the new connection that must find nothing between them.
const UNDISTURBED: i32 = 40;

/// Writes without end, far more than is answered at any time, until it is cut off; how many were acknowledged.
fn flood(mut client: RawClient, path: &str) -> i32 {
    let mut acked = 0;
    let mut turn = || -> Result<(), ClientError> {
        while client.in_flight() < 400 {
            client.queue_set(path, b"old", -1);
        }
        client.flush()?;
        for _ in 0..50 {
            client.reply()?.ok()?;
            acked += 1;
        }
        Ok(())
    };
    loop {
        match turn() {
            Ok(()) => {}
            Err(error) if error.is_disconnect() => return acked,
            Err(ClientError::Refused(ErrorCode::SessionMoved)) => {}
            Err(error) => panic!("the old connection: {error}"),
        }
    }
}

/// The new connection reads, then counts on what it has read: each of its writes names the version.
fn write_undisturbed(client: &mut RawClient, path: &str) -> Result<Stat, ClientError> {
    let (_, mut stat) = client.get(path)?;
    let first = stat.version;
    for nth in 0..UNDISTURBED {
        client.queue_set(path, b"new", first + nth);
        if nth % 8 == 0 {
            client.flush()?;
        }
    }
    client.flush()?;
    for _ in 0..UNDISTURBED {
        stat = Stat::read(&mut client.reply()?.ok()?)?;
    }
    Ok(stat)
}

#[test]
fn o6_nothing_of_the_old_connection_takes_effect_once_the_new_one_is_attached() {
    on_each("takeover", alone, |to: SocketAddr, nth, mut rng| {
        let path = format!("/moves-{nth}");
        let mut client = RawClient::connect(to).expect("it serves");
        client.create(&path, b"", CreateMode::Persistent).expect("a write");
        let (mut version, mut cut) = (0, 0);
        for turn in 0..15 {
            let (session, last) = (client.session().clone(), client.last_zxid());
            let floods = std::thread::spawn({
                let path = path.clone();
                move || flood(client, &path)
            });
            std::thread::sleep(Duration::from_micros(rng.random_range(0..8_000)));
            client = RawClient::reattach(to, &session, last).expect("the session lives");
            let stat = write_undisturbed(&mut client, &path);
            let stat = stat.unwrap_or_else(|error| panic!("O6: turn {turn}, the new connection: {error}"));
            let acked = floods.join().expect("the old connection is cut, and nothing else");
            let (_, at_last) = client.get(&path).expect("it serves");
            assert_eq!(at_last, stat, "O6: turn {turn}: the old connection has written since");
            let others = stat.version - version - UNDISTURBED;
            assert!(acked <= others, "turn {turn}: {acked} were acknowledged, {others} are there");
            version = stat.version;
            cut += others;
        }
        assert!(cut > 100, "the old connections wrote only {cut} times");
    });
}
