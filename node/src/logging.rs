//! Where log lines go: standard error, as text or JSON, at a level that can be changed while running.

use std::io::IsTerminal;

use paddock_config::{Log, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the level of a running node.
pub(crate) struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
    configured: String,
    verbose: bool,
}

impl Level {
    /// Between the configured level and `debug`: what SIGUSR1 does.
    pub(crate) fn toggle(&mut self) {
        let wanted = if self.verbose { self.configured.clone() } else { "debug".to_owned() };
        let changed = self.filter.reload(EnvFilter::new(&wanted));
        self.verbose = changed.is_ok() != self.verbose;
        tracing::info!(level = wanted, "log level changed by SIGUSR1; send it again to change back");
    }
}

/// The level's filter; an error if it is none that `tracing` knows.
pub(crate) fn filter(log: &Log) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&log.level).map_err(|error| format!("log.level {:?}: {error}", log.level))
}

/// Begins logging. Fails as [`filter`] does.
pub(crate) fn start(log: &Log) -> Result<Level, String> {
    let filter = filter(log)?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Json => registry.with(lines.json()).init(),
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).init(),
    }
    Ok(Level { filter: handle, configured: log.level.clone(), verbose: false })
}
