//! The ctl lane.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use paddock_config::Members;
use paddock_messages::frame::Versions;
use paddock_messages::quorum::{Configuration, Vote};
use paddock_messages::zxid::Epoch;

use super::*;

/// Of the members 1 and 2 it is 2 that dials.
async fn accepted() -> (Ctl, SocketAddr, Raw) {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 2, &[]), SILENCE);
    route(port, Lane::Ctl, &us, 2, &link.accepted);
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    (link, at, raw)
}

#[actix::test]
async fn both_say_what_is_new_and_hear_what_the_other_says() {
    let (mut link, _, mut raw) = accepted().await;
    raw.say(&Frame::Notification(notification(3))).await;
    assert!(matches!(link.ear.next().await, Heard::Notification(it) if it == notification(3)));
    raw.say(&Frame::Heartbeat(heartbeat(4))).await;
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it == heartbeat(4)));
    link.beat.post(SendHeartbeat(heartbeat(5))).unwrap();
    assert_eq!(raw.hear().await, Some(Frame::Heartbeat(heartbeat(5))));
    link.notify.post(SendNotification(notification(6))).unwrap();
    assert_eq!(raw.hear().await, Some(Frame::Notification(notification(6))));
    let status = link.peer.status.lock().clone();
    assert_eq!(status.state, LinkState::Up);
    let received = written(&Frame::Notification(notification(3))).len() as u64;
    assert!(status.bytes_received > received, "both frames");
    drop(raw);
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    assert_eq!(link.peer.status.lock().state, LinkState::Waiting);
}

#[actix::test]
async fn pl4_of_what_is_not_written_yet_the_newest_is() {
    let (link, _, mut raw) = accepted().await;
    for round in 1..=9 {
        // All of it is in the mailbox before the link has its turn.
        link.notify.post(SendNotification(notification(round))).unwrap();
        link.beat.post(SendHeartbeat(heartbeat(round))).unwrap();
    }
    assert_eq!(raw.hear().await, Some(Frame::Notification(notification(9))));
    assert_eq!(raw.hear().await, Some(Frame::Heartbeat(heartbeat(9))));
}

/// Else a busy member would leave the lead to whoever is elected without it.
#[actix::test]
async fn el11_pl4_the_word_that_names_an_heir_is_written_before_the_vote_behind_it() {
    let (link, _, mut raw) = accepted().await;
    let heir = |leader| {
        let vote = Vote { peer_epoch: Epoch(0), zxid: Zxid::ZERO, leader: ServerId(leader) };
        Notification { state: PeerState::Observing, vote: Some(vote), ..notification(1) }
    };
    // All of it is in the mailbox before the link has its turn.
    for word in [notification(1), heir(3), heir(4), notification(2), notification(3)] {
        link.notify.post(SendNotification(word)).unwrap();
    }
    assert_eq!(raw.hear().await, Some(Frame::Notification(heir(4))));
    assert_eq!(raw.hear().await, Some(Frame::Notification(notification(3))));
}

#[actix::test]
async fn without_a_lane_a_vote_waits_and_a_heartbeat_does_not() {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 2, &[]), SILENCE);
    for round in 1..=2 {
        link.notify.post(SendNotification(notification(round))).unwrap();
        link.beat.post(SendHeartbeat(heartbeat(round))).unwrap();
    }
    route(port, Lane::Ctl, &us, 2, &link.accepted);
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    assert_eq!(raw.hear().await, Some(Frame::Notification(notification(2))));
    link.beat.post(SendHeartbeat(heartbeat(3))).unwrap();
    assert_eq!(raw.hear().await, Some(Frame::Heartbeat(heartbeat(3))));
}

#[actix::test]
async fn pl2_the_newest_ctl_lane_replaces_the_older() {
    let (mut link, at, mut old) = accepted().await;
    let mut new = Raw::dial(at, Lane::Ctl).await;
    new.greet(hello(2, 1, Lane::Ctl)).await;
    new.say(&Frame::Heartbeat(heartbeat(1))).await;
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    assert_eq!(old.hear().await, None);
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(_)), "and not the end of the old one, again");
}

#[actix::test]
async fn pl7_the_late_hello_of_a_connection_that_was_given_up_ends_no_lane() {
    let (mut link, at, mut lane) = accepted().await;
    let mut late = Raw::dial(at, Lane::Ctl).await;
    late.greet(hello(2, 1, Lane::Ctl)).await;
    drop(late);
    for number in 1..=2 {
        lane.say(&Frame::Heartbeat(heartbeat(number))).await;
        assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it.number == number));
    }
}

#[actix::test]
async fn pl6_a_silent_ctl_lane_is_closed_and_dialled_again() {
    let us = identity(2, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 1, &[at]), Duration::from_millis(100));
    for _ in 0..3 {
        let mut raw = Raw::accept(&port, Lane::Ctl).await;
        raw.greet(hello(1, 2, Lane::Ctl)).await;
        assert!(matches!(link.ear.next().await, Heard::CtlUp));
        assert!(matches!(link.ear.next().await, Heard::CtlDown));
        assert_eq!(raw.hear().await, None);
        let error = link.peer.status.lock().last_error.clone();
        assert_eq!(error.as_deref(), Some("nothing came for 100 ms"));
    }
}

/// What cannot be passed on is dropped, and reading goes on.
#[expect(clippy::result_large_err, reason = "the outbox's signature: mail that is refused comes back whole")]
#[actix::test]
async fn pl4_a_receiver_that_is_full_stops_no_reading() {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let kept = Mutex::new(Vec::new());
    let mut link = ctl_to(peer(&us, 2, &[]), SILENCE, |to| {
        let meter = Meter::new::<HeardHeartbeat>("busy".into(), Bound::Entrance(2), Arc::new(|_| ()));
        to.heartbeat = Outbox::new(meter, move |mail| {
            counted.fetch_add(1, Relaxed);
            kept.lock().push(mail); // its place is not given back
            Ok(())
        });
    });
    route(port, Lane::Ctl, &us, 2, &link.accepted);
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    for number in 1..=1_000 {
        raw.say(&Frame::Heartbeat(heartbeat(number))).await;
    }
    raw.say(&Frame::Notification(notification(1))).await;
    assert!(matches!(link.ear.next().await, Heard::Notification(_)));
    assert_eq!(taken.load(Relaxed), 2);
}

#[actix::test]
async fn two_links_find_each_other() {
    let (one, two) = (identity(1, &[1, 2]), identity(2, &[1, 2]));
    let (port, at) = opened();
    let mut lesser = ctl(peer(&one, 2, &[]), SILENCE);
    let mut greater = ctl(peer(&two, 1, &[at]), SILENCE);
    route(port, Lane::Ctl, &one, 2, &lesser.accepted);
    assert!(matches!(greater.ear.next().await, Heard::CtlUp));
    assert!(matches!(lesser.ear.next().await, Heard::CtlUp));
    greater.notify.post(SendNotification(notification(1))).unwrap();
    assert!(matches!(lesser.ear.next().await, Heard::Notification(_)));
    lesser.beat.post(SendHeartbeat(heartbeat(1))).unwrap();
    assert!(matches!(greater.ear.next().await, Heard::Heartbeat(_)));
}

/// What goes from member to member of a configuration.
fn told(next: Option<u64>) -> Told {
    let members = |version| {
        let lines = "server.1=a:2888:3888:participant;0.0.0.0:2181\n";
        Members { version, ..Members::read(lines).unwrap() }
    };
    Told { now: members(0x1_0000_0007), next: next.map(members) }
}

#[actix::test]
async fn a_configuration_is_told_and_heard_and_one_that_is_none_costs_the_lane() {
    let (mut link, _, mut raw) = accepted().await;
    for told in [told(None), told(Some(0x1_0000_0009))] {
        link.tell.post(SendConfiguration(told.clone())).unwrap();
        assert_eq!(raw.hear().await, Some(Frame::Configuration(told.write())));
        raw.say(&Frame::Configuration(told.write())).await;
        assert!(matches!(link.ear.next().await, Heard::Configuration(it) if it == told));
    }
    let nonsense = Configuration { now: Bytes::from_static(b"server.1=a"), next: None };
    raw.say(&Frame::Configuration(nonsense)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    assert_eq!(raw.hear().await, None);
}

#[actix::test]
async fn a_build_that_has_no_word_for_a_configuration_is_not_told_of_it() {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 2, &[]), SILENCE);
    route(port, Lane::Ctl, &us, 2, &link.accepted);
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    let old = Versions { lowest: 1, highest: 3 };
    raw.greet(Hello { speaks: old, ..hello(2, 1, Lane::Ctl) }).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    link.tell.post(SendConfiguration(told(None))).unwrap();
    link.beat.post(SendHeartbeat(heartbeat(5))).unwrap();
    assert!(matches!(raw.hear().await, Some(Frame::Heartbeat(_))), "and nothing before it");
}
