//! One step of a run: what is sent, and by which session.

use std::fmt;

/// The name of a run's own part of the tree, as operations are drawn; each run puts one of its own
/// in its place, of the same length, so that runs share two servers and do not meet.
pub const PREFIX: &str = "/dPREFIX";

/// Ends the session, and after its answer the connection.
const CLOSE_SESSION: i32 = -11;

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
    /// Several of the two above, in one write to the socket, before anything is read.
    Pipeline(Vec<Action>),
    /// Breaks the connection, then takes the session over.
    Reattach {
        /// With a password that is not its own; the connection is then not broken before.
        bad_password: bool,
    },
    /// Takes the session over by a second connection, while the first is open.
    Handover,
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

/// A request that is answered once.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Any number.
    pub opcode: i32,
    /// What was behind the header; empty where the run makes it.
    pub body: &'a [u8],
}

impl Action {
    fn opcode(&self) -> Option<i32> {
        match self {
            Self::Request { opcode, .. } => Some(*opcode),
            Self::SetWatches { lists, .. } => Some(if lists.len() > 3 { 105 } else { 101 }),
            Self::Oversized(_) => Some(4),
            Self::Pipeline(_) | Self::Reattach { .. } | Self::Handover => None,
        }
    }

    fn asked(&self) -> Option<Asked<'_>> {
        let body: &[u8] = if let Self::Request { body, .. } = self { body } else { &[] };
        self.opcode().map(|opcode| Asked { opcode, body })
    }
}

impl Op {
    /// The opcode of a single request.
    pub fn opcode(&self) -> Option<i32> {
        self.action.opcode()
    }

    /// What is answered, in order.
    pub fn asked(&self) -> Vec<Asked<'_>> {
        match &self.action {
            Action::Pipeline(parts) => parts.iter().filter_map(Action::asked).collect(),
            one => one.asked().into_iter().collect(),
        }
    }

    /// Whether the session's end is asked for.
    pub fn ends_session(&self) -> bool {
        self.asked().iter().any(|asked| asked.opcode == CLOSE_SESSION)
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
    // Paths stand in front; the rest of a large body is data.
    let end = bytes.len().min(1 << 16);
    let places: Vec<usize> = (0..end).filter(|&at| bytes[at..].starts_with(PREFIX.as_bytes())).collect();
    for at in places {
        bytes[at..at + prefix.len()].copy_from_slice(prefix.as_bytes());
    }
    bytes
}
