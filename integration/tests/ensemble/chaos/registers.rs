//! Znodes as registers: what was set and read, by whom and when, against one order of all of it.
//!
//! A znode's version numbers its changes, so their order is known: what remains is that real time allows it. Sets
//! (also conditional ones, that were refused for their version) and reads behind a sync are linearizable; a plain
//! read shows a session what it has seen or later, and its own writes.

use std::collections::BTreeMap;

use super::order::{Placed, Span, out_of_order};

/// What a client did to one znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Set it, if it had this version; -1 takes any.
    Set { expected: i32 },
    /// Read it behind a sync on the same connection, or where the member does one by itself.
    SyncedRead,
    /// Read it.
    Read,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The version that it made or saw; a set made its own value, a read saw this.
    Done { version: i32, value: u64 },
    /// It had another version.
    BadVersion,
    /// Nothing: it may have taken effect, or may yet.
    Nothing,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op {
    /// One session's have this number, in the order in which they were done.
    pub(super) session: i64,
    pub(super) what: What,
    /// What a set writes: never the same twice, and never 0, which is there at first.
    pub(super) value: u64,
    pub(super) span: Span,
    pub(super) told: Told,
}

/// Everything that must not be, in what was done to one znode that was created with version 0 and value 0; its
/// last state was read when nobody wrote any more.
pub(super) fn judge(ops: &[Op], last: (i32, u64)) -> Vec<String> {
    let mut found = Vec::new();
    let values = values(ops, last, &mut found);
    let unknown = ops.iter().filter(|op| matches!(op.what, What::Set { .. }) && op.told == Told::Nothing);
    let unknown: BTreeMap<u64, &Op> = unknown.map(|op| (op.value, op)).collect();
    let mut placed = vec![(last, "the last read".to_owned(), Span { begin: u64::MAX - 1, end: u64::MAX })]
        .into_iter()
        .map(|((version, _), what, span)| Placed { place: read_place(version), span, what })
        .collect::<Vec<_>>();
    let mut taken = Vec::new();
    for (version, value) in &values {
        if let Some(op) = unknown.get(value) {
            taken.push(*value);
            placed.push(of(op, set_place(*version), op.span.unknown()));
            match op.what {
                What::Set { expected } if expected >= 0 && expected + 1 != *version => {
                    found.push(format!("{op:?} took effect as version {version}"));
                }
                _ => {}
            }
        }
    }
    placed.extend(ops.iter().filter_map(placed_for_sure));
    let unseen = (1..=last.0).filter(|version| !values.contains_key(version));
    let left = unknown.values().filter(|op| !taken.contains(&op.value)).map(|op| op.span.begin).collect();
    found.extend(unaccounted(&unseen.collect::<Vec<_>>(), left, &placed));
    found.extend(out_of_order(placed));
    found.extend(sessions(ops));
    found
}

/// A set comes before the reads of what it made.
fn set_place(version: i32) -> i64 {
    2 * i64::from(version)
}

fn read_place(version: i32) -> i64 {
    2 * i64::from(version) + 1
}

fn of(op: &Op, place: i64, span: Span) -> Placed {
    Placed { place, span, what: format!("{op:?}") }
}

fn placed_for_sure(op: &Op) -> Option<Placed> {
    match (op.what, op.told) {
        (What::Set { .. }, Told::Done { version, .. }) => Some(of(op, set_place(version), op.span)),
        (What::SyncedRead, Told::Done { version, .. }) => Some(of(op, read_place(version), op.span)),
        // It came behind the set that took away what it expected: no earlier than that, perhaps later.
        (What::Set { expected }, Told::BadVersion) => {
            let latest = Span { begin: 0, ..op.span };
            Some(of(op, read_place(expected + 1), latest))
        }
        _ => None,
    }
}

/// The value that each version was seen to have.
fn values(ops: &[Op], last: (i32, u64), found: &mut Vec<String>) -> BTreeMap<i32, u64> {
    let mut values = BTreeMap::from([(0, 0), last]);
    let mut makers = BTreeMap::new();
    for op in ops {
        let Told::Done { version, value } = op.told else { continue };
        if *values.entry(version).or_insert(value) != value {
            found.push(format!("version {version} was {}, too: {op:?}", values[&version]));
        }
        if version > last.0 {
            found.push(format!("lost, the last version is {}: {op:?}", last.0));
        }
        if let What::Set { expected } = op.what {
            if let Some(other) = makers.insert(version, op) {
                found.push(format!("two made version {version}: {other:?} and {op:?}"));
            }
            if expected >= 0 && expected + 1 != version {
                found.push(format!("it was not what it expected: {op:?}"));
            }
        }
    }
    let sent: BTreeMap<u64, &Op> =
        ops.iter().filter(|op| matches!(op.what, What::Set { .. })).map(|op| (op.value, op)).collect();
    let mut versions = BTreeMap::new();
    for (version, value) in &values {
        if *version > 0 && sent.get(value).is_none_or(|op| op.told == Told::BadVersion) {
            found.push(format!("version {version} has {value}, which nobody set"));
        }
        if let Some(other) = versions.insert(value, version) {
            found.push(format!("{value} was set twice, as versions {other} and {version}"));
        }
    }
    values
}

/// Versions that nobody saw must have been made by sets without an answer, each by another that had begun before
/// what came later had ended.
fn unaccounted(unseen: &[i32], mut begins: Vec<u64>, placed: &[Placed]) -> Vec<String> {
    begins.sort_unstable();
    let mut found = Vec::new();
    for (nth, version) in unseen.iter().enumerate() {
        let later = placed.iter().filter(|one| one.place > set_place(*version)).map(|one| one.span.end).min();
        if begins.get(nth).is_none_or(|begin| later.is_some_and(|end| *begin > end)) {
            found.push(format!("nobody can have made version {version}"));
        }
    }
    found
}

/// Versions that each session was told, in its order.
fn sessions(ops: &[Op]) -> Vec<String> {
    let (mut found, mut newest) = (Vec::new(), BTreeMap::new());
    let mut ordered: Vec<_> = ops.iter().collect();
    ordered.sort_by_key(|op| op.span.begin);
    for op in ordered {
        let Told::Done { version, .. } = op.told else { continue };
        let before = newest.entry(op.session).or_insert(0);
        if version < *before {
            found.push(format!("its session had seen version {before}: {op:?}"));
        }
        *before = version.max(*before);
    }
    found
}

#[cfg(test)]
#[path = "registers_tests.rs"]
mod tests;
