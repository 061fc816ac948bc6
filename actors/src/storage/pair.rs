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
//! stop, move `history` and all `segment.*` into the new directory, set `dataLogDir`, start. With two
//! directories nothing is served, and so no snapshot taken, before `pair` is there: a disk so full that
//! it cannot be written refuses the start. With one
//! directory nothing depends on it: lost or damaged, it is written anew. So an operator who knows that two
//! belong together though it is gone moves the log in, starts, and moves it out again.
//!
//! Source: ZooKeeper's FileTxnSnapLog (checkLogDir, checkSnapDir).

use std::io;

use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Epoch;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile, ReplaceError, is_full};
use super::history::{HISTORY_FILE, History, is_snapshot_name};
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
    /// Why the snapshots cannot be those of the log that has come as far as `log`.
    fn misses(&self, log: &Self) -> Option<String> {
        if self.server != log.server {
            return Some(format!(
                "the snapshots are server {}'s, the log is server {}'s",
                self.server, log.server
            ));
        }
        if self.salt != log.salt {
            return Some("the snapshots belong to another log of this server, begun at another time".into());
        }
        let is_older = self.generation > log.generation || self.epoch > log.epoch;
        is_older.then(|| {
            format!(
                "the log is an older copy of the one that the snapshots belong to: it ends at generation {}, epoch {}, \
                 and they have seen generation {}, epoch {}; put the newer log back",
                log.generation, log.epoch, self.generation, self.epoch
            )
        })
    }

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

    fn decode(bytes: &[u8]) -> Found {
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else { return Found::Damaged };
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Found::Damaged;
        }
        match body.split_first() {
            Some((&FORMAT, rest)) => codec::decode::<Self, LIMIT>(rest).map_or(Found::Damaged, Found::Sound),
            Some((&format, _)) => Found::Newer(format),
            None => Found::Damaged,
        }
    }

    fn read<D: Disk>(disk: &D) -> io::Result<Found> {
        let file = match disk.open(PAIR_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            opened => opened?,
        };
        let mut bytes = vec![0; LIMIT];
        let len = file.read_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes[..len]))
    }
}

/// What there is of `pair`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Damaged,
    /// Of a later version, by its format.
    Newer(u8),
    Sound(Pair),
}

/// S12: whether the snapshots there are can be those of this history; `None` for a log that has none.
/// `names` are all files of both directories.
pub(super) fn check<D: Disk>(disk: &D, history: Option<&History>, names: &[String]) -> Result<(), OpenError> {
    let (log, pair) = (disk.path(HISTORY_FILE), disk.path(PAIR_FILE));
    let apart = |what: String| {
        Err(OpenError::NotAPair { log: disk.path(HISTORY_FILE), snapshots: disk.path(PAIR_FILE), what })
    };
    match (history, Pair::read(disk).map_err(io_error(disk, PAIR_FILE, 0))?) {
        (_, Found::Newer(format)) => Err(OpenError::Newer { file: pair, offset: 0, format: format.into() }),
        (None, Found::Nothing) => Ok(()),
        (None, _) => apart("the log is missing; is its disk mounted?".into()),
        (Some(_), Found::Nothing | Found::Damaged) if !disk.is_split() => Ok(()), // one directory is its own
        (Some(history), found @ (Found::Nothing | Found::Damaged)) => {
            match names.iter().find(|name| is_snapshot_name(name)) {
                // The first start was cut short here: nothing lies there that could be another's.
                None if history.snapshots.is_empty() => Ok(()),
                None => apart("its snapshots are missing; is their disk mounted?".into()),
                Some(_) if found == Found::Damaged => Err(OpenError::DamagedPair { pair, log }),
                Some(snapshot) => Err(OpenError::MissingPair { pair, log, snapshot: disk.path(snapshot) }),
            }
        }
        (Some(history), Found::Sound(found)) => match found.misses(&Pair::of(history)) {
            Some(what) => apart(what),
            None => Ok(()),
        },
    }
}

impl<D: Disk> Logger<D> {
    /// Writes `pair` anew if `history` has gone on since. On a full disk the old one stays: it says less,
    /// and nothing wrong; none at all beside another directory's log is [`LogFailure::Full`], for the first
    /// snapshot would be nobody's. All other errors are fatal.
    pub fn keep_pair(&mut self) -> Result<(), LogFailure> {
        self.alive()?;
        let now = Pair::of(&self.history);
        let found = Pair::read(&self.disk).unwrap_or(Found::Nothing);
        if found == Found::Sound(now) {
            return Ok(());
        }
        let (file, bytes) = (self.disk.path(PAIR_FILE), now.encode());
        match self.disk.replace(PAIR_FILE, &bytes) {
            Err(ReplaceError { error, replaced: false }) if is_full(&error) => {
                if self.disk.is_split() && !matches!(found, Found::Sound(_)) {
                    return Err(LogFailure::Full { file, needed: bytes.len() as u64 });
                }
                tracing::warn!(file = %file.display(), "the disk is full: kept as it was");
                Ok(())
            }
            Err(failure) => Err(self.fatal(PAIR_FILE, "replacing the file", failure.error)),
            Ok(()) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_each_mismatch_has_its_own_words() {
        let log = Pair { server: ServerId(1), salt: 7, generation: 3, epoch: Epoch(4) };
        for (snapshots, says) in [
            (log, None),
            (Pair { generation: 2, epoch: Epoch(3), ..log }, None), // the log has gone on since
            (Pair { server: ServerId(2), ..log }, Some("are server 2's, the log is server 1's")),
            (Pair { salt: 8, ..log }, Some("another log of this server")),
            (Pair { generation: 4, ..log }, Some("older copy of the one that the snapshots belong to")),
            (
                Pair { epoch: Epoch(5), ..log },
                Some("generation 3, epoch 4, and they have seen generation 3, epoch 5"),
            ),
        ] {
            match (snapshots.misses(&log), says) {
                (None, None) => {}
                (Some(what), Some(says)) => assert!(what.contains(says), "{what}"),
                other => panic!("{snapshots:?}: {other:?}"),
            }
        }
    }
}
