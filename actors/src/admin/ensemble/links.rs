//! Metrics of Paddock's own about an ensemble: each link, each learner, each voter that is missing.

use super::{LANES, Sight};
use crate::admin::line;
use crate::admin::metrics::label;
use crate::peer_link::status::{LinkState, LinkStatus};
use crate::quorum_peer::Told;

/// A family of samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: fn(&Sight) -> Vec<(Labels, f64)>,
}

type Labels = Vec<(&'static str, String)>;

const FAMILIES: &[Family] = &[
    Family {
        name: "no_leader_seconds",
        kind: "gauge",
        help: "how long no leader has served this member; 0 while one does",
        samples: |it| {
            let seconds = if it.is(Told::Looking) { it.since(it.office.since_ms) } else { 0.0 };
            vec![(Vec::new(), seconds)]
        },
    },
    Family {
        name: "voter_missing_seconds",
        kind: "gauge",
        help: "how long a voter has not been connected for votes and heartbeats; 0 while it is",
        samples: |it| {
            let voters = it.links.iter().filter(|(id, _)| it.voters.contains(id));
            let gone =
                |ctl: &LinkStatus| if ctl.state == LinkState::Up { 0.0 } else { it.since(ctl.since_ms) };
            voters.map(|(id, [ctl, _])| (vec![("peer", id.to_string())], gone(ctl))).collect()
        },
    },
    Family {
        name: "feature_level",
        kind: "gauge",
        help: "the ensemble's feature level: no build that cannot read it is let in, or can be gone back to",
        samples: |it| vec![(Vec::new(), f64::from(it.level))],
    },
    Family {
        name: "possible_feature_level",
        kind: "gauge",
        help: "the level that all members can read, as this one knows from its links; the present one while one is away",
        samples: |it| vec![(Vec::new(), f64::from(it.possible_level()))],
    },
    Family {
        name: "link_up",
        kind: "gauge",
        help: "1 while a lane with the member is up, 0 while it is wanted and is not; absent while it is not wanted",
        samples: |it| {
            it.of_links(|of| (of.state != LinkState::Idle).then(|| f64::from(of.state == LinkState::Up)))
        },
    },
    Family {
        name: "link_version",
        kind: "gauge",
        help: "the version of frames that is spoken with the member: the newest that both know; absent while no lane is up",
        samples: |it| it.of_links(|of| of.speaking.filter(|_| of.state == LinkState::Up).map(f64::from)),
    },
    Family {
        name: "link_sent_bytes_total",
        kind: "counter",
        help: "bytes given to the system for the member",
        samples: |it| it.of_links(|of| Some(of.bytes_sent as f64)),
    },
    Family {
        name: "link_received_bytes_total",
        kind: "counter",
        help: "bytes read from the member",
        samples: |it| it.of_links(|of| Some(of.bytes_received as f64)),
    },
    Family {
        name: "link_queued_bytes",
        kind: "gauge",
        help: "bytes that wait to be given to the system",
        samples: |it| it.of_links(|of| Some(of.queued_bytes as f64)),
    },
    Family {
        name: "link_round_trip_seconds",
        kind: "gauge",
        help: "of the last heartbeat that a learner answered, as its leader measures it",
        samples: |it| {
            it.of_links(|of| Some(of.round_trip_us.filter(|_| of.state == LinkState::Up)? as f64 / 1e6))
        },
    },
    Family {
        name: "learner_lag_txns",
        kind: "gauge",
        help: "txns that are proposed and that the learner has not acknowledged, on a leader",
        samples: |it| {
            it.behind.iter().map(|(id, of)| (vec![("peer", id.to_string())], of.txns as f64)).collect()
        },
    },
    Family {
        name: "learner_lag_bytes",
        kind: "gauge",
        help: "about the bytes of these, at most",
        samples: |it| {
            it.behind.iter().map(|(id, of)| (vec![("peer", id.to_string())], of.bytes as f64)).collect()
        },
    },
];

/// What can only be said in words, and thus to Prometheus alone.
const IN_WORDS: &[Family] = &[
    Family {
        name: "link_state_seconds",
        kind: "gauge",
        help: "how long the link has been in this state; the address is the last there was",
        samples: |it| {
            let each = |labels: Labels, of: &LinkStatus| {
                let address = of.address.map_or_else(String::new, |at| at.to_string());
                let more = [("state", of.state.name().to_owned()), ("address", address)];
                Some((labels.into_iter().chain(more).collect(), it.since(of.since_ms)))
            };
            it.each_link(each)
        },
    },
    Family {
        name: "link_last_error",
        kind: "gauge",
        help: "1, with why the last lane ended or did not come up; absent while one is up",
        samples: |it| {
            it.each_link(|mut labels, of| {
                labels.push(("error", of.last_error.clone()?));
                Some((labels, 1.0))
            })
        },
    },
];

impl Sight {
    fn since(&self, since_ms: u64) -> f64 {
        self.now_ms.saturating_sub(since_ms) as f64 / 1_000.0
    }

    fn each_link(&self, of: impl Fn(Labels, &LinkStatus) -> Option<(Labels, f64)>) -> Vec<(Labels, f64)> {
        let mut all = Vec::new();
        for (id, both) in &self.links {
            for (lane, status) in LANES.iter().zip(both) {
                let labels = vec![("peer", id.to_string()), ("lane", (*lane).to_owned())];
                all.extend(of(labels, status));
            }
        }
        all
    }

    fn of_links(&self, of: impl Fn(&LinkStatus) -> Option<f64>) -> Vec<(Labels, f64)> {
        self.each_link(|labels, status| Some((labels, of(status)?)))
    }

    /// `paddock_…` in Prometheus' text.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for Family { name, kind, help, samples } in FAMILIES.iter().chain(IN_WORDS) {
            line!(&mut text, "# HELP paddock_{name} {help}\n# TYPE paddock_{name} {kind}");
            for (labels, value) in samples(self) {
                let labels: Vec<_> =
                    labels.iter().map(|(key, of)| format!("{key}=\"{}\"", label(of))).collect();
                let labels =
                    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                line!(&mut text, "paddock_{name}{labels} {value}");
            }
        }
        text
    }

    /// The same for `mntr`, what is said in words left out.
    pub fn mntr(&self) -> String {
        let mut text = String::new();
        for Family { name, samples, .. } in FAMILIES {
            for (labels, value) in samples(self) {
                let place: String = labels.iter().map(|(_, of)| format!("_{of}")).collect();
                line!(&mut text, "zk_paddock_{name}{place}\t{value}");
            }
        }
        text
    }
}
