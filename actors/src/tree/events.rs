//! What watchers may have to be told of a txn, in the order in which it goes to each of them.

use std::sync::Arc;

use bytestring::ByteString;
use paddock_messages::client::event::EventKind;
use paddock_messages::znode::Acl;
use paddock_messages::zxid::Zxid;

use super::feed::{FeedItem, WatchTable};

/// Collects the events of the txns applied; does nothing when nobody watches.
#[derive(Debug, Default)]
pub struct Events {
    wanted: bool,
    items: Vec<FeedItem>,
}

impl Events {
    /// For a tree that somebody watches (`wanted`) or nobody.
    pub fn new(wanted: bool) -> Self {
        Self { wanted, items: Vec::new() }
    }

    /// Nobody watches: a replay, a test.
    pub fn unwanted() -> Self {
        Self::new(false)
    }

    /// Whether events are collected.
    pub fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// What has been collected, in order; each is a [`FeedItem::Event`].
    pub fn items(&self) -> &[FeedItem] {
        &self.items
    }

    /// Takes what has been collected.
    pub fn drain(&mut self) -> std::vec::Drain<'_, FeedItem> {
        self.items.drain(..)
    }

    pub(super) fn push(
        &mut self,
        (zxid, kind, table): (Zxid, EventKind, WatchTable),
        path: ByteString,
        acl: Option<Arc<[Acl]>>,
    ) {
        self.items.push(FeedItem::Event { zxid, kind, path, table, acl });
    }
}
