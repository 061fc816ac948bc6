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
}

impl Phase {
    /// The epoch, once it is durable here as accepted.
    pub(super) fn proposed(self) -> Option<Epoch> {
        match self {
            Self::Discovering | Self::Accepting(_) => None,
            Self::Acknowledging(epoch)
            | Self::Entering(epoch)
            | Self::Synchronising(epoch)
            | Self::Established(epoch) => Some(epoch),
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
}
