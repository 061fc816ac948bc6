//! A log and its snapshots in two directories, `dataLogDir` and `dataDir`, on devices of their own.
//!
//! `history`, the segments and all else lie in the log's directory; snapshots, and the file `pair`, in
//! the other. So the log never waits for the snapshots' device, nor does a new `history`: it is still one
//! file, replaced whole in one directory. What it names elsewhere are snapshots alone, and those are
//! durable, name and all, before they enter it (S5, S7). Nothing is deleted in either directory before
//! both are known to belong together:
//!
//! - S12 A log and snapshots that do not belong together are refused, and nothing is touched.
//!
//! `pair` says whose snapshots these are: member and salt of the `history`, and how far that had come
//! (generation, accepted epoch) when `pair` was last written, always after `history`. So a `history`
//! behind it is an older copy. It is written with one directory too, so that the log can be moved out:
//! stop, move `history` and all `segment.*` into the new directory, set `dataLogDir`, start.
//!
//! Source: ZooKeeper's FileTxnSnapLog (checkLogDir, checkSnapDir).

use std::io;

use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Epoch;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile, ReplaceError, is_full};
use super::history::{HISTORY_FILE, History};
use super::logger::{LogFailure, Logger};
use super::recovery::{OpenError, io_error};

/// Its name in the snapshots' directory.
pub(super) const PAIR_FILE: &str = "pair";
const FORMAT: u8 = 1;
/// What a ZooKeeper server on Java keeps its data in.
pub(super) const JAVA_DATA: &str = "version-2";
/// What it takes at most, in bytes.
const LIMIT: usize = 256;

/// Whether a file of this name lies in the snapshots' directory, if that is another than the log's.
pub(super) fn lies_with_snapshots(name: &str) -> bool {
    name.starts_with("snapshot.") || name == PAIR_FILE || name.strip_prefix(PAIR_FILE) == Some(".tmp")
}

/// The whole content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    server: ServerId,
    salt: u64,
    generation: u64,
    epoch: Epoch,
}

impl Pair {
    fn of(history: &History) -> Self {
        let (server, salt) = (history.server, history.salt);
        Self { server, salt, generation: history.generation, epoch: history.facts.accepted_epoch }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        codec::encode_into(&mut out, self).expect("numbers");
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` for what is damaged: it says nothing then, as if it were missing.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let sound = crc32c::crc32c(body) == u32::from_le_bytes(*crc) && body.first() == Some(&FORMAT);
        sound.then(|| codec::decode::<Self, LIMIT>(&body[1..]).ok()).flatten()
    }

    fn read<D: Disk>(disk: &D) -> io::Result<Option<Self>> {
        let file = match disk.open(PAIR_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = vec![0; LIMIT];
        let len = file.read_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes[..len]))
    }
}

/// Whether the snapshots' directory says whose they are.
pub(super) fn is_paired<D: Disk>(disk: &D) -> bool {
    matches!(Pair::read(disk), Ok(Some(_)))
}

/// S12: whether the snapshots there are can be those of this history; `None` for a log that has none.
pub(super) fn check<D: Disk>(disk: &D, history: Option<&History>) -> Result<(), OpenError> {
    let found = Pair::read(disk).map_err(io_error(disk, PAIR_FILE, 0))?;
    let apart = |what| {
        Err(OpenError::NotAPair { log: disk.path(HISTORY_FILE), snapshots: disk.path(PAIR_FILE), what })
    };
    match (history, found) {
        (None, None) => Ok(()),
        (None, Some(_)) => apart("the log is missing; is its disk mounted?"),
        (Some(history), None) if disk.is_split() && !history.snapshots.is_empty() => {
            apart("its snapshots are missing; is their disk mounted?")
        }
        (Some(_), None) => Ok(()), // the first start was cut short here, or another release began it
        (Some(history), Some(found)) => {
            let now = Pair::of(history);
            if (found.server, found.salt) != (now.server, now.salt) {
                apart("the snapshots belong to another server's log")
            } else if found.generation > now.generation || found.epoch > now.epoch {
                apart("the log is an older copy of the one that the snapshots belong to")
            } else {
                Ok(())
            }
        }
    }
}

impl<D: Disk> Logger<D> {
    /// Writes `pair` anew if `history` has gone on since. On a full disk the old one stays: it says less,
    /// and nothing wrong. All other errors are fatal.
    pub fn keep_pair(&mut self) -> Result<(), LogFailure> {
        self.alive()?;
        let now = Pair::of(&self.history);
        if Pair::read(&self.disk).is_ok_and(|found| found == Some(now)) {
            return Ok(());
        }
        match self.disk.replace(PAIR_FILE, &now.encode()) {
            Err(ReplaceError { error, replaced: false }) if is_full(&error) => {
                tracing::warn!(file = %self.disk.path(PAIR_FILE).display(), "the disk is full: kept as it was");
                Ok(())
            }
            Err(failure) => Err(self.fatal(PAIR_FILE, "replacing the file", failure.error)),
            Ok(()) => Ok(()),
        }
    }
}
