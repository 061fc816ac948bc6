use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::task::yield_now;

use super::*;
use crate::runtime::{Endings, ManualClock, NamedArbiter};

/// What a probe was told, in order: its letters, then "drained", "stopped"…
type Said = Rc<RefCell<Vec<String>>>;

/// Notes what happens to it, and does what a letter tells it to.
struct Probe {
    said: Said,
}

impl Service for Probe {
    fn started(&mut self, _: &mut Ctx<'_, Self>) {
        self.note("started");
    }

    fn drained(&mut self, _: &mut Ctx<'_, Self>) {
        self.note("drained");
    }

    fn stopped(&mut self) {
        self.note("stopped");
    }
}

impl Probe {
    fn note(&self, what: &str) {
        self.said.borrow_mut().push(what.to_owned());
    }
}

/// What a probe shall do.
enum Do {
    Count(u32),
    Spend(u32),
    Panic,
    Stop,
    Fatal,
    Tick(Duration),
}

impl Serve<Do> for Probe {
    fn serve(&mut self, letter: Do, ctx: &mut Ctx<'_, Self>) {
        match letter {
            Do::Count(n) => self.note(&n.to_string()),
            Do::Spend(more) => ctx.spend(more),
            Do::Panic => panic!("half applied"),
            Do::Stop => ctx.stop(),
            Do::Fatal => ctx.fatal(ExitCode::LogIo, "log.7: no answer"),
            Do::Tick(period) => {
                ctx.every(period, |probe, _| probe.note("tick"));
            }
        }
    }
}

struct Stage {
    env: Env,
    endings: Endings,
    said: Said,
    to_probe: Outbox<Do>,
}

impl Stage {
    /// A probe with `letters` in its mailbox before it starts.
    fn set(duty: Duty, letters: Vec<Do>) -> Self {
        let (env, endings) = Env::recorded(Arc::new(ManualClock::new()));
        let inbox = Inbox::<Probe>::new("probe", duty, &env);
        let to_probe = inbox.outbox::<Do>(Bound::Entrance(100_000));
        for letter in letters {
            to_probe.post(letter).unwrap();
        }
        let said = Said::default();
        inbox.start_here(Probe { said: said.clone() });
        Self { env, endings, said, to_probe }
    }

    /// Lets every task run until the mailbox is empty and all that follows from it is done.
    async fn settle(&self) {
        while self.to_probe.meter().depth() > 0 {
            yield_now().await;
        }
        for _ in 0..10 {
            yield_now().await;
        }
    }

    fn said(&self) -> Vec<String> {
        self.said.take()
    }

    fn on_duty(&self) -> Vec<bool> {
        self.env.registry.readings().iter().map(|actor| !actor.gone).collect()
    }
}

/// R2: how often `drained` is called for how many letters queued.
#[actix::test]
async fn r2_drained_comes_once_for_many_letters() {
    for (letters, drained) in [(0, 0), (1, 1), (63, 1), (64, 1), (65, 2), (100, 2), (128, 2), (1_000, 16)] {
        let stage = Stage::set(Duty::Core, (0..letters).map(Do::Count).collect());
        stage.settle().await;
        let said = stage.said();
        assert_eq!(said.iter().filter(|it| *it == "drained").count(), drained, "{letters} letters");
        assert_eq!(said.len(), 1 + letters as usize + drained);
        if letters > 0 {
            assert_eq!(said.last().map(String::as_str), Some("drained"), "nothing handled is left unflushed");
        }
    }
}

/// R2: also for letters that come one by one, and for a stop right behind them.
#[actix::test]
async fn nothing_handled_stays_without_drained() {
    let stage = Stage::set(Duty::Core, vec![]);
    for n in 0..2 {
        stage.to_probe.post(Do::Count(n)).unwrap();
        stage.settle().await;
    }
    assert_eq!(stage.said(), ["started", "0", "drained", "1", "drained"]);
    for letter in [Do::Count(2), Do::Stop, Do::Count(3)] {
        stage.to_probe.post(letter).unwrap();
    }
    stage.settle().await;
    assert_eq!(stage.said(), ["2", "drained", "stopped"]);
}

/// R1: another task of the thread gets its turn at least once per 64 units of work.
#[actix::test]
async fn r1_a_flood_starves_nobody() {
    type Case = (&'static str, fn() -> Vec<Do>, u32); // the last: turns of another task
    let cases: &[Case] = &[
        ("6,400 letters", || (0..6_400).map(Do::Count).collect(), 100),
        ("100 large batches", || (0..100).map(|_| Do::Spend(63)).collect(), 100),
        ("100 batches of half the size", || (0..100).map(|_| Do::Spend(31)).collect(), 50),
    ];
    for (name, letters, turns) in cases {
        let stage = Stage::set(Duty::Core, letters());
        let others_turns = Rc::new(Cell::new(0));
        let (counted, meter) = (others_turns.clone(), stage.to_probe.meter().clone());
        let other = actix_rt::spawn(async move {
            while meter.depth() > 0 {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        other.await.unwrap();
        let got = others_turns.get();
        assert!((turns - 1..=turns + 1).contains(&got), "{name}: {got} turns of another task");
    }
}

/// R1: the actor's own timers too have their turn while letters keep coming, and never in a burst.
#[actix::test]
async fn a_flood_does_not_starve_the_actors_own_timers() {
    let ms = Duration::from_millis(1);
    let stage = Stage::set(Duty::Core, vec![Do::Tick(ms), Do::Tick(ms), Do::Tick(ms)]);
    let ticks = |stage: &Stage| stage.said.borrow().iter().filter(|it| *it == "tick").count();
    for _ in 0..100_000 {
        // Never drained: a round posts more than one round handles.
        for n in 0..65 {
            let _ = stage.to_probe.post(Do::Count(n));
        }
        yield_now().await;
        if ticks(&stage) >= 3 {
            break;
        }
    }
    assert!(stage.to_probe.meter().depth() > 0, "the flood never paused");
    assert!(ticks(&stage) >= 3);
    stage.settle().await;
    stage.said();
    // A stall so long that a timer which caught up would not get through in one turn of its task: within
    // a turn, ticks that find one under way are dropped all the same.
    std::thread::sleep(1_000 * ms);
    let over = std::time::Instant::now();
    for _ in 0..200 {
        yield_now().await;
    }
    let (late, since) = (ticks(&stage), over.elapsed().as_millis() as usize);
    let most = 3 * (2 + since);
    assert!((3..=most).contains(&late), "each of three timers fires once, not often: {late} in {since} ms");
}

/// A timer's letter is not followed by another while it waits behind other mail.
#[actix::test]
async fn a_timer_that_waits_for_its_turn_does_not_pile_up() {
    let ms = Duration::from_millis(1);
    let stage = Stage::set(Duty::Core, vec![Do::Tick(ms)]);
    stage.settle().await;
    stage.said();
    // Each round of this arbiter takes longer than the timer's period, and the mailbox lasts for many.
    for n in 0..64 * 50 {
        stage.to_probe.post(Do::Count(n)).unwrap();
    }
    while stage.to_probe.meter().depth() > 0 {
        std::thread::sleep(2 * ms);
        yield_now().await;
    }
    let over = std::time::Instant::now();
    stage.settle().await;
    let ticks = stage.said().iter().filter(|it| *it == "tick").count();
    let most = 2 + over.elapsed().as_millis() as usize;
    assert!(
        (1..=most).contains(&ticks),
        "one waited, not one for each of 50 rounds: {ticks}, at most {most}"
    );
}

#[actix::test]
async fn timers_fire_once_or_again_until_cancelled() {
    struct Timed(Said);
    impl Service for Timed {
        fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
            let said = |what: &'static str| {
                move |me: &mut Self, _: &mut Ctx<'_, Self>| me.0.borrow_mut().push(what.into())
            };
            let ms = Duration::from_millis(1);
            ctx.after(ms, said("once"));
            let never = ctx.every(ms, said("cancelled"));
            ctx.cancel(never);
            let mut left = 3;
            ctx.every(2 * ms, move |me: &mut Self, ctx| {
                me.0.borrow_mut().push("again".into());
                left -= 1;
                if left == 0 {
                    ctx.stop();
                }
            });
        }
        fn stopped(&mut self) {
            self.0.borrow_mut().push("stopped".into());
        }
    }
    let (env, _) = Env::recorded(Arc::new(ManualClock::new()));
    let said = Said::default();
    Inbox::new("timed", Duty::Core, &env).start_here(Timed(said.clone()));
    while !env.registry.readings().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await; // no outbox is left: its timers keep it alive
    }
    let mut said = said.take();
    assert_eq!(said.pop().as_deref(), Some("stopped"));
    said.sort();
    assert_eq!(said, ["again", "again", "again", "once"]);
}

/// R3: what a panic does, by duty: ends the process, or the actor alone.
#[actix::test]
async fn r3_a_panic_ends_the_process_or_the_actor_alone() {
    for (duty, codes, on_duty) in [
        (Duty::Core, vec![ExitCode::Panic], vec![false]),
        (Duty::Disk, vec![ExitCode::Panic], vec![false]),
        (Duty::Alone, vec![], vec![]),
    ] {
        let stage = Stage::set(duty, vec![Do::Count(1), Do::Panic, Do::Count(2)]);
        stage.settle().await;
        assert_eq!(stage.endings.codes(), codes, "{duty:?}");
        if let Some((_, reason)) = stage.endings.all().first() {
            assert_eq!(reason, "probe panicked at Do: half applied");
        }
        assert_eq!(stage.said(), ["started", "1"], "no code of it runs after its panic");
        assert_eq!(stage.on_duty(), on_duty, "{duty:?}: gone, or off the roll");
        assert!(stage.to_probe.post(Do::Stop).is_err_and(|refused| refused.is_gone()));
        assert_eq!(stage.to_probe.meter().depth(), 0, "M2: queued and half handled alike");
    }
}

/// R3: wherever in the actor's code the panic is.
#[actix::test]
async fn a_panic_outside_a_letter_counts_too() {
    struct Trap(&'static str);
    impl Trap {
        fn spring(&self, place: &str) {
            assert!(self.0 != place, "sprung");
        }
    }
    impl Service for Trap {
        fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
            self.spring("started");
            ctx.after(Duration::from_millis(1), |me, ctx| {
                me.spring("timer");
                ctx.stop();
            });
        }
        fn drained(&mut self, _: &mut Ctx<'_, Self>) {
            self.spring("drained");
        }
        fn stopped(&mut self) {
            self.spring("stopped");
        }
    }
    for place in ["started", "timer", "drained", "stopped"] {
        let (env, endings) = Env::recorded(Arc::new(ManualClock::new()));
        Inbox::new("trap", Duty::Core, &env).start_here(Trap(place));
        while endings.all().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(endings.all(), [(ExitCode::Panic, format!("trap panicked at {place}: sprung"))]);
    }
}

/// R5: who leaves, and with what; M2: mail dropped with its actor leaves the depth.
#[actix::test]
async fn r5_an_actor_that_ends_in_good_order_leaves_the_roll() {
    let stage = Stage::set(Duty::Core, vec![Do::Count(1), Do::Stop, Do::Count(2), Do::Count(3)]);
    stage.settle().await;
    assert_eq!(stage.said(), ["started", "1", "drained", "stopped"]);
    assert!(stage.on_duty().is_empty() && stage.endings.all().is_empty());
    let total = stage.env.registry.totals()[&("probe".into(), "Do")];
    assert_eq!((total.posted, total.handled, total.depth), (4, 4, 0));
    assert_eq!((total.wait.count(), total.handle.count()), (2, 2), "two were opened, two dropped");
}

#[actix::test]
async fn an_actor_nobody_can_reach_ends_after_its_mail() {
    let Stage { env, said, to_probe, .. } = Stage::set(Duty::Core, (0..100).map(Do::Count).collect());
    drop(to_probe);
    while !env.registry.readings().is_empty() {
        yield_now().await;
    }
    let said = said.take();
    assert_eq!(said.iter().filter(|it| it.parse::<u32>().is_ok()).count(), 100);
    assert_eq!(said.last().map(String::as_str), Some("stopped"));
}

/// R3: what is fatal to the process lets the actor do nothing more, even where the end is only noted.
#[actix::test]
async fn after_a_fatal_report_the_actor_does_nothing_more() {
    let stage = Stage::set(Duty::Core, vec![Do::Count(1), Do::Fatal, Do::Count(2)]);
    stage.settle().await;
    assert_eq!(stage.endings.codes(), [ExitCode::LogIo]);
    assert_eq!(stage.said(), ["started", "1"]);
}

/// M4 through the inbox: admitted mail beyond its bound ends the process.
#[actix::test]
async fn m4_admitted_mail_beyond_its_bound_ends_the_process() {
    let (env, endings) = Env::recorded(Arc::new(ManualClock::new()));
    let inbox = Inbox::<Probe>::new("probe", Duty::Core, &env);
    let outbox = inbox.outbox::<Do>(Bound::Admitted(2));
    assert!(outbox.post(Do::Stop).is_ok() && outbox.post(Do::Stop).is_ok());
    assert_eq!(endings.codes(), []);
    assert!(outbox.post(Do::Stop).is_err());
    assert_eq!(endings.codes(), [ExitCode::Unexpected]);
}

/// Two actors that know each other, on two threads: the outboxes exist before either actor.
#[test]
fn actors_on_two_threads_may_know_each_other() {
    struct Player {
        to_other: Outbox<u32>,
        last: u32,
        done: std::sync::mpsc::Sender<std::thread::ThreadId>,
    }
    impl Service for Player {}
    impl Serve<u32> for Player {
        fn serve(&mut self, n: u32, ctx: &mut Ctx<'_, Self>) {
            if n < self.last {
                self.to_other.post(n + 1).unwrap();
            }
            if n + 1 >= self.last {
                self.done.send(std::thread::current().id()).unwrap();
                ctx.stop();
            }
        }
    }
    let system = actix_rt::System::new();
    let (done, finished) = std::sync::mpsc::channel();
    let (env, endings) = Env::recorded(Arc::new(ManualClock::new()));
    let arbiters = system.block_on(async {
        let arbiters = ["core", "ctl"].map(|name| NamedArbiter::start(name).unwrap());
        let inboxes = ["ping", "pong"].map(|name| Inbox::<Player>::new(name, Duty::Core, &env));
        let [ping, pong] = [0, 1].map(
            |i: usize| inboxes[i].outbox::<u32>(Bound::Admitted(2)), /* one in the handler, one behind it */
        );
        ping.post(0).unwrap();
        for ((inbox, to_other), arbiter) in inboxes.into_iter().zip([pong, ping]).zip(&arbiters) {
            let done = done.clone();
            inbox.start(&arbiter.place(), move || Player { to_other, last: 100, done }).unwrap();
        }
        arbiters
    });
    let threads = [finished.recv().unwrap(), finished.recv().unwrap()];
    assert_ne!(threads[0], threads[1]);
    let gone = arbiters[0].place();
    for arbiter in arbiters {
        arbiter.stop_and_join().unwrap();
    }
    assert!(env.registry.readings().is_empty() && endings.all().is_empty());
    let totals = env.registry.totals();
    assert_eq!(totals[&("ping".into(), "u32")].handled, 51);
    assert_eq!(totals[&("pong".into(), "u32")].handled, 50);
    let late = Inbox::<Probe>::new("late", Duty::Core, &env);
    let refused = late.start(&gone, || Probe { said: Said::default() });
    assert_eq!(
        refused.map_err(|it| it.to_string()),
        Err("cannot start late: the thread it was to run on has ended".into())
    );
    assert!(env.registry.readings()[0].gone, "R4: what never started is gone");
}
