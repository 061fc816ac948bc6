//! Both servers, with the same settings.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::sequence_end;
use crate::java_server::{JavaServer, JavaServerError};
use crate::process::{Launch, ProcessError, ServerProcess};

/// A day, the longest Paddock takes: no container or TTL znode is removed behind the test's back.
const CHECK_INTERVAL: &str = "znode.container.checkIntervalMs=86400000";

/// What [`JavaServer`] has by itself, and Paddock's file says.
const KEYS: &str = "tickTime=2000\nmaxClientCnxns=0\nextendedTypesEnabled=true\nenforceQuota=true\n\
                    forceSync=no\n4lw.commands.whitelist=*\nclientPortAddress=127.0.0.1\nclientPort=2181\n";

/// Apache's server.
///
/// # Errors
/// It does not start.
pub fn java() -> Result<JavaServer, JavaServerError> {
    JavaServer::start(&[], &[&format!("-D{CHECK_INTERVAL}")])
}

/// Paddock alone, with these lines more in its file.
///
/// # Errors
/// It does not start.
pub fn paddock_with(keys: &[(&str, &str)]) -> Result<Paddock, ProcessError> {
    start(0, keys, |_| Ok(()))
}

/// A Paddock process that goes with its folder.
#[derive(Debug)]
pub struct Paddock {
    /// The process.
    pub server: ServerProcess,
    _dir: TempDir,
}

/// Paddock alone, on a fresh folder, with so many arbiters of its clients' own.
///
/// # Errors
/// It does not start.
pub fn paddock(client_arbiters: u64) -> Result<Paddock, ProcessError> {
    paddock_on(client_arbiters, |_| Ok(()))
}

/// Both on data with a counter near its end ([`super::sequence_end`]).
///
/// # Panics
/// One does not start, or its data cannot be written: what is tested with them is not to be had.
pub fn near_the_sequences_end() -> (JavaServer, Paddock) {
    let mut java = java().expect("Apache's server starts");
    java.stop().expect("Apache's server stops");
    sequence_end::write_java(&java.data_dir()).expect("its log can be written");
    java.restart().expect("Apache's server starts again");
    (java, paddock_on(0, sequence_end::write_paddock).expect("Paddock starts"))
}

fn paddock_on(
    client_arbiters: u64,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<Paddock, ProcessError> {
    start(client_arbiters, &[], write)
}

fn start(
    client_arbiters: u64,
    more: &[(&str, &str)],
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<Paddock, ProcessError> {
    let dir = TempDir::with_prefix("paddock-")?;
    let data = dir.path().join("data");
    write(&data)?;
    let mut keys = format!("{KEYS}{CHECK_INTERVAL}\n");
    writeln!(keys, "dataDir={}", data.display()).map_err(io::Error::other)?;
    for (key, value) in more {
        writeln!(keys, "{key}={value}").map_err(io::Error::other)?;
    }
    let file = dir.path().join("zoo.cfg");
    std::fs::write(&file, keys)?;
    let set = format!("client_arbiters={client_arbiters}");
    let server = Launch::new(data).file(file).args(["--set", &set]).serve()?;
    Ok(Paddock { server, _dir: dir })
}
