use bytes::{Buf, Bytes};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{PathWatch, SetWatches};
use paddock_messages::wire::{Wire, write_str};
use paddock_messages::znode::Stat;
use paddock_messages::zxid::Zxid;
use proptest::prelude::*;

use super::{AuthRules, Client, Member, Packet, Settings, create, delete, look, ping, request, set, watch};

pub(super) const SESSIONS: usize = 3;

/// A request by number, of the session's own znodes.
fn draw(session: usize, xid: i32, kind: u8, at: u8) -> (i32, Vec<u8>) {
    let path = match at % 4 {
        0 => format!("/s{session}"),
        at => format!("/s{session}/{at}"),
    };
    let path = path.as_str();
    let code = |opcode: OpCode| opcode as i32;
    let bytes = match kind {
        0 | 1 => create(xid, path),
        2 | 3 => set(xid, path, &xid.to_string()),
        4 => delete(xid, path),
        5 => look(xid, OpCode::Exists, path, true),
        6 | 7 => look(xid, OpCode::GetData, path, at.is_multiple_of(2)),
        8 => look(xid, OpCode::GetChildren, path, true),
        9 => look(xid, OpCode::GetChildren2, path, false),
        10 => request(xid, code(OpCode::Sync), |to| write_str(path, to)),
        11 => ping(),
        12 => watch(xid, OpCode::AddWatch, path, i32::from(at % 2)),
        13 => watch(xid, OpCode::RemoveWatches, path, 3),
        14 => watch(xid, OpCode::CheckWatches, path, 3),
        15 => request(xid, code(OpCode::GetAllChildrenNumber), |to| write_str(path, to)),
        16 => request(xid, 999, |_| {}),
        17 => request(xid, code(OpCode::GetData), |to| (-7i32).write(to)),
        18 => request(xid, code(OpCode::SetWatches), |to| {
            let path = || vec![path.into()];
            SetWatches { relative_zxid: i64::MAX, data: path(), exist: vec![], child: path() }.write(to);
        }),
        _ => request(xid, code(OpCode::WhoAmI), |_| {}),
    };
    let opcode = i32::from_be_bytes(bytes[8..12].try_into().unwrap());
    (opcode, bytes)
}

/// A packet without what depends on when the other sessions wrote: zxids and times.
fn plain(packet: &Packet, opcode: Option<i32>) -> (i32, i32, Vec<u8>) {
    let mut body = packet.body.clone();
    let stat_at = match opcode.and_then(OpCode::from_code) {
        _ if packet.err != 0 || body.len() < 68 => None,
        Some(OpCode::Exists | OpCode::SetData | OpCode::GetData | OpCode::GetChildren2) => {
            Some(body.len() - 68)
        }
        _ => None,
    };
    let mut rest = Vec::new();
    if let Some(at) = stat_at {
        let mut stat = Stat::read(&mut body.split_off(at)).unwrap();
        (stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime) = (0, 0, 0, 0, 0);
        stat.write(&mut rest);
    }
    (packet.xid, packet.err, [&body[..], &rest].concat())
}

/// The requests of one session, as drawn.
pub(super) type Script = Vec<(i32, Vec<u8>)>;

pub(super) fn script(session: usize, drawn: &[(u8, u8)]) -> Script {
    (1..).zip(drawn).map(|(xid, (kind, at))| draw(session, xid, *kind, *at)).collect()
}

/// Checks what must hold of any connection, and leaves what must not depend on timing.
fn digest(script: &Script, packets: &[Packet]) -> Vec<(i32, i32, Vec<u8>)> {
    let mut asked = script.iter();
    let mut last = 0;
    let mut seen = Vec::new();
    for packet in packets {
        if packet.zxid != -1 {
            assert!(packet.zxid >= last, "W1: zxid {} after {last}", packet.zxid);
            last = packet.zxid;
        }
        if packet.xid == -1 {
            seen.push(plain(packet, None));
            continue;
        }
        let (opcode, bytes) = asked.next().expect("C1: an answer to nothing");
        let xid = i32::from_be_bytes(bytes[4..8].try_into().unwrap());
        assert_eq!(packet.xid, xid, "C1: answers in the order of the requests");
        seen.push(plain(packet, Some(*opcode)));
    }
    assert!(asked.next().is_none(), "C1: every request is answered");
    seen
}

/// One by one: each request is sent when the one before is answered.
fn one_by_one(script: &Script) -> Vec<(i32, i32, Vec<u8>)> {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let mut packets = Vec::new();
    for (_, bytes) in script {
        packets.extend(member.ask(client, bytes));
    }
    digest(script, &packets)
}

/// A member, and clients of which each sends its script, in pieces.
pub(super) struct Run {
    pub(super) member: Member,
    clients: Vec<Client>,
    to_send: Vec<Bytes>,
    received: Vec<Vec<Packet>>,
}

impl Run {
    pub(super) fn new(scripts: &[Script], linearizable_reads: bool) -> Self {
        let settings = Settings { linearizable_reads, ..Settings::default() };
        let mut member = Member::with(2, settings, AuthRules::default());
        let clients: Vec<Client> = (0..SESSIONS).map(|at| member.connect(at % 2)).collect();
        let bytes = |script: &Script| script.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let to_send = scripts.iter().map(bytes).collect();
        Self { member, clients, to_send, received: vec![Vec::new(); SESSIONS] }
    }

    /// One of the member's parts, or a client, has its turn.
    pub(super) fn turn(&mut self, turn: u8, choice: u8) {
        let Self { member, clients, to_send, received } = self;
        let at = usize::from(choice) % SESSIONS;
        match turn {
            0..=3 => {
                let much = (usize::from(choice) * 3).min(to_send[at].len());
                let piece = to_send[at].split_to(much);
                member.send(clients[at], &piece);
            }
            4 => member.submit(at % 2),
            5 => _ = member.learn(),
            6 => _ = member.propose(),
            7 => _ = member.persist(),
            8 => _ = member.apply(),
            9 => member.drain(at % 2),
            10 => received[at].extend(member.receive(clients[at])),
            _ => member.fill_feeds(),
        }
    }

    /// All is sent and answered: each session has heard what it would have heard if it had asked one by one.
    pub(super) fn finish(mut self, scripts: &[Script]) {
        for (client, rest) in self.clients.iter().zip(&self.to_send) {
            self.member.send(*client, rest);
        }
        self.member.settle();
        for (at, script) in scripts.iter().enumerate() {
            self.received[at].extend(self.member.receive(self.clients[at]));
            assert_eq!(digest(script, &self.received[at]), one_by_one(script), "session {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn c1_pipelined_requests_come_to_what_they_come_to_one_by_one(
        drawn in proptest::collection::vec(
            proptest::collection::vec((0..20u8, any::<u8>()), 0..30), SESSIONS..=SESSIONS),
        turns in proptest::collection::vec((0..12u8, any::<u8>()), 0..400),
        linearizable_reads: bool,
    ) {
        let scripts: Vec<Script> = drawn.iter().enumerate().map(|(at, drawn)| script(at, drawn)).collect();
        let mut run = Run::new(&scripts, linearizable_reads);
        turns.into_iter().for_each(|(turn, choice)| run.turn(turn, choice));
        run.finish(&scripts);
    }
}

/// The version in a reply that ends with a stat.
fn version(packet: &Packet) -> i32 {
    let mut body = packet.body.clone();
    body.advance(body.len() - 68);
    Stat::read(&mut body).unwrap().version
}

#[test]
fn c1_a_read_between_two_writes_sees_the_first_and_not_the_second() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    let pipelined = [
        set(2, "/a", "one"),
        look(3, OpCode::GetData, "/a", true), // waits for 2
        set(4, "/a", "two"),                  // sends 3 ahead of itself
        look(5, OpCode::GetData, "/a", false),
    ];
    let packets = member.ask(client, &pipelined.concat());
    let xids: Vec<i32> = packets.iter().map(|packet| packet.xid).collect();
    assert_eq!(xids, [2, 3, -1, 4, 5], "the watch of 3 fires for 4, and before its reply");
    assert_eq!((version(&packets[1]), version(&packets[4])), (1, 2));
    assert_eq!(packets[0].zxid, packets[1].zxid);
}

#[test]
fn c1_a_read_waits_for_nobody_elses_writes() {
    let mut member = Member::new(1);
    let (writer, reader) = (member.connect(0), member.connect(0));
    member.send(writer, &create(1, "/a"));
    member.send(reader, &look(1, OpCode::Exists, "/a", false));
    assert_eq!(member.receive(reader).len(), 1, "at once");
    assert_eq!(member.receive(writer), []);
}

#[test]
fn c1_a_read_that_reaches_the_learner_after_the_write_before_it_was_answered() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    member.send(client, &set(2, "/a", "one"));
    member.fill_feeds(); // answered, but the answer is still in the feed
    member.send(client, &[look(3, OpCode::GetData, "/a", false), set(4, "/a", "two")].concat());
    member.settle();
    let packets = member.receive(client);
    assert_eq!(packets.iter().map(|packet| packet.xid).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(version(&packets[1]), 1);
}

#[test]
fn w1_nothing_leaves_at_a_zxid_whose_events_have_not() {
    let mut member = Member::new(2);
    let (writer, watcher) = (member.connect(0), member.connect(1));
    let before = member.ask(watcher, &look(1, OpCode::Exists, "/a", true))[0].zxid;
    member.send(writer, &create(1, "/a"));
    member.fill_feeds();
    member.send(watcher, &ping()); // applied, but not drained here
    let pong = member.receive(watcher);
    assert_eq!((pong.len(), pong[0].zxid), (1, before), "a ping is answered at the zxid that is drained");
    member.send(watcher, &look(2, OpCode::Exists, "/a", false)); // the tree has it: the event goes first
    let packets = member.receive(watcher);
    let created = Zxid::from_wire(before).next().unwrap().to_wire();
    assert_eq!(
        packets.iter().map(|it| (it.xid, it.zxid, it.err)).collect::<Vec<_>>(),
        [(-1, created, 0), (2, created, 0)]
    );
}

#[test]
fn c3_a_small_request_gets_no_answer_without_bound() {
    use paddock_messages::client::ops::{Create, MultiHeader};
    use paddock_messages::znode::{Acl, AclEntry};
    let mut member = Member::new(1);
    let client = member.connect(0);
    let acl = Some(Acl::open().iter().map(AclEntry::from).collect());
    let large = Create { path: "/a".into(), data: Some(vec![0; 1_000_000].into()), acl, flags: 0 };
    member.ask(client, &request(1, OpCode::Create as i32, |to| large.write(to)));
    for (times, err) in [(16, 0), (17, -5)] {
        let body = |to: &mut Vec<u8>| {
            for _ in 0..times {
                MultiHeader { kind: 4, done: false, err: -1 }.write(to);
                PathWatch { path: "/a".into(), watch: false }.write(to);
            }
            MultiHeader::END.write(to);
        };
        let packets = member.ask(client, &request(2, OpCode::MultiRead as i32, body));
        assert_eq!((packets[0].err, packets[0].body.is_empty()), (err, err != 0), "{times} MB");
    }
}

#[test]
fn a_multi_read_answers_each_op() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    let body = |to: &mut Vec<u8>| {
        use paddock_messages::client::ops::MultiHeader;
        for (kind, path) in [(4, "/a"), (8, "/none"), (8, "/")] {
            MultiHeader { kind, done: false, err: -1 }.write(to);
            PathWatch { path: path.into(), watch: true }.write(to);
        }
        MultiHeader::END.write(to);
    };
    let packets = member.ask(client, &request(2, OpCode::MultiRead as i32, body));
    let mut body = packets[0].body.clone();
    assert_eq!((packets[0].err, body.get_i32(), body.get_u8(), body.get_i32()), (0, 4, 0, 0));
    body.advance(4 + 1 + 68);
    assert_eq!((body.get_i32(), body.get_u8(), body.get_i32(), body.get_i32()), (-1, 0, -101, -101));
    assert_eq!((body.get_i32(), body.get_u8(), body.get_i32()), (8, 0, 0));
    assert_eq!(body.get_i32(), 2, "/a and /zookeeper");
    assert!(member.core(client).watches().is_empty(), "its watch flags mean nothing");
}
