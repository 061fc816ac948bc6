//! What the disk of one server holds, as it is told to a person and from one command to the next.

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};
use serde::{Deserialize, Serialize};

use crate::quorum_peer::belongs;
use crate::storage::snapshot_files::decode_txn;
use crate::storage::{Disk, OpenError, Survey, survey};

/// What a disk holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Whose it is.
    pub server: ServerId,
    /// The id of the ensemble to which it belongs, in hexadecimal; none from one that belongs to none, or not yet.
    pub ensemble: Option<String>,
    /// No leader of a lower epoch is followed.
    pub accepted_epoch: Epoch,
    /// The epoch of the last leader that it was synchronised with.
    pub current_epoch: Epoch,
    /// The last txn; in JSON `0x` and the number in hexadecimal.
    #[serde(with = "zxid_text")]
    pub last: Zxid,
    /// When a leader numbered that, in ms since 1970; none where only a snapshot has it.
    pub last_ms: Option<i64>,
    /// Through where it is known to be committed; the same.
    #[serde(with = "zxid_text")]
    pub committed: Zxid,
    /// A part of what it held is lost, and a leader was to give it all.
    pub is_incomplete: bool,
    /// Its tree was found to differ from a quorum's.
    pub tree_differs: bool,
}

impl Holding {
    /// Reads a disk that no process uses. Nothing on it is changed, but that it is locked meanwhile.
    ///
    /// # Errors
    /// As those of a start; `None` where it is empty.
    pub fn of<D: Disk>(disk: &D) -> Result<Option<Self>, OpenError> {
        let Some(Survey { server, facts, committed, last, last_record }) = survey(disk)? else {
            return Ok(None);
        };
        let last_txn = last_record.and_then(|bytes| decode_txn(last, &bytes).ok());
        Ok(Some(Self {
            server,
            ensemble: belongs(&facts, last).map(|id| format!("{id:032x}")),
            accepted_epoch: facts.accepted_epoch,
            current_epoch: facts.current_epoch,
            last,
            last_ms: last_txn.map(|txn| txn.header.time),
            committed,
            is_incomplete: facts.must_resync,
            tree_differs: facts.tree_differs,
        }))
    }

    /// The greater holds more: see NH6.
    pub fn rank(&self) -> (Epoch, Zxid) {
        (self.current_epoch, self.last)
    }

    /// The highest epoch that it has seen.
    pub fn seen_epoch(&self) -> Epoch {
        self.accepted_epoch.max(self.current_epoch).max(self.last.epoch())
    }
}

mod zxid_text {
    use paddock_messages::zxid::Zxid;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(zxid: &Zxid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(zxid)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Zxid, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        digits
            .map(Zxid)
            .ok_or_else(|| D::Error::custom(format!("{text}: 0x and a hexadecimal number is expected")))
    }
}
