//! [`Disk`] on a directory of the file system.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, fdatasync, flock, fsync, statvfs};

use super::disk::{Disk, DiskFile};
use super::history::{HISTORY_FILE, segment_number};
use super::pair::{JAVA_DATA, lies_with_snapshots};

const LOCK_FILE: &str = "lock";

/// A directory on a local file system, or two: the log's and the snapshots'. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RealDisk {
    log: Arc<Path>,
    /// The same, unless they are two.
    snapshots: Arc<Path>,
}

/// Makes a directory with its parents if it is not there (and then syncs it into its parent).
fn make(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        std::fs::create_dir_all(directory)?;
        if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fsync(File::open(parent)?)?;
        }
    }
    Ok(())
}

fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok()); // none of ours is not UTF-8
    }
    Ok(names)
}

impl RealDisk {
    /// The directory, made if it is not there.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory: Arc<Path> = directory.into().into();
        make(&directory)?;
        Ok(Self { log: directory.clone(), snapshots: directory })
    }

    /// The log in one directory, the snapshots in another; two names of one directory are one. Both are
    /// made if they are not there. Errors name the directory.
    pub fn split(
        log: impl Into<PathBuf>,
        snapshots: impl Into<PathBuf>,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let (log, snapshots) = (log.into(), snapshots.into());
        for directory in [&log, &snapshots] {
            make(directory).map_err(|error| (directory.clone(), error))?;
        }
        let real = |path: &PathBuf| path.canonicalize().map_err(|error| (path.clone(), error));
        if real(&log)? == real(&snapshots)? {
            return Ok(Self { log: log.clone().into(), snapshots: log.into() });
        }
        Ok(Self { log: log.into(), snapshots: snapshots.into() })
    }

    fn directory(&self, name: &str) -> &Path {
        let is_javas = name == JAVA_DATA && !self.log.join(name).exists();
        if lies_with_snapshots(name) || is_javas { &self.snapshots } else { &self.log }
    }
}

impl Disk for RealDisk {
    type File = RealFile;
    type Lock = [Option<File>; 2];

    /// An advisory lock on the file `lock` of each: the kernel frees it with the process, however that ends.
    fn lock(&self) -> Result<Self::Lock, (PathBuf, io::Error)> {
        let take = |directory: &Path| -> io::Result<File> {
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).write(true).open(directory.join(LOCK_FILE))?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        };
        let take = |directory: &Path| take(directory).map_err(|error| (directory.to_owned(), error));
        let second = self.is_split().then(|| take(&self.snapshots));
        Ok([Some(take(&self.log)?), second.transpose()?])
    }

    fn is_split(&self) -> bool {
        self.log != self.snapshots
    }

    fn misplaced(&self) -> io::Result<Option<PathBuf>> {
        if !self.is_split() {
            return Ok(None);
        }
        let is_log = |name: &String| name == HISTORY_FILE || segment_number(name).is_some();
        let among_snapshots = names_in(&self.snapshots)?.into_iter().find(is_log);
        let among_log = names_in(&self.log)?.into_iter().find(|name| lies_with_snapshots(name));
        let among_snapshots = among_snapshots.map(|name| self.snapshots.join(name));
        Ok(among_snapshots.or(among_log.map(|name| self.log.join(name))))
    }

    /// Of two directories, the log's whole content and of the other what belongs there.
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = names_in(&self.log)?;
        if self.is_split() {
            let belongs = |name: &String| lies_with_snapshots(name) || name == JAVA_DATA;
            names.extend(names_in(&self.snapshots)?.into_iter().filter(belongs));
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

    fn sync_dir(&self, name: &str) -> io::Result<()> {
        Ok(fsync(File::open(self.directory(name))?)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = statvfs(&*self.log)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory(name).join(name)
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
        assert_eq!(disk.lock().unwrap_err().1.kind(), io::ErrorKind::WouldBlock);
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
