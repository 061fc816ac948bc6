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
    gates: Gates,
}

enum Gates {
    /// One request after the other, where the disk is the limit: throughput at least so many times the
    /// Java server's and this part of the mock's; the tail is held against the mock's.
    Shallow { java: f64, mock: f64 },
    /// As much as the server takes: at least so many times what the Java server does. With so many always
    /// in flight a latency is their number by the throughput, and says nothing of its own.
    Deep { java: f64 },
    /// So many a second, whatever the answers take: the tail of a server that keeps up, held against the
    /// mock's. Too much for the Java server.
    Paced { rate: u32 },
}

const ROWS: &[Row] = &[
    Row { op: "set", clients: 1, pipeline: 1, gates: Gates::Shallow { java: 1.3, mock: 0.7 } },
    Row { op: "set", clients: 16, pipeline: 1, gates: Gates::Shallow { java: 1.5, mock: 0.7 } },
    Row { op: "set", clients: 16, pipeline: 64, gates: Gates::Deep { java: 10.0 } },
    Row { op: "get", clients: 16, pipeline: 64, gates: Gates::Deep { java: 10.0 } },
    Row { op: "set", clients: 16, pipeline: 1024, gates: Gates::Paced { rate: 200_000 } },
    Row { op: "get", clients: 16, pipeline: 1024, gates: Gates::Paced { rate: 400_000 } },
];

/// Less of the rate than this part is not keeping up.
const KEPT_UP: f64 = 0.99;

#[derive(Clone, Copy)]
struct Measured {
    per_second: f64,
    p50_us: f64,
    p99_9_us: f64,
}

/// One of them.
type Figure = fn(&Measured) -> f64;

/// Measures, prints, and says whether every gate holds.
pub(crate) fn run(options: &Options) -> bool {
    // By server, row, round.
    let mut all = [(); 3].map(|()| ROWS.iter().map(|_| Vec::new()).collect::<Vec<Vec<Measured>>>());
    for round in 1..=options.rounds {
        for (kind, rows) in [Kind::Java, Kind::Mock, Kind::Paddock].into_iter().zip(&mut all) {
            let server = Server::start(kind);
            for (row, cells) in ROWS.iter().zip(rows) {
                if matches!((kind, &row.gates), (Kind::Java, Gates::Paced { .. })) {
                    continue;
                }
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
    if let Gates::Paced { rate } = row.gates {
        command.args(["--rate", &rate.to_string()]);
    }
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
    let ratio = |of: &[Measured], what: Figure| {
        median(paddock.iter().zip(of).map(|(ours, theirs)| what(ours) / what(theirs)))
    };
    let middle = |of: &[Measured], what: Figure| median(of.iter().map(what));
    let (per_second, p99_9): (Figure, Figure) = (|cell| cell.per_second, |cell| cell.p99_9_us);
    let (to_mock, tail) = (ratio(mock, per_second), ratio(mock, p99_9));
    let to_java = (!java.is_empty()).then(|| ratio(java, per_second));
    let (least_java, least_mock, most_tail) = match row.gates {
        Gates::Shallow { java, mock } => (Some(java), Some(mock), Some(P99_9_GATE)),
        Gates::Deep { java } => (Some(java), None, None),
        Gates::Paced { .. } => (None, Some(KEPT_UP), Some(P99_9_GATE)),
    };
    let holds = least_java.is_none_or(|least| to_java.is_some_and(|to_java| to_java >= least))
        && least_mock.is_none_or(|least| to_mock >= least)
        && most_tail.is_none_or(|most| tail <= most);
    let pace = if let Gates::Paced { rate } = row.gates { format!(" at {rate}/s") } else { String::new() };
    let or_none = |figure: Option<f64>| figure.map_or("–".into(), |figure| figure.to_string());
    println!(
        "| {} {} x {}{pace} | {} | {:.0} | {:.0} | {} | {} | {to_mock:.2} | {} | {:.0} | {tail:.2} | {} | {} |",
        row.op,
        row.clients,
        row.pipeline,
        to_java.map_or("–".into(), |_| format!("{:.0}", middle(java, per_second))),
        middle(mock, per_second),
        middle(paddock, per_second),
        to_java.map_or("–".into(), |ratio| format!("{ratio:.2}")),
        or_none(least_java),
        or_none(least_mock),
        middle(paddock, p99_9),
        or_none(most_tail),
        verdict(holds),
    );
    holds
}
