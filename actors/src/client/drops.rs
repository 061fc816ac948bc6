//! Turns handshakes away by chance while more come than there are tokens for: without, those that always come a moment
//! after others would never get one. The chance rises while the bucket is empty, and falls once it has filled up again.
//!
//! Source: compat: BlueThrottle.java, checkBlue; Feng et al., BLUE: A New Class of Active Queue Management Algorithms.

use crate::runtime::rng::Rng;

/// Millionths in a whole.
const WHOLE: u32 = 1_000_000;

/// What the operator decides. ZooKeeper's `connection_throttle_freeze_time` and those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// The chance changes when more than so many ms have passed since it last could.
    pub freeze_ms: u32,
    /// Millionths by which it rises, if there is no token then.
    pub increase: u32,
    /// Millionths by which it falls …
    pub decrease: u32,
    /// … if no more of the bucket's tokens are missing than so many millionths of them.
    pub decrease_ratio: u32,
}

/// The chance. Decides by the times it is told, and by the randomness it is given.
#[derive(Debug)]
pub(super) struct Chance {
    drops: Drops,
    /// Of being turned away, in millionths.
    millionths: u32,
    frozen_ms: u64,
    rng: Rng,
}

impl Chance {
    pub(super) fn new(drops: Drops, now_ms: u64, rng: Rng) -> Self {
        Self { drops, millionths: 0, frozen_ms: now_ms, rng }
    }

    /// Whether one more is turned away, while so many of all tokens are missing.
    pub(super) fn turns_away(&mut self, (missing, all): (u32, u32), now_ms: u64) -> bool {
        let Drops { freeze_ms, increase, decrease, decrease_ratio } = self.drops;
        if now_ms.saturating_sub(self.frozen_ms) > u64::from(freeze_ms) {
            let half = u64::from(WHOLE / 2);
            let few = (u64::from(all) * u64::from(decrease_ratio) + half) / u64::from(WHOLE);
            if missing == all && self.millionths < WHOLE {
                self.millionths = self.millionths.saturating_add(increase).min(WHOLE);
            } else if u64::from(missing) <= few {
                self.millionths = self.millionths.saturating_sub(decrease);
            }
            self.frozen_ms = now_ms;
        }
        self.rng.below(u64::from(WHOLE)) < u64::from(self.millionths)
    }

    /// Of being turned away, 0 to 1.
    pub(super) fn get(&self) -> f64 {
        f64::from(self.millionths) / f64::from(WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPS: Drops =
        Drops { freeze_ms: 10, increase: 400_000, decrease: 250_000, decrease_ratio: 250_000 };

    #[test]
    fn the_chance_rises_while_no_token_is_there_and_falls_once_few_are_missing() {
        let mut chance = Chance::new(DROPS, 100, Rng::seeded(1));
        for (now_ms, missing, then) in [
            (100, 6, 0.0), // not yet
            (110, 6, 0.0),
            (111, 6, 0.4),
            (121, 6, 0.4),
            (122, 5, 0.4), // neither none nor enough
            (133, 6, 0.8),
            (144, 6, 1.0), // and no more
            (155, 6, 1.0),
            (90, 0, 1.0), // another thread's clock may be a moment behind
            (166, 3, 1.0),
            (177, 2, 0.75), // a quarter of six, rounded
            (188, 1, 0.5),
            (199, 0, 0.25),
            (500, 0, 0.0), // one step, however long it was
            (600, 0, 0.0),
        ] {
            chance.turns_away((missing, 6), now_ms);
            assert_eq!(chance.get(), then, "at {now_ms}");
        }
    }

    #[test]
    fn so_many_are_turned_away_as_the_chance_says_and_a_seed_says_who() {
        let draw = |seed| {
            let mut chance = Chance::new(Drops { increase: 300_000, ..DROPS }, 0, Rng::seeded(seed));
            assert!(!chance.turns_away((0, 6), 0), "nobody, without a chance");
            chance.turns_away((6, 6), 11);
            (0..10_000).map(|_| chance.turns_away((6, 6), 12)).collect::<Vec<_>>()
        };
        let away = draw(7).into_iter().filter(|it| *it).count();
        assert!((2_800..3_200).contains(&away), "{away} of 10,000 by a chance of 0.3");
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut chance = Chance::new(Drops { increase: WHOLE, ..DROPS }, 0, Rng::seeded(7));
        assert!((0..1_000).all(|_| chance.turns_away((6, 6), 11)), "all, by a chance of 1");
    }
}
