use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use paddock_messages::ids::{ClientRef, ConnId};
use paddock_messages::letters::Ack;
use proptest::prelude::*;

use super::super::Majority;
use super::*;
use crate::tree::prep::toy::{State, Toy, id_of, told, write_of};

mod epochs;
mod growing;
mod held;
mod levels;
mod local;
mod reconfiguring;
mod revalidated;
mod room;
mod wanted_level;

const NOW: i64 = 10_000;

/// A Proposer, the tree that its txns reach some time, and what it proposed.
struct Bench {
    toy: Toy,
    proposer: Proposer<Majority>,
    txns: VecDeque<Txn>,
    /// What members were told that had a session.
    holds: Vec<bool>,
}

fn zxid(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once('.').unwrap();
    Zxid::new(Epoch(epoch.parse().unwrap()), counter.parse().unwrap())
}

fn attach(text: &str) -> AttachNumber {
    let (epoch, counter) = text.split_once('#').unwrap();
    AttachNumber { epoch: Epoch(epoch.parse().unwrap()), counter: counter.parse().unwrap() }
}

/// `open 7`, `attach 7` (`attach 7 2` through connection 2), `sync 7 1#1`, `reads 5`, or `7 1#1 create /a`.
fn request(text: &str) -> Request {
    let words: Vec<_> = text.splitn(3, ' ').collect();
    let id = |text: &str| SessionId(text.parse().unwrap());
    let asker = |id, text| Asker { session: id, attach: attach(text), ids: Arc::from([]) };
    let client = |slot| ClientRef { arbiter: 0, conn: ConnId { slot, generation: 0 } };
    match words[0] {
        "open" => Request::Open { session: id(words[1]), timeout_ms: 1000 },
        "attach" => {
            let client = client(words.get(2).map_or(0, |slot| slot.parse().unwrap()));
            Request::Attach { client, session: id(words[1]), timeout_ms: 2000 }
        }
        "revalidate" => {
            let (session, attach) = (id(words[1]), attach(words[2]));
            Request::Revalidate { client: client(3), session, attach, timeout_ms: 2000 }
        }
        "sync" => Request::Sync { from: asker(id(words[1]), words[2]), xid: 5, path: None },
        "upgrade" => Request::Upgrade { session: id(words[1]), attach: attach(words[2]), timeout_ms: 1000 },
        "reads" => Request::SyncReads { arbiter: 0, number: words[1].parse().unwrap() },
        _ => {
            let ids = words[2].split(' ').filter_map(|word| word.strip_prefix("ids=")).map(id_of).collect();
            let from = Asker { ids, ..asker(id(words[0]), words[1]) };
            Request::Write { from, xid: 5, write: write_of(words[2]) }
        }
    }
}

fn told_handshake(handshake: &Handshake) -> String {
    match handshake {
        Handshake::Open(session) => format!("not begun {}", session.0),
        Handshake::Ended(client) => format!("ended {}", client.conn.slot),
        Handshake::Attach { client, has_moved } => {
            format!("{} {}", if *has_moved { "moved" } else { "no place" }, client.conn.slot)
        }
    }
}

fn told_proposal(proposal: &Proposal) -> String {
    match proposal {
        Proposal::Txn(txn) => {
            let TxnHeader { session, attach, zxid, .. } = txn.header;
            let attach = match txn.body {
                TxnBody::CreateSession { .. } => format!(" {attach:?}"),
                _ => String::new(),
            };
            format!("{zxid:?} {}{attach} {}", session.0, told(&txn.body))
        }
        Proposal::Attached { session, attach, .. } => format!("attached {} {attach:?}", session.0),
        Proposal::AttachRefused { session, .. } => format!("no session {}", session.0),
        Proposal::Synced { session, .. } => format!("synced {}", session.0),
        Proposal::ReadsSynced { upto, .. } => format!("reads synced {upto}"),
        Proposal::Refused { session, code, .. } => format!("refused {} {}", session.0, code.code()),
    }
}

impl Bench {
    fn new(voters: u64) -> Self {
        let quorum = Majority((1..=voters).map(ServerId).collect());
        Self::with(quorum, Room { admitted: 1 << 20, largest: 4 << 10 })
    }

    fn with(quorum: impl Into<Joint<Majority>>, room: Room) -> Self {
        let proposer = Proposer::new(ServerId(1), Epoch(1), quorum, PrepRules::default(), room);
        Self { toy: Toy::new(&[7, 8]), proposer, txns: VecDeque::new(), holds: Vec::new() }
    }

    fn step(&mut self, input: &str) -> Vec<Output<Majority>> {
        let mut out = Vec::new();
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        let Self { toy, proposer, .. } = self;
        match verb {
            "ack" => {
                let (from, upto) = rest.split_once(' ').unwrap();
                let ack = Ack { from: ServerId(from.parse().unwrap()), upto: zxid(upto) };
                proposer.on_ack(ack, &mut out);
            }
            "expire" => {
                // "7" was judged as of its newest attachment, "7@1#2" as of that one.
                let newest = AttachNumber { epoch: Epoch(u32::MAX), counter: 0 };
                let judged = |text: &str| match text.split_once('@') {
                    Some((id, number)) => (SessionId(id.parse().unwrap()), attach(number)),
                    None => (SessionId(text.parse().unwrap()), newest),
                };
                let sessions = rest.split(' ').map(judged).collect();
                proposer.on_internal(toy, Internal::Expire(sessions), NOW, &mut out);
            }
            "reap" => {
                let paths = rest.split(' ').map(Into::into).collect();
                proposer.on_internal(toy, Internal::Reap(paths), NOW, &mut out);
            }
            "configure" => proposer.on_internal(toy, Internal::Configure(rest.into()), NOW, &mut out),
            "synchronised" => {
                proposer.on_synchronised(rest.split(' ').map(|id| ServerId(id.parse().unwrap())));
            }
            "decided" => proposer.on_decided_by((rest != "before").then(|| zxid(rest)), &mut out),
            "configured" => proposer.on_configured(zxid(rest)),
            "finish" => proposer.finish(None),
            "level" if rest == "refused" => proposer.on_level_refused(),
            "level" => {
                let level = rest.parse().unwrap();
                proposer.on_internal(toy, Internal::RaiseLevel(level), NOW, &mut out);
            }
            "disk" => proposer.on_disk_full(rest == "full"),
            "heard" => {
                let (id, number) = rest.split_once(' ').unwrap();
                let holds = proposer.on_revalidated(toy, SessionId(id.parse().unwrap()), attach(number));
                self.holds.push(holds);
            }
            "refuse" => proposer.on_epoch_refused(toy, NOW, &mut out),
            "tick" => proposer.on_tick(&mut out),
            "epoch" => proposer.on_new_epoch(toy, Epoch(rest.parse().unwrap()), NOW, &mut out),
            "apply" => {
                let upto = zxid(rest);
                while let Some(txn) = self.txns.pop_front_if(|txn| txn.header.zxid <= upto) {
                    toy.apply(&txn);
                }
            }
            _ => {
                let items = input.split(" | ").map(request).collect();
                let requests = Requests { member: ServerId(1), items };
                proposer.on_requests(toy, requests, NOW, &mut out);
            }
        }
        if verb != "apply" && proposer.can_resume() {
            proposer.resume(toy, NOW, &mut out);
        }
        for proposal in out.iter().flat_map(|out| if let Output::Propose(all) = out { &all[..] } else { &[] })
        {
            if let Proposal::Txn(txn) = proposal {
                self.txns.push_back(txn.clone());
            }
        }
        if verb != "apply" {
            self.proposer.check(Zxid::ZERO);
        }
        out
    }

    fn told(&mut self, input: &str) -> String {
        let told = |out: Output<Majority>| match out {
            Output::Propose(all) => all.iter().map(told_proposal).collect::<Vec<_>>().join(" | "),
            Output::TurnAway(_, all) => all.iter().map(told_handshake).collect::<Vec<_>>().join(" | "),
            Output::Commit(upto) => format!("commit {upto:?}"),
            Output::HangUp(on) => format!("hang up on {on}"),
            Output::BeginRound(number) => format!("begin round {number}"),
            Output::Confirm(upto) => format!("confirm {upto}"),
            Output::BeginEpoch(epoch) => format!("begin {epoch}"),
            Output::Decide(by) => reconfiguring::told(&by),
            Output::Level(level) => format!("from level {level} on"),
            Output::NoEpochLeft => "no epoch left".into(),
        };
        let holds = self.holds.len();
        let out: Vec<_> = self.step(input).into_iter().map(told).collect();
        let holds = self.holds[holds..].iter().map(|it| if *it { "holds" } else { "moved or gone" });
        holds.map(Into::into).chain(out).collect::<Vec<String>>().join(", ")
    }
}

/// Each input, and all that comes out; one batch in is one batch out.
fn check(voters: u64, cases: &[(&str, &str)]) {
    let mut bench = Bench::new(voters);
    for (input, expected) in cases {
        assert_eq!(bench.told(input), *expected, "{input}");
    }
}

#[test]
fn p1_p2_p3_a_quorum_on_disk_commits_in_order() {
    check(
        3,
        &[
            ("7 0#1 create /a | 7 0#1 create /a", "1.1 7 create /a p1 | 1.2 7 -110"), // a refusal is a txn
            ("ack 2 1.1", ""),                                                        // one of three
            ("ack 4 1.2", ""),                                                        // no voter
            ("ack 1 1.2", "commit 1.1"), // our own Learner's is the second: P3
            ("ack 3 1.2", "commit 1.2"),
            ("ack 2 1.2", ""), // late: P2
            ("ack 3 1.1", ""), // older than what it had: it still has that
            ("ack 2 1.9", "hang up on 2"),
            ("ack 2 2.1", "hang up on 2"),
            ("7 0#1 set /a", "1.3 7 set /a v1"),
            ("ack 3 0.9", ""), // of before this epoch
            ("ack 3 1.3", ""),
            ("ack 3 1.3", ""), // the same server twice is one
            ("ack 1 1.3", "commit 1.3"),
        ],
    );
    check(
        1,
        &[("7 0#1 set / | 7 0#1 set /", "1.1 7 set / v1 | 1.2 7 set / v2"), ("ack 1 1.2", "commit 1.2")],
    );
    check(2, &[("7 0#1 set /", "1.1 7 set / v1"), ("ack 1 1.1", ""), ("ack 2 1.1", "commit 1.1")]);
}

#[test]
fn p4_a_session_is_closed_once() {
    check(
        1,
        &[
            ("7 0#1 create /e flags=1", "1.1 7 create /e of 7 p1"),
            ("expire 7 7 9", "1.2 7 close /e"), // 9 is nobody
            ("7 0#1 close | 7 0#1 set /", "1.3 7 -112 | 1.4 7 -112"),
            ("8 0#1 close", "1.5 8 close "),
            ("expire 8", ""),
            ("apply 1.5", ""),
            ("expire 7 8", ""),
            ("attach 7", "no session 7"),
            (
                "open 9 | 9 1#1 create /f flags=1 | 9 1#1 close",
                "1.6 9 1#1 open 1000 | 1.7 9 create /f of 9 p2 | 1.8 9 close /f",
            ),
            ("reap /nothing", ""),
        ],
    );
}

#[test]
fn p4_a_session_that_attached_since_it_was_judged_lives_on() {
    check(
        1,
        &[
            ("attach 7", "attached 7 1#1"),
            ("expire 7@0#0", ""), // judged before
            ("attach 7", "attached 7 1#2"),
            ("expire 7@1#1", ""),
            ("expire 7@1#2", "1.1 7 close "),
            ("disk full", ""),
            ("expire 8@0#0", ""),
            ("attach 8", "attached 8 1#3"),
            ("disk free", ""),
        ],
    );
}

#[test]
fn p5_only_the_newest_attachment_writes() {
    check(
        1,
        &[
            ("7 0#4 set /", "1.1 7 set / v1"), // of the epoch before; nobody has told of another
            ("7 1#9 set / | sync 7 2#1", "1.2 7 -118 | refused 7 -118"), // nobody gave these
            ("heard 7 1#1", "moved or gone"),
            ("heard 9 0#1", "moved or gone"),
            ("heard 7 0#6", "holds"),
            ("heard 7 0#5", "moved or gone"), // the highest heard holds
            ("7 0#4 set / | 7 0#5 set / | sync 7 0#5", "1.3 7 -118 | 1.4 7 -118 | refused 7 -118"),
            (
                "7 0#6 set / | attach 7 | 7 0#6 set / | 7 1#1 set /",
                "1.5 7 set / v2 | attached 7 1#1 | 1.6 7 -118 | 1.7 7 set / v3",
            ),
            ("open 9 | 9 1#2 set / | attach 9", "1.8 9 1#2 open 1000 | 1.9 9 set / v4 | attached 9 1#3"),
            ("9 1#2 multi set /", "1.10 9 -118"),
            ("9 1#2 close", "1.11 9 -118"), // the connection it moved from cannot end it
            ("9 1#3 close", "1.12 9 close "),
            ("attach 9", "no session 9"),
            ("9 1#2 set /", "1.13 9 -112"),
            ("sync 9 1#3", "refused 9 -112"),
        ],
    );
}

#[test]
fn p6_nothing_gets_a_zxid_while_the_disk_is_full() {
    check(
        1,
        &[
            ("7 0#1 create /a", "1.1 7 create /a p1"),
            ("disk full", ""),
            (
                "7 0#1 set /a | open 9 | attach 7 | sync 7 1#1 | 7 1#1 close",
                "not begun 9, refused 7 -119 | attached 7 1#1 | synced 7 | refused 7 -119",
            ),
            ("expire 7 8", ""), // nobody expires now
            ("ack 1 1.1", "commit 1.1"),
            ("reap /a", ""),
            ("attach 8", "attached 8 1#2"), // so it is alive
            ("disk free", ""),
            ("expire 7 8@0#0", "1.2 7 close "), // 7 is silent still
            ("7 1#1 set /a | open 9", "1.3 7 -112 | 1.4 9 1#3 open 1000"),
        ],
    );
}

#[test]
fn p6_p7_requests_wait_for_the_next_epoch() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.told("attach 8"), "attached 8 1#1");
    bench.proposer.last = Zxid::new(Epoch(1), LAST_COUNTER - 1);
    let last = format!("1.{LAST_COUNTER}");
    for (input, expected) in [
        ("7 0#1 create /a | 7 0#1 set /a | attach 7", format!("{last} 7 create /a p1")),
        ("7 1#1 set /a", String::new()),
        ("expire 8", String::new()),
        ("reap /a", String::new()),
        ("8 1#1 set /a", String::new()),
        (&format!("ack 1 {last}"), format!("commit {last}, begin 2")),
        (&format!("apply {last}"), String::new()),
        // What waited comes in its order: session 8's time was up before it wrote.
        ("epoch 2", "2.1 7 set /a v1 | attached 7 2#1 | 2.2 7 -118 | 2.3 8 close  | 2.4 8 -112".into()),
        ("7 2#1 set /a", "2.5 7 set /a v2".into()),
        ("ack 1 2.4", "commit 2.4".into()),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
}

#[test]
fn p8_an_epoch_is_asked_for_once_and_again_when_a_full_disk_refused_it() {
    let mut bench = Bench::new(1);
    bench.proposer = bench.proposer.with_last_counter(2);
    for (input, expected) in [
        ("7 0#1 create /a", "1.1 7 create /a p1"),
        ("ack 1 1.1", "commit 1.1"),
        ("tick", ""),
        ("7 0#1 set /a", "1.2 7 set /a v1"),
        ("tick", ""), // not all is committed
        ("7 0#1 set /a | open 9 | attach 7 | sync 7 1#1", ""),
        ("expire 8", ""),
        ("ack 1 1.2", "commit 1.2, begin 2"),
        ("7 1#1 set /a", ""),
        ("ack 1 1.2", ""),
        ("tick", ""), // it is on its way: once
        // The disk is full: what waited is answered in its order, nobody's session ends.
        ("refuse", "not begun 9, refused 7 -119 | attached 7 1#1 | synced 7 | refused 7 -119"),
        ("7 1#1 set /a | attach 8", "refused 7 -119 | attached 8 1#2"),
        ("expire 8", ""),
        ("reap /a", ""),
        ("tick", "begin 2"),
        ("8 1#2 set /a", ""), // perhaps it is there at once
        ("refuse", "refused 8 -119"),
        ("disk full", ""), // announced by the log, too
        ("tick", "begin 2"),
        ("8 1#2 set /a", "refused 8 -119"),
        ("expire 7", ""),
        ("epoch 2", ""),
        ("tick", ""),
        ("disk free", ""),
        ("8 1#2 set /a", "2.1 8 set /a v2"),
        ("expire 7", "2.2 7 close "),
        ("8 1#2 set /a", ""),
        ("ack 1 2.2", "commit 2.2, begin 3"),
        ("epoch 3", "3.1 8 set /a v3"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
}

fn step() -> impl Strategy<Value = String> {
    let write = prop::sample::select(vec![
        "create /e flags=1",
        "delete /e",
        "set /",
        "close",
        "multi set / ; set /no",
    ]);
    let request = (7..10, 0..3, 0..4, write).prop_map(|(id, kind, number, write)| match kind {
        0 => format!("{id} 1#{number} {write}"),
        1 if number == 0 => format!("sync {id} 1#1"),
        1 => format!("attach {id}"),
        _ => format!("{id} 0#{number} {write}"),
    });
    let batch = prop::collection::vec(request, 1..4).prop_map(|items| items.join(" | "));
    let ack = (1..5, 0..40).prop_map(|(from, upto)| format!("ack {from} 1.{upto}"));
    let rest = prop::sample::select(vec![
        "expire 7 8",
        "expire 9",
        "disk full",
        "disk free",
        "apply",
        "heard 7 0#3",
    ]);
    prop_oneof![5 => batch, 5 => ack, 3 => rest.prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// P1 to P4, told from outside alone; the Proposer's own check runs after every step.
    #[test]
    fn p1_p2_p3_p4_whatever_happens(steps in prop::collection::vec(step(), 1..50)) {
        let mut bench = Bench::new(3);
        bench.step("open 9");
        let mut acked = BTreeMap::<_, u32>::new();
        let (mut last, mut committed, mut closed) = (1, 0, BTreeSet::new());
        for step in &steps {
            let step = if step == "apply" { format!("apply 1.{committed}") } else { step.clone() };
            if let Some((from, upto)) = step.strip_prefix("ack ").and_then(|ack| ack.split_once(" 1.")) {
                let upto: u32 = upto.parse().unwrap();
                let acked = acked.entry(from.to_string()).or_default();
                *acked = if upto > last { *acked } else { upto.max(*acked) };
            }
            for out in bench.step(&step) {
                match out {
                    Output::Propose(all) => for proposal in all {
                        let Proposal::Txn(txn) = proposal else { continue };
                        last += 1;
                        prop_assert_eq!(txn.header.zxid, Zxid::new(Epoch(1), last), "P1");
                        if let TxnBody::CloseSession { .. } = txn.body {
                            prop_assert!(closed.insert(txn.header.session), "P4: {:?}", txn);
                        }
                    },
                    Output::Commit(upto) => {
                        prop_assert!(upto.counter() > committed, "P2");
                        committed = upto.counter();
                        let having = acked.iter().filter(|(from, it)| *from != "4" && **it >= committed);
                        prop_assert!(having.count() >= 2, "P3");
                    }
                    _ => {}
                }
            }
            bench.proposer.check(Zxid::ZERO);
        }
    }
}
