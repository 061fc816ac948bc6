//! What is refused where it comes: large requests (C14), and writes that the ACLs here do not permit (C15).

use paddock_messages::client::ops::{Create, PathVersion, SetAcl, SetData};
use paddock_messages::znode::AclEntry;

use super::super::{Notice, Remark};
use super::*;

fn is_told(member: &mut Member, client: Client) -> bool {
    let told = |it: &Notice| matches!(it, Notice::Remark(_, Remark::LargeRequests(_)));
    member.notices(client).iter().any(told)
}

#[test]
fn c14_large_requests_in_flight_have_so_many_bytes_together_and_the_next_closes_its_connection() {
    let large = set(1, "/", &"x".repeat(500));
    let length = large.len() - 4;
    let settings =
        Settings { large_threshold: Some(length - 1), large_max_bytes: 2 * length, ..Settings::default() };
    let mut member = Member::with(2, settings, AuthRules::default());
    let clients: Vec<_> = [0, 1, 0, 1, 0].map(|arbiter| member.connect(arbiter)).into();
    member.send(clients[0], &large);
    member.send(clients[1], &large);
    member.send(clients[2], &set(1, "/", "little")); // none of them
    member.send(clients[3], &large);
    assert_eq!(
        clients[..4].iter().map(|it| member.is_over(*it)).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert!(is_told(&mut member, clients[3]));
    assert_eq!(member.arbiters[1].tally().large_requests_rejected, 1);

    member.send(clients[4], &large[..8]); // its length suffices
    assert!(member.is_over(clients[4]) && is_told(&mut member, clients[4]));

    member.settle();
    assert_eq!(member.arbiters[0].entrance.large_bytes.load(std::sync::atomic::Ordering::Relaxed), 0);
    let next = member.connect(0);
    assert_eq!(member.ask(next, &large)[0].err, 0, "what was answered left room");
    member.send(next, &large);
    member.arbiters[0].on_closed(next.conn);
    assert_eq!(member.arbiters[0].entrance.large_bytes.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn c14_a_request_of_many_parts_in_the_socket_is_judged_again_when_it_is_whole() {
    let large = set(1, "/", &"x".repeat(500));
    let length = large.len() - 4;
    let settings = Settings { large_threshold: Some(100), large_max_bytes: length, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let (slow, quick) = (member.connect(0), member.connect(0));
    member.send(slow, &large[..100]);
    assert!(!member.is_over(slow), "there was room");
    member.send(quick, &large);
    member.send(slow, &large[100..]);
    assert!(member.is_over(slow) && !member.is_over(quick));
}

fn entry(perms: i32, scheme: &str, id: &str) -> Vec<AclEntry> {
    vec![AclEntry { perms, scheme: Some(scheme.into()), id: Some(id.into()) }]
}

fn create_with(xid: i32, opcode: OpCode, path: &str, acl: Vec<AclEntry>) -> Vec<u8> {
    let create = Create { path: path.into(), data: None, acl: Some(acl), flags: 0 };
    request(xid, opcode as i32, |to| create.write(to))
}

fn set_acl(xid: i32, path: &str, acl: Vec<AclEntry>) -> Vec<u8> {
    let set = SetAcl { path: path.into(), acl: Some(acl), version: -1 };
    request(xid, OpCode::SetAcl as i32, |to| set.write(to))
}

#[test]
fn c15_what_the_acls_here_do_not_permit_is_refused_without_a_txn() {
    let open = || entry(31, "world", "anyone");
    let shut = || entry(1, "world", "anyone"); // to be read
    let set = |xid, path: &str, version| {
        let set = SetData { path: path.into(), data: None, version };
        request(xid, OpCode::SetData as i32, |to| set.write(to))
    };
    let delete = |xid, path: &str| {
        let delete = PathVersion { path: path.into(), version: -1 };
        request(xid, OpCode::Delete as i32, |to| delete.write(to))
    };
    for eager in [true, false] {
        let settings = Settings { eager_acl_check: eager, ..Settings::default() };
        let mut member = Member::with(1, settings, AuthRules::default());
        let client = member.connect(0);
        member.ask(client, &create_with(1, OpCode::Create, "/shut", open()));
        member.ask(client, &create_with(2, OpCode::Create, "/shut/x", shut()));
        member.ask(client, &set_acl(3, "/shut", shut()));
        // The request, its error, and whether it is refused early.
        for (ask, code, is_early) in [
            (create_with(9, OpCode::Create, "/shut/y", open()), -102, true),
            (create_with(9, OpCode::Create2, "/shut/y", open()), -102, true),
            (create_with(9, OpCode::CreateContainer, "/shut/y", open()), -102, false), // Java does not look at it
            (delete(9, "/shut/x"), -102, true),
            (set(9, "/shut/x", 7), -102, true), // before its version
            (set_acl(9, "/shut/x", open()), -102, true),
            (create_with(9, OpCode::Create, "/a", entry(31, "none", "x")), -114, true),
            (set_acl(9, "/shut/x", vec![]), -114, true),
            (create_with(9, OpCode::Create, "/none/a", open()), -101, false), // it may be there at the leader
            (set(9, "/none", -1), -101, false),
            (create_with(9, OpCode::Create, "no slash", vec![]), -8, false),
            (delete(9, "/"), -8, false),
            (create_with(9, OpCode::Create, "/fine", open()), 0, false),
        ] {
            member.send(client, &ask);
            let asks_leader = member.core(client).has_submissions();
            member.settle();
            let packets = member.receive(client);
            assert_eq!(packets.iter().map(|it| it.err).collect::<Vec<_>>(), [code]);
            assert_eq!(asks_leader, !(eager && is_early), "{code}");
            assert_eq!(packets[0].zxid == 0, eager && is_early, "{code}");
        }
        member.ask(client, &set_acl(10, "/", shut()));
        let code = member.ask(client, &delete(11, "/zookeeper"))[0].err;
        assert_eq!(code, -8, "a path that nobody may delete comes before the ACL of what is above it");
    }
}

#[test]
fn c15_what_an_earlier_write_of_the_session_may_permit_the_leader_decides() {
    let settings = Settings { eager_acl_check: true, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let client = member.connect(0);
    let only_admin = entry(16, "world", "anyone");
    member.ask(client, &create_with(1, OpCode::Create, "/a", only_admin));
    assert_eq!(member.ask(client, &set(2, "/a", "x"))[0].err, -102);
    let both = [set_acl(3, "/a", entry(31, "world", "anyone")), set(4, "/a", "x")].concat();
    assert_eq!(member.ask(client, &both).iter().map(|it| it.err).collect::<Vec<_>>(), [0, 0]);
}
