//! An ensemble through faults that a seed draws, under clients whose whole history is judged: what they were told
//! may be explained by one order of all that was done, whatever was cut, killed or frozen meanwhile.
//!
//! `CHAOS_SEED=n` draws the same faults again, `CHAOS_SECONDS=n` goes on for so long, in rounds with a history
//! each, and `CHAOS_ONLY=Frozen` does one kind of fault, whatever else a run should have met. Without network namespaces members are only killed and frozen.

mod bank;
mod holders;
mod link;
mod list;
mod locks;
mod nemesis;
mod order;
mod registers;
mod round;
mod watchers;
mod watches;
mod writers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Shape};
use paddock_integration::network::Network;
use paddock_integration::rounds::{number, seed_of};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use nemesis::{Fault, Nemesis};
use round::Round;

const VOTERS: usize = 3;
const OBSERVERS: usize = 1;
/// In every member's file, for the run in which nobody asks for a sync.
const LINEARIZABLE: &str = "linearizableReads=true\n";
/// Of a run, unless more are asked for.
const SECONDS: u64 = 40;
/// Of faults in one round.
const ROUND: Duration = Duration::from_secs(60);

/// What a run has met, by name.
pub(super) type Met = BTreeMap<&'static str, u64>;

/// What every run must have met, and how often.
const LEAST: [(&str, u64); 17] = [
    ("done", 2_000),
    ("refused", 50),
    ("unknown", 20),
    ("connections of a session that had one before", 20),
    ("sessions expired", 1),
    ("elections", 2),
    ("register operations", 500),
    ("transfers", 100),
    ("reads of all accounts", 200),
    ("appends", 200),
    ("holdings", 10),
    ("fenced writes", 10),
    ("ephemerals of living sessions", 50),
    ("ephemerals of ended sessions", 1),
    ("watch events", 100),
    ("watches carried to another connection", 5),
    ("votes taken away, and given back", 1),
];

#[test]
fn clients_of_an_ensemble_in_chaos_see_one_history() {
    chaos("");
}

/// No client asks for a sync.
#[test]
fn c10_clients_of_an_ensemble_in_chaos_see_one_history_without_a_sync_where_reads_are_linearizable() {
    chaos(LINEARIZABLE);
}

fn chaos(lines: &str) {
    let seed = seed_of("CHAOS_SEED", "chaos");
    let time = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(SECONDS));
    match Network::new((1..=(VOTERS + OBSERVERS) as u64).collect()) {
        Ok(network) => network.inside(|network| run(lines, Some(network), seed, time)),
        Err(why) => {
            println!("\nskipped: no network namespaces here, members are killed and frozen only: {why}");
            run(lines, None, seed, time);
        }
    }
}

fn run(lines: &str, mut network: Option<&mut Network>, seed: u64, time: Duration) {
    let dir = tempfile::tempdir().unwrap();
    // Ticks that are short: a fault lasts longer than a leader waits for its quorum.
    let (voters, observers, lines) = (VOTERS, OBSERVERS, lines.to_owned());
    let reads_are_linearizable = lines == LINEARIZABLE;
    let shape = Shape { voters, observers, tick_ms: 200, lines, ..Shape::default() };
    let mut ensemble = match &network {
        Some(network) => Ensemble::in_network(dir.path(), shape, network),
        None => Ensemble::shaped(dir.path(), shape),
    };
    ensemble.start_all();
    ensemble.await_all_serving();
    let (mut met, mut faults) = (Met::new(), BTreeMap::new());
    let only = std::env::var("CHAOS_ONLY").ok();
    let mut deck = Fault::all(network.is_some()).to_vec();
    deck.retain(|fault| only.as_ref().is_none_or(|only| format!("{fault:?}") == *only));
    let (mut rng, began) = (StdRng::seed_from_u64(seed), Instant::now());
    for nth in 0.. {
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let network = network.as_deref_mut();
        let mut nemesis = Nemesis {
            ensemble: &mut ensemble,
            network,
            rng: StdRng::seed_from_u64(rng.random()),
            deck: deck.clone(),
            done: std::mem::take(&mut faults),
            killed_within: 0,
            demoted: 0,
        };
        let round = Round { root: format!("/round-{nth}"), seed: rng.random(), reads_are_linearizable };
        round.run(&mut nemesis, left.min(ROUND), &mut met);
        faults = nemesis.done;
        *met.entry("killed within another fault").or_default() += nemesis.killed_within;
        *met.entry("votes taken away, and given back").or_default() += nemesis.demoted;
        no_member_has_met_an_error(&ensemble);
    }
    println!("met: {faults:?}");
    println!("met: {met:?}");
    if only.is_some() {
        return;
    }
    for fault in &deck {
        assert!(faults.contains_key(fault), "no {fault:?}");
    }
    for (what, least) in LEAST {
        let times = met.get(what).copied().unwrap_or(0);
        assert!(times >= least, "{what}: {times}, which should be {least} at least");
    }
    if let Some(network) = network {
        println!("met: {} packets dropped", network.dropped());
        assert!(network.dropped() > 0, "the network dropped nothing");
    }
}

/// A member that is frozen while it waits for its disk cannot tell whose fault that is.
const STOOD_STILL: &str = "the disk does not answer";

/// What no fault of a network, and no end of another, may do to a member.
fn no_member_has_met_an_error(ensemble: &Ensemble) {
    for id in ensemble.ids() {
        let log = ensemble.every_log(id);
        let bad = |line: &&str| {
            line.contains("panicked") || line.contains(" ERROR ") && !line.contains(STOOD_STILL)
        };
        let found: Vec<_> = log.lines().filter(bad).collect();
        assert!(found.is_empty(), "member {id}: {found:#?}");
    }
}
