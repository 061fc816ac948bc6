//! A file becomes a tree: one thread reads and unpacks, the caller's builds.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::format::{
    BLOCK_HEADER, BlockHeader, FILE_HEADER, FOOTER, Footer, HEAD, IMAGES, MAGIC, SnapshotError, VERSION,
    decode_footer, decode_head,
};
use crate::tree::data_tree::{DataTree, TreeOptions};
use crate::tree::load::{LoadError, TreeLoader};
use crate::tree::walk::WalkHead;

/// Blocks that may wait between the two threads.
const AHEAD: usize = 4;

/// Reads a whole snapshot; `file` is its name in errors. Every block is checked, and so are the footer,
/// the number of znodes and the digest (S20, S21).
pub fn load(file: &Path, from: impl Read + Send, options: TreeOptions) -> Result<DataTree, SnapshotError> {
    thread::scope(|scope| {
        let (to, blocks) = sync_channel(AHEAD);
        let reader = Reader { file, from, offset: 0, version: 0 };
        let reading = scope.spawn(move || reader.run(&to));
        // The receiver goes with `build`, so a reader that has more to give is not kept waiting.
        let built = build(file, options, blocks);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match built {
            Built::Tree(tree) => read.map(|()| *tree),
            Built::Failed(error) => Err(error),
            // The reader knows why there were no more blocks.
            Built::NoFooter(offset) => {
                Err(read.err().unwrap_or(SnapshotError::CutShort { file: file.to_owned(), offset }))
            }
        }
    })
}

/// A block, unpacked.
struct Block {
    kind: u32,
    /// Of the file.
    version: u32,
    /// Where it begins in the file.
    offset: u64,
    raw: Vec<u8>,
}

struct Reader<'a, R> {
    file: &'a Path,
    from: R,
    offset: u64,
    version: u32,
}

impl<R: Read> Reader<'_, R> {
    /// Hands over block after block, up to the footer, and checks that nothing follows it.
    fn run(mut self, to: &SyncSender<Block>) -> Result<(), SnapshotError> {
        self.read_file_header()?;
        let mut unpacker = zstd::bulk::Decompressor::new().map_err(|error| self.io(error))?;
        loop {
            let block = self.read_block(&mut unpacker)?;
            let kind = block.kind;
            if to.send(block).is_err() {
                return Ok(()); // the builder has found a fault and tells it
            }
            if kind == FOOTER {
                return self.expect_end();
            }
        }
    }

    fn read_file_header(&mut self) -> Result<(), SnapshotError> {
        let mut header = [0; FILE_HEADER];
        self.fill(&mut header)?;
        let (body, crc) = header.split_at(12);
        if &body[..8] != MAGIC {
            return Err(self.damaged(0, "it does not begin as a snapshot does"));
        }
        if crc != crc32c::crc32c(body).to_le_bytes() {
            return Err(self.damaged(0, "the file header's checksum is wrong"));
        }
        let version = u32::from_le_bytes([body[8], body[9], body[10], body[11]]);
        if version > VERSION {
            return Err(SnapshotError::Newer { file: self.file.to_owned(), version });
        }
        self.version = version;
        Ok(())
    }

    fn read_block(
        &mut self,
        unpacker: &mut zstd::bulk::Decompressor<'static>,
    ) -> Result<Block, SnapshotError> {
        let offset = self.offset;
        let mut header = [0; BLOCK_HEADER];
        self.fill(&mut header)?;
        let header = BlockHeader::from_bytes(&header);
        let header = header.ok_or_else(|| self.damaged(offset, "a block header's checksum is wrong"))?;
        let mut packed = vec![0; header.packed_len as usize];
        self.fill(&mut packed)?;
        if crc32c::crc32c(&packed) != header.crc {
            return Err(self.damaged(offset, "a block's checksum is wrong"));
        }
        let raw = unpacker.decompress(&packed, header.raw_len as usize);
        match raw {
            Ok(raw) if raw.len() == header.raw_len as usize => {
                Ok(Block { kind: header.kind, version: self.version, offset, raw })
            }
            _ => Err(self.damaged(offset, "a block cannot be unpacked")),
        }
    }

    fn expect_end(&mut self) -> Result<(), SnapshotError> {
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged(self.offset, "something follows the footer")),
            Err(error) => Err(self.io(error)),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), SnapshotError> {
        match self.from.read_exact(buffer) {
            Ok(()) => {
                self.offset += buffer.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(SnapshotError::CutShort { file: self.file.to_owned(), offset: self.offset })
            }
            Err(error) => Err(self.io(error)),
        }
    }

    fn io(&self, error: io::Error) -> SnapshotError {
        SnapshotError::Io { file: self.file.to_owned(), error }
    }

    fn damaged(&self, offset: u64, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged { file: self.file.to_owned(), offset, what }
    }
}

enum Built {
    Tree(Box<DataTree>),
    Failed(SnapshotError),
    /// The blocks ended here.
    NoFooter(u64),
}

fn build(file: &Path, options: TreeOptions, blocks: Receiver<Block>) -> Built {
    let mut begun: Option<(TreeLoader, Footer)> = None;
    let mut last = 0;
    for Block { kind, version, offset, raw } in blocks {
        let damaged = |what| Built::Failed(SnapshotError::Damaged { file: file.to_owned(), offset, what });
        let not_a_tree = |error: LoadError| {
            Built::Failed(SnapshotError::NotATree { file: file.to_owned(), offset, error })
        };
        last = offset;
        begun = match (kind, begun) {
            (HEAD, None) => {
                let Some(head) = decode_head(version, &raw) else { return damaged("the head is malformed") };
                let (level, reads) = (head.feature_level, options.reads_level);
                if level > reads {
                    return Built::Failed(SnapshotError::Level { file: file.to_owned(), level, reads });
                }
                let footer = footer_for(&head);
                Some((TreeLoader::new(options, head), footer))
            }
            (IMAGES, Some((mut loader, footer))) => match loader.add(&raw) {
                Ok(()) => Some((loader, footer)),
                Err(error) => return not_a_tree(error),
            },
            (FOOTER, Some((mut loader, footer))) => {
                if decode_footer(&raw) != Some(footer) {
                    return damaged("the footer does not fit the head");
                }
                let job = loader.index_job();
                let finished = thread::scope(|scope| {
                    let index = scope.spawn(|| job.run());
                    loader.finish(|| index.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                });
                return match finished {
                    Ok(tree) => Built::Tree(Box::new(tree)),
                    Err(error) => not_a_tree(error),
                };
            }
            _ => return damaged("a block of an unknown kind, or out of place"),
        };
    }
    Built::NoFooter(last)
}

fn footer_for(head: &WalkHead) -> Footer {
    Footer { zxid: head.zxid, count: head.count, digest: head.digest }
}
