//! What clients have met, for the minimums.

use super::met::Met;

/// What the run has met, for the minimums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    pub(super) replies: u64,
    pub(super) reads_checked: u64,
    /// Those of them that stood between two writes of their session when they were answered.
    pub(super) reads_between: u64,
    pub(super) events: u64,
    /// Those of them that a persistent watch was for.
    pub(super) persistent_events: u64,
    /// Those made up by setWatches.
    pub(super) missed_events: u64,
    /// Watches that setWatches registered again: one-shot ones, and persistent ones.
    pub(super) set_again: u64,
    pub(super) persistent_again: u64,
    /// Replies to removeWatches and checkWatches that found something.
    pub(super) removed: u64,
    pub(super) found: u64,
    /// And those that did not.
    pub(super) no_watcher: u64,
    pub(super) sequence_numbers: u64,
    pub(super) syncs: u64,
    /// Replies before those to earlier pings.
    pub(super) overtaken: u64,
    pub(super) refused: u64,
    pub(super) expired: u64,
    /// Sessions that were a member's alone and were ended by their clients.
    pub(super) local_ends: u64,
    /// With members that have no leader: sessions, reads, and what was refused.
    pub(super) read_only_sessions: u64,
    pub(super) read_only_reads: u64,
    pub(super) read_only_refused: u64,
}

impl Heard {
    pub(super) fn note(&self, met: &mut Met) {
        for (what, many) in [
            ("replies", self.replies),
            ("reads checked", self.reads_checked),
            ("reads between two writes", self.reads_between),
            ("watch events", self.events),
            ("persistent events", self.persistent_events),
            ("events delivered by setWatches", self.missed_events),
            ("watches set again after a reconnect", self.set_again),
            ("persistent watches set again", self.persistent_again),
            ("watches removed", self.removed),
            ("watches found by checkWatches", self.found),
            ("watches asked for that there were not", self.no_watcher),
            ("numbers given", self.sequence_numbers),
            ("clients told of expiry", self.expired),
            ("handshakes without a leader", self.read_only_sessions),
            ("reads answered without a leader", self.read_only_reads),
            ("requests refused for want of a leader", self.read_only_refused),
            ("local sessions ended by their clients", self.local_ends),
            ("syncs answered", self.syncs),
            ("writes refused by a full disk", self.refused),
        ] {
            met.add(what, many);
        }
    }
}
