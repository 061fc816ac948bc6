//! Member 1 leads; what it is told, and what comes out. 2 and up are voters, 7 and up observers.

use std::sync::Arc;

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};

use paddock_messages::quorum::{SyncStart, Tail};

use super::*;
use crate::membership::Joint;
use crate::membership::tests::joint;
use crate::proposer::sync_plan::Searched;
use crate::quorum::Majority;

mod discovery;
mod levels;
mod reconfiguring;
mod rolling_over;
mod sync;

struct Bench(Leadership<Joint<Majority>>);

fn z(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once('.').unwrap();
    Zxid::new(Epoch(epoch.parse().unwrap()), counter.parse().unwrap())
}

fn epoch(text: &str) -> Epoch {
    Epoch(text.parse().unwrap())
}

/// `1.2` is committed; `1.2+1.3-1.5+2.1-2.1`: runs that are not known to be.
fn tail(text: &str) -> Tail {
    let mut parts = text.split('+');
    let committed = z(parts.next().unwrap());
    let run = |text: &str| text.split_once('-').map(|(first, last)| (z(first), z(last))).unwrap();
    Tail { committed, runs: parts.map(run).collect() }
}

/// A txn, or `synced`, which is none.
fn proposal(text: &str) -> Proposal {
    let (session, attach) = (SessionId(7), AttachNumber::default());
    if text == "synced" {
        return Proposal::Synced { number: 0, session, attach, xid: 1, path: None };
    }
    let header = TxnHeader { session, attach, cxid: 1, zxid: z(text), time: 0 };
    Proposal::Txn(Txn { header, body: TxnBody::CreateSession { timeout_ms: 1 } })
}

fn packet(words: &[&str]) -> ToLeader {
    match words {
        ["info", accepted] => {
            ToLeader::LearnerInfo { accepted_epoch: epoch(accepted), counts: true, asks_for_tree: false }
        }
        ["empty-info", accepted] => {
            ToLeader::LearnerInfo { accepted_epoch: epoch(accepted), counts: false, asks_for_tree: false }
        }
        ["differs-info", accepted] => {
            ToLeader::LearnerInfo { accepted_epoch: epoch(accepted), counts: true, asks_for_tree: true }
        }
        [verb @ ("acks-epoch" | "acks-epoch-again"), current, has] => {
            let (counts, current_epoch) = (*verb == "acks-epoch", epoch(current));
            ToLeader::AckEpoch { counts, current_epoch, tail: tail(has) }
        }
        ["acks-new", upto] => ToLeader::AckNewLeader { upto: z(upto) },
        ["acks", upto] => ToLeader::Ack { upto: z(upto) },
        ["asks"] => ToLeader::Requests(vec![]),
        _ => panic!("{words:?}"),
    }
}

impl Bench {
    /// Member 1, one of `voters`, has accepted an epoch and stands with a current epoch and a last txn.
    fn new(voters: u64, accepted: u32, current: u32, last: &str) -> Self {
        let quorum = Majority((1..=voters).map(ServerId).collect());
        let standing = Standing { current_epoch: Epoch(current), last: z(last) };
        Self(Leadership::new(ServerId(1), quorum.into(), Epoch(accepted), standing))
    }

    fn step(&mut self, input: &str) -> Vec<Output> {
        let (lead, mut out) = (&mut self.0, Vec::new());
        let words: Vec<_> = input.split(' ').collect();
        let id = |text: &str| ServerId(text.parse().unwrap());
        match words[..] {
            ["decide", ref by @ ..] => lead.decide_by(joint(&by.join(" "))),
            ["start"] => lead.start(&mut out),
            ["accepted"] => lead.on_accepted_kept(&mut out),
            ["entered"] => lead.on_current_kept(&mut out),
            ["persisted", upto] => lead.on_persisted(z(upto), &mut out),
            ["commit", upto] => lead.on_committed(z(upto), &mut out),
            ["propose", ref all @ ..] => {
                lead.on_proposed(&Arc::new(all.iter().map(|it| proposal(it)).collect()), &mut out);
            }
            // Whom of 1 to 9 it can be told.
            ["roll-over", to, hearing] => {
                lead.roll_over(epoch(to), |it| hearing.contains(&it.0.to_string()), &mut out);
            }
            [learner, "connects"] => lead.on_connected(id(learner), 1),
            // It reads feature levels up to this one.
            [learner, "connects", reads] => lead.on_connected(id(learner), reads.parse().unwrap()),
            ["level", level] => lead.on_level(level.parse().unwrap()),
            [learner, "goes"] => lead.on_gone(id(learner)),
            // Our log's start, then the floor of each zxid that was asked; `3.5:9000`: and how many bytes a
            // snapshot of 1000 spares from there.
            [learner, "found", log_start, ref floors @ ..] => {
                let floor = |text: &&str| match text.split_once(':') {
                    Some((floor, spared)) => (z(floor), spared.parse().unwrap()),
                    None => (z(text), 0),
                };
                let (floors, log_start) = (floors.iter().map(floor).collect(), z(log_start));
                lead.on_found(id(learner), &Searched { log_start, floors, snapshot_bytes: 1_000 }, &mut out);
            }
            [learner, "log-sent", upto] => lead.on_log_sent(id(learner), z(upto), &mut out),
            [learner, "snap-sent", upto] => lead.on_snapshot_sent(id(learner), z(upto), &mut out),
            [learner, "turned-away"] => lead.on_turned_away(id(learner), vec![], &mut out),
            [learner, ref rest @ ..] => lead.on_packet(id(learner), packet(rest), &mut out),
            [] => panic!("no input"),
        }
        self.0.check();
        out
    }

    fn told(&mut self, input: &str) -> String {
        self.step(input).iter().map(told).collect::<Vec<_>>().join(", ")
    }

    /// Steps whose outcome other tests check.
    fn run(mut self, inputs: &[&str]) -> Self {
        inputs.iter().for_each(|input| drop(self.step(input)));
        self
    }

    /// Each input, and all that comes out.
    fn check(&mut self, cases: &[(&str, &str)]) {
        for (input, expected) in cases {
            assert_eq!(self.told(input), *expected, "{input}");
        }
    }
}

fn told(out: &Output) -> String {
    match out {
        Output::KeepAccepted(epoch) => format!("accept {epoch}"),
        Output::KeepCurrent(epoch) => format!("enter {epoch}"),
        Output::Send(to, packet) => format!("{to}: {}", told_packet(packet)),
        Output::Find(learner, wanted) => format!("find {wanted:?} for {learner}"),
        Output::SendLog(to, Span { after, upto, .. }) => format!("{to}: log {after:?} to {upto:?}"),
        Output::SendSnapshot(to) => format!("{to}: snapshot"),
        Output::Establish(epoch) => format!("establish {epoch}"),
        Output::Ack(ack) => format!("ack {} {:?}", ack.from, ack.upto),
        Output::Requests(from, _) => format!("requests of {from}"),
        Output::Touched(from, as_of_ms, _) => format!("touched by {from} as of {as_of_ms}"),
        Output::Expire(sessions) => format!("expire {sessions:?}"),
        Output::Forgot { learner, acked, last } => format!("{learner} forgot {acked}, has {last}"),
        Output::HangUp(on, _) => format!("hang up on {on}"),
        Output::Resign(_) => "resign".into(),
    }
}

fn told_packet(packet: &ToLearner) -> String {
    match packet {
        ToLearner::LeaderInfo { epoch } => format!("LEADERINFO {epoch}"),
        ToLearner::Sync(SyncStart::Diff) => "DIFF".into(),
        ToLearner::Sync(SyncStart::Trunc(to)) => format!("TRUNC {to:?}"),
        ToLearner::Proposals { after, items } => {
            let zxid =
                |item: &Proposal| item.txn().map_or("synced".into(), |it| format!("{:?}", it.header.zxid));
            format!("{after:?} then {}", items.iter().map(zxid).collect::<Vec<_>>().join(" "))
        }
        ToLearner::NewLeader { epoch, last, .. } => format!("NEWLEADER {epoch} after {last:?}"),
        ToLearner::UpToDate { committed } => format!("UPTODATE {committed:?}"),
        ToLearner::TurnedAway(_) => "turned away".into(),
        ToLearner::Silent(_) => "silent".into(),
        ToLearner::Confirmed { upto } => format!("confirm {upto}"),
        ToLearner::Commit { upto } => format!("COMMIT {upto:?}"),
        ToLearner::NewEpoch { epoch, last } => format!("NEWEPOCH {epoch} after {last:?}"),
        ToLearner::Sync(SyncStart::Snap(_)) | ToLearner::Snapshot { .. } => panic!("the shell's: {packet:?}"),
    }
}

/// Leads epoch 5 with voter 2, of three; nothing is proposed yet.
fn established() -> Bench {
    Bench::new(3, 4, 3, "3.7").run(&[
        "start",
        "2 connects",
        "2 info 4",
        "accepted",
        "2 acks-epoch 3 3.7",
        "entered",
        "2 found 0.0 3.7",
        "2 acks-new 3.7",
    ])
}

/// How learner 3, one of five voters, comes to each stage, on top of what stands before it. It lacks 3.6 and
/// 3.7; members 1 to 3 are a quorum.
const WAY: &[(&str, &[&str])] = &[
    ("connected", &["start", "3 connects"]),
    ("informed", &["3 info 4"]),
    ("told", &["2 connects", "2 info 4", "accepted"]),
    ("acknowledged", &["3 acks-epoch 3 3.5"]),
    ("finding", &["2 acks-epoch 3 3.7", "entered"]),
    ("sending", &["3 found 0.0 3.5"]),
    ("joined", &["3 log-sent 3.7"]),
    ("synchronised", &["3 acks-new 3.7"]),
    ("serving", &["2 found 0.0 3.7", "2 acks-new 3.7"]),
];

/// With learner 3 at this stage.
fn at(stage: &str) -> Bench {
    let upto = WAY.iter().position(|(it, _)| *it == stage).unwrap();
    let steps: Vec<_> = WAY[..=upto].iter().flat_map(|(_, steps)| *steps).copied().collect();
    Bench::new(5, 4, 3, "3.7").run(&steps)
}

/// Every packet at every stage: what is not in turn costs the link, and nothing more is heard from it.
#[test]
fn z2_z3_a_packet_out_of_turn_costs_the_link() {
    let packets = [
        ("info 4", "connected"),
        ("acks-epoch 3 3.5", "told"),
        ("acks-epoch-again 3 3.5", "told"),
        ("acks-epoch 3 3.5+3.7-3.7", ""), // such a log cannot be
        ("acks-new 3.7", "joined"),
        ("acks 3.7", "synchronised serving"), // Z3: behind its ACK of NEWLEADER only
        ("asks", "serving"),
    ];
    for (stage, _) in WAY {
        for (packet, turns) in packets {
            let (mut bench, input) = (at(stage), format!("3 {packet}"));
            let (told, is_turn) = (bench.told(&input), turns.split(' ').any(|it| it == *stage));
            assert_eq!(told != "hang up on 3", is_turn, "{packet} when {stage}: {told}");
            if !is_turn {
                bench.check(&[
                    (&input, "hang up on 3"),
                    ("3 info 4", "hang up on 3"),
                    ("3 found 0.0 3.5", ""),
                    ("3 log-sent 3.7", ""),
                ]);
                assert!(!bench.0.is_connected(ServerId(3)) && !bench.0.is_synchronised(ServerId(3)));
            }
        }
    }
    for packet in ["2 info 4", "2 asks", "2 acks 3.7"] {
        Bench::new(3, 4, 3, "3.7").check(&[(packet, "hang up on 2")]); // no lane
    }
}

#[test]
fn who_takes_part_is_told_at_every_stage() {
    for (stage, _) in WAY {
        let bench = at(stage);
        let is_synchronised = ["synchronised", "serving"].contains(stage);
        assert!(bench.0.is_connected(ServerId(3)) && !bench.0.is_connected(ServerId(4)), "{stage}");
        assert_eq!(bench.0.is_synchronised(ServerId(3)), is_synchronised, "{stage}");
        assert!(bench.0.is_synchronised(ServerId(1)) && !bench.0.is_synchronised(ServerId(4)), "we are");
        assert_eq!(bench.0.established(), (*stage == "serving").then_some(Epoch(5)), "{stage}");
        let is_discovered = !["connected", "informed", "told", "acknowledged"].contains(stage);
        assert_eq!(bench.0.is_discovered(), is_discovered, "{stage}");
        assert_eq!(bench.0.epoch().is_some(), !["connected", "informed"].contains(stage), "{stage}");
    }
}

/// What was on the old lane is void: it begins anew, as does one that was gone in between.
#[test]
fn z2_z3_a_learner_that_comes_back_on_a_new_lane_begins_anew() {
    for (stage, _) in WAY {
        for way in [&["3 connects"][..], &["3 goes", "3 connects"]] {
            let mut bench = at(stage).run(way);
            bench.check(&[("3 found 0.0 3.5", ""), ("3 log-sent 3.7", ""), ("3 turned-away", "")]);
            assert!(!bench.0.is_synchronised(ServerId(3)), "{stage}");
            assert_eq!(bench.told("3 acks 3.7"), "hang up on 3", "{stage}");
        }
    }
    at("serving").check(&[
        ("propose 5.1", "2: 3.7 then 5.1, 3: 3.7 then 5.1"),
        ("3 connects", ""),
        ("propose 5.2", "2: 5.1 then 5.2"),
        ("commit 5.1", "2: COMMIT 5.1"),
        ("3 info 5", "3: LEADERINFO 5"),
        ("3 acks-epoch-again 5 3.7+5.1-5.1", "find [5.1, 3.7] for 3"),
        ("3 found 0.0 3.7 3.7", "3: DIFF, 3: 5.1 then 5.2, 3: NEWLEADER 5 after 5.2"),
        ("3 goes", ""),
        ("propose 5.3", "2: 5.2 then 5.3"),
    ]);
}

#[test]
fn z1_a_leader_that_has_resigned_goes_no_further() {
    Bench::new(3, 4, 3, "3.7")
        .run(&["start", "2 connects", "2 info 4", "3 connects", "3 info 4", "accepted"])
        .check(&[
            ("2 acks-epoch 4 3.7", "resign"), // it has more
            ("3 acks-epoch 3 3.7", ""),       // with it this would have been a quorum
            ("3 acks 3.7", ""),
            ("2 connects", ""),
            ("2 info 9", ""), // once is enough
        ]);
}
