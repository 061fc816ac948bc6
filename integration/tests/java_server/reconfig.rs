//! reconfig (op 16) on a server alone, Apache's and ours: what it answers to whom, which zxids it takes, and
//! what it leaves behind.

use std::net::SocketAddr;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_integration::java_server::JavaServer;
use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::ops::{AddWatch, PathOnly, Reconfig};
use paddock_messages::client::session::AuthPacket;
use paddock_messages::client::{OpCode, xid};
use paddock_messages::wire::Wire;
use paddock_messages::znode::CreateMode;
use tempfile::TempDir;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
type Keys<'a> = &'a [(&'a str, &'a str)];

const CONFIG: &str = "/zookeeper/config";
/// The super user's password is "test".
const SUPER: (&str, &str) =
    ("DigestAuthenticationProvider.superDigest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
const JOINER: Option<&str> = Some("server.2=127.0.0.1:2888:3888:participant;127.0.0.1:2182");
const MEMBERS: Option<&str> = Some("server.1=127.0.0.1:2887:3887;2181\nserver.2=127.0.0.1:2888:3888;2182");

/// What can be decoded: joining, leaving, new members, and the version asked for. The configuration has 0.
const DECODABLE: &[(&str, [Option<&str>; 3], i64)] = &[
    ("a joiner", [JOINER, None, None], -1),
    ("a joiner, the version", [JOINER, None, None], 0),
    ("a joiner, another version", [JOINER, None, None], 7),
    ("a joiner, no version", [JOINER, None, None], i64::MIN),
    ("a leaver", [None, Some("1"), None], -1),
    ("a leaver that is no number", [None, Some("one"), None], -1),
    ("both", [JOINER, Some("1"), None], -1),
    ("a joiner without ports", [Some("server.2=127.0.0.1"), None, None], -1),
    ("a joiner that is no server", [Some("nonsense"), None, None], -1),
    ("in full", [None, None, MEMBERS], -1),
    ("in full, the version", [None, None, MEMBERS], 0),
    ("in full, another version", [None, None, MEMBERS], 7),
    ("in full, unknown keys", [None, None, Some("size=3")], -1),
    ("in full, observers only", [None, None, Some("server.1=127.0.0.1:2887:3887:observer;2181")], -1),
    ("all three", [JOINER, Some("1"), MEMBERS], -1),
    ("nothing", [None, None, None], -1),
    ("empty", [Some(""), Some(""), Some("")], -1),
];

/// What cannot: bytes behind the header.
const UNDECODABLE: &[(&str, &[u8])] = &[
    ("no bytes", b""),
    ("two bytes", b"\0\0"),
    ("a negative length", b"\xff\xff\xff\xfe"),
    ("a length beyond the frame", b"\0\0\0\x09server"),
    ("no version", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("half a version", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
];

/// What Java's decoder lets pass, and what then is refused like the decodable.
const ODD: &[(&str, &[u8])] = &[
    ("no UTF-8", b"\0\0\0\x02\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"),
    ("more behind it", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0more"),
];

/// The configuration that nobody has written.
const UNTOUCHED: &str = "b\"\", versions 0 -1, written false false, events []";
/// The answers to the write and the read behind a request.
const BEHIND: &str = "0 +1 68, 0 +0 4";

/// One server's clients, and what they saw.
struct Story {
    asker: RawClient,
    /// Has a persistent watch on the configuration.
    watcher: RawClient,
    /// The last zxid the asker was told.
    last: i64,
    lines: Vec<String>,
}

impl Story {
    fn begin(server: SocketAddr, is_super: bool) -> Outcome<Self> {
        let mut watcher = RawClient::connect(server)?;
        watcher.call(OpCode::AddWatch, &AddWatch { path: CONFIG.into(), mode: 0 })?.ok()?;
        let mut asker = RawClient::connect(server)?;
        if is_super {
            let auth = Some(Bytes::from_static(b"super:test"));
            let packet = AuthPacket { kind: 0, scheme: Some("digest".into()), auth };
            asker.queue_raw(xid::AUTH, OpCode::Auth as i32, |to| packet.write(to));
            asker.flush()?;
            asker.reply()?.ok()?;
        }
        asker.create("/p", b"", CreateMode::Persistent)?;
        let last = asker.last_zxid();
        Ok(Self { asker, watcher, last, lines: Vec::new() })
    }

    fn queue(&mut self, of: [Option<&str>; 3], version: i64) {
        let [joining, leaving, members] = of.map(|text| text.map(ByteString::from));
        let request = Reconfig {
            joining_servers: joining,
            leaving_servers: leaving,
            new_members: members,
            current_config_id: version,
        };
        self.asker.queue(OpCode::Reconfig, &request);
    }

    /// Sends what is queued, and behind it a write and a read, as one write to the socket.
    fn send(&mut self, what: &str) -> Outcome {
        self.asker.queue_set("/p", b"", -1);
        self.asker.queue(OpCode::GetAllChildrenNumber, &PathOnly { path: CONFIG.into() });
        self.answers(what)
    }

    /// Tells every answer: error, how many zxids after the last it is, length of the body.
    fn answers(&mut self, what: &str) -> Outcome {
        self.asker.flush()?;
        let mut answers = Vec::new();
        while self.asker.in_flight() > 0 {
            let reply = self.asker.reply()?;
            answers.push(format!(
                "{} +{} {}",
                reply.header.err,
                reply.header.zxid - self.last,
                reply.body.len()
            ));
            self.last = reply.header.zxid;
        }
        self.lines.push(format!("{what}: {}", answers.join(", ")));
        Ok(())
    }

    /// The configuration's data and versions, and what its watch was told.
    fn config(&mut self, when: &str) -> Outcome {
        self.watcher.sync("/")?;
        let (data, stat) = self.watcher.get(CONFIG)?;
        let events: Vec<_> = self.watcher.events.drain(..).map(|event| event.kind).collect();
        let [czxid, mzxid] = [stat.czxid, stat.mzxid].map(|zxid| zxid > 0);
        self.lines.push(format!(
            "{when}: {data:?}, versions {} {}, written {czxid} {mzxid}, events {events:?}",
            stat.version, stat.aversion
        ));
        Ok(())
    }
}

/// Every request, then a write that only the configuration's own ACL stands in the way of.
fn story(server: SocketAddr, is_super: bool) -> Outcome<Vec<String>> {
    let mut story = Story::begin(server, is_super)?;
    story.config("at first")?;
    for (what, of, version) in DECODABLE {
        story.queue(*of, *version);
        story.send(what)?;
    }
    for (at, (what, body)) in (1_000_000..).zip(ODD.iter().chain(UNDECODABLE)) {
        story.asker.queue_raw(at, OpCode::Reconfig as i32, |to| to.extend_from_slice(body));
        story.send(what)?;
    }
    story.asker.queue_set("/p", b"before", -1);
    story.queue([JOINER, None, None], -1);
    story.send("between two writes")?;
    story.config("afterwards")?;
    story.asker.queue_set(CONFIG, b"by hand", -1);
    story.send("the configuration itself")?;
    story.config("at the end")?;
    Ok(story.lines)
}

/// What a server tells that refuses reconfig with `code`, and lets the asker write the configuration or not.
fn expected(code: i32, may_write: bool) -> Vec<String> {
    let refused = |what: &str| format!("{what}: {code} +1 0, {BEHIND}");
    let mut lines = vec![format!("at first: {UNTOUCHED}")];
    lines.extend(DECODABLE.iter().map(|(what, ..)| refused(what)));
    lines.extend(ODD.iter().map(|(what, _)| refused(what)));
    lines.extend(UNDECODABLE.iter().map(|(what, _)| format!("{what}: -5 +0 0, {BEHIND}")));
    lines.push(format!("between two writes: 0 +1 68, {code} +1 0, {BEHIND}"));
    lines.push(format!("afterwards: {UNTOUCHED}"));
    lines.extend(if may_write {
        [
            format!("the configuration itself: 0 +1 68, {BEHIND}"),
            "at the end: b\"by hand\", versions 1 -1, written false true, events [3]".into(),
        ]
    } else {
        [format!("the configuration itself: -102 +1 0, {BEHIND}"), format!("at the end: {UNTOUCHED}")]
    });
    lines
}

/// Paddock on a folder that goes with it.
struct Paddock {
    server: ServerProcess,
    launch: Launch,
    _folder: TempDir,
}

fn paddock(keys: Keys<'_>) -> Outcome<Paddock> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("zoo.cfg");
    let lines: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    std::fs::write(&file, lines.concat() + "forceSync=no\n")?;
    let mut launch = Launch::new(folder.path().join("data")).file(file);
    let server = launch.serve()?;
    launch.port = server.address().port();
    Ok(Paddock { server, launch, _folder: folder })
}

/// Both servers with these keys tell one asker what is `expected`.
fn compare(keys: Keys<'_>, is_super: bool, code: i32, may_write: bool) -> Outcome {
    let (java, paddock) = (JavaServer::start(keys, &[])?, paddock(keys)?);
    for (whose, server) in [("Apache's", java.address()), ("ours", paddock.server.address())] {
        let (told, expected) = (story(server, is_super)?, expected(code, may_write));
        let other: Vec<_> = told.iter().zip(&expected).filter(|(told, expected)| told != expected).collect();
        assert!(
            other.is_empty() && told.len() == expected.len(),
            "{whose}, and what is expected: {other:#?}"
        );
    }
    Ok(())
}

#[test]
fn reconfig_is_not_for_a_server_alone() -> Outcome {
    compare(&[("reconfigEnabled", "true")], false, -6, false)
}

#[test]
fn reconfig_is_not_for_a_server_alone_that_a_file_calls_a_member() -> Outcome {
    compare(&[("reconfigEnabled", "true"), ("server.1", "127.0.0.1:2887:3887")], false, -6, false)
}

#[test]
fn reconfig_is_not_for_a_server_alone_whoever_asks() -> Outcome {
    compare(&[("reconfigEnabled", "true"), SUPER], true, -6, true)
}

#[test]
fn reconfig_is_not_for_a_server_alone_that_checks_no_acl() -> Outcome {
    compare(&[("reconfigEnabled", "true"), ("skipACL", "yes")], false, -6, true)
}

#[test]
fn reconfig_is_switched_off_by_default() -> Outcome {
    compare(&[], false, -123, false)
}

#[test]
fn reconfig_is_switched_off_whoever_asks() -> Outcome {
    compare(&[("reconfigEnabled", "false"), SUPER], true, -123, true)
}

/// Until the kill: its last txn is a refused reconfig.
fn asked(server: SocketAddr) -> Outcome<RawClient> {
    let mut story = Story::begin(server, false)?;
    story.queue([JOINER, None, None], -1);
    story.answers("reconfig")?;
    assert_eq!(story.lines, ["reconfig: -6 +1 0"]);
    Ok(story.asker)
}

/// After the kill: the asker comes back with that txn's zxid, and asks again.
fn asked_again(server: SocketAddr, asker: &RawClient) -> Outcome<Vec<String>> {
    let mut asker = RawClient::reattach(server, asker.session(), asker.last_zxid())?;
    let version = asker.exists("/p")?.map(|stat| stat.version);
    let watcher = RawClient::connect(server)?;
    asker.sync("/")?;
    let last = asker.last_zxid();
    let mut story = Story { asker, watcher, last, lines: vec![format!("{version:?}")] };
    story.config("the configuration")?;
    story.queue([JOINER, None, None], -1);
    story.send("reconfig")?;
    Ok(story.lines)
}

/// Apache's server shows it by taking the asker back, whom it would refuse if its log ended before that txn.
/// (Ours begins an epoch at each start, and is ahead of everybody then.)
#[test]
fn a_refused_reconfig_is_in_the_log() -> Outcome {
    let keys = [("reconfigEnabled", "true")];
    let (mut java, mut paddock) = (JavaServer::start(&keys, &[])?, paddock(&keys)?);
    let askers = [asked(java.address())?, asked(paddock.server.address())?];
    java.kill()?;
    java.restart()?;
    paddock.server.kill()?;
    paddock.server = paddock.launch.serve()?;
    let expected =
        ["Some(0)", &format!("the configuration: {UNTOUCHED}"), &format!("reconfig: -6 +1 0, {BEHIND}")];
    assert_eq!(asked_again(java.address(), &askers[0])?, expected, "Apache's");
    assert_eq!(asked_again(paddock.server.address(), &askers[1])?, expected, "ours");
    Ok(())
}
