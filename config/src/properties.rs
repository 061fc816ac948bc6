//! Java properties syntax, as `java.util.Properties.load` reads it, with line numbers kept.
//!
//! A logical line is a key, a separator (`=`, `:` or blanks) and a value. A line whose first
//! non-blank character is `#` or `!` is a comment; a line that ends in an odd number of backslashes
//! goes on in the next one, whose leading blanks are dropped. `\t \n \r \f` and `\uXXXX` are escapes;
//! a backslash before any other character is dropped. The last of several equal keys wins.
//! Values are trimmed, as `QuorumPeerConfig` does.
//!
//! - PR1  Any input gives entries or an error that names a line: never a panic.

use std::collections::BTreeMap;

/// One key of a properties file and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped and trimmed.
    pub value: String,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// A properties file: each key once, with its last value, in the order of those lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// What counts.
    pub entries: Vec<Entry>,
    /// Entries that a later line with the same key replaced.
    pub replaced: Vec<Entry>,
}

/// A `\u` escape without four hexadecimal digits: the only way a properties file can be malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct MalformedEscape {
    /// The line its logical line begins on, from 1.
    pub line: u32,
}

/// Reads properties text. Fails only on a malformed `\uXXXX` (as Java does).
pub fn parse(text: &str) -> Result<Properties, MalformedEscape> {
    let mut all = Vec::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split_key(&logical);
        let malformed = MalformedEscape { line };
        let key = unescape(key).ok_or_else(|| malformed.clone())?;
        let value = unescape(value).ok_or(malformed)?.trim().to_owned();
        all.push(Entry { key: key.trim().to_owned(), value, line });
    }
    Ok(last_wins(all))
}

fn last_wins(all: Vec<Entry>) -> Properties {
    let last: BTreeMap<String, usize> =
        all.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
    let mut properties = Properties::default();
    for (at, entry) in all.into_iter().enumerate() {
        if last[&entry.key] == at {
            properties.entries.push(entry);
        } else {
            properties.replaced.push(entry);
        }
    }
    properties
}

/// Java ends a line at `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = Some(text);
    let mut number = 0;
    std::iter::from_fn(move || {
        let text = rest?;
        number += 1;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some((number, text));
        };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some((number, &text[..end]))
    })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Lines joined at their continuations, without comments and empty lines, each with the number of
/// its first line.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut out = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (number, line) in natural_lines(text) {
        let line = line.trim_start_matches(is_blank);
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let (first, mut joined) = open.take().unwrap_or((number, String::new()));
        if continues(line) {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((first, joined));
        } else {
            joined.push_str(line);
            out.push((first, joined));
        }
    }
    out.extend(open); // the text ended in a backslash
    out.retain(|(_, line)| !line.is_empty());
    out
}

/// Splits at the first unescaped separator: blanks, then at most one `=` or `:`, then blanks.
fn split_key(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c| {
        let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(is_blank))
}

/// Resolves escapes; `None` on a `\u` without four hexadecimal digits. Pairs of surrogates make one
/// character; one alone has none and becomes U+FFFD.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            match chars.next() {
                None => break,
                Some('u') => {
                    units.push(four_digits(&mut chars)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
            }
        } else {
            c
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

fn four_digits(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0, |sum: u16, _| Some(sum << 4 | chars.next()?.to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, u32)> {
        parse(text).unwrap().entries.into_iter().map(|e| (e.key, e.value, e.line)).collect()
    }

    #[test]
    fn reads_what_java_reads() {
        // From the examples of java.util.Properties.load, and the ways real files are written.
        for (text, key, value) in [
            ("a=1", "a", "1"),
            ("a:1", "a", "1"),
            ("a 1", "a", "1"),
            ("a\t1", "a", "1"),
            ("  a  =  1  ", "a", "1"),
            ("a : = 1", "a", "= 1"),
            ("a", "a", ""),
            ("a=", "a", ""),
            ("=1", "", "1"),
            ("a\\=b=1", "a=b", "1"),
            ("a\\:b\\ c=1", "a:b c", "1"),
            ("a=b=c", "a", "b=c"),
            ("a=x\\ty", "a", "x\ty"),
            ("a=C:\\\\data", "a", "C:\\data"),
            ("a=\\q", "a", "q"),
            ("a=caf\\u00E9", "a", "café"),
            ("a=\\ud83d\\ude00", "a", "😀"),
            ("a=\\ud83d", "a", "\u{fffd}"),
            ("a=1 # not a comment", "a", "1 # not a comment"),
            ("a=1,\\\n    2,\\\n    3", "a", "1,2,3"),
            ("a=1\\\n# part of the value", "a", "1# part of the value"),
            ("a=1\\\\\nb=2", "a", "1\\"),
            ("a=1\\", "a", "1"),
            ("server.1=h:1:2;3", "server.1", "h:1:2;3"),
        ] {
            let first = pairs(text).into_iter().next().unwrap_or_else(|| panic!("nothing in {text:?}"));
            assert_eq!((first.0.as_str(), first.1.as_str()), (key, value), "{text:?}");
        }
    }

    #[test]
    fn skips_comments_and_keeps_line_numbers() {
        let text = "# c\r\n! c\r\n\r\n  # c\\\na=1\\\n  2\nb=3\rc=4\\\n";
        let expect = [("a", "12", 5), ("b", "3", 7), ("c", "4", 8)];
        assert_eq!(pairs(text), expect.map(|(k, v, l)| (k.to_owned(), v.to_owned(), l)));
    }

    #[test]
    fn the_last_duplicate_wins_and_the_others_are_told() {
        let read = parse("a=1\nb=2\na=3\n").unwrap();
        assert_eq!(
            read.entries.iter().map(|e| (e.key.as_str(), e.line)).collect::<Vec<_>>(),
            [("b", 2), ("a", 3)]
        );
        assert_eq!(read.replaced.iter().map(|e| (e.value.as_str(), e.line)).collect::<Vec<_>>(), [("1", 1)]);
    }

    #[test]
    fn a_malformed_escape_names_its_line() {
        for text in ["\n\na=\\u12", "\n\na=\\u12g4", "\n\n\\u=1", "\n\na=\\u+123"] {
            assert_eq!(parse(text), Err(MalformedEscape { line: 3 }), "{text:?}");
        }
    }

    proptest! {
        /// PR1.
        #[test]
        fn pr1_never_panics(text in "(\\PC|[ \\t\\r\\n\\\\=:#!u0-9a-f]){0,80}") {
            let lines = natural_lines(&text).count() as u32;
            match parse(&text) {
                Ok(read) => prop_assert!(read.entries.iter().all(|e| (1..=lines).contains(&e.line))),
                Err(error) => prop_assert!((1..=lines).contains(&error.line)),
            }
        }

        #[test]
        fn reads_back_what_is_escaped(key in "\\PC{1,20}", value in "\\PC{0,20}") {
            let escape = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            let read = pairs(&format!("{}={}", escape(&key), escape(&value)));
            prop_assert_eq!(read, vec![(key.trim().to_owned(), value.trim().to_owned(), 1)]);
        }
    }
}
