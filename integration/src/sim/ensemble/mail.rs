//! The letters between a member's parts, and the mailboxes in which they wait.
//!
//! A part has one mailbox, as an actor has: what was posted first is handled first. When, the seed draws: at once,
//! a little later, or much later; and never while the part's thread stands still. Between two letters of one part
//! there may be any number of another's, ticks, work of the log's thread, and packets. What waits dies with the
//! process.

use std::collections::{BTreeMap, VecDeque};

use paddock_actors::election::actor::{Elected, Heard, Left, LinkChange, Settle};
use paddock_actors::learner::roles::Answered;
use paddock_actors::membership::{Joint, Told};
use paddock_actors::proposer::sync_plan::Searched;
use paddock_actors::tree::DataTree;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{
    Commit, Internal, Proposals, SessionChanges, Silent, Submissions, Touched, TurnedAway,
};
use paddock_messages::quorum::{Heartbeat, Memory, Notification, ToLeader, ToLearner, Vote};
use paddock_messages::roles::{
    Asked, Begin, Confirmed, DropLearner, EpochKept, Establish, HandOver, HistoryApplied, Judge, KeepEpoch,
    Lead, LeadOver, MemberLane, MemberMet, MoveLeader, Over, OwnAck, Report, Retire, RoleEnded, RoundHeld,
    Settled, SilentAt, Stands, SyncAsked, TreeDiffers,
};
use paddock_messages::zxid::Zxid;
use rand::Rng;

use super::EnsembleFault;
use super::node::{Effect, Node};
use super::setup::SimQuorum;

/// Who gets mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    QuorumPeer,
    Election,
    Learner,
    Proposer,
    Sessions,
    /// A client arbiter, by number.
    Hub(u16),
    /// Writes the snapshot that a leader sends.
    Receiver,
}

/// What can stand still while the rest of the process moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thread {
    Ctl,
    Core,
    Files,
}

impl Part {
    pub(super) fn thread(self) -> Thread {
        match self {
            Self::QuorumPeer | Self::Election => Thread::Ctl,
            Self::Learner | Self::Proposer | Self::Sessions | Self::Hub(_) => Thread::Core,
            Self::Receiver => Thread::Files,
        }
    }
}

/// What a client arbiter is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control {
    Begin(u64),
    Serve(bool),
    /// Those alone who only read.
    ServeReads,
    Vouch {
        until_ms: u64,
    },
    Park,
    CloseAll,
    FeedReady,
}

/// One letter, as the actors' shells post it.
pub(super) enum Letter {
    Elected(Elected),
    Stands(Stands),
    RoleEnded(RoleEnded),
    Retire(Retire),
    MoveLeader(MoveLeader),
    Settled(Settled),
    SyncAsked(SyncAsked),
    Heartbeat(ServerId, Heartbeat),
    Notification(ServerId, Notification),
    CtlLane(ServerId, bool),
    Look {
        own: Option<Vote>,
        memory: Memory,
        by: Joint<SimQuorum>,
    },
    /// To the QuorumPeer and the Proposer.
    Decide {
        role: u64,
        by: Joint<SimQuorum>,
        told: Option<Told>,
    },
    DecidedBy {
        role: u64,
        next: Option<Zxid>,
    },
    /// To the QuorumPeer, from another member.
    Configuration(ServerId, Told),
    /// The same, to the Learner.
    ConfigurationHeard(ServerId, Option<Told>),
    Settle(Settle),
    Left(Left),
    Heard(Heard),
    LinkChange(LinkChange),
    Begin(Begin),
    TreeDiffers(TreeDiffers),
    Durable {
        role: u64,
        upto: Zxid,
    },
    LogAnswer {
        role: u64,
        what: Answered,
    },
    /// The log has no room for more, or has some again.
    DiskSpace {
        is_full: bool,
    },
    SnapshotCame {
        role: u64,
        received: Result<Box<Came>, String>,
    },
    LeaderLane {
        role: u64,
        lane: u64,
        is_up: bool,
    },
    FromLeader {
        lane: u64,
        packet: ToLearner,
    },
    KeepEpoch(KeepEpoch),
    Establish(Establish),
    Confirmed(Confirmed),
    Proposals(Proposals),
    Commit(Commit),
    TurnedAway(TurnedAway),
    Over(Over),
    Report(Report),
    Submissions(Submissions),
    Lead(Lead),
    LeadOver(LeadOver),
    Asked(Asked),
    OwnAck(OwnAck),
    EpochKept(EpochKept),
    HistoryApplied(HistoryApplied),
    Internal(Internal),
    LearnerLane {
        role: u64,
        learner: ServerId,
        lane: u64,
        /// What the learner's build reads, if it is up.
        up: Option<u8>,
    },
    FromLearner {
        learner: ServerId,
        lane: u64,
        packet: ToLeader,
    },
    RoundHeld(RoundHeld),
    DropLearner(DropLearner),
    HandOver(HandOver),
    Found {
        learner: ServerId,
        lane: u64,
        found: Result<Searched, String>,
    },
    SyncSent {
        learner: ServerId,
        lane: u64,
        sent: Result<Zxid, String>,
    },
    SilentAt(SilentAt),
    Judge(Judge),
    SessionChanges(SessionChanges),
    Touched(Touched),
    MemberMet(MemberMet),
    MemberLane(MemberLane),
    Control(Control),
    Silent(Silent),
    /// All pieces have come.
    Received {
        role: u64,
        zxid: Zxid,
        bytes: Vec<u8>,
    },
}

/// A snapshot that came, and is on disk.
pub(super) struct Came {
    pub(super) name: String,
    pub(super) zxid: Zxid,
    pub(super) tree: DataTree,
    pub(super) keeps_log: bool,
}

/// The mailboxes of one process.
#[derive(Default)]
pub(super) struct Mail {
    /// Each letter with the role that the member had when it was posted.
    boxes: BTreeMap<Part, VecDeque<(u64, Letter)>>,
    /// Whose next letter comes as soon as nothing else is being done.
    at_once: VecDeque<Part>,
}

impl Mail {
    pub(super) fn is_empty(&self) -> bool {
        self.boxes.values().all(VecDeque::is_empty)
    }

    /// Whether such a letter waits for the part.
    pub(super) fn has(&self, part: Part, is_it: impl FnMut(&Letter) -> bool) -> bool {
        self.boxes.get(&part).is_some_and(|waiting| waiting.iter().map(|(_, letter)| letter).any(is_it))
    }
}

impl Node {
    /// Never handled before whatever is being done is done.
    pub(super) fn post(&mut self, to: Part, letter: Letter) {
        let waiting = self.mail.boxes.entry(to).or_default();
        waiting.push_back((self.ctl.role, letter));
        if waiting.len() == 1 {
            self.schedule(to);
        }
    }

    /// When the part handles its next letter.
    fn schedule(&mut self, to: Part) {
        let us = match self.rng.random_range(0..1_000) {
            0..650 => 0,
            650..960 => self.rng.random_range(1..400),
            960..998 => self.rng.random_range(400..5_000),
            _ => self.rng.random_range(5_000..self.setup.longest_mail_us),
        };
        if us == 0 && !self.stalled.contains(&to.thread()) {
            self.mail.at_once.push_back(to);
        } else {
            self.effects.push(Effect::Wake(to, us));
        }
    }

    /// The part handles its next letter.
    pub(super) fn wake(&mut self, part: Part) {
        let Some((posted_in, letter)) = self.mail.boxes.get_mut(&part).and_then(VecDeque::pop_front) else {
            return;
        };
        if posted_in != self.ctl.role {
            self.note("letters delayed across a role's end");
        }
        self.handle(part, letter);
        if self.mail.boxes.get(&part).is_some_and(|waiting| !waiting.is_empty()) {
            self.schedule(part);
        }
    }

    /// Whether some mail need not wait.
    pub(super) fn has_mail(&self) -> bool {
        self.ended.is_none() && !self.mail.at_once.is_empty()
    }

    /// What need not wait.
    pub(super) fn run_mail(&mut self) {
        while self.ended.is_none()
            && let Some(part) = self.mail.at_once.pop_front()
        {
            self.wake(part);
        }
    }

    /// Whether the Election is yet to hear that the role has ended.
    pub(super) fn has_left_waiting(&self) -> bool {
        self.mail.has(Part::Election, |letter| matches!(letter, Letter::Left(_)))
    }

    /// Whether a letter of this role is for `current`; one of another is counted and ignored.
    pub(super) fn is_current(&mut self, role: u64, current: u64) -> bool {
        if role != current {
            self.note("letters of an older role ignored");
        }
        role == current || self.setup.has(EnsembleFault::IgnoreRole)
    }

    fn handle(&mut self, part: Part, letter: Letter) {
        if let Part::Hub(arbiter) = part {
            return self.at_hub(arbiter, letter);
        }
        match letter {
            Letter::DiskSpace { is_full } if part == Part::Proposer => self.on_proposer_disk_space(is_full),
            Letter::Elected(it) => self.on_elected(it),
            Letter::Stands(it) => self.on_stands(it),
            Letter::RoleEnded(it) => self.on_role_ended(it),
            Letter::Retire(Retire) => self.on_retire(),
            Letter::MoveLeader(it) => self.on_move(it),
            Letter::Settled(it) => self.on_settled(it),
            Letter::SyncAsked(it) => self.on_sync_asked(it),
            Letter::Heartbeat(from, heard) => self.on_heartbeat(from, heard),
            Letter::Notification(from, notification) => {
                self.tell_configuration(from, self.ctl.telling.on_notification(&notification).cloned());
                self.post(Part::Election, Letter::Heard(Heard { from, notification }));
            }
            Letter::CtlLane(peer, is_up) => self.on_ctl_lane(peer, is_up),
            Letter::Look { own, memory, by } => self.on_look(own, memory, by),
            Letter::Decide { role, by, told } if part == Part::QuorumPeer => self.on_decide(role, by, told),
            Letter::Configuration(from, told) => self.on_configuration(from, told),
            Letter::Settle(it) => self.on_settle(it),
            Letter::Left(it) => self.on_left(it),
            Letter::Heard(it) => self.on_heard(it),
            Letter::LinkChange(it) => self.on_link_change(it),
            Letter::Judge(it) => self.on_judge(it),
            Letter::SessionChanges(it) => self.on_session_changes(&it),
            Letter::Touched(it) => self.on_touched(it),
            Letter::MemberMet(it) => self.on_member_met(it),
            Letter::MemberLane(it) => self.on_member_lane(it),
            Letter::Received { role, zxid, bytes } => self.on_received(role, zxid, &bytes, None),
            letter => self.handle_data(letter),
        }
    }

    /// To the Learner and the Proposer.
    fn handle_data(&mut self, letter: Letter) {
        match letter {
            Letter::Decide { by, .. } => self.lead.by = Some(by),
            Letter::DecidedBy { role, next } => self.on_decided_by(role, next),
            Letter::Lead(it) => self.on_lead(it),
            Letter::LeadOver(it) => self.on_lead_over(it),
            Letter::Asked(it) => self.on_asked(it),
            Letter::OwnAck(it) => self.on_own_ack(it),
            Letter::EpochKept(it) => self.on_epoch_kept(it),
            Letter::HistoryApplied(it) => self.on_history_applied(it),
            Letter::Internal(it) => self.on_internal(it),
            Letter::LearnerLane { role, learner, lane, up: Some(reads) } => {
                self.on_learner_lane(role, learner, (lane, reads));
            }
            Letter::LearnerLane { learner, lane, .. } => self.on_learner_lane_down(learner, lane),
            Letter::FromLearner { learner, lane, packet } => self.on_packet_up(learner, lane, packet),
            Letter::RoundHeld(it) => self.on_round_held(it),
            Letter::DropLearner(it) => self.on_drop_learner(it),
            Letter::HandOver(it) => self.on_hand_over(it),
            Letter::Found { learner, lane, found } => self.on_found(learner, lane, found),
            Letter::SyncSent { learner, lane, sent } => self.on_sync_sent(learner, lane, &sent),
            Letter::SilentAt(it) => self.on_silent_at(it),
            letter => {
                self.told(letter);
                self.on_applied();
            }
        }
    }
}
