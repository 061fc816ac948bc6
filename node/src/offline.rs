//! What commands share that work on the data directory of a server that is stopped.

use std::io::{self, BufRead, Write};
use std::process::ExitCode as ProcessExit;

use paddock_actors::runtime::ExitCode;
use paddock_config::Config;

use crate::args::Serve;
use crate::logging;

/// Does this with the server's configuration, and tells why it is not done; `code` says how the process ends then.
pub(crate) fn run<E: std::fmt::Display>(
    at: &Serve,
    act: impl FnOnce(&Config) -> Result<(), E>,
    code: impl FnOnce(&E) -> ExitCode,
) -> ProcessExit {
    let config = match at.load() {
        Ok(loaded) => loaded.config,
        Err(error) => return refused(&error, ExitCode::BadConfiguration),
    };
    if let Err(error) = logging::start(&config.log) {
        return refused(&error, ExitCode::BadConfiguration);
    }
    match act(&config) {
        Ok(()) => ProcessExit::SUCCESS,
        Err(error) => refused(&error, code(&error)),
    }
}

fn refused(why: &impl std::fmt::Display, code: ExitCode) -> ProcessExit {
    eprintln!("{why}");
    code.into()
}

/// Whether whoever is asked writes exactly this.
pub(crate) fn is_wanted(word: &str) -> bool {
    eprint!("Type \"{word}\" to do it: ");
    let _ = io::stderr().flush();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == word
}
