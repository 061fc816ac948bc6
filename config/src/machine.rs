//! What loading a configuration asks of the machine, and nothing else does: files and host names.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

/// Files and names. The real one is [`ThisMachine`]; a test or a fuzzer that must not depend on where
/// it runs brings its own.
pub trait Machine {
    /// The whole file.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The addresses of `host`, which is a name, in the order the machine prefers. May take seconds.
    ///
    /// # Errors
    /// The name is unknown, or nobody can be asked.
    fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// What the machine, or the container, calls itself.
    ///
    /// # Errors
    /// It cannot be told.
    fn host_name(&self) -> io::Result<String>;
}

/// The machine this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }

    fn host_name(&self) -> io::Result<String> {
        std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned())
    }
}
