//! O5: a multi is there whole or not at all, and a reply's zxid says what it shows.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{MultiHeader, SetData};
use paddock_messages::wire::Wire;
use paddock_messages::znode::Stat;
use rand::Rng;

use crate::order::{PATIENCE, look, next, on_each, stat_of};

/// Far above the numbers that the client gives by itself.
const FIRST_XID: i32 = 1 << 20;

/// Queues a multi or multiRead of the same op on `/a` and `/b`.
fn queue_both<T: Wire>(client: &mut RawClient, xid: i32, opcodes: (OpCode, OpCode), on: impl Fn(&str) -> T) {
    client.queue_raw(xid, opcodes.0 as i32, |to| {
        for path in ["/a", "/b"] {
            MultiHeader { kind: opcodes.1 as i32, done: false, err: -1 }.write(to);
            on(path).write(to);
        }
        MultiHeader::END.write(to);
    });
}

/// Gives both znodes the same data again and again, many changes in flight; notes each one's zxid.
fn keep_both_equal(to: SocketAddr, stop: &AtomicBool, changed: &Mutex<Vec<i64>>) {
    let mut client = RawClient::connect(to).expect("it serves");
    let mut xid = FIRST_XID;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..4 {
            xid += 1;
            let data = || Some(Bytes::copy_from_slice(&xid.to_be_bytes()));
            let set = |path: &str| SetData { path: path.into(), data: data(), version: -1 };
            queue_both(&mut client, xid, (OpCode::Multi, OpCode::SetData), set);
        }
        client.flush().expect("it serves");
        for _ in 0..4 {
            let header = client.reply().expect("it serves").header;
            assert_eq!(header.err, 0);
            changed.lock().expect("no holder panics").push(header.zxid);
        }
    }
}

/// Data and stat of both, as a multiRead tells them.
fn both(mut body: Bytes) -> [(Bytes, Stat); 2] {
    [(); 2].map(|()| {
        let header = MultiHeader::read(&mut body).expect("a header");
        assert_eq!((header.kind, header.err), (OpCode::GetData as i32, 0));
        let data = Option::<Bytes>::read(&mut body).expect("data").unwrap_or_default();
        (data, Stat::read(&mut body).expect("a stat"))
    })
}

#[test]
fn o5_a_multi_is_there_whole_or_not_at_all() {
    // Of all servers: zxids of one begin with the same epoch, so each server has its own list.
    let changed = Mutex::new(Vec::new());
    let shown = Mutex::new(Vec::new()); // a reply's zxid, and that of the change it shows
    let beside = |to: SocketAddr, stop: &AtomicBool| {
        keep_both_equal(to, stop, &changed);
        let mut changed = std::mem::take(&mut *changed.lock().expect("no holder panics"));
        changed.insert(0, 0);
        for (zxid, mzxid) in std::mem::take(&mut *shown.lock().expect("no holder panics")) {
            let newest = changed[changed.partition_point(|one| *one <= zxid) - 1];
            let is_right = newest == mzxid || (newest == 0 && mzxid < changed[1]);
            assert!(is_right, "O5: a reply of {zxid:#x} shows {mzxid:#x}, not {newest:#x}");
        }
    };
    on_each("multi", beside, |to, _, mut rng| {
        let mut client = RawClient::connect(to).expect("it serves");
        let (mut seen, mut changes, mut last) = (Vec::new(), 0, 0);
        let deadline = Instant::now() + PATIENCE;
        while changes < 60 {
            assert!(Instant::now() < deadline, "only {changes} changes were seen");
            let apart = rng.random_bool(0.5);
            if apart {
                for path in ["/a", "/b"] {
                    client.queue(OpCode::GetData, &look(path, false));
                }
            } else {
                let ops = (OpCode::MultiRead, OpCode::GetData);
                queue_both(&mut client, FIRST_XID, ops, |path| look(path, false));
            }
            client.flush().expect("it serves");
            let [a, b] = if apart {
                [(); 2].map(|()| {
                    let (_, reply) = next(&mut client);
                    (reply.header.zxid, stat_of(reply).mzxid)
                })
            } else {
                let (_, reply) = next(&mut client);
                let zxid = reply.header.zxid;
                let [a, b] = both(reply.ok().expect("both are there"));
                let first = a.1.version == 0 && b.1.version == 0; // created one by one
                assert!(a.0 == b.0 && (first || a.1.mzxid == b.1.mzxid), "O5: half a multi: {a:?} {b:?}");
                [(zxid, a.1.mzxid), (zxid, b.1.mzxid)]
            };
            changes += usize::from(a.1 != last);
            last = a.1;
            seen.extend([a, b]);
        }
        shown.lock().expect("no holder panics").extend(seen);
    });
}
