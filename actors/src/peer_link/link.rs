//! What both links to a member have: whom they lead to, what they tell an operator.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::frame::{FrameReader, FrameWriter, Lane};
use paddock_messages::ids::ServerId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::letters::Accepted;
use super::status::{Allowance, LinkState, Quiet, SharedStatus};
use super::{SharedIdentity, dial, hello};
use crate::runtime::Clock;

/// Whom a link leads to.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Another member.
    pub id: ServerId,
    /// Hosts and the lane's ports, until it is told otherwise ([`super::letters::LookAt`]). A name is resolved anew each
    /// time it is dialled.
    pub addresses: Vec<(String, u16)>,
    /// This member's.
    pub identity: SharedIdentity,
    /// Kept up to date by the link.
    pub status: SharedStatus,
}

/// A connection whose peer may speak.
pub(super) struct Greeted {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) frames: FrameReader,
    pub(super) speaking: u8,
    /// To be written first: our hello, if it is not out yet.
    pub(super) first: Vec<u8>,
}

/// What a peer dials while a lane of its is up: the newest takes that one's place once the peer has answered on it
/// (PL7).
#[derive(Default)]
pub(super) struct Newer {
    dialled: Cell<Option<Greeted>>,
    is_there: Notify,
}

impl Newer {
    /// In the place of one that has not been answered.
    pub(super) fn put(&self, greeted: Greeted) {
        self.dialled.set(Some(greeted));
        self.is_there.notify_one();
    }

    /// Closes one that nobody waits for yet.
    pub(super) fn clear(&self) {
        self.dialled.set(None);
    }

    /// Says our hello on the newest, and waits for whatever comes then: no peer says more than its hello before it has
    /// read ours.
    pub(super) async fn answered(&self) -> Greeted {
        loop {
            self.is_there.notified().await;
            let Some(mut greeted) = self.dialled.take() else { continue };
            tokio::select! {
                answer = greeted.answer() => match answer {
                    Ok(1..) => return greeted,
                    _ => tracing::debug!(address = %greeted.address, "a connection was given up by who dialled it"),
                },
                () = self.is_there.notified() => self.is_there.notify_one(), // for the next turn
            }
        }
    }
}

impl Greeted {
    /// How many bytes have come, 1 at most, once something has: 0 is the end.
    pub(super) async fn answer(&mut self) -> io::Result<usize> {
        self.stream.write_all(&std::mem::take(&mut self.first)).await?; // into the socket's empty buffer
        let came_with_the_hello = self.frames.end().is_err();
        if came_with_the_hello { Ok(1) } else { self.stream.peek(&mut [0]).await }
    }
}

/// A task that ends with its owner.
pub(super) struct Task(JoinHandle<()>);

impl Task {
    /// On this thread, so that it does not run while its owner does, nor ever after its owner dropped it.
    pub(super) fn start(run: impl Future<Output = ()> + 'static) -> Self {
        Self(actix_rt::spawn(run))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Link {
    pub(super) peer: Peer,
    pub(super) lane: Lane,
    /// Nothing for so long ends a lane.
    pub(super) silence: Option<Duration>,
    /// What the peer's system does not take for so long ends a lane.
    pub(super) untaken: Duration,
    clock: Arc<dyn Clock>,
    addresses: RefCell<Vec<(String, u16)>>,
    /// Somebody waits for an address.
    has_address: Notify,
    quiet: RefCell<Quiet>,
    /// Of lines about lanes that come and go.
    lines: RefCell<Allowance>,
    /// Of connections that are accepted.
    arrivals: RefCell<Allowance>,
}

impl Link {
    pub(super) fn new(
        peer: Peer,
        lane: Lane,
        (silence, untaken): (Option<Duration>, Duration),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (has_address, quiet, lines, arrivals) = Default::default();
        let addresses = RefCell::new(peer.addresses.clone());
        Self { peer, lane, silence, untaken, clock, addresses, has_address, quiet, lines, arrivals }
    }

    /// Where the peer is looked for.
    pub(super) fn addresses(&self) -> Vec<(String, u16)> {
        self.addresses.borrow().clone()
    }

    pub(super) fn has_address(&self) -> bool {
        !self.addresses.borrow().is_empty()
    }

    /// The same from now on.
    pub(super) fn look_at(&self, addresses: Vec<(String, u16)>) {
        self.addresses.replace(addresses);
        self.has_address.notify_one();
    }

    /// Waits until the peer can be looked for.
    pub(super) async fn wait_for_address(&self) {
        while !self.has_address() {
            self.has_address.notified().await;
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// What was accepted, with our hello still to be sent; or why it is not to be used.
    pub(super) fn take(&self, accepted: Accepted) -> Result<Greeted, String> {
        // Each one that is taken is told to an actor that may be slow, and replaces the one before.
        if !self.arrivals.borrow_mut().take(self.now_ms()) {
            let id = self.peer.id;
            return Err(format!(
                "it dials again and again, and one a second is taken: do two servers run as server {id}? Each needs a myid of its own"
            ));
        }
        let Accepted { stream, address, speaking, frames, .. } = accepted;
        let unusable = |error: io::Error| format!("what it dialled cannot be used: {error}");
        let stream = TcpStream::from_std(stream).map_err(unusable)?;
        dial::tune(&stream, self.untaken).map_err(unusable)?;
        let first = hello::ours_written(&self.peer.identity.lock(), self.peer.id, self.lane);
        Ok(Greeted { stream, address, frames, speaking, first })
    }

    pub(super) fn writer(&self, speaking: u8) -> FrameWriter {
        FrameWriter::new(speaking, self.peer.identity.lock().largest_txn)
    }

    /// The peer cannot be reached, or a connection of it was not taken.
    pub(super) fn complain(&self, why: &str) {
        self.peer.status.lock().last_error = Some(why.to_owned());
        if let Some(left_out) = self.quiet.borrow_mut().admit(why, self.now_ms()) {
            let (lane, peer) = (self.lane, self.peer.id);
            tracing::warn!(left_out, "a {lane} lane with server {peer} does not come up: {why}");
        }
    }

    pub(super) fn on_up(&self, number: u64, greeted: &Greeted) {
        let Greeted { address, speaking, .. } = *greeted;
        {
            let mut status = self.peer.status.lock();
            (status.address, status.last_error) = (Some(address), None);
            status.speaking = Some(speaking);
        }
        self.rest(LinkState::Up);
        self.note(&format!("up in version {speaking}, at {address}"), number);
    }

    /// A lane is down, and the link now in `state`.
    pub(super) fn on_down(&self, number: u64, why: &str, state: LinkState) {
        self.peer.status.lock().last_error = Some(why.to_owned());
        self.rest(state);
        self.note(&format!("down: {why}"), number);
    }

    /// The link is in this state.
    pub(super) fn rest(&self, state: LinkState) {
        let mut status = self.peer.status.lock();
        if status.state != state {
            (status.state, status.since_ms) = (state, self.now_ms());
        }
    }

    pub(super) fn on_read(&self, count: usize) {
        self.peer.status.lock().bytes_received += count as u64;
    }

    fn note(&self, what: &str, number: u64) {
        let (lane, peer) = (self.lane, self.peer.id);
        if self.lines.borrow_mut().take(self.now_ms()) {
            tracing::info!("{lane} lane {number} with server {peer} is {what}");
        } else {
            tracing::debug!("{lane} lane {number} with server {peer} is {what}");
        }
    }
}
