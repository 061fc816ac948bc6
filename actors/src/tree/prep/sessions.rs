//! Sessions that begin and end, and what ends with them.

use bytestring::ByteString;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::path;
use paddock_messages::txn::TxnBody;
use paddock_messages::zxid::Zxid;

use super::{Place, Prep, View};

impl<V: View> Prep<'_, V> {
    /// Whether the session will be there and not closing.
    pub fn is_live(&self, session: SessionId) -> bool {
        let pending = self.pending.session(session);
        pending.unwrap_or_else(|| self.view.session_timeout(session)).is_some()
    }

    /// TX3.
    pub(super) fn check_session(&self, at: Place<'_>) -> Result<(), ErrorCode> {
        if at.is_live || self.is_live(at.session) { Ok(()) } else { Err(ErrorCode::SessionExpired) }
    }

    /// The txn by which a session begins, with a timeout in ms.
    pub fn create_session(&mut self, session: SessionId, timeout_ms: i32, zxid: Zxid) -> TxnBody {
        self.pending.put_session(zxid, session, Some(timeout_ms));
        TxnBody::CreateSession { timeout_ms }
    }

    /// The txn by which a session ends, with all its ephemerals, also those that are only pending, by
    /// path. `None` if it is closing already, or unknown.
    pub fn close_session(&mut self, session: SessionId, zxid: Zxid) -> Option<TxnBody> {
        self.is_live(session).then(|| {
            let mut ephemerals = self.view.ephemerals(session);
            ephemerals.retain(|path| self.pending.node(path).is_none());
            ephemerals.extend(self.pending.owned_by(session).cloned());
            ephemerals.sort_unstable();
            for path in &ephemerals {
                self.remove(path, zxid);
            }
            self.pending.put_session(zxid, session, None);
            TxnBody::CloseSession { ephemerals }
        })
    }

    /// The znode will be gone, and its parent have a child less.
    pub(super) fn remove(&mut self, path: &ByteString, zxid: Zxid) {
        if let Some(above) = parent_of(path)
            && let Ok(mut parent) = self.image(&above)
        {
            parent.children = parent.children.saturating_sub(1);
            self.pending.put(zxid, &above, Some(parent));
        }
        self.pending.put(zxid, path, None);
    }
}

/// [`path::parent`], sharing the bytes.
pub(super) fn parent_of(path: &ByteString) -> Option<ByteString> {
    let above = path::parent(path)?;
    Some(if above == "/" { ByteString::from_static("/") } else { path.slice_ref(above) })
}
