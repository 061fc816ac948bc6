//! `paddock status`: what a member knows of itself and its ensemble.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use paddock_actors::admin::status::Status;
use paddock_actors::runtime::ExitCode;

use crate::admin::{self, AskError};
use crate::args;

/// A member answers this on a thread of its own, at once.
const WITHIN: Duration = Duration::from_secs(5);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Prints it once, or again and again.
pub(crate) fn run(args: &args::Status) -> ProcessExit {
    let directory = match args.at.directory() {
        Ok(directory) => directory,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    let clears = args.watch && !args.json && std::io::stdout().is_terminal();
    loop {
        match look(&directory) {
            Ok((status, json)) => {
                let text = if args.json { json + "\n" } else { status.text() };
                let text = if clears { format!("{CLEAR}{text}") } else { text };
                let printed = std::io::stdout().write_all(text.as_bytes());
                if !args.watch || printed.is_err() {
                    return ProcessExit::from(u8::from(printed.is_err())); // whoever reads has gone
                }
            }
            Err(error) => {
                eprintln!("{error}");
                return ProcessExit::FAILURE;
            }
        }
        std::thread::sleep(EVERY);
    }
}

/// What the member on this directory knows; and the same as it said it.
pub(crate) fn look(directory: &Path) -> Result<(Status, String), AskError> {
    admin::get(directory, "/api/status", WITHIN)
}
