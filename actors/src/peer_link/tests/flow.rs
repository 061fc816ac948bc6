//! What goes down a data lane: in order, bounded, and nothing after its end.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;

#[actix::test]
async fn pl5_packets_keep_their_order_both_ways() {
    const ALL: u64 = 10_000;
    let (mut follower, below, mut leader, above) = pair(8 << 20, 1 << 20).await;
    for number in 0..ALL {
        follower.send(below, vec![framed(ack(number))]);
        let shared = Bytes::from(written(&commit(number)));
        leader.send(
            above,
            vec![if number % 3 == 0 { Outgoing::Bytes(shared) } else { framed(commit(number)) }],
        );
    }
    for number in 0..ALL {
        assert_eq!(follower.ear.number().await, number);
        assert_eq!(leader.ear.number().await, number);
    }
    let status = leader.peer.status.lock().clone();
    let sent: usize = (0..ALL).map(|number| written(&commit(number)).len()).sum();
    assert_eq!((status.bytes_sent, status.queued_bytes), (sent as u64, 0));
}

#[actix::test]
async fn pl5_a_stream_comes_in_its_place() {
    let (mut follower, _, leader, lane) = pair(1 << 20, 1 << 20).await;
    let (chunks, stream) = mpsc::channel(1);
    leader.send(lane, vec![framed(commit(1)), Outgoing::Stream(stream), framed(commit(4))]);
    leader.send(lane, vec![framed(commit(5))]);
    assert_eq!(follower.ear.number().await, 1, "what was before it does not wait for it");
    let both = [written(&commit(2)), written(&commit(3))].concat();
    for byte in both {
        chunks.send(Ok(Bytes::from(vec![byte]))).await.unwrap();
    }
    assert_eq!((follower.ear.number().await, follower.ear.number().await), (2, 3));
    assert!(follower.ear.now().is_none(), "the stream goes on");
    drop(chunks);
    assert_eq!((follower.ear.number().await, follower.ear.number().await), (4, 5));
}

#[actix::test]
async fn a_stream_that_fails_closes_the_lane() {
    let (mut follower, below, mut leader, lane) = pair(1 << 20, 1 << 20).await;
    let (chunks, stream) = mpsc::channel(1);
    leader.send(lane, vec![Outgoing::Stream(stream), framed(commit(1))]);
    chunks.send(Err("snapshot.7: no such file".into())).await.unwrap();
    let (ended, why) = leader.ear.down().await;
    assert!(ended == lane && why.ends_with("snapshot.7: no such file"), "{why}");
    assert_eq!(follower.ear.down().await, (below, "the peer closed it".into()));
    assert!(follower.ear.up().await > below, "and it is dialled again");
}

/// Even a queue that waits behind a stream is bounded, and whoever feeds the stream learns of the end.
#[actix::test]
async fn pl4_what_waits_behind_a_stream_is_bounded() {
    let (_follower, _, mut leader, lane) = pair(10_000, 1 << 20).await;
    let (chunks, stream) = mpsc::channel(1);
    leader.send(lane, vec![Outgoing::Stream(stream)]);
    for number in 0..2_000 {
        leader.send(lane, vec![framed(commit(number))]);
    }
    let (ended, why) = leader.ear.down().await;
    assert!(ended == lane && why.contains("takes too little") && why.contains("10000 may"), "{why}");
    within(chunks.closed()).await;
}

/// While what was heard is kept, no more is read, the sender's queue fills, and the lane is given up.
#[actix::test]
async fn pl4_a_receiver_that_is_slow_stops_the_reading_and_then_the_lane() {
    const PIECE: usize = 60_000;
    const QUEUE: usize = 1 << 20;
    let (mut follower, below, mut leader, lane) = pair(QUEUE, 4 * PIECE).await;
    let piece = Frame::ToLearner(ToLearner::Snapshot { bytes: vec![7; PIECE], is_last: false });
    let piece = Bytes::from(written(&piece));
    let mut sent = 0;
    let why = within(async {
        loop {
            leader.send(lane, vec![Outgoing::Bytes(piece.clone())]);
            sent += 1;
            assert!(sent < 10_000, "600 MB are in no socket's buffers");
            tokio::time::sleep(Duration::from_micros(100)).await; // the writer's turn
            let queued = leader.peer.status.lock().queued_bytes as usize;
            assert!(queued <= QUEUE + PIECE, "{queued}");
            if let Some(Heard::Down(ended, why)) = leader.ear.now() {
                assert_eq!(ended, lane);
                return why;
            }
        }
    });
    let why = why.await;
    assert!(why.contains("takes too little"), "{why}");
    let mut kept = Vec::new();
    while let Some(heard) = follower.ear.now() {
        kept.push(heard);
    }
    assert_eq!(kept.len(), 3, "a frame has its header, so that four have no room");
    drop(kept); // it goes on reading, and finds the end
    loop {
        match follower.ear.next().await {
            Heard::FromLeader(_) => {}
            Heard::Down(ended, _) => break assert_eq!(ended, below),
            other => panic!("{other:?}"),
        }
    }
    assert_ne!(follower.ear.up().await, below);
    assert_eq!(within(status_of(&leader, |status| status.queued_bytes == 0)).await.queued_bytes, 0);
}

async fn status_of(link: &Data, is_it: fn(&LinkStatus) -> bool) -> LinkStatus {
    loop {
        let status = link.peer.status.lock().clone();
        if is_it(&status) {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

/// One batch may be larger than all that may wait.
#[actix::test]
async fn a_batch_over_the_limit_gets_through_alone() {
    let (mut follower, _, leader, lane) = pair(100, 100).await;
    let piece = Frame::ToLearner(ToLearner::Snapshot { bytes: vec![7; 5_000], is_last: true });
    leader.send(lane, vec![framed(piece)]);
    assert!(matches!(follower.ear.next().await, Heard::FromLeader(_)));
    leader.send(lane, vec![framed(commit(1))]);
    assert_eq!(follower.ear.number().await, 1);
}

#[actix::test]
async fn what_cannot_be_written_closes_the_lane() {
    let (_follower, _, mut leader, lane) = pair(1 << 24, 1 << 20).await;
    let bytes = vec![0; (1 << 20) + 7];
    leader.send(lane, vec![framed(Frame::ToLearner(ToLearner::Snapshot { bytes, is_last: true }))]);
    let (ended, why) = leader.ear.down().await;
    assert!(ended == lane && why.contains("Snapshot of 1048"), "{why}");
}

/// Whether this end hangs up in the middle of a flood, or a newer lane comes.
#[actix::test]
async fn pl3_a_lanes_end_is_the_last_that_is_told_of_it() {
    for round in 0..5 {
        let (mut follower, below, mut leader, above) = pair(64 << 20, 8 << 20).await;
        for number in 0..50_000 {
            leader.send(above, vec![framed(commit(number))]);
        }
        for number in 0..100 * round {
            assert_eq!(follower.ear.number().await, number);
        }
        follower.hang_up.post(HangUp { lane: below }).unwrap();
        let mut ended = false;
        let again = loop {
            match follower.ear.next().await {
                Heard::FromLeader(packet) => assert!(!ended, "{packet:?} after the end of its lane"),
                Heard::Down(lane, _) => {
                    assert_eq!((lane, std::mem::replace(&mut ended, true)), (below, false));
                }
                Heard::Up(lane) => break lane,
                other => panic!("{other:?}"),
            }
        };
        assert!(ended && again > below);
        let heard = async {
            while !matches!(leader.ear.next().await, Heard::Up(_)) {}
            leader.send(above, vec![framed(commit(0))]); // down a lane that is none any more
            leader.send(above + 1, vec![framed(commit(77))]);
            follower.ear.number().await
        };
        assert_eq!(heard.await, 77);
    }
}
