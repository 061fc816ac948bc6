//! A member behind its leader, of epoch 5; what it is told, and what comes out.

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};

use super::*;

struct Bench(Following);

fn z(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once('.').unwrap();
    Zxid::new(Epoch(epoch.parse().unwrap()), counter.parse().unwrap())
}

fn epoch(text: &str) -> Epoch {
    Epoch(text.parse().unwrap())
}

/// A txn, or `synced`, which is none.
fn proposal(text: &str) -> Proposal {
    let (session, attach) = (SessionId(7), AttachNumber::default());
    if text == "synced" {
        return Proposal::Synced { number: 0, session, attach, xid: 1, path: None };
    }
    let (zxid, body) = match text.split_once('^') {
        Some((zxid, level)) => (zxid, TxnBody::FeatureLevel { level: level.parse().unwrap() }),
        None => (text, TxnBody::CreateSession { timeout_ms: 1 }),
    };
    let header = TxnHeader { session, attach, cxid: 1, zxid: z(zxid), time: 0 };
    Proposal::Txn(Txn { header, body })
}

/// `5.1^2` raises the feature level to 2. `PROPOSE 3.7 then 5.1 5.2`, `NEWLEADER 5 after 5.2`.
fn packet(words: &[&str]) -> Option<ToLearner> {
    Some(match words {
        ["LEADERINFO", it] => ToLearner::LeaderInfo { epoch: epoch(it) },
        ["DIFF"] => ToLearner::Sync(SyncStart::Diff),
        ["TRUNC", to] => ToLearner::Sync(SyncStart::Trunc(z(to))),
        ["SNAP", zxid] => ToLearner::Sync(SyncStart::Snap(z(zxid))),
        ["PIECE"] => ToLearner::Snapshot { bytes: vec![], is_last: false },
        ["PIECE", "last"] => ToLearner::Snapshot { bytes: vec![], is_last: true },
        ["PROPOSE", after, "then", all @ ..] => {
            let items = Arc::new(all.iter().map(|it| proposal(it)).collect());
            ToLearner::Proposals { after: z(after), items }
        }
        ["NEWLEADER", it, "after", last] => {
            ToLearner::NewLeader { epoch: epoch(it), last: z(last), ensemble: 7 }
        }
        ["UPTODATE", committed] => ToLearner::UpToDate { committed: z(committed) },
        ["NEWEPOCH", it, "after", last] => ToLearner::NewEpoch { epoch: epoch(it), last: z(last) },
        ["COMMIT", upto] => ToLearner::Commit { upto: z(upto) },
        ["TURNEDAWAY"] => ToLearner::TurnedAway(vec![]),
        _ => return None,
    })
}

impl Bench {
    /// Has accepted epoch 4 and followed 3; knows 3.5 to be committed, and has 3.6 and 3.7 too.
    fn new() -> Self {
        let tail = Tail { committed: z("3.5"), runs: vec![(z("3.6"), z("3.7"))] };
        Self(Following::new(Epoch(4), Epoch(3), tail))
    }

    fn step(&mut self, input: &str) -> Vec<Output> {
        let (stay, mut out) = (&mut self.0, Vec::new());
        let words: Vec<_> = input.split(' ').collect();
        match words[..] {
            ["connected"] => stay.on_connected(&mut out),
            ["accepted"] => stay.on_accepted_kept(&mut out),
            ["entered"] => stay.on_current_kept(&mut out),
            ["installed"] => stay.on_installed(),
            ["persisted", upto] => stay.on_persisted(z(upto), &mut out),
            ["asked"] => stay.on_requests(vec![], &mut out),
            _ => stay.on_packet(packet(&words).expect(input), &mut out),
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
    fn check(mut self, cases: &[(&str, &str)]) {
        for (input, expected) in cases {
            assert_eq!(self.told(input), *expected, "{input}");
        }
    }
}

/// Nothing of the batch is logged, and what comes afterwards is nothing to us.
#[test]
fn fl3_what_cannot_be_read_is_not_logged_and_nothing_is_acknowledged_any_more() {
    for (reads, raise, expected) in
        [(1, "5.2^1", "append 5.1 5.2"), (0, "5.2^1", "unreadable 1"), (1, "5.2^2", "unreadable 2")]
    {
        let bench = Bench(Bench::new().0.reading(reads));
        let mut bench = bench.run(&["connected", "LEADERINFO 5", "accepted", "DIFF"]);
        assert_eq!(bench.told(&format!("PROPOSE 3.7 then 5.1 {raise}")), expected, "{reads}");
        if expected.starts_with("unreadable") {
            let rest = ["NEWLEADER 5 after 3.7", "persisted 3.7", "PROPOSE 3.7 then 5.1", "UPTODATE 3.7"];
            assert!(rest.iter().all(|input| bench.told(input).is_empty()), "it has ended");
        }
    }
}

#[test]
fn z9_a_leader_of_another_ensemble_is_left_before_its_epoch_is_entered() {
    for (ours, expected) in [(None, "enter 5"), (Some(7), "enter 5"), (Some(8), "leave")] {
        let bench = Bench(Bench::new().0.of(ours));
        let mut bench = bench.run(&["connected", "LEADERINFO 5", "accepted", "DIFF"]);
        assert_eq!(bench.told("NEWLEADER 5 after 3.7"), expected, "{ours:?}");
    }
}

fn told(out: &Output) -> String {
    match out {
        Output::Send(ToLeader::LearnerInfo { accepted_epoch, counts: true, asks_for_tree }) => {
            let asks = if *asks_for_tree { " asks" } else { "" };
            format!("LEARNERINFO {accepted_epoch}{asks}")
        }
        Output::Send(ToLeader::LearnerInfo { .. }) => panic!("it had a vote"),
        Output::Send(ToLeader::AckEpoch { counts, current_epoch, tail }) => {
            let again = if *counts { "" } else { " again" };
            format!("ACKEPOCH{again} {current_epoch} {:?} {:?}", tail.committed, tail.runs)
        }
        Output::Send(ToLeader::AckNewLeader { upto }) => format!("ACK of NEWLEADER {upto:?}"),
        Output::Send(ToLeader::Ack { upto }) => format!("ACK {upto:?}"),
        Output::Send(ToLeader::Requests(_)) => "REQUEST".into(),
        Output::KeepAccepted(epoch) => format!("accept {epoch}"),
        Output::KeepCurrent(epoch, 7) => format!("enter {epoch}"),
        Output::KeepCurrent(_, other) => panic!("ensemble {other}"),
        Output::Unreadable(level) => format!("unreadable {level}"),
        Output::Truncate(to) => format!("cut after {to:?}"),
        Output::Install(zxid) => format!("install {zxid:?}"),
        Output::ReplaceTree(zxid) => format!("tree of {zxid:?}"),
        Output::Piece(_) => "piece".into(),
        Output::Proposals(items) => {
            let zxid =
                |item: &Proposal| item.txn().map_or("synced".into(), |it| format!("{:?}", it.header.zxid));
            format!("append {}", items.iter().map(zxid).collect::<Vec<_>>().join(" "))
        }
        Output::Commit(upto) => format!("commit {upto:?}"),
        Output::TurnedAway(_) => "turned away".into(),
        Output::Confirmed(upto) => format!("confirm {upto}"),
        Output::Silent(_) => "silent".into(),
        Output::Send(packet) => format!("{packet:?}"),
        Output::Serve(epoch) => format!("serve {epoch}"),
        Output::Begins(epoch) => format!("{epoch} begins"),
        Output::Leave(_) => "leave".into(),
    }
}

/// What leads to each phase, from the one before unless another is named.
const WAY: &[(&str, &str, &[&str])] = &[
    ("dialling", "", &[]),
    ("discovering", "dialling", &["connected"]),
    ("accepting", "discovering", &["LEADERINFO 5"]),
    ("acknowledged", "accepting", &["accepted"]),
    ("receiving", "acknowledged", &["SNAP 3.7"]),
    ("installing", "receiving", &["PIECE last"]),
    ("synchronising", "acknowledged", &["DIFF"]),
    ("persisting", "synchronising", &["PROPOSE 3.7 then 4.1", "NEWLEADER 5 after 4.1"]),
    ("entering", "persisting", &["persisted 4.1"]),
    ("synchronised", "entering", &["entered"]),
    ("serving", "synchronised", &["UPTODATE 5.0"]),
];

fn at(phase: &str) -> Bench {
    if phase.is_empty() {
        return Bench::new();
    }
    let (_, before, steps) = WAY.iter().find(|(it, ..)| *it == phase).unwrap();
    at(before).run(steps)
}

/// Every packet in every phase: what is not in turn makes the member leave, and that is all.
#[test]
fn z7_a_packet_out_of_turn_ends_the_stay() {
    let joined = "synchronising persisting entering synchronised serving";
    let packets = [
        ("LEADERINFO 5", "discovering"),
        ("DIFF", "acknowledged"),
        ("TRUNC 3.6", "acknowledged"),
        ("SNAP 3.9", "acknowledged"),
        ("PIECE", "receiving"),
        ("PIECE last", "receiving"),
        ("PROPOSE", joined),
        ("NEWLEADER 5 after 3.7", "synchronising"),
        ("UPTODATE 5.0", "synchronised"),
        ("COMMIT 5.0", "serving"),
        ("TURNEDAWAY", "serving"),
    ];
    for (phase, ..) in WAY {
        for (packet, turns) in packets {
            let mut bench = at(phase);
            let after = if ["synchronising"].contains(phase) { "3.7" } else { "4.1" };
            let propose = format!("PROPOSE {after} then 5.1 synced");
            let packet = if packet == "PROPOSE" { &propose } else { packet };
            let (told, is_turn) = (bench.told(packet), turns.split(' ').any(|it| it == *phase));
            assert_eq!(told != "leave", is_turn, "{packet} when {phase}: {told}");
            if !is_turn {
                assert!(!bench.0.is_serving() && bench.0.may_read(), "{packet} when {phase}");
                let rest =
                    ["accepted", "entered", "installed", "persisted 3.7", "asked", packet, "UPTODATE 5.0"];
                bench.check(&rest.map(|input| (input, "")));
            }
        }
    }
}

#[test]
fn how_far_it_has_come_is_told_in_every_phase() {
    for (phase, ..) in WAY {
        let Bench(stay) = at(phase);
        assert_eq!(stay.is_discovered(), !["dialling", "discovering"].contains(phase), "{phase}");
        assert_eq!(stay.is_serving(), *phase == "serving", "{phase}");
        assert_eq!(stay.may_read(), *phase != "installing", "{phase}");
        let asked = if *phase == "serving" { "REQUEST" } else { "" };
        assert_eq!(at(phase).told("asked"), asked, "{phase}");
    }
}

#[test]
fn z5_an_epoch_is_acknowledged_once_it_is_durable_and_none_below_is_followed() {
    Bench::new().check(&[
        ("accepted", ""), // nothing of the sort was asked
        ("connected", "LEARNERINFO 4"),
        ("connected", ""),
        ("LEADERINFO 5", "accept 5"),
        ("accepted", "ACKEPOCH 3 3.5 [(3.6, 3.7)]"),
        ("accepted", ""),
    ]);
    Bench::new().run(&["connected"]).check(&[
        ("LEADERINFO 4", "ACKEPOCH again 3 3.5 [(3.6, 3.7)]"), // perhaps it was another leader's
        ("DIFF", ""),
    ]);
    Bench::new().run(&["connected"]).check(&[("LEADERINFO 3", "leave"), ("DIFF", "")]);
}

/// So that no more of a long log waits here than is on its way.
#[test]
fn z10_what_comes_from_the_log_is_committed_as_the_leader_knows_it() {
    at("synchronising").check(&[
        ("COMMIT 3.4", ""), // less than is known here
        ("COMMIT 3.6", "commit 3.6"),
        ("COMMIT 3.6", ""),
        ("PROPOSE 3.7 then 3.8 4.1", "append 3.8 4.1"),
        ("COMMIT 4.1", "commit 4.1"), // on our disk or not
        ("PROPOSE 4.1 then 4.2", "append 4.2"),
        ("persisted 4.2", ""),
        ("NEWLEADER 5 after 4.2", "enter 5"),
        ("entered", "ACK of NEWLEADER 4.2"),
        ("UPTODATE 5.0", "commit 5.0, serve 5"),
    ]);
    at("synchronising").check(&[("COMMIT 3.8", "leave")]); // it did not come
    at("synchronising").run(&["COMMIT 3.6"]).check(&[("NEWLEADER 5 after 3.7", "enter 5")]);
    at("persisting").check(&[("COMMIT 4.1", "leave")]); // UPTODATE says it
}

/// ZOOKEEPER-3911, 4643, 4646, 4785: txns, then the current epoch, then the ACK.
#[test]
fn z6_newleader_is_acknowledged_once_all_before_it_is_durable_and_then_the_epoch() {
    at("synchronising").check(&[
        ("PROPOSE 3.7 then 3.8 4.1", "append 3.8 4.1"),
        ("PROPOSE 4.1 then 4.2", "append 4.2"),
        ("persisted 3.8", ""),
        ("entered", ""), // nothing of the sort was asked
        ("NEWLEADER 5 after 4.2", ""),
        ("entered", ""),
        ("persisted 4.1", ""),
        ("persisted 4.2", "enter 5"),
        ("persisted 4.2", ""), // once
        ("entered", "ACK of NEWLEADER 4.2"),
        ("entered", ""),
        ("UPTODATE 5.0", "commit 5.0, serve 5"),
    ]);
    // All that is here is durable.
    at("synchronising").check(&[("NEWLEADER 5 after 3.7", "enter 5"), ("entered", "ACK of NEWLEADER 3.7")]);
}

/// ZOOKEEPER-4394: what comes between NEWLEADER and UPTODATE is logged as ever, and acked behind NEWLEADER's.
#[test]
fn z6_no_txn_is_acked_before_newleader_and_none_is_lost() {
    at("persisting").check(&[
        ("PROPOSE 4.1 then 5.1", "append 5.1"),
        ("persisted 4.1", "enter 5"), // 5.1 stands behind NEWLEADER
        ("PROPOSE 5.1 then 5.2 synced", "append 5.2 synced"),
        ("persisted 5.1", ""),
        ("entered", "ACK of NEWLEADER 5.1"), // with all that is durable by now
        ("PROPOSE 5.2 then 5.3", "append 5.3"),
        ("persisted 5.2", "ACK 5.2"),
        ("asked", ""),
        ("UPTODATE 5.2", "commit 5.2, serve 5"),
        ("persisted 5.3", "ACK 5.3"),
        ("COMMIT 5.3", "commit 5.3"),
        ("PROPOSE 5.3 then", "append "),
        ("TURNEDAWAY", "turned away"),
    ]);
}

#[test]
fn z6_what_was_cut_is_not_acked() {
    at("acknowledged").check(&[
        ("TRUNC 3.6", "cut after 3.6"),
        ("NEWLEADER 5 after 3.6", "enter 5"),
        ("entered", "ACK of NEWLEADER 3.6"), // not 3.7
        ("PROPOSE 3.6 then 5.1", "append 5.1"),
        ("persisted 5.1", "ACK 5.1"),
    ]);
    at("acknowledged").check(&[
        ("TRUNC 3.5", "cut after 3.5"), // all that is not committed
        ("PROPOSE 3.5 then 4.1", "append 4.1"),
        ("NEWLEADER 5 after 4.1", ""),
        ("persisted 4.1", "enter 5"),
    ]);
    at("acknowledged").check(&[("TRUNC 3.7", "cut after 3.7"), ("NEWLEADER 5 after 3.7", "enter 5")]);
}

/// ZOOKEEPER-2872, 3642: it is used once it is whole and in place, and nothing is read meanwhile.
#[test]
fn z6_z7_a_snapshot_replaces_all_at_once() {
    at("acknowledged").check(&[
        ("SNAP 4.3", ""),
        ("installed", ""), // nothing of the sort was asked
        ("PIECE", "piece"),
        ("PIECE last", "piece, install 4.3"),
        ("installed", ""),
        ("installed", ""),
        ("PROPOSE 4.3 then 4.4", "append 4.4"),
        ("NEWLEADER 5 after 4.4", ""),
        ("persisted 4.4", "enter 5"),
        ("entered", "ACK of NEWLEADER 4.4"),
        ("UPTODATE 5.0", "commit 5.0, serve 5"),
    ]);
    at("installing").check(&[("installed", ""), ("NEWLEADER 5 after 3.7", "enter 5")]);
    let (mut bench, steps) = (at("acknowledged"), ["SNAP 3.6", "PIECE last", "installed"]);
    bench = bench.run(&steps);
    bench.check(&[("PROPOSE 3.7 then 4.1", "leave")]); // what was here counts no more
    at("acknowledged").run(&["SNAP 3.5"]).check(&[("PIECE last", "piece, install 3.5")]);
    at("receiving").check(&[("NEWLEADER 5 after 3.7", "leave")]); // cut short
    at("receiving").check(&[("PROPOSE 3.7 then 4.1", "leave")]);
}

/// Each alone, where something else would be in turn.
#[test]
fn z7_a_leader_that_leaves_something_out_or_cuts_what_is_committed_is_left() {
    for (phase, input) in [
        // The last here is 3.7.
        ("synchronising", "PROPOSE 3.6 then 3.7"), // again
        ("synchronising", "PROPOSE 3.8 then 3.9"), // 3.8 is missing, and the leader knows
        ("synchronising", "PROPOSE 3.7 then 3.9"), // the first
        ("synchronising", "PROPOSE 3.7 then 3.8 3.10"),
        ("synchronising", "PROPOSE 3.7 then 3.8 synced 3.8"),
        ("synchronising", "PROPOSE 3.7 then 4.2"), // an epoch begins with its first
        ("synchronising", "PROPOSE 3.7 then 4.0"), // which is no start
        ("synchronising", "PROPOSE 3.7 then 2.1"),
        ("synchronising", "PROPOSE 3.7 then 6.1"), // of an epoch that it does not lead
        ("synchronising", "PROPOSE 3.8 then"),     // even an empty one says where it stands
        ("synchronising", "NEWLEADER 5 after 3.6"),
        ("synchronising", "NEWLEADER 5 after 3.8"), // ZOOKEEPER-3104: it overtook 3.8
        ("synchronising", "NEWLEADER 4 after 3.7"),
        ("synchronising", "NEWLEADER 6 after 3.7"),
        // 3.5 is committed.
        ("acknowledged", "TRUNC 3.4"),
        ("acknowledged", "TRUNC 3.8"),
        ("acknowledged", "SNAP 3.4"),
        // 4.1 is the last.
        ("synchronised", "UPTODATE 4.2"),
        ("synchronised", "UPTODATE 5.1"),
        ("synchronised", "UPTODATE 3.4"),
        ("synchronised", "UPTODATE 6.0"),
        ("synchronised", "PROPOSE 3.7 then 5.1"),
        ("serving", "PROPOSE 4.1 then 5.2"),
        ("serving", "COMMIT 5.1"),
        ("serving", "COMMIT 4.1"), // 5.0 is committed
        ("serving", "COMMIT 6.0"),
        ("synchronised", "NEWEPOCH 6 after 4.1"),
        ("serving", "NEWEPOCH 5 after 4.1"), // accepted already
        ("serving", "NEWEPOCH 6 after 4.0"),
        ("serving", "NEWEPOCH 6 after 5.1"), // left out
    ] {
        let mut bench = at(phase);
        assert_eq!(bench.told(input), "leave", "{input} when {phase}");
        assert_eq!(bench.told(input), "", "{input} when {phase}: once");
        assert!(!bench.0.is_serving());
    }
    // The start of an epoch is no txn: committed, it stands behind all before.
    at("serving").check(&[("COMMIT 5.0", "commit 5.0"), ("PROPOSE 4.1 then 5.1", "append 5.1")]);
}

/// 4.1 is the last, and 5.1 is on its way to the disk.
#[test]
fn z11_the_next_epoch_is_acknowledged_behind_all_of_the_last_and_no_txn_before_it() {
    let told = || at("serving").run(&["PROPOSE 4.1 then 5.1", "COMMIT 5.1", "NEWEPOCH 6 after 5.1"]);
    told().check(&[
        ("asked", "REQUEST"), // clients go on being served
        ("persisted 5.1", "enter 6"),
        ("NEWEPOCH 7 after 5.1", "leave"), // one at a time
    ]);
    told().check(&[
        ("persisted 5.1", "enter 6"),
        ("COMMIT 6.0", "commit 6.0, 6 begins"), // a quorum of others has it
        ("PROPOSE 5.1 then 6.1", "append 6.1"),
        ("persisted 6.1", ""), // not before the epoch
        ("COMMIT 6.1", "commit 6.1"),
        ("entered", "ACK of NEWLEADER 6.1"),
        ("entered", ""),
        ("PROPOSE 6.1 then 6.2", "append 6.2"),
        ("persisted 6.2", "ACK 6.2"),
    ]);
    told().check(&[("COMMIT 5.1", "leave")]); // of the last there is no more
    // All of it is on disk already.
    at("serving").check(&[("NEWEPOCH 6 after 4.1", "enter 6"), ("entered", "ACK of NEWLEADER 4.1")]);
    let bench = told().run(&["persisted 5.1", "entered"]);
    assert_eq!(bench.0.epoch(), Epoch(6));
    assert!(bench.0.is_serving());
}

#[test]
fn dg5_one_that_asks_for_a_tree_keeps_its_log_unless_the_snapshot_has_all_of_it() {
    let asking = || Bench(Bench::new().0.asking_for_tree(true));
    asking().check(&[("connected", "LEARNERINFO 4 asks")]);
    let acknowledged = || asking().run(&["connected", "LEADERINFO 5", "accepted"]);
    // It has 3.7, and knows 3.5 to be committed.
    for (snapshot, expected) in [
        ("SNAP 3.4", "piece, tree of 3.4"),
        ("SNAP 3.5", "piece, tree of 3.5"),
        ("SNAP 3.7", "piece, install 3.7"),
        ("SNAP 4.1", "piece, install 4.1"),
    ] {
        let mut bench = acknowledged().run(&[snapshot]);
        assert_eq!(bench.told("PIECE last"), expected, "{snapshot}");
    }
    assert_eq!(acknowledged().told("SNAP 3.6"), "leave", "what is committed here does not go so far");
    // One that has all of what is committed may have the name of one of ours: the log stays.
    let all = Tail { committed: z("3.7"), runs: vec![] };
    let stay = Following::new(Epoch(4), Epoch(3), all).asking_for_tree(true);
    let mut bench = Bench(stay).run(&["connected", "LEADERINFO 5", "accepted", "SNAP 3.7"]);
    assert_eq!(bench.told("PIECE last"), "piece, tree of 3.7");
    // A leader that has no snapshot goes on as with everybody.
    let mut bench = acknowledged().run(&["DIFF"]);
    assert_eq!(bench.told("NEWLEADER 5 after 3.7"), "enter 5");
}

/// A peer's fault is an input: nothing of it is logged.
#[test]
fn mb1_a_leader_that_sends_a_configuration_that_is_none_is_left() {
    let sound: &[u8] = b"server.1=a:1:2:participant;3\nversion=1";
    for (from, to, is_taken) in [
        (sound, sound, true),
        (sound, b"server.1=a".as_slice(), false),
        (b"\xff", sound, false),
        (sound, b"server.1=a\nversion=x", false),
    ] {
        let bench = Bench(Bench::new().0.reading(1));
        let mut stay = bench.run(&["connected", "LEADERINFO 5", "accepted", "DIFF"]).0;
        let body = TxnBody::Membership { from: from.to_vec().into(), to: to.to_vec().into() };
        let header = TxnHeader {
            session: SessionId::NONE,
            attach: AttachNumber::default(),
            cxid: 0,
            zxid: z("5.1"),
            time: 0,
        };
        let items = Arc::new(vec![Proposal::Txn(Txn { header, body })]);
        let mut out = Vec::new();
        stay.on_packet(ToLearner::Proposals { after: z("3.7"), items }, &mut out);
        assert_eq!(matches!(out[..], [Output::Proposals(_)]), is_taken, "{out:?}");
        assert_eq!(matches!(out[..], [Output::Leave(_)]), !is_taken, "{out:?}");
    }
}
