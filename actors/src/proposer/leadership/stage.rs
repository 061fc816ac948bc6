//! How far a reign, and each learner's part in it, has come.

use paddock_messages::quorum::Tail;
use paddock_messages::zxid::Epoch;

/// How far the reign has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A quorum's accepted epochs are awaited.
    Discovering,
    /// Ours is on its way to the disk, as accepted.
    Accepting(Epoch),
    /// A quorum's ACKEPOCH is awaited.
    Acknowledging(Epoch),
    /// On its way to the disk, as current.
    Entering(Epoch),
    /// A quorum's ACK of NEWLEADER is awaited.
    Synchronising(Epoch),
    /// Leading.
    Established(Epoch),
    /// Leading `from`, all of which is committed, and of which no zxid is left. Voters' ACKs of the next epoch are
    /// awaited, or it is on its way to our disk.
    RollingOver { from: Epoch, to: Epoch, is_keeping: bool },
}

impl Phase {
    /// The epoch, once it is durable here as accepted.
    pub(super) fn proposed(self) -> Option<Epoch> {
        match self {
            Self::Discovering | Self::Accepting(_) => None,
            Self::Acknowledging(epoch)
            | Self::Entering(epoch)
            | Self::Synchronising(epoch)
            | Self::Established(epoch)
            | Self::RollingOver { from: epoch, .. } => Some(epoch),
        }
    }
}

/// How far a learner has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connected,
    /// Its accepted epoch is known, and whether it had a vote.
    Informed {
        accepted: Epoch,
        counts: bool,
    },
    /// LEADERINFO is sent.
    Told {
        had_vote: bool,
    },
    /// ACKEPOCH came: whether it counts, and what the learner's log ends with.
    Acknowledged {
        counts: bool,
        tail: Tail,
    },
    /// Our log is being asked.
    Finding(Tail),
    /// The log after this txn, or a snapshot first, is on its way.
    Sending,
    /// NEWLEADER is sent, and each proposal from here on.
    Joined,
    /// It has acknowledged NEWLEADER.
    Synchronised,
    /// UPTODATE is sent, and each commit from here on.
    Serving,
    /// The same, and the next epoch is told: it has not acknowledged that.
    Turning,
}

impl Stage {
    /// Whether it may serve clients.
    pub(super) fn is_serving(&self) -> bool {
        matches!(self, Self::Serving | Self::Turning)
    }
}
