//! What order clients of different members may rely on.

use bytes::Bytes;
use paddock_integration::ensemble::Ensemble;
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{PathOnly, PathWatch};
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};

use crate::world::{client, serving};

/// Times that each pair of members is tried, together at least 200.
const TURNS: usize = 20;
/// Requests a client sends before it takes any answer, in triples of write, read and watch.
const PIPELINED: usize = 300;

fn clients(ensemble: &Ensemble) -> Vec<RawClient> {
    ensemble.ids().into_iter().map(|id| client(ensemble, id)).collect()
}

#[test]
fn a_sync_at_any_member_shows_what_was_acknowledged_at_any_other() {
    let (_dir, ensemble) = serving(3, 1, "");
    let mut clients = clients(&ensemble);
    clients[0].create("/a", b"", CreateMode::Persistent).unwrap();
    let pairs = |turn| (0..4).flat_map(move |writer| (0..4).map(move |reader| (turn, writer, reader)));
    for (version, (turn, writer, reader)) in (0..).zip((0..TURNS).flat_map(pairs)) {
        let data = format!("{turn}.{writer}.{reader}");
        let written = clients[writer].set("/a", data.as_bytes(), version).unwrap();
        // Both at once: the read must wait for the sync by itself.
        let reads = &mut clients[reader];
        reads.queue(OpCode::Sync, &PathOnly { path: "/a".into() });
        reads.queue(OpCode::GetData, &PathWatch { path: "/a".into(), watch: false });
        reads.flush().unwrap();
        reads.reply().unwrap().ok().unwrap();
        let mut body = reads.reply().unwrap().ok().unwrap();
        let read = Option::<Bytes>::read(&mut body).unwrap().unwrap_or_default();
        assert_eq!(
            (read, Stat::read(&mut body).unwrap()),
            (data.into(), written),
            "written at {writer}, read at {reader}"
        );
    }
}

/// Without a sync a member may be behind, but never goes back, and a client that moves is never served by one
/// that is behind what it saw.
#[test]
fn what_a_client_has_seen_it_sees_wherever_it_goes() {
    let (_dir, ensemble) = serving(3, 1, "");
    let to = ensemble.client_addresses();
    let mut writes = client(&ensemble, 1);
    writes.create("/a", b"", CreateMode::Persistent).unwrap();
    let mut moves = client(&ensemble, 1);
    let (mut moved, mut seen) = (0, 0);
    for turn in 0..200_usize {
        (0..5).for_each(|_| writes.queue_set("/a", b"on", -1));
        writes.flush().unwrap();
        let (session, last) = (moves.session().clone(), moves.last_zxid());
        moves.hang_up();
        // A member that is behind closes the connection without an answer; each has its turn of being the first asked.
        let mut asked = to.iter().cycle().skip(turn).take(1_000);
        let attached = asked.find_map(|to| RawClient::reattach(*to, &session, last).ok());
        moves = attached.expect("one has what the client has seen");
        moved += usize::from(*moves.session() == session);
        let version = moves.get("/a").unwrap().1.version;
        assert!(version >= seen, "turn {turn}: version {version} after {seen}");
        (0..5).for_each(|_| seen = Stat::read(&mut writes.reply().unwrap().ok().unwrap()).unwrap().version);
        // By its own write the mover knows of everything before it.
        let own = moves.set("/a", b"own", -1).unwrap();
        assert!(own.version > seen, "turn {turn}: version {} after {seen}", own.version);
        seen = own.version;
    }
    assert_eq!(moved, 200, "always the same session");
}

#[test]
fn a_client_s_requests_take_effect_in_order_and_events_come_before_what_shows_them() {
    let (_dir, ensemble) = serving(3, 1, "");
    // All at once: what the members forward is mixed at the leader.
    std::thread::scope(|scope| {
        for (nth, client) in clients(&ensemble).into_iter().enumerate() {
            scope.spawn(move || pipelined(client, &format!("/own-{nth}")));
        }
    });
}

/// Reads that leave a watch, writes that fire it, and reads of what was written, all in flight at once.
fn pipelined(mut client: RawClient, path: &str) {
    client.create(path, b"first", CreateMode::Persistent).unwrap();
    let read = |watch| PathWatch { path: path.into(), watch };
    for nth in 0..PIPELINED {
        client.queue(OpCode::GetData, &read(true));
        client.queue_set(path, format!("{nth}").as_bytes(), nth as i32);
        client.queue(OpCode::GetData, &read(false));
    }
    client.flush().unwrap();
    let data_of = |client: &mut RawClient| {
        let mut body = client.reply().unwrap().ok().unwrap();
        let data = Option::<Bytes>::read(&mut body).unwrap().unwrap_or_default();
        (data, Stat::read(&mut body).unwrap())
    };
    let mut before = Bytes::from("first");
    let mut last = 0;
    for nth in 0..PIPELINED {
        let (data, stat) = data_of(&mut client);
        assert_eq!((data, stat.version), (before, nth as i32), "{path}: the read before write {nth}");
        assert_eq!(client.events.len(), nth, "{path}: a watch told before write {nth}");
        let reply = client.reply().unwrap();
        let zxid = reply.header.zxid;
        let written = Stat::read(&mut reply.ok().unwrap()).unwrap();
        assert_eq!((written.version, written.mzxid), (nth as i32 + 1, zxid), "{path}: write {nth}");
        assert!(zxid > last, "{path}: write {nth} has {zxid:#x} after {last:#x}");
        last = zxid;
        let event = client.events.back().expect("the event comes before the write's own reply");
        let told = (client.events.len(), event.kind, event.path.as_ref(), event.zxid);
        assert_eq!(told, (nth + 1, 3, path, zxid), "{path}: the event of write {nth}");
        let (data, stat) = data_of(&mut client);
        assert_eq!(
            (data.as_ref(), stat),
            (format!("{nth}").as_bytes(), written),
            "{path}: the read after write {nth}"
        );
        before = data;
    }
    client.close().unwrap();
}
