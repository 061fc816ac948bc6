//! Accepts what other members dial, and finds out who they are before anybody else hears of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use paddock_messages::frame::{FrameReader, Hello, Lane};
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Outbox, Refused};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::hello::{self, Refusal};
use super::letters::{Accepted, Guest};
use super::status::Quiet;
use super::{Identity, SharedIdentity, SharedLinks};
use crate::client::listener::{Failed, PAUSE, Pauses};
use crate::runtime::{Clock, listening};

/// Connections that have not said yet who they are. More wait in the system's backlog, at most for
/// [`super::HELLO_WITHIN`].
const MOST_STRANGERS: usize = 64;
/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 128;

/// Opens all of these addresses. To be called where a runtime is, which will watch them.
///
/// # Errors
/// The first that cannot be opened, by its name.
pub fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let open = |at: &SocketAddr| {
        let listener = listening::listen(*at, BACKLOG).and_then(|socket| TcpListener::from_std(socket));
        listener.map_err(|error| io::Error::new(error.kind(), format!("{at}: {error}")))
    };
    addresses.iter().map(open).collect()
}

/// Accepts `lane`s until it is dropped: whoever may speak goes to its link, and one without goes away, is told to
/// `guests`, and comes again. On the thread that drives it must be a local task set, as every arbiter has.
pub async fn accept(
    listener: TcpListener,
    lane: Lane,
    identity: SharedIdentity,
    (links, guests): (SharedLinks, Outbox<Guest>),
    clock: Arc<dyn Clock>,
) {
    let gate = Rc::new(Gate { lane, identity, links, guests, clock, quiet: RefCell::default() });
    let places = Arc::new(Semaphore::new(MOST_STRANGERS));
    let mut pauses = Pauses::default();
    let mut greetings = JoinSet::new(); // they end with us
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while greetings.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, address)) => {
                if pauses.on_accepted() {
                    tracing::info!("accepting {lane} lanes of other members again");
                }
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                let gate = Rc::clone(&gate);
                greetings.spawn_local(async move {
                    gate.greet(stream, address).await;
                    drop(place);
                });
            }
            Err(error) => match pauses.on_error(&error) {
                Failed::Pause(advice) => {
                    if let Some(advice) = advice {
                        tracing::warn!("accepting {lane} lanes of other members pauses: {error}; {advice}");
                    }
                    sleep(PAUSE).await;
                }
                Failed::GoOn => tracing::debug!("a peer went away while it was accepted: {error}"),
            },
        }
    }
}

struct Gate {
    lane: Lane,
    identity: SharedIdentity,
    links: SharedLinks,
    guests: Outbox<Guest>,
    clock: Arc<dyn Clock>,
    /// By member; without one, all who are none.
    quiet: RefCell<BTreeMap<Option<ServerId>, Quiet>>,
}

impl Gate {
    async fn greet(&self, mut stream: TcpStream, address: SocketAddr) {
        let mut frames = FrameReader::new(self.lane, self.identity.lock().largest_txn).of_a_learner();
        let hello = match hello::read(&mut stream, &mut frames).await {
            Ok(hello) => hello,
            Err(refusal) => return self.refuse(None, address, &refusal.to_string()),
        };
        let us = self.identity.lock().clone();
        match hello::judge(&hello, &us, self.lane, None) {
            Ok(speaking) => {
                frames.agree(speaking);
                self.hand_over(stream, address, hello, speaking, frames);
            }
            Err(refusal) => {
                self.refuse(known(&us, hello.from), address, &refusal.to_string());
                if !matches!(refusal, Refusal::Stranger(_) | Refusal::Namesake(_)) {
                    // Its log can then say the same. It fits into the socket's empty buffer.
                    _ = stream.write_all(&hello::ours_written(&us, hello.from, self.lane)).await;
                }
            }
        }
    }

    fn hand_over(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        hello: Hello,
        speaking: u8,
        frames: FrameReader,
    ) {
        let from = hello.from;
        let route = self.links.get(&from).map(|link| link.accepted(self.lane).clone());
        let Some(route) = route else {
            let _ = self.guests.post(Guest(from)); // over its bound it is told when that one comes again
            let known = known(&self.identity.lock(), from);
            return self.refuse(
                known,
                address,
                &format!("server {from} has no link here yet: it is made now"),
            );
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return self.refuse(Some(from), address, &error.to_string()),
        };
        match route.post(Accepted { stream, address, hello, speaking, frames }) {
            Ok(()) => {}
            Err(Refused::Full(_)) => {
                self.refuse(Some(from), address, &format!("server {from} dials faster than it can be taken"));
            }
            Err(Refused::Gone(_)) => {
                self.refuse(Some(from), address, &format!("the link to server {from} has ended"));
            }
        }
    }

    fn refuse(&self, who: Option<ServerId>, address: SocketAddr, why: &str) {
        let mut quiet = self.quiet.borrow_mut();
        if let Some(left_out) = quiet.entry(who).or_default().admit(why, self.clock.now_ms()) {
            let lane = self.lane;
            tracing::warn!(left_out, "a {lane} lane from {address} is refused: {why}");
        }
    }
}

/// So that what is remembered by id is bounded: a stranger's id may be anything.
fn known(us: &Identity, from: ServerId) -> Option<ServerId> {
    Some(from).filter(|from| us.members.contains(from))
}
