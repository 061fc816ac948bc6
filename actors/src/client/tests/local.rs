//! Sessions that are a member's alone.

use paddock_messages::znode::CreateMode;

use super::*;

fn member(upgrades: bool) -> Member {
    let settings =
        Settings { local_sessions: true, upgrades_local_sessions: upgrades, ..Settings::default() };
    Member::with(2, settings, AuthRules::default())
}

fn create_as(xid: i32, path: &str, mode: CreateMode) -> Vec<u8> {
    let create = paddock_messages::client::ops::Create {
        path: path.into(),
        data: None,
        acl: Some(vec![paddock_messages::znode::AclEntry {
            perms: 31,
            scheme: Some("world".into()),
            id: Some("anyone".into()),
        }]),
        flags: mode as i32,
    };
    request(xid, OpCode::Create as i32, |to| create.write(to))
}

fn ephemeral(xid: i32, path: &str) -> Vec<u8> {
    create_as(xid, path, CreateMode::Ephemeral)
}

fn close(xid: i32) -> Vec<u8> {
    request(xid, OpCode::CloseSession as i32, |_| {})
}

fn session_of(member: &mut Member, client: Client) -> SessionId {
    member.core(client).session_in_slot(client.conn.slot).unwrap()
}

fn answers(packets: &[Packet]) -> Vec<(i32, i32)> {
    packets.iter().map(|it| (it.xid, it.err)).collect()
}

/// Txns until now, and sessions that everybody knows.
fn known(member: &Member) -> (u32, usize) {
    let tree = member.tree.read();
    (tree.last_zxid().counter(), tree.session_count())
}

/// Through a connection to this arbiter; what it is answered.
fn reattach(member: &mut Member, arbiter: usize, session: SessionId) -> (Client, bool) {
    let client = member.accept(arbiter);
    member.send(client, &hello(session, 0, None));
    member.settle();
    let granted = member.handshake(client).timeout_ms > 0;
    (client, granted)
}

#[test]
fn l9_a_session_of_the_member_alone_takes_no_txn_from_its_beginning_to_its_end() {
    let mut member = member(false);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    assert_eq!((known(&member), member.learner.local_sessions()), ((0, 0), 1));
    assert_eq!(answers(&member.ask(client, &create(1, "/a"))), [(1, 0)]);
    let refused = member.ask(client, &ephemeral(2, "/mine"));
    assert_eq!((answers(&refused), known(&member)), (vec![(2, -120)], (2, 0)));
    let closed = member.ask(client, &close(3));
    assert_eq!((answers(&closed), closed[0].zxid), (vec![(3, 0)], refused[0].zxid));
    assert!(member.is_over(client));
    assert_eq!((known(&member), member.learner.local_sessions()), ((2, 0), 0));
    assert!(!reattach(&mut member, 0, session).1, "it has ended");
}

#[test]
fn l9_its_end_stands_behind_what_it_asked_before() {
    let mut member = member(false);
    let client = member.connect(0);
    member.send(client, &[create(1, "/a"), close(2)].concat());
    member.submit(0);
    while member.learn() || member.propose() || member.apply() {}
    member.drain(0);
    assert!(member.receive(client).is_empty(), "the write is not committed");
    member.settle();
    assert_eq!(answers(&member.receive(client)), [(1, 0), (2, 0)]);
}

#[test]
fn l9_it_speaks_through_its_newest_connection_alone() {
    let mut member = member(false);
    let old = member.connect(0);
    let session = session_of(&mut member, old);
    let new = member.accept(1);
    member.send(new, &hello(session, 0, None));
    member.submit(1);
    member.send(old, &create(1, "/late")); // the old one does not know yet
    member.settle();
    assert!(member.handshake(new).timeout_ms > 0);
    assert!(member.is_over(old) && !member.is_over(new));
    assert_eq!((known(&member), member.tree.read().node("/late").is_none()), ((0, 0), true));
    assert_eq!(answers(&member.ask(new, &create(1, "/a"))), [(1, 0)]);
}

#[test]
fn l9_of_those_whose_time_is_up_the_members_own_end_here_and_the_others_are_the_leaders() {
    let mut member = member(false);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    let attach = AttachNumber::local(1);
    let another = (SessionId(77), AttachNumber { epoch: Epoch(1), counter: 1 });
    let (later, _) = reattach(&mut member, 0, session);
    let left = member.learner.on_over(vec![(session, attach), another], &mut Vec::new());
    assert_eq!((left, member.learner.local_sessions()), (vec![another], 1), "it has attached anew since");
    let left = member.learner.on_over(vec![(session, AttachNumber::local(2))], &mut Vec::new());
    assert_eq!((left, member.learner.local_sessions()), (vec![], 0));
    member.settle();
    assert!(!reattach(&mut member, 0, session).1 && !member.is_over(later), "the arbiter closes that one");
}

#[test]
fn c11_the_first_ephemeral_makes_it_everybodys_and_nothing_changes_its_order() {
    let mut member = member(true);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    let all = [
        create(1, "/a"),
        look(2, OpCode::GetData, "/a", true),
        ephemeral(3, "/mine"),
        look(4, OpCode::Exists, "/mine", false),
        create(5, "/b"),
    ];
    let told = member.ask(client, &all.concat());
    assert_eq!(answers(&told), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
    let counters: Vec<_> = told.iter().map(|it| Zxid::from_wire(it.zxid).counter()).collect();
    assert_eq!(counters, [1, 1, 3, 3, 4], "its creation stands right before the ephemeral");
    assert_eq!((known(&member), member.learner.local_sessions()), ((4, 1), 0));
    let other = member.connect(1);
    member.ask(other, &set(1, "/a", "new"));
    assert_eq!(answers(&member.receive(client)), [(-1, 0)], "its watch is kept");
    let (again, granted) = reattach(&mut member, 1, session);
    assert!(granted && member.is_over(client));
    assert_eq!(answers(&member.ask(again, &close(1))), [(1, 0)]);
    assert_eq!(known(&member).1, 0);
    assert!(member.tree.read().node("/mine").is_none());
}

#[test]
fn l9_a_session_that_the_leader_does_not_take_stays_the_members_own() {
    let mut member = member(true);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    member.proposer.on_disk_full(true);
    assert!(member.ask(client, &ephemeral(1, "/mine")).is_empty());
    assert!(member.is_over(client), "it may ask anew");
    assert_eq!((known(&member), member.learner.local_sessions()), ((0, 0), 1));
    member.proposer.on_disk_full(false);
    let (again, granted) = reattach(&mut member, 0, session);
    assert!(granted);
    assert_eq!(answers(&member.ask(again, &ephemeral(1, "/mine"))), [(1, 0)]);
}

#[test]
fn l9_what_stands_behind_a_refused_upgrade_is_not_done_either() {
    let mut member = member(true);
    let client = member.connect(0);
    member.proposer.on_disk_full(true);
    member.send(client, &ephemeral(1, "/mine"));
    member.submit(0);
    while member.learn() || member.propose() || member.apply() {}
    member.proposer.on_disk_full(false);
    member.send(client, &create(2, "/behind")); // the arbiter does not know yet
    member.settle();
    assert!(member.is_over(client) && member.receive(client).is_empty());
    assert!(member.tree.read().node("/behind").is_none());
}

#[test]
fn l9_who_comes_back_while_it_becomes_everybodys_is_told_nothing_and_asks_again() {
    let mut member = member(true);
    let client = member.connect(0);
    let session = session_of(&mut member, client);
    member.leave_in_flight(client, &ephemeral(1, "/mine"));
    let early = member.accept(1);
    member.send(early, &hello(session, 0, None));
    member.submit(1);
    while member.learn() {}
    member.apply();
    member.drain(1);
    assert!(member.is_over(early) && member.take_bytes(early).is_empty());
    member.settle();
    assert!(reattach(&mut member, 1, session).1);
    assert!(member.tree.read().node("/mine").is_some());
}

#[test]
fn c11_it_ends_with_the_leader_and_one_on_its_way_to_everybody_is_answered_by_nobody() {
    let mut member = member(true);
    let (local, upgraded, upgrading) = (member.connect(0), member.connect(0), member.connect(0));
    assert_eq!(answers(&member.ask(upgraded, &ephemeral(1, "/a"))), [(1, 0)]);
    let session = session_of(&mut member, local);
    member.leave_in_flight(upgrading, &ephemeral(1, "/b"));
    member.lose_leader();
    assert!(member.is_over(local));
    assert_eq!(member.learner.local_sessions(), 0);
    member.find_leader(2);
    member.serve(Serving::Everybody);
    member.settle();
    assert!(member.is_over(upgrading) && !member.is_over(upgraded));
    assert!(member.receive(upgrading).is_empty());
    assert_eq!(answers(&member.ask(upgraded, &look(2, OpCode::Exists, "/a", false))), [(2, 0)]);
    assert!(!reattach(&mut member, 0, session).1);
}

#[test]
fn c11_its_pings_need_no_leaders_word() {
    let mut member = member(true);
    let (local, upgraded) = (member.connect(0), member.connect(0));
    member.ask(upgraded, &ephemeral(1, "/a"));
    member.now_ms = 10;
    member.arbiters[0].vouch(9, 10);
    assert_eq!(answers(&member.ask(local, &ping())), [(-2, 0)]);
    assert!(member.ask(upgraded, &ping()).is_empty(), "the leader's word is needed");
}

#[test]
fn l9_there_are_so_many_at_most() {
    let mut member = member(false);
    member.learner.limit_local_sessions(1);
    member.connect(0);
    let late = member.accept(0);
    member.send(late, &hello(SessionId::NONE, 0, None));
    member.settle();
    assert!(member.is_over(late) && member.take_bytes(late).is_empty());
}

#[test]
fn q6_who_only_reads_gets_a_session_of_the_member_alone_and_may_end_it() {
    // Whoever asks for such a session is content with what there is, so no read waits for a leader.
    let settings = Settings {
        local_sessions: true,
        upgrades_local_sessions: true,
        linearizable_reads: true,
        ..Settings::default()
    };
    let mut member = Member::with(2, settings, AuthRules::default());
    let writer = member.connect(0);
    member.ask(writer, &[create(1, "/a"), ephemeral(2, "/mine")].concat());
    let global = session_of(&mut member, writer);
    member.lose_leader();
    member.learner.on_alone();
    member.serve(Serving::ReadOnly);
    assert!(member.is_over(writer), "a parked connection does not go on");
    for flag in [None, Some(false)] {
        let client = member.accept(0);
        member.send(client, &hello(SessionId::NONE, 0, flag));
        assert!(member.is_over(client) && member.take_bytes(client).is_empty(), "{flag:?}");
    }
    let client = member.accept(0);
    member.send(client, &hello(global, 0, Some(true)));
    assert!(member.is_over(client) && member.take_bytes(client).is_empty(), "it is kept for later");

    let reader = member.accept(1);
    member.send(reader, &hello(SessionId::NONE, 0, Some(true)));
    member.settle();
    let bytes = member.take_bytes(reader);
    assert_eq!((bytes.len(), bytes[40]), (41, 1), "the answer says that it is read only");
    member.now_ms = 10;
    member.arbiters[1].vouch(0, 10);
    let all = [
        look(1, OpCode::GetData, "/a", true),
        create(2, "/b"),
        request(3, OpCode::Sync as i32, |to| paddock_messages::wire::write_str("/", to)),
        ephemeral(4, "/c"),
        ping(),
    ];
    let told = member.ask(reader, &all.concat());
    assert_eq!(answers(&told), [(1, 0), (2, -119), (3, -119), (4, -119), (-2, 0)]);
    let session = session_of(&mut member, reader);
    let again = member.accept(0);
    member.send(again, &hello(session, 0, Some(true)));
    member.settle();
    assert!(member.take_bytes(again).len() == 41 && member.is_over(reader));
    let unknown = member.accept(0);
    member.send(unknown, &hello(SessionId(99), 0, Some(true)));
    member.settle();
    assert_eq!(member.handshake(unknown).timeout_ms, 0, "it has expired, as far as anybody knows");
    assert_eq!(answers(&member.ask(again, &close(1))), [(1, 0)]);
    assert_eq!((member.learner.local_sessions(), member.is_over(again)), (0, true));
    assert!(member.to_proposer.is_empty(), "nobody else was asked");
}

#[test]
fn q6_without_local_sessions_there_is_none_to_be_had() {
    let mut member = Member::new(1);
    member.serve(Serving::ReadOnly);
    let client = member.accept(0);
    member.send(client, &hello(SessionId::NONE, 0, Some(true)));
    assert!(member.is_over(client));
    assert_eq!(answers(&member.receive(client)), [(0, -119)]);
    assert!(!member.core(client).has_submissions());
}
