//! A member comes back with an empty disk, with many znodes to fetch, while clients write at a steady rate: how soon does it
//! serve, and what do the clients notice?
//!
//! They are compared with the same clients of the same leader, while a process that wants a core whole takes the
//! rejoiner's place: that the machine has work to do is not the server's doing.

use std::thread;
use std::time::{Duration, Instant};

use crate::busy::Busy;
use crate::load::{Load, Told, WARM_UP};
use crate::restart::fill;
use crate::servers::Kind;
use crate::three::Three;
use crate::{Options, aim, median, verdict};

/// Of all clients, which are at the leader.
const LOAD: Load = Load { op: "set", clients: 16, pipeline: 64, rate: Some(2_000) };
/// Children of each parent, see [`fill`].
const CHILDREN: usize = 1_000;
/// From the end of the load's warm-up until the member is started.
const REST: Duration = Duration::from_millis(500);
/// Seconds until it serves, at most.
const SERVES_GATE: f64 = 5.0;
/// How many times the other run's p99, at most.
const P99_GATE: f64 = 2.0;

#[derive(Clone, Copy)]
struct Round {
    serves: f64,
    beside: Told,
    control: Told,
}

impl Round {
    fn p99_ratio(&self) -> f64 {
        self.beside.p99_us / self.control.p99_us
    }
}

/// What is printed: its name, its value in a round, and the most it may be.
type Row = (&'static str, fn(&Round) -> f64, Option<f64>);

/// Measures, prints, and says whether the gates hold.
pub(crate) fn run(options: &Options) -> bool {
    let [java, paddock] = [Kind::Java, Kind::Paddock].map(|kind| measure(kind, options));
    let middle = |rounds: &[Round], of: fn(&Round) -> f64| median(rounds.iter().map(of));
    let rows: [Row; 4] = [
        ("until it serves, s", |it| it.serves, Some(SERVES_GATE)),
        ("p99 of writes meanwhile, us", |it| it.beside.p99_us, None),
        ("p99 with a busy process in its place, us", |it| it.control.p99_us, None),
        ("the first of these to the second", Round::p99_ratio, Some(P99_GATE)),
    ];
    println!(
        "\n| {} znodes, an empty disk, {} writes/s | Java | Paddock | at most | holds | {} |\n|---|---:|---:|---:|---:|---:|---:|",
        options.znodes,
        LOAD.rate.unwrap_or_default(),
        aim::HEAD
    );
    let mut all = true;
    for (name, of, gate) in rows {
        let (theirs, ours) = (middle(&java, of), middle(&paddock, of));
        let holds = gate.is_none_or(|gate| ours <= gate);
        all &= holds;
        let gate = gate.map_or_else(|| "–".to_owned(), |gate| gate.to_string());
        println!("| {name} | {theirs:.2} | {ours:.2} | {gate} | {} | {} |", verdict(holds), aim::NONE);
    }
    all
}

fn measure(kind: Kind, options: &Options) -> Vec<Round> {
    let mut three = Three::start(kind);
    let [leader, rejoiner, _] = three.by_role();
    fill(three.addresses([leader])[0], options.znodes.div_ceil(CHILDREN), options.znodes);
    let at = three.addresses([leader]);
    // Long enough for the slower of the two to come back.
    let seconds = options.seconds.max(SERVES_GATE) * 3.0;
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        three.ensemble.kill(rejoiner);
        three.ensemble.wipe(rejoiner);
        let load = LOAD.start(&at, seconds);
        thread::sleep(Duration::from_secs_f64(WARM_UP) + REST);
        let busy = Busy::some(1, seconds);
        let control = load.told();
        drop(busy);
        let load = LOAD.start(&at, seconds);
        thread::sleep(Duration::from_secs_f64(WARM_UP) + REST);
        let began = Instant::now();
        three.ensemble.start(rejoiner);
        three.ensemble.wait_for("the rejoiner to serve", |ensemble| ensemble.mode(rejoiner));
        let serves = began.elapsed().as_secs_f64();
        let beside = load.told();
        eprintln!(
            "{kind:?} {round}: serves after {serves:.2} s; p99 {} us, with a busy process in its place {} us",
            beside.p99_us, control.p99_us
        );
        rounds.push(Round { serves, beside, control });
        assert_eq!(
            three.by_role()[0],
            leader,
            "the leader has changed: it was not measured with all its clients"
        );
    }
    rounds
}
