//! From one configuration to the next (MB2, MB3): what a client asks, checked, and when it is committed.

use std::collections::BTreeSet;

use bytestring::ByteString;
use paddock_config::members::Server;
use paddock_config::reconfig::Change;
use paddock_config::{Members, PeerAddress};
use paddock_messages::client::ops::Reconfig;
use paddock_messages::client::request::Write;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Proposal, Request};
use paddock_messages::level;
use paddock_messages::txn::TxnBody;
use paddock_messages::znode::Id;
use paddock_messages::zxid::Zxid;

use super::super::held::{Item, is_reconfig};
use super::sessions::Standing;
use super::{Output, Proposer};
use crate::auth;
use crate::membership;
use crate::quorum::Quorum;
use crate::tree::prep::{Place, View};

/// A reconfig that is numbered and not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reconfiguring {
    pub(super) zxid: Zxid,
    /// Those who judge the lead go by both configurations.
    is_decided_by: bool,
}

/// Whether the feature level is raised for a reconfig that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LevelAsked {
    No,
    /// The shell is to be told.
    Wanted,
    /// It knows.
    Asked,
    /// A member is away, or cannot read it.
    Refused,
}

/// What a reconfig waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLevel {
    /// The feature level.
    pub level: u8,
    /// Who leaves by that reconfig: it need not be there, nor read it.
    pub leaving: BTreeSet<ServerId>,
}

/// At most so much of a reason is kept, in characters: it quotes what the client sent.
const MAX_WHY: usize = 1_000;

/// A reconfig that is refused, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reconfig is refused: {why}")]
pub struct RefusedReconfig {
    /// Whose.
    pub session: SessionId,
    /// What the client is told.
    pub code: ErrorCode,
    /// At most 1,000 characters.
    pub why: String,
    /// An operator asked for it, who was told to look into the log.
    pub is_operators: bool,
}

/// Why one is refused.
struct Refusal {
    code: ErrorCode,
    why: String,
}

impl Refusal {
    fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.to_string())
    }
}

/// One of the members whose peer address is every machine's own.
fn nowhere(members: &Members) -> Option<ServerId> {
    let is_nowhere = |server: &Server| server.addresses.iter().any(PeerAddress::is_unspecified);
    members.servers.iter().find(|(_, server)| is_nowhere(server)).map(|(id, _)| *id)
}

impl<Q: Quorum> Proposer<Q> {
    /// The configuration in force, and what is to take its place.
    pub fn membership(&self) -> &membership::Joint<Q> {
        &self.quorum
    }

    /// Whether it is a member of an ensemble, even if of one.
    fn is_of_ensemble(&self) -> bool {
        !self.quorum.now().members.servers.is_empty()
    }

    /// Whether there are reconfigs for whoever has these identities. A server alone has the one that makes it an ensemble
    /// of one (MB6), for operators; clients are answered as by ZooKeeper's.
    pub(super) fn takes_reconfigs(&self, ids: &[Id]) -> bool {
        self.is_of_ensemble() || auth::is_operator(ids)
    }

    /// `/zookeeper/config` names the configuration in force as of this version.
    pub fn on_configured(&mut self, version: Zxid) {
        self.quorum.renumber(version);
    }

    /// These members have all that is proposed, or are sent it: a configuration needs a quorum of them.
    pub fn on_synchronised(&mut self, members: impl IntoIterator<Item = ServerId>) {
        self.synchronised = members.into_iter().chain([self.me]).collect();
    }

    /// MB2: whether this waits until all before it is committed. A full disk refuses it at once instead.
    pub(super) fn waits_alone(&self, request: &Request) -> bool {
        !self.is_full() && is_reconfig(request) && (self.committed < self.last || self.waits_for_level())
    }

    /// Whether the reconfig is among these: what is no txn may stand behind it while the disk is full.
    pub(super) fn begins_reconfig(&self, proposals: &[Proposal]) -> bool {
        let is_it = |zxid| proposals.iter().filter_map(Proposal::txn).any(|txn| txn.header.zxid == zxid);
        self.reconfigures.is_some_and(|it| is_it(it.zxid))
    }

    /// Whether this waits for the feature level at which there are reconfigs, which is asked for now. One that would be
    /// refused anyway asks for none.
    pub(super) fn asks_for_level(
        &mut self,
        view: &impl View,
        member: ServerId,
        request: &Request,
        now_ms: i64,
    ) -> bool {
        let is_local = matches!(request, Request::LocalWrite { .. });
        let (Request::Write { from, write, .. } | Request::LocalWrite { from, write, .. }) = request else {
            return false;
        };
        let Write::Reconfig(asked) = write else { return false };
        let is_over = self.level >= level::RECONFIG || self.level_asked == LevelAsked::Refused;
        if is_over || !self.takes_reconfigs(&from.ids) || self.is_full() {
            return false;
        }
        let is_nobodys = if is_local {
            !self.is_local_of(member, from.session)
        } else {
            self.standing(view, from.session, from.attach) == Standing::Moved
        };
        if is_nobodys {
            return false;
        }
        let (session, zxid) = (from.session, self.next());
        let at = Place { session, is_live: is_local, is_local, ids: &from.ids, zxid, time: now_ms };
        if let Ok(next) = self.judge(view, at, asked) {
            let now = self.quorum.now().members.servers.keys();
            self.leaving = now.filter(|it| !next.servers.contains_key(it)).copied().collect();
            self.level_asked = LevelAsked::Wanted;
        }
        self.waits_for_level()
    }

    fn waits_for_level(&self) -> bool {
        let is_asked = matches!(self.level_asked, LevelAsked::Wanted | LevelAsked::Asked);
        is_asked && self.level < level::RECONFIG
    }

    /// The feature level that a reconfig waits for, if it was not asked for yet: the shell finds out whether it may be raised,
    /// and has it raised, or calls [`Self::on_level_refused`].
    pub fn take_wanted_level(&mut self) -> Option<WantedLevel> {
        if self.level_asked != LevelAsked::Wanted {
            return None;
        }
        self.level_asked = LevelAsked::Asked;
        Some(WantedLevel { level: level::RECONFIG, leaving: std::mem::take(&mut self.leaving) })
    }

    /// Who must read a feature level that is raised now (FL4): each member, whatever decides, but those that leave by the
    /// reconfig that needs it.
    pub fn readers(&self, leaving: &BTreeSet<ServerId>) -> BTreeSet<ServerId> {
        let next = self.quorum.next().into_iter();
        let members = next.chain([self.quorum.now()]).flat_map(|it| it.members.servers.keys());
        members.filter(|it| !leaving.contains(it)).copied().collect()
    }

    /// It may not be.
    pub fn on_level_refused(&mut self) {
        self.level_asked = LevelAsked::Refused;
    }

    /// A reconfig that waited is answered otherwise: the next one asks for itself.
    pub(super) fn forget_level(&mut self, write: &Write) {
        if matches!(write, Write::Reconfig(_)) {
            self.level_asked = LevelAsked::No;
        }
    }

    /// The same of what is held back.
    pub(super) fn waits(&self, held: &Item) -> bool {
        held.reconfig().is_some_and(|(_, request)| self.waits_alone(request))
    }

    /// Checks one, in the order of Apache's server, and behind that for what it lets pass. Source: compat ops, 6.4;
    /// PrepRequestProcessor.
    fn judge(&mut self, view: &impl View, at: Place<'_>, asked: &Reconfig) -> Result<Members, Refusal> {
        let members = self.changed(view, at, asked)?;
        let next = self.quorum.now().quorum.like(&members);
        if !next.holds(|server| server == self.me || self.synchronised.contains(&server)) {
            let why =
                "this leader has no quorum of it in sync: start those who join, and wait until they serve";
            return Err(Refusal::new(ErrorCode::NewConfigNoQuorum, why));
        }
        if let Some(id) =
            self.gains_vote_too_early(&members).filter(|_| auth::is_operator(at.ids) && !auth::forces(at.ids))
        {
            let why = format!(
                "server {id} is to vote and is not in sync with this leader: it would be a voter that is missed; start it, and \
                 wait until it serves"
            );
            return Err(Refusal::new(ErrorCode::NewConfigNoQuorum, why));
        }
        self.prep(view).may_write_configuration(at)?;
        if let Some(id) = nowhere(&members) {
            let why = format!(
                "server.{id} would be looked for by each member on its own machine: name an address that the others reach, in \
                 the files too"
            );
            return Err(Refusal::new(ErrorCode::BadArguments, why));
        }
        Ok(members)
    }

    /// One that would have a vote, has none yet, and is not in sync. ZooKeeper lets clients do that, as long as there is
    /// a quorum without it.
    fn gains_vote_too_early(&self, members: &Members) -> Option<ServerId> {
        let is_early = |id: &ServerId| !self.quorum.is_voter(*id) && !self.synchronised.contains(id);
        members.voters().into_iter().find(is_early)
    }

    /// The txn of a reconfig, or of its refusal.
    pub(super) fn reconfigure(&mut self, view: &impl View, at: Place<'_>, asked: &Reconfig) -> TxnBody {
        self.level_asked = LevelAsked::No;
        self.begin(view, at, asked).unwrap_or_else(|Refusal { code, why }| {
            let why = why.chars().take(MAX_WHY).collect();
            let is_operators = auth::is_operator(at.ids);
            self.refused_reconfigs.push(RefusedReconfig { session: at.session, code, why, is_operators });
            TxnBody::Error(code)
        })
    }

    /// Those refused since the last call: at most one a request, so call it behind each batch of them.
    pub fn take_refused_reconfigs(&mut self) -> Vec<RefusedReconfig> {
        std::mem::take(&mut self.refused_reconfigs)
    }

    fn begin(&mut self, view: &impl View, at: Place<'_>, asked: &Reconfig) -> Result<TxnBody, Refusal> {
        let members = self.judge(view, at, asked)?;
        if self.level < level::RECONFIG {
            let why =
                "not every member is connected and of a build that can read it: see above who is in the way";
            return Err(Refusal::new(ErrorCode::NewConfigNoQuorum, why));
        }
        let begins = !self.is_of_ensemble();
        let now = if begins { &members } else { &self.quorum.now().members };
        let zxid = at.zxid;
        let text = |members: &Members, version| membership::text(&members.to_string(), version);
        let body = TxnBody::Membership { from: text(now, Zxid(now.version)), to: text(&members, zxid) };
        if !membership::is_sound(&body) {
            let why = "the lines that the files have for the members cannot be said again in a reconfig";
            return Err(Refusal::new(ErrorCode::BadArguments, why));
        }
        self.quorum.begin(Members { version: zxid.0, ..members });
        // A server alone has nobody who judges its lead.
        self.reconfigures = Some(Reconfiguring { zxid, is_decided_by: begins });
        Ok(body)
    }

    fn changed(&mut self, view: &impl View, at: Place<'_>, asked: &Reconfig) -> Result<Members, Refusal> {
        let mut rules = self.prep(view).may_reconfigure(at)?;
        if self.is_overtaken {
            let why = "another one was under way when it was asked: look at what came of that, and ask again";
            return Err(Refusal::new(ErrorCode::ReconfigInProgress, why));
        }
        let now = &self.quorum.now().members;
        // One voter, or a server alone, is no fewer than before.
        rules.standalone_enabled &= now.voters().len() > 1;
        let (wanted, version) = (asked.current_config_id, now.version);
        if wanted != -1 && wanted as u64 != version {
            let why = format!("it is to change version {wanted:x}, and version {version:x} is in force");
            return Err(Refusal::new(ErrorCode::BadVersion, why));
        }
        let text = |of: &Option<ByteString>| of.as_ref().map(ToString::to_string);
        let change = match text(&asked.new_members) {
            Some(members) => Change::Full { members },
            None => Change::Incremental {
                joining: text(&asked.joining_servers),
                leaving: text(&asked.leaving_servers),
            },
        };
        let members = now.changed(&change, rules).map_err(|bad| Refusal::new(bad.code(), bad.to_string()))?;
        let is_me_alone = || members.servers.keys().eq([&self.me]) && members.voters().contains(&self.me);
        if !self.is_of_ensemble() && !is_me_alone() {
            let why = format!(
                "server {} is alone: it becomes a member itself, which votes, before others are added",
                self.me
            );
            return Err(Refusal::new(ErrorCode::BadArguments, why));
        }
        Ok(members)
    }

    /// Those who judge the lead go by both configurations now (MB3), if `next` is the reconfig that is on its way.
    pub fn on_decided_by(&mut self, next: Option<Zxid>, out: &mut Vec<Output<Q>>) {
        if let Some(reconfig) = self.reconfigures.as_mut().filter(|it| Some(it.zxid) == next) {
            reconfig.is_decided_by = true;
            self.commit(out);
        }
    }

    /// MB3.
    pub(super) fn may_commit(&self) -> bool {
        self.reconfigures.is_none_or(|it| it.is_decided_by)
    }

    /// A reconfig is committed: the new configuration decides alone.
    pub(super) fn settle_reconfig(&mut self, out: &mut Vec<Output<Q>>) {
        if self.reconfigures.take_if(|it| it.zxid <= self.committed).is_some() {
            self.quorum.settle();
            self.reconfigs += 1;
            self.give_up_without_vote();
            out.push(Output::Decide(self.quorum.clone()));
        }
    }

    /// MB3: who has no vote leads no longer.
    pub(super) fn give_up_without_vote(&mut self) {
        self.is_finishing |= !self.quorum.can_lead(self.me);
    }

    /// P3, of the configuration in force: what is committed was so before another was to take its place.
    pub(super) fn held_by_those_before(&self, upto: Zxid) -> bool {
        let has = |voter| self.acked.get(&voter).is_some_and(|acked| *acked >= upto);
        self.quorum.now().quorum.holds(has)
    }

    /// It begins to lead; without a vote only to give the lead up (MB3).
    pub fn leading_with_vote(mut self) -> Self {
        self.give_up_without_vote();
        self
    }

    pub(super) fn check_reconfig(&self) {
        let (is_begun, next) = (self.reconfigures.is_some(), self.quorum.next());
        assert_eq!(is_begun, next.is_some(), "MB1: both decide while a reconfig is not committed");
        let last = self.reconfigures.map_or(self.last, |it| it.zxid);
        assert_eq!(last, self.last, "MB2: something is numbered behind a reconfig");
        assert!(self.is_finishing || self.quorum.can_lead(self.me), "MB3: it leads without a vote");
    }
}
