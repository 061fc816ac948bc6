//! What an operator can ask about connections: the lines of `cons` and `stat`.

use std::net::SocketAddr;

use paddock_messages::client::OpCode;
use paddock_messages::ids::{ConnId, SessionId};
use paddock_messages::zxid::Zxid;

use super::connections::Connection;
use super::core::ArbiterCore;

/// Latencies in ms: from a request's arrival to its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The shortest; 0 if there was none.
    pub min_ms: u64,
    /// The longest.
    pub max_ms: u64,
    /// Of all of them.
    pub sum_ms: u64,
    /// How many there were.
    pub count: u64,
}

impl Latency {
    /// One more.
    pub fn add(&mut self, ms: u64) {
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.sum_ms += ms;
        self.count += 1;
    }

    /// Those of another arbiter as well.
    pub fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            self.min_ms = if self.count == 0 { other.min_ms } else { self.min_ms.min(other.min_ms) };
            self.max_ms = self.max_ms.max(other.max_ms);
            self.sum_ms += other.sum_ms;
            self.count += other.count;
        }
    }

    /// Their mean in ms.
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ms as f64 / self.count as f64 }
    }
}

/// Packets and latencies of all connections of one arbiter since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets received.
    pub received: u64,
    /// Packets sent, watch events included.
    pub sent: u64,
    /// Of the requests answered.
    pub latency: Latency,
}

/// One connection's counts. Source: compat ops, "Connection line".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets received.
    pub received: u64,
    /// Packets sent, watch events included.
    pub sent: u64,
    /// Latencies; the last one in ms is `last_latency_ms`.
    pub latency: Latency,
    /// Of the last answer, in ms.
    pub last_latency_ms: u64,
    /// When the last answer was given, in ms of the monotonic clock.
    pub last_response_ms: u64,
    /// The opcode answered last.
    pub last_op: Option<i32>,
    /// The xid of the request answered last.
    pub last_cxid: i32,
    /// The zxid that the last answer carried.
    pub last_zxid: Zxid,
}

/// Everything about one connection.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Which.
    pub conn: ConnId,
    /// From where.
    pub peer: SocketAddr,
    /// Its session, once it has one.
    pub session: Option<SessionId>,
    /// Granted, in ms.
    pub timeout_ms: i32,
    /// When it was accepted, in ms of the monotonic clock.
    pub established_ms: u64,
    /// Requests in flight.
    pub queued: usize,
    /// Whether it is being read.
    pub reading: bool,
    /// Whether it has something to be sent.
    pub writing: bool,
    /// Counts.
    pub stats: Stats,
}

/// What `cons` calls an opcode (`lop`); `NA` before the first.
pub fn short_name(opcode: Option<i32>) -> &'static str {
    use OpCode as O;
    /// What `cons` calls the handshake.
    const CREATE_SESSION: i32 = -10;
    let Some(code) = opcode else { return "NA" };
    if code == CREATE_SESSION {
        return "SESS";
    }
    match OpCode::from_code(code) {
        Some(O::Ping) => "PING",
        Some(O::Multi) => "MULT",
        Some(O::MultiRead) => "MLTR",
        Some(O::Create | O::Create2 | O::CreateContainer | O::CreateTtl) => "CREA",
        Some(O::Delete) => "DELE",
        Some(O::SetData) => "SETD",
        Some(O::Reconfig) => "RECO",
        Some(O::SetAcl) => "SETA",
        Some(O::CloseSession) => "CLOS",
        Some(O::Sync) => "SYNC",
        Some(O::Exists) => "EXIS",
        Some(O::GetData) => "GETD",
        Some(O::SetWatches) => "SETW",
        Some(O::SetWatches2) => "STW2",
        Some(O::AddWatch) => "ADDW",
        Some(O::GetAcl) => "GETA",
        Some(O::GetChildren | O::GetChildren2) => "GETC",
        Some(O::GetAllChildrenNumber) => "GETACN",
        Some(O::CheckWatches) => "CHKW",
        Some(O::RemoveWatches) => "REMW",
        Some(O::WhoAmI) => "HOMI",
        Some(O::GetEphemerals) => "GETE",
        Some(O::Auth | O::Sasl) | None => "NA",
    }
}

impl ArbiterCore {
    /// `srst`: forgets the totals.
    pub fn reset_totals(&mut self) {
        self.totals = Totals::default();
    }

    /// `crst`: forgets the counts of every connection.
    pub fn reset_connections(&mut self) {
        for slot in 0..self.conns.slots() {
            if let Some((_, connection)) = self.conns.in_slot(slot) {
                connection.stats = Stats::default();
            }
        }
    }

    /// Every connection, for operators.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> + '_ {
        self.conns.iter().map(|(conn, it)| self.info(conn, it))
    }

    /// One connection, for operators.
    pub fn connection(&self, conn: ConnId) -> Option<ConnectionInfo> {
        self.conns.get(conn).map(|it| self.info(conn, it))
    }

    fn info(&self, conn: ConnId, it: &Connection) -> ConnectionInfo {
        ConnectionInfo {
            conn,
            peer: it.peer,
            session: (it.session != SessionId::NONE).then_some(it.session),
            timeout_ms: it.timeout_ms,
            established_ms: it.accepted_ms,
            queued: it.pipeline.len(),
            reading: self.wants_read(conn),
            writing: !it.outbox.unsent().is_empty(),
            stats: it.stats,
        }
    }
}
