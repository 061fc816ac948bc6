//! `paddock recover`: a new history from what is left when a majority of the voters is lost for good.

mod reach;
mod report;

use std::path::Path;
use std::process::ExitCode as ProcessExit;

use paddock::{NewHistory, RecoverError, Survivor, holding_at};
use paddock_actors::recover::{Holding, Refusal, Verdict};
use paddock_actors::runtime::{Clock, ExitCode, SystemClock};
use paddock_config::Config;
use serde::Serialize;

use crate::args::Recover;
use crate::offline::{self, is_wanted};
use report::{Found, Report};

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error("{path}: {what}")]
    Also { path: String, what: String },
    #[error("refused, and nothing was changed; --force goes on nevertheless, if there is a way")]
    Refused,
    #[error("not wanted: nothing was changed")]
    NotWanted,
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Recover(error) => error.exit_code(),
            Self::Also { .. } | Self::Refused | Self::NotWanted => ExitCode::Unexpected,
        }
    }
}

/// What was done, for scripts.
#[derive(Serialize)]
struct Done {
    server: u64,
    ensemble: String,
    epoch: u32,
    version: String,
}

/// Looks, asks, and does it.
pub(crate) fn run(args: &Recover) -> ProcessExit {
    offline::run(&args.at, |config| recover(args, config), Failure::exit_code)
}

fn recover(args: &Recover, config: &Config) -> Result<(), Failure> {
    let others = args.also.iter().map(|path| also(path)).collect::<Result<Vec<_>, _>>()?;
    let survivor = Survivor::open(config)?;
    let running = reach::running(&survivor.configurations, survivor.holding.server);
    let verdict = survivor.judge(&others, &running);
    let (holding, members) = (&survivor.holding, survivor.members());
    let (znodes, sessions) = survivor.counts();
    let found = Found { holding, znodes, sessions, members, verdict: &verdict, place: &survivor.place };
    if args.look && args.json {
        println!("{}", found.json());
        return Ok(());
    }
    let now_ms = SystemClock::new().wall_ms();
    let report = Report { found, directory: config.log_dir(), others: &others, now_ms };
    if args.look {
        print!("{report}");
        return Ok(());
    }
    eprint!("{report}");
    let forced = may_go_on(&verdict, args.force)?;
    survivor.may_begin()?;
    let server = survivor.holding.server;
    if !args.yes && !is_wanted(&format!("recover {server}")) {
        return Err(Failure::NotWanted);
    }
    let NewHistory { ensemble, epoch, version } = survivor.begin(&others, forced, now_ms)?;
    let done = Done {
        server: server.0,
        ensemble: format!("{ensemble:032x}"),
        epoch: epoch.0,
        version: version.to_string(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&done).expect("plain data is always JSON"));
    } else {
        println!(
            "server {server} is an ensemble of one, {}, from epoch {epoch} on: start it, and have others join with empty data \
             directories (paddock member add)",
            done.ensemble
        );
    }
    Ok(())
}

/// What another server holds, or has told that it holds.
fn also(path: &Path) -> Result<Holding, Failure> {
    if path.is_dir() {
        return Ok(holding_at(path)?);
    }
    let failed = |what: String| Failure::Also { path: path.display().to_string(), what };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|error| failed(format!("not what paddock recover --look --json prints: {error}")))
}

/// What is gone on against.
fn may_go_on(verdict: &Verdict, is_forced: bool) -> Result<&[Refusal], Failure> {
    let refusals = &verdict.refusals;
    let may = refusals.is_empty() || is_forced && !refusals.iter().any(Refusal::is_final);
    may.then_some(refusals.as_slice()).ok_or(Failure::Refused)
}
