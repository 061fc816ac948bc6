//! `paddock init`: says that a member with an empty disk may begin a new ensemble.

use std::process::ExitCode as ProcessExit;

use paddock::initialize;
use paddock_actors::runtime::ExitCode;
use paddock_config::Config;

use crate::args::Serve;

/// Writes the files and says what comes next.
pub(crate) fn run(args: &Serve) -> ProcessExit {
    let config = match args.load() {
        Ok(loaded) => loaded.config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    match initialize(&config, args.id) {
        Ok(marker) => {
            println!("{}: made; the first history that is there deletes it", marker.display());
            println!("{}", next(&config));
            ProcessExit::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            error.exit_code().into()
        }
    }
}

/// What the operator does now.
fn next(config: &Config) -> String {
    if !config.is_distributed() {
        return "this server is alone: start it".to_owned();
    }
    let voters = config.members.voters();
    let id = config.server_id.map_or_else(String::new, |id| id.to_string());
    if config.server_id.is_none_or(|id| !voters.contains(&id)) {
        return format!(
            "server {id} does not vote: an ensemble begins with voters; do this on a quorum of them"
        );
    }
    let names: Vec<_> = voters.iter().map(ToString::to_string).collect();
    format!(
        "server {id} may begin a new ensemble once a quorum of the voters ({}), each empty and with this file, has come: \
         do the same on them, then start them. Where a voter has data, they join that ensemble, and nothing begins",
        names.join(", ")
    )
}
