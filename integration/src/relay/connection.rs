//! One connection, from the one that dialled it to the one that was dialled.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Arrivals, End, Manner};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// Pieces under way in one direction, at most; what would be more is not read.
const PIECES: usize = 1024;

/// Does with it what its route did with connections when it came; ends with both ends closed.
pub(super) async fn serve(
    mut dialler: TcpStream,
    to: SocketAddr,
    first: Manner,
    mut manner: watch::Receiver<Manner>,
) {
    match first.arrivals {
        Arrivals::Carried => {}
        Arrivals::Silent => return take_all(dialler).await,
        Arrivals::Held => {
            let released = manner.wait_for(|manner| manner.releases > first.releases).await;
            if released.is_err() {
                return; // the relay has ended
            }
        }
    }
    let Ok(mut dialled) = TcpStream::connect(to).await else { return };
    for stream in [&dialler, &dialled] {
        let _ = stream.set_nodelay(true); // it may be closed already, which is found out next
    }
    let mut cut = manner.clone();
    let closed = tokio::select! {
        () = carry(&mut dialler, &mut dialled, &manner) => None,
        Ok(manner) = cut.wait_for(|manner| manner.cuts.0 > first.cuts.0) => manner.cuts.1,
    };
    match closed {
        None => {}
        Some(End::Dialler) => {
            drop(dialler);
            take_all(dialled).await;
        }
        Some(End::Dialled) => {
            drop(dialled);
            take_all(dialler).await;
        }
    }
}

/// Until its other end closes it.
async fn take_all(mut stream: TcpStream) {
    let mut chunk = vec![0; CHUNK];
    while stream.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
}

/// Until both ends have closed it, and what they had said before has arrived.
async fn carry(one: &mut TcpStream, other: &mut TcpStream, manner: &watch::Receiver<Manner>) {
    let ((from_one, to_one), (from_other, to_other)) = (one.split(), other.split());
    tokio::join!(pass(from_one, to_other, manner.clone()), pass(from_other, to_one, manner.clone()));
}

async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut manner: watch::Receiver<Manner>) {
    let (pieces, mut under_way) = mpsc::channel(PIECES);
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        let mut last = (Instant::now(), 0); // when something was read, and how much
        loop {
            let rate = match manner.wait_for(|manner| !manner.is_stalled).await {
                Ok(manner) => manner.rate,
                Err(_) => return,
            };
            let more = async {
                if let Some(rate) = rate {
                    sleep_until(last.0 + takes(last.1, rate)).await;
                }
                from.read(&mut chunk).await
            };
            let read = tokio::select! {
                biased; // nothing is read any more once it is stalled
                changed = manner.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                read = more => read,
            };
            let now = Instant::now();
            let due = now + manner.borrow().delay;
            last = (now, read.as_ref().map_or(0, |read| *read as u64));
            match read {
                Ok(read @ 1..) if pieces.send((due, chunk[..read].to_vec())).await.is_ok() => {}
                _ => return,
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = under_way.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await; // it may be closed already
    };
    tokio::join!(read, write);
}

/// How long so many bytes take at this many a second.
fn takes(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros(bytes * 1_000_000 / rate)
}
