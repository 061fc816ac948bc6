//! From a data directory to a tree that may be served.

use std::io;
use std::path::PathBuf;

use paddock_actors::quorum_peer::{Reign, reign};
use paddock_actors::runtime::{ExitCode, Rng};
use paddock_actors::storage::snapshot::SnapshotError;
use paddock_actors::storage::snapshot_files::{RestoreError, Restored, restore};
use paddock_actors::storage::{LogFailure, Logger, OpenError, Options, RealDisk, open};
use paddock_actors::tree::TreeOptions;
use paddock_config::Config;
use paddock_messages::ids::ServerId;

/// Why a node did not start. Nothing on disk was changed, but where the text says so.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More than one member.
    #[error(
        "the configuration names {0} voting members: this version of paddock runs one; remove the server.N lines"
    )]
    Ensemble(usize),
    /// No port for clients.
    #[error("no clientPort is set: clients could not connect")]
    NoClientPort,
    /// The data directory is not there and may not be made, or cannot be.
    #[error("{directory}: cannot use this data directory: {error}")]
    Directory {
        /// Where.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
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
            Self::Ensemble(_) | Self::NoClientPort => ExitCode::BadConfiguration,
            Self::Directory { .. } => ExitCode::DataDirectory,
            Self::Open(O::Locked { .. }) => ExitCode::DataDirectoryLocked,
            Self::Open(O::OtherServer { .. }) => ExitCode::OtherServer,
            Self::Open(O::Newer { .. })
            | Self::Restore(RestoreError::Snapshot(SnapshotError::Newer { .. })) => ExitCode::NewerFormat,
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
            Self::ClientPort { .. } => ExitCode::BindClientPort,
            Self::NoEpochLeft | Self::Thread(_) => ExitCode::Unexpected,
        }
    }
}

/// A data directory that is ours, and what it holds.
pub(crate) struct Opened {
    pub(crate) disk: RealDisk,
    pub(crate) logger: Logger<RealDisk>,
    pub(crate) restored: Restored,
    pub(crate) reign: Reign,
    pub(crate) server: ServerId,
}

/// A server that was never given an id is number 1.
const ALONE: ServerId = ServerId(1);

/// Opens the data directory, makes the tree, and begins this start's epoch, durably.
pub(crate) fn open_data(config: &Config, rng: &mut Rng) -> Result<Opened, StartError> {
    let directory = config.log_dir();
    let unusable = |(directory, error)| StartError::Directory { directory, error };
    for needed in [directory, &config.data_dir] {
        if !config.datadir_autocreate && !needed.is_dir() {
            return Err(unusable((needed.to_owned(), io::ErrorKind::NotFound.into())));
        }
    }
    // Made here if they are not there, and synced into their parents: else a power cut takes all in them.
    let disk = RealDisk::split(directory, &config.data_dir).map_err(unusable)?;
    let server = config.server_id.unwrap_or(ALONE);
    let mut options = Options::new(server, rng.bits());
    options.segment_bytes = u64::from(config.segment_size_kb) << 10;
    options.admitted_bytes = crate::settings::log_room(config).admitted;
    options.force_sync = config.force_sync;
    if !config.force_sync {
        tracing::warn!("forceSync=no: a power failure loses acknowledged writes");
    }
    let (mut logger, recovered) = open(disk.clone(), options)?;
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes,
            "cut the tail of the log: a write that a crash had interrupted, never acknowledged; nothing is to be done",
        );
    }
    let ensemble = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
    let reign = reign(&recovered, ensemble).ok_or(StartError::NoEpochLeft)?;
    let tree = TreeOptions { hash_seed: rng.bits(), enforce_quota: config.enforce_quota };
    let mut restored = restore(&disk, &mut logger, &recovered, tree, reign.committed)?;
    match logger.change_facts(|facts| *facts = reign.facts) {
        // It serves what it has, and purges: a node that does not start does neither.
        Err(LogFailure::Full { .. }) if logger.make_way()? => {
            logger.change_facts(|facts| *facts = reign.facts)?;
        }
        done => done?,
    }
    logger.keep_pair()?;
    restored.tree.begin_epoch(reign.epoch);
    tracing::info!(
        directory = %config.data_dir.display(), log_directory = %directory.display(), last = %recovered.last, snapshot = %restored.snapshot,
        replayed = restored.replayed, znodes = restored.tree.node_count(), epoch = %reign.epoch,
        "data loaded",
    );
    Ok(Opened { disk, logger, restored, reign, server })
}
