//! The way from the sources to a [`Config`]: read, layer, derive, check.

use std::io;
use std::path::{Path, PathBuf};

use crate::Config;
use crate::environment::Environment;
use crate::error::{ConfigError, Findings, Note, Origin};
use crate::layers::{Layer, Merged};
use crate::machine::Machine;
use crate::members::{MemberLine, Members, is_member_key};
use crate::report::{Effective, effective};
use crate::zoo_cfg::{Gathered, Written};
use crate::{properties, toml_file, validity};

/// Where a configuration comes from. Nothing else is looked at: no global environment, no arguments.
#[derive(Clone, Debug)]
pub struct Sources<E, F> {
    /// `zoo.cfg` or TOML; `None` for a node without a file.
    pub file: Option<PathBuf>,
    /// Whether what is written nowhere is as it is with a file, though there is none.
    pub like_file: bool,
    /// Environment variables.
    pub env: E,
    /// Flags: a setting's name (`-` may stand for `_`) and its value.
    pub flags: F,
}

impl Sources<[(String, String); 0], [(String, String); 0]> {
    /// A file, or none, and nothing else.
    pub fn file(file: Option<PathBuf>) -> Self {
        Self { file, like_file: false, env: [], flags: [] }
    }
}

/// A configuration, and what is to be told about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// Every setting's value and where it was written.
    pub origins: Vec<Effective>,
    /// What was ignored, is missing, or is probably not meant; in the order of their places.
    pub notes: Vec<Note>,
}

pub(crate) fn load<E, F>(machine: &dyn Machine, sources: Sources<E, F>) -> Result<Loaded, ConfigError>
where
    E: IntoIterator<Item = (String, String)>,
    F: IntoIterator<Item = (String, String)>,
{
    let (mut findings, mut gathered) = (Findings::default(), Gathered::default());
    let env = Environment::of(sources.env);
    let defaults = Layer::defaults(sources.file.is_some() || sources.like_file);
    let jvm = env.jvm_flags(&mut gathered, &mut findings);
    let mut file = read_file(machine, sources.file.as_deref(), &mut gathered, &mut findings)?;
    let zoo = env.zoo(&mut gathered, &mut findings);
    let paddock = env.paddock(&mut findings);
    let flags = flags(sources.flags, &mut findings);

    let requests = gathered.judge(&mut findings);
    if let Some((path, at)) = &requests.dynamic_file {
        read_dynamic(machine, path, at, &mut file, &mut findings);
    }
    let version = requests.dynamic_file.as_ref().map_or(0, |(path, _)| version_of(path));

    let mut layers = vec![defaults, jvm, file, zoo, paddock, flags];
    let merged = Merged::of(&layers)?;
    layers.push(validity::derived(machine, &merged, sources.file.as_deref(), &mut findings));
    let merged = Merged::of(&layers)?;
    let members = Members { version, ..Members::from_lines(&merged.members, &mut findings) };

    let checked = validity::check(machine, &merged, members, &requests, &mut findings);
    let mut notes = findings.finish()?;
    let mut config = merged.typed()?;
    (config.client_addr, config.members) = (checked.client_addr, checked.members);
    sort(&mut notes);
    let origins = effective(&merged, checked.client_addr, checked.client_at);
    Ok(Loaded { config, origins, notes })
}

/// By place; a key told twice with the same words is told once.
fn sort(notes: &mut Vec<Note>) {
    notes.sort_by(|a, b| (&a.at, &a.key).cmp(&(&b.at, &b.key)));
    notes.dedup();
}

fn read(machine: &dyn Machine, path: &Path) -> Result<String, ConfigError> {
    let why = |error: io::Error| ConfigError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let bytes = machine.read(path).map_err(why)?;
    // Java reads Latin-1; people write UTF-8, which is the same for every key there is.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect()))
}

fn read_file(
    machine: &dyn Machine,
    path: Option<&Path>,
    gathered: &mut Gathered,
    findings: &mut Findings,
) -> Result<Layer, ConfigError> {
    let Some(path) = path else { return Ok(Layer::default()) };
    let text = read(machine, path)?;
    if is_toml(path, &text) {
        return Ok(toml_file::read(path, &text, findings));
    }
    let mut layer = Layer::default();
    let lines = read_properties(path, &text, findings)?;
    gathered.file(lines, &mut layer, findings);
    Ok(layer)
}

/// By the name's ending, else by what only TOML has: a `[table]` or a quoted value.
fn is_toml(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => true,
        Some("cfg" | "properties" | "conf") => false,
        _ => text.lines().map(str::trim).any(|line| {
            let value = line.split_once('=').map_or("", |(_, value)| value.trim_start());
            line.starts_with('[') && line.ends_with(']')
                || !line.starts_with('#') && value.starts_with(['"', '\''])
        }),
    }
}

fn read_properties(path: &Path, text: &str, findings: &mut Findings) -> Result<Vec<Written>, ConfigError> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let read = properties::parse(text).map_err(|error| ConfigError::Syntax {
        at: at(error.line),
        why: "\\u must be followed by four hexadecimal digits".to_owned(),
    })?;
    for old in read.replaced {
        let effect = "replaced by a later line with the same key";
        findings.note(crate::NoteKind::Warning, &old.key, &at(old.line), effect);
    }
    let written =
        |entry: properties::Entry| Written { at: at(entry.line), key: entry.key, value: entry.value };
    Ok(read.entries.into_iter().map(written).collect())
}

/// The member list of a file of its own. Source: compat: QuorumPeerConfig.java, parse.
fn read_dynamic(machine: &dyn Machine, path: &Path, at: &Origin, layer: &mut Layer, findings: &mut Findings) {
    if let Some(line) = layer.members.first() {
        let why = format!("{} must be in {}, the dynamic file that is named here", line.key, path.display());
        findings.error(ConfigError::Conflict { at: at.clone(), why });
    }
    let lines = read(machine, path).and_then(|text| read_properties(path, &text, findings));
    let lines = match lines {
        Ok(lines) => lines,
        Err(error) => return findings.error(error),
    };
    for Written { key, value, at } in lines {
        if is_member_key(&key) {
            layer.members.push(MemberLine { key, value, at });
        } else if key == "version" {
            let why = "a dynamic file has no version line: its version is the end of its name".to_owned();
            findings.error(ConfigError::Syntax { at, why });
        } else {
            let nearest = "server.<id>, group.<number> or weight.<id>".to_owned();
            findings.error(ConfigError::UnknownKey { at, key, nearest });
        }
    }
}

/// `zoo.cfg.dynamic.100000000` is of zxid 0x100000000; a name without a hexadecimal end of 0.
fn version_of(path: &Path) -> u64 {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
}

fn flags(flags: impl IntoIterator<Item = (String, String)>, findings: &mut Findings) -> Layer {
    let mut layer = Layer::default();
    for (name, value) in flags {
        let at = Origin::Flag(name.clone());
        layer.set_own(&name.replace('-', "_"), (&name, &value), &at, true, findings);
    }
    layer
}
