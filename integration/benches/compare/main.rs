//! What `compare.sh` runs: the same load on a Java server, the mock and Paddock, and what comes of it.
#![allow(missing_docs, reason = "a program of its own")]

mod aim;
mod busy;
mod ensemble;
mod failover;
mod load;
mod members;
mod rejoin;
mod restart;
mod servers;
mod sessions;
mod snapshot;
mod speed;
mod three;
mod writer;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How much is measured.
struct Options {
    rounds: usize,
    /// Of each cell, besides its warm-up.
    seconds: f64,
    sessions: usize,
    znodes: usize,
    /// Leaders killed.
    kills: usize,
    /// Of every core, while nobody is to lose the lead.
    busy_seconds: f64,
    names: Vec<String>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 5,
            seconds: 5.0,
            sessions: 5_000,
            znodes: 1_000_000,
            kills: 20,
            busy_seconds: 60.0,
            names: vec![],
        };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().and_then(|word| word.parse::<f64>().ok());
                value.filter(|value| *value > 0.0).ok_or_else(|| format!("{word} needs a number"))
            };
            match word.as_str() {
                "--rounds" => options.rounds = number()? as usize,
                "--seconds" => options.seconds = number()?,
                "--sessions" => options.sessions = number()? as usize,
                "--znodes" => options.znodes = number()? as usize,
                "--kills" => options.kills = number()? as usize,
                "--busy-seconds" => options.busy_seconds = number()?,
                "speed" | "sessions" | "restart" | "snapshot" | "ensemble" | "members" | "failover"
                | "rejoin" => {
                    options.names.push(word);
                }
                _ => return Err(format!("{word}? see the head of compare.sh")),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if_eq(busy::SPIN).is_some() {
        busy::spin(words);
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }); // else connecting says so
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{cores} cores, load before: {}; medians of {} rounds", load.trim(), options.rounds);
    let mut holds = true;
    if options.wants("speed") {
        holds &= speed::run(&options);
    }
    if options.wants("sessions") {
        holds &= sessions::run(&options);
    }
    if options.wants("restart") {
        holds &= restart::run(&options);
    }
    if options.wants("snapshot") {
        holds &= snapshot::run();
    }
    if options.wants("ensemble") {
        holds &= ensemble::run(&options);
    }
    if options.wants("members") {
        members::run(&options);
    }
    if options.wants("failover") {
        holds &= failover::run(&options);
    }
    if options.wants("rejoin") {
        holds &= rejoin::run(&options);
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The middle one; of an even number, the mean of the middle two.
fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        _ if numbers.is_empty() => f64::NAN,
        1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }
}

/// As a table shows it.
fn verdict(holds: bool) -> &'static str {
    if holds { "yes" } else { "**no**" }
}
