//! Apache's own server, as a process of ours: what a differential test compares Paddock with.
//! - J1  A [`JavaServer`] that is dropped leaves no process behind.
//! - J2  A server that was started serves: `start` returns only once it has answered a client's port.
//! - J3  Restarts keep port and data, whether it was stopped or killed.
//!
//! The jars are those of `integration/clients/java/pom.xml`; the first start brings them with Maven
//! into `target/` and checks them against `jars.sha256`, later ones are offline.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::Launch;

/// How long a start may take: the first one downloads.
const START_LIMIT: Duration = Duration::from_secs(300);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two looks at the port, spent waiting for the process to end.
const LOOK: Duration = Duration::from_millis(10);
/// How many of its last lines a server that fails is quoted with.
const TAIL_LINES: usize = 40;

/// The keys every server gets; an option given to [`JavaServer::start`] comes later and wins.
/// `forceSync=no`: these servers are compared, not trusted, and a killed process loses no page cache.
const KEYS: &str = "\
tickTime=2000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
enforceQuota=true
forceSync=no
";

/// Why there is no Java server.
#[derive(Debug, thiserror::Error)]
pub enum JavaServerError {
    /// A file, a process or a signal.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and on what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended before it served: its last lines say why (no java, no Maven, a bad key).
    #[error("the java server ended before it served; its last lines:\n{tail}")]
    Ended {
        /// The last lines it wrote.
        tail: String,
    },
    /// It runs but does not answer.
    #[error("the java server did not serve within {} s; its last lines:\n{tail}", START_LIMIT.as_secs())]
    NotServing {
        /// The last lines it wrote.
        tail: String,
    },
}

/// How a member of an ensemble of Apache's servers is started: like [`Launch::of_file`], for others to fill in
/// file and port.
///
/// # Errors
/// The jars are not there and do not come.
pub fn launch(jvm_flags: &[&str]) -> Result<Launch, JavaServerError> {
    // Once, beforehand: members start at the same time.
    let fetch = script("fetch.sh");
    let done = Command::new(&fetch).output().map_err(io_error(fetch.display().to_string()))?;
    if !done.status.success() {
        return Err(JavaServerError::Ended { tail: String::from_utf8_lossy(&done.stderr).into_owned() });
    }
    let flags = format!("SERVER_JVMFLAGS={}", jvm_flags.join(" "));
    let launch = Launch { binary: Some(script("serve.sh")), bare: true, ..Launch::default() };
    Ok(launch.under(["env", &flags]))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/java").join(name)
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> JavaServerError {
    let what = what.into();
    move |source| JavaServerError::Io { what, source }
}

/// One standalone server of Apache's on 127.0.0.1, in a folder of its own that goes with it.
#[derive(Debug)]
pub struct JavaServer {
    dir: TempDir,
    port: u16,
    jvm_flags: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Disconnects when the process closes its stderr, that is when it ends.
    ended: Receiver<()>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl JavaServer {
    /// Starts a server on an empty data folder and a port the kernel chose; returns once it serves.
    /// `keys` are lines of its zoo.cfg beyond (or over) the usual ones; `jvm_flags` are for what it
    /// takes from its command line alone, such as `-Dznode.container.checkIntervalMs=100`.
    ///
    /// # Errors
    /// No java, no jars, a key it refuses, or no answer within the limit.
    pub fn start(keys: &[(&str, &str)], jvm_flags: &[&str]) -> Result<Self, JavaServerError> {
        let dir =
            TempDir::with_prefix("java-server-").map_err(io_error("making a folder for the java server"))?;
        let port = free_port().map_err(io_error("asking for a free port"))?;
        let mut server = Self { dir, port, jvm_flags: jvm_flags.join(" "), running: None };
        let config = server.config_file();
        std::fs::write(&config, server.config(keys)).map_err(io_error(config.display().to_string()))?;
        server.launch()?;
        Ok(server)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its `dataDir`: snapshots and transaction logs lie in `version-2` below.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Ends it with SIGTERM and waits for the end; nothing to do if it does not run.
    ///
    /// # Errors
    /// The signal could not be sent. One that does not end in time is killed.
    pub fn stop(&mut self) -> Result<(), JavaServerError> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        kill_process(Pid::from_child(&running.child), Signal::TERM)
            .map_err(|errno| io_error("SIGTERM to the java server")(errno.into()))?;
        if running.ended.recv_timeout(STOP_LIMIT) == Err(RecvTimeoutError::Timeout) {
            running.child.kill().map_err(io_error("SIGKILL to the java server"))?;
        }
        running.child.wait().map_err(io_error("waiting for the java server's end")).map(drop)
    }

    /// Ends it with SIGKILL and waits for the end; nothing to do if it does not run.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn kill(&mut self) -> Result<(), JavaServerError> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.child.kill().map_err(io_error("SIGKILL to the java server"))?;
        running.child.wait().map_err(io_error("waiting for the java server's end")).map(drop)
    }

    /// Starts it again on its data and port, after a `stop` or a `kill` (or stops it first).
    ///
    /// # Errors
    /// Like `start`.
    pub fn restart(&mut self) -> Result<(), JavaServerError> {
        self.stop()?;
        self.launch()
    }

    fn config_file(&self) -> PathBuf {
        self.dir.path().join("zoo.cfg")
    }

    fn config(&self, keys: &[(&str, &str)]) -> String {
        let mut config = String::from(KEYS);
        let data = self.data_dir();
        let own = [
            ("dataDir", data.display().to_string()),
            ("clientPortAddress", Ipv4Addr::LOCALHOST.to_string()),
            ("clientPort", self.port.to_string()),
        ];
        for (key, value) in own.iter().map(|(k, v)| (*k, v.as_str())).chain(keys.iter().copied()) {
            writeln!(config, "{key}={value}").expect("writing to a String does not fail");
        }
        config
    }

    fn launch(&mut self) -> Result<(), JavaServerError> {
        let script = script("serve.sh");
        let mut child = Command::new(&script)
            .arg(self.config_file())
            .env("SERVER_JVMFLAGS", &self.jvm_flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error(script.display().to_string()))?;
        let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
        let tail = Arc::default();
        let ended = follow(stderr, Arc::clone(&tail));
        // From here on dropping `self` ends the process (J1), whatever the wait says.
        let running = self.running.insert(Running { child, ended, tail });
        running.await_serving((Ipv4Addr::LOCALHOST, self.port).into())
    }
}

impl Drop for JavaServer {
    fn drop(&mut self) {
        // Only a process that is gone already can refuse, and then J1 holds.
        let _ = self.kill();
    }
}

impl Running {
    fn await_serving(&self, address: SocketAddr) -> Result<(), JavaServerError> {
        let started = Instant::now();
        while !serves(address) {
            if self.ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                return Err(JavaServerError::Ended { tail: self.tail() });
            }
            if started.elapsed() > START_LIMIT {
                return Err(JavaServerError::NotServing { tail: self.tail() });
            }
        }
        Ok(())
    }

    fn tail(&self) -> String {
        self.tail.lock().iter().map(|line| format!("  {line}\n")).collect()
    }
}

/// Keeps the last lines of `stderr`; the receiver disconnects at its end.
fn follow(stderr: ChildStderr, tail: Arc<Mutex<VecDeque<String>>>) -> Receiver<()> {
    let (open, ended) = mpsc::channel();
    thread::spawn(move || {
        let _open = open; // dropped with the thread: that is the message
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut tail = tail.lock();
            tail.push_back(line);
            if tail.len() > TAIL_LINES {
                tail.pop_front();
            }
        }
    });
    ended
}

/// Whether `srvr` is answered by a server that takes requests.
fn serves(address: SocketAddr) -> bool {
    let mut answer = String::new();
    TcpStream::connect(address)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"srvr")?;
            stream.read_to_string(&mut answer)
        })
        .is_ok_and(|_| answer.starts_with("Zookeeper version"))
}
