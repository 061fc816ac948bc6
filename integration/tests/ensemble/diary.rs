//! What clients were told by an ensemble against what it holds in the end. Pure: no server, no clock.
//!
//! A client numbers its operations and never sends one twice. Those it sends down one connection are a chapter
//! of its diary; they take effect in order, so what is there of a chapter is a prefix that has everything
//! acknowledged. A chapter begins with the version and the data of the client's own znode, read behind a sync
//! on the new connection: from then on nothing of the chapters before may take effect any more.

use std::collections::{BTreeMap, BTreeSet};

/// Operation `n`: even ones set the client's own znode to `n`, odd ones create a sequential child.
pub(crate) fn is_set(n: u64) -> bool {
    n.is_multiple_of(2)
}

/// How many of the operations from `from` and before `to` are sets.
pub(crate) fn sets(from: u64, to: u64) -> u64 {
    to.div_ceil(2) - from.div_ceil(2)
}

/// A sequential child's name without its number.
pub(crate) fn prefix(client: usize, n: u64) -> String {
    format!("{client}.{n}-")
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chapter {
    /// The number of its first operation.
    pub(crate) first: u64,
    /// How many it sent.
    pub(crate) sent: u64,
    /// How many of them were acknowledged: the first so many.
    pub(crate) acked: u64,
    /// The own znode's version as it began.
    pub(crate) version: i32,
    /// The own znode's data as it began.
    pub(crate) data: String,
}

impl Chapter {
    /// The number of the operation that follows its last.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.sent
    }
}

/// All of a client's connections, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diary {
    pub(crate) client: usize,
    pub(crate) chapters: Vec<Chapter>,
    /// Names that acknowledged children were given, by operation.
    pub(crate) names: BTreeMap<u64, String>,
}

impl Diary {
    pub(crate) fn acked(&self) -> u64 {
        self.chapters.iter().map(|chapter| chapter.acked).sum()
    }

    /// The number of its next operation.
    pub(crate) fn next(&self) -> u64 {
        self.chapters.last().map_or(0, Chapter::end)
    }
}

/// What the ensemble holds in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Per client, version and data of its own znode.
    pub(crate) own: Vec<(i32, String)>,
    /// Names of the sequential children.
    pub(crate) children: Vec<String>,
}

/// What must not be; operations by client and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// It was acknowledged and is not there.
    Lost(usize, u64),
    /// A later one of the same connection is there, and this one is not.
    Gap(usize, u64),
    /// It took effect more than once.
    Twice(usize, u64),
    /// A child of this name, which nobody sent.
    NotSent(String),
    /// A number that two children have.
    SameNumber(u64),
    /// A child that was acknowledged by the first name and has the second.
    Renamed(String, String),
    /// Of the own znode, as the chapter that begins with this operation ended: more changes than were sent, or
    /// fewer than none.
    Version(usize, u64, i64),
    /// Its data then is not that of the last change: what it should be, and is.
    Data(usize, u64, String, String),
}

/// Everything that must not be.
pub(crate) fn judge(diaries: &[Diary], held: &Held) -> Vec<Violation> {
    let mut found = Vec::new();
    let children = children(diaries, held, &mut found);
    for (diary, (version, data)) in diaries.iter().zip(&held.own) {
        let begun = diary.chapters.iter().map(|chapter| (chapter.version, chapter.data.as_str()));
        let ended = begun.skip(1).chain([(*version, data.as_str())]);
        for (chapter, end) in diary.chapters.iter().zip(ended) {
            judge_chapter(diary, chapter, end, &children, &mut found);
        }
    }
    found
}

/// The children that are there once each, by client and operation.
fn children(diaries: &[Diary], held: &Held, found: &mut Vec<Violation>) -> BTreeSet<(usize, u64)> {
    let (mut children, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for name in &held.children {
        let sent = |(client, n, _): &(usize, u64, u64)| {
            diaries.get(*client).is_some_and(|diary| *n < diary.next()) && !is_set(*n)
        };
        let Some((client, n, number)) = parse(name).filter(sent) else {
            found.push(Violation::NotSent(name.clone()));
            continue;
        };
        if !children.insert((client, n)) {
            found.push(Violation::Twice(client, n));
        }
        if !numbers.insert(number) {
            found.push(Violation::SameNumber(number));
        }
        if let Some(told) = diaries[client].names.get(&n).filter(|told| *told != name) {
            found.push(Violation::Renamed(told.clone(), name.clone()));
        }
    }
    children
}

/// Client, operation and number of a child.
fn parse(name: &str) -> Option<(usize, u64, u64)> {
    let (prefix, number) = name.split_once('-')?;
    let (client, n) = prefix.split_once('.')?;
    Some((client.parse().ok()?, n.parse().ok()?, number.parse().ok()?))
}

fn judge_chapter(
    diary: &Diary,
    chapter: &Chapter,
    (version, data): (i32, &str),
    children: &BTreeSet<(usize, u64)>,
    found: &mut Vec<Violation>,
) {
    let (client, first, end) = (diary.client, chapter.first, chapter.end());
    let changes = i64::from(version) - i64::from(chapter.version);
    let Some(changed) = u64::try_from(changes).ok().filter(|changed| *changed <= sets(first, end)) else {
        return found.push(Violation::Version(client, first, changes));
    };
    let last_set = changed.checked_sub(1).map(|nth| first.next_multiple_of(2) + 2 * nth);
    let last_child = children.range((client, first)..(client, end)).next_back().map(|(_, n)| *n);
    let expected = last_set.map_or(chapter.data.clone(), |n| n.to_string());
    if data != expected {
        found.push(Violation::Data(client, first, expected, data.to_owned()));
    }
    let acked = first + chapter.acked;
    let there_to = last_set.max(last_child).map_or(first, |last| last + 1);
    for n in first..acked.max(there_to) {
        let there =
            if is_set(n) { last_set.is_some_and(|last| n <= last) } else { children.contains(&(client, n)) };
        match there {
            true => {}
            false if n < acked => found.push(Violation::Lost(client, n)),
            false => found.push(Violation::Gap(client, n)),
        }
    }
}

#[cfg(test)]
#[path = "diary_tests.rs"]
mod tests;
