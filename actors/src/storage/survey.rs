//! What a data directory holds, without a change to it: for whoever has to choose one of several.

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;

use super::disk::Disk;
use super::history::Facts;
use super::pair::check;
use super::recovery::{OpenError, check_end, claim, io_error, read_history, read_segments, unusable};
use super::txn_log::LogReader;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whose data it is.
    pub server: ServerId,
    /// Epochs and identity.
    pub facts: Facts,
    /// Everything up to here is known to be committed.
    pub committed: Zxid,
    /// The last txn.
    pub last: Zxid,
    /// Its bytes, unless only a snapshot has it.
    pub last_record: Option<Vec<u8>>,
}

/// Reads a data directory, locked against any process that would use it. A tail that a crash has torn is left as it is, and
/// does not count. `None` in one that never held anything.
///
/// # Errors
/// As of [`open`](super::open), but that it is another server's; and snapshots may be missing, as they are where a log has a
/// directory of its own and that is all there is.
pub fn survey<D: Disk>(disk: &D) -> Result<Option<Survey>, OpenError> {
    let _lock = claim(disk)?;
    let names = disk.list().map_err(|error| unusable(disk, error))?;
    let history = read_history(disk, &names)?;
    check(disk, history.as_ref(), &names)?;
    let Some(history) = history else { return Ok(None) };
    let found = read_segments(disk, &history)?;
    check_end(disk, &history, &found)?;
    let newest = history.snapshots.last().map_or(Zxid::ZERO, |newest| newest.zxid);
    let last = found.last.max(history.log_start);
    let committed = found.watermark.min(last).max(newest).max(history.log_start);
    let read = || {
        let mut log = LogReader::open(disk, found.segments.iter().copied(), last, history.salt)?;
        Ok(log.next_record()?.map(|(_, bytes)| bytes.to_vec()))
    };
    let last_record = read().map_err(io_error(disk, "", 0))?;
    Ok(Some(Survey { server: history.server, facts: history.facts, committed, last, last_record }))
}
