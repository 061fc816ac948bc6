//! ZooKeeper's keys, wherever they are written: the key table ([`crate::keys`]) applied.
//!
//! Honoured keys go into their layer under Paddock's name. All others are gathered over the layers,
//! the last one counting, and judged once at the end ([`Gathered::judge`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{ConfigError, Findings, NoteKind, Origin};
use crate::keys::{self, Asked, Form, Outcome};
use crate::kind::boolean;
use crate::layers::Layer;
use crate::members::MemberLine;

/// The authentication providers that ZooKeeper ships. Whatever else `authProvider.N` names is somebody's
/// own, and leaving it out would leave out what it checks.
const SHIPPED: [(&str, bool); 6] = [
    // Whether it is here already.
    ("DigestAuthenticationProvider", true),
    ("IPAuthenticationProvider", true),
    ("SASLAuthenticationProvider", false),
    ("X509AuthenticationProvider", false),
    ("EnsembleAuthenticationProvider", false),
    ("KeyAuthenticationProvider", false),
];
const SHIPPED_IN: &str = "org.apache.zookeeper.server.auth.";
const PREFIX: &str = "zookeeper.";

/// A key and its value, as written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) at: Origin,
}

/// What the layers say by ZooKeeper's keys and no setting holds.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By key, without prefix.
    rest: BTreeMap<String, Written>,
}

/// What is left to act upon, once everything is judged.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The file that holds the member list.
    pub(crate) dynamic_file: Option<(PathBuf, Origin)>,
    /// A client port with TLS, and where it is asked for.
    pub(crate) tls_port: Option<Written>,
}

impl Gathered {
    /// Takes the keys of a file, or of variables that stand for one.
    pub(crate) fn file(&mut self, written: Vec<Written>, layer: &mut Layer, findings: &mut Findings) {
        let is_prefixed = |written: &Written| written.key.starts_with(PREFIX);
        let (prefixed, plain): (Vec<_>, Vec<_>) = written.into_iter().partition(is_prefixed);
        for mut written in prefixed {
            let effect = "ZooKeeper adds zookeeper. to keys of the file itself; it counts here without";
            findings.note(NoteKind::Warning, &written.key, &written.at, effect);
            written.key.drain(..PREFIX.len());
            self.take(written, layer, findings);
        }
        for written in plain {
            self.take(written, layer, findings); // after the prefixed: what ZooKeeper reads wins
        }
    }

    /// Takes `-Dname=value` tokens, later ones over earlier ones; `-D` without a name ZooKeeper knows
    /// is the Java machine's own.
    pub(crate) fn system(&mut self, flags: &str, at: &Origin, layer: &mut Layer, findings: &mut Findings) {
        for token in flags.split_whitespace().filter_map(|token| token.strip_prefix("-D")) {
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            let plain = name.strip_prefix(PREFIX);
            let key = plain.unwrap_or(name);
            let row = keys::find(key);
            if plain.is_none() && row.is_none_or(|row| row.name != key) {
                continue;
            }
            if row.is_some_and(|row| row.file_only) {
                let effect = "no effect here: it is read from the configuration file only, as by ZooKeeper";
                findings.note(NoteKind::Warning, name, at, effect);
                continue;
            }
            let written = Written { key: key.to_owned(), value: value.to_owned(), at: at.clone() };
            self.take(written, layer, findings);
        }
    }

    fn take(&mut self, written: Written, layer: &mut Layer, findings: &mut Findings) {
        let Written { key, value, at } = &written;
        let Some(row) = keys::find(key) else {
            return match keys::typo_of(key) {
                Some(nearest) => {
                    let (at, key, nearest) = (at.clone(), key.clone(), nearest.to_owned());
                    findings.error(ConfigError::Typo { at, key, nearest });
                }
                None => findings.note(
                    NoteKind::Unknown,
                    key,
                    at,
                    "accepted and ignored: no part of this server reads it",
                ),
            };
        };
        match row.outcome {
            Outcome::Honoured(setting, form) => match plain_form(form, value) {
                Some(plain) => layer.set(setting, key, &plain, at, findings),
                None => findings.error(bad_value(&written, "yes or no")),
            },
            Outcome::Member => {
                layer.members.push(MemberLine { key: key.clone(), value: value.clone(), at: at.clone() });
            }
            _ => drop(self.rest.insert(key.clone(), written)),
        }
    }

    /// Decides about everything that no setting holds.
    pub(crate) fn judge(&self, findings: &mut Findings) -> Requests {
        let mut requests = Requests::default();
        for (key, written) in &self.rest {
            let row = keys::find(key).expect("only keys with a row are gathered");
            match row.outcome {
                Outcome::NotNeeded(why) => findings.note(NoteKind::NotNeeded, key, &written.at, why),
                Outcome::NotYet(asked, effect) if is_asked(asked, written, findings) => {
                    findings.note(NoteKind::NotYet, key, &written.at, effect);
                }
                Outcome::Refused(asked, why) if is_asked(asked, written, findings) => {
                    findings.error(refused(written, why));
                }
                Outcome::NotYet(..) | Outcome::Refused(..) => {} // off, as it is
                Outcome::AuthProvider => auth_provider(written, findings),
                Outcome::TlsPort => requests.tls_port = Some(written.clone()),
                Outcome::DynamicFile => {
                    requests.dynamic_file = Some(((&written.value).into(), written.at.clone()));
                }
                Outcome::Honoured(..) | Outcome::Member => unreachable!("these are not gathered"),
            }
        }
        requests
    }
}

fn is_asked(asked: Asked, written: &Written, findings: &mut Findings) -> bool {
    match asked {
        Asked::Always => true,
        Asked::WhenNot(value) => written.value != value,
        Asked::WhenTrue => boolean(&written.value).unwrap_or_else(|| {
            findings.error(bad_value(written, "true or false"));
            false
        }),
    }
}

fn plain_form(form: Form, value: &str) -> Option<String> {
    match form {
        Form::Plain => Some(value.to_owned()),
        Form::YesNo if value.eq_ignore_ascii_case("yes") => Some("true".to_owned()),
        Form::YesNo if value.eq_ignore_ascii_case("no") => Some("false".to_owned()),
        Form::YesNo => None,
    }
}

pub(crate) fn bad_value(written: &Written, expected: &str) -> ConfigError {
    let Written { key, value, at } = written.clone();
    ConfigError::BadValue { at, key, value, expected: expected.to_owned() }
}

pub(crate) fn refused(written: &Written, why: impl Into<String>) -> ConfigError {
    let Written { key, value, at } = written.clone();
    ConfigError::Refused { at, key, value, why: why.into() }
}

fn auth_provider(written: &Written, findings: &mut Findings) {
    let class = written.value.strip_prefix(SHIPPED_IN);
    let shipped = class.and_then(|class| SHIPPED.iter().find(|(name, _)| *name == class));
    match shipped {
        Some((_, true)) => {
            let effect =
                "this provider is always there; DigestAuthenticationProvider.enabled switches digest off";
            findings.note(NoteKind::NotNeeded, &written.key, &written.at, effect);
        }
        Some((class, false)) => {
            let effect =
                format!("nobody can authenticate by {class} yet, and no ACL entry of its scheme matches");
            findings.note(NoteKind::NotYet, &written.key, &written.at, effect);
        }
        None => {
            let why = "it is not one of ZooKeeper's own providers and cannot be loaded here; what it checks would \
                       not be checked; remove the line if that is intended";
            findings.error(refused(written, why));
        }
    }
}
