use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What was reported as broken, in order.
type Broken = Arc<Mutex<Vec<String>>>;

/// An outbox into a channel, the channel's end, and what was reported as broken.
fn outbox(bound: Bound) -> (Outbox<u32>, mpsc::Receiver<Mail<u32>>, Broken) {
    let broken = Arc::new(Mutex::new(Vec::new()));
    let noted = broken.clone();
    let on_broken = Arc::new(move |reason: &str| noted.lock().unwrap().push(reason.to_owned()));
    let (to, from) = mpsc::channel();
    let meter = Meter::new::<u32>("logger".into(), bound, on_broken);
    (Outbox::new(meter, move |mail| to.send(mail).map_err(|gone| gone.0)), from, broken)
}

/// M1–M4 step by step: what is done, what comes of it, the depth afterwards.
#[test]
fn m3_mail_is_taken_refused_and_counted() {
    for bound in [Bound::Entrance(2), Bound::Admitted(2)] {
        let (outbox, from, broken) = outbox(bound);
        let other = outbox.clone(); // one bound for all senders
        assert_eq!((outbox.post(1), other.post(2), outbox.meter().depth()), (Ok(()), Ok(()), 2));
        assert_eq!((other.post(3), outbox.meter().depth()), (Err(Refused::Full(3)), 2), "M3");
        let expected: &[&str] = match bound {
            Bound::Entrance(_) => &[], // a refusal is no bug
            Bound::Admitted(_) => &["more than 2 u32 under way to logger, though all of it was admitted"],
        };
        assert_eq!(*broken.lock().unwrap(), expected, "M4");
        let (body, opened) = from.recv().unwrap().open();
        assert_eq!((body, outbox.meter().depth()), (1, 2), "in the handler is under way");
        drop(opened);
        assert_eq!((outbox.post(4), outbox.meter().depth()), (Ok(()), 2), "a place was free again");
        drop(from); // the receiver ends with two letters queued
        assert_eq!(outbox.meter().depth(), 0, "M2");
        assert_eq!((other.post(5), outbox.meter().depth()), (Err(Refused::Gone(5)), 0), "M3");
        let read = outbox.meter().read();
        assert_eq!((read.posted, read.handled, read.refused_full, read.refused_gone), (4, 4, 1, 1));
        assert_eq!((read.wait.count(), read.handle.count()), (1, 1), "one was handled");
    }
}

#[test]
fn a_bound_of_nothing_takes_nothing() {
    let (outbox, _from, _) = outbox(Bound::Entrance(0));
    assert_eq!(outbox.post(7).map_err(Refused::into_body), Err(7));
}

/// M1 with real threads: many clones together never exceed the limit, and nothing is lost.
#[test]
fn cloned_outboxes_share_one_limit() {
    const LIMIT: u64 = 5;
    let (outbox, from, _) = outbox(Bound::Entrance(LIMIT));
    let taken: u32 = thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|_| outbox.clone())
            .map(|outbox| scope.spawn(move || (0..500).filter(|n| outbox.post(*n).is_ok()).count() as u32))
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    assert_eq!(u64::from(taken), LIMIT, "nobody handled anything");
    assert_eq!(from.try_iter().count() as u32, taken);
    assert_eq!(outbox.meter().depth(), 0);
}

/// The same with a receiver: the depth is within the limit whenever looked at.
#[test]
fn the_depth_never_exceeds_the_limit() {
    const LIMIT: u64 = 3;
    let (outbox, from, _) = outbox(Bound::Entrance(LIMIT));
    let meter = outbox.meter().clone();
    let receiver =
        thread::spawn(move || from.iter().inspect(|mail| assert!(mail.ticket.0.depth() <= LIMIT)).count());
    let taken: usize = thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| outbox.clone())
            .map(|outbox| scope.spawn(move || (0..2_000).filter(|n| outbox.post(*n).is_ok()).count()))
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    drop(outbox);
    assert_eq!(receiver.join().unwrap(), taken);
    assert_eq!((meter.depth(), meter.handled()), (0, taken as u64));
}

#[test]
fn buckets_are_powers_of_two_of_a_microsecond() {
    for (took_us, bucket, end_us) in [
        (0, 0, 1),
        (1, 1, 2),
        (2, 2, 4),
        (3, 2, 4),
        (4, 3, 8),
        (1_000, 10, 1_024),
        ((1 << 26) - 1, 26, 1 << 26),
        (1 << 26, 27, u64::MAX),
        (u64::MAX, 27, u64::MAX),
    ] {
        assert_eq!((bucket_of(took_us), bucket_end_us(bucket)), (bucket, end_us), "{took_us} µs");
    }
}

#[test]
fn quantiles_of_nothing_and_of_one() {
    assert_eq!(Times::default().read().quantile_us(500), 0);
    let times = Times::default();
    times.record(Duration::from_micros(300));
    for per_mille in [0, 1, 500, 1_000, 9_999] {
        assert_eq!(times.read().quantile_us(per_mille), 300, "never above the longest");
    }
}

proptest! {
    #[test]
    fn each_duration_lies_in_its_bucket(took_us in any::<u64>()) {
        let bucket = bucket_of(took_us);
        prop_assert!(took_us <= bucket_end_us(bucket).saturating_sub(u64::from(bucket + 1 < BUCKETS)));
        prop_assert!(bucket == 0 || took_us >= bucket_end_us(bucket - 1));
    }

    /// Count and sum are exact, and a quantile is at least the true one and less than twice it.
    #[test]
    fn readings_follow_what_was_recorded(
        mut took_us in prop::collection::vec(1_u64..1 << 26, 1..200),
        split in any::<prop::sample::Index>(),
        per_mille in 1_u64..=1_000,
    ) {
        let (first, second) = took_us.split_at(split.index(took_us.len()));
        let [mut all, other] = [first, second].map(|part| {
            let times = Times::default();
            part.iter().for_each(|us| times.record(Duration::from_micros(*us)));
            times.read()
        });
        all.merge(&other);
        took_us.sort_unstable();
        prop_assert_eq!(all.count(), took_us.len() as u64);
        prop_assert_eq!(all.sum_us, took_us.iter().sum::<u64>());
        prop_assert_eq!(Some(&all.max_us), took_us.last());
        let rank = (took_us.len() as u64 * per_mille).div_ceil(1_000) as usize;
        let (told, real) = (all.quantile_us(per_mille), took_us[rank.max(1) - 1]);
        prop_assert!(real <= told && told < 2 * real || told == real, "{} for {}", told, real);
    }
}
