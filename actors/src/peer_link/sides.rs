//! To whom a data lane's letters go: what this member dialled leads to its leader, and its Learner hears of
//! it; what it accepted leads to a learner, and its Proposer does.

use paddock_messages::frame::Frame;
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Outbox, Refused};

use super::Room;
use super::letters::{FromLeader, FromLearner, LeaderLaneDown, LeaderLaneUp, LearnerLaneDown, LearnerLaneUp};

/// To the Learner. The mail is about what was admitted: at most one lane a peer, and
/// [`super::letters_ahead`] packets of it.
#[derive(Clone, Debug)]
pub struct LearnerOutboxes {
    /// Its leader is connected.
    pub up: Outbox<LeaderLaneUp>,
    /// And is no longer.
    pub down: Outbox<LeaderLaneDown>,
    /// What its leader says.
    pub packets: Outbox<FromLeader>,
}

/// To the Proposer. The mail is about what was admitted: at most one lane a peer, and
/// [`super::letters_ahead`] packets of it.
#[derive(Clone, Debug)]
pub struct ProposerOutboxes {
    /// A learner has connected.
    pub up: Outbox<LearnerLaneUp>,
    /// And is gone.
    pub down: Outbox<LearnerLaneDown>,
    /// What it says.
    pub packets: Outbox<FromLearner>,
}

/// What the peer is, to the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It was dialled.
    Leader,
    /// It has dialled.
    Learner,
}

/// Both, of the link to one peer.
pub(super) struct Sides {
    pub(super) peer: ServerId,
    pub(super) learner: LearnerOutboxes,
    pub(super) proposer: ProposerOutboxes,
}

impl Sides {
    pub(super) fn up(&self, side: Side, role: u64, lane: u64, speaking: u8) {
        let peer = self.peer;
        match side {
            Side::Leader => {
                told(&self.learner.up.post(LeaderLaneUp { leader: peer, role, lane, speaking }));
            }
            Side::Learner => {
                told(&self.proposer.up.post(LearnerLaneUp { learner: peer, role, lane, speaking }));
            }
        }
    }

    pub(super) fn down(&self, side: Side, role: u64, lane: u64, why: String) {
        let peer = self.peer;
        match side {
            Side::Leader => told(&self.learner.down.post(LeaderLaneDown { leader: peer, role, lane, why })),
            Side::Learner => {
                told(&self.proposer.down.post(LearnerLaneDown { learner: peer, role, lane, why }));
            }
        }
    }

    /// Says why the lane must be closed, if the frame does not belong there.
    pub(super) fn packet(&self, side: Side, lane: u64, frame: Frame, room: Room) -> Result<(), String> {
        let peer = self.peer;
        match (side, frame) {
            (Side::Leader, Frame::ToLearner(packet)) => {
                let letter = FromLeader { leader: peer, lane, packet, room };
                self.learner.packets.post(letter).map_err(|refused| refusal(&refused))
            }
            (Side::Learner, Frame::ToLeader(packet)) => {
                let letter = FromLearner { learner: peer, lane, packet, room };
                self.proposer.packets.post(letter).map_err(|refused| refusal(&refused))
            }
            (Side::Leader, frame) => Err(format!("{:?} is nothing a leader says", frame.kind())),
            (Side::Learner, frame) => Err(format!("{:?} is nothing a learner says", frame.kind())),
        }
    }
}

fn refusal<M>(refused: &Refused<M>) -> String {
    format!("a packet could not be passed on: {refused}")
}

/// The receiver is a core actor: without it the node ends. This says what was not told, until then.
pub(super) fn told<M>(posted: &Result<(), Refused<M>>) {
    if let Err(refused) = posted {
        tracing::error!("what became of a lane with another member could not be told: {refused}");
    }
}
