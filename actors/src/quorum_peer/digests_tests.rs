//! Member 1 of voters 1 to 3, with observer 4; a difference on which no quorum agrees waits for 1,600 ms.

use super::*;
use crate::quorum::Majority;

const PEERS: [ServerId; 3] = [ServerId(2), ServerId(3), ServerId(4)];

fn comparison() -> Comparison {
    linked(1, &PEERS)
}

fn linked(me: u64, peers: &[ServerId]) -> Comparison {
    let mut comparison = Comparison::new(ServerId(me), 1_600);
    peers.iter().for_each(|peer| comparison.on_link(*peer));
    comparison
}

/// As of `zxid`, where it belongs by what divides it.
fn told(zxid: u64, digest: u64) -> Digests {
    let point = DigestPoint { zxid: Zxid(zxid), digest };
    let points = [1 << 7, 1 << 12, 1 << 17].map(|interval| zxid.is_multiple_of(interval).then_some(point));
    Digests { version: 2, points }
}

fn hear(it: &mut Comparison, member: u64, digests: Digests) {
    match member {
        1 => it.on_own(&OwnDigests { tree: it.tree, latest: digests }),
        _ => it.on_peer(ServerId(member), &digests),
    }
}

fn judge(it: &mut Comparison, now_ms: u64) -> String {
    let majority = Majority([1, 2, 3].map(ServerId).into());
    let (kind, what) = match it.judge(&majority, now_ms) {
        None => return String::new(),
        Some(Finding::Ours(what)) => ("ours", what),
        Some(Finding::Theirs(what)) => ("theirs", what),
        Some(Finding::Undecided(what)) => ("undecided", what),
    };
    let digests = what.digests.iter().map(|(member, digest)| format!(" {}={digest}", member.0));
    format!("{kind} {}:{}", what.zxid.0, digests.collect::<String>())
}

/// When who tells which digest as of which zxid, and what that comes to.
type Step<'a> = (u64, &'a [(u64, u64, u64)], &'a str);

fn check(steps: &[Step<'_>]) {
    let mut it = comparison();
    for (now_ms, all, expected) in steps {
        all.iter().for_each(|(member, zxid, digest)| hear(&mut it, *member, told(*zxid, *digest)));
        assert_eq!(judge(&mut it, *now_ms), *expected, "at {now_ms}");
    }
}

#[test]
fn dg2_a_member_that_differs_from_a_quorum_finds_it_and_the_others_find_who_it_is() {
    check(&[
        (0, &[(1, 128, 7), (2, 128, 7), (3, 128, 7), (4, 128, 7)], ""),
        (100, &[(1, 256, 8), (2, 256, 9)], ""), // one against one
        (200, &[(3, 256, 9)], "ours 256: 1=8 2=9 3=9"),
        (300, &[(3, 256, 9)], ""), // once
        (400, &[(1, 384, 1), (2, 384, 2), (3, 384, 2)], ""),
    ]);
    check(&[
        (0, &[(1, 256, 9), (2, 256, 9), (3, 256, 8)], "theirs 256: 1=9 2=9 3=8"),
        (100, &[(1, 384, 5), (2, 384, 5)], ""), // 3 has not come so far
        (200, &[(4, 384, 6)], "theirs 384: 1=5 2=5 4=6"), // another finding
        (300, &[(1, 512, 3), (2, 512, 3), (3, 512, 3), (4, 512, 3)], ""), // it is over
        (400, &[(1, 640, 1), (2, 640, 1), (3, 640, 2)], "theirs 640: 1=1 2=1 3=2"), // and begins anew
    ]);
}

#[test]
fn dg2_observers_are_no_quorum_and_one_that_differs_finds_itself() {
    check(&[
        (0, &[(1, 128, 7), (3, 128, 8), (4, 128, 8)], ""),
        (1_600, &[(4, 128, 8)], "undecided 128: 1=7 3=8 4=8"),
    ]);
    let mut observer = linked(4, &[1, 2, 3].map(ServerId));
    observer.on_own(&OwnDigests { tree: 0, latest: told(128, 1) });
    [1, 3].iter().for_each(|voter| observer.on_peer(ServerId(*voter), &told(128, 2)));
    assert_eq!(judge(&mut observer, 0), "ours 128: 1=2 3=2 4=1");
}

#[test]
fn dg2_what_an_older_txn_decides_counts_though_not_all_have_told_of_a_newer_one() {
    check(&[
        (0, &[(1, 128, 1), (2, 128, 2), (1, 256, 3), (2, 256, 4)], ""),
        (100, &[(3, 128, 2)], "ours 128: 1=1 2=2 3=2"),
    ]);
}

#[test]
fn dg3_where_no_quorum_agrees_that_is_told_once_and_later_what_a_quorum_says() {
    check(&[
        (0, &[(1, 128, 1), (2, 128, 2)], ""),
        (1_599, &[(1, 256, 3), (2, 256, 4)], ""),
        (1_600, &[(1, 256, 3)], "undecided 256: 1=3 2=4"),
        (9_000, &[(1, 384, 5), (2, 384, 6)], ""),
        (9_100, &[(3, 384, 5)], "theirs 384: 1=5 2=6 3=5"),
    ]);
    check(&[
        (0, &[(1, 128, 1), (2, 128, 2), (3, 128, 3)], ""),
        (1_600, &[(1, 128, 1)], "undecided 128: 1=1 2=2 3=3"),
    ]);
}

#[test]
fn dg3_what_a_quorum_has_decided_is_not_undecided_again_while_the_same_members_differ() {
    check(&[
        (0, &[(1, 128, 1), (2, 128, 1), (3, 128, 2)], "theirs 128: 1=1 2=1 3=2"),
        (5_000, &[(1, 256, 1), (3, 256, 2)], ""),
        (10_000, &[(1, 256, 1)], ""),
    ]);
}

#[test]
fn dg2_each_txn_of_which_all_have_told_counts_though_no_two_met_at_it_last() {
    check(&[
        (0, &[(1, 128, 1), (2, 128, 2)], ""),
        (10, &[(1, 256, 1), (1, 384, 1), (2, 384, 2)], ""),
        (20, &[(3, 128, 2), (3, 256, 2)], "ours 128: 1=1 2=2 3=2"),
    ]);
}

#[test]
fn dg1_only_digests_of_one_version_as_of_one_txn_are_compared() {
    check(&[(0, &[(1, 128, 1), (2, 256, 2), (3, 256, 2)], "")]);
    let mut it = comparison();
    hear(&mut it, 1, told(128, 1));
    for other in [2, 3] {
        hear(&mut it, other, Digests { version: 3, ..told(128, 2) });
    }
    assert_eq!(judge(&mut it, 0), "");
    [2, 3].iter().for_each(|other| hear(&mut it, *other, told(128, 2)));
    assert_eq!(judge(&mut it, 0), "ours 128: 1=1 2=2 3=2");
}

#[test]
fn dg1_what_was_told_of_a_tree_that_was_replaced_is_forgotten() {
    let mut it = comparison();
    [(1, 1), (2, 2), (3, 2)].iter().for_each(|(member, digest)| hear(&mut it, *member, told(128, *digest)));
    it.on_own(&OwnDigests { tree: 1, latest: Digests::default() });
    assert_eq!(judge(&mut it, 0), "", "ours");
    let mut it = comparison();
    [(1, 1), (2, 2), (3, 2)].iter().for_each(|(member, digest)| hear(&mut it, *member, told(128, *digest)));
    it.on_lane(ServerId(3));
    assert_eq!(judge(&mut it, 5_000), "", "a process that has ended is no witness: one against one");
    hear(&mut it, 2, Digests { version: 2, points: [None; 3] });
    assert_eq!(judge(&mut it, 9_000), "", "a snapshot has taken its tree's place");
}

#[test]
fn dg1_members_far_apart_meet_at_a_longer_interval_and_memory_is_bounded() {
    let mut it = comparison();
    for step in 1..=200 {
        for (member, behind) in [(1, 0), (2, 100), (3, 300)] {
            // As under load: each tells the last of each interval.
            let last = (step * 40 * 128u64).saturating_sub(behind * 128);
            let digest = |zxid| if member == 1 { zxid + 1 } else { zxid };
            let points = [7, 12, 17].map(|bits| {
                let zxid = last >> bits << bits;
                (zxid > 0).then(|| DigestPoint { zxid: Zxid(zxid), digest: digest(zxid) })
            });
            hear(&mut it, member, Digests { version: 2, points });
        }
    }
    let most = 3 * REMEMBERED;
    assert!(it.others.values().chain([&it.own]).all(|points| points.all().count() <= most));
    let found = judge(&mut it, 0);
    assert!(found.starts_with("ours "), "{found}");
}

#[test]
fn what_differs_is_told_with_all_who_have_told_it() {
    let digests = [(ServerId(1), 0x1f), (ServerId(3), 2)].into();
    let what = Difference { zxid: Zxid(0x1_0000_0080), digests };
    let expected = "as of zxid 0x100000080, the digest of server 1 is 0x1f, of 3 is 0x2";
    assert_eq!(what.to_string(), expected);
}
