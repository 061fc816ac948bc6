//! Members whose power is cut, or whose disk fails: what a disk has not synced is gone with it, and what was acknowledged is not.

use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::rounds::{rounds, seed};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tempfile::TempDir;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{those, waiting};

/// How long a cut waits for the sync that it is to come at.
const SYNCS_WITHIN: Duration = Duration::from_secs(1);

/// Three that serve, with these lines in every file, and each member's disk, by id less one.
fn on_disks(lines: &str) -> (TempDir, Ensemble, Vec<PowerCutFs>) {
    let (dir, mut ensemble) = waiting(3, 0, lines);
    let options = Options { sync_delay: Duration::from_micros(500), ..Options::default() };
    let mount = |id: Id| {
        let disk = PowerCutFs::mount(options).expect("mounting needs root and /dev/fuse");
        ensemble.put_on(id, disk.path());
        disk
    };
    let disks = (1..=3).map(mount).collect();
    ensemble.start_all();
    ensemble.await_all_serving();
    (dir, ensemble, disks)
}

/// Most cuts come at a sync, before it has any effect; the others at once.
fn cut(disk: &PowerCutFs, rng: &mut StdRng) {
    let seed = rng.random();
    if rng.random_bool(0.8) {
        disk.cut_at_sync(rng.random_range(1..20), seed);
        if disk.wait_until_off(SYNCS_WITHIN) {
            return;
        }
    }
    disk.cut(seed);
}

fn told(what: &str, acked: u64, disks: &[PowerCutFs]) {
    let counters: Vec<_> = disks.iter().map(PowerCutFs::counters).collect();
    let cuts: u64 = counters.iter().map(|it| it.cuts).sum();
    let sectors: u64 = counters.iter().map(|it| it.sectors_dropped).sum();
    println!("rounds: {what}: {cuts} cuts that took {sectors} sectors back, {acked} acknowledged");
}

#[test]
fn a_member_that_loses_its_power_comes_back_with_what_it_acked() {
    let (_dir, mut ensemble, disks) = on_disks("");
    let rounds = rounds(8);
    let load =
        under_load(&mut ensemble, seed("a member's power"), ANSWERED_WITHIN, |ensemble, progress, rng| {
            for _ in 0..rounds {
                progress.await_more(rng.random_range(1..500));
                let id = *ensemble.ids().choose(rng).expect("there are three");
                let disk = &disks[id as usize - 1];
                cut(disk, rng);
                ensemble.kill(id);
                progress.await_write_after(Instant::now());
                disk.power_on();
                ensemble.start(id);
                ensemble.await_all_serving();
            }
        });
    load.verify(&mut ensemble);
    assert_eq!(load.silences, 0, "connections to living members that nobody answered");
    told("one member of three", load.acked(), &disks);
}

#[test]
fn members_that_lose_their_power_all_at_once_hold_everything_acknowledged() {
    let (_dir, mut ensemble, disks) = on_disks("");
    let rounds = rounds(5);
    let load = under_load(&mut ensemble, seed("all power"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..rounds {
            progress.await_more(rng.random_range(1..1000));
            cut(&disks[rng.random_range(0..disks.len())], rng);
            disks.iter().for_each(|disk| disk.cut(rng.random()));
            ensemble.kill_all();
            disks.iter().for_each(PowerCutFs::power_on);
            ensemble.start_all();
            progress.await_write_after(Instant::now());
            ensemble.await_all_serving();
        }
    });
    load.verify(&mut ensemble);
    assert_eq!(load.silences, 0, "connections to living members that nobody answered");
    told("all of three", load.acked(), &disks);
}

/// The failed sync has no effect, and what it was to make durable goes with the power: an acknowledgement of it would be found out.
/// Followers, and leaders.
#[test]
fn a_member_whose_disk_fails_a_sync_ends_and_comes_back_with_everything_acknowledged() {
    // A failed sync of a snapshot is no failure of the log: there is none meanwhile.
    let (_dir, mut ensemble, disks) = on_disks("snapCount=1000000");
    let rounds = rounds(4);
    let told = under_load(&mut ensemble, seed("failed sync"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for round in 0..rounds {
            let leader = ensemble.await_all_serving();
            let follower = *those(ensemble, Mode::Follower).choose(rng).expect("there are two");
            let id = if round.is_multiple_of(2) { follower } else { leader };
            // By then the next segment is there, whose zeros are no txns either.
            progress.await_more(rng.random_range(500..1000));
            let disk = &disks[id as usize - 1];
            disk.fail_sync(rng.random_range(1..30));
            let status = ensemble.wait_for_end(id);
            let log = ensemble.log(id);
            assert_eq!(status.code(), Some(i32::from(ExitCode::LogIo.code())), "{status}: {log}");
            let parts = ["the process ends", "segment.", "os error 5", "check the disk"];
            assert!(log.lines().any(|line| parts.iter().all(|part| line.contains(part))), "{log}");
            disk.cut(rng.random());
            progress.await_write_after(Instant::now());
            assert_ne!(ensemble.await_leader(), id);
            disk.power_on();
            ensemble.start(id);
            ensemble.await_all_serving();
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    println!("rounds: {rounds} syncs failed, {} acknowledged", told.acked());
}
