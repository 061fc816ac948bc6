//! Members killed under load, one at a time and all at once: what was acknowledged is there, on all of them.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Mode};
use paddock_integration::rounds::{rounds, seed};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{serving, those};

/// Shortest, middle, longest.
pub(crate) fn spread(times: &mut [Duration]) -> String {
    times.sort();
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(min), Some(median), Some(max)) => format!("{min:.0?} / {median:.0?} / {max:.0?}"),
        _ => "none".to_owned(),
    }
}

#[test]
fn a_killed_leader_takes_nothing_acknowledged_with_it() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let (rounds, mut gaps) = (rounds(5), Vec::new());
    let told = under_load(&mut ensemble, seed("leader"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        let mut epoch = 0;
        for round in 0..rounds {
            progress.await_more(rng.random_range(1..500));
            let leader = ensemble.await_leader();
            let now = ensemble.wait_for("the leader's epoch", |ensemble| ensemble.epoch(leader));
            assert!(now > epoch, "round {round}: epoch {now} after {epoch}");
            epoch = now;
            let killed = Instant::now();
            ensemble.kill(leader);
            progress.await_write_after(Instant::now());
            gaps.push(killed.elapsed());
            ensemble.start(leader);
            ensemble.await_all_serving();
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    let (acked, connections) = (told.acked(), told.connections());
    println!(
        "rounds: {rounds} leaders killed, {acked} acknowledged over {connections} connections; from the kill to the \
         next write's acknowledgement, min / median / max: {}",
        spread(&mut gaps)
    );
}

#[test]
fn a_killed_follower_or_observer_takes_nothing_acknowledged_with_it() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let rounds = rounds(5);
    let told = under_load(&mut ensemble, seed("follower"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..rounds {
            progress.await_more(rng.random_range(1..500));
            let leader = ensemble.await_leader();
            let mut ids = those(ensemble, Mode::Follower);
            ids.extend(those(ensemble, Mode::Observer));
            let id = *ids.choose(rng).expect("there are some");
            let epoch = ensemble.epoch(leader);
            ensemble.kill(id);
            progress.await_write_after(Instant::now());
            progress.await_more(rng.random_range(1..500));
            ensemble.start(id);
            ensemble.await_all_serving();
            let after = (ensemble.leader(), ensemble.epoch(leader));
            assert_eq!(after, (Some(leader), epoch), "it died and returned under the same leader");
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    println!("rounds: {rounds} followers and observers killed, {} acknowledged", told.acked());
}

/// All are killed in each round, as `kill` has it, and started again.
fn all_killed(test: &str, rounds: u64, kill: impl Fn(&mut Ensemble, &mut StdRng)) {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let told = under_load(&mut ensemble, seed(test), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..rounds {
            progress.await_more(rng.random_range(1..1000));
            kill(ensemble, rng);
            ensemble.start_all();
            progress.await_write_after(Instant::now());
            ensemble.await_all_serving();
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    println!("rounds: {rounds} times all killed, {} acknowledged", told.acked());
}

#[test]
fn all_killed_at_once_hold_everything_acknowledged() {
    all_killed("all", rounds(3), |ensemble, _| ensemble.kill_all());
}

/// The second time before they serve, in the middle of recovery and election.
#[test]
fn all_killed_twice_in_a_row_hold_everything_acknowledged() {
    all_killed("twice", 4, |ensemble, rng| {
        ensemble.kill_all();
        ensemble.start_all();
        std::thread::sleep(Duration::from_millis(rng.random_range(0..1_500))); // anywhere in their start
        ensemble.kill_all();
    });
}
