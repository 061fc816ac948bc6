//! `paddock serve`: from a configuration to a running node, and to its end.

use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use actix_rt::signal::unix::{SignalKind, signal};
use paddock::{Node, StartError};
use paddock_actors::memory;
use paddock_actors::runtime::ExitCode;
use paddock_config::{Config, Loaded};

use crate::args::Serve;
use crate::compiler;
use crate::limits;
use crate::logging::{self, Level};

/// How long requests under way may take to be answered once the node is told to stop, the sync of the
/// log included. systemd and Kubernetes wait longer by default.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Runs until a signal; the exit code is documented at [`ExitCode`].
pub(crate) fn run(args: &Serve) -> ProcessExit {
    memory::keep();
    if !compiler::is_sound() {
        eprintln!("{}", compiler::ADVICE);
        return ExitCode::Unexpected.into();
    }
    let loaded = match args.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    let level = match logging::start(&loaded.config.log) {
        Ok(level) => level,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::BadConfiguration.into();
        }
    };
    tell(&loaded);
    limits::raise_descriptors();
    actix_rt::System::new().block_on(serve(loaded.config, level)).into()
}

/// What was ignored, is missing or is probably not meant: once each, at the start.
fn tell(loaded: &Loaded) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "paddock starts");
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
}

async fn serve(config: Config, mut level: Level) -> ExitCode {
    let (Ok(mut term), Ok(mut int), Ok(mut usr1)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::user_defined1()),
    ) else {
        tracing::error!("cannot listen for signals");
        return ExitCode::Unexpected;
    };
    let node = match Node::start(&config) {
        Ok(node) => node,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return StartError::exit_code(&error);
        }
    };
    // Without a supervisor that listens this does nothing.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = term.recv() => break tracing::info!("SIGTERM: stopping"),
            _ = int.recv() => break tracing::info!("SIGINT: stopping"),
            _ = usr1.recv() => level.toggle(),
        }
    }
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    node.stop(STOP_WITHIN).await
}
