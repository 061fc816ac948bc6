//! Three servers lose their leader: how soon is a write done again? And do they keep one that is well?

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::busy::Busy;
use crate::servers::Kind;
use crate::three::Three;
use crate::writer::Writer;
use crate::{Options, aim, median, verdict};

/// Leaders frozen, of Java's, whose followers give one up after `syncLimit`, 10 s, and of Paddock's.
const FREEZES: [usize; 2] = [2, 5];
/// What each writer has done before the leader goes.
const WRITES_BEFORE: u64 = 50;
/// How long all have been at rest by then.
const REST: Duration = Duration::from_millis(500);
/// A write may take so long; never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two writes while the cores are busy.
const LIGHT: Duration = Duration::from_millis(10);
/// The gates, in ms: with the leader killed the median and the worst, with it frozen the worst.
const KILL_GATES: [f64; 2] = [200.0, 500.0];
const FREEZE_GATE: f64 = 2_000.0;
/// What is aimed at: killed, the median; frozen, the worst.
const KILL_AIM: f64 = 100.0;
const FREEZE_AIM: f64 = 1_500.0;

/// Where the two writers are when the leader goes: by role, so 0 is the leader.
const AT: [usize; 2] = [1, 0];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    Kill,
    Freeze,
}

/// All in ms.
#[derive(Default)]
struct Measured {
    /// By round: until the first write of either writer.
    killed: Vec<f64>,
    /// Until both had written.
    both: Vec<f64>,
    frozen: Vec<f64>,
    /// Epochs begun while the cores were busy.
    epochs: i64,
}

/// Measures, prints, and says whether the gates hold.
pub(crate) fn run(options: &Options) -> bool {
    let [java, paddock] = [(Kind::Java, FREEZES[0]), (Kind::Paddock, FREEZES[1])]
        .map(|(kind, freezes)| measure(kind, freezes, options));
    let [killed, frozen] = [&paddock.killed, &paddock.frozen].map(|ms| Spread::of(ms));
    let [median_gate, worst_gate] = KILL_GATES;
    let holds = [
        killed.median <= median_gate && killed.most <= worst_gate,
        frozen.most <= FREEZE_GATE,
        paddock.epochs == 0,
    ];
    let [kill, freeze, busy] = holds.map(verdict);
    println!(
        "\n| three servers; ms: least / median / most | Java | Paddock | : Java | at most | holds | {} |\n|---|{}",
        aim::HEAD,
        "---:|".repeat(7)
    );
    let killed_aim = aim::cells(&format!("median {KILL_AIM}"), killed.median <= KILL_AIM);
    let frozen_aim = aim::cells(&format!("most {FREEZE_AIM}"), frozen.most <= FREEZE_AIM);
    let kill_gate = format!("median {median_gate}, most {worst_gate}");
    print_row(
        "leader killed until the next write",
        &java.killed,
        &paddock.killed,
        &kill_gate,
        [kill, &killed_aim],
    );
    print_row("the same, until both clients have written", &java.both, &paddock.both, "–", ["–", aim::NONE]);
    let freeze_gate = format!("most {FREEZE_GATE}");
    print_row(
        "leader frozen until the next write",
        &java.frozen,
        &paddock.frozen,
        &freeze_gate,
        [freeze, &frozen_aim],
    );
    let (seconds, theirs, ours) = (options.busy_seconds, java.epochs, paddock.epochs);
    println!(
        "| new epochs in {seconds} s with every core busy | {theirs} | {ours} | – | 0 | {busy} | {} |",
        aim::NONE
    );
    holds.iter().all(|holds| *holds)
}

fn print_row(name: &str, java: &[f64], paddock: &[f64], at_most: &str, [holds, aim]: [&str; 2]) {
    let [java, paddock] = [java, paddock].map(Spread::of);
    let ratio = paddock.median / java.median;
    println!("| {name} | {} | {} | {ratio:.2} | {at_most} | {holds} | {aim} |", java.text(), paddock.text());
}

fn measure(kind: Kind, freezes: usize, options: &Options) -> Measured {
    let mut three = Three::start(kind);
    let mut measured = Measured::default();
    for round in 1..=options.kills {
        let [first, both] = lose(&mut three, Loss::Kill);
        eprintln!("{kind:?} kill {round}: first write after {first:.0} ms, both after {both:.0} ms");
        measured.killed.push(first);
        measured.both.push(both);
    }
    for round in 1..=freezes {
        let [first, _] = lose(&mut three, Loss::Freeze);
        eprintln!("{kind:?} freeze {round}: first write after {first:.0} ms");
        measured.frozen.push(first);
    }
    measured.epochs = keep_busy(&mut three, options.busy_seconds);
    eprintln!("{kind:?}: {} new epochs with every core busy", measured.epochs);
    measured
}

/// The leader goes and comes back. Until the first write of a new epoch is acknowledged to one of two writers, and to
/// both, in ms; a writer at a frozen leader is not waited for.
fn lose(three: &mut Three, loss: Loss) -> [f64; 2] {
    let roles = three.by_role();
    let (leader, servers) = (roles[0], three.addresses(roles));
    thread::sleep(REST);
    let (news, heard) = channel();
    let start = |(number, at)| Writer::start(number, &servers, at, Duration::ZERO, news.clone());
    let writers: Vec<_> = AT.into_iter().enumerate().map(start).collect();
    writers.iter().for_each(|writer| writer.await_writes(WRITES_BEFORE));
    let epoch = heard.try_iter().map(|acked| acked.epoch).max().expect("they have written");
    let began = Instant::now();
    match loss {
        Loss::Kill => three.ensemble.kill(leader),
        Loss::Freeze => three.ensemble.freeze(leader),
    }
    let expected = if loss == Loss::Kill { writers.len() } else { 1 };
    let mut after = vec![None; writers.len()];
    while after.iter().flatten().count() < expected {
        let acked = heard.recv_timeout(PATIENCE).expect("the others carry on");
        if acked.epoch > epoch {
            after[acked.writer].get_or_insert((acked.at - began).as_secs_f64() * 1e3);
        }
    }
    match loss {
        Loss::Kill => three.ensemble.start(leader),
        Loss::Freeze => three.ensemble.thaw(leader),
    }
    drop(writers);
    let after = || after.iter().flatten().copied();
    [after().fold(f64::INFINITY, f64::min), after().fold(0.0, f64::max)]
}

/// How many epochs begin while other processes want every core, and one client writes a little.
fn keep_busy(three: &mut Three, seconds: f64) -> i64 {
    let roles = three.by_role();
    let before = three.zxid(roles[0]) >> 32;
    let (news, _heard) = channel();
    let writer = Writer::start(0, &three.addresses(roles), AT[0], LIGHT, news);
    let busy = Busy::start(seconds + PATIENCE.as_secs_f64());
    thread::sleep(Duration::from_secs_f64(seconds));
    drop(busy);
    drop(writer);
    let leader = three.by_role()[0];
    (three.zxid(leader) >> 32) - before
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(ms: &[f64]) -> Self {
        let fold = |start, keep: fn(f64, f64) -> f64| ms.iter().copied().fold(start, keep);
        Self {
            least: fold(f64::INFINITY, f64::min),
            median: median(ms.iter().copied()),
            most: fold(0.0, f64::max),
        }
    }

    fn text(&self) -> String {
        format!("{:.0} / {:.0} / {:.0}", self.least, self.median, self.most)
    }
}
