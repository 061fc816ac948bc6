//! One znode as it is kept: fixed fields, links to its family, and one blob for name and data.

use paddock_messages::zxid::Zxid;

/// A place in the arena.
pub(super) type Slot = u32;

/// No slot: the end of a list, the root's parent.
pub(super) const NONE: Slot = Slot::MAX;

/// Who ends a znode; the session or the TTL itself stands in [`super::owners::Owners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Persistent = 0,
    Session = 1,
    Container = 2,
    Ttl = 3,
}

const KIND_SHIFT: u32 = 30;
const NULL_DATA: u32 = 1 << 29;
const UNCOUNTED: u32 = 1 << 28;
const VACANT: u32 = 1 << 27;
const NAME_LEN: u32 = VACANT - 1;

/// 104 bytes and the blob. The links and the two counts are derived: a snapshot does not hold them.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// Children ever created; clients see twice that less the children there are.
    pub(super) cversion: i32,
    pub(super) aversion: i32,
    pub(super) acl: u32,
    /// CRC32 of path and data, so that a change of the stat need not read them; may be behind while the
    /// znode's share is not in the digest (`DigestSum`).
    pub(super) content_crc: u32,
    pub(super) parent: Slot,
    pub(super) first_child: Slot,
    pub(super) next: Slot,
    pub(super) prev: Slot,
    pub(super) children: u32,
    /// Children, their children, and so on.
    pub(super) descendants: u32,
    /// Kind; whether the data is null, the digest leaves it out, nothing stands here; bytes of the name.
    head: u32,
    /// The name, then the data.
    blob: Box<[u8]>,
}

impl Node {
    /// A znode without family, its stat all zero.
    ///
    /// # Panics
    /// If `name` is 128 MiB or longer: no frame is.
    pub(super) fn new(name: &str, data: Option<&[u8]>, kind: Kind, counted: bool) -> Self {
        let length = u32::try_from(name.len()).ok().filter(|&length| length <= NAME_LEN);
        let length = length.expect("a name is shorter than the largest frame");
        let head = (kind as u32) << KIND_SHIFT | if counted { 0 } else { UNCOUNTED } | length;
        let head = if data.is_none() { head | NULL_DATA } else { head };
        let data = data.unwrap_or_default();
        let mut blob = Vec::with_capacity(name.len() + data.len());
        blob.extend_from_slice(name.as_bytes());
        blob.extend_from_slice(data);
        Self { head, blob: blob.into_boxed_slice(), ..Self::vacant() }
    }

    /// What stands in a freed slot.
    pub(super) fn vacant() -> Self {
        Self {
            czxid: Zxid::ZERO,
            mzxid: Zxid::ZERO,
            pzxid: Zxid::ZERO,
            ctime: 0,
            mtime: 0,
            version: 0,
            cversion: 0,
            aversion: 0,
            acl: 0,
            content_crc: 0,
            parent: NONE,
            first_child: NONE,
            next: NONE,
            prev: NONE,
            children: 0,
            descendants: 0,
            head: VACANT,
            blob: Box::default(),
        }
    }

    /// Whether this is a freed slot, and no znode.
    pub(super) fn is_vacant(&self) -> bool {
        self.head & VACANT != 0
    }

    pub(super) fn kind(&self) -> Kind {
        match self.head >> KIND_SHIFT {
            0 => Kind::Persistent,
            1 => Kind::Session,
            2 => Kind::Container,
            _ => Kind::Ttl,
        }
    }

    /// Whether the digest covers it: everything but what is below `/zookeeper/`.
    pub(super) fn is_counted(&self) -> bool {
        self.head & UNCOUNTED == 0
    }

    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(self.name_bytes()).expect("it was copied from a str")
    }

    /// The name; comparing bytes spares the look-up a second validation.
    pub(super) fn name_bytes(&self) -> &[u8] {
        &self.blob[..(self.head & NAME_LEN) as usize]
    }

    /// `None` is null, which is not the same as empty.
    pub(super) fn data(&self) -> Option<&[u8]> {
        (self.head & NULL_DATA == 0).then(|| &self.blob[(self.head & NAME_LEN) as usize..])
    }

    /// Bytes of data; 0 for null.
    pub(super) fn data_len(&self) -> usize {
        self.blob.len() - (self.head & NAME_LEN) as usize
    }

    /// Replaces the data; in place where the length stays.
    pub(super) fn set_data(&mut self, data: Option<&[u8]>) {
        self.head = if data.is_none() { self.head | NULL_DATA } else { self.head & !NULL_DATA };
        let data = data.unwrap_or_default();
        let name = (self.head & NAME_LEN) as usize;
        if self.blob.len() - name == data.len() {
            return self.blob[name..].copy_from_slice(data);
        }
        let mut blob = Vec::with_capacity(name + data.len());
        blob.extend_from_slice(&self.blob[..name]);
        blob.extend_from_slice(data);
        self.blob = blob.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small_and_keeps_null_and_empty_apart() {
        assert_eq!(size_of::<Node>(), 104);
        let mut node = Node::new("näme", Some(b"data"), Kind::Ttl, false);
        for data in [None, Some(&b""[..]), Some(b"abcd"), Some(b"efgh"), None, Some(b"x")] {
            node.set_data(data);
            assert_eq!((node.name(), node.data()), ("näme", data));
            assert_eq!(node.data_len(), data.map_or(0, <[u8]>::len));
            assert_eq!((node.kind(), node.is_counted()), (Kind::Ttl, false));
        }
    }
}
