//! M1 and M2 over the interleavings that a model checker finds in `depth.rs` itself.

mod sync {
    pub(super) use shuttle::sync::atomic::{AtomicU64, Ordering};
}
#[path = "depth.rs"]
#[allow(clippy::duplicate_mod)] // the same code on other atomics is the point
mod depth;

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[test]
fn m1_m2_places_are_neither_exceeded_nor_lost() {
    const LIMIT: u64 = 2;
    let run = || {
        let depth = Arc::new(depth::Depth::default());
        let holders = Arc::new(AtomicU64::new(0)); // counted independently of what is tested
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (depth, holders) = (depth.clone(), holders.clone());
                shuttle::thread::spawn(move || {
                    for _ in 0..2 {
                        if depth.reserve(LIMIT) {
                            assert!(holders.fetch_add(1, SeqCst) < LIMIT, "M1");
                            holders.fetch_sub(1, SeqCst);
                            depth.release();
                        }
                        assert!(depth.now() <= 8);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(depth.now(), 0, "M2");
        assert_eq!(depth.reserved(), depth.released());
        assert!(depth.reserve(LIMIT) && depth.reserve(LIMIT) && !depth.reserve(LIMIT));
    };
    shuttle::check_pct(run, 5_000, 3);
    shuttle::check_random(run, 5_000);
}

/// A refusal is exact: two senders and two places never refuse each other.
#[test]
fn nobody_is_refused_while_places_are_free() {
    shuttle::check_random(
        || {
            let depth = Arc::new(depth::Depth::default());
            let threads = [0, 1].map(|_| {
                let depth = depth.clone();
                shuttle::thread::spawn(move || {
                    for _ in 0..3 {
                        assert!(depth.reserve(2));
                        depth.release();
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
        },
        5_000,
    );
}
