//! What one connection must hear of what it watches: every change of the history, held against what is
//! registered when it comes.
//!
//! - VC4  A connection hears of the changes that one of its watches is for, of each once, with its zxid, in
//!   their order, and of nothing else; and before anything that shows their zxid. A one-shot watch ends
//!   with the first; a persistent one lasts until it is removed.
//! - VC9  setWatches tells what each one-shot watch missed since the zxid that it names, right before its
//!   reply, without a zxid, and nothing else; every other watch is registered again. What `exists`
//!   watched and came and went meanwhile is not told, nor what persistent watches missed.
//! - VC10 checkWatches and removeWatches find a watch exactly where there is one.
//!
//! Source: compat: WatchManager.java, DataTree.setWatches.

use std::collections::BTreeSet;

use paddock_messages::client::event::EventKind;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::zxid::Zxid;

use super::changes::Change;
use super::origins::Origins;
use super::truth::Truth;

/// Why there is a watch: in the order of setWatches' lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// getData, or exists of a znode that is there: one-shot.
    Data,
    /// exists of a znode that is not there: one-shot.
    Exist,
    /// getChildren: one-shot.
    Child,
    /// addWatch of mode 0.
    Persistent,
    /// addWatch of mode 1.
    Recursive,
}

/// A watch of a path.
pub(super) type Watch = (Kind, String);

/// The watches of one client, and how far its connection has told it what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Watching {
    /// Registered on this connection.
    held: BTreeSet<Watch>,
    /// The first change of the history that the connection is not known to be beyond.
    next: usize,
    /// What was told without a zxid: the reply to a setWatches must follow.
    missed: Vec<(EventKind, String)>,
    /// To be set again on the next connection: since which zxid, and what.
    wanted: Vec<(Zxid, Vec<Watch>)>,
    pub(super) origins: Origins,
}

impl Watching {
    /// A reply shows `zxid` (VC4).
    pub(super) fn on_reply(&mut self, zxid: Zxid, truth: &Truth) {
        let upto = truth.changes().partition_point(|change| change.zxid <= zxid);
        for change in truth.changes().get(self.next..upto).unwrap_or_default() {
            assert!(!self.hears(change), "VC4: a reply at {zxid:?} came before the event of {change:?}");
        }
        self.next = self.next.max(upto);
    }

    /// Nothing may come between what was missed and the reply to setWatches.
    pub(super) fn nothing_missed(&self) {
        assert!(self.missed.is_empty(), "VC9: {:?}, and no reply to setWatches", self.missed);
    }

    /// An event with the zxid of its txn: the next that the connection is to hear of (VC4). Whether a
    /// persistent watch is among those that it is for.
    pub(super) fn on_event(&mut self, zxid: Zxid, kind: EventKind, path: &str, truth: &Truth) -> bool {
        self.nothing_missed();
        let rest = truth.changes().get(self.next..).unwrap_or_default();
        let due = rest.iter().position(|change| self.hears(change));
        let due = due.unwrap_or_else(|| panic!("VC4: {path} is not watched for {kind:?}, at {zxid:?}"));
        let change = &rest[due];
        assert_eq!((zxid, kind, path), (change.zxid, change.kind, &*change.path), "VC4");
        self.next += due + 1;
        for one_shot in told_by(change.kind) {
            let watch = (*one_shot, change.path.clone());
            if self.held.remove(&watch) {
                self.origins.fire(&watch, zxid.epoch());
            }
        }
        self.hears(change)
    }

    /// An event without a zxid.
    pub(super) fn on_missed(&mut self, kind: EventKind, path: String) {
        self.missed.push((kind, path));
    }

    fn hears(&self, change: &Change) -> bool {
        let Change { kind, path, .. } = change;
        let has = |kind, path: &str| self.held.contains(&(kind, path.to_owned()));
        let below =
            |of: &String| of == "/" || path.strip_prefix(&**of).is_some_and(|rest| rest.starts_with('/'));
        told_by(*kind).iter().any(|one_shot| has(*one_shot, path))
            || has(Kind::Persistent, path)
            || *kind != EventKind::ChildrenChanged
                && (self.held.iter()).any(|(kind, of)| *kind == Kind::Recursive && (of == path || below(of)))
    }

    /// A reply at `zxid`, all events before which are told, registers it.
    pub(super) fn register(&mut self, kind: Kind, path: String, zxid: Zxid) {
        if kind < Kind::Persistent {
            self.origins.set((kind, path.clone()), zxid.epoch());
        }
        self.held.insert((kind, path));
    }

    /// The reply, at `zxid`, to a setWatches (VC9). How many one-shot and how many
    /// persistent watches were registered, and how many were told instead.
    pub(super) fn on_set_again(
        &mut self,
        since: Zxid,
        watches: Vec<Watch>,
        zxid: Zxid,
        truth: &Truth,
    ) -> (u64, u64, u64) {
        let (mut missed, mut one_shot, mut persistent) = (Vec::new(), 0, 0);
        for (kind, path) in watches {
            let is_there = truth.at(&path, zxid).is_some();
            let changed = |of_children| {
                truth.next_change(&path, of_children, since).is_some_and(|change| change <= zxid)
            };
            let event = match kind {
                Kind::Data if changed(false) && is_there => Some(EventKind::DataChanged),
                Kind::Child if changed(true) && is_there => Some(EventKind::ChildrenChanged),
                Kind::Data | Kind::Child if !is_there => Some(EventKind::Deleted),
                Kind::Exist if is_there => Some(EventKind::Created),
                _ => None,
            };
            match event {
                Some(event) => {
                    self.origins.fire(&(kind, path.clone()), zxid.epoch());
                    missed.push((event, path));
                }
                None => {
                    let again = if kind < Kind::Persistent { &mut one_shot } else { &mut persistent };
                    *again += 1;
                    self.held.insert((kind, path));
                }
            }
        }
        let told = std::mem::take(&mut self.missed);
        assert_eq!(told, missed, "VC9: told at {zxid:?} of what was missed since {since:?}");
        (one_shot, persistent, told.len() as u64)
    }

    /// The reply to a checkWatches, or to a removeWatches, of the kind with this number (VC10). Whether
    /// there is one.
    pub(super) fn on_asked(&mut self, path: &str, number: i32, removes: bool, err: i32) -> bool {
        let mut found = false;
        for kind in asked_for(number) {
            let watch = (*kind, path.to_owned());
            found |= if removes { self.held.remove(&watch) } else { self.held.contains(&watch) };
            if removes {
                self.origins.forget(&watch);
            }
        }
        let expected = if found { 0 } else { ErrorCode::NoWatcher.code() };
        assert_eq!(err, expected, "VC10: a watch on {path} of kind {number}");
        found
    }

    /// The connection is lost, the session is not: the client wants all its watches back, those that
    /// `unanswered` asked for, too, apart from what it was told already.
    pub(super) fn lost(&mut self, seen: Zxid, unanswered: impl Iterator<Item = (Zxid, Vec<Watch>)>) {
        let told = std::mem::take(&mut self.missed);
        let is_told = |(kind, path): &Watch| {
            told.iter().any(|(event, of)| of == path && told_by(*event).contains(kind))
        };
        let unanswered = unanswered.map(|(since, watches)| {
            (since, watches.into_iter().filter(|watch| !is_told(watch)).collect::<Vec<_>>())
        });
        self.wanted.extend(unanswered);
        self.wanted.push((seen, std::mem::take(&mut self.held).into_iter().collect()));
        self.wanted.retain(|(_, watches)| !watches.is_empty());
    }

    /// What is to be set again.
    pub(super) fn take_wanted(&mut self) -> Vec<(Zxid, Vec<Watch>)> {
        std::mem::take(&mut self.wanted)
    }

    /// What is registered, for draws.
    pub(super) fn held(&self) -> &BTreeSet<Watch> {
        &self.held
    }
}

/// The one-shot watches that such a change of their path ends.
fn told_by(kind: EventKind) -> &'static [Kind] {
    match kind {
        EventKind::Created | EventKind::DataChanged => &[Kind::Data, Kind::Exist],
        EventKind::Deleted => &[Kind::Data, Kind::Exist, Kind::Child],
        EventKind::ChildrenChanged => &[Kind::Child],
    }
}

/// What checkWatches and removeWatches mean by a number.
fn asked_for(number: i32) -> &'static [Kind] {
    match number {
        1 => &[Kind::Child],
        2 => &[Kind::Data, Kind::Exist],
        3 => &[Kind::Data, Kind::Exist, Kind::Child, Kind::Persistent, Kind::Recursive],
        4 => &[Kind::Persistent],
        5 => &[Kind::Recursive],
        _ => unreachable!("no client asks for others"),
    }
}
