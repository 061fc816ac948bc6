//! Environment variables: the container image's `ZOO_`, the start script's `JVMFLAGS`, and `PADDOCK_`.
//!
//! An empty variable counts as unset. ZooKeeper's image uses `ZOO_` only to write a `zoo.cfg` where
//! there is none; here they stand above the file, so that a container can be steered without one.
//! Kubernetes adds variables of its own for every service (`PADDOCK_CLIENT_PORT=tcp://10.0.0.1:2181`
//! for one called `paddock-client`); these are told apart by their form and left alone.

use std::collections::BTreeMap;

use crate::error::{ConfigError, Findings, NoteKind, Origin};
use crate::keys::nearest;
use crate::layers::Layer;
use crate::zoo_cfg::{Gathered, Written};

/// The variables of ZooKeeper's container image, and of its start script, that stand for one key of `zoo.cfg` each.
/// Source: docker-entrypoint.sh of the official image; zkServer.sh.
const ZOO: [(&str, &str); 12] = [
    ("ZOO_DATA_DIR", "dataDir"),
    ("ZOO_DATA_LOG_DIR", "dataLogDir"),
    ("ZOO_TICK_TIME", "tickTime"),
    ("ZOO_INIT_LIMIT", "initLimit"),
    ("ZOO_SYNC_LIMIT", "syncLimit"),
    ("ZOO_AUTOPURGE_PURGEINTERVAL", "autopurge.purgeInterval"),
    ("ZOO_AUTOPURGE_SNAPRETAINCOUNT", "autopurge.snapRetainCount"),
    ("ZOO_MAX_CLIENT_CNXNS", "maxClientCnxns"),
    ("ZOO_STANDALONE_ENABLED", "standaloneEnabled"),
    ("ZOO_ADMINSERVER_ENABLED", "admin.enableServer"),
    ("ZOO_4LW_COMMANDS_WHITELIST", "4lw.commands.whitelist"),
    ("ZOOPIDFILE", "pidFile"),
];
/// Those that stand for something else, and those that only the scripts read.
const ZOO_OTHERS: [&str; 9] = [
    "ZOO_CFG_EXTRA",
    "ZOO_CONF_DIR",
    "ZOO_DATADIR_AUTOCREATE_DISABLE",
    "ZOO_LOG4J_PROP",
    "ZOO_LOGBACK_PROP",
    "ZOO_LOG_DIR",
    "ZOO_LOG_FILE",
    "ZOO_MY_ID",
    "ZOO_SERVERS",
];
const PREFIX: &str = "PADDOCK_";
/// No settings: read by the command line before there is a configuration; and by members that tests start.
const NO_SETTINGS: [&str; 3] = ["PADDOCK_CONFIG", "PADDOCK_TEST_FRAMES", "PADDOCK_TEST_LEVEL"];

/// The variables, in order of name, without those that are empty.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    fn get(&self, name: &str) -> Option<(&str, Origin)> {
        Some((self.0.get(name)?, Origin::Env(name.to_owned())))
    }

    /// `-D` tokens. `zkServer.sh` puts `SERVER_JVMFLAGS` in front of `JVMFLAGS`, so the latter win.
    pub(crate) fn jvm_flags(&self, gathered: &mut Gathered, findings: &mut Findings) -> Layer {
        let mut layer = Layer::default();
        for name in ["SERVER_JVMFLAGS", "JVMFLAGS"] {
            if let Some((flags, at)) = self.get(name) {
                gathered.system(flags, &at, &mut layer, findings);
            }
        }
        layer
    }

    /// The `ZOO_` variables, as the lines of `zoo.cfg` that the image's script makes of them.
    pub(crate) fn zoo(&self, gathered: &mut Gathered, findings: &mut Findings) -> Layer {
        let mut layer = Layer::default();
        let mut lines: Vec<Written> = ZOO.iter().filter_map(|(name, key)| self.line(name, key)).collect();
        for name in ["ZOO_SERVERS", "ZOO_CFG_EXTRA"] {
            lines.extend(self.get(name).into_iter().flat_map(|(text, at)| pairs(text, &at, findings)));
        }
        gathered.file(lines, &mut layer, findings);
        if let Some((id, at)) = self.get("ZOO_MY_ID") {
            layer.set("server_id", "ZOO_MY_ID", id, &at, findings);
        }
        if let Some((_, at)) = self.get("ZOO_DATADIR_AUTOCREATE_DISABLE") {
            layer.set("datadir_autocreate", "ZOO_DATADIR_AUTOCREATE_DISABLE", "false", &at, findings);
        }
        self.unknown_zoo(findings);
        layer
    }

    fn line(&self, name: &str, key: &str) -> Option<Written> {
        let (value, at) = self.get(name)?;
        let link = is_service_link(name, value);
        (!link).then(|| Written { key: key.to_owned(), value: value.trim().to_owned(), at })
    }

    /// Only what looks like one of them is told: other programs' variables begin with `ZOO_` too.
    fn unknown_zoo(&self, findings: &mut Findings) {
        let known = || ZOO.iter().map(|(name, _)| *name).chain(ZOO_OTHERS);
        for (name, value) in &self.0 {
            let is_ours = !name.starts_with("ZOO_") || known().any(|known| known == name);
            if is_ours || is_service_link(name, value) {
                continue;
            }
            if let Some((nearest, true)) = nearest(name, known()) {
                let effect = format!("ignored; the nearest variable is {nearest}");
                findings.note(NoteKind::Unknown, name, &Origin::Env(name.clone()), effect);
            }
        }
    }

    /// The `PADDOCK_` variables.
    pub(crate) fn paddock(&self, findings: &mut Findings) -> Layer {
        let mut layer = Layer::default();
        for (variable, value) in &self.0 {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if NO_SETTINGS.contains(&variable.as_str()) || is_service_link(variable, value) {
                continue;
            }
            let name = name.to_lowercase().replace("__", ".");
            layer.set_own(&name, (variable, value), &Origin::Env(variable.clone()), false, findings);
        }
        layer
    }
}

/// `key=value` tokens with blanks between.
fn pairs(text: &str, at: &Origin, findings: &mut Findings) -> Vec<Written> {
    let mut lines = Vec::new();
    for token in text.split_whitespace() {
        match token.split_once('=') {
            Some((key, value)) => {
                lines.push(Written { key: key.to_owned(), value: value.to_owned(), at: at.clone() });
            }
            None => findings.error(ConfigError::Syntax {
                at: at.clone(),
                why: format!("{token}: must be key=value, with blanks between one and the next"),
            }),
        }
    }
    lines
}

/// Whether the variable is one of those that Kubernetes and Docker make for a service.
fn is_service_link(name: &str, value: &str) -> bool {
    let has_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_a_port =
        name.contains("_PORT_") && ["_TCP", "_UDP", "_SCTP"].iter().any(|kind| name.contains(kind));
    has_address || of_a_port || name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_s_variables_are_told_from_settings() {
        for (name, value, link) in [
            ("PADDOCK_CLIENT_PORT", "tcp://10.0.0.1:2181", true),
            ("PADDOCK_CLIENT_PORT", "2181", false),
            ("PADDOCK_PORT_2181_TCP_ADDR", "10.0.0.1", true),
            ("PADDOCK_SERVICE_HOST", "10.0.0.1", true),
            ("PADDOCK_SERVICE_PORT", "2181", true),
            ("PADDOCK_SERVICE_PORT_CLIENT", "2181", true),
            ("PADDOCK_METRICS__PORT", "7000", false),
            ("PADDOCK_TCP_KEEPALIVE", "true", false),
        ] {
            assert_eq!(is_service_link(name, value), link, "{name}={value}");
        }
    }
}
