//! Ports for servers under test, that no connection of anybody can be given while the server is down.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Below it there may be services of the machine.
const FIRST: u32 = 10_000;
/// Ours end here where the kernel does not say which ports it gives to connections (Linux' default).
const LAST: u32 = 32_768;
/// How many were asked for in this process.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port that nobody uses now, and that this process was not given before. It is none of those that the
/// kernel takes for the near end of a connection: such a one may be gone when a server that was killed
/// starts again.
///
/// # Errors
/// What binding the last of them returned, if all are taken.
pub fn free_port() -> io::Result<u16> {
    let end = ephemeral_from().unwrap_or(LAST).max(FIRST + 1);
    let count = end - FIRST;
    // Processes that run side by side begin at different places.
    let begin = std::process::id().wrapping_mul(2_654_435_761);
    let mut failed = None;
    for _ in 0..count {
        let nth = begin.wrapping_add(GIVEN.fetch_add(1, Relaxed)) % count;
        let port = u16::try_from(FIRST + nth).expect("a port");
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.expect("there is at least one port"))
}

/// So many different ones.
///
/// # Errors
/// As [`free_port`].
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    (0..count).map(|_| free_port()).collect()
}

/// The first port that the kernel gives to connections.
fn ephemeral_from() -> Option<u32> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_different_ones_that_no_connection_is_given() {
        let ports = free_ports(50).unwrap();
        assert_eq!(std::collections::BTreeSet::from_iter(&ports).len(), 50);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).unwrap();
        for _ in 0..50 {
            let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let near = connection.local_addr().unwrap().port();
            assert!(ports.iter().all(|port| *port < near), "{near} is in the way of {ports:?}");
        }
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        let next = free_port().unwrap() + 1;
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, next));
        assert_ne!(free_port().unwrap(), next);
    }
}
