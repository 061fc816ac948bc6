//! Data lanes: when they come and go, and for whom.

use super::*;

/// Member 2 serves, or does not; member 3 dials it by hand.
fn leader(role: Option<u64>) -> (Data, SocketAddr) {
    let us = identity(2, &[1, 2, 3]);
    let (port, at) = opened();
    let link = data(peer(&us, 3, &[]));
    route(port, Lane::Data, &us, 3, &link.accepted);
    link.serve.post(Serve { role }).unwrap();
    (link, at)
}

async fn learner(at: SocketAddr) -> Raw {
    let mut raw = Raw::dial(at, Lane::Data).await;
    raw.greet(hello(3, 2, Lane::Data)).await;
    raw
}

#[actix::test]
async fn who_does_not_lead_serves_nobody() {
    let (mut link, at) = leader(None);
    let mut raw = Raw::dial(at, Lane::Data).await;
    raw.say(&Frame::Hello(hello(3, 2, Lane::Data))).await;
    assert_eq!(raw.hear().await, None, "not even a hello: the other would take it for a lane");
    link.serve.post(Serve { role: Some(1) }).unwrap();
    let mut raw = learner(at).await;
    let lane = link.ear.up().await;
    link.serve.post(Serve { role: Some(1) }).unwrap(); // nothing new
    link.send(lane, vec![framed(commit(1))]);
    assert_eq!(raw.hear().await, Some(commit(1)));
    for role in [Some(2), None] {
        link.serve.post(Serve { role }).unwrap();
        assert_eq!(link.ear.down().await.0, lane.max(1) + if role.is_some() { 0 } else { 1 });
        assert_eq!(raw.hear().await, None);
        if role.is_some() {
            raw = learner(at).await;
            link.ear.up().await;
        }
    }
    assert_eq!(link.peer.status.lock().state, LinkState::Idle);
}

#[actix::test]
async fn pl2_a_learners_newest_lane_replaces_the_older() {
    let (mut link, at) = leader(Some(1));
    let mut old = learner(at).await;
    let first = link.ear.up().await;
    let mut new = learner(at).await;
    new.say(&ack(1)).await;
    let (ended, why) = link.ear.down().await;
    assert_eq!((ended, why.as_str()), (first, "a newer connection replaces it"));
    let second = link.ear.up().await;
    assert!(second > first);
    assert_eq!(link.ear.number().await, 1);
    assert_eq!(old.hear().await, None);
    link.send(first, vec![framed(commit(1))]); // for nobody
    link.send(second, vec![framed(commit(2))]);
    assert_eq!(new.hear().await, Some(commit(2)));
    new.say(&ack(3)).await;
    assert!(matches!(link.ear.next().await, Heard::FromLearner(it) if it.lane == second));
}

/// The second of two that were dialled is the first to be answered.
#[actix::test]
async fn pl7_a_connection_on_which_the_peer_does_not_answer_replaces_no_lane() {
    let (mut link, at) = leader(Some(1));
    let mut first = learner(at).await;
    let lane = link.ear.up().await;
    let mut old = learner(at).await;
    first.say(&ack(1)).await;
    assert_eq!(link.ear.number().await, 1);
    let mut new = learner(at).await;
    assert_eq!(old.hear().await, None, "there is a newer one");
    new.say(&ack(2)).await;
    assert_eq!(link.ear.down().await.0, lane);
    let second = link.ear.up().await;
    assert_eq!((link.ear.number().await, first.hear().await), (2, None));
    for _ in 0..3 {
        let mut late = Raw::dial(at, Lane::Data).await;
        late.say(&Frame::Hello(hello(3, 2, Lane::Data))).await;
        drop(late);
    }
    // One that comes while the lane ends is taken, too.
    let mut last = learner(at).await;
    drop(new);
    assert_eq!(link.ear.down().await.0, second);
    last.say(&ack(3)).await;
    assert!(link.ear.up().await > second);
    assert_eq!(link.ear.number().await, 3);
    // And without any, the next.
    drop(last);
    link.ear.down().await;
    let mut next = learner(at).await;
    link.ear.up().await;
    next.say(&ack(4)).await;
    assert_eq!(link.ear.number().await, 4);
    // But none after the end of the role in which it was dialled.
    let mut late = learner(at).await;
    drop(next);
    link.ear.down().await;
    link.serve.post(Serve { role: None }).unwrap();
    late.say(&ack(5)).await;
    assert_eq!(late.hear().await, None);
    assert!(link.ear.now().is_none());
}

/// A peer that dials all the time is held up, and its last lane stays.
#[actix::test]
async fn pl4_lanes_that_replace_each_other_are_few() {
    let (mut link, at) = leader(Some(1));
    let mut last = learner(at).await;
    let (mut taken, mut told) = (1, 0);
    loop {
        let mut raw = Raw::dial(at, Lane::Data).await;
        raw.say(&Frame::Hello(hello(3, 2, Lane::Data))).await;
        if raw.hear().await.is_none() {
            break;
        }
        raw.say(&ack(taken)).await;
        while let Heard::Up(_) | Heard::Down(..) = link.ear.next().await {
            told += 1;
        }
        taken += 1;
        assert!(taken < 100);
        last = raw;
    }
    assert!(taken >= 10, "{taken}");
    last.say(&ack(taken)).await;
    assert_eq!(link.ear.number().await, taken);
    assert_eq!(told, 2 * taken - 1, "each but the last has ended");
}

#[actix::test]
async fn pl3_what_a_peer_may_not_say_ends_its_lane_once() {
    let (mut link, at) = leader(Some(1));
    let mut flipped = written(&ack(1));
    *flipped.last_mut().unwrap() ^= 1;
    let cut = [written(&ack(1)), vec![0xd5, 1]].concat();
    let heartbeat = written(&Frame::Heartbeat(heartbeat(1)));
    for (bytes, packets, says) in [
        (written(&commit(1)), 0, "Commit is nothing a learner says"),
        (heartbeat, 0, "Heartbeat does not belong on the data lane"),
        (written(&Frame::Hello(hello(3, 2, Lane::Data))), 0, "a second hello"),
        (flipped, 0, "has the checksum"),
        (cut, 1, "cut short after 2 bytes"),
        (written(&ack(1)), 1, "the peer closed it"),
        (b"\xd5\x01\x13\xff\xff\xff\xff\0\0\0\0".to_vec(), 0, "Ack of 4294967295 bytes"),
        (b"GET / HTTP/1.1".to_vec(), 0, "begins with 0x47"),
    ] {
        let mut raw = learner(at).await;
        let lane = link.ear.up().await;
        raw.write(&bytes).await;
        raw.stream.shutdown().await.unwrap();
        for _ in 0..packets {
            assert_eq!(link.ear.number().await, 1);
        }
        let (ended, why) = link.ear.down().await;
        assert!(ended == lane && why.contains(says), "{why}");
        assert_eq!(raw.hear().await, None);
    }
}

/// As soon as a hello is judged, whatever came behind it in the same packet.
#[actix::test]
async fn what_comes_right_behind_the_hello_is_heard() {
    let (mut link, at) = leader(Some(1));
    let mut raw = Raw::dial(at, Lane::Data).await;
    let hello = Frame::Hello(hello(3, 2, Lane::Data));
    raw.write(&[written(&hello), written(&ack(1)), written(&ack(2))].concat()).await;
    link.ear.up().await;
    assert_eq!((link.ear.number().await, link.ear.number().await), (1, 2));
}

#[actix::test]
async fn a_leader_is_dialled_until_it_is_shut() {
    let us = identity(2, &[1, 2]);
    let (port, at) = opened();
    let mut link = data(peer(&us, 1, &[at]));
    let accept = async || {
        let mut raw = Raw::accept(&port, Lane::Data).await;
        raw.greet(hello(1, 2, Lane::Data)).await;
        raw
    };
    link.open.post(Open { role: 4 }).unwrap();
    drop(accept().await);
    let lane = link.ear.up().await;
    assert_eq!(link.ear.down().await.0, lane);
    let mut raw = accept().await; // it has dialled again
    let lane = link.ear.up().await;
    link.open.post(Open { role: 4 }).unwrap(); // nothing new
    link.shut.post(Shut { upto_role: 3 }).unwrap(); // of before
    link.send(lane, vec![framed(ack(1))]);
    assert_eq!(raw.hear().await, Some(ack(1)));

    link.hang_up.post(HangUp { lane: lane + 1 }).unwrap(); // nobody
    link.hang_up.post(HangUp { lane }).unwrap();
    assert_eq!(link.ear.down().await, (lane, "this server hangs up".into()));
    assert_eq!(raw.hear().await, None);
    let mut raw = accept().await;
    let lane = link.ear.up().await;

    link.open.post(Open { role: 5 }).unwrap();
    assert_eq!(link.ear.down().await.0, lane, "for the role before");
    assert_eq!(raw.hear().await, None);
    let mut raw = accept().await;
    let lane = link.ear.up().await;
    link.shut.post(Shut { upto_role: 6 }).unwrap();
    assert_eq!(link.ear.down().await, (lane, "it is followed no longer".into()));
    assert_eq!(raw.hear().await, None);
    link.open.post(Open { role: 6 }).unwrap(); // overtaken by its end
    while link.open.meter().depth() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(link.peer.status.lock().state, LinkState::Idle);
    link.open.post(Open { role: 7 }).unwrap();
    let _raw = accept().await;
    link.ear.up().await;
    assert!(link.ear.now().is_none());
}
