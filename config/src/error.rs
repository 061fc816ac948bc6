//! Why a node does not start on this configuration, and what its operator is told otherwise.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: what holds unless it is written somewhere.
    Default,
    /// Nowhere: it follows from this other setting.
    Derived(&'static str),
    /// A line, from 1, of a file.
    File {
        /// The path as it was given.
        path: PathBuf,
        /// Its line, from 1.
        line: u32,
    },
    /// An environment variable, by name.
    Env(String),
    /// A flag of the command line, by name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::Derived(from) => write!(f, "follows from {from}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// As it is printed.
impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Why a configuration is not usable. Every variant says where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{path}: cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file that breaks its own syntax.
    #[error("{at}: {why}")]
    Syntax {
        /// The line.
        at: Origin,
        /// What is wrong with it.
        why: String,
    },
    /// A value that its key does not take.
    #[error("{at}: {key}={value}: must be {expected}")]
    BadValue {
        /// Where it is written.
        at: Origin,
        /// The key, as written.
        key: String,
        /// The value, as written. Any text is a good secret, so this is never one.
        value: String,
        /// The values it may have, with their range and unit.
        expected: String,
    },
    /// A key that nobody knows and that looks like one that is known.
    #[error("{at}: unknown key {key}: did you mean {nearest}?")]
    Typo {
        /// Where it is written.
        at: Origin,
        /// The key, as written.
        key: String,
        /// The nearest key that exists.
        nearest: String,
    },
    /// A key that nobody knows, where unknown keys are not accepted.
    #[error("{at}: unknown key {key}; the nearest is {nearest}")]
    UnknownKey {
        /// Where it is written.
        at: Origin,
        /// The key, as written.
        key: String,
        /// The nearest key that exists.
        nearest: String,
    },
    /// A key that cannot be ignored and is not supported.
    #[error("{at}: {key}={value} is refused: {why}")]
    Refused {
        /// Where it is written.
        at: Origin,
        /// The key, as written.
        key: String,
        /// The value, as written.
        value: String,
        /// What ignoring it would mean, and what to do.
        why: String,
    },
    /// Something that must be said and is not.
    #[error("{at}: {key} is not set: {why}")]
    Missing {
        /// The file it is missing from, or what needs it.
        at: String,
        /// The key.
        key: &'static str,
        /// What it is needed for.
        why: String,
    },
    /// Two settings, each good, that cannot hold together.
    #[error("{at}: {why}")]
    Conflict {
        /// Where one of them is written.
        at: Origin,
        /// Which they are, and why they exclude each other.
        why: String,
    },
    /// Every problem found, when there are several.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ConfigError>),
    /// The layers do not fit the types they were checked against: a bug, not the operator's fault.
    #[error("the settings cannot be put together: {0}")]
    Layers(String),
}

impl ConfigError {
    /// Each problem by itself.
    pub fn all(&self) -> Vec<&ConfigError> {
        match self {
            Self::Several(errors) => errors.iter().collect(),
            one => vec![one],
        }
    }
}

/// What kind of remark a [`Note`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The key means something this server does not have or does otherwise: nothing is lost.
    NotNeeded,
    /// The key asks for something that is not done yet: something is missing.
    NotYet,
    /// Nobody knows the key; ZooKeeper would make it a system property.
    Unknown,
    /// Accepted, but probably not what was meant.
    Warning,
}

/// A remark about a configuration that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How much it matters.
    pub kind: NoteKind,
    /// The key, as written.
    pub key: String,
    /// Where it is written.
    pub at: Origin,
    /// What follows from it.
    pub effect: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NoteKind::NotNeeded => "not needed",
            NoteKind::NotYet => "not yet supported",
            NoteKind::Unknown => "unknown",
            NoteKind::Warning => "warning",
        };
        write!(f, "{}: {}: {what}: {}", self.at, self.key, self.effect)
    }
}

/// Errors and remarks, gathered so that an operator sees all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) notes: Vec<Note>,
}

impl Findings {
    pub(crate) fn error(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    pub(crate) fn note(&mut self, kind: NoteKind, key: &str, at: &Origin, effect: impl Into<String>) {
        self.notes.push(Note { kind, key: key.to_owned(), at: at.clone(), effect: effect.into() });
    }

    /// The remarks, or all errors as one.
    pub(crate) fn finish(mut self) -> Result<Vec<Note>, ConfigError> {
        match self.errors.len() {
            0 => Ok(self.notes),
            1 => Err(self.errors.remove(0)),
            _ => Err(ConfigError::Several(self.errors)),
        }
    }
}
