//! Watches by the hundred thousand.

use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;

use crate::field::{Field, Witness};

const WATCHES: u64 = 300_000;
/// Requests sent before their answers are read.
const AT_ONCE: u64 = 1_000;
/// A watch with a path of its own, in bytes of resident memory.
const MOST: u64 = 100;

#[test]
fn watches_by_the_hundred_thousand_take_at_most_100_bytes_each() {
    let field = Field::new("maxClientCnxns=0");
    let witness = Witness::start(&field);
    let mut client = field.client();
    let mut ask = |from: u64, count: u64, watch: bool| {
        for first in (from..from + count).step_by(AT_ONCE as usize) {
            for n in first..first + AT_ONCE {
                client.queue(OpCode::Exists, &PathWatch { path: format!("/w/{n:07}").into(), watch });
            }
            client.flush().unwrap();
            (0..AT_ONCE).for_each(|_| drop(client.reply().unwrap()));
        }
    };
    ask(0, 20_000, false); // the buffers are as large as they will be
    let before = field.resident();
    ask(0, WATCHES, true);
    let each = (field.resident() - before).div_ceil(WATCHES);
    println!("watches: {each} bytes of resident memory each, {WATCHES} of them");
    assert_eq!(field.told("watch_count"), WATCHES);
    assert!(each <= MOST, "{each} bytes a watch");
    let once = field.resident();
    ask(0, WATCHES, true); // the same again cost nothing
    assert_eq!(field.told("watch_count"), WATCHES);
    let again = field.resident().saturating_sub(once);
    println!("watches: {again} bytes of resident memory for all of them a second time");
    assert!(again < WATCHES, "{again} bytes for {WATCHES} watches that were there");
    witness.stop("watches");
}
