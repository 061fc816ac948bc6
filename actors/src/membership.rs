//! Which configuration a member goes by.
//!
//! A configuration is what the log says it is, so that it is torn, cut, replaced and recovered with the log. A reconfig
//! is a txn that holds the configuration it replaces and the one that takes its place.
//!
//! - MB1 From the moment at which a reconfig is in a member's log until that member knows it to be committed, both
//!   configurations decide: what it counts needs a quorum of each. From then on the new one alone does.
//! - MB2 A leader numbers a reconfig only once all before it is committed, and nothing behind it until it is.
//! - MB3 A reconfig is committed only with a quorum of each configuration, which the leader knows before anybody is
//!   told. Whoever has no vote in a committed configuration leads no longer than it takes to give the lead up.
//! - MB4 A member that hears of a committed configuration later than its own goes by that one, though its log lacks the
//!   reconfig: what the others have committed is committed. Else one that was away while the others changed would look
//!   for a leader among those who have left. While it looks for a leader it also goes by a reconfig that it hears of
//!   and lacks, which only asks for more; else who is to have a vote by it would withhold that from those who need it
//!   to finish what is begun. One that leads goes by its own log alone. What is known to be committed stays so as the
//!   log gets it: those who have left need not be asked again.
//! - MB5 Once a member has applied a reconfig its disk says at once that it is committed, whether or not a txn follows,
//!   unless the disk is full. Else members that all lose their power in an idle hour would ask for a quorum of those
//!   before, who may have been switched off for good.
//! - MB6 A server alone that is given a peer address becomes an ensemble of one by a reconfig from itself to itself, which
//!   it commits alone, with all before it; from its next start on it is a member, whatever its file says. No other
//!   reconfig is in its log before that.
//! - MB7 A member that looks for a leader joins one of a later epoch than the reconfig that it has or has heard of, if a
//!   quorum of the configuration before follows that one: of the new configuration none need. Else those of a reconfig that
//!   was never committed, without whom the new one has no quorum, would never come back.
//!
//! Why that is safe: before the reconfig is committed, nothing is decided without a quorum of the old configuration.
//! It is committed once a quorum of each has it on disk; since then every quorum of the old one has a member that has
//! it, and that follows nobody who lacks it. So whoever decides by the old configuration alone comes to nothing, and any
//! two of the others have a quorum of the new one in common. A leader of a later epoch that a quorum of the old one follows
//! has the reconfig in its history, if that was or may yet be committed: who has it on disk as it is committed has not
//! accepted the later epoch then, and one of that quorum is among those in whose name the leader began.
//!
//! Source: compat zab, 10; Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (2014), 6, whose
//! joint consensus takes two entries of the log: here the commit of the first stands for the second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use paddock_config::Members;
use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{self, Memory};
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::quorum::Quorum;

/// Begins the last line of a configuration's text, which has no end of line.
const VERSION: &str = "version=";

/// The whole text of a configuration: a line for each member, and its version.
pub fn text(members: &str, version: Zxid) -> Bytes {
    format!("{members}{VERSION}{:x}", version.0).into()
}

/// The members that a text of [`text`]'s form names, with their version. `None` for any other.
pub fn members(text: &[u8]) -> Option<Members> {
    let text = std::str::from_utf8(text).ok()?;
    let (lines, version) = text.rsplit_once(VERSION)?;
    let version = u64::from_str_radix(version.trim_end(), 16).ok()?;
    Some(Members { version, ..Members::read(lines).ok()? })
}

/// Whether the configurations in it, if it is a reconfig, are some: what a leader sends may be anything.
pub fn is_sound(body: &TxnBody) -> bool {
    match body {
        TxnBody::Membership { from, to } => members(from).is_some() && members(to).is_some(),
        _ => true,
    }
}

/// A configuration, and who decides by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration<Q> {
    /// Who is in it; its version is the zxid of its txn.
    pub members: Members,
    /// Who decides.
    pub quorum: Q,
}

/// Who decides (MB1): by the configuration in force, and while a reconfig is in the log and not known to be committed,
/// by the one that takes its place, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint<Q> {
    now: Arc<Configuration<Q>>,
    next: Option<Arc<Configuration<Q>>>,
}

impl<Q: Quorum> Joint<Q> {
    /// These alone decide.
    pub fn of(members: Members, quorum: Q) -> Self {
        Self { now: Arc::new(Configuration { members, quorum }), next: None }
    }

    /// The configuration in force.
    pub fn now(&self) -> &Configuration<Q> {
        &self.now
    }

    /// What takes its place, once that is committed.
    pub fn next(&self) -> Option<&Configuration<Q>> {
        self.next.as_deref()
    }

    /// The configuration in force is known by this version.
    pub fn renumber(&mut self, version: Zxid) {
        Arc::make_mut(&mut self.now).members.version = version.0;
    }

    /// These members are to take the place of those in force.
    pub fn begin(&mut self, members: Members) {
        let quorum = self.now.quorum.like(&members);
        self.next = Some(Arc::new(Configuration { members, quorum }));
    }

    /// What is on its way is committed.
    pub fn settle(&mut self) {
        if let Some(next) = self.next.take() {
            self.now = next;
        }
    }

    /// What others are to hear of (MB4): what the log has put in force, and what is to take its place.
    pub fn told(&self) -> Option<Told> {
        let next = self.next.as_ref().map(|next| next.members.clone());
        let is_logged = self.now.members.version > 0 || next.is_some();
        is_logged.then(|| Told { now: self.now.members.clone(), next })
    }

    /// The same, once what is on its way is committed.
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.settle();
        settled
    }
}

/// Of members whose names do not matter.
impl<Q: Quorum> From<Q> for Joint<Q> {
    fn from(quorum: Q) -> Self {
        Self::of(Members::default(), quorum)
    }
}

impl<Q: Quorum> Quorum for Joint<Q> {
    fn is_voter(&self, server: ServerId) -> bool {
        let votes = |it: &Arc<Configuration<Q>>| it.quorum.is_voter(server);
        votes(&self.now) || self.next.as_ref().is_some_and(votes)
    }

    fn holds(&self, agrees: impl Fn(ServerId) -> bool) -> bool {
        let holds = |it: &Arc<Configuration<Q>>| it.quorum.holds(&agrees);
        holds(&self.now) && self.next.as_ref().is_none_or(holds)
    }

    fn holds_under(&self, epoch: Epoch, follows: impl Fn(ServerId) -> bool) -> bool {
        let holds = |it: &Arc<Configuration<Q>>| it.quorum.holds(&follows);
        let is_over = |next: &Arc<Configuration<Q>>| Zxid(next.members.version).epoch() < epoch;
        holds(&self.now) && self.next.as_ref().is_none_or(|next| is_over(next) || holds(next))
    }

    fn voters(&self) -> BTreeSet<ServerId> {
        let next = self.next.iter().flat_map(|next| next.quorum.voters());
        self.now.quorum.voters().into_iter().chain(next).collect()
    }

    /// Either may finish what is begun; one that has no vote afterwards gives the lead up then (MB3).
    fn can_lead(&self, server: ServerId) -> bool {
        let leads = |it: &Arc<Configuration<Q>>| it.quorum.can_lead(server);
        leads(&self.now) || self.next.as_ref().is_some_and(leads)
    }

    fn like(&self, members: &Members) -> Self {
        Self::of(members.clone(), self.now.quorum.like(members))
    }
}

/// As members of an ensemble have it.
pub type Deciders = Joint<paddock_config::Quorum>;

/// Mail: these decide now. To the QuorumPeer, from its Learner, and while the member leads from its Proposer; to the
/// Proposer, from the Learner, before it leads.
#[derive(Clone, Debug)]
pub struct Decide {
    /// The generation of the role.
    pub role: u64,
    /// Who.
    pub by: Deciders,
    /// What the other members are told: what our own log says.
    pub told: Option<Told>,
}

/// What a member tells the others of its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// It is committed.
    pub now: Members,
    /// It is in the member's log, and not known to be committed.
    pub next: Option<Members>,
}

impl Told {
    /// As it goes from member to member.
    pub fn write(&self) -> quorum::Configuration {
        let text = |members: &Members| text(&members.to_string(), Zxid(members.version));
        quorum::Configuration { now: text(&self.now), next: self.next.as_ref().map(text) }
    }

    /// As it came from one; `None` if that is no configuration.
    pub fn read(from: &quorum::Configuration) -> Option<Self> {
        let next = match &from.next {
            Some(text) => Some(members(text)?),
            None => None,
        };
        Some(Self { now: members(&from.now)?, next })
    }
}

/// Mail to the Learner, from the QuorumPeer: what another member has told (MB4), or that nobody can be asked any more.
#[derive(Clone, Debug)]
pub struct ConfigurationHeard {
    /// Whose word it is.
    pub from: ServerId,
    /// None once its lane is down.
    pub told: Option<Told>,
}

/// Mail to the Proposer, from the QuorumPeer: it judges the lead by what it was told (MB3).
#[derive(Clone, Copy, Debug)]
pub struct DecidedBy {
    /// The generation of the role.
    pub role: u64,
    /// The reconfig that is on its way by that; what was told before another was begun says nothing about that one.
    pub next: Option<Zxid>,
}

/// What a member's log says: the configuration in force as far as the member knows, and the reconfigs behind it.
#[derive(Clone, Debug)]
pub struct Membership<Q> {
    committed: Arc<Configuration<Q>>,
    /// In the log and not applied, in order: each replaces the one before (MB2).
    logged: VecDeque<(Zxid, [Arc<Configuration<Q>>; 2])>,
    /// Reconfigs that other members have, and our log has not, by who has told.
    heard: BTreeMap<ServerId, [Arc<Configuration<Q>>; 2]>,
    /// The last reconfig in the log, unless that is known to say that it is committed (MB5).
    unsaid: Option<Zxid>,
    /// The members of a file that is to be gone by (`reconfigEnabled=false`).
    file: Option<Members>,
    /// The version of the last configuration that was compared with those.
    warned: u64,
}

impl<Q: Quorum> Membership<Q> {
    /// Of a log whose applied part leaves this one in force; of version 0, if it comes from a file.
    pub fn new(members: Members, quorum: Q) -> Self {
        Self {
            committed: Arc::new(Configuration { members, quorum }),
            logged: VecDeque::new(),
            heard: BTreeMap::new(),
            unsaid: None,
            file: None,
            warned: 0,
        }
    }

    /// This member's file forbids reconfigs, and has these: where others vote in the end, it does not start on that file.
    pub fn with_file(self, members: Members) -> Self {
        Self { file: Some(members), ..self }
    }

    /// The configuration in force, where others vote by it than the file of this member will ever have: once for each.
    pub fn take_contradiction(&mut self) -> Option<&Members> {
        let now = &self.committed.members;
        let differs = self.file.as_ref().is_some_and(|file| !file.decide_like(now));
        let is_new = std::mem::replace(&mut self.warned, now.version) != now.version;
        (differs && is_new).then_some(now)
    }

    /// Who decides (MB1), with what was heard from others (MB4).
    pub fn view(&self) -> Joint<Q> {
        match self.newest_heard() {
            Some([from, to]) => Joint { now: Arc::clone(from), next: Some(Arc::clone(to)) },
            None => self.logged_view(),
        }
    }

    /// Of several that members have, those before the newest were never committed, or it would replace them (MB2).
    fn newest_heard(&self) -> Option<&[Arc<Configuration<Q>>; 2]> {
        self.heard.values().max_by_key(|[_, to]| to.members.version)
    }

    /// Who decides, as our own log says. Of several reconfigs in it all but the last are committed, known or not (MB2).
    pub fn logged_view(&self) -> Joint<Q> {
        match self.logged.back() {
            Some((_, [from, to])) => Joint { now: Arc::clone(from), next: Some(Arc::clone(to)) },
            None => Joint { now: Arc::clone(&self.committed), next: None },
        }
    }

    /// What a member that remembers so much tells of it. One without data that goes by a reconfig has lost what others
    /// remember, even where it is the only voter: nothing may begin with it.
    pub fn qualify(&self, memory: Memory) -> Memory {
        let is_reconfigured = self.view().told().is_some();
        if memory == Memory::Empty && is_reconfigured { Memory::Damaged } else { memory }
    }

    /// A reconfig that was heard of is one that our log has, or is over: a later one is there.
    fn drop_heard(&mut self) {
        let known =
            self.logged.back().map_or(self.committed.members.version, |(_, [_, to])| to.members.version);
        self.heard.retain(|_, [_, to]| to.members.version > known);
    }

    /// This goes to the log. Whether the view is another now.
    ///
    /// # Panics
    /// If it is a reconfig whose text is none ([`is_sound`]).
    pub fn on_logged(&mut self, txn: &Txn) -> bool {
        let TxnBody::Membership { from, to } = &txn.body else { return false };
        self.unsaid = Some(txn.header.zxid);
        let read = |text: &Bytes| {
            let members = members(text).unwrap_or_else(|| panic!("MB1: no configuration: {text:?}"));
            let quorum = self.committed.quorum.like(&members);
            Arc::new(Configuration { members, quorum })
        };
        let [from, to] = [read(from), read(to)];
        if to.members.version <= self.committed.members.version {
            return false; // known to be committed, or over, before our log has it (MB4)
        }
        self.logged.push_back((txn.header.zxid, [from, to]));
        self.drop_heard();
        true
    }

    /// Everything up to here is applied, and so known to be committed. Whether the view is another now.
    pub fn on_applied(&mut self, upto: Zxid) -> bool {
        let mut any = false;
        while let Some((_, [_, to])) = self.logged.pop_front_if(|(zxid, _)| *zxid <= upto) {
            (self.committed, any) = (to, true);
        }
        self.drop_heard();
        any
    }

    /// Whether the log is to say now that all up to here, which is applied, is committed (MB5).
    pub fn take_unsaid(&mut self, applied: Zxid) -> bool {
        self.unsaid.take_if(|reconfig| *reconfig <= applied).is_some()
    }

    /// Another member has told this, or tells nothing any more (MB4). Whether the view is another now.
    pub fn on_heard(&mut self, from: ServerId, told: Option<&Told>) -> bool {
        let version = |of: &Self| of.newest_heard().map(|[_, to]| to.members.version);
        let (before, mut any) = (version(self), false);
        self.heard.remove(&from);
        if let Some(Told { now, next }) = told {
            any = self.on_applied(Zxid(now.version));
            let read = |members: &Members| {
                let quorum = self.committed.quorum.like(members);
                Arc::new(Configuration { members: members.clone(), quorum })
            };
            let (now, next) = (read(now), next.as_ref().map(read));
            if let Some(next) = next {
                self.heard.insert(from, [Arc::clone(&now), next]);
            }
            if now.members.version > self.committed.members.version {
                (self.committed, any) = (now, true);
            }
        }
        self.drop_heard();
        any || before != version(self)
    }

    /// A leader serves us: its log says what is on its way. Whether the view is another now.
    pub fn on_served(&mut self) -> bool {
        !std::mem::take(&mut self.heard).is_empty()
    }

    /// The log is cut after this txn. Whether the view is another now.
    pub fn on_truncated(&mut self, to: Zxid) -> bool {
        let before = self.logged.len();
        self.logged.retain(|(zxid, _)| *zxid <= to);
        let last = self.logged.back().map(|(zxid, _)| *zxid);
        self.unsaid = self.unsaid.filter(|reconfig| *reconfig <= to).or(last);
        self.logged.len() != before
    }

    /// A snapshot has taken the place of the log, and leaves this one in force, if the log's is at all.
    pub fn on_installed(&mut self, members: Option<Members>) {
        (self.unsaid, self.logged) = (None, VecDeque::new());
        self.heard.clear();
        if let Some(members) = members {
            let quorum = self.committed.quorum.like(&members);
            self.committed = Arc::new(Configuration { members, quorum });
        }
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
pub(crate) mod tests;
