//! The client port: claimed before the data directory is touched, so that a server does not begin where another already
//! listens. Two members that begin at the same time may both have claimed it: then one ends as it comes to listen.
//!
//! Once the data is loaded it is known whether a reconfig has put another client address in force: clients are listened to
//! there, and the file's is where a server that cannot have that one listens meanwhile (CP4). So a member whose file's
//! address is taken looks into its data first.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};

use paddock_actors::client_port::core::{ClientPort as Core, Place, is_same};
use paddock_actors::runtime::listening::{self, Claimed};
use paddock_config::Config;
use paddock_config::members::{HostPort, Members};
use paddock_messages::ids::ServerId;

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
    /// A member cannot have it; a reconfig may have put another in force.
    Taken(io::Error),
}

/// One at which clients come, and what may change that.
pub(crate) struct OpenPort {
    pub(crate) core: Core,
    /// None if the configuration in force has nobody connect.
    pub(crate) listener: Option<tokio::net::TcpListener>,
    pub(crate) backlog: i32,
}

impl OpenPort {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.core.open()
    }
}

impl ClientPort {
    /// Claims it. Until the data is loaded the clients of a server whose file names others are refused. Any others wait,
    /// also where the log will have the server be a member: that is not known yet.
    pub(crate) fn claim(config: &Config) -> Result<Self, StartError> {
        let at = config.client_addr.ok_or(StartError::NoClientPort)?;
        let backlog = config.listen_backlog.and_then(|n| i32::try_from(n).ok()).unwrap_or(DEFAULT_BACKLOG);
        let failed = |error| StartError::ClientPort { address: at.to_string(), error };
        let claimed = match listening::claim(at) {
            Err(error) if config.is_distributed() => {
                tracing::info!(
                    address = %at,
                    "cannot listen for clients at the file's address: {error}; the data is loaded first, as a reconfig may have \
                     this server listen elsewhere: else it ends then"
                );
                return Ok(Self { at, backlog, socket: Socket::Taken(error) });
            }
            claimed => claimed.map_err(failed)?,
        };
        let at = claimed.address().map_err(failed)?;
        let socket = if config.members.servers.len() > 1 {
            Socket::Claimed(claimed)
        } else {
            Socket::Listens(claimed.listen(backlog).map_err(failed)?)
        };
        Ok(Self { at, backlog, socket })
    }

    /// Clients may come: where the configuration in force has this server, if a reconfig has put one there. To be called
    /// where a runtime is, which will watch it.
    pub(crate) fn listen(
        self,
        (me, config): (ServerId, &Config),
        in_force: Option<&Members>,
    ) -> Result<OpenPort, StartError> {
        let line = config.members.servers.get(&me);
        let besides = line.is_none_or(|own| own.client.is_none()).then_some(self.at);
        let of_file = line.map_or(Place::File(self.at), |own| Place::of(own, besides));
        let own = in_force.and_then(|members| members.servers.get(&me));
        let wanted = own.map_or_else(|| of_file.clone(), |own| Place::of(own, besides));
        let version = in_force.map_or(0, |members| members.version);
        let backlog = self.backlog;
        let (listener, is_there) = match &wanted {
            Place::Nowhere => (None, true),
            Place::Line(elsewhere) if wanted != of_file => {
                let (listener, is_there) = self.listen_at(elsewhere)?;
                (Some(listener), is_there)
            }
            _ => (Some(self.open()?), true),
        };
        let address = listener.as_ref().map(TcpListener::local_addr).transpose();
        let listener = listener.map(tokio::net::TcpListener::from_std).transpose();
        let broken = |error| StartError::ClientPort { address: "the client port".to_owned(), error };
        let (address, listener) = (address.map_err(broken)?, listener.map_err(broken)?);
        let core = Core::new((me, besides), (version, wanted), (address, is_there));
        Ok(OpenPort { core, listener, backlog })
    }

    /// At the file's.
    fn open(self) -> Result<TcpListener, StartError> {
        let listener = match self.socket {
            Socket::Claimed(claimed) => claimed.listen(self.backlog),
            Socket::Listens(listener) => Ok(listener),
            Socket::Taken(error) => Err(error),
        };
        listener.map_err(|error| StartError::ClientPort { address: self.at.to_string(), error })
    }

    /// At another than the file's, or else at that: whether it is the other one.
    fn listen_at(self, elsewhere: &HostPort) -> Result<(TcpListener, bool), StartError> {
        let (file, backlog) = (self.at, self.backlog);
        let there = resolve(elsewhere);
        if there.as_ref().is_ok_and(|there| is_same(*there, file)) {
            return Ok((self.open()?, true));
        }
        let has_file = !matches!(self.socket, Socket::Taken(_));
        drop(self.socket); // they may be two that cannot both be had
        match there.and_then(|there| listening::listen(there, backlog)) {
            Ok(listener) => Ok((listener, true)),
            Err(error) if !has_file => Err(StartError::ClientPort { address: elsewhere.to_string(), error }),
            Err(_) => match listening::listen(file, backlog) {
                Ok(listener) => Ok((listener, false)), // why is told at the next attempt
                Err(error) => Err(StartError::ClientPort { address: file.to_string(), error }),
            },
        }
    }
}

/// IPv4 before IPv6, as the file's is looked up.
fn resolve(at: &HostPort) -> io::Result<SocketAddr> {
    if let Ok(ip) = at.host.parse::<IpAddr>() {
        return Ok((ip, at.port).into());
    }
    let all = (at.host.as_str(), at.port).to_socket_addrs()?;
    all.min_by_key(|at| !at.is_ipv4()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use paddock_config::Sources;

    use super::*;

    const ME: ServerId = ServerId(1);

    fn config(port: u16, members: &str) -> Config {
        let dir = tempfile::tempdir().expect("writable");
        let file = dir.path().join("zoo.cfg");
        let text = format!(
            "dataDir={}\nclientPortAddress=127.0.0.1\nclientPort={port}\ninitLimit=5\nsyncLimit=5\n{members}",
            dir.path().display()
        );
        std::fs::write(&file, text).expect("writable");
        std::fs::write(dir.path().join("myid"), "1").expect("writable");
        Config::load(Sources::file(Some(file))).expect("a good configuration").config
    }

    const THREE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

    #[test]
    fn until_the_data_is_loaded_a_member_refuses_clients_and_those_of_a_server_alone_wait() {
        let of_one = "standaloneEnabled=false\nserver.1=a:1:2\n";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _watches = runtime.enter();
        for (members, waits) in [("", true), ("server.1=a:1:2\n", true), (of_one, true), (THREE, false)] {
            let config = config(0, members);
            let port = ClientPort::claim(&config).expect("a free port");
            let at = port.at;
            match TcpStream::connect(at) {
                Ok(_) => assert!(waits, "{members}"),
                Err(error) => assert!(!waits && error.kind() == ErrorKind::ConnectionRefused, "{error}"),
            }
            let open = port.listen((ME, &config), None).expect("it is ours");
            assert_eq!(open.address(), Some(at));
            TcpStream::connect(at).expect("the data is loaded");
        }
    }

    use Is::{Free, Taken};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Is {
        Free,
        Taken,
    }

    /// By whether others have the file's address and the log's: whether the log's is listened at, or which is said not to be had.
    #[test]
    fn cp1_a_start_listens_where_the_configuration_in_force_has_it_and_else_where_the_file_does() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _watches = runtime.enter();
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = |of: &TcpListener| of.local_addr().expect("it listens").port();
        for (of_file, of_log, expected) in [
            (Free, Some(Free), Ok(Some(true))),
            (Free, None, Ok(Some(false))), // its line names none: the file's clientPort
            (Free, Some(Taken), Ok(Some(false))),
            (Taken, Some(Free), Ok(Some(true))),
            (Taken, None, Err("the file's")),
            (Taken, Some(Taken), Err("the log's")),
        ] {
            let (file, log) = (listen(), listen());
            let (file_port, log_port) = (port(&file), port(&log));
            let held: Vec<_> = [(of_file, file), (of_log.unwrap_or(Free), log)]
                .into_iter()
                .filter(|it| it.0 == Taken)
                .collect();
            let config = config(file_port, THREE);
            let client = of_log.map_or_else(String::new, |_| format!(";127.0.0.1:{log_port}"));
            let text = THREE.replacen("server.1=a:1:2", &format!("server.1=a:1:2{client}"), 1);
            let members = Members { version: 7, ..Members::read(&text).expect("members") };
            let opened = ClientPort::claim(&config).and_then(|it| it.listen((ME, &config), Some(&members)));
            let told =
                opened.map(|it| it.address().map(|at| at.port() == log_port)).map_err(|it| it.to_string());
            let expected = expected.map_err(|which| if which == "the log's" { log_port } else { file_port });
            match (told, expected) {
                (Ok(told), Ok(expected)) => assert_eq!(told, expected, "{of_file:?} {of_log:?}"),
                (Err(told), Err(port)) => {
                    assert!(
                        told.starts_with(&format!("127.0.0.1:{port}: cannot listen for clients")),
                        "{told}"
                    );
                }
                other => panic!("{of_file:?} {of_log:?}: {other:?}"),
            }
            drop(held);
        }
    }

    #[test]
    fn cp1_a_server_whose_line_has_lost_its_client_address_and_whose_file_has_no_other_listens_nowhere() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _watches = runtime.enter();
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        let with_line = THREE.replacen("server.1=a:1:2", &format!("server.1=a:1:2;{free}"), 1);
        let config = config(free.port(), &with_line);
        let members = |text: &str| Members { version: 7, ..Members::read(text).expect("members") };
        for (in_force, expected) in
            [(THREE, None), (&*with_line, Some(free)), ("server.2=b:1:2\n", Some(free))]
        {
            let port = ClientPort::claim(&config).expect("a free port");
            let open = port.listen((ME, &config), Some(&members(in_force))).expect("it is ours");
            assert_eq!(open.address(), expected, "{in_force}");
        }
    }
}
