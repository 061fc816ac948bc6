//! A server under attack, and the client that behaves.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::{Handshake, RawClient, four_letter_word};
use paddock_messages::znode::CreateMode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// How long anything may take before a test fails; never reached when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The longest that a client which behaves may wait for an answer, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

pub(crate) const MIB: u64 = 1 << 20;

/// A server and its data.
pub(crate) struct Field {
    pub(crate) server: ServerProcess,
    _dir: TempDir,
}

impl Field {
    /// One with these lines in its `zoo.cfg`.
    pub(crate) fn new(lines: &str) -> Self {
        Self::under(lines, &[])
    }

    /// The same, started by another command.
    pub(crate) fn under(lines: &str, prefix: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg");
        let own = "clientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\n";
        std::fs::write(&file, format!("{own}{lines}\n")).unwrap();
        let launch = Launch::new(dir.path().join("data")).file(file).under(prefix.iter().copied());
        Self { server: launch.serve().unwrap_or_else(|error| panic!("{error}")), _dir: dir }
    }

    pub(crate) fn to(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(self.to()).unwrap()
    }

    /// A client with this session timeout.
    pub(crate) fn client_for(&self, timeout_ms: i32) -> RawClient {
        RawClient::connect_with(self.to(), &Handshake { timeout_ms, ..Handshake::default() }).unwrap()
    }

    /// A connection without a handshake.
    pub(crate) fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.to()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The process' resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it runs");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// A number that `mntr` tells.
    pub(crate) fn told(&self, name: &str) -> u64 {
        let text = four_letter_word(self.to(), "mntr", PATIENCE).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse::<f64>().unwrap() as u64
    }

    /// How many were refused for this reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.told(&format!("paddock_refused_{reason}"))
    }

    /// Waits until the log has a line with all of these.
    pub(crate) fn wait_for_line(&self, parts: &[&str]) {
        let has = || self.server.log().lines().any(|line| parts.iter().all(|part| line.contains(part)));
        wait_until(&format!("a line with {parts:?}"), || self.server.log(), has);
    }

    pub(crate) fn lines_with(&self, part: &str) -> usize {
        self.server.log().lines().filter(|line| line.contains(part)).count()
    }
}

/// Waits for `done`; tells what was waited for, and what `told` has to say.
pub(crate) fn wait_until(what: &str, told: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come; {}", told());
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whether the server closes this connection, whatever it sends before.
pub(crate) fn is_closed(mut stream: &TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Raises this process' limit of open files to the hard one; returns it.
pub(crate) fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    limit.maximum.map_or(usize::MAX, |all| usize::try_from(all).unwrap())
}

/// A client that behaves: it writes, reads and pings without a pause, and notes the longest wait. The
/// largest resident memory of the server is noted beside.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Duration, u64)>,
}

impl Witness {
    pub(crate) fn start(field: &Field) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, to, id) = (Arc::clone(&stop), field.to(), field.server.id());
        let thread = std::thread::spawn(move || {
            let mut client = RawClient::connect(to).unwrap();
            client.create("/witness", b"", CreateMode::Ephemeral).unwrap();
            let (mut rounds, mut longest, mut resident) = (0, Duration::ZERO, 0);
            while rounds < 3 || !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.set("/witness", b"here", -1).unwrap();
                client.get("/witness").unwrap();
                client.ping().unwrap();
                longest = longest.max(began.elapsed());
                resident = resident.max(resident_of(id));
                rounds += 1;
            }
            client.close().unwrap();
            (rounds, longest, resident)
        });
        Self { stop, thread }
    }

    /// It was served all the time; returns the most memory that the server had.
    pub(crate) fn stop(self, what: &str) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let (rounds, longest, resident) = self.thread.join().expect("the witness is served");
        println!(
            "{what}: {rounds} rounds of the witness, the longest {longest:?}, at most {} MiB",
            resident / MIB
        );
        assert!(longest < SERVED_WITHIN, "{what}: the witness waited {longest:?}");
        resident
    }
}

fn resident_of(id: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
