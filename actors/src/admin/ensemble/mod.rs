//! What an operator sees of an ensemble: who is there, each link, who is how far behind, and why there is no
//! leader.
//!
//! - AD7  While no leader serves a member, the log, `srvr` and the metrics say so, with the same voters missing:
//!   since when, and the last error of the link to each.
//!
//! [`Ensemble`] knows where the facts are; [`Sight`] is what they were at one moment, and all texts are functions
//! of it.

mod links;
mod outlook;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use paddock_config::Members;
use paddock_config::members::Server;
use paddock_messages::ids::ServerId;
use paddock_messages::level;
use paddock_messages::path::CONFIG;
use paddock_messages::zxid::Epoch;

use super::four_letter::Sizes;
use super::metrics::{EnsembleGauges, LeaderGauges};
use crate::election::Waits;
use crate::election::actor::SharedSearch;
use crate::membership;
use crate::peer_link::status::{LinkState, LinkStatus};
use crate::peer_link::{SharedIdentity, SharedLinks};
use crate::proposer::lag::{Behind, SharedLag};
use crate::quorum_peer::progress::{Progress, Reign};
use crate::quorum_peer::{Aim, Board, Office, RoleTold, Told};
use crate::tree::DataTree;

/// The lanes' names, in the order in which their states stand.
const LANES: [&str; 2] = ["ctl", "data"];

/// Where the facts are. Clones share them.
#[derive(Clone, Debug)]
pub struct Ensemble {
    /// This member.
    pub me: ServerId,
    /// What the member is.
    pub role: RoleTold,
    /// How far its role has come, and who decides.
    pub board: Board,
    /// What its search for a leader waits for.
    pub search: SharedSearch,
    /// The links to each other member: ctl, data.
    pub links: SharedLinks,
    /// How far learners are behind, while this member leads.
    pub lag: SharedLag,
    /// What hellos say of this member: which frames it speaks, and the feature level.
    pub identity: SharedIdentity,
}

impl Ensemble {
    /// The members in force, with their version as far as `tree`, this member's, knows it.
    pub fn in_force(&self, tree: &DataTree) -> Members {
        let mut members = self.members();
        // What was just answered is applied, whoever else has been told of it yet.
        if let Some(applied) = tree.membership().filter(|it| it.version > members.version) {
            members = applied;
        }
        let named = tree.node(CONFIG).and_then(|node| membership::members(node.data()?));
        if let Some(named) = named.filter(|it| it.to_string() == members.to_string()) {
            members.version = named.version; // the leader goes by the same: until the first reconfig no other has one
        }
        members
    }

    fn members(&self) -> Members {
        self.board.decides().map(|by| by.now().members.clone()).unwrap_or_default()
    }

    /// What is to be seen now, in ms of the monotonic clock.
    pub fn look(&self, now_ms: u64) -> Sight {
        let is_fenced = self.board.is_fenced();
        let mut office = self.role.get();
        if is_fenced {
            office.told = Told::Looking; // as far as clients are concerned
        }
        let (reign, epoch) = match self.board.latest() {
            Progress::Leading(reign) if office.told == Told::Leading => {
                let epoch = reign.established;
                (Some(reign), epoch)
            }
            Progress::Following(stay) if office.told != Told::Looking => (None, stay.epoch),
            _ => (None, None),
        };
        let members = self.members();
        let voters = members.voters();
        let observers = members.servers.keys().filter(|id| !voters.contains(id)).copied().collect();
        let lag = self.lag.lock();
        let (level, spoken, named) = {
            let identity = self.identity.lock();
            (identity.level, identity.speaks.highest, identity.members.clone())
        };
        let links = self.links.iter().map(|link| {
            let statuses = link.statuses.each_ref().map(|of| of.lock().clone());
            (*link.key(), statuses)
        });
        // Whom nobody names any more is of interest as long as it is there.
        let links = links.filter(|(id, [ctl, _])| named.contains(id) || ctl.state == LinkState::Up);
        Sight {
            level,
            spoken,
            now_ms,
            me: self.me,
            is_fenced,
            is_disk_full: self.board.is_disk_full(),
            voters,
            observers,
            servers: members.servers,
            office,
            waits: self.search.lock().clone(),
            links: links.collect(),
            serves_reads: self.board.serves_reads(),
            behind: if reign.is_some() { lag.learners() } else { BTreeMap::new() },
            pending_syncs: lag.pending_syncs(),
            reign,
            epoch,
        }
    }
}

/// The facts at one moment.
#[derive(Clone, Debug)]
pub struct Sight {
    now_ms: u64,
    me: ServerId,
    is_fenced: bool,
    is_disk_full: bool,
    voters: BTreeSet<ServerId>,
    observers: BTreeSet<ServerId>,
    /// The members of the configuration in force.
    servers: BTreeMap<ServerId, Server>,
    office: Office,
    waits: Option<Waits>,
    links: BTreeMap<ServerId, [LinkStatus; 2]>,
    serves_reads: bool,
    reign: Option<Reign>,
    epoch: Option<Epoch>,
    behind: BTreeMap<ServerId, Behind>,
    pending_syncs: u64,
    /// The ensemble's feature level, and the newest frames that this member speaks.
    level: u8,
    spoken: u8,
}

impl Sight {
    /// What ZooKeeper's names for an ensemble tell; `sizes` are those of proposals.
    pub fn gauges(&self, sizes: Sizes) -> EnsembleGauges {
        let leading = self.reign.as_ref().map(|reign| {
            let synchronised =
                |of: &dyn Fn(&ServerId) -> bool| reign.synchronised.iter().filter(|it| of(it)).count() as u64;
            let is_voter = |it: &ServerId| self.voters.contains(it);
            let is_observer = |it: &ServerId| self.observers.contains(it);
            LeaderGauges {
                learners: reign.connected.len() as u64,
                synced_followers: synchronised(&|it| !is_observer(it)),
                synced_non_voting_followers: synchronised(&|it| !is_observer(it) && !is_voter(it)),
                synced_observers: synchronised(&is_observer),
                pending_syncs: self.pending_syncs,
                uptime_ms: self.now_ms.saturating_sub(self.office.since_ms),
                sizes,
            }
        });
        EnsembleGauges {
            quorum_size: self.voters.len() as u64,
            is_follower: self.is(Told::Following),
            leading,
        }
    }

    /// As `zk_peer_state` tells it of a member that serves. Source: QuorumPeer.java, getDetailedPeerState.
    pub fn peer_state(&self) -> &'static str {
        match self.office.told {
            Told::Looking => "looking",
            Told::Leading => "leading - broadcast",
            Told::Following => "following - broadcast",
            Told::Observing => "observing - broadcast",
        }
    }

    /// Whom an observer learns from.
    pub fn observer_master(&self) -> Option<ServerId> {
        match self.office.aim {
            Aim::Follow(leader) if self.is(Told::Observing) => Some(leader),
            _ => None,
        }
    }

    /// What the member is.
    pub fn told(&self) -> Told {
        self.office.told
    }

    /// Whether it has no leader, and serves clients that only read.
    pub fn serves_reads_only(&self) -> bool {
        self.is(Told::Looking) && self.serves_reads && !self.is_fenced
    }

    /// The highest feature level that this member and all others read, as far as it is connected with them; while one is
    /// not, the one that they have agreed on.
    fn possible_level(&self) -> u8 {
        let spoken = |ctl: &LinkStatus| ctl.speaking.filter(|_| ctl.state == LinkState::Up);
        let of_all: Option<Vec<u8>> = self.links.values().map(|[ctl, _]| spoken(ctl)).collect();
        let lowest = of_all.map(|all| all.into_iter().fold(self.spoken, u8::min));
        lowest.map_or(self.level, level::readable_in)
    }

    fn is(&self, told: Told) -> bool {
        self.office.told == told
    }

    /// The other voters with which no votes are exchanged, and the state of that link.
    fn missing(&self) -> impl Iterator<Item = (ServerId, &LinkStatus)> {
        let ctl = self.links.iter().map(|(id, [ctl, _])| (*id, ctl));
        ctl.filter(|(id, ctl)| self.voters.contains(id) && ctl.state != LinkState::Up)
    }
}
