//! The members of an ensemble: `server.N`, `group.N` and `weight.N` lines, and their text.
//!
//! `server.N=addr[|addr…][;[host:]port][;[host:]securePort]`, where addr is
//! `host:quorumPort:electionPort[:participant|:observer]`; a host may be an IPv6 literal in brackets.
//!
//! - CM1  What [`Members`] prints, [`Members::read`] reads as the same.
//! - CM2  With groups, every voter is in exactly one, and nobody else is in any.
//!
//! Source: compat: QuorumPeer.java, QuorumServer; QuorumPeerConfig.java, parseDynamicConfig.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use paddock_messages::ids::ServerId;
use serde::Serialize;

use crate::error::{ConfigError, Findings, Origin};
use crate::groups::PeerType;
use crate::kind::integer;
use crate::quorum::{Group, Quorum};

/// The highest id: a session id has one byte for it.
pub const MAX_ID: i64 = 255;
const MAX_GROUP: i64 = i32::MAX as i64;
const MAX_WEIGHT: i64 = 1_000_000;

/// Who is in the ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Every member by id.
    pub servers: BTreeMap<ServerId, Server>,
    /// The groups of a hierarchical quorum; empty for a majority quorum.
    pub groups: BTreeMap<u64, BTreeSet<ServerId>>,
    /// Weights other than 1.
    pub weights: BTreeMap<ServerId, u64>,
    /// The zxid of the reconfig that made it; 0 for one from a file without a version in its name.
    pub version: u64,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Where other members reach it: at least one; several only with `ensemble.multi_address`.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: PeerType,
    /// Where it listens for clients, if its line says so.
    pub client: Option<HostPort>,
    /// Where it listens for clients with TLS, if its line says so.
    pub secure_client: Option<HostPort>,
}

/// Where a member is reached by others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PeerAddress {
    /// A name or an address, without brackets; looked up anew at each dial.
    pub host: String,
    /// Carries everything whose order matters.
    pub quorum_port: u16,
    /// Carries votes and heartbeats; another than `quorum_port`.
    pub election_port: u16,
}

impl PeerAddress {
    /// Whether it is every machine's own, `0.0.0.0` or `::`: one to listen at, and not to dial.
    pub fn is_unspecified(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|host| host.is_unspecified())
    }
}

/// A host, without brackets, and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostPort {
    /// A name or an address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// A line that says something about members, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberLine {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) at: Origin,
}

/// Whether the key belongs to the member list: `server.`, `group.` or `weight.` and a number.
pub fn is_member_key(key: &str) -> bool {
    let number = ["server.", "group.", "weight."].iter().find_map(|prefix| key.strip_prefix(prefix));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Members {
    /// Reads lines such as those of `/zookeeper/config` or a dynamic file, without their version.
    /// The error names the line, from 1.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let lines: Vec<MemberLine> = lines
            .map(|(line, number)| {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                let at = Origin::File { path: "members".into(), line: number };
                MemberLine { key: key.trim().to_owned(), value: value.trim().to_owned(), at }
            })
            .collect();
        let mut findings = Findings::default();
        let members = Self::from_lines(&lines, &mut findings);
        findings.finish().map(|_| members)
    }

    pub(crate) fn from_lines(lines: &[MemberLine], findings: &mut Findings) -> Self {
        let mut members = Self::default();
        for line in lines {
            if let Err(why) = members.add(&line.key, &line.value) {
                let (key, value) = (line.key.clone(), line.value.clone());
                findings.error(ConfigError::BadValue { at: line.at.clone(), key, value, expected: why });
            }
        }
        if let (Err(why), Some(first)) = (members.complete(), lines.first()) {
            findings.error(ConfigError::Conflict { at: first.at.clone(), why });
        }
        members
    }

    /// Takes one line. The error completes a sentence that begins "must be".
    pub(crate) fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (what, number) = key.split_once('.').unwrap_or((key, ""));
        match what {
            "server" => {
                let server = Server::read(value)?;
                let id = ServerId(whole(number, MAX_ID, "on a line whose id is")?);
                put(&mut self.servers, id, server)
            }
            "group" => {
                let group = whole(number, MAX_GROUP, "on a line whose group is")?;
                let ids = value
                    .split(':')
                    .map(|id| whole(id, MAX_ID, "ids with colons between, each").map(ServerId));
                put(&mut self.groups, group, ids.collect::<Result<_, _>>()?)
            }
            "weight" => {
                let weight = whole(value, MAX_WEIGHT, "")?;
                put(&mut self.weights, ServerId(whole(number, MAX_ID, "on a line whose id is")?), weight)
            }
            _ => Err("a server.<id>, group.<number> or weight.<id> line".to_owned()),
        }
    }

    /// Behind the last line: checks what the lines say together, and keeps the weights that say anything (CM1).
    pub(crate) fn complete(&mut self) -> Result<(), String> {
        self.check_groups()?;
        let voters = self.voters();
        self.weights.retain(|id, weight| *weight != 1 && voters.contains(id));
        Ok(())
    }

    /// CM2.
    fn check_groups(&self) -> Result<(), String> {
        if let Some(id) = self.weights.keys().find(|id| !self.servers.contains_key(id)) {
            return Err(format!("weight.{id} is set, but there is no server.{id}"));
        }
        if self.groups.is_empty() && self.weights.is_empty() {
            return Ok(());
        }
        let voters = self.voters();
        let mut seen = BTreeSet::new();
        for (group, id) in self.groups.iter().flat_map(|(group, ids)| ids.iter().map(move |id| (group, id))) {
            if !voters.contains(id) {
                return Err(format!("group.{group} names server {id}, which is no voter"));
            }
            if !seen.insert(*id) {
                return Err(format!("server {id} is in several groups"));
            }
        }
        match voters.difference(&seen).next() {
            Some(id) => {
                Err(format!("server {id} is in no group, and with group or weight lines every voter must be"))
            }
            None => Ok(()),
        }
    }

    /// Who votes, by id.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        let votes = self.servers.iter().filter(|(_, server)| server.role == PeerType::Participant);
        votes.map(|(id, _)| *id).collect()
    }

    /// Which sets of members decide.
    pub fn quorum(&self) -> Quorum {
        if self.groups.is_empty() {
            return Quorum::Majority(self.voters());
        }
        let weight = |id: &ServerId| (*id, self.weights.get(id).copied().unwrap_or(1));
        let group = |ids: &BTreeSet<ServerId>| Group { weights: ids.iter().map(weight).collect() };
        Quorum::Hierarchical(self.groups.values().map(group).collect())
    }

    /// Whether a quorum of these is one of the others, wherever they are.
    pub fn decide_like(&self, other: &Self) -> bool {
        (self.voters(), &self.groups, &self.weights) == (other.voters(), &other.groups, &other.weights)
    }
}

fn whole(text: &str, max: i64, prefix: &str) -> Result<u64, String> {
    let number = integer(text.trim()).filter(|number| (0..=max).contains(number));
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        let range = format!("a whole number from 0 to {max}");
        if prefix.is_empty() { range } else { format!("{prefix} {range}") }
    })
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Result<(), String> {
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => Err("given once: another line has the same number".to_owned()),
    }
}

const FORM: &str = "host:quorumPort:electionPort[:participant|:observer], several with | between, \
                    and then perhaps ;[host:]clientPort";

impl Server {
    /// Reads what follows `server.N=`. The error completes a sentence that begins "must be".
    pub fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split(';');
        let peers: Vec<_> = parts.next().unwrap_or("").split('|').map(peer).collect::<Result<_, _>>()?;
        let client = parts.next().map_or(Ok(None), client_endpoint)?;
        let secure_client = parts.next().map_or(Ok(None), client_endpoint)?;
        if parts.next().is_some() {
            return Err(FORM.to_owned());
        }
        let mut roles = peers.iter().filter_map(|(_, role)| *role);
        let role = roles.next().unwrap_or_default();
        if roles.any(|other| other != role) {
            return Err("of one role: its addresses name different ones".to_owned());
        }
        let addresses = peers.into_iter().map(|(address, _)| address).collect();
        Ok(Self { addresses, role, client, secure_client })
    }
}

/// `[host:]port`, or nothing.
fn client_endpoint(text: &str) -> Result<Option<HostPort>, String> {
    let fields = fields(text)?;
    match fields.as_slice() {
        [""] => Ok(None),
        [port_text] => Ok(Some(HostPort { host: "0.0.0.0".to_owned(), port: port(port_text)? })),
        [host, port_text] => Ok(Some(HostPort { host: (*host).to_owned(), port: port(port_text)? })),
        _ => Err(FORM.to_owned()),
    }
}

fn peer(text: &str) -> Result<(PeerAddress, Option<PeerType>), String> {
    let fields = fields(text)?;
    let (host, quorum, election, role) = match fields.as_slice() {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(self::role(role)?)),
        _ => return Err(FORM.to_owned()),
    };
    if host.is_empty() {
        return Err(FORM.to_owned());
    }
    let (quorum_port, election_port) = (port(quorum)?, port(election)?);
    if quorum_port == election_port {
        return Err("of two different ports: the quorum port and the election port are the same".to_owned());
    }
    Ok((PeerAddress { host: (*host).to_owned(), quorum_port, election_port }, role))
}

fn role(text: &str) -> Result<PeerType, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "participant" => Ok(PeerType::Participant),
        "observer" => Ok(PeerType::Observer),
        _ => Err(format!("of the role participant or observer, not {text}")),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.trim().parse().ok().filter(|port: &u16| *port > 0);
    number.ok_or_else(|| format!("with ports from 1 to 65535, not {text}"))
}

/// Splits at colons, but not within an IPv6 literal in brackets, which are dropped.
fn fields(text: &str) -> Result<Vec<&str>, String> {
    let text = text.trim();
    let Some(literal) = text.strip_prefix('[') else { return Ok(text.split(':').map(str::trim).collect()) };
    let (host, rest) = literal.split_once(']').ok_or("an IPv6 address with a closing bracket")?;
    let rest = rest.strip_prefix(':').ok_or("an IPv6 address in brackets, then a colon and a port")?;
    Ok(std::iter::once(host).chain(rest.split(':').map(str::trim)).collect())
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<_> = self.addresses.iter().collect();
        addresses.sort();
        for (at, address) in addresses.into_iter().enumerate() {
            let PeerAddress { host, quorum_port, election_port } = address;
            write!(f, "{}{}:{quorum_port}:{election_port}", if at > 0 { "|" } else { "" }, bracketed(host))?;
        }
        f.write_str(if self.role == PeerType::Observer { ":observer" } else { ":participant" })?;
        match (&self.client, &self.secure_client) {
            (None, None) => Ok(()),
            (Some(client), None) => write!(f, ";{client}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
        }
    }
}

/// The lines of `/zookeeper/config`, without the version that ends them there.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, server) in &self.servers {
            writeln!(f, "server.{id}={server}")?;
        }
        for (group, ids) in &self.groups {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            writeln!(f, "group.{group}={}", ids.join(":"))?;
        }
        for id in self.groups.values().flatten() {
            writeln!(f, "weight.{id}={}", self.weights.get(id).unwrap_or(&1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
