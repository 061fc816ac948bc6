//! Real processes: killed, without power or a sound disk, asked to stop, or just busy. What they acknowledged
//! must be there, and in order.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

#[path = "crash/disk_full.rs"]
mod disk_full;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/multi.rs"]
mod multi;
#[path = "crash/order.rs"]
mod order;
#[path = "crash/outage.rs"]
mod outage;
#[path = "crash/outcomes.rs"]
mod outcomes;
#[path = "crash/pid_file.rs"]
mod pid_file;
#[path = "crash/refusals.rs"]
mod refusals;
#[path = "crash/roll_over.rs"]
mod roll_over;
#[path = "crash/start.rs"]
mod start;
#[path = "crash/stop.rs"]
mod stop;
#[path = "crash/stuck.rs"]
mod stuck;
#[path = "crash/syncs.rs"]
mod syncs;
#[path = "crash/takeover.rs"]
mod takeover;
#[path = "crash/unreadable.rs"]
mod unreadable;
#[path = "crash/witness.rs"]
mod witness;
#[path = "crash/world.rs"]
mod world;

use std::time::Duration;

use paddock_integration::power_cut::{DirDurability, Options, PowerCutFs};
use paddock_integration::process::{Launch, ServerProcess};
use rand::Rng;
use rand::rngs::StdRng;
use tempfile::tempdir;

use witness::Violation;
use world::{World, config, rounds, seed};

/// A moment later, drawn: so that kills fall before, into and behind syncs alike.
fn a_moment(rng: &mut StdRng) {
    std::thread::sleep(Duration::from_micros(rng.random_range(0..20_000)));
}

/// `kill -9` under load, again and again (CR1–CR4).
#[test]
fn cr1_cr2_cr3_cr4_a_killed_server_keeps_everything_it_acknowledged() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), ""));
    let mut world = World::new(launch, seed("kill"));
    for round in 0..rounds(24) {
        let kill = |server: &mut ServerProcess, rng: &mut StdRng| {
            a_moment(rng);
            server.kill().unwrap();
        };
        world.round(kill).unwrap_or_else(|found| panic!("round {round}: {found:#?}"));
    }
    world.finish().unwrap_or_else(|found| panic!("at the end: {found:#?}"));
    println!("rounds: {} kills, {} acknowledged, {} open", rounds(24), world.acked, world.open);
}

/// Runs `rounds` power cuts; the violations of the first that had any, with its round.
fn power_cuts(
    seed: u64,
    rounds: u64,
    lines: &str,
    directories: DirDurability,
    log_dir: Option<&str>,
) -> Result<(), (u64, Vec<Violation>)> {
    let options = Options { directories, sync_delay: Duration::from_micros(500), ..Options::default() };
    let disk = PowerCutFs::mount(options).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    let log_dir = log_dir.map(|name| format!("dataLogDir={}", disk.path().join(name).display()));
    let lines = format!("{lines}\n{}", log_dir.unwrap_or_default());
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), &lines));
    let mut world = World::new(launch, seed);
    for round in 0..rounds {
        while world.rng.random_bool(0.4) {
            let crash = |server: &mut ServerProcess, rng: &mut StdRng| cut_while_starting(&disk, server, rng);
            world.crash_while_starting(crash).map_err(|found| (round, found))?;
        }
        world.round(|server, rng| cut(&disk, server, rng)).map_err(|found| (round, found))?;
    }
    world.finish().map_err(|found| (rounds, found))?;
    let counters = disk.counters();
    println!("cuts: {}, {} acknowledged, {} open; {counters:?}", counters.cuts, world.acked, world.open);
    assert!(counters.cuts >= rounds);
    assert!(counters.sectors_dropped > 0, "no cut hit anything that was not synced");
    Ok(())
}

/// Half of the cuts come at a sync, before it has any effect; the other half whenever.
fn cut(disk: &PowerCutFs, server: &mut ServerProcess, rng: &mut StdRng) {
    let seed = rng.random();
    if rng.random() {
        disk.cut_at_sync(rng.random_range(1..20), seed);
        if !disk.wait_until_off(Duration::from_secs(5)) {
            disk.cut(seed); // it does not sync any more
        }
    } else {
        a_moment(rng);
        disk.cut(seed);
    }
    server.kill().expect("it is our child");
    disk.power_on();
}

/// A cut at one of the syncs that begin or recover a log, or soon after.
fn cut_while_starting(disk: &PowerCutFs, server: &mut ServerProcess, rng: &mut StdRng) {
    let seed = rng.random();
    disk.cut_at_sync(rng.random_range(1..8), seed);
    if !disk.wait_until_off(Duration::from_secs(1)) {
        disk.cut(seed);
    }
    server.kill().expect("it is our child");
    disk.power_on();
}

/// Power cuts under load and during recovery, each directory entry durable only with its own directory's sync (CR1–CR4).
#[test]
fn a_server_that_lost_its_power_has_everything_it_acknowledged() {
    let found = power_cuts(seed("power cut"), rounds(20), "", DirDurability::OwnSync, None);
    found.unwrap_or_else(|(round, found)| panic!("round {round}: {found:#?}"));
}

/// The same with log and snapshots in two directories, each durable by its own syncs alone; snapshots
/// and purges so often that cuts fall into them (S12).
#[test]
fn s12_a_power_cut_leaves_a_log_and_snapshots_that_belong_together() {
    let lines = "snapCount=300";
    let found = power_cuts(seed("split"), rounds(10), lines, DirDurability::OwnSync, Some("txn/log"));
    found.unwrap_or_else(|(round, found)| panic!("round {round}: {found:#?}"));
}

/// The proof that the test above can fail: a server that does not sync is caught.
#[test]
fn a_server_told_not_to_sync_loses_writes_in_a_power_cut() {
    let found = power_cuts(seed("no sync"), 20, "forceSync=no", DirDurability::Journalled, None);
    let (round, found) = found.expect_err("20 power cuts without a sync lost nothing");
    println!("round {round}: {found:?}");
}
