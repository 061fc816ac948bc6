//! The whole process stands still for a while, as when its machine is suspended or swaps.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::CreateMode;
use rustix::process::{Pid, Signal, kill_process};

use crate::crowd::{greeted, hello};
use crate::field::{Field, PATIENCE};

/// Far more than the 50 that Java's server leaves waiting.
const COMING: usize = 500;
const TIMEOUT_MS: i32 = 2_000;
const FROZEN: Duration = Duration::from_millis(5_000);

/// As many as the kernel lets wait, at most.
fn coming() -> usize {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    COMING.min(most.trim().parse().unwrap())
}

#[test]
fn a_server_that_stood_still_expires_nobody_for_it_and_takes_all_who_came_meanwhile() {
    let field = Field::new("maxClientCnxns=0\ntickTime=1000");
    let (mut pings, mut silent) = (field.client_for(TIMEOUT_MS), field.client_for(TIMEOUT_MS));
    assert_eq!(silent.session().timeout_ms, TIMEOUT_MS);
    pings.create("/pings", b"", CreateMode::Ephemeral).unwrap();
    silent.create("/silent", b"", CreateMode::Ephemeral).unwrap();

    let process = Pid::from_raw(field.server.id() as i32).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let mut came = Vec::new();
    for _ in 0..coming() {
        // Beyond the backlog the kernel would let it wait until the server goes on.
        let mut stream = TcpStream::connect_timeout(&field.to(), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&hello(30_000)).unwrap();
        came.push(stream);
    }
    let (xid, opcode) = (-2, OpCode::Ping as i32);
    pings.queue_raw(xid, opcode, |_| {});
    pings.flush().unwrap();
    std::thread::sleep(FROZEN);
    kill_process(process, Signal::CONT).unwrap();

    pings.reply().unwrap().ok().unwrap();
    pings.set("/pings", b"lives", 0).unwrap();
    silent.set("/silent", b"lives, too", 0).expect("its timeout does not run while the server stands still");
    came.iter().for_each(greeted);
    let mut ping = Vec::new();
    frame(&mut ping, |to| RequestHeader { xid, opcode }.write(to));
    came.iter_mut().step_by(50).for_each(|stream| {
        stream.write_all(&ping).unwrap();
        stream.read_exact(&mut [0; 20]).unwrap();
    });
}
