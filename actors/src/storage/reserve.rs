//! The file of the next segment, made while the one before it is written.

use std::io;

use super::disk::{Disk, DiskFile};
use super::history::segment_name;
use super::logger::Faults;

/// So much is synced at a time. The log's own syncs wait behind what the disk has been given: all of a
/// segment at once would hold up every write for as long as the disk takes for it.
const PART: u64 = 1 << 20;

/// Makes a segment of `bytes` zeros that survives a crash. A failed one is removed again.
pub(super) fn prepare<D: Disk>(disk: &D, number: u64, bytes: u64, faults: Faults) -> io::Result<D::File> {
    let name = segment_name(number);
    let make = || {
        let file = disk.create(&name)?;
        let mut at = 0;
        while at < bytes {
            let end = bytes.min(at + PART);
            file.zero_fill(at, end)?;
            if !faults.skip_reserve_sync {
                file.sync_data()?;
            }
            at = end;
        }
        if !faults.skip_reserve_sync {
            disk.sync_dir(&name)?;
        }
        Ok(file)
    };
    make().inspect_err(|_| {
        let _ = disk.remove(&name);
    })
}
