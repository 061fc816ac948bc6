//! What clients ask: frames, and what their replies are checked as.

use bytes::Bytes;
use paddock_messages::client::ops::{
    AddWatch, Create, CreateTtl, MaybePath, MultiHeader, PathType, PathVersion, PathWatch, PersistentWatches,
    Reconfig, SetAcl, SetData, SetWatches,
};
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::client::{OpCode, RequestHeader, xid};
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::{Acl, AclEntry};
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;

use super::Fault;
use super::client::{Asked, Client};
use super::watching::{Kind, Watch};

/// The parents that all clients share, and their znodes below.
const PARENTS: u32 = 3;
const NAMES: u32 = 6;
/// The most data that a request carries.
pub(super) const LARGE: usize = 2_000;
/// The most requests that a client has under way.
pub(super) const MOST_DUE: usize = 20;

pub(super) fn handshake(client: &Client, timeout_ms: i32) -> Vec<u8> {
    let session = client.session.as_ref();
    let password = session.map_or_else(|| Bytes::from_static(&[0; 16]), |session| session.password.clone());
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: client.last_zxid.to_wire(),
        timeout_ms,
        session_id: session.map_or(0, |session| session.id.0),
        password: Some(password),
    };
    let mut to = Vec::new();
    frame(&mut to, |to| ConnectRequest { fields, read_only: Some(client.may_read) }.write(to));
    to
}

pub(super) fn ping(client: &mut Client) -> Vec<u8> {
    client.ping();
    framed(xid::PING, OpCode::Ping, |_| {})
}

pub(super) fn close(client: &mut Client, floor: Zxid) -> Vec<u8> {
    let xid = client.ask(Asked::Close, floor);
    framed(xid, OpCode::CloseSession, |_| {})
}

fn framed(xid: i32, opcode: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut to = Vec::new();
    frame(&mut to, |to| {
        RequestHeader { xid, opcode: opcode as i32 }.write(to);
        body(to);
    });
    to
}

fn path(rng: &mut StdRng) -> String {
    let parent = rng.random_range(0..PARENTS);
    match rng.random_range(0..8) {
        0..2 => format!("/p{parent}"),
        _ => format!("/p{parent}/n{}", rng.random_range(0..NAMES)),
    }
}

/// At most `most` bytes.
fn data(most: usize, rng: &mut StdRng) -> Option<Bytes> {
    let len = [0, 8, 40, 300, LARGE][rng.random_range(0..5)].min(most);
    rng.random_bool(0.95).then(|| (0..len).map(|_| rng.random::<u8>()).collect())
}

fn version(rng: &mut StdRng) -> i32 {
    if rng.random_bool(0.7) { -1 } else { rng.random_range(0..4) }
}

fn create(path: String, flags: i32, most: usize, rng: &mut StdRng) -> Create {
    let acl = Acl::open().iter().map(AclEntry::from).collect();
    Create { path: path.into(), data: data(most, rng), acl: Some(acl), flags }
}

/// A write that surely changes something, and a read of it.
pub(super) fn proof(client: &mut Client, floor: Zxid, rng: &mut StdRng) -> Vec<u8> {
    let mut to = create_request(client, floor, "/p0".into(), 0, LARGE, rng);
    to.extend(create_request(client, floor, "/healed-".into(), 3, LARGE, rng));
    to.extend(read_data(client, floor, "/p0".into(), false, true));
    to
}

fn create_request(
    client: &mut Client,
    floor: Zxid,
    path: String,
    flags: i32,
    most: usize,
    rng: &mut StdRng,
) -> Vec<u8> {
    if matches!(flags, 1 | 3) {
        client.wants_ephemerals();
    }
    let xid = client.ask(Asked::Write { sequential: matches!(flags, 2 | 3), set: None }, floor);
    framed(xid, OpCode::Create, |to| create(path, flags, most, rng).write(to))
}

fn read_data(client: &mut Client, floor: Zxid, path: String, watch: bool, exists: bool) -> Vec<u8> {
    let body = PathWatch { path: path.as_str().into(), watch };
    let xid = client.ask(Asked::Data { path, watch, exists }, floor);
    framed(xid, if exists { OpCode::Exists } else { OpCode::GetData }, |to| body.write(to))
}

pub(super) fn sync(client: &mut Client, floor: Zxid) -> Vec<u8> {
    let xid = client.ask(Asked::Sync, floor);
    framed(xid, OpCode::Sync, |to| MaybePath { path: Some("/".into()) }.write(to))
}

/// These are to be the members, whatever the configuration is.
pub(super) fn reconfig(client: &mut Client, floor: Zxid, members: &str) -> Vec<u8> {
    let body = Reconfig { new_members: Some(members.into()), ..unchanged(-1) };
    asked(client, floor, &body)
}

/// Another server joins the configuration of this version.
pub(super) fn join(client: &mut Client, floor: Zxid, server: &str, version: u64) -> Vec<u8> {
    let body = Reconfig { joining_servers: Some(server.into()), ..unchanged(version.cast_signed()) };
    asked(client, floor, &body)
}

fn unchanged(version: i64) -> Reconfig {
    let (joining_servers, leaving_servers, new_members) = (None, None, None);
    Reconfig { joining_servers, leaving_servers, new_members, current_config_id: version }
}

fn asked(client: &mut Client, floor: Zxid, body: &Reconfig) -> Vec<u8> {
    let xid = client.ask(Asked::Write { sequential: false, set: None }, floor);
    framed(xid, OpCode::Reconfig, |to| body.write(to))
}

/// As much as one client may have under way, all of it large.
pub(super) fn flood(client: &mut Client, floor: Zxid, rng: &mut StdRng) -> Vec<u8> {
    let path = format!("/p{}", rng.random_range(0..PARENTS));
    let mut to = Vec::new();
    while client.due.len() < MOST_DUE {
        let xid = client.ask(Asked::Write { sequential: false, set: Some(path.clone()) }, floor);
        let data = Some(Bytes::from(vec![rng.random(); LARGE]));
        let body = SetData { path: path.as_str().into(), data, version: -1 };
        to.extend(framed(xid, OpCode::SetData, |to| body.write(to)));
    }
    to
}

/// Any request; no data in it has more than `most` bytes.
pub(super) fn any(client: &mut Client, floor: Zxid, most: usize, rng: &mut StdRng) -> Vec<u8> {
    let write = Asked::Write { sequential: false, set: None };
    match rng.random_range(0..118) {
        0..8 => create_request(client, floor, format!("/p{}", rng.random_range(0..PARENTS)), 0, most, rng),
        8..16 => create_request(client, floor, path(rng), 0, most, rng),
        16..22 => create_request(client, floor, path(rng), 1, most, rng),
        22..28 => {
            let (parent, flags) = (rng.random_range(0..PARENTS), rng.random_range(2..4));
            create_request(client, floor, format!("/p{parent}/s-"), flags, most, rng)
        }
        28..31 => {
            let xid = client.ask(write, floor);
            framed(xid, OpCode::CreateContainer, |to| create(path(rng), 4, most, rng).write(to))
        }
        31..34 => {
            let xid = client.ask(write, floor);
            let create = create(path(rng), 5, most, rng);
            framed(xid, OpCode::CreateTtl, |to| CreateTtl { create, ttl: 3_000 }.write(to))
        }
        34..48 => {
            let path = path(rng);
            let xid = client.ask(Asked::Write { sequential: false, set: Some(path.clone()) }, floor);
            let body = SetData { path: path.into(), data: data(most, rng), version: version(rng) };
            framed(xid, OpCode::SetData, |to| body.write(to))
        }
        48..58 => {
            let xid = client.ask(write, floor);
            let body = PathVersion { path: path(rng).into(), version: version(rng) };
            framed(xid, OpCode::Delete, |to| body.write(to))
        }
        58..64 => {
            client.wants_ephemerals(); // it may
            let xid = client.ask(write, floor);
            framed(xid, OpCode::Multi, |to| multi(most, rng, to))
        }
        64..84 => {
            let (watch, exists) = (rng.random(), rng.random());
            read_data(client, floor, path(rng), watch, exists)
        }
        84..92 => {
            let (path, watch) = (path(rng), rng.random());
            let body = PathWatch { path: path.as_str().into(), watch };
            let xid = client.ask(Asked::Children { path, watch }, floor);
            framed(xid, OpCode::GetChildren, |to| body.write(to))
        }
        92..97 => sync(client, floor),
        97..100 => ping(client),
        100..104 => set_acl(client, floor, rng),
        104..110 => add_watch(client, floor, rng),
        _ => ask_watches(client, floor, rng),
    }
}

fn add_watch(client: &mut Client, floor: Zxid, rng: &mut StdRng) -> Vec<u8> {
    let path = if rng.random_bool(0.1) { "/".to_owned() } else { path(rng) };
    let (mode, kind) = [(0, Kind::Persistent), (1, Kind::Recursive)][rng.random_range(0..2)];
    let body = AddWatch { path: path.as_str().into(), mode };
    let xid = client.ask(Asked::AddWatch((kind, path)), floor);
    framed(xid, OpCode::AddWatch, |to| body.write(to))
}

/// Whether there is a watch, or to remove it: mostly of one that there is, unless it fires before.
fn ask_watches(client: &mut Client, floor: Zxid, rng: &mut StdRng) -> Vec<u8> {
    let held = client.watching.held();
    let one = if held.is_empty() || rng.random_bool(0.3) {
        (rng.random_range(1..=5), path(rng))
    } else {
        let (kind, path) = held.iter().nth(rng.random_range(0..held.len())).expect("so many are held");
        let number = match kind {
            _ if rng.random_bool(0.2) => 3,
            Kind::Child => 1,
            Kind::Data | Kind::Exist => 2,
            Kind::Persistent => 4,
            Kind::Recursive => 5,
        };
        (number, path.clone())
    };
    let ((kind, path), removes) = (one, rng.random());
    let body = PathType { path: path.as_str().into(), kind };
    let xid = client.ask(Asked::AskWatches { path, number: kind, removes }, floor);
    framed(xid, if removes { OpCode::RemoveWatches } else { OpCode::CheckWatches }, |to| body.write(to))
}

/// Everything that the client watched when it lost its connection: each zxid's watches in one packet or in
/// several, as the Java client sends them.
pub(super) fn set_watches(
    client: &mut Client,
    floor: Zxid,
    fault: Option<Fault>,
    rng: &mut StdRng,
) -> Vec<u8> {
    let mut to = Vec::new();
    for (since, mut watches) in client.watching.take_wanted() {
        if rng.random_bool(0.1) {
            continue; // not every client sets them again
        }
        watches.sort_unstable(); // the order of the lists
        let most = if rng.random() { watches.len() } else { rng.random_range(1..=watches.len()) };
        for some in watches.chunks(most) {
            let xid =
                client.ask_as(xid::SET_WATCHES, Asked::SetWatches { since, watches: some.to_vec() }, floor);
            let since = if fault == Some(Fault::ForgetSince) { i64::MAX } else { since.to_wire() };
            to.extend(set_watches_frame(xid, since, some, rng.random()));
        }
    }
    to
}

fn set_watches_frame(xid: i32, relative_zxid: i64, watches: &[Watch], newer: bool) -> Vec<u8> {
    let of = |kind: Kind| {
        let those = watches.iter().filter(|watch| watch.0 == kind);
        those.map(|(_, path)| path.as_str().into()).collect::<Vec<_>>()
    };
    let [data, exist, child] = [Kind::Data, Kind::Exist, Kind::Child].map(of);
    let [persistent, persistent_recursive] = [Kind::Persistent, Kind::Recursive].map(of);
    let newer = newer || !persistent.is_empty() || !persistent_recursive.is_empty();
    framed(xid, if newer { OpCode::SetWatches2 } else { OpCode::SetWatches }, |to| {
        SetWatches { relative_zxid, data, exist, child }.write(to);
        if newer {
            PersistentWatches { persistent, persistent_recursive }.write(to);
        }
    })
}

/// To one of two ACLs that let everybody do everything.
fn set_acl(client: &mut Client, floor: Zxid, rng: &mut StdRng) -> Vec<u8> {
    let path = path(rng);
    let xid = client.ask(Asked::Write { sequential: false, set: Some(path.clone()) }, floor);
    let again = rng.random_range(1..3);
    let acl = Acl::open().iter().map(AclEntry::from).cycle().take(again).collect();
    let body = SetAcl { path: path.into(), acl: Some(acl), version: version(rng) };
    framed(xid, OpCode::SetAcl, |to| body.write(to))
}

/// Three ops below one parent, sometimes two of one znode.
fn multi(most: usize, rng: &mut StdRng, to: &mut Vec<u8>) {
    let parent = rng.random_range(0..PARENTS);
    let mut op = |to: &mut Vec<u8>| {
        let path = format!("/p{parent}/n{}", rng.random_range(0..NAMES));
        let kind = [OpCode::Create as i32, OpCode::Delete as i32, OpCode::SetData as i32, 13]
            [rng.random_range(0..4)];
        MultiHeader { kind, done: false, err: -1 }.write(to);
        match kind {
            1 => create(path, rng.random_range(0..2), most, rng).write(to),
            5 => SetData { path: path.into(), data: data(most, rng), version: -1 }.write(to),
            _ => PathVersion { path: path.into(), version: version(rng) }.write(to),
        }
    };
    (0..3).for_each(|_| op(to));
    MultiHeader::END.write(to);
}
