//! Where a server listens, whatever it serves.
//!
//! An address that stands for all of the machine's (`0.0.0.0` or `::`) is every address of both families,
//! as it is in Java; a dynamic file cannot tell "no host" from `0.0.0.0` at all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// A socket that listens on `at`, with so many connections that wait to be accepted. Over one for both
/// families an IPv4 client's address shows as IPv6: [`std::net::IpAddr::to_canonical`] undoes that. On a
/// machine without IPv6 it is IPv4 alone, and the log says so.
///
/// # Errors
/// The address is taken or not this machine's, or the port needs a privilege.
pub fn listen(at: SocketAddr, backlog: i32) -> io::Result<Socket> {
    listen_with(at, |at| open(at, backlog))
}

fn listen_with<S>(at: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<S>) -> io::Result<S> {
    if !at.ip().is_unspecified() {
        return open(at);
    }
    match open((Ipv6Addr::UNSPECIFIED, at.port()).into()) {
        Err(error) if is_no_ipv6(&error) => {
            tracing::warn!(port = at.port(), "this machine has no IPv6 ({error}): listening on IPv4 only");
            open((Ipv4Addr::UNSPECIFIED, at.port()).into())
        }
        done => done,
    }
}

fn open(at: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() && at.ip().is_unspecified() {
        socket.set_only_v6(false)?; // whatever net.ipv6.bindv6only says
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(backlog)?;
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
    let error = match std::net::TcpListener::bind("[::1]:0") {
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
    use std::net::{TcpListener, TcpStream};

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
            let listener: TcpListener = listen(at(host), 16).unwrap().into();
            let port = listener.local_addr().unwrap().port();
            assert_eq!(TcpStream::connect(("127.0.0.1", port)).is_ok(), v4, "{host} by IPv4");
            assert_eq!(TcpStream::connect(("::1", port)).is_ok(), v6 && has_ipv6, "{host} by IPv6");
        }
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
            assert_eq!(listen_with(at("0.0.0.0:5"), open).is_ok(), ends_well, "{errno:?}");
            assert_eq!(*tried.borrow(), tries, "{errno:?}");
        }
        let refused = listen_with(at("[::1]:5"), |_| Err::<(), _>(io::Error::from(Errno::ADDRNOTAVAIL)));
        assert!(refused.is_err(), "an address that was asked for is not another");
    }
}
