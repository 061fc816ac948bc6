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
    /// It answers those alone who only read: it has no leader.
    ReadOnly,
    /// It accepts connections and closes them: waiting for other members, or shutting down.
    Waiting,
}

/// No answer to a handshake is longer than this, in bytes.
const LONGEST: u32 = 1 << 10;

/// Prints one line and says it with the exit code, too.
pub(crate) fn run(args: &Health) -> ExitCode {
    let (healthy, line) = match probe(&args.server, Duration::from_millis(args.timeout_ms)) {
        Ok(Found::Serving) => (true, "serving".to_owned()),
        Ok(Found::ReadOnly) => (args.live, "up, but read-only: it has no leader".to_owned()),
        Ok(Found::Waiting) => {
            (args.live, "up, but not serving: it may be waiting for other members".to_owned())
        }
        Err(error) => (false, format!("no answer: {error}")),
    };
    println!("{}: {line}", args.server);
    if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As one that is content with reading, which does not wait for a leader (C16).
fn probe(server: &str, timeout: Duration) -> io::Result<Found> {
    let address =
        server.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let mut request = Vec::new();
    frame(&mut request, |to| impossible_session().write(to));
    stream.write_all(&request)?;
    match answer(&mut stream) {
        // The last byte tells that nothing can be written.
        Ok(body) if body.last() == Some(&1) => Ok(Found::ReadOnly),
        Ok(_) => Ok(Found::Serving),
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

/// What the first frame holds.
fn answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other(format!(
            "{length} bytes are no answer to a handshake: is it a ZooKeeper port?"
        )));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// A reattach to a session that no server gives out, with a password that is wrong for it.
fn impossible_session() -> ConnectRequest {
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 4000,
        session_id: i64::MIN,
        password: Some(Bytes::from_static(&[0; 16])),
    };
    ConnectRequest { fields, read_only: Some(true) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn probed(answer: impl FnOnce(TcpStream) + Send + 'static) -> io::Result<Found> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || answer(listener.accept().unwrap().0));
        let found = probe(&address, Duration::from_millis(300));
        server.join().unwrap();
        found
    }

    /// Who asks is content with reading.
    fn take_request(stream: &mut TcpStream) {
        let mut request = [0; 49];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(request[48], 1, "else it would wait for a leader");
    }

    /// What is found where the first frame says that it has so many bytes, and ends so.
    fn answered(length: u32, last: u8) -> io::Result<Found> {
        probed(move |mut stream| {
            take_request(&mut stream);
            let mut answer = [&length.to_be_bytes()[..], &[0; 37]].concat();
            answer[40] = last;
            stream.write_all(&answer).unwrap();
        })
    }

    #[test]
    fn what_a_server_does_tells_its_state() {
        assert_eq!(answered(37, 0).unwrap(), Found::Serving);
        assert_eq!(answered(37, 1).unwrap(), Found::ReadOnly);
        assert_eq!(answered(38, 1).unwrap(), Found::Waiting, "it is closed in the middle");
        let other = answered(u32::from_be_bytes(*b"HTTP"), 0).unwrap_err();
        assert!(other.to_string().contains("is it a ZooKeeper port?"), "{other}");
        let waiting = probed(|mut stream| take_request(&mut stream));
        assert_eq!(waiting.unwrap(), Found::Waiting);
        let silent = probed(|mut stream| {
            take_request(&mut stream);
            let _ = stream.read(&mut [0]); // until the probe gives up
        });
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(probe(&nobody, Duration::from_millis(300)).is_err());
    }
}
