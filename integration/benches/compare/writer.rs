//! A client that writes one request after the other without end and, when its connection breaks, is at another
//! server at once, with its session: the same for every server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use paddock_integration::raw_client::{ClientError, Handshake, RawClient};
use paddock_messages::znode::CreateMode;

const DATA: &[u8] = &[b'x'; 100];
/// As most clients ask; servers may grant it.
const SESSION_MS: i32 = 30_000;
/// How long a handshake may take before the next server is tried: one that is frozen still accepts.
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(250);
/// How long the answer to a write may take; ZooKeeper's clients wait two thirds of their session.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// After every server was tried: refusals come in no time, and the servers need the cores.
const PASS_PAUSE: Duration = Duration::from_millis(2);
/// How long the first writes may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first write of an epoch that a writer was told is done.
pub(crate) struct Acked {
    pub(crate) writer: usize,
    pub(crate) epoch: i64,
    pub(crate) at: Instant,
}

/// Ends with its owner.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acked: AtomicU64,
}

impl Writer {
    /// At first it is at the server `at` of them. Between two writes it pauses.
    pub(crate) fn start(
        number: usize,
        servers: &[SocketAddr],
        at: usize,
        pause: Duration,
        news: Sender<Acked>,
    ) -> Self {
        let mut client = RawClient::connect(servers[at]).expect("it serves");
        let path = client.create("/writer-", b"", CreateMode::PersistentSequential).expect("it serves");
        client.set_answer_limit(ANSWER_LIMIT).expect("it is above zero");
        let shared = Arc::new(Shared::default());
        let work =
            Work { number, servers: servers.to_vec(), at, client, path, pause, news, shared: shared.clone() };
        Self { shared, thread: Some(thread::spawn(move || work.run())) }
    }

    /// Waits until so many of its writes are done.
    pub(crate) fn await_writes(&self, count: u64) {
        let began = Instant::now();
        while self.shared.acked.load(Relaxed) < count {
            assert!(began.elapsed() < PATIENCE, "a writer gets no further");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        let ended = self.thread.take().expect("it is taken here alone").join();
        assert!(ended.is_ok() || thread::panicking(), "a writer panicked");
    }
}

struct Work {
    number: usize,
    servers: Vec<SocketAddr>,
    at: usize,
    client: RawClient,
    path: String,
    pause: Duration,
    news: Sender<Acked>,
    shared: Arc<Shared>,
}

impl Work {
    fn run(mut self) {
        let mut epoch = 0;
        while !self.stopped() {
            match self.client.set(&self.path, DATA, -1) {
                Ok(stat) => {
                    self.shared.acked.fetch_add(1, Relaxed);
                    if stat.mzxid >> 32 > epoch {
                        epoch = stat.mzxid >> 32;
                        let (writer, at) = (self.number, Instant::now());
                        let _ = self.news.send(Acked { writer, epoch, at }); // else nobody asks any more
                    }
                    thread::sleep(self.pause);
                }
                Err(_) => self.reconnect(),
            }
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Relaxed)
    }

    fn reconnect(&mut self) {
        let mut session = Some(self.client.session().clone());
        let last_zxid_seen = self.client.last_zxid();
        for tried in 1.. {
            self.at = (self.at + 1) % self.servers.len();
            if self.stopped() {
                return;
            }
            let handshake = Handshake {
                timeout_ms: SESSION_MS,
                session: session.clone(),
                last_zxid_seen,
                answer_limit: HANDSHAKE_LIMIT,
                ..Handshake::default()
            };
            match RawClient::connect_with(self.servers[self.at], &handshake) {
                Ok(client) if client.set_answer_limit(ANSWER_LIMIT).is_ok() => return self.client = client,
                Err(ClientError::Expired) => session = None,
                _ => {}
            }
            if tried % self.servers.len() == 0 {
                thread::sleep(PASS_PAUSE);
            }
        }
    }
}
