//! Both servers with a parent whose counter is near its end: two thousand million creates would be needed,
//! so it is written into their logs.

use std::io;
use std::path::Path;

use bytes::Bytes;
use paddock_actors::storage::{Options, RealDisk, open};
use paddock_messages::client::request::CreateOp;
use paddock_messages::codec::encode_into;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::txn::{self, Txn, TxnBody, TxnHeader};
use paddock_messages::wire::{Wire, write_nullable, write_str};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

use super::body::Body;
use super::mapping::Mapping;
use super::op::{Action, Op, PREFIX};

/// The parent's name, as long as [`PREFIX`].
pub const PARENT: &str = "/dCOUNTS";
/// What its next sequential child is called: three before the largest number.
const NEXT: i32 = i32::MAX - 3;
/// Any time.
const TIME: i64 = 1_700_000_000_000;
/// Of the first of two txns in Apache's log.
const JAVA: i64 = 0x1_0000;

/// The parent, and a child that moves its counter.
fn creates() -> [(String, i32); 2] {
    [(PARENT.into(), 1), (format!("{PARENT}/first"), NEXT)]
}

/// Zxids of what is in both logs, and of what comes next.
pub fn mapping() -> Mapping {
    let mut mapping = Mapping::default();
    mapping.begins(JAVA, Zxid::new(Epoch(1), 1).to_wire());
    mapping.begins(JAVA + 2, Zxid::new(Epoch(2), 1).to_wire());
    mapping
}

/// Writes Paddock's log.
///
/// # Errors
/// The directory cannot be written.
pub fn write_paddock(data: &Path) -> io::Result<()> {
    let disk = RealDisk::new(data)?;
    let (mut logger, _) = open(disk, Options::new(ServerId(1), 7)).map_err(io::Error::other)?;
    for (counter, (path, parent_cversion)) in (1..).zip(creates()) {
        let zxid = Zxid::new(Epoch(1), counter);
        let header =
            TxnHeader { session: SessionId(1), attach: AttachNumber::default(), cxid: 0, zxid, time: TIME };
        let create = txn::Op::Create(Box::new(txn::CreateTxn {
            op: CreateOp::Create,
            path: path.into(),
            data: Some(Bytes::new()),
            acl: Acl::open(),
            owner: Owner::Persistent,
            parent_cversion,
        }));
        let mut payload = Vec::new();
        encode_into(&mut payload, &Txn { header, body: TxnBody::One(create) }).map_err(io::Error::other)?;
        logger.append(zxid, &payload);
    }
    logger.flush().map_err(io::Error::other)?;
    Ok(())
}

/// Writes Apache's log: `data_dir` is that of a server which has run and does not.
/// Source: FileTxnLog, Util.marshallTxnEntry, zookeeper.jute (TxnHeader, CreateTxn).
///
/// # Errors
/// The file cannot be written.
pub fn write_java(data_dir: &Path) -> io::Result<()> {
    let mut log = b"ZKLG".to_vec();
    2i32.write(&mut log); // the format
    0i64.write(&mut log); // the database
    for (zxid, (path, parent_cversion)) in (JAVA..).zip(creates()) {
        let mut txn = Vec::new();
        1i64.write(&mut txn); // the session
        0i32.write(&mut txn); // its xid
        zxid.write(&mut txn);
        TIME.write(&mut txn);
        1i32.write(&mut txn); // create
        write_str(&path, &mut txn);
        write_nullable(Some(b""), &mut txn);
        txn.extend(Body::default().int(1).int(31).text("world").text("anyone").0);
        false.write(&mut txn); // ephemeral
        parent_cversion.write(&mut txn);
        i64::from(adler_32(&txn)).write(&mut log);
        write_nullable(Some(&txn), &mut log);
        log.push(b'B');
    }
    std::fs::write(data_dir.join(format!("version-2/log.{JAVA:x}")), log)
}

fn adler_32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// Up to the last number, and beyond it, where the last name is taken.
pub fn operations() -> Vec<Op> {
    let open = Body::default().int(1).int(31).text("world").text("anyone");
    let create = |name: &str, flags: i32| {
        let body = Body::default().text(&format!("{PREFIX}/{name}")).data(Some(b"")).raw(&open.0).int(flags);
        let text = format!("create {name} flags {flags}");
        Op { session: 0, action: Action::Request { xid: None, opcode: 15, body: body.0 }, text }
    };
    let stat = || {
        let body = Body::default().text(PREFIX).flag(false);
        let action = Action::Request { xid: None, opcode: 12, body: body.0 };
        Op { session: 1, action, text: "getChildren2".into() }
    };
    let delete = |name: &str| {
        let body = Body::default().text(&format!("{PREFIX}/{name}")).int(-1);
        let action = Action::Request { xid: None, opcode: 2, body: body.0 };
        Op { session: 1, action, text: format!("delete {name}") }
    };
    let multi = || {
        let one = |name: &str| {
            Body::default().text(&format!("{PREFIX}/{name}")).data(Some(b"")).raw(&open.0).int(2).0
        };
        let body = Body::default().header(1, false).raw(&one("m-")).header(15, false).raw(&one("n-"));
        let action = Action::Request { xid: None, opcode: 14, body: body.header(-1, true).0 };
        Op { session: 0, action, text: "multi of two".into() }
    };
    vec![
        stat(),
        create("s-", 2), // …644
        multi(),         // …645 and …646: the counter is at its end
        stat(),
        create("plain", 0), // does not move it any more; in Java, pzxid neither, until the next delete
        create("s-2147483647", 0),
        create("s-", 2), // Java: the same name again
        create("s-", 3),
        delete("plain"),
        stat(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler_32_is_zlibs() {
        assert_eq!(adler_32(b"Wikipedia"), 0x11E6_0398);
    }
}
