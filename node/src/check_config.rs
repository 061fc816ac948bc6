//! `paddock check-config`: what holds, where it came from, what is ignored and why.

use std::process::ExitCode as ProcessExit;

use paddock::refusal;
use paddock_actors::runtime::ExitCode;
use paddock_config::{Config, Report};
use serde::Serialize;

use crate::args::CheckConfig;
use crate::logging;

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    /// Why `serve` refuses it; null if it does not.
    refused: Option<Refused>,
}

/// Why `serve` ends at once, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Refused {
    why: String,
    exit_code: u8,
}

/// Prints the report; the exit code is the one that `serve` would end with because of the configuration.
pub(crate) fn run(args: &CheckConfig) -> ProcessExit {
    let loaded = match args.serve.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    let refused = refused(&loaded.config);
    if args.json {
        let told = Told { report: loaded.report(), refused: refused.clone() };
        println!("{}", serde_json::to_string_pretty(&told).expect("a report is plain data"));
    } else {
        print!("{}", loaded.report());
    }
    let Some(Refused { why, exit_code }) = refused else { return ProcessExit::SUCCESS };
    eprintln!("serve refuses this configuration: {why}");
    exit_code.into()
}

/// As `serve` does, whose own questions these are.
fn refused(config: &Config) -> Option<Refused> {
    if let Err(why) = logging::filter(&config.log) {
        return Some(Refused { why, exit_code: ExitCode::BadConfiguration.code() });
    }
    refusal(config).map(|error| Refused { why: error.to_string(), exit_code: error.exit_code().code() })
}

#[cfg(test)]
mod tests {
    use paddock_config::Sources;

    use super::*;

    /// The report as JSON, of these lines of a `zoo.cfg`.
    fn told(lines: &str) -> serde_json::Value {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("zoo.cfg");
        std::fs::write(&file, format!("dataDir={}\n{lines}", dir.path().display())).expect("writable");
        std::fs::write(dir.path().join("myid"), "1").expect("writable");
        let mut loaded = Config::load(Sources::file(Some(file))).expect("a sound file");
        loaded.notes.extend(crate::not_yet::notes(&loaded));
        let refused = refused(&loaded.config);
        serde_json::to_value(Told { report: loaded.report(), refused }).expect("plain data")
    }

    #[test]
    fn what_serve_refuses_is_told_with_its_exit_code() {
        const THREE: &str =
            "server.1=a:1:2;2181\nserver.2=b:1:2;2181\nserver.3=c:1:2;2181\ninitLimit=5\nsyncLimit=2";
        for (lines, why) in [
            ("clientPort=2181", None),
            ("clientPort=2181\nserver.1=a:1:2", None), // one server is a server alone
            ("tickTime=2000", Some("no clientPort")),
            (THREE, None),
        ] {
            let refused = &told(lines)["refused"];
            match why {
                None => assert!(refused.is_null(), "{lines}: {refused}"),
                Some(why) => {
                    assert!(refused["why"].as_str().expect("text").contains(why), "{lines}: {refused}");
                    assert_eq!(refused["exit_code"], 2, "{lines}");
                }
            }
        }
    }

    #[test]
    fn json_has_what_is_not_yet_done() {
        let told = told("clientPort=2181\naudit.enable=true\nleaderServes=no");
        let notes: Vec<_> = told["notes"].as_array().expect("a list").iter().collect();
        let of = |key: &str| notes.iter().find(|note| note["key"] == key).map(|note| note["kind"].clone());
        assert_eq!(of("audit.enable"), Some("not_yet".into()));
        assert_eq!(of("leaderServes"), Some("not_yet".into()));
        assert!(told["settings"].as_array().is_some_and(|all| !all.is_empty()));
    }
}
