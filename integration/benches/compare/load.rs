//! A load by `paddock bench`, the same for every server, and what it tells.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use paddock_integration::process::binary;
use serde_json::Value;

/// Bytes of data of each znode.
pub(crate) const VALUE_SIZE: &str = "100";
/// Seconds of load before each measurement: Java compiles what runs.
pub(crate) const WARM_UP: f64 = 2.0;

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) op: &'static str,
    pub(crate) clients: u32,
    /// Requests in flight of each.
    pub(crate) pipeline: u32,
    /// Requests a second of all; `None` for as many as are answered.
    pub(crate) rate: Option<u32>,
}

#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
}

impl Load {
    /// Begins with the warm-up; the clients are dealt out to the servers in turn.
    pub(crate) fn start(&self, servers: &[SocketAddr], seconds: f64) -> Running {
        let servers: Vec<_> = servers.iter().map(SocketAddr::to_string).collect();
        let mut command = Command::new(binary().unwrap_or_else(|error| panic!("{error}")));
        command.arg("bench").arg(servers.join(",")).args([
            "--op",
            self.op,
            "--json",
            "--value-size",
            VALUE_SIZE,
        ]);
        command.args(["--clients", &self.clients.to_string(), "--pipeline", &self.pipeline.to_string()]);
        if let Some(rate) = self.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        command.args(["--warmup", &WARM_UP.to_string(), "--seconds", &seconds.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().expect("the binary was built"))
    }
}

pub(crate) struct Running(Child);

impl Running {
    /// Waits for its end; any wrong reply is a panic.
    pub(crate) fn told(self) -> Told {
        let done = self.0.wait_with_output().expect("it is our child");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let result: Value = serde_json::from_slice(&done.stdout).expect("--json gives JSON");
        let number = |pointer| result.pointer(pointer).and_then(Value::as_f64).expect("a number");
        Told {
            per_second: number("/ops_per_second"),
            p50_us: number("/latency_us/p50"),
            p99_us: number("/latency_us/p99"),
            p99_9_us: number("/latency_us/p99_9"),
        }
    }
}
