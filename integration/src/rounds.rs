//! How often a test of real processes does what it does, and by which seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The seed of a run: `CRASH_SEED`, else drawn; printed, so that a failure can be run again. Where
/// exactly a kill hits is up to the scheduler, so the same seed makes the same run likely, not certain.
///
/// # Panics
/// If `CRASH_SEED` is no number.
pub fn seed(test: &str) -> u64 {
    seed_of("CRASH_SEED", test)
}

/// The same of another variable.
///
/// # Panics
/// If it is no number.
pub fn seed_of(variable: &str, test: &str) -> u64 {
    let seed = number(variable).unwrap_or_else(|| StdRng::from_os_rng().random());
    println!("{test}: {variable}={seed}");
    seed
}

/// How many rounds to run: `CRASH_ROUNDS`, else `default`.
///
/// # Panics
/// If `CRASH_ROUNDS` is no number.
pub fn rounds(default: u64) -> u64 {
    number("CRASH_ROUNDS").unwrap_or(default)
}

/// A variable that is a number, if it is set.
///
/// # Panics
/// If it is something else.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}
