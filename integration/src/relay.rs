//! The connections between the members of an ensemble, passed on by this process: each member dials the others
//! here, and what they say to each other arrives late, slowly, at one end only, or not at all.
//!
//! There is a listener on loopback for each [`Route`]. One thread carries everything; its memory is bounded, for what
//! is not taken at one end is not read at the other. For tests alone: what cannot be done is a panic.

mod connection;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::ensemble::Id;
use crate::network::Lane;

/// The way of the connections that one member dials to a port of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Who dials: on the port for data a learner, on that for votes the one with the greater id.
    pub from: Id,
    /// Who is dialled.
    pub to: Id,
    /// By which port. [`Lane::All`] means both where something is to happen to them.
    pub lane: Lane,
}

impl Route {
    fn is_part_of(self, other: Self) -> bool {
        let lanes = other.lane == Lane::All || self.lane == other.lane;
        lanes && (self.from, self.to) == (other.from, other.to)
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Of the member that has dialled.
    Dialler,
    /// Of the one that was dialled.
    Dialled,
}

/// What becomes of connections that come from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// They are passed on.
    #[default]
    Carried,
    /// They are kept here with all that is said on them, until [`Relay::release`].
    Held,
    /// They are accepted, what is said on them is taken, and nobody ever answers.
    Silent,
}

/// How a route is at present.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    delay: Duration,
    is_stalled: bool,
    /// What each connection takes in either direction, in bytes a second; `None` as much as there is.
    rate: Option<u64>,
    arrivals: Arrivals,
    /// How often connections were released.
    releases: u64,
    /// How often they were cut, and which end was told the last time.
    cuts: (u64, Option<End>),
}

#[derive(Debug)]
struct Way {
    to: SocketAddr,
    at: SocketAddr,
    manner: watch::Sender<Manner>,
    accepted: AtomicU64,
}

/// It ends, and all connections with it, when it is dropped.
#[derive(Debug)]
pub struct Relay {
    ways: BTreeMap<Route, Arc<Way>>,
    /// To be dropped for the thread to end.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Passes on what is dialled by these routes, each to its address.
    pub fn start(routes: impl IntoIterator<Item = (Route, SocketAddr)>) -> Self {
        let (mut ways, mut listeners) = (BTreeMap::new(), Vec::new());
        for (route, to) in routes {
            assert_ne!(route.lane, Lane::All, "a route is to one port");
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has ports");
            listener.set_nonblocking(true).expect("it is open");
            let at = listener.local_addr().expect("it is open");
            let way = Way { to, at, manner: watch::Sender::default(), accepted: AtomicU64::new(0) };
            let way = Arc::new(way);
            listeners.push((Arc::clone(&way), listener));
            ways.insert(route, way);
        }
        let (running, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || run(listeners, stopped));
        Self { ways, running: Some(running), thread: Some(thread) }
    }

    /// Where what is to go by this route is dialled.
    pub fn address(&self, route: Route) -> SocketAddr {
        self.way(route).at
    }

    /// How many connections were made by this route.
    pub fn accepted(&self, route: Route) -> u64 {
        self.way(route).accepted.load(Ordering::Acquire)
    }

    /// Has all that is said from now on by any route arrive so much later, in either direction.
    pub fn delay_all(&self, delay: Duration) {
        self.ways.values().for_each(|way| way.manner.send_modify(|manner| manner.delay = delay));
    }

    /// The same of one route.
    pub fn delay(&self, route: Route, delay: Duration) {
        self.change(route, |manner| manner.delay = delay);
    }

    /// Takes no byte of its connections any more, from neither end; or goes on.
    pub fn stall(&self, route: Route, is_stalled: bool) {
        self.change(route, |manner| manner.is_stalled = is_stalled);
    }

    /// Takes no more from either end of a connection than so many bytes a second, up to 64 KiB at once; `None` takes
    /// all there is. What is not taken waits with whoever says it.
    ///
    /// # Panics
    /// If the rate is 0: see [`Self::stall`].
    pub fn throttle(&self, route: Route, rate: Option<u64>) {
        assert_ne!(rate, Some(0), "nothing at all is a stall");
        self.change(route, |manner| manner.rate = rate);
    }

    /// Says what becomes of connections that come from now on.
    pub fn on_arrivals(&self, route: Route, arrivals: Arrivals) {
        self.change(route, |manner| manner.arrivals = arrivals);
    }

    /// Passes on what was [`Arrivals::Held`] until now, also if whoever dialled has given it up.
    pub fn release(&self, route: Route) {
        self.change(route, |manner| manner.releases += 1);
    }

    /// Leaves its connections half open: what is on its way is lost, one end is closed, and the other learns nothing
    /// of it; what that says is taken and lost.
    pub fn cut(&self, route: Route, closed: End) {
        self.change(route, |manner| manner.cuts = (manner.cuts.0 + 1, Some(closed)));
    }

    fn way(&self, route: Route) -> &Way {
        self.ways.get(&route).expect("a route of this relay")
    }

    fn change(&self, route: Route, change: impl Fn(&mut Manner)) {
        let ways: Vec<_> = self.ways.iter().filter(|(one, _)| one.is_part_of(route)).collect();
        assert!(!ways.is_empty(), "{route:?} is no route of this relay");
        ways.iter().for_each(|(_, way)| way.manner.send_modify(&change));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Until the sender of `stopped` is dropped.
fn run(listeners: Vec<(Arc<Way>, TcpListener)>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the process may have one more").block_on(async {
        let mut accepting = JoinSet::new(); // all of it ends with us
        for (way, listener) in listeners {
            accepting.spawn(accept(way, listener));
        }
        tokio::select! {
            _ = stopped => {}
            Some(ended) = accepting.join_next() => ended.expect("it goes on for ever"),
        }
    });
}

async fn accept(way: Arc<Way>, listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it is open");
    let mut connections = JoinSet::new();
    loop {
        while let Some(ended) = connections.try_join_next() {
            ended.expect("a connection has no reason to panic");
        }
        let (stream, _) = listener.accept().await.expect("the process may have more open files");
        let manner = way.manner.subscribe();
        let first = *manner.borrow(); // who sees it counted may change the manner for the next
        connections.spawn(connection::serve(stream, way.to, first, manner));
        way.accepted.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
