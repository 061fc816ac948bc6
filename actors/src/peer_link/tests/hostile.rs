//! Whoever connects to a member's ports, and what it cannot do there.

use super::*;

/// Members 1 and 2 are connected, and what happens at their port does not show.
#[actix::test]
async fn pl1_strangers_disturb_no_lane() {
    let (one, two) = (identity(1, &[1, 2]), identity(2, &[1, 2]));
    let (port, at) = opened();
    let mut follower = data(peer(&one, 2, &[at]));
    let mut leader = data(peer(&two, 1, &[]));
    route(port, Lane::Data, &two, 1, &leader.accepted);
    leader.serve.post(Serve { role: Some(1) }).unwrap();
    follower.open.post(Open { role: 1 }).unwrap();
    let (below, above) = (follower.ear.up().await, leader.ear.up().await);

    let mut slow = Vec::new();
    let whole = written(&Frame::Hello(hello(1, 2, Lane::Data)));
    for half in [&whole[..0], &whole[..12]] {
        let mut raw = Raw::dial(at, Lane::Data).await;
        raw.write(half).await;
        slow.push(raw);
    }
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xd5\x01\x01\xff\xff\xff\xff\0\0\0\0", // a hello of 4 GiB
        b"\xd5\x01\x01\x00\x00\x00\x00\0\0\0\0", // of nothing, and a checksum that is wrong
        b"\xd5\x01\x13\x01\x00\x00\x00\0\0\0\0", // an ack first
        b"\xd5\xff\xff",
        &[0; 100_000],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // TLS
    ] {
        let mut raw = Raw::dial(at, Lane::Data).await;
        _ = raw.stream.write_all(garbage).await; // it may be closed before all is written
        assert_eq!(raw.hear().await, None);
    }
    for hello in [hello(9, 2, Lane::Data), hello(1, 2, Lane::Ctl), hello(1, 3, Lane::Data)] {
        let mut raw = Raw::dial(at, Lane::Data).await;
        raw.say(&Frame::Hello(hello)).await;
        while raw.hear().await.is_some() {}
    }
    follower.send(below, vec![framed(ack(1))]);
    assert_eq!(leader.ear.number().await, 1);
    for mut raw in slow {
        assert_eq!(raw.hear().await, None, "after {HELLO_WITHIN:?}");
    }
    leader.send(above, vec![framed(commit(2))]);
    assert_eq!(follower.ear.number().await, 2);
    assert!(leader.ear.now().is_none() && follower.ear.now().is_none());
}

/// More silent connections than are looked at: a member's turn comes when they are given up.
#[actix::test]
async fn pl1_a_crowd_of_silent_strangers_is_outlasted() {
    let us = identity(1, &[1, 2]);
    let (port, at) = opened();
    let mut link = ctl(peer(&us, 2, &[]), SILENCE);
    route(port, Lane::Ctl, &us, 2, &link.accepted);
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(Raw::dial(at, Lane::Ctl).await);
    }
    let mut raw = Raw::dial(at, Lane::Ctl).await;
    raw.greet(hello(2, 1, Lane::Ctl)).await;
    assert!(matches!(link.ear.next().await, Heard::CtlUp));
}
