//! The servers under test: each on loopback, its data in a folder that goes with it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use paddock_integration::java_server::JavaServer;
use paddock_integration::ports::free_port;
use paddock_integration::process::{Launch, ServerProcess};
use tempfile::TempDir;

/// Java as an operator runs it, not as tests do: both compilers, its usual collector.
pub(crate) const JVM: &[&str] = &["-XX:TieredStopAtLevel=4", "-XX:-UseSerialGC", "-XX:+UseG1GC"];
/// Its usual heap.
const HEAP: &str = "-Xmx1000m";
/// How long the mock may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is looked how much of a core nothing takes.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Java,
    Mock,
    Paddock,
}

pub(crate) enum Server {
    Java(JavaServer),
    Mock(Mock),
    Paddock { running: ServerProcess, launch: Launch, _dir: TempDir },
}

/// Ends with its owner.
pub(crate) struct Mock {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Java => {
                let server = JavaServer::start(&[("forceSync", "yes")], &[JVM, &[HEAP]].concat());
                Self::Java(server.unwrap_or_else(|error| panic!("{error}")))
            }
            Kind::Mock => Self::Mock(mock()),
            Kind::Paddock => {
                let dir = TempDir::with_prefix("paddock-").expect("TMPDIR is writable");
                let launch = Launch::new(dir.path().join("data")).args(["--set", "max_client_cnxns=0"]);
                let running = launch.serve().unwrap_or_else(|error| panic!("{error}"));
                Self::Paddock { running, launch, _dir: dir }
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Java(server) => server.address(),
            Self::Mock(mock) => mock.address,
            Self::Paddock { running, .. } => running.address(),
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Java(server) => server.pid().expect("it runs"),
            Self::Mock(mock) => mock.child.id(),
            Self::Paddock { running, .. } => running.id(),
        }
    }

    /// What part of a core it takes while nobody asks for anything.
    pub(crate) fn idle_cores(&self) -> f64 {
        let before = cpu_of(self.pid());
        std::thread::sleep(IDLE);
        (cpu_of(self.pid()) - before).as_secs_f64() / IDLE.as_secs_f64()
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> f64 {
        let pid = self.pid();
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs, on Linux");
        let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
        pages * rustix::param::page_size() as f64
    }

    /// `kill -9`, and the time from the next start until it serves.
    pub(crate) fn kill_and_restart(&mut self) -> Duration {
        match self {
            Self::Java(server) => {
                server.kill().unwrap_or_else(|error| panic!("{error}"));
                let began = Instant::now();
                server.restart().unwrap_or_else(|error| panic!("{error}"));
                began.elapsed()
            }
            Self::Mock(_) => unreachable!("it has nothing to restart with"),
            Self::Paddock { running, launch, .. } => {
                running.kill().unwrap_or_else(|error| panic!("{error}"));
                let began = Instant::now();
                *running = launch.serve().unwrap_or_else(|error| panic!("{error}"));
                began.elapsed()
            }
        }
    }
}

fn mock() -> Mock {
    let dir = TempDir::with_prefix("mock-").expect("TMPDIR is writable");
    let port = free_port().expect("the kernel has one");
    let binary = std::env::current_exe().expect("it runs").with_file_name("mock");
    let mut command = Command::new(&binary);
    command.arg(port.to_string()).arg(dir.path().join("data")).stdin(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    let mut mock = Mock { child, address: (Ipv4Addr::LOCALHOST, port).into(), _dir: dir };
    let began = Instant::now();
    while TcpStream::connect(mock.address).is_err() {
        assert!(mock.child.try_wait().is_ok_and(|ended| ended.is_none()), "the mock has ended");
        assert!(began.elapsed() < PATIENCE, "the mock does not listen");
        std::thread::sleep(Duration::from_millis(2));
    }
    mock
}

/// The time that all threads of a process have had a core, so far, in user and kernel mode; in steps of a clock tick.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs, on Linux");
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' '); // the name before may have spaces
    let ticks: u64 =
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("utime and stime")).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
