//! Which servers a member has links to, and where each is looked for: decided here, made by the [`super::LinkKeeper`].
//!
//! - PL8  There is a link to each server that our file names, or a configuration that we go by, however late that comes; and
//!   to each that says it is of our ensemble, and of which we have not heard: its configuration may be later than ours,
//!   so we listen to it. Nobody else is spoken with.
//!
//! A link that is made stays: whom the ensemble has left behind is not looked for, and may still come. There are at most as
//! many as there are ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use paddock_config::PeerAddress;
use paddock_config::members::{MAX_ID, Members};
use paddock_messages::frame::Lane;
use paddock_messages::ids::ServerId;

use crate::membership::Joint;
use crate::quorum::Quorum;

/// Where a server listens to other members: the first that leads to it is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts(Vec<PeerAddress>);

impl Whereabouts {
    /// Hosts and the lane's ports.
    pub fn of(&self, lane: Lane) -> Vec<(String, u16)> {
        let port = |at: &PeerAddress| match lane {
            Lane::Ctl => at.election_port,
            Lane::Data => at.quorum_port,
        };
        self.0.iter().map(|at| (at.host.clone(), port(at))).collect()
    }

    /// Takes these, too.
    fn add(&mut self, more: &[PeerAddress]) {
        for at in more {
            if !self.0.contains(at) {
                self.0.push(at.clone());
            }
        }
    }
}

/// As an operator reads it.
impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, PeerAddress { host, quorum_port, election_port }) in self.0.iter().enumerate() {
            write!(f, "{}{host}:{quorum_port}:{election_port}", if nth > 0 { ", " } else { "" })?;
        }
        if self.0.is_empty() { f.write_str("nowhere") } else { Ok(()) }
    }
}

/// What the keeper of the links is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a link to this server, which is there.
    Make(ServerId, Whereabouts),
    /// The server of this link is to be looked for there; nowhere: it is waited for.
    Move(ServerId, Whereabouts),
}

/// One member's.
#[derive(Clone, Debug)]
pub struct Roster {
    me: ServerId,
    /// As our file has them.
    file: Members,
    /// Whom the file and what we go by name, without ourselves.
    named: BTreeMap<ServerId, Whereabouts>,
    /// To whom there are links.
    linked: BTreeSet<ServerId>,
}

impl Roster {
    /// Of a member with this file. It has no link until it is told what it goes by.
    pub fn new(me: ServerId, file: Members) -> Self {
        Self { me, file, named: BTreeMap::new(), linked: BTreeSet::new() }
    }

    /// We go by these (MB1): where they say that a server is it is looked for first, and then where the file has it.
    pub fn go_by<Q: Quorum>(&mut self, by: &Joint<Q>) -> Vec<Change> {
        let mut named: BTreeMap<ServerId, Whereabouts> = BTreeMap::new();
        let next = by.next().map(|next| &next.members);
        for members in next.into_iter().chain([&by.now().members, &self.file]) {
            for (id, server) in members.servers.iter().filter(|(id, _)| **id != self.me) {
                named.entry(*id).or_default().add(&server.addresses);
            }
        }
        let before = std::mem::replace(&mut self.named, named);
        let mut changes = Vec::new();
        for (id, there) in self.named.iter().filter(|(id, there)| before.get(id) != Some(there)) {
            let is_new = self.linked.insert(*id);
            let change = if is_new { Change::Make } else { Change::Move };
            changes.push(change(*id, there.clone()));
        }
        let left = before.into_keys().filter(|id| !self.named.contains_key(id));
        changes.extend(left.map(|id| Change::Move(id, Whereabouts::default())));
        changes
    }

    /// A server whom nobody names says that it is of our ensemble.
    pub fn on_guest(&mut self, id: ServerId) -> Option<Change> {
        let is_one = id != self.me && id.0 <= MAX_ID.unsigned_abs();
        (is_one && self.linked.insert(id)).then(|| Change::Make(id, Whereabouts::default()))
    }

    /// Whether there is a link to this server.
    pub fn has_link(&self, id: ServerId) -> bool {
        self.linked.contains(&id)
    }

    /// Whether this server is named: its hellos are welcome.
    pub fn names(&self, id: ServerId) -> bool {
        self.named.contains_key(&id)
    }

    /// All of those, and ourselves.
    pub fn members(&self) -> BTreeSet<ServerId> {
        self.named.keys().copied().chain([self.me]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::Majority;

    const ME: ServerId = ServerId(1);

    fn members(lines: &[(u64, &str)]) -> Members {
        let line = |(id, host): &(u64, &str)| format!("server.{id}={host}:2888:3888:participant\n");
        Members::read(&lines.iter().map(line).collect::<String>()).unwrap()
    }

    fn by(now: &[(u64, &str)], next: Option<&[(u64, &str)]>) -> Joint<Majority> {
        let now = members(now);
        let mut by = Joint::of(now.clone(), Majority(now.voters()));
        if let Some(next) = next {
            by.begin(members(next));
        }
        by
    }

    fn at(hosts: &[&str]) -> Whereabouts {
        let at = |host: &&str| PeerAddress { host: (*host).into(), quorum_port: 2888, election_port: 3888 };
        Whereabouts(hosts.iter().map(at).collect())
    }

    #[test]
    fn pl8_whoever_is_named_is_linked_from_the_moment_it_is_in_the_log() {
        let file = [(1, "a"), (2, "b")];
        let mut roster = Roster::new(ME, members(&file));
        assert_eq!(roster.go_by(&by(&file, None)), [Change::Make(ServerId(2), at(&["b"]))]);
        assert!(roster.go_by(&by(&file, None)).is_empty(), "nothing is new");
        let three: &[_] = &[(1, "a"), (2, "b"), (3, "c")];
        assert_eq!(roster.go_by(&by(&file, Some(three))), [Change::Make(ServerId(3), at(&["c"]))]);
        assert!(roster.go_by(&by(three, None)).is_empty());
        assert_eq!(roster.members(), BTreeSet::from([1, 2, 3].map(ServerId)));
    }

    #[test]
    fn pl8_one_that_moves_is_looked_for_at_each_place_that_is_named() {
        let file = [(1, "a"), (2, "b")];
        let mut roster = Roster::new(ME, members(&file));
        roster.go_by(&by(&file, None));
        let (old, new): (&[_], &[_]) = (&[(1, "a"), (2, "old")], &[(1, "a"), (2, "new")]);
        let moved = |there: &[&str]| vec![Change::Move(ServerId(2), at(there))];
        assert_eq!(roster.go_by(&by(old, None)), moved(&["old", "b"]));
        assert_eq!(roster.go_by(&by(old, Some(new))), moved(&["new", "old", "b"]));
        assert_eq!(roster.go_by(&by(new, None)), moved(&["new", "b"]));
    }

    #[test]
    fn pl8_who_has_left_is_not_looked_for_and_keeps_its_link() {
        let mut roster = Roster::new(ME, members(&[(1, "a"), (2, "b")]));
        roster.go_by(&by(&[(1, "a"), (2, "b"), (3, "c")], None));
        let gone = roster.go_by(&by(&[(1, "a"), (2, "b")], None));
        assert_eq!(gone, [Change::Move(ServerId(3), at(&[]))]);
        assert!(roster.has_link(ServerId(3)) && !roster.names(ServerId(3)));
        assert_eq!(roster.on_guest(ServerId(3)), None, "it has a link");
        let back = roster.go_by(&by(&[(1, "a"), (2, "b"), (3, "d")], None));
        assert_eq!(back, [Change::Move(ServerId(3), at(&["d"]))]);
        assert!(
            roster.go_by(&by(&[(1, "a")], None)) == [Change::Move(ServerId(3), at(&[]))],
            "2 is the file's"
        );
    }

    #[test]
    fn pl8_a_guest_gets_one_link_and_is_looked_for_once_it_is_named() {
        let mut roster = Roster::new(ME, members(&[(1, "a"), (2, "b")]));
        roster.go_by(&by(&[(1, "a"), (2, "b")], None));
        assert_eq!(roster.on_guest(ServerId(7)), Some(Change::Make(ServerId(7), at(&[]))));
        for known in [1, 2, 7, 256, u64::MAX] {
            assert_eq!(roster.on_guest(ServerId(known)), None, "{known}");
        }
        assert!(!roster.names(ServerId(7)) && roster.has_link(ServerId(7)));
        let named = roster.go_by(&by(&[(1, "a"), (7, "g")], None));
        assert_eq!(named, [Change::Move(ServerId(7), at(&["g"]))]);
    }
}
