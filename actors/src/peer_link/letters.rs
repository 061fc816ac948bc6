//! What links are told, and what they tell.
//!
//! Roles are numbers that the member gives to each time it follows or leads, rising; lanes have numbers that
//! no other lane of the process has.

use std::net::{SocketAddr, TcpStream};

use paddock_messages::frame::{FrameReader, Hello};
use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::{Heartbeat, Notification, ToLeader, ToLearner};

use super::Room;
use super::SharedStatus;
pub use super::outgoing::{Chunks, Outgoing};
use crate::membership::{Deciders, Told};

/// To a link, from a listener: its peer has dialled, and may speak.
#[derive(Debug)]
pub struct Accepted {
    /// Not yet with any runtime.
    pub stream: TcpStream,
    /// From where.
    pub address: SocketAddr,
    /// What the peer said first; it is judged, and not yet answered.
    pub hello: Hello,
    /// The version that was agreed.
    pub speaking: u8,
    /// Has what came behind the hello.
    pub frames: FrameReader,
}

/// To a link: its peer is looked for at these hosts and ports of its lane from now on, in this order; at none: it is
/// waited for. A lane that is up stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookAt(pub Vec<(String, u16)>);

/// To the keeper of the links, from a listener: somebody of whom nobody has told us says that it is of our ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest(pub ServerId);

/// To the keeper of the links, and to who listens to clients, from the QuorumPeer: the member goes by these from now on.
#[derive(Clone, Debug)]
pub struct GoBy(pub Deciders);

/// From the keeper of the links, before anything comes from a link: there is one to this server.
#[derive(Clone, Debug)]
pub struct Linked<L> {
    /// Which.
    pub peer: ServerId,
    /// As whoever is told uses it.
    pub link: L,
}

/// A ctl link, as the QuorumPeer uses it.
#[derive(Clone, Debug)]
pub struct CtlLane {
    /// To say that we live.
    pub beat: Outbox<SendHeartbeat>,
    /// To say what is in force.
    pub tell: Outbox<SendConfiguration>,
    /// The lane's state; round trips are told there.
    pub status: SharedStatus,
    /// The same, of the data lane: what is sent down it shows that synchronisation goes on.
    pub data: SharedStatus,
}

/// A data link, as the Learner uses it.
#[derive(Clone, Debug)]
pub struct LeaderLane {
    /// To dial it.
    pub open: Outbox<Open>,
    /// To close what was dialled.
    pub shut: Outbox<Shut>,
    /// To send down it.
    pub send: Outbox<Send>,
}

/// The same, as the Proposer does.
#[derive(Clone, Debug)]
pub struct LearnerLane {
    /// Whether lanes are taken.
    pub serve: Outbox<Serve>,
    /// To send down it.
    pub send: Outbox<Send>,
    /// To close it.
    pub hang_up: Outbox<HangUp>,
}

/// To a ctl link: tell the peer. One that is not written yet is replaced, but for the last that names an heir (EL11); without
/// a lane it waits for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendNotification(pub Notification);

/// To a ctl link: tell the peer. One that is not written yet is replaced; without a lane it is dropped, as is
/// one that its lane leaves behind: it would speak for the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendHeartbeat(pub Heartbeat);

/// To a ctl link: tell the peer. One that is not written yet is replaced; without a lane, or to a peer whose build has no
/// word for it, it is dropped: it is told anew with the next lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendConfiguration(pub Told);

/// From a ctl link: what the peer's log says of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardConfiguration {
    /// The peer.
    pub from: ServerId,
    /// What it said.
    pub told: Told,
}

/// From a ctl link: the peer can be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtlUp(pub ServerId);

/// From a ctl link: the peer cannot be talked to until the next [`CtlUp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtlDown(pub ServerId);

/// From a ctl link. Dropped if the receiver's mailbox is full: the next one replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardNotification {
    /// The peer.
    pub from: ServerId,
    /// What it said.
    pub notification: Notification,
}

/// From a ctl link. Dropped if the receiver's mailbox is full: the next one replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardHeartbeat {
    /// The peer.
    pub from: ServerId,
    /// What it said.
    pub heartbeat: Heartbeat,
}

/// To a data link: this member follows the peer. It is dialled, again and again, until [`Shut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Replaces a lower one; without effect if no higher than what was opened or shut before.
    pub role: u64,
}

/// To a data link: the peer is followed no longer; its lane is closed, and it is not dialled any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    /// In any role up to this one.
    pub upto_role: u64,
}

/// To a data link: close that very lane. The peer is dialled again while it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HangUp {
    /// Without effect if it is down already.
    pub lane: u64,
}

/// To a data link: whether this member leads. Lanes taken in another role are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serve {
    /// On behalf of which role lanes of the peer are taken; `None`: they are closed at once.
    pub role: Option<u64>,
}

/// To a data link: send all of it, in order. Dropped if the lane is down.
#[derive(Debug)]
pub struct Send {
    /// Down which lane.
    pub lane: u64,
    /// What.
    pub items: Vec<Outgoing>,
}

/// To the Learner: its leader is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderLaneUp {
    /// The peer.
    pub leader: ServerId,
    /// As it was opened.
    pub role: u64,
    /// Names the lane from now on.
    pub lane: u64,
    /// The version that was agreed, for whoever writes bytes himself.
    pub speaking: u8,
}

/// To the Learner: nothing more comes down that lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderLaneDown {
    /// The peer.
    pub leader: ServerId,
    /// As it was opened.
    pub role: u64,
    /// Which lane.
    pub lane: u64,
    /// For an operator.
    pub why: String,
}

/// To the Learner.
#[derive(Debug)]
pub struct FromLeader {
    /// The peer.
    pub leader: ServerId,
    /// Down which lane it came.
    pub lane: u64,
    /// What it said.
    pub packet: ToLearner,
    /// To be dropped when its bytes are done with.
    pub room: Room,
}

/// To the Proposer: a member has connected to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerLaneUp {
    /// The peer.
    pub learner: ServerId,
    /// As [`Serve`] had it.
    pub role: u64,
    /// Names the lane from now on.
    pub lane: u64,
    /// The version that was agreed, for whoever writes bytes himself.
    pub speaking: u8,
}

/// To the Proposer: nothing more comes down that lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerLaneDown {
    /// The peer.
    pub learner: ServerId,
    /// As [`Serve`] had it.
    pub role: u64,
    /// Which lane.
    pub lane: u64,
    /// For an operator.
    pub why: String,
}

/// To the Proposer.
#[derive(Debug)]
pub struct FromLearner {
    /// The peer.
    pub learner: ServerId,
    /// Down which lane it came.
    pub lane: u64,
    /// What it said.
    pub packet: ToLeader,
    /// To be dropped when its bytes are done with.
    pub room: Room,
}
