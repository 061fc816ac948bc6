//! The lock around the tree: many readers, one writer, and a feed for each client arbiter.
//!
//! Readers take the guard once per batch of requests, the Learner once per committed batch; guards
//! never nest and never cross an await.

use std::ops::Deref;

use paddock_messages::client::reply::Outcome;
use paddock_messages::txn::Txn;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::data_tree::DataTree;
use super::events::Events;
use super::feed::{Feed, FeedItem};

/// The tree that all actors of a member read and its Learner writes.
#[derive(Debug)]
pub struct SharedTree {
    tree: RwLock<DataTree>,
    feeds: Box<[Feed]>,
    /// The writer's, between two of its batches: a list for each feed, empty.
    spare: Mutex<Vec<Vec<FeedItem>>>,
}

impl SharedTree {
    /// Around `tree`, with a feed for each of `arbiters` client arbiters.
    pub fn new(tree: DataTree, arbiters: usize) -> Self {
        let feeds = (0..arbiters).map(|_| Feed::new(tree.last_zxid())).collect();
        Self { tree: RwLock::new(tree), feeds, spare: Mutex::default() }
    }

    /// The tree, when nobody shares it any more.
    pub fn into_inner(self) -> DataTree {
        self.tree.into_inner()
    }

    /// Waits for the writer, then lets no writer in until the guard is dropped.
    pub fn read(&self) -> RwLockReadGuard<'_, DataTree> {
        self.tree.read()
    }

    /// The same if that needs no waiting.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, DataTree>> {
        self.tree.try_read()
    }

    /// Whether nobody reads it, or writes, at this moment.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.tree.try_write().is_some()
    }

    /// What each client arbiter still has to do, by its number.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// For the Learner alone.
    pub fn write(&self) -> TreeWriter<'_> {
        let tree = self.tree.write();
        let mut items = std::mem::take(&mut *self.spare.lock());
        items.resize_with(self.feeds.len(), Vec::new);
        let watched = self.feeds.iter().any(Feed::has_watches);
        TreeWriter { items, events: Events::new(watched), tree, shared: self }
    }
}

/// The tree while a committed batch is applied. What it brings about for each arbiter enters the feeds
/// before any reader sees the tree: dropped without [`commit`](Self::commit), too, but then nobody is
/// woken, so that is for a panic on its way out.
#[derive(Debug)]
pub struct TreeWriter<'a> {
    tree: RwLockWriteGuard<'a, DataTree>,
    shared: &'a SharedTree,
    items: Vec<Vec<FeedItem>>,
    events: Events,
}

impl TreeWriter<'_> {
    /// Applies the next txn; its events go to each arbiter that has watches, before what is pushed next.
    pub fn apply(&mut self, txn: &Txn) -> Outcome {
        let outcome = self.tree.apply(txn, &mut self.events);
        let watched = self.shared.feeds.iter().zip(&mut self.items).filter(|(feed, _)| feed.has_watches());
        watched.for_each(|(_, items)| items.extend_from_slice(self.events.items()));
        self.events.drain();
        outcome
    }

    /// Adds an item for one arbiter, behind the events of the txns applied so far.
    ///
    /// # Panics
    /// If there is no such arbiter.
    pub fn push(&mut self, arbiter: u16, item: FeedItem) {
        self.items[usize::from(arbiter)].push(item);
    }

    /// The tree, for what is no txn: a new epoch, the start of a snapshot.
    pub fn tree_mut(&mut self) -> &mut DataTree {
        &mut self.tree
    }

    /// Another tree takes the place of this one (a snapshot from the leader), at no earlier zxid.
    ///
    /// # Panics
    /// If its zxid is earlier: what clients have seen would be undone.
    pub fn replace(&mut self, tree: DataTree) {
        let (old, new) = (self.tree.last_zxid(), tree.last_zxid());
        assert!(new >= old, "T1: a tree at {new:?} cannot follow one at {old:?}");
        *self.tree = tree;
    }

    /// Fills the feeds, unlocks, then calls `wake` for each arbiter that had nothing to do before.
    pub fn commit(mut self, wake: impl FnMut(u16)) {
        let idle = self.fill_feeds();
        drop(self);
        idle.into_iter().for_each(wake);
    }

    fn fill_feeds(&mut self) -> Vec<u16> {
        let upto = self.tree.last_zxid();
        let feeds = (0..).zip(self.shared.feeds.iter().zip(&mut self.items));
        feeds.filter_map(|(at, (feed, items))| feed.append(items, upto).then_some(at)).collect()
    }
}

impl Deref for TreeWriter<'_> {
    type Target = DataTree;

    fn deref(&self) -> &DataTree {
        &self.tree
    }
}

impl Drop for TreeWriter<'_> {
    fn drop(&mut self) {
        self.fill_feeds();
        *self.shared.spare.lock() = std::mem::take(&mut self.items);
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::ids::ConnId;
    use paddock_messages::zxid::Zxid;

    use super::super::apply_tests::create;
    use super::super::feed::CloseReason;
    use super::*;
    use crate::tree::TreeOptions;

    fn close() -> FeedItem {
        FeedItem::Close { conn: ConnId { slot: 0, generation: 0 }, why: CloseReason::SessionEnded }
    }

    fn drain(feed: &Feed) -> (Zxid, Vec<FeedItem>) {
        let mut items = Vec::new();
        (feed.drain(&mut items), items)
    }

    #[test]
    fn f1_feeds_are_filled_in_order_before_a_reader_sees_the_tree() {
        let shared = SharedTree::new(DataTree::new(TreeOptions::default()), 3);
        shared.feeds()[1].set_watches(1);
        let mut woken = Vec::new();
        let mut tree = shared.write();
        tree.apply(&create(1, "/a", b""));
        tree.push(1, close());
        tree.apply(&create(2, "/a/b", b""));
        tree.push(2, close());
        tree.commit(|arbiter| {
            assert_eq!(shared.read().last_zxid(), Zxid(2), "nobody is woken under the lock");
            assert!(shared.feeds().iter().all(|feed| !feed.is_empty() || !feed.has_watches()));
            woken.push(arbiter);
        });
        assert_eq!(woken, [0, 1, 2], "the zxid moved for all");
        assert_eq!(drain(&shared.feeds()[0]), (Zxid(2), vec![]), "it watches nothing");
        assert_eq!(drain(&shared.feeds()[2]), (Zxid(2), vec![close()]));
        let (upto, items) = drain(&shared.feeds()[1]);
        let zxids: Vec<_> = items
            .iter()
            .map(|item| if let FeedItem::Event { zxid, .. } = item { zxid.0 } else { 0 })
            .collect();
        assert_eq!((upto, zxids), (Zxid(2), vec![1, 1, 0, 2, 2]));
    }

    #[test]
    fn f1_a_writer_that_is_dropped_has_filled_the_feeds() {
        let shared = SharedTree::new(DataTree::new(TreeOptions::default()), 1);
        let mut tree = shared.write();
        tree.apply(&create(1, "/a", b""));
        tree.push(0, close());
        drop(tree);
        assert_eq!(drain(&shared.feeds()[0]), (Zxid(1), vec![close()]));
    }

    #[test]
    #[should_panic(expected = "T1")]
    fn t1_no_earlier_tree_takes_the_place_of_a_later() {
        let shared = SharedTree::new(DataTree::new(TreeOptions::default()), 0);
        let mut tree = shared.write();
        tree.apply(&create(1, "/a", b""));
        tree.replace(DataTree::new(TreeOptions::default()));
    }
}
