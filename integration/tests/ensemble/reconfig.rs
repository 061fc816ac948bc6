//! `reconfig` (op 16) changes who votes while clients go on writing: what it answers, what it changes, and what of it
//! outlives kills and restarts.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_integration::rounds::seed;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::ops::{AddWatch, Reconfig};
use paddock_messages::client::session::AuthPacket;
use paddock_messages::client::{OpCode, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::path::CONFIG;
use paddock_messages::wire::Wire;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::operators::mntr;
use crate::world::{client, serving, those};

/// The super user's password is "test".
pub(crate) const LINES: &str = "reconfigEnabled=true\nstandaloneEnabled=false\n\
    DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n";

/// A client of this member that may change the configuration.
pub(crate) fn operator(ensemble: &Ensemble, id: Id) -> RawClient {
    let mut client = client(ensemble, id);
    let auth = Some(Bytes::from_static(b"super:test"));
    let packet = AuthPacket { kind: 0, scheme: Some("digest".into()), auth };
    client.queue_raw(xid::AUTH, OpCode::Auth as i32, |to| packet.write(to));
    client.flush().unwrap();
    client.reply().unwrap().ok().unwrap();
    client
}

pub(crate) fn reconfig(
    client: &mut RawClient,
    of: [Option<&str>; 3],
    version: i64,
) -> Result<String, ClientError> {
    let [joining_servers, leaving_servers, new_members] = of.map(|text| text.map(ByteString::from));
    let request = Reconfig { joining_servers, leaving_servers, new_members, current_config_id: version };
    let body = client.call(OpCode::Reconfig, &request)?.ok()?;
    let length = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
    Ok(String::from_utf8(body[4..][..length].to_vec()).unwrap())
}

/// A line for each of these, which vote or not.
pub(crate) fn members(ensemble: &Ensemble, voters: &[Id], observers: &[Id]) -> String {
    let ids: BTreeSet<Id> = voters.iter().chain(observers).copied().collect();
    let line = |id: Id| {
        let [quorum, election] = ensemble.peer_addresses(id).map(|address| address.port());
        let role = if voters.contains(&id) { "participant" } else { "observer" };
        format!("server.{id}=127.0.0.1:{quorum}:{election}:{role};{}\n", ensemble.client_address(id))
    };
    ids.into_iter().map(line).collect()
}

/// The configuration that this member tells, and its version.
pub(crate) fn told(ensemble: &Ensemble, id: Id) -> (String, i64) {
    let mut client = client(ensemble, id);
    client.sync("/").unwrap();
    let (data, stat) = client.get(CONFIG).unwrap();
    client.close().unwrap();
    let text = String::from_utf8(data.to_vec()).unwrap();
    let (lines, version) = text.split_once("version=").unwrap();
    assert_eq!(i64::from_str_radix(version, 16).unwrap(), stat.mzxid);
    (lines.to_owned(), stat.mzxid)
}

pub(crate) fn code(answer: Result<String, ClientError>) -> ErrorCode {
    match answer {
        Err(ClientError::Refused(code)) => code,
        other => panic!("{other:?}"),
    }
}

/// Waits until each of these is that.
pub(crate) fn await_modes(ensemble: &mut Ensemble, followers: &[Id], observers: &[Id]) -> Id {
    ensemble.wait_for(&format!("{followers:?} to vote and {observers:?} not to"), |ensemble| {
        let leader = ensemble.leader()?;
        let follow = followers.iter().all(|id| *id == leader || ensemble.mode(*id) == Some(Mode::Follower));
        let observe = observers.iter().all(|id| ensemble.mode(*id) == Some(Mode::Observer));
        (follow && observe && followers.contains(&leader)).then_some(leader)
    })
}

#[test]
fn observers_become_voters_and_the_leader_an_observer_under_load_and_all_of_it_outlives_kills_and_restarts() {
    let (_dir, mut ensemble) = serving(3, 2, LINES);
    let leader = ensemble.await_leader();
    let others: Vec<Id> = ensemble.voters().into_iter().filter(|id| *id != leader).collect();
    let followers = [others[0], others[1], 4, 5];
    let load = under_load(&mut ensemble, seed("reconfig"), ANSWERED_WITHIN, |ensemble, progress, _| {
        let mut watcher = client(ensemble, 5);
        watcher.call(OpCode::AddWatch, &AddWatch { path: CONFIG.into(), mode: 0 }).unwrap().ok().unwrap();
        let mut asker = operator(ensemble, others[0]);
        progress.await_more(50);
        // All five vote: as before, whoever leads.
        let all = members(ensemble, &[1, 2, 3, 4, 5], &[]);
        let (before, version) = told(ensemble, 1);
        progress.take_longest_gap();
        let text = reconfig(&mut asker, [None, None, Some(&all)], version).unwrap();
        assert!(text.starts_with(&all) && before != all, "{text}");
        assert_eq!(code(reconfig(&mut asker, [None, None, Some(&all)], version)), ErrorCode::BadVersion);
        progress.await_write_after(Instant::now());
        println!("all vote: no write for {:?}", progress.take_longest_gap());
        assert_eq!(await_modes(ensemble, &[1, 2, 3, 4, 5], &[]), leader, "it leads on");
        watcher.sync("/").unwrap();
        let kinds: Vec<_> = watcher.events.drain(..).map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::DataChanged as i32], "one change, told once");
        // The leader leaves, and serves on without a vote.
        progress.take_longest_gap();
        reconfig(&mut asker, [None, Some(&leader.to_string()), None], -1).unwrap();
        progress.await_write_after(Instant::now());
        println!("the leader leaves: no write for {:?}", progress.take_longest_gap());
        await_modes(ensemble, &followers, &[leader]);
        // Two of four voters gone are too many; the one without a vote does not help.
        ensemble.kill(4);
        progress.await_write_after(Instant::now());
        ensemble.kill(leader);
        ensemble.start(4);
        ensemble.start(leader);
        await_modes(ensemble, &followers, &[leader]);
        progress.await_write_after(Instant::now());
    });
    load.verify(&mut ensemble);
    let (lines, version) = told(&ensemble, 4);
    assert_eq!(lines, members(&ensemble, &followers, &[]));
    // The files still name three voters: the log knows better.
    ensemble.kill_all();
    ensemble.start_all();
    await_modes(&mut ensemble, &followers, &[leader]);
    for id in ensemble.ids() {
        assert_eq!(told(&ensemble, id), (lines.clone(), version), "member {id}");
        assert!(ensemble.log(id).contains("the file names other members"), "member {id}");
    }
    for id in [4, 5] {
        ensemble.kill(id);
    }
    ensemble.await_silence_of(others[0]);
    assert!(those(&ensemble, Mode::Leader).is_empty(), "two of four voters are no quorum");
}

#[test]
fn what_is_refused_changes_nothing_and_is_answered_with_zookeepers_codes() {
    let (_dir, mut ensemble) = serving(3, 1, LINES);
    let leader = ensemble.await_leader();
    let before = told(&ensemble, 1);
    let follower = *ensemble.voters().iter().find(|id| **id != leader).unwrap();
    let three = members(&ensemble, &[1, 2, 3], &[]);
    for id in [leader, follower] {
        let mut asker = operator(&ensemble, id);
        for (of, version, expected) in [
            ([None, None, Some(&*three)], 7, ErrorCode::BadVersion),
            ([Some("nonsense"), None, None], -1, ErrorCode::BadArguments),
            ([None, Some("x"), None], -1, ErrorCode::Marshalling),
            ([None, Some("1,2,3"), None], -1, ErrorCode::BadArguments),
        ] {
            assert_eq!(code(reconfig(&mut asker, of, version)), expected, "member {id}: {of:?}");
        }
        let mut anybody = client(&ensemble, id);
        assert_eq!(code(reconfig(&mut anybody, [None, None, Some(&three)], -1)), ErrorCode::NoAuth);
    }
    assert_eq!(told(&ensemble, 1), before);
    assert!(!ensemble.log(leader).contains("the feature level is being raised"), "a refusal needs no level");
    // A quorum of those that are to decide must be there.
    ensemble.kill(4);
    let others: Vec<Id> = ensemble.voters().into_iter().filter(|id| *id != leader).collect();
    ensemble.wait_for("the leader to miss the observer", |ensemble| {
        (mntr(ensemble, leader)["zk_synced_observers"] == "0.0").then_some(())
    });
    let two = members(&ensemble, &[leader, 4], &[]);
    let mut asker = operator(&ensemble, leader);
    assert_eq!(code(reconfig(&mut asker, [None, None, Some(&two)], -1)), ErrorCode::NewConfigNoQuorum);
    assert_eq!(told(&ensemble, others[0]), before);
}

/// A pipeline of two: the second is asked before the first can be committed.
#[test]
fn a_reconfig_that_is_asked_while_another_is_under_way_is_refused_and_no_file_is_ever_written() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    let leader = ensemble.await_leader();
    let files = |ensemble: &Ensemble| {
        let home = ensemble.data_dir(leader).parent().unwrap().to_owned();
        let names: BTreeSet<_> =
            std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        (std::fs::read(home.join("zoo.cfg")).unwrap(), names)
    };
    let before = files(&ensemble);
    let others: Vec<Id> = ensemble.voters().into_iter().filter(|id| *id != leader).collect();
    for asked_of in [leader, others[0]] {
        let mut asker = operator(&ensemble, asked_of);
        let orders = [others[1], others[0]].map(|observes| {
            let votes: Vec<Id> = ensemble.voters().into_iter().filter(|id| *id != observes).collect();
            members(&ensemble, &votes, &[observes])
        });
        for (xid, lines) in orders.iter().enumerate() {
            let request = Reconfig {
                joining_servers: None,
                leaving_servers: None,
                new_members: Some(lines.as_str().into()),
                current_config_id: -1,
            };
            asker.queue_raw(100 + xid as i32, OpCode::Reconfig as i32, |to| request.write(to));
        }
        asker.flush().unwrap();
        asker.reply().unwrap().ok().unwrap();
        let second = asker.reply().unwrap().ok();
        assert!(
            matches!(second, Err(ClientError::Refused(ErrorCode::ReconfigInProgress))),
            "asked of {asked_of}: {second:?}"
        );
        assert_eq!(told(&ensemble, asked_of).0, orders[0]);
        // Asked again, it is done.
        reconfig(&mut asker, [None, None, Some(&orders[1])], -1).unwrap();
        reconfig(&mut asker, [None, None, Some(&members(&ensemble, &[1, 2, 3], &[]))], -1).unwrap();
    }
    ensemble.await_line(leader, &["a reconfig is refused", "another one was under way", "ask again"]);
    assert_eq!(files(&ensemble), before);
}

/// Those who went by their files would be a quorum of fewer beside the one that the log has.
#[test]
fn a_file_that_forbids_it_is_the_truth_until_there_was_one_nevertheless() {
    let lines = LINES.replace("reconfigEnabled=true", "reconfigEnabled=false");
    let (_dir, mut ensemble) = serving(3, 0, &lines);
    let leader = ensemble.await_leader();
    let mut asker = operator(&ensemble, leader);
    let two = members(&ensemble, &[1, 2], &[3]);
    assert_eq!(code(reconfig(&mut asker, [None, None, Some(&two)], -1)), ErrorCode::ReconfigDisabled);
    // Two of the files allow it by now, so that their members, too, may lead.
    let file_of = |ensemble: &Ensemble, id: Id| ensemble.data_dir(id).parent().unwrap().join("zoo.cfg");
    let rewrite = |ensemble: &Ensemble, id: Id, from: &str, to: &str| {
        let text = std::fs::read_to_string(file_of(ensemble, id)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(file_of(ensemble, id), text.replace(from, to)).unwrap();
    };
    ensemble.kill_all();
    for id in [1, 2] {
        rewrite(&ensemble, id, "reconfigEnabled=false", "reconfigEnabled=true");
        ensemble.start(id);
    }
    let leader = ensemble.await_leader();
    ensemble.start(3);
    ensemble.await_all_serving();
    let mut asker = operator(&ensemble, leader);
    reconfig(&mut asker, [None, None, Some(&two)], -1).unwrap();
    // The third goes by it as it runs, says what that means, and does not start on a file that has it vote.
    await_modes(&mut ensemble, &[1, 2], &[3]);
    const SAYS: &str = "will not start again on that file";
    let line = members(&ensemble, &[], &[3]);
    ensemble.await_line(3, &["WARN", SAYS, line.trim_end(), "reconfigEnabled=true"]);
    let said = |ensemble: &Ensemble, id: Id| ensemble.log(id).matches(SAYS).count();
    assert_eq!([1, 2, 3].map(|id| said(&ensemble, id)), [0, 0, 1]);
    ensemble.stop(3); // its disk says that the reconfig is committed, which a kill may come before
    ensemble.start(3);
    let status = ensemble.wait_for_end(3);
    let log = ensemble.log(3);
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("The two may not decide side by side") && log.contains("paddock member"), "{log}");
    let line = members(&ensemble, &[3], &[]);
    let line = line.trim_end().split(';').next().unwrap();
    rewrite(&ensemble, 3, line.trim_end_matches(":participant"), &line.replace(":participant", ":observer"));
    ensemble.start(3);
    await_modes(&mut ensemble, &[1, 2], &[3]);
}
