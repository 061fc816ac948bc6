//! One run: operations, one at a time, to both servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::compare::compare;
use super::counters::count;
use super::link::{Call, Link, Who};
use super::mapping::Mapping;
use super::observe::Frame;
use super::op::{Action, Op, PREFIX, with_prefix};

/// The session timeout asked for, and granted: none expires by itself during a run.
pub(crate) const TIMEOUT_MS: i32 = 40_000;

/// The two servers.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Apache's.
    pub java: SocketAddr,
    /// Ours.
    pub paddock: SocketAddr,
}

/// What runs met, by name: how often.
pub type Counts = BTreeMap<String, usize>;

/// What a run without a difference met.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Deviations by id.
    pub deviations: Counts,
    /// What was asked, and how it ended ([`super::counters`]).
    pub outcomes: Counts,
}

/// The first thing that differs and may not.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Index into the operations.
    pub at: usize,
    /// The operation, both answers, and what is not the same.
    pub text: String,
}

/// Runs `ops` below `prefix`, which no earlier run on this pair had; `mapping` is the pair's. `trace` tells
/// each step.
///
/// # Errors
/// The first difference that is no deviation: the two servers are then of no further use.
pub fn run(
    pair: Pair,
    mapping: &mut Mapping,
    ops: &[Op],
    prefix: &str,
    trace: bool,
) -> Result<Met, Difference> {
    let mut sides = [Side::new(pair.java, true), Side::new(pair.paddock, false)];
    let mut met = Met::default();
    let mut result = Ok(());
    for (at, op) in ops.iter().enumerate() {
        let seen = both(&mut sides, op, prefix);
        if trace {
            eprintln!("{}", describe(op, &seen, ""));
        }
        match compare(mapping, op, &seen) {
            Err(why) => {
                result = Err(Difference { at, text: describe(op, &seen, &why) });
                break;
            }
            Ok(used) => used.into_iter().for_each(|id| *met.deviations.entry(id.into()).or_default() += 1),
        }
        count(op, &seen[0], &mut met.outcomes);
        if seen[0].iter().zip(&seen[1]).any(|(java, paddock)| closes(java) != closes(paddock)) {
            sides.iter_mut().for_each(Side::level);
        }
    }
    sides.into_iter().for_each(Side::end);
    result?;
    compare_trees(pair, mapping, prefix).map_err(|text| Difference { at: ops.len() - 1, text })?;
    Ok(met)
}

/// What both connections saw in one step.
pub type Seen = [Vec<Frame>; 2];

/// One step on both servers.
fn both(sides: &mut [Side; 2], op: &Op, prefix: &str) -> [Seen; 2] {
    sides.each_mut().map(|side| side.step(op, prefix))
}

/// Y4. What the run has left behind: data, stat, ACL and children of each znode of its own, and how many
/// there are in all.
fn compare_trees(pair: Pair, mapping: &mut Mapping, prefix: &str) -> Result<(), String> {
    let mut sides = [Side::new(pair.java, true), Side::new(pair.paddock, false)];
    let mut open = vec![format!("/zookeeper/quota{PREFIX}"), PREFIX.to_owned()];
    let mut ask = |opcode: i32, path: &str| {
        let body = super::body::Body::default().text(path);
        let body = if matches!(opcode, 4 | 12) { body.flag(false) } else { body };
        let action = Action::Request { xid: None, opcode, body: body.0 };
        let op = Op { session: 0, action, text: format!("at the end: {opcode} {path}") };
        let seen = both(&mut sides, &op, prefix);
        compare(mapping, &op, &seen).map_err(|why| describe(&op, &seen, &why)).map(|_| seen)
    };
    ask(104, "/")?;
    while let Some(path) = open.pop() {
        ask(4, &path)?;
        ask(6, &path)?;
        let seen = ask(12, &path)?;
        let names = seen[0][0].last().and_then(Frame::names).unwrap_or_default();
        open.extend(names.into_iter().map(|name| format!("{path}/{name}")));
    }
    sides.into_iter().for_each(Side::end);
    Ok(())
}

/// Whether a server that answers so is about to close: the session's end, a failed auth packet, and an
/// opcode it does not know if it is one that closes then.
fn closes_after(op: &Op, seen: &[Frame], on_unknown: bool) -> bool {
    seen.iter().any(|frame| match frame {
        Frame::Reply { zxid: -1, err: -6, .. } => on_unknown,
        Frame::Reply { err, .. } => op.ends_session() || *err == -115,
        _ => false,
    })
}

fn closes(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| matches!(frame, Frame::Closed | Frame::Silent))
}

pub(crate) fn describe(op: &Op, seen: &[Seen; 2], why: &str) -> String {
    let mut text = format!("{op}\n  {why}\n");
    for (name, seen) in ["java", "paddock"].iter().zip(seen) {
        for (session, frames) in ["A", "B"].iter().zip(seen) {
            for frame in frames {
                writeln!(text, "  {name} to {session}: {frame:?}").expect("a String takes all");
            }
        }
    }
    text
}

/// Both sessions on one server.
pub(crate) struct Side {
    address: SocketAddr,
    sessions: [Client; 2],
    /// Apache's server closes after an unknown opcode, a while after its answer.
    closes_on_unknown: bool,
}

struct Client {
    who: Who,
    link: Option<Link>,
    /// Zxids of replies, for setWatches.
    replies: Vec<i64>,
}

impl Side {
    pub(crate) fn new(address: SocketAddr, closes_on_unknown: bool) -> Self {
        let client = || Client { who: Who::nobody(), link: None, replies: Vec::new() };
        Self { address, sessions: [client(), client()], closes_on_unknown }
    }

    pub(crate) fn step(&mut self, op: &Op, prefix: &str) -> Seen {
        let mut seen = Seen::default();
        for (client, seen) in self.sessions.iter_mut().zip(&mut seen) {
            client.connect(self.address, seen);
        }
        if seen.iter().any(|seen| !seen.is_empty()) {
            // A new session takes a zxid: whoever is asked next knows of it.
            self.sessions.iter_mut().zip(&mut seen).for_each(|(client, seen)| client.drain(seen, false));
        }
        let closes_on_unknown = self.closes_on_unknown;
        let client = &mut self.sessions[op.session];
        client.act(self.address, op, prefix, &mut seen[op.session]);
        for (session, (client, seen)) in self.sessions.iter_mut().zip(&mut seen).enumerate() {
            client.drain(seen, session == op.session && closes_after(op, seen, closes_on_unknown));
        }
        seen
    }

    /// Where one server closed and the other did not, or one knows watches that the other lost.
    pub(crate) fn level(&mut self) {
        (0..2).for_each(|session| self.level_one(session));
    }

    /// Hangs up for one session; the next step takes it over.
    pub(crate) fn level_one(&mut self, session: usize) {
        self.sessions[session].replies.clear(); // one server may have answered what the other did not
        if let Some(link) = self.sessions[session].link.take() {
            link.hang_up();
        }
    }

    /// Closes both sessions, whether connected or not: none is left to expire, with its ephemerals, while
    /// a later run looks.
    pub(crate) fn end(mut self) {
        for client in &mut self.sessions {
            if client.who.id != 0 {
                client.connect(self.address, &mut Vec::new());
            }
            if let Some(link) = &mut client.link {
                link.request(None, -11, &[]);
            }
        }
    }
}

impl Client {
    fn connect(&mut self, to: SocketAddr, seen: &mut Vec<Frame>) {
        if self.link.is_some() {
            return;
        }
        if self.who.id != 0 && !self.shake_hands(to, seen) {
            self.who = Who::nobody();
        }
        if self.link.is_none() {
            self.shake_hands(to, seen);
        }
    }

    fn shake_hands(&mut self, to: SocketAddr, seen: &mut Vec<Frame>) -> bool {
        let Ok((link, response)) = Link::open(to, &self.who, TIMEOUT_MS) else {
            seen.push(Frame::Closed);
            return false;
        };
        let password = response.password.unwrap_or_default();
        seen.push(Frame::Handshake(response.timeout_ms, response.session_id, password.clone()));
        self.link = link;
        if self.link.is_some() {
            self.who.id = response.session_id;
            self.who.password = password;
        }
        self.link.is_some()
    }

    fn act(&mut self, to: SocketAddr, op: &Op, prefix: &str, seen: &mut Vec<Frame>) {
        let calls = match &op.action {
            Action::Reattach { bad_password } => return self.reattach(to, *bad_password, seen),
            Action::Handover => return self.hand_over(to, seen),
            Action::Pipeline(parts) => parts.iter().map(|part| self.call(part, prefix)).collect(),
            one => vec![self.call(one, prefix)],
        };
        let Some(link) = &mut self.link else { return };
        let frames = link.requests(&calls);
        self.note(&frames);
        seen.extend(frames);
        if op.ends_session() {
            self.who = Who::nobody();
        }
    }

    fn call(&self, action: &Action, prefix: &str) -> Call {
        match action {
            Action::Request { xid, opcode, body } => {
                Call { xid: *xid, opcode: *opcode, body: with_prefix(body, prefix) }
            }
            Action::SetWatches { back, lists } => {
                let zxid = back.and_then(|back| self.replies.iter().rev().nth(back)).copied().unwrap_or(0);
                let body = super::body::Body::default().long(zxid);
                let body = lists.iter().fold(body, |body, list| body.texts(list));
                let opcode = if lists.len() > 3 { 105 } else { 101 };
                Call { xid: Some(-8), opcode, body: with_prefix(&body.0, prefix) }
            }
            Action::Oversized(len) => {
                let mut body = super::body::Body::default().text(prefix).flag(false).0;
                body.resize(len - 8, 0);
                Call { xid: None, opcode: 4, body }
            }
            other => unreachable!("no request: {other:?}"),
        }
    }

    /// The session moves to a new connection while it has one, which the server closes.
    fn hand_over(&mut self, to: SocketAddr, seen: &mut Vec<Frame>) {
        let old = self.link.take();
        self.shake_hands(to, seen);
        if let Some(mut old) = old {
            seen.extend(old.await_close().into_iter().map(|frame| match frame {
                Frame::Closed => Frame::OldClosed,
                other => other,
            }));
        }
    }

    fn reattach(&mut self, to: SocketAddr, bad_password: bool, seen: &mut Vec<Frame>) {
        let own = self.who.clone();
        if bad_password {
            self.who.password = bytes::Bytes::from_static(&[7; 16]);
            let link = self.link.take(); // stays open: a stranger does not disturb it
            self.shake_hands(to, seen);
            self.link = link;
            self.who = own;
        } else {
            if let Some(link) = self.link.take() {
                link.hang_up();
            }
            self.shake_hands(to, seen);
        }
    }

    /// Some closes come a while after the reply; those are waited for.
    fn drain(&mut self, seen: &mut Vec<Frame>, closes: bool) {
        let Some(link) = &mut self.link else { return };
        let frames = if seen.iter().any(|f| matches!(f, Frame::Closed | Frame::Silent)) {
            Vec::new()
        } else if closes {
            link.await_close()
        } else {
            link.drain()
        };
        self.note(&frames);
        seen.extend(frames);
        if seen.iter().any(|f| matches!(f, Frame::Closed | Frame::Silent)) {
            self.link = None;
        }
    }

    fn note(&mut self, frames: &[Frame]) {
        for frame in frames {
            // Auth is answered at once, with 0: on each server at another place.
            if let Frame::Reply { zxid: zxid @ 1.., .. } = frame {
                self.replies.push(*zxid);
                self.who.last_zxid = self.who.last_zxid.max(*zxid);
            }
        }
    }
}
