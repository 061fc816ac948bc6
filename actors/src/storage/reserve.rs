//! The file of the next segment, made while the one before it is written.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::disk::{Disk, DiskFile};
use super::history::segment_name;
use super::logger::Faults;

/// So much is synced at a time while the log goes on. Its own syncs wait behind what the disk has been given:
/// all of a segment at once would hold up every write for as long as the disk takes for 64 MiB.
const PART: u64 = 1 << 20;

/// Makes a segment of `bytes` zeros that survives a crash; as soon as the log `waits` for it, what is left
/// in one part. A failed one is removed again.
pub(super) fn prepare<D: Disk>(
    disk: &D,
    number: u64,
    bytes: u64,
    waits: &AtomicBool,
    faults: Faults,
) -> io::Result<D::File> {
    let name = segment_name(number);
    let make = || {
        let file = disk.create(&name)?;
        let mut at = 0;
        while at < bytes {
            let part = if waits.load(Relaxed) { bytes } else { PART };
            let end = bytes.min(at + part);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Crash, MemoryDisk};

    #[test]
    fn a_segment_is_synced_in_parts_until_the_log_waits_for_it() {
        let bytes = 3 * PART + 512;
        let operations = [false, true].map(|waits| {
            let disk = MemoryDisk::new(1);
            prepare(&disk, 7, bytes, &AtomicBool::new(waits), Faults::default()).unwrap();
            let operations = disk.counters().operations;
            let file = disk.restart(Crash::PowerFailure).open(&segment_name(7)).unwrap();
            assert_eq!(file.len().unwrap(), bytes, "it survives");
            operations
        });
        assert_eq!(operations[0], operations[1] + 3, "four syncs and one, else the same");
    }
}
