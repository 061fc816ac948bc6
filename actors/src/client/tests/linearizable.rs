//! Reads that wait for a sync of their arbiter's own (C10).

use super::*;

/// A member whose reads are linearizable, with so many client arbiters.
fn member(arbiters: u16) -> Member {
    let settings = Settings { linearizable_reads: true, ..Settings::default() };
    Member::with(arbiters, settings, AuthRules::default())
}

fn get(xid: i32) -> Vec<u8> {
    look(xid, OpCode::GetData, "/a", false)
}

fn xids(packets: &[Packet]) -> Vec<i32> {
    packets.iter().map(|packet| packet.xid).collect()
}

/// The data in the answer to a get.
fn data(packet: &Packet) -> Bytes {
    let mut body = packet.body.clone();
    Option::<Bytes>::read(&mut body).unwrap().unwrap_or_default()
}

/// What an arbiter asks now: the numbers of its own syncs, and how much else.
fn asked(member: &mut Member, arbiter: usize) -> (Vec<u64>, usize) {
    let items = member.arbiters[arbiter].take_submissions();
    let number = |item: &Submission| {
        if let Submission::SyncReads { number, .. } = item { Some(*number) } else { None }
    };
    let numbers: Vec<_> = items.iter().filter_map(number).collect();
    let others = items.len() - numbers.len();
    (numbers, others)
}

/// An arbiter's sync is passed, with nothing before it.
fn pass(member: &mut Member, arbiter: u16, number: u64) {
    let mut writer = member.tree.write();
    let zxid = writer.last_zxid();
    writer.push(arbiter, FeedItem::ReadsSynced { number, zxid });
    writer.commit(|_| {});
    member.drain(usize::from(arbiter));
}

#[test]
fn c10_a_read_is_answered_with_all_that_was_proposed_before_it_was_asked() {
    let mut member = member(2);
    let (writer, reader) = (member.connect(0), member.connect(1));
    member.ask(writer, &create(1, "/a"));
    // Proposed, and acknowledged by another member perhaps: it is not applied here.
    member.send(writer, &set(2, "/a", "new"));
    member.submit(0);
    while member.learn() || member.propose() {}
    member.send(reader, &get(1));
    assert_eq!(member.receive(reader), [], "what is here may be old");
    member.settle();
    assert_eq!(data(&member.receive(reader)[0]), "new");
}

#[test]
fn c10_one_sync_serves_all_reads_that_came_before_it_was_asked_and_none_that_came_after() {
    let mut member = member(1);
    let clients = [(); 3].map(|()| member.connect(0));
    member.ask(clients[0], &create(1, "/a"));
    for client in clients {
        member.send(client, &[get(2), ping(), get(3)].concat());
    }
    assert_eq!(asked(&mut member, 0), (vec![1], 0));
    member.send(clients[0], &get(4));
    assert_eq!(asked(&mut member, 0), (vec![], 0), "one is under way");
    pass(&mut member, 0, 1);
    for client in clients {
        assert_eq!(xids(&member.receive(client)), [2, -2, 3]);
    }
    assert_eq!(asked(&mut member, 0), (vec![2], 0));
    pass(&mut member, 0, 2);
    assert_eq!(xids(&member.receive(clients[0])), [4]);
    assert_eq!(asked(&mut member, 0), (vec![], 0), "nobody waits");
}

#[test]
fn c10_every_read_of_the_tree_waits_and_nothing_else_does() {
    use paddock_messages::client::ops::{MultiHeader, SetWatches};
    use paddock_messages::wire::write_str;
    let mut member = member(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    let path = |opcode| request(7, opcode as i32, |to| write_str("/a", to));
    let nothing_missed = SetWatches { relative_zxid: i64::MAX, data: vec![], exist: vec![], child: vec![] };
    for (what, bytes, waits) in [
        ("exists", look(7, OpCode::Exists, "/a", false), true),
        ("getData", get(7), true),
        ("getChildren", look(7, OpCode::GetChildren, "/a", false), true),
        ("getChildren2", look(7, OpCode::GetChildren2, "/a", true), true),
        ("getACL", path(OpCode::GetAcl), true),
        ("getAllChildrenNumber", path(OpCode::GetAllChildrenNumber), true),
        ("getEphemerals", path(OpCode::GetEphemerals), true),
        ("multiRead", request(7, OpCode::MultiRead as i32, |to| MultiHeader::END.write(to)), true),
        ("setWatches", request(7, OpCode::SetWatches as i32, |to| nothing_missed.write(to)), true),
        ("addWatch", watch(7, OpCode::AddWatch, "/a", 0), false),
        ("checkWatches", watch(7, OpCode::CheckWatches, "/a", 3), false),
        ("removeWatches", watch(7, OpCode::RemoveWatches, "/a", 3), false),
        ("whoAmI", request(7, OpCode::WhoAmI as i32, |_| {}), false),
        ("unknown", request(7, 999, |_| {}), false),
    ] {
        member.send(client, &bytes);
        assert_eq!(member.receive(client).is_empty(), waits, "{what}");
        member.settle();
        assert_eq!(member.receive(client).len(), usize::from(waits), "{what}");
    }
}

#[test]
fn c10_a_write_behind_a_read_is_not_taken_on_before_the_read_is_answered() {
    let mut member = member(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    // Another member's client may be answered between the two writes.
    member.send(client, &[set(2, "/a", "one"), ping(), get(3), ping(), set(4, "/a", "two")].concat());
    assert!(!member.core(client).wants_read(client.conn));
    member.submit(0);
    let Some(ToLearner::Asked(items)) = member.to_learner.back() else { panic!("something is asked") };
    assert!(
        matches!(&items[..], [Submission::Write { xid: 2, .. }, Submission::SyncReads { number: 1, .. }]),
        "{items:?}"
    );
    member.settle();
    let packets = member.receive(client);
    assert_eq!((xids(&packets), data(&packets[2])), (vec![2, -2, 3, -2, 4], "one".into()));
}

#[test]
fn c10_writes_without_a_read_between_them_go_together() {
    let mut member = member(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    member.send(client, &[set(2, "/a", "one"), ping(), set(3, "/a", "two"), get(4)].concat());
    assert_eq!(asked(&mut member, 0), (vec![1], 2), "the ping between two writes is a read of nothing");
}

#[test]
fn c10_an_answer_to_another_s_sync_lets_nobody_read() {
    let mut member = member(1);
    let generation = 7;
    let renewed = |core: ArbiterCore| core.number_from(generation);
    member.arbiters = std::mem::take(&mut member.arbiters).into_iter().map(renewed).collect();
    let client = member.connect(0);
    let first = (u64::from(generation) << 32) + 1;
    member.send(client, &get(1));
    assert_eq!(asked(&mut member, 0), (vec![first], 0));
    for other in [1, first - 1, first + 1, u64::MAX] {
        pass(&mut member, 0, other); // of an earlier process, or nobody's
        assert_eq!(member.receive(client), [], "{other}");
    }
    pass(&mut member, 0, first);
    assert_eq!(xids(&member.receive(client)), [1]);
    member.send(client, &get(2));
    pass(&mut member, 0, first);
    assert_eq!(member.receive(client), [], "that one was asked before the read came");
}

#[test]
fn c10_a_sync_that_is_lost_with_the_leader_is_asked_of_the_next() {
    let mut member = member(1);
    let (reader, other) = (member.connect(0), member.connect(0));
    member.ask(reader, &create(1, "/a"));
    member.send(reader, &get(2));
    let (lost, _) = asked(&mut member, 0);
    member.change_leader(2);
    assert_eq!(xids(&member.receive(reader)), [2], "it waited for nothing but its turn, so it goes on (C9)");
    member.send(other, &get(1));
    assert_eq!(member.receive(other), []);
    pass(&mut member, 0, lost[0]);
    assert_eq!(member.receive(other), [], "the old leader's answer says nothing of now");
    member.settle();
    assert_eq!(xids(&member.receive(other)), [1]);
}

#[test]
fn c10_nothing_is_asked_and_nothing_read_while_nobody_is_served() {
    let mut member = member(1);
    let client = member.connect(0);
    member.core(client).serve(Serving::Nobody, 0);
    member.send(client, &get(1));
    assert!(!member.core(client).has_submissions());
    member.core(client).serve(Serving::Everybody, 0);
    assert!(member.core(client).has_submissions());
    assert_eq!(asked(&mut member, 0).0.len(), 1);
    assert_eq!(member.receive(client), []);
}

/// Their outboxes are full, or they end, while a sync is under way.
#[test]
fn c10_connections_that_come_and_go_meanwhile_leave_nothing_behind() {
    let mut member = member(1);
    let (stays, goes) = (member.connect(0), member.connect(0));
    member.ask(stays, &create(1, "/a"));
    for client in [stays, goes] {
        member.send(client, &get(2));
    }
    let (numbers, _) = asked(&mut member, 0);
    member.core(goes).on_closed(goes.conn);
    let comes = member.accept(0);
    member.send(comes, &hello(SessionId::NONE, 0, None));
    pass(&mut member, 0, numbers[0]);
    assert_eq!(xids(&member.receive(stays)), [2]);
    member.settle();
    member.handshake(comes);
    assert_eq!(xids(&member.ask(comes, &get(3))), [3]);
}
