//! A member's Learner behind a leader, as its shell has it: what the stay decides, and what comes down the lane.

use std::collections::VecDeque;

use paddock_actors::learner::ahead::{Ahead, bytes_in_log};
use paddock_actors::learner::following::{Following, Output as Followed};
use paddock_actors::quorum_peer::Progress;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Proposal;
use paddock_messages::quorum::{PeerState, SyncStart, ToLeader, ToLearner, Vote};
use paddock_messages::roles::{KeptEpoch, Settled};
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::learner::Mode;
use super::mail::{Came, Letter, Part};
use super::node::{Effect, Node};
use super::storage::Command;

/// One stay behind one leader.
pub(super) struct Behind {
    pub(super) leader: ServerId,
    pub(super) stay: Following,
    lane: Option<u64>,
    /// Given to the log and not on disk.
    ahead: Ahead<()>,
    /// What came and may not be looked at yet.
    stalled: VecDeque<ToLearner>,
    told: Progress,
    opens: bool,
}

impl Behind {
    pub(super) fn new(leader: ServerId, stay: Following, log_room: u64) -> Self {
        let (told, ahead) = (stay.progress(), Ahead::new(log_room));
        Self { leader, stay, lane: None, ahead, stalled: VecDeque::new(), told, opens: false }
    }

    /// Whether clients are to be served now: once.
    pub(super) fn opens(&mut self) -> bool {
        std::mem::take(&mut self.opens)
    }

    pub(super) fn connect(&mut self, lane: u64) {
        self.lane = Some(lane);
    }

    pub(super) fn is_on(&self, lane: u64) -> bool {
        self.lane == Some(lane)
    }
}

impl Node {
    pub(super) fn with_stay(&mut self, run: impl FnOnce(&mut Following, &mut Vec<Followed>)) {
        let Mode::Following(behind) = &mut self.lp.mode else { return };
        let mut out = Vec::new();
        run(&mut behind.stay, &mut out);
        let progress = behind.stay.progress();
        if behind.told != progress {
            behind.told = progress.clone();
            self.board.tell(self.lp.role, progress);
        }
        let mut learned = Vec::new();
        for order in out {
            match order {
                Followed::Proposals(items) => self.lp.core.on_proposals(items, &mut learned),
                Followed::Commit(upto) => self.lp.core.on_commit(upto, &mut learned),
                Followed::Confirmed(upto) => self.lp.core.on_confirmed(upto, &mut learned),
                Followed::TurnedAway(all) => self.lp.core.on_turned_away(all, &mut learned),
                order => self.perform_followed(order),
            }
        }
        self.perform_learner(learned);
    }

    fn has_asked(&mut self) {
        if let Mode::Following(behind) = &self.lp.mode
            && behind.stay.asks_for_tree()
        {
            self.lp.fence.asked(self.now_ms);
        }
    }

    fn perform_followed(&mut self, order: Followed) {
        let role = self.lp.role;
        match order {
            Followed::Send(packet) => self.send_up(packet),
            Followed::KeepAccepted(epoch) => self.keep(KeptEpoch::Accepted(epoch)),
            Followed::KeepCurrent(epoch, ensemble) => {
                self.lp.entering = ensemble;
                self.keep(KeptEpoch::Current(epoch));
                if self.setup.has(EnsembleFault::AckNewLeaderEarly) {
                    self.tasks.rotate_right(1);
                }
            }
            Followed::Truncate(to) => {
                self.lp.core.on_truncated(to);
                self.reconfigure_cut(to);
                self.command(role, Command::Truncate(to));
            }
            Followed::Piece(bytes) => self.lp.incoming.extend_from_slice(&bytes),
            Followed::Install(zxid) => {
                self.has_asked();
                let bytes = std::mem::take(&mut self.lp.incoming);
                self.post(Part::Receiver, Letter::Received { role, zxid, bytes });
            }
            Followed::ReplaceTree(zxid) => {
                self.has_asked();
                let (bytes, upto) = (std::mem::take(&mut self.lp.incoming), self.lp.core.applied());
                self.command(role, Command::Behind(zxid, bytes, upto));
            }
            Followed::Unreadable(level) => {
                panic!("FL3: {} reads {}, and is sent what raises the level to {level}", self.me, self.reads)
            }
            Followed::Silent(silent) => self.ask_last_words(silent),
            Followed::Serve(epoch) => {
                self.has_asked();
                self.lp.core.on_epoch(epoch, &mut Vec::new());
                self.on_served();
                if self.lp.facts.seed {
                    self.keep(KeptEpoch::Joined);
                }
                if let Mode::Following(behind) = &mut self.lp.mode {
                    behind.opens = true;
                }
                self.settle_behind(epoch);
            }
            Followed::Begins(epoch) => {
                self.lp.core.on_epoch(epoch, &mut Vec::new());
                self.settle_behind(epoch);
            }
            Followed::Leave(why) => {
                self.has_asked();
                self.leave(why);
            }
            Followed::Proposals(_)
            | Followed::Commit(_)
            | Followed::Confirmed(_)
            | Followed::TurnedAway(_) => unreachable!("they are the core's"),
        }
    }

    pub(super) fn settle_behind(&mut self, peer_epoch: Epoch) {
        let Mode::Following(behind) = &self.lp.mode else { return };
        let (role, leader, zxid) = (self.lp.role, behind.leader, self.lp.core.appended());
        let state = if self.is_voter() { PeerState::Following } else { PeerState::Observing };
        let vote = Vote { peer_epoch, zxid, leader };
        self.post(Part::QuorumPeer, Letter::Settled(Settled { role, state, vote }));
    }

    fn send_up(&mut self, packet: ToLeader) {
        self.is_durable(&packet);
        let Mode::Following(behind) = &self.lp.mode else { return };
        if let Some(lane) = behind.lane {
            self.effects.push(Effect::ToLeader(lane, packet));
        }
    }

    /// EN8: what is acknowledged to the leader is on disk.
    fn is_durable(&self, packet: &ToLeader) {
        let Mode::Following(behind) = &self.lp.mode else { return };
        let (facts, durable, epoch) =
            (self.logger.facts(), self.logger.persisted().upto, behind.stay.epoch());
        match packet {
            ToLeader::AckEpoch { .. } => assert!(facts.accepted_epoch >= epoch, "EN8: {epoch} is not kept"),
            ToLeader::Ack { upto } | ToLeader::AckNewLeader { upto } => {
                assert_eq!(facts.current_epoch, epoch, "EN8: the epoch is acknowledged and not kept");
                assert!(durable >= *upto, "EN8: {upto:?} is acked, {durable:?} is on disk");
            }
            _ => {}
        }
    }

    pub(super) fn on_packet_down(&mut self, packet: ToLearner) {
        let may_go_on = self.may_go_on(&packet);
        let Mode::Following(behind) = &mut self.lp.mode else { return };
        if !behind.stalled.is_empty() || !may_go_on {
            return behind.stalled.push_back(packet);
        }
        self.take_packet(packet);
    }

    /// Not while a snapshot is put in place, nor on a full disk, nor before the log has room for it.
    fn may_go_on(&self, packet: &ToLearner) -> bool {
        let Mode::Following(behind) = &self.lp.mode else { return false };
        let writes_on = !self.room.is_learner_full || self.setup.has(EnsembleFault::AckUnwritten);
        let fits = !self.setup.fills_disks() || behind.ahead.takes(log_bytes(packet));
        writes_on && fits && behind.stay.may_read()
    }

    fn take_packet(&mut self, packet: ToLearner) {
        let Mode::Following(behind) = &mut self.lp.mode else { return };
        if let ToLearner::Proposals { items, .. } = &packet
            && let Some(last) = items.iter().rev().find_map(Proposal::txn)
        {
            behind.ahead.give(last.header.zxid, log_bytes(&packet), ());
        }
        match &packet {
            ToLearner::Sync(SyncStart::Diff) => self.note("DIFF syncs"),
            ToLearner::Sync(SyncStart::Trunc(_)) => self.note("TRUNC syncs"),
            ToLearner::Sync(SyncStart::Snap(_)) => self.note("SNAP syncs"),
            ToLearner::Commit { .. } if !behind.stay.is_serving() => self.note("commits told with the log"),
            ToLearner::NewLeader { .. } if self.setup.has(EnsembleFault::AckNewLeaderEarly) => {
                let all: Zxid = self.lp.core.appended();
                self.with_stay(|stay, out| stay.on_persisted(all, out));
            }
            _ => {}
        }
        self.with_stay(|stay, out| stay.on_packet(packet, out));
    }

    /// What came meanwhile goes on, in its order.
    pub(super) fn go_on(&mut self) {
        while let Mode::Following(behind) = &mut self.lp.mode
            && let Some(packet) = behind.stalled.pop_front()
        {
            if self.may_go_on(&packet) {
                self.take_packet(packet);
            } else if let Mode::Following(behind) = &mut self.lp.mode {
                return behind.stalled.push_front(packet);
            }
        }
    }

    pub(super) fn give_room(&mut self, upto: Zxid) {
        if let Mode::Following(behind) = &mut self.lp.mode {
            behind.ahead.on_durable(upto);
        }
    }

    /// A snapshot from the leader is whole, and on disk, or could not be.
    pub(super) fn on_snapshot_came(&mut self, role: u64, received: Result<Box<Came>, String>) {
        match received {
            _ if !self.is_ours(role) => {}
            Ok(came) => {
                let (name, zxid) = (came.name.clone(), came.zxid);
                let keeps_log = came.keeps_log;
                self.lp.installing = Some(*came);
                let replaces = if keeps_log { Command::ReplaceTree } else { Command::Install };
                self.command(role, replaces(name, zxid));
            }
            Err(_) => self.leave("the leader's snapshot could not be put in place"),
        }
    }
}

fn log_bytes(packet: &ToLearner) -> u64 {
    if let ToLearner::Proposals { items, .. } = packet { bytes_in_log(items) } else { 0 }
}
