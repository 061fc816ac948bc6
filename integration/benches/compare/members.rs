//! What more members cost the leader, and what a slow follower costs the others: Paddock against itself.
//!
//! Sixteen clients are dealt out to the members; where one follower is slow, to the others. All members share the
//! machine's cores, so that with more of them there are fewer writes a second: what a write costs the leader is the figure.

use std::thread;
use std::time::Duration;

use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::network::Lane;
use paddock_integration::relay::Route;
use tempfile::TempDir;

use crate::load::{Load, VALUE_SIZE, WARM_UP};
use crate::servers::{Kind, cpu_of};
use crate::three::shape;
use crate::{Options, median};

const LOAD: Load = Load { op: "set", clients: 16, pipeline: 64, rate: None };
/// Voters and observers.
const SHAPES: [(usize, usize); 4] = [(3, 0), (5, 0), (7, 0), (3, 2)];
/// Of all that the slow one of three is told, and of all that it says.
const SLOW: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
struct Cell {
    per_second: f64,
    p99_us: f64,
    /// CPU time of the leader for each write.
    leader_us: f64,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) {
    let (mut by_shape, mut none_slow, mut one_slow) = (SHAPES.map(|_| Vec::new()), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        for ((voters, observers), cells) in SHAPES.into_iter().zip(&mut by_shape) {
            let cell = of_shape(voters, observers, options.seconds);
            told(round, &format!("{voters} voters, {observers} observers"), cell);
            cells.push(cell);
        }
        let [without, with] = slow_follower(options.seconds);
        told(round, "through a relay", without);
        told(round, "and a slow follower", with);
        none_slow.push(without);
        one_slow.push(with);
    }
    println!(
        "\n| set 16 x 64, {VALUE_SIZE} B | /s | p99 us | CPU us a write, leader |\n|---|---:|---:|---:|"
    );
    for ((voters, observers), cells) in SHAPES.into_iter().zip(&by_shape) {
        print_row(&format!("{voters} voters, {observers} observers"), cells);
    }
    print_row("3 voters through a relay", &none_slow);
    print_row(&format!("the same, one follower {} ms away", SLOW.as_millis()), &one_slow);
    let ratio =
        median(one_slow.iter().zip(&none_slow).map(|(with, without)| with.per_second / without.per_second));
    println!("\nwrites a second with the slow follower : without: {ratio:.2}");
}

fn told(round: usize, what: &str, cell: Cell) {
    let Cell { per_second, p99_us, leader_us } = cell;
    eprintln!(
        "round {round}: {what}: {per_second:.0}/s, p99 {p99_us} us, CPU of the leader {leader_us:.1} us"
    );
}

fn print_row(name: &str, cells: &[Cell]) {
    let middle = |of: fn(&Cell) -> f64| median(cells.iter().map(of));
    let (per_second, p99, leader) =
        (middle(|it| it.per_second), middle(|it| it.p99_us), middle(|it| it.leader_us));
    println!("| {name} | {per_second:.0} | {p99:.0} | {leader:.1} |");
}

fn of_shape(voters: usize, observers: usize, seconds: f64) -> Cell {
    let dir = TempDir::with_prefix("members-").expect("TMPDIR is writable");
    let mut ensemble = Ensemble::shaped(dir.path(), shape(Kind::Paddock, voters, observers));
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    measure(&ensemble, leader, &ensemble.ids(), seconds)
}

/// Without and with.
fn slow_follower(seconds: f64) -> [Cell; 2] {
    let dir = TempDir::with_prefix("slow-follower-").expect("TMPDIR is writable");
    let mut ensemble = Ensemble::relayed(dir.path(), shape(Kind::Paddock, 3, 0));
    ensemble.start_all();
    let leader = ensemble.await_all_serving();
    let mut followers = ensemble.ids();
    followers.retain(|id| *id != leader);
    let (slow, others) = (followers[0], [leader, followers[1]]);
    [Duration::ZERO, SLOW].map(|delay| {
        for other in others {
            for (from, to) in [(slow, other), (other, slow)] {
                ensemble.relay().delay(Route { from, to, lane: Lane::All }, delay);
            }
        }
        measure(&ensemble, leader, &others, seconds)
    })
}

fn measure(ensemble: &Ensemble, leader: Id, at: &[Id], seconds: f64) -> Cell {
    let addresses: Vec<_> = at.iter().map(|id| ensemble.client_address(*id)).collect();
    let running = LOAD.start(&addresses, seconds);
    // Well within the time that counts.
    thread::sleep(Duration::from_secs_f64(WARM_UP + seconds * 0.1));
    let used = || (cpu_of(ensemble.pid(leader)), ensemble.zxid(leader).expect("it leads"));
    let (before, zxid_before) = used();
    thread::sleep(Duration::from_secs_f64(seconds * 0.8));
    let (after, zxid) = used();
    let told = running.told();
    assert_eq!(zxid >> 32, zxid_before >> 32, "there was an election");
    let leader_us = (after - before).as_secs_f64() * 1e6 / (zxid - zxid_before) as f64;
    Cell { per_second: told.per_second, p99_us: told.p99_us, leader_us }
}
