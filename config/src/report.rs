//! What `paddock check-config` prints: each value with its origin, then the remarks.

use std::fmt;
use std::net::SocketAddr;

use config::ValueKind;
use serde::Serialize;

use crate::error::{Note, Origin};
use crate::groups::HIDDEN;
use crate::kind::Kind;
use crate::layers::Merged;
use crate::load::Loaded;
use crate::settings::SETTINGS;

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its name, or that of a member line.
    pub name: String,
    /// Its value; `None` for none, `(hidden)` for a secret.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}

/// A [`Loaded`] for reading: `Display` is text, `Serialize` what `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    settings: &'a [Effective],
    notes: &'a [Note],
}

impl Loaded {
    /// The configuration as it is to be printed.
    pub fn report(&self) -> Report<'_> {
        Report { settings: &self.origins, notes: &self.notes }
    }

    /// Where the value of a setting was written; `None` for a name that is none.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.iter().find(|effective| effective.name == name).map(|effective| &effective.origin)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |effective: &Effective| {
            let value = effective.value.as_deref().unwrap_or("none");
            (format!("{} = {value}", effective.name), effective.origin.to_string())
        };
        let lines: Vec<_> = self.settings.iter().map(line).collect();
        let width = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0).min(60);
        for (text, origin) in lines {
            writeln!(f, "{text:width$}  # {origin}")?;
        }
        for note in self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

/// Every setting, then where clients are listened to, then the member lines.
pub(crate) fn effective(
    merged: &Merged,
    client_addr: Option<SocketAddr>,
    client_at: Origin,
) -> Vec<Effective> {
    let mut all: Vec<Effective> = Vec::with_capacity(SETTINGS.len() + 1);
    for setting in SETTINGS {
        let value = merged.get(setting.name).map(|found| match setting.kind {
            Kind::Secret => HIDDEN.to_owned(),
            _ => text(&found.value),
        });
        all.push(Effective { name: setting.name.to_owned(), value, origin: merged.at(setting.name) });
    }
    let value = client_addr.map(|addr| addr.to_string());
    all.push(Effective { name: "client_addr".to_owned(), value, origin: client_at });
    all.extend(merged.members.iter().map(|line| Effective {
        name: line.key.clone(),
        value: Some(line.value.clone()),
        origin: line.at.clone(),
    }));
    all
}

fn text(value: &ValueKind) -> String {
    match value {
        ValueKind::Array(items) => {
            items.iter().map(|item| item.kind.to_string()).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}
