//! An operator's change of the members: asked of the leader as a client's reconfig is, by whichever member was told.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use paddock_config::Members;
use paddock_messages::client::ops::Reconfig;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::alone::Alone;
use super::ensemble::Ensemble;
use super::reconfig_client::{ANSWERED_WITHIN, Broken, Failed, reconfig};
use crate::client::operator::NewOperator;
use crate::membership;
use crate::runtime::Clock;
use crate::tree::SharedTree;

/// Orders at once; more wait. The leader does one after the other in any case.
const AT_ONCE: usize = 2;

/// `POST /api/members`: change them. As ZooKeeper's reconfig takes it: either some join and some leave, or all are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrder {
    /// `server.N=…` lines with commas between; one whose id is there takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// Ids with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<String>,
    /// The lines of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<String>,
    /// Only if this configuration is the one in force: hexadecimal digits. Without: whichever is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whoever is to vote may be away, or not in sync yet. What would leave no quorum in sync is refused nevertheless: it
    /// would never be committed, and nothing behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// `GET /api/members`, and what a change comes to: a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// In hexadecimal digits; 0 if this member does not know it.
    pub version: String,
    /// Its lines, as `/zookeeper/config` has them. Of a server alone the file's line for it, if there is one.
    pub members: Vec<String>,
    /// Whose id this is, if it is a server alone: it becomes a member itself before others can be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<u64>,
}

impl Configuration {
    /// Of these.
    pub fn of(members: &Members) -> Self {
        let lines = members.to_string().lines().map(str::to_owned).collect();
        Self { version: format!("{:x}", members.version), members: lines, alone: None }
    }

    /// What it says; `None` if that is nothing.
    pub fn read(&self) -> Option<Members> {
        let version = u64::from_str_radix(&self.version, 16).ok()?;
        Some(Members { version, ..Members::read(&self.members.join("\n")).ok()? })
    }
}

/// Why the members are as they were, or may be.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// HTTP 400.
    #[error("this is no change: {0}")]
    NoChange(&'static str),
    /// Others are to be added to this server, which is none that they could find; HTTP 409.
    #[error(
        "this server is alone, so that others would not find it: say first where they do, by paddock member add {} \
         'HOST:2888:3888;CLIENTPORT' with HOST as they reach this machine, then add them", .0
    )]
    Alone(ServerId),
    /// It is to become a member where it could not listen, or not start again; HTTP 409.
    #[error("{line}: this server, which is alone, cannot become a member there: {why}")]
    NoPlace {
        /// Its own.
        line: String,
        /// In words.
        why: String,
    },
    /// The leader has said so; HTTP 409.
    #[error("{} ({}); the log of {leader} has the reason", advice(*.code), .code.code())]
    Refused {
        /// As a client is told.
        code: ErrorCode,
        /// Who leads, in words.
        leader: String,
    },
    /// HTTP 503.
    #[error(
        "nothing was asked: {0}: see paddock status, and repeat this once there is a leader and room on its disk"
    )]
    NotAsked(String),
    /// HTTP 503.
    #[error(
        "it was asked, and may be done, now or later, or not: {0}: look at paddock member list before you repeat it"
    )]
    Unknown(String),
}

impl Unchanged {
    /// HTTP's number for it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoChange(_) => 400,
            Self::Refused { .. } | Self::Alone(_) | Self::NoPlace { .. } => 409,
            Self::NotAsked(_) | Self::Unknown(_) => 503,
        }
    }

    /// What a client would be told, if it was the leader who refused it.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(code.code()),
            _ => None,
        }
    }
}

/// What to do about a refusal.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NewConfigNoQuorum => {
            "no quorum of the new voters is in sync with the leader, or one that is to vote is not, or a member cannot read \
             reconfigs yet: start those who are missing, wait until they serve, and repeat this; with force one that is to vote may be \
             missing, as long as there is a quorum without it"
        }
        ErrorCode::ReconfigInProgress => "another reconfig is under way: repeat this once it is over",
        ErrorCode::ReconfigDisabled => {
            "reconfigEnabled=false is written in the leader's file, so that the members are the files': delete it in every \
             server's file and start the servers anew, or change the files"
        }
        ErrorCode::BadArguments => {
            "the leader cannot make such a configuration of the one in force: correct the request"
        }
        ErrorCode::BadVersion => {
            "the members are others by now: look at paddock member list, and repeat this if it is still wanted"
        }
        ErrorCode::Marshalling => {
            "the leader cannot read it: ids are whole numbers, servers are server.N=… lines"
        }
        ErrorCode::NotReadOnly => "the leader writes nothing now: make room on its disk, and repeat this",
        ErrorCode::ThrottledOp => "too much else is under way: repeat this",
        ErrorCode::SessionExpired => "the session that asked has expired before it was done: repeat this",
        _ => "the leader refuses it",
    }
}

/// Who is asked to change the members.
pub enum Of {
    /// A member.
    Ensemble(Ensemble),
    /// One that is none yet.
    Alone(Alone),
}

/// Changes the members of one member's ensemble.
pub struct Changer {
    hub: Outbox<NewOperator>,
    of: Of,
    tree: Arc<SharedTree>,
    clock: Arc<dyn Clock>,
    places: Semaphore,
}

impl Changer {
    /// `hub` is one that clients of this member have.
    pub fn new(hub: Outbox<NewOperator>, of: Of, tree: Arc<SharedTree>, clock: Arc<dyn Clock>) -> Self {
        Self { hub, of, tree, clock, places: Semaphore::new(AT_ONCE) }
    }

    /// The configuration in force, as far as this member knows.
    pub fn in_force(&self) -> Configuration {
        match &self.of {
            Of::Alone(alone) => alone.configuration(),
            Of::Ensemble(ensemble) => Configuration::of(&ensemble.in_force(&self.tree.read())),
        }
    }

    /// Has the members changed, and answers who they are then.
    ///
    /// # Errors
    /// Why they are not, in words for an operator.
    pub async fn change(&self, order: &ChangeOrder) -> Result<Configuration, Unchanged> {
        let asked = asked(order)?;
        if let Of::Alone(alone) = &self.of {
            alone.judge(order)?;
        }
        let _place = self.places.acquire().await;
        let stream = self.connect(order.force).map_err(|error| Unchanged::NotAsked(error.to_string()))?;
        let text =
            reconfig(stream, &asked, ANSWERED_WITHIN).await.map_err(|failed| self.unchanged(failed))?;
        let members = membership::members(&text);
        let members = members.ok_or_else(|| Unchanged::Unknown(Broken::Unexpected.to_string()))?;
        Ok(Configuration::of(&members))
    }

    fn connect(&self, forces: bool) -> io::Result<tokio::net::UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let refused = |_| io::Error::other("this member takes no more clients: it ends, or is busy");
        self.hub.post(NewOperator { stream: theirs, forces }).map_err(refused)?;
        tokio::net::UnixStream::from_std(ours)
    }

    fn unchanged(&self, failed: Failed) -> Unchanged {
        let sight = match &self.of {
            Of::Ensemble(ensemble) => Some(ensemble.look(self.clock.now_ms())),
            Of::Alone(_) => None,
        };
        match failed {
            Failed::Refused(code) => {
                let leader = match &sight {
                    Some(sight) => sight.leader().map(|id| format!("server {id}, which leads,")),
                    None => Some("this server".to_owned()),
                };
                Unchanged::Refused { code, leader: leader.unwrap_or_else(|| "the leader".to_owned()) }
            }
            Failed::NoSession(why) => {
                let outlook = sight.and_then(|sight| sight.outlook());
                Unchanged::NotAsked(outlook.unwrap_or_else(|| why.to_string()))
            }
            Failed::NoAnswer(why) => Unchanged::Unknown(why.to_string()),
        }
    }
}

/// As a client asks for it.
fn asked(order: &ChangeOrder) -> Result<Reconfig, Unchanged> {
    let ChangeOrder { join, leave, members, version, force: _ } = order.clone();
    match (join.is_some() || leave.is_some(), members.is_some()) {
        (false, false) => {
            return Err(Unchanged::NoChange("say who is to join, or to leave, or name all members"));
        }
        (true, true) => return Err(Unchanged::NoChange("either some join and leave, or members names all")),
        _ => {}
    }
    let version =
        version.map(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).map(|it| it as i64));
    let version = version.transpose();
    let version = version.map_err(|_| Unchanged::NoChange("a version is hexadecimal digits"))?;
    Ok(Reconfig {
        joining_servers: join.map(Into::into),
        leaving_servers: leave.map(Into::into),
        new_members: members.map(Into::into),
        current_config_id: version.unwrap_or(-1),
    })
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
