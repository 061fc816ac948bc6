use paddock_messages::client::OpCode;

use super::{Member, create, look, packets, ping, set};
use crate::admin::metrics::Meters;

/// Bytes and frames are counted to the last one, on both ways; reads by what they found, also one that
/// is executed between two writes.
#[test]
fn the_tally_agrees_with_what_went_over_the_wire() {
    let (mut member, meters) = (Member::new(1), Meters::default());
    let client = member.connect(0);
    meters.absorb(member.core(client).tally());
    let (sent, received) = (meters.packets_sent.get(), meters.packets_received.get());
    assert_eq!((sent, received, meters.response_bytes.get()), (1, 1, 4 + 37 - 1), "the handshake");
    let bytes_before = meters.bytes_received.get();

    let asked = [
        create(1, "/app"),
        look(2, OpCode::GetData, "/app", true), // between two writes; one byte, and a watch
        set(3, "/app", "12345"),
        look(4, OpCode::GetData, "/app", false),
        look(5, OpCode::GetChildren2, "/", false), // of no namespace
        look(6, OpCode::Exists, "/app/none", false),
        ping(),
    ];
    member.send(client, &asked.concat());
    member.settle();
    let answered = member.take_bytes(client);
    meters.absorb(member.core(client).tally());

    assert_eq!(meters.packets_received.get() - received, asked.len() as u64);
    assert_eq!(meters.bytes_received.get() - bytes_before, asked.concat().len() as u64);
    assert_eq!(meters.packets_sent.get() - sent, asked.len() as u64 + 1, "and the event");
    let counted = meters.response_bytes.get() - 40 + meters.watch_bytes.get();
    assert_eq!(counted, answered.len() as u64);
    let event = packets(answered).into_iter().find(|packet| packet.xid == -1).expect("the watch fired");
    assert_eq!(meters.watch_bytes.get(), 4 + 16 + event.body.len() as u64);
    assert_eq!((meters.update_latency.read().count(), meters.read_latency.read().count()), (2, 5));
    assert_eq!(meters.node_changed_watches.read().sum(), 1);
    let reads = meters.reads.of("app").read();
    assert_eq!((reads.count(), reads.sum()), (2, (4 + 1 + 68) + (4 + 5 + 68)));
}

#[test]
fn latencies_are_counted_in_microseconds() {
    let (mut member, meters) = (Member::new(1), Meters::default());
    let client = member.connect(0);
    member.now_ms = 5_000;
    member.core(client).at_us(5_000_300);
    member.send(client, &[create(1, "/a"), look(2, OpCode::Exists, "/a", false)].concat());
    member.core(client).at_us(5_000_750);
    member.settle();
    member.now_ms = 5_001;
    member.core(client).at_us(5_001_100);
    member.send(client, &create(3, "/b"));
    member.now_ms = 5_003; // a step whose time is known in ms only is not before the last
    member.settle();
    meters.absorb(member.core(client).tally());
    let (writes, reads) = (meters.update_latency.read(), meters.read_latency.read());
    assert_eq!((writes.count(), writes.min(), writes.max()), (2, 450, 1_900));
    assert_eq!((reads.count(), reads.max()), (1, 450));
    let (info, totals) = (member.arbiters[0].connections().next().unwrap(), member.arbiters[0].totals());
    assert_eq!((info.stats.last_latency_ms, totals.latency.max_ms), (1, 1), "cons tells whole ms");
}
