//! Reaches a member, wherever its name leads by now.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use paddock_messages::frame::FrameReader;
use rustix::net::sockopt;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::hello;
use super::link::{Greeted, Link};

/// How long one address may take to answer. Longer than a lost first packet needs to be sent again: 1 s.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a name may take to resolve. The system's resolver goes on in a thread of its own after that, at
/// most for some 30 s: so few are ever at work.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MOST_TRIED: usize = 8;
/// Between the first two attempts.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Between two attempts, at last; also how long a lane has to last for the pauses to begin anew.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// So many times as long as a lane may be silent lie between two attempts to reach one that is to dial us.
const BETWEEN_ASKED: u32 = 5;

/// Dials again and again, first after `wait`, and lets `carry` have each lane until it is down.
pub(super) async fn keep(link: &Link, wait: Duration, mut carry: impl AsyncFnMut(Greeted)) {
    sleep(wait).await;
    let mut pause = SHORTEST_PAUSE;
    loop {
        link.wait_for_address().await;
        match dial(link).await {
            Ok(greeted) => {
                let since_ms = link.now_ms();
                carry(greeted).await;
                if Duration::from_millis(link.now_ms() - since_ms) >= LONGEST_PAUSE {
                    pause = SHORTEST_PAUSE;
                }
            }
            Err(why) => link.complain(&why),
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Dials now and then one that is to dial us: it may not know where we are, if it has not heard of us (PL8). What is
/// taken has answered, so it is no refusal.
pub(super) async fn ask(link: &Link, silence: Duration) -> Greeted {
    loop {
        sleep(BETWEEN_ASKED * silence).await;
        // Twice: the first time it may have no link to us yet.
        for _ in 0..2 {
            link.wait_for_address().await;
            match dial(link).await {
                Ok(mut greeted) => {
                    if matches!(timeout(super::HELLO_WITHIN, greeted.answer()).await, Ok(Ok(1..))) {
                        return greeted;
                    }
                    link.complain("it has a lane with us, or does not take one: its log says why");
                }
                Err(why) => link.complain(&why),
            }
            sleep(LONGEST_PAUSE).await;
        }
    }
}

/// The first of the peer's addresses where the peer is; or why it is at none.
async fn dial(link: &Link) -> Result<Greeted, String> {
    let mut failures = Vec::new();
    for (host, port) in link.addresses() {
        match resolve(&host, port).await {
            Ok(found) => {
                for at in found {
                    match greet(link, at).await {
                        Ok(greeted) => return Ok(greeted),
                        Err(why) => failures.push(format!("{at}: {why}")),
                    }
                }
            }
            Err(error) => failures.push(format!("{host} cannot be resolved: {error}")),
        }
    }
    Err(if failures.is_empty() { "it has no address".into() } else { failures.join("; ") })
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let found = timeout(RESOLVE_WITHIN, lookup_host((host, port))).await??;
    Ok(found.take(MOST_TRIED).collect())
}

async fn greet(link: &Link, at: SocketAddr) -> Result<Greeted, String> {
    let broken = |error: io::Error| error.to_string();
    let connected = timeout(CONNECT_WITHIN, TcpStream::connect(at)).await;
    let mut stream = connected.map_err(|_| "no answer".to_owned())?.map_err(broken)?;
    tune(&stream, link.untaken).map_err(broken)?;
    let (ours, largest_txn) = {
        let us = link.peer.identity.lock();
        (hello::ours_written(&us, link.peer.id, link.lane), us.largest_txn)
    };
    stream.write_all(&ours).await.map_err(broken)?; // into the socket's empty buffer
    let mut frames = FrameReader::new(link.lane, largest_txn);
    let hello = hello::read(&mut stream, &mut frames).await.map_err(|refusal| refusal.to_string())?;
    let judged = hello::judge(&hello, &link.peer.identity.lock(), link.lane, Some(link.peer.id));
    let speaking = judged.map_err(|refusal| refusal.to_string())?;
    frames.agree(speaking);
    Ok(Greeted { stream, address: at, frames, speaking, first: Vec::new() })
}

/// Small packets leave at once, and a connection whose other end is gone ends: for so long what is sent may stay
/// with us untaken.
pub(super) fn tune(stream: &TcpStream, untaken: Duration) -> io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    let ms = u32::try_from(untaken.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, ms.max(1))?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}
