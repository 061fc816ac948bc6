//! Losing the leader: who waits for the next one, and who goes on with it.

use paddock_messages::letters::Internal;

use super::*;

const PARK_MS: u64 = 2_000;

impl Member {
    /// It has had no leader yet.
    fn starting() -> Self {
        let mut member = Self::new(1);
        let settings = Arc::new(Settings::default());
        member.arbiters =
            vec![ArbiterCore::new(0, settings, Arc::default(), Arc::clone(&member.tree), Arc::default())];
        member.park();
        member
    }

    /// The leader is lost, with all that is on its way; what is logged stays.
    pub(super) fn lose_leader(&mut self) {
        self.to_learner.clear();
        self.to_proposer.clear();
        self.at_disk.clear();
        self.learner.on_leader_lost();
        self.park();
    }

    pub(super) fn park(&mut self) {
        for core in &mut self.arbiters {
            core.serve(Serving::Nobody, self.now_ms);
            core.park(self.now_ms);
            core.begin_role();
        }
    }

    /// The next leader has what is logged here, and all of it is applied.
    pub(super) fn find_leader(&mut self, epoch: u32) {
        let (epoch, mut out) = (Epoch(epoch), Vec::new());
        self.learner.on_commit(epoch.start(), &mut out);
        self.learner.on_epoch(epoch, &mut out);
        while self.apply() {}
        let room = Room { admitted: 1 << 24, largest: 1 << 20 };
        self.proposer = Proposer::new(ME, epoch, Majority([ME].into()), PrepRules::default(), room);
    }

    pub(super) fn serve(&mut self, whom: Serving) {
        let now_ms = self.now_ms;
        self.arbiters.iter_mut().for_each(|core| core.serve(whom, now_ms));
    }

    /// All of it, until nothing moves any more.
    pub(super) fn change_leader(&mut self, epoch: u32) {
        self.lose_leader();
        self.find_leader(epoch);
        self.serve(Serving::Everybody);
        self.settle();
    }

    /// Asked, proposed and logged, and not committed.
    pub(super) fn leave_in_flight(&mut self, client: Client, bytes: &[u8]) {
        self.send(client, bytes);
        self.submit(client.arbiter);
        while self.learn() || self.propose() {}
    }
}

pub(super) fn xids(packets: &[Packet]) -> Vec<i32> {
    packets.iter().map(|packet| packet.xid).collect()
}

pub(super) fn sync(xid: i32) -> Vec<u8> {
    request(xid, OpCode::Sync as i32, |to| paddock_messages::wire::write_str("/", to))
}

pub(super) fn close(xid: i32) -> Vec<u8> {
    request(xid, OpCode::CloseSession as i32, |_| {})
}

/// A connection with a watch on `/a`, another that has made `/a`, and the member.
pub(super) fn watched() -> (Member, Client, Client) {
    let mut member = Member::new(2);
    let (watcher, writer) = (member.connect(0), member.connect(1));
    member.ask(writer, &create(1, "/a"));
    member.ask(watcher, &look(1, OpCode::GetData, "/a", true));
    (member, watcher, writer)
}

#[test]
fn c8_an_idle_connection_is_not_read_nor_answered_and_its_events_come_before_later_replies() {
    let (mut member, watcher, writer) = watched();
    member.now_ms = 1;
    member.core(watcher).vouch(0, 1);
    assert!(member.ask(watcher, &ping()).is_empty(), "nobody vouches: it is owed");
    member.leave_in_flight(writer, &set(2, "/a", "new"));
    member.lose_leader();
    assert!(!member.core(watcher).wants_read(watcher.conn));
    member.send(watcher, &look(2, OpCode::GetData, "/a", false));
    member.core(watcher).vouch(u64::MAX, 1);
    member.arbiters[0].on_tick(1_000);
    assert!(member.receive(watcher).is_empty());
    member.find_leader(2);
    member.drain(0);
    assert_eq!(xids(&member.receive(watcher)), [-1], "the event of what is applied, and nothing else");
    member.serve(Serving::Everybody);
    assert!(!member.core(watcher).wants_read(watcher.conn), "C9: its session is not revalidated");
    assert!(member.receive(watcher).is_empty());
    member.settle();
    let told = member.receive(watcher);
    assert_eq!(xids(&told), [-2, 2], "what was owed, and what was asked meanwhile");
    assert!(told[1].body[4..].starts_with(b"new"));
    assert!(member.core(watcher).wants_read(watcher.conn));
    assert_eq!(xids(&member.ask(watcher, &set(3, "/a", "by the same attachment"))), [3]);
}

#[test]
fn c8_writes_in_flight_are_answered_by_what_is_applied_of_them_in_their_order_and_once() {
    let (mut member, _, writer) = watched();
    let all =
        [set(2, "/a", "2"), create(3, "/b"), set(4, "/none", ""), look(5, OpCode::GetData, "/a", false)];
    member.leave_in_flight(writer, &all.concat());
    member.change_leader(2);
    let told = member.receive(writer);
    assert_eq!(xids(&told), [2, 3, 4, 5]);
    assert_eq!(told.iter().map(|it| it.err).collect::<Vec<_>>(), [0, 0, -101, 0]);
    assert!(told.windows(2).all(|two| two[0].zxid <= two[1].zxid), "W1");
    assert!(!member.is_over(writer));
    member.change_leader(3);
    assert_eq!(xids(&member.ask(writer, &set(6, "/a", "6"))), [6]);
}

#[test]
fn c9_who_waits_too_long_is_closed_however_often_the_leader_is_lost() {
    for limit in [PARK_MS - 1, PARK_MS] {
        let mut member = Member::new(1);
        let client = member.connect(0);
        member.lose_leader();
        member.now_ms = PARK_MS / 2;
        member.lose_leader();
        member.now_ms = limit;
        member.core(client).on_park_over(limit);
        assert_eq!(member.is_over(client), limit == PARK_MS);
    }
    // The leader is there in time, and its word on the session is not.
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.lose_leader();
    member.find_leader(2);
    member.serve(Serving::Everybody);
    member.now_ms = PARK_MS;
    member.settle();
    assert!(member.is_over(client));
    // Neither is, and no timer came meanwhile.
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.lose_leader();
    member.find_leader(2);
    member.now_ms = PARK_MS;
    member.serve(Serving::Everybody);
    assert!(member.is_over(client) && !member.arbiters[0].has_submissions());
    // At once.
    let settings = Settings { park_ms: 0, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let (client, other) = (member.connect(0), member.accept(0));
    member.lose_leader();
    assert!(member.is_over(client) && member.is_over(other));
}

#[test]
fn c9_only_the_word_of_the_leader_that_was_asked_counts() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let connection = member.core(client).connection(client.conn).unwrap();
    let (session, attach) = (connection.session.unwrap(), AttachNumber { epoch: Epoch(1), counter: 1 });
    member.change_leader(2);
    member.lose_leader();
    let word = FeedItem::Attached { conn: client.conn, session, attach, timeout_ms: 10_000 };
    let mut writer = member.tree.write();
    writer.push(0, word);
    writer.commit(|_| {});
    member.drain(0);
    assert!(!member.core(client).wants_read(client.conn) && !member.is_over(client));
    member.find_leader(3);
    member.serve(Serving::Everybody);
    member.settle();
    assert!(member.core(client).wants_read(client.conn));
}

#[test]
fn c9_a_session_that_ended_or_moved_meanwhile_closes_its_connection() {
    for (case, ends) in [("it moved", false), ("it ended", true)] {
        let mut member = Member::new(1);
        let client = member.connect(0);
        let session = member.core(client).session_in_slot(client.conn.slot).unwrap();
        member.lose_leader();
        member.find_leader(2);
        if ends {
            let attach = AttachNumber::default();
            let mut out = Vec::new();
            let expire = Internal::Expire(vec![(session, attach)]);
            member.proposer.on_internal(&*member.tree.read(), expire, 0, &mut out);
            member.route(out);
        } else {
            let elsewhere = AttachNumber { epoch: Epoch(1), counter: 99 };
            assert!(member.proposer.on_revalidated(&*member.tree.read(), session, elsewhere));
        }
        member.serve(Serving::Everybody);
        member.settle();
        assert!(member.is_over(client) && member.receive(client).is_empty(), "{case}");
    }
}

#[test]
fn c9_nobody_goes_on_into_read_only_mode_and_no_handshake_is_finished_meanwhile() {
    let mut member = Member::new(1);
    let (idle, early, late) = (member.connect(0), member.accept(0), member.accept(0));
    member.send(early, &hello(SessionId::NONE, 0, None));
    member.lose_leader();
    assert!(!member.is_over(early), "it waits for the next leader");
    assert!(!member.is_over(late), "it has asked for nothing yet");
    member.serve(Serving::ReadOnly);
    assert!(member.is_over(idle) && member.is_over(early), "it would write");
    assert!(member.receive(early).is_empty());
}

#[test]
fn c16_a_handshake_waits_for_the_next_leader_and_is_asked_of_it_once() {
    let mut member = Member::new(1);
    let (early, late) = (member.accept(0), member.accept(0));
    member.send(early, &hello(SessionId::NONE, 0, None)); // its leader is lost
    member.lose_leader();
    member.send(late, &hello(SessionId::NONE, 0, None)); // there is none
    for client in [early, late] {
        assert!(!member.is_over(client) && member.receive(client).is_empty(), "it waits");
    }
    // One gives up, which is seen; nothing that it sends before is more than little.
    let gone = member.accept(0);
    member.send(gone, &hello(SessionId::NONE, 0, None));
    assert!(member.core(gone).wants_read(gone.conn));
    member.send(gone, &[0; 5_000]);
    assert!(!member.core(gone).wants_read(gone.conn) && !member.is_over(gone));
    assert!(!member.core(gone).on_end_of_input(gone.conn), "nothing is left to do");
    member.core(gone).on_closed(gone.conn);
    member.find_leader(2);
    member.serve(Serving::Everybody);
    member.serve(Serving::Everybody);
    member.settle();
    let [one, other] = [early, late].map(|client| member.handshake(client).session_id);
    assert!(one != other && one != 0 && other != 0, "{one} {other}");
}

#[test]
fn c16_a_handshake_at_a_member_that_has_just_started_waits_for_the_first_leader_and_no_longer() {
    for (found_ms, is_over) in [(PARK_MS - 1, false), (PARK_MS, true)] {
        let mut member = Member::starting();
        let (waits, reads) = (member.accept(0), member.accept(0));
        member.send(waits, &hello(SessionId::NONE, 0, None));
        member.send(reads, &hello(SessionId::NONE, 0, Some(true)));
        assert!(!member.is_over(waits) && member.is_over(reads));
        member.now_ms = found_ms;
        member.park(); // a leader is found, and lost before it serves
        member.core(waits).on_park_over(found_ms);
        assert_eq!(member.is_over(waits), is_over, "{found_ms}");
        if !is_over {
            member.find_leader(2);
            member.serve(Serving::Everybody);
            member.settle();
            assert_ne!(member.handshake(waits).session_id, 0);
        }
    }
}

#[test]
fn c16_a_handshake_waits_no_longer_than_parked_connections() {
    let mut member = Member::new(1);
    let waits = member.accept(0);
    member.lose_leader();
    member.send(waits, &hello(SessionId::NONE, 0, None));
    for (now_ms, is_over) in [(PARK_MS - 1, false), (PARK_MS, true)] {
        member.now_ms = now_ms;
        member.park(); // lost again, as the next one was not found in time
        member.core(waits).on_park_over(now_ms);
        assert_eq!(member.is_over(waits), is_over, "{now_ms}");
    }
    let late = member.accept(0);
    member.send(late, &hello(SessionId::NONE, 0, None));
    assert!(member.is_over(late), "nobody waits any more");
}

/// The Learner may apply what is committed before the arbiter hears that the leader is lost.
#[test]
fn c8_late_replies_that_overtake_the_loss_end_connections_with_something_lost_before_them() {
    type Case<'a> = (&'a [Vec<u8>], &'a [i32], bool);
    let read = |xid| look(xid, OpCode::GetData, "/a", false);
    let cases: [Case<'_>; 4] = [
        (&[set(2, "/a", ""), set(3, "/a", "")], &[2, 3], false),
        (&[sync(2), set(3, "/a", "")], &[], true),
        (&[set(2, "/a", ""), read(3), set(4, "/a", "")], &[2, 3, 4], false),
        (&[sync(2), close(3)], &[], true),
    ];
    for (at, (in_flight, answered, is_over)) in cases.iter().enumerate() {
        let (mut member, _, writer) = watched();
        member.leave_in_flight(writer, &in_flight.concat());
        member.to_learner.clear();
        member.at_disk.clear();
        member.learner.on_leader_lost();
        member.find_leader(2);
        member.drain(1);
        assert_eq!(xids(&member.receive(writer)), *answered, "case {at}");
        assert_eq!(member.is_over(writer), *is_over, "case {at}");
        member.park();
        member.serve(Serving::Everybody);
        member.settle();
        assert_eq!(member.is_over(writer), *is_over, "case {at}");
    }
}
