//! Member 1 leads while two configurations decide, or another than at first.

use super::*;
use crate::membership::tests::joint;

/// Member 1, with links to these.
pub(super) fn linked<Q: Quorum>(peers: &[u64], quorum: Q, now_ms: u64) -> QuorumPeer<Q> {
    let mut member = QuorumPeer::new(id(1), quorum, TIMING, now_ms);
    peers.iter().for_each(|peer| member.on_link(id(*peer)));
    member
}

fn member(by: &str) -> QuorumPeer<crate::membership::Joint<Majority>> {
    let mut member = linked(&[2, 3, 4, 5], joint("123@0"), 0);
    member.decide_by(joint(by));
    member
}

#[test]
fn q3_mb1_a_lead_needs_answers_of_a_quorum_of_each() {
    const BOTH: &str = "123@0 and 145@5";
    let progress = reign(&[2, 3, 4, 5], &[2, 3, 4, 5]).progress();
    for (by, peers, until) in [
        (BOTH, &[(2, ALWAYS), (4, ALWAYS)][..], None),
        (BOTH, &[(3, ALWAYS), (5, ALWAYS)], None),
        // The last answer is to what was sent at 900; more than 800 ms later it is over.
        (BOTH, &[(2, ALWAYS), (3, ALWAYS), (4, 1_000)], Some(1_750)),
        (BOTH, &[(4, ALWAYS), (5, ALWAYS), (2, 1_000)], Some(1_750)),
        ("145@5", &[(4, ALWAYS)], None),
        ("145@5", &[(2, ALWAYS), (3, ALWAYS), (4, 1_000)], Some(1_750)), // they have left
    ] {
        let over = run_as(member(by), (0, 1), &progress, peers);
        assert_eq!(over, until.map(|at| (at, NO_QUORUM)), "{by}: {peers:?}");
    }
}

#[test]
fn e1_mb1_a_ping_is_promised_for_as_long_as_a_quorum_of_each_has_answered() {
    let progress = reign(&[2, 3, 4, 5], &[2, 3, 4, 5]).progress();
    let mut member = member("123@0 and 145@5");
    let mut out = Vec::new();
    member.on_elected(id(1), 0, &mut out);
    for (at, peer) in [(100, 2), (200, 4), (300, 3)] {
        out.clear();
        member.on_time(at, &progress, &mut out);
        let sent = out.iter().find_map(|it| match it {
            Output::Heartbeat(to, beat) if *to == id(peer) => Some(beat.number),
            _ => None,
        });
        member.on_heartbeat(id(peer), answer(sent.unwrap()), at, &mut Vec::new());
    }
    assert_eq!(
        member.promises_until_ms(&progress),
        Some(1_000),
        "3 and we until 1,100, and 4 and we until 1,000"
    );
    member.decide_by(joint("123@0"));
    assert_eq!(member.promises_until_ms(&progress), Some(1_100));
    member.decide_by(joint("345@5"));
    assert_eq!(member.promises_until_ms(&progress), Some(1_000), "3 and 4");
}

/// A round that is under way is not over with a quorum of those who decided as it began.
#[test]
fn p11_mb1_a_round_is_answered_by_a_quorum_of_each() {
    for (first, answers) in [("123@0", [3, 2, 4]), ("123@0 and 145@5", [5, 4, 2])] {
        let mut member = member(first);
        let mut out = Vec::new();
        member.on_elected(id(1), 0, &mut out);
        member.on_accepted(Epoch(1));
        out.clear();
        member.on_sync(7, 10, &mut out);
        let numbers: BTreeMap<ServerId, u64> = out
            .drain(..)
            .map(|it| match it {
                Output::Heartbeat(to, beat) => (to, beat.number),
                other => panic!("{other:?}"),
            })
            .collect();
        member.decide_by(joint("123@0 and 145@5"));
        let confirmed: Vec<bool> = answers
            .map(|peer| {
                out.clear();
                member.on_heartbeat(id(peer), answer(numbers[&id(peer)]), 20, &mut out);
                out.contains(&Output::Confirmed(7))
            })
            .into();
        assert_eq!(confirmed, [false, false, true], "{first}: {answers:?}");
    }
}
