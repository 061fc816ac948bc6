//! Accepts clients and deals them out to the client arbiters in turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::mail::Outbox;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::hub::NewClient;

/// How long accepting pauses when the process or the machine has no descriptor or buffer left.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens the client port. To be called where a runtime is, which will watch it.
///
/// # Errors
/// The address is taken or not this machine's, or the port needs a privilege.
pub fn listen(at: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

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
/// client whom none takes is closed.
pub async fn accept(listener: TcpListener, hubs: Vec<Outbox<NewClient>>, room: Room) {
    let mut pausing = false;
    let mut turn = 0;
    while let Some(place) = room.place().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if std::mem::take(&mut pausing) {
                    tracing::info!("accepting clients again");
                }
                if !deal(stream, peer, place, &hubs, &mut turn) {
                    return;
                }
            }
            Err(error) if is_exhausted(&error) => {
                if !std::mem::replace(&mut pausing, true) {
                    tracing::warn!("accepting clients pauses: {error}; raise the limit of open files");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => tracing::debug!("a client went away while it was accepted: {error}"),
        }
    }
}

/// Hands the socket to the next hub that takes it; false if no hub is left.
fn deal(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    hubs: &[Outbox<NewClient>],
    turn: &mut usize,
) -> bool {
    let options = SockRef::from(&stream);
    let set = options.set_tcp_nodelay(true).and_then(|()| options.set_keepalive(true));
    let Ok(stream) = set.and_then(|()| stream.into_std()) else {
        return true; // it is closed already
    };
    let mut client = NewClient { stream, peer, place };
    let mut gone = 0;
    for _ in 0..hubs.len() {
        *turn = (*turn + 1) % hubs.len();
        match hubs[*turn].post(client) {
            Ok(()) => return true,
            Err(refused) => {
                gone += usize::from(refused.is_gone());
                client = refused.into_body();
            }
        }
    }
    gone < hubs.len()
}

/// Whether accepting failed for want of what other connections hold: EMFILE, ENFILE, ENOBUFS, ENOMEM.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}
