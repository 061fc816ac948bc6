//! The operations by name, each a call that waits or a request that is queued.

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::client::ops::{Create, PathOnly, PathVersion, PathWatch, SetData, SetWatches};
use paddock_messages::client::{OpCode, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{Acl, AclEntry, CreateMode, Stat};

use super::{ClientError, RawClient};

impl RawClient {
    /// Queues a create with the open ACL.
    pub fn queue_create(&mut self, path: &str, data: &[u8], mode: CreateMode) {
        self.queue(OpCode::Create, &create_record(path, data, mode));
    }

    /// Queues a setData.
    pub fn queue_set(&mut self, path: &str, data: &[u8], version: i32) {
        self.queue(OpCode::SetData, &set_record(path, data, version));
    }

    /// Queues a delete.
    pub fn queue_delete(&mut self, path: &str, version: i32) {
        self.queue(OpCode::Delete, &PathVersion { path: path.into(), version });
    }

    /// Creates a znode with the open ACL; returns its path, which has a number if `mode` asks for one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] and those of [`Self::reply`], here and in all below.
    pub fn create(&mut self, path: &str, data: &[u8], mode: CreateMode) -> Result<String, ClientError> {
        let mut body = self.call(OpCode::Create, &create_record(path, data, mode))?.ok()?;
        Ok(ByteString::read(&mut body)?.to_string())
    }

    /// Replaces the data if it has this `version`, or any for -1.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, ClientError> {
        let mut body = self.call(OpCode::SetData, &set_record(path, data, version))?.ok()?;
        Ok(Stat::read(&mut body)?)
    }

    /// Data (null reads as empty) and stat.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn get(&mut self, path: &str) -> Result<(Bytes, Stat), ClientError> {
        let mut body = self.call(OpCode::GetData, &watch_record(path, false))?.ok()?;
        let data = Option::<Bytes>::read(&mut body)?.unwrap_or_default();
        Ok((data, Stat::read(&mut body)?))
    }

    /// The stat, or `None` if there is no such znode.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn exists(&mut self, path: &str) -> Result<Option<Stat>, ClientError> {
        match self.call(OpCode::Exists, &watch_record(path, false))?.ok() {
            Ok(mut body) => Ok(Some(Stat::read(&mut body)?)),
            Err(ClientError::Refused(ErrorCode::NoNode)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names of the children, in the server's order.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn children(&mut self, path: &str) -> Result<Vec<String>, ClientError> {
        let mut body = self.call(OpCode::GetChildren, &watch_record(path, false))?.ok()?;
        Ok(Vec::<ByteString>::read(&mut body)?.into_iter().map(|name| name.to_string()).collect())
    }

    /// Deletes a znode that has this `version`, or any for -1.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn delete(&mut self, path: &str, version: i32) -> Result<(), ClientError> {
        self.call(OpCode::Delete, &PathVersion { path: path.into(), version })?.ok().map(drop)
    }

    /// Waits until this server has caught up with the leader.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn sync(&mut self, path: &str) -> Result<(), ClientError> {
        self.call(OpCode::Sync, &PathOnly { path: path.into() })?.ok().map(drop)
    }

    /// Pings.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn ping(&mut self) -> Result<(), ClientError> {
        self.queue_raw(xid::PING, OpCode::Ping as i32, |_| {});
        self.flush()?;
        self.reply()?.ok().map(drop)
    }

    /// Registers the watches that the client had before it reconnected; events of what it has missed meanwhile
    /// are among [`Self::events`] then.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn set_watches(&mut self, watches: &SetWatches) -> Result<(), ClientError> {
        self.queue_raw(xid::SET_WATCHES, OpCode::SetWatches as i32, |to| watches.write(to));
        self.flush()?;
        self.reply()?.ok().map(drop)
    }

    /// Closes the session, and with it all its ephemerals.
    ///
    /// # Errors
    /// See [`Self::create`].
    pub fn close(mut self) -> Result<(), ClientError> {
        let xid = self.next_xid;
        self.queue_raw(xid, OpCode::CloseSession as i32, |_| {});
        self.flush()?;
        self.reply()?.ok().map(drop)
    }
}

fn create_record(path: &str, data: &[u8], mode: CreateMode) -> Create {
    let acl = Acl::open().iter().map(AclEntry::from).collect();
    let data = Some(Bytes::copy_from_slice(data));
    Create { path: path.into(), data, acl: Some(acl), flags: mode as i32 }
}

fn set_record(path: &str, data: &[u8], version: i32) -> SetData {
    SetData { path: path.into(), data: Some(Bytes::copy_from_slice(data)), version }
}

fn watch_record(path: &str, watch: bool) -> PathWatch {
    PathWatch { path: path.into(), watch }
}
