//! Whether a set of servers is enough to decide.
//!
//! What the members' lines say is [`paddock_config::Members::quorum`]: a majority, or groups with weights
//! ([`paddock_config::Quorum`]). A voter of weight 0 counts as no voter: it has no say and never leads.
//!
//! - QS1  Any two sets that hold have a voter in common.
//! - QS2  Only voters matter: who has no say changes nothing, and an ensemble without voters has no quorum.
//!
//! Source: compat zab, 10 (quorum systems); compat: QuorumMaj.java, QuorumHierarchical.java.

use std::collections::BTreeSet;

use paddock_config::Members;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Epoch;

/// The voters of an ensemble, and which sets of them decide: any two such sets have a member in common.
pub trait Quorum: Clone {
    /// Whether this server's acks and votes count.
    fn is_voter(&self, server: ServerId) -> bool;

    /// Whether the voters of which `agrees` is true are enough.
    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool;

    /// Whether they are enough to tell that there is a leader of this epoch, whom they follow (MB7).
    fn holds_under(&self, _epoch: Epoch, follows: impl Fn(ServerId) -> bool) -> bool {
        self.holds(follows)
    }

    /// Everyone of whom that is so.
    fn voters(&self) -> BTreeSet<ServerId>;

    /// Whether this server may be elected: every voter, unless the quorum says otherwise.
    fn can_lead(&self, server: ServerId) -> bool {
        self.is_voter(server)
    }

    /// Who decides among these members.
    fn like(&self, members: &Members) -> Self
    where
        Self: Sized;
}

/// More than half of the voters.
#[derive(Clone, Debug)]
pub struct Majority(pub BTreeSet<ServerId>);

impl Quorum for Majority {
    fn is_voter(&self, server: ServerId) -> bool {
        self.0.contains(&server)
    }

    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool {
        self.0.iter().filter(|voter| agrees(**voter)).count() * 2 > self.0.len()
    }

    fn voters(&self) -> BTreeSet<ServerId> {
        self.0.clone()
    }

    fn like(&self, members: &Members) -> Self {
        Self(members.voters())
    }
}

/// A majority without groups; with them, more than half of the groups that weigh anything, each with more
/// than half of its weight.
impl Quorum for paddock_config::Quorum {
    fn is_voter(&self, server: ServerId) -> bool {
        self.weight(server) > 0
    }

    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool {
        self.holds_if(agrees)
    }

    fn voters(&self) -> BTreeSet<ServerId> {
        self.voters().into_iter().filter(|id| self.is_voter(*id)).collect()
    }

    fn like(&self, members: &Members) -> Self {
        members.quorum()
    }
}

#[cfg(test)]
#[path = "quorum_tests.rs"]
mod tests;
