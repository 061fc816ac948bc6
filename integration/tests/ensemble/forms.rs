//! An ensemble forms, serves through each member, and stops in good order.

use std::io::{Read, Write};
use std::net::TcpStream;

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_messages::znode::CreateMode;

use crate::trees;
use crate::world::{client, serving, those};

/// All modes, sorted.
fn modes(ensemble: &Ensemble) -> Vec<Option<Mode>> {
    let mut modes: Vec<_> = ensemble.ids().into_iter().map(|id| ensemble.mode(id)).collect();
    modes.sort();
    modes
}

/// A write through `writer`, then what each member has of it.
fn written_by_one_is_read_by_all(ensemble: &Ensemble, writer: Id) {
    let path = format!("/from-{writer}");
    let before = ensemble.zxid(writer).expect("it serves");
    let mut writes = client(ensemble, writer);
    writes.create(&path, path.as_bytes(), CreateMode::Persistent).unwrap();
    let created = writes.last_zxid();
    assert!(created > before, "member {writer}: zxid {created:#x} after {before:#x}");
    for reader in ensemble.ids() {
        let mut reads = client(ensemble, reader);
        reads.sync("/").unwrap();
        let (data, stat) = reads.get(&path).unwrap_or_else(|error| panic!("{path} at {reader}: {error}"));
        assert_eq!((data.as_ref(), stat.czxid), (path.as_bytes(), created), "{path} at {reader}");
        let applied = ensemble.zxid(reader).expect("it serves");
        assert!(applied >= created, "member {reader} has {created:#x} and says {applied:#x}");
        reads.close().unwrap();
    }
    writes.close().unwrap();
}

#[test]
fn three_voters_and_an_observer_elect_one_leader_and_each_serves() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let expected = [Mode::Leader, Mode::Follower, Mode::Follower, Mode::Observer].map(Some);
    assert_eq!(modes(&ensemble), expected);
    assert_eq!(those(&ensemble, Mode::Observer), [4]);
    for writer in ensemble.ids() {
        written_by_one_is_read_by_all(&ensemble, writer);
    }
    let tree = trees::same(&ensemble);
    let written = tree.keys().filter(|path| path.starts_with("/from-")).count();
    assert_eq!(written, 4, "{:?}", tree.keys());
    assert_eq!(modes(&ensemble), expected, "nothing of this was a reason to elect anew");

    // Those whose end costs nobody else anything go first.
    for mode in [Mode::Observer, Mode::Follower, Mode::Leader] {
        if let Some(id) = those(&ensemble, mode).first() {
            ensemble.stop(*id);
        }
    }
    for id in ensemble.running() {
        ensemble.stop(id);
    }
}

#[test]
fn an_observer_that_dies_and_returns_disturbs_nobody() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let mut writes = client(&ensemble, leader);
    writes.create("/counter", b"", CreateMode::Persistent).unwrap();
    let epoch = ensemble.epoch(leader).expect("it leads");
    ensemble.kill(4);
    for _ in 0..50 {
        writes.set("/counter", b"meanwhile", -1).unwrap();
    }
    ensemble.start(4);
    ensemble.await_all_serving();
    assert_eq!((ensemble.leader(), ensemble.epoch(leader)), (Some(leader), Some(epoch)));
    assert_eq!(trees::of(&ensemble, 4)["/counter"].1.version, 50);
    trees::same(&ensemble);
    writes.close().expect("this connection has seen nothing of it");
}

#[test]
fn each_member_serves_its_metrics() {
    let (_dir, ensemble) = serving(3, 1, "");
    for id in ensemble.ids() {
        let mut stream = TcpStream::connect(ensemble.metrics_address(id)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "member {id}: {answer}");
        assert!(
            answer.lines().any(|line| line.starts_with("paddock_mailbox_depth")),
            "member {id}: {answer}"
        );
    }
}
