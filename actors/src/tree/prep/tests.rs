use std::collections::VecDeque;

use paddock_messages::client::ops::{PathVersion, SetData};
use paddock_messages::client::reply::{OpResult, Outcome};
use paddock_messages::client::request::CreateOp;
use paddock_messages::ids::AttachNumber;
use paddock_messages::txn::{CreateTxn, Txn, TxnHeader};
use paddock_messages::znode::Owner;
use paddock_messages::zxid::Epoch;
use proptest::prelude::*;

use super::toy::{State, Toy, acl, id_of, image, number, option, told, write_of};
use super::*;
use crate::tree::{DataTree, Events, TreeOptions};
use paddock_messages::znode::Acl;

const NOW: i64 = 10_000;

fn extended() -> PrepRules {
    PrepRules { extended_types: true, never_used_ms: 50, ..PrepRules::default() }
}

/// A state, what is pending over it, and the txns between.
struct Bench<S> {
    state: S,
    pending: Pending,
    rules: PrepRules,
    last: Zxid,
    time: i64,
    queued: VecDeque<Txn>,
}

impl<S: State> Bench<S> {
    fn new(state: S, rules: PrepRules) -> Self {
        let last = Epoch(1).start();
        Self { state, pending: Pending::default(), rules, last, time: NOW, queued: VecDeque::new() }
    }

    /// One request in words; `as=` and `ids=` tell who asks, `after=` how many ms later.
    fn ask(&mut self, text: &str) -> Option<TxnBody> {
        self.time += i64::from(number(text, "after", 0));
        let session = SessionId(number(text, "as", 1).into());
        let ids: Vec<_> = option(text, "ids").iter().flat_map(|all| all.split(',')).map(id_of).collect();
        let zxid = self.last.next().unwrap();
        let at = Place { session, is_live: false, is_local: false, ids: &ids, zxid, time: self.time };
        let path = || text.split(' ').nth(1).unwrap().into();
        let mut prep = Prep { view: &self.state, pending: &mut self.pending, rules: &self.rules };
        let body = match text.split(' ').next().unwrap() {
            "open" => Some(prep.create_session(session, 1000, zxid)),
            "expire" => prep.close_session(session, zxid),
            "reap" => prep.reap(&path(), self.time, zxid),
            _ => Some(prep.write(at, write_of(text))),
        }?;
        self.last = zxid;
        let attach = AttachNumber::default();
        let header = TxnHeader { session, attach, cxid: 0, zxid, time: self.time };
        self.queued.push_back(Txn { header, body: body.clone() });
        self.pending.check(self.state.last_zxid(), self.last);
        Some(body)
    }

    fn apply(&mut self, count: usize) {
        for txn in self.queued.drain(..count.min(self.queued.len())) {
            self.state.apply(&txn);
        }
        self.pending.forget(self.state.last_zxid());
        self.pending.check(self.state.last_zxid(), self.last);
    }
}

/// Each request, in words, and its txn. The same must come out whether or not txns are applied (TX1).
fn check(toy: &Toy, rules: &PrepRules, cases: &[(&str, &str)]) {
    for apply in [0, usize::MAX] {
        let mut bench = Bench::new(toy.clone(), rules.clone());
        for (request, expected) in cases {
            let body = bench.ask(request).map_or("none".into(), |body| told(&body));
            assert_eq!(body, *expected, "{request}, applied: {apply}");
            bench.apply(apply);
        }
    }
}

#[test]
fn creates_are_checked_in_order() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/e".into(), image(Owner::Session(SessionId(1)), &Acl::open(), 0, 0));
    toy.nodes.insert("/locked".into(), image(Owner::Persistent, &acl("27:world:anyone"), 0, 0));
    toy.nodes.insert("/mine".into(), image(Owner::Persistent, &acl("4:digest:a:b"), 0, 0));
    toy.full.insert("/big".into());
    check(
        &toy,
        &PrepRules::default(),
        &[
            // Each fails by all that comes after what it is told.
            ("create bad flags=7 as=9", "-8"),
            ("ttl bad ms=0 as=9", "-6"),
            ("create bad flags=5 as=9", "-6"),
            ("ttl bad flags=0 ms=5 as=9", "-8"), // a TTL without the flag
            ("ttl bad flags=0 ms=-1 as=9", "-8"),
            ("create bad as=9", "-112"),
            ("create bad acl=31:world:bob", "-8"),
            ("create /no/x acl=31:world:bob", "-114"), // before the parent is looked for
            ("create /no/./b acl=", "-114"),
            ("create /no/./b", "-101"), // and before the path is looked at
            ("create /locked/.", "-102"),
            ("create /e/..", "-8"),
            ("create /", "-110"),
            ("create /x/", "-101"), // the parent of "/x/" is "/x"
            ("create /e", "-110"),
            ("create /e/f", "-108"),
            ("create /big", "-125"),
            ("create /mine/x", "-102"),
            ("create /mine/x ids=digest:a:b acl=31:auth:", "create /mine/x p1"),
            ("create /mine/x/y ids=digest:a:c", "-102"),
            ("create /a flags=0", "create /a p1"),
            ("create /a/b flags=1", "create /a/b of 1 p1"),
            ("create /a/b/c", "-108"),
            ("create /a/b", "-110"),
            ("create2 /c flags=4", "create /c p2"), // the opcode decides the kind
            ("container /k flags=0", "create /k container p3"),
            ("container /l flags=1", "create /l container p4"),
        ],
    );
}

#[test]
fn ttls_are_checked() {
    check(
        &Toy::new(&[1]),
        &extended(),
        &[
            ("ttl /a ms=0", "-8"),
            ("ttl /a ms=-5", "-8"),
            ("create /a flags=5", "-8"),
            ("container /a flags=6", "-8"),
            ("ttl /a ms=1", "create /a ttl 1 p1"),
            ("ttl /a- ms=2147483647 flags=6", "create /a-0000000001 ttl 2147483647 p2"),
            ("create /a/x", "create /a/x p1"), // it may have children
        ],
    );
    let prep = |ms| {
        let (toy, rules, mut pending) = (Toy::new(&[1]), extended(), Pending::default());
        let prep = Prep { view: &toy, pending: &mut pending, rules: &rules };
        let at = Place {
            session: SessionId(1),
            is_live: false,
            is_local: false,
            ids: &[],
            zxid: Zxid(1),
            time: 0,
        };
        let Write::One(WriteOp::Create(_, create)) = write_of("ttl /a ms=1") else { unreachable!() };
        { prep }.create(at, CreateOp::Ttl(ms), *create).is_ok()
    };
    assert!(prep(Owner::TTL_MAX_MS) && !prep(Owner::TTL_MAX_MS + 1));
}

#[test]
fn the_empty_path_finds_the_root_and_is_refused() {
    let (tree, rules, mut pending) =
        (DataTree::new(TreeOptions::default()), PrepRules::default(), Pending::default());
    assert!(View::image(&tree, "").is_some(), "or this tests nothing");
    let mut prep = Prep { view: &tree, pending: &mut pending, rules: &rules };
    let at =
        Place { session: SessionId(1), is_live: true, is_local: false, ids: &[], zxid: Zxid(1), time: 0 };
    let set = SetData { path: "".into(), data: None, version: -1 };
    assert_eq!(prep.set_data(at, set), Err(ErrorCode::BadArguments));
    let check = PathVersion { path: "".into(), version: -1 };
    assert_eq!(prep.check(at, check), Err(ErrorCode::BadArguments));
}

#[test]
fn tx4_numbers_are_given_once() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/end".into(), image(Owner::Persistent, &Acl::open(), 0, 0));
    toy.nodes.get_mut("/end").unwrap().cversion = i32::MAX - 1;
    check(
        &toy,
        &PrepRules::default(),
        &[
            ("create / flags=2", "create /0000000000 p1"),
            ("create /x", "create /x p2"), // every child counts
            ("create /x/ flags=3", "create /x/0000000000 of 1 p1"),
            ("delete /x/0000000000", "delete /x/0000000000"),
            ("create /x/ flags=2", "create /x/0000000001 p2"), // a deletion gives no number back
            ("create /end/a- flags=2", "create /end/a-2147483646 p2147483647"),
            ("delete /end/a-2147483646", "delete /end/a-2147483646"),
            ("create /end/a- flags=2", "-8"), // the counter is at its end
            ("create /end/b", "create /end/b p2147483647"),
            ("create /end/a- flags=2", "-8"),
        ],
    );
}

#[test]
fn deletes_are_checked_in_order() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/locked".into(), image(Owner::Persistent, &acl("23:world:anyone"), 0, 0));
    check(
        &toy,
        &PrepRules::default(),
        &[
            ("delete bad as=9", "-112"),
            ("delete bad", "-8"),
            ("delete ", "-8"),
            ("delete /", "-8"),
            ("delete /zookeeper", "-8"),
            ("delete /zookeeper/quota", "-8"),
            ("delete /zookeeper/config", "-8"),
            ("delete /no/x", "-101"),
            ("delete /locked/x", "-102"), // DELETE on the parent, before the znode is looked for
            ("delete /x/", "-101"),
            ("delete //", "-101"), // its path is not validated
            ("create /a", "create /a p1"),
            ("create /a/b", "create /a/b p1"),
            ("delete /a v=1", "-103"),
            ("delete /a v=0", "-111"),
            ("delete /a/b v=0", "delete /a/b"),
            ("delete /a/b", "-101"),
            ("delete /a", "delete /a"),
            ("create /a/c", "-101"),
            ("create /a", "create /a p2"),
        ],
    );
}

#[test]
fn changes_are_checked_in_order() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/locked".into(), image(Owner::Persistent, &acl("12:world:anyone"), 0, 0));
    toy.nodes.insert("/full".into(), image(Owner::Persistent, &Acl::open(), 0, 1));
    toy.nodes.insert("/old".into(), image(Owner::Persistent, &Acl::open(), 0, 0));
    toy.nodes.get_mut("/old").unwrap().version = i32::MAX;
    toy.nodes.insert("/older".into(), image(Owner::Persistent, &Acl::open(), 0, 0));
    toy.nodes.get_mut("/older").unwrap().version = -2;
    toy.full.insert("/full".into());
    toy.nodes.insert("/odd".into(), image(Owner::Persistent, &Acl::open(), 0, 1));
    toy.unreadable.insert("/odd".into());
    check(
        &toy,
        &PrepRules::default(),
        &[
            ("set bad as=9", "-112"),
            ("set bad", "-8"),
            ("set /no/", "-8"),
            ("set /no", "-101"),
            ("set /locked v=7", "-102"),
            ("set /full data=xx v=7", "-125"), // the quota before the version
            ("set /full data=x v=7", "-103"),
            ("set /full data=x v=0", "set /full v1"),
            ("set /odd v=7", "-5"),
            ("multi set /full ; set /odd", "-5"), // as a whole, as in Java
            ("multi check /full v=1", "multi check /full v1"), // and nothing of it is pending: TX2
            ("set /full v=0", "-103"),
            ("set /full", "set /full v2"),
            ("set / data=x", "set / v1"),
            ("set /old", "set /old v-2147483648"), // 32 bits, as ZooKeeper counts
            // As 3.9 does: that nobody can then ask for this version is mended behind it (ZOOKEEPER-4743).
            ("set /older v=-2", "set /older v-1"),
            ("set /older v=-2", "-103"),
            ("set /older", "set /older v0"),
            ("acl bad as=9 acl=", "-112"),
            ("acl bad acl=", "-8"),
            ("acl /no acl=", "-114"), // before existence
            ("acl /no acl=1:world:anyone", "-101"),
            ("acl /locked acl=1:world:anyone", "-102"),
            ("acl /full acl=1:world:anyone v=2", "-103"), // the ACL's version, not the data's
            ("acl /full acl=1:world:anyone,1:world:anyone v=0", "acl /full 1 v1"),
            ("set /full", "-102"), // pending or not, the new list holds
            ("acl /full acl=1:world:anyone", "-102"),
            ("acl /full acl=31:world:anyone ids=super:", "acl /full 1 v2"),
            ("set /zookeeper/config", "-102"),
            ("reconfig as=9", "-123"),
        ],
    );
    let reconfig = Some(reconfig::Rules { standalone_enabled: true, multi_address: false });
    let rules = PrepRules { reconfig, ..PrepRules::default() };
    check(&toy, &rules, &[("reconfig as=9", "-112"), ("reconfig", "-6")]);
}

#[test]
fn tx2_a_multi_is_pending_whole_or_not_at_all() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/a".into(), image(Owner::Persistent, &Acl::open(), 0, 0));
    toy.nodes.insert("/hidden".into(), image(Owner::Persistent, &acl("30:world:anyone"), 0, 0));
    check(
        &toy,
        &PrepRules::default(),
        &[
            ("multi", "multi "),
            ("set /a", "set /a v1"),
            // Later ops see earlier ones; a failure takes all of it back, and the set before it not.
            (
                "multi set /a ; create /a/b flags=1 ; create /a/s flags=2 ; check /a v=1",
                "failed 0 ; 0 ; 0 ; -103",
            ),
            ("multi check /a v=1 ; create /a/s- flags=2", "multi check /a v1 ; create /a/s-0000000000 p1"),
            (
                "multi create /a/s- flags=2 ; create /a/s- flags=2 ; create /b ; create /b/c ; set /b",
                "multi create /a/s-0000000001 p2 ; create /a/s-0000000002 p3 ; create /b p1 ; create /b/c p1 ; set /b v1",
            ),
            ("multi delete /b/c ; delete /b ; create /b", "multi delete /b/c ; delete /b ; create /b p2"),
            ("multi delete /b ; set /b ; create /x ; delete /y", "failed 0 ; -101 ; -2 ; -2"),
            ("multi check /hidden", "failed -102"),
            ("multi check bad ; create /q", "failed -8 ; -2"),
            ("multi create /q ; create /q", "failed 0 ; -110"),
            ("multi create /q as=9 ; create /r", "failed -112 ; -2"),
            ("close", "close "), // nothing of /a/b is left
        ],
    );
}

#[test]
fn tx3_a_session_ends_once_with_all_it_owns() {
    let mut toy = Toy::new(&[1, 2]);
    toy.nodes.insert("/e1".into(), image(Owner::Session(SessionId(1)), &Acl::open(), 0, 0));
    toy.nodes.insert("/e2".into(), image(Owner::Session(SessionId(1)), &Acl::open(), 0, 0));
    toy.nodes.get_mut("/").unwrap().children = 3;
    check(
        &toy,
        &PrepRules::default(),
        &[
            ("create /e0 flags=1", "create /e0 of 1 p1"),
            ("delete /e2 as=2", "delete /e2"),
            ("create /e2 flags=1 as=2", "create /e2 of 2 p2"), // another's now
            ("multi create /d ; create /d/e flags=1", "multi create /d p3 ; create /d/e of 1 p1"),
            ("set /e1", "set /e1 v1"),
            ("close", "close /d/e ; /e0 ; /e1"),
            ("close", "-112"),
            ("expire as=1", "none"),
            ("set /d", "-112"),
            ("set /e1 as=2", "-101"),
            ("delete /d as=2", "delete /d"),
            ("open as=3", "open 1000"),
            ("create /e1 flags=1 as=3", "create /e1 of 3 p4"),
            ("expire as=3", "close /e1"),
            ("create /e1 flags=1 as=3", "-112"),
            ("expire as=9", "none"),
            ("close as=2", "close /e2"),
        ],
    );
}

#[test]
fn what_looked_due_is_checked_again() {
    let mut toy = Toy::new(&[1]);
    toy.nodes.insert("/p".into(), image(Owner::Persistent, &Acl::open(), 0, 0));
    check(
        &toy,
        &extended(),
        &[
            ("container /c", "create /c container p1"),
            ("reap /c after=50", "none"), // never used, but not for long enough
            ("create /c/x", "create /c/x p1"),
            ("reap /c", "none"), // it has a child
            ("delete /c/x", "delete /c/x"),
            ("reap /c", "reap /c"),
            ("reap /c", "none"),
            ("container /n", "create /n container p2"),
            ("reap /n after=51", "reap /n"),
            ("ttl /t ms=100", "create /t ttl 100 p3"),
            ("reap /t after=100", "none"),
            ("set /t after=1", "set /t v1"), // pending or not, the time begins anew
            ("reap /t after=100", "none"),
            ("reap /t after=1", "reap /t"),
            ("reap /p after=9999", "none"),
            ("create /e flags=1", "create /e of 1 p4"),
            ("reap /e after=9999", "none"),
        ],
    );
    let never = PrepRules { extended_types: true, ..PrepRules::default() };
    let cases = [("container /c", "create /c container p1"), ("reap /c after=99999", "none")];
    check(&toy, &never, &cases);
}

/// Mostly what can succeed, over few paths so that requests meet.
fn request() -> impl Strategy<Value = String> {
    let path = prop::sample::select(vec!["/a", "/b", "/a/b", "/a/c", "/a/b/c", "/end/x"]);
    let odd =
        prop::sample::select(vec!["/", "/a/", "/zookeeper", "/a//b", "bad", "/end", "/zookeeper/config"]);
    let path = prop_oneof![9 => path, 1 => odd];
    let op = (0..14, path, 0..7, -1..3, 0..6usize).prop_map(|(kind, path, flags, version, acl)| {
        let acl =
            ["31:world:anyone", "31:world:anyone", "31:world:anyone", "27:world:anyone", "31:auth:", ""][acl];
        let version = if version > 0 { version - 1 } else { -1 };
        match kind {
            0..=4 => format!("create {path} flags={} acl={acl}", flags % 4),
            5 => format!("container {path}"),
            6 => format!("ttl {path} ms=20 flags={flags}"),
            7..=9 => format!("delete {path} v={version}"),
            10 | 11 => format!("set {path} v={version} data=x"),
            _ => format!("check {path} v={version}"),
        }
    });
    let multi = prop::collection::vec(op.clone(), 0..5).prop_map(|ops| format!("multi {}", ops.join(" ; ")));
    let one = op.prop_filter("check stands in a multi", |op| !op.starts_with("check"));
    let acl = prop::sample::select(vec!["/a", "/a/b", "/"])
        .prop_flat_map(|path| {
            (0..3usize).prop_map(move |to| (path, ["31:world:anyone", "15:world:anyone", "31:auth:"][to]))
        })
        .prop_map(|(path, acl)| format!("acl {path} acl={acl}"));
    let rest = prop::sample::select(vec!["close", "open", "expire", "reap /a", "reap /a/b", "reap /b"]);
    let text = prop_oneof![8 => one, 4 => multi, 1 => acl, 2 => rest.prop_map(String::from)];
    (text, 1..4, prop::sample::select(vec!["digest:a:b", "ip:1.2.3.4", "super:"]), 0..15)
        .prop_map(|(text, session, id, after)| format!("{text} as={session} ids={id} after={after}"))
}

/// TX1: requests and how much of what is queued is applied after each.
fn run() -> impl Strategy<Value = Vec<(String, usize)>> {
    prop::collection::vec((request(), prop_oneof![3 => Just(0usize), 1 => 0usize..6]), 1..60)
}

/// TX1: over a state that lags, each txn is the one that comes of a state that does not.
fn same_txns<S: State>(state: impl Fn() -> S, steps: &[(String, usize)]) {
    let (mut lagging, mut prompt) = (Bench::new(state(), extended()), Bench::new(state(), extended()));
    for (request, apply) in steps {
        let (late, early) = (lagging.ask(request), prompt.ask(request));
        assert_eq!(late, early, "{request}");
        lagging.apply(*apply);
        prompt.apply(usize::MAX);
        assert!(prompt.pending.is_empty(), "PD2");
    }
}

/// Two sessions, and a parent whose counter is nearly at its end.
fn near_the_end<S: State>(mut state: S) -> S {
    let create = |path: &str, parent_cversion| {
        let (op, acl, owner) = (CreateOp::Create, Acl::open(), Owner::Persistent);
        let path = path.into();
        TxnBody::One(Op::Create(Box::new(CreateTxn { op, path, data: None, acl, owner, parent_cversion })))
    };
    let session = || TxnBody::CreateSession { timeout_ms: 1000 };
    let bodies = [session(), session(), create("/end", 1), create("/end/first", i32::MAX - 3)];
    for (at, body) in (1..).zip(bodies) {
        let (attach, zxid) = (AttachNumber::default(), Zxid(at));
        let header = TxnHeader { session: SessionId(at as i64), attach, cxid: 0, zxid, time: NOW };
        state.apply(&Txn { header, body });
    }
    state
}

/// What was checked is applied without a word.
impl State for DataTree {
    fn apply(&mut self, txn: &Txn) {
        let outcome = DataTree::apply(self, txn, &mut Events::unwanted());
        let refused = match &outcome {
            Outcome::Refused(_) => true,
            Outcome::Multi(parts) => parts.iter().any(|part| matches!(part, OpResult::Failed(_))),
            _ => false,
        };
        let is_error = match &txn.body {
            TxnBody::Error(_) => true,
            TxnBody::FailedMulti(codes) => !codes.is_empty(),
            _ => false,
        };
        assert_eq!(refused, is_error, "{txn:?} {outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn tx1_pending_is_as_good_as_applied(steps in run()) {
        same_txns(|| near_the_end(Toy::new(&[])), &steps);
    }

    #[test]
    fn tx1_pending_over_the_tree_is_as_good_as_applied(steps in run()) {
        same_txns(|| near_the_end(DataTree::new(TreeOptions::default())), &steps);
    }

    /// Over the tree every txn is the one that comes of the toy.
    #[test]
    fn the_tree_is_what_the_toy_says(steps in run()) {
        let mut tree = Bench::new(near_the_end(DataTree::new(TreeOptions::default())), extended());
        let mut toy = Bench::new(near_the_end(Toy::new(&[])), extended());
        for (request, apply) in &steps {
            prop_assert_eq!(tree.ask(request), toy.ask(request), "{}", request);
            tree.apply(*apply);
            toy.apply(usize::MAX);
        }
        tree.apply(usize::MAX);
        for (path, image) in &toy.state.nodes {
            let found = View::image(&tree.state, path);
            prop_assert_eq!(found.as_ref(), Some(image), "{}", path);
        }
        prop_assert_eq!(tree.state.node_count() as usize, toy.state.nodes.len());
    }
}

#[test]
fn odd_paths_are_not_found_in_the_tree() {
    let tree = near_the_end(DataTree::new(TreeOptions::default()));
    for path in ["//", "/end/", "//end", "/end//first", "end", "/end/first/", "/."] {
        assert_eq!(tree.image(path), None, "{path}");
    }
    assert_eq!(tree.image("/").map(|root| root.children), Some(2));
    assert_eq!(tree.image("/zookeeper/config").map(|config| config.aversion), Some(-1));
}
