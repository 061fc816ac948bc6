//! Epochs whose zxids are used up: the next one begins over the lanes that are open, and no client notices.

use std::time::Instant;

use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::rounds::{rounds, seed};
use rand::Rng;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::serving;

/// Roll-overs that a run goes through.
const MANY: i64 = 20;

fn await_epoch(ensemble: &mut Ensemble, id: Id, wanted: i64) -> i64 {
    ensemble.wait_for(&format!("epoch {wanted}"), |ensemble| ensemble.epoch(id).filter(|it| *it >= wanted))
}

fn begun(ensemble: &Ensemble, id: Id) -> usize {
    ensemble.every_log(id).matches("the next one is on its way").count()
}

/// Z11: 20 epochs of one leader; every client keeps the connection it began with.
#[test]
fn z11_one_leader_leads_many_epochs_and_every_connection_stays() {
    let (_dir, mut ensemble) = serving(3, 1, "epochTxns=100\npeerTimeout=20000");
    let leader = ensemble.await_leader();
    let first = ensemble.epoch(leader).expect("it serves");
    let told = under_load(&mut ensemble, seed("roll-over"), ANSWERED_WITHIN, |ensemble, progress, _| {
        progress.await_more(100);
        let reached = await_epoch(ensemble, leader, first + MANY);
        assert_eq!(ensemble.leader(), Some(leader), "nobody was elected for epoch {reached}");
        assert!(begun(ensemble, leader) as i64 >= MANY, "{}", ensemble.log(leader));
    });
    let tree = told.verify(&mut ensemble);
    assert_eq!(told.connections(), told.clients(), "one each, to the end");
    let counters = tree.values().map(|(_, stat)| stat.mzxid & 0xffff_ffff);
    assert!(counters.max().is_some_and(|most| most <= 100), "no epoch has more");
    println!("rounds: {} roll-overs, {} acknowledged", begun(&ensemble, leader), told.acked());
}

/// The leader, or a follower, is killed at any moment of it: the next epoch is one that nobody has led.
#[test]
fn z11_a_member_killed_while_epochs_roll_over_takes_nothing_acknowledged_with_it() {
    let (_dir, mut ensemble) = serving(3, 0, "epochTxns=40");
    let rounds = rounds(4);
    let told =
        under_load(&mut ensemble, seed("roll-over kills"), ANSWERED_WITHIN, |ensemble, progress, rng| {
            for round in 0..rounds {
                progress.await_more(rng.random_range(100..500));
                let leader = ensemble.await_leader();
                let id = if round % 2 == 0 { leader } else { followers_of(ensemble, leader)[0] };
                ensemble.kill(id);
                progress.await_write_after(Instant::now());
                ensemble.start(id);
                ensemble.await_all_serving();
            }
        });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    let rolled: usize = ensemble.ids().into_iter().map(|id| begun(&ensemble, id)).sum();
    println!("rounds: {rounds} kills, {rolled} roll-overs begun, {} acknowledged", told.acked());
    assert!(rolled as u64 >= rounds, "{rolled} roll-overs");
}

fn followers_of(ensemble: &Ensemble, leader: Id) -> Vec<Id> {
    ensemble.ids().into_iter().filter(|id| *id != leader).collect()
}

/// A follower of the build before has no word for it: it comes back to the same leader in the next epoch. A leader
/// whose quorum has none gives the lead up.
#[test]
fn z11_members_of_the_build_before_are_synchronised_anew() {
    for (old, said) in [
        (1, "the next epoch begins: it is synchronised anew"),
        (2, "no quorum of voters can be told of the next"),
    ] {
        let (_dir, mut ensemble) = serving(3, 0, "epochTxns=400\npeerTimeout=20000");
        let leader = ensemble.await_leader();
        for id in followers_of(&ensemble, leader).into_iter().take(old) {
            ensemble.stop(id);
            ensemble.set_variables(id, &["PADDOCK_TEST_FRAMES=2"]);
            ensemble.start(id);
            ensemble.await_all_serving();
        }
        let first = ensemble.epoch(leader).expect("it serves");
        let told = under_load(&mut ensemble, seed("old build"), ANSWERED_WITHIN, |ensemble, progress, _| {
            ensemble.wait_for("two more epochs", |ensemble| {
                let leader = ensemble.leader()?;
                ensemble.epoch(leader).filter(|it| *it >= first + 2)
            });
            progress.await_write_after(Instant::now());
        });
        told.verify(&mut ensemble);
        assert!(ensemble.every_log(leader).contains(said), "{old}: {}", ensemble.every_log(leader));
        if old == 1 {
            assert_eq!(ensemble.leader(), Some(leader), "the other one made a quorum with it");
        }
    }
}
