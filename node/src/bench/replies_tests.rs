//! Every way in which a reply can be wrong is found.

use paddock_messages::client::ReplyHeader;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::{Wire, write_nullable, write_str};
use paddock_messages::znode::Stat;

use super::replies::{Problem, Replies, check_header, split};
use super::requests::{Request, Requests, Verb, Znode};

const SIZE: usize = 20;

fn requests() -> Requests {
    Requests::new("/root/c0".into(), SIZE)
}

/// The znode after a write at `mzxid`, which was its `version`th.
fn stat(version: i32, mzxid: i64) -> Stat {
    Stat { czxid: 10, mzxid, version, data_length: SIZE as i32, pzxid: 10, ..Stat::default() }
}

fn value(stamp: u64) -> Vec<u8> {
    [&stamp.to_be_bytes(), &requests().value()[8..]].concat()
}

fn body(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    write(&mut body);
    body
}

fn get(stamp: u64, stat: Stat) -> Vec<u8> {
    body(|to| {
        write_nullable(Some(&value(stamp)), to);
        stat.write(to);
    })
}

/// Two sets were sent; the first is answered, at zxid 20.
fn after_a_set() -> Replies {
    let mut replies = Replies::new(3);
    let set = Request::new(Verb::Set, Znode::Fixed(1));
    assert_eq!((replies.sending(set), replies.sending(set)), (1, 2), "the versions they make");
    replies.check(set, &header(20, 0), &body(|to| stat(1, 20).write(to)), &requests()).unwrap();
    replies
}

fn header(zxid: i64, err: i32) -> ReplyHeader {
    ReplyHeader { xid: 1, zxid, err }
}

fn check(verb: Verb, znode: Znode, err: i32, body: &[u8]) -> Result<(), Problem> {
    after_a_set().check(Request::new(verb, znode), &header(30, err), body, &requests())
}

const FIXED: Znode = Znode::Fixed(1);

#[test]
fn bn1_right_replies_pass() {
    let names = |names: &[&str]| {
        body(|to| {
            (names.len() as i32).write(to);
            names.iter().for_each(|name| write_str(name, to));
        })
    };
    for (verb, znode, body) in [
        (Verb::Set, FIXED, body(|to| stat(2, 30).write(to))),
        (Verb::Set, FIXED, body(|to| stat(2, 25).write(to))), // a header's zxid may be ahead of the write's
        (Verb::Get, FIXED, get(1, stat(1, 20))),
        (Verb::Get, Znode::Fixed(0), get(0, stat(0, 10))), // never set
        (Verb::Exists, FIXED, body(|to| stat(1, 20).write(to))),
        (Verb::Create, Znode::Fresh(5), body(|to| write_str("/root/c0/n0000000005", to))),
        (Verb::Create, Znode::Directory, body(|to| write_str("/root/c0", to))),
        (Verb::Delete, Znode::Fresh(5), vec![]),
        (Verb::Children, Znode::Directory, names(&["z0000000002", "z0000000000", "z0000000001"])),
    ] {
        assert_eq!(check(verb, znode, 0, &body), Ok(()), "{verb:?}");
    }
    assert_eq!(check(Verb::Remove, FIXED, ErrorCode::NoNode.code(), &[]), Ok(()), "as good as removed");
}

#[test]
fn bn1_wrong_replies_are_found() {
    let field = |field, expected, got| Problem::Field { field, expected, got };
    let other = |change: fn(&mut Stat)| {
        let mut stat = stat(1, 20);
        change(&mut stat);
        get(1, stat)
    };
    let set = |version, mzxid| body(|to| stat(version, mzxid).write(to));
    let no_node = ErrorCode::NoNode.code();
    for (verb, body, problem) in [
        (Verb::Set, set(1, 30), field("version", 2, 1)), // lost, or answered twice
        (Verb::Set, set(3, 30), field("version", 2, 3)), // applied twice
        (Verb::Set, set(2, 20), field("mzxid", 30, 20)), // the write before
        (Verb::Set, set(2, 31), field("mzxid", 30, 31)), // beyond what the header says
        (Verb::Get, get(0, stat(1, 20)), Problem::Data), // the data before the last set
        (Verb::Get, get(1, stat(0, 10)), field("version", 1, 0)),
        (Verb::Get, get(1, stat(1, 21)), field("mzxid", 20, 21)),
        (Verb::Get, other(|stat| stat.data_length = 3), field("dataLength", 20, 3)),
        (Verb::Get, other(|stat| stat.num_children = 1), field("numChildren", 0, 1)),
        (Verb::Get, other(|stat| stat.cversion = 2), field("cversion", 0, 2)),
        (Verb::Get, other(|stat| stat.aversion = 1), field("aversion", 0, 1)),
        (Verb::Get, other(|stat| stat.ephemeral_owner = 7), field("ephemeralOwner", 0, 7)),
        (Verb::Get, other(|stat| stat.pzxid = 11), field("pzxid", 10, 11)),
        (Verb::Exists, get(1, stat(1, 20)), field("version", 1, 0)), // another request's body
    ] {
        let found = check(verb, FIXED, 0, &body).unwrap_err();
        // A body of another shape gives nonsense, which is enough.
        if verb != Verb::Exists {
            assert_eq!(found, problem, "{verb:?}");
        }
    }
    assert_eq!(check(Verb::Get, FIXED, no_node, &[]), Err(Problem::Refused(no_node)));
    assert_eq!(check(Verb::Delete, Znode::Fresh(5), no_node, &[]), Err(Problem::Refused(no_node)));
    let path = body(|to| write_str("/root/c0/n0000000006", to));
    assert_eq!(
        check(Verb::Create, Znode::Fresh(5), 0, &path),
        Err(Problem::Path("/root/c0/n0000000006".into()))
    );
}

#[test]
fn bn1_bodies_are_checked_to_the_last_byte() {
    let right = get(1, stat(1, 20));
    for cut in 0..right.len() {
        assert_eq!(check(Verb::Get, FIXED, 0, &right[..cut]), Err(Problem::Short), "cut at {cut}");
    }
    assert_eq!(check(Verb::Get, FIXED, 0, &[&right[..], b"x"].concat()), Err(Problem::Long(1)));
    assert_eq!(check(Verb::Delete, Znode::Fresh(0), 0, b"xyz"), Err(Problem::Long(3)));
    let mut null = (-1i32).to_be_bytes().to_vec();
    stat(1, 20).write(&mut null);
    assert_eq!(check(Verb::Get, FIXED, 0, &null), Err(Problem::Length(-1)));
}

#[test]
fn bn1_children_are_each_named_once() {
    for (names, problem) in [
        (
            &["z0000000000", "z0000000001"][..],
            Problem::Field { field: "number of children", expected: 3, got: 2 },
        ),
        (&["z0000000000", "z0000000001", "z0000000001"], Problem::Child("z0000000001".into())),
        (&["z0000000000", "z0000000001", "z0000000003"], Problem::Child("z0000000003".into())),
        (&["z0000000000", "z0000000001", "z2"], Problem::Child("z2".into())),
        (&["z0000000000", "z0000000001", "n0000000002"], Problem::Child("n0000000002".into())),
    ] {
        let body = body(|to| {
            (names.len() as i32).write(to);
            names.iter().for_each(|name| write_str(name, to));
        });
        assert_eq!(check(Verb::Children, Znode::Directory, 0, &body), Err(problem));
    }
}

#[test]
fn bn1_replies_come_in_turn_and_zxids_never_go_back() {
    let header = |xid, zxid| ReplyHeader { xid, zxid, err: 0 };
    assert_eq!(check_header(&header(5, 100), 5, 100), Ok(()));
    assert_eq!(check_header(&header(6, 100), 5, 100), Err(Problem::Turn { due: 5, got: 6 }));
    assert_eq!(check_header(&header(-1, 100), 5, 100), Err(Problem::Turn { due: 5, got: -1 }), "an event");
    assert_eq!(check_header(&header(5, 99), 5, 100), Err(Problem::ZxidBack { before: 100, got: 99 }));
    assert_eq!(split(&[0; 15]).unwrap_err(), Problem::Short);
}

#[test]
fn problems_are_told_in_words() {
    assert_eq!(Problem::Refused(-101).to_string(), "it is refused: no such znode (-101)");
    assert_eq!(Problem::Refused(-999).to_string(), "it is refused: error -999");
}
