//! One layer on top of another, by config-rs: it nests names at their dots and lets the later win.
//! What it is given has been checked already, so it cannot refuse anything.

use std::collections::BTreeMap;

use config::{Map, Source, Value, ValueKind};

use crate::Config;
use crate::error::{ConfigError, Findings, NoteKind, Origin};
use crate::keys::nearest;
use crate::members::{MemberLine, Server, is_member_key};
use crate::settings::{self, SETTINGS};

/// What one source sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    values: BTreeMap<&'static str, (ValueKind, Origin)>,
    pub(crate) members: Vec<MemberLine>,
}

/// The value of a setting and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) value: ValueKind,
    pub(crate) at: Origin,
}

impl Layer {
    /// The defaults, with or without a file.
    pub(crate) fn defaults(with_file: bool) -> Self {
        let mut layer = Self::default();
        for setting in SETTINGS {
            let text = if with_file { setting.with_file } else { setting.default };
            let value = if text.is_empty() { Some(ValueKind::Nil) } else { setting.kind.read(text) };
            let value = value.expect("CF2: a default is a value of its kind");
            layer.values.insert(setting.name, (value, Origin::Default));
        }
        layer
    }

    /// Sets `name` to `text`, written as `key`, if it is a value of its kind.
    pub(crate) fn set(
        &mut self,
        name: &'static str,
        key: &str,
        text: &str,
        at: &Origin,
        findings: &mut Findings,
    ) {
        let setting = settings::find(name).expect("CK2: every row names a setting");
        match setting.kind.read(text) {
            Some(value) => drop(self.values.insert(setting.name, (value, at.clone()))),
            None => findings.error(ConfigError::BadValue {
                at: at.clone(),
                key: key.to_owned(),
                value: text.to_owned(),
                expected: setting.kind.expected(),
            }),
        }
    }

    /// Sets `name` to a value of its kind.
    pub(crate) fn put(&mut self, name: &'static str, value: ValueKind, at: Origin) {
        debug_assert!(settings::find(name).is_some(), "{name}");
        self.values.insert(name, (value, at));
    }

    /// Sets by Paddock's own name, or adds a member line. An unknown name is an error where `strict`,
    /// or where it is nearly one that exists; else a remark.
    pub(crate) fn set_own(
        &mut self,
        name: &str,
        written: (&str, &str),
        at: &Origin,
        strict: bool,
        findings: &mut Findings,
    ) {
        let (key, text) = written;
        if let Some(setting) = settings::find(name) {
            return self.set(setting.name, key, text, at, findings);
        }
        if is_member_key(name) {
            let line = MemberLine { key: name.to_owned(), value: text.trim().to_owned(), at: at.clone() };
            return self.members.push(line);
        }
        let (nearest, near) = nearest_setting(name);
        let (at, key) = (at.clone(), key.to_owned());
        match (near, strict) {
            (true, _) => findings.error(ConfigError::Typo { at, key, nearest }),
            (false, true) => findings.error(ConfigError::UnknownKey { at, key, nearest }),
            (false, false) => findings.note(
                NoteKind::Unknown,
                &key,
                &at,
                format!("ignored; the nearest setting is {nearest}"),
            ),
        }
    }
}

/// The setting meant by an unknown name: what ZooKeeper's key of that name sets, else the nearest.
fn nearest_setting(name: &str) -> (String, bool) {
    use crate::keys::{Outcome, find};
    if let Some(Outcome::Honoured(setting, _)) = find(name).map(|row| row.outcome) {
        return (setting.to_owned(), true);
    }
    let names = SETTINGS.iter().map(|setting| setting.name).chain(["server.1", "group.1", "weight.1"]);
    let (name, near) = nearest(name, names).expect("there are settings");
    (name.to_owned(), near)
}

/// A [`Layer`] as config-rs takes it.
#[derive(Clone, Debug)]
struct Given(Map<String, Value>);

impl Source for Given {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }

    /// The same as without it, but that no name is parsed: they are our own.
    fn collect_to(&self, cache: &mut Value) -> Result<(), config::ConfigError> {
        self.0.iter().for_each(|(name, value)| put(cache, name, value.clone()));
        Ok(())
    }
}

/// Puts `value` where the steps of `name` lead, as config-rs does.
fn put(root: &mut Value, name: &str, value: Value) {
    let mut at = root;
    for step in name.split('.') {
        if !matches!(at.kind, ValueKind::Table(_)) {
            *at = Value::from(Map::<String, Value>::new());
        }
        let ValueKind::Table(table) = &mut at.kind else { unreachable!("it is one now") };
        at = table.entry(step.to_owned()).or_insert_with(|| Value::new(None, ValueKind::Nil));
    }
    *at = value;
}

/// All layers as one.
#[derive(Debug)]
pub(crate) struct Merged {
    cache: config::Config,
    found: BTreeMap<&'static str, Found>,
    pub(crate) members: Vec<MemberLine>,
}

impl Merged {
    /// Puts `layers` on top of each other, the last on top.
    pub(crate) fn of(layers: &[Layer]) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        let mut origins = BTreeMap::new();
        for layer in layers {
            let mut map = Map::new();
            for (name, (value, at)) in &layer.values {
                let told = at.to_string();
                map.insert((*name).to_owned(), Value::new(Some(&told), value.clone()));
                origins.insert(told, at.clone());
            }
            builder = builder.add_source(Given(map));
        }
        let cache = builder.build().map_err(|error| broken(&error))?;
        let found = SETTINGS
            .iter()
            .filter_map(|setting| Some((setting.name, look_up(&cache.cache, setting.name, &origins)?)))
            .collect();
        let members = layers.iter().rev().find(|layer| !layer.members.is_empty());
        Ok(Self { cache, found, members: members.map(|layer| layer.members.clone()).unwrap_or_default() })
    }

    /// The effective value of a setting, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<&Found> {
        debug_assert!(settings::find(name).is_some(), "{name}");
        self.found.get(name).filter(|found| found.value != ValueKind::Nil)
    }

    /// The effective value of a setting that takes whole numbers.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)?.value {
            ValueKind::I64(number) => Some(number),
            _ => None,
        }
    }

    /// The effective value of a setting that takes text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Where the effective value of a setting comes from.
    pub(crate) fn at(&self, name: &str) -> Origin {
        self.found.get(name).map_or(Origin::Default, |found| found.at.clone())
    }

    /// Where a member's line is, if it has one. Two members never have the same line.
    pub(crate) fn member_at(&self, server: Option<&Server>) -> Origin {
        let is_line = |line: &&MemberLine| {
            server.is_some_and(|server| Server::read(&line.value).as_ref() == Ok(server))
        };
        self.members.iter().find(is_line).map_or(Origin::Default, |line| line.at.clone())
    }

    /// As the types of [`Config`].
    pub(crate) fn typed(&self) -> Result<Config, ConfigError> {
        self.cache.clone().try_deserialize().map_err(|error| broken(&error))
    }
}

fn broken(error: &config::ConfigError) -> ConfigError {
    ConfigError::Layers(error.to_string())
}

fn look_up(root: &Value, name: &str, origins: &BTreeMap<String, Origin>) -> Option<Found> {
    let mut value = root;
    for step in name.split('.') {
        let ValueKind::Table(table) = &value.kind else { return None };
        value = table.get(step)?;
    }
    let at = origins.get(value.origin()?)?.clone();
    Some(Found { value: value.kind.clone(), at })
}
