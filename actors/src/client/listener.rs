//! Accepts clients and deals them out to the client arbiters in turn.

use std::borrow::Borrow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::mail::Outbox;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::Instant;

use super::Remark;
use super::hub::{NewClient, tell};
use super::remarks::{Remarks, Whom};
use crate::admin::metrics::{Meters, Reason};

/// How long accepting pauses when the process or the machine has no descriptor or buffer left.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How many clients may have a descriptor at once: accepting waits while none is left, so that the log,
/// snapshots and the metrics' port never find that clients have them all.
#[derive(Clone, Debug)]
pub struct Room {
    places: Arc<Semaphore>,
    all: usize,
}

impl Room {
    /// For so many clients.
    pub fn new(clients: usize) -> Self {
        let all = clients.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(all)), all }
    }

    /// Waits for a place; says so if it has to.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => return Some(place),
            Err(TryAcquireError::Closed) => return None,
            Err(TryAcquireError::NoPermits) => {}
        }
        let all = self.all;
        tracing::warn!(
            "accepting clients pauses: {all} connections have all the descriptors there are for clients; \
             raise the limit of open files (LimitNOFILE)"
        );
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        tracing::info!("accepting clients again");
        place
    }
}

/// Accepts until no hub is left; ends then. A hub that is full or gone has its turn passed over; a
/// client whom none takes is closed, which is counted and said (C12).
pub async fn accept(
    listener: impl Borrow<TcpListener>,
    hubs: Vec<Outbox<NewClient>>,
    room: Room,
    meters: Arc<Meters>,
) {
    let mut pauses = Pauses::default();
    let mut turn = 0;
    let (mut untaken, since) = (Remarks::default(), Instant::now());
    while let Some(place) = room.place().await {
        match listener.borrow().accept().await {
            Ok((stream, peer)) => {
                if pauses.on_accepted() {
                    tracing::info!("accepting clients again");
                }
                let now_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                untaken.due(now_ms).iter().for_each(tell);
                match deal(stream, peer, place, &hubs, &mut turn) {
                    Dealt::Taken => {}
                    Dealt::Closed(peer) => {
                        meters.refused.of(Reason::NotTaken).add(1);
                        let whom = Whom { peer, session: None };
                        untaken.say(whom, Remark::NotTaken, now_ms).iter().for_each(tell);
                    }
                    Dealt::NoneLeft => return,
                }
            }
            Err(error) => match pauses.on_error(&error) {
                Failed::Pause(advice) => {
                    if let Some(advice) = advice {
                        tracing::warn!("accepting clients pauses: {error}; {advice}");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Failed::GoOn => tracing::debug!("a client went away while it was accepted: {error}"),
            },
        }
    }
}

/// What became of a new connection.
enum Dealt {
    /// A hub has it, or the client is gone.
    Taken,
    /// All hubs have as many as may wait.
    Closed(SocketAddr),
    /// There is no hub any more.
    NoneLeft,
}

/// Hands the socket to the next hub that takes it.
fn deal(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    hubs: &[Outbox<NewClient>],
    turn: &mut usize,
) -> Dealt {
    let options = SockRef::from(&stream);
    let set = options.set_tcp_nodelay(true).and_then(|()| options.set_keepalive(true));
    let Ok(stream) = set.and_then(|()| stream.into_std()) else {
        return Dealt::Taken; // it is closed already
    };
    // One family to all who look at it: ACLs, limits per host, the log.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let mut client = NewClient { stream, peer, place };
    let mut gone = 0;
    for _ in 0..hubs.len() {
        *turn = (*turn + 1) % hubs.len();
        match hubs[*turn].post(client) {
            Ok(()) => return Dealt::Taken,
            Err(refused) => {
                gone += usize::from(refused.is_gone());
                client = refused.into_body();
            }
        }
    }
    if gone < hubs.len() { Dealt::Closed(peer) } else { Dealt::NoneLeft }
}

/// Whether accepting pauses, and what was said of it.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    is_pausing: bool,
}

/// What follows from a failure to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Something has run out: wait a while. With a line for the log, what to do about it, if none was
    /// written since accepting last worked.
    Pause(Option<&'static str>),
    /// That one client's affair.
    GoOn,
}

impl Pauses {
    pub(crate) fn on_error(&mut self, error: &io::Error) -> Failed {
        let Some(advice) = exhausted(error) else { return Failed::GoOn };
        Failed::Pause((!std::mem::replace(&mut self.is_pausing, true)).then_some(advice))
    }

    /// Whether that ends a pause.
    pub(crate) fn on_accepted(&mut self) -> bool {
        std::mem::take(&mut self.is_pausing)
    }
}

/// What to do if accepting failed for want of what other connections or processes hold.
fn exhausted(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some("raise this process' limit of open files (LimitNOFILE)"),
        Errno::NFILE => {
            Some("the whole machine has no file left to open: raise fs.file-max, or end what holds them")
        }
        Errno::NOBUFS | Errno::NOMEM => Some("the kernel has no memory left for sockets"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn accepting_pauses_while_something_has_run_out_and_one_line_says_what() {
        let cases = [
            (Errno::MFILE, Some("LimitNOFILE")),
            (Errno::NFILE, Some("fs.file-max")),
            (Errno::NOBUFS, Some("kernel")),
            (Errno::NOMEM, Some("kernel")),
            (Errno::CONNABORTED, None), // the client has gone again
            (Errno::INTR, None),
        ];
        for (errno, advice) in cases {
            let (mut pauses, error) = (Pauses::default(), io::Error::from(errno));
            for _ in 0..2 {
                match (pauses.on_error(&error), advice) {
                    (Failed::GoOn, None) => {}
                    (Failed::Pause(Some(says)), Some(advice)) => assert!(says.contains(advice), "{says}"),
                    (found, _) => panic!("{errno:?}: {found:?}"),
                }
                assert_eq!(pauses.on_error(&error), advice.map_or(Failed::GoOn, |_| Failed::Pause(None)));
                // While one thing has run out, another adds no line.
                let other = pauses.on_error(&Errno::MFILE.into());
                assert_eq!(matches!(other, Failed::Pause(None)), advice.is_some(), "{errno:?}");
                assert!(pauses.on_accepted(), "the end of a pause is told");
                assert!(!pauses.on_accepted(), "once");
            }
        }
        assert_eq!(Pauses::default().on_error(&io::Error::other("no errno")), Failed::GoOn);
    }
}
