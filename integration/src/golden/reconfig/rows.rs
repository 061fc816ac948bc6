//! The requests. Who joins is an observer that nobody starts, at an address that leads nowhere, so that three servers
//! go on to decide.

use super::{ANY, Ask};

/// The configuration's version when it is asked.
pub(super) const NOW: i64 = -2;

type Rows = &'static [(&'static str, &'static str)];

/// All, in order. `{1}`, `{2}` and `{3}` are the lines of `first`.
pub(super) fn asks(first: &str) -> Vec<Ask> {
    let nobody = joining(NOBODY).map(|ask| Ask { by_nobody: true, ..ask });
    let versions = joining(VERSIONS).zip([NOW, 7, 7]).map(|(ask, version)| Ask { version, ..ask });
    let taken = TAKEN.iter().flat_map(|(name, text)| {
        [
            ask(name, [Some(text), None, None]),
            ask(&format!("{name}: back"), [None, None, Some("{1},{2},{3}")]),
        ]
    });
    nobody
        .chain(joining(JOIN))
        .chain(versions)
        .chain(MIXED.iter().map(|(name, of)| ask(name, *of)))
        .chain(joining(REFUSED))
        .chain(leaving(LEAVE))
        .chain(all(ALL))
        .chain(joining(GROUPED))
        .chain(all(&[("groups go", "{1},{2},{3}")]))
        .chain(leaving(&[("a voter leaves", "3"), ("one voter would be left", "1")]))
        .chain(joining(&[("a voter comes back", "{3}")]))
        .chain([ask("all three", [Some("nonsense"), Some("nonsense"), Some("{1},{2},{3}")])])
        .chain(taken)
        .map(|ask| filled(ask, first))
        .collect()
}

/// Joining, leaving, and all members.
fn ask(name: &str, of: [Option<&str>; 3]) -> Ask {
    let [joining, leaving, members] = of.map(|text| text.map(str::to_owned));
    Ask { name: name.to_owned(), by_nobody: false, joining, leaving, members, version: ANY }
}

fn joining(rows: Rows) -> impl Iterator<Item = Ask> {
    rows.iter().map(|(name, text)| ask(name, [Some(text), None, None]))
}

fn leaving(rows: Rows) -> impl Iterator<Item = Ask> {
    rows.iter().map(|(name, text)| ask(name, [None, Some(text), None]))
}

fn all(rows: Rows) -> impl Iterator<Item = Ask> {
    rows.iter().map(|(name, text)| ask(name, [None, None, Some(text)]))
}

fn filled(mut ask: Ask, first: &str) -> Ask {
    for (line, id) in first.lines().zip(1..) {
        for text in [&mut ask.joining, &mut ask.members].into_iter().flatten() {
            *text = text.replace(&format!("{{{id}}}"), line);
        }
    }
    ask
}

const NOBODY: Rows = &[
    ("nobody's joiner", "4=192.0.2.4:1:2:observer;9"),
    ("nobody's nonsense", "nonsense"),
    ("nobody's number", "four=192.0.2.4:1:2:observer;9"),
    ("nobody's voters", "7=192.0.2.7:1:2;9,8=192.0.2.8:1:2;9,9=192.0.2.9:1:2;9"),
];

const VERSIONS: Rows = &[
    ("the version it has", "4=192.0.2.4:1:2:observer;9"),
    ("another version", "4=192.0.2.4:1:2:observer;9"),
    ("another version, and nonsense", "nonsense"),
];

const JOIN: Rows = &[
    ("a joiner", "server.4=192.0.2.4:1:2:observer;9"),
    ("without a prefix", "4=192.0.2.4:1:2:observer;9"),
    ("with another prefix", "any.thing.5=192.0.2.5:1:2:OBSERVER;127.0.0.1:9"),
    ("a sign and a zero", "+04=192.0.2.4:1:2:observer;9"),
    ("blanks around", " server.4 = 192.0.2.4:1:2:observer;9 , "),
    ("more signs than needed", "=server.4==192.0.2.4:1:2:observer;9="),
    ("twice", "4=192.0.2.14:1:2:observer;8,4=192.0.2.4:1:2:observer;9"),
    ("IPv6", "6=[2001:db8::6]:1:2:observer;[::]:9"),
    ("loopback is not shared", "7=localhost:1:2:observer;127.0.0.1:3,8=127.0.0.1:1:2:observer;3"),
    ("a client's port that is another's", "9=192.0.2.9:9:2:observer;1"),
    ("what it says twice itself", "9=192.0.2.9:1:2:observer;192.0.2.9:1"),
];

/// What leaves a configuration that nobody should have.
const TAKEN: Rows = &[
    ("an id above 255", "256=192.0.2.56:1:2:observer;9"),
    ("a negative id", "-1=192.0.2.57:1:2:observer;9"),
    ("port 0", "10=192.0.2.10:0:2:observer;9"),
    ("a blank in a host", "11=a b.invalid:1:2:observer;9"),
    ("a client's address without a host", "12=192.0.2.12:1:2:observer;:9"),
    ("names that lead nowhere", "13=name.invalid:1:2:observer;9,14=name.invalid:1:2:observer;9"),
];

const MIXED: &[(&str, [Option<&str>; 3])] = &[
    ("nothing", [None, None, None]),
    ("nothing to join, nobody to leave", [Some(""), Some(""), None]),
    ("one leaves, another comes to its place", [Some("6=192.0.2.4:1:2:observer;9"), Some("4"), None]),
    ("the other way round", [Some("4=192.0.2.4:1:2:observer;9"), Some("6"), None]),
    ("one leaves and comes back", [Some("5=192.0.2.5:1:2:observer;9"), Some("5"), None]),
];

const REFUSED: Rows = &[
    ("no server", "nonsense"),
    ("nothing behind the sign", "server.4="),
    ("two signs", "4=192.0.2.4:1:2:observer;9=x"),
    ("an id that is no number", "four=192.0.2.4:1:2:observer;9"),
    ("no id", "server.=192.0.2.4:1:2:observer;9"),
    ("a blank in an id", "server. 4=192.0.2.4:1:2:observer;9"),
    ("an id beyond numbers", "99999999999999999999=192.0.2.4:1:2:observer;9"),
    ("no ports", "4=192.0.2.4"),
    ("one port", "4=192.0.2.4:1;9"),
    ("no client's port", "4=192.0.2.4:1:2:observer"),
    ("no client's port behind its sign", "4=192.0.2.4:1:2:observer;"),
    ("one port for two", "4=192.0.2.4:1:1:observer;9"),
    ("a port that is no number", "4=192.0.2.4:one:2:observer;9"),
    ("a hexadecimal port", "4=192.0.2.4:0x1:2:observer;9"),
    ("a client's port that is no number", "4=192.0.2.4:1:2:observer;nine"),
    ("a blank before a client's port", "4=192.0.2.4:1:2:observer; 9"),
    ("a port beyond 65535", "4=192.0.2.4:65536:2:observer;9"),
    ("another role", "4=192.0.2.4:1:2:leader;9"),
    ("too much of a client's address", "4=192.0.2.4:1:2:observer;h:9:9"),
    ("a port for TLS", "4=192.0.2.4:1:2:observer;9;10"),
    ("two addresses", "4=192.0.2.4:1:2:observer|192.0.2.5:3:4:observer;9"),
    ("no closing bracket", "4=[2001:db8::4:1:2:observer;9"),
    ("another's port", "6=192.0.2.5:1:3:observer;9"),
    ("another's port, for votes", "6=192.0.2.5:3:1:observer;9"),
    ("another's port, for clients", "6=192.0.2.6:1:2:observer;192.0.2.5:2"),
    ("another's address, written otherwise", "6=[::ffff:192.0.2.5]:1:3:observer;9"),
    ("two that join at one place", "15=192.0.2.15:1:2:observer;9,16=192.0.2.15:3:1:observer;9"),
    ("too many voters that are not there", "7=192.0.2.7:1:2;9,8=192.0.2.8:1:2;9,9=192.0.2.9:1:2;9"),
];

const LEAVE: Rows = &[
    ("who is there", "4"),
    ("who is not there", "4,99,255,256,-1,9223372036854775807"),
    ("blanks and empty", " 5 ,, 5,"),
    ("a sign and a zero, leaving", "+05"),
    ("no number", "four"),
    ("a prefix", "server.4"),
    ("a number beyond numbers", "9223372036854775808"),
    ("too many voters", "1,2"),
    ("all voters", "1,2,3"),
];

const ALL: Rows = &[
    ("all", "{1},{2},{3}"),
    ("all, on lines", "{3}\n{2}\n\n# a comment\n{1}\nversion=100\n"),
    ("all, with blanks before", "  {1},  {2},\t{3}"),
    ("blanks behind", "{1} ,{2},{3}"),
    ("a line twice", "server.1:192.0.2.1:1:2,{1},{2},{3}"),
    ("one without a client's port", "{1},{2},{3},server.4 192.0.2.4:1:2:observer"),
    ("two at one place", "{1},{2},{3},server.4=192.0.2.4:1:2:observer;9,server.5=192.0.2.4:1:2:observer;9"),
    ("unknown keys", "size=3"),
    ("no dot", "{1},{2},{3},server4=192.0.2.4:1:2:observer;9"),
    ("no prefix", "{1},{2},{3},4=192.0.2.4:1:2:observer;9"),
    ("an id that is no number, of all", "{1},{2},{3},server.four=192.0.2.4:1:2:observer;9"),
    ("a port that is no number, of all", "{1},{2},{3},server.4=192.0.2.4:one:2:observer;9"),
    ("two addresses, of all", "{1},{2},{3},server.4=192.0.2.4:1:2:observer|192.0.2.5:3:4:observer;9"),
    ("a version that is no number", "{1},{2},{3},version=x"),
    ("an escape that is none", "{1},{2},{3},server.4=\\u12"),
    ("empty", ""),
    ("one voter", "{2}"),
    ("one voter and an observer", "{2},server.4=192.0.2.4:1:2:observer;9"),
    ("an observer", "server.4=192.0.2.4:1:2:observer;9"),
    ("voters that are not there", "{2},server.4=192.0.2.4:1:2;9,server.5=192.0.2.5:1:2;9"),
    ("one in no group", "{1},{2},{3},group.1=1:2"),
    ("one in two groups", "{1},{2},{3},group.1=1:2:3,group.2=3"),
    ("a weight alone", "{1},{2},{3},weight.1=1"),
    ("a stranger in a group", "{1},{2},{3},group.1=1:2:3:4"),
    ("a group of no number", "{1},{2},{3},group.x=1:2:3"),
    ("a group of what is no number", "{1},{2},{3},group.1=1:2:three"),
    ("a group without a dot", "{1},{2},{3},group=1:2:3"),
    ("a weight that is no number", "{1},{2},{3},group.1=1:2:3,weight.1=x"),
    ("groups that weigh nothing", "{1},{2},{3},group.1=1:2:3,weight.1=0,weight.2=0,weight.3=0"),
    ("groups come", "{1},{2},{3},group.1=1:2:3,weight.2=2"),
];

const GROUPED: Rows = &[
    ("a joiner where there are groups", "4=192.0.2.4:1:2:observer;9"),
    ("nobody where there are groups", ""),
];
