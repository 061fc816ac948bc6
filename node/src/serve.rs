//! `paddock serve`: from a configuration to a running node, and to its end.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode as ProcessExit};
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
    let _ = rustix::thread::set_name(c"paddock"); // one that has begun anew would be called exe in lists
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
    match actix_rt::System::new().block_on(serve(loaded.config, level)) {
        End::Exit(code) => code.into(),
        End::BeginAnew => begin_anew().into(),
    }
}

/// How a run of the node ends.
enum End {
    /// With the process.
    Exit(ExitCode),
    /// In good order, to go on in the same process as a member.
    BeginAnew,
}

/// The process begins anew, with its own id, file and arguments: as after a restart, nothing of before is in its memory.
/// Returns only where the system refuses.
fn begin_anew() -> ExitCode {
    tracing::info!("the server begins anew, in place, as a member of the ensemble");
    let mut given = std::env::args_os();
    let mut command = Command::new("/proc/self/exe"); // this very build, whatever lies at its path by now
    if let Some(name) = given.next() {
        command.arg0(name);
    }
    let error = command.args(given).exec();
    tracing::error!(
        "cannot begin anew: {error}; start the server again: it is a member then, and nothing is lost"
    );
    ExitCode::Unexpected
}

/// What was ignored, is missing or is probably not meant: once each, at the start.
fn tell(loaded: &Loaded) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "paddock starts");
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
}

async fn serve(config: Config, mut level: Level) -> End {
    let (Ok(mut term), Ok(mut int), Ok(mut usr1)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::user_defined1()),
    ) else {
        tracing::error!("cannot listen for signals");
        return End::Exit(ExitCode::Unexpected);
    };
    let mut node = match Node::start(&config) {
        Ok(node) => node,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return End::Exit(StartError::exit_code(&error));
        }
    };
    // Without a supervisor that listens this does nothing.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = term.recv() => break tracing::info!("SIGTERM: stopping"),
            _ = int.recv() => break tracing::info!("SIGINT: stopping"),
            _ = usr1.recv() => level.toggle(),
            () = node.grown() => {
                let ended = node.stop(STOP_WITHIN).await;
                // The process that begins anew would know nothing of a signal that has come meanwhile.
                let is_told = tokio::select! {
                    biased;
                    _ = term.recv() => true,
                    _ = int.recv() => true,
                    () = std::future::ready(()) => false,
                };
                return if ended == ExitCode::Finished && !is_told { End::BeginAnew } else { End::Exit(ended) };
            }
        }
    }
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    End::Exit(node.stop(STOP_WITHIN).await)
}
