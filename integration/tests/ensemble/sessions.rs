//! A session is the ensemble's: it moves between members with its ephemerals and watches, and one connection at a
//! time speaks for it.

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{PathWatch, SetWatches};
use paddock_messages::znode::CreateMode;

use crate::world::{client, is_turned_away, serving, those};

/// Leaves a one-shot watch with a read of this kind.
fn watch(client: &mut RawClient, read: OpCode, path: &str) {
    let reply = client.call(read, &PathWatch { path: path.into(), watch: true }).unwrap();
    assert!(reply.ok().is_ok() || read == OpCode::Exists, "{read:?} of {path}");
}

/// Who owns an ephemeral, once the member has caught up; `None` if it is not there.
fn owner(client: &mut RawClient, path: &str) -> Option<i64> {
    client.sync(path).unwrap();
    client.exists(path).unwrap().map(|stat| stat.ephemeral_owner)
}

/// Who all members say owns it, each asked by a session of its own.
fn owners(ensemble: &Ensemble, path: &str) -> Vec<(Id, Option<i64>)> {
    let ask = |id: Id| {
        let mut client = client(ensemble, id);
        let owner = owner(&mut client, path);
        client.close().unwrap();
        (id, owner)
    };
    ensemble.running().into_iter().map(ask).collect()
}

/// All members that run, with this owner each.
fn all(ensemble: &Ensemble, owner: Option<i64>) -> Vec<(Id, Option<i64>)> {
    ensemble.running().into_iter().map(|id| (id, owner)).collect()
}

#[test]
fn a_session_moves_with_ephemerals_and_watches_when_its_member_is_killed() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let followers = those(&ensemble, Mode::Follower);
    let (home, refuge) = (followers[0], followers[1]);
    let mut witness = client(&ensemble, refuge);
    witness.create("/watched", b"", CreateMode::Persistent).unwrap();
    witness.create("/still", b"", CreateMode::Persistent).unwrap();
    let mut moves = client(&ensemble, home);
    moves.create("/mine", b"", CreateMode::Ephemeral).unwrap();
    moves.sync("/").unwrap();
    for (read, path) in [
        (OpCode::GetData, "/watched"),
        (OpCode::GetData, "/still"),
        (OpCode::Exists, "/absent"),
        (OpCode::GetChildren, "/"),
        (OpCode::GetChildren, "/still"),
    ] {
        watch(&mut moves, read, path);
    }
    let (session, seen) = (moves.session().clone(), moves.last_zxid());
    assert_eq!(owners(&ensemble, "/mine"), all(&ensemble, Some(session.id)));

    ensemble.kill(home);
    witness.set("/watched", b"changed", 0).unwrap();
    witness.create("/absent", b"", CreateMode::Persistent).unwrap();
    let mut moved = RawClient::reattach(ensemble.client_address(refuge), &session, seen).unwrap();
    assert_eq!(*moved.session(), session, "the same session");
    assert_eq!(owner(&mut moved, "/mine"), Some(session.id));
    let watches = SetWatches {
        relative_zxid: seen,
        data: vec!["/watched".into(), "/still".into()],
        exist: vec!["/absent".into()],
        child: vec!["/".into(), "/still".into()],
    };
    moved.set_watches(&watches).unwrap();
    let mut missed: Vec<_> =
        moved.events.drain(..).map(|event| (event.kind, event.path.to_string())).collect();
    missed.sort();
    let expected = [(1, "/absent"), (3, "/watched"), (4, "/")].map(|(kind, path)| (kind, path.to_owned()));
    assert_eq!(missed, expected, "what was missed, and nothing else");
    // A watch that had nothing to tell is there, and one that told is gone.
    for path in ["/still", "/watched"] {
        witness.set(path, b"again", -1).unwrap();
    }
    moved.sync("/").unwrap();
    let events: Vec<_> = moved.events.iter().map(|event| (event.kind, event.path.to_string())).collect();
    assert_eq!(events, [(3, "/still".to_owned())]);

    ensemble.start(home);
    ensemble.await_all_serving();
    assert_eq!(owners(&ensemble, "/mine"), all(&ensemble, Some(session.id)));
    moved.close().unwrap();
    assert_eq!(owners(&ensemble, "/mine"), all(&ensemble, None));
    for id in ensemble.ids() {
        let again = RawClient::reattach(ensemble.client_address(id), &session, 0);
        assert!(matches!(again, Err(ClientError::Expired)), "a closed session at member {id}: {again:?}");
    }
}

#[test]
fn what_a_session_s_old_connection_sends_after_it_moved_takes_no_effect() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    let observer = those(&ensemble, Mode::Observer)[0];
    for (nth, (old, new)) in [
        (followers[0], followers[1]),
        (followers[0], leader),
        (leader, followers[0]),
        (observer, leader),
        (followers[1], observer),
    ]
    .into_iter()
    .enumerate()
    {
        let (path, what) =
            (format!("/mine-{nth}"), format!("from member {old} to {new}, the leader is {leader}"));
        let mut left = client(&ensemble, old);
        left.create(&path, b"", CreateMode::Ephemeral).unwrap();
        let (session, seen) = (left.session().clone(), left.last_zxid());
        // A member that is behind what the client has seen turns it away.
        client(&ensemble, new).sync(&path).unwrap();
        let mut moved = RawClient::reattach(ensemble.client_address(new), &session, seen).unwrap();
        assert_eq!(moved.set(&path, b"new", 0).unwrap().version, 1, "{what}");
        let refused = left.set(&path, b"old", -1);
        assert!(refused.as_ref().is_err_and(is_turned_away), "{what}: {refused:?}");
        moved.sync(&path).unwrap();
        let (data, stat) = moved.get(&path).unwrap();
        assert_eq!((data.as_ref(), stat.version), (&b"new"[..], 1), "{what}");
        // A wrong password moves nothing.
        let mut forged = session.clone();
        forged.password = vec![7; 16].into();
        let again = RawClient::reattach(ensemble.client_address(old), &forged, 0);
        assert!(matches!(again, Err(ClientError::Expired)), "{what}: {again:?}");
        assert_eq!(moved.set(&path, b"still", 1).unwrap().version, 2, "{what}");
        moved.close().unwrap();
        assert_eq!(owners(&ensemble, &path), all(&ensemble, None), "{what}");
    }
}

#[test]
fn a_session_survives_that_all_members_are_killed_at_once() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let mut client = client(&ensemble, 1);
    client.create("/mine", b"", CreateMode::Ephemeral).unwrap();
    let (session, seen) = (client.session().clone(), client.last_zxid());
    ensemble.kill_all();
    ensemble.start_all();
    ensemble.await_all_serving();
    let mut again = RawClient::reattach(ensemble.client_address(2), &session, seen).unwrap();
    assert_eq!(owner(&mut again, "/mine"), Some(session.id));
    again.close().unwrap();
    assert_eq!(owners(&ensemble, "/mine"), all(&ensemble, None));
}
