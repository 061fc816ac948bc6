//! `paddock check-config`: what holds, where it came from, what is ignored and why.

use std::process::ExitCode as ProcessExit;

use paddock_actors::runtime::ExitCode;
use paddock_config::{Config, Sources};

use crate::args::CheckConfig;
use crate::not_yet;

/// Prints the report; the exit code says whether `serve` would take the file.
pub(crate) fn run(args: &CheckConfig) -> ProcessExit {
    let sources = Sources { file: args.file.clone(), env: std::env::vars(), flags: [] };
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    if args.json {
        let text = serde_json::to_string_pretty(&loaded.report()).expect("a report is plain data");
        println!("{text}");
    } else {
        print!("{}", loaded.report());
        for remark in not_yet::remarks(&loaded) {
            println!("{remark}");
        }
    }
    ProcessExit::SUCCESS
}
