//! The answers to reads, in the order of checks of ZooKeeper's FinalRequestProcessor.
//!
//! [`execute`] writes a body; who calls it knows at which zxid it holds and registers the watch.

use bytestring::ByteString;
use paddock_messages::client::OpCode;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::ops::{MultiHeader, PersistentWatches, SetWatches};
use paddock_messages::client::reply::write_op_error;
use paddock_messages::client::request::{Read, ReadOp};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::letters::Asker;
use paddock_messages::wire::{Wire, write_nullable, write_str};
use paddock_messages::znode::{Id, Perms};
use paddock_messages::zxid::Zxid;

use crate::auth::{AuthRules, display_name, permits, visible_acl};
use crate::tree::feed::{CatchUp, ReadAnswer, WatchTable};
use crate::tree::{DataTree, NodeRef};

/// Bytes of a stat on the wire.
const STAT_LENGTH: usize = 68;

/// What a read is held against.
#[derive(Clone, Copy, Debug)]
pub struct Against<'a> {
    /// The tree, under a guard.
    pub tree: &'a DataTree,
    /// How ACLs are read.
    pub rules: &'a AuthRules,
    /// Whose read it is.
    pub session: SessionId,
    /// The connection's identities when it came.
    pub ids: &'a [Id],
}

/// How a read ended; its body, if any, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The header's error; the body is then empty.
    pub err: Option<ErrorCode>,
    /// Whether the watch it asks for is to be registered, and where. A missing znode has one, too,
    /// where `exists` asked.
    pub watch: Option<WatchTable>,
    /// Bytes of data or names of the znode it read from, 0 for its stat alone; `None` for other reads
    /// and where it failed. For the metrics.
    pub bytes: Option<u64>,
}

/// Executes, under the tree's write lock, a read that stands between two writes of its session.
pub fn answer(tree: &DataTree, rules: &AuthRules, from: &Asker, read: Read) -> ReadAnswer {
    if needs_no_tree(&read) {
        return ReadAnswer::Local(read);
    }
    let against = Against { tree, rules, session: from.session, ids: &from.ids };
    if let Read::SetWatches(standard, more) = read {
        return ReadAnswer::SetWatches(catch_up(&against, *standard, more));
    }
    let mut body = Vec::new();
    let Found { err, watch, bytes } = execute(&against, &read, &mut body);
    let watch = watch.and_then(|table| Some((watched_path(&read)?.clone(), table)));
    let found = bytes.and_then(|bytes| Some((counted_path(&read)?.clone(), bytes)));
    ReadAnswer::Tree { err, body, watch, found }
}

/// Whether the arbiter answers it from what it knows itself: watches, identities, its being alive.
pub fn needs_no_tree(read: &Read) -> bool {
    matches!(
        read,
        Read::Ping | Read::WhoAmI | Read::CheckWatches(_) | Read::RemoveWatches(_) | Read::AddWatch(_)
    )
}

/// Whether its answer may leave a watch behind.
pub fn may_watch(read: &Read) -> bool {
    matches!(read, Read::AddWatch(_) | Read::SetWatches(..)) || watched_path(read).is_some()
}

/// The path on which it asks for a one-shot watch.
pub fn watched_path(read: &Read) -> Option<&ByteString> {
    match read {
        Read::Exists(of)
        | Read::One(ReadOp::GetData(of) | ReadOp::GetChildren(of))
        | Read::GetChildren2(of) => of.watch.then_some(&of.path),
        _ => None,
    }
}

/// The most that one multiRead is answered with, in bytes: a small request may name a large znode many
/// times over. Beyond it the whole request is refused; no client takes nearly as much.
pub(super) const MULTI_READ_LIMIT: usize = 16 << 20;

/// The path under which it is counted.
pub fn counted_path(read: &Read) -> Option<&ByteString> {
    match read {
        Read::Exists(of)
        | Read::One(ReadOp::GetData(of) | ReadOp::GetChildren(of))
        | Read::GetChildren2(of) => Some(&of.path),
        _ => None,
    }
}

/// How much of a body that succeeded, of `length` bytes, is the znode's data or its children's names,
/// each with the four bytes of its length.
fn content(read: &Read, length: usize) -> Option<u64> {
    let around = match read {
        Read::Exists(_) => length,
        Read::One(ReadOp::GetData(_)) | Read::GetChildren2(_) => 4 + STAT_LENGTH,
        Read::One(ReadOp::GetChildren(_)) => 4,
        _ => return None,
    };
    Some((length - around) as u64)
}

/// Executes a read of the tree: appends its body to `to`, nothing where it fails.
pub fn execute(against: &Against<'_>, read: &Read, to: &mut Vec<u8>) -> Found {
    let at = to.len();
    let mut found = match body(against, read, to) {
        Ok(()) => Found { err: None, watch: None, bytes: content(read, to.len() - at) },
        Err(code) => {
            to.truncate(at);
            Found { err: Some(code), watch: None, bytes: None }
        }
    };
    found.watch = match (read, found.err) {
        (Read::Exists(of), None | Some(ErrorCode::NoNode)) if of.watch => Some(WatchTable::Data),
        (Read::One(ReadOp::GetData(of)), None) if of.watch => Some(WatchTable::Data),
        (Read::One(ReadOp::GetChildren(of)) | Read::GetChildren2(of), None) if of.watch => {
            Some(WatchTable::Child)
        }
        _ => None,
    };
    found
}

fn body(against: &Against<'_>, read: &Read, to: &mut Vec<u8>) -> Result<(), ErrorCode> {
    match read {
        Read::Exists(of) => {
            if of.path.contains('\0') {
                return Err(ErrorCode::BadArguments);
            }
            against.readable(&of.path)?.stat().write(to);
        }
        Read::One(ReadOp::GetData(of)) => write_data(against.readable(&of.path)?, to),
        Read::One(ReadOp::GetChildren(of)) => write_children(against.readable(&of.path)?, to),
        Read::GetChildren2(of) => {
            let node = against.readable(&of.path)?;
            write_children(node, to);
            node.stat().write(to);
        }
        Read::GetAcl(of) => {
            let node = against.tree.node(&of.path).ok_or(ErrorCode::NoNode)?;
            visible_acl(node.acl(), against.ids, against.rules)?.write(to);
            node.stat().write(to);
        }
        Read::GetAllChildrenNumber(of) => {
            // The tree keeps the count, so that nothing under its lock walks it.
            let descendants = against.readable(&of.path)?.descendant_count();
            // Called "", Java's root counts itself, too. Source: DataTree.getAllChildrenNumber.
            count(descendants + u32::from(of.path.is_empty())).write(to);
        }
        Read::GetEphemerals(of) => {
            let prefix = of.path.as_deref().filter(|prefix| !prefix.trim().is_empty() && *prefix != "/");
            let all = against.tree.ephemerals(against.session);
            let mine: Vec<String> = all.filter(|path| prefix.is_none_or(|it| path.starts_with(it))).collect();
            count(mine.len()).write(to);
            mine.iter().for_each(|path| write_str(path, to));
        }
        Read::MultiRead(ops) => {
            let at = to.len();
            for op in ops {
                write_result(against, op, to);
                if to.len() - at > MULTI_READ_LIMIT {
                    return Err(ErrorCode::Marshalling);
                }
            }
            MultiHeader::END.write(to);
        }
        Read::SetWatches(..) | Read::Ping | Read::WhoAmI => {}
        Read::CheckWatches(_) | Read::RemoveWatches(_) | Read::AddWatch(_) => {}
    }
    Ok(())
}

impl<'a> Against<'a> {
    /// The znode, if it is there and may be read.
    fn readable(&self, path: &str) -> Result<NodeRef<'a>, ErrorCode> {
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        if self.may_read(node) { Ok(node) } else { Err(ErrorCode::NoAuth) }
    }

    fn may_read(&self, node: NodeRef<'_>) -> bool {
        node.is_open() || permits(node.acl(), Perms::READ, self.ids, self.rules)
    }
}

fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn write_data(node: NodeRef<'_>, to: &mut Vec<u8>) {
    write_nullable(node.data(), to);
    node.stat().write(to);
}

fn write_children(node: NodeRef<'_>, to: &mut Vec<u8>) {
    count(node.child_count()).write(to);
    node.children().for_each(|name| write_str(name, to));
}

/// One result of a multiRead: one that fails leaves the others alone.
fn write_result(against: &Against<'_>, op: &ReadOp, to: &mut Vec<u8>) {
    let (opcode, path) = match op {
        ReadOp::GetData(of) => (OpCode::GetData, &of.path),
        ReadOp::GetChildren(of) => (OpCode::GetChildren, &of.path),
    };
    match against.readable(path) {
        Err(code) => write_op_error(code.code(), to),
        Ok(node) => {
            MultiHeader { kind: opcode as i32, done: false, err: 0 }.write(to);
            if opcode == OpCode::GetData { write_data(node, to) } else { write_children(node, to) }
        }
    }
}

/// What a client missed since its last zxid, and which watches go on. As with live events, it is told
/// nothing of a znode that it may not read, by the ACL of now, and the watch is used up all the same; that
/// a znode is not there, anybody may know. Source: DataTree.setWatches, which tells all.
pub fn catch_up(against: &Against<'_>, asked: SetWatches, more: Option<Box<PersistentWatches>>) -> CatchUp {
    let newer = |zxid: Zxid| zxid.to_wire() > asked.relative_zxid;
    let mut result = CatchUp::default();
    for path in asked.data {
        match against.tree.node(&path) {
            None => result.missed.push((EventKind::Deleted, path)),
            Some(node) if !newer(node.mzxid()) => result.register.push((path, WatchTable::Data)),
            Some(node) if against.may_read(node) => result.missed.push((EventKind::DataChanged, path)),
            Some(_) => {}
        }
    }
    for path in asked.exist {
        match against.tree.node(&path) {
            None => result.register.push((path, WatchTable::Data)),
            Some(node) if against.may_read(node) => result.missed.push((EventKind::Created, path)),
            Some(_) => {}
        }
    }
    for path in asked.child {
        match against.tree.node(&path) {
            None => result.missed.push((EventKind::Deleted, path)),
            Some(node) if !newer(node.pzxid()) => result.register.push((path, WatchTable::Child)),
            Some(node) if against.may_read(node) => result.missed.push((EventKind::ChildrenChanged, path)),
            Some(_) => {}
        }
    }
    if let Some(more) = more {
        result.persistent.extend(more.persistent.into_iter().map(|path| (path, false)));
        result.persistent.extend(more.persistent_recursive.into_iter().map(|path| (path, true)));
    }
    result
}

/// The body of whoAmI.
pub fn write_identities(ids: &[Id], to: &mut Vec<u8>) {
    count(ids.len()).write(to);
    for id in ids {
        write_str(&id.scheme, to);
        write_str(display_name(id), to);
    }
}
