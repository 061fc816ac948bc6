//! The forms a setting's value may have, and the one reader of all of them: whatever the layer, a
//! value arrives as text and leaves checked.

use config::ValueKind;

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Bool,
    /// A whole number in this range; also `0x…`, as Java's `Integer.getInteger` reads it.
    Int(i64, i64),
    /// A whole number up to this; 0 or less switches it off (`none`).
    IntOrOff(i64),
    /// A whole number up to this that sets a limit; 0 or less sets none and reads as 0.
    Limit(i64),
    /// A whole number in this range; -1 leaves it to the default.
    IntOrDefault(i64, i64),
    /// Any text but none.
    Text,
    /// Text that nobody prints: the configuration's owner knows it.
    Secret,
    /// One of these names, each with its other spellings.
    Choice(&'static [(&'static str, &'static [&'static str])]),
    /// The same, with the reason why no other that somebody may know is among them.
    ChoiceOnly(&'static [(&'static str, &'static [&'static str])], &'static str),
    /// Hours: a number, or one with the unit `ms`, `s`, `m`, `h` or `d`, rounded up.
    Hours(i64),
    /// Memory: bytes, with `KiB`, `MiB`, `GiB`, or a percentage of what there is; `0` or `off` for no limit.
    Memory,
    /// A share, such as 0.33; below 0 for none; above 1 reads as 0.33, as in ZooKeeper.
    Share,
    /// A part of a whole, such as 0.02; above 1 reads as 1.
    Fraction,
    /// Levels of logging: one of five, or `target=level` directives with commas between.
    Levels,
    /// Four-letter words with commas between, `*` for all; what is no command is kept, to be warned of.
    Words,
}

/// Every four-letter word there is. Source: ZooKeeper's `FourLetterCommands`.
pub const FOUR_LETTER_WORDS: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr",
    "stat", "stmk", "wchc", "wchp", "wchs",
];

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Kind {
    /// The value that `text` stands for, or `None` if it does not have this form.
    pub(crate) fn read(self, text: &str) -> Option<ValueKind> {
        let text = text.trim();
        match self {
            Self::Bool => boolean(text).map(ValueKind::Boolean),
            Self::Int(min, max) => in_range(text, min, max),
            Self::IntOrOff(max) => match integer(text)? {
                ..=0 => Some(ValueKind::Nil),
                _ => in_range(text, 1, max),
            },
            Self::Limit(max) => in_range(&integer(text)?.max(0).to_string(), 0, max),
            Self::IntOrDefault(min, max) => match integer(text)? {
                -1 => Some(ValueKind::Nil),
                _ => in_range(text, min, max),
            },
            Self::Text | Self::Secret => (!text.is_empty()).then(|| text.into()),
            Self::Choice(names) | Self::ChoiceOnly(names, _) => choice(names, text).map(ValueKind::from),
            Self::Hours(max) => hours(text).filter(|hours| *hours <= max).map(ValueKind::I64),
            Self::Memory => memory(text),
            Self::Share => crate::groups::Share::read(text).map(|share| share.to_string().into()),
            Self::Fraction => crate::groups::Fraction::read(text).map(|part| part.to_string().into()),
            Self::Levels => levels(text).then(|| text.into()),
            Self::Words => Some(words(text)),
        }
    }

    /// What the value must be, for a sentence that begins "must be".
    pub fn expected(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int(min, max) => format!("a whole number from {min} to {max}"),
            Self::IntOrOff(max) | Self::Limit(max) => {
                format!("a whole number up to {max}, 0 or less for none")
            }
            Self::IntOrDefault(min, max) => {
                format!("a whole number from {min} to {max}, or -1 for the default")
            }
            Self::Text | Self::Secret => "some text".to_owned(),
            Self::Choice(names) => one_of(names),
            Self::ChoiceOnly(names, why) => format!("{}; {why}", one_of(names)),
            Self::Hours(max) => {
                format!("a number of hours up to {max}, or one with the unit ms, s, m, h or d")
            }
            Self::Memory => "a percentage from 1% to 100%, bytes (1048576, 512MiB, 4GiB), or off".to_owned(),
            Self::Share => "a number up to 1, such as 0.33, or one below 0 for never".to_owned(),
            Self::Fraction => "a number from 0 to 1, such as 0.02".to_owned(),
            Self::Levels => "error, warn, info, debug, trace or off, or a list of target=level".to_owned(),
            Self::Words => format!("a list of four-letter words ({}), or *", FOUR_LETTER_WORDS.join(", ")),
        }
    }
}

fn one_of(names: &[(&str, &[&str])]) -> String {
    format!("one of {}", names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, is)| *is)
}

pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let digits_only = |digits: &str, radix| digits.chars().all(|c| c.is_digit(radix));
    let magnitude = match hexadecimal {
        Some(hex) if digits_only(hex, 16) => i64::from_str_radix(hex, 16).ok()?,
        None if digits_only(digits, 10) => digits.parse().ok()?,
        _ => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn in_range(text: &str, min: i64, max: i64) -> Option<ValueKind> {
    integer(text).filter(|number| (min..=max).contains(number)).map(ValueKind::I64)
}

fn choice(names: &'static [(&'static str, &'static [&'static str])], text: &str) -> Option<&'static str> {
    let is = |name: &&str| name.eq_ignore_ascii_case(text);
    names.iter().find(|(name, others)| is(name) || others.iter().any(&is)).map(|(name, _)| *name)
}

fn hours(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (integer(text[..unit_at].trim())?, &text[unit_at..]);
    let number = number.max(0); // 0 or less: off, as in ZooKeeper
    Some(match unit {
        "" | "h" => number,
        "d" => number.checked_mul(24)?,
        "m" => (number as u64).div_ceil(60) as i64,
        "s" => (number as u64).div_ceil(3_600) as i64,
        "ms" => (number as u64).div_ceil(3_600_000) as i64,
        _ => return None,
    })
}

fn memory(text: &str) -> Option<ValueKind> {
    if text == "0" || text.eq_ignore_ascii_case("off") {
        return Some(ValueKind::Nil);
    }
    memory_limit(text).map(|_| text.into())
}

/// Percent, or bytes; the reading behind [`Kind::Memory`].
pub(crate) fn memory_limit(text: &str) -> Option<crate::groups::MemoryLimit> {
    use crate::groups::MemoryLimit::{Bytes, Percent};
    if let Some(percent) = text.strip_suffix('%') {
        let percent = u8::try_from(integer(percent.trim())?).ok()?;
        return (1..=100).contains(&percent).then_some(Percent(percent));
    }
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit: u64 = match text[unit_at..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    let number = u64::try_from(integer(text[..unit_at].trim())?).ok()?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Bytes)
}

fn levels(text: &str) -> bool {
    let level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    text.split(',').all(|directive| match directive.trim().split_once('=') {
        Some((target, wanted)) => !target.is_empty() && level(wanted),
        None => level(directive.trim()),
    })
}

/// Whatever stands between two commas, as in ZooKeeper: what is no command allows none.
fn words(text: &str) -> ValueKind {
    let mut words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.contains(&"*") {
        words = FOUR_LETTER_WORDS.to_vec();
    }
    words.sort_unstable();
    words.dedup();
    ValueKind::Array(words.into_iter().map(config::Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kind` reads, as text: `-` for off, `!` for an error.
    fn check(kind: Kind, cases: &[(&str, &str)]) {
        for (text, expect) in cases {
            let read = match kind.read(text) {
                None => "!".to_owned(),
                Some(ValueKind::Nil) => "-".to_owned(),
                Some(ValueKind::Array(words)) => {
                    words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
                }
                Some(value) => value.to_string(),
            };
            assert_eq!(read, *expect, "{text:?} as {kind:?}");
        }
        assert!(!kind.expected().is_empty());
    }

    #[test]
    fn each_kind_reads_its_form_and_nothing_else() {
        check(
            Kind::Bool,
            &[("true", "true"), (" FALSE ", "false"), ("yes", "!"), ("1", "!"), ("", "!"), ("tru", "!")],
        );
        check(
            Kind::Int(1, 10),
            &[("1", "1"), ("10", "10"), ("0", "!"), ("11", "!"), ("0xa", "10"), ("0XA", "10"), ("ten", "!")],
        );
        check(
            Kind::Int(-5, i64::MAX),
            &[
                ("-5", "-5"),
                ("-6", "!"),
                ("--5", "!"),
                ("0x", "!"),
                ("+1", "!"),
                ("9223372036854775808", "!"),
            ],
        );
        check(Kind::IntOrOff(9), &[("9", "9"), ("10", "!"), ("0", "-"), ("-1", "-"), ("off", "!")]);
        check(Kind::Limit(9), &[("9", "9"), ("10", "!"), ("0", "0"), ("-1", "0"), ("off", "!")]);
        check(Kind::IntOrDefault(1, 9), &[("9", "9"), ("10", "!"), ("0", "!"), ("-1", "-"), ("-2", "!")]);
        check(Kind::Text, &[(" a b ", "a b"), ("", "!"), ("  ", "!")]);
        check(Kind::Secret, &[("super:x=", "super:x="), ("", "!")]);
        check(Kind::Choice(&[("sha1", &["SHA-1"])]), &[("SHA1", "sha1"), ("sha-1", "sha1"), ("md5", "!")]);
        check(
            Kind::Hours(240),
            &[("24", "24"), ("0", "0"), ("-1", "0"), ("2d", "48"), ("90m", "2"), ("1s", "1"), ("1ms", "1")],
        );
        check(
            Kind::Hours(240),
            &[("241", "!"), ("11d", "!"), ("1w", "!"), ("h", "!"), ("9223372036854775807d", "!")],
        );
        check(
            Kind::Memory,
            &[("80%", "80%"), ("1 %", "1 %"), ("0%", "!"), ("101%", "!"), ("512MiB", "512MiB"), ("4g", "4g")],
        );
        check(
            Kind::Memory,
            &[("off", "-"), ("0", "-"), ("0%", "!"), ("-1", "!"), ("many", "!"), ("99999999999999999g", "!")],
        );
        check(
            Kind::Share,
            &[
                ("0.5", "0.5"),
                ("1", "1"),
                ("2", "0.33"),
                ("-7", "-1"),
                ("0", "0"),
                ("1e-1", "0.1"),
                ("1e-9", "0"),
            ],
        );
        check(Kind::Share, &[("", "!"), ("much", "!"), ("NaN", "!"), ("0,5", "!"), ("-0.0000001", "-1")]);
        check(Kind::Fraction, &[("0.02", "0.02"), ("0", "0"), ("1", "1"), ("2", "1"), ("5e-7", "0.000001")]);
        check(Kind::Fraction, &[("", "!"), ("some", "!"), ("NaN", "!"), ("0,5", "!"), ("-0.1", "!")]);
        check(
            Kind::Levels,
            &[("Info", "Info"), ("warn,a::b=trace", "warn,a::b=trace"), ("loud", "!"), ("=info", "!")],
        );
        check(
            Kind::Words,
            &[
                ("stat, ruok,stat", "ruok stat"),
                ("", ""),
                ("reqs", "reqs"),
                ("ruok;stat", "ruok;stat"),
                ("ru k, :.,stat", ":. ru k stat"),
                ("ruok,,", "ruok"),
            ],
        );
        assert_eq!(
            Kind::Words
                .read("*")
                .and_then(|all| config::Value::new(None, all).into_array().ok())
                .unwrap()
                .len(),
            18
        );
    }

    #[test]
    fn memory_counts_in_binary_units() {
        use crate::groups::MemoryLimit::{Bytes, Percent};
        for (text, limit) in [
            ("80%", Percent(80)),
            ("1024", Bytes(1024)),
            ("1KiB", Bytes(1024)),
            ("512 MiB", Bytes(512 << 20)),
            ("4GiB", Bytes(4 << 30)),
        ] {
            assert_eq!(memory_limit(text), Some(limit), "{text}");
        }
    }
}
