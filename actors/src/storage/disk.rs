//! The seam below storage: a flat directory of files, or two (see `pair.rs`). [`RealDisk`](super::RealDisk) is the file
//! system, [`MemoryDisk`](super::MemoryDisk) one that loses, tears and fails by seed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A directory, or a log's and a snapshots' that look like one. Names are plain file names. What is not synced may be lost by a crash, in any part:
/// a file's bytes until [`DiskFile::sync_data`], a name (created, renamed, removed) until
/// [`Disk::sync_dir`].
pub trait Disk: Clone + Send + 'static {
    /// An open file; it stays readable when its name is removed.
    type File: DiskFile;
    /// Held for as long as this process may write here; released when dropped.
    type Lock: Send + 'static;

    /// Claims the directory for this process. `WouldBlock` when another holds it; with which one it is.
    fn lock(&self) -> Result<Self::Lock, (PathBuf, io::Error)>;
    /// Whether snapshots lie in a directory of their own.
    fn is_split(&self) -> bool {
        false
    }
    /// A file of ours that lies in the wrong one of two directories.
    fn misplaced(&self) -> io::Result<Option<PathBuf>> {
        Ok(None)
    }
    /// The names in it, directories included, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    /// An existing file, to read and write.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// An empty file of this name, whether there was one or not.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Gives `from` the name `to`, which then means no other file, at no instant none.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes the name.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes every name in the directory where `name` belongs, as it is now, survive a crash.
    fn sync_dir(&self, name: &str) -> io::Result<()>;
    /// Bytes that the log can still take; a hint, others write too.
    fn free_bytes(&self) -> io::Result<u64>;
    /// How a message to an operator names the file.
    fn path(&self, name: &str) -> PathBuf;

    /// Puts `content` in place of the file `name`, all or nothing, and durable on return.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), ReplaceError> {
        let tmp = format!("{name}.tmp");
        let before = || -> io::Result<()> {
            let file = self.create(&tmp)?;
            file.write_at(content, 0)?;
            file.sync_data()?;
            self.rename(&tmp, name)
        };
        if let Err(error) = before() {
            let _ = self.remove(&tmp); // gives the space back; a leftover is overwritten next time
            return Err(ReplaceError { error, replaced: false });
        }
        self.sync_dir(name).map_err(|error| ReplaceError { error, replaced: true })
    }
}

/// A replacement that failed.
#[derive(Debug)]
pub struct ReplaceError {
    /// What the disk said.
    pub error: io::Error,
    /// Whether the new file may be in place: then nobody knows which one a crash leaves.
    pub replaced: bool,
}

/// An open file. Errors are the operating system's; `StorageFull` is a full disk.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buf` from `offset` on; less only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`, growing the file if need be. Not durable yet.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written survive a crash. After an error nobody knows what did, and asking
    /// again proves nothing: the kernel may have dropped the pages.
    fn sync_data(&self) -> io::Result<()>;

    /// Whether there is not a byte in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes zeros to `from..to`: real blocks, so that a later write there needs no new ones.
    fn zero_fill(&self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let part = (to - at).min(ZEROS.len() as u64);
            self.write_at(&ZEROS[..part as usize], at)?;
            at += part;
        }
        Ok(())
    }
}

/// One that many read.
impl DiskFile for Arc<dyn DiskFile> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (**self).write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        (**self).sync_data()
    }
}

/// Whether this is a full disk (or quota), which space can mend, and not a broken one.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
