//! HTTP for operators: `/metrics` for whoever scrapes, [`super::api`] for whoever asks or changes something; over TCP where
//! metrics are configured, and over the socket in the data directory. On a thread of its own: a slow client slows nobody else.

use std::any::Any;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};

use super::api::{self, Api};
use super::socket::AdminSocket;
use crate::runtime::{ExitCode, Fatal, listening};

/// Makes the text anew for each request; called on the server's thread, and may block it.
pub type Content = Arc<dyn Fn() -> String + Send + Sync>;

/// Connections at once: a scraper needs one, and so does an operator.
const MOST_CONNECTIONS: usize = 64;
/// What is under way may take so long at an end that waits for it, in seconds.
const FINISHED_WITHIN_S: u64 = 1;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// How long a client may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Prometheus' text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why nothing is served over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("metrics.host {host}, metrics.port {port}: cannot listen for /metrics: {source}")]
    Bind {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no thread for it, or it does not take the listeners.
    #[error("cannot start the thread for HTTP: {0}")]
    Thread(#[source] io::Error),
}

/// What is served.
#[derive(Clone)]
pub struct Pages {
    /// `/metrics`, if anybody wants it.
    pub metrics: Option<Content>,
    /// `/api/…`.
    pub api: Api,
}

/// Where it is served, listening already.
#[derive(Debug, Default)]
pub struct Listeners {
    tcp: Option<TcpListener>,
    socket: Option<(AdminSocket, UnixListener)>,
}

impl Listeners {
    /// With a port for metrics, 0 for any free one. Without it a member of several goes on; one alone ends with
    /// [`ExitCode::AdminServer`], as nobody would notice otherwise.
    /// Source: QuorumPeerMain.java and ZooKeeperServerMain.java, AdminServerException.
    #[must_use]
    pub fn with_metrics(mut self, (host, port): (&str, u16), is_alone: bool, fatal: &Fatal) -> Self {
        let bind = |source| HttpError::Bind { host: host.into(), port, source };
        match listen(host, port).map_err(bind) {
            Ok(listener) => self.tcp = Some(listener),
            Err(error) if is_alone => fatal.end(ExitCode::AdminServer, &error.to_string()),
            Err(error) => tracing::error!("{error}: this member goes on without"),
        }
        self
    }

    /// With the socket of the data directory.
    #[must_use]
    pub fn with_socket(mut self, socket: (AdminSocket, UnixListener)) -> Self {
        self.socket = Some(socket);
        self
    }
}

/// The server; it serves until it is stopped or dropped.
pub struct Http {
    address: Option<SocketAddr>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// Deleted when nothing is served any more.
    _socket: Option<AdminSocket>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP on {:?}", self.address)
    }
}

impl Http {
    /// Serves, if it listens anywhere; from the return on, requests are answered.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(listeners: Listeners, pages: Pages) -> Result<Option<Self>, HttpError> {
        let Listeners { tcp, socket } = listeners;
        if tcp.is_none() && socket.is_none() {
            return Ok(None);
        }
        let address = tcp.as_ref().and_then(|it| it.local_addr().ok());
        let (guard, unix) = socket.unzip();
        let (started, answer) = mpsc::channel();
        let thread = Builder::new()
            .name("http".into())
            .spawn(move || serve((tcp, unix), pages, &started))
            .map_err(HttpError::Thread)?;
        let handle = answer
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread ended before it served")))
            .map_err(HttpError::Thread)?;
        if let Some(address) = address {
            tracing::info!(%address, "metrics are served at /metrics");
        }
        Ok(Some(Self { address, handle, thread: Some(thread), _socket: guard }))
    }

    /// Where it listens for TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Stops at once, open connections included, and waits for the thread's end.
    pub fn stop(mut self) {
        self.end(false);
    }

    /// Stops, and waits for the thread's end; answers under way have a second.
    pub fn finish(mut self) {
        self.end(true);
    }

    fn end(&mut self, answers: bool) {
        if let Some(thread) = self.thread.take() {
            // The order is given by the call; only to wait for its completion would need a runtime.
            drop(self.handle.stop(answers));
            if thread.join().is_err() {
                tracing::error!("the thread for HTTP panicked");
            }
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// On all addresses of both families, or on the first of the name's that can be had.
fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    match host.parse::<IpAddr>() {
        Ok(ip) => listening::listen((ip, port).into(), BACKLOG),
        Err(_) => TcpListener::bind((host, port)),
    }
}

fn serve(
    (tcp, unix): (Option<TcpListener>, Option<UnixListener>),
    pages: Pages,
    started: &mpsc::Sender<io::Result<ServerHandle>>,
) {
    actix_rt::System::new().block_on(async move {
        let app = move || {
            let Pages { metrics, api } = pages.clone();
            let metrics = move || {
                let text = metrics.as_ref().map(|content| content());
                async move {
                    match text {
                        Some(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
                        None => HttpResponse::NotFound().finish(),
                    }
                }
            };
            App::new()
                .route("/metrics", web::get().to(metrics))
                .configure(|routes| api::routes(routes, api))
                .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(MOST_CONNECTIONS)
            .client_request_timeout(REQUEST_WITHIN)
            .shutdown_timeout(FINISHED_WITHIN_S)
            .on_connect(|connection: &dyn Any, about: &mut Extensions| {
                if let Some(owner) = api::owner(connection) {
                    about.insert(owner);
                }
            })
            .disable_signals();
        let server = match tcp {
            Some(listener) => server.listen(listener),
            None => Ok(server),
        };
        let server = server.and_then(|server| match unix {
            Some(listener) => server.listen_uds(listener),
            None => Ok(server),
        });
        let server = match server {
            Ok(server) => server.run(),
            Err(error) => {
                let _ = started.send(Err(error)); // whoever started it waits for this
                return;
            }
        };
        let _ = started.send(Ok(server.handle()));
        if let Err(error) = server.await {
            tracing::error!("serving HTTP ended: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicU64, Ordering};

    use paddock_config::members::Server;
    use paddock_messages::ids::ServerId;
    use paddock_messages::mail::Bound;

    use super::*;
    use crate::admin::alone::Alone;
    use crate::admin::guard::Guard;
    use crate::admin::members::{Changer, Of};
    use crate::admin::socket;
    use crate::admin::status::Status;
    use crate::auth::AuthRules;
    use crate::client::hub::ClientHub;
    use crate::runtime::{Duty, Env, Inbox};
    use crate::tree::{DataTree, SharedTree, TreeOptions};

    fn ask(mut stream: impl Read + Write, request: &str) -> String {
        write!(stream, "{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn tcp(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).unwrap()
    }

    fn pages() -> Pages {
        let asked = AtomicU64::new(0);
        let metrics: Content = Arc::new(move || format!("asked {}\n", asked.fetch_add(1, Ordering::SeqCst)));
        let status = Arc::new(|| Status { server: 7, ..Status::default() });
        let guard = Guard {
            rules: Arc::new(AuthRules::default()),
            tree: Arc::new(SharedTree::new(DataTree::new(TreeOptions::default()), 1)),
            listens_at: String::new(),
        };
        let env = Env::real();
        let hub = Inbox::<ClientHub>::new("client_hub", Duty::Core, &env).outbox(Bound::Entrance(1));
        let may_listen = Box::new(|_: &Server| Err("nowhere".to_owned()));
        let alone = Of::Alone(Alone { me: ServerId(7), filed: None, may_listen });
        let changer = Arc::new(Changer::new(hub, alone, Arc::clone(&guard.tree), env.clock));
        Pages { metrics: Some(metrics), api: Api { status, guard, mover: None, changer } }
    }

    fn on(host: &str) -> Http {
        let listeners = Listeners { tcp: Some(listen(host, 0).unwrap()), socket: None };
        Http::start(listeners, pages()).unwrap().unwrap()
    }

    #[test]
    fn serves_metrics_and_nothing_else_until_it_is_stopped() {
        let server = on("127.0.0.1");
        let address = server.address().unwrap();
        for asked in 0..2 {
            let answer = ask(tcp(address), "GET /metrics");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\nasked {asked}\n")), "made anew: {answer}");
        }
        for request in ["GET /", "GET /metrics/x", "POST /metrics", "GET /commands", "GET /api"] {
            let answer = ask(tcp(address), request);
            assert!(answer.starts_with("HTTP/1.1 404"), "{request}: {answer}");
        }
        server.stop();
        assert!(TcpListener::bind(address).is_ok(), "the port is free again");
    }

    #[test]
    fn the_socket_serves_the_same_without_a_port() {
        let dir = tempfile::tempdir().unwrap();
        let listeners = Listeners::default().with_socket(AdminSocket::bind(dir.path()).unwrap());
        let server = Http::start(listeners, Pages { metrics: None, ..pages() }).unwrap().unwrap();
        let asked = |request| ask(socket::connect(dir.path()).unwrap(), request);
        let answer = asked("GET /api/status");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("application/json"), "{answer}");
        assert!(answer.contains("\"server\":7"), "{answer}");
        assert!(asked("GET /metrics").starts_with("HTTP/1.1 404"), "nobody wants them");
        server.stop();
        let gone = socket::connect(dir.path()).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    /// With these headers and this body.
    fn ordered(stream: impl Read + Write, headers: &str, body: &str) -> String {
        posted("/api/leader", stream, headers, body)
    }

    fn posted(path: &str, mut stream: impl Read + Write, headers: &str, body: &str) -> String {
        let length = body.len();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}").unwrap();
        write!(stream, "Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn ad9_orders_are_judged_by_where_they_come_from_and_what_they_say() {
        const JSON: &str = "Content-Type: application/json\r\n";
        let dir = tempfile::tempdir().unwrap();
        let listeners = Listeners { tcp: Some(listen("127.0.0.1", 0).unwrap()), socket: None }
            .with_socket(AdminSocket::bind(dir.path()).unwrap());
        let server = Http::start(listeners, pages()).unwrap().unwrap();
        let address = server.address().unwrap();
        let socket = || socket::connect(dir.path()).unwrap();
        let alone = "this server is alone";
        let changed = |headers, body| posted("/api/members", socket(), headers, body);
        for (answer, status, says) in [
            (ordered(socket(), JSON, "{\"to\":2}"), 409, alone),
            (ordered(socket(), JSON, "{}"), 409, alone),
            (ordered(socket(), JSON, ""), 400, "no such order"),
            (ordered(socket(), JSON, "{\"too\":2}"), 400, "no such order"),
            (ordered(socket(), JSON, &" ".repeat(4_097)), 413, ""),
            (ordered(socket(), "", "{}"), 415, "must be JSON"),
            (ordered(tcp(address), JSON, "{}"), 401, "who are you?"),
            (
                ordered(tcp(address), &format!("{JSON}Authorization: digest a:b\r\n"), "{}"),
                403,
                "no WRITE on",
            ),
            (
                ordered(tcp(address), &format!("{JSON}Origin: http://a.example\r\n"), "{}"),
                403,
                "another site",
            ),
            (ask(socket(), "GET /api/leader"), 405, "is a POST"),
            (ask(socket(), "DELETE /api/leader"), 405, "is a POST"),
            (changed(JSON, "{\"leave\":\"2\"}"), 409, alone),
            (changed(JSON, "{\"leave\":2}"), 400, "no such order"),
            (changed(JSON, "{\"leaves\":\"2\"}"), 400, "no such order"),
            (changed(JSON, &format!("{{{}}}", " ".repeat(60_000))), 400, "no change"), // as all members may take
            (changed(JSON, &" ".repeat(65_537)), 413, ""),
            (changed("", "{}"), 415, "must be JSON"),
            (posted("/api/members", tcp(address), JSON, "{}"), 401, "who are you?"),
            (ask(socket(), "GET /api/members"), 200, "\"alone\":7"),
            (ask(socket(), "DELETE /api/members"), 405, "is a POST"),
        ] {
            let head = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&head) && answer.contains(says), "{status} {says}: {answer}");
        }
    }

    #[test]
    fn all_addresses_are_those_of_both_families() {
        let server = on("0.0.0.0");
        let hosts = ["127.0.0.1", "::1"].into_iter().filter(|host| *host != "::1" || listening::has_ipv6());
        for host in hosts {
            let address = SocketAddr::new(host.parse().unwrap(), server.address().unwrap().port());
            assert!(ask(tcp(address), "GET /metrics").starts_with("HTTP/1.1 200"), "{host}");
        }
    }

    #[test]
    fn a_port_that_is_taken_ends_a_member_alone_and_no_other() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        for (is_alone, ends) in [(false, &[][..]), (true, &[ExitCode::AdminServer])] {
            let (fatal, endings) = Fatal::recorded();
            let listeners = Listeners::default().with_metrics(("127.0.0.1", port), is_alone, &fatal);
            assert!(Http::start(listeners, pages()).unwrap().is_none(), "it listens nowhere");
            assert_eq!(endings.codes(), ends);
        }
    }
}
