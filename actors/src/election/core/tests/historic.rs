//! What once went wrong in elections: compat zab, 12.

use super::*;

#[test]
fn zookeeper_1732_and_1805_a_rejoiner_finds_the_leader_whatever_zxid_and_round_the_others_remember() {
    // 3 was elected in round 5 with 2; 1 had joined later, with another round and zxid. Now 2 is back.
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 4.8", "looking 1 2@4.8 to 1 3"),
            ("1: following 9 3@4.0", ""),
            ("3: leading 5 3@4.2", "decided 3@4.2"),
            ("settle following 3@4.2", "following 5 3@4.2 to 1 3"),
        ],
    );
    // Those that were there answer with the epoch that is led, once it is known: then they agree.
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 4.8", "looking 1 2@4.8 to 1 3"),
            ("1: following 5 3@3.2", ""), // as elected
            ("3: leading 5 3@4.0", ""),   // as led
            ("1: following 5 3@4.0", "decided 3@4.0"),
        ],
    );
}

#[test]
fn zookeeper_3769_and_4787_no_notification_stops_who_receives_it() {
    let numbers = [0, 1, 2, 3, 4, 9, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    let states = [PeerState::Looking, PeerState::Following, PeerState::Leading, PeerState::Observing];
    let mut odd = Vec::new();
    for (leader, round) in numbers.iter().flat_map(|leader| numbers.map(|round| (*leader, round))) {
        let vote = Vote { peer_epoch: Epoch(u32::MAX), zxid: Zxid(0), leader: ServerId(leader) };
        let heard =
            |state| [None, Some(vote)].map(|vote| Notification { state, vote, round, memory: Memory::Whole });
        odd.extend(states.iter().flat_map(|state| heard(*state)));
    }
    for own in [Some(vote(1, 1, 5)), None] {
        let mut table = Table::of(1, members(4, &[4], ""));
        table.step("up 2 3 4");
        for (from, heard) in numbers.iter().flat_map(|from| odd.iter().map(move |heard| (*from, *heard))) {
            if !table.election.is_looking() {
                table.election.look(own, 0, &mut Vec::new());
            }
            table.election.on_notification(ServerId(from), heard, 0, &mut Vec::new());
            table.election.check();
        }
    }
    // And it goes on as if nothing had been.
    check(
        1,
        3,
        &[
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("2: leading 18446744073709551615 0@4294967295.4294967295", ""),
            ("2: following 0 2@0.0", ""),
            ("3: leading 5 3@3.0", ""),
            ("2: following 5 3@3.0", "decided 3@3.0"),
        ],
    );
}

/// A voter changed its mind, and the elected leader was alone. When it gives up (for that is not
/// election's), it must find at once the leader that the others have.
#[test]
fn zookeeper_3109_an_elected_leader_without_followers_joins_the_others_when_it_looks_again() {
    check(
        2,
        3,
        &[
            ("up 1", ""),
            ("look 1.5", "looking 1 2@1.5 to 1"),
            ("1: looking 1 2@1.5", "decided 2@1.5"),
            ("settle leading 2@1.5", "leading 1 2@1.5 to 1"),
            ("up 3", "leading 1 2@1.5 to 3"),
            ("1: looking 1 3@1.6", "leading 1 2@1.5 to 1"), // its mind has changed
            ("1: following 1 3@1.6", ""),
            ("3: leading 1 3@1.6", ""),
            ("look 1.5", "looking 2 2@1.5 to 1 3"),
            ("3: leading 1 3@1.6", ""),
            ("1: following 1 3@1.6", "decided 3@1.6"),
        ],
    );
    // The one that changed its mind: what 2 says neither holds it up nor brings it back.
    check(
        1,
        3,
        &[
            ("up 2 3", ""),
            ("look 1.4", "looking 1 1@1.4 to 2 3"),
            ("2: looking 1 2@1.5", "looking 1 2@1.5 to 2 3"),
            ("3: looking 1 3@1.6", "looking 1 3@1.6 to 2 3"),
            ("2: leading 1 2@1.5", ""),
            ("at 20", "decided 3@1.6"),
        ],
    );
}

#[test]
fn zookeeper_3537_a_rejoiner_with_a_greater_vote_and_round_does_not_disturb_the_leader() {
    check(
        1,
        3,
        &[
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("3: leading 1 3@2.0", ""),
            ("2: following 1 3@2.0", "decided 3@2.0"),
            ("settle following 3@2.0", "following 1 3@2.0 to 2 3"),
            ("down 2", ""),
            ("up 2", "following 1 3@2.0 to 2"),
            ("2: looking 50 2@2.9", "following 1 3@2.0 to 2"),
            ("2: following 1 3@2.0", ""),
        ],
    );
}

/// A dead candidate is not elected over and over: its links are down, so nobody keeps its vote alive.
#[test]
fn a_candidate_that_died_is_forgotten_by_all() {
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 1.5", "looking 1 2@1.5 to 1 3"),
            ("3: looking 1 3@1.6", "looking 1 3@1.6 to 1 3"),
            ("down 3", "looking 2 2@1.5 to 1"),
            ("1: looking 1 3@1.6", "looking 2 2@1.5 to 1"),
            ("1: looking 2 2@1.5", "decided 2@1.5"),
        ],
    );
}
