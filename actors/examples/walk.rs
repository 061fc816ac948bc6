//! How long a snapshot of a million znodes holds up whoever applies txns:
//! `cargo run --release -p paddock-actors --example walk`. Takes half a gigabyte.
//!
//! A busy machine stops a thread in the middle of a hold: those holds are told apart. Ends with exit code 1
//! where another one was longer than [`LONGEST`], or visited more than it may, or where that could not be measured. A
//! benchmark: no run of the tests runs it, but `compare.sh` does.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_actors::storage::snapshot::{SLOTS_PER_STEP, write};
use paddock_actors::tree::walk::{QUEUE_LIMIT, STEP_BYTES, Step};
use paddock_actors::tree::{DataTree, Events, SharedTree, TreeOptions};
use paddock_messages::client::request::CreateOp;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

const ZNODES: u32 = 1_000_000;
const SESSIONS: u32 = 200_000;
/// Txns under one hold of the lock, as a Learner under load applies them.
const BATCH: u32 = 64;
/// The image of one znode here, in bytes, at most.
const LARGEST: usize = 512;
/// The writer's time off between two batches.
const PAUSE: Duration = Duration::from_micros(200);
/// No hold of the lock by a snapshot may be longer.
const LONGEST: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let mut tree = DataTree::new(TreeOptions::default());
    let data = Bytes::from_static(&[b'x'; 100]);
    for at in 1..=ZNODES {
        let op = Op::Create(Box::new(CreateTxn {
            op: CreateOp::Create,
            path: path(at).into(),
            data: Some(data.clone()),
            acl: Acl::open(),
            owner: Owner::Persistent,
            parent_cversion: 1,
        }));
        tree.apply(&txn(at, 1, TxnBody::One(op)), &mut Events::unwanted());
    }
    for at in 1..=SESSIONS {
        let body = TxnBody::CreateSession { timeout_ms: 10_000 };
        tree.apply(&txn(ZNODES + at, i64::from(at), body), &mut Events::unwanted());
    }
    let tree = SharedTree::new(tree, 0);
    let (over, mut at) = (AtomicBool::new(false), ZNODES + SESSIONS);
    let longest = std::thread::scope(|scope| {
        let walker = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1)); // without a walk, to compare
            over.store(true, Relaxed);
            let mut given_up = 0;
            let (began, held, bytes) = loop {
                let began = Instant::now();
                let mut writer = tree.write();
                let locked = Instant::now();
                let walk = writer.tree_mut().begin_walk(QUEUE_LIMIT).expect("no other walk goes on");
                writer.commit(|_| {});
                let held = locked.elapsed();
                let mut file = Vec::new();
                match write(walk, &tree, Path::new("memory"), &mut file) {
                    Ok(_) => break (began, held, file.len()),
                    Err(_) => given_up += 1,
                }
            };
            println!(
                "a snapshot of {ZNODES} znodes and {SESSIONS} sessions: {bytes} bytes in {:?}, given up {given_up} times; \
                 {held:?} under the write lock to begin",
                began.elapsed()
            );
            holds(&tree)
        });
        let alone = load(&tree, &mut at, || over.load(Relaxed));
        let beside = load(&tree, &mut at, || walker.is_finished());
        report("without a walk", alone);
        report("during the walk", beside);
        walker.join().expect("it does not panic")
    });
    match longest {
        Some(longest) if longest <= LONGEST => {
            println!("longest hold, us: {}", longest.as_micros());
            ExitCode::SUCCESS
        }
        Some(longest) => {
            println!("longest hold, us: {}", longest.as_micros());
            eprintln!("the longest hold, {longest:?}, is longer than {LONGEST:?}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("no walk came to its end with its beginning and a step not stopped: run it again");
            ExitCode::FAILURE
        }
    }
}

/// One more walk, each hold of the lock for itself. The longest that was not stopped; `None` if the walk was
/// given up, or all its steps were stopped, or its beginning was.
fn holds(tree: &SharedTree) -> Option<Duration> {
    let begin = Hold::of(|| {
        let mut writer = tree.write();
        let locked = Instant::now();
        let walk = writer.tree_mut().begin_walk(QUEUE_LIMIT).expect("no other walk goes on");
        writer.commit(|_| {});
        (walk, locked.elapsed())
    });
    let (mut walk, mut raw, mut steps) = (begin.1, Vec::new(), Vec::new());
    walk.head(); // what it visits is visited here
    loop {
        let visited = raw.len();
        let hold = Hold::of(|| {
            let guard = tree.read();
            let locked = Instant::now();
            let step = walk.step(&guard, SLOTS_PER_STEP, &mut raw);
            (step, locked.elapsed())
        });
        let bytes = raw.len() - visited;
        assert!(bytes <= STEP_BYTES + LARGEST, "T10: {bytes} bytes under one hold");
        walk.take_handed(&mut raw);
        raw.clear();
        steps.push(hold.0);
        match hold.1 {
            Step::More => {}
            Step::Done => break,
            Step::Abandoned => {
                println!("the second walk was given up");
                return None;
            }
        }
    }
    let whole = steps.iter().filter(|hold| !hold.stopped).map(|hold| hold.took);
    let longest = whole.clone().max()?;
    let stopped = steps.iter().map(|hold| hold.took).max().unwrap_or_default();
    println!(
        "holds: the beginning {:?}; of {} steps {} were stopped by the scheduler: the longest of the others \
         {longest:?}, of all {stopped:?}",
        begin.0.took,
        steps.len(),
        steps.len() - whole.count(),
    );
    (!begin.0.stopped).then(|| longest.max(begin.0.took))
}

/// One hold of the lock.
struct Hold {
    took: Duration,
    /// Whether the thread was taken off its CPU meanwhile, or right before or behind.
    stopped: bool,
}

impl Hold {
    fn of<T>(hold: impl FnOnce() -> (T, Duration)) -> (Self, T) {
        let before = stops();
        let (done, took) = hold();
        (Self { took, stopped: stops() != before }, done)
    }
}

/// How often this thread was taken off its CPU against its will.
fn stops() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/status").expect("Linux says so");
    let line = text.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|many| many.trim().parse().ok()).expect("it is among them")
}

fn path(at: u32) -> String {
    let parent = at / 1_001 * 1_001;
    if at == parent || parent == 0 { format!("/n{at:07}") } else { format!("/n{parent:07}/c-{at:010}") }
}

fn txn(counter: u32, session: i64, body: TxnBody) -> Txn {
    let zxid = Zxid::new(Epoch(1), counter);
    let attach = AttachNumber::default();
    Txn { header: TxnHeader { session: SessionId(session), attach, cxid: 0, zxid, time: 0 }, body }
}

/// Applies batches until `done`; how long each took from asking for the lock.
fn load(tree: &SharedTree, at: &mut u32, done: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !done() {
        let batch: Vec<Txn> = (0..BATCH)
            .map(|_| {
                *at += 1;
                let path = path(at.wrapping_mul(2_654_435_761) % ZNODES + 1).into();
                let op = Op::SetData { path, data: Some(Bytes::from_static(&[b'y'; 100])), version: 1 };
                txn(*at, 1, TxnBody::One(op))
            })
            .collect();
        let began = Instant::now();
        let mut writer = tree.write();
        batch.iter().for_each(|txn| drop(writer.apply(txn)));
        writer.commit(|_| {});
        took.push(began.elapsed());
        std::thread::sleep(PAUSE);
    }
    took
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: {} batches of {BATCH}: median {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
        took.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
