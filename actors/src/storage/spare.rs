//! A little space put by for the purge: on a disk without a free byte even the new `history`, which lets
//! older files go, would not fit.

use std::io;

use super::disk::{Disk, DiskFile, is_full};
use super::history::HISTORY_FILE;
use super::logger::{LogFailure, Logger};

/// Its name in the data directory.
pub(super) const SPARE_FILE: &str = "history.spare";
/// What it takes at least, in bytes: room for thousands of segments.
const LEAST: u64 = 64 << 10;

impl<D: Disk> Logger<D> {
    /// Puts the space by, unless that is done or the disk has none to give. Errors are the disk's, and
    /// fatal.
    pub(super) fn keep_spare(&mut self) -> Result<(), LogFailure> {
        let wanted = LEAST.max(2 * self.history.encode().len() as u64);
        let make = || -> io::Result<()> {
            if self.disk.open(SPARE_FILE).and_then(|file| file.len()).is_ok_and(|len| len >= wanted) {
                return Ok(());
            }
            let file = self.disk.create(SPARE_FILE)?;
            file.zero_fill(0, wanted)?;
            file.sync_data()?;
            self.disk.sync_dir(SPARE_FILE)
        };
        match make() {
            Err(error) if is_full(&error) => drop(self.disk.remove(SPARE_FILE)), // gives back the part
            Err(error) => return Err(self.fatal(SPARE_FILE, "preparing the file", error)),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Gives the space back to the disk; false if there was none.
    pub(super) fn spend_spare(&mut self) -> Result<bool, LogFailure> {
        if self.disk.remove(SPARE_FILE).is_err() {
            return Ok(false);
        }
        // File systems hand out freed blocks only once the removal is durable.
        self.disk
            .sync_dir(SPARE_FILE)
            .map_err(|error| self.fatal(HISTORY_FILE, "syncing its directory", error))?;
        Ok(true)
    }

    /// On a full disk, before what must be written for a start: lets the preparing of the next segment
    /// end, which may hold what is free, and gives up the spare. False if there was none.
    pub fn make_way(&mut self) -> Result<bool, LogFailure> {
        self.await_reserve()?;
        self.spend_spare()
    }
}
