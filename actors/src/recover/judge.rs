//! Whether a new history is the right thing, and what may be lost by it (NH5, NH6).

use std::collections::BTreeSet;

use paddock_config::Members;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use super::Holding;
use crate::quorum::Quorum;

/// Everything that is known.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// The disk that a new history is to be made of.
    pub own: &'a Holding,
    /// Those of others that are left.
    pub others: &'a [Holding],
    /// By which may have been decided, see [`configurations`](super::configurations()).
    pub configurations: &'a [Members],
    /// Other members that answer where the configuration has them.
    pub running: &'a BTreeSet<ServerId>,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why not, if so.
    pub refusals: Vec<Refusal>,
    /// Voters whose disks are not among those shown, or do not count.
    pub unseen: BTreeSet<ServerId>,
    /// Whether those can have acknowledged what no disk shown has, or another disk has more (NH6).
    pub may_lose: bool,
}

/// NH5.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing begins with it.
    #[error(
        "a part of what server {0} held is lost, and no leader has given it the whole since: no history can be made of this disk"
    )]
    Incomplete(ServerId),
    /// The same, of one that belongs to no ensemble, or to none yet.
    #[error("server {0} belongs to no ensemble, or to none yet: there is no history to go on with")]
    NoMember(ServerId),
    /// Another has more.
    #[error(
        "the disk of server {server} holds more, epoch {} through {}: recover on that one", .rank.0, .rank.1
    )]
    Less {
        /// Whose.
        server: ServerId,
        /// What.
        rank: (Epoch, Zxid),
    },
    /// There is no need.
    #[error("{}, and nothing is lost at all", enough(.0))]
    Quorum(BTreeSet<ServerId>),
    /// It may hold more, and nobody has looked.
    #[error(
        "server {0} answers where the configuration has it: if it has its data, start this one, and they may be a quorum; else stop \
         it, and show what its disk holds (--also)"
    )]
    Running(ServerId),
    /// It would serve what a quorum has found to be wrong.
    #[error(
        "the tree of server {0} was found to differ from what a quorum had, at some txn before: another disk is better, if one is left"
    )]
    Differs(ServerId),
}

impl Refusal {
    /// In a word, for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "incomplete",
            Self::NoMember(_) => "no-member",
            Self::Less { .. } => "less",
            Self::Quorum(_) => "quorum",
            Self::Running(_) => "running",
            Self::Differs(_) => "differs",
        }
    }

    /// Whether an operator may not force it either.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Incomplete(_) | Self::NoMember(_))
    }
}

fn enough(servers: &BTreeSet<ServerId>) -> String {
    let all: Vec<String> = servers.iter().map(ToString::to_string).collect();
    match all.as_slice() {
        [one] => format!("server {one} is a quorum by itself: start it"),
        all => format!("servers {} are a quorum: start them", all.join(", ")),
    }
}

/// Decides NH5 and NH6.
pub fn judge(findings: Findings<'_>) -> Verdict {
    let Findings { own, others, configurations, running } = findings;
    let is_sound = |it: &&Holding| !it.is_incomplete && it.ensemble.is_some() && it.ensemble == own.ensemble;
    let others: Vec<&Holding> = others.iter().filter(is_sound).collect();
    let seen: BTreeSet<ServerId> =
        others.iter().chain(Some(&own).filter(|it| is_sound(it))).map(|it| it.server).collect();
    let quorums: Vec<paddock_config::Quorum> = configurations.iter().map(Members::quorum).collect();
    let unseen: BTreeSet<ServerId> =
        quorums.iter().flat_map(Quorum::voters).filter(|it| !seen.contains(it)).collect();
    let best = others.iter().max_by_key(|it| it.rank()).filter(|it| it.rank() > own.rank());

    let mut refusals = Vec::new();
    if own.ensemble.is_none() {
        refusals.push(Refusal::NoMember(own.server));
    }
    if own.is_incomplete {
        refusals.push(Refusal::Incomplete(own.server));
    }
    refusals.extend(best.map(|best| Refusal::Less { server: best.server, rank: best.rank() }));
    if !quorums.is_empty() && quorums.iter().all(|it| Quorum::holds(it, |id| seen.contains(&id))) {
        refusals.push(Refusal::Quorum(seen));
    }
    refusals.extend(running.iter().map(|id| Refusal::Running(*id)));
    if own.tree_differs {
        refusals.push(Refusal::Differs(own.server));
    }
    let may_lose = best.is_some() || quorums.iter().any(|it| Quorum::holds(it, |id| unseen.contains(&id)));
    Verdict { refusals, unseen, may_lose }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
