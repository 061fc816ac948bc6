//! Whole elections: members with random delivery, loss, links that break at each end by itself, and members
//! that start late, by a seed. `SEED=81` runs that one; a failure prints its seed.
//!
//! What stands for the roles around the core: an elected leader that a quorum follows begins an epoch, which
//! its followers learn; whoever has no such leader after a time, or loses it, looks again.

use std::collections::{BTreeSet, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::quorum::Majority;

/// How long a role waits for its leader's epoch, in ms: two peer timeouts of the default.
const PATIENCE_MS: u64 = 2_000;
/// How often roles look around, in ms.
const ROLES_MS: u64 = 25;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Off,
    Looking,
    /// Of this leader; without an epoch until a quorum is there.
    Has {
        leader: u64,
        since_ms: u64,
        epoch: Option<Epoch>,
    },
}

pub(super) struct Member {
    pub(super) election: Election<Majority>,
    pub(super) role: Role,
    /// Its epoch and zxid; `None` for an observer.
    pub(super) own: Option<Vote>,
    /// The newest word of each, over a link that is up at this end: what EL1 lets count.
    words: BTreeMap<u64, Notification>,
    /// Whose link is up at this end.
    pub(super) up: BTreeSet<u64>,
    /// The last word sent to each since its link came up.
    told: BTreeMap<u64, Notification>,
    /// Its own greatest vote in its round since it looks.
    voted: Option<(u64, Vote)>,
}

/// A decision, and the words that it rests on.
pub(super) struct Decision {
    pub(super) by: u64,
    pub(super) vote: Vote,
    pub(super) at_ms: u64,
    support: BTreeMap<u64, Notification>,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    voters: BTreeSet<ServerId>,
    pub(super) members: BTreeMap<u64, Member>,
    /// In flight from one to the other, with the time of arrival, in order.
    wires: BTreeMap<(u64, u64), VecDeque<(u64, Notification)>>,
    pub(super) now_ms: u64,
    /// Of a hundred notifications so many are lost.
    pub(super) loss: u32,
    /// The longest way of a notification, in ms.
    pub(super) delay_ms: u64,
    pub(super) decisions: Vec<Decision>,
    highest: Epoch,
}

impl World {
    pub(super) fn new(seed: u64, voters: u64, observers: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let quorum: BTreeSet<ServerId> = (1..=voters).map(ServerId).collect();
        let member = |id: u64| {
            let election = Election::new(ServerId(id), Majority(quorum.clone()));
            let own = vote(id, rng.random_range(1..4), rng.random_range(1..4));
            let own = (id <= voters).then_some(own);
            let (words, up, told) = Default::default();
            (id, Member { election, role: Role::Off, own, words, up, told, voted: None })
        };
        let members = (1..=voters + observers).map(member).collect();
        let (wires, decisions) = Default::default();
        let (now_ms, loss, delay_ms, highest) = (0, 0, 3, Epoch(9));
        Self { rng, voters: quorum, members, wires, now_ms, loss, delay_ms, decisions, highest }
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    pub(super) fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    /// Calls one member's election, and does what it says.
    fn call(&mut self, id: u64, call: impl FnOnce(&mut Election<Majority>, u64, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let now_ms = self.now_ms;
        let member = self.member(id);
        call(&mut member.election, now_ms, &mut out);
        member.election.check();
        for output in out {
            match output {
                Output::Send { to, notification } => self.send(id, to.0, notification),
                Output::Decided(vote) => self.decided(id, vote),
            }
        }
        let member = self.member(id);
        if member.election.is_looking() {
            // EL6: every link has the newest word.
            let current = member.election.current();
            assert!(member.up.iter().all(|to| member.told.get(to).copied() == current), "EL6: {id}");
        }
    }

    fn send(&mut self, from: u64, to: u64, notification: Notification) {
        let member = self.member(from);
        assert!(member.up.contains(&to), "EL6: {from} has no link to {to}");
        member.told.insert(to, notification);
        if let (PeerState::Looking, Some(vote)) = (notification.state, notification.vote) {
            let before = member.voted.filter(|(round, _)| *round == notification.round);
            assert!(before.is_none_or(|(_, before)| before <= vote), "EL2: {from} went back to {vote:?}");
            member.voted = Some((notification.round, vote));
        }
        if self.members[&to].up.contains(&from) && self.rng.random_range(0..100) >= self.loss {
            let arrival = self.now_ms + self.rng.random_range(1..=self.delay_ms);
            let wire = self.wires.entry((from, to)).or_default();
            let arrival = wire.back().map_or(arrival, |(last, _)| arrival.max(*last));
            wire.push_back((arrival, notification));
        }
    }

    /// EL3, EL4: by what it was told, a quorum said so.
    fn decided(&mut self, by: u64, vote: Vote) {
        let is_voter = |id: &u64| self.voters.contains(&ServerId(*id));
        let member = &self.members[&by];
        let round = member.election.round();
        let words = || member.words.iter().filter(|(id, _)| is_voter(id));
        let has_role = |word: &Notification| matches!(word.state, PeerState::Following | PeerState::Leading);
        let reign = |word: &Notification| word.vote.map(|vote| (vote.leader, vote.peer_epoch));
        let same_reign =
            |word: &Notification| has_role(word) && reign(word) == Some((vote.leader, vote.peer_epoch));
        let leads = member.words.get(&vote.leader.0).is_some_and(|word| word.state == PeerState::Leading);
        let established: BTreeMap<u64, Notification> =
            words().filter(|(_, word)| same_reign(word)).map(|(id, word)| (*id, *word)).collect();
        let mut elected: BTreeMap<u64, Notification> = words()
            .filter(|(_, word)| word.round == round && (word.vote == Some(vote) || same_reign(word)))
            .map(|(id, word)| (*id, *word))
            .collect();
        if member.voted == Some((round, vote)) {
            elected.insert(
                by,
                Notification { state: PeerState::Looking, vote: Some(vote), round, memory: Memory::Whole },
            );
        }
        let holds = |set: &BTreeMap<u64, Notification>| set.len() * 2 > self.voters.len();
        let support = if holds(&established) && leads {
            established
        } else {
            assert!(member.own.is_some(), "EL4: {by} has no vote, and elected {vote:?}");
            assert!(holds(&elected), "EL3: {by} decided for {vote:?} with {elected:?}");
            elected
        };
        assert!(is_voter(&vote.leader.0), "EL1: {vote:?}");
        let is_reachable = vote.leader.0 == by || member.up.contains(&vote.leader.0);
        assert!(is_reachable, "EL2: {by} could not follow {vote:?}");
        // Whoever decided otherwise had another word of a voter that both rest on.
        for other in self.decisions.iter().filter(|other| other.vote.leader != vote.leader) {
            let differs =
                |(id, word): (&u64, &Notification)| other.support.get(id).is_some_and(|it| it != word);
            assert!(support.iter().any(differs), "EL3: {by} and {} decided on the same words", other.by);
        }
        self.decisions.push(Decision { by, vote, at_ms: self.now_ms, support });
        self.take_role(by, vote, None);
    }

    fn take_role(&mut self, id: u64, vote: Vote, epoch: Option<Epoch>) {
        let since_ms = self.now_ms;
        let member = self.member(id);
        member.role = Role::Has { leader: vote.leader.0, since_ms, epoch };
        let state = match (&member.own, vote.leader.0 == id) {
            (None, _) => PeerState::Observing,
            (_, true) => PeerState::Leading,
            (_, false) => PeerState::Following,
        };
        let vote = Vote { peer_epoch: epoch.unwrap_or(vote.peer_epoch), ..vote };
        if let (Some(own), Some(epoch)) = (&mut member.own, epoch) {
            own.peer_epoch = epoch;
        }
        self.call(id, |election, _, out| election.settle(state, vote, out));
    }

    pub(super) fn look(&mut self, id: u64) {
        let member = self.member(id);
        (member.role, member.voted) = (Role::Looking, None);
        let own = member.own;
        self.call(id, |election, now_ms, out| election.look(own, now_ms, out));
    }

    /// One end of a link sees it come up or go down; what was on its way to this end is gone.
    pub(super) fn link(&mut self, at: u64, to: u64, is_up: bool) {
        self.wires.remove(&(to, at));
        let member = self.member(at);
        member.words.remove(&to);
        member.told.remove(&to);
        if is_up {
            member.up.insert(to)
        } else {
            member.up.remove(&to)
        };
        self.call(at, |election, now_ms, out| election.on_link(ServerId(to), is_up, now_ms, out));
    }

    /// Both ends, one right after the other; the order is the seed's. A link that was up breaks first.
    pub(super) fn link_both(&mut self, a: u64, b: u64, is_up: bool) {
        let (a, b) = if self.rng.random() { (a, b) } else { (b, a) };
        for (at, to) in [(a, b), (b, a)] {
            if self.members[&at].up.contains(&to) {
                self.link(at, to, false);
            }
        }
        // Before either says anything both ends are there: a connection is one for both.
        if is_up {
            self.member(b).up.insert(a);
            self.link(a, b, true);
            let greeting = self.wires.remove(&(a, b));
            self.link(b, a, true);
            self.wires.extend(greeting.map(|greeting| ((a, b), greeting)));
        }
    }

    /// A member that is on starts anew, with no link and no memory of rounds.
    pub(super) fn stop(&mut self, id: u64) {
        for other in self.ids() {
            self.link_both(id, other, false);
        }
        let quorum = Majority(self.voters.clone());
        let member = self.member(id);
        member.election = Election::new(ServerId(id), quorum);
        (member.role, member.voted) = (Role::Off, None);
    }

    pub(super) fn start(&mut self, id: u64) {
        self.look(id);
        for other in self.ids() {
            if other != id && self.members[&other].role != Role::Off {
                self.link_both(id, other, true);
            }
        }
    }

    /// Lets `ms` pass.
    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_ms += 1;
            self.deliver();
            for id in self.ids() {
                let due = self.members[&id].election.next_due_ms();
                if due.is_some_and(|due| due <= self.now_ms) {
                    self.call(id, |election, now_ms, out| election.on_time(now_ms, out));
                }
            }
            if self.now_ms.is_multiple_of(ROLES_MS) {
                self.ids().into_iter().for_each(|id| self.look_around(id));
            }
        }
    }

    fn deliver(&mut self) {
        let mut due: Vec<(u64, u64)> = self.wires.keys().copied().collect();
        // In any order of links, each in its own.
        for at in (1..due.len()).rev() {
            due.swap(at, self.rng.random_range(0..=at));
        }
        for (from, to) in due {
            while let Some(wire) = self.wires.get_mut(&(from, to)) {
                let Some((_, heard)) = wire.pop_front_if(|(arrival, _)| *arrival <= self.now_ms) else {
                    break;
                };
                self.member(to).words.insert(from, heard);
                let from = ServerId(from);
                self.call(to, |election, now_ms, out| election.on_notification(from, heard, now_ms, out));
            }
        }
    }

    /// What a role does now and then.
    fn look_around(&mut self, id: u64) {
        let Role::Has { leader, since_ms, epoch } = self.members[&id].role else { return };
        let follows = |other: &u64| {
            matches!(self.members[other].role, Role::Has { leader, .. } if leader == id)
                && (*other == id || self.members[other].up.contains(&id))
        };
        let has_quorum = self.voters.iter().filter(|voter| follows(&voter.0)).count() * 2 > self.voters.len();
        let patient = self.now_ms < since_ms + PATIENCE_MS;
        if leader == id {
            match epoch {
                None if has_quorum => {
                    self.highest = self.highest.next().unwrap();
                    let own = self.members[&id].own.unwrap();
                    self.take_role(id, own, Some(self.highest));
                }
                Some(_) if has_quorum => {}
                None if patient => {}
                _ => self.look(id),
            }
            return;
        }
        let led = match self.members[&leader].role {
            Role::Has { leader: its, epoch, .. } if its == leader => Some(epoch),
            _ => None,
        };
        match led.filter(|_| self.members[&id].up.contains(&leader)) {
            Some(Some(led)) if epoch == Some(led) => {}
            Some(Some(led)) if epoch.is_none() => {
                let vote = self.members[&leader].own.unwrap();
                self.take_role(id, vote, Some(led));
            }
            Some(None) if epoch.is_none() && patient => {}
            None if epoch.is_none() && patient && self.members[&id].up.contains(&leader) => {}
            _ => self.look(id),
        }
    }

    /// The leader that all who are on follow, in one epoch.
    pub(super) fn leader(&self) -> Option<u64> {
        let mut roles = self.members.values().map(|member| member.role).filter(|role| *role != Role::Off);
        let reign = |role| match role {
            Role::Has { leader, epoch: Some(epoch), .. } => Some((leader, epoch)),
            _ => None,
        };
        let first = reign(roles.next()?)?;
        roles.all(|role| reign(role) == Some(first)).then_some(first.0)
    }

    /// Runs until there is such a leader; how long it took, in ms.
    pub(super) fn run_to_leader(&mut self, most_ms: u64) -> u64 {
        let begun = self.now_ms;
        while self.leader().is_none() {
            let roles: Vec<_> = self.members.iter().map(|(id, member)| (id, member.role)).collect();
            assert!(self.now_ms - begun < most_ms, "no leader after {most_ms} ms: {roles:?}");
            self.run(1);
        }
        self.now_ms - begun
    }
}
