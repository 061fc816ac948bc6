//! Whether the members' trees are the same, as far as heartbeats tell.
//!
//! - DG1 Digests are compared only of the same version, and as of the same txn.
//! - DG2 A member's own tree is the one that differs if, and only if, a quorum of voters agrees on another digest
//!   of the same txn. It is for each member to find that of itself.
//! - DG3 Where members differ and no quorum agrees, each of them says so, once a finding, and goes on: which of them
//!   is right is not known.
//!
//! Memory is bounded: of each member the last [`REMEMBERED`] digests of each interval. Under load members tell
//! digests of different txns most of the time; those of the longer intervals still meet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{DigestPoint, Digests};
use paddock_messages::zxid::Zxid;

use super::progress::OwnDigests;
use crate::quorum::Quorum;

/// How many digests of each interval are remembered of a member.
const REMEMBERED: usize = 8;

/// Trees that differ, as of one txn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Up to which txn.
    pub zxid: Zxid,
    /// The digest of each member that has told it, ours too.
    pub digests: BTreeMap<ServerId, u64>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "as of zxid {:#x}", self.zxid.0)?;
        let mut before = "the digest of server";
        for (member, digest) in &self.digests {
            write!(f, ", {before} {member} is {digest:#x}")?;
            before = "of";
        }
        Ok(())
    }
}

/// What the digests come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A quorum agrees, and not with us.
    Ours(Difference),
    /// A quorum agrees with us.
    Theirs(Difference),
    /// No quorum agrees, and has not for a while.
    Undecided(Difference),
}

/// One member's, oldest first, by interval.
#[derive(Debug, Default)]
struct Points {
    version: u8,
    lists: [VecDeque<DigestPoint>; 3],
}

impl Points {
    fn note(&mut self, told: &Digests) {
        if std::mem::replace(&mut self.version, told.version) != told.version {
            self.lists = Default::default();
        }
        for (list, point) in self.lists.iter_mut().zip(told.points) {
            let Some(point) = point else {
                list.clear(); // another tree has taken the place of the one they were of
                continue;
            };
            if list.back().is_some_and(|last| *last != point && last.zxid >= point.zxid) {
                list.clear();
            }
            if list.back() != Some(&point) {
                list.push_back(point);
            }
            if list.len() > REMEMBERED {
                list.pop_front();
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &DigestPoint> {
        self.lists.iter().flatten()
    }

    fn at(&self, zxid: Zxid) -> Option<u64> {
        self.all().find(|point| point.zxid == zxid).map(|point| point.digest)
    }
}

/// A finding that lasts.
#[derive(Debug)]
struct Standing {
    /// Whose trees differ from ours.
    members: BTreeSet<ServerId>,
    since_ms: u64,
    told: Option<Finding>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Comparison {
    me: ServerId,
    /// Which of our trees it is about.
    tree: u64,
    own: Points,
    others: BTreeMap<ServerId, Points>,
    standing: Option<Standing>,
    /// Something was told since it was looked at last.
    is_new: bool,
    patience_ms: u64,
}

impl Comparison {
    /// Of `me` with nobody yet. A difference on which no quorum has agreed for `patience_ms` is told.
    pub(super) fn new(me: ServerId, patience_ms: u64) -> Self {
        let others = BTreeMap::new();
        Self { me, tree: 0, own: Points::default(), others, standing: None, is_new: false, patience_ms }
    }

    /// Which of our trees it is about.
    pub(super) fn tree(&self) -> u64 {
        self.tree
    }

    /// Our own.
    pub(super) fn on_own(&mut self, own: &OwnDigests) {
        if std::mem::replace(&mut self.tree, own.tree) != own.tree {
            (self.own, self.standing) = (Points::default(), None);
        }
        self.own.note(&own.latest);
        self.is_new = true;
    }

    /// A peer's.
    pub(super) fn on_peer(&mut self, from: ServerId, told: &Digests) {
        if let Some(points) = self.others.get_mut(&from) {
            points.note(told);
            self.is_new = true;
        }
    }

    /// With this one, too.
    pub(super) fn on_link(&mut self, peer: ServerId) {
        self.others.entry(peer).or_default();
    }

    /// The peer may be another process, with another tree.
    pub(super) fn on_lane(&mut self, peer: ServerId) {
        if let Some(points) = self.others.get_mut(&peer) {
            *points = Points::default();
        }
    }

    /// What there is to tell, if anything.
    pub(super) fn judge(&mut self, quorum: &impl Quorum, now_ms: u64) -> Option<Finding> {
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        let differs = |points: &Points| {
            self.newest_common(points).is_some_and(|zxid| points.at(zxid) != self.own.at(zxid))
        };
        let members: BTreeSet<ServerId> =
            self.others.iter().filter(|(_, points)| differs(points)).map(|(peer, _)| *peer).collect();
        if members.is_empty() {
            self.standing = None;
            return None;
        }
        let zxids = members.iter().flat_map(|peer| self.differing(*peer)).collect();
        let finding = self.verdict(quorum, zxids);
        if self.standing.as_ref().is_none_or(|it| it.members != members) {
            self.standing = Some(Standing { members, since_ms: now_ms, told: None });
        }
        let standing = self.standing.as_mut()?;
        if matches!(finding, Finding::Undecided(_)) && standing.told.is_some() {
            return None; // a quorum has agreed; that its digests of these txns are not here yet is nothing new
        }
        let waits = matches!(finding, Finding::Undecided(_)) && now_ms < standing.since_ms + self.patience_ms;
        let is_told = |told: &Finding| std::mem::discriminant(told) == std::mem::discriminant(&finding);
        if waits || standing.told.as_ref().is_some_and(is_told) {
            return None;
        }
        standing.told = Some(finding.clone());
        Some(finding)
    }

    /// The last txn as of which both have told a digest (DG1).
    fn newest_common(&self, of: &Points) -> Option<Zxid> {
        let is_ours = |zxid: &Zxid| of.version == self.own.version && self.own.at(*zxid).is_some();
        of.all().map(|point| point.zxid).filter(is_ours).max()
    }

    /// As of which txns it has told another digest than ours.
    fn differing(&self, peer: ServerId) -> impl Iterator<Item = Zxid> {
        let of = &self.others[&peer];
        let differs = |point: &&DigestPoint| self.own.at(point.zxid).is_some_and(|own| own != point.digest);
        let points = (of.version == self.own.version).then(|| of.all().filter(differs));
        points.into_iter().flatten().map(|point| point.zxid)
    }

    /// `zxids` are those as of which somebody differs from us.
    fn verdict(&self, quorum: &impl Quorum, zxids: BTreeSet<Zxid>) -> Finding {
        let mut all: Vec<Difference> = zxids.into_iter().map(|zxid| self.told_of(zxid)).collect();
        all.reverse(); // the newest first
        let agrees = |it: &Difference, digest: u64| quorum.holds(|of| it.digests.get(&of) == Some(&digest));
        let ours = |it: &Difference| it.digests.get(&self.me).copied();
        let against = |it: &Difference| {
            it.digests.values().any(|digest| Some(*digest) != ours(it) && agrees(it, *digest))
        };
        let with_us = |it: &Difference| ours(it).is_some_and(|digest| agrees(it, digest));
        if let Some(at) = all.iter().position(against) {
            return Finding::Ours(all.swap_remove(at));
        }
        match all.iter().position(with_us) {
            Some(at) => Finding::Theirs(all.swap_remove(at)),
            None => Finding::Undecided(all.swap_remove(0)),
        }
    }

    fn told_of(&self, zxid: Zxid) -> Difference {
        let comparable = self.others.iter().filter(|(_, points)| points.version == self.own.version);
        let all = comparable.chain([(&self.me, &self.own)]);
        let digests = all.filter_map(|(member, points)| Some((*member, points.at(zxid)?))).collect();
        Difference { zxid, digests }
    }
}

#[cfg(test)]
#[path = "digests_tests.rs"]
mod tests;
