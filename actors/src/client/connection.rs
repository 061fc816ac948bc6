//! One socket's task: reads into a buffer that all connections of the thread share, lets the core do
//! the rest, writes what the core has for it. Idle, it holds no buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use paddock_messages::ids::ConnId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hub::Shared;

/// Bytes read at once, at most.
const SCRATCH: usize = 64 << 10;
/// Reads and writes before the other tasks of the thread have their turn.
const TURNS: usize = 16;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// Tells the core when the task ends, however it ends.
struct Registered {
    conn: ConnId,
    shared: Rc<Shared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.closed(self.conn);
    }
}

/// Serves the connection until it is over or its socket fails.
pub(super) async fn run<S>(stream: Rc<RefCell<S>>, conn: ConnId, shared: Rc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let registered = Registered { conn, shared };
    let mut socket = Socket { stream, at_end: false };
    poll_fn(|cx| socket.poll(conn, &registered.shared, cx)).await;
    // What is unread makes the close a reset; the end of our side should be seen first.
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *socket.stream.borrow_mut()).poll_shutdown(cx).is_ready())).await;
}

struct Socket<S> {
    /// Shared with the fan-out, which borrows it while no task runs.
    stream: Rc<RefCell<S>>,
    /// The client sends no more.
    at_end: bool,
}

/// What a turn came to.
enum Turn {
    Progress,
    Nothing,
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Ready when the connection is over.
    fn poll(&mut self, conn: ConnId, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        shared.register(conn, cx.waker());
        for _ in 0..TURNS {
            let read = self.read(conn, shared, cx);
            let written = self.write(conn, shared, cx);
            match (read, written) {
                (Turn::Over, _) | (_, Turn::Over) => return Poll::Ready(()),
                (Turn::Nothing, Turn::Nothing) => return Poll::Pending,
                _ => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn read(&mut self, conn: ConnId, shared: &Shared, cx: &mut Context<'_>) -> Turn {
        if self.at_end || !shared.look(|core| core.wants_read(conn)) {
            return Turn::Nothing;
        }
        BUFFER.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            let read = Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut into);
            match read {
                Poll::Pending => Turn::Nothing,
                Poll::Ready(Err(_)) => Turn::Over,
                Poll::Ready(Ok(())) if into.filled().is_empty() => {
                    self.at_end = true;
                    let goes_on = shared.step(|core, _| core.on_end_of_input(conn));
                    if goes_on { Turn::Nothing } else { Turn::Over }
                }
                Poll::Ready(Ok(())) => {
                    shared.step(|core, now_ms| core.on_bytes(conn, into.filled(), now_ms));
                    Turn::Progress
                }
            }
        })
    }

    fn write(&mut self, conn: ConnId, shared: &Shared, cx: &mut Context<'_>) -> Turn {
        let sent = shared.look(|core| {
            let unsent = core.unsent(conn);
            if unsent.is_empty() {
                return None;
            }
            Some(Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, unsent))
        });
        match sent {
            None if shared.look(|core| core.is_over(conn)) => Turn::Over,
            None | Some(Poll::Pending) => Turn::Nothing,
            Some(Poll::Ready(Ok(count))) if count > 0 => {
                shared.step(|core, now_ms| core.on_sent(conn, count, now_ms));
                Turn::Progress
            }
            Some(Poll::Ready(_)) => Turn::Over,
        }
    }
}
