//! EL11: whom a leader that gives the lead up would have lead after it.

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Notification, PeerState, Vote};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::quorum::Quorum;

/// Whom this member had for a leader last, and whom that one named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heir {
    last_leader: Option<ServerId>,
    named: Option<ServerId>,
}

impl Heir {
    /// The member has a role: this leads it.
    pub(super) fn on_settled(&mut self, leader: ServerId) {
        *self = Self { last_leader: Some(leader), named: None };
    }

    /// This member, which led, names it.
    pub(super) fn name(&mut self, heir: Option<ServerId>) {
        self.named = heir.or(self.named);
    }

    /// `from` said this. Whether votes rank otherwise from now on.
    pub(super) fn on_word(&mut self, from: ServerId, heard: &Notification, quorum: &impl Quorum) -> bool {
        let is_farewell =
            heard.state == PeerState::Observing && quorum.is_voter(from) && self.last_leader == Some(from);
        let heir = heard.vote.map(|vote| vote.leader).filter(|heir| is_farewell && quorum.can_lead(*heir));
        let is_new = heir.is_some() && heir != self.named;
        self.name(heir);
        is_new
    }

    /// The greater wins: by epoch, zxid, whether it is named, id.
    pub(super) fn rank(&self, vote: &Vote) -> (Epoch, Zxid, bool, ServerId) {
        (vote.peer_epoch, vote.zxid, self.named == Some(vote.leader), vote.leader)
    }

    /// How a leader says whom it names. A voter that has a role or looks says nothing of this form, and builds that do not
    /// know it take it for no vote.
    pub(super) fn vote(heir: ServerId) -> Vote {
        Vote { peer_epoch: Epoch(0), zxid: Zxid::ZERO, leader: heir }
    }
}
