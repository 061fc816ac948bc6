//! The `paddock` command: runs a node, lets one begin, checks its configuration, asks whether one serves, measures it.

mod args;
mod bench;
mod check_config;
mod compiler;
mod health;
mod init;
mod limits;
mod logging;
mod not_yet;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Init(args) => init::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
