//! Member lines, one by one and together.

use super::*;

/// What a `server.N` value reads as, printed again.
#[test]
fn a_server_line_reads_as_zookeeper_reads_it() {
    for (text, expect) in [
        ("zoo1:2888:3888", "zoo1:2888:3888:participant"),
        (" zoo1:2888:3888:Observer ", "zoo1:2888:3888:observer"),
        ("zoo1:2888:3888:PARTICIPANT;2181", "zoo1:2888:3888:participant;0.0.0.0:2181"),
        ("zoo1:2888:3888;127.0.0.1:2181", "zoo1:2888:3888:participant;127.0.0.1:2181"),
        ("[2001:db8::1]:2888:3888;[::]:2181", "[2001:db8::1]:2888:3888:participant;[::]:2181"),
        ("b:2888:3888|a:2889:3889", "a:2889:3889|b:2888:3888:participant"),
        ("a:1:2;2181;2281", "a:1:2:participant;0.0.0.0:2181;0.0.0.0:2281"),
        ("a:1:2;;1237", "a:1:2:participant;;0.0.0.0:1237"),
        ("a:1:2;", "a:1:2:participant"),
    ] {
        let server = Server::read(text).unwrap_or_else(|why| panic!("{text}: must be {why}"));
        assert_eq!(server.to_string(), expect, "{text}");
        assert_eq!(Server::read(expect).unwrap().to_string(), expect, "CM1: {text}");
    }
}

#[test]
fn a_malformed_server_line_says_what_it_must_be() {
    for (text, why) in [
        ("", "host:quorumPort"),
        ("zoo1", "host:quorumPort"),
        ("zoo1:2888", "host:quorumPort"),
        (":2888:3888", "host:quorumPort"),
        ("zoo1:2888:3888:observer:x", "host:quorumPort"),
        ("zoo1:2888:3888;h:1:2", "host:quorumPort"),
        ("zoo1:2888:3888;1;2;3", "host:quorumPort"),
        ("zoo1:2888:2888", "two different ports"),
        ("zoo1:port:3888", "ports from 1 to 65535, not port"),
        ("zoo1:2888:0", "ports from 1 to 65535"),
        ("zoo1:2888:65536", "ports from 1 to 65535"),
        ("zoo1:2888:0xf30", "ports from 1 to 65535, not 0xf30"),
        ("zoo1:2888:3888;x", "ports from 1 to 65535"),
        ("zoo1:2888:3888:leader", "role participant or observer, not leader"),
        ("a:1:2:observer|b:1:2:participant", "of one role"),
        ("[::1:2888:3888", "closing bracket"),
        ("[::1]2888:3888", "then a colon"),
    ] {
        let error = Server::read(text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn only_numbered_keys_belong_to_the_list() {
    for (key, is) in [
        ("server.1", true),
        ("group.2", true),
        ("weight.3", true),
        ("server.", false),
        ("server.x", false),
        ("server.1.x", false),
        ("serverCnxnFactory", false),
        ("server1", false),
    ] {
        assert_eq!(is_member_key(key), is, "{key}");
    }
}

const NINE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2:observer\n";

/// Each text with what its error must say; an empty one for a sound list.
#[test]
fn cm1_cm2_groups_hold_every_voter_once() {
    for (lines, why) in [
        ("", ""),
        ("group.1=1\ngroup.2=2\n", ""),
        ("group.1=1:2\nweight.1=3\n", ""),
        ("group.1=1:2\nweight.1=1\nweight.3=2\n", ""), // 1 goes without saying, and an observer has none
        ("group.1=1\n", "server 2 is in no group"),    // CM2
        ("group.1=1:2\ngroup.2=2\n", "server 2 is in several groups"),
        ("group.1=1:2:3\n", "group.1 names server 3, which is no voter"),
        ("group.1=1:2:4\n", "group.1 names server 4, which is no voter"),
        ("weight.1=1\n", "in no group"), // a weight alone makes the quorum hierarchical
        ("group.1=1:2\nweight.9=1\n", "there is no server.9"),
        ("group.1=1:2\nweight.1=-1\n", "weight.1=-1: must be a whole number from 0 to 1000000"),
        ("group.1=1:x\n", "ids with colons between"),
        ("server.256=d:1:2\n", "from 0 to 255"),
        ("server.01=d:1:2\n", "another line has the same number"),
        ("version=100\n", "a server.<id>, group.<number> or weight.<id> line"),
    ] {
        let text = format!("{NINE}{lines}");
        match Members::read(&text) {
            Ok(members) => {
                assert_eq!(why, "", "{lines} must not be read");
                let printed = members.to_string();
                assert_eq!(Members::read(&printed).unwrap(), members, "CM1");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!why.is_empty() && error.contains(why), "{lines}: {error}");
            }
        }
    }
}

#[test]
fn an_error_names_its_line() {
    let error = Members::read("server.1=a:1:2\n\nserver.2=b:1\n").unwrap_err().to_string();
    assert!(error.starts_with("members:3: server.2=b:1: must be host"), "{error}");
}

#[test]
fn the_quorum_follows_from_the_lines() {
    let majority = Members::read(NINE).unwrap();
    assert_eq!(majority.quorum(), Quorum::Majority([ServerId(1), ServerId(2)].into()));
    let by_weight = Members::read(&format!("{NINE}group.1=1:2\nweight.2=0\n")).unwrap();
    assert!(by_weight.quorum().holds(&[ServerId(1)].into()));
    assert!(!by_weight.quorum().holds(&[ServerId(2)].into()));
    assert_eq!(
        by_weight.to_string(),
        "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:observer\n\
         group.1=1:2\nweight.1=1\nweight.2=0\n"
    );
}
