//! Changes as tables: what a configuration becomes, or why it does not; and whatever a client may send.

use proptest::prelude::*;

use super::*;

const THREE: &str = "server.1=a:1:2;10.0.0.1:5\nserver.2=b:1:2:participant;6\nserver.3=c:1:2:observer\n";
const RULES: Rules = Rules { standalone_enabled: true, multi_address: false };
const OF_ONE: Rules = Rules { standalone_enabled: false, ..RULES };
const MULTI: Rules = Rules { multi_address: true, ..RULES };

/// What is asked for; and what the members become, with commas between lines, or the code and a part of the reason.
type Row<'a> = (&'a str, &'a str);

fn three() -> Members {
    Members::read(THREE).unwrap()
}

fn told(members: &Members, change: &Change, rules: Rules) -> String {
    match members.changed(change, rules) {
        Ok(changed) => changed.to_string().trim_end().replace('\n', ","),
        Err(why) => format!("{}: {why}", why.code().code()),
    }
}

fn check(members: &Members, rules: Rules, change: impl Fn(&str) -> Change, rows: &[Row<'_>]) {
    for (text, expected) in rows {
        let told = told(members, &change(text), rules);
        let fits = match expected.split_once(": ") {
            Some((code, why)) => told.starts_with(&format!("{code}: ")) && told.contains(why),
            None => told == *expected,
        };
        assert!(fits, "{text}\n  gave     {told}\n  expected {expected}");
    }
}

fn joining(text: &str) -> Change {
    Change::Incremental { joining: Some(text.into()), leaving: None }
}

fn leaving(text: &str) -> Change {
    Change::Incremental { joining: None, leaving: Some(text.into()) }
}

/// Who joins, and behind a bar who leaves.
fn both(text: &str) -> Change {
    let (joining, leaving) = text.split_once('|').expect("two parts");
    Change::Incremental { joining: Some(joining.into()), leaving: Some(leaving.into()) }
}

fn all(text: &str) -> Change {
    Change::Full { members: text.into() }
}

const A: &str = "server.1=a:1:2:participant;10.0.0.1:5";
const B: &str = "server.2=b:1:2:participant;0.0.0.0:6";
const C: &str = "server.3=c:1:2:observer";

#[test]
fn rc1_who_joins_is_added_or_takes_the_place_of_its_id() {
    let with = |line: &str| [A, B, C, line].join(",");
    let four = with("server.4=d:1:2:participant;0.0.0.0:9");
    let observer = with("server.4=d:1:2:observer;127.0.0.1:9");
    let old = format!("server.1=d:7:8:participant;0.0.0.0:9,{B},{C}");
    let demoted = format!("server.1=a:1:2:observer;10.0.0.1:5,{B},{C}");
    let none = [A, B, C].join(",");
    check(
        &three(),
        RULES,
        joining,
        &[
            ("", &none),
            (" , ,", &none),
            ("server.4=d:1:2;9", &four),
            ("4=d:1:2;9", &four),
            ("anything.at.all.+04=d:1:2;9", &four),
            (" server.4 = d:1:2:PARTICIPANT;9 , ", &four),
            ("=server.4==d:1:2;9=", &four), // Java splits so
            ("4=d:1:2:observer;127.0.0.1:9", &observer),
            ("4=x:1:2;8,4=d:1:2;9", &four),
            ("1=d:7:8;9", &old),
            ("3=c:1:2;9", &[A, B, "server.3=c:1:2:participant;0.0.0.0:9"].join(",")),
            ("1=a:1:2:observer;10.0.0.1:5", "-8: 1 of 3 members would vote: at least 2 must"),
        ],
    );
    check(&three(), OF_ONE, joining, &[("1=a:1:2:observer;10.0.0.1:5", &demoted)]);
    let several = with("server.4=d:1:2|e:1:2:participant;0.0.0.0:9");
    check(&three(), MULTI, joining, &[("4=e:1:2|d:1:2;9", &several)]);
}

#[test]
fn a_joiner_that_does_not_fit_is_refused() {
    check(
        &three(),
        RULES,
        joining,
        &[
            ("nonsense", "-8: joining: \"nonsense\": must be server.<id>=host:quorumPort"),
            ("server.4", "-8: "),
            ("server.4=", "-8: "),
            ("4=d:1:2;9=x", "-8: "),
            ("four=d:1:2;9", "-5: the id of who joins: \"four\" is no whole number"),
            ("server.=d:1:2;9", "-5: "),
            ("server. 4=d:1:2;9", "-5: "),
            ("server.99999999999999999999=d:1:2;9", "-5: "),
            ("256=d:1:2;9", "-8: joining: 256: an id is from 0 to 255"),
            ("-1=d:1:2;9", "-8: joining: -1: an id is from 0 to 255"),
            ("4=d", "-8: joining: 4=d: must be host:quorumPort:electionPort"),
            ("4=d:1", "-8: "),
            ("4=d:1;9", "-8: "),
            ("4=:1:2;9", "-8: "),
            ("4=d:1:2", "-8: has no client port"),
            ("4=d:1:2;", "-8: joining: 4=d:1:2;: has no client port"),
            ("4=d:1:2;;9", "-8: joining: 4=d:1:2;;9: has no client port"),
            ("4=d:1:1;9", "-8: joining: 4=d:1:1;9: must be of two different ports"),
            ("4=d:one:2;9", "-8: "),
            ("4=d:1:2;nine", "-8: "),
            ("4=d:0:2;9", "-8: "),
            ("4=d:65536:2;9", "-8: "),
            ("4=d:1:2:leader;9", "-8: "),
            ("4=d:1:2;h:9:9", "-8: "),
            ("4=d:1:2; 9", "-8: joining: server.4: has blanks or backslashes within"),
            ("4=d e:1:2;9", "-8: has blanks"),
            ("4=d\ne:1:2;9", "-8: has blanks"),
            ("4=d\\e:1:2;9", "-8: backslashes"),
            ("4=d:1:2;:9", "-8: joining: server.4: a client address without a host"),
            ("4=[[d]:1:2;9", "-8: a host would not be read as it is written"),
            ("4=d:1:2|e:1:2;9", "-8: joining: server.4 has 2 addresses: it may have 1, unless multiAddress"),
        ],
    );
    let seventeen = format!("4={};9", ["d:1:2"; 17].join("|"));
    check(
        &three(),
        MULTI,
        joining,
        &[(&seventeen, "-8: joining: server.4 has 17 addresses: it may have 16")],
    );
    let many = vec!["4=d:1:2;9"; 256].join(",");
    check(&three(), RULES, joining, &[(&many, "-8: 256 servers join: at most 255 can")]);
}

/// An IP address is itself however it is written; a name is itself and nothing else; what every machine has is shared.
#[test]
fn a_joiner_is_where_no_other_member_is() {
    let members = "server.1=10.0.0.1:1:2;10.0.0.1:3\nserver.2=[2001:db8::2]:1:2;3\n\
                   server.3=localhost:1:2;127.0.0.1:3\nserver.4=Name:1:2;[::]:3\n";
    let members = Members::read(members).unwrap();
    let fits = |line: &str| joining(&format!("9={line}"));
    for line in [
        "10.0.0.1:4:5;6",
        "10.0.0.2:1:2;3",
        "localhost:1:2;127.0.0.1:3",
        "LOCALHOST:1:2;127.1.2.3:3",
        "[::1]:1:2;0.0.0.0:3",
        "[::ffff:127.0.0.1]:1:2;[::]:3",
        "other:1:2;3",
    ] {
        let told = told(&members, &fits(line), RULES);
        assert!(told.ends_with(&three_ports(line)), "{line}: {told}");
    }
    let at = |place: &str| format!("-8: joining: server.9 is to be at {place}, where server.");
    check(
        &members,
        RULES,
        fits,
        &[
            ("10.0.0.1:1:9;9", &at("10.0.0.1 port 1")),
            ("10.0.0.1:9:1;9", &at("10.0.0.1 port 1")),
            ("10.0.0.1:3:9;9", &at("10.0.0.1 port 3")),
            ("x:8:9;10.0.0.1:2", &at("10.0.0.1 port 2")),
            ("[::ffff:10.0.0.1]:3:9;9", &at("10.0.0.1 port 3")),
            ("[2001:DB8:0::2]:1:9;9", &at("2001:db8::2 port 1")),
            ("nAME:9:2;9", &at("name port 2")),
        ],
    );
    // Not its own old place, not that of one who leaves, and that of one who joins with it.
    let (pair, moved) = ("8=x:1:2;3,9=x:9:1;3|1", "1=10.0.0.1:2:1;10.0.0.1:3|");
    check(&members, RULES, both, &[(pair, &at("x port 1"))]);
    for change in [moved, "9=10.0.0.1:1:2;3|1"] {
        assert!(members.changed(&both(change), RULES).is_ok(), "{change}");
    }
}

/// The line with its role and the client's address, as it is printed.
fn three_ports(line: &str) -> String {
    Server::read(line).unwrap().to_string()
}

#[test]
fn who_leaves_goes_before_others_come() {
    let four = Members::read(&format!("{THREE}server.4=d:1:2\n")).unwrap();
    let d = "server.4=d:1:2:participant";
    let (abc, bcd) = ([A, B, C].join(","), [B, C, d].join(","));
    check(
        &four,
        RULES,
        leaving,
        &[
            ("4", &abc),
            (" 4 ,, 4,", &abc),
            ("+04", &abc),
            ("1", &bcd),
            ("4,9,255,256,-1,9223372036854775807", &abc),
            ("3", &[A, B, d].join(",")),
            ("", &[A, B, C, d].join(",")),
            ("four", "-5: leaving: \"four\" is no whole number"),
            ("4,server.4", "-5: "),
            ("4 1", "-5: "),
            ("9223372036854775808", "-5: "),
            ("1,2", "-8: 1 of 2 members would vote: at least 2 must, unless standaloneEnabled=false"),
            ("1,2,4", "-8: 0 of 1 members would vote: at least 2 must"),
        ],
    );
    let cd = [C, d].join(",");
    check(&four, OF_ONE, leaving, &[("1,2", &cd), ("1,2,4", "-8: 0 of 1"), ("1,2,3,4", "-8: 0 of 0")]);
    let back = format!("{bcd},server.5=a:1:2:participant;0.0.0.0:5");
    check(&four, RULES, both, &[("5=a:1:2;5|1", &back), ("1=a:1:2;10.0.0.1:5|1,4", &abc)]);
    let nothing = Change::Incremental { joining: None, leaving: None };
    assert_eq!(four.changed(&nothing, RULES), Ok(four));
}

#[test]
fn all_members_are_named_anew() {
    let two = [A, B].join(",");
    check(
        &three(),
        RULES,
        all,
        &[
            ("server.1=a:1:2;10.0.0.1:5,server.2=b:1:2;6", &two),
            ("server.2=b:1:2;6\nserver.1=a:1:2;10.0.0.1:5\nversion=100000000\n", &two),
            (" server.1 = a:1:2;10.0.0.1:5 , # a comment,, server.2 b:1:2;6", &two),
            ("server.1:x:1:2,server.1=a:1:2;10.0.0.1:5,server.+02=b:1:2;6", &two), // the last counts
            ("server.1=a:1:2,server.2=b:1:2", "server.1=a:1:2:participant,server.2=b:1:2:participant"),
            ("server.1=a:1:2,server.2=a:1:2", "server.1=a:1:2:participant,server.2=a:1:2:participant"),
            ("size=3", "-8: members: \"size\" is neither server.<id>"),
            ("server.1=a:1:2,server2=b:1:2", "-8: members: \"server2\" is neither"),
            ("1=a:1:2,2=b:1:2", "-8: "),
            ("server.1=a:1:2,server.2=b:one:2", "-8: members: server.2=b:one:2: must be with ports"),
            ("server.1=a:1:2,server.2=b:1:2; 6", "-8: server.2: has blanks"),
            ("server.1=a:1:2,server.2=b\\u000a:1:2;6", "-8: server.2: has blanks"),
            ("server.1=a:1:2,server.2=b|c:1:2", "-8: "),
            ("server.1=a:1:2,server.2=b:1:2|c:1:2", "-8: server.2 has 2 addresses"),
            ("server.1=a:1:2,server.01=b:1:2", "-8: members: server.1=b:1:2: must be given once"),
            ("server.1=a:1:2,server.256=b:1:2", "-8: members: server.256=b:1:2: must be on a line whose id"),
            ("server.1=a:1:2,server.two=b:1:2", "-5: server.two: \"two\" is no whole number"),
            ("server.1=a:1:2,server.=b:1:2", "-5: "),
            ("server.1=a:1:2,server.2=b:1:2,version=x", "-5: members: version=x: must be hexadecimal"),
            ("server.1=\\u12", "-5: members: line 1: \\u must be followed"),
            ("", "-8: 0 of 0 members would vote: at least 2 must"),
            ("server.1=a:1:2", "-8: 1 of 1 members would vote"),
            ("server.1=a:1:2,server.2=b:1:2:observer", "-5: 1 of 2 members would vote"),
            ("server.1=a:1:2:observer", "-5: 0 of 1 members would vote"),
        ],
    );
    let of_one =
        [("server.1=a:1:2,server.3=c:1:2:observer", "server.1=a:1:2:participant,server.3=c:1:2:observer")];
    check(&three(), OF_ONE, all, &of_one);
    check(&three(), OF_ONE, all, &[("", "-5: 0 of 0"), ("server.1=a:1:2:observer", "-5: 0 of 1")]);
    let most: Vec<_> = (0..=255).map(|id| format!("server.{id}=a:1:2")).collect();
    check(&three(), RULES, all, &[(&most.join(","), "-8: 256 members: there can be 255")]);
    assert_eq!(three().changed(&all(&most[1..].join("\n")), RULES).unwrap().servers.len(), 255);
}

/// Either kind of quorum can become the other, if all members are named.
#[test]
fn groups_come_and_go_with_all_members() {
    let grouped = "server.1=a:1:2:participant,server.2=b:1:2:participant,server.3=c:1:2:observer,\
                   group.1=1,group.2=2,weight.1=1,weight.2=3";
    let named = |more: &str| all(&format!("server.1=a:1:2,server.2=b:1:2,server.3=c:1:2:observer,{more}"));
    check(
        &three(),
        RULES,
        named,
        &[
            ("group.1=1,group.2=2,weight.2=3", grouped),
            ("group.1=1,group.2=2,weight.1=1,weight.2=3,weight.3=4", grouped),
            ("groups.1=1,group2.2=2,weighty.2=3", grouped), // Java looks at how a key begins
            ("group.1=1", "-8: members: server 2 is in no group"),
            ("weight.1=1", "-8: members: server 1 is in no group"),
            ("group.1=1:2,group.2=2", "-8: members: server 2 is in several groups"),
            ("group.1=1:2:3", "-8: members: group.1 names server 3, which is no voter"),
            ("group.1=1:2,weight.9=1", "-8: members: weight.9 is set, but there is no server.9"),
            ("group.1=1:2,weight.1=-1", "-8: members: weight.1=-1: must be a whole number from 0"),
            ("group.1=1:2,weight.1=x", "-5: weight.1: \"x\" is no whole number"),
            ("group.1=1:two", "-5: group.1: \"two\" is no whole number"),
            ("group.x=1:2", "-5: group.x: \"x\" is no whole number"),
            ("group=1:2", "-5: group: \"group\" is no whole number"),
        ],
    );
    let grouped = three().changed(&named("group.1=1:2"), RULES).unwrap();
    for change in [joining(""), leaving("3"), joining("4=d:1:2;9")] {
        let why = grouped.changed(&change, RULES).unwrap_err().to_string();
        assert!(why.contains("this one has groups: name all members anew"), "{why}");
    }
    assert!(grouped.changed(&named(""), RULES).unwrap().groups.is_empty());
}

#[test]
fn a_refusal_is_one_line_of_bounded_length() {
    let long = format!("4=d:{}\n:2;9", "x".repeat(100_000));
    for change in [joining(&long), leaving(&long), all(&long), all(&format!("server.{long}"))] {
        let why = three().changed(&change, RULES).unwrap_err().to_string();
        assert!(why.chars().count() <= 300 && !why.contains('\n'), "{why}");
    }
}

/// Nearly what a client would send, and not quite.
fn any_line() -> impl Strategy<Value = String> {
    let key = prop_oneof![20 => "(server\\.)?[0-9]", 1 => "(group|weight)\\.[0-3]", 1 => "[a-z.=]{0,4}-?[0-9]{0,4}"];
    let host = prop_oneof![9 => "[a-z]{2}", 3 => "\\[\\[?:?:?[12]\\]", 1 => "[\\[\\]a\\\\ :|\n]{0,4}"];
    let role = prop_oneof![2 => "", 1 => ":participant", 1 => ":observer"];
    let rest = prop_oneof![20 => ";[1-9]", 1 => "[;:|0-9a ]{0,6}"];
    let server =
        (host, "[1-3]", "[4-6]", role, rest).prop_map(|(h, q, e, r, c)| format!("{h}:{q}:{e}{r}{c}"));
    let value = prop_oneof![20 => server, 1 => "[0-9](:[0-9]){0,4}", 1 => ".{0,8}"];
    (key, value).prop_map(|(key, value)| format!("{key}={value}"))
}

fn any_change() -> impl Strategy<Value = Change> {
    let lines = || proptest::collection::vec(any_line(), 0..7).prop_map(|lines| lines.join(","));
    let leaving = proptest::option::of("([0-9],){0,3}[0-9]?|.{0,5}");
    prop_oneof![
        (proptest::option::of(lines()), leaving)
            .prop_map(|(joining, leaving)| Change::Incremental { joining, leaving }),
        lines().prop_map(|members| Change::Full { members }),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(standalone_enabled, multi_address)| Rules { standalone_enabled, multi_address })
}

proptest! {
    /// RC1: a row of changes, each of what the one before made.
    #[test]
    fn rc1_what_comes_out_reads_as_printed_and_two_of_its_quorums_meet(
        changes in proptest::collection::vec(any_change(), 1..5), rules in any_rules(), chosen in any::<u16>(),
    ) {
        let mut members = three();
        for change in changes {
            let Ok(changed) = members.changed(&change, rules) else { continue };
            prop_assert_eq!(Members::read(&changed.to_string()), Ok(changed.clone()), "CM1");
            prop_assert!(changed.voters().len() > usize::from(rules.standalone_enabled));
            let mine = |id: ServerId| chosen >> (id.0 % 16) & 1 == 1;
            let quorum = changed.quorum();
            prop_assert!(!(quorum.holds_if(mine) && quorum.holds_if(|id| !mine(id))), "CQ1");
            members = changed;
        }
    }

    /// RC2.
    #[test]
    fn rc2_whom_nobody_names_stays(
        joiners in proptest::collection::btree_set(0_u64..9, 0..4),
        leavers in proptest::collection::btree_set(0_u64..9, 0..4),
    ) {
        let lines: Vec<_> = joiners.iter().map(|id| format!("{id}=new{id}:1:2;3")).collect();
        let ids: Vec<_> = leavers.iter().map(ToString::to_string).collect();
        let change = Change::Incremental { joining: Some(lines.join(",")), leaving: Some(ids.join(",")) };
        let Ok(changed) = three().changed(&change, OF_ONE) else { return Ok(()) };
        for id in (0..9).map(ServerId) {
            let before = three().servers.get(&id).cloned();
            let joined = joiners.contains(&id.0).then(|| Server::read(&format!("new{id}:1:2;3")).unwrap());
            let stays = before.filter(|_| !leavers.contains(&id.0));
            prop_assert_eq!(changed.servers.get(&id).cloned(), joined.or(stays));
        }
    }
}
