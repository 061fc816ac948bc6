//! How meters are moved: one call per batch, with what the batch did.

use paddock_messages::client::event::EventKind;

use super::summary::{KeyedTally, Tally};
use super::{Meters, Reason, namespace};
use crate::admin::four_letter::Sizes;

/// What Java adds to the bytes of a read for the stat. Source: DataTree.java, STAT_OVERHEAD_BYTES.
const STAT_BYTES: u64 = 68;

/// What one client arbiter did since its last [`Meters::absorb`]: plain numbers, no atomics, so that a
/// request costs a few additions. Times are in µs.
#[derive(Debug, Default)]
pub struct ClientTally {
    /// Frames taken from sockets, four-letter words included.
    pub packets_received: u64,
    /// Bytes of them, length fields included.
    pub bytes_received: u64,
    /// Frames given to sockets.
    pub packets_sent: u64,
    /// Handshakes begun.
    pub connection_requests: u64,
    /// Connections closed at accept: too many, or too many from one address.
    pub connections_rejected: u64,
    /// Connections that ended from their own side: closed by the client, or a failed read or write.
    pub connections_dropped: u64,
    /// Handshakes that named a session. Source: ZooKeeperServer.java, processConnectRequest.
    pub connections_revalidated: u64,
    /// Connections closed since their handshake did not begin in time.
    pub sessionless_expired: u64,
    /// Answers made for a connection that was gone.
    pub stale_replies: u64,
    /// Times that a connection was held back until fewer requests were in flight.
    pub throttle_waits: u64,
    /// Requests refused as they were held back for too long.
    pub throttled_ops: u64,
    /// Requests that closed their connection as they were held back for longer than their session's timeout.
    pub stale_dropped: u64,
    /// Frames above the limit.
    pub large_requests_rejected: u64,
    /// Credentials that were refused.
    pub auth_failed: u64,
    /// Clients that named this ensemble …
    pub ensemble_auth_success: u64,
    /// … none …
    pub ensemble_auth_skip: u64,
    /// … another.
    pub ensemble_auth_fail: u64,
    refused: [u64; Reason::COUNT],
    deficit: Tally,
    held: Tally,
    response_bytes: u64,
    watch_bytes: u64,
    response_sizes: Sizes,
    read_latency: Tally,
    update_latency: Tally,
    reads: KeyedTally,
    watches: [Tally; 4],
}

impl ClientTally {
    /// A request was refused, or a connection refused or closed.
    pub fn refused(&mut self, reason: Reason) {
        self.refused[reason as usize] += 1;
    }

    /// A client has named the ensemble it means as one of ours, or has named none.
    pub fn ensemble_named(&mut self, is_named: bool) {
        let count = if is_named { &mut self.ensemble_auth_success } else { &mut self.ensemble_auth_skip };
        *count += 1;
    }

    /// A handshake found so many tokens missing. Source: ZooKeeperServer.java, processConnectRequest.
    pub fn throttled(&mut self, deficit: u64) {
        self.deficit.add(deficit);
    }

    /// A request was taken on after it had been held back for so many µs.
    pub fn held(&mut self, waited_us: u64) {
        self.held.add(waited_us);
    }

    /// A request that is no write was answered `latency_us` after its arrival.
    pub fn read_answered(&mut self, latency_us: u64) {
        self.read_latency.add(latency_us);
    }

    /// A write was answered `latency_us` after its arrival.
    pub fn write_answered(&mut self, latency_us: u64) {
        self.update_latency.add(latency_us);
    }

    /// A read found `bytes` of data or names at `path`.
    pub fn read_from(&mut self, path: &str, bytes: u64) {
        self.reads.add(path, path.len() as u64 + bytes + STAT_BYTES);
    }

    /// An answer of `bytes` was made.
    pub fn responded(&mut self, bytes: u64) {
        self.response_bytes += bytes;
        let size = i64::try_from(bytes).unwrap_or(i64::MAX);
        let Sizes { last, min, max } = self.response_sizes;
        let min = if last < 0 { size } else { min.min(size) };
        self.response_sizes = Sizes { last: size, min, max: max.max(size) };
    }

    /// Bytes of answers and notifications since it was last taken.
    pub fn bytes_made(&self) -> usize {
        usize::try_from(self.response_bytes + self.watch_bytes).unwrap_or(usize::MAX)
    }

    /// Notifications of `bytes` together were made.
    pub fn notified(&mut self, bytes: u64) {
        self.watch_bytes += bytes;
    }

    /// An event of `kind` told `watchers`, at least one, with a notification of `bytes` each.
    pub fn event(&mut self, kind: EventKind, watchers: u64, bytes: u64) {
        self.packets_sent += watchers;
        self.notified(bytes * watchers);
        match kind {
            EventKind::Created => self.node_created(watchers),
            EventKind::Deleted => self.node_deleted(watchers),
            EventKind::DataChanged => self.node_changed(watchers),
            EventKind::ChildrenChanged => self.children_changed(watchers),
        }
    }

    /// A znode's creation told `watchers` of this arbiter; only events that told somebody count.
    pub fn node_created(&mut self, watchers: u64) {
        self.watches[0].add(watchers);
    }

    /// A znode's deletion told `watchers`.
    pub fn node_deleted(&mut self, watchers: u64) {
        self.watches[1].add(watchers);
    }

    /// A change of a znode's data told `watchers`.
    pub fn node_changed(&mut self, watchers: u64) {
        self.watches[2].add(watchers);
    }

    /// A change of a znode's children told `watchers`.
    pub fn children_changed(&mut self, watchers: u64) {
        self.watches[3].add(watchers);
    }
}

/// What the Proposer did with one letter of requests. Times are in µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    /// Requests in it.
    pub requests: u64,
    /// From the post of the letter until it was opened.
    pub waited_us: u64,
    /// To check all of them and make their transactions.
    pub checked_in_us: u64,
    /// To post the proposals.
    pub posted_in_us: u64,
    /// Transactions proposed: each waits in the pending changes until [`Meters::settled`].
    pub proposed: u64,
    /// How many of the requests close a session.
    pub closes: u64,
}

/// What the Learner did under one write guard. Times are in µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applied {
    /// Transactions applied.
    pub commits: u64,
    /// From the proposals' append until their commit came, on average.
    pub waited_us: u64,
    /// With the guard held.
    pub took_us: u64,
}

/// One sync of the log. Times are in µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synced {
    /// Transactions made durable.
    pub txns: u64,
    /// To write the batch into the page cache, which takes next to nothing, and to sync it.
    pub took_us: u64,
}

/// How the tree was read at the start. Times are in µs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovered {
    /// To read the snapshot.
    pub snapshot_us: u64,
    /// To read and apply the log behind it.
    pub log_us: u64,
    /// Transactions in that part of the log.
    pub txns: u64,
}

impl Meters {
    /// Takes what a client arbiter did, and leaves its tally empty: once per turn.
    pub fn absorb(&self, tally: &mut ClientTally) {
        let all = std::mem::take(tally);
        self.packets_received.add(all.packets_received);
        self.bytes_received.add(all.bytes_received);
        self.packets_sent.add(all.packets_sent);
        self.connection_requests.add(all.connection_requests);
        self.connections_rejected.add(all.connections_rejected);
        self.connections_dropped.add(all.connections_dropped);
        self.connections_revalidated.add(all.connections_revalidated);
        self.sessionless_expired.add(all.sessionless_expired);
        self.stale_replies.add(all.stale_replies);
        self.large_requests_rejected.add(all.large_requests_rejected);
        self.throttle_waits.add(all.throttle_waits);
        self.throttled_ops.add(all.throttled_ops);
        self.stale_dropped.add(all.stale_dropped);
        self.auth_failed.add(all.auth_failed);
        self.ensemble_auth_success.add(all.ensemble_auth_success);
        self.ensemble_auth_skip.add(all.ensemble_auth_skip);
        self.ensemble_auth_fail.add(all.ensemble_auth_fail);
        self.response_bytes.add(all.response_bytes);
        self.watch_bytes.add(all.watch_bytes);
        self.response_sizes.note(all.response_sizes);
        for (reason, count) in Reason::ALL.iter().zip(all.refused) {
            self.refused.of(*reason).add(count);
        }
        tally.reads = all.reads; // its keys stay, so that they are not allocated anew
        tally.reads.empty_into(&self.reads);
        let [mut created, mut deleted, mut changed, mut children] = all.watches;
        let (mut reads, mut updates) = (all.read_latency, all.update_latency);
        let (mut deficit, mut held) = (all.deficit, all.held);
        self.latency.absorb(&mut reads.clone());
        self.latency.absorb(&mut updates.clone());
        for (summary, tally) in [
            (&self.connection_deficit, &mut deficit),
            (&self.throttle_queue_time, &mut held),
            (&self.read_latency, &mut reads),
            (&self.update_latency, &mut updates),
            (&self.node_created_watches, &mut created),
            (&self.node_deleted_watches, &mut deleted),
            (&self.node_changed_watches, &mut changed),
            (&self.node_children_watches, &mut children),
        ] {
            summary.absorb(tally);
        }
    }

    /// The Proposer handled a letter of requests.
    pub fn prepared(&self, batch: &Prepared) {
        self.prep_queued.add(batch.requests);
        self.prep_queue_size.add(batch.requests);
        self.prep_queue_time.add_many(batch.waited_us, batch.requests);
        self.prep_time.add(batch.checked_in_us);
        self.proposal_time.add(batch.posted_in_us);
        self.close_session_prep_time.add_many(batch.checked_in_us, batch.closes);
        self.proposals.add(batch.proposed);
        self.changes_queued.add(batch.proposed);
    }

    /// The Proposer committed `commits` transactions.
    pub fn committed(&self, commits: u64) {
        self.commits.add(commits);
    }

    /// The Proposer forgot the pending changes of `txns` transactions, applied by now.
    pub fn settled(&self, txns: u64) {
        self.changes_removed.add(txns);
    }

    /// A write to `path` was refused by its quota.
    pub fn quota_exceeded(&self, path: &str) {
        if let Some(key) = namespace(path) {
            self.quota_exceeded.of(key).add(1);
        }
    }

    /// The Learner applied a batch.
    pub fn applied(&self, batch: &Applied) {
        self.commits_queued.add(batch.commits);
        self.write_commitproc_time.add_many(batch.waited_us, batch.commits);
        self.write_final_proc_time.add_many(batch.took_us / batch.commits.max(1), batch.commits);
        self.commit_time.add(batch.took_us);
    }

    /// The batch's writes by namespace: path and bytes of data each. Source: DataTree.java,
    /// updateWriteStat.
    pub fn written(&self, writes: &mut KeyedTally) {
        writes.empty_into(&self.writes);
    }

    /// The log is durable up to a new point.
    pub fn synced(&self, batch: &Synced) {
        self.sync_queued.add(batch.txns);
        self.sync_batch_size.add(batch.txns);
        self.sync_flush_time.add(batch.took_us);
        self.fsync_time.add(batch.took_us);
    }

    /// The log has made `txns` durable, so long after each was appended: waiting, writing and syncing.
    pub fn made_durable(&self, txns: u64, waited_us: u64) {
        self.sync_queue_and_flush_time.add_many(waited_us, txns);
    }

    /// When a batch became durable, so many txns waited for the next.
    pub fn log_queue(&self, txns: u64) {
        self.sync_queue_size.add(txns);
    }

    /// A snapshot was written and is durable.
    pub fn snapshot_taken(&self, took_us: u64) {
        self.snapshot_time.add(took_us);
    }

    /// A snapshot could not be written.
    pub fn snapshot_failed(&self) {
        self.snapshot_errors.add(1);
    }

    /// The tree was read from disk.
    pub fn recovered(&self, start: &Recovered) {
        self.db_init_time.add(start.snapshot_us + start.log_us);
        self.startup_snap_time.add(start.snapshot_us);
        self.startup_txns_time.add(start.log_us);
        self.startup_txns.add(start.txns);
    }

    /// Members' trees were found to differ.
    pub fn trees_differ(&self) {
        self.digest_mismatches.add(1);
    }

    /// The session tracker expired `sessions`.
    pub fn sessions_expired(&self, sessions: u64) {
        self.sessions_expired.add(sessions);
    }
}
