//! Requests a second and latencies, all by `paddock bench`.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use paddock_integration::process::binary;
use serde_json::Value;

use crate::servers::{Kind, Server};
use crate::{Options, median, verdict};

/// Bytes of data of each znode.
const VALUE_SIZE: &str = "100";
/// Before each cell: Java compiles what runs.
const WARM_UP_SECONDS: &str = "2";
/// Of the slowest thousandth, how much longer than the mock's at most.
const P99_9_GATE: f64 = 1.5;

/// One load, and what it must reach.
struct Row {
    op: &'static str,
    clients: u32,
    pipeline: u32,
    /// Throughput: at least so many times the Java server's.
    java: f64,
    /// And at least this part of the mock's, where the disk is the limit.
    mock: Option<f64>,
}

const ROWS: &[Row] = &[
    Row { op: "set", clients: 1, pipeline: 1, java: 1.3, mock: Some(0.7) },
    Row { op: "set", clients: 16, pipeline: 1, java: 1.5, mock: Some(0.7) },
    Row { op: "set", clients: 16, pipeline: 64, java: 10.0, mock: None },
    Row { op: "get", clients: 16, pipeline: 64, java: 10.0, mock: None },
];

#[derive(Clone, Copy)]
struct Measured {
    per_second: f64,
    p50_us: f64,
    p99_9_us: f64,
}

/// Measures, prints, and says whether every gate holds.
pub(crate) fn run(options: &Options) -> bool {
    // By server, row, round.
    let mut all = [(); 3].map(|()| ROWS.iter().map(|_| Vec::new()).collect::<Vec<Vec<Measured>>>());
    for round in 1..=options.rounds {
        for (kind, rows) in [Kind::Java, Kind::Mock, Kind::Paddock].into_iter().zip(&mut all) {
            let server = Server::start(kind);
            for (row, cells) in ROWS.iter().zip(rows) {
                let cell = measure(server.address(), row, options.seconds);
                eprintln!(
                    "round {round}: {kind:?} {} {}x{}: {:.0}/s, p50 {} us, p99.9 {} us",
                    row.op, row.clients, row.pipeline, cell.per_second, cell.p50_us, cell.p99_9_us
                );
                cells.push(cell);
            }
        }
    }
    let [java, mock, paddock] = all;
    print!(
        "\n| {VALUE_SIZE} B, one server | Java /s | mock /s | Paddock /s | : Java | at least | : mock | at least \
         | p99.9 us | : mock's | at most | holds |\n|---|{}\n",
        "---:|".repeat(11)
    );
    let mut holds = true;
    for (at, row) in ROWS.iter().enumerate() {
        holds &= print_row(row, &java[at], &mock[at], &paddock[at]);
    }
    holds
}

fn measure(server: SocketAddr, row: &Row, seconds: f64) -> Measured {
    let mut command = Command::new(binary().unwrap_or_else(|error| panic!("{error}")));
    command.arg("bench").arg(server.to_string()).args(["--op", row.op, "--json", "--value-size", VALUE_SIZE]);
    command.args(["--clients", &row.clients.to_string(), "--pipeline", &row.pipeline.to_string()]);
    command.args(["--warmup", WARM_UP_SECONDS, "--seconds", &seconds.to_string()]);
    let done = command.stdin(Stdio::null()).output().expect("the binary was built");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let result: Value = serde_json::from_slice(&done.stdout).expect("--json gives JSON");
    let number = |pointer| result.pointer(pointer).and_then(Value::as_f64).expect("a number");
    Measured {
        per_second: number("/ops_per_second"),
        p50_us: number("/latency_us/p50"),
        p99_9_us: number("/latency_us/p99_9"),
    }
}

/// Ratios are taken within a round: what slows the machine for a while slows all three.
fn print_row(row: &Row, java: &[Measured], mock: &[Measured], paddock: &[Measured]) -> bool {
    let ratio = |of: &[Measured], what: fn(&Measured) -> f64| {
        median(paddock.iter().zip(of).map(|(ours, theirs)| what(ours) / what(theirs)))
    };
    let middle = |of: &[Measured], what: fn(&Measured) -> f64| median(of.iter().map(what));
    let to_java = ratio(java, |cell| cell.per_second);
    let to_mock = ratio(mock, |cell| cell.per_second);
    let tail = ratio(mock, |cell| cell.p99_9_us);
    let holds = to_java >= row.java && row.mock.is_none_or(|gate| to_mock >= gate) && tail <= P99_9_GATE;
    println!(
        "| {} {} x {} | {:.0} | {:.0} | {:.0} | {to_java:.2} | {} | {to_mock:.2} | {} | {:.0} | {tail:.2} \
         | {P99_9_GATE} | {} |",
        row.op,
        row.clients,
        row.pipeline,
        middle(java, |cell| cell.per_second),
        middle(mock, |cell| cell.per_second),
        middle(paddock, |cell| cell.per_second),
        row.java,
        row.mock.map_or("–".into(), |gate| gate.to_string()),
        middle(paddock, |cell| cell.p99_9_us),
        verdict(holds),
    );
    holds
}
