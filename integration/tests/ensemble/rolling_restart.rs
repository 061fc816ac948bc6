//! A rolling restart under load: each member is stopped in good order and started again.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::Id;
use paddock_integration::rounds::{rounds, seed};
use rand::Rng;

use crate::killed::spread;
use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::serving;

/// What one restart may hold up writes for, on however busy a machine. What it is, is printed.
const LONGEST_GAP: Duration = Duration::from_secs(30);

/// Each client keeps its session, and what it was told.
#[test]
fn p15_q7_a_rolling_restart_loses_no_write_and_no_session_and_leaders_hand_over() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let (rounds, mut of_leaders, mut of_followers) = (rounds(3), Vec::new(), Vec::new());
    let told = under_load(&mut ensemble, seed("rolling"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..rounds {
            for id in ensemble.ids() {
                let is_leader = ensemble.await_all_serving() == id;
                progress.await_more(rng.random_range(20..400));
                progress.take_longest_gap();
                ensemble.stop(id);
                progress.await_write_after(Instant::now());
                ensemble.start(id);
                ensemble.await_all_serving();
                progress.await_write_after(Instant::now());
                let gap = progress.take_longest_gap();
                assert!(gap < LONGEST_GAP, "member {id}, a leader: {is_leader}: no write for {gap:?}");
                if is_leader { of_leaders.push(gap) } else { of_followers.push(gap) }
            }
        }
    });
    told.verify(&mut ensemble);
    assert_eq!(told.silences, 0, "connections to living members that nobody answered");
    assert!(!of_leaders.is_empty(), "a round stops the leader that it begins with, or one after it");
    let logs: String = ensemble.ids().into_iter().map(|id| ensemble.every_log(id)).collect();
    let handed_over = logs.matches("all that this leader has numbered is committed").count();
    let in_vain = logs.matches("not all that was numbered was committed in time").count();
    assert!(handed_over + in_vain >= of_leaders.len(), "{handed_over} and {in_vain} of {}", of_leaders.len());
    assert!(3 * in_vain <= of_leaders.len(), "{in_vain} of {} in vain: the exception", of_leaders.len());
    println!(
        "rounds: {} leaders, of which {handed_over} handed over, and {} followers restarted, {} acknowledged; the longest time without an acknowledged \
         write of each, min / median / max: {}; {}",
        of_leaders.len(),
        of_followers.len(),
        told.acked(),
        spread(&mut of_leaders),
        spread(&mut of_followers)
    );
}

/// The one that lags has the greater id, and would be the heir if both lacked the same: it stands still, and a leader that waited for
/// it would have to give up.
#[test]
fn q7_a_leader_that_is_stopped_hands_over_to_the_follower_that_does_not_lag() {
    // Nobody is missed as soon as it stands still.
    let (_dir, mut ensemble) = serving(3, 0, "peerTimeout=20000");
    let told = under_load(&mut ensemble, seed("laggard"), ANSWERED_WITHIN, |ensemble, progress, rng| {
        for _ in 0..rounds(3) {
            let leader = ensemble.await_all_serving();
            let mut followers: Vec<Id> = ensemble.ids().into_iter().filter(|id| *id != leader).collect();
            let lags = followers.pop().expect("there are two");
            ensemble.freeze(lags);
            progress.await_more(rng.random_range(50..200));
            ensemble.stop(leader);
            let log = ensemble.log(leader);
            assert!(log.contains("all that this leader has numbered is committed"), "{log}");
            ensemble.thaw(lags);
            assert_eq!(ensemble.await_leader(), followers[0], "it lacks nothing");
            progress.await_write_after(Instant::now());
            ensemble.start(leader);
        }
    });
    told.verify(&mut ensemble);
}
