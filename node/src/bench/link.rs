//! One client's connection: handshake, single calls, and the loop that loads the server.
//!
//! The loop reads into a buffer that all connections of the thread share, checks the replies in place,
//! fills what has become free of the window with requests, and writes them at once. It allocates
//! nothing per request: frames are patched copies, and what is due stands in a ring made beforehand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use paddock_messages::client::session::{ConnectFields, ConnectRequest, ConnectResponse, PASSWORD_LEN};
use paddock_messages::client::{OpCode, ReplyHeader, RequestHeader, xid};
use paddock_messages::wire::{Wire, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::fault::Fault;
use super::replies::{self, Problem, Replies};
use super::requests::{Request, Requests, Verb, Znode};
use super::timer::Timer;
use super::window::Clock;

/// Bytes read at once, at most.
const SCRATCH: usize = 64 << 10;
/// Reads and writes before the other connections of the thread have their turn.
const TURNS: usize = 16;
/// The longest frame that is taken for one.
const MAX_FRAME: usize = 256 << 20;
/// How long the server may take to connect, or to say anything while a request is unanswered.
const PATIENCE: Duration = Duration::from_secs(30);
/// The session timeout asked for, in ms.
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// How often an idle connection looks whether it must ping or end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Send this; its latency counts from the time given, in ns of the [`Clock`].
    Send(Request, u64),
    /// Nothing before that time.
    Wait(u64),
    /// Nothing any more.
    End,
}

/// Where requests come from, and who hears that they are answered.
pub(super) trait Work {
    /// The next request, if one may be sent at `now`.
    fn next(&mut self, now: u64) -> Next;
    /// A right reply came at `now`.
    fn answered(&mut self, request: Request, since: u64, now: u64);
}

/// A request that is not answered yet.
#[derive(Clone, Copy)]
struct Due {
    xid: i32,
    request: Request,
    since: u64,
}

/// A connection with a session.
pub(super) struct Link {
    stream: TcpStream,
    clock: Clock,
    timer: Timer,
    look: Interval,
    /// The beginning of a frame whose rest has not come.
    inbox: Vec<u8>,
    /// What is to be sent, from `sent` on.
    outbox: Vec<u8>,
    sent: usize,
    due: VecDeque<Due>,
    next_xid: i32,
    /// The highest zxid that a reply had.
    zxid: i64,
    ping_after: u64,
    /// When a frame last came or left, in ns.
    heard: u64,
    spoke: u64,
}

impl Link {
    /// Connects and opens a session.
    pub(super) async fn open(to: SocketAddr, clock: Clock) -> Result<Self, Fault> {
        let late =
            || Fault::Connect(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {PATIENCE:?}")));
        let connected = timeout(PATIENCE, TcpStream::connect(to)).await.map_err(|_| late())?;
        let stream = connected.map_err(Fault::Connect)?;
        stream.set_nodelay(true).map_err(Fault::Broken)?;
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut link = Self {
            stream,
            clock,
            timer: Timer::new(),
            look,
            inbox: Vec::new(),
            outbox: Vec::new(),
            sent: 0,
            due: VecDeque::new(),
            next_xid: 1,
            zxid: 0,
            ping_after: 0,
            heard: clock.now(),
            spoke: clock.now(),
        };
        timeout(PATIENCE, link.shake_hands()).await.map_err(|_| late())??;
        Ok(link)
    }

    async fn shake_hands(&mut self) -> Result<(), Fault> {
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: SESSION_TIMEOUT_MS,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; PASSWORD_LEN])),
        };
        let mut request = Vec::new();
        frame(&mut request, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
        self.stream.write_all(&request).await.map_err(Fault::Broken)?;
        let mut answer = self.read_frame().await.map_err(|fault| match fault {
            Fault::Closed(_) | Fault::Broken(_) => Fault::NotServing,
            other => other,
        })?;
        let response = ConnectResponse::read(&mut answer).map_err(|_| Fault::NoSession)?;
        // 0 would say that the session has expired.
        let granted = u64::try_from(response.timeout_ms).ok().filter(|ms| *ms > 0).ok_or(Fault::NoSession)?;
        self.ping_after = granted * 1_000_000 / 3;
        Ok(())
    }

    /// One request by itself, whatever it is; nothing else may be due. An error is its code.
    pub(super) async fn call(
        &mut self,
        opcode: OpCode,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Result<Bytes, i32>, Fault> {
        let xid = self.take_xid();
        let mut request = Vec::new();
        frame(&mut request, |to| {
            RequestHeader { xid, opcode: opcode as i32 }.write(to);
            body(to);
        });
        self.stream.write_all(&request).await.map_err(Fault::Broken)?;
        let answer = timeout(PATIENCE, self.read_frame()).await.map_err(|_| Fault::Silent(PATIENCE, 1))??;
        let (header, rest) =
            self.header(&answer, xid).map_err(|problem| wrong(format!("{opcode:?}"), xid, problem))?;
        Ok(if header.err == 0 { Ok(answer.slice_ref(rest)) } else { Err(header.err) })
    }

    /// Closes the session, and so the connection.
    pub(super) async fn close(mut self) -> Result<(), Fault> {
        self.call(OpCode::CloseSession, |_| {}).await.map(drop)
    }

    async fn read_frame(&mut self) -> Result<Bytes, Fault> {
        let mut length = [0; 4];
        let ended = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Closed(1),
            _ => Fault::Broken(error),
        };
        self.stream.read_exact(&mut length).await.map_err(ended)?;
        let length = frame_length(length).map_err(|problem| wrong("a single request".into(), 0, problem))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(ended)?;
        Ok(body.into())
    }

    fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }

    fn header<'a>(&mut self, reply: &'a [u8], due: i32) -> Result<(ReplyHeader, &'a [u8]), Problem> {
        let (header, body) = replies::split(reply)?;
        replies::check_header(&header, due, self.zxid)?;
        self.zxid = self.zxid.max(header.zxid);
        Ok((header, body))
    }

    /// Sends what `work` has, up to `most` unanswered at a time, until it has no more and all is answered.
    pub(super) async fn run(
        &mut self,
        requests: &Requests,
        replies: &mut Replies,
        work: &mut impl Work,
        most: usize,
    ) -> Result<(), Fault> {
        self.due.reserve(most + 1);
        self.heard = self.clock.now();
        let mut run = Run { link: self, requests, replies, work, most };
        poll_fn(|cx| run.poll(cx)).await
    }
}

/// A [`Link`] at work.
struct Run<'a, W> {
    link: &'a mut Link,
    requests: &'a Requests,
    replies: &'a mut Replies,
    work: &'a mut W,
    most: usize,
}

impl<W: Work> Run<'_, W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        for _ in 0..TURNS {
            let read = self.read(cx)?;
            let now = self.link.clock.now();
            let next = self.fill(now);
            let written = self.write(cx)?;
            if next == Next::End && self.link.due.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if !read && !written && !self.wait(next, now, cx)? {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether anything came.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        BUFFER.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            match Pin::new(&mut self.link.stream).poll_read(cx, &mut into) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Fault::Broken(error)),
                Poll::Ready(Ok(())) if into.filled().is_empty() => {
                    return Err(Fault::Closed(self.link.due.len()));
                }
                Poll::Ready(Ok(())) => {}
            }
            self.link.heard = self.link.clock.now();
            if self.link.inbox.is_empty() {
                let used = self.take_replies(into.filled())?;
                self.link.inbox.extend_from_slice(&into.filled()[used..]);
            } else {
                let mut inbox = std::mem::take(&mut self.link.inbox);
                inbox.extend_from_slice(into.filled());
                let used = self.take_replies(&inbox)?;
                inbox.drain(..used);
                self.link.inbox = inbox;
            }
            Ok(true)
        })
    }

    /// Checks all whole replies in `bytes`; returns how many bytes they take.
    fn take_replies(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut rest = bytes;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = frame_length(*length).map_err(|problem| self.wrong(None, problem))?;
            let Some((reply, behind)) = behind.split_at_checked(length) else { break };
            self.take_reply(reply)?;
            rest = behind;
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_reply(&mut self, reply: &[u8]) -> Result<(), Fault> {
        let Some(due) = self.link.due.pop_front() else {
            let got = replies::split(reply).map_or(0, |(header, _)| header.xid);
            return Err(self.wrong(None, Problem::Unasked(got)));
        };
        let checked = self
            .link
            .header(reply, due.xid)
            .and_then(|(header, body)| self.replies.check(due.request, &header, body, self.requests));
        checked.map_err(|problem| self.wrong(Some(due), problem))?;
        if due.request.verb != Verb::Ping {
            self.work.answered(due.request, due.since, self.link.heard);
        }
        Ok(())
    }

    fn wrong(&self, due: Option<Due>, problem: Problem) -> Fault {
        let due = due.or_else(|| self.link.due.front().copied());
        let Some(Due { xid, request, .. }) = due else { return wrong("nothing".into(), 0, problem) };
        let name =
            request.znode.name().map_or(String::new(), |name| format!("/{}", String::from_utf8_lossy(&name)));
        wrong(format!("{} {}{name}", request.verb.name(), self.requests.directory()), xid, problem)
    }

    /// Queues requests until the window is full or none is to be sent now; says what comes then.
    fn fill(&mut self, now: u64) -> Next {
        loop {
            if self.link.due.len() >= self.most {
                return Next::Wait(u64::MAX); // for a reply
            }
            match self.work.next(now) {
                Next::Send(request, since) => {
                    let xid = self.link.take_xid();
                    self.send(xid, request, since);
                }
                next => return next,
            }
        }
    }

    fn send(&mut self, xid: i32, request: Request, since: u64) {
        let stamp = self.replies.sending(request);
        self.requests.write(xid, request, stamp, &mut self.link.outbox);
        self.link.due.push_back(Due { xid, request, since });
    }

    /// Whether anything left.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let link = &mut *self.link;
        if link.sent == link.outbox.len() {
            return Ok(false);
        }
        match Pin::new(&mut link.stream).poll_write(cx, &link.outbox[link.sent..]) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(count)) if count > 0 => link.sent += count,
            Poll::Ready(Ok(_)) => return Err(Fault::Closed(link.due.len())),
            Poll::Ready(Err(error)) => return Err(Fault::Broken(error)),
        }
        if link.sent == link.outbox.len() {
            link.outbox.clear();
            link.sent = 0;
        }
        link.spoke = link.clock.now();
        Ok(true)
    }

    /// Whether it is time for something already; else the task will be woken when it is.
    fn wait(&mut self, next: Next, now: u64, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let looks = self.link.look.poll_tick(cx).is_ready();
        if looks {
            self.look(now)?;
        }
        let due = match next {
            Next::Wait(until) if until < u64::MAX => {
                self.link.timer.poll(until.saturating_sub(now), until, cx)
            }
            _ => Poll::Pending,
        };
        Ok(looks || due.map_err(Fault::Local)?.is_ready())
    }

    fn look(&mut self, now: u64) -> Result<(), Fault> {
        if self.link.due.is_empty() {
            self.link.heard = now; // nobody owes us anything
            if now.saturating_sub(self.link.spoke) > self.link.ping_after {
                self.send(xid::PING, Request::new(Verb::Ping, Znode::Directory), now);
            }
        } else if now.saturating_sub(self.link.heard) > PATIENCE.as_nanos() as u64 {
            return Err(Fault::Silent(PATIENCE, self.link.due.len()));
        }
        Ok(())
    }
}

fn frame_length(bytes: [u8; 4]) -> Result<usize, Problem> {
    let length = i32::from_be_bytes(bytes);
    let sound = usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME);
    sound.ok_or(Problem::Length(length))
}

fn wrong(request: String, xid: i32, problem: Problem) -> Fault {
    Fault::Wrong { request, xid, problem }
}
