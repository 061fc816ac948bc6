//! What is done to an ensemble, one fault after the other, as a seed draws them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::network::{Block, End, Lane, Network};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom, SliceRandom};

use crate::member_changes::{member, member_at};

/// How long a fault lasts, in ms.
const LASTS_MS: std::ops::Range<u64> = 1_000..3_500;
/// Between one and the next, in ms.
const BETWEEN_MS: std::ops::Range<u64> = 100..1_500;
/// A flapping member is cut off and reached again so often.
const FLAPS_EVERY: Duration = Duration::from_millis(500);
/// A frozen one stands still so much longer: the others have elected and gone on when it wakes.
const FROZEN_LONGER: Duration = Duration::from_millis(1_500);
/// A slow member's line, in kbit/s.
const SLOW_KBIT: u32 = 200;

/// A voter that has lost its vote gets it back within so many seconds, whatever was killed meanwhile.
const VOTES_WITHIN_S: &str = "60";

/// A kind of fault; all but the last four need a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A member and everybody else do not reach each other.
    Isolated,
    /// A member and all others; clients reach it.
    PartedFromAll,
    /// A member and one other.
    PartedFromOne,
    /// Nobody receives what a member sends to other members.
    Mute,
    /// A member receives nothing that other members send.
    Deaf,
    /// A member and all others, on the connections for votes.
    WithoutVotes,
    /// A member and all others, on the connections for data.
    WithoutData,
    /// A member is cut off from the others and reached again, over and over.
    Flapping,
    /// What a member sends arrives late.
    Slow,
    /// One is killed, and started again.
    Killed,
    /// All are killed, and started again.
    AllKilled,
    /// One stands still for a while.
    Frozen,
    /// One loses its vote for a while; then one more, as the leader is killed.
    Reconfigured,
}

impl Fault {
    const ALL: [Self; 13] = [
        Self::Isolated,
        Self::PartedFromAll,
        Self::PartedFromOne,
        Self::Mute,
        Self::Deaf,
        Self::WithoutVotes,
        Self::WithoutData,
        Self::Flapping,
        Self::Slow,
        Self::Killed,
        Self::AllKilled,
        Self::Frozen,
        Self::Reconfigured,
    ];

    /// Those that can be done.
    pub(super) fn all(with_network: bool) -> &'static [Self] {
        if with_network { &Self::ALL } else { &Self::ALL[9..] }
    }
}

pub(super) struct Nemesis<'a> {
    pub(super) ensemble: &'a mut Ensemble,
    pub(super) network: Option<&'a mut Network>,
    pub(super) rng: StdRng,
    /// What is drawn from.
    pub(super) deck: Vec<Fault>,
    /// How often each was done.
    pub(super) done: BTreeMap<Fault, u64>,
    /// Members killed, and started again, in the middle of a fault of the network.
    pub(super) killed_within: u64,
    /// Votes that were taken away.
    pub(super) demoted: u64,
}

impl Nemesis<'_> {
    /// Every fault once, in an order that is drawn, and again while the time lasts; heals in the end.
    pub(super) fn run(&mut self, time: Duration) {
        let began = Instant::now();
        while self.done.is_empty() || began.elapsed() < time {
            self.deck.shuffle(&mut self.rng);
            for fault in self.deck.clone() {
                self.act(fault);
                let is_needed = !self.deck.iter().all(|fault| self.done.contains_key(fault));
                if began.elapsed() >= time && !is_needed {
                    break;
                }
            }
        }
    }

    fn act(&mut self, fault: Fault) {
        // Faults of the leader are the interesting ones.
        let leader = self.ensemble.leader().filter(|_| self.rng.random_bool(0.6));
        let ids = self.ensemble.ids();
        let id = leader.unwrap_or_else(|| *ids.choose(&mut self.rng).expect("there are members"));
        let lasts = Duration::from_millis(self.rng.random_range(LASTS_MS));
        println!("chaos: {fault:?}, member {id}, {lasts:?}");
        match fault {
            Fault::Killed => {
                self.ensemble.kill(id);
                std::thread::sleep(lasts);
                self.ensemble.start(id);
            }
            Fault::AllKilled => {
                self.ensemble.kill_all();
                self.ensemble.start_all();
            }
            Fault::Frozen => {
                self.ensemble.freeze(id);
                std::thread::sleep(lasts + FROZEN_LONGER);
                self.ensemble.thaw(id);
            }
            Fault::Reconfigured => {
                self.reconfigure(lasts / 2, None);
                let kill_after = Duration::from_millis(self.rng.random_range(0..40));
                self.reconfigure(lasts / 2, Some(kill_after));
            }
            of_network => self.disturb(of_network, id, &ids, lasts),
        }
        *self.done.entry(fault).or_default() += 1;
        if self.rng.random_bool(0.5) {
            self.ensemble.await_all_serving();
        }
        std::thread::sleep(Duration::from_millis(self.rng.random_range(BETWEEN_MS)));
    }

    /// By an operator's command on another member. It may be overtaken by the leader's death, and then be refused, or have
    /// been done nevertheless.
    fn reconfigure(&mut self, lasts: Duration, kill_after: Option<Duration>) {
        let leader = self.ensemble.await_all_serving();
        let voters = self.ensemble.voters();
        let id = *voters.choose(&mut self.rng).expect("there are voters");
        let on =
            *voters.iter().filter(|other| **other != id).choose(&mut self.rng).expect("there are others");
        let (ensemble, order) = (&mut *self.ensemble, ["demote".to_owned(), id.to_string()]);
        let data_dir = ensemble.data_dir(on);
        let demoted = std::thread::scope(|scope| {
            let demoted = scope.spawn(|| member_at(&data_dir, &order));
            if let Some(after) = kill_after {
                std::thread::sleep(after);
                println!("chaos: and leader {leader} is killed and started again");
                ensemble.kill(leader);
                ensemble.start(leader);
            }
            demoted.join().expect("no panic")
        });
        match demoted {
            Ok(_) => self.demoted += 1,
            Err(why) if kill_after.is_none() => panic!("member {id} is not demoted: {why}"),
            Err(why) => println!("chaos: member {id} keeps its vote, or not: {}", why.trim_end()),
        }
        std::thread::sleep(lasts);
        self.give_votes_back(&voters);
    }

    /// All have a vote again.
    fn give_votes_back(&mut self, voters: &[Id]) {
        let leader = self.ensemble.await_all_serving();
        for id in voters {
            match member(self.ensemble, leader, &["promote", &id.to_string(), "--wait", VOTES_WITHIN_S]) {
                Err(why) if !why.contains("votes already") => panic!("member {id} gets no vote: {why}"),
                _ => {}
            }
        }
    }

    fn disturb(&mut self, fault: Fault, id: Id, ids: &[Id], lasts: Duration) {
        let network = self.network.as_mut().expect("it was not drawn without");
        let others: Vec<_> = ids.iter().filter(|other| **other != id).copied().collect();
        let other = *others.choose(&mut self.rng).expect("there are others");
        let blocks = blocks(fault, id, &others, other);
        let killed = Some(*ids.choose(&mut self.rng).expect("there are members"));
        let killed = killed.filter(|_| self.rng.random_bool(0.3));
        let began = Instant::now();
        match fault {
            Fault::Slow => network.slow(id, Some(SLOW_KBIT)),
            Fault::Flapping => {
                while began.elapsed() < lasts {
                    network.block(blocks.iter().copied());
                    std::thread::sleep(FLAPS_EVERY);
                    network.heal();
                    std::thread::sleep(FLAPS_EVERY);
                }
            }
            _ => network.block(blocks),
        }
        if let Some(killed) = killed {
            std::thread::sleep((lasts / 2).saturating_sub(began.elapsed()));
            println!("chaos: and member {killed} is killed and started again");
            self.ensemble.kill(killed);
            self.ensemble.start(killed);
            self.killed_within += 1;
        }
        std::thread::sleep(lasts.saturating_sub(began.elapsed()));
        network.heal();
    }
}

/// What a fault of `id` drops.
fn blocks(fault: Fault, id: Id, others: &[Id], other: Id) -> Vec<Block> {
    let (out, into) =
        (|to, lane| block(id, to, lane), |from: End, lane| Block { from, to: End::Member(id), lane });
    let both = |end, lane| [out(end, lane), into(end, lane)];
    let members = || others.iter().map(|other| End::Member(*other));
    match fault {
        Fault::Isolated => members().chain([End::Clients]).flat_map(|end| both(end, Lane::All)).collect(),
        Fault::PartedFromAll | Fault::Flapping => members().flat_map(|end| both(end, Lane::All)).collect(),
        Fault::PartedFromOne => both(End::Member(other), Lane::All).to_vec(),
        Fault::Mute => members().map(|end| out(end, Lane::All)).collect(),
        Fault::Deaf => members().map(|end| into(end, Lane::All)).collect(),
        Fault::WithoutVotes => members().flat_map(|end| both(end, Lane::Election)).collect(),
        Fault::WithoutData => members().flat_map(|end| both(end, Lane::Quorum)).collect(),
        Fault::Slow | Fault::Killed | Fault::AllKilled | Fault::Frozen | Fault::Reconfigured => Vec::new(),
    }
}

fn block(from: Id, to: End, lane: Lane) -> Block {
    Block { from: End::Member(from), to, lane }
}

#[test]
fn every_fault_of_the_network_drops_what_it_says() {
    let count = |fault| {
        let blocks = blocks(fault, 2, &[1, 3], 3);
        let sent = |block: &&Block| block.from == End::Member(2);
        (blocks.len(), blocks.iter().filter(sent).count())
    };
    use Fault as F;
    let counts = F::ALL.map(count);
    let none = (0, 0);
    assert_eq!(counts[..6], [(6, 3), (4, 2), (2, 1), (2, 2), (2, 0), (4, 2)]);
    assert_eq!(counts[6..], [(4, 2), (4, 2), none, none, none, none, none]);
    assert_eq!(F::all(false), [F::Killed, F::AllKilled, F::Frozen, F::Reconfigured]);
    let lanes = |fault| blocks(fault, 2, &[1, 3], 3)[0].lane;
    assert_eq!(
        [F::WithoutVotes, F::WithoutData, F::Mute].map(lanes),
        [Lane::Election, Lane::Quorum, Lane::All]
    );
}
