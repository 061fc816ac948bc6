//! What settings mean for each other: derived values, and combinations that cannot hold.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use config::ValueKind;
use paddock_messages::ids::ServerId;

use crate::error::{ConfigError, Findings, NoteKind, Origin};
use crate::groups::PeerType;
use crate::identity::identity;
use crate::kind::{FOUR_LETTER_WORDS, integer};
use crate::layers::{Layer, Merged};
use crate::machine::Machine;
use crate::members::{HostPort, Members, PeerAddress, Server};
use crate::zoo_cfg::{Requests, bad_value, refused};

/// Fewer snapshots than this are never kept. Source: compat: QuorumPeerConfig.java.
const FEWEST_SNAPSHOTS: i64 = 3;
/// A session id has one byte for its server, and its highest value marks a TTL znode's owner.
const NO_ID_WITH_TTL: i64 = 255;
/// The longest silence on the heartbeat lane, ms, unless set.
const PEER_TIMEOUT_MS: i64 = 1_000;

/// What the rest of the configuration follows from.
pub(crate) struct Checked {
    pub(crate) client_addr: Option<SocketAddr>,
    /// The line that gives its port.
    pub(crate) client_at: Origin,
    pub(crate) members: Members,
}

/// Values that follow from others, for what nobody set, and `myid`.
pub(crate) fn derived(
    machine: &dyn Machine,
    merged: &Merged,
    file: Option<&Path>,
    findings: &mut Findings,
) -> Layer {
    let mut layer = Layer::default();
    let number = |name| merged.number(name).unwrap_or(1);
    let (tick, sync) = (number("tick_ms"), number("ensemble.sync_limit"));
    for (name, value, from) in [
        ("min_session_timeout_ms", 2 * tick, "tick_ms"),
        ("max_session_timeout_ms", 20 * tick, "tick_ms"),
        ("ensemble.peer_timeout_ms", PEER_TIMEOUT_MS.min(sync.saturating_mul(tick)), "ensemble.sync_limit"),
    ] {
        if merged.get(name).is_none() {
            layer.put(name, ValueKind::I64(value), Origin::Derived(from));
        }
    }
    let retained = "autopurge.snap_retain_count";
    if number(retained) < FEWEST_SNAPSHOTS {
        let effect = "raised to 3, as ZooKeeper does";
        findings.note(NoteKind::Warning, retained, &merged.at(retained), effect);
        layer.put(retained, ValueKind::I64(FEWEST_SNAPSHOTS), merged.at(retained));
    }
    raised_weights(merged, &mut layer, findings);
    match merged.text("data_dir") {
        Some(dir) => identity(machine, Path::new(dir), merged, &mut layer, findings),
        None => findings.error(ConfigError::Missing {
            at: file.map_or_else(String::new, |file| file.display().to_string()),
            key: "dataDir (data_dir)",
            why: "a file must say where the data is".to_owned(),
        }),
    }
    layer
}

/// No connection costs less than one that begins a local session. Source: compat: BlueThrottle.java.
fn raised_weights(merged: &Merged, layer: &mut Layer, findings: &mut Findings) {
    let local = merged.number("connection_throttle.local_session_weight").unwrap_or(1);
    for name in ["connection_throttle.global_session_weight", "connection_throttle.renew_session_weight"] {
        if merged.number(name).is_some_and(|weight| weight < local) {
            let effect = format!("raised to {local}, the weight of a local session, as ZooKeeper does");
            findings.note(NoteKind::Warning, name, &merged.at(name), effect);
            layer.put(name, ValueKind::I64(local), merged.at(name));
        }
    }
}

/// Every combination that cannot hold is an error; what is merely odd is a remark.
pub(crate) fn check(
    machine: &dyn Machine,
    merged: &Merged,
    members: Members,
    requests: &Requests,
    findings: &mut Findings,
) -> Checked {
    let id = merged.number("server_id");
    let own = id.and_then(|id| members.servers.get(&ServerId(u64::try_from(id).ok()?)));
    session_timeouts(merged, findings);
    connection_weights(merged, findings);
    enforced_auth(merged, findings);
    server_id(merged, id, findings);
    let client_addr = client_addr(machine, merged, own, findings);
    tls_port(merged, requests, own, client_addr.is_some(), findings);
    membership(merged, &members, findings);
    if is_distributed(merged, &members) {
        ensemble(merged, &members, id, findings);
        own_ports(merged, own, client_addr, findings);
    }
    oddities(merged, own, findings);
    let client_at = match own.filter(|server| server.client.is_some()) {
        Some(own) => merged.member_at(Some(own)),
        None => merged.at("client_port"),
    };
    Checked { client_addr, client_at, members }
}

fn conflict(findings: &mut Findings, at: Origin, why: impl Into<String>) {
    findings.error(ConfigError::Conflict { at, why: why.into() });
}

fn is(merged: &Merged, name: &str) -> bool {
    merged.get(name).is_some_and(|found| found.value == ValueKind::Boolean(true))
}

fn is_set(merged: &Merged, name: &str) -> bool {
    !matches!(merged.at(name), Origin::Default | Origin::Derived(_))
}

/// A scheme by which nobody can prove anything would keep everybody out: as in ZooKeeper, the node does not start.
fn enforced_auth(merged: &Merged, findings: &mut Findings) {
    if !is(merged, "enforce_auth.enabled") {
        return;
    }
    let Some(schemes) = merged.text("enforce_auth.schemes") else {
        let why =
            "enforce.auth.enabled=true needs enforce.auth.schemes: digest, ip, or both with a comma between";
        return conflict(findings, merged.at("enforce_auth.enabled"), why);
    };
    for scheme in schemes.split(',').map(str::trim) {
        let why = match scheme {
            "ip" => continue, // every client has an address
            "digest" if is(merged, "digest_auth.enabled") => continue,
            "digest" => "it is switched off (DigestAuthenticationProvider.enabled)",
            "sasl" | "x509" => "it is not offered yet",
            _ => "there is none of that name",
        };
        let why = format!(
            "enforce.auth.schemes names {scheme:?}, but {why}; name digest or ip, or remove enforce.auth.enabled to let \
             clients in without"
        );
        conflict(findings, merged.at("enforce_auth.schemes"), why);
    }
}

/// A bucket that never holds what one costs who goes on with a session would keep all of them out for ever.
fn connection_weights(merged: &Merged, findings: &mut Findings) {
    let number = |name: &str| merged.number(&format!("connection_throttle.{name}")).unwrap_or(0);
    let (tokens, renewal) = (number("tokens"), number("renew_session_weight"));
    let most = tokens.saturating_mul(number("global_session_weight"));
    if is(merged, "connection_throttle.weight_enabled") && tokens > 0 && renewal > most {
        conflict(
            findings,
            merged.at("connection_throttle.renew_session_weight"),
            format!(
                "connection_throttle_renew_session_weight ({renewal}) is more than all tokens there ever are ({most}: \
                 connection_throttle_tokens, times the weight of a global session): no client could come back"
            ),
        );
    }
}

fn session_timeouts(merged: &Merged, findings: &mut Findings) {
    let (min, max) = (merged.number("min_session_timeout_ms"), merged.number("max_session_timeout_ms"));
    if min > max {
        let set = ["min_session_timeout_ms", "max_session_timeout_ms"]
            .into_iter()
            .find(|name| is_set(merged, name));
        let at = merged.at(set.unwrap_or("tick_ms"));
        let (min, max) = (min.unwrap_or(0), max.unwrap_or(0));
        conflict(
            findings,
            at,
            format!("minSessionTimeout ({min} ms) is larger than maxSessionTimeout ({max} ms)"),
        );
    }
}

fn server_id(merged: &Merged, id: Option<i64>, findings: &mut Findings) {
    if id == Some(NO_ID_WITH_TTL) && is(merged, "extended_types_enabled") {
        let why = "server id 255 cannot be used with extendedTypesEnabled: TTL znodes are marked by it";
        conflict(findings, merged.at("server_id"), why);
    }
}

/// The address of this server's own line, else `client_host` and `client_port`. If both are written
/// they must agree. Source: compat: QuorumPeerConfig.java, setupClientPort.
fn client_addr(
    machine: &dyn Machine,
    merged: &Merged,
    own: Option<&Server>,
    findings: &mut Findings,
) -> Option<SocketAddr> {
    let port = merged.number("client_port").and_then(|port| u16::try_from(port).ok());
    if port.is_none() && is_set(merged, "client_host") {
        let at = merged.at("client_host").to_string();
        let why = "clientPortAddress has no meaning without it".to_owned();
        findings.error(ConfigError::Missing { at, key: "clientPort (client_port)", why });
    }
    let host = merged.text("client_host").unwrap_or("0.0.0.0");
    let line = own.and_then(|server| server.client.as_ref());
    let Some(line) = line else { return resolve(machine, host, port?, &merged.at("client_host"), findings) };
    let line_at = merged.member_at(own);
    let of_line = resolve(machine, &line.host, line.port, &line_at, findings)?;
    if let Some(port) = port.filter(|_| is_set(merged, "client_port")) {
        let of_file = resolve(machine, host, port, &merged.at("client_host"), findings)?;
        let agrees =
            of_file.port() == of_line.port() && (of_file.ip().is_unspecified() || of_file == of_line);
        if !agrees {
            let why =
                format!("clientPort says {of_file}, this server's own line {of_line}: write one of them");
            conflict(findings, merged.at("client_port"), why);
        }
    }
    Some(of_line)
}

/// IPv4 before IPv6 when a name has both, as Java prefers.
fn resolve(
    machine: &dyn Machine,
    host: &str,
    port: u16,
    at: &Origin,
    findings: &mut Findings,
) -> Option<SocketAddr> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some((ip, port).into());
    }
    let found = machine.look_up(host).map(|all| all.into_iter().min_by_key(|ip| !ip.is_ipv4()));
    match found {
        Ok(Some(ip)) => Some((ip, port).into()),
        Ok(None) => {
            conflict(findings, at.clone(), format!("{host} has no address"));
            None
        }
        Err(error) => {
            conflict(findings, at.clone(), format!("{host} cannot be looked up: {error}"));
            None
        }
    }
}

/// A TLS port beside a plain one is missing and said so; one instead of a plain one means that nobody
/// may come in plain text, which cannot be done yet.
fn tls_port(
    merged: &Merged,
    requests: &Requests,
    own: Option<&Server>,
    plain: bool,
    findings: &mut Findings,
) {
    const EFFECT: &str = "TLS is not offered yet: nothing listens on this port";
    const WHY: &str = "TLS is not offered yet, and there is no clientPort: no client could connect; set clientPort \
                       if plain text will do";
    if let Some(written) = &requests.tls_port {
        let is_port = integer(&written.value).is_some_and(|port| (0..=65_535).contains(&port));
        match (is_port, plain) {
            (false, _) => findings.error(bad_value(written, "a whole number from 0 to 65535")),
            (true, true) => findings.note(NoteKind::NotYet, &written.key, &written.at, EFFECT),
            (true, false) => findings.error(refused(written, WHY)),
        }
    }
    if let Some(HostPort { port, .. }) = own.and_then(|server| server.secure_client.as_ref()) {
        let at = merged.member_at(own);
        let key = "the TLS part of this server's line".to_owned();
        if plain {
            findings.note(NoteKind::NotYet, &key, &at, EFFECT);
        } else {
            findings.error(ConfigError::Refused { at, key, value: port.to_string(), why: WHY.to_owned() });
        }
    }
}

fn is_distributed(merged: &Merged, members: &Members) -> bool {
    let voters = members.voters().len();
    voters > 1 || voters == 1 && !is(merged, "ensemble.standalone")
}

/// Source: compat: QuorumPeerConfig.java, parseDynamicConfig.
fn membership(merged: &Merged, members: &Members, findings: &mut Findings) {
    let voters = members.voters();
    let standalone = is(merged, "ensemble.standalone");
    let at = merged.members.first().map_or(Origin::Default, |line| line.at.clone());
    match (voters.len(), members.servers.len()) {
        (0, 0) if !standalone => {
            let why = "standaloneEnabled=false needs at least one server.<id> line";
            conflict(findings, merged.at("ensemble.standalone"), why);
        }
        (0, 0) => {}
        (0, _) => conflict(findings, at, "there are observers but no participants"),
        (1, servers) if standalone && servers > 1 => {
            conflict(
                findings,
                at,
                "there are observers, but only one participant, and standaloneEnabled is true",
            );
        }
        (1, _) if standalone => {
            let effect = "one server is a server alone: its peer address is not used";
            findings.note(NoteKind::Warning, "server.<id>", &at, effect);
        }
        (1 | 2, _) => findings.note(
            NoteKind::Warning,
            "server.<id>",
            &at,
            "no failure is survived with fewer than three",
        ),
        (even, _) if even % 2 == 0 => {
            findings.note(
                NoteKind::Warning,
                "server.<id>",
                &at,
                "an even number survives no more than one fewer would",
            );
        }
        _ => {}
    }
    several_addresses(merged, members, findings);
    if !voters.is_empty() && !members.quorum().holds(&voters) {
        let at = merged.members.last().map_or(Origin::Default, |line| line.at.clone());
        conflict(findings, at, "with these weights no set of servers is a quorum");
    }
}

fn several_addresses(merged: &Merged, members: &Members, findings: &mut Findings) {
    let several = members.servers.iter().find(|(_, server)| server.addresses.len() > 1);
    if let (Some((id, server)), false) = (several, is(merged, "ensemble.multi_address")) {
        let why = format!(
            "server.{id} has several addresses, which needs multiAddress.enabled=true on every server"
        );
        conflict(findings, merged.member_at(Some(server)), why);
    }
}

/// What a member of an ensemble must say, and a server alone need not.
fn ensemble(merged: &Merged, members: &Members, id: Option<i64>, findings: &mut Findings) {
    let at = merged.members.first().map_or_else(String::new, |line| line.at.to_string());
    for (name, key) in [("ensemble.init_limit", "initLimit"), ("ensemble.sync_limit", "syncLimit")] {
        if !is_set(merged, name) {
            let why = "every member of an ensemble needs it".to_owned();
            findings.error(ConfigError::Missing { at: at.clone(), key, why });
        }
    }
    match id {
        None => findings.error(ConfigError::Missing {
            at,
            key: "myid",
            why: format!(
                "write this server's id into {}/myid, or give it by --id or ZOO_MY_ID; where the host's name ends in \
                 a number, serverIdOffset makes an id of that",
                merged.text("data_dir").unwrap_or("dataDir")
            ),
        }),
        Some(id) if !members.servers.keys().any(|known| i64::try_from(known.0) == Ok(id)) => {
            conflict(
                findings,
                merged.at("server_id"),
                format!("this server's id is {id}, but there is no server.{id} line"),
            );
        }
        Some(_) => {}
    }
}

/// One port cannot be for clients and for other members. Where a name hides that it is one address, the start finds it.
fn own_ports(merged: &Merged, own: Option<&Server>, client: Option<SocketAddr>, findings: &mut Findings) {
    let (Some(own), Some(client)) = (own, client) else { return };
    let is_same = |at: &&PeerAddress| {
        client.ip().is_unspecified() || at.is_unspecified() || at.host.parse() == Ok(client.ip())
    };
    for at in own.addresses.iter().filter(is_same) {
        for (port, name) in [(at.quorum_port, "quorum"), (at.election_port, "election")] {
            if port == client.port() {
                let why = format!(
                    "the client port, {port}, is the {name} port of this server's own line, too: they must be two; \
                     clients usually have 2181, members 2888 and 3888"
                );
                conflict(findings, merged.member_at(Some(own)), why);
            }
        }
    }
}

/// Accepted, and probably not what was meant.
fn oddities(merged: &Merged, own: Option<&Server>, findings: &mut Findings) {
    for (name, odd, effect) in [
        ("force_sync", false, "a power cut can lose writes that were acknowledged"),
        ("skip_acl", true, "ACLs are not checked: every client may do everything"),
    ] {
        if is(merged, name) == odd {
            findings.note(NoteKind::Warning, name, &merged.at(name), effect);
        }
    }
    let words = merged.get("four_letter_words").map(|found| found.value.clone());
    if let Some(ValueKind::Array(words)) = words {
        for word in words.iter().map(|word| word.kind.to_string()) {
            if !FOUR_LETTER_WORDS.contains(&word.as_str()) {
                let at = merged.at("four_letter_words");
                findings.note(
                    NoteKind::Warning,
                    "four_letter_words",
                    &at,
                    format!("there is no command {word}"),
                );
            }
        }
    }
    let observer = merged.text("ensemble.peer_type") == Some("observer");
    if own.is_some_and(|server| (server.role == PeerType::Observer) != observer)
        && is_set(merged, "ensemble.peer_type")
    {
        let effect = "differs from this server's own line, which wins";
        findings.note(NoteKind::Warning, "ensemble.peer_type", &merged.at("ensemble.peer_type"), effect);
    }
    if merged.get("client_port").is_none() && own.is_none_or(|server| server.client.is_none()) {
        let effect = "not set: no client can connect";
        findings.note(NoteKind::Warning, "clientPort", &Origin::Default, effect);
    }
}
