//! The one history that all members must have (EN1, EN2, EN3).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use paddock_actors::membership::members;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::{Epoch, Zxid};

use super::local::Locals;
use crate::sim::truth::Truth as History;

/// Kept apart from all members.
#[derive(Default)]
pub(super) struct Truth {
    /// What every leader proposed.
    proposed: BTreeMap<Zxid, Arc<Txn>>,
    /// What was committed, as far as some member has applied it: each with the digest behind it.
    applied: BTreeMap<Zxid, Option<u64>>,
    odd: Option<ServerId>,
    leaders: BTreeMap<Epoch, ServerId>,
    /// What that comes to, as clients see it.
    pub(super) history: History,
    /// Sessions that have ended.
    ended: BTreeSet<SessionId>,
    /// Multis that did something, and znodes that went with their sessions.
    pub(super) multis: u64,
    pub(super) ephemerals: u64,
    /// Observers that a reconfig has given a vote.
    pub(super) promoted: u64,
    /// Every session that was ever begun.
    begun: BTreeSet<SessionId>,
    /// Each session's last write applied, or refused.
    latest: HashMap<SessionId, i32>,
    /// The last txn of those that leaders which handed over have numbered.
    handed_over: Zxid,
    /// The feature level behind all that is applied.
    pub(super) level: u8,
    /// Whom the last leader named that gave the lead up for another.
    pub(super) heir: Option<ServerId>,
    /// Sessions that are a member's alone, where there are any.
    pub(super) locals: Locals,
}

impl Truth {
    pub(super) fn with(locals: Locals) -> Self {
        Self { locals, ..Self::default() }
    }

    /// EN1.
    pub(super) fn propose(&mut self, txn: &Txn) {
        let zxid = txn.header.zxid;
        let before = self.proposed.insert(zxid, Arc::new(txn.clone()));
        assert!(before.is_none(), "EN1: {zxid:?} means two things: {before:?} and {txn:?}");
    }

    /// EN3. One that hears late that a quorum has its epoch may have been followed already: of what its followers have
    /// committed it need not have anything.
    pub(super) fn establish(&mut self, epoch: Epoch, leader: ServerId, log_start: Zxid, log: &[Txn]) {
        let before = self.leaders.insert(epoch, leader);
        assert!(before.is_none(), "EN3: {epoch} is led by {before:?} and {leader}");
        let has: BTreeSet<Zxid> = log.iter().map(|txn| txn.header.zxid).collect();
        let before = |zxid: Zxid| zxid.epoch() < epoch;
        let after = (Bound::Excluded(log_start), Bound::Unbounded);
        let due = self.applied.range(after).take_while(|(zxid, _)| before(**zxid));
        let lost = due.map(|(zxid, _)| *zxid).find(|zxid| !has.contains(zxid));
        let last = log.last().map_or(log_start, |txn| txn.header.zxid);
        let (acked, handed) = (self.acked(), self.handed_over);
        let has_all = |due: Zxid| last >= due || !before(due);
        assert!(has_all(handed), "EN14: {leader} leads {epoch} up to {last:?}; {handed:?} was handed over");
        assert!(
            lost.is_none() && has_all(acked),
            "EN2: {leader} leads {epoch} up to {last:?} without {lost:?}; {acked:?} was acknowledged"
        );
    }

    /// EN19: the first txn that some member has applied, or that a client was answered for, and that is neither in this log
    /// nor before it.
    pub(super) fn lost_by(&self, log: &BTreeSet<Zxid>, log_start: Zxid) -> Option<Zxid> {
        let after = (Bound::Excluded(log_start), Bound::Unbounded);
        let lost = self.applied.range(after).map(|(zxid, _)| *zxid).find(|zxid| !log.contains(zxid));
        let last = log.last().copied().unwrap_or(log_start);
        lost.or(Some(self.acked()).filter(|acked| acked.counter() > 0 && *acked > last))
    }

    /// A leader gives the lead up in good order: all up to here is committed. The start of an epoch is in no log.
    pub(super) fn handed_over(&mut self, last: Zxid) {
        if last.counter() > 0 {
            self.handed_over = self.handed_over.max(last);
        }
    }

    /// The tree of `member` is made another than everybody else's.
    pub(super) fn corrupt(&mut self, member: ServerId) {
        self.odd = Some(member);
    }

    /// Whose tree was.
    pub(super) fn odd(&self) -> Option<ServerId> {
        self.odd
    }

    /// `member`, which had everything up to `before`, applies `txn`, and has `digest` then; none is told of a tree
    /// that is known to differ.
    pub(super) fn apply(&mut self, member: ServerId, before: Zxid, txn: &Txn, digest: Option<u64>) {
        let zxid = txn.header.zxid;
        let proposed = self.proposed.get(&zxid);
        assert_eq!(proposed.map(|it| &**it), Some(txn), "EN1: {member} applies what nobody proposed");
        let last = self.last();
        if zxid > last {
            assert!(before >= last, "EN1: {member} applies {zxid:?} behind {before:?}, without {last:?}");
            self.in_order(txn);
            self.history.propose(txn);
            self.history.apply(txn);
            if self.locals.are_wanted() {
                self.locals.apply(txn);
                self.history.check_ephemerals(); // EN15
            }
            match &txn.body {
                TxnBody::CreateSession { .. } => {
                    let session = txn.header.session;
                    assert!(self.begun.insert(session), "EN12: {session} begins twice");
                }
                TxnBody::FeatureLevel { level } => {
                    assert!(*level > self.level, "EN18: {zxid:?} raises {} to {level}", self.level);
                    self.level = *level;
                }
                TxnBody::Membership { from, to } => self.promoted += promoted(from, to),
                TxnBody::Multi(_) => self.multis += 1,
                TxnBody::CloseSession { ephemerals } => {
                    self.ended.insert(txn.header.session);
                    self.ephemerals += ephemerals.len() as u64;
                }
                _ => {}
            }
            self.applied.insert(zxid, digest);
            return;
        }
        let expected = self.applied.get_mut(&zxid);
        assert!(expected.is_some(), "EN1: {member} applies {zxid:?}, which nobody has applied");
        if let (Some(expected), Some(digest)) = (expected, digest) {
            let known = *expected.get_or_insert(digest);
            assert_eq!(known, digest, "EN1: {member} at {zxid:?}, behind {before:?}");
        }
        let skipped = self.applied.range(..zxid).next_back().filter(|(zxid, _)| **zxid > before);
        assert!(skipped.is_none(), "EN1: {member} applies {zxid:?} behind {before:?}, without {skipped:?}");
    }

    /// `member` has a tree with everything up to `zxid`, from a disk or a leader.
    pub(super) fn install(&self, member: ServerId, zxid: Zxid, digest: u64) {
        // Its log may say that a txn is committed which nobody had come to apply when it crashed.
        let is_first = zxid.counter() > 0 && zxid > self.last();
        let last = self.applied.range(..=zxid).next_back().filter(|_| !is_first);
        if let Some((at, Some(expected))) = last {
            assert_eq!(*expected, digest, "EN1: {member} starts with {zxid:?}, the digest of {at:?}");
        }
    }

    /// EN4.
    fn in_order(&mut self, txn: &Txn) {
        let header = txn.header;
        if header.cxid == 0 || matches!(txn.body, TxnBody::Error(ErrorCode::SessionMoved)) {
            return; // what came through an older attachment may come late
        }
        let before = self.latest.insert(header.session, header.cxid);
        let rising = before.is_none_or(|before| before < header.cxid);
        assert!(rising, "EN4: {:?} of {} is applied behind {before:?}", header.cxid, header.session);
    }

    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains(&session)
    }

    /// The highest zxid that a client was answered with.
    pub(super) fn acked(&self) -> Zxid {
        self.history.acked()
    }

    /// The last txn that some member has applied.
    pub(super) fn last(&self) -> Zxid {
        self.applied.keys().next_back().copied().unwrap_or(Zxid::ZERO)
    }

    pub(super) fn many(&self) -> u64 {
        self.applied.len() as u64
    }

    /// Reconfigs that some leader proposed, and that came to nothing.
    pub(super) fn abandoned(&self) -> u64 {
        let is_one = |(zxid, txn): &(&Zxid, &Arc<Txn>)| {
            matches!(txn.body, TxnBody::Membership { .. }) && !self.applied.contains_key(zxid)
        };
        self.proposed.iter().filter(is_one).count() as u64
    }
}

fn promoted(from: &[u8], to: &[u8]) -> u64 {
    let [from, to] = [from, to].map(|text| members(text).expect("a reconfig names members"));
    let observed = |id: &ServerId| from.servers.contains_key(id) && !from.voters().contains(id);
    to.voters().into_iter().filter(observed).count() as u64
}
