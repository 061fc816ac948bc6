//! One member: its ports, its files, its process, and what it says of itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{Id, Mode, Shape};
use crate::ports::free_ports;
use crate::process::{Launch, ServerProcess};
use crate::raw_client::four_letter_word;

/// How long a member that runs may take to say what it is; never reached when all is well.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The file with a member's id.
pub(super) const MYID: &str = "myid";

/// For clients, data, votes and metrics, of a member that has an address of its own.
const OWN_PORTS: [u16; 4] = [2181, 2888, 3888, 7000];

/// A member's address, and its ports there.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    host: Ipv4Addr,
    ports: [u16; 4],
}

impl Ports {
    /// Those of so many members, all different and used by nobody now.
    pub fn choose(members: usize) -> Vec<Self> {
        let free = free_ports(members * 4).expect("the machine has ports");
        let on_loopback =
            |four: &[u16]| Self { host: Ipv4Addr::LOCALHOST, ports: four.try_into().expect("four") };
        free.chunks_exact(4).map(on_loopback).collect()
    }

    /// Those of a member that is alone at this address.
    pub(super) fn at(host: Ipv4Addr) -> Self {
        Self { host, ports: OWN_PORTS }
    }

    /// `host:quorum:election;client`, as an operator names a server's place.
    pub fn line(self) -> String {
        let [quorum, election] = self.peers().map(|address| address.port());
        format!("{}:{quorum}:{election};{}", self.host, self.client())
    }

    /// With another port for clients.
    pub(super) fn with_client(self, port: u16) -> Self {
        let [_, quorum, election, metrics] = self.ports;
        Self { ports: [port, quorum, election, metrics], ..self }
    }

    fn nth(self, nth: usize) -> SocketAddr {
        SocketAddr::from((self.host, self.ports[nth]))
    }

    /// Where clients connect.
    pub fn client(self) -> SocketAddr {
        self.nth(0)
    }

    /// For data, and for votes.
    pub(super) fn peers(self) -> [SocketAddr; 2] {
        [self.nth(1), self.nth(2)]
    }

    pub(super) fn metrics(self) -> SocketAddr {
        self.nth(3)
    }

    /// With other ones for data and votes.
    fn dialled_at(self, quorum: u16, election: u16) -> Self {
        let [client, _, _, metrics] = self.ports;
        Self { ports: [client, quorum, election, metrics], ..self }
    }
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: Id,
    pub(super) votes: bool,
    pub(super) ports: Ports,
    /// Holds `zoo.cfg`, and `data` unless that is on a disk of its own.
    home: PathBuf,
    disk: Option<PathBuf>,
    /// What it runs under, see [`Launch::under`].
    pub(super) prefix: Vec<OsString>,
    /// Of its environment, beside all that the test has.
    pub(super) variables: Vec<OsString>,
    pub(super) process: Option<ServerProcess>,
    pub(super) frozen: bool,
    /// What each process wrote that has ended, oldest first.
    past: Vec<String>,
}

impl Member {
    pub(super) fn new(id: Id, votes: bool, ports: Ports, home: PathBuf) -> Self {
        let (prefix, variables, past) = Default::default();
        Self { id, votes, ports, home, disk: None, prefix, variables, process: None, frozen: false, past }
    }

    /// The same, with a command to run it under.
    pub(super) fn under(self, prefix: Vec<OsString>) -> Self {
        Self { prefix, ..self }
    }

    /// Keeps its data on this disk from now on.
    pub(super) fn put_on(&mut self, disk: PathBuf) {
        assert!(self.process.is_none(), "member {} runs", self.id);
        self.disk = Some(disk);
    }

    /// The same member, without its process.
    pub(super) fn description(&self) -> Self {
        Self { disk: self.disk.clone(), ..Self::new(self.id, self.votes, self.ports, self.home.clone()) }
    }

    /// As those see it who reach it at these ports, for data and for votes.
    pub(super) fn dialled_at(self, quorum: u16, election: u16) -> Self {
        Self { ports: self.ports.dialled_at(quorum, election), ..self }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.home.join("zoo.cfg")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.disk.as_ref().unwrap_or(&self.home).join("data")
    }

    /// `server.N=…`.
    fn line(&self) -> String {
        let [quorum, election] = self.ports.peers().map(|address| address.port());
        let role = if self.votes { "" } else { ":observer" };
        let (id, host, client) = (self.id, self.ports.host, self.ports.client());
        format!("server.{id}={host}:{quorum}:{election}{role};{client}\n")
    }

    pub(super) fn start(&mut self, launch: &Launch) {
        assert!(self.process.is_none(), "member {} runs", self.id);
        let launch = Launch { port: self.ports.client().port(), ..launch.clone() }.file(self.file());
        let variables = std::iter::once("env".into()).chain(self.variables.iter().cloned());
        let variables = variables.filter(|_| !self.variables.is_empty());
        let launch = launch.under(self.prefix.iter().cloned().chain(variables));
        self.process = Some(launch.spawn().unwrap_or_else(|error| panic!("member {}: {error}", self.id)));
    }

    /// Keeps the log of a process that has ended.
    pub(super) fn put_away(&mut self) {
        self.past.extend(self.process.take().map(|process| process.whole_log()));
        self.frozen = false;
    }

    pub(super) fn wipe(&self) {
        for entry in fs::read_dir(self.data_dir()).expect("our own folder") {
            let path = entry.expect("our own folder").path();
            if path.is_dir() {
                fs::remove_dir_all(path).expect("our own folder");
            } else if !path.ends_with(MYID) {
                fs::remove_file(path).expect("our own file");
            }
        }
    }

    /// Since its last start.
    pub(super) fn log(&self) -> String {
        match &self.process {
            Some(process) => process.log(),
            None => self.past.last().cloned().unwrap_or_default(),
        }
    }

    /// Since its first.
    pub(super) fn every_log(&self) -> String {
        let now = self.process.as_ref().map(ServerProcess::log);
        self.past.iter().cloned().chain(now).collect::<Vec<_>>().join("-- started again\n")
    }

    pub(super) fn srvr(&self) -> Option<String> {
        let asked = self.process.is_some() && !self.frozen;
        asked.then(|| four_letter_word(self.ports.client(), "srvr", ANSWER_LIMIT).ok()).flatten()
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        match field(&self.srvr()?, "Mode: ")? {
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            "observer" => Some(Mode::Observer),
            "read-only" => None, // it serves some, without a leader
            other => panic!("member {} says that it is a {other}", self.id),
        }
    }

    pub(super) fn zxid(&self) -> Option<i64> {
        let answer = self.srvr()?;
        let zxid = field(&answer, "Zxid: ")?;
        let digits = zxid.strip_prefix("0x").expect("a zxid is hexadecimal");
        Some(i64::from_str_radix(digits, 16).expect("a zxid is a number"))
    }
}

/// What follows `name` on a line of its own.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Writes `zoo.cfg` and `myid` of one of these members.
pub(super) fn write_files(id: Id, members: &BTreeMap<Id, Member>, shape: &Shape) {
    let member = &members[&id];
    fs::create_dir_all(member.data_dir()).expect("the temporary directory is writable");
    fs::write(member.data_dir().join(MYID), format!("{id}\n")).expect("it is writable");
    fs::write(member.file(), text(member, members, shape)).expect("it is writable");
}

fn text(member: &Member, members: &BTreeMap<Id, Member>, shape: &Shape) -> String {
    let defaults = [
        ("tickTime", shape.tick_ms.to_string()),
        ("initLimit", "20".to_owned()),
        ("syncLimit", "5".to_owned()),
        ("dataDir", member.data_dir().display().to_string()),
        ("maxClientCnxns", "0".to_owned()),
        ("preAllocSize", "16384".to_owned()), // KiB; less would be raised, with a warning
        ("4lw.commands.whitelist", "*".to_owned()),
        (
            "metricsProvider.className",
            "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider".to_owned(),
        ),
        ("metricsProvider.httpHost", member.ports.host.to_string()),
        ("metricsProvider.httpPort", member.ports.metrics().port().to_string()),
    ];
    let given = |key: &str| shape.lines.lines().any(|line| line.split('=').next() == Some(key));
    let defaults = defaults.iter().filter(|(key, _)| !given(key));
    let defaults: String = defaults.map(|(key, value)| format!("{key}={value}\n")).collect();
    let servers: String = members.values().map(Member::line).collect();
    format!("{defaults}{}\n{servers}", shape.lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_s_file_names_all_and_has_its_own_ports_and_lines() {
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports::choose(3);
        let member =
            |(id, ports): (Id, Ports)| (id, Member::new(id, id < 3, ports, dir.path().join(id.to_string())));
        let members: BTreeMap<_, _> = (1..).zip(ports.iter().copied()).map(member).collect();
        let shape = Shape { lines: "initLimit=7\nsnapCount=9".to_owned(), ..Shape::default() };
        for id in [1, 3] {
            write_files(id, &members, &shape);
            let home = dir.path().join(id.to_string());
            assert_eq!(fs::read_to_string(home.join("data/myid")).unwrap(), format!("{id}\n"));
            let text = fs::read_to_string(home.join("zoo.cfg")).unwrap();
            let has = |line: &str| text.lines().filter(|it| *it == line).count() == 1;
            assert!(has("initLimit=7") && has("snapCount=9") && has("tickTime=1000"), "{text}");
            assert_eq!(text.matches("initLimit").count(), 1, "{text}");
            let [_, quorum, election, _] = ports[2].ports;
            let observer = format!("server.3=127.0.0.1:{quorum}:{election}:observer;{}", ports[2].client());
            assert!(has(&observer) && text.matches("server.").count() == 3, "{text}");
            paddock_config::Members::read(&members.values().map(Member::line).collect::<String>()).unwrap();
        }
    }

    #[test]
    fn what_a_member_says_is_read() {
        let answer = "Zookeeper version: 3.9\nZxid: 0x100000007\nMode: follower\nNode count: 5\n";
        assert_eq!(
            (field(answer, "Mode: "), field(answer, "Zxid: ")),
            (Some("follower"), Some("0x100000007"))
        );
        assert_eq!(field("This ZooKeeper instance is not currently serving requests\n", "Mode: "), None);
    }
}
