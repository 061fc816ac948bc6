//! What is aimed at beyond a gate: told beside it, and missing it fails nothing.
//!
//! Aims at a number of requests a second are told as a ratio to Java's in the same run: to what Java did on the
//! machine on which the aim was set.

/// A row's last two cells: the aim, and whether it is reached.
pub(crate) fn cells(aim: &str, is_reached: bool) -> String {
    format!("{aim} | {}", if is_reached { "yes" } else { "no" })
}

/// Of a row without an aim.
pub(crate) const NONE: &str = "– | –";
/// What heads the two.
pub(crate) const HEAD: &str = "aim | reached";
