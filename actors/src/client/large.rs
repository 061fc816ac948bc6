//! Large requests: how many bytes those in flight have together, at this member (C14).
//!
//! Source: compat: ZooKeeperServer.java, checkRequestSizeWhenReceivingMessage, checkRequestSizeWhenMessageReceived.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use paddock_messages::ids::ConnId;

use super::Entrance;
use super::core::ArbiterCore;
use super::remark::Remark;

/// What one large request has of what all may; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Large {
    entrance: Arc<Entrance>,
    bytes: usize,
}

impl Large {
    /// `None` if the limit would be exceeded.
    fn take(entrance: &Arc<Entrance>, bytes: usize, limit: usize) -> Option<Self> {
        let next = |now: usize| Some(now + bytes).filter(|all| *all <= limit);
        entrance.large_bytes.fetch_update(Relaxed, Relaxed, next).ok()?;
        Some(Self { entrance: Arc::clone(entrance), bytes })
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        self.entrance.large_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl ArbiterCore {
    fn is_large(&self, bytes: usize) -> bool {
        self.settings.large_threshold.is_some_and(|threshold| bytes > threshold)
    }

    /// The part of a request of so many bytes, if it is a large one.
    pub(super) fn take_large(&self, bytes: usize) -> Result<Option<Large>, Remark> {
        if !self.is_large(bytes) {
            return Ok(None);
        }
        let taken = Large::take(&self.entrance, bytes, self.settings.large_max_bytes);
        taken.map(Some).ok_or(Remark::LargeRequests(bytes))
    }

    /// Closes the connection if the next frame's length says that there is no room for it: the rest of it is not
    /// waited for. What is above `jute.maxbuffer` is not kept, and counts for nothing.
    pub(super) fn is_beyond_large(&mut self, conn: ConnId) -> bool {
        if self.settings.large_threshold.is_none() {
            return false;
        }
        let Some(length) = self.conns.get(conn).and_then(|it| it.inbox.next_length()) else { return false };
        if !self.is_large(length) || length > self.settings.max_frame {
            return false;
        }
        let is_beyond = self.entrance.large_bytes.load(Relaxed) + length > self.settings.large_max_bytes;
        if is_beyond {
            self.close_large(conn, Remark::LargeRequests(length));
        }
        is_beyond
    }

    pub(super) fn close_large(&mut self, conn: ConnId, remark: Remark) {
        self.tally.large_requests_rejected += 1;
        self.close(conn, remark);
    }
}
