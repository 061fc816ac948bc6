//! What clients were told against what is there after a crash. Pure: no server, no clock.
//!
//! In every round each client sends a script of numbered operations down one connection, many at a
//! time, until the server dies. One connection's operations take effect in order, so what survives of
//! a script must be a prefix of it that holds everything acknowledged:
//! - CR1  No acknowledged operation is lost.
//! - CR2  None is applied twice, none without being sent, none behind a gap.
//! - CR3  A sequence number is given once; the numbers after a crash are above all seen before it.
//! - CR4  What was deleted, and what a closed session owned, stays gone.

use std::collections::{BTreeMap, BTreeSet};

/// What operation `i` of a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// setData on the client's own znode, with the version it must have.
    Own,
    /// A sequential child whose name says client, round and number.
    Sequential,
    /// setData on the znode that all clients share, at any version.
    Shared,
}

/// The kinds take turns.
pub(crate) fn kind(i: u64) -> Kind {
    [Kind::Own, Kind::Sequential, Kind::Shared][(i % 3) as usize]
}

/// How many of the first `len` operations are of this kind.
pub(crate) fn count(of: Kind, len: u64) -> u64 {
    (len + 2
        - [Kind::Own, Kind::Sequential, Kind::Shared].iter().position(|k| *k == of).map_or(0, |p| p as u64))
        / 3
}

/// The name of a sequential child, without its number: client, round, operation.
pub(crate) fn prefix(client: usize, round: u64, i: u64) -> String {
    format!("{client}.{round}.{i}-")
}

/// A sequential child's name, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// Which client made it.
    pub(crate) client: usize,
    /// In which round.
    pub(crate) round: u64,
    /// By which operation of its script.
    pub(crate) i: u64,
    /// The number the server gave it.
    pub(crate) number: i64,
}

impl Child {
    /// From a name as [`prefix`] and the server make it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (prefix, number) = name.split_once('-')?;
        let mut parts = prefix.split('.');
        let child = Self {
            client: parts.next()?.parse().ok()?,
            round: parts.next()?.parse().ok()?,
            i: parts.next()?.parse().ok()?,
            number: number.parse().ok()?,
        };
        (parts.next().is_none() && number.len() == 10).then_some(child)
    }
}

/// One client's script in one round, as its client knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Operations sent; those beyond `acked` are uncertain.
    pub(crate) sent: u64,
    /// Operations acknowledged: the first so many.
    pub(crate) acked: u64,
    /// Numbers that acknowledged sequential children were given, by operation.
    pub(crate) numbers: BTreeMap<u64, i64>,
}

/// What is there after a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Per client: version and data of its own znode. The data is `round.operation`.
    pub(crate) own: Vec<(i32, String)>,
    /// The shared znode's version.
    pub(crate) shared: i32,
    /// Names of the sequential children.
    pub(crate) children: Vec<String>,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// CR1: operation `i` was acknowledged and is not there.
    Lost { client: usize, i: u64 },
    /// CR1: fewer changes of the shared znode than were acknowledged.
    LostShared { least: i64, found: i64 },
    /// CR2: more changes of the shared znode than were sent.
    ExtraShared { most: i64, found: i64 },
    /// CR2: the sequential child of one operation is there more than once.
    Twice { client: usize, i: u64 },
    /// CR2: something is there that was not sent in this round.
    NotSent { what: String },
    /// CR2: a later operation took effect and this one did not.
    Gap { client: usize, i: u64 },
    /// CR2: the own znode's data is not that of its last change.
    WrongData { client: usize, expected: String, found: String },
    /// CR3: a number that was given before.
    Repeated { number: i64 },
    /// CR3: the child that was acknowledged with one number is there with another.
    Renumbered { client: usize, i: u64, told: i64, found: i64 },
    /// CR4, or a broken promise to a session: in words.
    Broken(String),
    /// Not one itself: what the server wrote, beside those it goes with.
    Log(String),
    /// The server did not start, or not serve: its error and log.
    NotServing(String),
}

/// What is known for certain, carried from round to round.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    own: Vec<(i32, String)>,
    shared: i32,
    /// The highest sequence number anyone has seen.
    highest: i64,
    /// The round the scripts belong to.
    pub(crate) round: u64,
}

impl Ledger {
    /// Before the first round: every znode at version 0 with empty data.
    pub(crate) fn new(clients: usize) -> Self {
        Self { own: vec![(0, String::new()); clients], shared: 0, highest: -1, round: 0 }
    }

    /// The version of a client's own znode before its script runs.
    pub(crate) fn own_version(&self, client: usize) -> i32 {
        self.own[client].0
    }

    /// Compares what clients were told with what is there, and begins the next round from the latter.
    pub(crate) fn settle(&mut self, scripts: &[Script], observed: &Observed) -> Vec<Violation> {
        let mut found = Vec::new();
        let children = self.settle_children(scripts, observed, &mut found);
        let (mut least, mut most) = (0, 0);
        for (client, script) in scripts.iter().enumerate() {
            let survived = self.settle_client(client, script, &children, observed, &mut found);
            least += count(Kind::Shared, survived.max(script.acked)) as i64;
            // The operation after the last visible one may be a change of the shared znode.
            most += count(Kind::Shared, (survived + 1).max(script.acked).min(script.sent)) as i64;
        }
        let shared = i64::from(observed.shared) - i64::from(self.shared);
        if shared < least {
            found.push(Violation::LostShared { least, found: shared });
        }
        if shared > most {
            found.push(Violation::ExtraShared { most, found: shared });
        }
        let told = scripts.iter().flat_map(|script| script.numbers.values().copied());
        let there = observed.children.iter().filter_map(|name| Child::parse(name)).map(|child| child.number);
        self.highest = told.chain(there).chain([self.highest]).max().unwrap_or(-1);
        (self.own, self.shared) = (observed.own.clone(), observed.shared);
        self.round += 1;
        found
    }

    /// Checks each child by itself; returns (client, operation) → number of those of this round.
    fn settle_children(
        &self,
        scripts: &[Script],
        observed: &Observed,
        found: &mut Vec<Violation>,
    ) -> BTreeMap<(usize, u64), i64> {
        let mut children = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for name in &observed.children {
            let ours = Child::parse(name).filter(|child| {
                child.round == self.round
                    && scripts.get(child.client).is_some_and(|script| child.i < script.sent)
                    && kind(child.i) == Kind::Sequential
            });
            let Some(Child { client, i, number, .. }) = ours else {
                found.push(Violation::NotSent { what: name.clone() });
                continue;
            };
            if children.insert((client, i), number).is_some() {
                found.push(Violation::Twice { client, i });
            }
            if number <= self.highest || !numbers.insert(number) {
                found.push(Violation::Repeated { number });
            }
            if let Some(&told) = scripts[client].numbers.get(&i).filter(|told| **told != number) {
                found.push(Violation::Renumbered { client, i, told, found: number });
            }
        }
        children
    }

    /// Checks one script; returns the length of the prefix that is visibly there.
    fn settle_client(
        &self,
        client: usize,
        script: &Script,
        children: &BTreeMap<(usize, u64), i64>,
        observed: &Observed,
        found: &mut Vec<Violation>,
    ) -> u64 {
        let (version, data) = &observed.own[client];
        let (old_version, old_data) = &self.own[client];
        let sets = (i64::from(*version) - i64::from(*old_version)).max(0) as u64;
        let last_set = sets.checked_sub(1).map(|nth| nth * 3);
        let last_child = children.range((client, 0)..=(client, u64::MAX)).next_back().map(|((_, i), _)| *i);
        let survived = last_set.max(last_child).map_or(0, |last| last + 1).min(script.sent);
        if sets > count(Kind::Own, script.sent) || version < old_version {
            found.push(Violation::NotSent {
                what: format!("version {version} of client {client}'s own znode"),
            });
        }
        let expected = last_set.map_or(old_data.clone(), |i| format!("{}.{i}", self.round));
        if *data != expected {
            found.push(Violation::WrongData { client, expected, found: data.clone() });
        }
        for i in 0..survived.max(script.acked) {
            let there = match kind(i) {
                Kind::Own => last_set.is_some_and(|last| i <= last),
                Kind::Sequential => children.contains_key(&(client, i)),
                Kind::Shared => true, // counted for all clients together
            };
            match there {
                false if i < script.acked => found.push(Violation::Lost { client, i }),
                false => found.push(Violation::Gap { client, i }),
                true => {}
            }
        }
        survived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clients; the first sent 7 operations (3 own, 2 children, 2 shared) and 5 were
    /// acknowledged; the second sent 3 and none was.
    fn told() -> [Script; 2] {
        [
            Script { sent: 7, acked: 5, numbers: BTreeMap::from([(1, 10), (4, 12)]) },
            Script { sent: 3, acked: 0, numbers: BTreeMap::new() },
        ]
    }

    fn ledger() -> Ledger {
        Ledger { own: vec![(4, "2.9".into()), (0, String::new())], shared: 100, highest: 9, round: 3 }
    }

    fn there(own: [(i32, &str); 2], shared: i32, children: &[&str]) -> Observed {
        let own = own.map(|(version, data)| (version, data.to_owned())).into();
        Observed { own, shared, children: children.iter().map(|name| (*name).to_owned()).collect() }
    }

    const A1: &str = "0.3.1-0000000010";
    const A4: &str = "0.3.4-0000000012";

    #[test]
    fn what_may_be_there_after_a_crash_is_accepted() {
        for (name, observed) in [
            ("just what was acknowledged", there([(6, "3.3"), (0, "")], 101, &[A1, A4])),
            ("the sixth, a shared one, too", there([(6, "3.3"), (0, "")], 102, &[A1, A4])),
            ("all seven", there([(7, "3.6"), (0, "")], 102, &[A1, A4])),
            ("the other's first two", there([(6, "3.3"), (1, "3.0")], 101, &[A1, A4, "1.3.1-0000000011"])),
            ("all", there([(7, "3.6"), (1, "3.0")], 103, &[A1, A4, "1.3.1-0000000011"])),
        ] {
            let mut ledger = ledger();
            assert_eq!(ledger.settle(&told(), &observed), [], "{name}");
            assert_eq!((ledger.highest, ledger.round), (12, 4), "{name}");
        }
    }

    #[test]
    fn cr1_cr2_cr3_cr4_what_must_not_be_is_found() {
        use Violation as V;
        let acked = [(6, "3.3"), (0, "")];
        let wrong = |expected: &str, found: &str| V::WrongData {
            client: 0,
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        for (name, observed, expected) in [
            ("CR1: a child is lost", there(acked, 101, &[A1]), vec![V::Lost { client: 0, i: 4 }]),
            (
                "CR1: a set is lost",
                there([(5, "3.0"), (0, "")], 101, &[A1, A4]),
                vec![V::Lost { client: 0, i: 3 }],
            ),
            (
                "CR1: the last of the shared ones is lost",
                there(acked, 100, &[A1, A4]),
                vec![V::LostShared { least: 1, found: 0 }],
            ),
            (
                "CR2: a set is applied twice",
                there([(8, "3.6"), (0, "")], 102, &[A1, A4]),
                vec![V::NotSent { what: "version 8 of client 0's own znode".into() }, wrong("3.9", "3.6")],
            ),
            (
                "CR2: a child is there twice",
                there(acked, 101, &[A1, A4, "0.3.4-0000000013"]),
                vec![V::Twice { client: 0, i: 4 }, V::Renumbered { client: 0, i: 4, told: 12, found: 13 }],
            ),
            (
                "CR2: a shared one is applied twice",
                there(acked, 104, &[A1, A4]),
                vec![V::ExtraShared { most: 2, found: 4 }],
            ),
            (
                "CR2: the other's child without the set before it",
                there(acked, 101, &[A1, A4, "1.3.1-0000000011"]),
                vec![V::Gap { client: 1, i: 0 }],
            ),
            (
                "CR2: a child nobody sent",
                there(acked, 101, &[A1, A4, "1.3.4-0000000011"]),
                vec![V::NotSent { what: "1.3.4-0000000011".into() }],
            ),
            ("CR2: old data", there([(6, "3.0"), (0, "")], 101, &[A1, A4]), vec![wrong("3.3", "3.0")]),
            (
                "CR3: a number from an earlier round",
                there([(6, "3.3"), (1, "3.0")], 101, &[A1, A4, "1.3.1-0000000009"]),
                vec![V::Repeated { number: 9 }],
            ),
            (
                "CR3: one number for two",
                there([(6, "3.3"), (1, "3.0")], 101, &[A1, A4, "1.3.1-0000000012"]),
                vec![V::Repeated { number: 12 }],
            ),
            (
                "CR4: a child of an earlier round, deleted since",
                there(acked, 101, &[A1, A4, "0.2.1-0000000003"]),
                vec![V::NotSent { what: "0.2.1-0000000003".into() }],
            ),
        ] {
            assert_eq!(ledger().settle(&told(), &observed), expected, "{name}");
        }
    }

    #[test]
    fn kinds_are_counted_and_names_read_back() {
        for len in 0..20 {
            for of in [Kind::Own, Kind::Sequential, Kind::Shared] {
                let counted = (0..len).filter(|i| kind(*i) == of).count() as u64;
                assert_eq!(count(of, len), counted, "{of:?} of {len}");
            }
        }
        let child = Child { client: 2, round: 3, i: 4, number: 5 };
        assert_eq!(Child::parse(&format!("{}0000000005", prefix(2, 3, 4))), Some(child));
        for name in ["2.3.4-5", "2.3-0000000005", "x", "2.3.4.5-0000000005"] {
            assert_eq!(Child::parse(name), None, "{name}");
        }
    }
}
