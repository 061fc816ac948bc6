//! The one command that starts three members, as a newcomer runs it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use paddock_integration::ensemble::PATIENCE;
use paddock_integration::ports::free_ports;
use paddock_integration::process::binary;
use paddock_integration::raw_client::{RawClient, four_letter_word};
use paddock_messages::znode::CreateMode;
use rustix::process::{Pid, Signal, kill_process};

/// `three.sh`, until it is dropped.
struct Three {
    script: Child,
    says: BufReader<ChildStdout>,
}

impl Three {
    fn start(data: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("three.sh");
        let ports: Vec<_> = free_ports(9).unwrap().iter().map(u16::to_string).collect();
        let mut script = Command::new(script)
            .env("DATA", data)
            .env("PORTS", ports.join(" "))
            .env("PADDOCK", binary().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(script.stdout.take().unwrap());
        Self { script, says }
    }

    /// What comes behind `start` on the next line that begins so.
    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("three.sh ended before it said {start:?}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.script), signal).unwrap();
    }

    /// Its exit code, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.script.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "three.sh goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        if self.script.try_wait().unwrap().is_none() {
            self.signal(Signal::TERM);
            self.ended();
        }
    }
}

fn mode(at: SocketAddr) -> Option<String> {
    let answer = four_letter_word(at, "srvr", Duration::from_secs(10)).ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}

/// The first of them that says that it leads.
fn leader(of: &[SocketAddr]) -> usize {
    let began = Instant::now();
    loop {
        if let Some(found) = of.iter().position(|at| mode(*at).as_deref() == Some("leader")) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "nobody leads");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The addresses of a connect string.
fn addresses(connect: &str) -> Vec<SocketAddr> {
    connect.split(',').map(|at| at.parse().unwrap()).collect()
}

#[test]
fn one_command_starts_three_members_one_may_be_killed_and_the_end_of_it_ends_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut three = Three::start(dir.path());
    let pids: Vec<i32> = (1..=3)
        .map(|id| {
            let line = three.line(&format!("member {id}: "));
            let (_, pid) = line.split_once("process ").unwrap();
            pid.split(',').next().unwrap().parse().unwrap()
        })
        .collect();
    let at = addresses(&three.line("connect string: "));
    assert_eq!(at.len(), 3);
    assert!(at.iter().all(|at| at.ip() == Ipv4Addr::LOCALHOST), "{at:?}");

    let first = leader(&at);
    let mut client = RawClient::connect(at[first]).unwrap();
    client.create("/kept", b"", CreateMode::Persistent).unwrap();
    kill_process(Pid::from_raw(pids[first]).unwrap(), Signal::KILL).unwrap();
    three.line(&format!("member {} ended", first + 1));
    let second = leader(&at);
    assert_ne!(second, first);
    let mut client = RawClient::connect(at[second]).unwrap();
    client.get("/kept").unwrap();

    // An interrupt would do the same, but not where this process was started to ignore it, as by nohup.
    three.signal(Signal::TERM);
    assert_eq!(three.ended(), Some(0));
    assert!(at.iter().all(|at| TcpStream::connect(at).is_err()), "somebody still listens");

    // The data is the folder's: other ports are no matter.
    let mut again = Three::start(dir.path());
    let at = addresses(&again.line("connect string: "));
    RawClient::connect(at[first]).unwrap().get("/kept").unwrap();
}
