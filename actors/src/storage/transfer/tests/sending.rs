//! What goes down the lane, and what is refused.

use super::*;

#[test]
fn s14_a_part_of_the_log_is_sent_as_it_stands_there() {
    let mut member = Member::new();
    member.log(1, 1..301, 300);
    member.log(4, 1..301, 300);
    let txns = &member.txns;
    for (from, to, batch, least) in
        [(0, 600, 10_000, 15), (10, 590, PIECE, 1), (299, 301, 1, 2), (7, 7, PIECE, 0)]
    {
        let zxid = |at: usize| at.checked_sub(1).map_or(Zxid::ZERO, |at| txns[at].header.zxid);
        let range = (zxid(from), zxid(to));
        let (parts, done) = log_sent(member.view(), range, batch);
        assert_eq!(done, Ok(zxid(to)));
        assert!(parts.iter().all(|part| part.as_ref().unwrap().len() < batch + 1_000));
        let (got, count) = proposed(read(parts), range.0);
        assert_eq!(got, txns[from..to]);
        assert!(count >= least && count <= least * 3, "{count} frames");
    }
}

#[test]
fn z10_behind_each_piece_stands_what_of_it_is_committed() {
    let mut member = Member::new();
    member.log(1, 1..301, 300);
    for (committed, expected) in [(0, 0), (10, 10), (155, 155), (300, 300), (900, 300)] {
        let span = Span { after: z(1, 5), upto: z(1, 300), committed: z(1, committed) };
        let (parts, done) = sent(|outlet, done| spawn_log(member.view(), span, 10_000, outlet, done));
        assert_eq!(done, Ok(z(1, 300)));
        let (mut last, mut told, mut unknown) = (z(1, 5), Zxid::ZERO, 0);
        for packet in read(parts) {
            match packet {
                ToLearner::Proposals { items, .. } => {
                    last = items.last().unwrap().txn().unwrap().header.zxid;
                    unknown += 1;
                }
                ToLearner::Commit { upto } => {
                    assert!(upto > told && upto == last.min(z(1, committed)), "{upto} behind {last}");
                    (told, unknown) = (upto, 0);
                }
                other => panic!("{other:?}"),
            }
            assert!(unknown <= 1 || told == z(1, committed) || committed <= 5, "two pieces wait");
        }
        assert_eq!(told, if committed > 5 { z(1, expected) } else { Zxid::ZERO });
    }
}

#[test]
fn s14_what_is_not_all_there_is_refused_and_the_lane_is_told() {
    let mut member = Member::new();
    member.log(1, 1..100, 1_500);
    member.snapshot();
    member.logger.purge(1).unwrap();
    assert!(member.view().log_start() > z(1, 10));
    member.log(1, 101..111, 10); // a gap
    member.log(3, 2..3, 10); // another
    for (range, expected) in [
        ((Zxid::ZERO, z(1, 99)), "begins only after"),
        ((z(1, 95), z(1, 105)), "txns are missing"),
        ((z(1, 105), z(3, 2)), "txns are missing"),
        ((z(1, 105), z(1, 200)), "is the last"),
        ((z(1, 105), z(1, 104)), "is the last"),
        ((z(1, 105), z(9, 1)), "txns are missing"),
    ] {
        let (parts, done) = log_sent(member.view(), range, PIECE);
        let why = done.unwrap_err();
        assert!(why.contains(expected), "{range:?}: {why}");
        assert_eq!(parts.last(), Some(&Err(why)), "{range:?}");
    }
    member.logger.append(z(4, 1), b"no txn");
    member.logger.append(z(4, 2), &[0; 100]);
    member.logger.flush().unwrap();
    let (_, done) = log_sent(member.view(), (z(3, 2), z(4, 2)), PIECE);
    assert!(done.unwrap_err().contains("cannot be decoded"));
}

#[test]
fn a_lane_that_is_gone_ends_a_transfer_without_a_word() {
    let mut member = Member::new();
    member.log(1, 1..100, 30_000);
    member.snapshot();
    let start = |outlet, done: Box<dyn FnOnce(Result<Zxid, String>) + Send>, is_log| match is_log {
        true => {
            let span = Span { after: Zxid::ZERO, upto: z(1, 99), committed: Zxid::ZERO };
            spawn_log(member.view(), span, 1_000, outlet, done)
        }
        false => spawn_snapshot(member.view(), outlet, done),
    };
    for is_log in [true, false] {
        let (to, mut parts) = channel();
        let (done, told) = bounded::<()>(1);
        let outlet = Outlet { writer: FrameWriter::new(1, LARGEST), to, label: "server 2".into() };
        start(outlet, Box::new(move |_| done.send(()).unwrap()), is_log).unwrap();
        parts.blocking_recv().unwrap().unwrap();
        let waits = told.recv_timeout(Duration::from_millis(50));
        assert_eq!(waits, Err(RecvTimeoutError::Timeout), "the channel is full");
        drop(parts);
        assert_eq!(told.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}

#[test]
fn a_panic_is_told_as_a_failure() {
    let (parts, done) = sent(|outlet, done| spawn("broken", outlet, done, |_| panic!("on purpose")));
    assert!(done.unwrap_err().contains("panic") && matches!(&parts[..], [Err(_)]));
}

#[test]
fn a_snapshot_that_is_not_there_or_empty_is_not_sent() {
    let mut member = Member::new();
    member.log(1, 1..5, 10);
    let refused = |member: &Member<MemoryDisk>, expected: &[&str]| {
        let (parts, done) = snapshot_sent(member.view());
        let why = done.unwrap_err();
        assert!(expected.iter().all(|it| why.contains(it)), "{why}");
        assert_eq!(parts, [Err(why)]);
    };
    refused(&member, &["no snapshot"]);
    let name = snapshot_name(z(1, 3));
    member.disk.create(&name).unwrap();
    member.logger.add_snapshot(&name, z(1, 3)).unwrap();
    refused(&member, &[&name, "empty"]);
    member.disk.remove(&name).unwrap();
    refused(&member, &[&name, "check the disk"]);
}
