//! A mistake, on purpose: a leader's queue of what a learner's clients ask outlives the lane down which it came.

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;
use paddock_messages::letters::Request;
use paddock_messages::quorum::ToLeader;

use super::node::Node;

/// Of each learner, what it asked last and down which lane: it is numbered when something else comes down that lane, or
/// behind what is asked down the next.
pub(super) type Kept = BTreeMap<ServerId, (u64, Vec<Request>)>;

impl Node {
    /// What is to be done now.
    pub(super) fn keep_last(&mut self, from: ServerId, lane: u64, packet: ToLeader) -> Option<ToLeader> {
        let before = self.lead.kept.remove(&from);
        match (before, packet) {
            (Some((its, before)), packet) if its == lane => {
                self.number(from, before);
                self.keep_if_asked(from, lane, packet)
            }
            (Some((_, before)), ToLeader::Requests(items)) => {
                self.number(from, items);
                self.number(from, before);
                None
            }
            (Some(before), packet) => {
                self.lead.kept.insert(from, before);
                Some(packet)
            }
            (None, packet) => self.keep_if_asked(from, lane, packet),
        }
    }

    fn keep_if_asked(&mut self, from: ServerId, lane: u64, packet: ToLeader) -> Option<ToLeader> {
        let ToLeader::Requests(items) = packet else { return Some(packet) };
        self.lead.kept.insert(from, (lane, items));
        None
    }

    fn number(&mut self, from: ServerId, items: Vec<Request>) {
        self.with_reign(|reign, out| reign.on_packet(from, ToLeader::Requests(items), out));
        self.perform_reign();
    }
}
