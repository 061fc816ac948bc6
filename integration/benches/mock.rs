//! The mock that defines the limit: what a server on this machine could do at best. It reads the frames
//! that Paddock reads, logs writes with Paddock's own log thread (one sync a batch), and sends the frames
//! that Paddock sends; it has no tree, no sessions, no watches, and no order between connections.
//!
//! Each connection has one znode, whatever its path: the last that it created. That is enough for set,
//! get and create of `paddock bench` with one znode a client; everything else is refused with -6.
//!
//! `mock PORT DIRECTORY` serves on 127.0.0.1 until it is killed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use paddock_actors::runtime::Env;
use paddock_actors::storage::{
    Command, LoggerEvent, LoggerHandle, LoggerThread, Options, RealDisk, Records, ThreadOptions, open,
};
use paddock_messages::client::reply::write_header;
use paddock_messages::client::session::ConnectResponse;
use paddock_messages::client::{OpCode, ReplyHeader};
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::wire::{Wire, frame, write_nullable};
use paddock_messages::znode::{CreateMode, Stat};
use paddock_messages::zxid::{Epoch, Zxid};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{LocalSet, spawn_local};

/// Bytes read at once, at most: as Paddock's connections.
const SCRATCH: usize = 64 << 10;
/// What has been sent is forgotten once it is so much.
const FORGET: usize = 256 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// What all connections share; one thread.
struct Hub {
    log: LoggerHandle,
    /// What goes into the next append.
    records: RefCell<Records>,
    last: Cell<Zxid>,
    durable: Cell<Zxid>,
    /// There are records.
    logged: Notify,
    /// Who waits for the log.
    waiting: RefCell<Vec<Waker>>,
    sessions: Cell<i64>,
}

impl Hub {
    fn log(&self, payload: &[u8]) -> Zxid {
        let zxid = Zxid(self.last.get().0 + 1);
        self.last.set(zxid);
        self.records.borrow_mut().push(zxid, payload);
        zxid
    }

    fn append(&self) {
        let records = self.records.take();
        let write = Box::new(move |to: &mut Records| to.push_all(&records));
        let append = Command::Append { role: 0, write, committed: self.durable.get() };
        assert!(self.log.send(append).is_ok(), "the log has ended");
    }

    fn on_durable(&self, upto: Zxid) {
        self.durable.set(upto);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [port, directory] = &args[..] else { panic!("mock PORT DIRECTORY") };
    let port: u16 = port.parse().expect("a port is a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, serve(port, directory));
}

async fn serve(port: u16, directory: &str) {
    let disk = RealDisk::new(directory).expect("the directory can be made");
    let (logger, recovered) = open(disk, Options::new(ServerId(1), 1)).expect("the directory is empty");
    let (sender, mut events) = unbounded_channel();
    let told = move |event| drop(sender.send(event));
    let log =
        LoggerThread::start(logger, ThreadOptions::default(), &Env::real(), told).expect("a thread").handle;
    let first = recovered.last.max(Epoch(1).start());
    let hub = Rc::new(Hub {
        log,
        records: RefCell::default(),
        last: Cell::new(first),
        durable: Cell::new(first),
        logged: Notify::new(),
        waiting: RefCell::default(),
        sessions: Cell::new(1 << 56),
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
    let appender = Rc::clone(&hub);
    spawn_local(async move {
        loop {
            appender.logged.notified().await;
            appender.append();
        }
    });
    let committer = Rc::clone(&hub);
    spawn_local(async move {
        while let Some(event) = events.recv().await {
            match event {
                LoggerEvent::Persisted { persisted, .. } => committer.on_durable(persisted.upto),
                LoggerEvent::Failed(failure) => panic!("{failure}"),
                _ => {}
            }
        }
    });
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let mut connection = Connection::new(stream, Rc::clone(&hub));
        spawn_local(async move { poll_fn(|cx| connection.poll(cx)).await });
    }
}

/// The one znode of a connection.
#[derive(Default)]
struct Znode {
    stat: Stat,
    data: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    hub: Rc<Hub>,
    /// The beginning of a frame whose rest has not come.
    inbox: Vec<u8>,
    /// Replies in order; those before `free` may be sent, those before `sent` are.
    replies: Vec<u8>,
    sent: usize,
    free: usize,
    /// Where the reply to each write begins that is not known to be durable.
    writes: VecDeque<(Zxid, usize)>,
    znode: Znode,
    shaken: bool,
    closing: bool,
}

impl Connection {
    fn new(stream: TcpStream, hub: Rc<Hub>) -> Self {
        let (inbox, replies, writes) = (Vec::new(), Vec::new(), VecDeque::new());
        let (znode, shaken, closing) = (Znode::default(), false, false);
        Self { stream, hub, inbox, replies, sent: 0, free: 0, writes, znode, shaken, closing }
    }

    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(read) = self.read(cx) else { return Poll::Ready(()) };
            self.release();
            let Some(written) = self.write(cx) else { return Poll::Ready(()) };
            if self.closing && self.sent == self.replies.len() {
                return Poll::Ready(());
            }
            if !read && !written {
                if !self.writes.is_empty() {
                    self.hub.waiting.borrow_mut().push(cx.waker().clone());
                }
                return Poll::Pending;
            }
        }
    }

    /// Whether anything came; `None` when nothing more can.
    fn read(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        BUFFER.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut into) {
                Poll::Pending => return Some(false),
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => return None,
            }
            let before = self.hub.last.get();
            let mut inbox = std::mem::take(&mut self.inbox);
            if inbox.is_empty() {
                let used = self.take_frames(into.filled())?;
                inbox.extend_from_slice(&into.filled()[used..]);
            } else {
                inbox.extend_from_slice(into.filled());
                let used = self.take_frames(&inbox)?;
                inbox.drain(..used);
            }
            self.inbox = inbox;
            if self.hub.last.get() > before {
                self.hub.logged.notify_one();
            }
            Some(true)
        })
    }

    fn take_frames(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let Some((body, behind)) = behind.split_at_checked(u32::from_be_bytes(*length) as usize) else {
                break;
            };
            if self.shaken {
                self.answer(body)?;
            } else {
                self.shake_hands();
            }
            rest = behind;
        }
        Some(bytes.len() - rest.len())
    }

    fn shake_hands(&mut self) {
        self.shaken = true;
        self.hub.sessions.set(self.hub.sessions.get() + 1);
        let granted = ConnectResponse::granted(SessionId(self.hub.sessions.get()), 30_000);
        frame(&mut self.replies, |to| granted.write_with(Some(false), to));
    }

    fn answer(&mut self, mut body: &[u8]) -> Option<()> {
        let (xid, opcode) = (int(&mut body)?, int(&mut body)?);
        match OpCode::from_code(opcode)? {
            OpCode::Create => {
                let zxid = self.log(body);
                let (mut path, data) = (buffer(&mut body)?.to_vec(), buffer(&mut body)?);
                let flags = body.last_chunk().map(|flags| i32::from_be_bytes(*flags));
                if flags == Some(CreateMode::PersistentSequential as i32) {
                    path.extend_from_slice(b"0000000000");
                }
                let (czxid, mzxid, pzxid) = (zxid.to_wire(), zxid.to_wire(), zxid.to_wire());
                let stat = Stat { czxid, mzxid, pzxid, data_length: data.len() as i32, ..Stat::default() };
                self.znode = Znode { stat, data: data.to_vec() };
                self.reply(xid, zxid, |to, _| write_nullable(Some(&path), to));
            }
            OpCode::SetData => {
                let zxid = self.log(body);
                let (_path, data) = (buffer(&mut body)?, buffer(&mut body)?);
                self.znode.data.clear();
                self.znode.data.extend_from_slice(data);
                self.znode.stat.mzxid = zxid.to_wire();
                self.znode.stat.version += 1;
                self.znode.stat.data_length = data.len() as i32;
                self.reply(xid, zxid, |to, znode| znode.stat.write(to));
            }
            OpCode::Delete | OpCode::CloseSession => {
                let zxid = self.log(body);
                self.reply(xid, zxid, |_, _| {});
                self.closing |= opcode == OpCode::CloseSession as i32;
            }
            OpCode::GetData => self.reply(xid, self.hub.last.get(), |to, znode| {
                write_nullable(Some(&znode.data), to);
                znode.stat.write(to);
            }),
            OpCode::Ping => self.reply(xid, self.hub.last.get(), |_, _| {}),
            _ => self.refuse(xid),
        }
        Some(())
    }

    /// Logs the write whose reply comes next.
    fn log(&mut self, payload: &[u8]) -> Zxid {
        let zxid = self.hub.log(payload);
        self.writes.push_back((zxid, self.replies.len()));
        zxid
    }

    fn reply(&mut self, xid: i32, zxid: Zxid, body: impl FnOnce(&mut Vec<u8>, &Znode)) {
        frame(&mut self.replies, |to| {
            ReplyHeader { xid, zxid: zxid.to_wire(), err: 0 }.write(to);
            body(to, &self.znode);
        });
    }

    fn refuse(&mut self, xid: i32) {
        write_header(xid, self.hub.last.get().to_wire(), -6, &mut self.replies);
    }

    /// What is durable, and what stands before the first write that is not, may be sent.
    fn release(&mut self) {
        let durable = self.hub.durable.get();
        while self.writes.pop_front_if(|(zxid, _)| *zxid <= durable).is_some() {}
        self.free = self.writes.front().map_or(self.replies.len(), |(_, begin)| *begin);
    }

    /// Whether anything left; `None` when nothing more can.
    fn write(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        if self.sent == self.free {
            return Some(false);
        }
        match Pin::new(&mut self.stream).poll_write(cx, &self.replies[self.sent..self.free]) {
            Poll::Pending => return Some(false),
            Poll::Ready(Ok(count)) if count > 0 => self.sent += count,
            Poll::Ready(_) => return None,
        }
        if self.sent == self.replies.len() || self.sent > FORGET {
            self.replies.drain(..self.sent);
            self.writes.iter_mut().for_each(|(_, begin)| *begin -= self.sent);
            self.free -= self.sent;
            self.sent = 0;
        }
        Some(true)
    }
}

fn int(from: &mut &[u8]) -> Option<i32> {
    let (word, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(i32::from_be_bytes(*word))
}

fn buffer<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = int(from)?.try_into().ok()?; // first: it moves `from`
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}
