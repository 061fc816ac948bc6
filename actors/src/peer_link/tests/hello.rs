//! Who may speak.

use paddock_messages::frame::Versions;

use super::*;
use crate::peer_link::hello::{judge, ours};

type Spoil = fn(&mut Hello);

/// What a peer can have wrong, and what its refusal says. The peer is 3, we are 2.
const WRONG: &[(&str, Spoil, &str)] = &[
    ("our own id", |it| it.from = ServerId(2), "as this one is: each server needs a myid of its own"),
    ("for another", |it| it.to = ServerId(4), "means to reach server 4, and this is server 2"),
    ("another ensemble", |it| it.ensemble = Some(8), "one of them has another's data"),
    ("a newer build", |it| it.speaks = Versions { lowest: 200, highest: 201 }, "upgrade the older one"),
];
const ACCEPTED: &[(&str, Spoil, &str)] = &[
    ("nobody", |it| (it.from, it.ensemble) = (ServerId(9), None), "server 9, which is no member here"),
    (
        "who is to be dialled",
        |it| (it.from, it.ensemble) = (ServerId(1), None),
        "the lower id, so that this server dials it",
    ),
    (
        "who is to be dialled, of another ensemble",
        |it| (it.from, it.ensemble) = (ServerId(1), Some(8)),
        "one of them has another's data",
    ),
];

#[test]
fn pl1_hellos_are_judged_field_by_field() {
    let us = identity(2, &[1, 2, 3]).lock().clone();
    let (ctl, data) = (hello(3, 2, Lane::Ctl), hello(3, 2, Lane::Data));
    for (hello, lane) in [(&ctl, Lane::Ctl), (&data, Lane::Data)] {
        assert_eq!(judge(hello, &us, lane, None).unwrap(), SPOKEN.highest);
        assert_eq!(judge(hello, &us, lane, Some(ServerId(3))).unwrap(), SPOKEN.highest);
        let other = if lane == Lane::Ctl { Lane::Data } else { Lane::Ctl };
        let swapped = judge(hello, &us, other, None).unwrap_err().to_string();
        assert!(swapped.contains("compare the order of the ports"), "{swapped}");
    }
    for (case, spoil, says) in WRONG.iter().chain(ACCEPTED) {
        let mut spoilt = ctl;
        spoil(&mut spoilt);
        let refusal = judge(&spoilt, &us, Lane::Ctl, None).unwrap_err().to_string();
        assert!(refusal.contains(says), "{case}: {refusal}");
    }
    let found = judge(&ctl, &us, Lane::Ctl, Some(ServerId(1))).unwrap_err().to_string();
    assert!(found.contains("server 3, where server 1 should be"), "{found}");
    // On the data port whoever follows dials, and one who has no ensemble yet may join any.
    assert!(judge(&hello(1, 2, Lane::Data), &us, Lane::Data, None).is_ok());
    let fresh = Identity { ensemble: None, ..us.clone() };
    assert!(judge(&data, &fresh, Lane::Data, None).is_ok());
    assert!(judge(&Hello { ensemble: None, ..data }, &us, Lane::Data, None).is_ok());
}

/// It may be of a configuration that we have not heard of; its data lanes are another matter.
#[test]
fn pl8_who_says_that_it_is_of_our_ensemble_is_heard_though_nobody_names_it() {
    let us = identity(2, &[1, 2, 3]).lock().clone();
    for from in [0, 9] {
        let guest = hello(from, 2, Lane::Ctl);
        assert_eq!(judge(&guest, &us, Lane::Ctl, None).unwrap(), SPOKEN.highest, "{from}");
        for (hello, lane) in [
            (hello(from, 2, Lane::Data), Lane::Data),
            (Hello { ensemble: None, ..guest }, Lane::Ctl),
            (Hello { ensemble: Some(8), ..guest }, Lane::Ctl),
        ] {
            let refusal = judge(&hello, &us, lane, None).unwrap_err();
            assert!(matches!(refusal, Refusal::Stranger(ServerId(it)) if it == from), "{hello:?}");
        }
        let fresh = Identity { ensemble: None, ..us.clone() };
        let nobodys = Hello { ensemble: None, ..guest };
        assert!(matches!(judge(&nobodys, &fresh, Lane::Ctl, None), Err(Refusal::Stranger(_))));
    }
}

/// What is wrong with them is told to members, so that both logs say it; never to a stranger.
#[actix::test]
async fn pl1_a_listener_closes_whom_it_refuses() {
    let us = identity(2, &[1, 2, 3]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 3, &[]), SILENCE);
    route(port, Lane::Ctl, &us, 3, &link.accepted);
    let is_hello = |frame| matches!(frame, Some(Frame::Hello(_)));
    for (case, spoil, _) in WRONG.iter().chain(ACCEPTED) {
        let mut spoilt = hello(3, 2, Lane::Ctl);
        spoil(&mut spoilt);
        let mut raw = Raw::dial(at, Lane::Ctl).await;
        raw.say(&Frame::Hello(spoilt)).await;
        let mut answer = raw.hear().await;
        if spoilt.from != ServerId(9) && spoilt.from != ServerId(2) {
            assert!(is_hello(answer), "{case}: its log can say why");
            answer = raw.hear().await;
        }
        assert_eq!(answer, None, "{case}");
    }
    assert!(link.ear.now().is_none(), "the link has heard of none of them");
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    raw.greet(hello(3, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
}

#[actix::test]
async fn pl1_a_dialler_closes_whom_it_refuses_and_dials_again() {
    let us = identity(2, &[1, 2]);
    let (port, at) = opened();
    let mut link = data(peer(&us, 1, &[at]));
    link.open.post(Open { role: 1 }).unwrap();
    for (case, spoil, says) in WRONG.iter().chain(&[(
        "another member",
        (|it| it.from = ServerId(3)) as Spoil,
        "server 3, where server 1 should be",
    )]) {
        let mut raw = Raw::accept(&port, Lane::Data).await;
        assert_eq!(raw.hear().await, Some(Frame::Hello(hello(2, 1, Lane::Data))));
        let mut spoilt = hello(1, 2, Lane::Data);
        spoil(&mut spoilt);
        raw.say(&Frame::Hello(spoilt)).await;
        assert_eq!(raw.hear().await, None, "{case}");
        // The next attempt comes after what is known of this one is written down.
        drop(raw);
        let again = Raw::accept(&port, Lane::Data).await;
        let status = link.peer.status.lock().clone();
        assert_eq!(status.state, LinkState::Dialling);
        let error = status.last_error.unwrap();
        assert!(error.contains(says) && error.contains(&at.to_string()), "{case}: {error}");
        drop(again);
    }
    assert!(link.ear.now().is_none());
    let mut raw = Raw::accept(&port, Lane::Data).await;
    raw.greet(hello(1, 2, Lane::Data)).await;
    link.ear.up().await;
    assert_eq!(link.peer.status.lock().last_error, None);
}

/// Of a member's addresses the first that leads to it is taken, whatever is at the others.
#[actix::test]
async fn each_address_is_tried() {
    let us = identity(2, &[1, 2]);
    let (dead, nobody) = opened();
    drop(dead);
    let (wrong, other) = opened();
    let (port, at) = opened();
    let mut link = data(peer(&us, 1, &[nobody, other, at]));
    link.open.post(Open { role: 1 }).unwrap();
    let mut raw = Raw::accept(&wrong, Lane::Data).await;
    raw.say(&Frame::Hello(hello(3, 2, Lane::Data))).await;
    let mut raw = Raw::accept(&port, Lane::Data).await;
    raw.greet(hello(1, 2, Lane::Data)).await;
    link.ear.up().await;
    assert_eq!(link.peer.status.lock().address, Some(at));
}

/// The older build is told by our hello, the newer by its refusal; and nothing else keeps builds apart.
#[test]
fn fl3_who_cannot_read_the_feature_level_is_refused_by_both_sides() {
    let newer = Identity { level: 1, ..identity(2, &[1, 2, 3]).lock().clone() };
    let older =
        Identity { speaks: Versions { highest: 3, ..SPOKEN }, me: ServerId(3), level: 0, ..newer.clone() };
    for lane in [Lane::Ctl, Lane::Data] {
        let (to_older, to_newer) = (ours(&newer, older.me, lane), ours(&older, newer.me, lane));
        let here = judge(&to_newer, &newer, lane, None).unwrap_err().to_string();
        let says =
            "the ensemble is at feature level 1, which takes frames of version 4, and it speaks 1 to 3";
        assert!(here.contains(says), "{here}");
        let there = judge(&to_older, &older, lane, Some(newer.me)).unwrap_err().to_string();
        assert!(
            there.contains("we speak frames of version 1 to 3, the peer speaks 4 to 4: upgrade the older"),
            "{there}"
        );
        // Before the level is raised, and once it is upgraded.
        assert_eq!(judge(&to_newer, &Identity { level: 0, ..newer.clone() }, lane, None).unwrap(), 3);
        let upgraded = Identity { speaks: SPOKEN, ..older.clone() };
        assert_eq!(judge(&ours(&upgraded, newer.me, lane), &newer, lane, None).unwrap(), SPOKEN.highest);
        assert_eq!(judge(&to_older, &upgraded, lane, Some(newer.me)).unwrap(), SPOKEN.highest);
    }
}

/// One of the two knows less, whichever it is and whoever dials.
#[actix::test]
async fn fr5_nothing_is_said_or_read_that_one_of_the_two_does_not_know() {
    let older = Versions { highest: 1, ..SPOKEN }; // which says less in a heartbeat
    for (ours, theirs) in [(older, SPOKEN), (SPOKEN, older)] {
        for (me, other, dials) in [(1, 2, false), (2, 1, true)] {
            let (port, at) = opened();
            let us = identity(me, &[1, 2]);
            us.lock().speaks = ours;
            let mut link = ctl(peer(&us, other, &[at][..usize::from(dials)]), SILENCE);
            let mut raw = if dials {
                Raw::accept(&port, Lane::Ctl).await
            } else {
                route(port, Lane::Ctl, &us, other, &link.accepted);
                Raw::dial(at, Lane::Ctl).await
            };
            raw.greet(Hello { speaks: theirs, ..hello(other, me, Lane::Ctl) }).await;
            raw.frames.agree(older.highest);
            assert!(matches!(link.ear.next().await, Heard::CtlUp));
            assert_eq!(link.peer.status.lock().speaking, Some(older.highest));
            link.beat.post(SendHeartbeat(heartbeat(1))).unwrap();
            assert_eq!(raw.hear().await, Some(Frame::Heartbeat(heartbeat(1))));
            raw.say(&Frame::Heartbeat(heartbeat(2))).await; // in the newest version
            assert!(matches!(link.ear.next().await, Heard::CtlDown), "{ours} with {theirs}, {dials}");
            let why = link.peer.status.lock().last_error.clone().unwrap_or_default();
            assert!(why.contains("version 2, where 1 was agreed"), "{why}");
        }
    }
}
