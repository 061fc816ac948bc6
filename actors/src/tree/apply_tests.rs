//! Single rules, told as tables.

use bytes::Bytes;
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::CreateOp;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::quorum::{DigestPoint, Digests};
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

use super::data_tree::{DataTree, TreeOptions};
use super::events::Events;
use super::quota::QuotaText;

pub(super) fn txn(counter: u32, body: TxnBody) -> Txn {
    let zxid = Zxid::new(Epoch(0), counter);
    let header = TxnHeader {
        session: SessionId(1),
        attach: AttachNumber::default(),
        cxid: 0,
        zxid,
        time: counter.into(),
    };
    Txn { header, body }
}

pub(super) fn create(counter: u32, path: &str, data: &'static [u8]) -> Txn {
    let op = Op::Create(Box::new(CreateTxn {
        op: CreateOp::Create,
        path: path.into(),
        data: Some(Bytes::from_static(data)),
        acl: Acl::open(),
        owner: Owner::Persistent,
        parent_cversion: -1,
    }));
    txn(counter, TxnBody::One(op))
}

pub(super) fn set_data(counter: u32, path: &str, data: &'static [u8], version: i32) -> Txn {
    let data = Some(Bytes::from_static(data));
    txn(counter, TxnBody::One(Op::SetData { path: path.into(), data, version }))
}

fn delete(counter: u32, path: &str) -> Txn {
    txn(counter, TxnBody::One(Op::Delete { path: path.into() }))
}

fn apply(tree: &mut DataTree, txn: &Txn) -> Outcome {
    let outcome = tree.apply(txn, &mut Events::unwanted());
    tree.check();
    outcome
}

#[test]
fn a_fresh_tree_is_zookeepers() {
    let tree = DataTree::new(TreeOptions::default());
    assert_eq!((tree.node_count(), tree.root().descendant_count(), tree.data_size()), (4, 3, 44));
    for (path, cversion, aversion) in [
        ("/", -1, 0),
        ("", -1, 0),
        ("/zookeeper", -2, 0),
        ("/zookeeper/quota", 0, 0),
        ("/zookeeper/config", 0, -1),
    ] {
        let node = tree.node(path).unwrap();
        let stat = node.stat();
        assert_eq!(
            (stat.cversion, stat.aversion, stat.czxid, stat.ctime),
            (cversion, aversion, 0, 0),
            "{path}"
        );
        assert_eq!(node.data(), Some(&b""[..]), "{path}");
        assert_eq!(node.is_open(), path != "/zookeeper/config", "{path}");
    }
    for path in ["a", "//", "/zookeeper/", "/zookeeper//quota", "zookeeper", "/zookeeper\0"] {
        assert!(tree.node(path).is_none(), "{path:?}");
    }
}

#[test]
fn the_seed_of_the_hash_shows_nowhere() {
    let mut trees =
        [1, 2].map(|hash_seed| DataTree::new(TreeOptions { hash_seed, ..TreeOptions::default() }));
    for at in 1..200 {
        for tree in &mut trees {
            apply(tree, &create(at, &format!("/n{at}"), b""));
        }
    }
    let [one, two] = trees.each_ref().map(|tree| tree.root().children().collect::<Vec<_>>());
    assert_eq!(one, two, "not even in the order of children");
}

#[test]
fn t1_the_zxid_does_not_go_back() {
    let mut tree = DataTree::new(TreeOptions::default());
    tree.begin_epoch(Epoch(1));
    assert_eq!(tree.last_zxid(), Epoch(1).start());
    apply(&mut tree, &create(5, "/old", b""));
    assert_eq!(tree.last_zxid(), Epoch(1).start(), "a replayed txn of an earlier epoch");
}

#[test]
#[should_panic(expected = "T1")]
fn t1_nor_does_the_epoch() {
    let mut tree = DataTree::new(TreeOptions::default());
    tree.begin_epoch(Epoch(2));
    tree.begin_epoch(Epoch(1));
}

#[test]
fn t5_the_reserved_znodes_stay() {
    let mut tree = DataTree::new(TreeOptions::default());
    for (counter, path) in (1..).zip(["/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/"]) {
        assert!(matches!(apply(&mut tree, &delete(counter, path)), Outcome::Refused(_)), "{path}");
        assert!(matches!(apply(&mut tree, &create(counter, path, b"x")), Outcome::Refused(_)), "{path}");
    }
}

/// Each apply is followed by a check of every CRC and of the digest.
#[test]
fn t2_znodes_that_change_again_and_again_have_a_true_digest_at_any_time() {
    let mut tree = DataTree::new(TreeOptions::default());
    let paths = ["/a", "/b", "/c", "/d"];
    let mut counters = 1..;
    let mut next = || counters.next().unwrap();
    for gone in paths {
        for path in paths.into_iter().filter(|path| tree.node(path).is_none()).collect::<Vec<_>>() {
            apply(&mut tree, &create(next(), path, b"new"));
        }
        for hot in [&paths[..2], &paths[1..], &paths[..]] {
            for (version, path) in (0..3).flat_map(|version| hot.iter().map(move |path| (version, path))) {
                apply(&mut tree, &set_data(next(), path, b"again", version));
            }
        }
        apply(&mut tree, &delete(next(), gone));
    }
}

#[test]
fn a_change_is_below_the_parent_that_is_there_now() {
    let mut tree = DataTree::new(TreeOptions::default());
    let both = [create(1, "/a", b""), create(2, "/a/b", b"")];
    both.iter().for_each(|txn| assert!(matches!(apply(&mut tree, txn), Outcome::Path(_))));
    assert!(matches!(apply(&mut tree, &set_data(3, "/a/b", b"old", 1)), Outcome::Stat(_)));
    apply(&mut tree, &delete(4, "/a/b"));
    apply(&mut tree, &delete(5, "/a"));
    assert_eq!(apply(&mut tree, &set_data(6, "/a/b", b"lost", 2)), Outcome::Refused(ErrorCode::NoNode));
    for (counter, path) in (7..).zip(["/other", "/other/b", "/a", "/a/b"]) {
        apply(&mut tree, &create(counter, path, b""));
    }
    assert!(matches!(apply(&mut tree, &set_data(11, "/a/b", b"new", 1)), Outcome::Stat(_)));
    let data = |path| tree.node(path).unwrap().data().unwrap().to_vec();
    assert_eq!((data("/a/b"), data("/other/b")), (b"new".to_vec(), vec![]));
}

#[test]
fn t6_txns_that_find_another_tree_are_refused_and_change_little() {
    let mut tree = DataTree::new(TreeOptions::default());
    apply(&mut tree, &create(1, "/a", b"1"));
    apply(&mut tree, &create(2, "/a/b", b"2"));
    apply(&mut tree, &set_data(9, "/a/b", b"9", 1));
    let no_node = Outcome::Refused(ErrorCode::NoNode);
    for (txn, outcome, what) in [
        (create(3, "/x/y", b""), no_node.clone(), "no parent"),
        (delete(3, "/x/y"), no_node.clone(), "no parent"),
        (delete(3, "/x"), no_node.clone(), "gone already"),
        (set_data(4, "/x", b"", 1), no_node.clone(), "gone already"),
        (create(2, "/a/b", b"old"), Outcome::Refused(ErrorCode::NodeExists), "there already"),
        (set_data(5, "/a/b", b"5", 1), Outcome::Refused(ErrorCode::BadVersion), "a later one is there"),
        (delete(1, "/a/b"), no_node.clone(), "created later"),
        (txn(1, TxnBody::SetAcl { path: "/a/b".into(), acl: vec![], version: 3 }), no_node, "created later"),
    ] {
        assert_eq!(apply(&mut tree, &txn), outcome, "{what}: {txn:?}");
    }
    let node = tree.node("/a/b").unwrap();
    assert_eq!((node.data(), node.version(), node.aversion(), node.is_open()), (Some(&b"9"[..]), 1, 0, true));
    assert_eq!(tree.root().pzxid(), Zxid(3), "a deletion counts though its znode is gone");
    // Its ACL is the creation's until a later change of it comes again.
    let mut closed = create(2, "/a/b", b"old");
    if let TxnBody::One(Op::Create(create)) = &mut closed.body {
        create.acl = Acl::read_only();
    }
    apply(&mut tree, &closed);
    assert_eq!(tree.node("/a/b").unwrap().acl()[..], Acl::read_only());
    // A subtree that grew in place of the one deleted goes; its creation comes again.
    assert_eq!(apply(&mut tree, &delete(10, "/a")), Outcome::Done);
    assert_eq!(tree.node_count(), 4);
}

#[test]
fn a_digest_is_noted_every_128_zxids_and_1024_are_kept() {
    let mut tree = DataTree::new(TreeOptions::default());
    for counter in 1..=128 * 1030 {
        tree.apply(&txn(counter, TxnBody::Error(ErrorCode::NoNode)), &mut Events::unwanted());
    }
    let zxids: Vec<u64> = tree.digests().map(|(zxid, _)| zxid.0).collect();
    assert_eq!((zxids.len(), zxids[0], zxids[1023]), (1024, 128 * 7, 128 * 1030));
    assert!(tree.digests().all(|(_, digest)| digest == tree.digest()));
    let latest = tree.latest_digests().points.map(|point| point.map(|it| it.zxid.0));
    assert_eq!(latest, [Some(128 * 1030), Some(1 << 17), Some(1 << 17)]);
}

#[test]
fn a_digest_is_that_of_its_txn_whatever_is_applied_behind_it() {
    let mut tree = DataTree::new(TreeOptions::default());
    apply(&mut tree, &create(127, "/a", b"1"));
    apply(&mut tree, &set_data(128, "/a", b"2", 1));
    let digest = tree.digest();
    apply(&mut tree, &set_data(129, "/a", b"3", 2));
    assert_ne!(tree.digest(), digest);
    let point = Some(DigestPoint { zxid: Zxid(128), digest });
    assert_eq!(tree.latest_digests(), Digests { version: 2, points: [point, None, None] });
}

#[test]
fn quota_texts_read_and_add_as_zookeepers() {
    for (text, values) in [
        ("", (-1, -1, -1, -1)),
        ("count=3,bytes=4", (3, 4, -1, -1)),
        ("count=3,bytes=4=;byteHardLimit=5;countHardLimit=6", (3, 4, 6, 5)),
        (";,bytes=,count", (-1, -1, -1, -1)),
        ("count=x,bytes=99999999999999999999", (-1, -1, -1, -1)),
        ("countHardLimit=0", (-1, -1, 0, -1)),
    ] {
        let text = QuotaText::parse(Some(text.as_bytes()));
        let got = (text.count(), text.bytes(), text.count_hard_limit(), text.bytes_hard_limit());
        assert_eq!(got, values, "{text:?}");
    }
}

#[test]
fn hard_limits_refuse_soft_ones_do_not_and_both_are_told() {
    let soft = ["3 znodes, its soft limit is 1", "106 bytes, its soft limit is 1"];
    for (limits, bytes, count, exceeds, says) in [
        ("count=1,bytes=1", 100, 1, false, &soft[..]),
        ("count=1,bytes=1", 100, 0, false, &soft[1..]),
        ("count=3,bytes=106", 100, 1, false, &[]),
        ("count=1,bytes=-1=;countHardLimit=3", 0, 1, false, &[]), // 2 + 1; the soft one counts no more
        ("count=-1,bytes=-1=;countHardLimit=2", 0, 1, true, &["3 znodes, its hard limit is 2"]),
        ("count=-1,bytes=-1=;countHardLimit=1", 100, 0, false, &[]), // no count changes
        ("count=-1,bytes=-1=;byteHardLimit=7", 1, 0, false, &[]),    // 6 + 1
        ("count=1,bytes=-1=;byteHardLimit=6", 1, 1, true, &[soft[0], "7 bytes, its hard limit is 6"]),
        ("count=-1,bytes=-1=;byteHardLimit=1", 0, 1, false, &[]),
        // A shrinking write above the limit.
        ("count=-1,bytes=-1=;byteHardLimit=1", -2, 0, true, &["4 bytes, its hard limit is 1"]),
        ("count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=0", 0, 0, false, &[]),
    ] {
        for enforce_quota in [true, false] {
            let mut tree = DataTree::new(TreeOptions { enforce_quota, ..TreeOptions::default() });
            let limits: &'static [u8] = limits.as_bytes();
            for (counter, (path, data)) in (1..).zip([
                ("/a", &b"123"[..]),
                ("/a/b", b"456"),
                ("/zookeeper/quota/a", b""),
                ("/zookeeper/quota/a/zookeeper_limits", limits),
                ("/zookeeper/quota/a/zookeeper_stats", b"whatever"),
            ]) {
                apply(&mut tree, &create(counter, path, data));
            }
            let stats = tree.node("/zookeeper/quota/a/zookeeper_stats").unwrap();
            assert_eq!(stats.data(), Some(&b"count=2,bytes=6"[..]), "counted when created");
            for path in ["/a", "/a/b", "/a/x/y"] {
                let mut over = Vec::new();
                let found = tree.check_quota(path, (bytes, count), &mut over);
                let refused = if exceeds && enforce_quota { Err(ErrorCode::QuotaExceeded) } else { Ok(()) };
                assert_eq!(found, refused, "{limits:?} {path}");
                let told: Vec<_> = over.iter().map(|it| it.to_string()).collect();
                let told: Vec<_> =
                    told.iter().filter_map(|it| it.strip_prefix("quota exceeded: /a comes to ")).collect();
                assert_eq!(told.len(), over.len());
                let says = says.iter().filter(|_| enforce_quota);
                assert!(told.iter().map(|it| it.split(':').next().unwrap()).eq(says.copied()), "{told:?}");
            }
            for path in ["/", "/ab", "/zookeeper/quota/a"] {
                let mut over = Vec::new();
                assert_eq!(
                    tree.check_quota(path, (bytes, count), &mut over),
                    Ok(()),
                    "{path} is not below /a"
                );
                assert_eq!(over, []);
            }
        }
    }
}

#[test]
fn a_quota_that_cannot_be_read_refuses_where_java_does() {
    for (limits, readable) in [
        (Some(&b"count=1,bytes=1"[..]), true),
        (Some(b""), true),
        (Some(b",;"), true),
        (Some(b"count=1,,bytes=1;"), true),
        (Some(b"count=-1,bytes=-1=;byteHardLimit=9"), true),
        (Some(b"count==5"), true), // unset
        (Some(b"other=+5"), true),
        (None, false),
        (Some(b"garbage"), false),
        (Some(b"count="), false),
        (Some(b"count=x"), false),
        (Some(b"=5"), true), // a key without a name
        (Some(b"="), false),
        (Some(b",count=5"), false),
        (Some(b"count=99999999999999999999"), false),
    ] {
        let mut tree = DataTree::new(TreeOptions { enforce_quota: true, ..TreeOptions::default() });
        apply(&mut tree, &create(1, "/zookeeper/quota/a", b""));
        let mut limited = create(2, "/zookeeper/quota/a/zookeeper_limits", b"");
        if let TxnBody::One(Op::Create(create)) = &mut limited.body {
            create.data = limits.map(Bytes::from_static);
        }
        apply(&mut tree, &limited);
        let refused = if readable { Ok(()) } else { Err(ErrorCode::Marshalling) };
        assert_eq!(tree.check_quota("/a/b", (0, 0), &mut vec![]), refused, "{limits:?}");
        assert_eq!(tree.check_quota("/b", (1, 1), &mut vec![]), Ok(()), "{limits:?}");
    }
}

#[test]
fn usage_follows_the_deepest_quota_without_a_version() {
    let mut tree = DataTree::new(TreeOptions::default());
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    for (counter, (path, data)) in (1..).zip([
        ("/a", &b"123"[..]),
        ("/zookeeper/quota/a", b""),
        ("/zookeeper/quota/a/zookeeper_limits", b"count=9,bytes=9"),
        (stats, b""),
        ("/zookeeper/quota/a/b", b""),
        ("/zookeeper/quota/a/b/zookeeper_limits", b"count=9,bytes=9"),
        ("/zookeeper/quota/a/b/zookeeper_stats", b""), // of a znode that is not there yet
    ]) {
        apply(&mut tree, &create(counter, path, data));
    }
    let usage = |tree: &DataTree, path: &str| {
        String::from_utf8(tree.node(path).unwrap().data().unwrap().to_vec()).unwrap()
    };
    for (counter, (txn, outer, inner)) in (8..).zip([
        (create(8, "/a/b", b"1"), "count=1,bytes=3", "count=1,bytes=1"),
        (create(9, "/a/c", b"22"), "count=2,bytes=5", "count=1,bytes=1"),
        (set_data(10, "/a/b", b"4444", 1), "count=2,bytes=5", "count=1,bytes=4"),
        (delete(11, "/a/b"), "count=2,bytes=5", "count=0,bytes=0"),
        (delete(12, "/zookeeper/quota/a/b/zookeeper_limits"), "count=2,bytes=5", "count=0,bytes=0"),
        (create(13, "/a/b", b"1"), "count=3,bytes=6", "count=0,bytes=0"),
        (set_data(14, stats, b"count=0=;x=7", 1), "count=0=;x=7", "count=0,bytes=0"),
        (create(15, "/a/d", b"1"), "count=1,bytes=0=;x=7", "count=0,bytes=0"),
        (set_data(16, stats, b"y,count=z", 1), "y,count=z", "count=0,bytes=0"),
        (delete(17, "/a/d"), "count=-2,bytes=-2", "count=0,bytes=0"), // from -1, unset
    ]) {
        apply(&mut tree, &txn);
        let (version, text) = (tree.node(stats).unwrap().version(), usage(&tree, stats));
        assert_eq!((version, &*text), (i32::from(counter >= 14), outer), "{counter}");
        assert_eq!(usage(&tree, "/zookeeper/quota/a/b/zookeeper_stats"), inner, "{counter}");
    }
}

#[test]
fn fl2_t6_a_level_that_comes_again_behind_a_higher_one_changes_nothing() {
    let mut tree = DataTree::new(TreeOptions::default());
    for (counter, level, comes_to) in [(1, 2, 2), (5, 3, 3), (1, 2, 3), (5, 3, 3), (6, 4, 4)] {
        assert_eq!(apply(&mut tree, &txn(counter, TxnBody::FeatureLevel { level })), Outcome::Done);
        assert_eq!(tree.feature_level(), comes_to, "txn {counter}");
    }
}

/// Clients that may write `/zookeeper/config` show others a text; who votes is what the last reconfig says.
#[test]
fn mb1_the_configuration_is_the_last_reconfigs_and_no_clients() {
    let mut tree = DataTree::new(TreeOptions::default());
    let text = |id: u64| Bytes::from(format!("server.{id}=a:1:2:participant;3\nversion=10000000{id}"));
    let of = |tree: &DataTree| tree.membership().map(|it| (it.servers.len(), it.version));
    let reconfig = TxnBody::Reconfig { text: text(1) };
    apply(&mut tree, &txn(1, reconfig));
    assert_eq!(of(&tree), None, "what a file says informs");
    apply(&mut tree, &txn(2, TxnBody::Membership { from: text(1), to: text(2) }));
    assert_eq!(of(&tree), Some((1, 0x1_0000_0002)));
    apply(
        &mut tree,
        &set_data(3, paddock_messages::path::CONFIG, b"server.9=a:1:2:participant;3\nversion=9ffffffff", -1),
    );
    apply(&mut tree, &txn(4, TxnBody::Reconfig { text: text(8) }));
    assert_eq!(of(&tree), Some((1, 0x1_0000_0002)));
}
