//! `paddock resync`: a member gives its damaged data up, and gets the ensemble's as it starts.

use std::process::ExitCode as ProcessExit;

use paddock::{Damaged, ResyncError, StartError};
use paddock_actors::runtime::ExitCode;
use paddock_config::Config;
use serde::Serialize;

use crate::args::Resync;
use crate::offline::{self, is_wanted};

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Resync(#[from] ResyncError),
    #[error("{0}; nothing was given up")]
    Kept(#[from] StartError),
    #[error("not wanted: nothing was changed")]
    NotWanted,
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Resync(error) => error.exit_code(),
            Self::Kept(error) => error.exit_code(),
            Self::NotWanted => ExitCode::Unexpected,
        }
    }
}

/// What was done, for scripts.
#[derive(Serialize)]
struct Done {
    server: u64,
    damage: Option<String>,
}

/// Looks, asks, and does it.
pub(crate) fn run(args: &Resync) -> ProcessExit {
    offline::run(&args.at, |config| resync(args, config), Failure::exit_code)
}

fn resync(args: &Resync, config: &Config) -> Result<(), Failure> {
    let damaged = Damaged::open(config, args.force)?;
    let (server, damage) = (damaged.server, damaged.damage.as_ref().map(ToString::to_string));
    let what = damage.as_deref().unwrap_or("nothing is wrong with it");
    let mut places = config.log_dir().display().to_string();
    if config.log_dir() != config.data_dir {
        places += &format!(" and {}", config.data_dir.display());
    }
    eprintln!(
        "server {server}: {what}\nIts log and snapshots in {places} are deleted; copy them first, if other disks may be lost, too."
    );
    if !args.yes && !is_wanted(&format!("resync {server}")) {
        return Err(Failure::NotWanted);
    }
    damaged.give_up()?;
    if args.json {
        let done = Done { server: server.0, damage };
        println!("{}", serde_json::to_string(&done).expect("plain data is always JSON"));
    } else {
        println!(
            "server {server} has given its data up: start it; it votes once a leader has given it everything"
        );
    }
    Ok(())
}
