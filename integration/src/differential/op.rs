//! One step of a run: what is sent, and by which session.

use std::fmt;

/// The name of a run's own part of the tree, as operations are drawn; each run puts one of its own
/// in its place, of the same length, so that runs share two servers and do not meet.
pub const PREFIX: &str = "/dPREFIX";

/// What one step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A request: its xid if it is not the next one, opcode and the bytes after the header.
    Request {
        /// A special xid; `None` takes the next.
        xid: Option<i32>,
        /// Any number.
        opcode: i32,
        /// Holds [`PREFIX`] where paths are.
        body: Vec<u8>,
    },
    /// setWatches or setWatches2, as after a reconnect.
    SetWatches {
        /// How many replies ago the zxid was seen that the server is told; `None` says 0.
        back: Option<usize>,
        /// Path lists: data, exist, child; persistent, recursive for setWatches2.
        lists: Vec<Vec<String>>,
    },
    /// Breaks the connection, then takes the session over.
    Reattach {
        /// With a password that is not its own.
        bad_password: bool,
    },
    /// A frame of this length, header and path of a getData in front, zeros behind.
    Oversized(usize),
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// 0 or 1.
    pub session: usize,
    /// What it does.
    pub action: Action,
    /// What it does, for a reader.
    pub text: String,
}

impl Op {
    /// The opcode of a request.
    pub fn opcode(&self) -> Option<i32> {
        match &self.action {
            Action::Request { opcode, .. } => Some(*opcode),
            Action::SetWatches { lists, .. } => Some(if lists.len() > 3 { 105 } else { 101 }),
            Action::Oversized(_) => Some(4),
            Action::Reattach { .. } => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", ["A", "B"][self.session], self.text)
    }
}

/// `bytes` with the run's own name in place of [`PREFIX`].
pub fn with_prefix(bytes: &[u8], prefix: &str) -> Vec<u8> {
    assert_eq!(prefix.len(), PREFIX.len(), "lengths inside the body would be wrong");
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(PREFIX.as_bytes())).collect();
    for at in places {
        bytes[at..at + prefix.len()].copy_from_slice(prefix.as_bytes());
    }
    bytes
}
