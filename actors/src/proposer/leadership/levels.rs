//! Who of the learners can read the ensemble's feature level ([`level`](paddock_messages::level)).
//!
//! The level that counts is that of our log, committed or not: whatever may yet be committed is what learners are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use paddock_messages::ids::ServerId;

use super::Leadership;
use super::stage::Stage;
use crate::quorum::Quorum;

/// Of whoever cannot read the level, for the log.
pub const UNREADABLE: &str =
    "its build cannot read what the ensemble's feature level lets be logged: run a newer build there";

/// Why the feature level is not raised: this member is away, or of an older build (FL4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// Which.
    pub member: ServerId,
    /// The highest level that it reads; `None` if it is not connected, which says nothing of its build.
    pub reads: Option<u8>,
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reads {
            None => write!(f, "server {} is away", self.member),
            Some(reads) => write!(f, "server {} reads feature level {reads} at most", self.member),
        }
    }
}

/// The level, and who reads how much.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// What our log comes to.
    log: u8,
    /// Of each learner whose lane is open.
    reads: BTreeMap<ServerId, u8>,
}

impl Levels {
    pub(super) fn on_connected(&mut self, learner: ServerId, reads: u8) {
        self.reads.insert(learner, reads);
    }

    fn reads(&self, learner: ServerId) -> u8 {
        self.reads.get(&learner).copied().unwrap_or(0)
    }
}

impl<Q: Quorum> Leadership<Q> {
    /// When it was elected, its log came to this feature level.
    pub fn at_level(mut self, level: u8) -> Self {
        self.levels.log = level;
        self
    }

    /// The feature level that our log comes to.
    pub fn level(&self) -> u8 {
        self.levels.log
    }

    /// Of these members (we are passed over), and of whoever else is connected, those that do not let the level be raised
    /// to this one now.
    pub fn in_the_way(&self, level: u8, members: impl IntoIterator<Item = ServerId>) -> Vec<InTheWay> {
        let others: BTreeSet<_> = members.into_iter().chain(self.learners.keys().copied()).collect();
        let told = others.into_iter().filter(|it| *it != self.me).map(|member| {
            let is_here = self.learners.contains_key(&member);
            InTheWay { member, reads: is_here.then(|| self.levels.reads(member)) }
        });
        told.filter(|it| it.reads.is_none_or(|reads| reads < level)).collect()
    }

    /// The Proposer numbers the txn that raises the level to this, and proposes it next.
    ///
    /// # Panics
    /// If the level falls (FL2), or a learner cannot read it (FL4).
    pub fn on_level(&mut self, level: u8) {
        assert!(level >= self.levels.log, "FL2: the feature level falls from {} to {level}", self.levels.log);
        let unable = self.learners.keys().find(|it| self.levels.reads(**it) < level);
        assert!(unable.is_none(), "FL4: the feature level rises to {level}, which {unable:?} cannot read");
        self.levels.log = level;
    }

    /// FL3: whether a learner's build is too old for what it would be sent.
    pub(super) fn cannot_read(&self, learner: ServerId) -> bool {
        self.levels.reads(learner) < self.levels.log
    }

    pub(super) fn check_levels(&self) {
        let told = self.learners.iter().filter(|(_, stage)| **stage != Stage::Connected);
        let unable = told.map(|(server, _)| *server).find(|it| self.cannot_read(*it));
        assert!(unable.is_none(), "FL3: {unable:?} cannot read level {}", self.levels.log);
    }
}
