use bytes::Buf;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::SetWatches;
use paddock_messages::wire::Wire;
use paddock_messages::wire::{write_nullable, write_str};
use paddock_messages::znode::AclEntry;

use super::{Client, Member, Packet, create, delete, look, request, set, watch};

/// Kind and path of an event.
fn event(packet: &Packet) -> (i32, String) {
    let mut body = packet.body.clone();
    let kind = body.get_i32();
    assert_eq!((packet.xid, packet.err, body.get_i32()), (-1, 0, 3), "state: SyncConnected");
    let length = body.get_i32() as usize;
    (kind, String::from_utf8(body.split_to(length).to_vec()).unwrap())
}

fn events(member: &mut Member, client: Client) -> Vec<(i32, String)> {
    member.receive(client).iter().map(event).collect()
}

#[test]
fn each_registration_fires_as_the_manual_says() {
    let (created, deleted, changed, children) = (1, 2, 3, 4);
    let add = |path, mode| watch(9, OpCode::AddWatch, path, mode);
    type Told<'a> = &'a [(i32, &'a str)];
    type Case<'a> = (&'a [Vec<u8>], &'a [Vec<u8>], Told<'a>);
    let cases: &[Case<'_>] = &[
        (&[look(1, OpCode::Exists, "/n", true)], &[create(1, "/n"), set(2, "/n", "")], &[(created, "/n")]),
        (&[look(1, OpCode::GetData, "/a", true)], &[set(1, "/a", ""), set(2, "/a", "")], &[(changed, "/a")]),
        (&[look(1, OpCode::GetData, "/none", true)], &[create(1, "/none")], &[]), // an error leaves none
        (
            &[look(1, OpCode::GetChildren, "/a", true)],
            &[set(1, "/a", ""), create(2, "/a/b")],
            &[(children, "/a")],
        ),
        (
            &[look(1, OpCode::GetChildren2, "/a", true), look(2, OpCode::GetData, "/a", true)],
            &[delete(1, "/a")],
            &[(deleted, "/a")],
        ),
        (
            &[add("/a", 0)],
            &[create(1, "/a/b"), set(2, "/a/b", ""), delete(3, "/a/b"), delete(4, "/a")],
            &[(children, "/a"), (children, "/a"), (deleted, "/a")],
        ),
        (
            &[add("/a", 1)],
            &[create(1, "/a/b"), set(2, "/a/b", ""), delete(3, "/a/b")],
            &[(created, "/a/b"), (changed, "/a/b"), (deleted, "/a/b")],
        ),
        (
            &[add("/", 1), look(1, OpCode::GetChildren, "/", true)],
            &[create(1, "/n")],
            &[(created, "/n"), (children, "/")],
        ),
        (&[add("/a", 0), watch(10, OpCode::RemoveWatches, "/a", 4)], &[set(1, "/a", "")], &[]),
    ];
    for (at, (registrations, changes, expected)) in cases.iter().enumerate() {
        let mut member = Member::new(2);
        let (watcher, writer) = (member.connect(0), member.connect(1));
        member.ask(writer, &create(1, "/a"));
        member.ask(watcher, &registrations.concat());
        member.ask(writer, &changes.concat());
        let expected: Vec<_> = expected.iter().map(|(kind, path)| (*kind, (*path).to_owned())).collect();
        assert_eq!(events(&mut member, watcher), expected, "case {at}");
    }
}

#[test]
fn w2_w3_no_change_is_missed_between_a_read_and_its_watch() {
    // Wherever the write stands when the read comes, the read shows it or the watch does.
    for steps in 0..8 {
        let mut member = Member::new(2);
        let (watcher, writer) = (member.connect(0), member.connect(1));
        member.send(writer, &create(1, "/a"));
        for _ in 0..steps {
            member.submit(1);
            let _ = member.learn() || member.propose() || member.persist() || member.apply();
        }
        member.send(watcher, &look(1, OpCode::Exists, "/a", true));
        member.settle();
        let packets = member.receive(watcher);
        let seen = packets[0].err == 0;
        assert_eq!(packets.len(), if seen { 1 } else { 2 }, "after {steps} steps");
    }
}

#[test]
fn c2_a_watch_that_waits_behind_a_write_misses_nothing() {
    // The first watch of its arbiter, behind a write that is applied while others' are.
    for opcode in [OpCode::AddWatch, OpCode::Exists] {
        for steps in 0..12 {
            let mut member = Member::new(2);
            let (watcher, writer) = (member.connect(0), member.connect(1));
            member.send(watcher, &create(1, "/w"));
            for _ in 0..steps {
                member.submit(0);
                let _ = member.learn() || member.propose() || member.persist() || member.apply();
            }
            let register = if opcode == OpCode::AddWatch {
                watch(2, opcode, "/a", 0)
            } else {
                look(2, opcode, "/a", true)
            };
            member.send(watcher, &[register, set(3, "/w", "")].concat());
            member.send(writer, &create(1, "/a"));
            member.settle();
            let packets = member.receive(watcher);
            let at = |xid| packets.iter().position(|it| it.xid == xid);
            assert!(at(-1) > at(2), "{opcode:?} after {steps} steps: {packets:?}");
        }
    }
}

#[test]
fn set_watches_catches_up() {
    let mut member = Member::new(1);
    let (client, writer) = (member.connect(0), member.connect(0));
    let seen = member.ask(writer, &[create(1, "/old"), create(2, "/kids")].concat())[1].zxid;
    member.ask(writer, &[create(3, "/new"), create(4, "/kids/k")].concat());
    let body = |to: &mut Vec<u8>| {
        let paths = |list: &[&'static str]| list.iter().map(|path| (*path).into()).collect();
        let data = paths(&["/old", "/new", "/gone"]);
        let (exist, child) = (paths(&["/new", "/none"]), paths(&["/old", "/kids", "/gone"]));
        SetWatches { relative_zxid: seen, data, exist, child }.write(to);
    };
    let packets = member.ask(client, &request(-8, OpCode::SetWatches as i32, body));
    assert_eq!((packets.last().unwrap().xid, packets.last().unwrap().err), (-8, 0));
    assert!(packets.iter().rev().skip(1).all(|it| it.zxid == -1));
    let told: Vec<_> = packets.iter().rev().skip(1).rev().map(event).collect();
    let told: Vec<_> = told.iter().map(|(kind, path)| (*kind, &**path)).collect();
    assert_eq!(told, [(3, "/new"), (2, "/gone"), (1, "/new"), (4, "/kids"), (2, "/gone")]);
    member.ask(writer, &[set(5, "/old", ""), create(6, "/none"), create(7, "/old/c")].concat());
    let later = events(&mut member, client);
    let later: Vec<_> = later.iter().map(|(kind, path)| (*kind, &**path)).collect();
    assert_eq!(later, [(3, "/old"), (1, "/none"), (4, "/old")]);
}

/// Proves to be bob.
fn auth() -> Vec<u8> {
    request(-4, OpCode::Auth as i32, |to| {
        0i32.write(to);
        write_str("digest", to);
        write_nullable(Some(b"bob:secret"), to);
    })
}

/// Creates a znode that only its creator may read.
fn create_secret(xid: i32, path: &str) -> Vec<u8> {
    request(xid, OpCode::Create as i32, |to| {
        write_str(path, to);
        write_nullable(None, to);
        Some(vec![AclEntry { perms: 31, scheme: Some("auth".into()), id: Some("".into()) }]).write(to);
        0i32.write(to);
    })
}

#[test]
fn set_watches_tells_only_those_who_may_read() {
    let all = [(3, "/secret"), (2, "/gone"), (1, "/secret"), (4, "/secret"), (2, "/gone")];
    let public = [(2, "/gone"), (2, "/gone")];
    // Alone it is answered under the guard, behind a write by the Learner.
    for (is_bob, behind_a_write) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut member = Member::new(1);
        let (bob, client) = (member.connect(0), member.connect(0));
        member.ask(bob, &[auth(), create_secret(1, "/secret"), create_secret(2, "/quiet")].concat());
        let list = |paths: &[&'static str]| paths.iter().map(|path| (*path).into()).collect::<Vec<_>>();
        let asked = SetWatches {
            relative_zxid: 0,
            data: list(&["/secret", "/gone"]),
            exist: list(&["/secret", "/none"]),
            child: list(&["/secret", "/gone"]),
        };
        let mut frames = if is_bob { auth() } else { Vec::new() };
        if behind_a_write {
            frames.extend(set(1, "/", ""));
        }
        frames.extend(request(-8, OpCode::SetWatches as i32, |to| asked.write(to)));
        if behind_a_write {
            frames.extend(set(2, "/", ""));
        }
        let packets = member.ask(client, &frames);
        let told: Vec<_> = packets.iter().filter(|it| it.xid == -1).map(event).collect();
        let told: Vec<_> = told.iter().map(|(kind, path)| (*kind, &**path)).collect();
        let case = format!("bob: {is_bob}, behind a write: {behind_a_write}");
        assert_eq!(told, if is_bob { &all[..] } else { &public[..] }, "{case}");
        assert_eq!(packets.iter().find(|it| it.xid == -8).unwrap().err, 0, "{case}");
        assert_eq!(member.core(client).watches().len(), 1, "V2: {case}: used up all the same, but /none");
        // One that missed nothing goes on, and is filtered when it fires.
        let quiet =
            SetWatches { relative_zxid: i64::MAX, data: list(&["/quiet"]), exist: vec![], child: vec![] };
        member.ask(client, &request(-8, OpCode::SetWatches as i32, |to| quiet.write(to)));
        assert_eq!(member.core(client).watches().len(), 2, "{case}");
        member.ask(bob, &set(3, "/quiet", "x"));
        assert_eq!(events(&mut member, client).len(), usize::from(is_bob), "{case}");
    }
}

#[test]
fn events_go_only_to_those_who_may_read() {
    let mut member = Member::new(1);
    let (bob, other) = (member.connect(0), member.connect(0));
    member.ask(bob, &[auth(), watch(2, OpCode::AddWatch, "/secret", 0)].concat());
    member.ask(other, &look(1, OpCode::Exists, "/secret", true));
    member.send(bob, &create_secret(1, "/secret"));
    member.settle();
    let packets = member.receive(bob);
    assert_eq!(packets.iter().map(|it| (it.xid, it.err)).collect::<Vec<_>>(), [(-1, 0), (1, 0)]);
    assert_eq!(events(&mut member, other), []);
    assert_eq!(member.core(other).watches().len(), 1, "V2: the standard watch is used up all the same");
    assert_eq!(member.ask(other, &look(2, OpCode::Exists, "/secret", true))[0].err, -102);
}

#[test]
fn c5_a_connection_in_a_used_slot_gets_nothing_of_its_predecessor() {
    let mut member = Member::new(1);
    let (old, writer) = (member.connect(0), member.connect(0));
    member.ask(old, &look(1, OpCode::GetData, "/", true));
    member.send(old, &create(2, "/late"));
    member.fill_feeds(); // its reply is under way when it goes
    member.core(old).on_closed(old.conn);
    let new = member.accept(0);
    assert_eq!((new.conn.slot, new.conn.generation), (old.conn.slot, old.conn.generation + 1));
    member.ask(writer, &set(1, "/", "x"));
    assert_eq!(member.take_bytes(new).len(), 0);
}
