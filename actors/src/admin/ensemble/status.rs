//! What one sight comes to as a [`Status`].

use std::collections::BTreeMap;

use paddock_config::members::Server;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use super::Sight;
use crate::admin::status::{ElectionStatus, LagStatus, LinkReport, MemberStatus, QuorumStatus, Status};
use crate::peer_link::status::{LinkState, LinkStatus};
use crate::quorum_peer::{Aim, Told};

impl Sight {
    /// For operators. `zxid` is the last that this member has applied; `filed` are the servers of its file, for those that the
    /// configuration in force does not name.
    pub fn status(&self, zxid: Zxid, filed: &BTreeMap<ServerId, Server>) -> Status {
        let mode = match self.told() {
            Told::Leading => "leader",
            Told::Following => "follower",
            Told::Observing => "observer",
            Told::Looking if self.serves_reads_only() => "read-only",
            Told::Looking => "looking",
        };
        Status {
            server: self.me.0,
            version: env!("CARGO_PKG_VERSION").into(),
            mode: mode.into(),
            mode_seconds: self.seconds_since(self.office.since_ms),
            is_serving: !self.is(Told::Looking) || self.serves_reads_only(),
            outlook: self.outlook(),
            epoch: self.epoch.map(|Epoch(epoch)| epoch),
            zxid: format!("{:#x}", zxid.0),
            feature_level: Some(self.level),
            leader: self.leader().map(|id| id.0),
            quorum: Some(self.quorum_status()),
            election: self.office.search.map(|search| ElectionStatus {
                why: search.why.into(),
                began_seconds_ago: self.seconds_since(search.began_ms),
                took_ms: search.took_ms,
            }),
            members: self
                .everybody()
                .map(|id| {
                    let server = self.servers.get(&id).or_else(|| filed.get(&id));
                    self.member_status(id, mode, server.map(address).unwrap_or_default())
                })
                .collect(),
        }
    }

    /// Who leads, as far as it serves this member.
    pub fn leader(&self) -> Option<ServerId> {
        match (self.told(), self.office.aim) {
            (Told::Leading, _) => Some(self.me),
            (Told::Following | Told::Observing, Aim::Follow(leader)) => Some(leader),
            _ => None,
        }
    }

    /// The epoch that is led, as far as this member is served.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    fn everybody(&self) -> impl Iterator<Item = ServerId> {
        let mut all: Vec<ServerId> = self.links.keys().copied().chain([self.me]).collect();
        all.sort_unstable();
        all.into_iter()
    }

    fn quorum_status(&self) -> QuorumStatus {
        let synchronised = self.reign.as_ref().map(|reign| {
            let is_in_sync = |id: &&ServerId| **id == self.me || reign.synchronised.contains(id);
            self.voters.iter().filter(is_in_sync).map(|id| id.0).collect()
        });
        QuorumStatus { voters: self.voters.iter().map(|id| id.0).collect(), synchronised }
    }

    fn member_status(&self, id: ServerId, own_mode: &str, address: String) -> MemberStatus {
        let links = self.links.get(&id);
        let speaks = |it: &LinkStatus| it.speaking.filter(|_| it.state == LinkState::Up);
        MemberStatus {
            server: id.0,
            is_voter: self.voters.contains(&id),
            role: if id == self.me { Some(own_mode) } else { self.role_of(id) }.map(Into::into),
            address,
            frames: links.and_then(|both| both.iter().find_map(speaks)),
            ctl: links.map(|[ctl, _]| self.report(ctl)),
            data: links.map(|[_, data]| self.report(data)),
            lag: self.behind.get(&id).map(|it| LagStatus { txns: it.txns, bytes: it.bytes }),
        }
    }

    /// What another is, if that can be known here.
    fn role_of(&self, id: ServerId) -> Option<&'static str> {
        match &self.reign {
            Some(reign) if reign.serving.contains(&id) && self.voters.contains(&id) => Some("follower"),
            Some(reign) if reign.serving.contains(&id) => Some("observer"),
            Some(reign) if reign.connected.contains(&id) => Some("synchronising"),
            Some(_) => Some("away"),
            None => (self.leader() == Some(id)).then_some("leader"),
        }
    }

    fn report(&self, link: &LinkStatus) -> LinkReport {
        LinkReport {
            state: link.state.name().into(),
            seconds: self.seconds_since(link.since_ms),
            last_error: link.last_error.clone(),
        }
    }
}

/// As a server line has it.
fn address(of: &Server) -> String {
    let all = of.addresses.iter().map(|at| {
        let host = if at.host.contains(':') { format!("[{}]", at.host) } else { at.host.clone() };
        format!("{host}:{}:{}", at.quorum_port, at.election_port)
    });
    all.collect::<Vec<_>>().join("|")
}
