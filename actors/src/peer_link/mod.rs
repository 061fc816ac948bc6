//! The connections between the members of an ensemble. To each other member there are two lanes: ctl, on the
//! election port, for votes and heartbeats; and data, on the quorum port, for everything whose order matters.
//!
//! [`CtlLink`] keeps the one up as long as it lives: of two members the one with the greater id dials.
//! [`DataLink`] dials while this member follows that one, and takes what that one dials while this member
//! leads. [`listener`] accepts. A link decides nothing about the ensemble: it tells when lanes come and go,
//! carries frames, and keeps apart who may not speak. What must hold:
//! - PL1  A lane carries frames once each side has judged the other's hello. Whoever is refused is closed, and
//!   the log says who, from where and what to do about it; no other lane notices.
//! - PL2  There is at most one ctl lane with a member, and one data lane in each direction: the newest, whose
//!   coming is told after the older one's end.
//! - PL3  Each lane whose coming was told ends once, and nothing of it is told after its end.
//! - PL4  What is held for a peer is bounded, and so is what is held of one: over the one limit its data lane is
//!   closed, at the other it is not read. Of votes and heartbeats there is the newest, and
//!   the word that names an heir before it.
//! - PL5  What is sent down a data lane comes out in the same order, a stream in its place of it.
//! - PL6  A ctl lane on which nothing comes is closed, and dialled anew.
//! - PL7  A lane that is up gives way to another connection only once the peer has answered our hello on that: the hello
//!   of one that the peer has long given up, late on its way, ends nothing.
//!
//! To whom there are links at all is the [`roster`]'s to say.
//!
//! Frames are read and written over any [`tokio::io::AsyncRead`] and `AsyncWrite`. Source: compat zab, 3;
//! compat: QuorumCnxManager.java, Learner.java, LearnerHandler.java.

mod ctl;
mod data;
mod dial;
mod hello;
mod keeper;
mod lane;
pub mod letters;
mod link;
pub mod listener;
mod outgoing;
mod room;
pub mod roster;
mod sides;
pub mod status;

use std::collections::BTreeSet;
use std::sync::Arc;

use paddock_messages::frame::Versions;
use paddock_messages::ids::ServerId;
use paddock_messages::level;
use parking_lot::Mutex;

pub use self::ctl::{CtlLink, CtlOutboxes, CtlSetup};
pub use self::data::{DataLink, DataSetup};
pub use self::hello::{HELLO_WITHIN, Refusal};
pub use self::keeper::{KeeperSetup, LinkKeeper, Reach, SharedLinks, Users};
pub use self::link::Peer;
pub use self::room::{Room, letters_ahead};
pub use self::sides::{LearnerOutboxes, ProposerOutboxes};
pub use self::status::{LinkState, LinkStatus, SharedStatus};

/// Who this member is, and who else belongs here: what hellos say and are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// This member.
    pub me: ServerId,
    /// Those whom the file and the configuration name, this member too.
    pub members: BTreeSet<ServerId>,
    /// The ensemble, once this member belongs to one.
    pub ensemble: Option<u128>,
    /// In bytes: frames may be so much longer than 16 MiB.
    pub largest_txn: usize,
    /// Versions of frames that this member says it knows.
    pub speaks: Versions,
    /// The ensemble's feature level, as far as it is applied here: nobody is spoken with who cannot read it.
    pub level: u8,
}

impl Identity {
    /// What hellos say that it speaks: nothing of before the feature level, so that an older build knows why it is
    /// refused.
    pub fn told(&self) -> Versions {
        Versions { lowest: level::frames_of(self.level).max(self.speaks.lowest), ..self.speaks }
    }
}

/// The member's identity as it is now, for all its links and listeners: a lane is judged by what it is when
/// the lane comes up.
pub type SharedIdentity = Arc<Mutex<Identity>>;

#[cfg(test)]
mod tests;
