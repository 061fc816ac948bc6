//! `kill -9` with many znodes: how soon is it serving again? And what do they take of memory?

use std::net::SocketAddr;
use std::thread;

use paddock_integration::raw_client::RawClient;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathOnly;
use paddock_messages::wire::Wire;
use paddock_messages::znode::CreateMode;

use crate::servers::{Kind, Server};
use crate::{Options, aim, median, verdict};

/// Clients that create the znodes, and how many requests each has in flight.
const CLIENTS: usize = 4;
const WINDOW: usize = 256;
/// Children of each parent.
const CHILDREN: usize = 1_000;
const DATA: &[u8] = &[b'x'; 100];
/// Seconds until it serves, at most, with a million znodes.
const RESTART_GATE: f64 = 0.7;
/// Bytes of a znode, at most.
const ZNODE_GATE: f64 = 250.0;
/// What is aimed at.
const RESTART_AIM: f64 = 0.4;
const ZNODE_AIM: f64 = 230.0;

struct Measured {
    seconds: f64,
    znode_bytes: f64,
}

/// Measures, prints, and says whether the gates hold.
pub(crate) fn run(options: &Options) -> bool {
    let [java, paddock] = [Kind::Java, Kind::Paddock].map(|kind| measure(kind, options));
    let holds = [paddock.seconds <= RESTART_GATE, paddock.znode_bytes <= ZNODE_GATE];
    println!(
        "\n| {} znodes of {} B | Java | Paddock | : Java | at most | holds | {} |\n|---|---:|---:|---:|---:|---:|---:|---:|",
        options.znodes,
        DATA.len(),
        aim::HEAD
    );
    for (name, theirs, ours, gate, holds, aim) in [
        (
            "kill -9 until it serves again, s",
            java.seconds,
            paddock.seconds,
            RESTART_GATE,
            holds[0],
            RESTART_AIM,
        ),
        ("bytes resident per znode", java.znode_bytes, paddock.znode_bytes, ZNODE_GATE, holds[1], ZNODE_AIM),
    ] {
        let (ratio, aimed) = (ours / theirs, aim::cells(&aim.to_string(), ours <= aim));
        println!("| {name} | {theirs:.2} | {ours:.2} | {ratio:.2} | {gate} | {} | {aimed} |", verdict(holds));
    }
    holds.iter().all(|holds| *holds)
}

fn measure(kind: Kind, options: &Options) -> Measured {
    let mut server = Server::start(kind);
    let parents = options.znodes.div_ceil(CHILDREN);
    fill(server.address(), parents, options.znodes);
    let mut times = Vec::new();
    let mut resident = 0.0;
    for _ in 0..options.rounds {
        times.push(server.kill_and_restart().as_secs_f64());
        resident = server.resident();
        let found = count(server.address());
        assert!(found >= options.znodes + parents, "{kind:?} lost znodes: {found} are there");
    }
    // Against a server of the same kind that holds nothing, so that garbage of the filling does not count.
    drop(server);
    let empty = Server::start(kind).resident();
    let measured = Measured {
        seconds: median(times),
        znode_bytes: (resident - empty) / (options.znodes + parents) as f64,
    };
    eprintln!("{kind:?}: serves after {:.2} s, {:.0} B a znode", measured.seconds, measured.znode_bytes);
    measured
}

/// Makes so many parents, with a thousand children each, and no more than `znodes` of those.
pub(crate) fn fill(to: SocketAddr, parents: usize, znodes: usize) {
    let path = |parent: usize| format!("/parent-{parent:07}");
    thread::scope(|scope| {
        for first in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = RawClient::connect(to).expect("it serves");
                for parent in (first..parents).step_by(CLIENTS) {
                    let children = (parent * CHILDREN..znodes.min((parent + 1) * CHILDREN))
                        .map(|child| format!("{}/child-{child:010}", path(parent)));
                    create(&mut client, [path(parent)].into_iter().chain(children));
                }
                client.close().expect("it serves");
            });
        }
    });
}

fn create(client: &mut RawClient, paths: impl Iterator<Item = String>) {
    let answered = |client: &mut RawClient| {
        client.reply().and_then(|reply| reply.ok()).expect("the znode is new");
    };
    for path in paths {
        client.queue_create(&path, DATA, CreateMode::Persistent);
        if client.in_flight() == WINDOW {
            client.flush().expect("it reads");
            (0..WINDOW).for_each(|_| answered(client));
        }
    }
    client.flush().expect("it reads");
    (0..client.in_flight()).for_each(|_| answered(client));
}

fn count(of: SocketAddr) -> usize {
    let mut client = RawClient::connect(of).expect("it serves");
    let reply = client.call(OpCode::GetAllChildrenNumber, &PathOnly { path: "/".into() });
    let mut body = reply.and_then(|reply| reply.ok()).expect("it is answered");
    i32::read(&mut body).expect("a number") as usize
}
