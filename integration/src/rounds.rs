//! How often a test of real processes does what it does, and by which seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The seed of a run: `CRASH_SEED`, else drawn; printed, so that a failure can be run again. Where
/// exactly a kill hits is up to the scheduler, so the same seed makes the same run likely, not certain.
///
/// # Panics
/// If `CRASH_SEED` is no number.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("CRASH_SEED").ok().map(|text| text.parse().expect("CRASH_SEED is a number"));
    let seed = given.unwrap_or_else(|| StdRng::from_os_rng().random());
    println!("{test}: CRASH_SEED={seed}");
    seed
}

/// How many rounds to run: `CRASH_ROUNDS`, else `default`.
///
/// # Panics
/// If `CRASH_ROUNDS` is no number.
pub fn rounds(default: u64) -> u64 {
    let given = std::env::var("CRASH_ROUNDS").ok();
    given.map_or(default, |text| text.parse().expect("CRASH_ROUNDS is a number"))
}
