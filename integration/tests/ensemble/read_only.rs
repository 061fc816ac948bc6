//! A member without a quorum serves what it has to clients that only read, where the file says so, until there is a
//! leader again.

use std::process::Command;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::binary;
use paddock_integration::raw_client::{ClientError, Handshake, RawClient, Session, four_letter_word};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;

use crate::world::{client, is_turned_away, serving, those};

const READ_ONLY: &str = "readonlymode.enabled=true\nlocalSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
                         4lw.commands.whitelist=*\n";
/// Of the ensembles here: a tick is a second.
const AFTER: Duration = Duration::from_secs(2);

fn word(ensemble: &Ensemble, id: Id, word: &str) -> String {
    four_letter_word(ensemble.client_address(id), word, Duration::from_secs(10)).unwrap_or_default()
}

fn connect(
    ensemble: &Ensemble,
    id: Id,
    read_only: Option<bool>,
    session: Option<&Session>,
) -> Result<RawClient, ClientError> {
    let handshake = Handshake { read_only, session: session.cloned(), ..Handshake::default() };
    RawClient::connect_with(ensemble.client_address(id), &handshake)
}

fn reader(ensemble: &Ensemble, id: Id) -> RawClient {
    let client = connect(ensemble, id, Some(true), None).unwrap();
    assert_eq!(client.read_only(), Some(true), "the answer says so");
    client
}

/// Waits until a member is in read-only mode.
fn await_read_only(ensemble: &mut Ensemble, id: Id) {
    ensemble.wait_for("read-only mode", |ensemble| (word(ensemble, id, "isro") == "ro").then_some(()));
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, ClientError>) {
    assert!(matches!(answer, Err(ClientError::Refused(ErrorCode::NotReadOnly))), "{answer:?}");
}

#[test]
fn a_member_without_a_quorum_serves_what_it_has_to_who_only_reads_until_there_is_a_leader() {
    let (_dir, mut ensemble) = serving(3, 1, READ_ONLY);
    let leader = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    let observer = those(&ensemble, Mode::Observer)[0];
    let mut writer = client(&ensemble, followers[0]);
    assert_eq!(word(&ensemble, followers[0], "isro"), "rw");
    writer.create("/a", b"1", CreateMode::Persistent).unwrap();
    writer.create("/mine", b"", CreateMode::Ephemeral).unwrap();
    let global = writer.session().clone();
    let mut local = client(&ensemble, followers[0]);
    local.sync("/").unwrap();
    let mut witness = client(&ensemble, observer);
    witness.sync("/").unwrap();

    ensemble.kill(followers[1]);
    let alone = Instant::now(); // others may see the end before it is seen here
    ensemble.kill(leader);
    for id in [followers[0], observer] {
        await_read_only(&mut ensemble, id);
        let waited = alone.elapsed();
        println!("read-only: member {id} serves reads {waited:.1?} after its leader was killed");
        assert!(waited >= AFTER, "{waited:?}");
        let at = ensemble.client_address(id).to_string();
        for (words, is_well) in [(&["health"][..], false), (&["health", "--live"], true)] {
            let told = Command::new(binary().unwrap()).args(words).arg(&at).output().unwrap();
            assert!(told.stdout.ends_with(b": up, but read-only: it has no leader\n"), "{told:?}");
            assert_eq!(told.status.success(), is_well, "{told:?}");
        }
    }
    for client in [&mut writer, &mut local, &mut witness] {
        assert!(client.ping().is_err_and(|error| is_turned_away(&error)), "nobody goes on into it");
    }
    for id in [followers[0], observer] {
        for (read_only, session) in
            [(None, None), (Some(false), None), (None, Some(&global)), (Some(true), Some(&global))]
        {
            let answer = connect(&ensemble, id, read_only, session);
            assert!(answer.as_ref().is_err_and(is_turned_away), "{read_only:?}, {session:?}: {answer:?}");
        }
        let expired = connect(&ensemble, id, Some(true), Some(local.session()));
        assert!(matches!(expired, Err(ClientError::Expired)), "a local session of before: {expired:?}");
        let mut reads = reader(&ensemble, id);
        assert_eq!(&reads.get("/a").unwrap().0[..], b"1");
        assert_eq!(reads.exists("/mine").unwrap().unwrap().ephemeral_owner, global.id);
        refused(&reads.create("/b", b"", CreateMode::Persistent));
        refused(&reads.create("/c", b"", CreateMode::Ephemeral));
        refused(&reads.set("/a", b"2", -1));
        refused(&reads.delete("/a", -1));
        refused(&reads.sync("/"));
        reads.ping().unwrap();
        let srvr = word(&ensemble, id, "srvr");
        assert!(srvr.contains("\nREAD-ONLY mode; serving only read-only clients\n"), "{srvr}");
        assert!(srvr.contains("\nMode: read-only\n"), "{srvr}");
        let mntr = word(&ensemble, id, "mntr");
        assert!(mntr.contains("zk_server_state\tread-only\n") && !mntr.contains("zk_peer_state"), "{mntr}");
        let dump = word(&ensemble, id, "dump");
        assert!(
            dump.contains("Local Session Sets (1)/(1):") && dump.contains("Global Sessions(1):"),
            "{dump}"
        );
        let conf = word(&ensemble, id, "conf");
        assert!(conf.contains("peerType=") && !conf.contains("membership:"), "{conf}");
        let session = reads.session().clone();
        let mut again = connect(&ensemble, id, Some(true), Some(&session)).unwrap();
        assert!(reads.ping().is_err_and(|error| is_turned_away(&error)), "one connection speaks for it");
        again.ping().unwrap();
        again.close().unwrap();
        let expired = connect(&ensemble, id, Some(true), Some(&session));
        assert!(matches!(expired, Err(ClientError::Expired)), "it has ended: {expired:?}");
    }

    // A leader again: all are closed, and who had a session of everybody's has it still.
    let mut watching = reader(&ensemble, followers[0]);
    let read = PathWatch { path: "/a".into(), watch: true };
    watching.call(OpCode::GetData, &read).unwrap().ok().unwrap();
    ensemble.start(leader);
    ensemble.start(followers[1]);
    let end = watching.reply();
    assert!(end.as_ref().is_err_and(is_turned_away), "{end:?}");
    ensemble.await_all_serving();
    assert_eq!(word(&ensemble, followers[0], "isro"), "rw");
    let again = connect(&ensemble, followers[0], Some(true), Some(watching.session()));
    assert!(matches!(again, Err(ClientError::Expired)), "it was local: {again:?}");
    let mut back = connect(&ensemble, followers[0], Some(true), Some(&global)).unwrap();
    assert_eq!(back.read_only(), Some(false));
    assert_eq!(back.exists("/mine").unwrap().unwrap().ephemeral_owner, global.id);
    back.set("/a", b"2", -1).unwrap();
    back.close().unwrap();
}

#[test]
fn a_session_of_read_only_mode_that_is_silent_ends_there_and_without_local_sessions_there_is_none() {
    let (_dir, mut ensemble) = serving(3, 0, READ_ONLY);
    let leader = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    ensemble.freeze(leader);
    ensemble.freeze(followers[1]);
    await_read_only(&mut ensemble, followers[0]);
    let handshake = Handshake { read_only: Some(true), timeout_ms: 3_000, ..Handshake::default() };
    let address = ensemble.client_address(followers[0]);
    let mut silent = RawClient::connect_with(address, &handshake).unwrap();
    let mut pinging = RawClient::connect_with(address, &handshake).unwrap();
    let since = Instant::now();
    silent.ping().unwrap();
    while since.elapsed() < Duration::from_millis(2_500) {
        pinging.ping().unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(silent.reply().is_err_and(|error| is_turned_away(&error)));
    assert!(since.elapsed() >= Duration::from_secs(3), "{:?}", since.elapsed());
    pinging.ping().unwrap();
    ensemble.thaw(leader);
    ensemble.thaw(followers[1]);
    ensemble.await_all_serving();
    assert!(pinging.ping().is_err_and(|error| is_turned_away(&error)), "it ends with the mode");

    let (_dir, mut ensemble) = serving(3, 0, "readonlymode.enabled=true\n");
    let leader = ensemble.await_leader();
    let followers = those(&ensemble, Mode::Follower);
    ensemble.kill(leader);
    ensemble.kill(followers[1]);
    await_read_only(&mut ensemble, followers[0]);
    let none = connect(&ensemble, followers[0], Some(true), None);
    assert!(none.is_err(), "its answer is no handshake's: {none:?}");
}
