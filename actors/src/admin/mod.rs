//! An operator's questions: four-letter words on the client port, metrics over HTTP.
//!
//! Answers are pure functions of plain facts, which whoever owns them collects; meters are moved once
//! per batch by whoever does the work. What must hold:
//! - AD1  An answer has ZooKeeper's shape to the byte, so that the tools which read it need no change.
//! - AD2  Every name that ZooKeeper's guides know stands in one table once: moved by a named test, or
//!   not applicable with the reason, and then absent.
//! - AD3  A name is served if and only if a test moves it.
//! - AD4  Of any summary min ≤ average ≤ max, and its count is the sum of its buckets.
//! - AD5  What clients write, such as the name of a znode, cannot add or break a line of metrics.
//! - AD6  While the member does not serve, only words that ask nothing of the tree are answered.
//! - AD10 An operator's change of the members passes every check of a client's reconfig by super, and one more: whoever gets
//!   a vote is in sync. It is asked on a connection that nobody but the process itself can make; no client can have its rights.

pub mod actor;
pub mod alone;
pub mod api;
pub mod collect;
pub mod ensemble;
pub mod four_letter;
pub mod guard;
pub mod http;
pub mod members;
pub mod metrics;
pub mod move_leader;
mod reconfig_client;
pub mod socket;
pub mod status;

use std::fmt::Write;

/// The version of ZooKeeper this member looks like to tools: they compare it to know what to expect.
pub const ZOOKEEPER_VERSION: &str = "3.9.6";

/// When this version was released. A constant, so that a build can be reproduced; it changes together
/// with the crate's version.
pub const RELEASED: &str = "2026-11-20 00:00 UTC";

/// `<ZooKeeper's version>-paddock-<own version>, built on <date>`: tools read up to the first `-` or `,`.
/// Source: Version.java, getFullVersion.
pub fn full_version() -> String {
    format!("{ZOOKEEPER_VERSION}-paddock-{}, built on {RELEASED}", env!("CARGO_PKG_VERSION"))
}

/// Writes a line to a text in memory.
macro_rules! line {
    ($text:expr, $($args:tt)*) => {
        std::fmt::Write::write_fmt($text, format_args!("{}\n", format_args!($($args)*)))
            .expect("writing to a String does not fail")
    };
}
pub(crate) use line;

/// A number as the Java server prints an average: up to 4 digits after the point, at least one.
pub(crate) fn decimal(value: f64) -> String {
    if !value.is_finite() {
        return "NaN".into();
    }
    let mut text = String::new();
    write!(text, "{value:.4}").expect("writing to a String does not fail");
    let kept = text.trim_end_matches('0').len();
    text.truncate(kept);
    if text.ends_with('.') {
        text.push('0');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_look_like_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (2.6, "2.6"),
            (0.754_41, "0.7544"),
            (100.0, "100.0"),
            (1.000_04, "1.0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(decimal(value), text);
        }
    }

    #[test]
    fn the_version_names_both() {
        let version = full_version();
        assert!(version.starts_with("3.9.6-paddock-"), "{version}");
        assert!(version.ends_with(", built on 2026-11-20 00:00 UTC"), "{version}");
    }
}
