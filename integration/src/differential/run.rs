//! One run: operations, one at a time, to both servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::deviations::{self, Step};
use super::link::{Link, Who};
use super::mapping::Mapping;
use super::observe::Frame;
use super::op::{Action, Op, with_prefix};

/// The session timeout asked for: none expires by itself during a run.
const TIMEOUT_MS: i32 = 40_000;

/// The two servers.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Apache's.
    pub java: SocketAddr,
    /// Ours.
    pub paddock: SocketAddr,
}

/// What a run without a difference met.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Deviations by id, and how often.
    pub deviations: BTreeMap<&'static str, usize>,
}

/// The first thing that differs and may not.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Index into the operations.
    pub at: usize,
    /// The operation, both answers, and what is not the same.
    pub text: String,
}

/// Runs `ops` below `prefix`, which no earlier run on this pair had; `trace` tells each step.
///
/// # Errors
/// The first difference that is no deviation.
pub fn run(pair: Pair, ops: &[Op], prefix: &str, trace: bool) -> Result<Met, Difference> {
    let mut sides = [Side::new(pair.java, true), Side::new(pair.paddock, false)];
    let (mut mapping, mut met) = (Mapping::default(), Met::default());
    let mut result = Ok(());
    for (at, op) in ops.iter().enumerate() {
        let seen = sides.each_mut().map(|side| side.step(op, prefix));
        if trace {
            eprintln!("{}", describe(op, &seen, ""));
        }
        if let Err(why) = compare(&mut mapping, op, &seen) {
            let step = Step { op, java: &seen[0], paddock: &seen[1] };
            let Some(deviation) = deviations::that_allows(&step) else {
                result = Err(Difference { at, text: describe(op, &seen, &why) });
                break;
            };
            *met.deviations.entry(deviation.id).or_default() += 1;
            alias(&mut mapping, op, &seen);
            if seen[0].iter().zip(&seen[1]).any(|(java, paddock)| closes(java) != closes(paddock)) {
                sides.iter_mut().for_each(Side::level);
            }
        }
    }
    sides.into_iter().for_each(Side::end);
    result.map(|()| met)
}

/// What both connections saw in one step.
pub type Seen = [Vec<Frame>; 2];

pub(crate) fn compare(mapping: &mut Mapping, op: &Op, seen: &[Seen; 2]) -> Result<(), String> {
    for session in 0..2 {
        let opcode = (session == op.session).then(|| op.opcode()).flatten();
        let [mut java, mut paddock] = [seen[0][session].clone(), seen[1][session].clone()];
        if opcode == Some(-11) || op.opcode() == Some(-11) {
            // The ephemerals of a session are deleted in no order.
            sort_events(&mut java);
            sort_events(&mut paddock);
        }
        let whose = ["A", "B"][session];
        if java.len() != paddock.len() {
            return Err(format!("{whose} sees {} frames; paddock's: {}", java.len(), paddock.len()));
        }
        for (j, p) in java.iter().zip(&paddock) {
            mapping.frames(opcode, j, p).map_err(|why| format!("{whose}: {why}"))?;
        }
    }
    Ok(())
}

/// Whether a server that answers so is about to close: the session's end, a failed auth packet, and an
/// opcode it does not know if it is one that closes then.
fn closes_after(op: &Op, seen: &[Frame], on_unknown: bool) -> bool {
    seen.iter().any(|frame| match frame {
        Frame::Reply { zxid: -1, err: -6, .. } => on_unknown,
        Frame::Reply { err, .. } => op.opcode() == Some(-11) || *err == -115,
        _ => false,
    })
}

fn closes(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| matches!(frame, Frame::Closed | Frame::Silent))
}

/// After a deviation in which one server took a zxid and the other did not.
fn alias(mapping: &mut Mapping, op: &Op, seen: &[Seen; 2]) {
    for (java, paddock) in seen[0][op.session].iter().zip(&seen[1][op.session]) {
        if let (Frame::Reply { zxid: java, .. }, Frame::Reply { zxid: paddock, .. }) = (java, paddock) {
            mapping.alias(*java, *paddock);
        }
    }
}

fn sort_events(frames: &mut [Frame]) {
    let key = |frame: &Frame| match frame {
        Frame::Event { kind, path, .. } => (0, path.clone(), *kind),
        _ => (1, bytes::Bytes::new(), 0),
    };
    frames.sort_by_key(key);
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
        if let Some(link) = self.sessions[session].link.take() {
            link.hang_up();
        }
    }

    pub(crate) fn end(mut self) {
        for client in &mut self.sessions {
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
        let Some(link) = &mut self.link else { return };
        let frames = match &op.action {
            Action::Request { xid, opcode, body } => link.request(*xid, *opcode, &with_prefix(body, prefix)),
            Action::SetWatches { back, lists } => {
                let zxid = back.and_then(|back| self.replies.iter().rev().nth(back)).copied().unwrap_or(0);
                let body = super::body::Body::default().long(zxid);
                let body = lists.iter().fold(body, |body, list| body.texts(list));
                let opcode = op.opcode().expect("setWatches has one");
                link.request(Some(-8), opcode, &with_prefix(&body.0, prefix))
            }
            Action::Oversized(len) => {
                let mut body = super::body::Body::default().text(prefix).flag(false).0;
                body.resize(len - 8, 0);
                link.request(None, 4, &body)
            }
            Action::Reattach { bad_password } => {
                self.reattach(to, *bad_password, seen);
                return;
            }
        };
        self.note(&frames);
        seen.extend(frames);
        if op.opcode() == Some(-11) {
            self.who = Who::nobody();
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
            if let Frame::Reply { zxid, .. } = frame {
                self.replies.push(*zxid);
                self.who.last_zxid = self.who.last_zxid.max(*zxid);
            }
        }
    }
}
