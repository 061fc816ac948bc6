//! What the command line says.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A coordination service that speaks ZooKeeper's protocol.
#[derive(Debug, Parser)]
#[command(name = "paddock", version, about, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until it is told to stop (SIGTERM or SIGINT).
    #[command(
        after_help = "Exit codes: 0 stopped as asked, 2 configuration, 3 data directory, 21 data directory in \
                            use, 22 data damaged, 23 another server's data, 24 newer format, 26 log I/O, 27 panic, \
                            28 stalled, 30 client port. Without FILE it listens on 127.0.0.1:2181 and keeps its data \
                            under ./data."
    )]
    Serve(Serve),
    /// Print every effective value of a configuration, where it came from, and what is ignored and why.
    CheckConfig(CheckConfig),
    /// Ask a node whether it serves: exit code 0 and one line if so, 1 and the reason if not.
    Health(Health),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// zoo.cfg as ZooKeeper takes it, or TOML with Paddock's names.
    pub(crate) file: Option<PathBuf>,
    /// Where the data is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port for clients.
    #[arg(long, value_name = "PORT")]
    client_port: Option<u16>,
    /// Any other setting, by Paddock's name (see check-config).
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    settings: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    /// zoo.cfg or TOML.
    pub(crate) file: Option<PathBuf>,
    /// For scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The node's client port.
    #[arg(default_value = "127.0.0.1:2181", value_name = "HOST:PORT")]
    pub(crate) server: String,
    /// Succeed as soon as the process answers, even while it waits for other members.
    #[arg(long)]
    pub(crate) live: bool,
    /// How long to wait for an answer, in ms.
    #[arg(long, default_value_t = 3000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
}

impl Serve {
    /// The settings that flags override.
    pub(crate) fn flags(&self) -> Vec<(String, String)> {
        let mut flags = self.settings.clone();
        let data_dir = self.data_dir.as_ref().map(|dir| ("data_dir", dir.display().to_string()));
        let client_port = self.client_port.map(|port| ("client_port", port.to_string()));
        flags.extend(data_dir.into_iter().chain(client_port).map(|(name, value)| (name.to_owned(), value)));
        flags
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
