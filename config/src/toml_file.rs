//! A TOML file: Paddock's own names, and no other key.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, Findings, Origin};
use crate::layers::Layer;

/// Reads `text` as TOML into a layer. Every key must be a setting's name or a member line.
pub(crate) fn read(path: &Path, text: &str, findings: &mut Findings) -> Layer {
    let mut layer = Layer::default();
    let at = |offset: usize| Origin::File { path: path.to_owned(), line: line_of(text, offset) };
    match DeTable::parse(text) {
        Ok(table) => walk("", table.get_ref(), &mut |name, offset, value| match plain(value) {
            Some(plain) => layer.set_own(name, (name, &plain), &at(offset), true, findings),
            None => findings.error(ConfigError::BadValue {
                at: at(offset),
                key: name.to_owned(),
                value: format!("({})", value.type_str()),
                expected: "a string, a number, true or false, or a list of strings".to_owned(),
            }),
        }),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            findings.error(ConfigError::Syntax { at: at(offset), why: error.message().trim().to_owned() });
        }
    }
    layer
}

fn line_of(text: &str, offset: usize) -> u32 {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u32
}

/// Visits every value that is no table, with its dotted name and its place.
fn walk<'a>(prefix: &str, table: &DeTable<'a>, visit: &mut impl FnMut(&str, usize, &DeValue<'a>)) {
    // In the order of the text: the first error an operator reads is the first in the file.
    let mut entries: Vec<(&str, &Spanned<DeValue<'a>>, usize)> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), value, key.span().start)).collect();
    entries.sort_by_key(|(_, _, offset)| *offset);
    for (key, value, offset) in entries {
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match value.get_ref() {
            DeValue::Table(inner) => walk(&name, inner, visit),
            other => visit(&name, offset, other),
        }
    }
}

/// A value as the text that a properties file would have for it; `None` if it has none.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(is) => Some(is.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            items.collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
