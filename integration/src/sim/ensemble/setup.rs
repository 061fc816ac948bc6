//! What a seed draws once: the ensemble, its limits, its disks.

use std::collections::BTreeSet;
use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::Settings;
use paddock_actors::membership::{Joint, Membership};
use paddock_actors::proposer::core::LAST_COUNTER;
use paddock_actors::proposer::sync_plan::Spares;
use paddock_actors::proposer::{Quorum, Room};
use paddock_actors::quorum_peer::core::Timing;
use paddock_actors::storage::{Options, Reserve};
use paddock_actors::tree::DataTree;
use paddock_actors::tree::prep::PrepRules;
use paddock_config::{Members, Quorum as Votes, reconfig};
use paddock_messages::ids::ServerId;
use rand::Rng;
use rand::rngs::StdRng;

use super::EnsembleFault;

/// Ids go from 1 to this.
const MOST_MEMBERS: u64 = 9;
/// More than any request of the simulated clients comes to in the log.
const LARGEST: u64 = 1 << 10;
/// After so long without an answer a peer counts as gone: the default.
pub(super) const PEER_TIMEOUT_MS: u64 = 1_000;

/// The voters, or what a fault makes of them.
#[derive(Clone, Debug)]
pub(super) struct SimQuorum {
    votes: Votes,
    /// One is enough.
    any: bool,
    /// Whoever has no vote counts, too.
    all: bool,
    /// Whoever counts, no more are needed than voters are.
    strangers: bool,
}

impl Quorum for SimQuorum {
    fn is_voter(&self, server: ServerId) -> bool {
        self.strangers || self.votes.is_voter(server)
    }

    fn voters(&self) -> BTreeSet<ServerId> {
        if self.strangers { (1..=MOST_MEMBERS).map(ServerId).collect() } else { Quorum::voters(&self.votes) }
    }

    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool {
        if self.any {
            return self.votes.voters().iter().any(|voter| agrees(*voter));
        }
        if self.strangers {
            let many = (1..=MOST_MEMBERS).filter(|id| agrees(ServerId(*id))).count();
            return many * 2 > self.votes.voters().len();
        }
        self.votes.holds_if(agrees)
    }

    fn like(&self, members: &Members) -> Self {
        let all = || Votes::Majority(members.servers.keys().copied().collect());
        Self { votes: if self.all { all() } else { members.quorum() }, ..self.clone() }
    }
}

pub(super) struct Setup {
    pub(super) voters: BTreeSet<ServerId>,
    pub(super) members: BTreeSet<ServerId>,
    /// Those whom every member's file names.
    pub(super) named: BTreeSet<ServerId>,
    pub(super) fault: Option<EnsembleFault>,
    pub(super) timing: Timing,
    /// A member takes a snapshot after so many txns, and keeps so many.
    pub(super) snapshot_every: u64,
    pub(super) keep: usize,
    /// How long a disk takes for one job, at most, in us.
    pub(super) disk_us: u64,
    /// The same for a piece of what a learner lacks.
    pub(super) read_us: u64,
    /// How long a letter waits at most, but for threads that stand still, in us.
    pub(super) longest_mail_us: u64,
    /// Of every client arbiter.
    pub(super) settings: Arc<Settings>,
    /// The counter of each epoch's last txn.
    pub(super) last_counter: u32,
    /// Its configuration changes.
    pub(super) reconfigures: bool,
    /// Its voters are in groups, and have weights.
    pub(super) has_groups: bool,
    segment_bytes: u64,
    admitted_bytes: u64,
    /// Client arbiters of each member.
    pub(super) arbiters: u16,
    /// Members without a leader serve who only reads.
    pub(super) reads_only: bool,
    pub(super) salt: u64,
}

impl Setup {
    pub(super) fn drawn(rng: &mut StdRng, fault: Option<EnsembleFault>) -> Self {
        let many = [3, 3, 3, 5, 5, 7][rng.random_range(0..6)];
        let observers = [0, 0, 1, 2][rng.random_range(0..4)];
        let park_ms = [0, 2_000, 2_000, 10_000][rng.random_range(0..4)]; // the last outlasts a session
        Self {
            voters: (1..=many).map(ServerId).collect(),
            members: (1..=many + observers).map(ServerId).collect(),
            named: (1..=many + observers).map(ServerId).collect(),
            fault,
            timing: Timing { peer_timeout_ms: PEER_TIMEOUT_MS, init_ms: 5_000 },
            snapshot_every: [20, 60, 200][rng.random_range(0..3)],
            keep: rng.random_range(1..=3),
            disk_us: [500, 3_000, 20_000][rng.random_range(0..3)],
            read_us: [300, 3_000, 20_000][rng.random_range(0..3)],
            longest_mail_us: [6_000, 50_000, 200_000][rng.random_range(0..3)],
            settings: Arc::new(Settings {
                max_connections_per_host: 0,
                park_ms: if fault == Some(EnsembleFault::ParkUnasked) { 10_000 } else { park_ms },
                linearizable_reads: rng.random_bool(0.3),
                ..Settings::default()
            }),
            last_counter: LAST_COUNTER,
            reconfigures: false,
            has_groups: false,
            segment_bytes: [8 << 10, 32 << 10][rng.random_range(0..2)],
            admitted_bytes: [8 << 10, 32 << 10][rng.random_range(0..2)],
            arbiters: 1,
            reads_only: false,
            salt: rng.random(),
        }
        .with_short_epochs()
        .with_local_sessions()
        .with_readers()
        .with_arbiters()
        .with_reconfigs()
        .with_groups()
    }

    /// Configurations that change in every third seed, of two more members, whom half of the time no file but their own
    /// names: not with a mistake that has nothing to do with it.
    fn with_reconfigs(self) -> Self {
        use EnsembleFault::{
            ActivateEarly, CountOldAlone, JudgeByFile, LetRemovedVote, LinkNoMore, RefuseGuests,
        };
        let reconfigures = match self.fault {
            None => (self.salt >> 20).is_multiple_of(3),
            Some(fault) => {
                [ActivateEarly, CountOldAlone, JudgeByFile, LetRemovedVote, LinkNoMore, RefuseGuests]
                    .contains(&fault)
            }
        };
        let most = self.voters.len() as u64 + 2;
        let members = if reconfigures { (1..=most).map(ServerId).collect() } else { self.members.clone() };
        let are_named = (self.salt >> 28).is_multiple_of(2);
        let named = if reconfigures && !are_named { self.voters.clone() } else { members.clone() };
        Self { reconfigures, members, named, ..self }
    }

    /// As a member's file has the ensemble: one that the others' do not name is in its own, with a vote or not.
    pub(super) fn file(&self, me: ServerId) -> Members {
        let (mut voters, mut all) = (self.voters.clone(), self.named.clone());
        if all.insert(me) && (self.salt >> 32).is_multiple_of(2) {
            voters.insert(me);
        }
        self.configuration(&voters, &all)
    }

    /// Epochs of few txns in every third seed: not with a mistake that has nothing to do with it.
    fn with_short_epochs(self) -> Self {
        let is_wanted = match self.fault {
            None => (self.salt >> 8).is_multiple_of(3),
            Some(fault) => fault == EnsembleFault::RollOverAlone,
        };
        let last_counter = if is_wanted { 5 + (self.salt >> 16) as u32 % 200 } else { LAST_COUNTER };
        Self { last_counter, ..self }
    }

    /// The member of the build before, in every fourth seed: it has no word for a next epoch.
    pub(super) fn is_deaf(&self, server: ServerId) -> bool {
        let nth = (self.salt >> 48) % self.members.len() as u64;
        self.fault.is_none() && (self.salt >> 40).is_multiple_of(4) && server.0 == 1 + nth
    }

    pub(super) fn has(&self, fault: EnsembleFault) -> bool {
        self.fault == Some(fault)
    }

    fn quorum(&self, members: &Members) -> SimQuorum {
        let strangers = self.has(EnsembleFault::LetRemovedVote);
        let all = self.has(EnsembleFault::CountObservers);
        SimQuorum { votes: members.quorum(), any: false, all, strangers }.like(members)
    }

    /// The configuration that the log of a member has put in force, or its file's.
    pub(super) fn membership(&self, me: ServerId, tree: &DataTree) -> Membership<SimQuorum> {
        let members = tree.membership().unwrap_or_else(|| self.file(me));
        let quorum = self.quorum(&members);
        Membership::new(members, quorum)
    }

    /// As a file has it.
    pub(super) fn configuration(&self, voters: &BTreeSet<ServerId>, all: &BTreeSet<ServerId>) -> Members {
        let line = |id: &ServerId| {
            let role = if voters.contains(id) { "participant" } else { "observer" };
            format!("server.{id}=m{id}:2888:3888:{role};2181\n")
        };
        let servers: String = all.union(voters).map(line).collect();
        Members::read(&(servers + &self.groups(voters))).expect("these are members")
    }

    /// Of the Proposer; where the configuration changes anybody may do that.
    pub(super) fn prep(&self) -> PrepRules {
        let auth = AuthRules { skip_acl: self.reconfigures, ..AuthRules::default() };
        let rules = reconfig::Rules { standalone_enabled: false, multi_address: false };
        let reconfig = self.reconfigures.then_some(rules);
        let local_sessions = self.settings.local_sessions;
        PrepRules { auth, extended_types: true, reconfig, local_sessions, ..PrepRules::default() }
    }

    /// Who decides what is committed.
    pub(super) fn commits_by(&self, by: Joint<SimQuorum>) -> Joint<SimQuorum> {
        let now = by.now();
        let quorum = match self.fault {
            Some(EnsembleFault::CommitOnMinority) => SimQuorum { any: true, ..now.quorum.clone() },
            Some(EnsembleFault::CountHeads) => {
                SimQuorum { votes: Votes::Majority(now.members.voters()), ..now.quorum.clone() }
            }
            _ => return by,
        };
        Joint::of(now.members.clone(), quorum)
    }

    pub(super) fn options(&self, server: ServerId) -> Options {
        let mut options = Options::new(server, self.salt ^ server.0);
        options.segment_bytes = self.segment_bytes;
        options.admitted_bytes = self.admitted_bytes;
        options.reserve = Reserve::Inline;
        options.force_sync = !self.has(EnsembleFault::NoSync);
        options
    }

    /// What is committed is told with the log. Not with a fault: who is sound sooner hides it.
    pub(super) fn tells_early(&self) -> bool {
        self.fault.is_none()
    }

    /// Snapshots are small here, and sent in place of the log in some seeds; never with a fault, for they would
    /// heal what it does to a log.
    pub(super) fn spares(&self) -> Spares {
        let factors = [0, 330_000, 1_000_000, -1];
        let factor_millionths = if self.fault.is_none() { factors[(self.salt % 4) as usize] } else { 0 };
        Spares { factor_millionths, least_bytes: 1 << 10 }
    }

    /// Whether disks may fill, and what is sent is held to the log's room: not with a mistake that has nothing to do
    /// with it, so that the same seeds find it as ever.
    pub(super) fn fills_disks(&self) -> bool {
        use EnsembleFault::{AckUnwritten, IgnoreFullDisk};
        self.fault.is_none_or(|fault| [IgnoreFullDisk, AckUnwritten].contains(&fault))
    }

    /// The most bytes of a frame of the log, about: far below what a log has room for.
    pub(super) fn frame_bytes(&self) -> usize {
        if self.fills_disks() { self.admitted_bytes as usize / 2 } else { usize::MAX }
    }

    pub(super) fn room(&self) -> Room {
        Room { admitted: self.admitted_bytes, largest: LARGEST }
    }
}
