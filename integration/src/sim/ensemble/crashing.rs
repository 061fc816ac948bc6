//! Between which two outputs of the cores a process ends: noted at each crash, and in some seeds looked for.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use paddock_actors::learner::roles::Answered;
use paddock_actors::proposer::Quorum;
use paddock_messages::ids::ServerId;
use paddock_messages::roles::KeptEpoch;
use paddock_messages::zxid::Zxid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::learner::Mode;
use super::mail::{Letter, Part};
use super::node::Node;
use super::world::World;

/// How many of [`World::between`] there are.
const PLACES: usize = 11;
/// In us: from one crash to when the next is looked for, and how long it is.
const APART_US: u64 = 3_000_000;
const PATIENCE_US: u64 = 4_000_000;

/// Where the next process is to end.
pub(super) struct Raid {
    rng: StdRng,
    /// Which of [`World::between`].
    at: usize,
    from_us: u64,
}

impl Raid {
    /// In every fourth seed: not with a mistake, which is found without.
    pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<Self> {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xBE7_0EE4);
        let is_wanted = rng.random_bool(0.25) && fault.is_none();
        is_wanted.then_some(Self { rng, at: 0, from_us: APART_US })
    }

    fn begin_anew(&mut self, now_us: u64) {
        self.at = self.rng.random_range(0..PLACES);
        self.from_us = now_us + self.rng.random_range(0..APART_US);
    }
}

impl World {
    /// This one crashes if it is where that is looked for.
    pub(super) fn raid(&mut self, id: ServerId) {
        let now_us = self.now_us;
        let Some(raid) = self.raids.as_mut().filter(|raid| !self.healing && raid.from_us <= now_us) else {
            return;
        };
        if raid.from_us + PATIENCE_US < now_us {
            return raid.begin_anew(now_us);
        }
        let at = raid.at;
        let member = &self.members[&id];
        let (life, is_there) =
            (member.life, member.node.as_ref().is_some_and(|node| self.between(node)[at].0));
        if is_there {
            self.crash_in(id, life, 0);
            self.raids.iter_mut().for_each(|raid| raid.begin_anew(now_us));
        }
    }

    /// This one crashes now, if it runs.
    pub(super) fn note_crash(&mut self, id: ServerId) {
        let Some(node) = &self.members[&id].node else { return };
        let has_mail = !node.mail.is_empty();
        self.met.add("crashes with mail in a box", u64::from(has_mail));
        for (is_so, what) in self.between(node) {
            self.met.add(what, u64::from(is_so));
        }
    }

    /// What has come about, and what was to follow.
    fn between(&self, node: &Node) -> [(bool, &'static str); PLACES] {
        let [accepted, entered] = node.kept();
        let committed = node.lead.core.as_ref().map_or(Zxid(u64::MAX), |core| core.committed());
        let [is_received, is_installed] = node.came();
        let is_durable = node.mail.has(Part::Learner, |it| matches!(it, Letter::Durable { .. }));
        [
            (accepted == Some(false), "crashes before acceptedEpoch is durable"),
            (accepted == Some(true), "crashes between acceptedEpoch and ACKEPOCH"),
            (entered == Some(false), "crashes between synced txns and currentEpoch"),
            (entered == Some(true), "crashes between currentEpoch and the ack of NEWLEADER"),
            (node.lead.deferred.is_some(), "crashes between NEWLEADER's quorum and UPTODATE"),
            (is_durable, "crashes between an append and its ack"),
            (node.logger.persisted().upto > committed, "crashes between a leader's append and its quorum's"),
            (self.awaits_commit(node), "crashes between a quorum's appends and the commit"),
            (self.awaits_telling(node), "crashes between a commit and its telling"),
            (is_received, "crashes between SNAP received and installed"),
            (is_installed, "crashes between SNAP installed and its tree"),
        ]
    }

    /// A quorum has the leader's next txn on disk, which it does not know yet.
    fn awaits_commit(&self, leader: &Node) -> bool {
        let Some(core) = &leader.lead.core else { return false };
        let has_more = |id: ServerId| {
            let node = self.in_epoch_of(leader, id);
            node.is_some_and(|it| it.logger.persisted().upto > core.committed())
        };
        core.last() > core.committed() && core.membership().holds(has_more)
    }

    /// None but the leader knows its last commit.
    fn awaits_telling(&self, leader: &Node) -> bool {
        let Some(core) = &leader.lead.core else { return false };
        let knows = |id: &ServerId| {
            let node = self.in_epoch_of(leader, *id).filter(|it| it.me != leader.me);
            node.is_some_and(|it| it.lp.core.watermark() >= core.committed())
        };
        core.committed().counter() > 0 && !self.setup.members.iter().any(knows)
    }

    fn in_epoch_of(&self, leader: &Node, id: ServerId) -> Option<&Node> {
        let node = self.members[&id].node.as_deref()?;
        (node.logger.facts().current_epoch == leader.logger.facts().current_epoch).then_some(node)
    }
}

impl Node {
    /// Of one that follows and has asked for its acceptedEpoch, its currentEpoch to be kept: whether the disk has it.
    fn kept(&self) -> [Option<bool>; 2] {
        let facts = self.logger.facts();
        match self.lp.keeping.front().filter(|_| matches!(self.lp.mode, Mode::Following(_))) {
            Some((KeptEpoch::Accepted(epoch), _)) => [Some(facts.accepted_epoch >= *epoch), None],
            Some((KeptEpoch::Current(epoch), _)) => [None, Some(facts.current_epoch >= *epoch)],
            _ => [None, None],
        }
    }

    /// Whether a snapshot has come whole and is not in place, or is so on disk alone.
    fn came(&self) -> [bool; 2] {
        let is_installed = |it: &Letter| matches!(it, Letter::LogAnswer { what: Answered::Installed, .. });
        let is_installed = self.mail.has(Part::Learner, is_installed);
        let is_received = self.lp.installing.is_some()
            || self.mail.has(Part::Receiver, |it| matches!(it, Letter::Received { .. }))
            || self.mail.has(Part::Learner, |it| matches!(it, Letter::SnapshotCame { .. }));
        [is_received && !is_installed, is_installed]
    }
}
