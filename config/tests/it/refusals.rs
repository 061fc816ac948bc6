//! What stops a node, and that it says why; and what merely looks as if it should.

use crate::Case;

/// Lines after `dataDir`, and what the error must say; an empty one where there must be none.
#[track_caller]
fn check(lines: &str, error: &str) {
    let case = Case::zoo(lines);
    match case.load() {
        Ok(loaded) => assert_eq!("", error, "{lines} was accepted:\n{}", loaded.report()),
        Err(found) => {
            let found = case.relative(&found.to_string());
            assert!(!error.is_empty() && found.contains(error), "{lines}\n{found}");
        }
    }
}

/// L3.
#[test]
fn cf3_less_protection_than_the_file_asks_is_refused() {
    for (lines, error) in [
        ("enforce.auth.enabled=true", "zoo.cfg:2: enforce.auth.enabled=true needs enforce.auth.schemes"),
        (
            "enforce.auth.enabled=TRUE\nenforce.auth.schemes=digest, sasl",
            "zoo.cfg:3: enforce.auth.schemes names \"sasl\", but it is not offered yet",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=diggest",
            "names \"diggest\", but there is none of that",
        ),
        ("enforce.auth.enabled=true\nenforce.auth.schemes=", "enforce.auth.schemes=: must be"),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest\nDigestAuthenticationProvider.enabled=false",
            "names \"digest\", but it is switched off",
        ),
        ("enforce.auth.enabled=true\nenforce.auth.schemes=digest,ip\nclientPort=1", ""),
        ("enforce.auth.enabled=false\nenforce.auth.schemes=sasl\nclientPort=1", ""),
        ("enforce.auth.enabled=false\nclientPort=1", ""),
        ("sessionRequireClientSASLAuth=true", "sessionRequireClientSASLAuth=true is refused"),
        ("sslQuorum=true", "sslQuorum=true is refused: members do not speak TLS yet"),
        (
            "quorum.auth.enableSasl=true\nquorum.auth.learnerRequireSasl=true",
            "learnerRequireSasl=true is refused",
        ),
        (
            "quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true",
            "serverRequireSasl=true is refused",
        ),
        (
            "secureClientPort=2281",
            "zoo.cfg:2: secureClientPort=2281 is refused: TLS is not offered yet, and there",
        ),
        ("secureClientPort=2281\nclientPort=2181", ""),
        ("secureClientPort=https\nclientPort=2181", "must be a whole number from 0 to 65535"),
        (
            "authProvider.1=com.example.Ldap",
            "authProvider.1=com.example.Ldap is refused: it is not one of ZooKeeper's",
        ),
        ("authProvider.x=org.apache.zookeeper.server.auth.MadeUpProvider", "is refused"),
        ("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\nclientPort=1", ""),
        ("authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider\nclientPort=1", ""),
        ("electionAlg=0", "electionAlg=0 is refused"),
    ] {
        check(lines, error);
    }
}

#[test]
fn a_secure_port_in_this_server_s_own_line_is_treated_alike() {
    for (client, error) in [(";;2281", "is refused: TLS is not offered yet"), (";2181;2281", "")] {
        let case = Case::zoo(&format!("server.1=a:1:2{client}\n"));
        case.write("myid", "1");
        match error {
            "" => assert!(case.notes().iter().any(|note| note.contains("not yet supported: TLS is not"))),
            _ => assert!(case.error().contains(error)),
        }
    }
}

#[test]
fn a_typo_names_the_key_that_was_meant() {
    for (line, meant) in [
        ("ticktime=2000", "zoo.cfg:2: unknown key ticktime: did you mean tickTime?"),
        ("clientPrt=2181", "did you mean clientPort?"),
        ("maxClientCnxn=0", "did you mean maxClientCnxns?"),
        ("forcesync=no", "did you mean forceSync?"),
        ("skipAcl=yes", "did you mean skipACL?"),
        ("server1=a:1:2", "did you mean server.*?"),
        ("zookeeper.ticktime=1", "did you mean tickTime?"),
    ] {
        check(line, meant);
    }
}

#[test]
fn cf2_an_unknown_key_that_is_near_none_is_accepted_and_told() {
    let case = Case::zoo("clientPort=1\ncom.example.audit.mode=strict\n");
    assert_eq!(
        case.notes(),
        ["zoo.cfg:3: com.example.audit.mode: unknown: accepted and ignored: no part of this server reads it"]
    );
}

#[test]
fn values_are_held_to_their_ranges() {
    for (line, error) in [
        ("tickTime=0", "zoo.cfg:2: tickTime=0: must be a whole number from 1 to 86400000"),
        ("tickTime=fast", "tickTime=fast: must be"),
        ("clientPort=65536", "must be a whole number from 0 to 65535"),
        ("clientPort=-1", "must be a whole number from 0 to 65535"),
        ("snapCount=1", "must be a whole number from 2"),
        ("jute.maxbuffer=12", "must be a whole number from 1024 to 1073741824"),
        ("initLimit=0", "must be a whole number from 1"),
        ("localSessionsEnabled=yes", "must be true or false"),
        ("skipACL=true", "must be yes or no"),
        ("forceSync=false", "must be yes or no"),
        ("leaderServes=0", "must be yes or no"),
        ("metricsProvider.className=com.example.Mine", "must be one of default, prometheus, none"),
        ("DigestAuthenticationProvider.digestAlg=sha3-512\nclientPort=1", ""),
        ("DigestAuthenticationProvider.digestAlg=MD5", "must be one of sha1, sha224, "),
        ("DigestAuthenticationProvider.digestAlg=RipeMD160", "such as BouncyCastle, cannot be loaded here"),
        ("autopurge.purgeInterval=1 week", "must be a number of hours"),
        ("peerType=leader", "must be one of participant, observer"),
        ("secureClientPort=x\nclientPort=1", "must be a whole number"),
        ("server.1=a:1", "must be host:quorumPort:electionPort"),
        ("a=\\u12", "zoo.cfg:2: \\u must be followed by four"),
    ] {
        check(line, error);
    }
}

#[test]
fn settings_that_cannot_hold_together_are_refused() {
    for (lines, error) in [
        (
            "clientPortAddress=127.0.0.1",
            "clientPort (client_port) is not set: clientPortAddress has no meaning",
        ),
        (
            "minSessionTimeout=9\nmaxSessionTimeout=8",
            "zoo.cfg:2: minSessionTimeout (9 ms) is larger than maxSes",
        ),
        (
            "maxSessionTimeout=100",
            "zoo.cfg:2: minSessionTimeout (6000 ms) is larger than maxSessionTimeout (100 ms)",
        ),
        (
            "connection_throttle_tokens=2\nconnection_throttle_weight_enabled=true\n\
             connection_throttle_renew_session_weight=7",
            "zoo.cfg:4: connection_throttle_renew_session_weight (7) is more than all tokens there ever are (6: ",
        ),
        (
            "connection_throttle_tokens=2\nconnection_throttle_weight_enabled=true\n\
             connection_throttle_renew_session_weight=6\nclientPort=1",
            "",
        ),
        ("connection_throttle_tokens=2\nconnection_throttle_renew_session_weight=7\nclientPort=1", ""),
        ("standaloneEnabled=false", "zoo.cfg:2: standaloneEnabled=false needs at least one server"),
        ("server.1=a:1:2:observer", "there are observers but no participants"),
        ("server.1=a:1:2\nserver.2=b:1:2:observer", "only one participant"),
        ("server.1=a:1:2|b:1:2", "server.1 has several addresses, which needs multiAddress.enabled"),
        ("server.1=a:1:2|b:1:2\nmultiAddress.enabled=true\nclientPort=1", ""),
        ("server.1=a:1:2\ngroup.1=1\nweight.1=0", "no set of servers is a quorum"),
        ("clientPort=1\nclientPortAddress=no.such.host.invalid", "no.such.host.invalid cannot be looked up"),
        ("dynamicConfigFile=DIR/none.dynamic", "none.dynamic: cannot be read"),
        ("server.1=a:1:2\ndynamicConfigFile=DIR/none.dynamic", "server.1 must be in"),
    ] {
        check(lines, error);
    }
}

const THREE: &str =
    "initLimit=5\nsyncLimit=2\nserver.1=a:1:2;2181\nserver.2=b:1:2;2181\nserver.3=c:1:2;2181\n";

#[test]
fn a_member_of_an_ensemble_knows_who_it_is() {
    for (myid, lines, error) in [
        (None, THREE.to_owned(), "zoo.cfg:4: myid is not set: write this server's id into"),
        (Some("4"), THREE.to_owned(), "myid:1: this server's id is 4, but there is no server.4 line"),
        (Some("one"), THREE.to_owned(), "myid:1: myid=one: must be a whole number from 0 to 255"),
        (Some(""), THREE.to_owned(), "myid:1: myid=: must be a whole number"),
        (
            Some("1"),
            THREE.replace("initLimit=5", ""),
            "initLimit is not set: every member of an ensemble needs it",
        ),
        (Some("1"), THREE.replace("syncLimit=2", ""), "syncLimit is not set"),
        (
            Some("1"),
            format!("{THREE}clientPort=2182"),
            "clientPort says 0.0.0.0:2182, this server's own line 0.0.0.0:2181",
        ),
        (
            Some("1"),
            format!("{THREE}clientPort=2181\nclientPortAddress=127.0.0.1"),
            "clientPort says 127.0.0.1:2181, this server's own line 0.0.0.0:2181",
        ),
        (
            Some("1"),
            THREE.replace("a:1:2;2181", "a:2181:2;2181"),
            "zoo.cfg:4: the client port, 2181, is the quorum port of this server's own line, too",
        ),
        (
            Some("1"),
            format!(
                "clientPort=2\nclientPortAddress=127.0.0.1\n{}",
                THREE.replace("a:1:2;2181", "127.0.0.1:1:2")
            ),
            "the client port, 2, is the election port of this server's own line, too",
        ),
        (
            Some("255"),
            "extendedTypesEnabled=true\n".to_owned(),
            "server id 255 cannot be used with extendedTypes",
        ),
    ] {
        let case = Case::zoo(&lines);
        if let Some(myid) = myid {
            case.write("myid", myid);
        }
        let found = case.error();
        assert!(found.contains(error), "{lines}\n{found}");
    }
    // Another address of the machine has ports of its own.
    let apart = format!(
        "clientPort=2\nclientPortAddress=127.0.0.1\n{}",
        THREE.replace("a:1:2;2181", "127.0.0.2:1:2")
    );
    let case = Case::zoo(&apart);
    case.write("myid", "1");
    case.ok();
    let case = Case::zoo(THREE);
    case.write("myid", "2\nwhatever follows\n");
    assert_eq!(case.ok().config.server_id.map(|id| id.0), Some(2));
    let other = case.env(&[("ZOO_MY_ID", "1")]).error();
    assert!(
        other.contains("environment variable ZOO_MY_ID: this server's id is 1 here and 2 in myid:1"),
        "{other}"
    );
}

#[test]
fn a_client_port_may_be_written_twice_if_it_is_the_same() {
    for (lines, addr) in [
        ("clientPort=2181\nserver.1=a:1:2;2181", "0.0.0.0:2181"),
        ("clientPort=2181\nserver.1=a:1:2;127.0.0.1:2181", "127.0.0.1:2181"),
        ("clientPort=2181\nclientPortAddress=127.0.0.1\nserver.1=a:1:2;127.0.0.1:2181", "127.0.0.1:2181"),
        ("clientPort=2181\nclientPortAddress=127.0.0.1\nserver.1=a:1:2", "127.0.0.1:2181"),
        ("clientPort=2181\nclientPortAddress=localhost\nserver.2=a:1:2;2182", "127.0.0.1:2181"),
        ("server.1=a:1:2;[::1]:2181", "[::1]:2181"),
    ] {
        let case = Case::zoo(lines);
        case.write("myid", "1");
        assert_eq!(
            case.ok().config.client_addr.map(|addr| addr.to_string()),
            Some(addr.to_owned()),
            "{lines}"
        );
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let case = Case::file("zoo.cfg", "tickTime=0\nclientPort=x\nsslQuorum=true\nticktime=1\n");
    let error = case.error();
    assert_eq!(error.lines().count(), 5, "{error}"); // and dataDir is missing
    assert!(error.contains("zoo.cfg: dataDir (data_dir) is not set"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut case = Case::zoo("");
    std::fs::remove_file(case.dir.path().join("zoo.cfg")).expect("it was there");
    assert!(case.error().starts_with("zoo.cfg: cannot be read: No such file"));
    case = case.flags(&[("tick_ms", "1")]);
    assert!(case.error().starts_with("zoo.cfg: cannot be read"), "flags do not stand for a file");
}

/// L2: remarks for what is accepted and probably not meant.
#[test]
fn odd_settings_are_told() {
    for (lines, note) in [
        ("forceSync=no", "force_sync: warning: a power cut can lose"),
        ("skipACL=yes", "skip_acl: warning: ACLs are not checked"),
        ("4lw.commands.whitelist=ruok,reqs", "there is no command reqs"),
        ("autopurge.snapRetainCount=1", "autopurge.snap_retain_count: warning: raised to 3"),
        (
            "connection_throttle_local_session_weight=3",
            "connection_throttle.renew_session_weight: warning: raised to 3, the weight of a local session",
        ),
        ("tickTime=1\ntickTime=2", "zoo.cfg:2: tickTime: warning: replaced by a later line"),
        ("zookeeper.snapCount=5", "zookeeper.snapCount: warning: ZooKeeper adds zookeeper."),
        ("", "clientPort: warning: not set: no client can connect"),
        ("server.1=a:1:2", "server.<id>: warning: one server is a server alone"),
    ] {
        let notes = Case::zoo(lines).notes();
        assert!(notes.iter().any(|found| found.contains(note)), "{lines}: {notes:#?}");
    }
    for (servers, note) in [(2, "no failure is survived"), (4, "an even number"), (3, "")] {
        let lines: String = (1..=servers).map(|id| format!("server.{id}=h{id}:1:2;2181\n")).collect();
        let case = Case::zoo(&format!("initLimit=1\nsyncLimit=1\npeerType=observer\n{lines}"));
        case.write("myid", "1");
        let notes = case.notes();
        assert_eq!(
            notes.iter().any(|found| found.contains("failure") || found.contains("even")),
            !note.is_empty()
        );
        assert!(notes.iter().any(|found| found.contains(note)));
        assert!(
            notes
                .iter()
                .any(|found| found
                    .contains("ensemble.peer_type: warning: differs from this server's own line"))
        );
    }
}
