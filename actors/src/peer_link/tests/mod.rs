//! Real links and listeners on the loopback, and peers by hand. What is waited for is a letter, a frame or
//! the end of a connection.

mod ctl;
mod data;
mod flow;
mod hello;
mod hostile;
mod linked;
mod queue;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use paddock_messages::frame::{Frame, FrameReader, FrameWriter, Hello, Lane, SPOKEN};
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Bound, Meter, Outbox};
use paddock_messages::quorum::{Heartbeat, Memory, Notification, PeerState, ToLeader, ToLearner};
use paddock_messages::zxid::Zxid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::letters::*;
use super::*;
use crate::membership::Told;
use crate::runtime::{Clock, Duty, Env, Inbox, SystemClock};

const TXN: usize = 1 << 20;
/// Longer than any test needs.
const SILENCE: Duration = Duration::from_secs(60);

/// For what must come: a test that waits longer has failed.
async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it comes within 30 s")
}

/// What links tell.
#[derive(Debug)]
enum Heard {
    CtlUp,
    CtlDown,
    Notification(Notification),
    Heartbeat(Heartbeat),
    Configuration(Told),
    /// The lane of this number.
    Up(u64),
    Down(u64, String),
    FromLeader(FromLeader),
    FromLearner(FromLearner),
}

/// Who is told.
struct Ear {
    to: UnboundedSender<Heard>,
    heard: UnboundedReceiver<Heard>,
}

impl Ear {
    fn new() -> Self {
        let (to, heard) = unbounded_channel();
        Self { to, heard }
    }

    fn outbox<M: std::marker::Send + 'static>(&self, wrap: fn(M) -> Heard) -> Outbox<M> {
        let to = self.to.clone();
        let broken = Arc::new(|why: &str| panic!("{why}"));
        Outbox::new(Meter::new::<M>("ear".into(), Bound::Admitted(100_000), broken), move |mail| {
            to.send(wrap(mail.open().0)).unwrap();
            Ok(())
        })
    }

    async fn next(&mut self) -> Heard {
        within(self.heard.recv()).await.unwrap()
    }

    fn now(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    async fn up(&mut self) -> u64 {
        match self.next().await {
            Heard::Up(lane) => lane,
            other => panic!("{other:?} instead of a lane"),
        }
    }

    async fn down(&mut self) -> (u64, String) {
        match self.next().await {
            Heard::Down(lane, why) => (lane, why),
            other => panic!("{other:?} instead of a lane's end"),
        }
    }

    /// What the next packet counts: see [`ack`] and [`commit`].
    async fn number(&mut self) -> u64 {
        match self.next().await {
            Heard::FromLeader(FromLeader { packet: ToLearner::Commit { upto }, .. })
            | Heard::FromLearner(FromLearner { packet: ToLeader::Ack { upto }, .. }) => upto.0,
            other => panic!("{other:?} instead of a number"),
        }
    }
}

fn identity(me: u64, members: &[u64]) -> SharedIdentity {
    let members = members.iter().copied().map(ServerId).collect();
    let (me, ensemble) = (ServerId(me), Some(7));
    Arc::new(Mutex::new(Identity { me, members, ensemble, largest_txn: TXN, speaks: SPOKEN, level: 0 }))
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn peer(identity: &SharedIdentity, id: u64, at: &[SocketAddr]) -> Peer {
    let addresses = at.iter().map(|at| (at.ip().to_string(), at.port())).collect();
    Peer { id: ServerId(id), addresses, identity: identity.clone(), status: Arc::default() }
}

/// A link that runs, and whom it tells.
struct Ctl {
    accepted: Outbox<Accepted>,
    notify: Outbox<SendNotification>,
    beat: Outbox<SendHeartbeat>,
    tell: Outbox<SendConfiguration>,
    look_at: Outbox<LookAt>,
    peer: Peer,
    ear: Ear,
}

const MAIL: Bound = Bound::Entrance(100_000);

fn ctl(peer: Peer, silence: Duration) -> Ctl {
    ctl_to(peer, silence, |_| ())
}

/// Where `change` alters where it posts.
fn ctl_to(peer: Peer, silence: Duration, change: impl FnOnce(&mut CtlOutboxes)) -> Ctl {
    let ear = Ear::new();
    let mut to = CtlOutboxes {
        up: ear.outbox(|_| Heard::CtlUp),
        down: ear.outbox(|_| Heard::CtlDown),
        notification: ear.outbox(|it: HeardNotification| Heard::Notification(it.notification)),
        heartbeat: ear.outbox(|it: HeardHeartbeat| Heard::Heartbeat(it.heartbeat)),
        configuration: ear.outbox(|it: HeardConfiguration| Heard::Configuration(it.told)),
    };
    change(&mut to);
    let (env, _) = Env::recorded(clock());
    let inbox = Inbox::<CtlLink>::new("ctl", Duty::Alone, &env);
    let (accepted, notify, beat) = (inbox.outbox(MAIL), inbox.outbox(MAIL), inbox.outbox(MAIL));
    let (tell, look_at) = (inbox.outbox(MAIL), inbox.outbox(MAIL));
    let setup = CtlSetup { peer: peer.clone(), silence, to };
    inbox.start_here(CtlLink::new(setup, env.clock));
    Ctl { accepted, notify, beat, tell, look_at, peer, ear }
}

/// A link that runs, and whom it tells.
struct Data {
    accepted: Outbox<Accepted>,
    open: Outbox<Open>,
    shut: Outbox<Shut>,
    hang_up: Outbox<HangUp>,
    serve: Outbox<Serve>,
    send: Outbox<Send>,
    look_at: Outbox<LookAt>,
    peer: Peer,
    ear: Ear,
}

fn data(peer: Peer) -> Data {
    data_of(peer, 1 << 20, 1 << 20)
}

fn data_of(peer: Peer, queue_bytes: usize, read_ahead_bytes: usize) -> Data {
    let ear = Ear::new();
    let learner = LearnerOutboxes {
        up: ear.outbox(|it: LeaderLaneUp| Heard::Up(it.lane)),
        down: ear.outbox(|it: LeaderLaneDown| Heard::Down(it.lane, it.why)),
        packets: ear.outbox(Heard::FromLeader),
    };
    let proposer = ProposerOutboxes {
        up: ear.outbox(|it: LearnerLaneUp| Heard::Up(it.lane)),
        down: ear.outbox(|it: LearnerLaneDown| Heard::Down(it.lane, it.why)),
        packets: ear.outbox(Heard::FromLearner),
    };
    let (env, _) = Env::recorded(clock());
    let inbox = Inbox::<DataLink>::new("data", Duty::Alone, &env);
    let (accepted, open, shut) = (inbox.outbox(MAIL), inbox.outbox(MAIL), inbox.outbox(MAIL));
    let (hang_up, serve, send) = (inbox.outbox(MAIL), inbox.outbox(MAIL), inbox.outbox(MAIL));
    let look_at = inbox.outbox(MAIL);
    let lanes = Arc::new(AtomicU64::new(0));
    let (peer_of, untaken) = (peer.clone(), Duration::from_secs(60));
    let setup = DataSetup { peer: peer_of, lanes, untaken, queue_bytes, read_ahead_bytes, learner, proposer };
    inbox.start_here(DataLink::new(setup, env.clock));
    Data { accepted, open, shut, hang_up, serve, send, look_at, peer, ear }
}

impl Data {
    fn send(&self, lane: u64, items: Vec<Outgoing>) {
        self.send.post(Send { lane, items }).unwrap();
    }
}

/// Ports that are open, and to be told who belongs there.
fn opened() -> (TcpListener, SocketAddr) {
    let listener = listener::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap().remove(0);
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// Accepts for the link of member `id`.
fn route(listener: TcpListener, lane: Lane, us: &SharedIdentity, id: u64, to: &Outbox<Accepted>) {
    let links = SharedLinks::default();
    links.insert(ServerId(id), Reach::to([to.clone(), to.clone()]));
    let guests = Ear::new().outbox(|guest: Guest| panic!("{guest:?}"));
    actix_rt::spawn(listener::accept(listener, lane, us.clone(), (links, guests), clock()));
}

/// Member 1 follows member 2: their links, and the numbers that each has for the lane between them.
async fn pair(queue_bytes: usize, read_ahead_bytes: usize) -> (Data, u64, Data, u64) {
    let (one, two) = (identity(1, &[1, 2]), identity(2, &[1, 2]));
    let (port, at) = opened();
    let mut follower = data_of(peer(&one, 2, &[at]), queue_bytes, read_ahead_bytes);
    let mut leader = data_of(peer(&two, 1, &[]), queue_bytes, read_ahead_bytes);
    route(port, Lane::Data, &two, 1, &leader.accepted);
    leader.serve.post(Serve { role: Some(5) }).unwrap();
    follower.open.post(Open { role: 9 }).unwrap();
    let (below, above) = (follower.ear.up().await, leader.ear.up().await);
    (follower, below, leader, above)
}

fn hello(from: u64, to: u64, lane: Lane) -> Hello {
    Hello { from: ServerId(from), ensemble: Some(7), lane, speaks: SPOKEN, to: ServerId(to) }
}

fn notification(round: u64) -> Notification {
    Notification { state: PeerState::Looking, vote: None, round, memory: Memory::Whole }
}

fn heartbeat(number: u64) -> Heartbeat {
    Heartbeat { number, ..Heartbeat::default() }
}

fn ack(number: u64) -> Frame {
    Frame::ToLeader(ToLeader::Ack { upto: Zxid(number) })
}

fn commit(number: u64) -> Frame {
    Frame::ToLearner(ToLearner::Commit { upto: Zxid(number) })
}

fn written(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameWriter::new(SPOKEN.highest, TXN).write(frame, &mut bytes).unwrap();
    bytes
}

fn framed(frame: Frame) -> Outgoing {
    Outgoing::Frame(Box::new(frame))
}

/// A peer by hand.
struct Raw {
    stream: TcpStream,
    frames: FrameReader,
}

impl Raw {
    fn new(stream: TcpStream, lane: Lane) -> Self {
        Self { stream, frames: FrameReader::new(lane, TXN) }
    }

    async fn dial(at: SocketAddr, lane: Lane) -> Self {
        Self::new(within(TcpStream::connect(at)).await.unwrap(), lane)
    }

    async fn accept(port: &TcpListener, lane: Lane) -> Self {
        Self::new(within(port.accept()).await.unwrap().0, lane)
    }

    async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    async fn say(&mut self, frame: &Frame) {
        self.write(&written(frame)).await;
    }

    /// The next frame; `None` if the other end closed.
    async fn hear(&mut self) -> Option<Frame> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = self.frames.take().unwrap() {
                return Some(frame);
            }
            match within(self.stream.read(&mut chunk)).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.feed(&chunk[..count]),
            }
        }
    }

    /// Says this hello and gets the other's.
    async fn greet(&mut self, hello: Hello) {
        self.say(&Frame::Hello(hello)).await;
        let theirs = self.hear().await;
        let Some(Frame::Hello(theirs)) = theirs else { panic!("{theirs:?} instead of a hello") };
        assert_eq!((theirs.from, theirs.to, theirs.lane), (hello.to, hello.from, hello.lane));
    }
}
