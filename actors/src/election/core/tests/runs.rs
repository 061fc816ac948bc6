//! Runs of the world, by seed: `SEED=81` runs one, `SEEDS=5000` so many of each.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::Rng;

use super::world::{Role, World};
use super::*;

/// Runs `run` with each seed and ensemble.
fn with_seeds(count: u64, run: impl Fn(&mut World)) {
    let number = |name| std::env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let count = number("SEEDS").unwrap_or(count);
    for seed in number("SEED").map_or(0..count, |seed| seed..seed + 1) {
        let (voters, observers) = ([3, 5, 7][seed as usize % 3], seed / 3 % 3);
        let mut world = World::new(seed, voters, observers);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&mut world))) {
            eprintln!("SEED={seed}, {voters} voters, {observers} observers, at {} ms", world.now_ms);
            resume_unwind(panic);
        }
    }
}

/// The greatest vote of all.
fn greatest(world: &World) -> u64 {
    world.members.values().filter_map(|member| member.own).max().unwrap().leader.0
}

#[test]
fn el7_all_that_start_together_elect_the_greatest_vote_and_need_no_wait() {
    with_seeds(200, |world| {
        let ids = world.ids();
        ids.iter().for_each(|id| world.look(*id));
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b) {
            world.link_both(a, b, true);
        }
        let expected = greatest(world);
        world.run_to_leader(500);
        assert!(world.decisions.iter().all(|decision| decision.vote.leader.0 == expected));
        assert_eq!(world.decisions.len(), ids.len(), "each decides once");
        // Voters: a way to hear of the greatest, a way for the others to hear that; the wait is 20 ms.
        let voters = world.decisions.iter().filter(|it| world.members[&it.by].own.is_some());
        let last = voters.map(|decision| decision.at_ms).max().unwrap();
        assert!(last <= 3 * world.delay_ms, "decided at {last} ms");
    });
}

#[test]
fn el1_to_el8_after_any_faults_one_leader_is_found_in_time_once_links_are_whole() {
    let (longest, faulty, runs) = (Cell::new(0), Cell::new(0_u64), Cell::new(0_u64));
    with_seeds(120, |world| {
        world.loss = world.rng.random_range(0..60);
        world.delay_ms = [1, 5, 40][world.rng.random_range(0..3)];
        let ids = world.ids();
        let any = |world: &mut World| ids[world.rng.random_range(0..ids.len())];
        for _ in 0..world.rng.random_range(20..150) {
            let (a, b) = (any(world), any(world));
            let both_on = [a, b].iter().all(|id| world.members[id].role != Role::Off);
            match world.rng.random_range(0..10) {
                0..5 if a != b && both_on => {
                    let is_up = world.rng.random_bool(0.6);
                    world.link_both(a, b, is_up);
                }
                5 if a != b && both_on && world.members[&a].up.contains(&b) => world.link(a, b, false),
                6 if world.members[&a].role != Role::Off => world.stop(a),
                _ if world.members[&a].role == Role::Off => world.start(a),
                _ => {}
            }
            let ms = world.rng.random_range(0..300);
            world.run(ms);
        }
        runs.set(runs.get() + 1);
        faulty.set(faulty.get() + u64::from(world.decisions.len() > ids.len()));
        world.loss = 0;
        for id in &ids {
            if world.members[id].role == Role::Off {
                world.start(*id);
            }
        }
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b) {
            if !world.members[&a].up.contains(&b) || !world.members[&b].up.contains(&a) {
                world.link_both(a, b, true);
            }
        }
        longest.set(world.run_to_leader(15_000).max(longest.get()));
        // And it stays.
        let (leader, decisions) = (world.leader(), world.decisions.len());
        world.run(5_000);
        assert_eq!((world.leader(), world.decisions.len()), (leader, decisions));
    });
    eprintln!("at most {} ms; {} of {} runs elected more than once", longest.get(), faulty.get(), runs.get());
    assert!(runs.get() < 100 || faulty.get() > runs.get() / 2, "the faults were felt");
}

#[test]
fn el5_a_rejoiner_finds_the_leader_and_disturbs_nobody() {
    with_seeds(80, |world| {
        let ids = world.ids();
        ids.iter().for_each(|id| world.start(*id));
        world.run_to_leader(5_000);
        let leader = world.leader().unwrap();
        world.loss = world.rng.random_range(0..40);
        for _ in 0..5 {
            let others: Vec<u64> = ids.iter().copied().filter(|id| *id != leader).collect();
            let who = others[world.rng.random_range(0..others.len())];
            world.stop(who);
            let away = world.rng.random_range(0..3_000);
            world.run(away);
            // It comes back with a greater vote and a higher round than anyone's.
            let voted = world.member(who);
            voted.own = voted.own.map(|_| vote(who, 99, 99));
            voted.election.round = 1_000;
            let rounds = |world: &World| -> Vec<(u64, u64)> {
                let others = world.members.iter().filter(|(id, _)| **id != who);
                others.map(|(id, member)| (*id, member.election.round())).collect()
            };
            let (before, decided) = (rounds(world), world.decisions.len());
            world.start(who);
            // Words are still lost, and repeats come ever later: seven of them in 30 s.
            world.run_to_leader(30_000);
            assert_eq!(world.leader(), Some(leader));
            assert_eq!(rounds(world), before);
            let by: Vec<_> = world.decisions[decided..].iter().map(|it| (it.by, it.vote.leader.0)).collect();
            assert_eq!(by, [(who, leader)]);
            let its = world.members[&who].election.round();
            assert_eq!(its, world.members[&leader].election.round(), "it has the leader's round");
        }
    });
}
