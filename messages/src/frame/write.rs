//! Frames to bytes.

use bytes::Bytes;

use super::table::{self, Row};
use super::{Frame, HEADER, Kind, MAGIC, SUMMED, checksum};
use crate::codec::CodecError;
use crate::level;

/// Why a frame was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The peer would close the lane: whoever made it should have made two.
    #[error("{kind:?} of {length} bytes is more than the {limit} of a frame")]
    TooLong {
        /// Of which type.
        kind: Kind,
        /// Bytes of its body.
        length: usize,
        /// The most that is read.
        limit: usize,
    },
    /// This build has no such type in so old a version.
    #[error("{kind:?} cannot be said in version {speaking}")]
    Version {
        /// Of which type.
        kind: Kind,
        /// What was agreed with the peer.
        speaking: u8,
    },
    /// The peer's build cannot read it (FR6).
    #[error("{kind:?} with a txn of feature level {level} cannot be said in version {speaking}")]
    Level {
        /// Of which type.
        kind: Kind,
        /// What it takes.
        level: u8,
        /// What was agreed with the peer.
        speaking: u8,
    },
    /// It has a part that serde cannot write.
    #[error("{kind:?}: {error}")]
    Body {
        /// Of which type.
        kind: Kind,
        /// Which part.
        error: CodecError,
    },
}

/// Writes the frames of one lane, or of all that agreed on the same.
#[derive(Clone, Copy, Debug)]
pub struct FrameWriter {
    speaking: u8,
    largest_txn: usize,
}

impl FrameWriter {
    /// For a peer with which version `speaking` was agreed ([`super::speak`]); before its hello came, the
    /// lowest of [`super::SPOKEN`]. `largest_txn` in bytes, as the peer's [`super::FrameReader`] has it.
    pub fn new(speaking: u8, largest_txn: usize) -> Self {
        Self { speaking, largest_txn }
    }

    /// Appends the frame to `to`, which is meant to be used again and again. After an error `to` is as it was.
    pub fn write(&self, frame: &Frame, to: &mut Vec<u8>) -> Result<(), WriteError> {
        self.append(self.row(frame)?, frame, to)
    }

    fn row(&self, frame: &Frame) -> Result<&'static Row, WriteError> {
        let (kind, speaking) =
            (frame.kind(), if matches!(frame, Frame::Hello(_)) { 1 } else { self.speaking });
        let row = table::row_to_speak(kind, speaking).ok_or(WriteError::Version { kind, speaking })?;
        let readable = level::readable_in(speaking);
        if readable < level::KNOWN {
            let level = frame.level(); // looked at for peers of older builds alone
            if level > readable {
                return Err(WriteError::Level { kind, level, speaking });
            }
        }
        Ok(row)
    }

    fn append(&self, row: &Row, frame: &Frame, to: &mut Vec<u8>) -> Result<(), WriteError> {
        let at = to.len();
        to.extend_from_slice(&[0; HEADER]);
        let written = (row.write)(frame, to).map_err(|error| WriteError::Body { kind: row.kind, error });
        let written = written.and_then(|()| self.seal(row, &mut to[at..]));
        if written.is_err() {
            to.truncate(at);
        }
        written
    }

    /// Fills in the header, now that the body is known.
    fn seal(&self, row: &Row, frame: &mut [u8]) -> Result<(), WriteError> {
        let (head, body) = frame.split_at_mut(HEADER);
        let (kind, length, limit) = (row.kind, body.len(), row.limit.bytes(self.largest_txn));
        let too_long = WriteError::TooLong { kind, length, limit };
        let length = u32::try_from(length).ok().filter(|_| length <= limit).ok_or(too_long)?;
        head[..3].copy_from_slice(&[MAGIC, row.version, row.kind as u8]);
        head[3..SUMMED].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&head[..SUMMED], body);
        head[SUMMED..].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

/// One frame for many peers, as a batch of proposals is: encoded once for each version that is asked for,
/// whatever the number of peers. Nothing in a frame says for whom it is.
#[derive(Debug)]
pub struct SharedFrame {
    frame: Frame,
    /// By version of its type.
    written: Vec<(u8, Bytes)>,
}

impl SharedFrame {
    /// Nothing is encoded yet.
    pub fn new(frame: Frame) -> Self {
        Self { frame, written: Vec::new() }
    }

    /// What `writer` would append; the same memory each time.
    pub fn bytes(&mut self, writer: &FrameWriter) -> Result<Bytes, WriteError> {
        let row = writer.row(&self.frame)?;
        if let Some((_, bytes)) = self.written.iter().find(|(version, _)| *version == row.version) {
            return Ok(bytes.clone());
        }
        let mut bytes = Vec::new();
        writer.append(row, &self.frame, &mut bytes)?;
        let bytes = Bytes::from(bytes);
        self.written.push((row.version, bytes.clone()));
        Ok(bytes)
    }
}
