//! Whether clients may be served from this member's tree, and when a leader is asked for another.
//!
//! What differs is the tree alone: the log holds the txns that everybody has, and what was acknowledged stays
//! acknowledged. So the member goes on to follow, to acknowledge and to vote for others, and the tree is made anew
//! from a leader's snapshot and the log behind it. Only a snapshot at or beyond the last txn that is here takes the
//! log's place, too. The mark is durable, for a start makes the same tree of the same snapshot; a snapshot of the
//! leader's takes it away with the rename that makes it the only one.
//!
//! - DG4 From the moment it finds that its tree differs a member serves no client and proposes nothing, restarts
//!   included, until the leader's tree has taken the place of its own.
//! - DG5 Its log and its vote stay meanwhile.
//! - DG6 A tree that differs again soon is not asked for at once: something makes it so here that no snapshot mends.
//! - DG7 What it alone has logged keeps no other from leading for ever: every other time it stands for an election
//!   with all that it has, and leads until a quorum has that, too.

/// Before the second time that a tree is asked for; twice as long each time, up to [`LONGEST_MS`].
const FIRST_MS: u64 = 5_000;
const LONGEST_MS: u64 = 600_000;

/// See the module.
#[derive(Debug)]
pub struct Fence {
    is_up: bool,
    asks_at_ms: u64,
    pause_ms: u64,
    replaced_ms: Option<u64>,
    stood_low: bool,
}

impl Fence {
    /// Up if the mark was found at the start.
    pub fn new(is_up: bool) -> Self {
        Self { is_up, asks_at_ms: 0, pause_ms: FIRST_MS, replaced_ms: None, stood_low: false }
    }

    /// Whether no client may be served.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// The tree differs. Whether that is new.
    pub fn raise(&mut self, now_ms: u64) -> bool {
        if std::mem::replace(&mut self.is_up, true) {
            return false;
        }
        let is_again = self.replaced_ms.is_some_and(|at| now_ms < at + LONGEST_MS);
        if is_again {
            self.asks_at_ms = now_ms + self.pause_ms;
        } else {
            (self.asks_at_ms, self.pause_ms) = (now_ms, FIRST_MS);
        }
        true
    }

    /// Whether it is time to ask a leader for its tree.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.is_up && now_ms >= self.asks_at_ms
    }

    /// DG7: whether it stands for the next election as one that has nothing, so that all others come before it.
    pub fn stands_low(&mut self) -> bool {
        self.stood_low = self.is_up && !self.stood_low;
        self.stood_low
    }

    /// A leader was asked when it was time to, and has sent a tree or none: the next is asked after a pause.
    pub fn asked(&mut self, now_ms: u64) {
        if self.is_due(now_ms) {
            self.asks_at_ms = now_ms + self.pause_ms;
            self.pause_ms = (2 * self.pause_ms).min(LONGEST_MS);
        }
    }

    /// The leader's tree has taken the place of ours.
    pub fn lower(&mut self, now_ms: u64) {
        if std::mem::take(&mut self.is_up) {
            self.replaced_ms = Some(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is time; if so, a leader is asked.
    fn ask(fence: &mut Fence, now_ms: u64) -> bool {
        let is_due = fence.is_due(now_ms);
        fence.asked(now_ms);
        is_due
    }

    #[test]
    fn dg6_a_tree_is_asked_for_at_once_and_then_ever_more_rarely() {
        let mut fence = Fence::new(false);
        assert!(!fence.is_up() && !ask(&mut fence, 0), "nothing is wrong");
        assert!(fence.raise(1_000) && !fence.raise(1_001), "new once");
        let asked: Vec<u64> = (1_000..2_000_000).step_by(1_000).filter(|now| ask(&mut fence, *now)).collect();
        let pauses: Vec<u64> = asked.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(asked[0], 1_000);
        assert_eq!(pauses[..8], [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000]);
    }

    #[test]
    fn dg7_it_stands_low_every_other_time() {
        let mut fence = Fence::new(false);
        assert!(!fence.stands_low() && !fence.stands_low());
        fence.raise(0);
        assert_eq!([(); 4].map(|()| fence.stands_low()), [true, false, true, false]);
    }

    #[test]
    fn dg6_one_that_differs_again_soon_waits_and_one_that_does_later_does_not() {
        let mut fence = Fence::new(true);
        assert!(ask(&mut fence, 0), "the mark was found at the start");
        fence.lower(100);
        assert!(!fence.is_up() && !fence.is_due(100_000));
        assert!(fence.raise(200_000));
        assert!(!fence.is_due(209_999) && ask(&mut fence, 210_000));
        fence.lower(211_000);
        fence.raise(900_000);
        assert!(ask(&mut fence, 900_000), "that is long ago");
    }
}
