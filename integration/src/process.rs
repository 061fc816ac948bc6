//! A real server process under test: started, waited for, killed, its log kept.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ports::free_port;
use crate::raw_client::serves;

/// The variable that names the server's binary; it wins over what cargo built.
pub const BINARY_VARIABLE: &str = "PADDOCK_BIN";
/// How long a server may take to serve or to end before the test is told; never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one question whether it serves may take: a connection made at the wrong moment of a
/// start can go unanswered for ever.
const QUESTION_LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at a process that is starting or ending.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Why there is no serving process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No binary where it was looked for.
    #[error("no server binary: set {BINARY_VARIABLE}, or run `cargo build -p paddock`; looked at {0:?}")]
    NoBinary(Vec<PathBuf>),
    /// The process could not be started, or not be asked.
    #[error("cannot run the server: {0}")]
    Io(#[from] io::Error),
    /// It ended instead of serving.
    #[error("the server ended with {status} before it served; its log:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// All it wrote.
        log: String,
    },
    /// It lives and does not serve.
    #[error("the server did not serve within {PATIENCE:?}; its log:\n{0}")]
    Silent(String),
}

/// How to start a server; everything but the data directory has a default.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The binary; `None` looks it up, see [`binary`].
    pub binary: Option<PathBuf>,
    /// A command to run it under, such as `strace -D …`: one that ends up as the parent of the server
    /// would be killed in its place.
    pub prefix: Vec<OsString>,
    /// The binary is given its file alone, without the word `serve`: it is not Paddock's.
    pub bare: bool,
    /// The configuration file, if any.
    pub file: Option<PathBuf>,
    /// Where it keeps its data; empty if the file says that, and the client port too, which `port` then
    /// repeats.
    pub data_dir: PathBuf,
    /// Its client port on loopback; 0 takes a free one.
    pub port: u16,
    /// Further arguments.
    pub args: Vec<OsString>,
}

impl Launch {
    /// A server alone on a free port.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), ..Self::default() }
    }

    /// A server that has everything from a file, in which its client port on loopback is this.
    pub fn of_file(file: impl Into<PathBuf>, port: u16) -> Self {
        Self { port, ..Self::default() }.file(file)
    }

    /// Runs it under a command.
    pub fn under<S: Into<OsString>>(mut self, prefix: impl IntoIterator<Item = S>) -> Self {
        self.prefix = prefix.into_iter().map(Into::into).collect();
        self
    }

    /// Adds arguments.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Uses a configuration file.
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// [`ProcessError`]; the process is gone then.
    pub fn serve(&self) -> Result<ServerProcess, ProcessError> {
        let mut server = self.spawn()?;
        server.wait_until_serving()?;
        Ok(server)
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// [`ProcessError::NoBinary`] and [`ProcessError::Io`].
    pub fn spawn(&self) -> Result<ServerProcess, ProcessError> {
        let port = if self.port == 0 { free_port()? } else { self.port };
        let mut words: Vec<OsString> = self.prefix.clone();
        words.push(self.binary.clone().map_or_else(binary, Ok)?.into());
        words.extend((!self.bare).then(|| "serve".into()));
        words.extend(self.file.clone().map(OsString::from));
        if !self.data_dir.as_os_str().is_empty() {
            words.extend(["--data-dir".into(), self.data_dir.clone().into()]);
            words.extend(["--client-port".into(), port.to_string().into()]);
        }
        words.extend(self.args.iter().cloned());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // an interrupt at the keyboard is the test's to handle
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let readers = [
            collect(child.stdout.take().expect("it is piped"), log.clone()),
            collect(child.stderr.take().expect("it is piped"), log.clone()),
        ];
        Ok(ServerProcess { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), log, readers })
    }
}

/// A server process; dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

impl ServerProcess {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stdout and stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a reader does not panic").clone()
    }

    /// Waits until one line of its log has all of these, and returns it.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let mut lines = log.lines();
            match lines.find(|line| parts.iter().all(|part| line.contains(part))) {
                Some(line) => return line.to_owned(),
                None => assert!(Instant::now() < deadline, "no line with {parts:?} in\n{log}"),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until it answers handshakes, which it does once it serves.
    ///
    /// # Errors
    /// [`ProcessError::Ended`], [`ProcessError::Silent`].
    pub fn wait_until_serving(&mut self) -> Result<(), ProcessError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(ProcessError::Ended { status, log: self.whole_log() });
            }
            if serves(self.address, QUESTION_LIMIT) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(ProcessError::Silent(self.log()))
    }

    /// Kills it as `kill -9` does and returns how it ended.
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        self.ask_to_stop()?;
        self.wait()
    }

    /// Asks it to stop (SIGTERM) and does not wait.
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub fn ask_to_stop(&self) -> Result<(), ProcessError> {
        self.signal(Signal::TERM)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        Ok(kill_process(Pid::from_child(&self.child), signal).map_err(io::Error::from)?)
    }

    /// Stops it where it is (SIGSTOP) and returns once none of its threads runs: from then on it reads
    /// nothing that is sent to it.
    ///
    /// # Errors
    /// [`ProcessError::Io`], and [`ProcessError::Silent`] if a thread runs on.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP)?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_frozen()? {
            if Instant::now() > deadline {
                return Err(ProcessError::Silent(self.log()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn is_frozen(&self) -> io::Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // A thread that has ended in between runs no more, either.
            let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().unwrap_or_default();
            if !state.is_empty() && !state.starts_with(['T', 'Z', 'X']) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets a frozen one go on (SIGCONT).
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub fn thaw(&self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`ProcessError::Io`].
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        Ok(self.child.try_wait()?)
    }

    /// Whether its main thread has ended: a process whose other threads are held up by the kernel has as
    /// good as ended then.
    pub fn is_over(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("State:") && !line.contains(['Z', 'X']))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`ProcessError::Silent`] if it lives on.
    pub fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(ProcessError::Silent(self.log()))
    }

    /// The log of a process that has ended, to its last byte.
    pub fn whole_log(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.readers.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        self.log()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's binary: what [`BINARY_VARIABLE`] names, else the newer of cargo's release and debug
/// builds beside the running test.
///
/// # Errors
/// [`ProcessError::NoBinary`].
pub fn binary() -> Result<PathBuf, ProcessError> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(path.into());
    }
    let built =
        candidates().into_iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)));
    built.max().map(|(_, path)| path).ok_or_else(|| ProcessError::NoBinary(candidates()))
}

fn candidates() -> Vec<PathBuf> {
    let test = std::env::current_exe().unwrap_or_default(); // target/<profile>/deps/<test>
    let target = test.ancestors().nth(3).unwrap_or(Path::new("target")).to_owned();
    ["release", "debug"].map(|profile| target.join(profile).join("paddock")).into()
}

/// Appends what comes out of `pipe` to `log`, line by line, until its end.
fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            log.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/bin/sh -c text`, with the server's arguments as its own.
    fn script(text: &str) -> Launch {
        Launch { binary: Some("sh".into()), ..Launch::new("/nonexistent") }.under(["/bin/sh", "-c", text])
    }

    #[test]
    fn a_process_that_ends_early_is_told_with_status_and_log() {
        let error = script("echo out; echo err >&2; exit 7").serve().unwrap_err();
        let ProcessError::Ended { status, log } = error else { panic!("{error}") };
        assert_eq!(status.code(), Some(7));
        assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    }

    #[test]
    fn arguments_are_the_commands() {
        let mut server = script("echo \"$@\"").args(["--server-id", "3"]).spawn().unwrap();
        assert!(server.wait().unwrap().success());
        let log = server.whole_log();
        assert!(log.starts_with("serve --data-dir /nonexistent --client-port "), "{log}");
        assert!(log.ends_with(" --server-id 3\n"), "{log}");
    }

    #[test]
    fn a_server_that_has_all_from_a_file_is_given_nothing_else() {
        let of_file = Launch::of_file("zoo.cfg", 2181);
        let launch = Launch { binary: Some("sh".into()), ..of_file }.under(["/bin/sh", "-c", "echo \"$@\""]);
        let mut server = launch.spawn().unwrap();
        assert!(server.wait().unwrap().success());
        assert_eq!((server.address().port(), server.whole_log().as_str()), (2181, "serve zoo.cfg\n"));
        let mut server = Launch { bare: true, ..launch }.spawn().unwrap();
        assert!(server.wait().unwrap().success());
        assert_eq!(server.whole_log(), "zoo.cfg\n");
    }

    #[test]
    fn a_frozen_process_does_nothing_until_it_is_thawed() {
        let mut server = script("while :; do echo on; done").spawn().unwrap();
        server.wait_for_line(&["on"]);
        server.freeze().unwrap();
        assert!(server.is_frozen().unwrap());
        assert!(server.ended().unwrap().is_none());
        server.thaw().unwrap();
        assert!(!server.is_frozen().unwrap());
        server.kill().unwrap();
        assert!(server.ended().unwrap().is_some());
    }

    #[test]
    fn kill_and_terminate_end_it_by_signal() {
        use std::os::unix::process::ExitStatusExt;
        let mut server = script("exec sleep 1000").spawn().unwrap();
        assert_eq!(server.kill().unwrap().signal(), Some(9));
        let mut server = script("exec sleep 1000").spawn().unwrap();
        assert_eq!(server.terminate().unwrap().signal(), Some(15));
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let server = script("exec sleep 1000").spawn().unwrap();
        let entry = format!("/proc/{}", server.id());
        assert!(Path::new(&entry).exists());
        drop(server);
        assert!(!Path::new(&entry).exists());
    }

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let launch = Launch { binary: Some("/nonexistent/paddock".into()), ..Launch::new("/tmp") };
        assert!(matches!(launch.spawn(), Err(ProcessError::Io(_))));
    }
}
