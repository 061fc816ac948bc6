//! Sends what one change tells many: what it costs is the kernel's way of each packet, 4 to 5 µs, and a
//! second thread halves that. Nothing is decided here: each socket is given what its connection's outbox
//! holds, as its own task would, and is left to the task if it does not take all of that.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use paddock_messages::ids::ConnId;
use tokio::net::TcpStream;

use super::core::ArbiterCore;
use super::hub::Shared;

/// A socket whose task shares it with the fan-out; both are on the arbiter's thread.
pub(super) type SharedSocket = Rc<RefCell<TcpStream>>;

/// From how many on a second thread is worth its start, some 50 µs.
pub(super) const MANY: usize = 256;
/// How many are sent to before the arbiter's other tasks have their turn: some 6 ms.
const AT_ONCE: usize = 1 << 11;
/// How many a thread takes at a time.
const BLOCK: usize = 32;

impl ArbiterCore {
    /// How many were told of a change, had nothing else to send, and wait for the shell to look at them: each is
    /// counted once.
    pub(super) fn told(&self) -> usize {
        self.fan_out.len()
    }

    /// Takes the first of them, at most `count`.
    pub(super) fn take_told(&mut self, count: usize, into: &mut Vec<ConnId>) {
        let count = count.min(self.fan_out.len());
        for conn in self.fan_out.drain(..count) {
            if let Some(connection) = self.conns.get_mut(conn) {
                connection.is_told = false;
            }
            into.push(conn);
        }
    }
}

impl Shared {
    /// Sends to those who were told, whenever they are many.
    pub(super) async fn fan_out(self: Rc<Self>) {
        let mut conns = Vec::new();
        loop {
            self.many_told.notified().await;
            loop {
                self.core.borrow_mut().take_told(AT_ONCE, &mut conns);
                if conns.is_empty() {
                    break;
                }
                self.send_to(&conns);
                conns.clear();
                tokio::task::yield_now().await;
            }
        }
    }

    fn send_to(&self, conns: &[ConnId]) {
        let _unfinished = self.unfinished();
        let taken = self.look(|core| {
            let sockets: Vec<_> = conns.iter().map(|&conn| self.socket(conn)).collect();
            let guards: Vec<_> = sockets.iter().map(|it| it.as_ref()?.try_borrow().ok()).collect();
            let job = |(socket, &conn)| Job { socket, bytes: core.unsent(conn) };
            let jobs: Vec<_> = guards.iter().map(Option::as_deref).zip(conns).map(job).collect();
            send(&jobs)
        });
        let rest = self.step(|core, now_ms| {
            let mut rest = Vec::new();
            for (at, count) in taken {
                if count > 0 {
                    core.on_sent(conns[at], count, now_ms);
                }
                if !core.unsent(conns[at]).is_empty() {
                    rest.push(conns[at]);
                }
            }
            rest
        });
        // Their tasks wait for the socket, or find out what is wrong with it.
        rest.into_iter().for_each(|conn| self.wake(conn));
    }
}

/// What is to be given to a socket, if that is to be had here.
struct Job<'a> {
    socket: Option<&'a TcpStream>,
    bytes: &'a [u8],
}

impl Job<'_> {
    /// How many bytes the socket takes at once.
    fn run(&self) -> usize {
        match self.socket {
            Some(socket) if !self.bytes.is_empty() => socket.try_write(self.bytes).unwrap_or(0),
            _ => 0,
        }
    }
}

/// Runs the jobs on this thread and a second; which of them took how many bytes, in any order.
fn send(jobs: &[Job<'_>]) -> Vec<(usize, usize)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut taken = Vec::with_capacity(jobs.len());
        loop {
            let begin = next.fetch_add(BLOCK, Relaxed);
            if begin >= jobs.len() {
                return taken;
            }
            let end = jobs.len().min(begin + BLOCK);
            taken.extend((begin..end).map(|at| (at, jobs[at].run())));
        }
    };
    thread::scope(|scope| {
        let second = thread::Builder::new().name("fan-out".into()).spawn_scoped(scope, work);
        let mut taken = work();
        match second.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(more)) => taken.extend(more),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => {} // no thread is to be had: the jobs are done nevertheless
        }
        taken
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[actix_rt::test]
    async fn each_job_is_done_once_and_what_a_full_socket_does_not_take_is_told() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = port.local_addr().unwrap();
        let mut pairs = Vec::new();
        for _ in 0..3 * BLOCK + 1 {
            let ours = TcpStream::connect(at).await.unwrap();
            ours.writable().await.unwrap();
            pairs.push((ours, port.accept().await.unwrap().0));
        }
        let full = &pairs[BLOCK].0;
        while full.try_write(&[b'x'; 1 << 16]).is_ok() {}
        let mut jobs: Vec<_> =
            pairs.iter().map(|(it, _)| Job { socket: Some(it), bytes: b"event" }).collect();
        jobs.push(Job { socket: None, bytes: b"event" });
        jobs.push(Job { socket: Some(&pairs[0].0), bytes: b"" });
        let mut taken = send(&jobs);
        taken.sort_unstable();
        let expected: Vec<_> = (0..jobs.len())
            .map(|at| (at, if at == BLOCK || at >= pairs.len() { 0 } else { b"event".len() }))
            .collect();
        assert_eq!(taken, expected);
    }
}
