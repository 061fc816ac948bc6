//! The loop on a connection, against servers that answer in every way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use paddock_messages::client::reply::write_header;
use paddock_messages::client::session::ConnectResponse;
use paddock_messages::ids::SessionId;
use paddock_messages::wire::frame;

use super::link::{Next, Work};
use super::requests::{Request, Verb, Znode};
use super::*;

/// What the server does behind its handshake.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        stream.read_exact(&mut [0; 49]).unwrap();
        let mut answer = Vec::new();
        frame(&mut answer, |to| ConnectResponse::granted(SessionId(1), 4000).write_with(Some(false), to));
        stream.write_all(&answer).unwrap();
        serve(stream);
    });
    (address, thread)
}

/// The xid of the next request.
fn take(stream: &mut TcpStream) -> i32 {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).unwrap();
    i32::from_be_bytes(body[..4].try_into().unwrap())
}

/// So many deletes; remembers how many are answered.
struct Deletes {
    left: u32,
    sent: u32,
    answered: u32,
    most: u32,
}

impl Work for Deletes {
    fn next(&mut self, now: u64) -> Next {
        if self.left == 0 {
            return Next::End;
        }
        assert!(self.sent - self.answered < self.most, "asked for more than the window has room for");
        self.left -= 1;
        self.sent += 1;
        Next::Send(Request::new(Verb::Delete, Znode::Fresh(self.left)), now)
    }

    fn answered(&mut self, _request: Request, _since: u64, _now: u64) {
        self.answered += 1;
    }
}

/// Runs `count` deletes, at most `most` at a time.
fn run(to: SocketAddr, left: u32, most: u32) -> Result<u32, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut link = Link::open(to, Clock::new()).await?;
        let mut work = Deletes { left, sent: 0, answered: 0, most };
        link.run(&Requests::new("/r/c0".into(), 0), &mut Replies::new(0), &mut work, most as usize).await?;
        Ok(work.answered)
    })
}

#[test]
fn the_window_is_kept_and_frames_may_come_in_pieces() {
    let (to, server) = server(|mut stream| {
        for turn in 0..100 {
            let xids: Vec<_> = (0..10).map(|_| take(&mut stream)).collect();
            let mut replies = Vec::new();
            xids.iter().for_each(|xid| write_header(*xid, turn, 0, &mut replies));
            replies.chunks(1 + turn as usize).for_each(|piece| stream.write_all(piece).unwrap());
        }
    });
    // The replies of a turn may free the window one by one, so a turn begins when ten are there again.
    assert_eq!(run(to, 1_000, 10).unwrap(), 1_000);
    server.join().unwrap();
}

#[test]
fn what_is_wrong_names_request_and_problem() {
    let (to, server) = server(|mut stream| {
        let mut reply = Vec::new();
        let xid = take(&mut stream);
        write_header(xid, 9, 0, &mut reply);
        write_header(take(&mut stream), 8, 0, &mut reply);
        stream.write_all(&reply).unwrap();
    });
    let fault = run(to, 2, 2).unwrap_err().to_string();
    assert_eq!(
        fault,
        "wrong reply to delete /r/c0/n0000000000 (xid 2): its zxid 0x8 is behind 0x9, which an earlier reply had"
    );
    server.join().unwrap();
}

#[test]
fn replies_that_nobody_asked_for_are_wrong() {
    let (to, server) = server(|mut stream| {
        let mut reply = Vec::new();
        let xid = take(&mut stream);
        write_header(xid, 9, 0, &mut reply);
        write_header(xid, 9, 0, &mut reply);
        stream.write_all(&reply).unwrap();
    });
    let fault = run(to, 1, 1).unwrap_err().to_string();
    assert!(fault.ends_with("it has xid 1, and nothing was asked"), "{fault}");
    server.join().unwrap();
}

#[test]
fn a_server_that_goes_away_is_told_from_one_that_does_not_serve() {
    let (to, gone) = server(|mut stream| {
        take(&mut stream);
    });
    assert!(matches!(run(to, 5, 1), Err(Fault::Closed(1) | Fault::Broken(_))));
    gone.join().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let waiting = thread::spawn(move || drop(listener.accept().unwrap()));
    assert!(matches!(run(to, 1, 1), Err(Fault::NotServing)));
    waiting.join().unwrap(); // with the listener
    assert!(matches!(run(to, 1, 1), Err(Fault::Connect(_))));
}
