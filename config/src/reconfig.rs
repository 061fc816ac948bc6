//! What a `reconfig` makes of the members there are: pure, and the same wherever it is worked out.
//!
//! Either some join and some leave ([`Change::Incremental`]), or all are named anew ([`Change::Full`]). What is
//! decided elsewhere: who may ask, whether the version is the one asked for, and whether a quorum of the new voters is
//! there.
//!
//! - RC1  What comes out is a configuration: it prints and reads as the same (CM1, CM2), and has enough voters.
//! - RC2  A member that no text names stays as it was, if the others join and leave.
//!
//! Where Java's server ends such a request with an exception that it has no code for, a client sees that it could not
//! be decoded, as if it were no request; so here, see [`BadChange::Unreadable`].
//!
//! Names are compared as they are written, and never looked up: two that lead to one address pass.
//!
//! Source: compat: PrepRequestProcessor.java, case reconfig; QuorumPeerConfig.java, parseDynamicConfig;
//! QuorumPeer.java, QuorumServer, checkAddressDuplicate.

use std::collections::BTreeSet;
use std::net::IpAddr;

use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ServerId;

use crate::members::{MAX_ID, Members, Server};
use crate::properties;

/// Members at most, and joiners of one request.
const MAX_MEMBERS: usize = 255;
/// Addresses of one member at most.
const MAX_ADDRESSES: usize = 16;
/// Characters of a refusal at most: it quotes what a client sent.
const MAX_WHY: usize = 300;

/// What a `reconfig` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Some leave, then some join.
    Incremental {
        /// `server.N=…` lines with commas between; `server.` may be left out. One whose id is there replaces it.
        joining: Option<String>,
        /// Ids with commas between; those that are not there are ignored.
        leaving: Option<String>,
    },
    /// These are all.
    Full {
        /// `server.N`, `group.N` and `weight.N` lines, with commas or line ends between. A version is ignored.
        members: String,
    },
}

/// What the settings of the server that works it out allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `standaloneEnabled`: one voter would be a server alone, so that two is the least.
    pub standalone_enabled: bool,
    /// `multiAddress.enabled`: a member may have several addresses, 16 at most.
    pub multi_address: bool,
}

/// Why a `reconfig` is refused: what is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// It can be read, and cannot be done.
    #[error("{0}")]
    Arguments(String),
    /// A number that is none, and what else Java's server has no code for.
    #[error("{0}")]
    Unreadable(String),
}

impl BadChange {
    /// What a client is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Arguments(_) => ErrorCode::BadArguments,
            Self::Unreadable(_) => ErrorCode::Marshalling,
        }
    }
}

fn arguments(why: impl AsRef<str>) -> BadChange {
    BadChange::Arguments(one_line(why.as_ref()))
}

fn unreadable(why: impl AsRef<str>) -> BadChange {
    BadChange::Unreadable(one_line(why.as_ref()))
}

fn one_line(why: &str) -> String {
    why.chars().take(MAX_WHY).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Members {
    /// The members after it; their version, here 0, is the caller's to set. No set of them need be a quorum, if
    /// groups weigh nothing.
    ///
    /// # Errors
    /// [`BadChange`].
    pub fn changed(&self, change: &Change, rules: Rules) -> Result<Self, BadChange> {
        let members = match change {
            Change::Incremental { joining, leaving } => {
                let [joining, leaving] = [joining, leaving].map(|text| text.as_deref().unwrap_or(""));
                let members = self.joined_and_left(joining, leaving, rules)?;
                enough(&members, rules).map_err(arguments)?;
                members
            }
            Change::Full { members } => full(members, rules)?,
        };
        let mut members = Self { version: 0, ..members };
        members.servers.values_mut().for_each(|server| server.addresses.sort()); // as they are printed
        reads_as_printed(&members)?;
        Ok(members)
    }

    fn joined_and_left(&self, joining: &str, leaving: &str, rules: Rules) -> Result<Self, BadChange> {
        if !self.groups.is_empty() {
            return Err(arguments(
                "joining and leaving are for a majority quorum, and this one has groups: name all members anew",
            ));
        }
        let mut members = self.clone();
        for id in list(leaving, ',') {
            if let Some(id) = known_id(number(id, "leaving")?) {
                members.servers.remove(&id);
            }
        }
        let joiners = list(joining, ',');
        if joiners.len() > MAX_MEMBERS {
            return Err(arguments(format!("{} servers join: at most {MAX_MEMBERS} can", joiners.len())));
        }
        for text in joiners {
            let (id, server) = joiner(text, rules)?;
            let mut others = members.servers.iter().filter(|(other, _)| **other != id);
            others.try_for_each(|(other, there)| apart(id, &server, *other, there))?;
            members.servers.insert(id, server);
        }
        Ok(members)
    }
}

/// What stands between separators, without blanks around it and without what is then empty.
fn list(text: &str, separator: char) -> Vec<&str> {
    text.split(separator)
        .map(|part| part.trim_matches(|c| c <= ' '))
        .filter(|part| !part.is_empty())
        .collect()
}

fn number(text: &str, what: &str) -> Result<i64, BadChange> {
    text.parse().map_err(|_| unreadable(format!("{what}: {text:?} is no whole number: write digits alone")))
}

fn known_id(number: i64) -> Option<ServerId> {
    (0..=MAX_ID).contains(&number).then(|| ServerId(number.unsigned_abs()))
}

const JOINER: &str = "server.<id>=host:quorumPort:electionPort[:participant|:observer];[host:]clientPort";

fn joiner(text: &str, rules: Rules) -> Result<(ServerId, Server), BadChange> {
    let parts = list(text, '=');
    let [name, line] = parts[..] else {
        return Err(arguments(format!("joining: {text:?}: must be {JOINER}")));
    };
    let id = number(name.rsplit('.').next().unwrap_or(name), "the id of who joins")?;
    let Some(id) = known_id(id) else {
        return Err(arguments(format!("joining: {name}: an id is from 0 to {MAX_ID}")));
    };
    let server = Server::read(line).map_err(|why| arguments(format!("joining: {text}: must be {why}")))?;
    writable(&format!("joining: server.{id}"), line, &server, rules)?;
    if server.client.is_none() {
        return Err(arguments(format!("joining: {text}: has no client port: must be {JOINER}")));
    }
    Ok((id, server))
}

/// What any line of a server must be beyond what [`Server::read`] asks, which files are read with too.
fn writable(whose: &str, line: &str, server: &Server, rules: Rules) -> Result<(), BadChange> {
    let most = if rules.multi_address { MAX_ADDRESSES } else { 1 };
    if server.addresses.len() > most {
        let hint =
            if rules.multi_address { "" } else { ", unless multiAddress.enabled is set on every server" };
        let count = server.addresses.len();
        return Err(arguments(format!("{whose} has {count} addresses: it may have {most}{hint}")));
    }
    if line.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(arguments(format!("{whose}: has blanks or backslashes within: leave them out")));
    }
    let mut clients = server.client.iter().chain(&server.secure_client);
    if clients.any(|client| client.host.is_empty()) {
        return Err(arguments(format!("{whose}: a client address without a host: leave its colon out too")));
    }
    Ok(())
}

/// Two members that would listen at one place. Source: compat: QuorumServer, checkAddressDuplicate.
fn apart(id: ServerId, server: &Server, other: ServerId, there: &Server) -> Result<(), BadChange> {
    match places(server).intersection(&places(there)).next() {
        None => Ok(()),
        Some((host, port)) => Err(arguments(format!(
            "joining: server.{id} is to be at {host} port {port}, where server.{other} is: choose another"
        ))),
    }
}

/// Where a member listens, but for what each machine has for itself: loopback and all addresses.
fn places(server: &Server) -> BTreeSet<(String, u16)> {
    let peers = server
        .addresses
        .iter()
        .flat_map(|address| [(&address.host, address.quorum_port), (&address.host, address.election_port)]);
    let clients = server.client.iter().chain(&server.secure_client);
    let all = peers.chain(clients.map(|client| (&client.host, client.port)));
    all.filter_map(|(host, port)| shared_host(host).map(|host| (host, port))).collect()
}

fn shared_host(host: &str) -> Option<String> {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string()),
        Err(_) => Some(host.to_ascii_lowercase()).filter(|name| name != "localhost"),
    }
}

fn full(text: &str, rules: Rules) -> Result<Members, BadChange> {
    let lines = properties::parse(&text.replace(',', "\n"))
        .map_err(|error| unreadable(format!("members: {error}")))?
        .entries;
    let known = |key: &str| {
        ["server.", "group", "weight"].iter().any(|prefix| key.starts_with(prefix)) || key == "version"
    };
    if let Some(line) = lines.iter().find(|line| !known(&line.key)) {
        let key = &line.key;
        return Err(arguments(format!(
            "members: {key:?} is neither server.<id>, group.<number> nor weight.<id>"
        )));
    }
    let mut members = Members::default();
    for line in &lines {
        read_line(&mut members, &line.key, &line.value, rules)?;
    }
    members.complete().map_err(|why| arguments(format!("members: {why}")))?;
    enough(&members, rules).map_err(|why| {
        let has_observers = members.voters().len() < members.servers.len();
        // Java's parser ends these itself, before the server looks.
        if has_observers || !rules.standalone_enabled { unreadable(why) } else { arguments(why) }
    })?;
    Ok(members)
}

fn read_line(members: &mut Members, key: &str, value: &str, rules: Rules) -> Result<(), BadChange> {
    if key == "version" {
        let read = i64::from_str_radix(value, 16).map(drop);
        return read.map_err(|_| unreadable(format!("members: version={value}: must be hexadecimal digits")));
    }
    let kind = ["server", "group", "weight"].into_iter().find(|kind| key.starts_with(kind)).unwrap_or(key);
    let of = number(key.split_once('.').map_or(key, |(_, number)| number), key)?;
    match kind {
        "group" => value.split(':').try_for_each(|id| number(id, key).map(drop))?,
        "weight" => drop(number(value, key)?),
        _ => {}
    }
    let key = format!("{kind}.{of}");
    members.add(&key, value).map_err(|why| arguments(format!("members: {key}={value}: must be {why}")))?;
    match known_id(of).filter(|_| kind == "server").and_then(|id| members.servers.get(&id)) {
        Some(server) => writable(&key, value, server, rules),
        None => Ok(()),
    }
}

/// Whether there are voters enough, and not more members than there can be.
fn enough(members: &Members, rules: Rules) -> Result<(), String> {
    let (voters, all) = (members.voters().len(), members.servers.len());
    if all > MAX_MEMBERS {
        return Err(format!("{all} members: there can be {MAX_MEMBERS}"));
    }
    let least = if rules.standalone_enabled { 2 } else { 1 };
    if voters < least {
        let hint = if voters == 1 { ", unless standaloneEnabled=false" } else { "" };
        return Err(format!("{voters} of {all} members would vote: at least {least} must{hint}"));
    }
    Ok(())
}

/// RC1, for what else a host may hold that makes other lines of it, such as a bracket.
fn reads_as_printed(members: &Members) -> Result<(), BadChange> {
    match Members::read(&members.to_string()) {
        Ok(read) if read == *members => Ok(()),
        _ => Err(arguments("a host would not be read as it is written: write a name, or an address")),
    }
}

#[cfg(test)]
#[path = "reconfig_tests.rs"]
mod tests;
