//! `GET /metrics` over HTTP, on a thread of its own: a slow scraper slows nobody else.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::runtime::{ExitCode, Fatal, listening};

/// Makes the text anew for each request; called on the server's thread, and may block it.
pub type Content = Arc<dyn Fn() -> String + Send + Sync>;

/// Connections at once: a scraper needs one.
const MOST_CONNECTIONS: usize = 64;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// How long a client may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Prometheus' text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why metrics are not served.
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
    /// There is no thread for it.
    #[error("cannot start the thread for /metrics: {0}")]
    Thread(#[source] io::Error),
}

/// The server; it serves until it is stopped or dropped.
pub struct MetricsServer {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics on {}", self.address)
    }
}

impl MetricsServer {
    /// Listens on `host` and `port`, 0 for any free one; from the return on, requests are answered.
    ///
    /// # Errors
    /// The address is taken, not ours or not to be resolved; no thread is to be had.
    pub fn start(host: &str, port: u16, content: Content) -> Result<Self, HttpError> {
        let bind = |source| HttpError::Bind { host: host.into(), port, source };
        let listener = listen(host, port).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (started, answer) = mpsc::channel();
        let thread = Builder::new()
            .name("metrics-http".into())
            .spawn(move || serve(listener, content, &started))
            .map_err(HttpError::Thread)?;
        let handle = answer
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread ended before it served")))
            .map_err(bind)?;
        Ok(Self { address, handle, thread: Some(thread) })
    }

    /// Starts it, or says in the log why not. Without metrics a member of several goes on; one alone
    /// ends with [`ExitCode::AdminServer`], as nobody would notice otherwise.
    /// Source: QuorumPeerMain.java and ZooKeeperServerMain.java, AdminServerException.
    pub fn start_or_report(
        (host, port): (&str, u16),
        content: Content,
        is_alone: bool,
        fatal: &Fatal,
    ) -> Option<Self> {
        match Self::start(host, port, content) {
            Ok(server) => {
                tracing::info!(address = %server.address, "metrics are served at /metrics");
                Some(server)
            }
            Err(error) if is_alone => {
                fatal.end(ExitCode::AdminServer, &error.to_string());
                None
            }
            Err(error) => {
                tracing::error!("{error}: this member goes on without");
                None
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops at once, open connections included, and waits for the thread's end.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The order is given by the call; only to wait for its completion would need a runtime.
            drop(self.handle.stop(false));
            if thread.join().is_err() {
                tracing::error!("the thread for /metrics panicked");
            }
        }
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// On all addresses of both families, or on the first of the name's that can be had.
fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok(listening::listen((ip, port).into(), BACKLOG)?.into()),
        Err(_) => TcpListener::bind((host, port)),
    }
}

fn serve(listener: TcpListener, content: Content, started: &mpsc::Sender<io::Result<ServerHandle>>) {
    actix_rt::System::new().block_on(async move {
        let app = move || {
            let content = content.clone();
            let metrics = move || {
                let text = content();
                async move { HttpResponse::Ok().content_type(CONTENT_TYPE).body(text) }
            };
            App::new()
                .route("/metrics", web::get().to(metrics))
                .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .max_connections(MOST_CONNECTIONS)
            .client_request_timeout(REQUEST_WITHIN)
            .disable_signals()
            .listen(listener);
        let server = match server {
            Ok(server) => server.run(),
            Err(error) => {
                let _ = started.send(Err(error)); // whoever started it waits for this
                return;
            }
        };
        let _ = started.send(Ok(server.handle()));
        if let Err(error) = server.await {
            tracing::error!("serving /metrics ended: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::runtime::Fatal;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn content() -> Content {
        let asked = std::sync::atomic::AtomicU64::new(0);
        Arc::new(move || format!("asked {}\n", asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst)))
    }

    #[test]
    fn serves_metrics_and_nothing_else_until_it_is_stopped() {
        let server = MetricsServer::start("127.0.0.1", 0, content()).unwrap();
        let address = server.address();
        for asked in 0..2 {
            let answer = ask(address, "GET /metrics");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\nasked {asked}\n")), "made anew: {answer}");
        }
        for request in ["GET /", "GET /metrics/x", "POST /metrics", "GET /commands"] {
            let answer = ask(address, request);
            assert!(answer.starts_with("HTTP/1.1 404"), "{request}: {answer}");
        }
        server.stop();
        assert!(TcpListener::bind(address).is_ok(), "the port is free again");
    }

    #[test]
    fn all_addresses_are_those_of_both_families() {
        let server = MetricsServer::start("0.0.0.0", 0, content()).unwrap();
        let hosts = ["127.0.0.1", "::1"].into_iter().filter(|host| *host != "::1" || listening::has_ipv6());
        for host in hosts {
            let address = SocketAddr::new(host.parse().unwrap(), server.address().port());
            assert!(ask(address, "GET /metrics").starts_with("HTTP/1.1 200"), "{host}");
        }
    }

    #[test]
    fn a_port_that_is_taken_ends_a_member_alone_and_no_other() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = MetricsServer::start("127.0.0.1", port, content()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("metrics.host 127.0.0.1, metrics.port {port}: cannot listen")));
        for (is_alone, ends) in [(false, &[][..]), (true, &[ExitCode::AdminServer])] {
            let (fatal, endings) = Fatal::recorded();
            let server = MetricsServer::start_or_report(("127.0.0.1", port), content(), is_alone, &fatal);
            assert!(server.is_none());
            assert_eq!(endings.codes(), ends);
        }
    }
}
