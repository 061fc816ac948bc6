//! Member 1 of voters 1 to 3, with observer 4; a peer timeout of 800 ms, 5 s for synchronisation.

use paddock_messages::level;
use paddock_messages::quorum::{Digests, SyncStart, Tail, ToLeader, ToLearner};
use paddock_messages::zxid::{Epoch, Zxid};

use super::*;
use crate::learner::following::Following;
use crate::proposer::leadership::{Leadership, Standing};
use crate::proposer::sync_plan::Searched;
use crate::quorum::Majority;

use self::reconfiguring::linked;

#[path = "reconfiguring_tests.rs"]
mod reconfiguring;

const TIMING: Timing = Timing { peer_timeout_ms: 800, init_ms: 5_000 };

/// How often the shell looks at the clock.
const STEP_MS: u64 = 50;

fn id(number: u64) -> ServerId {
    ServerId(number)
}

fn quorum() -> Majority {
    Majority([1, 2, 3].map(ServerId).into())
}

fn peer(now_ms: u64) -> QuorumPeer<Majority> {
    linked(&[2, 3, 4], quorum(), now_ms)
}

/// A reign of epoch 1 with these learners; those of `synced` have acknowledged NEWLEADER.
fn reign(discovered: &[u64], synced: &[u64]) -> Leadership<Majority> {
    let standing = Standing { current_epoch: Epoch(0), last: Zxid::ZERO };
    let (mut reign, mut out) = (Leadership::new(id(1), quorum(), Epoch(0), standing), Vec::new());
    for learner in discovered.iter().map(|it| id(*it)) {
        reign.on_connected(learner, level::KNOWN);
        let info = ToLeader::LearnerInfo { accepted_epoch: Epoch(0), counts: true, asks_for_tree: false };
        reign.on_packet(learner, info, &mut out);
    }
    reign.on_accepted_kept(&mut out);
    for learner in discovered.iter().map(|it| id(*it)) {
        let ack = ToLeader::AckEpoch { counts: true, current_epoch: Epoch(0), tail: Tail::default() };
        reign.on_packet(learner, ack, &mut out);
    }
    reign.on_current_kept(&mut out);
    for learner in synced.iter().map(|it| id(*it)) {
        let searched = Searched { log_start: Zxid::ZERO, floors: vec![(Zxid::ZERO, 0)], snapshot_bytes: 0 };
        reign.on_found(learner, &searched, &mut out);
        reign.on_packet(learner, ToLeader::AckNewLeader { upto: Zxid::ZERO }, &mut out);
    }
    reign
}

/// A stay that has got these packets.
fn stay(packets: Vec<ToLearner>) -> Following {
    let (mut stay, mut out) = (Following::new(Epoch(0), Epoch(0), Tail::default()), Vec::new());
    stay.on_connected(&mut out);
    for packet in packets {
        stay.on_packet(packet, &mut out);
        stay.on_accepted_kept(&mut out);
        stay.on_current_kept(&mut out);
    }
    stay
}

fn discovered() -> Vec<ToLearner> {
    vec![ToLearner::LeaderInfo { epoch: Epoch(1) }]
}

fn serving() -> Vec<ToLearner> {
    let (epoch, last, committed) = (Epoch(1), Zxid::ZERO, Epoch(1).start());
    let sync = [
        ToLearner::Sync(SyncStart::Diff),
        ToLearner::NewLeader { epoch, last, ensemble: 1 },
        ToLearner::UpToDate { committed },
    ];
    discovered().into_iter().chain(sync).collect()
}

fn answer(number: u64) -> Heartbeat {
    Heartbeat { number, echo: number, accepted_epoch: Epoch(1), vouches: true, digests: Digests::default() }
}

/// Runs the clock up to 20 s with a role that began at `since`: each of `peers` answers every heartbeat that
/// is sent before its time. When and why it is over, if it is.
fn run(since: u64, leader: u64, progress: &Progress, peers: &[(u64, u64)]) -> Option<(u64, &'static str)> {
    run_as(peer(0), (since, leader), progress, peers)
}

fn run_as<Q: Quorum>(
    mut member: QuorumPeer<Q>,
    (since, leader): (u64, u64),
    progress: &Progress,
    peers: &[(u64, u64)],
) -> Option<(u64, &'static str)> {
    let mut out = Vec::new();
    for now in (0..20_000).step_by(STEP_MS as usize) {
        if now == since {
            member.on_elected(id(leader), now, &mut out);
            let role = if leader == 1 { Output::Lead } else { Output::Follow(id(leader)) };
            assert_eq!(std::mem::take(&mut out), [role]);
        }
        member.on_time(now, if now < since { &Progress::Looking } else { progress }, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Heartbeat(to, Heartbeat { number, .. }) => {
                    if peers.iter().any(|(peer, until)| id(*peer) == to && now < *until) {
                        member.on_heartbeat(to, answer(number), now, &mut Vec::new());
                    }
                }
                Output::Look(why) => {
                    assert_eq!(member.role(), Role::Looking);
                    return Some((now, why));
                }
                Output::Drop(_) | Output::Differs(_) => {}
                other => panic!("nobody was elected, or told to end: {other:?}"),
            }
        }
    }
    None
}

const ALWAYS: u64 = u64::MAX;
const NO_QUORUM: &str = "no quorum of synchronised voters answers";
const NO_ANSWER: &str = "the leader does not answer";

#[test]
fn q3_a_leader_leads_while_a_quorum_of_synchronised_voters_answers() {
    let all = reign(&[2, 3, 4], &[2, 3, 4]);
    let with_2 = reign(&[2, 3, 4], &[2, 4]);
    assert!(all.established().is_some() && with_2.established().is_some());
    type Case<'a> = (&'a Leadership<Majority>, u64, &'a [(u64, u64)], Option<u64>);
    let cases: &[Case<'_>] = &[
        (&all, 0, &[(2, ALWAYS), (3, ALWAYS)], None),
        (&all, 0, &[(2, ALWAYS)], None), // with us a quorum
        (&all, 0, &[(3, ALWAYS)], None),
        // The last answer is to what was sent at 900; more than 800 ms later it is over.
        (&all, 0, &[(2, 1_000), (3, 1_000)], Some(1_750)),
        (&all, 0, &[(2, 1_000), (3, 3_000)], Some(3_750)),
        (&all, 0, &[(2, 1_000), (4, ALWAYS)], Some(1_750)), // an observer keeps nobody in the lead
        (&with_2, 0, &[(2, 1_000), (3, ALWAYS)], Some(1_750)), // it lives, but has not our history
        (&all, 0, &[], Some(850)),                          // a role that has begun is given a timeout
        (&all, 6_000, &[], Some(6_850)),
        (&all, 6_000, &[(2, 5_000)], Some(6_850)), // whoever was silent before
        (&all, 6_000, &[(2, 6_100)], Some(6_850)),
        (&all, 6_000, &[(2, 6_101)], Some(6_950)),
    ];
    for (reign, since, peers, expected) in cases {
        let over = run(*since, 1, &reign.progress(), peers);
        assert_eq!(over, expected.map(|at| (at, NO_QUORUM)), "from {since}: {peers:?}");
    }
}

#[test]
fn q5_a_learner_that_does_not_answer_is_dropped_and_no_other() {
    let reign = reign(&[2, 3, 4], &[2, 3, 4]);
    let (mut member, mut out, mut dropped) = (peer(0), Vec::new(), BTreeMap::new());
    member.on_elected(id(1), 0, &mut out);
    for now in (0..3_000).step_by(STEP_MS as usize) {
        member.on_time(now, &reign.progress(), &mut out);
        for output in std::mem::take(&mut out) {
            match output {
                Output::Heartbeat(to, Heartbeat { number, .. }) if to != id(4) => {
                    member.on_heartbeat(to, answer(number), now, &mut Vec::new());
                }
                Output::Drop(learner) => _ = dropped.entry(learner).or_insert(now),
                _ => {}
            }
        }
    }
    assert_eq!(dropped, BTreeMap::from([(id(4), 850)]));
}

/// What it said last was long ago, and it has come back: its first answer is on its way.
#[test]
fn q5_a_learner_that_comes_back_is_given_a_timeout() {
    let (mut member, mut out, mut dropped) = (peer(0), Vec::new(), None);
    member.on_elected(id(1), 0, &mut out);
    for now in (0..9_000).step_by(STEP_MS as usize) {
        let with_4 = if now < 5_000 { reign(&[2, 3], &[2, 3]) } else { reign(&[2, 3, 4], &[2, 3]) };
        member.on_time(now, &with_4.progress(), &mut out);
        for output in std::mem::take(&mut out) {
            match output {
                Output::Heartbeat(to, Heartbeat { number, .. }) if to != id(4) => {
                    member.on_heartbeat(to, answer(number), now, &mut Vec::new());
                }
                Output::Drop(learner) => dropped = dropped.or(Some((learner, now))),
                _ => {}
            }
        }
    }
    assert_eq!(dropped, Some((id(4), 5_850)));
}

#[test]
fn q3_a_synchronisation_that_goes_on_is_not_late_however_long_it_takes() {
    for (until, expected) in [(0, Some(6_650)), (3_000, Some(9_650)), (20_000, None)] {
        let (mut member, mut out, mut left) = (peer(0), Vec::new(), None);
        member.on_elected(id(2), 0, &mut out);
        for now in (0..20_000).step_by(STEP_MS as usize) {
            let (epoch, steps) = (Some(Epoch(1)), now.min(until));
            let stay = Progress::Following(Stay { epoch, is_serving: false, steps });
            member.on_time(now, &stay, &mut out);
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Heartbeat(to, Heartbeat { number, .. }) if to == id(2) => {
                        member.on_heartbeat(to, answer(number), now, &mut Vec::new());
                    }
                    Output::Look(_) => left = left.or(Some(now)),
                    _ => {}
                }
            }
        }
        assert_eq!(left, expected, "it goes on until {until}");
    }
}

/// It may have begun anew, or follow another, and the end of the data lane may have gone unnoticed.
#[test]
fn q3_a_leader_that_answers_and_does_not_serve_a_member_is_left() {
    let unserved = "the leader answers and does not serve this member any more";
    for (vouches, accepted, expected) in [
        (true, Epoch(1), None),
        (false, Epoch(1), Some((1_650, unserved))),
        // Of the next epoch its own lane may be about to tell (Z11).
        (true, Epoch(2), Some((900, "the leader has accepted a later epoch"))),
    ] {
        let (mut member, mut out, mut left) = (peer(0), Vec::new(), None);
        member.on_elected(id(2), 0, &mut out);
        let stay = stay(serving());
        for now in (0..5_000).step_by(STEP_MS as usize) {
            member.on_time(now, &stay.progress(), &mut out);
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Heartbeat(to, Heartbeat { number, .. }) if to == id(2) => {
                        let heard = Heartbeat { accepted_epoch: accepted, vouches, ..answer(number) };
                        member.on_heartbeat(to, heard, now, &mut Vec::new());
                    }
                    Output::Look(why) => left = left.or(Some((now, why))),
                    _ => {}
                }
            }
        }
        assert_eq!(left, expected, "{vouches} {accepted}");
    }
}

/// The end of a data lane may go unnoticed while its ctl lane is well.
#[test]
fn q3_whoever_has_accepted_a_later_epoch_keeps_nobody_in_the_lead() {
    let reign = reign(&[2, 3, 4], &[2, 3, 4]);
    let epoch = reign.established().unwrap();
    for (accepted, expected) in [(epoch, None), (epoch.next().unwrap(), Some(Output::Look(NO_QUORUM)))] {
        let (mut member, mut out) = (peer(0), Vec::new());
        member.on_elected(id(1), 0, &mut out);
        member.on_time(0, &reign.progress(), &mut out);
        for peer in [2, 3] {
            let heard = Heartbeat { accepted_epoch: accepted, ..answer(1) };
            member.on_heartbeat(id(peer), heard, 0, &mut Vec::new());
        }
        out.clear();
        member.on_time(100, &reign.progress(), &mut out);
        assert_eq!(out.into_iter().find(|it| matches!(it, Output::Look(_))), expected, "{accepted}");
    }
}

/// Who has accepted the epoch that we tell may have it from us; its word for that counts, and nothing else is promised
/// upon. The time is bounded.
#[test]
fn z11_the_next_epoch_costs_no_lead_and_nothing_is_promised_on_who_may_have_it_from_another() {
    let mut reign = reign(&[2, 3, 4], &[2, 3, 4]);
    reign.roll_over(Epoch(2), |_| true, &mut Vec::new());
    let (mut member, mut out) = (peer(0), Vec::new());
    member.on_elected(id(1), 0, &mut out);
    let mut left = None;
    for now in (0..10_000).step_by(STEP_MS as usize) {
        member.on_time(now, &reign.progress(), &mut out);
        for output in std::mem::take(&mut out) {
            match output {
                Output::Heartbeat(to, Heartbeat { number, .. }) if to != id(4) => {
                    let heard = Heartbeat { accepted_epoch: Epoch(2), ..answer(number) };
                    member.on_heartbeat(to, heard, now, &mut Vec::new());
                }
                Output::Look(why) => left = left.or(Some((now, why))),
                _ => {}
            }
        }
        if left.is_none() && now > 0 {
            assert!(!member.may_promise(now, &reign.progress()), "at {now}");
        }
        if now == 100 {
            let mut turned = reign.progress();
            if let Progress::Leading(reign) = &mut turned {
                reign.turned.insert(id(2));
            }
            assert!(member.may_promise(now, &turned), "2 has it from us");
        }
    }
    assert_eq!(left, Some((1_650, "no quorum of voters took the next epoch in time")));
}

#[test]
fn q3_a_reign_that_does_not_come_about_in_time_ends() {
    let none = "no quorum of voters took part in discovery in time";
    let slow = "no quorum of voters was synchronised within initLimit";
    let cases: &[(Leadership<_>, u64, u64, &str)] = &[
        (reign(&[], &[]), 0, 1_650, none),
        (reign(&[4], &[]), 0, 1_650, none), // an observer is no quorum
        (reign(&[], &[]), 5_000, 6_650, none),
        (reign(&[2, 3], &[]), 0, 6_650, slow),
        (reign(&[2, 4], &[4]), 5_000, 11_650, slow),
    ];
    for (reign, since, at, why) in cases {
        let all = [(2, ALWAYS), (3, ALWAYS), (4, ALWAYS)]; // however they answer
        assert_eq!(run(*since, 1, &reign.progress(), &all), Some((*at, *why)));
    }
    // Silent followers alone do not end it sooner: they may be busy with a snapshot.
    assert_eq!(run(0, 1, &reign(&[2, 3], &[]).progress(), &[]), Some((6_650, slow)));
}

#[test]
fn q3_a_member_follows_while_its_leader_answers_and_brings_it_up_to_date_in_time() {
    let (no_epoch, slow) =
        ("the leader has told no epoch in time", "synchronisation was not done within initLimit");
    let always: &[(u64, u64)] = &[(2, ALWAYS)];
    type Case<'a> = (Following, u64, &'a [(u64, u64)], Option<(u64, &'a str)>);
    let cases: &[Case<'_>] = &[
        (stay(serving()), 0, always, None), // who else lives is nothing to it
        (stay(serving()), 0, &[(2, 1_000), (3, ALWAYS)], Some((1_750, NO_ANSWER))),
        (stay(serving()), 0, &[(3, ALWAYS)], Some((850, NO_ANSWER))), // it is given a timeout
        (stay(serving()), 6_000, &[(2, 1_000)], Some((6_850, NO_ANSWER))),
        (stay(discovered()), 0, &[(2, 1_000)], Some((1_750, NO_ANSWER))), // at once, however far it is
        (stay(vec![]), 0, always, Some((1_650, no_epoch))),
        (stay(vec![]), 6_000, always, Some((7_650, no_epoch))),
        (stay(discovered()), 0, always, Some((6_650, slow))),
        (stay(discovered()), 6_000, always, Some((12_650, slow))),
    ];
    assert!(cases[0].0.is_serving());
    for (stay, since, peers, expected) in cases {
        assert_eq!(run(*since, 2, &stay.progress(), peers), *expected, "from {since}: {peers:?}");
    }
}

/// A process that stood still knows nothing of what became of its leader meanwhile.
#[test]
fn q3_evidence_grows_old_while_the_clock_is_not_looked_at() {
    let (mut member, mut out) = (peer(0), Vec::new());
    member.on_elected(id(2), 0, &mut out);
    let stay = stay(serving());
    member.on_time(0, &stay.progress(), &mut out);
    member.on_heartbeat(
        id(2),
        Heartbeat {
            number: 1,
            echo: 1,
            accepted_epoch: Epoch(1),
            vouches: false,
            digests: Digests::default(),
        },
        0,
        &mut Vec::new(),
    );
    out.clear();
    member.on_time(800, &stay.progress(), &mut out);
    assert!(!out.contains(&Output::Look(NO_ANSWER)));
    member.on_time(9_000, &stay.progress(), &mut out);
    assert_eq!(out.last(), Some(&Output::Look(NO_ANSWER)));
}

#[test]
fn q3_heartbeats_go_to_every_peer_eight_times_a_timeout_whatever_the_role() {
    let (mut member, mut out) = (peer(30), Vec::new());
    let mut beats = Vec::new();
    for now in 0..=330 {
        member.on_time(now, &Progress::Looking, &mut out);
        beats.extend(out.drain(..).map(|output| match output {
            Output::Heartbeat(to, it) => (now, to.0, it.number, it.echo),
            other => panic!("{other:?}"),
        }));
        if now == 100 {
            member.on_heartbeat(
                id(3),
                Heartbeat {
                    number: 9,
                    echo: 0,
                    accepted_epoch: Epoch(1),
                    vouches: false,
                    digests: Digests::default(),
                },
                0,
                &mut Vec::new(),
            );
            member.on_heartbeat(
                id(9),
                Heartbeat {
                    number: 9,
                    echo: 1,
                    accepted_epoch: Epoch(1),
                    vouches: false,
                    digests: Digests::default(),
                },
                0,
                &mut Vec::new(),
            ); // nobody
        }
        if now == 200 {
            member.on_lane(id(3)); // perhaps another process
            member.on_lane(id(9));
        }
        assert!(member.next_due_ms() > now && member.next_due_ms() <= now.max(30) + 100);
    }
    let of = |peer| beats.iter().filter(move |beat| beat.1 == peer).map(|beat| (beat.0, beat.2, beat.3));
    assert_eq!(of(2).collect::<Vec<_>>(), [(30, 1, 0), (130, 2, 0), (230, 3, 0), (330, 4, 0)]);
    assert_eq!(of(3).collect::<Vec<_>>(), [(30, 1, 0), (130, 2, 9), (230, 3, 0), (330, 4, 0)]);
    assert_eq!(of(4).count(), 4);
}

/// A role is ended once, and until then there is no other: between two the log comes to its end.
#[test]
fn q4_one_role_follows_another_only_through_looking() {
    let (mut member, mut out) = (peer(0), Vec::new());
    let mut told = |member: &mut QuorumPeer<_>, input: &str| {
        match input.split_once(' ') {
            Some(("elect", leader)) => member.on_elected(id(leader.parse().unwrap()), 10, &mut out),
            _ => member.on_ended("over", &mut out),
        }
        (std::mem::take(&mut out), member.role())
    };
    for (input, expected, role) in [
        ("end", None, Role::Looking), // there is none
        ("elect 2", Some(Output::Follow(id(2))), Role::Following(id(2))),
        ("elect 3", None, Role::Following(id(2))),
        ("elect 1", None, Role::Following(id(2))),
        ("end", Some(Output::Look("over")), Role::Looking),
        ("end", None, Role::Looking),
        ("elect 1", Some(Output::Lead), Role::Leading),
        ("elect 2", None, Role::Leading),
        ("end", Some(Output::Look("over")), Role::Looking),
    ] {
        assert_eq!(told(&mut member, input), (expected.into_iter().collect(), role), "{input}");
    }
}

/// The shell has not begun the role yet, or ended it already: that is no evidence.
#[test]
fn q4_without_a_role_of_the_kind_time_decides_nothing() {
    let (reign, stay) = (reign(&[], &[]), stay(vec![]));
    for (leader, progress) in
        [(1, Progress::Looking), (2, Progress::Looking), (1, stay.progress()), (2, reign.progress())]
    {
        assert_eq!(run(0, leader, &progress, &[]), None, "{leader}");
    }
}

#[test]
fn q7_whoever_is_to_end_begins_no_role_and_a_leader_hands_over_first() {
    let (led, not_yet) = (reign(&[2, 3], &[2, 3]).progress(), reign(&[2, 3], &[]).progress());
    for (elected, progress, expected) in [
        (None, Progress::Looking, Output::Retire("the process is to end")),
        (Some(2), stay(serving()).progress(), Output::Retire("the process is to end")),
        (Some(1), not_yet, Output::Retire("the process is to end")),
        (Some(1), led, Output::HandOver(None)),
    ] {
        let (mut member, mut out) = (peer(0), Vec::new());
        if let Some(leader) = elected {
            member.on_elected(id(leader), 0, &mut out);
            out.clear();
        }
        member.on_retire(10, (&progress, &BTreeMap::new()), &mut out);
        assert_eq!(std::mem::take(&mut out), [expected], "{progress:?}");
        assert!(!member.takes_role());
        member.on_retire(11, (&progress, &BTreeMap::new()), &mut out);
        assert_eq!(out, [], "it is told so once");
        // The Proposer has done: of the others nothing is left that could end.
        let hands_over = member.role() == Role::Leading;
        member.on_ended("handed over", &mut out);
        let retires = hands_over.then_some(Output::Retire("handed over"));
        assert_eq!(std::mem::take(&mut out), retires.into_iter().collect::<Vec<_>>());
        member.on_elected(id(2), 12, &mut out);
        assert_eq!((out, member.role()), (Vec::new(), Role::Looking), "no other role");
    }
}

#[test]
fn q7_a_leader_that_cannot_hand_over_in_time_ends_its_role_all_the_same() {
    let reign = reign(&[2, 3], &[2, 3]);
    let (mut member, mut out) = (peer(0), Vec::new());
    member.on_elected(id(1), 0, &mut out);
    member.on_retire(100, (&reign.progress(), &BTreeMap::new()), &mut out);
    for (now, ends) in [(100, false), (100 + HAND_OVER_MS, false), (101 + HAND_OVER_MS, true)] {
        out.clear();
        member.on_time(now, &reign.progress(), &mut out);
        assert_eq!(out.iter().any(|it| matches!(it, Output::Retire(_))), ends, "{now}: {out:?}");
        assert!(!out.iter().any(|it| matches!(it, Output::Look(_))), "{now}");
    }
}
