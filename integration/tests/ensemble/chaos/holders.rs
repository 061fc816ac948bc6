//! Clients that hold locks and ephemerals, and see what becomes of both.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_integration::ensemble::PATIENCE;
use paddock_integration::raw_client::Session;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{MultiHeader, PathVersion, SetData};
use paddock_messages::znode::CreateMode;
use rand::Rng;

use super::link::{Link, Outcome};
use super::list::number;
use super::locks::Holding;
use super::writers::op;

/// A multi's check of a version; no request by itself.
const CHECK: i32 = 13;
/// Writes of one holding at most.
const WRITES: usize = 6;
/// Asked for; granted if it is within the ensemble's limits.
pub(super) const SHORT_TIMEOUT_MS: i32 = 1_500;

/// Takes the lock again and again; returns its holdings.
pub(super) fn locks(link: &mut Link<'_>, root: &str) -> Vec<Holding> {
    let mut holdings = Vec::new();
    while !link.world.is_over() {
        if link.is_ready()
            && let Some(child) = queue_up(link, root)
        {
            holdings.extend(hold(link, root, &child));
        }
    }
    holdings
}

/// A child of its own, which is the session's only one: what an unanswered create left is taken away.
fn queue_up(link: &mut Link<'_>, root: &str) -> Option<String> {
    let mine = format!("{:x}-", link.session.as_ref()?.id);
    link.sync(root).done()?;
    let (names, _) = link.children(&format!("{root}/lock")).done()?;
    for name in names.iter().filter(|name| name.starts_with(&mine)) {
        link.ask(OpCode::Delete, &PathVersion { path: format!("{root}/lock/{name}").into(), version: -1 });
    }
    let created = link.create(&format!("{root}/lock/{mine}"), "", CreateMode::EphemeralSequential);
    created.done().map(|(path, _)| path)
}

/// Waits for the lock, writes while it has it, and gives it back. Its session may end at any moment.
fn hold(link: &mut Link<'_>, root: &str, child: &str) -> Option<Holding> {
    let (sessions, mine) = (link.sessions, number(child).expect("a number was asked for"));
    let zxid = loop {
        let is_waiting = !link.world.is_over() && link.sessions == sessions;
        if !is_waiting {
            return None;
        }
        let children =
            if link.is_ready() { link.children(&format!("{root}/lock")) } else { Outcome::Unknown };
        let Outcome::Done((names, zxid)) = children else { continue };
        let numbers = || names.iter().filter_map(|name| number(name));
        if !numbers().any(|number| number == mine) {
            return None; // another connection's request has taken it away, or the session's end
        }
        if numbers().all(|number| number >= mine) {
            break zxid;
        }
    };
    let mut holding = Holding { number: mine, zxid, writes: Vec::new() };
    for _ in 0..link.rng.random_range(1..=WRITES) {
        match fenced_write(link, root, child) {
            Some(zxid) => holding.writes.push(zxid),
            None => break,
        }
    }
    if link.is_ready() {
        link.ask(OpCode::Delete, &PathVersion { path: child.into(), version: -1 });
    }
    Some(holding)
}

fn fenced_write(link: &mut Link<'_>, root: &str, child: &str) -> Option<i64> {
    if !link.is_ready() {
        return None;
    }
    let outcome = link.ask_raw(OpCode::Multi, |out| {
        use paddock_messages::wire::Wire;
        MultiHeader { kind: CHECK, done: false, err: -1 }.write(out);
        PathVersion { path: child.into(), version: -1 }.write(out);
        let data = Some(Bytes::copy_from_slice(child.as_bytes()));
        op(out, OpCode::SetData, &SetData { path: format!("{root}/guarded").into(), data, version: -1 });
        MultiHeader::END.write(out);
    });
    let mut answer = outcome.done()?;
    let zxid = answer.zxid;
    (answer.read::<MultiHeader>().kind != -1).then_some(zxid)
}

/// What a client has seen of its sessions' ephemerals.
#[derive(Debug, Default)]
pub(super) struct Ephemerals {
    /// Times at which one of a session that lives was looked for and found.
    pub(super) there: u64,
    /// Sessions that were told that they had expired, and what was left of them then: nothing.
    pub(super) gone: u64,
    pub(super) found: Vec<String>,
}

/// Has sessions with an ephemeral each, looks for it, and goes silent now and then.
pub(super) fn ephemerals(link: &mut Link<'_>, root: &str, client: u64) -> Ephemerals {
    let (mut told, mut mine) = (Ephemerals::default(), None::<(i64, String, Session)>);
    while !link.world.is_over() {
        let is_ready = link.is_ready();
        if let Some((_, path, _)) = mine.take_if(|(sessions, ..)| *sessions != link.sessions) {
            is_gone(link, &path, &mut told);
            continue;
        }
        if !is_ready {
            continue;
        }
        let session = link.session.clone().expect("it is connected");
        let Some((_, path, _)) = &mine else {
            // A name of its own: an unanswered create may come late.
            let path = format!("{root}/ephemerals/{client}.{}.{:x}", link.world.now(), session.id);
            if link.create(&path, "", CreateMode::Ephemeral).done().is_some() {
                mine = Some((link.sessions, path, session));
            }
            continue;
        };
        is_there(link, path, &session, &mut told);
        if link.rng.random_bool(0.02) {
            link.hang_up();
            let silence = 3 * u64::from(session.timeout_ms.unsigned_abs());
            std::thread::sleep(Duration::from_millis(link.rng.random_range(0..silence)));
        }
    }
    told
}

/// One that lives has its ephemeral. If there is none, then because the session has just ended, as it is then told.
fn is_there(link: &mut Link<'_>, path: &str, session: &Session, told: &mut Ephemerals) {
    if link.sync(path).done().is_none() {
        return;
    }
    match link.exists(path) {
        Outcome::Done(Some(stat)) if stat.ephemeral_owner == session.id => told.there += 1,
        Outcome::Done(Some(stat)) => told.found.push(format!("{path} has another owner: {stat:x?}")),
        Outcome::Done(None) => {
            let sessions = link.sessions;
            link.hang_up();
            let seen = match await_definite(link, path) {
                Some(seen) if link.sessions == sessions => format!("{seen:?}"),
                Some(_) => return, // it had ended; whether the ephemeral is gone is seen by whoever called
                None => "nobody answers".to_owned(),
            };
            told.found.push(format!("{path}, of a session that lives, was not there; now: {seen}"));
        }
        _ => {}
    }
}

/// Once a session is told that it has expired, nobody sees its ephemeral any more.
fn is_gone(link: &mut Link<'_>, path: &str, told: &mut Ephemerals) {
    match await_definite(link, path) {
        Some(false) => told.gone += 1,
        Some(true) => {
            let since = Instant::now();
            while await_definite(link, path) == Some(true) && since.elapsed() < PATIENCE {}
            let after = since.elapsed();
            told.found.push(format!("{path}, of a session that expired, was there for {after:?} more"));
        }
        None => told.found.push(format!("{path}: nobody answers")),
    }
}

/// Whether the znode is there, asked behind a sync of any session until there is an answer.
fn await_definite(link: &mut Link<'_>, path: &str) -> Option<bool> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if link.is_ready()
            && link.sync(path).done().is_some()
            && let Outcome::Done(stat) = link.exists(path)
        {
            return Some(stat.is_some());
        }
    }
    None
}
