//! Bytes of Apache's server, recorded: what each opcode and each error looks like on the wire.
//!
//! `integration/golden/java-3.9.txt` is written by [`record`], from the requests of [`script`], and by
//! nobody else: `GOLDEN=record cargo test -p paddock-integration --test golden_bytes`.
//! - U1  Every request and reply reads into `paddock-messages`' records and writes back byte for byte.
//! - U2  Paddock, sent the recorded requests, answers with the recorded bytes. Only zxids, times and
//!   session ids are masked, as [`crate::differential`] does (Y2): order, identity and "one txn has one
//!   time" remain; nothing in the file is masked. Lists without an order are compared as sets.
//! - U3  Every opcode and every error code is in a file, or in [`UNREACHABLE`] with its reason.
//! - U4  A reconfig makes of a configuration what it does at Apache's, or is refused with the same code, but for
//!   what a list names with its reason.
//!
//! `integration/golden/java-3.9-limits.txt` has the errors that take settings of their own ([`limits`]),
//! `integration/golden/java-3.9-reconfig.txt` what three servers answer to reconfig ([`reconfig`]).

pub mod file;
pub mod limits;
pub mod reconfig;
pub mod records;
pub mod script;

use std::net::SocketAddr;

use paddock_messages::error_code::ErrorCode as E;

use crate::differential::compare::compare;
use crate::differential::mapping::Mapping;
use crate::differential::observe::Frame;
use crate::differential::run::{Seen, Side, describe};
use file::Case;

/// Below which the script works: as long as the drawn operations' own name.
const PREFIX: &str = "/golden1";

/// Errors that no client can be made to see by servers that are recorded, and why.
pub const UNREACHABLE: &[(E, &str)] = &[
    (E::ReconfigInProgress, "needs a reconfig that is proposed and not yet committed"),
    (E::SessionExpired, "needs a write in flight while its session is being closed by another"),
    (E::SessionMoved, "never on the wire: the connection is closed instead"),
    (E::NotReadOnly, "needs an ensemble that lost its quorum"),
    (E::EphemeralOnLocalSession, "a server alone has no local sessions"),
];

/// Sends the script to the server and keeps all that comes.
pub fn record(java: SocketAddr) -> Vec<Case> {
    let mut side = Side::new(java, true);
    let cases = script::ops().into_iter().map(|op| {
        let op = script::placed(op, PREFIX);
        let seen = side.step(&op, crate::differential::op::PREFIX);
        Case { op, seen }
    });
    let cases = cases.collect();
    side.end();
    cases
}

fn closes(seen: &Seen) -> bool {
    seen.iter().flatten().any(|frame| matches!(frame, Frame::Closed))
}

/// Sends the recorded requests to another server; returns what differs and is no deviation.
pub fn replay(cases: &[Case], to: SocketAddr) -> Vec<String> {
    let mut side = Side::new(to, false);
    let (mut mapping, mut faults) = (Mapping::default(), Vec::new());
    for case in cases {
        let seen = [case.seen.clone(), side.step(&case.op, crate::differential::op::PREFIX)];
        if let Err(why) = compare(&mut mapping, &case.op, &seen) {
            faults.push(describe(&case.op, &seen, &why));
        }
        if closes(&case.seen) {
            side.level_one(case.op.session); // as the recording goes on with a new connection
        }
    }
    side.end();
    faults
}
