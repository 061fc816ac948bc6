//! A walk becomes a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::{
    BLOCK, BlockHeader, FOOTER, Footer, HEAD, IMAGES, SnapshotError, encode_footer, encode_head, file_header,
};
use crate::tree::shared::SharedTree;
use crate::tree::walk::{Step, Walk};

/// zstd's fastest: a snapshot is read once and must not slow down what goes on beside it.
const LEVEL: i32 = 1;
/// Slots per turn at the read guard, at most: tens of microseconds (T10).
pub const SLOTS_PER_STEP: u32 = 256;

/// Writes what `walk` yields of `tree` to `to`, which is called `file` in errors. The caller syncs it and
/// gives it its name; only then is it a snapshot.
pub fn write(
    walk: Walk,
    tree: &SharedTree,
    file: &Path,
    to: &mut dyn Write,
) -> Result<Footer, SnapshotError> {
    let mut writer = SnapshotWriter::begin(walk, file, to)?;
    loop {
        if let Some(footer) = writer.step(tree, to)? {
            return Ok(footer);
        }
    }
}

/// A snapshot being written, one short hold of the tree's read guard at a time.
pub struct SnapshotWriter {
    walk: Walk,
    file: PathBuf,
    blocks: Blocks,
    raw: Vec<u8>,
}

impl SnapshotWriter {
    /// Writes what goes before the znodes. `file` is what `to` is called in errors.
    pub fn begin(walk: Walk, file: &Path, to: &mut dyn Write) -> Result<Self, SnapshotError> {
        let io = |error| SnapshotError::Io { file: file.to_owned(), error };
        let mut blocks = Blocks { packer: packer().map_err(io)?, packed: Vec::new() };
        to.write_all(&file_header(walk.head().feature_level)).map_err(io)?;
        let mut raw = Vec::new();
        encode_head(walk.head(), &mut raw);
        blocks.put(HEAD, &mut raw, to).map_err(io)?;
        Ok(Self { walk, file: file.to_owned(), blocks, raw })
    }

    /// Visits some more of `tree`. The footer once all is written; then this is over, as after an error.
    pub fn step(&mut self, tree: &SharedTree, to: &mut dyn Write) -> Result<Option<Footer>, SnapshotError> {
        let step = self.walk.step(&tree.read(), SLOTS_PER_STEP, &mut self.raw);
        if step == Step::Abandoned {
            return Err(SnapshotError::Abandoned);
        }
        self.walk.take_handed(&mut self.raw); // not under the guard
        self.write_step(step == Step::Done, to)
            .map_err(|error| SnapshotError::Io { file: self.file.clone(), error })
    }

    fn write_step(&mut self, done: bool, to: &mut dyn Write) -> io::Result<Option<Footer>> {
        if self.raw.len() >= BLOCK || (done && !self.raw.is_empty()) {
            self.blocks.put(IMAGES, &mut self.raw, to)?;
        }
        if !done {
            return Ok(None);
        }
        let head = self.walk.head();
        let footer = Footer { zxid: head.zxid, count: head.count, digest: head.digest };
        encode_footer(&footer, &mut self.raw);
        self.blocks.put(FOOTER, &mut self.raw, to)?;
        Ok(Some(footer))
    }
}

fn packer() -> io::Result<zstd::bulk::Compressor<'static>> {
    zstd::bulk::Compressor::new(LEVEL)
}

struct Blocks {
    packer: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Blocks {
    /// Writes `raw` as one block and empties it.
    fn put(&mut self, kind: u32, raw: &mut Vec<u8>, to: &mut dyn Write) -> io::Result<()> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.packer.compress_to_buffer(raw.as_slice(), &mut self.packed)?;
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_large());
        let (raw_len, packed_len) = (len(raw)?, len(&self.packed)?);
        if raw_len.max(packed_len) > super::format::BLOCK_LIMIT {
            return Err(too_large());
        }
        let header = BlockHeader { kind, raw_len, packed_len, crc: crc32c::crc32c(&self.packed) };
        to.write_all(&header.to_bytes())?;
        to.write_all(&self.packed)?;
        raw.clear();
        Ok(())
    }
}

fn too_large() -> io::Error {
    io::Error::other("a block of more than 1 GiB: lower jute.maxbuffer, or the number of sessions")
}
