//! Where a server listens, whatever it serves.
//!
//! An address that stands for all of the machine's (`0.0.0.0` or `::`) is every address of both families,
//! as it is in Java; a dynamic file cannot tell "no host" from `0.0.0.0` at all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// An address that no server listens on, and that is ours to do so: until then whoever connects is refused.
#[derive(Debug)]
pub struct Claimed(Socket);

impl Claimed {
    /// Where: what was asked for, or the port that the system chose for 0.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Listens, with so many connections that wait to be accepted.
    ///
    /// # Errors
    /// Somebody else has claimed it, too, and listens already.
    pub fn listen(self, backlog: i32) -> io::Result<TcpListener> {
        self.0.listen(backlog)?;
        Ok(self.0.into())
    }
}

/// Claims `at`. Over a socket for both families an IPv4 client's address shows as IPv6:
/// [`std::net::IpAddr::to_canonical`] undoes that. On a machine without IPv6 it is IPv4 alone, and the log says so.
///
/// # Errors
/// Somebody listens there, it is not this machine's, or the port needs a privilege.
pub fn claim(at: SocketAddr) -> io::Result<Claimed> {
    claim_with(at, open).map(Claimed)
}

/// A socket that listens on `at`, see [`claim`], with so many connections that wait to be accepted.
///
/// # Errors
/// As [`claim`]'s.
pub fn listen(at: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    claim(at)?.listen(backlog)
}

fn claim_with<S>(at: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<S>) -> io::Result<S> {
    if !at.ip().is_unspecified() {
        return open(at);
    }
    match open((Ipv6Addr::UNSPECIFIED, at.port()).into()) {
        Err(error) if is_no_ipv6(&error) => {
            let opened = open((Ipv4Addr::UNSPECIFIED, at.port()).into())?;
            tracing::warn!(port = at.port(), "this machine has no IPv6 ({error}): listening on IPv4 only");
            Ok(opened)
        }
        done => done,
    }
}

fn open(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() && at.ip().is_unspecified() {
        socket.set_only_v6(false)?; // whatever net.ipv6.bindv6only says
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// The kernel was built or started without IPv6, or no device has it.
fn is_no_ipv6(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT)
    )
}

/// Whether this machine can be reached by IPv6: many a container cannot. Where not, the output says that
/// the test that asks does less, which counts as not passed; so ask once a test.
#[cfg(test)]
pub(crate) fn has_ipv6() -> bool {
    use std::io::Write;
    let error = match TcpListener::bind("[::1]:0") {
        Ok(_) => return true,
        Err(error) => error,
    };
    let current = std::thread::current();
    let test = current.name().unwrap_or("a test");
    // Past what captures the output of a test that passes, in one piece.
    let line = format!("\nskipped: {test} by IPv4 only, ::1 cannot be listened on here: {error}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::TcpStream;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_stands_for_all_addresses_is_both_families_and_no_other_is() {
        let has_ipv6 = has_ipv6();
        for (host, v4, v6) in [
            ("0.0.0.0:0", true, true),
            ("[::]:0", true, true),
            ("127.0.0.1:0", true, false),
            ("[::1]:0", false, true),
        ] {
            if !has_ipv6 && host.starts_with("[::1]") {
                continue;
            }
            let listener = listen(at(host), 16).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert_eq!(TcpStream::connect(("127.0.0.1", port)).is_ok(), v4, "{host} by IPv4");
            assert_eq!(TcpStream::connect(("::1", port)).is_ok(), v6 && has_ipv6, "{host} by IPv6");
        }
    }

    #[test]
    fn what_is_claimed_refuses_who_comes_until_it_listens_and_one_of_two_who_claim_it_may() {
        let (first, connect) = (claim(at("127.0.0.1:0")).unwrap(), TcpStream::connect);
        let there = first.address().unwrap();
        assert_eq!(connect(there).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let second = claim(there).expect("nobody listens yet");
        let listener = first.listen(16).unwrap();
        assert_eq!(listener.local_addr().unwrap(), there);
        connect(there).expect("it waits to be accepted");
        assert_eq!(second.listen(16).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(claim(there).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn without_ipv6_it_is_ipv4_alone_and_any_other_failure_is_told() {
        for (errno, tries, ends_well) in [
            (Errno::AFNOSUPPORT, &["[::]:5", "0.0.0.0:5"][..], true),
            (Errno::ADDRNOTAVAIL, &["[::]:5", "0.0.0.0:5"], true),
            (Errno::ADDRINUSE, &["[::]:5"], false),
            (Errno::ACCESS, &["[::]:5"], false),
        ] {
            let tried = RefCell::new(Vec::new());
            let open = |at: SocketAddr| {
                tried.borrow_mut().push(at.to_string());
                if at.is_ipv6() { Err(io::Error::from(errno)) } else { Ok(()) }
            };
            assert_eq!(claim_with(at("0.0.0.0:5"), open).is_ok(), ends_well, "{errno:?}");
            assert_eq!(*tried.borrow(), tries, "{errno:?}");
        }
        let refused = claim_with(at("[::1]:5"), |_| Err::<(), _>(io::Error::from(Errno::ADDRNOTAVAIL)));
        assert!(refused.is_err(), "an address that was asked for is not another");
    }
}
