//! A member's data that is damaged, given up for what the ensemble has ([`paddock_actors::storage::discard`]).

use std::path::PathBuf;

use paddock_actors::recover::configurations;
use paddock_actors::runtime::{ExitCode, Rng};
use paddock_actors::storage::history::HISTORY_FILE;
use paddock_actors::storage::snapshot_files::restore;
use paddock_actors::storage::{Disk, Options, RealDisk, discard, is_empty};
use paddock_config::{Config, Members};
use paddock_messages::ids::ServerId;

use crate::data_dir::{ALONE, OtherUser, check_owner, open_disk, open_log, tree_options};
use crate::open::{StartError, logged};

/// Why nothing is given up.
#[derive(Debug, thiserror::Error)]
pub enum ResyncError {
    /// As at any start, but for damage that is given up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What is written would be this user's, and the server could not open it.
    #[error(transparent)]
    OtherUser(#[from] OtherUser),
    /// There is nothing to give up.
    #[error("{0}: there is no data here: is its disk mounted?")]
    Nothing(PathBuf),
    /// Nobody could give it anything back.
    #[error(
        "no other voter is known beside server {0}: nobody could give it back what it gives up; restore the data directory \
         from a backup, or write the server.N lines of all members into the file"
    )]
    NoOthers(ServerId),
    /// An ensemble is to begin with it.
    #[error("an ensemble is to begin with what server {0} has: the others are to get it from here")]
    Seed(ServerId),
    /// There is nothing wrong with it.
    #[error(
        "the data of server {0} is sound, through {1}: it needs nothing but a start; --force gives it up all the same"
    )]
    Sound(ServerId, String),
}

impl ResyncError {
    /// How the process ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Start(error) => error.exit_code(),
            Self::OtherUser(_) | Self::Nothing(_) => ExitCode::DataDirectory,
            Self::NoOthers(_) => ExitCode::BadConfiguration,
            Self::Seed(_) | Self::Sound(..) => ExitCode::Unexpected,
        }
    }
}

/// A data directory that is to be given up.
pub struct Damaged {
    disk: RealDisk,
    /// Whose.
    pub server: ServerId,
    /// What is wrong with it, if anything.
    pub damage: Option<StartError>,
}

/// Whether a member can be without what is damaged, as it knows who it is and what it has promised.
fn can_be_given_up(error: &StartError) -> bool {
    match error {
        StartError::Open(error) => error.can_be_given_up(),
        StartError::Restore(error) => error.can_be_given_up(),
        _ => false,
    }
}

fn has_others(members: &Members, server: ServerId) -> bool {
    members.voters().iter().any(|voter| *voter != server)
}

impl Damaged {
    /// Opens it and reads all of it, as a start does; sound data only if that `is_forced`.
    ///
    /// # Errors
    /// See [`ResyncError`]; nothing is changed then, but that what a crash has left is mended.
    pub fn open(config: &Config, is_forced: bool) -> Result<Self, ResyncError> {
        let server = config.server_id.unwrap_or(ALONE);
        // Where the log cannot be read, the file alone says who the others are.
        if !has_others(&config.members, server) {
            return Err(ResyncError::NoOthers(server));
        }
        let not_made = Config { datadir_autocreate: false, ..config.clone() };
        let disk = open_disk(&not_made)?;
        check_owner(&disk.path(HISTORY_FILE))?;
        if is_empty(&disk).map_err(StartError::Open)? {
            return Err(ResyncError::Nothing(config.log_dir().to_owned()));
        }
        let mut rng = Rng::from_os();
        let options = tree_options(config, &mut rng);
        let mut read = || -> Result<_, StartError> {
            let (_, mut logger, recovered) = open_log(config, &disk, &mut rng)?;
            let restored = restore(&disk, &mut logger, &recovered, options, recovered.watermark)?;
            let behind = logged(&logger, recovered.watermark.max(restored.tree.last_zxid()), options)?;
            let configurations = configurations(&restored.tree, &behind, &config.members);
            let has_others = configurations.last().is_some_and(|newest| has_others(newest, server));
            Ok((recovered.last, has_others, recovered.facts.seed))
        };
        match read() {
            Ok((_, false, _)) => Err(ResyncError::NoOthers(server)),
            Ok((_, _, true)) => Err(ResyncError::Seed(server)),
            Ok((last, ..)) if !is_forced => Err(ResyncError::Sound(server, last.to_string())),
            Ok(_) => Ok(Self { disk, server, damage: None }),
            Err(damage) if can_be_given_up(&damage) => Ok(Self { disk, server, damage: Some(damage) }),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives up the log and the snapshots. Who it is, and what it has promised, stays: it has no vote until a leader has
    /// given it everything.
    ///
    /// # Errors
    /// If `history`, which says that, is damaged itself, or cannot be written.
    pub fn give_up(&self) -> Result<(), StartError> {
        Ok(discard(&self.disk, &Options::new(self.server, 0))?)
    }
}

#[cfg(test)]
mod tests {
    use paddock_config::Sources;

    use super::*;

    #[test]
    fn nothing_is_given_up_that_nobody_else_can_have() {
        let dir = tempfile::tempdir().expect("writable");
        let flags = [("data_dir", dir.path().display().to_string())];
        let flags = flags.map(|(name, value)| (name.to_owned(), value));
        let loaded = Config::load(Sources { file: None, like_file: false, env: [], flags });
        let config = loaded.expect("a good configuration").config;
        let refused = Damaged::open(&config, true).err().expect("it is alone");
        assert!(matches!(refused, ResyncError::NoOthers(ServerId(1))), "{refused}");
        assert_eq!(refused.exit_code(), ExitCode::BadConfiguration);
        let there = std::fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(there, 0, "it has not even been opened");
    }
}
