//! A node alone over a faulty disk, and whole ensembles, by seed. `SEED=n` runs one seed, `SEEDS=n` that many
//! (default 200); with `TRACE=1` an ensemble's members say which roles they take and leave, and why.
#![allow(missing_docs, reason = "a test binary")]

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use paddock_integration::sim::{Fault, Met, run};

/// Seeds that found something once: they run first.
const FAILED_ONCE: &[u64] = &[2, 8, 20, 40, 140, 247, 1874, 2780];

/// What 200 seeds must have met at least; more seeds that much more.
const LEAST_OF_200: &[(&str, u64)] = &[
    ("ACLs replaced", 300),
    ("clients told of expiry", 115),
    ("crashes at a disk operation", 381),
    ("crashes at a name", 49),
    ("crashes at a roll-over", 25),
    ("crashes at a sync", 180),
    ("crashes at a write", 203),
    ("crashes at any moment", 604),
    ("crashes before an append was written", 140),
    ("crashes before an expiry was proposed", 4),
    ("crashes before proposals were appended", 221),
    ("crashes before requests were forwarded", 256),
    ("crashes before requests were proposed", 237),
    ("crashes before the next epoch was durable", 15),
    ("crashes between a snapshot and its entry", 2),
    ("crashes between ack and commit", 80),
    ("crashes between an epoch and its first txn", 12),
    ("crashes between append and sync", 469),
    ("crashes between apply and reply", 298),
    ("crashes between commit and apply", 101),
    ("crashes between reply and socket", 231),
    ("crashes between sync and ack", 85),
    ("crashes during a snapshot", 10),
    ("crashes during recovery", 52),
    ("crashes with committed txns not applied", 119),
    ("damage to the log refused", 27),
    ("damage to the only snapshot refused", 2),
    ("ends at a roll-over", 25),
    ("ends for a failed sync", 179),
    ("epochs refused by a full disk", 60),
    ("epochs rolled over", 500),
    ("events delivered by setWatches", 350),
    ("expiries called off", 3),
    ("full disks announced", 76),
    ("handshakes turned away", 300),
    ("kills", 490),
    ("numbers given", 3220),
    ("outages longer than a session's timeout", 200),
    ("persistent events", 7000),
    ("persistent watches set again", 6000),
    ("pings held up", 190),
    ("power failures", 727),
    ("purges that a full disk brought", 20),
    ("reads between two writes", 5000),
    ("reads checked", 13171),
    ("recoveries from a snapshot", 1018),
    ("recoveries from an older snapshot", 78),
    ("recoveries from the log alone", 25),
    ("replies", 50051),
    ("requests held for the disk", 60000),
    ("resumed after a full disk", 48),
    ("segments purged", 47),
    ("sessions closed", 308),
    ("sessions that came back after such an outage", 600),
    ("sessions expired", 109),
    ("silences", 180),
    ("snapshots abandoned", 20),
    ("snapshots failed", 102),
    ("snapshots kept", 1185),
    ("snapshots purged", 767),
    ("snapshots refused", 24),
    ("stalls", 594),
    ("takeovers", 569),
    ("torn tails cut", 31),
    ("watch events", 8000),
    ("watches asked for that there were not", 1500),
    ("watches found by checkWatches", 800),
    ("watches removed", 800),
    ("watches set again after a reconnect", 5000),
    ("writes refused by a full disk", 1136),
    ("znodes reaped", 426),
];

#[path = "simulation/ensemble.rs"]
mod ensemble;

/// What is run for each seed, and the test that does it.
struct Runs {
    run: fn(u64) -> Result<Met, String>,
    test: &'static str,
}

/// Those that failed once, then as many as asked for; and whether that is enough to assert what was met.
fn seeds(failed_once: &[u64]) -> (Vec<u64>, bool) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("SEED") {
        Some(seed) => (vec![seed], false),
        None => {
            let many = number("SEEDS").unwrap_or(200);
            (failed_once.iter().copied().chain(0..many).collect(), many >= 200)
        }
    }
}

/// Runs seeds on two threads.
fn run_all(seeds: &[u64], runs: &Runs) -> Met {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut met = Met::default();
        while let Some(&seed) = seeds.get(next.fetch_add(1, Relaxed) as usize) {
            match (runs.run)(seed) {
                Ok(more) => met.merge(&more),
                Err(error) => panic!(
                    "{error}\nreplay with: SEED={seed} cargo test -p paddock-integration --test simulation -- --nocapture {}",
                    runs.test
                ),
            }
        }
        met
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        let mut met = worker();
        match other.join() {
            Ok(more) => met.merge(&more),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        met
    })
}

fn report(met: &Met, seeds: &[u64], began: Instant) {
    println!("met: {}", met.line());
    let hours = met.get("simulated ms") as f64 / 3_600_000.0;
    println!("seeds: {}, {hours:.1} simulated hours, {} s", seeds.len(), began.elapsed().as_secs());
}

/// A mistake made on purpose fails one of 500 seeds from this one on.
fn is_found<F: Copy + Debug>(fault: F, from: u64, run: fn(u64, Option<F>) -> Result<Met, String>) {
    let found = (from..from + 500).find_map(|seed| run(seed, Some(fault)).err().map(|error| (seed, error)));
    let (seed, error) = found.unwrap_or_else(|| panic!("{fault:?} was not found"));
    let what: String = error.lines().nth(1).unwrap_or(&error).chars().take(120).collect();
    println!("found: {fault:?} by seed {seed}: {what}");
}

/// Runs the seeds that failed once and as many as are asked for; enough of them must have met so much.
fn all_hold(failed_once: &[u64], runs: &Runs, least_of_200: &[(&str, u64)]) {
    let began = Instant::now();
    let (seeds, asserts) = seeds(failed_once);
    let met = run_all(&seeds, runs);
    report(&met, &seeds, began);
    if asserts {
        at_least(&met, least_of_200, seeds.len());
    }
}

/// A check that never saw what it is for proves nothing.
fn at_least(met: &Met, least_of_200: &[(&str, u64)], seeds: usize) {
    for (what, least) in least_of_200 {
        let least = least * seeds as u64 / 200;
        assert!(met.get(what) >= least, "{what}: met {}, expected {least}", met.get(what));
    }
}

#[test]
fn d1_d2_d3_d4_vc1_to_vc10_e1_e2_g1_hold_whatever_happens() {
    all_hold(FAILED_ONCE, &Runs { run: |seed| run(seed, None), test: "d1_d2" }, LEAST_OF_200);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

/// The checks above can fail: each mistake in the wiring is found.
#[test]
fn every_deliberate_fault_is_found() {
    Fault::ALL.into_iter().for_each(|fault| is_found(fault, 0, run));
}
