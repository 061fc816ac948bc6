//! A znode as a snapshot holds it: its stored fields, its slot and its parent's, its name and data.

use paddock_messages::ids::SessionId;
use paddock_messages::znode::Owner;
use paddock_messages::zxid::Zxid;

use super::node::{Kind, Node, Slot};
use super::owners::kind_of;

const KIND: u8 = 0b11;
const NULL_DATA: u8 = 0b100;
const UNCOUNTED: u8 = 0b1000;

/// What an image holds.
pub(super) struct Image {
    pub(super) slot: Slot,
    /// With everything but its ACL's users, its links and its content CRC. `acl` is the snapshot's number.
    pub(super) node: Node,
    pub(super) owner: Owner,
}

/// Appends the image of `node`. All integers are little-endian.
pub(super) fn encode(slot: Slot, node: &Node, owner: Owner, to: &mut Vec<u8>) {
    let data = node.data();
    let null = if data.is_none() { NULL_DATA } else { 0 };
    let uncounted = if node.is_counted() { 0 } else { UNCOUNTED };
    to.push(node.kind() as u8 | null | uncounted);
    for int in [slot, node.parent, node.acl, node.version as u32, node.cversion as u32, node.aversion as u32]
    {
        to.extend_from_slice(&int.to_le_bytes());
    }
    let times = [node.ctime as u64, node.mtime as u64];
    for long in [node.czxid.0, node.mzxid.0, node.pzxid.0].into_iter().chain(times) {
        to.extend_from_slice(&long.to_le_bytes());
    }
    if let Owner::Session(SessionId(value)) = owner {
        to.extend_from_slice(&value.to_le_bytes());
    } else if let Owner::Ttl(value) = owner {
        to.extend_from_slice(&value.to_le_bytes());
    }
    for bytes in [node.name_bytes(), data.unwrap_or_default()] {
        to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        to.extend_from_slice(bytes);
    }
}

/// Takes the next image from `from`; `None` if it is cut short or cannot be one.
pub(super) fn decode(from: &mut &[u8]) -> Option<Image> {
    let flags = take::<1>(from)?[0];
    let mut int = || take::<4>(from).map(u32::from_le_bytes);
    let (slot, parent, acl) = (int()?, int()?, int()?);
    let (version, cversion, aversion) = (int()? as i32, int()? as i32, int()? as i32);
    let mut long = || take::<8>(from).map(u64::from_le_bytes);
    let (czxid, mzxid, pzxid) = (Zxid(long()?), Zxid(long()?), Zxid(long()?));
    let (ctime, mtime) = (long()? as i64, long()? as i64);
    let owner = match flags & KIND {
        kind if kind == Kind::Persistent as u8 => Owner::Persistent,
        kind if kind == Kind::Container as u8 => Owner::Container,
        kind if kind == Kind::Session as u8 => Owner::Session(SessionId(long()? as i64)),
        _ => Owner::Ttl(long()?),
    };
    let name = std::str::from_utf8(take_bytes(from)?).ok()?;
    let data = take_bytes(from)?;
    let data = (flags & NULL_DATA == 0).then_some(data);
    let mut node = Node::new(name, data, kind_of(owner), flags & UNCOUNTED == 0);
    (node.czxid, node.mzxid, node.pzxid) = (czxid, mzxid, pzxid);
    (node.ctime, node.mtime) = (ctime, mtime);
    (node.version, node.cversion, node.aversion) = (version, cversion, aversion);
    (node.parent, node.acl) = (parent, acl);
    Some(Image { slot, node, owner })
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_le_bytes(take::<4>(from)?) as usize;
    let (head, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(head)
}
