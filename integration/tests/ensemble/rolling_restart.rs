//! A rolling restart under load: each member is stopped in good order and started again.

use std::time::{Duration, Instant};

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
