//! Why there is no leader, in one line.

use std::collections::BTreeSet;

use paddock_messages::ids::ServerId;

use super::Sight;
use crate::election::NO_ROOM;
use crate::peer_link::status::{LinkState, LinkStatus};
use crate::quorum_peer::{Aim, Told};

/// What a member says whose tree differs.
const FENCED: &str = "this member's tree is not the one that a quorum has, so nobody is served here; waiting for: a \
                      leader's snapshot, for which it asks";

impl Sight {
    /// Since when nobody is served, or only clients that only read, and what is waited for, without an end of line;
    /// none while somebody leads.
    pub fn outlook(&self) -> Option<String> {
        if !self.is(Told::Looking) {
            return None;
        }
        if self.is_fenced {
            return Some(FENCED.to_owned());
        }
        let seconds = self.seconds_since(self.office.since_ms);
        let waits = self.waited_for().join("; ");
        let whom =
            if self.serves_reads { "only those are served that only read" } else { "nobody is served" };
        let line = format!("no leader for {seconds} s, so {whom}; waiting for: {waits}");
        Some(line.replace(|c: char| c.is_control(), " ")) // an error's text may be of more than one line
    }

    pub(super) fn seconds_since(&self, since_ms: u64) -> u64 {
        self.now_ms.saturating_sub(since_ms) / 1_000
    }

    fn waited_for(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.is_disk_full {
            parts.push(NO_ROOM.to_owned());
        }
        match self.office.aim {
            Aim::Search => {}
            Aim::Lead => parts.push("enough voters to follow this server, which was elected".to_owned()),
            Aim::Follow(leader) => {
                parts.push(format!("server {leader}, which was elected, to bring this server up to date"));
                let data = self.links.get(&leader).map(|[_, data]| data);
                if let Some(data) = data.filter(|data| data.state != LinkState::Up) {
                    parts.push(format!("its data port ({})", self.told_of(data)));
                }
            }
        }
        let unheard = self.waits.iter().flat_map(|waits| waits.unheard.iter().copied());
        let missing: BTreeSet<ServerId> = self.missing().map(|(id, _)| id).chain(unheard).collect();
        let missing: Vec<_> =
            missing.into_iter().filter(|id| *id != self.me).map(|it| self.named(it)).collect();
        if !missing.is_empty() {
            parts.push(format!("not heard of: {}", missing.join(", ")));
        }
        let reasons = self.waits.iter().flat_map(|waits| waits.reasons.iter().cloned());
        parts.extend(reasons.filter(|reason| !self.is_disk_full || reason != NO_ROOM));
        if parts.is_empty() {
            parts.push("the others' votes".to_owned());
        }
        parts
    }

    fn named(&self, voter: ServerId) -> String {
        match self.links.get(&voter) {
            Some([ctl, _]) => format!("server {voter} ({})", self.told_of(ctl)),
            None => format!("server {voter}"),
        }
    }

    fn told_of(&self, link: &LinkStatus) -> String {
        if link.state == LinkState::Up {
            return "connected".to_owned();
        }
        let mut text = format!("not connected for {} s", self.seconds_since(link.since_ms));
        if let Some(address) = link.address {
            text += &format!(", last at {address}");
        }
        if let Some(error) = &link.last_error {
            text += &format!(", last error: {error}");
        }
        text
    }
}
