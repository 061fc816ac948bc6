//! The Snapshotter's decisions.

/// How often, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `snapCount`: txns.
    pub txns: u64,
    /// `snapSizeLimitInKb`, in bytes; `None` is no limit.
    pub bytes: Option<u64>,
    /// `autopurge.snapRetainCount`.
    pub keep: usize,
    /// `autopurge.purgeInterval`, in ms; `None` switches purging off.
    pub purge_every_ms: Option<u64>,
}

/// How long after a failure a snapshot is tried again, in ms.
pub const RETRY_MS: u64 = 10_000;

/// What the shell must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Walk the tree and write a file; then say how it went.
    Begin,
    /// Delete all but the newest.
    Purge {
        /// How many stay.
        keep: usize,
    },
}

/// How a snapshot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is in `history`.
    Kept,
    /// The tree changed faster than it was written.
    GivenUp,
    /// The disk refused.
    Failed,
}

/// Counts what was applied since the last snapshot.
#[derive(Debug)]
pub struct Snapshotter {
    policy: Policy,
    txns: u64,
    bytes: u64,
    /// Drawn for this round: see N2.
    txns_at: u64,
    bytes_at: u64,
    under_way: bool,
    /// Not before this time.
    not_before_ms: u64,
    /// `None` if purging is off.
    purge_due_ms: Option<u64>,
    purging: bool,
    is_short: bool,
}

impl Snapshotter {
    /// `behind`: txns in the log that no snapshot holds. `draw(n)` is a random number below n.
    pub fn new(policy: Policy, behind: u64, now_ms: u64, draw: &mut impl FnMut(u64) -> u64) -> Self {
        let mut this = Self {
            policy,
            txns: behind,
            bytes: 0,
            txns_at: 0,
            bytes_at: 0,
            under_way: false,
            not_before_ms: 0,
            purge_due_ms: policy.purge_every_ms.map(|_| now_ms),
            purging: false,
            is_short: false,
        };
        this.draw(draw);
        this
    }

    fn draw(&mut self, draw: &mut impl FnMut(u64) -> u64) {
        let between = |most: u64, draw: &mut dyn FnMut(u64) -> u64| most - draw((most / 2).max(1));
        self.txns_at = between(self.policy.txns.max(1), draw);
        self.bytes_at = self.policy.bytes.map_or(u64::MAX, |bytes| between(bytes.max(1), draw));
    }

    /// So much more was applied.
    pub fn on_applied(&mut self, txns: u64, bytes: u64, now_ms: u64, out: &mut Vec<Output>) {
        self.txns += txns;
        self.bytes += bytes;
        self.begin_if_due(now_ms, out);
    }

    /// Some time has passed.
    pub fn on_tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.begin_if_due(now_ms, out);
        self.purge_if_due(now_ms, out);
    }

    /// The disk has too little space, or enough again. True if a purge is to help: one is due at once
    /// (N4), unless purging is off.
    pub fn on_space(&mut self, is_short: bool, now_ms: u64, out: &mut Vec<Output>) -> bool {
        self.is_short = is_short;
        if is_short {
            self.purge_due_ms = self.purge_due_ms.map(|_| now_ms);
            self.purge_if_due(now_ms, out);
        } else {
            self.not_before_ms = now_ms; // what failed for want of space
        }
        is_short && self.purge_due_ms.is_some()
    }

    /// The purge asked for was done, or refused: then it is tried again soon.
    pub fn on_purged(&mut self, done: bool, now_ms: u64) {
        assert!(self.purging, "N4: no purge was under way");
        self.purging = false;
        if done {
            self.not_before_ms = now_ms; // a snapshot that failed may fit now, and let older ones go
        }
        let after = self.policy.purge_every_ms.filter(|_| done).unwrap_or(RETRY_MS);
        self.purge_due_ms = self.purge_due_ms.map(|_| now_ms + after);
    }

    fn purge_if_due(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        if self.purge_due_ms.is_some_and(|due| now_ms >= due) && !self.under_way && !self.purging {
            self.purging = true;
            out.push(Output::Purge { keep: self.policy.keep });
        }
    }

    fn begin_if_due(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let due = self.txns >= self.txns_at || self.bytes >= self.bytes_at;
        if due && !self.under_way && now_ms >= self.not_before_ms {
            self.under_way = true;
            (self.txns, self.bytes) = (0, 0);
            out.push(Output::Begin);
        }
    }

    /// The snapshot under way has ended.
    pub fn on_ended(
        &mut self,
        ended: Ended,
        now_ms: u64,
        draw: &mut impl FnMut(u64) -> u64,
        out: &mut Vec<Output>,
    ) {
        assert!(self.under_way, "N1: no snapshot was under way");
        self.under_way = false;
        match ended {
            Ended::Kept => {
                if self.is_short {
                    self.purge_due_ms = self.purge_due_ms.map(|_| now_ms); // now an older one can go
                }
                return self.draw(draw);
            }
            Ended::GivenUp => {}
            Ended::Failed => {
                self.not_before_ms = now_ms + RETRY_MS;
                self.purge_due_ms = self.purge_due_ms.map(|_| now_ms); // for want of space, most likely
            }
        }
        self.txns = self.txns.max(self.txns_at); // N3: due at once
        self.begin_if_due(now_ms, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { txns: 100, bytes: Some(1000), keep: 3, purge_every_ms: Some(3_600_000) };

    fn with(behind: u64, drawn: u64) -> Snapshotter {
        Snapshotter::new(POLICY, behind, 0, &mut |below| drawn.min(below - 1))
    }

    fn applied(core: &mut Snapshotter, txns: u64, bytes: u64) -> Vec<Output> {
        let mut out = vec![];
        core.on_applied(txns, bytes, 0, &mut out);
        out
    }

    #[test]
    fn n2_between_half_and_all_of_the_count_or_size() {
        for (drawn, at) in [(0, 100), (30, 70), (u64::MAX, 51)] {
            let mut core = with(0, drawn);
            assert_eq!(applied(&mut core, at - 1, 0), []);
            assert_eq!(applied(&mut core, 1, 0), [Output::Begin]);
        }
        assert_eq!(applied(&mut with(0, 0), 1, 1000), [Output::Begin], "by size");
        assert_eq!(applied(&mut with(99, 0), 1, 0), [Output::Begin], "what the log held at the start counts");
    }

    #[test]
    fn n1_one_at_a_time_and_n3_again_when_it_did_not_succeed() {
        let mut core = with(0, 0);
        assert_eq!(applied(&mut core, 100, 0), [Output::Begin]);
        assert_eq!(applied(&mut core, 500, 0), []);
        let mut out = vec![];
        core.on_ended(Ended::GivenUp, 5, &mut |_| 0, &mut out);
        assert_eq!(out, [Output::Begin], "given up: at once");
        out.clear();
        core.on_ended(Ended::Failed, 5, &mut |_| 0, &mut out);
        core.on_tick(4 + RETRY_MS, &mut out);
        assert_eq!(out, [Output::Purge { keep: 3 }], "failed: not yet");
        core.on_purged(true, 4 + RETRY_MS);
        out.clear();
        core.on_tick(5 + RETRY_MS, &mut out);
        assert_eq!(out, [Output::Begin]);
        out.clear();
        core.on_ended(Ended::Kept, 20_000, &mut |_| 0, &mut out);
        assert_eq!(out, []);
        assert_eq!(applied(&mut core, 99, 0), [], "counted anew");
    }

    #[test]
    fn n3_purges_at_the_start_and_at_each_interval_but_not_beside_a_snapshot() {
        let mut core = with(0, 0);
        let mut out = vec![];
        core.on_tick(0, &mut out);
        core.on_purged(true, 0);
        core.on_tick(3_599_999, &mut out);
        assert_eq!(out, [Output::Purge { keep: 3 }]);
        core.on_applied(100, 0, 3_599_999, &mut out);
        out.clear();
        core.on_tick(3_600_000, &mut out);
        assert_eq!(out, []);
        core.on_ended(Ended::Kept, 3_600_001, &mut |_| 0, &mut out);
        core.on_tick(3_600_001, &mut out);
        assert_eq!(out, [Output::Purge { keep: 3 }]);
    }

    /// The times of the purges that each of these inputs brought; every tick is a second.
    fn purges(core: &mut Snapshotter, inputs: &[(u64, &str)]) -> Vec<u64> {
        let mut at = vec![];
        for &(now, input) in inputs {
            let mut out = vec![];
            match input {
                "full" => assert!(core.on_space(true, now, &mut out)),
                "free" => assert!(!core.on_space(false, now, &mut out)),
                "done" => core.on_purged(true, now),
                "refused" => core.on_purged(false, now),
                "begin" => core.on_applied(100, 0, now, &mut out),
                "kept" => core.on_ended(Ended::Kept, now, &mut |_| 0, &mut out),
                "failed" => core.on_ended(Ended::Failed, now, &mut |_| 0, &mut out),
                _ => core.on_tick(now, &mut out),
            }
            at.extend(out.iter().filter(|it| **it == Output::Purge { keep: 3 }).map(|_| now));
        }
        at
    }

    #[test]
    fn n4_a_full_disk_and_a_refusal_bring_a_purge_before_its_time() {
        let tick = "tick";
        for (what, inputs, at) in [
            ("asked for once", &[(0, tick), (1, tick), (9, tick), (9, "done"), (10, tick)][..], &[0][..]),
            (
                "refused: again after a pause, not after an hour",
                &[(0, tick), (5, "refused"), (10_004, tick), (10_005, tick)],
                &[0, 10_005],
            ),
            ("a full disk: at once", &[(0, tick), (1, "done"), (50, "full"), (51, "done")], &[0, 50]),
            ("and not again for nothing", &[(0, "full"), (1, "done"), (2, tick), (60_000, tick)], &[0]),
            (
                "not beside a snapshot, but right after it",
                &[(0, tick), (0, "done"), (1, "begin"), (2, "full"), (3, tick), (4, "failed"), (5, tick)],
                &[0, 5],
            ),
            (
                "a newer snapshot lets an older one go",
                &[(0, "full"), (1, "done"), (2, "begin"), (3, "kept"), (4, tick)],
                &[0, 4],
            ),
            (
                "only while space is short",
                &[(0, "full"), (1, "done"), (2, "free"), (2, "begin"), (3, "kept"), (4, tick)],
                &[0],
            ),
        ] {
            assert_eq!(purges(&mut with(0, 0), inputs), at, "{what}");
        }
    }

    #[test]
    fn n4_a_snapshot_that_failed_is_tried_again_as_soon_as_there_is_space() {
        for (input, again) in [("done", true), ("refused", false), ("free", true)] {
            let mut core = with(0, 0);
            let inputs = [(0, "full"), (0, "begin"), (1, "failed"), (2, input)];
            assert_eq!(purges(&mut core, &inputs), [0]);
            let mut out = vec![];
            core.on_tick(3, &mut out);
            assert_eq!(out.contains(&Output::Begin), again, "{input}");
        }
    }

    #[test]
    fn n4_an_operator_who_switched_purging_off_is_told_and_keeps_everything() {
        let off = Policy { purge_every_ms: None, ..POLICY };
        let mut core = Snapshotter::new(off, 0, 0, &mut |_| 0);
        let mut out = vec![];
        assert!(!core.on_space(true, 0, &mut out), "nothing is to be expected of a purge");
        core.on_tick(1_000, &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn n4_a_snapshot_that_failed_makes_a_purge_due() {
        let (mut core, mut out) = (with(0, 0), vec![]);
        core.on_tick(0, &mut out);
        core.on_purged(true, 0);
        assert_eq!(applied(&mut core, 100, 0), [Output::Begin]);
        out.clear();
        core.on_ended(Ended::Failed, 5, &mut |_| 0, &mut out);
        core.on_tick(6, &mut out);
        assert_eq!(out, [Output::Purge { keep: 3 }]);
    }
}
