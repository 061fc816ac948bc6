//! How far a role has come, as its own actors publish it for those on other threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::Digests;
use paddock_messages::zxid::Epoch;
use parking_lot::Mutex;

use crate::membership::Deciders;

/// How far the role has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// There is none.
    #[default]
    Looking,
    /// Of a leader.
    Leading(Reign),
    /// Of a learner.
    Following(Stay),
}

/// A leader's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reign {
    /// Discovery has brought a quorum together.
    pub is_discovered: bool,
    /// The epoch that is led, once it is.
    pub established: Option<Epoch>,
    /// The one after it, while that is told over the same lanes (Z11).
    pub next: Option<Epoch>,
    /// The learners that have it on disk, from us.
    pub turned: BTreeSet<ServerId>,
    /// The learners that have a lane to us.
    pub connected: BTreeSet<ServerId>,
    /// Grows while something is sent to them.
    pub steps: u64,
    /// The learners that have acknowledged NEWLEADER.
    pub synchronised: BTreeSet<ServerId>,
    /// Those to which UPTODATE is sent.
    pub serving: BTreeSet<ServerId>,
}

/// A learner's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stay {
    /// The leader's, once it has told it.
    pub epoch: Option<Epoch>,
    /// Clients are served.
    pub is_serving: bool,
    /// Grows while something of a synchronisation comes.
    pub steps: u64,
}

impl Progress {
    /// Grows while a synchronisation goes on.
    pub(super) fn steps(&self) -> u64 {
        match self {
            Self::Looking => 0,
            Self::Leading(reign) => reign.steps,
            Self::Following(stay) => stay.steps,
        }
    }
}

/// What the actors of a role publish for those who judge it. Clones share it.
///
/// An epoch is published before anybody is told that it was accepted (P11): one lock orders the two.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    accepted: Epoch,
    role: u64,
    progress: Progress,
    moved_ms: u64,
    serves_reads: bool,
    digests: OwnDigests,
    is_fenced: bool,
    is_disk_full: bool,
    decides: Option<Deciders>,
}

/// What is compared of the member's own tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnDigests {
    /// How often another tree has taken its place: what was told of an earlier one says nothing of this.
    pub tree: u64,
    /// The latest.
    pub latest: Digests,
}

impl Board {
    /// This epoch is durable as accepted.
    pub fn accept(&self, epoch: Epoch) {
        let mut told = self.0.lock();
        told.accepted = told.accepted.max(epoch);
    }

    /// What was accepted last.
    pub fn accepted(&self) -> Epoch {
        self.0.lock().accepted
    }

    /// The role of this generation has come so far.
    pub fn tell(&self, role: u64, progress: Progress) {
        let mut told = self.0.lock();
        if role >= told.role {
            (told.role, told.progress) = (role, progress);
        }
    }

    /// How far this role has come; nowhere, as long as it has told nothing.
    pub fn progress(&self, role: u64) -> Progress {
        let told = self.0.lock();
        if told.role == role { told.progress.clone() } else { Progress::Looking }
    }

    /// How far the latest role that told anything has come.
    pub fn latest(&self) -> Progress {
        self.0.lock().progress.clone()
    }

    /// Whether clients that only read are served, without a leader.
    pub fn serve_reads(&self, serves: bool) {
        self.0.lock().serves_reads = serves;
    }

    /// The same, as was told last.
    pub fn serves_reads(&self) -> bool {
        self.0.lock().serves_reads
    }

    /// These are the latest of the tree.
    pub fn tell_digests(&self, digests: OwnDigests) {
        self.0.lock().digests = digests;
    }

    /// What was told of the tree last.
    pub fn digests(&self) -> OwnDigests {
        self.0.lock().digests
    }

    /// Whether clients may not be served from the tree, as it differs from a quorum's.
    pub fn fence(&self, is_up: bool) {
        self.0.lock().is_fenced = is_up;
    }

    /// What was told of that last.
    pub fn is_fenced(&self) -> bool {
        self.0.lock().is_fenced
    }

    /// Whether the log has no room.
    pub fn fill_disk(&self, is_full: bool) {
        self.0.lock().is_disk_full = is_full;
    }

    /// What was told of that last.
    pub fn is_disk_full(&self) -> bool {
        self.0.lock().is_disk_full
    }

    /// Who decides, as far as our log says: for those who tell operators.
    pub fn decide(&self, by: Deciders) {
        self.0.lock().decides = Some(by);
    }

    /// The same, as was told last.
    pub fn decides(&self) -> Option<Deciders> {
        self.0.lock().decides.clone()
    }

    /// The thread of the role's actors moves.
    pub fn move_at(&self, now_ms: u64) {
        self.0.lock().moved_ms = now_ms;
    }

    /// When it moved last.
    pub fn moved_ms(&self) -> u64 {
        self.0.lock().moved_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_not_told_of_another_and_accepted_epochs_only_rise() {
        let board = Board::default();
        let stay = Progress::Following(Stay { epoch: Some(Epoch(3)), is_serving: true, steps: 0 });
        board.tell(7, stay.clone());
        assert_eq!((board.progress(7), board.progress(8)), (stay, Progress::Looking));
        board.tell(6, Progress::Looking);
        assert_ne!(board.progress(7), Progress::Looking, "what an older role says late");
        for (epoch, highest) in [(3, 3), (2, 3), (5, 5)] {
            board.accept(Epoch(epoch));
            assert_eq!(board.accepted(), Epoch(highest));
        }
    }
}
