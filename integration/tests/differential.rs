//! Seeded operations by two sessions, sent to Apache's server and to Paddock: what comes back is equal
//! or a listed deviation. Needs java and `cargo build -p paddock`.
//!
//! `SEED=81` runs that one; `SEEDS=1000` runs the first thousand, with `FIRST=1000` the thousand after
//! those; `TRACE=1` tells each step.
#![allow(missing_docs, reason = "a test binary")]

use paddock_integration::differential::counters::MINIMUMS;
use paddock_integration::differential::deviations;
use paddock_integration::differential::generate::operations;
use paddock_integration::differential::mapping::Mapping;
use paddock_integration::differential::minimise::minimise;
use paddock_integration::differential::op::Op;
use paddock_integration::differential::run::{Counts, Difference, Met, Pair, run};
use paddock_integration::differential::sequence_end;
use paddock_integration::differential::servers::{self, Paddock};
use paddock_integration::java_server::JavaServer;

/// Operations a seed draws.
const OPS: usize = 60;
/// How many differences are told before the test gives up.
const MOST_FAILURES: usize = 6;
/// How many arbiters Paddock's clients have to themselves: by the seed, in turn.
const ARBITERS: [u64; 3] = [0, 1, 4];
/// Runs that one failure's minimising may take.
const TRIES: usize = 40;

/// Both servers, what is known of their numbers, and the name of the next run.
struct Bench {
    java: JavaServer,
    paddock: Paddock,
    mapping: Mapping,
    client_arbiters: u64,
    runs: u32,
    trace: bool,
}

impl Bench {
    fn start(client_arbiters: u64) -> Self {
        Self {
            java: servers::java().expect("Apache's server starts"),
            paddock: servers::paddock(client_arbiters).expect("Paddock starts"),
            mapping: Mapping::default(),
            client_arbiters,
            runs: 0,
            trace: number("TRACE").is_some(),
        }
    }

    fn run(&mut self, ops: &[Op]) -> Result<Met, Difference> {
        self.runs += 1;
        let pair = Pair { java: self.java.address(), paddock: self.paddock.server.address() };
        let result = run(pair, &mut self.mapping, ops, &format!("/d{:06}", self.runs), self.trace);
        if result.is_err() {
            *self = Self::start(self.client_arbiters); // two servers that differ would go on to
        }
        result
    }

    /// The failure with as few operations as still fail, told.
    fn tell(&mut self, seed: u64, ops: &[Op], difference: &Difference) -> String {
        let ops = ops[..=difference.at].to_vec();
        let fewest = minimise(ops, TRIES, |ops| self.run(ops).is_err());
        let text = self.run(&fewest).err().map_or_else(|| difference.text.clone(), |d| d.text);
        let list: String = fewest.iter().map(|op| format!("    {op}\n")).collect();
        format!("SEED={seed}: {} operations\n{list}{text}", fewest.len())
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn y1_to_y5_both_servers_answer_alike() {
    let mut seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (number("FIRST").unwrap_or(0)..).take(number("SEEDS").unwrap_or(200) as usize).collect(),
    };
    let arbiters = |seed: u64| ARBITERS[(seed % 3) as usize];
    seeds.sort_by_key(|seed| arbiters(*seed));
    let mut bench = Bench::start(arbiters(seeds[0]));
    let (mut met, mut failures) = (Met::default(), Vec::new());
    let mut ops_run = 0;
    for &seed in &seeds {
        if arbiters(seed) != bench.client_arbiters {
            bench = Bench::start(arbiters(seed));
        }
        let ops = operations(seed, OPS);
        ops_run += ops.len();
        match bench.run(&ops) {
            Ok(one) => {
                add(&mut met.deviations, one.deviations);
                add(&mut met.outcomes, one.outcomes);
            }
            Err(difference) => {
                let told = bench.tell(seed, &ops, &difference);
                eprintln!("{told}");
                failures.push(seed);
            }
        }
        if failures.len() >= MOST_FAILURES {
            break;
        }
    }
    if seeds.len() > 1 {
        let one = at_the_sequences_end();
        add(&mut met.deviations, one.deviations);
        add(&mut met.outcomes, one.outcomes);
    }
    println!("seeds: {}, ops: {ops_run}, deviations met: {:?}", seeds.len(), met.deviations);
    println!("met: {:?}", met.outcomes);
    assert!(failures.is_empty(), "seeds that differ: {failures:?}");
    if seeds.len() >= 200 {
        let stale: Vec<_> =
            deviations::ALL.iter().filter(|d| !met.deviations.contains_key(d.id)).map(|d| d.id).collect();
        assert!(stale.is_empty(), "Y3: deviations that no seed met: {stale:?}");
        let rare = |(name, least): &&(&str, usize)| met.outcomes.get(*name).copied().unwrap_or(0) < *least;
        let rare: Vec<_> = MINIMUMS.iter().filter(rare).collect();
        assert!(rare.is_empty(), "Y5: met less often than this: {rare:?}");
    }
}

fn at_the_sequences_end() -> Met {
    let (java, paddock) = servers::near_the_sequences_end();
    let pair = Pair { java: java.address(), paddock: paddock.server.address() };
    let mut mapping = sequence_end::mapping();
    let ops = sequence_end::operations();
    run(pair, &mut mapping, &ops, sequence_end::PARENT, false).unwrap_or_else(|d| panic!("{}", d.text))
}

fn add(to: &mut Counts, from: Counts) {
    from.into_iter().for_each(|(name, n)| *to.entry(name).or_default() += n);
}
