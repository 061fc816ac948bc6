//! A leader that stands still and goes on as if nothing had been: the others have gone on without it, and it must
//! notice before it tells anybody anything.

use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, Mode, Shape};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;
use rand::Rng;

use crate::load::under_load;
use crate::world::{client, client_for, serving, those};

/// A client gives up a connection to a frozen member after this.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3);
/// Writes sent to a leader that is frozen.
const TRAPPED: i32 = 20;

#[test]
fn a_leader_frozen_and_thawed_follows_the_next_and_has_acknowledged_nothing_false() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let mut first = client(&ensemble, leader);
    first.create("/trapped", b"", CreateMode::Persistent).unwrap();
    first.close().unwrap();
    let (mut acked, mut sent) = (0, 0);
    let told = under_load(&mut ensemble, seed("frozen"), GIVEN_UP_AFTER, |ensemble, progress, rng| {
        for round in 0..3 {
            progress.await_more(rng.random_range(1..500));
            let old = ensemble.await_leader();
            let mut trapped = client(ensemble, old);
            ensemble.freeze(old);
            (0..TRAPPED).for_each(|_| trapped.queue_set("/trapped", b"trapped", -1));
            trapped.flush().unwrap();
            sent += TRAPPED;
            let new = ensemble.await_leader();
            progress.await_write_after(Instant::now());
            progress.await_more(rng.random_range(1..500));
            ensemble.thaw(old);
            // It closes the connection, or answers once it follows: either is right if it is true.
            acked +=
                (0..TRAPPED).take_while(|_| trapped.reply().is_ok_and(|reply| reply.ok().is_ok())).count();
            assert_eq!(
                ensemble.await_all_serving(),
                new,
                "round {round}: its return is no reason to elect anew"
            );
            assert_eq!(ensemble.mode(old), Some(Mode::Follower), "round {round}");
        }
    });
    let tree = told.verify(&mut ensemble);
    let version = tree["/trapped"].1.version;
    assert!(version >= acked as i32, "{acked} writes were acknowledged, and {version} are there");
    assert!(version <= sent, "{sent} writes were sent, and {version} are there");
    println!("rounds: 3 leaders frozen, {} acknowledged, {acked} of {sent} by those thawed", told.acked());
}

#[test]
fn a_frozen_follower_is_done_without_and_catches_up() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let told =
        under_load(&mut ensemble, seed("frozen follower"), GIVEN_UP_AFTER, |ensemble, progress, rng| {
            for round in 0..3 {
                progress.await_more(rng.random_range(1..500));
                let leader = ensemble.await_leader();
                let follower = those(ensemble, Mode::Follower)[round % 2];
                ensemble.freeze(follower);
                progress.await_write_after(Instant::now());
                progress.await_more(2_000);
                ensemble.thaw(follower);
                assert_eq!(ensemble.await_all_serving(), leader, "round {round}: nobody had to elect anew");
            }
        });
    told.verify(&mut ensemble);
    println!("rounds: 3 followers frozen, {} acknowledged", told.acked());
}

/// Well above every timeout there is here: the peers' second, the sessions' 4 s, and `syncLimit`, 5 s. More tells nothing new.
const LONG: Duration = Duration::from_secs(15);

#[test]
fn members_stopped_for_longer_than_every_timeout_say_so_and_are_as_before() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    ensemble.await_leader();
    let told = under_load(&mut ensemble, seed("long"), GIVEN_UP_AFTER, |ensemble, progress, _| {
        let follower = those(ensemble, Mode::Follower)[0];
        let leader = ensemble.await_leader();
        for id in [follower, leader] {
            let before = ensemble.await_leader();
            // A session whose client goes elsewhere lives; one whose client waits for the frozen one ends.
            let mut waits = client_for(ensemble, id, 4_000);
            waits.create("/waits", b"", CreateMode::Ephemeral).unwrap();
            ensemble.freeze(id);
            let stopped = Instant::now();
            let leads = ensemble.await_leader();
            assert_eq!(leads == before, id != before, "its followers elect without a leader that is stopped");
            let mut looks = client(ensemble, leads);
            ensemble.wait_for("its client's session to end", |_| {
                looks.exists("/waits").unwrap().is_none().then_some(())
            });
            std::thread::sleep(LONG.saturating_sub(stopped.elapsed()));
            progress.await_write_after(Instant::now());
            let told = ensemble.log(id).len();
            ensemble.thaw(id);
            // Until then it says that all is as it was.
            let why = ensemble.wait_for("it to find that its role is over", |ensemble| {
                let log = ensemble.log(id);
                log[told..].lines().find(|line| line.contains("the role is over")).map(str::to_owned)
            });
            assert_eq!(ensemble.await_all_serving(), leads, "its return is no reason to elect anew");
            assert_eq!(ensemble.mode(id), Some(Mode::Follower));
            println!("frozen: member {id} says {why}");
        }
    });
    told.verify(&mut ensemble);
}

/// Longer than a session without its client lasts here, and than any network holds a packet back.
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_leader_stopped_for_a_minute_at_the_usual_tick_follows_the_next_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut ensemble = Ensemble::shaped(dir.path(), Shape { tick_ms: 2_000, ..Shape::default() });
    ensemble.start_all();
    ensemble.await_all_serving();
    let told = under_load(&mut ensemble, seed("minute"), GIVEN_UP_AFTER, |ensemble, progress, _| {
        progress.await_more(200);
        let old = ensemble.await_all_serving();
        ensemble.freeze(old);
        let stopped = Instant::now();
        let new = ensemble.await_leader();
        let epoch = ensemble.epoch(new);
        while stopped.elapsed() < MINUTE {
            progress.await_more(100);
        }
        ensemble.thaw(old);
        assert_eq!(ensemble.await_all_serving(), new, "its return is no reason to elect anew");
        assert_eq!((ensemble.mode(old), ensemble.epoch(new)), (Some(Mode::Follower), epoch));
        progress.await_more(200);
    });
    told.verify(&mut ensemble);
    println!("rounds: a leader frozen for {MINUTE:?}, {} acknowledged", told.acked());
}
