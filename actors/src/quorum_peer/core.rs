//! The member's role, decided: what elections and evidence make of it.

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Digests, Heartbeat};
use paddock_messages::zxid::Epoch;

use super::digests::{Comparison, Finding};
use super::moving::Moving;
use super::progress::{OwnDigests, Progress, Reign, Stay};
use super::pulse::Pulse;
use crate::proposer::lag::Behind;
use crate::quorum::Quorum;

/// So long a leader may take to hand the lead over as its process ends, in ms (Q7).
pub const HAND_OVER_MS: u64 = 500;

/// What the shell must do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Down the ctl lane; it replaces one that is not yet on its way.
    Heartbeat(ServerId, Heartbeat),
    /// This learner has not answered for a timeout: its lane is to be closed.
    Drop(ServerId),
    /// A quorum has confirmed the lead, for the syncs up to this one (P11).
    Confirmed(u64),
    /// End the role, let the log finish, then elect (Q4). Why is for the log.
    Look(&'static str),
    /// Lead.
    Lead,
    /// Follow this member.
    Follow(ServerId),
    /// Members' trees differ.
    Differs(Finding),
    /// Have the Proposer end the role once all that it has numbered is committed (P15), and this one has it (Q8).
    HandOver(Option<ServerId>),
    /// End the role, and begin none (Q7). Why is for the log.
    Retire(&'static str),
}

/// What the member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It looks for a leader.
    Looking,
    /// It is one, or about to be.
    Leading,
    /// It has one.
    Following(ServerId),
}

/// How long to wait, in ms.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// `peerTimeout`: after so long without an answer a peer counts as gone.
    pub peer_timeout_ms: u64,
    /// `initLimit` ticks: what synchronisation may take.
    pub init_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub struct QuorumPeer<Q> {
    me: ServerId,
    quorum: Q,
    timing: Timing,
    pulses: BTreeMap<ServerId, Pulse>,
    next_beat_ms: u64,
    role: Role,
    since_ms: u64,
    /// What the member has accepted: told in every heartbeat, before it is acknowledged.
    accepted: Epoch,
    rounds: Rounds,
    /// Since when clients are served in this role, as far as was looked.
    serving_since_ms: Option<u64>,
    /// The learners that have a lane to us, and since when, as far as was looked.
    connected: BTreeMap<ServerId, u64>,
    /// When synchronisation was last seen to go on, and how far it was then.
    progressed: (u64, u64),
    /// Since when the next epoch is told over the lanes of the last.
    rolls_over_since_ms: Option<u64>,
    /// Since when our leader's heartbeats tell of a later epoch than the one in which we follow it.
    overtaken_since_ms: Option<u64>,
    /// When our leader's heartbeat was last answered at once.
    answered_ms: u64,
    digests: Comparison,
    /// What heartbeats tell of our tree.
    told: Digests,
    /// The process is to end, and by then the role (Q7).
    retires_by_ms: Option<u64>,
    pub(super) moving: Option<Moving>,
}

/// Rounds of heartbeats that confirm the lead: one on its way, and one for all that came meanwhile.
#[derive(Debug, Default)]
struct Rounds {
    /// The heartbeat that each peer must answer, and for which sync it was begun.
    under_way: Option<(BTreeMap<ServerId, u64>, u64)>,
    next: Option<u64>,
}

impl<Q: Quorum> QuorumPeer<Q> {
    /// `me`, of an ensemble to whose other members there is no link yet. It looks for a leader.
    pub fn new(me: ServerId, quorum: Q, timing: Timing, now_ms: u64) -> Self {
        let pulses = BTreeMap::new();
        let digests = Comparison::new(me, 2 * timing.peer_timeout_ms);
        Self {
            me,
            quorum,
            timing,
            pulses,
            next_beat_ms: now_ms,
            role: Role::Looking,
            since_ms: now_ms,
            accepted: Epoch(0),
            rounds: Rounds::default(),
            serving_since_ms: None,
            connected: BTreeMap::new(),
            progressed: (0, 0),
            rolls_over_since_ms: None,
            overtaken_since_ms: None,
            answered_ms: 0,
            digests,
            told: Digests::default(),
            retires_by_ms: None,
            moving: None,
        }
    }

    /// From here on these decide (MB1). A round that is under way goes on: it is about what was asked before.
    pub fn decide_by(&mut self, quorum: Q) {
        self.quorum = quorum;
    }

    /// Who decides.
    pub fn quorum(&self) -> &Q {
        &self.quorum
    }

    /// Whether this member has a vote.
    pub fn is_voter(&self) -> bool {
        self.quorum.is_voter(self.me)
    }

    /// This epoch is durable as accepted. To be called before anybody is told so (P11).
    pub fn on_accepted(&mut self, epoch: Epoch) {
        self.accepted = self.accepted.max(epoch);
    }

    /// These are the latest digests of our tree.
    pub fn on_digests(&mut self, own: &OwnDigests) {
        self.told = own.latest;
        self.digests.on_own(own);
    }

    /// Which of our trees was compared last.
    pub fn tree(&self) -> u64 {
        self.digests.tree()
    }

    /// A sync of this number waits: its round begins now, or with the next if one is on its way.
    pub fn on_sync(&mut self, number: u64, now_ms: u64, out: &mut Vec<Output>) {
        self.confirm(now_ms, out); // what was answered may count since: our own epoch is another (Z11)
        self.rounds.next = Some(number);
        if self.rounds.under_way.is_none() {
            self.begin_round(now_ms, out);
        }
    }

    fn begin_round(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let Some(number) = self.rounds.next.take() else { return };
        self.beat(now_ms, |_| false, out);
        let asked = self.pulses.iter().map(|(peer, pulse)| (*peer, pulse.sent())).collect();
        self.rounds.under_way = Some((asked, number));
    }

    /// To all peers; a leader vouches for those that it serves.
    fn beat(&mut self, now_ms: u64, serves: impl Fn(ServerId) -> bool, out: &mut Vec<Output>) {
        let (accepted, timeout_ms, digests) = (self.accepted, self.timing.peer_timeout_ms, self.told);
        let beats = self
            .pulses
            .iter_mut()
            .map(|(peer, it)| (*peer, it.beat(accepted, serves(*peer), timeout_ms, now_ms)));
        out.extend(beats.map(|(peer, beat)| Output::Heartbeat(peer, Heartbeat { digests, ..beat })));
    }

    /// Until when a ping may be answered, which promises that its session lives for a whole timeout from then
    /// (E1). A leader may while a quorum answers; a learner while its leader, who vouched for it, does.
    pub fn promises_until_ms(&self, progress: &Progress) -> Option<u64> {
        match (self.role, progress) {
            (Role::Leading, Progress::Leading(reign)) => {
                let epoch = reign.established?;
                let turned = |it| reign.next.filter(|_| reign.turned.contains(&it));
                self.leads_until_ms(reign, |it| turned(it).unwrap_or(epoch))
            }
            (Role::Following(leader), Progress::Following(stay)) => {
                let vouched = self.pulses.get(&leader).and_then(Pulse::vouched_ms)?;
                let holds = stay.is_serving && vouched >= self.since_ms;
                holds.then_some(vouched + self.timing.peer_timeout_ms)
            }
            _ => None,
        }
    }

    /// Whether a ping may be answered now.
    pub fn may_promise(&self, now_ms: u64, progress: &Progress) -> bool {
        self.promises_until_ms(progress).is_some_and(|until| now_ms <= until)
    }

    /// Q3: until when a quorum of synchronised voters has answered in time, if nothing more is heard. None counts that
    /// has accepted an epoch after the one that `latest` allows it.
    fn leads_until_ms(&self, reign: &Reign, latest: impl Fn(ServerId) -> Epoch) -> Option<u64> {
        let until = |it: ServerId| {
            let follows = self.pulses.get(&it).is_some_and(|pulse| !pulse.has_left(latest(it)));
            let counts = reign.synchronised.contains(&it) && follows;
            if it == self.me { Some(u64::MAX) } else { counts.then(|| self.answered_until_ms(it)) }
        };
        let mut times: Vec<u64> = self.pulses.keys().chain([&self.me]).filter_map(|it| until(*it)).collect();
        times.sort_unstable();
        times.into_iter().rev().find(|at| self.quorum.holds(|it| until(it).is_some_and(|it| it >= *at)))
    }

    /// P11: our own epoch is the one that we have accepted last; of later ones we would know.
    fn confirm(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let Some((asked, number)) = &self.rounds.under_way else { return };
        let vouches = |it: ServerId| {
            let pulse = self.pulses.get(&it).zip(asked.get(&it));
            it == self.me || pulse.is_some_and(|(pulse, number)| pulse.vouches(*number, self.accepted))
        };
        if self.quorum.holds(vouches) {
            out.push(Output::Confirmed(*number));
            self.rounds.under_way = None;
            self.begin_round(now_ms, out);
        }
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    pub(super) fn retires(&self) -> bool {
        self.retires_by_ms.is_some()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = ServerId> {
        self.pulses.keys().copied()
    }

    pub(super) fn is_me(&self, id: ServerId) -> bool {
        id == self.me
    }

    pub(super) fn may_be_led_by(&self, id: ServerId) -> bool {
        self.pulses.contains_key(&id) && self.quorum.can_lead(id)
    }

    /// Whether a role may begin (Q7).
    pub fn takes_role(&self) -> bool {
        self.role == Role::Looking && self.retires_by_ms.is_none()
    }

    /// The election has decided.
    pub fn on_elected(&mut self, leader: ServerId, now_ms: u64, out: &mut Vec<Output>) {
        if !self.takes_role() {
            return;
        }
        (self.since_ms, self.serving_since_ms, self.rounds) = (now_ms, None, Rounds::default());
        (self.rolls_over_since_ms, self.overtaken_since_ms, self.moving) = (None, None, None);
        if leader == self.me {
            self.role = Role::Leading;
            out.push(Output::Lead);
        } else {
            self.role = Role::Following(leader);
            out.push(Output::Follow(leader));
        }
    }

    /// The role's own core, or its data lane, has ended it.
    pub fn on_ended(&mut self, why: &'static str, out: &mut Vec<Output>) {
        if self.role != Role::Looking {
            self.role = Role::Looking;
            out.push(if self.retires_by_ms.is_some() { Output::Retire(why) } else { Output::Look(why) });
        }
    }

    /// The process is to end (Q7). `behind` is what learners lack.
    pub fn on_retire(
        &mut self,
        now_ms: u64,
        (progress, behind): (&Progress, &BTreeMap<ServerId, Behind>),
        out: &mut Vec<Output>,
    ) {
        if self.retires_by_ms.is_some() {
            return;
        }
        self.retires_by_ms = Some(now_ms + HAND_OVER_MS);
        match (self.role, progress) {
            (Role::Leading, Progress::Leading(reign)) if reign.established.is_some() => {
                // Who is named already stays so, and no heir is waited for where the epochs change.
                let names = self.moving.is_none() && reign.next.is_none();
                let heir = names.then(|| self.fittest((reign, behind), now_ms)).flatten();
                self.hand_over_to(heir, now_ms, out);
            }
            _ => {
                self.role = Role::Looking;
                out.push(Output::Retire("the process is to end"));
            }
        }
    }

    /// A peer's heartbeat.
    pub fn on_heartbeat(&mut self, from: ServerId, heard: Heartbeat, now_ms: u64, out: &mut Vec<Output>) {
        if let Some(pulse) = self.pulses.get_mut(&from) {
            pulse.on_heartbeat(heard);
            self.digests.on_peer(from, &heard.digests);
            if self.role == Role::Following(from) && now_ms > self.answered_ms {
                // At once, for a sync may wait for it; once a ms, for two may follow each other.
                self.answered_ms = now_ms;
                let timeout_ms = self.timing.peer_timeout_ms;
                let beat = pulse.beat(self.accepted, false, timeout_ms, now_ms);
                out.push(Output::Heartbeat(from, Heartbeat { digests: self.told, ..beat }));
            }
            self.confirm(now_ms, out);
        }
    }

    /// There is a link to this server from now on. Without effect if there was one.
    pub fn on_link(&mut self, peer: ServerId) {
        self.pulses.entry(peer).or_default();
        self.digests.on_link(peer);
    }

    /// The ctl lane to a peer is a new one.
    pub fn on_lane(&mut self, peer: ServerId) {
        if let Some(pulse) = self.pulses.get_mut(&peer) {
            pulse.on_lane();
            self.digests.on_lane(peer);
        }
    }

    /// When [`Self::on_time`] is to be called next, at the latest.
    pub fn next_due_ms(&self) -> u64 {
        self.next_beat_ms
    }

    /// Time has passed: heartbeats go out every eighth of the timeout, and evidence grows old.
    pub fn on_time(&mut self, now_ms: u64, progress: &Progress, out: &mut Vec<Output>) {
        if now_ms >= self.next_beat_ms {
            self.next_beat_ms = now_ms + (self.timing.peer_timeout_ms / 8).max(1);
            let leads = self.may_promise(now_ms, progress);
            let serves =
                |peer| matches!(progress, Progress::Leading(reign) if leads && reign.serving.contains(&peer));
            self.beat(now_ms, serves, out);
        }
        self.confirm(now_ms, out);
        self.drop_silent(now_ms, progress, out);
        out.extend(self.digests.judge(&self.quorum, now_ms).map(Output::Differs));
        if self.progressed.1 != progress.steps() {
            self.progressed = (now_ms, progress.steps());
        }
        if matches!(progress, Progress::Following(stay) if stay.is_serving) {
            self.serving_since_ms.get_or_insert(now_ms);
        }
        self.note_epochs(now_ms, progress);
        let verdict = match (self.role, progress) {
            _ if self.retires_by_ms.is_some_and(|by| now_ms > by) => {
                Some("the process is to end, and not all that was numbered was committed in time")
            }
            (Role::Leading, _) if self.moving.is_some_and(|it| it.is_late(now_ms)) => {
                Some("the lead is to be another's, and not all that was numbered was there in time")
            }
            (Role::Leading, Progress::Leading(reign)) => self.why_not_lead(now_ms, reign),
            (Role::Following(leader), Progress::Following(stay)) => self.why_leave(now_ms, leader, stay),
            _ => None,
        };
        if let Some(why) = verdict {
            self.on_ended(why, out);
        }
    }

    /// Q5. One that has just connected may have answered last before it was away: it is given a timeout.
    fn drop_silent(&mut self, now_ms: u64, progress: &Progress, out: &mut Vec<Output>) {
        let Progress::Leading(reign) = progress else { return self.connected.clear() };
        self.connected.retain(|it, _| reign.connected.contains(it));
        for learner in &reign.connected {
            let since = *self.connected.entry(*learner).or_insert(now_ms);
            if !self.answers(*learner, now_ms) && now_ms > since + self.timing.peer_timeout_ms {
                out.push(Output::Drop(*learner));
            }
        }
    }

    /// Whether a peer has answered within the timeout; in a role's first moments it may be yet to.
    pub(super) fn answers(&self, peer: ServerId, now_ms: u64) -> bool {
        now_ms <= self.answered_until_ms(peer)
    }

    fn answered_until_ms(&self, peer: ServerId) -> u64 {
        let proven = self.pulses.get(&peer).and_then(Pulse::proven_ms);
        proven.unwrap_or(0).max(self.since_ms) + self.timing.peer_timeout_ms
    }

    fn is_late(&self, now_ms: u64, limit_ms: u64) -> bool {
        now_ms > self.since_ms + limit_ms
    }

    /// Synchronisation is late only if nothing of it has come, or gone, for so long.
    fn is_stuck(&self, now_ms: u64, limit_ms: u64) -> bool {
        now_ms > self.since_ms.max(self.progressed.0) + limit_ms
    }

    /// Z11: how long an epoch has been on its way that its members are told of over the lanes of the last.
    fn note_epochs(&mut self, now_ms: u64, progress: &Progress) {
        let since = |is: bool, before: Option<u64>| is.then(|| before.unwrap_or(now_ms));
        let rolls_over = matches!(progress, Progress::Leading(reign) if reign.next.is_some());
        let is_overtaken = match (self.role, progress) {
            (Role::Following(leader), Progress::Following(Stay { epoch: Some(epoch), .. })) => {
                self.pulses.get(&leader).is_some_and(|pulse| pulse.has_left(*epoch))
            }
            _ => false,
        };
        self.rolls_over_since_ms = since(rolls_over, self.rolls_over_since_ms);
        self.overtaken_since_ms = since(is_overtaken, self.overtaken_since_ms);
    }

    /// Q3.
    fn why_not_lead(&self, now_ms: u64, reign: &Reign) -> Option<&'static str> {
        let two = 2 * self.timing.peer_timeout_ms;
        if let Some(epoch) = reign.established {
            // Who has accepted the next epoch may have it from us, its word being on the way. Until that has come
            // nothing is promised on the strength of it.
            let latest = reign.next.unwrap_or(epoch);
            let holds = self.leads_until_ms(reign, |_| latest).is_some_and(|until| now_ms <= until);
            // Others may be well where one that is told does not answer: an election finds them.
            let is_late = self.rolls_over_since_ms.is_some_and(|since| now_ms > since + two);
            return match (holds, is_late) {
                (false, _) => Some("no quorum of synchronised voters answers"),
                (_, true) => Some("no quorum of voters took the next epoch in time"),
                (true, false) => None,
            };
        }
        if !reign.is_discovered {
            return self.is_late(now_ms, two).then_some("no quorum of voters took part in discovery in time");
        }
        let late = self.is_stuck(now_ms, two + self.timing.init_ms);
        late.then_some("no quorum of voters was synchronised within initLimit")
    }

    /// Q3.
    fn why_leave(&self, now_ms: u64, leader: ServerId, stay: &Stay) -> Option<&'static str> {
        let two = 2 * self.timing.peer_timeout_ms;
        let vouched = self.pulses.get(&leader).and_then(Pulse::vouched_ms);
        // One that goes on to the next epoch as our leader tells us so down the lane, which may be behind.
        let is_overtaken =
            self.overtaken_since_ms.is_some_and(|since| now_ms > since + self.timing.peer_timeout_ms);
        let is_served =
            self.serving_since_ms.is_none_or(|since| now_ms <= since.max(vouched.unwrap_or(0)) + two);
        if !self.answers(leader, now_ms) {
            Some("the leader does not answer")
        } else if is_overtaken {
            Some("the leader has accepted a later epoch")
        } else if !is_served {
            Some("the leader answers and does not serve this member any more")
        } else if stay.epoch.is_none() && self.is_late(now_ms, two) {
            Some("the leader has told no epoch in time")
        } else if !stay.is_serving && self.is_stuck(now_ms, two + self.timing.init_ms) {
            Some("synchronisation was not done within initLimit")
        } else {
            None
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
