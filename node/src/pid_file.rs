//! A file that tells scripts which process this node is, as `zkServer.sh start` writes it.
//!
//! The lock of the data directory says who may run; this file says nothing about that. So one that an earlier
//! process left behind is replaced, with a line in the log if the process it names runs.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longer than any process id with a line's end.
const LONGEST: u64 = 32;

/// A pid file of this process. Dropped, it is deleted, unless another has been put in its place by then.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// The device and the inode that were written.
    written: (u64, u64),
}

impl PidFile {
    /// Writes this process's id, whole or not at all, in the place of an earlier process's.
    ///
    /// # Errors
    /// The system refuses, or there is something else in the file than a process id: nothing was changed then.
    pub(crate) fn write(path: &Path) -> io::Result<Self> {
        let own = std::process::id();
        match found(path)? {
            // In a container every server may have this number.
            Some(text) if text.is_empty() || text == own.to_string() => {}
            Some(text) => match text.parse::<u32>() {
                Ok(pid) if Path::new(&format!("/proc/{pid}")).exists() => tracing::warn!(
                    file = %path.display(), pid,
                    "this pid file is replaced, though the process that it names runs: if that is another server, give \
                     each a file of its own; if not, its number is one of before that was given to somebody else"
                ),
                Ok(pid) => {
                    tracing::info!(file = %path.display(), pid, "the pid file of a process that has ended is replaced");
                }
                Err(_) => {
                    let why = "there is something else in it than a process id, and nothing was changed";
                    return Err(io::Error::other(why));
                }
            },
            None => {}
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{own}.tmp"));
        let written = fs::write(&unfinished, format!("{own}\n")).and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished); // if it could be made at all
        }
        written.and_then(|()| Ok(Self { path: path.to_owned(), written: inode(path)? }))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let file = self.path.display();
        let is_ours = |text: &str| text == std::process::id().to_string();
        match (inode(&self.path), found(&self.path)) {
            (Ok(it), Ok(Some(text))) if it == self.written && is_ours(&text) => {
                if let Err(error) = fs::remove_file(&self.path) {
                    tracing::warn!(%file, "the pid file cannot be deleted: {error}; delete it");
                }
            }
            _ => tracing::warn!(%file, "the pid file is not this process's any more, and is left as it is"),
        }
    }
}

/// Which file it is: processes of two containers may have one number.
fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|known| (known.dev(), known.ino()))
}

/// The beginning of the file, without white space around; `None` if there is none.
fn found(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(known) if known.is_file() => {}
        Ok(_) => return Err(io::Error::other("it is no regular file, and nothing was changed")), // /dev/null, for one
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_this_process_while_it_is_held_and_replaces_only_a_pid_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("paddock.pid");
        let own = format!("{}\n", std::process::id());
        for before in [None, Some(""), Some("4294967295"), Some("1\n"), Some(own.as_str())] {
            if let Some(text) = before {
                fs::write(&path, text).unwrap();
            }
            let held = PidFile::write(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), own, "after {before:?}");
            drop(held);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "after {before:?}");
        }
        let config = "tickTime=2000\ndataDir=/var/lib/paddock\n";
        fs::write(&path, config).unwrap();
        let error = PidFile::write(&path).unwrap_err().to_string();
        assert!(error.contains("something else in it than a process id"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), config);
        let device = dir.path().join("device");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        let error = PidFile::write(&device).unwrap_err().to_string();
        assert!(error.contains("no regular file") && device.is_symlink(), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn another_process_s_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("paddock.pid");
        let held = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }
}
