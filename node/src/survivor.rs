//! The data directory of a member that is left when a majority of its ensemble is lost for good: what it holds, and a new
//! history made of it ([`paddock_actors::recover`]).

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use paddock_actors::recover::{
    BeginError, Beginning, Findings, Holding, Refusal, Verdict, begin, configurations, judge,
};
use paddock_actors::runtime::{ExitCode, Rng};
use paddock_actors::storage::history::HISTORY_FILE;
use paddock_actors::storage::snapshot_files::restore;
use paddock_actors::storage::{Disk, Logger, RealDisk};
use paddock_actors::tree::DataTree;
use paddock_config::members::Server;
use paddock_config::{Config, Members, PeerAddress};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use crate::data_dir::{OtherUser, check_owner, open_disk, open_log, tree_options};
use crate::in_force::is_elsewhere;
use crate::open::{StartError, logged};

/// The record of what was done, in the data directory; nothing reads it but people.
const RECORD: &str = "recover.log";

/// Why no new history can be made, whoever wants it.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// As at any start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is nothing to go on with.
    #[error("{0}: there is no data here")]
    Nothing(PathBuf),
    /// It needs nobody.
    #[error("server {0} is alone: it needs no other, and serves what it has as soon as it is started")]
    Alone(ServerId),
    /// The server would not start on it.
    #[error(
        "reconfigEnabled=false has the files say who the members are, and a new history says it in its log: delete that line"
    )]
    ByFile,
    /// What is written would be this user's, and the server could not open it.
    #[error(transparent)]
    OtherUser(#[from] OtherUser),
    /// Nobody would find it.
    #[error(
        "neither the file nor the log says where others are to reach server {0}: write its line, server.{0}=host:2888:3888;2181, \
         into the file"
    )]
    NoPlace(ServerId),
    /// The same.
    #[error(
        "server.{0} would be looked for by each member on its own machine: name an address that others reach in the file"
    )]
    Nowhere(ServerId),
    /// It did not come about.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// What is done must be on record.
    #[error("{file}: cannot be written: {error}; nothing was changed")]
    Record {
        /// The record.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl RecoverError {
    /// How the process ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Start(error) => error.exit_code(),
            Self::Nothing(_) | Self::Record { .. } | Self::OtherUser(_) => ExitCode::DataDirectory,
            Self::ByFile | Self::NoPlace(_) | Self::Nowhere(_) => ExitCode::BadConfiguration,
            Self::Begin(BeginError::Log(failure)) if failure.is_fatal() => ExitCode::LogIo,
            Self::Alone(_) | Self::Begin(_) => ExitCode::Unexpected,
        }
    }
}

/// An opened data directory, locked as long as this lives.
pub struct Survivor {
    logger: Logger<RealDisk>,
    tree: DataTree,
    rng: Rng,
    /// What it holds.
    pub holding: Holding,
    /// The configurations by which may have been decided, the newest last.
    pub configurations: Vec<Members>,
    /// Where others are to find it.
    pub place: Server,
    data_dir: PathBuf,
    by_file: bool,
}

/// A new history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHistory {
    /// Its ensemble's id.
    pub ensemble: u128,
    /// Its first epoch.
    pub epoch: Epoch,
    /// The version of its first configuration.
    pub version: Zxid,
}

/// What the disk of another server holds: its log's directory, which no process uses.
///
/// # Errors
/// As those of a start; nothing there is changed.
pub fn holding_at(directory: &Path) -> Result<Holding, RecoverError> {
    let disk = RealDisk::new(directory)
        .map_err(|error| StartError::Directory { directory: directory.to_owned(), error })?;
    let held = Holding::of(&disk).map_err(StartError::Open)?;
    held.ok_or_else(|| RecoverError::Nothing(directory.to_owned()))
}

impl Survivor {
    /// Opens the directory as a start does, mending what a crash has left, and reads all of it.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub fn open(config: &Config) -> Result<Self, RecoverError> {
        let mut rng = Rng::from_os();
        let not_made = Config { datadir_autocreate: false, ..config.clone() };
        let disk = open_disk(&not_made)?;
        check_owner(&disk.path(HISTORY_FILE))?;
        let held = Holding::of(&disk).map_err(StartError::Open)?;
        let holding = held.ok_or_else(|| RecoverError::Nothing(config.log_dir().to_owned()))?;
        let (me, mut logger, recovered) = open_log(config, &disk, &mut rng)?;
        let options = tree_options(config, &mut rng);
        let start = |error| RecoverError::Start(StartError::Restore(error));
        let committed = recovered.watermark;
        let mut restored = restore(&disk, &mut logger, &recovered, options, committed).map_err(start)?;
        let behind = logged(&logger, committed.max(restored.tree.last_zxid()), options).map_err(start)?;
        let configurations = configurations(&restored.tree, &behind, &config.members);
        restored.replay(&logger, options, recovered.last).map_err(start)?;
        let newest = configurations.last().ok_or(RecoverError::Alone(me))?;
        let place = place(config, newest, me)?;
        let (tree, data_dir) = (restored.tree, config.data_dir.clone());
        let by_file = config.ensemble.reconfig == Some(false);
        Ok(Self { logger, tree, rng, holding, configurations, place, data_dir, by_file })
    }

    /// Znodes and sessions that it has.
    pub fn counts(&self) -> (u32, usize) {
        (self.tree.node_count(), self.tree.session_count())
    }

    /// The members by the last configuration that it has logged.
    pub fn members(&self) -> &Members {
        self.configurations.last().expect("one that has none is not opened")
    }

    /// Whether a new history is the right thing, beside these disks and these that answer.
    pub fn judge(&self, others: &[Holding], running: &BTreeSet<ServerId>) -> Verdict {
        judge(Findings { own: &self.holding, others, configurations: &self.configurations, running })
    }

    /// Whether a new history would be gone by.
    ///
    /// # Errors
    /// [`RecoverError::ByFile`].
    pub fn may_begin(&self) -> Result<(), RecoverError> {
        if self.by_file { Err(RecoverError::ByFile) } else { Ok(()) }
    }

    /// Makes the new history, on record first, at `time_ms` of the wall clock, in ms since 1970; `forced` though it was
    /// refused for these reasons.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub fn begin(
        mut self,
        others: &[Holding],
        forced: &[Refusal],
        time_ms: i64,
    ) -> Result<NewHistory, RecoverError> {
        self.may_begin()?;
        let ensemble = u128::from(self.rng.bits()) << 64 | u128::from(self.rng.bits());
        let seen = others.iter().map(Holding::seen_epoch).fold(self.holding.seen_epoch(), Epoch::max);
        let beginning = Beginning {
            server: self.holding.server,
            ensemble,
            seen_epoch: seen,
            members: self.members().clone(),
            place: self.place.clone(),
            time_ms,
        };
        self.record(&beginning, others, forced)?;
        let (epoch, version) = begin(&mut self.logger, &self.tree, &beginning)?;
        Ok(NewHistory { ensemble, epoch, version })
    }

    fn record(
        &self,
        beginning: &Beginning,
        others: &[Holding],
        forced: &[Refusal],
    ) -> Result<(), RecoverError> {
        let forced: Vec<&str> = forced.iter().map(Refusal::kind).collect();
        let file = self.data_dir.join(RECORD);
        let line = format!(
            "at {} ms since 1970, by user {}: a new history, ensemble {:032x}, above epoch {}, of server {} alone; it held {}; \
             beside it were {}; the members were {}; forced: {}\n",
            beginning.time_ms,
            rustix::process::getuid().as_raw(),
            beginning.ensemble,
            beginning.seen_epoch,
            beginning.server,
            json(&self.holding),
            json(others),
            beginning.members.to_string().trim_end().replace('\n', ", "),
            json(&forced),
        );
        let write = || {
            let mut to = OpenOptions::new().create(true).append(true).open(&file)?;
            to.write_all(line.as_bytes())?;
            to.sync_all()?;
            File::open(&self.data_dir)?.sync_all()
        };
        write().map_err(|error| RecoverError::Record { file: file.clone(), error })
    }
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}

/// Where the others will look for it: where its own file has it, or the log.
fn place(config: &Config, members: &Members, me: ServerId) -> Result<Server, RecoverError> {
    let known = members.servers.get(&me);
    let of_file = config.members.servers.get(&me);
    // One that listens everywhere says nothing of where it is.
    let of_file = of_file.filter(|file| known.is_none_or(|known| is_elsewhere(file, known)));
    let place = of_file.or(known).ok_or(RecoverError::NoPlace(me))?;
    if place.addresses.iter().any(PeerAddress::is_unspecified) {
        return Err(RecoverError::Nowhere(me));
    }
    Ok(place.clone())
}
