//! The Learner's shell behind a leader: what the stay decides, and what comes down the lane.

use std::collections::VecDeque;

use paddock_messages::frame::Frame;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Proposal, Silent};
use paddock_messages::quorum::{PeerState, SyncStart, ToLeader, ToLearner, Vote};
use paddock_messages::roles::{KeptEpoch, Settled};
use paddock_messages::zxid::{Epoch, Zxid};

use super::actor::LearnerActor;
use super::ahead::{Ahead, bytes_in_log};
use super::following::{Following, Output as Followed};
use super::roles::Mode;
use crate::admin::metrics::Ages;
use crate::peer_link::Room;
use crate::peer_link::letters::{Outgoing, Send};
use crate::quorum_peer::Progress;
use crate::runtime::{Ctx, ExitCode};
use crate::storage::Command;

/// One stay behind one leader.
pub(super) struct Behind {
    leader: ServerId,
    stay: Following,
    lane: Option<u64>,
    /// With the room of what has come and is not on disk yet: reading stops when there is no more.
    ahead: Ahead<Room>,
    /// What came and may not be looked at yet, and its bytes in the log.
    stalled: VecDeque<(ToLearner, Room, u64)>,
    /// What the QuorumPeer was told.
    told: Progress,
    /// Since when it is brought up to date, in µs.
    sync_began_us: u64,
    /// Up to date in this epoch; clients are to be served once all is applied.
    opens: bool,
}

impl Behind {
    /// Its data lane is yet to be open. The log has room for so many bytes that are not on disk.
    pub(super) fn new(leader: ServerId, stay: Following, log_room: u64) -> Self {
        let (ahead, stalled, told) = (Ahead::new(log_room), VecDeque::new(), stay.progress());
        Self { leader, stay, lane: None, ahead, stalled, told, sync_began_us: 0, opens: false }
    }

    pub(super) fn leader(&self) -> ServerId {
        self.leader
    }

    /// Whether clients are to be served now: once.
    pub(super) fn opens(&mut self) -> bool {
        std::mem::take(&mut self.opens)
    }

    /// The lane is open, and has this number.
    pub(super) fn connect(&mut self, lane: u64) {
        self.lane = Some(lane);
    }

    /// Whether what comes next, of so many bytes in the log, may be looked at: not while a snapshot is put in place,
    /// nor once the disk is full (L8), nor before the log has room for it (L10); nor, before clients are served,
    /// while something that is committed `waits` to be applied, or more would wait with it (Z10).
    fn may_go_on(&self, bytes: u64, waits: bool, is_disk_full: bool) -> bool {
        !is_disk_full && self.ahead.takes(bytes) && self.stay.may_read() && (self.stay.is_serving() || !waits)
    }

    /// Whether it has all that the leader has, as far as is known here.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.stay.is_serving()
    }

    /// The epoch in which clients are served, if they are.
    pub(super) fn led(&self) -> Option<Epoch> {
        self.stay.is_serving().then(|| self.stay.led())
    }

    /// Whether it is this one.
    pub(super) fn is_on(&self, lane: u64) -> bool {
        self.lane == Some(lane)
    }
}

impl LearnerActor {
    /// Lets the stay behind the leader do one thing, and does what comes of it.
    pub(super) fn with_stay(
        &mut self,
        ctx: &mut Ctx<'_, Self>,
        run: impl FnOnce(&mut Following, &mut Vec<Followed>),
    ) {
        let Mode::Following(behind) = &mut self.mode else { return };
        let mut out = std::mem::take(&mut self.followed);
        run(&mut behind.stay, &mut out);
        let progress = behind.stay.progress();
        if behind.told != progress {
            behind.told = progress.clone();
            self.others().board.tell(self.role, progress);
        }
        for order in out.drain(..) {
            self.perform_followed(order, ctx);
        }
        self.followed = out;
        self.perform(ctx);
    }

    fn perform_followed(&mut self, order: Followed, ctx: &mut Ctx<'_, Self>) {
        match order {
            Followed::Send(packet) => self.send(packet),
            Followed::KeepAccepted(epoch) => self.keep(KeptEpoch::Accepted(epoch), ctx),
            Followed::KeepCurrent(epoch, ensemble) => {
                self.entering = ensemble;
                self.keep(KeptEpoch::Current(epoch), ctx);
            }
            Followed::Truncate(to) => {
                self.core.on_truncated(to);
                self.reconfigure_cut(to, ctx);
                self.is_truncating = true;
                self.command(Command::TruncateAfter { role: self.role, zxid: to }, ctx);
            }
            Followed::Piece(bytes) => {
                let (role, room) = (self.role, self.room.take());
                let from = self.leader().map_or_else(String::new, |it| it.to_string());
                self.receiving().piece(role, &from, bytes, room);
            }
            Followed::Install(zxid) => {
                self.has_asked(ctx);
                self.receiving().finish(zxid);
            }
            Followed::ReplaceTree(zxid) => {
                self.has_asked(ctx);
                let (upto, log) = (self.core.applied(), self.log.clone());
                if self.receiving().finish_behind(zxid, upto, &log).is_err() {
                    ctx.fatal(ExitCode::ActorGone, "the learner's Logger has ended");
                }
            }
            Followed::Proposals(items) => {
                self.count_proposals(&items, ctx);
                self.core.on_proposals(items, &mut self.out);
            }
            Followed::Commit(upto) => {
                let (txns, waited_us) = self.commits.on_commit(upto, ctx.clock().now_us());
                self.meters.commit_came(txns, waited_us);
                self.core.on_commit(upto, &mut self.out);
            }
            Followed::Confirmed(upto) => self.core.on_confirmed(upto, &mut self.out),
            Followed::Silent(silent) => self.ask_last_word(silent),
            Followed::TurnedAway(all) => self.core.on_turned_away(all, &mut self.out),
            Followed::Serve(epoch) => {
                self.has_asked(ctx);
                self.core.on_epoch(epoch, &mut self.out);
                self.on_served(ctx);
                if self.facts.seed {
                    self.keep(KeptEpoch::Joined, ctx);
                }
                if let Mode::Following(behind) = &mut self.mode {
                    behind.opens = true;
                    let took_us = ctx.clock().now_us().saturating_sub(behind.sync_began_us);
                    self.meters.synchronised(took_us, self.is_voter());
                }
                self.settle(epoch);
            }
            Followed::Begins(epoch) => {
                self.core.on_epoch(epoch, &mut self.out);
                self.settle(epoch);
            }
            Followed::Unreadable(level) => self.end_unreadable(level, ctx),
            Followed::Leave(why) => {
                self.has_asked(ctx);
                self.leave(why, ctx);
            }
        }
    }

    /// The leader has had its chance to send its tree, if it was asked for that: not again at once (DG6).
    fn has_asked(&mut self, ctx: &mut Ctx<'_, Self>) {
        if let Mode::Following(behind) = &self.mode
            && behind.stay.asks_for_tree()
        {
            self.fence.asked(ctx.clock().now_ms());
        }
    }

    /// Not those of a synchronisation, which may be old; and an observer is sent what is committed.
    fn count_proposals(&self, items: &[Proposal], ctx: &Ctx<'_, Self>) {
        let is_serving = matches!(&self.mode, Mode::Following(behind) if behind.is_up_to_date());
        if is_serving && self.is_voter() {
            let (mut ages, wall_ms) = (Ages::default(), ctx.clock().wall_ms());
            items.iter().filter_map(Proposal::txn).for_each(|txn| ages.add(txn.header.time, wall_ms));
            self.meters.proposals_came(ages);
        }
    }

    pub(super) fn settle(&mut self, peer_epoch: Epoch) {
        let is_voter = self.is_voter();
        let Mode::Following(behind) = &self.mode else { return };
        let (leader, zxid) = (behind.leader, self.core.appended());
        let state = if is_voter { PeerState::Following } else { PeerState::Observing };
        let vote = Vote { peer_epoch, zxid, leader };
        drop(self.others().settled.post(Settled { role: self.role, state, vote }));
        let what = if behind.opens {
            "up to date with the leader: clients are served"
        } else {
            "the next epoch begins"
        };
        tracing::info!(%leader, epoch = %peer_epoch, last = %zxid, "{what}");
    }

    fn send(&self, packet: ToLeader) {
        let Mode::Following(behind) = &self.mode else { return };
        if let (Some(lane), Some(to)) = (behind.lane, self.others().lanes.get(&behind.leader)) {
            let items = vec![Outgoing::Frame(Box::new(Frame::ToLeader(packet)))];
            drop(to.send.post(Send { lane, items })); // one that is gone is the guardian's business
        }
    }

    /// Each hub has the last word on the sessions that speak through it, as of the attachment the leader means.
    fn ask_last_word(&mut self, silent: Vec<(SessionId, AttachNumber)>) {
        let mut by_arbiter = vec![Vec::new(); self.others().silent.len()];
        for (session, attach) in silent {
            if let Some(arbiter) = self.core.arbiter_of(session, attach)
                && let Some(of_one) = by_arbiter.get_mut(usize::from(arbiter))
            {
                of_one.push((session, attach));
            }
        }
        for (hub, sessions) in self.others().silent.iter().zip(by_arbiter) {
            if !sessions.is_empty() {
                drop(hub.post(Silent { role: self.role, sessions }));
            }
        }
    }

    pub(super) fn on_packet(&mut self, packet: ToLearner, room: Room, ctx: &mut Ctx<'_, Self>) {
        let waits = self.core.is_ready();
        let bytes = if let ToLearner::Proposals { items, .. } = &packet { bytes_in_log(items) } else { 0 };
        let Mode::Following(behind) = &mut self.mode else { return };
        if !behind.stalled.is_empty() || !behind.may_go_on(bytes, waits, self.is_disk_full) {
            return behind.stalled.push_back((packet, room, bytes));
        }
        self.take(packet, room, bytes, ctx);
    }

    fn take(&mut self, packet: ToLearner, room: Room, bytes: u64, ctx: &mut Ctx<'_, Self>) {
        let Mode::Following(behind) = &mut self.mode else { return };
        let mut room = Some(room);
        match &packet {
            ToLearner::Proposals { items, .. } => {
                let last = items.iter().rev().find_map(|it| it.txn()).map(|txn| txn.header.zxid);
                if let Some((last, room)) = last.zip(room.take()) {
                    behind.ahead.give(last, bytes, room);
                }
            }
            ToLearner::Sync(start) => {
                behind.sync_began_us = ctx.clock().now_us();
                let how = match start {
                    SyncStart::Diff => "DIFF".to_owned(),
                    SyncStart::Trunc(to) => format!("TRUNC after {to}"),
                    SyncStart::Snap(zxid) => format!("SNAP at {zxid}"),
                };
                tracing::info!(leader = %behind.leader, "synchronisation: {how}");
            }
            _ => {}
        }
        self.room = room;
        self.with_stay(ctx, |stay, out| stay.on_packet(packet, out));
        self.room = None;
    }

    /// What came meanwhile goes on, in its order. Whether anything did.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx<'_, Self>) -> bool {
        let mut any = false;
        loop {
            let waits = self.core.is_ready();
            let Mode::Following(behind) = &mut self.mode else { return any };
            let may_go_on = |bytes| behind.may_go_on(bytes, waits, self.is_disk_full);
            if !behind.stalled.front().is_some_and(|(_, _, bytes)| may_go_on(*bytes)) {
                return any;
            }
            let Some((packet, room, bytes)) = behind.stalled.pop_front() else { return any };
            self.take(packet, room, bytes, ctx);
            any = true;
        }
    }

    /// What is on disk takes no room any more.
    pub(super) fn give_room(&mut self, upto: Zxid) {
        if let Mode::Following(behind) = &mut self.mode {
            behind.ahead.on_durable(upto);
        }
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::quorum::Tail;

    use super::*;

    #[test]
    fn z10_nothing_is_looked_at_while_what_came_before_waits_to_be_applied_until_clients_are_served() {
        let tail = Tail { committed: Zxid::ZERO, runs: vec![] };
        let mut behind = Behind::new(ServerId(2), Following::new(Epoch(0), Epoch(0), tail), 100);
        let check = |behind: &Behind, expected: [bool; 2]| {
            let found = [false, true].map(|waits| behind.may_go_on(0, waits, false));
            assert_eq!(found, expected, "{:?}", behind.stay);
        };
        let mut out = Vec::new();
        behind.stay.on_connected(&mut out);
        behind.stay.on_packet(ToLearner::LeaderInfo { epoch: Epoch(1) }, &mut out);
        behind.stay.on_accepted_kept(&mut out);
        check(&behind, [true, false]);
        behind.stay.on_packet(ToLearner::Sync(SyncStart::Snap(Zxid::ZERO)), &mut out);
        behind.stay.on_packet(ToLearner::Snapshot { bytes: vec![], is_last: true }, &mut out);
        check(&behind, [false, false]);
        behind.stay.on_installed();
        check(&behind, [true, false]);
        let new = ToLearner::NewLeader { epoch: Epoch(1), last: Zxid::ZERO, ensemble: 7 };
        behind.stay.on_packet(new, &mut out);
        behind.stay.on_current_kept(&mut out);
        check(&behind, [true, false]);
        behind.stay.on_packet(ToLearner::UpToDate { committed: Epoch(1).start() }, &mut out);
        check(&behind, [true, true]);
    }

    #[test]
    fn l8_nothing_is_looked_at_once_the_disk_is_full_and_l10_nothing_before_the_log_has_room_for_it() {
        let tail = Tail { committed: Zxid::ZERO, runs: vec![] };
        let mut behind = Behind::new(ServerId(2), Following::new(Epoch(0), Epoch(0), tail), 100);
        let goes_on = |behind: &Behind, bytes, is_disk_full| behind.may_go_on(bytes, false, is_disk_full);
        behind.ahead.give(Zxid(1), 60, Room::free());
        assert!(goes_on(&behind, 40, false) && !goes_on(&behind, 41, false), "L10");
        assert!(!goes_on(&behind, 1, true) && !goes_on(&behind, 0, true), "L8");
        behind.ahead.on_durable(Zxid(1));
        assert!(goes_on(&behind, 41, false) && !goes_on(&behind, 41, true), "L8");
    }
}
