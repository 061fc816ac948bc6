//! What a member votes for, when it has decided, and what it tells the others.

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Memory, Notification, PeerState, Vote};

use super::heir::Heir;
use super::repeat::Repeat;
pub use super::repeat::{MAX_REPEAT_MS, MIN_REPEAT_MS};
use crate::quorum::Quorum;

/// So long a quorum is waited on for a better vote, in ms: liveness only, a late vote costs an election.
pub const GRACE_MS: u64 = 20;
/// A round further ahead of ours than this is no round that elections came to (EL8).
pub const ROUNDS_AHEAD: u64 = 1 << 32;

/// What the shell must do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell this member; it replaces what was told before and is not yet on its way.
    Send {
        /// A member with a live link.
        to: ServerId,
        /// What it is told.
        notification: Notification,
    },
    /// Looking is over: this candidate is to be followed, or leads if it is this member itself.
    Decided(Vote),
}

/// What a member with a vote stands with, and whom it proposes.
#[derive(Clone, Copy, Debug)]
struct Candidacy {
    /// Its initial vote: itself.
    own: Vote,
    /// The greatest it knows of in this round.
    proposal: Vote,
    /// Since when a quorum agrees with the proposal, in ms.
    quorum_since_ms: Option<u64>,
}

/// What the member does.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing yet.
    Idle,
    /// It looks; without a candidacy it only learns.
    Looking(Option<Candidacy>),
    /// It has looked, and is yet to be told its role, which all will hear of. Its word is for the elected.
    Decided(Option<Vote>),
    /// It has a role.
    Settled(PeerState, Vote),
    /// Its role has ended, and it is yet to stand with what its log has, unless the process ends.
    Left { for_good: bool, heir: Option<ServerId> },
}

/// One member's part in all elections of its life.
#[derive(Clone, Debug)]
pub struct Election<Q> {
    pub(super) me: ServerId,
    pub(super) quorum: Q,
    round: u64,
    stage: Stage,
    /// Who has a live link to us, and the newest that each said over it.
    heard: BTreeMap<ServerId, Option<Notification>>,
    repeat: Repeat,
    /// The latest time told.
    now_ms: u64,
    pub(super) memory: Memory,
    /// Its initial vote, if it ever has one.
    own: Option<Vote>,
    had_vote: bool,
    heir: Heir,
}

impl<Q: Quorum> Election<Q> {
    /// A member that does nothing yet and has no link.
    pub fn new(me: ServerId, quorum: Q) -> Self {
        let (heard, repeat) = (BTreeMap::new(), Repeat::default());
        Self {
            me,
            quorum,
            round: 0,
            stage: Stage::Idle,
            heard,
            repeat,
            now_ms: 0,
            memory: Memory::Whole,
            own: None,
            had_vote: false,
            heir: Heir::default(),
        }
    }

    /// What this member remembers, whole unless told: before it looks, and once a leader has given it all.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Whether it had a vote when it decided last.
    pub fn had_vote(&self) -> bool {
        self.had_vote
    }

    /// From now on it looks for a leader: a new round. `own` is its initial vote, for itself; `None` for a
    /// member without a vote (an observer, an amnesiac), which only learns.
    pub fn look(&mut self, own: Option<Vote>, now_ms: u64, out: &mut Vec<Output>) {
        self.now_ms = now_ms;
        let own = own.filter(|_| self.quorum.can_lead(self.me));
        assert!(own.is_none_or(|own| own.leader == self.me), "EL2: {own:?} is not a vote for {}", self.me);
        // Who looked already need not answer, so what it said counts. The word of one that had a leader may
        // be of the past; it answers.
        for heard in self.heard.values_mut() {
            *heard = heard.filter(|heard| heard.state == PeerState::Looking);
        }
        self.own = own;
        self.stage = Stage::Looking(own.filter(|_| self.may_vote()).map(Candidacy::new));
        self.next_round();
        self.step_from(None, out);
    }

    /// It has a role now: what it answers to those who look (its leader's vote, with the epoch that is led
    /// once known). Tells peers that are looking, and those that heard otherwise.
    pub fn settle(&mut self, state: PeerState, vote: Vote, out: &mut Vec<Output>) {
        assert!(state != PeerState::Looking, "EL5: a member that looks has no role");
        let before = self.current();
        self.heir.on_settled(vote.leader);
        self.stage = Stage::Settled(state, vote);
        if before == self.current() { self.tell_listeners(out) } else { self.tell_all(out) }
    }

    /// Its role has ended: it has neither a leader nor a vote to tell of until it looks (EL10), which it will not if it
    /// leaves `for_good`. One that has never looked goes on saying nothing. A leader may name an `heir` (EL11).
    pub fn leave(&mut self, for_good: bool, heir: Option<ServerId>, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Idle) {
            return;
        }
        self.heir.name(heir);
        if for_good && heir.is_some() {
            // First who is named; then that nobody is to be waited for.
            self.stage = Stage::Left { for_good: false, heir };
            self.tell_all(out);
        }
        let before = self.current();
        self.stage = Stage::Left { for_good, heir };
        if before != self.current() {
            self.tell_all(out);
        }
    }

    /// `from` said this. Ignored over a link that is down, and from a round beyond EL8's
    /// bound.
    pub fn on_notification(
        &mut self,
        from: ServerId,
        heard: Notification,
        now_ms: u64,
        out: &mut Vec<Output>,
    ) {
        if heard.round > self.round.saturating_add(ROUNDS_AHEAD) {
            return;
        }
        let Some(word) = self.heard.get_mut(&from) else { return };
        self.now_ms = now_ms;
        if word.replace(heard) != Some(heard) {
            self.repeat.restart(now_ms);
        }
        let before = self.current();
        if self.heir.on_word(from, &heard, &self.quorum) && matches!(self.stage, Stage::Looking(Some(_))) {
            self.next_round(); // what was the greater vote may be the lesser now (EL2)
        }
        self.step_from(before, out);
        // Whoever is behind hears from us; not twice, if our own word changed just now.
        if self.is_to_answer(&heard) && before == self.current() {
            self.tell(from, out);
        }
    }

    /// The ctl lane to a peer has come up (it is told at once what is current) or gone down (what it said
    /// does not count any more).
    pub fn on_link(&mut self, peer: ServerId, is_up: bool, now_ms: u64, out: &mut Vec<Output>) {
        self.now_ms = now_ms;
        self.repeat.restart(now_ms);
        let before = self.current();
        if is_up {
            self.heard.insert(peer, None);
        } else {
            self.heard.remove(&peer);
            if self.proposal().is_some_and(|proposal| proposal.leader == peer) {
                // Others may have it from us: only a new round makes them forget it (EL2).
                self.next_round();
            }
        }
        self.step_from(before, out);
        if is_up && before == self.current() {
            self.tell(peer, out);
        }
    }

    /// When `on_time` is to be called next, in the caller's ms; `None` if time changes nothing.
    pub fn next_due_ms(&self) -> Option<u64> {
        let repeat = self.listeners().next().map(|_| self.repeat.due_ms());
        let quorum_since = match self.stage {
            Stage::Looking(Some(candidacy)) => candidacy.quorum_since_ms,
            _ => None,
        };
        let grace = quorum_since.map(|since| since.saturating_add(GRACE_MS));
        let lapses = self.heir.until_ms().filter(|_| self.is_looking());
        repeat.into_iter().chain(grace).chain(lapses).min()
    }

    /// It is `now_ms`.
    pub fn on_time(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.now_ms = now_ms;
        self.step_from(self.current(), out);
        if self.listeners().next().is_some() && self.repeat.is_due(now_ms) {
            self.tell_listeners(out);
        }
    }

    /// The round of election: from 1 at the first `look`, one more at each, and what others are at.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Whether it looks for a leader and has not decided.
    pub fn is_looking(&self) -> bool {
        matches!(self.stage, Stage::Looking(_))
    }

    /// EL9: what the others remember may give it a vote, or take it.
    fn reconsider(&mut self) {
        let Stage::Looking(candidacy) = self.stage else { return };
        let may_vote = self.own.filter(|_| self.may_vote());
        if candidacy.is_some() != may_vote.is_some() {
            self.stage = Stage::Looking(may_vote.map(Candidacy::new));
            if may_vote.is_some() {
                self.next_round(); // it may have had a greater vote in this one (EL2)
            }
        }
    }

    /// Turns to what was heard, tells what is no longer as `before`, and decides.
    fn step_from(&mut self, before: Option<Notification>, out: &mut Vec<Output>) {
        self.reconsider();
        if matches!(self.stage, Stage::Looking(Some(_))) && self.heir.lapses(self.now_ms) {
            self.next_round(); // what was the greater vote may be the lesser now (EL2)
        }
        self.turn_to_the_greatest();
        if before != self.current() {
            self.tell_all(out);
        }
        self.decide(out);
    }

    /// The round after this one, back to our own vote. It does not overflow: it takes 2^32 peers' lies of
    /// EL8's bound each, and then stays.
    fn next_round(&mut self) {
        self.round = self.round.saturating_add(1);
        if let Stage::Looking(Some(candidacy)) = &mut self.stage {
            *candidacy = Candidacy::new(candidacy.own);
        }
    }

    /// Takes over the highest round of those who look, beginning with our own vote again, and then the
    /// greatest vote of that round.
    fn turn_to_the_greatest(&mut self) {
        let Stage::Looking(Some(mut candidacy)) = self.stage else { return };
        let looking = |(from, heard): (ServerId, Notification)| {
            (heard.state == PeerState::Looking).then(|| (self.counted(from, &heard), heard.round))
        };
        let words: Vec<(Vote, u64)> =
            self.words().filter_map(looking).filter_map(|(vote, round)| Some((vote?, round))).collect();
        let highest = words.iter().map(|(_, round)| *round).max().unwrap_or(0);
        let round = self.round.max(highest);
        if round > self.round {
            candidacy = Candidacy::new(candidacy.own);
        }
        let reachable = |vote: &Vote| self.heard.contains_key(&vote.leader);
        let rank = |vote: &Vote| self.heir.rank(vote);
        let of_round = words.iter().filter(|(_, at)| *at == round).map(|(vote, _)| *vote);
        let best = of_round.filter(reachable).max_by_key(rank);
        if let Some(best) = best.filter(|best| rank(best) > rank(&candidacy.proposal)) {
            candidacy = Candidacy { proposal: best, quorum_since_ms: None, ..candidacy };
        }
        self.round = round;
        self.stage = Stage::Looking(Some(candidacy));
    }

    fn decide(&mut self, out: &mut Vec<Output>) {
        let Stage::Looking(candidacy) = self.stage else { return };
        let decided = self.established().or_else(|| {
            let candidacy = candidacy?;
            let found = self.settled_in_round(candidacy).or_else(|| self.agreed(candidacy))?;
            Some((found, self.round))
        });
        if let Some((vote, round)) = decided {
            self.round = round;
            self.had_vote = candidacy.is_some();
            self.stage = Stage::Decided(candidacy.map(|_| vote));
            out.push(Output::Decided(vote));
        }
    }

    /// A leader that is there, and its round: a quorum has it, and it says so itself. Of what they say, the
    /// leader and its epoch are compared; zxid and round differ between those that were there from its
    /// beginning and those that came later (ZOOKEEPER-1732, 1805).
    fn established(&self) -> Option<(Vote, u64)> {
        self.leaders().find(|(vote, _)| {
            let agrees = |word: (Vote, Notification)| has_role(&word.1) && is_same_reign(&word.0, vote);
            self.quorum.holds_under(vote.peer_epoch, |voter| self.vote_of(voter).is_some_and(agrees))
        })
    }

    /// In this round others have decided already: for one that leads, or for us.
    fn settled_in_round(&self, candidacy: Candidacy) -> Option<Vote> {
        let at_our_round = self.leaders().filter(|(_, round)| *round == self.round).map(|(vote, _)| vote);
        let for_us = self.voices().any(|(vote, heard)| {
            heard.state == PeerState::Following && heard.round == self.round && vote == candidacy.own
        });
        let mut elected = at_our_round.chain(for_us.then_some(candidacy.own));
        elected.find(|vote| self.quorum.holds(|voter| self.supports(voter, vote, candidacy.proposal)))
    }

    /// The proposal, if a quorum has it and there is nothing to wait for (EL7).
    fn agreed(&mut self, mut candidacy: Candidacy) -> Option<Vote> {
        let proposal = candidacy.proposal;
        let supports = |voter| self.supports(voter, &proposal, proposal);
        let since = self.quorum.holds(supports).then(|| candidacy.quorum_since_ms.unwrap_or(self.now_ms));
        let is_unanimous = self
            .heard
            .keys()
            .all(|peer| !self.quorum.is_voter(*peer) || self.is_mute(*peer) || supports(*peer));
        candidacy.quorum_since_ms = since;
        self.stage = Stage::Looking(Some(candidacy));
        let is_over = is_unanimous || self.now_ms >= since?.saturating_add(GRACE_MS);
        (since.is_some() && is_over).then_some(proposal)
    }

    /// Whether this voter's word is for `vote`, in our round; of one with a role the epoch may be younger
    /// than its zxid.
    fn supports(&self, voter: ServerId, vote: &Vote, proposal: Vote) -> bool {
        if voter == self.me {
            return proposal == *vote;
        }
        self.vote_of(voter).is_some_and(|(said, heard)| {
            heard.round == self.round && (said == *vote || (has_role(&heard) && is_same_reign(&said, vote)))
        })
    }

    /// Whether it looks without a vote, so that nothing is to be waited for.
    fn is_mute(&self, peer: ServerId) -> bool {
        let heard = self.heard.get(&peer).copied().flatten();
        heard.is_some_and(|heard| heard.state == PeerState::Looking && heard.vote.is_none())
    }

    /// Who says that it leads, with its round.
    fn leaders(&self) -> impl Iterator<Item = (Vote, u64)> {
        let leading = self.words().filter(|(_, heard)| heard.state == PeerState::Leading);
        leading.filter_map(|(from, heard)| Some((self.counted(from, &heard)?, heard.round)))
    }

    /// All words that count.
    fn voices(&self) -> impl Iterator<Item = (Vote, Notification)> {
        self.words().filter_map(|(from, heard)| Some((self.counted(from, &heard)?, heard)))
    }

    /// What this voter remembers, as far as it has said.
    pub(super) fn memory_of(&self, voter: ServerId) -> Option<Memory> {
        let heard = || self.heard.get(&voter).copied().flatten().map(|heard| heard.memory);
        if voter == self.me { Some(self.memory) } else { heard() }
    }

    pub(super) fn quorum(&self) -> &Q {
        &self.quorum
    }

    fn words(&self) -> impl Iterator<Item = (ServerId, Notification)> {
        self.heard.iter().filter_map(|(from, heard)| Some((*from, (*heard)?)))
    }

    fn vote_of(&self, voter: ServerId) -> Option<(Vote, Notification)> {
        let heard = self.heard.get(&voter).copied().flatten()?;
        Some((self.counted(voter, &heard)?, heard))
    }

    /// The vote in it, if it counts (EL1). Who leads has its own, who follows another's.
    fn counted(&self, from: ServerId, heard: &Notification) -> Option<Vote> {
        let fits = |vote: &Vote| match heard.state {
            PeerState::Looking => true,
            PeerState::Following => vote.leader != from,
            PeerState::Leading => vote.leader == from,
            PeerState::Observing => false,
        };
        heard
            .vote
            .filter(|vote| self.quorum.is_voter(from) && self.quorum.can_lead(vote.leader) && fits(vote))
            .filter(|_| self.may_count(heard.memory))
    }

    fn proposal(&self) -> Option<Vote> {
        match self.stage {
            Stage::Looking(Some(candidacy)) => Some(candidacy.proposal),
            _ => None,
        }
    }

    /// What it has to say; nothing before it first looks.
    fn current(&self) -> Option<Notification> {
        let (state, vote) = match self.stage {
            Stage::Idle => return None,
            Stage::Looking(_) => (PeerState::Looking, self.proposal()),
            Stage::Decided(vote) => (PeerState::Looking, vote),
            Stage::Settled(state, vote) => (state, Some(vote)),
            // Who looks and has no vote is not waited for (EL7).
            Stage::Left { for_good: true, .. } => (PeerState::Looking, None),
            Stage::Left { for_good: false, heir } => (PeerState::Observing, heir.map(Heir::vote)),
        };
        Some(Notification { state, vote, round: self.round, memory: self.memory })
    }

    /// One that looks is answered by those that have a role, and by those that look in a higher round; one that votes
    /// also by those that had a role until now, two of which would answer each other for ever.
    fn is_to_answer(&self, heard: &Notification) -> bool {
        heard.state == PeerState::Looking
            && match self.stage {
                Stage::Looking(_) => heard.vote.is_some() && heard.round < self.round,
                Stage::Settled(..) => true,
                Stage::Left { .. } => heard.vote.is_some(),
                Stage::Idle | Stage::Decided(_) => false,
            }
    }

    /// Who is told again and again.
    fn listeners(&self) -> impl Iterator<Item = ServerId> {
        let looks = |heard: Option<Notification>| heard.is_some_and(|it| it.state == PeerState::Looking);
        let is_told = move |heard| match self.stage {
            Stage::Idle | Stage::Decided(_) => false,
            Stage::Looking(_) => true,
            Stage::Settled(..) | Stage::Left { .. } => looks(heard),
        };
        self.heard.iter().filter(move |(_, heard)| is_told(**heard)).map(|(peer, _)| *peer)
    }

    fn tell_listeners(&self, out: &mut Vec<Output>) {
        self.listeners().for_each(|to| self.tell(to, out));
    }

    /// What is current is new.
    fn tell_all(&mut self, out: &mut Vec<Output>) {
        self.repeat.restart(self.now_ms);
        self.heard.keys().for_each(|to| self.tell(*to, out));
    }

    fn tell(&self, to: ServerId, out: &mut Vec<Output>) {
        if let Some(notification) = self.current() {
            out.push(Output::Send { to, notification });
        }
    }

    /// Panics where an invariant does not hold; for tests and simulation.
    pub fn check(&self) {
        let Stage::Looking(candidacy) = self.stage else { return };
        assert!(self.round > 0, "EL8: who looks is in a round");
        let Some(Candidacy { own, proposal, quorum_since_ms }) = candidacy else { return };
        assert_eq!(own.leader, self.me, "EL2: its own vote is for itself");
        let follows =
            self.heir.rank(&proposal) > self.heir.rank(&own) && self.heard.contains_key(&proposal.leader);
        assert!(proposal == own || follows, "EL2: {proposal:?} of one that stands with {own:?}");
        assert!(self.quorum.can_lead(proposal.leader), "EL1: {proposal:?} cannot lead");
        let holds = self.quorum.holds(|voter| self.supports(voter, &proposal, proposal));
        assert_eq!(holds, quorum_since_ms.is_some(), "EL7: a quorum is waited on, and nothing else");
        let over = quorum_since_ms.is_some_and(|since| self.now_ms >= since.saturating_add(GRACE_MS));
        assert!(!over, "EL7: decided by now");
    }
}

impl Candidacy {
    fn new(own: Vote) -> Self {
        Self { own, proposal: own, quorum_since_ms: None }
    }
}

fn has_role(heard: &Notification) -> bool {
    matches!(heard.state, PeerState::Following | PeerState::Leading)
}

fn is_same_reign(a: &Vote, b: &Vote) -> bool {
    (a.leader, a.peer_epoch) == (b.leader, b.peer_epoch)
}

#[cfg(test)]
mod tests;
