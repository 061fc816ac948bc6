//! Sessions that are a member's alone, as the leader meets them.

use super::*;

/// Made by server 1, and by server 2.
const OURS: SessionId = SessionId(0x0100_0000_0000_0007);
const OTHERS: SessionId = SessionId(0x0200_0000_0000_0007);

fn bench(local_sessions: bool) -> Bench {
    let quorum = Majority([ServerId(1)].into());
    let mut bench = Bench::with(quorum.clone(), Room { admitted: 1 << 20, largest: 4 << 10 });
    let rules = PrepRules { local_sessions, ..PrepRules::default() };
    bench.proposer =
        Proposer::new(ServerId(1), Epoch(1), quorum, rules, Room { admitted: 1 << 20, largest: 4 << 10 });
    bench
}

fn from(session: SessionId) -> Asker {
    Asker { session, attach: AttachNumber::local(3), ids: Arc::from([]) }
}

fn write(session: SessionId, what: &str) -> Request {
    Request::LocalWrite { from: from(session), xid: 5, write: write_of(what) }
}

fn upgrade(session: SessionId) -> Request {
    Request::Upgrade { session, attach: AttachNumber::local(3), timeout_ms: 1000 }
}

/// What member 1 or 2 asks, and what is proposed.
fn ask(bench: &mut Bench, member: u64, items: Vec<Request>) -> Vec<String> {
    let (mut out, requests) = (Vec::new(), Requests { member: ServerId(member), items });
    bench.proposer.on_requests(&bench.toy, requests, NOW, &mut out);
    bench.proposer.check(bench.toy.last_zxid());
    let told = |output: &Output<Majority>| match output {
        Output::Propose(all) => all.iter().map(told_proposal).collect(),
        Output::TurnAway(member, all) => {
            all.iter().map(|it| format!("{member}: {}", told_handshake(it))).collect()
        }
        _ => Vec::new(),
    };
    let short =
        |line: String| line.replace(&OURS.0.to_string(), "ours").replace(&OTHERS.0.to_string(), "others");
    out.iter().flat_map(told).map(short).collect()
}

#[test]
fn p13_a_session_nobody_knows_may_write_if_that_is_allowed_and_its_member_made_it() {
    let sync = |session| Request::LocalSync { from: from(session), xid: 6, path: None };
    for (allowed, member, expected) in [
        (true, 1, ["1.1 ours create /a p1", "1.2 ours -120", "synced ours"]),
        (true, 2, ["1.1 ours -112", "1.2 ours -112", "refused ours -112"]),
        (false, 1, ["1.1 ours -112", "1.2 ours -112", "refused ours -112"]),
    ] {
        let all = vec![write(OURS, "create /a flags=0"), write(OURS, "create /b flags=1"), sync(OURS)];
        assert_eq!(ask(&mut bench(allowed), member, all), expected, "member {member}, allowed: {allowed}");
    }
    let mut bench = bench(true);
    assert_eq!(ask(&mut bench, 2, vec![write(OTHERS, "create /a flags=0")]), ["1.1 others create /a p1"]);
    assert_eq!(ask(&mut bench, 2, vec![write(OTHERS, "close")]), ["1.2 others -112"], "nobody here has it");
    bench.proposer.on_disk_full(true);
    assert_eq!(ask(&mut bench, 2, vec![write(OTHERS, "create /c")]), ["refused others -119"]);
}

#[test]
fn p5_a_session_that_becomes_everybodys_keeps_its_attachment_until_it_attaches_anew() {
    let mut bench = bench(true);
    let asks = |what: &str| Request::Write { from: from(OTHERS), xid: 5, write: write_of(what) };
    let told = ask(&mut bench, 2, vec![upgrade(OTHERS), asks("create /a flags=1")]);
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("1.1 others 0#3 "), "{told:?}");
    assert_eq!(
        told[1],
        format!("1.2 others create /a of {} p1", OTHERS.0).replace(&OTHERS.0.to_string(), "others")
    );
    let client = ClientRef { arbiter: 0, conn: ConnId { slot: 1, generation: 0 } };
    let attach = Request::Attach { client, session: OTHERS, timeout_ms: 1000 };
    assert_eq!(ask(&mut bench, 1, vec![attach]), ["attached others 1#1"]);
    assert_eq!(ask(&mut bench, 2, vec![asks("create /b")]), ["1.3 others -118"], "it has moved");
}

#[test]
fn p6_a_full_disk_takes_no_session_that_was_a_member_s_alone() {
    let mut bench = bench(true);
    bench.proposer.on_disk_full(true);
    assert_eq!(ask(&mut bench, 2, vec![upgrade(OTHERS)]), ["2: not begun others"]);
}

/// As anybody else's: it waits for the feature level, unless nobody knows the session.
#[test]
fn p13_mb2_one_of_them_may_reconfigure() {
    let (mut bench, reconfig) =
        (reconfiguring::bench("12", 1), |session| write(session, &reconfiguring::anew("12")[6..]));
    bench.proposer.rules.local_sessions = true;
    bench.proposer = bench.proposer.with_level(0);
    assert_eq!(ask(&mut bench, 2, vec![reconfig(OURS)]), ["1.1 ours -112"]);
    assert_eq!(bench.proposer.take_wanted_level(), None);
    bench.check(&[("ack 1 1.1", ""), ("ack 2 1.1", "commit 1.1")]);
    assert!(ask(&mut bench, 1, vec![reconfig(OURS)]).is_empty(), "it waits");
    assert!(bench.proposer.take_wanted_level().is_some());
    let told = bench.told("level refused");
    assert!(told.ends_with(" -13"), "{told}");
}
