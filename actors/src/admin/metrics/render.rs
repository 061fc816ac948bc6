//! The two renderings of the table: `mntr` and Prometheus' text.

use std::fmt::Write;

use super::names::{Entry, METERS, Number, Source, Unit};
use super::summary::{Summary, SummaryReading};
use super::{Gauges, Meters, Provider};
use crate::admin::{decimal, line};

/// The part of `mntr` after version and state: a line `zk_<name>\t<value>` for each value. With
/// Prometheus as provider the names are Prometheus' own; with none there are no metrics.
pub fn mntr(meters: &Meters, gauges: &Gauges, provider: Provider) -> String {
    let mut text = String::new();
    for entry in METERS {
        match provider {
            Provider::None => {}
            Provider::Default => values(entry, meters, gauges, &mut |name, value| {
                line!(&mut text, "zk_{name}\t{value}");
            }),
            Provider::Prometheus => samples(entry, meters, gauges, &mut |name, value| {
                line!(&mut text, "zk_{name}\t{value:?}");
            }),
        }
    }
    text
}

/// ZooKeeper's names in Prometheus' text format 0.0.4. Counters have no `_total`, as in 3.9.
pub fn prometheus(meters: &Meters, gauges: &Gauges) -> String {
    let mut text = String::new();
    for entry in METERS {
        let Entry { name, unit, .. } = entry;
        let unit = unit.help();
        let kind = match entry.source {
            Source::Gauge(_) | Source::GaugeSet(_) => "gauge",
            Source::Counter(_) | Source::CounterSet(_) => "counter",
            Source::Summary(_) | Source::SummarySet(_) | Source::Advanced(_) | Source::AdvancedSet(_) => {
                "summary"
            }
        };
        line!(&mut text, "# HELP {name} {name}{unit}\n# TYPE {name} {kind}");
        samples(entry, meters, gauges, &mut |name, value| line!(&mut text, "{name} {value:?}"));
    }
    text
}

/// A key as part of a name: agents refuse a whole answer over one character they do not expect, and a
/// client may have put a line's end into it (AD5).
fn word(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' }).collect()
}

/// A key as the value of a label (AD5).
pub(in crate::admin) fn label(key: &str) -> String {
    key.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The default provider's lines of one name.
fn values(entry: &Entry, meters: &Meters, gauges: &Gauges, out: &mut dyn FnMut(&str, String)) {
    let Entry { name, unit, .. } = entry;
    match entry.source {
        Source::Gauge(of) => out(
            name,
            match of(meters, gauges) {
                Number::Int(value) => value.to_string(),
                Number::Real(value) => decimal(value),
            },
        ),
        Source::GaugeSet(of) => {
            for (key, quota) in &gauges.quotas {
                if let Some(value) = of(quota) {
                    out(&format!("{}_{name}", word(key)), value.to_string());
                }
            }
        }
        Source::Counter(of) => out(name, of(meters).get().to_string()),
        Source::CounterSet(of) => {
            for (key, its) in of(meters).all() {
                out(&format!("{}_{name}", word(&key)), its.get().to_string());
            }
        }
        Source::Summary(of) => summary_values(name, *unit, of(meters), false, out),
        Source::Advanced(of) => summary_values(name, *unit, of(meters), true, out),
        Source::SummarySet(of) => {
            for (key, its) in of(meters).all() {
                summary_values(&format!("{}_{name}", word(&key)), *unit, &its, false, out);
            }
        }
        Source::AdvancedSet(of) => {
            for (key, its) in of(meters).all() {
                summary_values(&format!("{}_{name}", word(&key)), *unit, &its, true, out);
            }
        }
    }
}

/// What is recorded in a summary for one of its unit.
fn scale(unit: Unit) -> u64 {
    if unit == Unit::Milliseconds { 1_000 } else { 1 }
}

/// Whole ms as the Java server counts them, but the largest is rounded up: min ≤ avg ≤ max (AD4).
fn summary_values(
    name: &str,
    unit: Unit,
    summary: &Summary,
    is_advanced: bool,
    out: &mut dyn FnMut(&str, String),
) {
    let (reading, scale) = (summary.read(), scale(unit));
    let rounded = |value: u64| (value + scale / 2) / scale;
    out(&format!("avg_{name}"), decimal(reading.average() / scale as f64));
    out(&format!("min_{name}"), (reading.min() / scale).to_string());
    out(&format!("max_{name}"), reading.max().div_ceil(scale).to_string());
    out(&format!("cnt_{name}"), reading.count().to_string());
    out(&format!("sum_{name}"), rounded(reading.sum()).to_string());
    if is_advanced {
        for (prefix, per_mille) in [("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999)] {
            out(&format!("{prefix}_{name}"), rounded(reading.quantile(per_mille)).to_string());
        }
    }
}

/// Prometheus' samples of one name, labels included in the name.
fn samples(entry: &Entry, meters: &Meters, gauges: &Gauges, out: &mut dyn FnMut(&str, f64)) {
    let Entry { name, unit, .. } = entry;
    match entry.source {
        Source::Gauge(of) => out(
            name,
            match of(meters, gauges) {
                Number::Int(value) => value as f64,
                Number::Real(value) => value,
            },
        ),
        Source::GaugeSet(of) => {
            for (key, quota) in &gauges.quotas {
                if let Some(value) = of(quota) {
                    out(&format!("{name}{{key=\"{}\"}}", label(key)), value as f64);
                }
            }
        }
        Source::Counter(of) => out(name, of(meters).get() as f64),
        Source::CounterSet(of) => {
            for (key, its) in of(meters).all() {
                out(&format!("{name}{{key=\"{}\"}}", label(&key)), its.get() as f64);
            }
        }
        Source::Summary(of) => summary_samples(name, None, *unit, of(meters).read(), &[500], out),
        Source::Advanced(of) => {
            summary_samples(name, None, *unit, of(meters).read(), &[500, 900, 990], out);
        }
        Source::SummarySet(of) => {
            for (key, its) in of(meters).all() {
                summary_samples(name, Some(&key), *unit, its.read(), &[500], out);
            }
        }
        Source::AdvancedSet(of) => {
            for (key, its) in of(meters).all() {
                summary_samples(name, Some(&key), *unit, its.read(), &[500, 900, 990], out);
            }
        }
    }
}

fn summary_samples(
    name: &str,
    key: Option<&str>,
    unit: Unit,
    reading: SummaryReading,
    quantiles: &[u64],
    out: &mut dyn FnMut(&str, f64),
) {
    let scale = scale(unit) as f64;
    let key = key.map(|key| format!("key=\"{}\"", label(key)));
    for per_mille in quantiles {
        let mut labels = key.as_ref().map_or(String::new(), |key| format!("{key},"));
        write!(labels, "quantile=\"{}\"", *per_mille as f64 / 1_000.0)
            .expect("writing to a String does not fail");
        let none = reading.count() == 0; // nothing has no quantile
        let value = if none { f64::NAN } else { reading.quantile(*per_mille) as f64 / scale };
        out(&format!("{name}{{{labels}}}"), value);
    }
    let labels = key.map_or(String::new(), |key| format!("{{{key}}}"));
    out(&format!("{name}_count{labels}"), reading.count() as f64);
    out(&format!("{name}_sum{labels}"), reading.sum() as f64 / scale);
}
