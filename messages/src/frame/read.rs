//! Bytes to frames, as they come from a socket.

use super::table;
use super::{Frame, HEADER, Kind, Lane, MAGIC, SPOKEN, SUMMED, checksum};
use crate::codec::CodecError;
use crate::level;

/// What came down a lane is no frame that may come there. The lane is closed: where the next frame would
/// begin is not known.
#[derive(Debug, thiserror::Error)]
#[error("the frame at byte {offset}: {fault}")]
pub struct FrameError {
    /// Bytes of the lane before the frame.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Somebody else's protocol, or another way to frame.
    #[error("it begins with {0:#04x} instead of {MAGIC:#04x}")]
    Magic(u8),
    /// A newer build's, or none.
    #[error("type {kind:#04x} in version {version} is not known here")]
    Unknown {
        /// The type's number.
        kind: u8,
        /// The version of the type.
        version: u8,
    },
    /// The sender has not heeded our hello.
    #[error("{kind:?} in version {version}, where {agreed} was agreed")]
    NotAgreed {
        /// Its type.
        kind: Kind,
        /// The version of the type.
        version: u8,
        /// The newest that may come.
        agreed: u8,
    },
    /// The first frame must say who speaks.
    #[error("{0:?} came before the hello")]
    NoHello(Kind),
    /// It was said already who speaks.
    #[error("a second hello")]
    SecondHello,
    /// A type that goes down the other lane.
    #[error("{kind:?} does not belong on the {lane} lane")]
    Lane {
        /// Its type.
        kind: Kind,
        /// The lane it came down.
        lane: Lane,
    },
    /// A learner says what only its leader may.
    #[error("{0:?} is nothing a learner says")]
    Direction(Kind),
    /// Longer than this type may be.
    #[error("{kind:?} of {length} bytes, where {limit} are allowed")]
    TooLong {
        /// Its type.
        kind: Kind,
        /// Bytes of the body, as its header says.
        length: usize,
        /// The most that is read.
        limit: usize,
    },
    /// Damaged on its way.
    #[error("{kind:?} of {length} bytes has the checksum {found:#010x}, its header says {said:#010x}")]
    Checksum {
        /// Its type.
        kind: Kind,
        /// Bytes of the body.
        length: usize,
        /// Of the bytes that came.
        found: u32,
        /// As the header has it.
        said: u32,
    },
    /// The body is not the fields of its type.
    #[error("{kind:?} of {length} bytes: {error}")]
    Body {
        /// Its type.
        kind: Kind,
        /// Bytes of the body.
        length: usize,
        /// Why not.
        error: CodecError,
    },
    /// The sender has not heeded what this version may carry (FR6).
    #[error("{kind:?} in version {version} has a txn of feature level {level}")]
    Level {
        /// Its type.
        kind: Kind,
        /// The version of the type.
        version: u8,
        /// What it has.
        level: u8,
    },
    /// The lane ended.
    #[error("cut short after {0} bytes")]
    Cut(usize),
}

/// Memory that is kept for the next frame, in bytes; what a longer one took is given back.
const KEPT: usize = 1 << 20;

/// Finds the frames in what comes down one lane: feed it bytes, and take frames until there is none.
#[derive(Debug)]
pub struct FrameReader {
    lane: Lane,
    largest_txn: usize,
    /// What was fed, from the last frame taken on; grows by what comes, never by what a length claims.
    held: Vec<u8>,
    /// Where in `held` the next frame begins.
    start: usize,
    /// Where that is in the lane.
    offset: u64,
    is_greeted: bool,
    is_broken: bool,
    /// What a leader says has no business here.
    hears_no_leader: bool,
    /// The newest version that may come (FR5).
    agreed: u8,
}

impl FrameReader {
    /// Of this lane. Batches may have 16 MiB and `largest_txn` bytes ([`crate::txn::Txn::bound`]).
    pub fn new(lane: Lane, largest_txn: usize) -> Self {
        let (held, start, offset) = (Vec::new(), 0, 0);
        Self {
            lane,
            largest_txn,
            held,
            start,
            offset,
            is_greeted: false,
            is_broken: false,
            hears_no_leader: false,
            agreed: SPOKEN.highest,
        }
    }

    /// The peer's hello is judged, and this version agreed on ([`super::speak`]): what follows is no newer.
    pub fn agree(&mut self, speaking: u8) {
        self.agreed = speaking;
    }

    /// Of a lane whose other end may be a learner, and never the leader: what only that says, which may be long, is
    /// refused by its header.
    pub fn of_a_learner(self) -> Self {
        Self { hears_no_leader: true, ..self }
    }

    /// These bytes came next. After an error they are dropped.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.compact();
            self.held.extend_from_slice(bytes);
        }
    }

    /// The next whole frame, if it has come. The first is a hello, none of whose fields is judged here; what
    /// follows belongs on this lane. After an error, the same error.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.parse(&self.held[self.start..]) {
            Ok(Some((frame, size))) => {
                self.is_greeted = true;
                self.start += size;
                self.offset += size as u64;
                Ok(Some(frame))
            }
            Ok(None) => {
                self.compact();
                Ok(None)
            }
            Err(fault) => {
                self.is_broken = true;
                Err(FrameError { offset: self.offset, fault })
            }
        }
    }

    /// The lane has ended: whether that is between two frames, all that came being taken.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.held.len() - self.start {
            0 => Ok(()),
            left => Err(FrameError { offset: self.offset, fault: Fault::Cut(left) }),
        }
    }

    /// Bytes of the lane that were taken as frames: what one took is the difference.
    pub fn taken(&self) -> u64 {
        self.offset
    }

    /// Bytes of memory it holds: at most 1 MiB, or twice what was fed and not yet taken.
    pub fn memory(&self) -> usize {
        self.held.capacity()
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.held.drain(..self.start);
            self.start = 0;
            self.held.shrink_to(KEPT.max(2 * self.held.len()));
        }
    }

    /// The frame that `held` begins with, and its size. Says what is wrong as soon as it can be known.
    fn parse(&self, held: &[u8]) -> Result<Option<(Frame, usize)>, Fault> {
        if let Some(&magic) = held.first().filter(|magic| **magic != MAGIC) {
            return Err(Fault::Magic(magic));
        }
        let Some(&[_, version, kind]) = held.first_chunk() else { return Ok(None) };
        let row = table::row(kind, version).ok_or(Fault::Unknown { kind, version })?;
        if version > self.agreed {
            return Err(Fault::NotAgreed { kind: row.kind, version, agreed: self.agreed });
        }
        self.expect(row.kind)?;
        let Some(&[_, _, _, a, b, c, d, e, f, g, h]) = held.first_chunk::<HEADER>() else { return Ok(None) };
        let (length, said) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
        let (kind, limit) = (row.kind, row.limit.bytes(self.largest_txn));
        if length > limit {
            return Err(Fault::TooLong { kind, length, limit });
        }
        let Some(body) = held.get(HEADER..HEADER + length) else { return Ok(None) };
        let found = checksum(&held[..SUMMED], body);
        if found != said {
            return Err(Fault::Checksum { kind, length, found, said });
        }
        let frame = (row.read)(body).map_err(|error| Fault::Body { kind, length, error })?;
        let readable = level::readable_in(version);
        if kind == Kind::Proposals && readable < level::KNOWN && frame.level() > readable {
            return Err(Fault::Level { kind, version, level: frame.level() });
        }
        Ok(Some((frame, HEADER + length)))
    }

    /// Whether a frame of this type may come now.
    fn expect(&self, kind: Kind) -> Result<(), Fault> {
        match (kind.lane(), self.is_greeted) {
            (None, false) => Ok(()),
            (None, true) => Err(Fault::SecondHello),
            (Some(_), false) => Err(Fault::NoHello(kind)),
            (Some(lane), true) if lane != self.lane => Err(Fault::Lane { kind, lane: self.lane }),
            (Some(_), true) if self.hears_no_leader && kind.is_a_leaders() => Err(Fault::Direction(kind)),
            (Some(_), true) => Ok(()),
        }
    }
}
