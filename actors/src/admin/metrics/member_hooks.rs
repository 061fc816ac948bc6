//! How the meters of a member of several are moved. Times are in µs.

use paddock_messages::ids::ServerId;

use super::Meters;

/// How a learner is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// By txns, after what is not the leader's is cut: DIFF or TRUNC.
    Diff,
    /// By a snapshot.
    Snap,
}

/// How old txns were when they came somewhere: by the leader's wall clock then and this member's now, so that it
/// is as wrong as these differ. One from the future counts as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// How many txns.
    pub txns: u64,
    sum_ms: u64,
}

impl Ages {
    /// One more, proposed at `time_ms` since 1970, met at `wall_ms`.
    pub fn add(&mut self, time_ms: i64, wall_ms: i64) {
        self.txns += 1;
        let age_ms = u64::try_from(wall_ms.saturating_sub(time_ms)).unwrap_or(0);
        self.sum_ms = self.sum_ms.saturating_add(age_ms);
    }

    fn average_us(self) -> u64 {
        self.sum_ms.saturating_mul(1_000).checked_div(self.txns).unwrap_or(0)
    }
}

impl Meters {
    /// The member begins to look for a leader.
    pub fn looks(&self) {
        self.looking.add(1);
    }

    /// An election named somebody, so long after the member began to look.
    pub fn elected(&self, took_us: u64) {
        self.election_time.add(took_us);
    }

    /// The member serves, so long after it last did; perhaps it `leads`.
    pub fn serves(&self, after_us: u64, leads: bool) {
        self.unavailable_time.add(after_us);
        if leads {
            self.leader_unavailable_time.add(after_us);
        }
    }

    /// A leader begins to bring a learner up to date; so many of that kind are under way then.
    pub fn sync_began(&self, kind: SyncKind, under_way: u64) {
        match kind {
            SyncKind::Diff => self.diffs.add(1),
            SyncKind::Snap => self.snaps.add(1),
        }
        self.sync_ended(kind, under_way);
    }

    /// It has; so many are left.
    pub fn sync_ended(&self, kind: SyncKind, under_way: u64) {
        match kind {
            SyncKind::Diff => self.inflight_diffs.add(under_way),
            SyncKind::Snap => self.inflight_snaps.add(under_way),
        }
    }

    /// A quorum has acknowledged `txns`, on average so long after they were proposed.
    pub fn quorum_acked(&self, txns: u64, waited_us: u64) {
        self.quorum_ack_latency.add_many(waited_us, txns);
    }

    /// A member has acknowledged one of the txns that are timed, so long after it was proposed.
    pub fn member_acked(&self, member: ServerId, after_us: u64) {
        self.ack_latency.of(&member.to_string()).add(after_us);
    }

    /// Other members asked so often whether a session lives, for a client that came to them with it.
    pub fn revalidated(&self, sessions: u64) {
        self.revalidations.add(sessions);
    }

    /// A learner is up to date, so long after its leader began to bring it there; perhaps it has a vote.
    pub fn synchronised(&self, took_us: u64, is_voter: bool) {
        if is_voter { &self.follower_sync_time } else { &self.observer_sync_time }.add(took_us);
    }

    /// Requests were sent to the leader together.
    pub fn forwarded(&self, requests: u64) {
        self.forward_queue_size.add(requests);
    }

    /// A leader's proposals came to a follower.
    pub fn proposals_came(&self, ages: Ages) {
        self.proposals_received.add(ages.txns);
        self.proposal_latency.add_many(ages.average_us(), ages.txns);
    }

    /// A leader's commit of `txns` came to a learner, on average so long after their proposals.
    pub fn commit_came(&self, txns: u64, waited_us: u64) {
        self.commits_received.add(txns);
        self.commit_propagation_latency.add_many(waited_us, txns);
    }

    /// A voter can acknowledge `txns`, so long after each was appended.
    pub fn ack_made(&self, txns: u64, waited_us: u64) {
        self.ack_creation_latency.add_many(waited_us, txns);
    }

    /// Txns were applied.
    pub fn propagated(&self, ages: Ages) {
        self.propagation_latency.add_many(ages.average_us(), ages.txns);
    }
}
