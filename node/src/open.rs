//! From a data directory to a tree that may be served.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use paddock_actors::membership;
use paddock_actors::quorum_peer::{Reign, committed_alone, reign};
use paddock_actors::runtime::{ExitCode, Rng};
use paddock_actors::storage::snapshot_files::{RestoreError, Restored, read_txn, restore};
use paddock_actors::storage::{Facts, LogFailure, Logger, OpenError, RealDisk, is_empty};
use paddock_actors::tree::TreeOptions;
use paddock_config::{Config, Members};
use paddock_messages::ids::ServerId;
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::Zxid;

use crate::data_dir::{open_disk, open_log, tree_options};

/// What no node of this version starts on, whatever its data: the first that fits is told. Asked by all who
/// say whether a configuration will do.
const REFUSED: &[fn(&Config) -> Option<StartError>] =
    &[|config| config.client_addr.is_none().then_some(StartError::NoClientPort)];

/// Why no node starts on this configuration, if so.
pub fn refusal(config: &Config) -> Option<StartError> {
    REFUSED.iter().find_map(|refuses| refuses(config))
}

/// Why a node did not start. Nothing on disk was changed, but where the text says so.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The others could not reach it.
    #[error(
        "{address}: cannot listen for other members: {error}; is it an address of this machine, and free?"
    )]
    PeerPort {
        /// Where.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// No port for clients.
    #[error("no clientPort (client_port) is set: clients could not connect")]
    NoClientPort,
    /// The data directory is not there and may not be made, or cannot be.
    #[error("{directory}: cannot use this data directory: {error}")]
    Directory {
        /// Where.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Scripts would not find the process, or take another for it.
    #[error("{file}: cannot write the pid file (pidFile, --pid-file, ZOOPIDFILE): {error}")]
    PidFile {
        /// Where.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A history has begun, and what allowed it is still there.
    #[error("{file}: cannot be deleted: {error}; it counted for this start alone: delete it and start again")]
    Marker {
        /// The marker.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it, and nobody said that a new history may begin.
    #[error(
        "{directory}: there is no data here, and db.autocreate=false: is dataDir the right one, and is its disk mounted? \
         To begin a new and empty history, make an empty file {marker} (paddock init does) and start again"
    )]
    Empty {
        /// The log's, or the only one.
        directory: PathBuf,
        /// What would let it begin.
        marker: PathBuf,
    },
    /// Nothing may begin where something is.
    #[error(
        "{directory}: there is data here, so nothing was changed: a new ensemble begins on empty disks; if it is to be \
         given up for good, move it away first"
    )]
    NotEmpty {
        /// The log's, or the only one.
        directory: PathBuf,
    },
    /// What is in it cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No tree can be made of it.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The new epoch cannot be made durable.
    #[error(transparent)]
    Log(#[from] LogFailure),
    /// The others would look for it where it is not.
    #[error(
        "server.{me}={file} in the file, but the configuration of version {version:x}, which a reconfig has put in force, has \
         {known}: correct the file. If the server has moved, have a running member told (paddock member move {me} '{file}'), stop \
         the process at the old place, if there is one, and start this one with an empty data directory, as the data here has not \
         seen the change"
    )]
    OtherAddress {
        /// This server.
        me: ServerId,
        /// Its line in the file.
        file: String,
        /// Its line in the configuration.
        known: String,
        /// The configuration's.
        version: u64,
    },
    /// Those who go by their files could decide without those who go by the log.
    #[error(
        "reconfigEnabled=false has the file say who the members are, and others vote by the configuration of version {version:x}, \
         which a reconfig has put in force: {known}. The two may not decide side by side: write these lines into every server's file, \
         or delete reconfigEnabled=false; paddock member changes who votes"
    )]
    OtherVoters {
        /// As the log has them.
        known: String,
        /// The version of that.
        version: u64,
    },
    /// It would go on alone with what it shares with others.
    #[error(
        "reconfigEnabled=false has the file say who the members are, and it names none, though the log has this server among \
         others ({others}): write the server.N lines of all into the file, or delete reconfigEnabled=false"
    )]
    NamesNobody {
        /// As the log has them.
        others: String,
    },
    /// 2^32 starts.
    #[error("all epochs are used up; export the data to a new ensemble")]
    NoEpochLeft,
    /// The client port is taken, or not ours.
    #[error("{address}: cannot listen for clients: {error}; is another server running there?")]
    ClientPort {
        /// Where.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// How the process ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        use OpenError as O;
        match self {
            Self::NoClientPort
            | Self::PidFile { .. }
            | Self::OtherAddress { .. }
            | Self::OtherVoters { .. }
            | Self::NamesNobody { .. } => ExitCode::BadConfiguration,
            Self::Directory { .. } | Self::Empty { .. } | Self::NotEmpty { .. } | Self::Marker { .. } => {
                ExitCode::DataDirectory
            }
            Self::Open(O::Locked { .. }) => ExitCode::DataDirectoryLocked,
            Self::Open(O::OtherServer { .. }) => ExitCode::OtherServer,
            Self::Open(O::Newer { .. }) => ExitCode::NewerFormat,
            Self::Restore(error) if error.is_newer() => ExitCode::NewerFormat,
            Self::Open(
                O::DamagedHistory { .. }
                | O::DamagedLog { .. }
                | O::MissingSegment { .. }
                | O::MissingHistory { .. }
                | O::MissingSnapshot { .. }
                | O::NotAPair { .. }
                | O::MissingPair { .. }
                | O::DamagedPair { .. }
                | O::Misplaced { .. },
            )
            | Self::Restore(
                RestoreError::NoSnapshot { .. } | RestoreError::Snapshot(_) | RestoreError::Txn { .. },
            ) => ExitCode::DataDamaged,
            Self::Open(_) => ExitCode::DataDirectory,
            Self::Restore(_) | Self::Log(_) => ExitCode::LogIo,
            Self::ClientPort { .. } | Self::PeerPort { .. } => ExitCode::BindClientPort,
            Self::NoEpochLeft | Self::Thread(_) => ExitCode::Unexpected,
        }
    }
}

/// A data directory that is ours, and what it holds.
pub(crate) struct Opened {
    pub(crate) disk: RealDisk,
    pub(crate) logger: Logger<RealDisk>,
    pub(crate) restored: Restored,
    /// How the tree was made, and others will be.
    pub(crate) tree: TreeOptions,
    pub(crate) begun: Begun,
    pub(crate) server: ServerId,
    /// Files by which an operator says that an ensemble may begin here; to be deleted once it has.
    pub(crate) marked: Option<Vec<PathBuf>>,
    /// The id of an ensemble that begins here.
    pub(crate) new_ensemble: u128,
}

/// What a start comes to.
pub(crate) enum Begun {
    /// A server alone leads.
    Alone(Reign),
    /// A member of an ensemble looks for a leader.
    Member {
        /// Durable.
        facts: Facts,
        /// The last txn that the tree has.
        applied: Zxid,
        /// What the log holds after it, not known to be committed.
        logged: Vec<Txn>,
    },
}

impl Begun {
    /// Whether it is one of an ensemble, of one or of more.
    pub(crate) fn is_member(&self) -> bool {
        matches!(self, Self::Member { .. })
    }

    /// The last txn on disk.
    pub(crate) fn last(&self) -> Zxid {
        match self {
            Self::Alone(reign) => reign.committed,
            Self::Member { applied, logged, .. } => logged.last().map_or(*applied, |txn| txn.header.zxid),
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        match self {
            Self::Alone(reign) => reign.facts,
            Self::Member { facts, .. } => *facts,
        }
    }
}

/// What a member of several finds behind its tree.
fn member(
    logger: &Logger<RealDisk>,
    facts: Facts,
    committed: Zxid,
    tree: TreeOptions,
) -> Result<Begun, RestoreError> {
    let view = logger.view()?;
    let found = view.floors(&[committed])?;
    let applied = found.first().map_or(committed, |(zxid, _)| *zxid);
    Ok(Begun::Member { facts, applied, logged: logged(logger, committed, tree)? })
}

/// What the log holds that is not known to be committed.
pub(crate) fn logged(
    logger: &Logger<RealDisk>,
    committed: Zxid,
    tree: TreeOptions,
) -> Result<Vec<Txn>, RestoreError> {
    let mut logged = Vec::new();
    let mut reader = logger.reader(Zxid(committed.0 + 1))?;
    while let Some((zxid, payload)) = reader.next_record()? {
        if zxid > committed {
            logged.push(read_txn(zxid, payload, tree)?);
        }
    }
    Ok(logged)
}

/// Whether the log of a server whose file names no others makes it a member; if not, the tree has all of it then (Q2).
fn is_by_log(
    config: &Config,
    me: ServerId,
    (restored, logger): (&mut Restored, &Logger<RealDisk>),
    tree: TreeOptions,
    tail: &[Txn],
) -> Result<bool, StartError> {
    let members = restored.tree.membership();
    if config.ensemble.reconfig == Some(false) {
        if let Some(others) = named_by_log(me, members, tail) {
            return Err(StartError::NamesNobody { others });
        }
        let all = tail.last().map_or(Zxid::ZERO, |txn| txn.header.zxid);
        restored.replay(logger, tree, all)?;
        return Ok(false);
    }
    // Behind a reconfig it is for the ensemble to say what is committed.
    let alone = if members.is_some() { None } else { committed_alone(me, tail) };
    if let Some(upto) = alone {
        restored.replay(logger, tree, upto)?;
    }
    Ok(alone.is_none() || restored.tree.membership().is_some())
}

/// The members of the last configuration of the log that names others than `me`, if there is one.
fn named_by_log(me: ServerId, members: Option<Members>, tail: &[Txn]) -> Option<String> {
    let of_tail = tail.iter().filter_map(|txn| match &txn.body {
        TxnBody::Membership { to, .. } => membership::members(to),
        _ => None,
    });
    let others = members.into_iter().chain(of_tail).filter(|it| !it.servers.keys().eq([&me])).last()?;
    Some(others.servers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The file by which an operator (or `paddock init`, or `zkServer-initialize.sh`) lets an empty data directory begin a new
/// history. The script writes it beside `myid`, Java's server looks for it beside its log.
pub(crate) const MARKER: &str = "initialize";

/// Deletes the markers, durably, once there is a history: they count for one start, whether or not they
/// were needed. One that stays would let a later start begin anew: where this one needed it, that is an error.
/// Source: FileTxnSnapLog.restore.
fn use_up(markers: &[PathBuf], was_needed: bool) -> Result<(), StartError> {
    for marker in markers.iter().filter(|marker| marker.is_file()) {
        let synced = || File::open(marker.parent().unwrap_or(marker))?.sync_all();
        match std::fs::remove_file(marker).and_then(|()| synced()) {
            Ok(()) => {
                tracing::info!(file = %marker.display(), "deleted: it counts for one start, needed or not");
            }
            Err(error) if was_needed => return Err(StartError::Marker { file: marker.clone(), error }),
            Err(error) => tracing::warn!(file = %marker.display(), "cannot be deleted: {error}; delete it"),
        }
    }
    Ok(())
}

/// The member belongs to an ensemble: what let it begin counts no longer.
pub(crate) fn delete_markers(markers: &[PathBuf]) {
    if let Err(error) = use_up(markers, true) {
        tracing::error!("{error}");
    }
}

/// Opens the data directory, makes the tree, and begins this start's epoch, durably.
pub(crate) fn open_data(config: &Config, rng: &mut Rng) -> Result<Opened, StartError> {
    let directory = config.log_dir();
    let disk = open_disk(config)?;
    let markers = [&config.data_dir, directory].map(|place| place.join(MARKER));
    // One of several begins nothing by itself: it waits for a leader, or for all voters.
    let needs_marker = !config.db_autocreate && !config.is_distributed() && is_empty(&disk)?;
    if needs_marker && !markers.iter().any(|marker| marker.is_file()) {
        let [marker, _] = markers;
        return Err(StartError::Empty { directory: directory.to_owned(), marker });
    }
    let (server, mut logger, recovered) = open_log(config, &disk, rng)?;
    let tree = tree_options(config, rng);
    let new_ensemble = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
    let there: Vec<PathBuf> = markers.iter().filter(|marker| marker.is_file()).cloned().collect();
    let mut restored = restore(&disk, &mut logger, &recovered, tree, recovered.watermark)?;
    let is_member = config.is_distributed() || {
        let committed = recovered.watermark.max(restored.tree.last_zxid());
        let tail = logged(&logger, committed, tree)?;
        is_by_log(config, server, (&mut restored, &logger), tree, &tail)?
    };
    let begun = if is_member {
        let committed = recovered.watermark.max(restored.tree.last_zxid());
        member(&logger, recovered.facts, committed, tree)?
    } else {
        let reign = reign(&recovered, new_ensemble).ok_or(StartError::NoEpochLeft)?;
        match logger.change_facts(|facts| *facts = reign.facts) {
            // It serves what it has, and purges: a node that does not start does neither.
            Err(LogFailure::Full { .. }) if logger.make_way()? => {
                logger.change_facts(|facts| *facts = reign.facts)?;
            }
            done => done?,
        }
        restored.tree.begin_epoch(reign.epoch);
        Begun::Alone(reign)
    };
    let marked = (is_member && !there.is_empty()).then_some(there);
    logger.keep_pair()?;
    if marked.is_none() {
        use_up(&markers, needs_marker)?;
    }
    tracing::info!(
        directory = %config.data_dir.display(), log_directory = %directory.display(), last = %recovered.last, snapshot = %restored.snapshot,
        replayed = restored.replayed, znodes = restored.tree.node_count(), epoch = %begun.facts().current_epoch,
        "data loaded",
    );
    Ok(Opened { disk, logger, restored, tree, begun, server, marked, new_ensemble })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use paddock_config::Sources;

    use super::*;

    fn start(data: &Path, log: &Path, autocreate: bool) -> Result<(), StartError> {
        begin([
            ("data_dir", data.display().to_string()),
            ("data_log_dir", log.display().to_string()),
            ("db_autocreate", autocreate.to_string()),
            ("segment_size_kb", "64".to_owned()),
        ])
    }

    fn begin(flags: [(&str, String); 4]) -> Result<(), StartError> {
        let flags = flags.map(|(name, value)| (name.to_owned(), value));
        let loaded = Config::load(Sources { file: None, like_file: false, env: [], flags })
            .expect("a good configuration");
        open_data(&loaded.config, &mut Rng::seeded(1)).map(drop)
    }

    #[test]
    fn a_missing_directory_is_made_only_where_that_is_wanted() {
        for (data, log) in [("gone", "gone"), ("gone", "log"), ("data", "gone")] {
            let (root, missing) = (tempfile::tempdir().expect("writable"), "gone");
            let at = |name: &str| root.path().join(name);
            for there in [data, log].iter().filter(|name| **name != missing) {
                std::fs::create_dir(at(there)).expect("writable");
            }
            let started = |made: bool| {
                let flags = [
                    ("data_dir", at(data).display().to_string()),
                    ("data_log_dir", at(log).display().to_string()),
                    ("datadir_autocreate", made.to_string()),
                    ("segment_size_kb", "64".to_owned()),
                ];
                begin(flags)
            };
            let refused = started(false).expect_err("it is not there");
            assert_eq!(refused.exit_code() as i32, 3, "{refused}");
            assert!(refused.to_string().starts_with(&at(missing).display().to_string()), "{refused}");
            assert!(!at(missing).exists(), "not made");
            for there in [data, log].iter().filter(|name| **name != missing) {
                assert_eq!(
                    std::fs::read_dir(at(there)).expect("it was there").count(),
                    0,
                    "nothing has begun"
                );
            }
            started(true).expect("it is made");
            started(false).expect("it is there");
        }
    }

    #[test]
    fn an_empty_directory_begins_a_history_only_where_that_is_wanted() {
        for split in [false, true] {
            let root = tempfile::tempdir().expect("writable");
            let data = root.path().join("data");
            let log = if split { root.path().join("log") } else { data.clone() };
            let marker = data.join("initialize");
            for _ in 0..2 {
                let refused = start(&data, &log, false).expect_err("there is nothing to serve");
                assert_eq!(refused.exit_code(), ExitCode::DataDirectory);
                let (text, says) = (refused.to_string(), format!("make an empty file {}", marker.display()));
                assert!(text.starts_with(&log.display().to_string()) && text.contains(&says), "{text}");
                assert!(!log.join("history").exists(), "nothing has begun");
            }
            std::fs::write(&marker, b"").expect("writable");
            start(&data, &log, false).expect("it was said that it may begin");
            assert!(!marker.exists(), "for one start");
            start(&data, &log, false).expect("there is a history");
            std::fs::write(log.join("initialize"), b"").expect("writable");
            start(&data, &log, true).expect("there is a history");
            assert!(!log.join("initialize").exists(), "not kept for the day on which the data is lost");
            std::fs::create_dir(data.join("initialize")).expect("writable");
            start(&data, &log, true).expect("a directory of this name is nobody's marker");
            std::fs::remove_file(log.join("history")).expect("it is there");
            let refused = start(&data, &log, false).expect_err("its history is lost");
            assert_eq!(refused.exit_code(), ExitCode::DataDamaged, "{refused}");
        }
        let root = tempfile::tempdir().expect("writable");
        start(root.path(), root.path(), true).expect("by default it begins");
    }
}
