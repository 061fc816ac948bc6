//! How long a snapshot of a million znodes holds up whoever applies writes: the `walk` example of `paddock-actors`,
//! which ends with 1 where one hold is too long, or visits more than it may.

use std::process::{Command, Stdio};

use crate::{aim, verdict};

/// What the example's last line begins with; the number of µs follows.
const LONGEST: &str = "longest hold, us: ";

/// Measures, prints, and says whether the gate holds.
pub(crate) fn run() -> bool {
    let own = std::env::current_exe().expect("the system knows which program this is");
    let walk = Command::new(own.with_file_name("walk")).stderr(Stdio::inherit()).output();
    let output =
        walk.unwrap_or_else(|error| panic!("target/release/examples/walk, as compare.sh builds it: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    eprint!("{text}");
    let longest = text.lines().find_map(|line| line.strip_prefix(LONGEST)?.parse::<f64>().ok());
    let longest = longest.map_or("not measured".to_owned(), |us| format!("{:.2}", us / 1e3));
    let holds = output.status.success();
    println!(
        "\n| a snapshot of 1000000 znodes | Paddock | at most | holds | {} |\n|---|---:|---:|---:|---:|---:|",
        aim::HEAD
    );
    println!("| longest hold of the tree, ms | {longest} | 5 | {} | {} |", verdict(holds), aim::NONE);
    holds
}
