//! `paddock health`: does a node serve? Asked as a client would, but without leaving a session behind:
//! the probe names a session that cannot be, which a serving node refuses and another does not answer.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::wire::frame;

use crate::args::Health;

/// What the probe found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It answers clients.
    Serving,
    /// It accepts connections and closes them: waiting for other members, or shutting down.
    Waiting,
}

/// Prints one line and says it with the exit code, too.
pub(crate) fn run(args: &Health) -> ExitCode {
    let (healthy, line) = match probe(&args.server, args.live, Duration::from_millis(args.timeout_ms)) {
        Ok(Found::Serving) => (true, "serving".to_owned()),
        Ok(Found::Waiting) => {
            (args.live, "up, but not serving: it may be waiting for other members".to_owned())
        }
        Err(error) => (false, format!("no answer: {error}")),
    };
    println!("{}: {line}", args.server);
    if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `at_once`: as one that is content with reading, which does not wait for a leader (C16).
fn probe(server: &str, at_once: bool, timeout: Duration) -> io::Result<Found> {
    let address =
        server.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let mut request = Vec::new();
    frame(&mut request, |to| impossible_session(at_once).write(to));
    stream.write_all(&request)?;
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => Ok(Found::Serving),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            Ok(Found::Waiting)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("connected, but silent for {timeout:?}")))
        }
        Err(error) => Err(error),
    }
}

/// A reattach to a session that no server gives out, with a password that is wrong for it.
fn impossible_session(read_only: bool) -> ConnectRequest {
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 4000,
        session_id: i64::MIN,
        password: Some(Bytes::from_static(&[0; 16])),
    };
    ConnectRequest { fields, read_only: Some(read_only) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn probed(at_once: bool, answer: impl FnOnce(TcpStream) + Send + 'static) -> io::Result<Found> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || answer(listener.accept().unwrap().0));
        let found = probe(&address, at_once, Duration::from_millis(300));
        server.join().unwrap();
        found
    }

    /// Whether who asks is content with reading.
    fn take_request(stream: &mut TcpStream) -> bool {
        let mut request = [0; 49];
        stream.read_exact(&mut request).unwrap();
        request[48] == 1
    }

    #[test]
    fn what_a_server_does_tells_its_state() {
        let serving = probed(false, |mut stream| {
            assert!(!take_request(&mut stream));
            stream.write_all(&[0; 41]).unwrap();
        });
        assert_eq!(serving.unwrap(), Found::Serving);
        let waiting = probed(true, |mut stream| assert!(take_request(&mut stream)));
        assert_eq!(waiting.unwrap(), Found::Waiting);
        let silent = probed(false, |mut stream| {
            take_request(&mut stream);
            let _ = stream.read(&mut [0]); // until the probe gives up
        });
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(probe(&nobody, false, Duration::from_millis(300)).is_err());
    }
}
