//! The Learner's shell behind a leader: what the stay decides, and what comes down the lane.

use std::collections::VecDeque;

use paddock_messages::frame::Frame;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::Silent;
use paddock_messages::quorum::{PeerState, SyncStart, ToLeader, ToLearner, Vote};
use paddock_messages::roles::{KeptEpoch, Settled};
use paddock_messages::zxid::{Epoch, Zxid};

use super::actor::LearnerActor;
use super::following::{Following, Output as Followed};
use super::roles::Mode;
use crate::peer_link::Room;
use crate::peer_link::letters::{Outgoing, Send};
use crate::quorum_peer::Progress;
use crate::runtime::Ctx;
use crate::storage::Command;

/// One stay behind one leader.
pub(super) struct Behind {
    leader: ServerId,
    stay: Following,
    lane: Option<u64>,
    /// Room of what has come and is not on disk yet: reading stops when there is no more.
    held: VecDeque<(Zxid, Room)>,
    /// What came while a snapshot is put in place.
    stalled: VecDeque<(ToLearner, Room)>,
    /// What the QuorumPeer was told.
    told: Progress,
    /// Up to date in this epoch; clients are to be served once all is applied.
    opens: bool,
}

impl Behind {
    /// Its data lane is yet to be open.
    pub(super) fn new(leader: ServerId, stay: Following) -> Self {
        let (held, stalled, told) = (VecDeque::new(), VecDeque::new(), stay.progress());
        Self { leader, stay, lane: None, held, stalled, told, opens: false }
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
                self.is_truncating = true;
                self.command(Command::TruncateAfter { role: self.role, zxid: to }, ctx);
            }
            Followed::Piece(bytes) => {
                let (role, room) = (self.role, self.room.take());
                let from = self.leader().map_or_else(String::new, |it| it.to_string());
                self.receiving().piece(role, &from, bytes, room);
            }
            Followed::Install(zxid) => self.receiving().finish(zxid),
            Followed::Proposals(items) => self.core.on_proposals(items, &mut self.out),
            Followed::Commit(upto) => {
                self.commits.on_commit(upto, ctx.clock().now_us());
                self.core.on_commit(upto, &mut self.out);
            }
            Followed::Confirmed(upto) => self.core.on_confirmed(upto, &mut self.out),
            Followed::Silent(silent) => self.ask_last_word(silent),
            Followed::TurnedAway(all) => self.core.on_turned_away(all, &mut self.out),
            Followed::Serve(epoch) => {
                self.core.on_epoch(epoch, &mut self.out);
                if self.facts.seed {
                    self.keep(KeptEpoch::Joined, ctx);
                }
                self.settle(epoch);
            }
            Followed::Leave(why) => self.leave(why, ctx),
        }
    }

    fn settle(&mut self, peer_epoch: Epoch) {
        let is_voter = self.others().is_voter;
        let Mode::Following(behind) = &mut self.mode else { return };
        behind.opens = true;
        let (leader, zxid) = (behind.leader, self.core.appended());
        let state = if is_voter { PeerState::Following } else { PeerState::Observing };
        let vote = Vote { peer_epoch, zxid, leader };
        drop(self.others().settled.post(Settled { role: self.role, state, vote }));
        tracing::info!(%leader, epoch = %peer_epoch, last = %zxid, "up to date with the leader: clients are served");
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
        let Mode::Following(behind) = &mut self.mode else { return };
        if !behind.stay.may_read() {
            return behind.stalled.push_back((packet, room));
        }
        let mut room = Some(room);
        match &packet {
            ToLearner::Proposals { items, .. } => {
                let last = items.iter().rev().find_map(|it| it.txn()).map(|txn| txn.header.zxid);
                if let Some((last, room)) = last.zip(room.take()) {
                    behind.held.push_back((last, room));
                }
            }
            ToLearner::Sync(start) => {
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

    /// What came meanwhile goes on, in its order.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx<'_, Self>) {
        while let Mode::Following(behind) = &mut self.mode
            && behind.stay.may_read()
            && let Some((packet, room)) = behind.stalled.pop_front()
        {
            self.on_packet(packet, room, ctx);
        }
    }

    /// What is on disk takes no room any more.
    pub(super) fn give_room(&mut self, upto: Zxid) {
        if let Mode::Following(behind) = &mut self.mode {
            while behind.held.front().is_some_and(|(zxid, _)| *zxid <= upto) {
                behind.held.pop_front();
            }
        }
    }
}
