//! What runs met: each kind of request with how it ended, told by what was sent and what Apache's server
//! answered. A test asks for so many of each ([`MINIMUMS`]).

use bytes::Bytes;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathType;
use paddock_messages::client::request::{CreateOp, Read, ReadOp, Request, Write, WriteOp};
use paddock_messages::znode::CreateMode;

use super::observe::Frame;
use super::op::{Action, Asked, Op};
use super::run::{Counts, Seen};

/// Longer data than this is large.
const LARGE: usize = 1_000_000;
/// A multi of so many creates makes a path that deep.
const DEEP: usize = 20;

/// What 200 seeds meet at least so often.
pub const MINIMUMS: &[(&str, usize)] = &[
    ("AddWatch 0 ok", 100),
    ("AddWatch 1 ok", 100),
    ("Auth ok", 100),
    ("Auth -115", 20),
    ("CheckWatches 1 ok", 3),
    ("CheckWatches 2 ok", 5),
    ("CheckWatches 3 ok", 5),
    ("CheckWatches 4 ok", 5),
    ("CheckWatches 5 ok", 5),
    ("CheckWatches -121", 50),
    ("RemoveWatches 1 ok", 3),
    ("RemoveWatches 2 ok", 5),
    ("RemoveWatches 3 ok", 5),
    ("RemoveWatches 4 ok", 5),
    ("RemoveWatches 5 ok", 5),
    ("RemoveWatches -121", 50),
    ("SetWatches ok", 100),
    ("SetWatches2 ok", 100),
    ("setWatches tells what was missed", 200),
    ("handover", 50),
    ("reattach", 50),
    ("reattach, wrong password", 15),
    ("CloseSession ok", 50),
    ("closeSession behind pending requests", 20),
    ("GetEphemerals of some ok", 10),
    ("WhoAmI ok", 50),
    ("Sync ok", 100),
    ("SetAcl world ok", 10),
    ("SetAcl digest ok", 3),
    ("SetAcl ip ok", 3),
    ("SetAcl auth -114", 10),
    ("SetAcl of a version ok", 5),
    ("SetAcl -103", 10),
    ("SetAcl -102", 3),
    ("container ok", 15),
    ("TTL ok", 8),
    ("sequential ok", 30),
    ("sequential -110", 2), // at the counter's end
    ("ephemeral ok", 30),
    ("create -108", 2),
    ("create -110", 50),
    ("create -125", 10),
    ("SetData -125", 5),
    ("SetData -103", 10),
    ("Delete -111", 10),
    ("deep multi ok", 10),
    ("null data ok", 30),
    ("empty data ok", 30),
    ("large data ok", 10),
    ("setData large ok", 10),
    ("GetData large ok", 10),
    ("GetData null ok", 5),
    ("GetData empty ok", 5),
    ("Multi that fails ok", 200),
    ("MultiRead ok", 100),
    ("unknown opcode", 50),
    ("pipeline", 300),
    ("read between two writes of a pipeline", 200),
    ("watch between two writes of a pipeline", 50),
    ("addWatch between two writes of a pipeline", 30),
    ("check or remove of watches between two writes of a pipeline", 30),
    ("setWatches between two writes of a pipeline", 30),
    ("refused write between two writes of a pipeline", 100),
    ("multi between two writes of a pipeline", 50),
    ("sync between two writes of a pipeline", 50),
    ("auth between two writes of a pipeline", 30),
    ("event between replies of a pipeline", 50),
    ("event 1", 100),
    ("event 2", 100),
    ("event 3", 50),
    ("event 4", 50),
];

/// Counts one step's requests, by what `java` sent to its session and to the other.
pub(crate) fn count(op: &Op, java: &Seen, to: &mut Counts) {
    let mut add = |name: String| *to.entry(name).or_default() += 1;
    let own = &java[op.session];
    for (asked, reply) in pairs(op, own) {
        let Frame::Reply { err, body, .. } = reply else { continue };
        if OpCode::from_code(asked.opcode).is_none() {
            add("unknown opcode".into()); // createSession's answer is no reply
        }
        for kind in kinds(asked, body) {
            add(format!("{kind} {}", outcome(*err)));
        }
    }
    let missed = own.iter().filter(|frame| matches!(frame, Frame::Event { zxid: -1, .. })).count();
    (0..missed).for_each(|_| add("setWatches tells what was missed".into()));
    match &op.action {
        Action::Pipeline(_) => pipeline(op, own).into_iter().for_each(&mut add),
        Action::Reattach { bad_password: true } => add("reattach, wrong password".into()),
        Action::Reattach { bad_password: false } => add("reattach".into()),
        Action::Handover if own.contains(&Frame::OldClosed) => add("handover".into()),
        _ => {}
    }
    for frame in java.iter().flatten() {
        if let Frame::Event { kind, .. } = frame {
            add(format!("event {kind}"));
        }
    }
}

/// Requests with their replies; both kept apart by whether they keep the order.
fn pairs<'a>(op: &'a Op, own: &'a [Frame]) -> Vec<(Asked<'a>, &'a Frame)> {
    let mut replies: Vec<_> = own.iter().filter(|frame| matches!(frame, Frame::Reply { .. })).collect();
    let mut pairs = Vec::new();
    for asked in op.asked() {
        let at_once = matches!(asked.opcode, 100 | 102);
        let Some(at) = replies.iter().position(|reply| reply.is_at_once() == at_once) else { continue };
        pairs.push((asked, replies.remove(at)));
    }
    pairs
}

fn outcome(err: i32) -> String {
    if err == 0 { "ok".into() } else { err.to_string() }
}

/// Names of what was asked.
fn kinds(asked: Asked<'_>, reply: &Bytes) -> Vec<String> {
    let Some(opcode) = OpCode::from_code(asked.opcode) else { return Vec::new() };
    let name = format!("{opcode:?}");
    let mut names = vec![name.clone()];
    let Ok(request) = Request::read(opcode, &mut Bytes::copy_from_slice(asked.body)) else { return names };
    match request {
        Request::Write(Write::One(op)) => names.extend(write_kinds(&op)),
        Request::Write(Write::SetAcl(set)) => {
            let schemes = set
                .acl
                .into_iter()
                .flatten()
                .map(|acl| format!("{name} {}", acl.scheme.as_deref().unwrap_or("null")));
            names.extend(schemes);
            names.push(format!("{name} of a version").repeat(usize::from(set.version != -1)));
        }
        Request::Write(Write::Multi(ops)) => {
            let fails = reply.starts_with(&[255; 4]) && !ops.is_empty();
            names.push(format!("{name} that fails").repeat(usize::from(fails)));
            if !fails && ops.len() >= DEEP {
                return vec!["deep multi".into()];
            }
        }
        Request::Read(Read::CheckWatches(of)) => names.push(watch_kind(&name, &of)),
        Request::Read(Read::RemoveWatches(of)) => names.push(watch_kind(&name, &of)),
        Request::Read(Read::AddWatch(of)) => names.push(format!("{name} {}", of.mode)),
        Request::Read(Read::GetEphemerals(_)) => {
            names.push(format!("{name} of some").repeat(usize::from(reply.len() > 4)));
        }
        Request::Read(Read::One(ReadOp::GetData(_))) => {
            names.push(format!("{name} large").repeat(usize::from(reply.len() > LARGE)));
            names.push(format!("{name} null").repeat(usize::from(reply.starts_with(&[255; 4]))));
            names.push(
                format!("{name} empty").repeat(usize::from(reply.len() > 4 && reply.starts_with(&[0; 4]))),
            );
        }
        _ => {}
    }
    names.retain(|name| !name.is_empty());
    names
}

fn watch_kind(name: &str, of: &PathType) -> String {
    format!("{name} {}", of.kind)
}

fn write_kinds(op: &WriteOp) -> Vec<String> {
    match op {
        WriteOp::Create(kind, create) => {
            let mode = CreateMode::from_flag(create.flags);
            let mut names = vec![match kind {
                CreateOp::Ttl(_) => "TTL".into(),
                CreateOp::Container => "container".into(),
                _ => "create".to_owned(),
            }];
            if mode.is_some_and(CreateMode::is_sequential) {
                names.push("sequential".into());
            }
            if mode.is_some_and(CreateMode::is_ephemeral) {
                names.push("ephemeral".into());
            }
            names.push(match create.data.as_ref().map(Bytes::len) {
                None => "null data".into(),
                Some(0) => "empty data".into(),
                Some(len) if len > LARGE => "large data".into(),
                Some(_) => "data".into(),
            });
            names
        }
        WriteOp::SetData(set) if set.data.as_ref().is_some_and(|data| data.len() > LARGE) => {
            vec!["setData large".into()]
        }
        _ => Vec::new(),
    }
}

/// What stands between what in a pipeline.
fn pipeline(op: &Op, own: &[Frame]) -> Vec<String> {
    let asked = op.asked();
    let is_write = |opcode: i32| matches!(opcode, 1 | 2 | 5 | 7 | 14 | 15 | 19 | 21);
    let writes: Vec<usize> = (0..asked.len()).filter(|&at| is_write(asked[at].opcode)).collect();
    let mut names = vec!["pipeline".to_owned()];
    let (Some(&first), Some(&last)) = (writes.first(), writes.last()) else { return names };
    let failed =
        |at: usize| matches!(pairs(op, own).get(at), Some((_, Frame::Reply { err, .. })) if *err != 0);
    for (at, asked) in asked.iter().enumerate().take(last).skip(first + 1) {
        let between = match asked.opcode {
            3 | 4 | 6 | 8 | 12 | 22 | 103 | 104 if asked.body.ends_with(&[1]) => "watch",
            3 | 4 | 6 | 8 | 12 | 22 | 103 | 104 => "read",
            106 => "addWatch",
            17 | 18 => "check or remove of watches",
            101 | 105 => "setWatches",
            9 => "sync",
            14 => "multi",
            100 => "auth",
            opcode if is_write(opcode) && failed(at) => "refused write",
            _ => continue,
        };
        names.push(format!("{between} between two writes of a pipeline"));
    }
    if op.ends_session() && asked.len() > 1 {
        names.push("closeSession behind pending requests".into());
    }
    if own.iter().position(|f| matches!(f, Frame::Event { .. })).is_some_and(|at| at > 0) {
        names.push("event between replies of a pipeline".into());
    }
    names
}
