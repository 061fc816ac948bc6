//! The data directory, as every command opens it that uses it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use paddock_actors::runtime::Rng;
use paddock_actors::storage::{Logger, Options, RealDisk, Recovered, open};
use paddock_actors::tree::TreeOptions;
use paddock_config::Config;
use paddock_messages::ids::ServerId;

use crate::open::StartError;
use crate::settings;

/// A server that was never given an id is number 1.
pub(crate) const ALONE: ServerId = ServerId(1);

/// What is written would be this user's, and the server could not open it.
#[derive(Debug, thiserror::Error)]
#[error("{file} is user {owner}'s, and this is user {me}: run it as that user, as the server does")]
pub struct OtherUser {
    file: PathBuf,
    owner: u32,
    me: u32,
}

/// A file that this user writes in place of one of another's cannot be opened by that one, not even if this is root.
pub(crate) fn check_owner(file: &Path) -> Result<(), OtherUser> {
    let Ok(found) = std::fs::metadata(file) else { return Ok(()) }; // whoever opens it says what is wrong
    let (owner, me) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner == me { Ok(()) } else { Err(OtherUser { file: file.to_owned(), owner, me }) }
}

/// Where the data is; made if it is not there, unless that is not wanted.
pub(crate) fn open_disk(config: &Config) -> Result<RealDisk, StartError> {
    let unusable = |(directory, error)| StartError::Directory { directory, error };
    for needed in [config.log_dir(), &config.data_dir] {
        if !config.datadir_autocreate && !needed.is_dir() {
            return Err(unusable((needed.to_owned(), io::ErrorKind::NotFound.into())));
        }
    }
    // Made here if they are not there, and synced into their parents: else a power cut takes all in them.
    RealDisk::split(config.log_dir(), &config.data_dir).map_err(unusable)
}

/// The log, mended, and what was found.
pub(crate) fn open_log(
    config: &Config,
    disk: &RealDisk,
    rng: &mut Rng,
) -> Result<(ServerId, Logger<RealDisk>, Recovered), StartError> {
    let server = config.server_id.unwrap_or(ALONE);
    let mut options = Options::new(server, rng.bits());
    options.segment_bytes = settings::segment_bytes(config);
    options.admitted_bytes = settings::log_room(config).admitted;
    options.force_sync = config.force_sync;
    if !config.force_sync {
        tracing::warn!("forceSync=no: a power failure loses acknowledged writes");
    }
    let (logger, recovered) = open(disk.clone(), options)?;
    if let Some(torn) = &recovered.torn {
        tracing::warn!(
            file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes,
            "cut the tail of the log: a write that a crash had interrupted, never acknowledged; nothing is to be done",
        );
    }
    Ok((server, logger, recovered))
}

/// How its tree is made.
pub(crate) fn tree_options(config: &Config, rng: &mut Rng) -> TreeOptions {
    let frames = std::env::var(settings::TEST_FRAMES).ok();
    let reads_level = settings::reads_level(frames.as_deref());
    TreeOptions { hash_seed: rng.bits(), enforce_quota: config.enforce_quota, reads_level }
}
