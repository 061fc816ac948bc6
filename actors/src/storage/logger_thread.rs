//! The Logger's thread: one channel of commands in, events out through a callback.
//!
//! Group commit needs no timer: whatever was queued while a batch was synced goes into the next.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use paddock_messages::mail::{Bound, Mail, Opened, Refused};
use paddock_messages::zxid::Zxid;

use super::batch::Records;
use super::disk::Disk;
use super::history::Facts;
use super::log_view::LogView;
use super::logger::{LogFailure, Logger, Persisted, Space};
use super::maintenance::Purged;
use super::sync_watch::{Doing, SyncWatch};
use crate::runtime::{Env, Kinds, ThreadInbox, ThreadOutbox, thread_mail};

/// After this long without a command the last batch gets an empty one behind it.
const IDLE: Duration = Duration::from_millis(20);
/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often an unfinished reserve is looked for.
const POLL: Duration = Duration::from_millis(5);
/// A batch of at most this many records is a small one: spin for the next.
const SMALL: u32 = 64;
/// Commands of a kind: about work that was admitted, far below this. More is a bug.
const BOUND: Bound = Bound::Admitted(1 << 20);

/// What the thread is asked. `role` is the generation of the role on whose behalf; the answer repeats
/// it, so that one to a role that has ended is dropped.
#[expect(missing_docs, reason = "each variant says what its fields are")]
pub enum Command {
    /// Log what `write` pushes, and know that everything up to `committed` is. Answer: `Persisted`. It runs
    /// on the log's thread, so that encoding costs its sender nothing.
    Append { role: u64, write: Box<dyn FnOnce(&mut Records) + Send>, committed: Zxid },
    /// Everything up to `committed` is, and the disk is to say so now. No answer.
    SayCommitted { committed: Zxid },
    /// Make epochs and identity durable, all of them. Answer: `FactsKept` or `FactsRefused`.
    KeepFacts { role: u64, facts: Facts },
    /// A snapshot file is finished and synced. Answer: `SnapshotAdded` or `SnapshotRefused`.
    AddSnapshot { name: String, zxid: Zxid },
    /// A snapshot file cannot be loaded: forget and delete it. No answer.
    ForgetSnapshot { name: String },
    /// Keep this many snapshots and their log. Answer: `Purged` or `PurgeRefused`.
    Purge { keep: usize },
    /// Cut every txn after this one. Answer: `Truncated`.
    TruncateAfter { role: u64, zxid: Zxid },
    /// A received snapshot file, finished and synced, is the history now. Answer: `Installed`.
    InstallSnapshot { role: u64, name: String, zxid: Zxid },
    /// The tree is not the one that a quorum has: make that durable. No answer.
    MarkTree,
    /// A received snapshot file, finished and synced, is the only one now; the log stays. Answer: `TreeReplaced`.
    ReplaceTree { role: u64, name: String, zxid: Zxid },
    /// Call `answer`, which must not wait, with a view of the log and of the newest snapshot, everything sent
    /// before being durable. It runs on the log's thread, and is dropped uncalled if that has to end. An error
    /// is of that view alone: the log goes on.
    View { answer: Box<dyn FnOnce(io::Result<LogView>) + Send> },
    /// Everything sent before is to be durable. Answer: `Drained`.
    Drain { role: u64 },
    /// Finish what was sent before, then end. Answer: `Stopped`.
    Shutdown,
}

impl Kinds for Command {
    const NAMES: &'static [&'static str] = &[
        "Append",
        "SayCommitted",
        "KeepFacts",
        "AddSnapshot",
        "ForgetSnapshot",
        "Purge",
        "TruncateAfter",
        "InstallSnapshot",
        "MarkTree",
        "ReplaceTree",
        "View",
        "Drain",
        "Shutdown",
    ];

    fn kind(&self) -> usize {
        match self {
            Self::Append { .. } => 0,
            Self::SayCommitted { .. } => 1,
            Self::KeepFacts { .. } => 2,
            Self::AddSnapshot { .. } => 3,
            Self::ForgetSnapshot { .. } => 4,
            Self::Purge { .. } => 5,
            Self::TruncateAfter { .. } => 6,
            Self::InstallSnapshot { .. } => 7,
            Self::MarkTree => 8,
            Self::ReplaceTree { .. } => 9,
            Self::View { .. } => 10,
            Self::Drain { .. } => 11,
            Self::Shutdown => 12,
        }
    }
}

/// What the thread answers, in the order of the commands.
#[expect(missing_docs, reason = "each variant says what its fields are")]
#[derive(Debug)]
pub enum LoggerEvent {
    /// Durable through `persisted.upto`; the records took so many bytes.
    Persisted { role: u64, persisted: Persisted, bytes: usize },
    /// A batch was written and synced: for the meters.
    Synced { records: u32, bytes: usize, sync_us: u64 },
    /// These facts are durable.
    FactsKept { role: u64, facts: Facts },
    /// They are not, for want of space, and may be tried again; the log goes on.
    FactsRefused { role: u64, failure: LogFailure },
    /// The snapshot is in `history`.
    SnapshotAdded { name: String, zxid: Zxid },
    /// The snapshot is not in `history`, and may be tried again; the log goes on.
    SnapshotRefused { failure: LogFailure },
    /// Older files are deleted.
    Purged(Purged),
    /// They are not, and it may be tried again; the log goes on.
    PurgeRefused { failure: LogFailure },
    /// The log ends here now.
    Truncated { role: u64, persisted: Persisted },
    /// The log begins here now.
    Installed { role: u64, persisted: Persisted },
    /// What is on disk comes to the leader's tree now.
    TreeReplaced { role: u64 },
    /// Nothing sent before is still on its way.
    Drained { role: u64, persisted: Persisted },
    /// The disk became full, or has room again.
    Space(Space),
    /// The command, for this role if it names one, was not done; the log goes on.
    Refused { role: Option<u64>, failure: LogFailure },
    /// The process must end. The thread has.
    Failed(LogFailure),
    /// The same, by a panic, which was written to stderr: an invariant does not hold.
    Panicked,
    /// The thread ends as asked.
    Stopped,
}

/// How the thread behaves.
#[derive(Clone, Copy, Debug)]
pub struct ThreadOptions {
    /// How long to look for the next command after a small batch before parking (default 100 µs).
    pub spin: Duration,
    /// A batch is written when it reaches this, whatever else is queued (default 4 MiB).
    pub batch_bytes: usize,
    /// A sync that takes this long is reported (default 1 s). ZooKeeper: `fsync.warningthresholdms`.
    pub slow_sync: Duration,
}

impl Default for ThreadOptions {
    fn default() -> Self {
        Self { spin: Duration::from_micros(100), batch_bytes: 4 << 20, slow_sync: Duration::from_secs(1) }
    }
}

/// Sends commands; cheap to clone. The thread ends when all are dropped.
#[derive(Clone)]
pub struct LoggerHandle {
    commands: ThreadOutbox<Command>,
}

impl LoggerHandle {
    /// Queues a command; never waits. An error hands it back: the thread has ended.
    pub fn send(&self, command: Command) -> Result<(), Refused<Command>> {
        self.commands.post(command)
    }
}

/// The running thread.
pub struct LoggerThread {
    /// To send it commands.
    pub handle: LoggerHandle,
    /// To see whether the disk answers.
    pub watch: SyncWatch,
    /// To wait for its end, after `Shutdown` or with all handles dropped.
    pub thread: JoinHandle<()>,
}

impl LoggerThread {
    /// Starts the thread `logger`, whose mail is metered in `env`. `events` is called on it and must not wait.
    /// Fails if the operating system has no thread to give.
    pub fn start<D: Disk>(
        logger: Logger<D>,
        options: ThreadOptions,
        env: &Env,
        events: impl Fn(LoggerEvent) + Send + 'static,
    ) -> io::Result<Self> {
        // A disk that does not answer must not hold up the thread that sends.
        let (commands, inbox) = thread_mail("logger", BOUND, env);
        let watch = SyncWatch::new(&logger);
        let mut shell = Shell {
            space: logger.space(),
            tried: Instant::now(),
            logger,
            options,
            inbox,
            watch: watch.clone(),
            events,
            waiting: None,
            appends: Vec::new(),
            last_batch: 0,
            is_changing: false,
        };
        let thread = std::thread::Builder::new().name("logger".into()).spawn(move || {
            if shell.space != Space::Enough {
                (shell.events)(LoggerEvent::Space(shell.space)); // full from the start
            }
            // Nothing of the shell but `events` is used after a panic.
            let event = match catch_unwind(AssertUnwindSafe(|| shell.run())) {
                Ok(Ok(())) => LoggerEvent::Stopped,
                Ok(Err(failure)) => LoggerEvent::Failed(failure),
                Err(_) => LoggerEvent::Panicked,
            };
            (shell.events)(event);
        })?;
        Ok(Self { handle: LoggerHandle { commands }, watch, thread })
    }
}

struct Shell<D: Disk, E> {
    logger: Logger<D>,
    options: ThreadOptions,
    inbox: ThreadInbox<Command>,
    watch: SyncWatch,
    events: E,
    space: Space,
    /// When a full disk was tried last.
    tried: Instant,
    /// The role whose records are in the open batch.
    waiting: Option<u64>,
    /// Those of the open batch: they are handled once it is durable.
    appends: Vec<Opened>,
    last_batch: u32,
    /// Whether a command is done that replaces `history`.
    is_changing: bool,
}

impl<D: Disk, E: Fn(LoggerEvent)> Shell<D, E> {
    fn run(&mut self) -> Result<(), LogFailure> {
        while let Some(mail) = self.next()? {
            if self.take(mail)? {
                break;
            }
            while self.logger.open_batch().0 < self.options.batch_bytes {
                let Ok(mail) = self.inbox.queue.try_recv() else { break };
                if self.take(mail)? {
                    return self.finish();
                }
            }
            self.flush()?;
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<(), LogFailure> {
        self.flush()?;
        self.timed(Logger::write_idle)
    }

    /// The next command; `None` when nobody can send one. Does what falls due while none comes.
    fn next(&mut self) -> Result<Option<Mail<Command>>, LogFailure> {
        if self.space != Space::Enough && self.tried.elapsed() >= RETRY {
            self.retry()?; // also when commands keep coming
        }
        if let Some(mail) = self.spin() {
            return Ok(Some(mail));
        }
        loop {
            let wait = if self.logger.is_reserving() {
                Some(POLL)
            } else if self.logger.wants_idle() {
                Some(IDLE)
            } else {
                (self.space != Space::Enough).then_some(RETRY)
            };
            let got = match wait {
                Some(wait) => self.inbox.queue.recv_timeout(wait),
                None => self.inbox.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match (got, wait) {
                (Ok(mail), _) => return Ok(Some(mail)),
                (Err(RecvTimeoutError::Disconnected), _) => return Ok(None),
                (Err(RecvTimeoutError::Timeout), Some(IDLE)) => self.timed(Logger::write_idle)?,
                (Err(RecvTimeoutError::Timeout), Some(RETRY)) => self.retry()?,
                (Err(RecvTimeoutError::Timeout), _) => self.timed(Logger::poll_reserve)?,
            }
        }
    }

    fn retry(&mut self) -> Result<(), LogFailure> {
        self.tried = Instant::now();
        self.timed(Logger::retry_reserve)
    }

    /// After a small batch its clients' next requests are likely to come before a parked thread wakes.
    fn spin(&self) -> Option<Mail<Command>> {
        if self.last_batch == 0 || self.last_batch > SMALL || self.options.spin.is_zero() {
            return None;
        }
        let began = Instant::now();
        while began.elapsed() < self.options.spin {
            match self.inbox.queue.try_recv() {
                Ok(mail) => return Some(mail),
                Err(TryRecvError::Disconnected) => return None,
                // Whoever it waits for may want this very core: three members on two cores do a tenth more so.
                Err(TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        None
    }

    /// Does one command; true if it was the last.
    fn take(&mut self, mail: Mail<Command>) -> Result<bool, LogFailure> {
        let (command, opened) = mail.open();
        let command = match command {
            Command::Append { role, write, committed } => {
                self.append(role, write, committed)?;
                self.appends.push(opened);
                return Ok(false);
            }
            Command::Shutdown => return Ok(true),
            other => other,
        };
        self.flush()?; // answers come in the order of the commands
        self.last_batch = 0;
        self.is_changing = true;
        let (role, done) = self.change(command);
        self.is_changing = false;
        match done {
            Ok(Some(event)) => (self.events)(event),
            Ok(None) => {}
            Err(failure) if failure.is_fatal() => return Err(failure),
            Err(failure) => (self.events)(LoggerEvent::Refused { role, failure }),
        }
        Ok(false)
    }

    fn append(
        &mut self,
        role: u64,
        write: impl FnOnce(&mut Records),
        committed: Zxid,
    ) -> Result<(), LogFailure> {
        if self.waiting.is_some_and(|waiting| waiting != role) {
            self.flush()?;
        }
        self.logger.append_with(write);
        self.logger.commit(committed);
        if self.logger.open_batch().1 > 0 {
            self.waiting = Some(role);
        }
        Ok(())
    }

    fn change(&mut self, command: Command) -> (Option<u64>, Result<Option<LoggerEvent>, LogFailure>) {
        match command {
            Command::SayCommitted { committed } => {
                (None, self.timed(|logger| logger.say_committed(committed)).map(|()| None))
            }
            Command::KeepFacts { role, facts } => {
                let done = self.timed(|logger| logger.change_facts(|kept| *kept = facts));
                let event = unless_fatal(done, |kept| match kept {
                    Ok(()) => LoggerEvent::FactsKept { role, facts },
                    Err(failure) => LoggerEvent::FactsRefused { role, failure },
                });
                (Some(role), event)
            }
            Command::AddSnapshot { name, zxid } => {
                let done = self.timed(|logger| logger.add_snapshot(&name, zxid));
                let event = unless_fatal(done, |added| match added {
                    Ok(()) => LoggerEvent::SnapshotAdded { name, zxid },
                    Err(failure) => LoggerEvent::SnapshotRefused { failure },
                });
                (None, event)
            }
            Command::ForgetSnapshot { name } => {
                (None, self.timed(|logger| logger.forget_snapshot(&name)).map(|()| None))
            }
            Command::Purge { keep } => (None, self.purge(keep)),
            Command::TruncateAfter { role, zxid } => {
                let done = self.timed(|logger| logger.truncate_after(zxid));
                let persisted = self.logger.persisted();
                (Some(role), done.map(|()| Some(LoggerEvent::Truncated { role, persisted })))
            }
            Command::InstallSnapshot { role, name, zxid } => {
                let done = self.timed(|logger| logger.install_snapshot(&name, zxid));
                let persisted = self.logger.persisted();
                (Some(role), done.map(|()| Some(LoggerEvent::Installed { role, persisted })))
            }
            Command::MarkTree => (None, self.timed(|logger| logger.mark_tree(true)).map(|()| None)),
            Command::ReplaceTree { role, name, zxid } => {
                let done = self.timed(|logger| logger.replace_snapshots(&name, zxid));
                (Some(role), done.map(|()| Some(LoggerEvent::TreeReplaced { role })))
            }
            Command::Drain { role } => {
                let persisted = self.logger.persisted();
                (Some(role), Ok(Some(LoggerEvent::Drained { role, persisted })))
            }
            Command::View { answer } => {
                let done = self.timed(|logger| Ok(logger.view()));
                (None, done.map(answer).map(|()| None))
            }
            Command::Append { .. } | Command::Shutdown => (None, Ok(None)), // `take` did them
        }
    }

    /// What it gives back is used at once, if it was wanted.
    fn purge(&mut self, keep: usize) -> Result<Option<LoggerEvent>, LogFailure> {
        let done = self.timed(|logger| logger.purge(keep));
        if done.is_ok() && self.space != Space::Enough {
            self.retry()?;
        }
        unless_fatal(done, |purged| match purged {
            Ok(purged) => LoggerEvent::Purged(purged),
            Err(failure) => LoggerEvent::PurgeRefused { failure },
        })
    }

    fn flush(&mut self) -> Result<(), LogFailure> {
        let Some(role) = self.waiting.take() else {
            self.appends.clear(); // they had no records
            return Ok(());
        };
        let (bytes, records) = self.logger.open_batch();
        let began = Instant::now();
        let persisted = self.timed(Logger::flush)?;
        self.appends.clear();
        let took = began.elapsed();
        self.last_batch = records;
        if took >= self.options.slow_sync {
            tracing::warn!(file = %self.logger.current_file().display(), ms = took.as_millis() as u64,
                "writing and syncing this file was slow; give the log (dataLogDir) a disk of its own, or a faster one");
        }
        (self.events)(LoggerEvent::Persisted { role, persisted, bytes });
        (self.events)(LoggerEvent::Synced { records, bytes, sync_us: took.as_micros() as u64 });
        Ok(())
    }

    /// Runs what may wait for the disk, visibly, and reports a change of space before its answer.
    fn timed<T>(
        &mut self,
        act: impl FnOnce(&mut Logger<D>) -> Result<T, LogFailure>,
    ) -> Result<T, LogFailure> {
        self.watch.begin(if self.is_changing {
            Doing::History
        } else {
            Doing::Segment(self.logger.segment())
        });
        let done = act(&mut self.logger);
        self.watch.end();
        if self.logger.space() != self.space {
            self.space = self.logger.space();
            (self.events)(LoggerEvent::Space(self.space));
        }
        done
    }
}

/// The answer to a command that may be refused, unless the process must end.
fn unless_fatal<T>(
    done: Result<T, LogFailure>,
    event: impl FnOnce(Result<T, LogFailure>) -> LoggerEvent,
) -> Result<Option<LoggerEvent>, LogFailure> {
    match done {
        Err(failure) if failure.is_fatal() => Err(failure),
        done => Ok(Some(event(done))),
    }
}
