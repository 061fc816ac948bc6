//! What one client does in a round: its script, down one connection, until the connection breaks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytestring::ByteString;
use paddock_integration::raw_client::{ClientError, RawClient, Reply, Session};
use paddock_messages::wire::Wire;
use paddock_messages::znode::{CreateMode, Stat};

use crate::witness::{Child, Kind, Script, Violation, count, kind, prefix};

/// Operations a client keeps in flight.
const WINDOW: usize = 48;

/// A client that lives through all rounds, and its session with it.
pub(crate) struct Client {
    pub(crate) id: usize,
    pub(crate) session: Session,
    pub(crate) last_zxid: i64,
}

impl Client {
    /// The znode that only this client changes.
    pub(crate) fn own_path(&self) -> String {
        format!("/own-{}", self.id)
    }

    /// The ephemeral that its session owns.
    pub(crate) fn ephemeral_path(&self) -> String {
        format!("/ephemeral-{}", self.id)
    }

    /// Takes the session over on a new connection, as this client would after a crash.
    pub(crate) fn reattach(&self, to: SocketAddr) -> Result<RawClient, ClientError> {
        RawClient::reattach(to, &self.session, self.last_zxid)
    }
}

/// A script being run.
pub(crate) struct Load<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) round: u64,
    /// The version of the client's own znode before the script.
    pub(crate) own_version: i32,
    /// Acknowledgements of all clients in this round.
    pub(crate) acks: &'a AtomicU64,
}

impl Load<'_> {
    /// Sends operations until the connection breaks, at most `most`. A reply that does not fit is a
    /// violation.
    pub(crate) fn run(self, mut connection: RawClient, most: u64) -> Result<Script, Violation> {
        let mut script = Script::default();
        let broken = loop {
            if let Err(error) = self.step(&mut connection, &mut script, most) {
                break error;
            }
            if script.acked == most {
                break ClientError::Io(std::io::ErrorKind::Interrupted.into());
            }
        };
        self.client.last_zxid = self.client.last_zxid.max(connection.last_zxid());
        let i = script.acked;
        match broken {
            error if error.is_disconnect() => Ok(script),
            error => Err(Violation::Broken(format!("client {} operation {i}: {error}", self.client.id))),
        }
    }

    /// Fills the window, then takes replies until half of it is free.
    fn step(&self, connection: &mut RawClient, script: &mut Script, most: u64) -> Result<(), ClientError> {
        while connection.in_flight() < WINDOW && script.sent < most {
            self.queue(connection, script.sent);
            script.sent += 1;
        }
        connection.flush()?;
        while connection.in_flight() > WINDOW / 2 || (script.sent == most && connection.in_flight() > 0) {
            self.take(connection.reply()?, script)?;
            self.acks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn queue(&self, connection: &mut RawClient, i: u64) {
        let data = format!("{}.{i}", self.round);
        match kind(i) {
            Kind::Own => {
                let version = self.own_version + count(Kind::Own, i) as i32;
                connection.queue_set(&self.client.own_path(), data.as_bytes(), version);
            }
            Kind::Sequential => {
                let path = format!("/sequence/{}", prefix(self.client.id, self.round, i));
                connection.queue_create(&path, data.as_bytes(), CreateMode::PersistentSequential);
            }
            Kind::Shared => connection.queue_set("/shared", data.as_bytes(), -1),
        }
    }

    /// Notes an acknowledgement; one that does not say what it must is an error.
    fn take(&self, reply: Reply, script: &mut Script) -> Result<(), ClientError> {
        let i = script.acked;
        let zxid = reply.header.zxid;
        let mut body = reply.ok()?;
        assert!(zxid > self.client.last_zxid, "zxid {zxid:#x} after {:#x}", self.client.last_zxid);
        match kind(i) {
            Kind::Own => {
                let version = Stat::read(&mut body)?.version;
                let expected = self.own_version + count(Kind::Own, i) as i32 + 1;
                assert_eq!(version, expected, "client {} operation {i}", self.client.id);
            }
            Kind::Sequential => {
                let path = ByteString::read(&mut body)?;
                let child = path.strip_prefix("/sequence/").and_then(Child::parse);
                let child = child.unwrap_or_else(|| panic!("{path} is no sequential child"));
                assert_eq!((child.client, child.round, child.i), (self.client.id, self.round, i));
                script.numbers.insert(i, child.number);
            }
            Kind::Shared => {}
        }
        script.acked += 1;
        Ok(())
    }
}
