//! Requests a second and latencies, all by `paddock bench`.

use crate::load::{Load, Told, VALUE_SIZE};
use crate::servers::{Kind, Server};
use crate::{Options, aim, median, verdict};

/// Of the slowest thousandth, how much longer than the mock's at most.
const P99_9_GATE: f64 = 1.5;

/// One load, and what it must reach.
struct Row {
    op: &'static str,
    clients: u32,
    pipeline: u32,
    gates: Gates,
    aim: Option<Aim>,
}

/// At least so many times the throughput of the other.
#[derive(Clone, Copy)]
enum Aim {
    Java(f64),
    Mock(f64),
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

const fn row(op: &'static str, (clients, pipeline): (u32, u32), gates: Gates, aim: Option<Aim>) -> Row {
    Row { op, clients, pipeline, gates, aim }
}

const ROWS: &[Row] = &[
    row("set", (1, 1), Gates::Shallow { java: 1.3, mock: 0.7 }, Some(Aim::Mock(0.9))),
    row("set", (16, 1), Gates::Shallow { java: 1.5, mock: 0.7 }, Some(Aim::Mock(0.9))),
    // A million a second where Java does 85,000.
    row("set", (16, 64), Gates::Deep { java: 10.0 }, Some(Aim::Java(11.8))),
    // 1.2 million where it does 102,000.
    row("get", (16, 64), Gates::Deep { java: 10.0 }, Some(Aim::Java(11.8))),
    row("set", (16, 1024), Gates::Paced { rate: 200_000 }, None),
    row("get", (16, 1024), Gates::Paced { rate: 400_000 }, None),
];

/// Less of the rate than this part is not keeping up.
const KEPT_UP: f64 = 0.99;

/// One of them.
type Figure = fn(&Told) -> f64;

/// Measures, prints, and says whether every gate holds.
pub(crate) fn run(options: &Options) -> bool {
    // By server, row, round.
    let mut all = [(); 3].map(|()| ROWS.iter().map(|_| Vec::new()).collect::<Vec<Vec<Told>>>());
    for round in 1..=options.rounds {
        for (kind, rows) in [Kind::Java, Kind::Mock, Kind::Paddock].into_iter().zip(&mut all) {
            let server = Server::start(kind);
            for (row, cells) in ROWS.iter().zip(rows) {
                if matches!((kind, &row.gates), (Kind::Java, Gates::Paced { .. })) {
                    continue;
                }
                let cell = row.load().start(&[server.address()], options.seconds).told();
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
         | p99.9 us | : mock's | at most | holds | {} |\n|---|{}\n",
        aim::HEAD,
        "---:|".repeat(13)
    );
    let mut holds = true;
    for (at, row) in ROWS.iter().enumerate() {
        holds &= print_row(row, &java[at], &mock[at], &paddock[at]);
    }
    holds
}

impl Row {
    fn load(&self) -> Load {
        let rate = if let Gates::Paced { rate } = self.gates { Some(rate) } else { None };
        Load { op: self.op, clients: self.clients, pipeline: self.pipeline, rate }
    }
}

/// Ratios are taken within a round: what slows the machine for a while slows all three.
fn print_row(row: &Row, java: &[Told], mock: &[Told], paddock: &[Told]) -> bool {
    let ratio = |of: &[Told], what: Figure| {
        median(paddock.iter().zip(of).map(|(ours, theirs)| what(ours) / what(theirs)))
    };
    let middle = |of: &[Told], what: Figure| median(of.iter().map(what));
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
    let aimed = match row.aim {
        None => aim::NONE.to_owned(),
        Some(Aim::Java(least)) => {
            aim::cells(&format!("{least} : Java"), to_java.is_some_and(|to_java| to_java >= least))
        }
        Some(Aim::Mock(least)) => aim::cells(&format!("{least} : mock"), to_mock >= least),
    };
    let pace = if let Gates::Paced { rate } = row.gates { format!(" at {rate}/s") } else { String::new() };
    let or_none = |figure: Option<f64>| figure.map_or("–".into(), |figure| figure.to_string());
    println!(
        "| {} {} x {}{pace} | {} | {:.0} | {:.0} | {} | {} | {to_mock:.2} | {} | {:.0} | {tail:.2} | {} | {} | {} |",
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
        aimed,
    );
    holds
}
