//! The mailboxes' meters in Prometheus' text: which actor falls behind, and by how much.

use std::collections::BTreeMap;
use std::sync::Arc;

use paddock_messages::mail::{BUCKETS, MeterReading, TimesReading, bucket_end_us};

use super::render::label;
use crate::admin::line;

/// One line for each mailbox.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&MeterReading) -> u64,
}

const FAMILIES: &[Family] = &[
    Family { name: "depth", kind: "gauge", help: "mails under way", value: |it| it.depth },
    Family { name: "limit", kind: "gauge", help: "mails that may be under way", value: |it| it.limit },
    Family { name: "posted_total", kind: "counter", help: "mails taken", value: |it| it.posted },
    Family { name: "handled_total", kind: "counter", help: "mails done with", value: |it| it.handled },
    Family {
        name: "refused_full_total",
        kind: "counter",
        help: "mails refused since the mailbox was full",
        value: |it| it.refused_full,
    },
    Family {
        name: "refused_gone_total",
        kind: "counter",
        help: "mails handed back since the actor was gone",
        value: |it| it.refused_gone,
    },
];

/// `paddock_mailbox_*`, of `Registry::totals`.
pub fn mailboxes(totals: &BTreeMap<(Arc<str>, &'static str), MeterReading>) -> String {
    let mut text = String::new();
    for Family { name, kind, help, value } in FAMILIES {
        line!(&mut text, "# HELP paddock_mailbox_{name} {help}\n# TYPE paddock_mailbox_{name} {kind}");
        for ((actor, message), reading) in totals {
            line!(&mut text, "paddock_mailbox_{name}{{{}}} {}", labels(actor, message), value(reading));
        }
    }
    histogram(&mut text, "wait_seconds", "from the post until the handler began", totals, |it| &it.wait);
    histogram(&mut text, "handle_seconds", "in the handler", totals, |it| &it.handle);
    text
}

fn labels(actor: &str, message: &str) -> String {
    format!("actor=\"{}\",message=\"{}\"", label(actor), label(message))
}

fn histogram(
    text: &mut String,
    name: &str,
    help: &str,
    totals: &BTreeMap<(Arc<str>, &'static str), MeterReading>,
    of: fn(&MeterReading) -> &TimesReading,
) {
    let name = format!("paddock_mailbox_{name}");
    line!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
    for ((actor, message), reading) in totals {
        let (labels, times) = (labels(actor, message), of(reading));
        let mut seen = 0;
        for bucket in 0..BUCKETS {
            seen += times.buckets[bucket];
            let end = match bucket_end_us(bucket) {
                u64::MAX => "+Inf".to_owned(),
                end_us => seconds(end_us).to_string(),
            };
            line!(text, "{name}_bucket{{{labels},le=\"{end}\"}} {seen}");
        }
        line!(text, "{name}_sum{{{labels}}} {}", seconds(times.sum_us));
        line!(text, "{name}_count{{{labels}}} {seen}");
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
