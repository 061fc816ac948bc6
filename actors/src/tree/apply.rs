//! A committed txn becomes the tree: the only code that alters it. Source: DataTree.processTxn.
//!
//! The leader has checked; nothing is decided here. A txn may come again after a restart, over a tree
//! that holds it and later ones already: what is newer than the txn stays, and once the rest of the
//! log has come again too, the tree is what it was (T6).

use std::sync::Arc;

use bytestring::ByteString;
use paddock_messages::client::OpCode;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::reply::{OpResult, Outcome};
use paddock_messages::client::request::CreateOp;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::path;
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner, Stat};
use paddock_messages::zxid::Zxid;

use super::change::{NewNode, is_reserved};
use super::data_tree::DataTree;
use super::digest::{DigestLog, content_crc};
use super::events::Events;
use super::feed::WatchTable;
use super::node::{NONE, Slot};

/// What a replayed txn that finds its work done, or undone by later txns, comes to.
type Applied<T> = Result<T, ErrorCode>;

/// The fields of [`Op::Create`].
struct Creation<'a> {
    path: &'a ByteString,
    data: Option<&'a [u8]>,
    acl: &'a [Acl],
    owner: Owner,
    parent_cversion: i32,
}

impl DataTree {
    /// Applies `txn` and tells what its client is told; `events` gets what watchers may have to know.
    /// The zxid moves after all of it (T1).
    pub fn apply(&mut self, txn: &Txn, events: &mut Events) -> Outcome {
        self.check_walk(txn.header.zxid);
        let outcome = self.apply_body(&txn.header, &txn.body, events);
        self.last_zxid = self.last_zxid.max(txn.header.zxid);
        if DigestLog::wants(txn.header.zxid) {
            self.settle_digest();
            self.digest_log.note(txn.header.zxid, self.digest());
        }
        outcome
    }

    fn apply_body(&mut self, header: &TxnHeader, body: &TxnBody, events: &mut Events) -> Outcome {
        match body {
            TxnBody::Error(code) => Outcome::Refused(*code),
            TxnBody::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Outcome::Done
            }
            TxnBody::CloseSession { ephemerals } => self.close_session(header, ephemerals, events),
            TxnBody::One(op) => self.apply_op(header, op, events).unwrap_or_else(Outcome::Refused),
            TxnBody::SetAcl { path, acl, version } => told(self.set_acl(header.zxid, path, acl, *version)),
            TxnBody::Reconfig { text } | TxnBody::Membership { to: text, .. } => {
                if let TxnBody::Membership { to, .. } = body {
                    self.configuration = Some(to.clone());
                }
                let path = ByteString::from_static(path::CONFIG);
                let stat = self.set_data(header, &path, Some(text), -1, events);
                let told = |stat| Outcome::Reconfigured(Box::new((Some(text.clone()), stat)));
                stat.map_or_else(Outcome::Refused, told)
            }
            TxnBody::DeleteContainer { path } => {
                self.delete(header.zxid, path, events).map_or_else(Outcome::Refused, |()| Outcome::Done)
            }
            TxnBody::Multi(ops) => {
                Outcome::Multi(ops.iter().map(|op| self.apply_part(header, op, events)).collect())
            }
            TxnBody::FailedMulti(codes) => {
                Outcome::Multi(codes.iter().map(|code| OpResult::Failed(*code)).collect())
            }
            TxnBody::FeatureLevel { level } => {
                self.feature_level = self.feature_level.max(*level); // FL2, and T6
                Outcome::Done
            }
        }
    }

    /// One op of a multi, with its result as of this op.
    fn apply_part(&mut self, header: &TxnHeader, op: &Op, events: &mut Events) -> OpResult {
        let opcode = match op {
            Op::Create(create) => match create.op {
                CreateOp::Create => OpCode::Create,
                CreateOp::Create2 => OpCode::Create2,
                CreateOp::Container => OpCode::CreateContainer,
                CreateOp::Ttl(_) => OpCode::CreateTtl,
            },
            Op::Delete { .. } => OpCode::Delete,
            Op::SetData { .. } => OpCode::SetData,
            Op::Check { .. } => return OpResult::Checked,
        };
        match self.apply_op(header, op, events) {
            Ok(outcome) => OpResult::Applied(opcode, outcome),
            Err(code) => OpResult::Failed(Some(code)),
        }
    }

    fn apply_op(&mut self, header: &TxnHeader, op: &Op, events: &mut Events) -> Applied<Outcome> {
        match op {
            Op::Create(create) => {
                let CreateTxn { op, path, data, acl, owner, parent_cversion } = &**create;
                let (owner, parent_cversion) = (*owner, *parent_cversion);
                let new = Creation { path, data: data.as_deref(), acl, owner, parent_cversion };
                let stat = self.create(header, &new, events)?;
                Ok(match op {
                    CreateOp::Create => Outcome::Path(path.clone()),
                    _ => Outcome::Created(Box::new((path.clone(), stat))),
                })
            }
            Op::Delete { path } => self.delete(header.zxid, path, events).map(|()| Outcome::Done),
            Op::SetData { path, data, version } => {
                self.set_data(header, path, data.as_deref(), *version, events).map(Outcome::Stat)
            }
            Op::Check { .. } => Ok(Outcome::Done),
        }
    }

    fn create(&mut self, header: &TxnHeader, new: &Creation<'_>, events: &mut Events) -> Applied<Stat> {
        let path = new.path;
        let above = path::parent(path).ok_or(ErrorCode::BadArguments)?;
        // T6: below a parent created after this txn it has no place; its own parent is gone.
        let parent = self.find(above).filter(|&parent| self.arena.get(parent).czxid <= header.zxid);
        let parent = parent.ok_or(ErrorCode::NoNode)?;
        if let Some(slot) = self.find_to_change(path) {
            self.create_again(header.zxid, slot, parent, new);
            return Err(ErrorCode::NodeExists);
        }
        let (zxid, time) = (header.zxid, header.time);
        let node = NewNode { path, data: new.data, acl: new.acl, owner: new.owner, zxid, time };
        let slot = self.add(parent, &node);
        self.advance_parent(parent, zxid, new.parent_cversion);
        let stat = self.at(slot).stat();
        self.count_usage_for(slot, path);
        self.note_usage(path, i64::from(stat.data_length), 1);
        if events.are_wanted() {
            let acl = self.acl_for_event(slot);
            events.push((zxid, EventKind::Created, WatchTable::Data), path.clone(), acl);
            self.tell_children_changed(zxid, parent, path, events);
        }
        Ok(stat)
    }

    /// T6: the znode is there, by this txn or a later one. Its ACL is this txn's until a later one's
    /// comes again; the parent's counters do not fall behind.
    fn create_again(&mut self, zxid: Zxid, slot: Slot, parent: Slot, new: &Creation<'_>) {
        if self.arena.get(slot).czxid <= zxid && !is_reserved(slot) {
            self.replace_acl(slot, new.acl, None);
        }
        if !is_reserved(slot) {
            self.advance_parent(parent, zxid, new.parent_cversion);
        }
    }

    /// The counter of children and pzxid never go back. -1: a txn of ZooKeeper 3.3, which counted at
    /// this point.
    fn advance_parent(&mut self, parent: Slot, zxid: Zxid, cversion: i32) {
        self.alter(parent, |node| {
            let counted = if cversion == -1 { node.cversion.wrapping_add(1) } else { cversion };
            node.cversion = node.cversion.max(counted);
            node.pzxid = node.pzxid.max(zxid);
        });
    }

    fn delete(&mut self, zxid: Zxid, path: &ByteString, events: &mut Events) -> Applied<()> {
        let above = path::parent(path).ok_or(ErrorCode::BadArguments)?;
        let parent = self.find(above).ok_or(ErrorCode::NoNode)?;
        let slot = self.find(path).filter(|&slot| !is_reserved(slot));
        // T6: a znode that was created after this txn stays.
        let slot = slot.filter(|&slot| self.arena.get(slot).czxid <= zxid);
        self.alter(parent, |node| node.pzxid = node.pzxid.max(zxid));
        let slot = slot.ok_or(ErrorCode::NoNode)?;
        self.remove_below(slot);
        let acl = if events.are_wanted() { self.acl_for_event(slot) } else { None };
        let node = self.remove_leaf(slot, path);
        self.note_usage(path, -(node.data_len() as i64), -1);
        if events.are_wanted() {
            events.push((zxid, EventKind::Deleted, WatchTable::Both), path.clone(), acl);
            self.tell_children_changed(zxid, parent, path, events);
        }
        Ok(())
    }

    /// T6: only a znode deleted before has children at its deletion, when the txn comes again; they
    /// are of later txns, which come again too.
    fn remove_below(&mut self, root: Slot) {
        while self.arena.get(root).first_child != NONE {
            let mut slot = root;
            while self.arena.get(slot).first_child != NONE {
                slot = self.arena.get(slot).first_child;
            }
            let path = self.path_of(slot);
            let node = self.remove_leaf(slot, &path);
            self.note_usage(&path, -(node.data_len() as i64), -1);
        }
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &ByteString,
        data: Option<&[u8]>,
        version: i32,
        events: &mut Events,
    ) -> Applied<Stat> {
        let slot = self.find_to_change(path).ok_or(ErrorCode::NoNode)?;
        let node = self.arena.get(slot);
        if node.mzxid > header.zxid {
            return Err(ErrorCode::BadVersion); // T6: a later change is there already
        }
        let before = node.data_len() as i64;
        let is_again = self.digest.is_open(slot);
        self.alter(slot, |node| {
            node.set_data(data);
            if node.is_counted() && !is_again {
                node.content_crc = content_crc(path, data);
            }
            (node.version, node.mzxid, node.mtime) = (version, header.zxid, header.time);
        });
        if is_again {
            self.digest.defer_crc(slot); // it changes often: once for all of the changes
        }
        let stat = self.at(slot).stat();
        self.note_usage(path, i64::from(stat.data_length) - before, 0);
        if events.are_wanted() {
            let acl = self.acl_for_event(slot);
            events.push((header.zxid, EventKind::DataChanged, WatchTable::Data), path.clone(), acl);
        }
        Ok(stat)
    }

    fn set_acl(&mut self, zxid: Zxid, path: &str, acl: &[Acl], version: i32) -> Applied<Stat> {
        let slot = self.find(path).ok_or(ErrorCode::NoNode)?;
        if self.arena.get(slot).czxid > zxid {
            return Err(ErrorCode::NoNode); // T6: it changed a znode that has been replaced since
        }
        self.replace_acl(slot, acl, Some(version));
        Ok(self.at(slot).stat())
    }

    fn replace_acl(&mut self, slot: Slot, acl: &[Acl], version: Option<i32>) {
        let id = self.acls.acquire(acl);
        let old = self.arena.get(slot).acl;
        self.alter(slot, |node| {
            node.acl = id;
            node.aversion = version.unwrap_or(node.aversion);
        });
        self.acls.release(old);
    }

    /// Every ephemeral of the session goes, each as a delete: those listed in their order, then any
    /// other, by path.
    fn close_session(&mut self, header: &TxnHeader, listed: &[ByteString], events: &mut Events) -> Outcome {
        for path in listed {
            // Gone already when the txn comes again (T6).
            let _ = self.delete(header.zxid, path, events);
        }
        for path in self.ephemerals(header.session) {
            let _ = self.delete(header.zxid, &path.into(), events);
        }
        self.sessions.remove(header.session);
        Outcome::Done
    }

    /// The children of `parent` changed at `path`.
    fn tell_children_changed(&self, zxid: Zxid, parent: Slot, path: &ByteString, events: &mut Events) {
        let above = path::parent(path).expect("the path has been taken apart before");
        let above = if above == "/" { ByteString::from_static("/") } else { path.slice_ref(above) };
        let acl = self.acl_for_event(parent);
        events.push((zxid, EventKind::ChildrenChanged, WatchTable::Child), above, acl);
    }

    /// The ACL that decides who may know; `None` where everybody may.
    fn acl_for_event(&self, slot: Slot) -> Option<Arc<[Acl]>> {
        let node = self.at(slot);
        (!node.is_open()).then(|| node.acl().clone())
    }
}

fn told(stat: Applied<Stat>) -> Outcome {
    stat.map_or_else(Outcome::Refused, Outcome::Stat)
}
