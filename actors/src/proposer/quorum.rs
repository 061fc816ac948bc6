//! Whether a set of servers is enough to decide.

use std::collections::BTreeSet;

use paddock_messages::ids::ServerId;

/// The voters of an ensemble, and which sets of them decide: any two such sets have a member in common.
pub trait Quorum {
    /// Whether this server's acks count.
    fn is_voter(&self, server: ServerId) -> bool;
    /// Whether the voters of which `agrees` is true are enough.
    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        for (voters, agreeing, expected) in [
            (1, 0, false),
            (1, 1, true),
            (2, 1, false),
            (2, 2, true),
            (3, 2, true),
            (4, 2, false),
            (0, 0, false),
        ] {
            let majority = Majority((1..=voters).map(ServerId).collect());
            assert_eq!(majority.holds(|it| it.0 <= agreeing), expected, "{agreeing} of {voters}");
        }
    }
}
