//! What three servers of Apache's answer to reconfig, request by request, and what becomes of their configuration.
//!
//! `integration/golden/java-3.9-reconfig.txt` has a group of lines for each request: `case NAME`; `by nobody` unless the
//! super user asks; `joining`, `leaving` and `members` as they were sent; `version N` unless any would do; then
//! `refused CODE`, or `becomes TEXT`. It begins with the configuration before all of them. `\n` is a line's end, `\\` a
//! backslash.

mod rows;

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_config::reconfig::Change;
use paddock_messages::client::ops::Reconfig;
use paddock_messages::client::session::AuthPacket;
use paddock_messages::client::{OpCode, xid};
use paddock_messages::wire::Wire;

use crate::ensemble::{Ensemble, Id, Shape};
use crate::java_server;
use crate::raw_client::{ClientError, RawClient};

const CONFIG: &str = "/zookeeper/config";
/// The one that leads: of the first two it has the higher id, and those it is asked to leave alone.
const LEADER: Id = 2;
/// Any version.
const ANY: i64 = -1;
/// The super user's password is "test".
const LINES: &str = "\
reconfigEnabled=true
DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=
admin.enableServer=false
forceSync=no
metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider";

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// What is special about it; each has another.
    pub name: String,
    /// Whether somebody asks who has proved nothing.
    pub by_nobody: bool,
    /// Who is to join.
    pub joining: Option<String>,
    /// Who is to leave.
    pub leaving: Option<String>,
    /// All members, if they are named anew.
    pub members: Option<String>,
    /// The version it must have; -1 takes any.
    pub version: i64,
}

impl Ask {
    /// What it asks for.
    #[must_use]
    pub fn change(&self) -> Change {
        match &self.members {
            Some(members) => Change::Full { members: members.clone() },
            None => Change::Incremental { joining: self.joining.clone(), leaving: self.leaving.clone() },
        }
    }

    fn request(&self) -> Reconfig {
        let text = |of: &Option<String>| of.as_deref().map(ByteString::from);
        Reconfig {
            joining_servers: text(&self.joining),
            leaving_servers: text(&self.leaving),
            new_members: text(&self.members),
            current_config_id: self.version,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The configuration, as the reply has it.
    Becomes(String),
    /// An error.
    Refused(i32),
}

impl Told {
    /// The error, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Becomes(_) => None,
            Self::Refused(code) => Some(*code),
        }
    }
}

/// A configuration, and what it became or did not, one request after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Before the first.
    pub first: String,
    /// In this order.
    pub cases: Vec<(Ask, Told)>,
}

/// Starts three servers of Apache's below `dir`, and asks them.
///
/// # Errors
/// They end a connection, or answer with what is no reply.
///
/// # Panics
/// They do not start, or another leads than the one the requests leave alone.
pub fn record(dir: &Path) -> Result<Recording, ClientError> {
    let launch = java_server::launch(&[]).expect("Apache's servers are there");
    let shape = Shape { launch, lines: LINES.to_owned(), ..Shape::default() };
    let mut ensemble = Ensemble::shaped(dir, shape);
    [1, LEADER].into_iter().for_each(|id| ensemble.start(id));
    assert_eq!(ensemble.await_leader(), LEADER);
    ensemble.start_all();
    ensemble.await_all_serving();
    let [mut nobody, mut operator] = [connect(&ensemble)?, connect(&ensemble)?];
    prove(&mut operator)?;
    let mut recording = Recording { first: text_of(&operator.get(CONFIG)?.0), cases: Vec::new() };
    let mut now = recording.first.clone();
    for ask in rows::asks(&recording.first) {
        let ask = Ask { version: if ask.version == rows::NOW { version(&now) } else { ask.version }, ..ask };
        let told = answer(if ask.by_nobody { &mut nobody } else { &mut operator }, &ask)?;
        if let Told::Becomes(text) = &told {
            now.clone_from(text);
        }
        recording.cases.push((ask, told));
    }
    Ok(recording)
}

fn connect(ensemble: &Ensemble) -> Result<RawClient, ClientError> {
    RawClient::connect(ensemble.client_address(LEADER))
}

fn prove(client: &mut RawClient) -> Result<(), ClientError> {
    let auth = Some(Bytes::from_static(b"super:test"));
    let packet = AuthPacket { kind: 0, scheme: Some("digest".into()), auth };
    client.queue_raw(xid::AUTH, OpCode::Auth as i32, |to| packet.write(to));
    client.flush()?;
    client.reply()?.ok().map(drop)
}

fn answer(client: &mut RawClient, ask: &Ask) -> Result<Told, ClientError> {
    let mut reply = client.call(OpCode::Reconfig, &ask.request())?;
    if reply.header.err != 0 {
        return Ok(Told::Refused(reply.header.err));
    }
    let data = Option::<Bytes>::read(&mut reply.body)?.unwrap_or_default();
    Ok(Told::Becomes(text_of(&data)))
}

fn text_of(data: &Bytes) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// The configuration and its version, which is its last line.
///
/// # Panics
/// It has none.
#[must_use]
pub fn split_version(text: &str) -> (&str, i64) {
    let (members, version) = text.rsplit_once("version=").expect("a configuration has a version");
    (members, i64::from_str_radix(version, 16).expect("a version is a hexadecimal number"))
}

fn version(text: &str) -> i64 {
    split_version(text).1
}

/// The recording as text.
#[must_use]
pub fn write(recording: &Recording) -> String {
    let mut text = String::from(
        "# Recorded from Apache ZooKeeper 3.9, three servers that allow reconfig; not edited by hand.\n",
    );
    let mut line = |key: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(text, "{key} {value}").expect("a String takes all");
    };
    line("first", &recording.first);
    for (ask, told) in &recording.cases {
        line("case", &ask.name);
        if ask.by_nobody {
            line("by", "nobody");
        }
        for (key, value) in [("joining", &ask.joining), ("leaving", &ask.leaving), ("members", &ask.members)]
        {
            if let Some(value) = value {
                line(key, value);
            }
        }
        if ask.version != ANY {
            line("version", &ask.version.to_string());
        }
        match told {
            Told::Becomes(members) => line("becomes", members),
            Told::Refused(code) => line("refused", &code.to_string()),
        }
    }
    text.replace("\ncase ", "\n\ncase ")
}

/// What [`write`] wrote.
///
/// # Panics
/// On a line that it does not write.
#[must_use]
pub fn read(text: &str) -> Recording {
    let (mut recording, mut ask) = (Recording::default(), Ask::default());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(' ').unwrap_or_else(|| panic!("not as it is written: {line}"));
        let value = unescape(value);
        match key {
            "first" => recording.first = value,
            "case" => ask = Ask { name: value, version: ANY, ..Ask::default() },
            "by" => ask.by_nobody = true,
            "joining" => ask.joining = Some(value),
            "leaving" => ask.leaving = Some(value),
            "members" => ask.members = Some(value),
            "version" => ask.version = value.parse().expect("a version is a number"),
            "becomes" => recording.cases.push((std::mem::take(&mut ask), Told::Becomes(value))),
            "refused" => {
                let code = value.parse().expect("a code is a number");
                recording.cases.push((std::mem::take(&mut ask), Told::Refused(code)));
            }
            _ => panic!("not as it is written: {line}"),
        }
    }
    recording
}

fn unescape(text: &str) -> String {
    let mut parts = text.split("\\\\").map(|part| part.replace("\\n", "\n"));
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |whole, part| whole + "\\" + &part)
}
