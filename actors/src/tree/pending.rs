//! What is proposed and not yet applied, as the leader's checks must see it.
//!
//! - PD1  An image is absolute: what the znode or session will be once its txn is applied, never a
//!   difference. The newest image wins; where there is none, the tree is right.
//! - PD2  An image is kept until the tree has its txn, and no longer.
//! - PD3  A layer is seen by those who look while it is open; it becomes pending whole, or leaves nothing.
//! - PD4  A session's pending ephemerals are exactly the pending znodes it owns.
//!
//! Only what checks look at is kept: zxids of a stat, ctime and the data itself decide nothing.
//! Source: PrepRequestProcessor's ChangeRecord, ZooKeeperServer.outstandingChanges.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::quota::OverQuota;
use bytestring::ByteString;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use paddock_messages::ids::SessionId;
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::Zxid;

/// A znode, as far as a check looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Changes of its data.
    pub version: i32,
    /// Changes of its ACL.
    pub aversion: i32,
    /// The stored counter of children created: the next sequential child's number.
    pub cversion: i32,
    /// Children there are.
    pub children: u32,
    /// When its data last changed, in ms since 1970.
    pub mtime: i64,
    /// Bytes of data; 0 for null.
    pub data_length: usize,
    /// Who ends it.
    pub owner: Owner,
    /// Who may do what; `None` where everybody may do everything.
    pub acl: Option<Arc<[Acl]>>,
}

/// The newest image of one path, with the zxid of its txn.
#[derive(Debug)]
struct Newest {
    path: ByteString,
    hash: u64,
    zxid: Zxid,
    image: Option<Image>,
}

/// The newest image of each path. A write to a path that has one moves a few words, no path.
#[derive(Debug, Default)]
struct Nodes {
    /// Places in `all`, by path.
    places: HashTable<u32>,
    all: Vec<Option<Newest>>,
    free: Vec<u32>,
    /// Where the last look-up ended: what is looked at is most often what is changed next.
    last: Cell<u32>,
    hasher: RandomState,
}

impl Nodes {
    fn get(&self, path: &str) -> Option<&Newest> {
        if self.places.is_empty() {
            return None;
        }
        let place = self.last_if(path).or_else(|| self.place(self.hasher.hash_one(path), path))?;
        self.last.set(place);
        self.all[place as usize].as_ref()
    }

    fn place(&self, hash: u64, path: &str) -> Option<u32> {
        self.places.find(hash, |&place| self.stands_at(place, path)).copied()
    }

    fn last_if(&self, path: &str) -> Option<u32> {
        Some(self.last.get()).filter(|&place| self.stands_at(place, path))
    }

    fn stands_at(&self, place: u32, path: &str) -> bool {
        self.all.get(place as usize).and_then(Option::as_ref).is_some_and(|it| it.path == path)
    }

    /// The image at `path` is this from now on; gives its place, and the image before.
    fn put(&mut self, zxid: Zxid, path: &ByteString, image: Option<Image>) -> (u32, Option<Image>) {
        if self.get(path).is_some()
            && let place = self.last.get()
            && let Some(newest) = &mut self.all[place as usize]
        {
            newest.zxid = zxid;
            return (place, std::mem::replace(&mut newest.image, image));
        }
        let hash = self.hasher.hash_one::<&str>(path);
        let newest = Newest { path: path.clone(), hash, zxid, image };
        let place = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            u32::try_from(self.all.len() - 1).expect("requests in flight are far fewer")
        });
        self.all[place as usize] = Some(newest);
        let Self { places, all, .. } = self;
        let hash_of = |place: &u32| all[*place as usize].as_ref().map_or(0, |it| it.hash);
        places.insert_unique(hash, place, hash_of);
        (place, None)
    }

    /// Takes out what is at `place` if it is of `zxid`: nothing newer came.
    fn remove(&mut self, place: u32, zxid: Zxid) -> Option<Newest> {
        let gone = self.all[place as usize].take_if(|it| it.zxid == zxid)?;
        if let Ok(entry) = self.places.find_entry(gone.hash, |other| *other == place) {
            entry.remove();
        }
        self.free.push(place);
        Some(gone)
    }

    fn iter(&self) -> impl Iterator<Item = &Newest> {
        self.all.iter().flatten()
    }
}

/// Images whose memory is kept when there are none.
const KEPT: usize = 1 << 13;

#[derive(Clone, Copy, Debug)]
enum Key {
    /// Its place in [`Nodes`].
    Node(u32),
    Session(SessionId),
}

/// What the tree will be beyond what it is. Lives and dies with one leader's reign.
#[derive(Debug, Default)]
pub struct Pending {
    nodes: Nodes,
    sessions: HashMap<SessionId, (Zxid, Option<i32>), RandomState>,
    /// What became pending, in the order in which it did.
    order: VecDeque<(Zxid, Key)>,
    owned: HashMap<SessionId, BTreeSet<ByteString>, RandomState>,
    /// What an open layer puts aside, and in which order.
    layer: HashMap<ByteString, (Zxid, Option<Image>), RandomState>,
    layer_order: Vec<ByteString>,
    layered: bool,
    over_quota: Vec<OverQuota>,
}

impl Pending {
    /// The newest image at `path`: `None` if the tree is right, `Some(None)` if the znode will be gone.
    pub fn node(&self, path: &str) -> Option<Option<&Image>> {
        if let Some((_, image)) = self.layer.get(path) {
            return Some(image.as_ref());
        }
        self.nodes.get(path).map(|newest| newest.image.as_ref())
    }

    /// The session's timeout in ms: `None` if the tree is right, `Some(None)` if it is closing.
    pub fn session(&self, id: SessionId) -> Option<Option<i32>> {
        self.sessions.get(&id).map(|(_, timeout)| *timeout)
    }

    /// The pending znodes that `session` owns, by path (PD4).
    pub fn owned_by(&self, session: SessionId) -> impl Iterator<Item = &ByteString> {
        self.owned.get(&session).into_iter().flatten()
    }

    /// Where the limits go that writes pass.
    pub fn over_quota(&mut self) -> &mut Vec<OverQuota> {
        &mut self.over_quota
    }

    /// The limits that writes passed since the last call: for the metrics and the log.
    pub fn take_over_quota(&mut self) -> Vec<OverQuota> {
        std::mem::take(&mut self.over_quota)
    }

    /// The znode at `path` will be this, or be gone, once `zxid` is applied.
    pub fn put(&mut self, zxid: Zxid, path: &ByteString, image: Option<Image>) {
        if self.layered {
            self.layer_order.push(path.clone());
            self.layer.insert(path.clone(), (zxid, image));
        } else {
            self.put_base(zxid, path, image);
        }
    }

    fn put_base(&mut self, zxid: Zxid, path: &ByteString, image: Option<Image>) {
        let owner = owner_of(image.as_ref());
        if let Some(session) = owner {
            self.owned.entry(session).or_default().insert(path.clone());
        }
        let (place, before) = self.nodes.put(zxid, path, image);
        if let Some(session) = owner_of(before.as_ref())
            && owner != Some(session)
        {
            self.disown(session, path);
        }
        self.order.push_back((zxid, Key::Node(place)));
    }

    /// The session will live with this timeout in ms, or be closed, once `zxid` is applied.
    pub fn put_session(&mut self, zxid: Zxid, id: SessionId, timeout_ms: Option<i32>) {
        assert!(!self.layered, "PD3: no session begins or ends within a multi");
        self.order.push_back((zxid, Key::Session(id)));
        self.sessions.insert(id, (zxid, timeout_ms));
    }

    /// From here to [`Self::keep_layer`] or [`Self::drop_layer`], what is put is put aside (PD3).
    pub fn open_layer(&mut self) {
        assert!(!self.layered, "PD3: a layer is open already");
        self.layered = true;
    }

    /// All that was put since [`Self::open_layer`] is pending now.
    pub fn keep_layer(&mut self) {
        self.layered = false;
        let mut order = std::mem::take(&mut self.layer_order);
        for path in order.drain(..) {
            if let Some((zxid, image)) = self.layer.remove(&path) {
                self.put_base(zxid, &path, image);
            }
        }
        self.layer_order = order; // its memory serves the next multi
    }

    /// Nothing was put since [`Self::open_layer`].
    pub fn drop_layer(&mut self) {
        self.layered = false;
        self.layer.clear();
        self.layer_order.clear();
    }

    /// The tree holds everything up to `applied`: what is no newer is dropped (PD2).
    pub fn forget(&mut self, applied: Zxid) {
        while let Some((zxid, key)) = self.order.pop_front_if(|(zxid, _)| *zxid <= applied) {
            match key {
                Key::Node(place) => self.forget_node(zxid, place),
                Key::Session(id) => {
                    if self.sessions.get(&id).is_some_and(|(newest, _)| *newest == zxid) {
                        self.sessions.remove(&id);
                    }
                }
            }
        }
        self.settle();
    }

    /// Nothing is pending: what a burst left behind, as the end of a session with a million ephemerals, is
    /// given back.
    fn settle(&mut self) {
        let most = self.nodes.all.capacity().max(self.order.capacity()).max(self.layer.capacity());
        if most > 2 * KEPT && self.is_empty() {
            let hasher = self.nodes.hasher.clone();
            self.nodes = Nodes { hasher, ..Nodes::default() };
            (self.order, self.layer_order) = (VecDeque::new(), Vec::new());
            self.sessions.shrink_to(KEPT);
            self.owned.shrink_to(KEPT);
            self.layer.shrink_to(KEPT);
        }
    }

    /// Nothing is dropped where a newer image came, or at the second mention of one dropped just now.
    fn forget_node(&mut self, zxid: Zxid, place: u32) {
        if let Some(Newest { path, image, .. }) = self.nodes.remove(place, zxid)
            && let Some(session) = owner_of(image.as_ref())
        {
            self.disown(session, &path);
        }
    }

    fn disown(&mut self, session: SessionId, path: &ByteString) {
        if let Some(paths) = self.owned.get_mut(&session) {
            paths.remove(path);
            if paths.is_empty() {
                self.owned.remove(&session);
            }
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.nodes.places.len() + self.sessions.len()
    }

    /// Whether the tree is all there is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Panics where PD2 to PD4 do not hold for a tree that is at `applied` and a leader that proposed up
    /// to `last`. For tests: it looks at everything.
    pub fn check(&self, applied: Zxid, last: Zxid) {
        let zxids: Vec<_> = self.order.iter().map(|(zxid, _)| *zxid).collect();
        assert!(zxids.is_sorted(), "PD2: {zxids:?}");
        let newest = self.nodes.iter().map(|it| &it.zxid);
        for zxid in newest.chain(self.sessions.values().map(|(zxid, _)| zxid)) {
            assert!(*zxid > applied && *zxid <= last, "PD2: {zxid:?}, applied {applied:?}, last {last:?}");
            assert!(zxids.binary_search(zxid).is_ok(), "PD2: {zxid:?} will not be forgotten");
        }
        for it in self.nodes.iter() {
            assert!(self.nodes.get(&it.path).is_some_and(|found| std::ptr::eq(found, it)), "PD1: {it:?}");
        }
        assert_eq!(self.nodes.iter().count(), self.nodes.places.len(), "PD1");
        assert!(!self.layered && self.layer.is_empty() && self.layer_order.is_empty(), "PD3");
        let owned: BTreeSet<_> =
            self.owned.iter().flat_map(|(id, all)| all.iter().map(|p| (*id, p))).collect();
        let owner = |it: &'_ Newest| Some((owner_of(it.image.as_ref())?, it.path.clone()));
        let owners: BTreeSet<_> = self.nodes.iter().filter_map(owner).collect();
        assert!(owned.into_iter().eq(owners.iter().map(|(id, path)| (*id, path))), "PD4");
    }
}

fn owner_of(image: Option<&Image>) -> Option<SessionId> {
    match image?.owner {
        Owner::Session(session) => Some(session),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(version: i32, owner: Owner) -> Option<Image> {
        Some(Image {
            version,
            aversion: 0,
            cversion: 0,
            children: 0,
            mtime: 0,
            data_length: 0,
            owner,
            acl: None,
        })
    }

    #[test]
    fn what_a_burst_took_is_given_back_when_nothing_is_pending() {
        let mut pending = Pending::default();
        let burst = 5 * KEPT as u64;
        for zxid in 1..=burst {
            pending.put(Zxid(zxid), &format!("/{zxid}").into(), image(1, Owner::Session(SessionId(7))));
        }
        pending.forget(Zxid(burst - 1));
        assert!(pending.nodes.all.capacity() > KEPT, "one is pending");
        pending.forget(Zxid(burst));
        assert_eq!((pending.nodes.all.capacity(), pending.order.capacity()), (0, 0));
        pending.open_layer();
        (0..burst).for_each(|at| pending.put(Zxid(burst), &format!("/{at}").into(), None));
        pending.drop_layer(); // a refused multi
        pending.forget(Zxid(burst));
        assert!(pending.layer.capacity() <= 2 * KEPT && pending.layer_order.capacity() == 0);
        pending.put(Zxid(burst + 1), &"/a".into(), image(1, Owner::Persistent));
        assert_eq!(version(&pending, "/a"), Some(Some(1)));
        pending.check(Zxid(burst), Zxid(burst + 1));
    }

    fn version(pending: &Pending, path: &str) -> Option<Option<i32>> {
        pending.node(path).map(|image| image.map(|image| image.version))
    }

    #[test]
    fn pd1_pd2_the_newest_image_holds_until_it_is_applied() {
        let mut pending = Pending::default();
        pending.put(Zxid(1), &"/a".into(), image(1, Owner::Persistent));
        pending.put(Zxid(2), &"/a".into(), image(2, Owner::Persistent));
        pending.put(Zxid(3), &"/b".into(), None);
        pending.put_session(Zxid(4), SessionId(7), Some(100));
        pending.put_session(Zxid(5), SessionId(7), None);
        for (applied, a, b, session, len) in [
            (0, Some(Some(2)), Some(None), Some(None), 3),
            (1, Some(Some(2)), Some(None), Some(None), 3), // the tree is still behind
            (2, None, Some(None), Some(None), 2),
            (3, None, None, Some(None), 1),
            (4, None, None, Some(None), 1),
            (5, None, None, None, 0),
        ] {
            pending.forget(Zxid(applied));
            pending.check(Zxid(applied), Zxid(5));
            let is = (version(&pending, "/a"), version(&pending, "/b"), pending.session(SessionId(7)));
            assert_eq!((is, pending.len()), ((a, b, session), len), "applied {applied}");
        }
        assert!(pending.order.is_empty());
    }

    #[test]
    fn pd3_a_layer_is_kept_or_dropped_whole() {
        let mut pending = Pending::default();
        let mine = Owner::Session(SessionId(7));
        pending.put(Zxid(1), &"/a".into(), image(1, mine));
        for keep in [false, true] {
            pending.open_layer();
            pending.put(Zxid(2), &"/a".into(), image(2, mine));
            pending.put(Zxid(2), &"/b".into(), image(0, mine));
            pending.put(Zxid(2), &"/a".into(), None);
            assert_eq!(version(&pending, "/a"), Some(None));
            if keep {
                pending.keep_layer();
            } else {
                pending.drop_layer();
            }
            pending.check(Zxid(0), Zxid(2));
            let expected = if keep { (Some(None), Some(Some(0))) } else { (Some(Some(1)), None) };
            assert_eq!((version(&pending, "/a"), version(&pending, "/b")), expected, "keep {keep}");
        }
    }

    #[test]
    fn pd4_a_session_owns_what_pending_says_it_owns() {
        let mut pending = Pending::default();
        let (one, two) = (SessionId(1), SessionId(2));
        let owned = |pending: &Pending, id| pending.owned_by(id).map(|p| p.to_string()).collect::<Vec<_>>();
        pending.put(Zxid(1), &"/b".into(), image(0, Owner::Session(one)));
        pending.put(Zxid(2), &"/a".into(), image(0, Owner::Session(one)));
        pending.put(Zxid(3), &"/b".into(), image(1, Owner::Session(one))); // the same, changed
        pending.check(Zxid(0), Zxid(3));
        assert_eq!(owned(&pending, one), ["/a", "/b"]);
        pending.put(Zxid(4), &"/a".into(), None);
        pending.put(Zxid(5), &"/a".into(), image(0, Owner::Session(two)));
        pending.check(Zxid(0), Zxid(5));
        assert_eq!((owned(&pending, one), owned(&pending, two)), (vec!["/b".into()], vec!["/a".into()]));
        pending.forget(Zxid(3));
        pending.check(Zxid(3), Zxid(5));
        assert_eq!(owned(&pending, one), Vec::<String>::new());
    }
}
