use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paddock_messages::client::OpCode;
use paddock_messages::client::event::EventKind;
use paddock_messages::ids::{AttachNumber, ConnId, SessionId};
use paddock_messages::letters::{FeedReady, Submission, Submissions, Touched};
use paddock_messages::mail::{Bound, Outbox};
use paddock_messages::roles::Over;
use paddock_messages::wire::write_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::fan_out::MANY;
use super::super::hub::{ClientHub, Control, HubSetup, NewClient, WordAnswer, WordAsked};
use super::super::{Entrance, Serving, Settings, listener};
use super::{hello, look, packets, ping, request};
use crate::admin::metrics::{Meters, Reason};
use crate::auth::AuthRules;
use crate::runtime::listening::{self, has_ipv6};
use crate::runtime::{Clock, Ctx, Duty, Env, Inbox, Serve, Service, SystemClock};
use crate::tree::feed::{FeedItem, WatchTable};
use crate::tree::{DataTree, SharedTree, TreeOptions};
use crate::watch::WatchDispatcher;

/// A few more than are told by their own tasks.
const CLIENTS: usize = MANY + 10;

const CHANGE: &str = "/changes";

/// A client port.
fn listen(at: &str) -> TcpListener {
    TcpListener::from_std(listening::listen(at.parse().unwrap(), 16).unwrap()).unwrap()
}

/// Everybody else: gives sessions, answers syncs and words, notes who was touched. A sync of [`CHANGE`] comes
/// behind a change of the root.
struct Rest {
    tree: Arc<SharedTree>,
    dispatcher: Outbox<FeedReady>,
    hub: Outbox<WordAnswer>,
    touched: std::sync::mpsc::Sender<Touched>,
    conns: HashMap<SessionId, ConnId>,
}

impl Service for Rest {}

impl Serve<Submissions> for Rest {
    fn serve(&mut self, letter: Submissions, _: &mut Ctx<'_, Self>) {
        let mut writer = self.tree.write();
        for submission in letter.items {
            match submission {
                Submission::Open { client, timeout_ms } => {
                    let (attach, conn) = (AttachNumber::default(), client.conn);
                    let session = SessionId(7 + i64::from(conn.slot));
                    self.conns.insert(session, conn);
                    writer.push(0, FeedItem::Attached { conn, session, attach, timeout_ms });
                }
                Submission::Sync { from, xid, path } => {
                    let (conn, zxid) = (self.conns[&from.session], writer.last_zxid());
                    if path.as_deref() == Some(CHANGE) {
                        let (kind, path, table) = (EventKind::DataChanged, "/".into(), WatchTable::Data);
                        writer.push(0, FeedItem::Event { zxid, kind, path, table, acl: None });
                    }
                    writer.push(0, FeedItem::Synced { conn, xid, zxid, path });
                }
                other => panic!("{other:?}"),
            }
        }
        writer.commit(|_| self.dispatcher.post(FeedReady).unwrap());
    }
}

impl Serve<Touched> for Rest {
    fn serve(&mut self, letter: Touched, _: &mut Ctx<'_, Self>) {
        self.touched.send(letter).unwrap();
    }
}

impl Serve<Over> for Rest {
    fn serve(&mut self, letter: Over, _: &mut Ctx<'_, Self>) {
        panic!("nobody is silent here: {letter:?}");
    }
}

impl Serve<WordAsked> for Rest {
    fn serve(&mut self, letter: WordAsked, _: &mut Ctx<'_, Self>) {
        let text = letter.word.to_vec().into();
        self.hub.post(WordAnswer { conn: letter.client.conn, text }).unwrap();
    }
}

/// A hub behind a listener on loopback; gives its address, its control, and what is touched.
fn start() -> (SocketAddr, Outbox<Control>, std::sync::mpsc::Receiver<Touched>) {
    start_with(Arc::new(SystemClock::new()), &Arc::default())
}

fn start_with(
    clock: Arc<dyn Clock>,
    meters: &Arc<Meters>,
) -> (SocketAddr, Outbox<Control>, std::sync::mpsc::Receiver<Touched>) {
    const BOUND: Bound = Bound::Entrance(64);
    let (env, _) = Env::recorded(clock);
    let tree = Arc::new(SharedTree::new(DataTree::new(TreeOptions::default()), 1));
    let hub: Inbox<ClientHub> = Inbox::new("client hub", Duty::Core, &env);
    let dispatcher: Inbox<WatchDispatcher> = Inbox::new("watch dispatcher", Duty::Core, &env);
    let rest: Inbox<Rest> = Inbox::new("rest", Duty::Core, &env);
    let (touched, is_touched) = std::sync::mpsc::channel();
    let setup = HubSetup {
        arbiter: 0,
        settings: Arc::new(Settings { max_connections_per_host: CLIENTS, ..Settings::default() }),
        rules: Arc::new(AuthRules::default()),
        tree: tree.clone(),
        entrance: Arc::new(Entrance::default()),
        learner: rest.outbox(BOUND),
        sessions: rest.outbox(BOUND),
        over: rest.outbox(BOUND),
        generation: 0,
        meters: meters.clone(),
        words: Some(rest.outbox(BOUND)),
        touch_every: Duration::from_millis(5),
        dispatcher,
    };
    let woken = setup.dispatcher.outbox(BOUND);
    let (clients, control, words) = (hub.outbox::<NewClient>(BOUND), hub.outbox(BOUND), hub.outbox(BOUND));
    rest.start_here(Rest { tree, dispatcher: woken, hub: words, touched, conns: HashMap::new() });
    hub.start_here(ClientHub::new(setup, env.clock.clone(), env.fatal.clone()));
    let port = listen("127.0.0.1:0");
    let at = port.local_addr().unwrap();
    actix_rt::spawn(listener::accept(port, vec![clients], listener::Room::new(CLIENTS), meters.clone()));
    assert!(control.post(Control::Serve(Serving::Everybody)).is_ok());
    (at, control, is_touched)
}

async fn read_exactly(client: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[actix_rt::test]
async fn a_socket_is_served_from_its_handshake_to_its_end() {
    let (at, control, touched) = start();
    let mut client = TcpStream::connect(at).await.unwrap();
    for byte in hello(SessionId::NONE, 0, None) {
        client.write_all(&[byte]).await.unwrap(); // however it is cut
    }
    assert_eq!(&read_exactly(&mut client, 40).await[..12], [0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0x27, 0x10]);
    let requests = [ping(), look(1, OpCode::Exists, "/", false), look(2, OpCode::Exists, "/none", false)];
    client.write_all(&requests.concat()).await.unwrap();
    let replies = packets(read_exactly(&mut client, 20 + 20 + 68 + 20).await.into());
    assert_eq!(replies.iter().map(|it| (it.xid, it.err)).collect::<Vec<_>>(), [(-2, 0), (1, 0), (2, -101)]);
    loop {
        if let Ok(letter) = touched.try_recv()
            && letter.sessions == [SessionId(7)]
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(control.post(Control::CloseAll).is_ok());
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[actix_rt::test]
async fn what_tells_many_reaches_each_once_and_in_its_place() {
    let (at, _control, _touched) = start();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(&hello(SessionId::NONE, 0, None)).await.unwrap();
        read_exactly(&mut client, 40).await;
        clients.push(client);
    }
    for round in [1, 2] {
        for client in &mut clients {
            client.write_all(&look(round, OpCode::Exists, "/", true)).await.unwrap();
            read_exactly(client, 20 + 68).await;
        }
        let sync = request(3, OpCode::Sync as i32, |to| write_str(CHANGE, to));
        clients[5].write_all(&sync).await.unwrap();
        for (number, client) in clients.iter_mut().enumerate() {
            let event = packets(read_exactly(client, 20 + 13).await.into());
            assert_eq!((event.len(), event[0].xid), (1, -1), "client {number}: the event");
            let expected = if number == 5 { 3 } else { -2 };
            if number != 5 {
                client.write_all(&ping()).await.unwrap();
            }
            let length = if number == 5 { 20 + 4 + CHANGE.len() } else { 20 };
            let next = packets(read_exactly(client, length).await.into());
            assert_eq!((next.len(), next[0].xid), (1, expected), "client {number}: nothing comes twice");
        }
        clients.pop(); // one less than there were is as good
    }
}

#[actix_rt::test]
async fn a_word_is_answered_even_after_the_client_ended_its_side() {
    let (at, _control, _touched) = start();
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(b"ruok").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"ruok");
}

/// A hub that notes from where its clients come.
struct Porter(std::sync::mpsc::Sender<SocketAddr>);

impl Service for Porter {}

impl Serve<NewClient> for Porter {
    fn serve(&mut self, letter: NewClient, _: &mut Ctx<'_, Self>) {
        self.0.send(letter.peer).unwrap();
    }
}

#[actix_rt::test]
async fn a_client_of_either_family_is_known_by_its_own_address() {
    let (env, _) = Env::recorded(Arc::new(SystemClock::new()));
    let porter: Inbox<Porter> = Inbox::new("porter", Duty::Core, &env);
    let (told, peers) = std::sync::mpsc::channel();
    let clients = porter.outbox::<NewClient>(Bound::Entrance(64));
    porter.start_here(Porter(told));
    let listening = listen("0.0.0.0:0");
    let port = listening.local_addr().unwrap().port();
    actix_rt::spawn(listener::accept(listening, vec![clients], listener::Room::new(64), Arc::default()));
    let hosts = ["127.0.0.1", "::1"].into_iter().filter(|host| *host != "::1" || has_ipv6());
    for host in hosts {
        let client = TcpStream::connect((host, port)).await.unwrap();
        let peer = loop {
            match peers.try_recv() {
                Ok(peer) => break peer,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(peer, client.local_addr().unwrap(), "not mapped into IPv6");
    }
}

/// C12, where there is no core yet.
#[actix_rt::test]
async fn c12_a_client_whom_no_hub_takes_is_closed_and_counted() {
    let (env, _) = Env::recorded(Arc::new(SystemClock::new()));
    let porter: Inbox<Porter> = Inbox::new("porter", Duty::Core, &env);
    let clients = porter.outbox::<NewClient>(Bound::Entrance(1));
    let listening = listen("127.0.0.1:0");
    let at = listening.local_addr().unwrap();
    let meters = Arc::<Meters>::default();
    actix_rt::spawn(listener::accept(listening, vec![clients], listener::Room::new(64), meters.clone()));
    let _waits = TcpStream::connect(at).await.unwrap(); // the porter does not begin
    for closed in 1..=3 {
        let mut client = TcpStream::connect(at).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "closed");
        assert_eq!(meters.refused.of(Reason::NotTaken).get(), closed);
    }
}

/// Each reading is a µs after the last.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now_us(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    fn wall_ms(&self) -> i64 {
        0
    }
}

#[actix_rt::test]
async fn latencies_are_taken_from_the_clock_in_microseconds() {
    let meters = Arc::<Meters>::default();
    let (at, _control, _touched) = start_with(Arc::new(Ticking::default()), &meters);
    let mut client = TcpStream::connect(at).await.unwrap();
    let sync = request(5, OpCode::Sync as i32, |to| write_str("/", to));
    client.write_all(&[hello(SessionId::NONE, 0, None), sync].concat()).await.unwrap();
    read_exactly(&mut client, 40 + 20 + 5).await;
    let counted = async {
        while meters.read_latency.read().count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.expect("the answer is counted");
    let longest = meters.read_latency.read().max();
    assert!((1..1_000).contains(&longest), "answered in a later step, some readings after: {longest}");
}
