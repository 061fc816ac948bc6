//! The requests that are recorded: each opcode as it succeeds, and each error.

use crate::differential::body::Body;
use crate::differential::op::{Action, Op, PREFIX, with_prefix};

/// With the recording's own name in its bytes, so that what is kept is what was sent.
pub(super) fn placed(mut op: Op, prefix: &str) -> Op {
    if let Action::Request { body, .. } = &mut op.action {
        *body = with_prefix(body, prefix);
    }
    op
}

fn at(tail: &str) -> String {
    format!("{PREFIX}{tail}")
}

fn op(text: &str, opcode: i32, body: Body) -> Op {
    special(text, None, opcode, body)
}

fn special(text: &str, xid: Option<i32>, opcode: i32, body: Body) -> Op {
    Op { session: 0, action: Action::Request { xid, opcode, body: body.0 }, text: text.into() }
}

fn open() -> Body {
    Body::default().int(1).int(31).text("world").text("anyone")
}

fn create(path: &str, flags: i32) -> Body {
    Body::default().text(path).data(Some(b"data")).raw(&open().0).int(flags)
}

fn versioned(path: &str, version: i32) -> Body {
    Body::default().text(path).int(version)
}

fn set(path: &str, data: Option<&[u8]>, version: i32) -> Body {
    Body::default().text(path).data(data).int(version)
}

fn watched(path: &str, watch: bool) -> Body {
    Body::default().text(path).flag(watch)
}

/// All of them, in order; later ones rest on earlier ones.
pub fn ops() -> Vec<Op> {
    [writes(), reads(), multis(), watches(), identities(), refusals(), endings()].concat()
}

fn writes() -> Vec<Op> {
    vec![
        op("create", 1, create(PREFIX, 0)),
        op("create, ephemeral", 1, create(&at("/e"), 1)),
        op("create, sequential", 1, create(&at("/s"), 2)),
        op("create, null data", 1, Body::default().text(&at("/n")).data(None).raw(&open().0).int(0)),
        op("create2", 15, create(&at("/two"), 0)),
        op("createContainer", 19, create(&at("/c"), 4)),
        op("createTTL", 21, create(&at("/t"), 5).long(100_000_000)),
        op("setData", 5, set(&at("/two"), Some(b"more data"), 0)),
        op("setData, empty", 5, set(&at("/two"), Some(b""), -1)),
        op("setACL", 7, Body::default().text(&at("/two")).raw(&open().0).int(0)),
        op("delete", 2, versioned(&at("/s0000000001"), 0)),
        op("sync", 9, Body::default().text(PREFIX)),
        op("sync, null path", 9, Body::default().data(None)),
    ]
}

fn reads() -> Vec<Op> {
    vec![
        op("exists", 3, watched(PREFIX, false)),
        op("exists, ephemeral", 3, watched(&at("/e"), false)),
        op("getData", 4, watched(PREFIX, false)),
        op("getData, null data", 4, watched(&at("/n"), false)),
        op("getACL", 6, Body::default().text(PREFIX)),
        op("getChildren", 8, watched(PREFIX, false)),
        op("getChildren, none", 8, watched(&at("/n"), false)),
        op("getChildren2", 12, watched(PREFIX, false)),
        op("getAllChildrenNumber", 104, Body::default().text(PREFIX)),
        op("getEphemerals", 103, Body::default().text(PREFIX)),
        op("ping", 11, Body::default()),
        special("ping, by its own xid", Some(-2), 11, Body::default()),
        op("the root", 4, watched("/", false)),
        op("the configuration", 4, watched("/zookeeper/config", false)),
        op("the quotas' root", 12, watched("/zookeeper/quota", false)),
    ]
}

fn multis() -> Vec<Op> {
    let all = |version| {
        Body::default()
            .header(1, false)
            .raw(&create(&at("/m1"), 0).0)
            .header(15, false)
            .raw(&create(&at("/m2"), 0).0)
            .header(19, false)
            .raw(&create(&at("/m3"), 4).0)
            .header(21, false)
            .raw(&create(&at("/m4"), 5).long(1_000_000).0)
            .header(5, false)
            .raw(&set(&at("/m1"), Some(b"set"), version).0)
            .header(13, false)
            .raw(&versioned(&at("/m1"), 1).0)
            .header(2, false)
            .raw(&versioned(&at("/m1"), 1).0)
            .header(-1, true)
    };
    let reads = Body::default()
        .header(4, false)
        .raw(&watched(PREFIX, false).0)
        .header(8, false)
        .raw(&watched(&at("/n"), false).0)
        .header(4, false)
        .raw(&watched(&at("/none"), false).0)
        .header(-1, true);
    vec![
        op("multi that fails in the middle", 14, all(7)),
        op("multi", 14, all(0)),
        op("multi of nothing", 14, Body::default().header(-1, true)),
        op("multiRead", 22, reads),
    ]
}

fn watches() -> Vec<Op> {
    let lists = |count: usize| {
        let path = Body::default().texts(&[at("/n")]);
        (0..count).fold(Body::default().long(0), |body, _| body.raw(&path.0))
    };
    vec![
        op("addWatch, persistent", 106, versioned(&at("/two"), 0)),
        op("addWatch, recursive", 106, versioned(&at("/c"), 1)),
        op("checkWatches", 17, versioned(&at("/two"), 4)),
        op("events: data changed", 5, set(&at("/two"), Some(b"seen"), -1)),
        op("events: created", 1, create(&at("/c/x"), 0)),
        op("events: children changed", 1, create(&at("/two/x"), 0)),
        op("events: deleted", 2, versioned(&at("/c/x"), -1)),
        op("removeWatches", 18, versioned(&at("/two"), 3)),
        op("removeWatches, none left", 18, versioned(&at("/two"), 3)),
        special("setWatches", Some(-8), 101, lists(3)),
        special("setWatches2", Some(-8), 105, lists(5)),
    ]
}

fn identities() -> Vec<Op> {
    let token = |scheme: &str, auth: &[u8]| Body::default().int(0).text(scheme).data(Some(auth));
    vec![
        special("auth", Some(-4), 100, token("digest", b"u1:p1")),
        op("whoAmI", 107, Body::default()),
        op("sasl, which is off", 102, Body::default().data(Some(b"token"))),
        special("auth that fails", Some(-4), 100, token("nope", b"x")),
    ]
}

fn refusals() -> Vec<Op> {
    let acl = |perms: i32, scheme: &str, id: &str| Body::default().int(1).int(perms).text(scheme).text(id);
    let closed = acl(16, "world", "anyone");
    let limits = b"count=-1,bytes=-1=;countHardLimit=1";
    let quota = format!("/zookeeper/quota{PREFIX}");
    let limit = Body::default().text(&format!("{quota}/zookeeper_limits")).data(Some(limits)).raw(&open().0);
    let count = Body::default().text(&format!("{quota}/zookeeper_stats")).data(Some(b"")).raw(&open().0);
    vec![
        op("-5, undecodable", 1, Body::default()),
        op("-6, unknown opcode", 99, Body::default()),
        op("-8, bad path", 1, create(&at("/.."), 0)),
        op("-8, bad flags", 1, create(&at("/a"), 77)),
        op("-101, delete", 2, versioned(&at("/none"), -1)),
        op("-101, exists", 3, watched(&at("/none"), false)),
        op("a znode nobody reads", 1, Body::default().text(&at("/shut")).data(None).raw(&closed.0).int(0)),
        op("-102, getData", 4, watched(&at("/shut"), false)),
        op("-103, setData", 5, set(PREFIX, Some(b""), 99)),
        op("an ephemeral", 1, create(&at("/f"), 1)),
        op("-108, create", 1, create(&at("/f/x"), 0)),
        op("-110, create", 1, create(PREFIX, 0)),
        op("-111, delete", 2, versioned(PREFIX, -1)),
        op("-114, empty ACL", 1, Body::default().text(&at("/a")).data(None).int(0).int(0)),
        op("-121, checkWatches", 17, versioned(&at("/none"), 3)),
        op("-123, reconfig", 16, Body::default().int(-1).int(-1).int(-1).long(-1)),
        op("a quota's parent", 1, create(&quota, 0)),
        op("a quota's limits", 1, limit.int(0)),
        op("a quota's count", 1, count.int(0)),
        op("-125, create", 1, create(&at("/more"), 0)),
    ]
}

fn endings() -> Vec<Op> {
    let reattach = |bad_password| {
        let text = format!("reattach, bad password: {bad_password}");
        Op { session: 0, action: Action::Reattach { bad_password }, text }
    };
    vec![reattach(false), reattach(true), op("closeSession", -11, Body::default())]
}
