//! What the Learner's shell is told while it has a role: by the QuorumPeer, the log, the leader's lane, the
//! Proposer, and those who judge sessions.

use std::time::Duration;

use paddock_messages::letters::Internal;
use paddock_messages::roles::{Begin, Confirmed, Establish, KeepEpoch, KeptEpoch, Over, Report};

use super::actor::LearnerActor;
use super::following::Following;
use super::receiving::SnapshotCame;
use super::roles::{Answered, LogAnswer, Mode};
use crate::peer_link::letters::{FromLeader, LeaderLane, LeaderLaneDown, LeaderLaneUp, Linked};
use crate::runtime::{Ctx, ExitCode, Serve};
use crate::storage::Command;

/// So long a member whose log has refused something, as its disk had no room, follows nobody and does not vote, in ms.
const NO_ROOM_MS: u64 = 5_000;

impl Serve<Begin> for LearnerActor {
    fn serve(&mut self, letter: Begin, ctx: &mut Ctx<'_, Self>) {
        self.begin(letter, ctx);
    }
}

impl Serve<LogAnswer> for LearnerActor {
    fn serve(&mut self, LogAnswer { role, what }: LogAnswer, ctx: &mut Ctx<'_, Self>) {
        let is_current = role == self.role;
        match what {
            Answered::Kept(facts) => self.on_kept(facts, is_current, ctx),
            Answered::Truncated => self.is_truncating = false,
            Answered::Refused(failure) if self.is_truncating => {
                // The core has cut what the log still holds.
                ctx.fatal(ExitCode::LogIo, &format!("the log cannot be cut as the leader says: {failure}"));
            }
            Answered::Installed => {
                self.install(ctx.clock().now_ms());
                if is_current {
                    self.with_stay(ctx, |stay, _| stay.on_installed());
                    self.go_on(ctx);
                }
            }
            Answered::TreeReplaced => {
                self.replace_tree(ctx.clock().now_ms());
                if is_current {
                    self.leave("its tree is made anew from the leader's", ctx);
                }
            }
            Answered::Refused(failure) | Answered::NotKept(failure) if !is_current => {
                self.discard();
                tracing::warn!(failure, "the log refused what a role that has ended asked for");
            }
            Answered::NotKept(failure) if self.others.is_none() => {
                tracing::error!(
                    failure,
                    "no next epoch: writes are refused with -119; tried again each second"
                );
                self.keeping.clear();
                self.tell_proposer(KeptEpoch::Refused, ctx);
            }
            Answered::NotKept(failure) | Answered::Refused(failure) => {
                tracing::error!(failure, "the log refuses what the role needs: the role is given up");
                self.discard();
                self.keeping.clear();
                self.no_room_until_ms = ctx.clock().now_ms() + NO_ROOM_MS;
                ctx.after(Duration::from_millis(NO_ROOM_MS), |learner, _| learner.stand_anew());
                self.leave("the log refused what the role needs: see above", ctx);
            }
            Answered::Drained(persisted) if is_current => self.on_drained(persisted.upto),
            Answered::Drained(_) => {}
        }
    }
}

impl Serve<SnapshotCame> for LearnerActor {
    fn serve(&mut self, SnapshotCame { role, received }: SnapshotCame, ctx: &mut Ctx<'_, Self>) {
        match received {
            Ok(received) if role != self.role => self.receiving().discard(&received),
            Err(_) if role != self.role => {}
            Ok(received) => {
                let (name, zxid) = (received.name.clone(), received.zxid);
                let command = match received.keeps_log {
                    true => Command::ReplaceTree { role, name, zxid },
                    false => Command::InstallSnapshot { role, name, zxid },
                };
                self.installing = Some(received);
                self.command(command, ctx);
            }
            Err(failure) => {
                tracing::error!(failure, "the leader's snapshot cannot be put in place: synchronised anew");
                self.leave("the leader's snapshot could not be put in place", ctx);
            }
        }
    }
}

impl Serve<Linked<LeaderLane>> for LearnerActor {
    fn serve(&mut self, Linked { peer, link }: Linked<LeaderLane>, _: &mut Ctx<'_, Self>) {
        if let Some(others) = &mut self.others {
            others.lanes.insert(peer, link);
        }
    }
}

impl Serve<LeaderLaneUp> for LearnerActor {
    fn serve(&mut self, letter: LeaderLaneUp, ctx: &mut Ctx<'_, Self>) {
        if letter.role != self.role {
            return;
        }
        if let Mode::Following(behind) = &mut self.mode {
            behind.connect(letter.lane);
            self.with_stay(ctx, Following::on_connected);
        }
    }
}

impl Serve<LeaderLaneDown> for LearnerActor {
    fn serve(&mut self, letter: LeaderLaneDown, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role && matches!(&self.mode, Mode::Following(it) if it.is_on(letter.lane)) {
            self.leave("the data lane to the leader is closed", ctx);
        }
    }
}

impl Serve<FromLeader> for LearnerActor {
    fn serve(&mut self, FromLeader { lane, packet, room, .. }: FromLeader, ctx: &mut Ctx<'_, Self>) {
        if matches!(&self.mode, Mode::Following(it) if it.is_on(lane)) {
            self.on_packet(packet, room, ctx);
        }
    }
}

impl Serve<KeepEpoch> for LearnerActor {
    fn serve(&mut self, letter: KeepEpoch, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.keep(letter.epoch, ctx);
        }
    }
}

impl Serve<Establish> for LearnerActor {
    fn serve(&mut self, Establish { role, epoch }: Establish, ctx: &mut Ctx<'_, Self>) {
        if role == self.role {
            self.quorum_has = Some(epoch);
            if self.facts.seed {
                self.keep(KeptEpoch::Joined, ctx);
            }
            self.establish(ctx);
        }
    }
}

impl Serve<Confirmed> for LearnerActor {
    fn serve(&mut self, letter: Confirmed, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.core.on_confirmed(letter.upto, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<Over> for LearnerActor {
    fn serve(&mut self, Over { role, sessions }: Over, ctx: &mut Ctx<'_, Self>) {
        if role != self.role {
            return;
        }
        let sessions = self.core.on_over(sessions, &mut self.out);
        self.perform(ctx);
        match self.mode {
            _ if sessions.is_empty() => {}
            Mode::Leading => {
                if self.peers.internal.post(Internal::Expire(sessions)).is_err() {
                    ctx.fatal(ExitCode::ActorGone, "the learner's Proposer has ended");
                }
            }
            _ => self.with_stay(ctx, |stay, out| stay.on_expire(sessions, out)),
        }
    }
}

impl Serve<Report> for LearnerActor {
    fn serve(&mut self, Report { as_of_ms, sessions }: Report, ctx: &mut Ctx<'_, Self>) {
        self.with_stay(ctx, |stay, out| stay.on_touched(as_of_ms, sessions, out));
    }
}
