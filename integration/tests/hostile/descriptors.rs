//! Descriptors run out: clients wait at the door, those inside and the log go on.

use crate::field::{Field, Witness, wait_until};
use paddock_messages::znode::CreateMode;

/// Started with a soft limit of 64 open files below a hard one of 200.
const FEW: &[&str] = &["sh", "-c", "ulimit -Sn 64 && ulimit -Hn 200 && exec \"$0\" \"$@\""];
/// Of those, what is left for clients.
const ROOM: usize = 150;
const PAUSES: &str = "accepting clients pauses";
const AGAIN: &str = "accepting clients again";

#[test]
fn accepting_pauses_while_descriptors_are_short_and_goes_on() {
    // Small segments and frequent snapshots: the server itself opens files all the time.
    let field = Field::under(
        "maxClientCnxns=0\npreAllocSize=64\nsnapCount=200\nnio.sessionlessCnxnTimeout=60000",
        FEW,
    );
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", field.server.id())).unwrap();
    let open = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(open.split_whitespace().nth(3), Some("200"), "the soft limit is raised: {open}");
    field.wait_for_line(&["open files: soft limit raised"]);

    let mut inside = field.client();
    inside.create("/a", b"", CreateMode::Persistent).unwrap();
    let witness = Witness::start(&field);
    let mut crowd: Vec<_> = (0..2 * ROOM).map(|_| field.socket()).collect();
    field.wait_for_line(&[PAUSES, "150 connections"]);
    for _ in 0..500 {
        inside.set("/a", &[7; 2_000], -1).unwrap();
    }
    inside.get("/a").unwrap();
    assert_eq!(field.lines_with(PAUSES), 1, "one line:\n{}", field.server.log());
    assert_eq!(field.lines_with(AGAIN), 0);

    crowd.truncate(10);
    field.wait_for_line(&[AGAIN]);
    let mut late = field.client();
    late.set("/a", b"from one that had to wait", -1).unwrap();
    wait_until("room", || field.server.log(), || field.told("num_alive_connections") < 50);
    for line in ["ERROR", "Too many open files"] {
        assert_eq!(field.lines_with(line), 0, "{}", field.server.log());
    }
    witness.stop("descriptors");
}
