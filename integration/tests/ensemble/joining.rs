//! Servers that no file but their own names come, vote, move and go, while clients write; and one that was away meanwhile finds
//! those who are left (PL8).

use std::net::TcpStream;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;

use crate::load::{ANSWERED_WITHIN, load_by, under_load};
use crate::member_changes::{await_known, member, place};
use crate::reconfig::{LINES, await_modes, members, operator, reconfig, told};
use crate::world::{client, serving, those};

/// `server.N=…` of one that is to join.
fn line(ensemble: &Ensemble, id: Id, votes: bool) -> String {
    let (voters, observers): (&[Id], &[Id]) = if votes { (&[id], &[]) } else { (&[], &[id]) };
    members(ensemble, voters, observers).trim_end().to_owned()
}

#[test]
fn pl8_servers_that_no_file_names_join_by_zookeepers_reconfig_and_all_old_ones_leave() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    let leader = ensemble.await_all_serving();
    let [four, five, six] = [true, true, false].map(|votes| ensemble.add_member(votes));
    ensemble.start(four);
    // It waits for its turn, and both logs say for what.
    ensemble.await_line(leader, &["server 4, which is no member here: add it by a reconfig"]);
    let load = under_load(&mut ensemble, seed("joining"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(50);
        let on = those(ensemble, Mode::Follower)[0];
        let mut asker = operator(ensemble, on);
        // As a voter at once, which ZooKeeper allows as long as there is a quorum without it.
        reconfig(&mut asker, [Some(&line(ensemble, four, true)), None, None], -1).unwrap();
        await_modes(ensemble, &[1, 2, 3, four], &[]);
        progress.await_write_after(Instant::now());
        // Two more in one, of which neither runs yet.
        let both = format!("{},{}", line(ensemble, five, true), line(ensemble, six, false));
        reconfig(&mut asker, [Some(&both), None, None], -1).unwrap();
        ensemble.start(five);
        ensemble.start(six);
        await_modes(ensemble, &[1, 2, 3, four, five], &[six]);
        progress.await_write_after(Instant::now());
        // The leader's role goes round as the old ones leave, and they stay without a vote.
        let mut asker = operator(ensemble, five);
        for old in [3, 2, 1] {
            let rest: Vec<Id> =
                [1, 2, four, five].into_iter().filter(|id| *id < old || *id >= four).collect();
            if old == 1 {
                reconfig(&mut asker, [Some(&line(ensemble, six, true)), None, None], -1).unwrap();
            }
            reconfig(&mut asker, [None, Some(&old.to_string()), None], -1).unwrap();
            await_modes(ensemble, &rest, &[old]);
            progress.await_write_after(Instant::now());
        }
        for old in [1, 2, 3] {
            ensemble.stop(old);
        }
        progress.await_write_after(Instant::now());
        let new = await_modes(ensemble, &[four, five, six], &[]);
        ensemble.kill(new);
        progress.await_write_after(Instant::now());
        ensemble.start(new);
        await_modes(ensemble, &[four, five, six], &[]);
    });
    load.verify(&mut ensemble);
    // Whose files still name the first three, which do not run.
    let (lines, version) = told(&ensemble, four);
    assert_eq!(lines, members(&ensemble, &[four, five, six], &[]));
    [four, five, six].into_iter().for_each(|id| ensemble.kill(id));
    [four, five, six].into_iter().for_each(|id| ensemble.start(id));
    await_modes(&mut ensemble, &[four, five, six], &[]);
    assert_eq!(told(&ensemble, six), (lines, version));
}

#[test]
fn mb5_who_takes_the_place_of_all_begins_without_them_though_nothing_was_written_since() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    ensemble.await_all_serving();
    let new = [true; 3].map(|votes| ensemble.add_member(votes));
    new.into_iter().for_each(|id| ensemble.start(id));
    let observers: String = new.map(|id| line(&ensemble, id, false)).join(",");
    // The session stays, as its end would be a txn.
    let mut asker = operator(&ensemble, 1);
    reconfig(&mut asker, [Some(&observers), None, None], -1).unwrap();
    await_modes(&mut ensemble, &[1, 2, 3], &new);
    let voters = members(&ensemble, &new, &[]);
    reconfig(&mut asker, [None, None, Some(&voters)], -1).unwrap();
    await_modes(&mut ensemble, &new, &[1, 2, 3]);
    for id in [1, 2, 3].into_iter().chain(new) {
        ensemble.kill(id);
    }
    drop(asker);
    new.into_iter().for_each(|id| ensemble.start(id));
    let leader = await_modes(&mut ensemble, &new, &[]);
    assert_eq!(told(&ensemble, leader).0, voters);
}

#[test]
fn pl8_one_that_was_away_while_others_joined_is_found_by_them_when_nobody_it_knows_is_left() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    let leader = ensemble.await_all_serving();
    let away = those(&ensemble, Mode::Follower)[0];
    let other = those(&ensemble, Mode::Follower)[1];
    client(&ensemble, leader).create("/before", b"", CreateMode::Persistent).unwrap();
    // The feature level is raised while all are there.
    let mut asker = operator(&ensemble, leader);
    let three = members(&ensemble, &[1, 2, 3], &[]);
    reconfig(&mut asker, [None, None, Some(&three)], -1).unwrap();
    ensemble.stop(away);
    let [four, five] = [true, true].map(|votes| ensemble.add_member(votes));
    ensemble.start(four);
    ensemble.start(five);
    for (id, now) in [(four, &[leader, other, four][..]), (five, &[leader, other, four, five])] {
        // It cannot be counted on before it is in sync.
        reconfig(&mut asker, [Some(&line(&ensemble, id, false)), None, None], -1).unwrap();
        await_modes(&mut ensemble, &now[..now.len() - 1], &[id]);
        reconfig(&mut asker, [Some(&line(&ensemble, id, true)), None, None], -1).unwrap();
        await_modes(&mut ensemble, now, &[]);
    }
    client(&ensemble, four).create("/while", b"", CreateMode::Persistent).unwrap();
    // Three of five are left, one of which knows of two that are gone for good.
    ensemble.kill(leader);
    ensemble.kill(other);
    ensemble.await_silence_of(four);
    ensemble.start(away);
    let next = await_modes(&mut ensemble, &[away, four, five], &[]);
    client(&ensemble, next).create("/after", b"", CreateMode::Persistent).unwrap();
    let mut reader = client(&ensemble, away);
    reader.sync("/").unwrap();
    for path in ["/before", "/while", "/after"] {
        assert!(reader.exists(path).unwrap().is_some(), "{path}");
    }
    ensemble
        .await_line(away, &["a server of this ensemble that no configuration here names", "a link is made"]);
    let (lines, _) = told(&ensemble, away);
    assert_eq!(lines, members(&ensemble, &[1, 2, 3, four, five], &[]));
}

#[test]
fn a_server_is_added_and_moved_by_one_command_each_and_its_clients_writes_go_on() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    ensemble.await_all_serving();
    let four = ensemble.add_member(true);
    let load = under_load(&mut ensemble, seed("moving"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(50);
        let on = those(ensemble, Mode::Follower)[0];
        ensemble.start(four);
        let added = member(ensemble, on, &["add", "4", &place(ensemble, four)]).unwrap();
        await_modes(ensemble, &[1, 2, 3, four], &[]);
        progress.await_write_after(Instant::now());

        // The new one, which no other file names, and one that they do: it goes elsewhere.
        let mut known = added;
        for id in [four, on] {
            let by = those(ensemble, Mode::Follower).into_iter().find(|it| *it != id).unwrap();
            let places = (ensemble.client_address(id), ensemble.peer_addresses(id));
            let there = ensemble.choose_place();
            await_known(ensemble, by, &known);
            known = member(ensemble, by, &["move", &id.to_string(), &there.line()]).unwrap();
            await_known(ensemble, id, &known);
            ensemble.stop(id);
            progress.await_write_after(Instant::now());
            // With a file that has it where it was nobody would look for it.
            ensemble.start(id);
            assert_eq!(ensemble.wait_for_end(id).code(), Some(2));
            let told = ensemble.log(id);
            let says = format!("in the file, but the configuration of version {}", known.version);
            assert!(
                told.contains(&says) && told.contains(&there.line().replace(';', ":participant;")),
                "{told}"
            );
            ensemble.relocate(id, there);
            ensemble.start(id);
            await_modes(ensemble, &[1, 2, 3, four], &[]);
            let (client, peers) = (ensemble.client_address(id), ensemble.peer_addresses(id));
            assert!(client != places.0 && peers[0] != places.1[0] && peers[1] != places.1[1]);
            assert!(TcpStream::connect(peers[1]).is_ok() && TcpStream::connect(places.1[1]).is_err());
            progress.await_write_after(Instant::now());
        }
        // The others dial it there, whoever leads and whoever was away.
        for id in [1, 2, 3, four] {
            ensemble.kill(id);
            progress.await_write_after(Instant::now());
            ensemble.start(id);
            await_modes(ensemble, &[1, 2, 3, four], &[]);
        }
        // Removed, it serves on, though no file names it, until its connection breaks.
        member(ensemble, 1, &["remove", "4"]).unwrap();
        await_modes(ensemble, &[1, 2, 3], &[four]);
        let until = Instant::now() + Duration::from_secs(4); // four times as long as a silent one is kept
        while Instant::now() < until {
            assert_eq!(ensemble.mode(four), Some(Mode::Observer), "it is served all the time");
        }
        let mut reader = client(ensemble, four);
        reader.sync("/").unwrap();
        ensemble.stop(four);
    });
    load.verify(&mut ensemble);
}

#[test]
fn pl8_one_that_was_away_while_one_of_a_lower_id_moved_is_asked_by_that_one() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    let leader = ensemble.await_all_serving();
    let three = members(&ensemble, &[1, 2, 3], &[]);
    reconfig(&mut operator(&ensemble, leader), [None, None, Some(&three)], -1).unwrap();
    ensemble.stop(3);
    await_modes(&mut ensemble, &[1, 2], &[]);
    let there = ensemble.choose_place();
    member(&ensemble, 2, &["move", "1", &there.line()]).unwrap();
    let clients = format!("clients are listened to at {}", there.client());
    ensemble.await_line(1, &[&clients, "as the configuration in force has it"]);
    ensemble.stop(1);
    ensemble.relocate(1, there);
    ensemble.start(1);
    await_modes(&mut ensemble, &[1, 2], &[]);
    ensemble.kill(2);
    // It looks for 1 where that was, and would dial it.
    ensemble.start(3);
    await_modes(&mut ensemble, &[1, 3], &[]);
    client(&ensemble, 3).create("/after", b"", CreateMode::Persistent).unwrap();
}

/// The first reconfig that there is, so that the feature level is raised by it: the dead one is not waited for.
#[test]
fn a_dead_machine_is_replaced_by_two_commands() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    ensemble.await_all_serving();
    let load = under_load(&mut ensemble, seed("replacing"), ANSWERED_WITHIN, |ensemble, progress, _| {
        let dead = those(ensemble, Mode::Follower)[0];
        ensemble.kill(dead);
        let on = those(ensemble, Mode::Follower)[0];
        let four = ensemble.add_member(true);
        ensemble.start(four);
        let place = place(ensemble, four);
        let early = member(ensemble, on, &["add", "4", &place]).unwrap_err();
        assert!(early.contains("(-13)"), "the dead one may be of an older build: {early}");
        member(ensemble, on, &["remove", &dead.to_string()]).unwrap();
        member(ensemble, on, &["add", "4", &place]).unwrap();
        let left: Vec<Id> = [1, 2, 3, four].into_iter().filter(|id| *id != dead).collect();
        await_modes(ensemble, &left, &[]);
        progress.await_write_after(Instant::now());
        // As many may be lost as before.
        ensemble.kill(left[0]);
        progress.await_write_after(Instant::now());
        ensemble.start(left[0]);
        await_modes(ensemble, &left, &[]);
        // The dead one's id comes back without its data, at another place than the files have it.
        ensemble.wipe(dead);
        let there = ensemble.choose_place();
        ensemble.relocate(dead, there);
        ensemble.start(dead);
        let (id, place) = (dead.to_string(), there.line());
        member(ensemble, four, &["add", &id, &place]).unwrap();
        await_modes(ensemble, &[1, 2, 3, four], &[]);
        progress.await_write_after(Instant::now());
    });
    load.verify(&mut ensemble);
}

#[test]
fn an_ensemble_of_one_grows_to_three_and_five_and_shrinks_to_three_while_all_is_written() {
    let (_dir, mut ensemble) = serving(1, 0, "standaloneEnabled=false\n");
    ensemble.await_all_serving();
    grow_and_shrink(&mut ensemble);
}

/// From one to five and back to three, under load.
pub(crate) fn grow_and_shrink(ensemble: &mut Ensemble) {
    let [two, three, four, five] = [(); 4].map(|()| ensemble.add_member(true));
    let load = load_by(1, ensemble, seed("growing"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(50);
        let mut voters = vec![1];
        for id in [two, three, four, five] {
            ensemble.start(id);
            let (name, place) = (id.to_string(), place(ensemble, id));
            let added = member(ensemble, 1, &["add", &name, &place]).unwrap();
            voters.push(id);
            await_modes(ensemble, &voters, &[]);
            await_known(ensemble, 1, &added);
            progress.await_write_after(Instant::now());
        }
        // Two of five are gone, and then two of the three that are left are enough.
        for gone in [two, 1] {
            let by = three;
            let now = member(ensemble, by, &["remove", &gone.to_string()]).unwrap();
            voters.retain(|id| *id != gone);
            await_modes(ensemble, &voters, &[]);
            await_known(ensemble, by, &now);
            ensemble.stop(gone);
            progress.await_write_after(Instant::now());
        }
        ensemble.kill(three);
        progress.await_write_after(Instant::now());
        ensemble.start(three);
        await_modes(ensemble, &voters, &[]);
    });
    load.verify(ensemble);
}
