//! Clients that write and read what the judges of registers, accounts and lists judge.

use std::time::Duration;

use bytes::Bytes;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{MultiHeader, PathWatch, SetData};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};
use rand::Rng;

use super::bank::{INITIAL, Transfer};
use super::link::{Answer, Link, Outcome};
use super::list::Append;
use super::registers::{Op, Told, What};

/// Znodes that are registers, and accounts.
pub(super) const REGISTERS: usize = 4;
pub(super) const ACCOUNTS: usize = 4;

/// How long a late reader rests at most, and waits for an answer: longer than a member stands still.
const RESTS_MS: u64 = 2_500;
const PATIENT: Duration = Duration::from_secs(6);

pub(super) fn register(root: &str, nth: usize) -> String {
    format!("{root}/register-{nth}")
}

pub(super) fn account(root: &str, nth: usize) -> String {
    format!("{root}/account-{nth}")
}

/// Sets and reads registers; returns what it did to each.
pub(super) fn registers(link: &mut Link<'_>, root: &str, client: u64) -> Vec<Vec<Op>> {
    let (mut ops, mut versions, mut next) = (vec![Vec::new(); REGISTERS], [0; REGISTERS], 1);
    while !link.world.is_over() {
        if !link.is_ready() {
            continue;
        }
        let nth = link.rng.random_range(0..REGISTERS);
        let (path, begin, value) = (register(root, nth), link.world.now(), client << 32 | next);
        // As its session was when it began: the answer may be that this has ended.
        let session = (client as i64) << 32 | link.sessions;
        let what = match link.rng.random_range(0..10) {
            0..2 => What::Set { expected: -1 },
            2..5 => What::Set { expected: versions[nth] },
            5..8 => What::SyncedRead,
            _ if link.world.reads_are_linearizable => What::SyncedRead,
            _ => What::Read,
        };
        let told = match what {
            What::Set { expected } => set(link, &path, value, expected),
            What::SyncedRead => read(link, &path, true),
            What::Read => read(link, &path, false),
        };
        if let Told::Done { version, .. } = told {
            versions[nth] = version;
        }
        next += 1;
        ops[nth].push(Op { session, what, value, span: link.world.span(begin), told });
    }
    ops
}

fn set(link: &mut Link<'_>, path: &str, value: u64, version: i32) -> Told {
    let data = Some(Bytes::from(value.to_string()));
    match link.ask(OpCode::SetData, &SetData { path: path.into(), data, version }) {
        Outcome::Done(mut answer) => Told::Done { version: answer.read::<Stat>().version, value },
        Outcome::Refused(ErrorCode::BadVersion) => Told::BadVersion,
        other => nothing(link, &other),
    }
}

/// Reads registers behind syncs and rests for long between two: what it sends to a member that stands still was
/// written after others had gone on without that.
pub(super) fn late_reads(link: &mut Link<'_>, root: &str, client: u64) -> Vec<Vec<Op>> {
    link.answer_limit = PATIENT;
    let mut ops = vec![Vec::new(); REGISTERS];
    while !link.world.is_over() {
        if !link.is_ready() {
            continue;
        }
        std::thread::sleep(Duration::from_millis(link.rng.random_range(0..RESTS_MS)));
        let nth = link.rng.random_range(0..REGISTERS);
        let (begin, session) = (link.world.now(), (client as i64) << 32 | link.sessions);
        let told = read(link, &register(root, nth), true);
        let (what, value, span) = (What::SyncedRead, 0, link.world.span(begin));
        ops[nth].push(Op { session, what, value, span, told });
    }
    ops
}

fn read(link: &mut Link<'_>, path: &str, synced: bool) -> Told {
    let asks_sync = synced && !link.world.reads_are_linearizable;
    let read = if asks_sync { link.synced_get(path) } else { link.get(path, false) };
    match read {
        Outcome::Done((data, stat)) => {
            Told::Done { version: stat.version, value: data.parse().expect("a value is a number") }
        }
        other => nothing(link, &other),
    }
}

fn nothing<T: std::fmt::Debug>(link: &mut Link<'_>, outcome: &Outcome<T>) -> Told {
    if let Outcome::Refused(code) = outcome {
        link.found.push(format!("refused for nothing that was done: {code}"));
    }
    Told::Nothing
}

/// Moves money; returns its attempts, and what it read.
pub(super) fn transfers(link: &mut Link<'_>, root: &str, client: u64) -> (Vec<Transfer>, Vec<Vec<i64>>) {
    let (mut transfers, mut reads) = (Vec::new(), Vec::new());
    while !link.world.is_over() {
        if !link.is_ready() {
            continue;
        }
        let Outcome::Done(accounts) = all_accounts(link, root) else { continue };
        reads.push(accounts.iter().map(|(balance, _)| *balance).collect());
        let from = link.rng.random_range(0..ACCOUNTS);
        let to = (from + link.rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let amount = link.rng.random_range(1..=INITIAL / 10);
        let marker = format!("{client}.{}", transfers.len());
        let set = |nth: usize, change: i64| {
            let (balance, version) = accounts[nth];
            let data = Some(Bytes::from((balance + change).to_string()));
            SetData { path: account(root, nth).into(), data, version }
        };
        let outcome = link.ask_raw(OpCode::Multi, |out| {
            op(out, OpCode::SetData, &set(from, -amount));
            op(out, OpCode::SetData, &set(to, amount));
            let path = format!("{root}/transfers/{marker}");
            op(out, OpCode::Create, &super::link::create(&path, "", CreateMode::Persistent));
            MultiHeader::END.write(out);
        });
        let done = match outcome {
            Outcome::Done(mut answer) => Some(answer.read::<MultiHeader>().kind != -1),
            Outcome::Refused(_) => Some(false),
            Outcome::Unknown => None,
        };
        transfers.push(Transfer { marker, from, to, amount, done });
    }
    (transfers, reads)
}

/// One op of a multi.
pub(super) fn op(to: &mut Vec<u8>, opcode: OpCode, body: &impl Wire) {
    MultiHeader { kind: opcode as i32, done: false, err: -1 }.write(to);
    body.write(to);
}

/// Balance and version of each account, all read at once.
pub(super) fn all_accounts(link: &mut Link<'_>, root: &str) -> Outcome<Vec<(i64, i32)>> {
    let answer = link.ask_raw(OpCode::MultiRead, |out| {
        for nth in 0..ACCOUNTS {
            op(out, OpCode::GetData, &PathWatch { path: account(root, nth).into(), watch: false });
        }
        MultiHeader::END.write(out);
    });
    let one = |answer: &mut Answer| {
        let header = answer.read::<MultiHeader>();
        assert_eq!((header.kind, header.err), (OpCode::GetData as i32, 0), "an account");
        let data = answer.read::<Option<Bytes>>().unwrap_or_default();
        let balance = std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok());
        (balance.expect("a balance is a number"), answer.read::<Stat>().version)
    };
    answer.map(|mut answer| (0..ACCOUNTS).map(|_| one(&mut answer)).collect())
}

/// Appends to the list; returns what it sent.
pub(super) fn appends(link: &mut Link<'_>, root: &str, client: u64) -> Vec<Append> {
    let mut appends = Vec::new();
    while !link.world.is_over() {
        if !link.is_ready() {
            continue;
        }
        let (prefix, begin) = (format!("{client}.{}-", appends.len()), link.world.now());
        let path = format!("{root}/list/{prefix}");
        let outcome = link.create(&path, "", CreateMode::PersistentSequential);
        let span = link.world.span(begin);
        nothing(link, &outcome);
        let name = outcome.done().and_then(|(path, _)| path.rsplit('/').next().map(str::to_owned));
        appends.push(Append { prefix, span, name });
    }
    appends
}
