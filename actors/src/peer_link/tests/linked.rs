//! Links that are made, and moved, while others are up.

use std::collections::BTreeSet;

use paddock_config::Members;

use super::*;
use crate::membership::{Deciders, Joint};
use crate::peer_link::roster::Roster;
use crate::runtime::Place;

/// Short, so that one that waits asks soon.
const SHORT: Duration = Duration::from_millis(40);

#[actix::test]
async fn pl8_one_that_is_waited_for_is_asked_now_and_then_and_may_dial_later() {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 2, &[at]), SHORT);
    // One that dials itself takes no lane of ours: no hello and silence, the hello and the end.
    drop(Raw::accept(&port, Lane::Ctl).await);
    let mut raw = Raw::accept(&port, Lane::Ctl).await;
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    drop(raw);
    let mut raw = Raw::accept(&port, Lane::Ctl).await;
    assert!(link.ear.now().is_none(), "neither was a lane");
    assert_eq!(link.peer.status.lock().state, LinkState::Waiting);
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    raw.say(&Frame::Heartbeat(heartbeat(7))).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it == heartbeat(7)));
    // The peer has heard of us by now, and dials: its lane takes the place of ours.
    let (listening, here) = opened();
    route(listening, Lane::Ctl, &us, 2, &link.accepted);
    let mut dialled = Raw::dial(here, Lane::Ctl).await;
    dialled.greet(hello(2, 1, Lane::Ctl)).await;
    dialled.say(&Frame::Heartbeat(heartbeat(8))).await;
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it == heartbeat(8)));
}

#[actix::test]
async fn pl8_a_guest_of_a_lower_id_is_waited_for_until_its_place_is_known_and_then_dialled() {
    let us = identity(2, &[2]);
    let (listening, here) = opened();
    let mut link = ctl(peer(&us, 1, &[]), SILENCE);
    route(listening, Lane::Ctl, &us, 1, &link.accepted);
    let mut guest = Raw::dial(here, Lane::Ctl).await;
    guest.greet(hello(1, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    let (port, at) = opened();
    link.look_at.post(LookAt(vec![(at.ip().to_string(), at.port())])).unwrap();
    guest.say(&Frame::Heartbeat(heartbeat(7))).await;
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it == heartbeat(7)), "its lane stays up");
    drop(guest);
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    let mut raw = Raw::accept(&port, Lane::Ctl).await;
    raw.greet(hello(1, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    // Another place of one that is dialled costs no lane.
    let (moved, there) = opened();
    link.look_at.post(LookAt(vec![(there.ip().to_string(), there.port())])).unwrap();
    raw.say(&Frame::Heartbeat(heartbeat(1))).await;
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(_)));
    drop((raw, port));
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    let mut raw = Raw::accept(&moved, Lane::Ctl).await;
    raw.greet(hello(1, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
}

#[actix::test]
async fn pl8_a_data_link_looks_where_it_is_told_last() {
    let us = identity(1, &[1, 2]);
    let ((old, before), (new, after)) = (opened(), opened());
    let mut link = data(peer(&us, 2, &[before]));
    link.open.post(Open { role: 1 }).unwrap();
    let mut raw = Raw::accept(&old, Lane::Data).await;
    raw.greet(hello(2, 1, Lane::Data)).await;
    link.ear.up().await;
    link.look_at.post(LookAt(vec![(after.ip().to_string(), after.port())])).unwrap();
    drop((raw, old));
    link.ear.down().await;
    let mut raw = Raw::accept(&new, Lane::Data).await;
    raw.greet(hello(2, 1, Lane::Data)).await;
    link.ear.up().await;
}

/// It may be elsewhere than it is looked for.
#[actix::test]
async fn pl8_one_of_a_lower_id_that_is_not_found_is_taken_when_it_asks() {
    let us = identity(2, &[1, 2]);
    let (dead, nobody) = opened();
    drop(dead);
    let (listening, here) = opened();
    let mut link = ctl(peer(&us, 1, &[nobody]), SILENCE);
    route(listening, Lane::Ctl, &us, 1, &link.accepted);
    let mut asks = Raw::dial(here, Lane::Ctl).await;
    asks.greet(hello(1, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
    // While there is a lane, no other is taken.
    let mut again = Raw::dial(here, Lane::Ctl).await;
    again.say(&Frame::Hello(hello(1, 2, Lane::Ctl))).await;
    assert_eq!(again.hear().await, None);
    asks.say(&Frame::Heartbeat(heartbeat(7))).await;
    assert!(matches!(link.ear.next().await, Heard::Heartbeat(it) if it == heartbeat(7)));
    // Where it is found then it is dialled.
    let (port, at) = opened();
    link.look_at.post(LookAt(vec![(at.ip().to_string(), at.port())])).unwrap();
    drop(asks);
    assert!(matches!(link.ear.next().await, Heard::CtlDown));
    let mut raw = Raw::accept(&port, Lane::Ctl).await;
    raw.greet(hello(1, 2, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
}

fn by(lines: &str) -> Deciders {
    let members = Members::read(lines).unwrap();
    let quorum = members.quorum();
    Joint::of(members, quorum)
}

/// What the users of links are told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    QuorumPeer(u64),
    Election(u64),
    Learner(u64),
    Proposer(u64),
    /// By the link itself.
    Up(u64),
}

/// An ear for everything else.
fn deaf<M: std::marker::Send + 'static>() -> Outbox<M> {
    Outbox::new(Meter::new::<M>("deaf".into(), Bound::Entrance(1_000_000), Arc::new(|_| ())), |_| Ok(()))
}

fn tells<M: std::marker::Send + 'static>(to: &UnboundedSender<Told>, wrap: fn(M) -> Told) -> Outbox<M> {
    let (to, broken) = (to.clone(), Arc::new(|why: &str| panic!("{why}")));
    Outbox::new(Meter::new::<M>("told".into(), Bound::Admitted(1_000), broken), move |mail| {
        to.send(wrap(mail.open().0)).unwrap();
        Ok(())
    })
}

/// A member 2 whose file names 1 and 2: servers that its file does not name come with a configuration, or by themselves.
#[actix::test]
async fn pl8_the_keeper_makes_the_links_and_tells_whoever_uses_them_first() {
    let us = identity(2, &[2]);
    let (to, mut told) = unbounded_channel();
    let (env, _) = Env::recorded(clock());
    let links = SharedLinks::default();
    let setup = KeeperSetup {
        identity: us.clone(),
        links: links.clone(),
        users: Users {
            quorum_peer: tells(&to, |it: Linked<CtlLane>| Told::QuorumPeer(it.peer.0)),
            election: tells(&to, |it: Linked<Outbox<SendNotification>>| Told::Election(it.peer.0)),
            learner: tells(&to, |it: Linked<LeaderLane>| Told::Learner(it.peer.0)),
            proposer: tells(&to, |it: Linked<LearnerLane>| Told::Proposer(it.peer.0)),
        },
        ctl: CtlOutboxes {
            up: tells(&to, |it: CtlUp| Told::Up(it.0.0)),
            down: deaf(),
            notification: deaf(),
            heartbeat: deaf(),
            configuration: deaf(),
        },
        learner: LearnerOutboxes { up: deaf(), down: deaf(), packets: deaf() },
        proposer: ProposerOutboxes { up: deaf(), down: deaf(), packets: deaf() },
        data_place: Place::Here,
        silence: SILENCE,
        untaken: SILENCE,
        read_ahead_bytes: 1 << 20,
        bound: MAIL,
        env: env.clone(),
    };
    let (one, at_one) = opened();
    let port = at_one.port();
    let file = format!("server.1=127.0.0.1:1:{port}:participant\nserver.2=127.0.0.1:3:4:participant\n");
    let roster = Roster::new(ServerId(2), Members::read(&file).unwrap());
    let inbox = Inbox::<LinkKeeper>::new("keeper", Duty::Alone, &env);
    let (go_by, guests) = (inbox.outbox::<GoBy>(MAIL), inbox.outbox::<Guest>(MAIL));
    inbox.start_here(LinkKeeper::new(roster, &by(&file), setup));
    // What a link tells comes behind that there is one, though it is only looked at then.
    let mut raw = Raw::accept(&one, Lane::Ctl).await;
    raw.greet(hello(1, 2, Lane::Ctl)).await;
    let mut next = async || within(told.recv()).await.unwrap();
    let linked = |id: u64| [Told::QuorumPeer(id), Told::Election(id), Told::Learner(id), Told::Proposer(id)];
    assert_eq!([next().await, next().await, next().await, next().await], linked(1));
    assert_eq!(next().await, Told::Up(1));
    assert!(links.contains_key(&ServerId(1)));

    // Server 5 is of the same ensemble, and comes before its configuration does.
    let (listening, here) = opened();
    actix_rt::spawn(listener::accept(listening, Lane::Ctl, us.clone(), (links.clone(), guests), clock()));
    let mut early = Raw::dial(here, Lane::Ctl).await;
    early.say(&Frame::Hello(hello(5, 2, Lane::Ctl))).await;
    assert_eq!(early.hear().await, None, "it has no link yet");
    assert_eq!([next().await, next().await, next().await, next().await], linked(5));
    let mut guest = Raw::dial(here, Lane::Ctl).await;
    guest.greet(hello(5, 2, Lane::Ctl)).await;
    assert_eq!(next().await, Told::Up(5));
    let ids = |ids: &[u64]| ids.iter().copied().map(ServerId).collect::<BTreeSet<_>>();
    assert_eq!(us.lock().members, ids(&[1, 2]), "nobody names it");

    // Server 3 is named by a reconfig, and was never heard of.
    let with_three = format!("{file}server.3=127.0.0.1:5:6:observer\n");
    go_by.post(GoBy(by(&with_three))).unwrap();
    assert_eq!([next().await, next().await, next().await, next().await], linked(3));
    assert_eq!(us.lock().members, ids(&[1, 2, 3]));
    let mut three = Raw::dial(here, Lane::Ctl).await;
    three.greet(hello(3, 2, Lane::Ctl)).await;
    assert_eq!(next().await, Told::Up(3));
    go_by.post(GoBy(by(&with_three))).unwrap(); // again: nothing is new
    go_by.post(GoBy(by(&file))).unwrap(); // it leaves
    within(async {
        while us.lock().members != ids(&[1, 2]) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(links.contains_key(&ServerId(3)), "and may come back");
    assert!(told.try_recv().is_err(), "no link is made twice");
}
