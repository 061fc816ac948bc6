//! The `paddock` command: runs a node, lets one begin, checks its configuration, asks whether one serves and what it knows,
//! gives damaged data up, makes a new history of what is left, measures it.

mod admin;
mod args;
mod bench;
mod check_config;
mod compiler;
mod health;
mod init;
mod limits;
mod logging;
mod member;
mod not_yet;
mod offline;
mod recover;
mod resync;
mod serve;
mod status;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Init(args) => init::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Member(args) => member::run(&args.command),
        Command::Resync(args) => resync::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
