use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use paddock_messages::mail::Bound;
use proptest::prelude::*;

use super::*;
use crate::runtime::registry::MailReading;
use crate::runtime::{Clock, Env, Inbox, Serve};

const PERIOD_US: u64 = 250_000;

/// What happens, as a function of the tick's number; the tick that finds the stall.
type Case<T> = (&'static str, fn(u64) -> T, Option<usize>);

fn actor(duty: Duty, gone: bool, mail: &[(&'static str, u64, u64)]) -> ActorReading {
    let mail = mail.iter().map(|&(message, depth, handled)| MailReading { message, depth, handled });
    ActorReading { id: ActorId(1), name: "learner".into(), duty, gone, mail: mail.collect() }
}

/// The number of the first tick (from 0, the one that only looks) that finds the one actor stalled.
fn first_stall(ticks: impl IntoIterator<Item = (u64, ActorReading)>) -> Option<usize> {
    let mut watch = Watch::new(PERIOD_US);
    let stalled = |found: Vec<Finding>| found.iter().any(|it| it.fatal() == Some(ExitCode::Stalled));
    ticks.into_iter().position(|(now_us, actor)| stalled(watch.on_tick(now_us, &[actor])))
}

/// R4: what a core actor's meters say at tick `n`, and at which tick it counts as stalled.
#[test]
fn r4_stalled_means_mail_and_no_progress_for_exactly_40_ticks() {
    type Mail = Vec<(&'static str, u64, u64)>; // message, depth, handled
    let cases: &[Case<Mail>] = &[
        ("stuck from the start", |_| vec![("Append", 1, 7)], Some(40)),
        ("ever more mail is no progress", |n| vec![("Append", n + 1, 7)], Some(40)),
        ("no mail, nothing to do", |_| vec![("Append", 0, 7)], None),
        ("slow: a letter in 40 ticks", |n| vec![("Append", 9, n / 40)], None),
        ("too slow: a letter in 41 ticks", |n| vec![("Append", 9, n / 41)], Some(40)),
        ("moved once, at tick 30", |n| vec![("Append", 9, u64::from(n >= 30))], Some(70)),
        ("other mail moves", |n| vec![("Append", 1, 7), ("Commit", 1, n)], None),
        ("mail came at tick 10", |n| vec![("Append", u64::from(n >= 10), 7)], Some(50)),
        ("empty at tick 20", |n| vec![("Append", u64::from(n != 20), 7)], Some(61)),
    ];
    for (name, mail, expected) in cases {
        let ticks = (0..200).map(|n| (n * PERIOD_US, actor(Duty::Core, false, &mail(n))));
        assert_eq!(first_stall(ticks), *expected, "{name}");
    }
}

/// R4: an actor that is stuck throughout; when the ticks come decides.
#[test]
fn only_ticks_that_the_guardian_lived_through_count() {
    let cases: &[Case<u64>] = &[
        ("on time", |n| n * PERIOD_US, Some(40)),
        ("late, but within a period", |n| n * (2 * PERIOD_US - 1), Some(40)),
        ("a freeze before tick 39", |n| n * PERIOD_US + if n >= 39 { PERIOD_US } else { 0 }, Some(79)),
        ("every tick too late", |n| n * 2 * PERIOD_US, None),
    ];
    for (name, now_us, expected) in cases {
        let ticks = (0..200).map(|n| (now_us(n), actor(Duty::Core, false, &[("Append", 1, 7)])));
        assert_eq!(first_stall(ticks), *expected, "{name}");
    }
}

#[test]
fn disks_and_those_that_die_alone_never_stall_and_a_new_instance_starts_anew() {
    for duty in [Duty::Disk, Duty::Alone] {
        let ticks = (0..200).map(|n| (n * PERIOD_US, actor(duty, false, &[("Append", 1, 7)])));
        assert_eq!(first_stall(ticks), None, "{duty:?}");
    }
    let restarted = |n| ActorReading { id: ActorId(n / 40), ..actor(Duty::Core, false, &[("Append", 1, 7)]) };
    assert_eq!(first_stall((0..200).map(|n| (n * PERIOD_US, restarted(n)))), None);
}

#[test]
fn a_stall_is_reported_with_the_actor_and_what_waits() {
    let mut watch = Watch::new(PERIOD_US);
    let stuck = [actor(Duty::Core, false, &[("Append", 3, 1), ("Vote", 0, 5), ("Commit", 1, 0)])];
    let found = (0..=40).flat_map(|n| watch.on_tick(n * PERIOD_US, &stuck)).collect::<Vec<_>>();
    let said = "learner is stalled: nothing handled for 40 guardian ticks, waiting: 3 Append 1 Commit";
    assert_eq!(found.iter().map(Finding::to_string).collect::<Vec<_>>(), [said]);
}

#[test]
fn a_disk_that_does_not_answer_is_reported_each_peer_timeout() {
    let mut watch = Watch::new(PERIOD_US);
    let stuck = [actor(Duty::Disk, false, &[("Append", 1, 7)])];
    let reported = (0..=100).filter(|n| {
        let found = watch.on_tick(n * PERIOD_US, &stuck);
        assert!(found.iter().all(|it| it.fatal().is_none()));
        !found.is_empty()
    });
    assert_eq!(reported.collect::<Vec<_>>(), (4..=100).step_by(4).collect::<Vec<_>>());
}

#[test]
fn gone_is_found_at_once_whatever_the_time() {
    for (duty, gone, expected) in [
        (Duty::Core, true, Some(ExitCode::ActorGone)),
        (Duty::Disk, true, Some(ExitCode::ActorGone)), // only stalls are forgiven
        (Duty::Alone, true, None),
        (Duty::Core, false, None),
    ] {
        let found = Watch::new(PERIOD_US).on_tick(0, &[actor(duty, gone, &[])]);
        assert_eq!(found.first().and_then(Finding::fatal), expected, "{duty:?} {gone}");
    }
}

proptest! {
    /// R4, from its definition: a tick finds a stall exactly when it and the 39 before it were on time
    /// and all 41 readings since the one before them had mail and the same `handled`.
    #[test]
    fn stalls_are_found_exactly_by_definition(
        ticks in prop::collection::vec((0_u8..60, 0_u8..60, 0_u8..60), 1..300),
    ) {
        let mut watch = Watch::new(PERIOD_US);
        let (mut now_us, mut handled) = (0, 0_u64);
        let mut quiet: Vec<bool> = Vec::new(); // at tick n: on time, mail at n-1 and n, nothing handled
        let mut had_mail = false;
        for (n, (late, empty, moves)) in ticks.into_iter().enumerate() {
            now_us += if late == 0 { 2 * PERIOD_US } else { PERIOD_US };
            handled += u64::from(moves == 0);
            let mail = empty != 0;
            quiet.push(n > 0 && late != 0 && moves != 0 && mail && had_mail);
            had_mail = mail;
            let found = watch.on_tick(now_us, &[actor(Duty::Core, false, &[("Append", u64::from(mail), handled)])]);
            let expected = quiet.iter().rev().take_while(|quiet| **quiet).count() >= STALL_TICKS as usize;
            prop_assert_eq!(!found.is_empty(), expected, "tick {}", n);
        }
    }
}

struct Stuck;
struct Poke;

impl Service for Stuck {}
impl Serve<Poke> for Stuck {
    fn serve(&mut self, _: Poke, _: &mut Ctx<'_, Self>) {}
}

/// A clock by which every tick is on time, however slow the machine.
#[derive(Debug, Default)]
struct OnTime(AtomicU64);

impl Clock for OnTime {
    fn now_us(&self) -> u64 {
        self.0.fetch_add(1_000, SeqCst)
    }

    fn wall_ms(&self) -> i64 {
        0
    }
}

/// R4 end to end: the actor reads the roll, and ends the process with the code, once.
#[actix::test]
async fn the_guardian_ends_a_node_whose_core_actor_is_stalled_or_gone() {
    let stalled = "learner is stalled: nothing handled for 40 guardian ticks, waiting: 1 Poke";
    let gone = "learner is gone: it ended without being asked to";
    for (dies, ending) in [(false, (ExitCode::Stalled, stalled)), (true, (ExitCode::ActorGone, gone))] {
        let clock = Arc::new(OnTime::default());
        let (env, endings) = Env::recorded(clock.clone());
        let inbox = Inbox::<Stuck>::new("learner", Duty::Core, &env); // never started: its mail never moves
        inbox.outbox::<Poke>(Bound::Entrance(9)).post(Poke).unwrap();
        let _alive = (!dies).then_some(inbox);
        Inbox::new("guardian", Duty::Core, &env).start_here(Guardian::new(4));
        while env.registry.readings().iter().any(|actor| &*actor.name == "guardian" && !actor.gone) {
            tokio::time::sleep(Duration::from_millis(1)).await; // until it has seen enough and stopped
        }
        assert_eq!(endings.all(), [(ending.0, ending.1.to_owned())]);
        let ticks = if dies { 1 } else { 1 + u64::from(STALL_TICKS) };
        assert_eq!(clock.0.load(SeqCst), ticks * 1_000, "one reading a tick");
    }
}
