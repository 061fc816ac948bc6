//! Voters in groups, with weights: in every fifth seed a hierarchical quorum decides.
//!
//! What is drawn comes from sequences of its own: the seeds without it run as if there were none.

use std::collections::{BTreeMap, BTreeSet};

use paddock_config::Members;
use paddock_messages::ids::ServerId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::setup::Setup;

/// Others than a run's own draws.
const DRAWS: u64 = 0x6a0f_5eed;
/// How often a draw is tried, until any one voter can be missed.
const TRIES: usize = 100;
const WEIGHTS: [u64; 6] = [0, 1, 1, 2, 3, 5];

/// Each group's voters, with what they weigh.
type Groups = BTreeMap<u64, Vec<(ServerId, u64)>>;

impl Setup {
    /// Not with a mistake that has nothing to do with it.
    pub(super) fn with_groups(mut self) -> Self {
        self.has_groups = match self.fault {
            None => StdRng::seed_from_u64(self.salt ^ DRAWS).random_bool(0.2),
            Some(fault) => fault == EnsembleFault::CountHeads,
        };
        self
    }

    /// The lines of the groups of these voters: the same in all that names them. Where the configuration changes, some
    /// go by a majority.
    pub(super) fn groups(&self, voters: &BTreeSet<ServerId>) -> String {
        let seed = voters.iter().fold(self.salt ^ DRAWS, |seed, id| seed.rotate_left(5) ^ id.0);
        let mut rng = StdRng::seed_from_u64(seed);
        let is_majority = rng.random_bool(0.25) && *voters != self.voters;
        if !self.has_groups || is_majority {
            return String::new();
        }
        let drawn = (0..TRIES).map(|_| drawn(voters, &mut rng)).find(|it| misses_any(voters, it));
        lines(&drawn.unwrap_or_else(|| Groups::from([(1, voters.iter().map(|id| (*id, 2)).collect())])))
    }
}

fn drawn(voters: &BTreeSet<ServerId>, rng: &mut StdRng) -> Groups {
    let many = rng.random_range(1..=3);
    let mut groups = Groups::new();
    for id in voters {
        let weight = WEIGHTS[rng.random_range(0..WEIGHTS.len())];
        groups.entry(rng.random_range(1..=many)).or_default().push((*id, weight));
    }
    groups
}

/// Whether any one voter can be missed: one that has lost its disk has no vote until the others have elected.
fn misses_any(voters: &BTreeSet<ServerId>, groups: &Groups) -> bool {
    let servers = voters.iter().map(|id| format!("server.{id}=m{id}:2888:3888\n")).collect::<String>();
    let members = Members::read(&(servers + &lines(groups))).expect("these are members");
    let quorum = members.quorum();
    voters.iter().all(|gone| quorum.holds_if(|id| id != *gone))
}

fn lines(groups: &Groups) -> String {
    let of_groups = groups.iter().map(|(group, all)| {
        let ids: Vec<_> = all.iter().map(|(id, _)| id.to_string()).collect();
        format!("group.{group}={}\n", ids.join(":"))
    });
    let weights = groups.values().flatten().map(|(id, weight)| format!("weight.{id}={weight}\n"));
    of_groups.chain(weights).collect()
}
