//! `<dataDir>/admin.sock`: where the owner of the data directory speaks with the member that runs on it.
//!
//! - AD8  Nobody but the socket's owner (and root) may connect to it, at no moment; a socket that a dead process left behind
//!   is replaced, and nothing else ever is.
//!
//! The lock of the data directory says who may serve there, so it must be held by whoever binds.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use socket2::{Domain, SockAddr, Socket, Type};

/// Its name in the data directory.
pub const SOCKET: &str = "admin.sock";
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;
/// Reading and writing for the owner alone.
const OWNER_ONLY: u32 = 0o600;

/// A socket that listens; dropped, its file is deleted, unless another has been put in its place.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    inode: (u64, u64),
}

impl AdminSocket {
    /// Binds it in a data directory that this process has locked.
    ///
    /// # Errors
    /// The file system has no sockets, or no room; or something else than a socket has the name, which is left alone.
    pub fn bind(data_dir: &Path) -> io::Result<(Self, UnixListener)> {
        let path = data_dir.join(SOCKET);
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::other("there is something else of this name: move it away"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let unfinished = format!("{SOCKET}.{}.tmp", std::process::id());
        let (_directory, short) = short(data_dir, &unfinished)?;
        let bound = bind_owner_only(&short).and_then(|socket| {
            let mode = fs::symlink_metadata(&short)?.mode() & 0o777;
            if mode & !OWNER_ONLY != 0 {
                return Err(io::Error::other(format!("it would be open to others (mode {mode:o})")));
            }
            fs::rename(data_dir.join(&unfinished), &path)?;
            Ok(socket)
        });
        if bound.is_err() {
            let _ = fs::remove_file(data_dir.join(&unfinished)); // if it could be made at all
        }
        let socket = bound?;
        Ok((Self { inode: inode(&path)?, path }, UnixListener::from(OwnedFd::from(socket))))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|it| it == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(file = %self.path.display(), "cannot be deleted: {error}; the next start replaces it");
        }
    }
}

/// Connects to the member that runs on this data directory.
///
/// # Errors
/// There is no socket, nobody listens to it, or it is not ours.
pub fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let (_directory, short) = short(data_dir, SOCKET)?;
    UnixStream::connect(short)
}

/// The file is never open to others: it gets its mode from the socket's own, which is set before there is a file.
fn bind_owner_only(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    File::from(OwnedFd::from(socket.try_clone()?)).set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A short path of the file, good as long as the directory's descriptor is held: an address of a socket has 107 bytes at
/// most, and data directories have longer names.
fn short(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let flags = (OFlags::PATH | OFlags::DIRECTORY).bits() as i32;
    let open = OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
    let path = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
    Ok((open, path.into()))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|known| (known.dev(), known.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn said(data_dir: &Path, listener: &UnixListener) -> String {
        let mut client = connect(data_dir).unwrap();
        client.write_all(b"hello").unwrap();
        drop(client);
        let mut text = String::new();
        listener.set_nonblocking(false).unwrap();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn ad8_the_socket_is_its_owner_s_alone_wherever_it_is_and_goes_with_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a-name-of-a-data-directory-".repeat(5));
        fs::create_dir(&long).unwrap();
        let (socket, listener) = AdminSocket::bind(&long).unwrap();
        assert_eq!(socket.path(), long.join(SOCKET));
        let found = fs::symlink_metadata(socket.path()).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o777, 0o600);
        assert_eq!(said(&long, &listener), "hello");
        assert_eq!(fs::read_dir(&long).unwrap().count(), 1, "nothing else is left there");
        drop(socket);
        assert_eq!(connect(&long).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn ad8_a_dead_process_s_socket_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (stale, listener) = AdminSocket::bind(dir.path()).unwrap();
        drop(listener);
        assert_eq!(connect(dir.path()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let (_socket, listener) = AdminSocket::bind(dir.path()).unwrap();
        drop(stale); // it is another's by now
        assert_eq!(said(dir.path(), &listener), "hello");

        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SOCKET), "mine").unwrap();
        let error = AdminSocket::bind(dir.path()).unwrap_err().to_string();
        assert!(error.contains("something else of this name"), "{error}");
        assert_eq!(fs::read(dir.path().join(SOCKET)).unwrap(), b"mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
