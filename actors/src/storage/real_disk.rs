//! [`Disk`] on a directory of the file system.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, fdatasync, flock, fsync, statvfs};

use super::disk::{Disk, DiskFile};

const LOCK_FILE: &str = "lock";

/// A directory on a local file system. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RealDisk {
    directory: Arc<Path>,
}

impl RealDisk {
    /// The directory, made with its parents if it is not there (and then synced into its parent).
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory: PathBuf = directory.into();
        if !directory.is_dir() {
            std::fs::create_dir_all(&directory)?;
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                fsync(File::open(parent)?)?;
            }
        }
        Ok(Self { directory: directory.into() })
    }
}

impl Disk for RealDisk {
    type File = RealFile;
    type Lock = File;

    /// An advisory lock on the file `lock`: the kernel frees it with the process, however that ends.
    fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path(LOCK_FILE))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            names.extend(entry?.file_name().into_string().ok()); // none of ours is not UTF-8
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        Ok(RealFile(OpenOptions::new().read(true).write(true).open(self.path(name))?))
    }

    fn create(&self, name: &str) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        Ok(RealFile(options.read(true).write(true).create(true).truncate(true).open(self.path(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(fsync(File::open(&self.directory)?)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = statvfs(&*self.directory)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// An open file of a [`RealDisk`].
#[derive(Debug)]
pub struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(fdatasync(&self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_that_the_directory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(directory.path().join("made/for/us")).unwrap();
        let held = disk.lock().unwrap();
        assert_eq!(disk.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock().unwrap();
    }

    #[test]
    fn files_read_write_replace_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(directory.path()).unwrap();
        disk.replace("a", b"old").unwrap();
        let old = disk.open("a").unwrap();
        disk.replace("a", b"newer").unwrap();
        assert_eq!(disk.list().unwrap(), ["a"]);
        let mut bytes = [0; 8];
        assert_eq!(old.read_at(&mut bytes, 0).unwrap(), 3, "an open file outlives its name");
        let file = disk.open("a").unwrap();
        assert_eq!(file.read_at(&mut bytes, 1).unwrap(), 4);
        file.zero_fill(2, 100_000).unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        disk.remove("a").unwrap();
        assert!(disk.open("a").is_err() && disk.free_bytes().unwrap() > 0);
    }
}
