//! The seam to randomness: every draw below the wiring comes from a [`Rng`], so a seed replays a run.

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore, SeedableRng};

/// Random numbers fit for session passwords (a ChaCha stream); the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Rng(StdRng);

impl Rng {
    /// Numbers that `seed` fixes.
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Numbers nobody can foretell, seeded by the operating system.
    pub fn from_os() -> Self {
        Self(StdRng::from_os_rng())
    }

    /// A generator of its own for another actor: what one draws later does not shift the other.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Self(StdRng::from_seed(seed))
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, each as likely as any other. Panics if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_forks_do_not_shift_each_other() {
        let draw = |rng: &mut Rng| [rng.bits(), rng.below(10), rng.bits()];
        let (mut one, mut two) = (Rng::seeded(81), Rng::seeded(81));
        let (mut fork_one, mut fork_two) = (one.fork(), two.fork());
        assert_eq!(draw(&mut one), draw(&mut two));
        fork_two.fill(&mut [0; 100]); // a fork that draws more
        assert_eq!(draw(&mut one), draw(&mut two));
        assert_ne!(draw(&mut fork_one), draw(&mut fork_two));
        assert_ne!(draw(&mut Rng::seeded(1)), draw(&mut Rng::seeded(2)));
        assert!((0..1_000).all(|_| one.below(3) < 3));
    }
}
