//! The result, as a table for people or as JSON.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::tally::Tally;
use crate::args::{Bench, BenchOp};

/// What is told of latencies: heading, name in JSON, quantile.
const QUANTILES: &[(&str, &str, f64)] =
    &[("p50", "p50", 0.5), ("p90", "p90", 0.9), ("p99", "p99", 0.99), ("p99.9", "p99_9", 0.999)];

/// Of so many requests one may be due at the very end, and not sent, without a word about it.
const UNSENT_IS_NEWS: u64 = 1_000;

/// What was measured, and how it ended.
pub(super) struct Report<'a> {
    pub(super) args: &'a Bench,
    pub(super) tally: &'a Tally,
    /// How long replies were counted.
    pub(super) seconds: f64,
    pub(super) interrupted: bool,
    /// What went wrong, in words.
    pub(super) faults: &'a [String],
}

impl Report<'_> {
    /// The kinds of request, each with its latencies.
    fn rows(&self) -> Vec<(&'static str, Histogram<u64>)> {
        let name = match self.args.op {
            BenchOp::Set => "set",
            BenchOp::Get => "get",
            BenchOp::Create => "create",
            BenchOp::Delete => "delete",
            BenchOp::Exists => "exists",
            BenchOp::Children => "children",
            BenchOp::Mix => "mix",
        };
        let mut rows = vec![(name, self.tally.all())];
        if self.args.op == BenchOp::Mix {
            rows.push(("- get", self.tally.reads.clone()));
            rows.push(("- set", self.tally.writes.clone()));
        }
        rows
    }

    fn per_second(&self, replies: u64) -> f64 {
        if self.seconds > 0.0 { replies as f64 / self.seconds } else { 0.0 }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let args = self.args;
        let mut text = format!(
            "{} clients x {} in flight at {}, {} bytes of data, {:.1} s{}\n",
            args.clients,
            args.pipeline,
            args.server,
            args.value_size,
            self.seconds,
            if self.interrupted { ", interrupted" } else { "" },
        );
        let mut line = |cells: [&str; 9]| {
            let [name, numbers @ ..] = cells;
            let _ = write!(text, "{name:<10}");
            numbers.iter().for_each(|number| text.push_str(&format!("{number:>13}")));
            text.push('\n');
        };
        line(["", "ops/s", "replies", "min us", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us"]);
        for (name, latencies) in self.rows() {
            let mut cells =
                vec![grouped(self.per_second(latencies.len()).round() as u64), grouped(latencies.len())];
            cells.push(grouped(latencies.min()));
            cells.extend(QUANTILES.iter().map(|(_, _, at)| grouped(latencies.value_at_quantile(*at))));
            cells.push(grouped(latencies.max()));
            let [a, b, c, d, e, f, g, h] = &cells[..] else { unreachable!("eight were pushed") };
            line([name, a, b, c, d, e, f, g, h]);
        }
        if self.tally.unsent * UNSENT_IS_NEWS > self.tally.all().len() {
            let _ = writeln!(
                text,
                "{} requests were due and never sent: the server (or this machine) cannot take the rate",
                grouped(self.tally.unsent)
            );
        }
        if self.faults.is_empty() {
            text.push_str("every reply was right\n");
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let args = self.args;
        let mut value = json!({
            "server": args.server,
            "op": self.rows()[0].0,
            "clients": args.clients,
            "pipeline": args.pipeline,
            "value_size": args.value_size,
            "znodes": args.znodes,
            "rate": args.rate,
            "threads": args.threads,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "unsent": self.tally.unsent,
            "faults": self.faults,
        });
        for (name, latencies) in self.rows() {
            let part = self.json_row(&latencies);
            if let Some(name) = name.strip_prefix("- ") {
                value[name] = part;
            } else {
                let Value::Object(fields) = part else { unreachable!("it is made as an object") };
                fields.into_iter().for_each(|(key, field)| value[key] = field);
            }
        }
        value
    }

    fn json_row(&self, latencies: &Histogram<u64>) -> Value {
        let mut us = json!({ "min": latencies.min(), "mean": latencies.mean(), "max": latencies.max() });
        for (_, name, at) in QUANTILES {
            us[*name] = latencies.value_at_quantile(*at).into();
        }
        json!({
            "replies": latencies.len(),
            "ops_per_second": self.per_second(latencies.len()),
            "latency_us": us,
        })
    }
}

/// One line about the last interval.
pub(super) fn progress(at_s: f64, interval_s: f64, tally: &Tally) -> String {
    let all = tally.all();
    if all.is_empty() {
        return format!("{at_s:6.1} s  warming up");
    }
    format!(
        "{at_s:6.1} s  {:>11} ops/s  p50 {:>9} us  p99 {:>9} us  max {:>9} us",
        grouped((all.len() as f64 / interval_s) as u64),
        grouped(all.value_at_quantile(0.5)),
        grouped(all.value_at_quantile(0.99)),
        grouped(all.max()),
    )
}

/// 1234567 as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn args(words: &[&str]) -> Bench {
        let Command::Bench(args) = Arguments::parse_from(["paddock", "bench"].iter().chain(words)).command
        else {
            panic!("bench was asked for")
        };
        args
    }

    fn tally() -> Tally {
        let mut tally = Tally::new();
        (1..=900).for_each(|us| tally.record(true, 0, us * 1_000));
        (1..=100).for_each(|ms| tally.record(false, 0, ms * 1_000_000));
        tally
    }

    #[test]
    fn the_table_has_a_line_a_kind() {
        let (args, tally) = (args(&["--op", "mix", "--clients", "3"]), tally());
        let report = Report { args: &args, tally: &tally, seconds: 0.5, interrupted: true, faults: &[] };
        let text = report.text();
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(text.starts_with(
            "3 clients x 1 in flight at 127.0.0.1:2181, 100 bytes of data, 0.5 s, interrupted\n"
        ));
        assert_eq!(lines[2][..5], ["mix", "2,000", "1,000", "1", "500"]);
        assert_eq!(lines[3][..4], ["-", "get", "1,800", "900"]);
        assert_eq!(lines[4][..4], ["-", "set", "200", "100"]);
        assert!(text.ends_with("every reply was right\n"));
    }

    #[test]
    fn json_says_the_same() {
        let (args, tally) = (args(&["--op", "mix", "--rate", "5000"]), tally());
        let faults = ["what was wrong".to_owned()];
        let report = Report { args: &args, tally: &tally, seconds: 0.5, interrupted: false, faults: &faults };
        let json = report.json();
        assert_eq!(
            (&json["op"], &json["replies"], &json["rate"]),
            (&"mix".into(), &1_000.into(), &5_000.0.into())
        );
        assert_eq!(json["latency_us"]["p50"], 500);
        assert_eq!((&json["get"]["replies"], &json["set"]["ops_per_second"]), (&900.into(), &200.0.into()));
        assert_eq!(
            (&json["get"]["latency_us"]["p99_9"], &json["faults"][0]),
            (&900.into(), &"what was wrong".into())
        );
        assert!(!report.text().contains("every reply was right"));
    }

    #[test]
    fn what_was_never_sent_is_said() {
        let (args, mut tally) = (args(&["--rate", "1e6"]), tally());
        tally.unsent = 1_234;
        let report = Report { args: &args, tally: &tally, seconds: 1.0, interrupted: false, faults: &[] };
        assert!(report.text().contains("1,234 requests were due and never sent"));
        tally.unsent = 1;
        let report = Report { args: &args, tally: &tally, seconds: 1.0, interrupted: false, faults: &[] };
        assert!(!report.text().contains("never sent"), "the last of 1,000");
    }

    #[test]
    fn an_interval_without_replies_is_the_warm_up() {
        assert_eq!(progress(1.0, 1.0, &Tally::new()), "   1.0 s  warming up");
        assert!(progress(12.0, 0.5, &tally()).starts_with("  12.0 s        2,000 ops/s  p50       500 us"));
    }
}
