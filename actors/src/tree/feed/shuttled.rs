//! The feed under every interleaving that shuttle draws: the Learner appends under the tree's lock, the
//! arbiter sleeps until it is woken, drains, and reads.

use paddock_messages::zxid::Zxid;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::sync::{Arc, RwLock};
use shuttle::thread;

#[path = "backlog.rs"]
#[allow(dead_code, clippy::duplicate_mod, reason = "the same code over another Mutex; not all of it")]
mod backlog;

mod sync {
    pub(super) use shuttle::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Shuttle's, without poisoning.
    pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(of: T) -> Self {
            Self(shuttle::sync::Mutex::new(of))
        }

        pub(super) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

type Backlog = backlog::Backlog<u64>;

/// Txns that are applied; each is an item where somebody watches.
const LAST: u64 = 4;

/// What the two threads share: the tree is its zxid.
struct Shared {
    tree: RwLock<u64>,
    feed: Backlog,
}

fn learn(shared: &Shared, wake: &Sender<()>) {
    for zxid in 1..=LAST {
        let mut tree = shared.tree.write().unwrap();
        let mut items = if shared.feed.has_watches() { vec![zxid] } else { vec![] };
        let was_idle = shared.feed.append(&mut items, Zxid(zxid), 0);
        *tree = zxid;
        drop(tree);
        if was_idle {
            wake.send(()).unwrap();
        }
    }
}

/// An arbiter: what it has drained, and through which zxid.
#[derive(Default)]
struct Arbiter {
    seen: Vec<u64>,
    upto: u64,
}

impl Arbiter {
    fn drain(&mut self, shared: &Shared) {
        let mut items = Vec::new();
        let upto = shared.feed.drain(&mut items).0;
        assert!(upto >= self.upto && items.iter().all(|it| *it <= upto), "F2");
        (self.upto, self.seen) = (upto, [&self.seen[..], &items].concat());
    }

    /// Under the guard: exactly what the tree has.
    fn read(&mut self, shared: &Shared) {
        let tree = shared.tree.read().unwrap();
        self.drain(shared);
        assert_eq!(self.upto, *tree, "F1: the feed holds all that the tree has, and no more");
    }

    fn run(mut self, shared: &Shared, woken: &Receiver<()>) {
        let tree = shared.tree.read().unwrap();
        shared.feed.set_watches(1);
        let from = *tree;
        self.drain(shared);
        drop(tree);
        while self.upto < LAST {
            woken.recv().expect("F3: the Learner has gone, and never said that there was more");
            if shuttle::rand::Rng::r#gen(&mut shuttle::rand::thread_rng()) {
                self.read(shared);
            } else {
                self.drain(shared);
            }
        }
        let expected: Vec<u64> = (from + 1..=LAST).collect();
        assert_eq!(self.seen, expected, "F2: each once, in order, from the first that was watched for");
    }
}

#[test]
fn f1_f2_f3_nothing_is_lost_or_early_and_nobody_sleeps_on_it() {
    shuttle::check_random(
        || {
            let shared = Arc::new(Shared { tree: RwLock::new(0), feed: Backlog::new(Zxid(0)) });
            let (wake, woken) = channel();
            let learner = Arc::clone(&shared);
            let learner = thread::spawn(move || learn(&learner, &wake));
            Arbiter::default().run(&shared, &woken);
            learner.join().unwrap();
        },
        20_000,
    );
}
