//! Servers that run follow their own client address in the configuration in force: it is listened at there, and no longer where it
//! was, while those who are connected notice nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::ports::free_port;
use paddock_integration::raw_client::{RawClient, four_letter_word};
use paddock_messages::client::OpCode;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::ops::{AddWatch, Reconfig};
use paddock_messages::znode::CreateMode;

use crate::admin::{paddock, text};
use crate::member_changes::{await_known, member};
use crate::reconfig::{LINES, members, operator, reconfig, told};
use crate::world::{client, serving, those};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// As an operator names its place, where clients come to this.
fn place(ensemble: &Ensemble, id: Id, clients: &str) -> String {
    let [quorum, election] = ensemble.peer_addresses(id).map(|address| address.port());
    format!("127.0.0.1:{quorum}:{election};{clients}")
}

fn order(ensemble: &mut Ensemble, by: Id, id: Id, clients: &str) {
    let line = place(ensemble, id, clients);
    let answer = member(ensemble, by, &["move", &id.to_string(), &line]).unwrap();
    await_known(ensemble, by, &answer);
}

/// Waits until one has said so after it had said so often before.
fn await_nth(ensemble: &mut Ensemble, id: Id, nth: usize, says: &str) {
    ensemble.wait_for(&format!("{says} #{nth} of member {id}"), |ensemble| {
        (ensemble.log(id).matches(says).count() == nth).then_some(())
    });
}

fn is_refused(at: SocketAddr) -> bool {
    TcpStream::connect(at).is_err()
}

#[test]
fn cp3_follower_leader_and_observer_follow_their_client_address_and_who_is_connected_notices_nothing() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_all_serving();
    let epoch = ensemble.epoch(leader);
    let follower = those(&ensemble, Mode::Follower)[0];
    let mut writer = client(&ensemble, leader);
    for id in [follower, leader, 4] {
        let path = format!("/of-{id}");
        writer.create(&path, b"", CreateMode::Persistent).unwrap();
        let mut stays = client(&ensemble, id);
        stays.sync("/").unwrap();
        let watch = AddWatch { path: path.as_str().into(), mode: 0 };
        stays.call(OpCode::AddWatch, &watch).unwrap().ok().unwrap();
        stays.create(&format!("{path}/mine"), b"", CreateMode::Ephemeral).unwrap();
        stays.sync("/").unwrap();
        stays.events.clear();
        // Several in a row.
        for nth in 1..=3_u8 {
            let (old, new) = (ensemble.client_address(id), local(free_port().unwrap()));
            order(&mut ensemble, leader, id, &new.to_string());
            let left = format!("{new}, as the configuration in force has it, and no longer at {old}");
            ensemble.await_line(id, &["clients are listened to at", &left]);
            ensemble.look_for_clients_at(id, new.port());
            assert!(is_refused(old), "member {id}");
            let mut comes = RawClient::connect(new).unwrap();
            writer.set(&path, &[nth], -1).unwrap();
            for client in [&mut comes, &mut stays] {
                client.sync("/").unwrap();
                assert_eq!(*client.get(&path).unwrap().0, [nth], "member {id}");
            }
            comes.close().unwrap();
            let kinds: Vec<_> = stays.events.drain(..).map(|event| event.kind).collect();
            assert_eq!(kinds, [EventKind::DataChanged as i32], "its watch is kept, and it is told once");
            let conf = four_letter_word(new, "conf", LIMIT).unwrap();
            assert!(conf.starts_with(&format!("clientPort={}\n", new.port())), "{conf}");
        }
        stays.close().unwrap();
    }
    assert_eq!(
        (ensemble.await_all_serving(), ensemble.epoch(leader)),
        (leader, epoch),
        "nothing else has changed"
    );
    writer.close().unwrap();
}

#[test]
fn cp4_a_port_that_another_has_is_told_and_taken_once_it_is_free_and_the_old_one_serves_meanwhile() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let id = those(&ensemble, Mode::Follower)[0];
    let (old, new) = (ensemble.client_address(id), local(free_port().unwrap()));
    let other = TcpListener::bind(new).unwrap();
    let line = place(&ensemble, id, &new.to_string());
    let said = paddock(&["member", "move", &id.to_string(), &line], &ensemble.data_dir(leader));
    let said = text(&said.stdout);
    assert!(
        said.starts_with(&format!("server {id} listens to clients at {new} as soon as it knows")),
        "{said}"
    );
    let says = format!(
        "the configuration in force has clients come to {new}, and this server cannot listen there: "
    );
    let why = [
        "Address already in use",
        &format!("it goes on listening at {old}"),
        "ss -ltnp",
        "paddock member move",
    ];
    ensemble.await_line(id, &[&[&*says], &why[..]].concat());
    client(&ensemble, id).create("/meanwhile", b"", CreateMode::Persistent).unwrap();
    assert_eq!(ensemble.log(id).matches(&says).count(), 1);
    drop(other);
    ensemble.await_line(id, &["clients are listened to at", &new.to_string()]);
    assert!(is_refused(old));
    ensemble.look_for_clients_at(id, new.port());
    assert!(client(&ensemble, id).exists("/meanwhile").unwrap().is_some());
    assert_eq!(ensemble.log(id).matches(&says).count(), 1, "it was said once");
}

#[test]
fn cp2_the_same_port_at_all_addresses_and_at_one_take_turns() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let id = those(&ensemble, Mode::Follower)[0];
    let port = ensemble.client_address(id).port();
    let by_other = SocketAddr::from(([127, 0, 0, 2], port));
    let mut stays = client(&ensemble, id);
    assert!(is_refused(by_other));
    for nth in 1..=2 {
        order(&mut ensemble, leader, id, &port.to_string());
        await_nth(&mut ensemble, id, nth, &format!("and no longer at 127.0.0.1:{port}"));
        let mut comes = RawClient::connect(by_other).unwrap();
        // That is not this machine's: nothing is closed for it.
        order(&mut ensemble, leader, id, &format!("192.0.2.1:{port}"));
        await_nth(&mut ensemble, id, nth, &format!("has clients come to 192.0.2.1:{port}"));
        comes.sync("/").unwrap();
        RawClient::connect(by_other).unwrap().close().unwrap();
        order(&mut ensemble, leader, id, &format!("127.0.0.1:{port}"));
        await_nth(&mut ensemble, id, nth, &format!("clients are listened to at 127.0.0.1:{port}"));
        assert!(is_refused(by_other));
        comes.sync("/").unwrap();
        stays.sync("/").unwrap();
        client(&ensemble, id).close().unwrap();
    }
}

#[test]
fn cp1_a_restart_listens_where_the_configuration_has_it_whatever_the_file_says() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let id = those(&ensemble, Mode::Follower)[0];
    let (old, new) = (ensemble.client_address(id), local(free_port().unwrap()));
    order(&mut ensemble, leader, id, &new.to_string());
    ensemble.await_line(id, &["clients are listened to at", &new.to_string()]);
    ensemble.look_for_clients_at(id, new.port());

    // With the file as it was.
    ensemble.stop(id);
    ensemble.start(id);
    ensemble.await_all_serving();
    assert!(
        is_refused(old) && ensemble.log(id).contains("the file names other members"),
        "{}",
        ensemble.log(id)
    );
    ensemble.await_line(id, &["listening for clients", &new.to_string()]);
    // Where another has what it says.
    ensemble.stop(id);
    let other = TcpListener::bind(old).unwrap();
    ensemble.start(id);
    ensemble.await_line(
        id,
        &["cannot listen for clients at the file's address", "the data is loaded first", &old.to_string()],
    );
    ensemble.await_all_serving();
    // And what the configuration says.
    ensemble.stop(id);
    let taken = TcpListener::bind(new).unwrap();
    ensemble.start(id);
    let ended = ensemble.wait_for_end(id);
    assert_eq!(ended.code(), Some(i32::from(ExitCode::BindClientPort.code())), "{}", ensemble.log(id));
    assert!(ensemble.log(id).contains(&format!("{new}: cannot listen for clients")), "{}", ensemble.log(id));
    // That alone: clients come to the file's, until the other can be had.
    drop(other);
    ensemble.start(id);
    ensemble.await_line(id, &["has clients come to", &format!("it goes on listening at {old}")]);
    ensemble.wait_for("service at the file's port", |_| RawClient::connect(old).ok());
    drop(taken);
    ensemble.await_line(id, &["clients are listened to at", &format!("and no longer at {old}")]);
    ensemble.await_all_serving();

    ensemble.stop(id);
    ensemble.correct_file(id);
    ensemble.start(id);
    ensemble.await_all_serving();
    assert!(is_refused(old));
}

/// Its followers are frozen before they have it: it may come to be, or not.
#[test]
fn cp1_a_client_address_is_not_followed_before_it_is_committed() {
    let (_dir, mut ensemble) = serving(3, 0, LINES);
    let leader = ensemble.await_all_serving();
    let followers = those(&ensemble, Mode::Follower);
    let mut asker = operator(&ensemble, leader);
    // The feature level is raised while all are there.
    let three = members(&ensemble, &[1, 2, 3], &[]);
    reconfig(&mut asker, [None, None, Some(&three)], -1).unwrap();
    followers.iter().for_each(|id| ensemble.freeze(*id));
    let (old, new) = (ensemble.client_address(leader), local(free_port().unwrap()));
    let next = three.replace(&format!(";{old}\n"), &format!(";{new}\n"));
    assert_ne!(next, three);
    let asked = Reconfig {
        joining_servers: None,
        leaving_servers: None,
        new_members: Some(next.as_str().into()),
        current_config_id: -1,
    };
    asker.queue(OpCode::Reconfig, &asked);
    asker.flush().unwrap();
    await_nth(&mut ensemble, leader, 2, "a reconfig is logged");
    assert!(is_refused(new));
    ensemble.await_silence_of(leader);
    assert!(is_refused(new) && !is_refused(old), "it is not known to be committed");
    followers.iter().for_each(|id| ensemble.thaw(*id));
    // Whether it is decides who leads next.
    let leads = ensemble.wait_for("a leader again", |ensemble| {
        followers.iter().copied().find(|id| ensemble.mode(*id).is_some())
    });
    let is_next = told(&ensemble, leads).0 == next;
    println!("the reconfig {}", if is_next { "was committed after all" } else { "was cut" });
    let (there, gone) = if is_next { (new, old) } else { (old, new) };
    ensemble.look_for_clients_at(leader, there.port());
    ensemble.await_all_serving();
    ensemble.wait_for("one port", |_| is_refused(gone).then_some(()));
}
