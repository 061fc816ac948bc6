//! `paddock member`: the members of an ensemble, who they are to be, and who of them leads.

mod change;
mod plan;

use std::path::Path;
use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use paddock_actors::admin::api::MoveOrder;
use paddock_actors::admin::move_leader::Moved;
use paddock_actors::runtime::ExitCode;

use crate::admin::{self, AskError};
use crate::args::{MemberCommand, MemberList, MoveLeader, Serve};
use crate::status;

/// A node says what came of it before this.
const MOVED_WITHIN: Duration = Duration::from_secs(60);

/// Does what was asked, and says what came of it.
pub(crate) fn run(command: &MemberCommand) -> ProcessExit {
    match command {
        MemberCommand::List(args) => done(&args.at, |directory| list(args, directory)),
        MemberCommand::Add(args) => done(&args.at, |directory| change::add(args, directory)),
        MemberCommand::Remove(args) => done(&args.at, |directory| change::remove(args, directory)),
        MemberCommand::Promote(args) => done(&args.at, |directory| change::promote(args, directory)),
        MemberCommand::Demote(args) => done(&args.at, |directory| change::demote(args, directory)),
        MemberCommand::Move(args) => done(&args.at, |directory| change::relocate(args, directory)),
        MemberCommand::MoveLeader(args) => done(&args.at, |directory| move_leader(args, directory)),
    }
}

/// Prints what comes of it.
fn done(at: &Serve, run: impl FnOnce(&Path) -> Result<String, AskError>) -> ProcessExit {
    let directory = match at.directory() {
        Ok(directory) => directory,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    match run(&directory) {
        Ok(text) => {
            println!("{text}");
            ProcessExit::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ProcessExit::FAILURE
        }
    }
}

fn list(args: &MemberList, directory: &Path) -> Result<String, AskError> {
    let (status, _) = status::look(directory)?;
    let json = || serde_json::to_string(&status.members).expect("plain data is always JSON");
    Ok(if args.json { json() } else { status.table() })
}

fn move_leader(args: &MoveLeader, directory: &Path) -> Result<String, AskError> {
    if !args.json {
        let heir =
            args.to.map_or_else(|| "the voter that lacks the least".to_owned(), |id| format!("server {id}"));
        eprintln!("{heir} is to lead: the order is given; waiting until this member follows");
    }
    let order = MoveOrder { to: args.to };
    let (moved, json): (Moved, String) = admin::post(directory, "/api/leader", &order, MOVED_WITHIN)?;
    let Moved { leader, epoch, took_ms } = moved;
    Ok(if args.json { json } else { format!("server {leader} leads epoch {epoch}, after {took_ms} ms") })
}
