//! What others ask of a reign.

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Epoch;

use super::Leadership;
use super::stage::{Phase, Stage};
use crate::quorum::Quorum;
use crate::quorum_peer::progress::{Progress, Reign};

impl<Q: Quorum> Leadership<Q> {
    /// The epoch that is led, once it is.
    pub fn established(&self) -> Option<Epoch> {
        match self.phase {
            Phase::Established(epoch) | Phase::RollingOver { from: epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    /// Whether the lead is given up: the role is to end.
    pub fn is_given_up(&self) -> bool {
        self.resigned
    }

    /// The epoch once it is proposed.
    pub fn epoch(&self) -> Option<Epoch> {
        self.phase.proposed()
    }

    /// Whether discovery has brought a quorum together (which may take two peer timeouts).
    pub fn is_discovered(&self) -> bool {
        self.established().is_some() || matches!(self.phase, Phase::Entering(_) | Phase::Synchronising(_))
    }

    /// Whether this learner is part of the reign: it has acknowledged NEWLEADER. We are.
    pub fn is_synchronised(&self, server: ServerId) -> bool {
        let stage = self.learners.get(&server);
        server == self.me || matches!(stage, Some(Stage::Synchronised | Stage::Serving))
    }

    /// Whether UPTODATE is sent to this learner.
    pub fn is_serving(&self, learner: ServerId) -> bool {
        self.learners.get(&learner).is_some_and(Stage::is_serving)
    }

    /// Whether the voters that serve decide without us: who gives the lead up leaves them a quorum.
    pub fn can_hand_over(&self) -> bool {
        self.quorum.holds(|voter| voter != self.me && self.is_serving(voter))
    }

    /// How far it has come, for those who judge it.
    pub fn progress(&self) -> Progress {
        let is = |wanted: &[Stage]| {
            let of = self.learners.iter().filter(|(_, stage)| wanted.contains(stage));
            of.map(|(server, _)| *server).collect()
        };
        Progress::Leading(Reign {
            is_discovered: self.is_discovered(),
            established: self.established(),
            next: self.rolls_over(),
            turned: if self.rolls_over().is_some() { is(&[Stage::Serving]) } else { Default::default() },
            connected: self.learners.keys().copied().collect(),
            steps: 0, // the links know
            synchronised: is(&[Stage::Synchronised, Stage::Serving, Stage::Turning]),
            serving: is(&[Stage::Serving, Stage::Turning]),
        })
    }

    /// Whether this server takes part in discovery: its data lane is open. We do.
    pub fn is_connected(&self, server: ServerId) -> bool {
        server == self.me || self.learners.contains_key(&server)
    }
}
