//! The client port: claimed before the data directory is touched, so that a server does not begin where another already
//! listens. Two members that begin at the same time may both have claimed it: then one ends as it comes to listen.

use std::net::{SocketAddr, TcpListener};

use paddock_actors::runtime::listening::{self, Claimed};
use paddock_config::Config;

use crate::open::StartError;

/// The kernel holds so many clients that are not accepted yet, or `net.core.somaxconn` of them if that is
/// less. Java's 50 turn clients away when a thousand reconnect at once: each then waits a second or more.
const DEFAULT_BACKLOG: i32 = 4_096;

/// A client port that nobody else listened on when it was claimed.
pub(crate) struct ClientPort {
    at: SocketAddr,
    backlog: i32,
    socket: Socket,
}

enum Socket {
    /// Clients are refused: of several members the next one has them at once.
    Claimed(Claimed),
    /// Clients wait: there is nobody else.
    Listens(TcpListener),
}

impl ClientPort {
    /// Claims it. Until the data is loaded the clients of a server whose file names others are refused. Any others wait,
    /// also where the log will have the server be a member: that is not known yet.
    pub(crate) fn claim(config: &Config) -> Result<Self, StartError> {
        let at = config.client_addr.ok_or(StartError::NoClientPort)?;
        let backlog = config.listen_backlog.and_then(|n| i32::try_from(n).ok()).unwrap_or(DEFAULT_BACKLOG);
        let failed = |error| StartError::ClientPort { address: at.to_string(), error };
        let claimed = listening::claim(at).map_err(failed)?;
        let at = claimed.address().map_err(failed)?;
        let socket = if config.members.servers.len() > 1 {
            Socket::Claimed(claimed)
        } else {
            Socket::Listens(claimed.listen(backlog).map_err(failed)?)
        };
        Ok(Self { at, backlog, socket })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.at
    }

    /// Clients may come. To be called where a runtime is, which will watch it.
    pub(crate) fn listen(self) -> Result<tokio::net::TcpListener, StartError> {
        let listener = match self.socket {
            Socket::Claimed(claimed) => claimed.listen(self.backlog),
            Socket::Listens(listener) => Ok(listener),
        };
        let failed = |error| StartError::ClientPort { address: self.at.to_string(), error };
        listener.and_then(tokio::net::TcpListener::from_std).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use paddock_config::Sources;

    use super::*;

    fn claim(members: &str) -> ClientPort {
        let dir = tempfile::tempdir().expect("writable");
        let file = dir.path().join("zoo.cfg");
        let text = format!(
            "dataDir={}\nclientPortAddress=127.0.0.1\nclientPort=0\ninitLimit=5\nsyncLimit=5\n{members}",
            dir.path().display()
        );
        std::fs::write(&file, text).expect("writable");
        std::fs::write(dir.path().join("myid"), "1").expect("writable");
        let loaded = Config::load(Sources::file(Some(file))).expect("a good configuration");
        ClientPort::claim(&loaded.config).expect("a free port")
    }

    #[test]
    fn until_the_data_is_loaded_a_member_refuses_clients_and_those_of_a_server_alone_wait() {
        const THREE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
        let of_one = "standaloneEnabled=false\nserver.1=a:1:2\n";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _watches = runtime.enter();
        for (members, waits) in [("", true), ("server.1=a:1:2\n", true), (of_one, true), (THREE, false)] {
            let port = claim(members);
            let at = port.address();
            match TcpStream::connect(at) {
                Ok(_) => assert!(waits, "{members}"),
                Err(error) => assert!(!waits && error.kind() == ErrorKind::ConnectionRefused, "{error}"),
            }
            let listener = port.listen().expect("it is ours");
            assert_eq!(listener.local_addr().expect("it listens"), at);
            TcpStream::connect(at).expect("the data is loaded");
        }
    }
}
