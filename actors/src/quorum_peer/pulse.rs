//! Heartbeats to and from one peer, and what they prove.

use std::collections::VecDeque;

use paddock_messages::quorum::{Digests, Heartbeat};
use paddock_messages::zxid::Epoch;

/// How many heartbeats are remembered, at least so far apart in parts of a timeout: those of two timeouts.
const REMEMBERED: usize = 32;
const PER_TIMEOUT: u64 = 16;

/// One peer's.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    sent: u64,
    /// The latest, oldest first: number and time.
    times: VecDeque<(u64, u64)>,
    /// The highest number heard on this lane.
    heard: u64,
    /// When the latest of ours was sent that was answered.
    proven_ms: Option<u64>,
    /// The same, of those answered by a leader that vouched for us.
    vouched_ms: Option<u64>,
    /// What the peer had accepted when it was heard last.
    accepted: Epoch,
    /// The highest of ours that was answered, and what the peer had accepted then.
    answered: (u64, Epoch),
}

impl Pulse {
    /// The next heartbeat, without what it tells of the tree.
    pub(super) fn beat(
        &mut self,
        accepted_epoch: Epoch,
        vouches: bool,
        timeout_ms: u64,
        now_ms: u64,
    ) -> Heartbeat {
        self.sent += 1;
        let is_due = |(_, last): &(u64, u64)| now_ms >= last + timeout_ms / PER_TIMEOUT;
        if self.times.back().is_none_or(is_due) {
            self.times.push_back((self.sent, now_ms));
        }
        if self.times.len() > REMEMBERED {
            self.times.pop_front();
        }
        Heartbeat {
            number: self.sent,
            echo: self.heard,
            accepted_epoch,
            vouches,
            digests: Digests::default(),
        }
    }

    /// When the leader is known to have served us: from then on our sessions are not expired unasked for a
    /// whole timeout and more.
    pub(super) fn vouched_ms(&self) -> Option<u64> {
        self.vouched_ms
    }

    /// Whether the peer has accepted an epoch after this one: it follows its leader no longer, whether or not the
    /// end of its data lane has been noticed.
    pub(super) fn has_left(&self, epoch: Epoch) -> bool {
        self.accepted > epoch
    }

    /// The number of the last one sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the peer has answered this one or a later one, and had accepted no epoch after `epoch` then.
    pub(super) fn vouches(&self, number: u64, epoch: Epoch) -> bool {
        let (answered, accepted) = self.answered;
        answered >= number && accepted <= epoch
    }

    /// A heartbeat of the peer's. Its echo proves what the latest remembered one up to it does; of what was never
    /// sent, or long ago, nothing.
    pub(super) fn on_heartbeat(&mut self, heard: Heartbeat) {
        self.heard = self.heard.max(heard.number);
        self.accepted = heard.accepted_epoch;
        if heard.echo <= self.sent && heard.echo >= self.answered.0 {
            self.answered = (heard.echo, heard.accepted_epoch);
        }
        let is_answered = |(number, _): &&(u64, u64)| *number <= heard.echo && heard.echo <= self.sent;
        let answered = self.times.iter().rev().find(is_answered).map(|(_, at)| *at);
        self.proven_ms = self.proven_ms.max(answered);
        if heard.vouches {
            self.vouched_ms = self.vouched_ms.max(answered);
        }
    }

    /// The lane is a new one: the peer may be another process, which numbers from 1.
    pub(super) fn on_lane(&mut self) {
        self.heard = 0;
    }

    /// When the peer is known to have lived, and to have been reachable both ways.
    pub(super) fn proven_ms(&self) -> Option<u64> {
        self.proven_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q3_an_answer_proves_the_time_of_the_question() {
        let (mut ours, mut its) = (Pulse::default(), Pulse::default());
        let asked = ours.beat(Epoch(1), false, 800, 100);
        its.on_heartbeat(asked);
        ours.on_heartbeat(its.beat(Epoch(1), false, 800, 180));
        assert_eq!(ours.proven_ms(), Some(100), "not 180, nor when it came");
        assert_eq!(its.proven_ms(), None, "we have not answered yet");
        its.on_heartbeat(ours.beat(Epoch(1), false, 800, 200));
        assert_eq!(its.proven_ms(), Some(180));
        ours.on_heartbeat(Heartbeat {
            number: 9,
            echo: 77,
            accepted_epoch: Epoch(1),
            vouches: false,
            digests: Digests::default(),
        });
        assert_eq!(ours.proven_ms(), Some(100), "77 was never sent");
        for round in 1..=40 {
            ours.beat(Epoch(1), false, 800, 1_000 + 50 * round);
        }
        ours.on_heartbeat(Heartbeat {
            number: 10,
            echo: 2,
            accepted_epoch: Epoch(1),
            vouches: false,
            digests: Digests::default(),
        });
        assert_eq!(ours.proven_ms(), Some(100), "sent too long ago");
        its.on_lane();
        assert_eq!(its.beat(Epoch(1), false, 800, 300).echo, 0, "of this lane nothing was heard");
    }

    #[test]
    fn q3_rounds_of_a_near_quorum_do_not_make_a_far_peer_look_silent() {
        let (mut ours, mut its) = (Pulse::default(), Pulse::default());
        let mut under_way = VecDeque::new();
        for now in 0..2_000 {
            under_way.push_back((now + 40, ours.beat(Epoch(1), false, 800, now))); // a round each ms
            while let Some((_, beat)) = under_way.pop_front_if(|(at, _)| *at <= now) {
                its.on_heartbeat(beat);
                ours.on_heartbeat(its.beat(Epoch(1), false, 800, now));
            }
        }
        let proven = ours.proven_ms().expect("it answers all the time");
        assert!(proven >= 2_000 - 40 - 50 - 1, "{proven}");
    }

    #[test]
    fn p11_a_peer_vouches_with_the_answer_to_a_later_question_and_for_no_earlier_leader() {
        let (mut ours, mut its) = (Pulse::default(), Pulse::default());
        its.on_heartbeat(ours.beat(Epoch(5), false, 800, 100));
        let before = its.beat(Epoch(5), false, 800, 110);
        ours.beat(Epoch(5), false, 800, 120);
        ours.on_heartbeat(before);
        assert!(ours.vouches(1, Epoch(5)) && !ours.vouches(2, Epoch(5)), "it answers the first question");
        its.on_heartbeat(ours.beat(Epoch(5), false, 800, 130));
        ours.on_heartbeat(its.beat(Epoch(6), false, 800, 140));
        assert!(!ours.vouches(2, Epoch(5)), "it follows another");
        assert!(ours.vouches(3, Epoch(6)));
        ours.on_heartbeat(Heartbeat {
            number: 9,
            echo: 77,
            accepted_epoch: Epoch(6),
            vouches: false,
            digests: Digests::default(),
        });
        assert!(!ours.vouches(4, Epoch(6)), "77 was never sent");
    }
}
