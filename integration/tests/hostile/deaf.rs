//! Clients that ask and never read: what they are owed is bounded, and their time ends.

use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::znode::CreateMode;

use crate::field::{Field, MIB, Witness, wait_until};

const DEAF: u64 = 60;
/// Answers that each asks for, of half a megabyte: 100 MB, more than the kernel's buffers take.
const ASKED: usize = 200;

#[test]
fn clients_that_never_read_cost_a_bounded_memory_and_are_closed() {
    let field = Field::new("maxClientCnxns=0\ntickTime=1000");
    field.client().create("/large", &vec![7; 500_000], CreateMode::Persistent).unwrap();
    let before = field.resident();
    let witness = Witness::start(&field);
    let mut clients = Vec::new();
    for _ in 0..DEAF {
        let mut client = field.client_for(4_000);
        for _ in 0..ASKED {
            client.queue(OpCode::GetData, &PathWatch { path: "/large".into(), watch: false });
        }
        client.flush().unwrap();
        clients.push(client);
    }
    wait_until("the end of the deaf", || field.server.log(), || field.refused("deaf") >= DEAF);
    field.wait_for_line(&["client 127.0.0.1:", "does not take its replies"]);
    let most = witness.stop("deaf clients");
    // Each is owed one answer behind a quarter of a megabyte, in a buffer that doubles.
    let bound = DEAF * 2 * MIB + 16 * MIB;
    assert!(most < before + bound, "{} MiB, then {} MiB for {DEAF} deaf clients", before / MIB, most / MIB);
}
