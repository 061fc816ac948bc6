//! Which members answer: somebody who runs is not lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use paddock_config::{Members, PeerAddress};
use paddock_messages::ids::ServerId;

/// Who is there answers before this; a name that is not resolved by then is nobody's.
const WITHIN: Duration = Duration::from_secs(2);

/// The members but `me` of which a port for votes takes connections.
pub(super) fn running(configurations: &[Members], me: ServerId) -> BTreeSet<ServerId> {
    let mut places: BTreeMap<ServerId, BTreeSet<PeerAddress>> = BTreeMap::new();
    for (id, server) in
        configurations.iter().flat_map(|members| &members.servers).filter(|(id, _)| **id != me)
    {
        places.entry(*id).or_default().extend(server.addresses.iter().cloned());
    }
    let (answer, answers) = mpsc::channel();
    for (id, place) in places.into_iter().flat_map(|(id, all)| all.into_iter().map(move |place| (id, place)))
    {
        let answer = answer.clone();
        // One that hangs in a lookup is left behind.
        thread::spawn(move || {
            if answers_at(&place) {
                let _ = answer.send(id);
            }
        });
    }
    drop(answer);
    let deadline = Instant::now() + WITHIN;
    let next = || answers.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    std::iter::from_fn(next).collect()
}

fn answers_at(place: &PeerAddress) -> bool {
    let Ok(addresses) = (place.host.as_str(), place.election_port).to_socket_addrs() else { return false };
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, WITHIN / 2).is_ok())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_takes_connections_runs_wherever_a_configuration_has_it() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let [here, moved, me, gone] = [listen(), listen(), listen(), listen()];
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let line = |id: u64, port: u16| format!("server.{id}=127.0.0.1:9:{port}\n");
        let dead = port(&gone);
        drop(gone);
        let before = [line(1, port(&me)), line(2, port(&here)), line(3, dead), line(4, dead)].concat();
        let after = [line(1, port(&me)), line(3, port(&moved))].concat();
        let both = [before, after].map(|text| Members::read(&text).unwrap());
        assert_eq!(running(&both, ServerId(1)), [ServerId(2), ServerId(3)].into());
    }
}
