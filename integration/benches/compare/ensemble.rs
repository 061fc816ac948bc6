//! Requests a second of three servers, latencies, and what a write costs each of them.
//!
//! One client is at a follower; sixteen are dealt out: six and five at the followers, five at the leader.

use std::thread;
use std::time::Duration;

use paddock_integration::ensemble::Id;

use crate::load::{Load, Told, VALUE_SIZE, WARM_UP};
use crate::servers::Kind;
use crate::three::Three;
use crate::{Options, aim, median, verdict};

/// A load, how many times the Java servers' throughput it must reach, and how many times it aims at.
struct Row {
    load: Load,
    at_least: Option<f64>,
    aim: Option<f64>,
}

const fn row(
    op: &'static str,
    clients: u32,
    pipeline: u32,
    (at_least, aim): (Option<f64>, Option<f64>),
) -> Row {
    Row { load: Load { op, clients, pipeline, rate: None }, at_least, aim }
}

const ROWS: &[Row] = &[
    // 90 % of what three mocks did where Java did 1,850 and 7,900: 3,900 and 36,000.
    row("set", 1, 1, (Some(1.5), Some(1.9))),
    row("set", 16, 1, (Some(3.2), Some(4.1))),
    // 400,000 where it did 32,000.
    row("set", 16, 64, (Some(10.0), Some(12.5))),
    row("get", 16, 64, (None, None)),
];

#[derive(Clone, Copy)]
struct Cell {
    told: Told,
    /// CPU time for each write, in us: the leader's, then the followers'. `NAN` if nothing is written.
    cpu_us: [f64; 3],
}

/// Measures, prints, and says whether every gate holds.
pub(crate) fn run(options: &Options) -> bool {
    // By server, row, round.
    let mut all = [(); 2].map(|()| ROWS.iter().map(|_| Vec::new()).collect::<Vec<Vec<Cell>>>());
    for round in 1..=options.rounds {
        for (kind, rows) in [Kind::Java, Kind::Paddock].into_iter().zip(&mut all) {
            let mut three = Three::start(kind);
            for (row, cells) in ROWS.iter().zip(rows) {
                let cell = measure(&mut three, &row.load, options.seconds);
                eprintln!(
                    "round {round}: three of {kind:?} {}: {:.0}/s, p50 {} us, p99.9 {} us, CPU {:.1?} us",
                    name(&row.load),
                    cell.told.per_second,
                    cell.told.p50_us,
                    cell.told.p99_9_us,
                    cell.cpu_us
                );
                cells.push(cell);
            }
        }
    }
    let [java, paddock] = all;
    println!(
        "\n| {VALUE_SIZE} B, three servers | Java /s | Paddock /s | : Java | at least | p99.9 us: Java | Paddock \
         | holds | {} |\n|---|{}",
        aim::HEAD,
        "---:|".repeat(9)
    );
    let rows = || ROWS.iter().zip(java.iter().zip(&paddock));
    let holds: Vec<_> = rows().map(|(row, (java, paddock))| print_speed(row, java, paddock)).collect();
    println!(
        "\n| CPU us a write | Java: leader | followers | Paddock: leader | followers |\n|---|{}",
        "---:|".repeat(4)
    );
    rows()
        .filter(|(row, _)| row.load.op == "set")
        .for_each(|(row, (java, paddock))| print_cpu(row, java, paddock));
    holds.iter().all(|holds| *holds)
}

fn measure(three: &mut Three, load: &Load, seconds: f64) -> Cell {
    let [leader, followers @ ..] = three.by_role();
    let ids = [leader, followers[0], followers[1]];
    let running = load.start(&three.addresses([followers[0], followers[1], leader]), seconds);
    // Well within the time that counts.
    thread::sleep(Duration::from_secs_f64(WARM_UP + seconds * 0.1));
    let before = used(three, ids);
    thread::sleep(Duration::from_secs_f64(seconds * 0.8));
    let after = used(three, ids);
    let writes = (after.1 - before.1) as f64;
    let cpu_us = [0, 1, 2].map(|at| match load.op {
        "set" => (after.0[at] - before.0[at]).as_secs_f64() * 1e6 / writes,
        _ => f64::NAN,
    });
    Cell { told: running.told(), cpu_us }
}

/// CPU time of each, and the leader's last txn, which counts the writes.
fn used(three: &Three, ids: [Id; 3]) -> ([Duration; 3], i64) {
    (ids.map(|id| three.cpu(id)), three.zxid(ids[0]))
}

fn name(load: &Load) -> String {
    format!("{} {} x {}", load.op, load.clients, load.pipeline)
}

/// Ratios are taken within a round.
fn print_speed(row: &Row, java: &[Cell], paddock: &[Cell]) -> bool {
    let middle = |of: &[Cell], what: fn(&Told) -> f64| median(of.iter().map(|cell| what(&cell.told)));
    let ratios = paddock.iter().zip(java).map(|(ours, theirs)| ours.told.per_second / theirs.told.per_second);
    let ratio = median(ratios);
    let holds = row.at_least.is_none_or(|least| ratio >= least);
    println!(
        "| {} | {:.0} | {:.0} | {ratio:.2} | {} | {:.0} | {:.0} | {} | {} |",
        name(&row.load),
        middle(java, |told| told.per_second),
        middle(paddock, |told| told.per_second),
        row.at_least.map_or("–".into(), |least| least.to_string()),
        middle(java, |told| told.p99_9_us),
        middle(paddock, |told| told.p99_9_us),
        row.at_least.map_or("–", |_| verdict(holds)),
        row.aim.map_or(aim::NONE.to_owned(), |least| aim::cells(&format!("{least} : Java"), ratio >= least)),
    );
    holds
}

fn print_cpu(row: &Row, java: &[Cell], paddock: &[Cell]) {
    let [java, paddock] = [java, paddock].map(|of| {
        let [leader, first, second] = [0, 1, 2].map(|at| median(of.iter().map(|cell| cell.cpu_us[at])));
        format!("{leader:.1} | {first:.1}, {second:.1}")
    });
    println!("| {} | {java} | {paddock} |", name(&row.load));
}
