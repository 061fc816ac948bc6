//! How the process ends: the documented exit codes, and the one path to them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why the process ended, as its parent sees it. 0–4 mean what they mean in ZooKeeper
/// (ExitCode.java); above 20 are causes that ZooKeeper does not tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Stopped as asked.
    Finished = 0,
    /// An unexpected error or a broken invariant: a bug. The log line names it.
    Unexpected = 1,
    /// Bad arguments or configuration: correct what the message names, then start again.
    BadConfiguration = 2,
    /// The data directory cannot be read or written, is not there, or is empty where no history may begin.
    DataDirectory = 3,
    /// The HTTP port cannot be bound.
    AdminServer = 4,
    /// Another process holds the data directory's lock.
    DataDirectoryLocked = 21,
    /// Data on disk is damaged: the message has file and offset. Restore it, or start this member empty.
    DataDamaged = 22,
    /// The data directory belongs to another server id or ensemble.
    OtherServer = 23,
    /// The data was written by a newer version in a format that this one does not know.
    NewerFormat = 24,
    /// Writing or syncing the transaction log failed: what is durable is unknown, so nothing is retried.
    LogIo = 26,
    /// A panic in an actor without which the node must not serve.
    Panic = 27,
    /// Such an actor has had mail and handled none of it for 10 × `peerTimeout`.
    Stalled = 28,
    /// Such an actor has ended without being asked to.
    ActorGone = 29,
    /// The client port, or one for other members, cannot be bound.
    BindClientPort = 30,
}

impl ExitCode {
    /// All of them, in order: for the manual and its test.
    pub const ALL: [Self; 14] = [
        Self::Finished,
        Self::Unexpected,
        Self::BadConfiguration,
        Self::DataDirectory,
        Self::AdminServer,
        Self::DataDirectoryLocked,
        Self::DataDamaged,
        Self::OtherServer,
        Self::NewerFormat,
        Self::LogIo,
        Self::Panic,
        Self::Stalled,
        Self::ActorGone,
        Self::BindClientPort,
    ];

    /// What it means, in a few words: for `--help` and the manual.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Finished => "stopped as asked",
            Self::Unexpected => "unexpected",
            Self::BadConfiguration => "configuration",
            Self::DataDirectory => "data directory",
            Self::AdminServer => "metrics port",
            Self::DataDirectoryLocked => "data directory in use",
            Self::DataDamaged => "data damaged",
            Self::OtherServer => "another server's data",
            Self::NewerFormat => "written by a newer version",
            Self::LogIo => "the log cannot be written, or not be ended when asked to stop",
            Self::Panic => "panic",
            Self::Stalled => "an actor is stalled",
            Self::ActorGone => "an actor is gone",
            Self::BindClientPort => "client port, or one for other members",
        }
    }

    /// As the parent process sees it.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// Ends the process, from any thread: logs one line, then runs the hook. Clones share the hook.
#[derive(Clone)]
pub struct Fatal(Arc<Hook>);

type Hook = dyn Fn(ExitCode, &str) + Send + Sync;

impl Fatal {
    /// The real one: `std::process::exit`. Nothing is flushed or handed over; what is durable is on disk.
    pub fn process() -> Self {
        Self::hook(|code, _| std::process::exit(i32::from(code.code())))
    }

    /// One that notes what would have ended the process, and returns.
    pub fn recorded() -> (Self, Endings) {
        let endings = Endings::default();
        let theirs = endings.clone();
        (Self::hook(move |code, reason| theirs.note(code, reason)), endings)
    }

    /// One that calls `hook` after the log line.
    pub fn hook(hook: impl Fn(ExitCode, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Ends the process. In a test it returns: the caller must then do as little as it would have.
    pub fn end(&self, code: ExitCode, reason: &str) {
        tracing::error!(exit_code = code.code(), "the process ends: {reason}");
        (self.0)(code, reason);
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fatal")
    }
}

/// What would have ended the process, in order ([`Fatal::recorded`]).
#[derive(Clone, Debug, Default)]
pub struct Endings(Arc<Mutex<Vec<(ExitCode, String)>>>);

impl Endings {
    fn note(&self, code: ExitCode, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((code, reason.to_owned()));
    }

    /// All until now.
    pub fn all(&self) -> Vec<(ExitCode, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Their codes.
    pub fn codes(&self) -> Vec<ExitCode> {
        self.all().into_iter().map(|(code, _)| code).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones_and_distinct() {
        let codes: Vec<u8> = ExitCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 21, 22, 23, 24, 26, 27, 28, 29, 30]);
    }

    #[test]
    fn recorded_endings_keep_their_order() {
        let (fatal, endings) = Fatal::recorded();
        let other = fatal.clone();
        fatal.end(ExitCode::LogIo, "log.7: no space left");
        other.end(ExitCode::Panic, "late");
        fatal.end(ExitCode::Stalled, "later");
        assert_eq!(endings.codes(), [ExitCode::LogIo, ExitCode::Panic, ExitCode::Stalled]);
        assert_eq!(endings.all()[0].1, "log.7: no space left");
    }
}
