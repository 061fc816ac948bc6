//! Errors that a server answers only with settings that ask for it: each is one answer, of one such server.
//!
//! The recording has two lines for each: its code, and the frame after its length, in hex, with ` closed` behind it if the
//! connection ended there.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use paddock_messages::client::ops::{MaybePath, PathWatch, SetData};
use paddock_messages::client::{OpCode, ReplyHeader};
use paddock_messages::error_code::ErrorCode as E;
use paddock_messages::wire::Wire;

use crate::raw_client::{ClientError, RawClient};

/// An error, and how a server is brought to answer it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Which.
    pub code: E,
    /// Lines of the server's file beyond the usual ones.
    pub keys: &'static [(&'static str, &'static str)],
    /// Asks for it.
    pub ask: fn(SocketAddr) -> Result<Answer, ClientError>,
}

/// All of them.
pub const LIMITS: [Limit; 2] = [
    Limit {
        code: E::SessionClosedRequireSaslAuth,
        keys: &[("enforce.auth.enabled", "true"), ("enforce.auth.schemes", "digest")],
        ask: without_identity,
    },
    Limit {
        code: E::ThrottledOp,
        keys: &[("request_throttle_max_requests", "1"), ("throttled_op_wait_time", "1")],
        ask: behind_others,
    },
];

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Xid, zxid, error.
    pub header: ReplyHeader,
    /// What follows them.
    pub body: Bytes,
    /// Whether the connection ended behind it.
    pub closes: bool,
}

impl Answer {
    /// Takes one reply, and looks whether more can be asked.
    fn take(client: &mut RawClient) -> Result<Self, ClientError> {
        let reply = client.reply()?;
        let closes = match client.ping() {
            Ok(()) => false,
            Err(error) if error.is_disconnect() && !error.is_silence() => true,
            Err(error) => return Err(error),
        };
        Ok(Self { header: reply.header, body: reply.body, closes })
    }

    /// With the zxid masked: one that is 0 stays so, any other is 1.
    #[must_use]
    pub fn masked(mut self) -> Self {
        self.header.zxid = self.header.zxid.signum();
        self
    }
}

/// A client that has proved nothing reads.
fn without_identity(to: SocketAddr) -> Result<Answer, ClientError> {
    let mut client = RawClient::connect(to)?;
    client.queue(OpCode::Exists, &PathWatch { path: "/".into(), watch: false });
    client.flush()?;
    Answer::take(&mut client)
}

/// How often a client may find a server that lets it in at once; each time more others are in its way.
const TRIES: usize = 40;
/// Bytes of each of the writes in its way.
const DATA: usize = 900_000;

/// A sync behind writes that take their time. The first that had to wait for more than a millisecond is the answer: how
/// long a write takes is the disk's affair.
fn behind_others(to: SocketAddr) -> Result<Answer, ClientError> {
    let (mut busy, mut client) = (Vec::new(), RawClient::connect(to)?);
    let data = Some(Bytes::from(vec![b'x'; DATA]));
    for _ in 0..TRIES {
        busy.push(RawClient::connect(to)?);
        for it in &mut busy {
            it.queue(OpCode::SetData, &SetData { path: "/".into(), data: data.clone(), version: -1 });
            it.flush()?;
        }
        client.queue(OpCode::Sync, &MaybePath { path: Some("/".into()) });
        client.flush()?;
        let answer = Answer::take(&mut client)?;
        for it in &mut busy {
            it.reply()?;
        }
        if answer.header.err != 0 {
            // Its own xid, whichever try it was.
            let header = ReplyHeader { xid: 1, ..answer.header };
            return Ok(Answer { header, ..answer });
        }
    }
    Err(ClientError::Io(std::io::Error::other(format!("none of {TRIES} syncs had to wait"))))
}

/// The recording.
#[must_use]
pub fn write(answers: &[(E, Answer)]) -> String {
    let mut text = String::from(
        "# Recorded from Apache ZooKeeper 3.9 with settings of its own for each error; not edited by hand.\n",
    );
    for (code, answer) in answers {
        let mut bytes = Vec::new();
        answer.header.write(&mut bytes);
        bytes.extend_from_slice(&answer.body);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let closed = if answer.closes { " closed" } else { "" };
        write!(text, "\n{}\n{hex}{closed}\n", code.code()).expect("a String takes all");
    }
    text
}

/// What [`write`] wrote.
///
/// # Panics
/// On a line that it does not write.
#[must_use]
pub fn read(text: &str) -> Vec<(E, Answer)> {
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let pairs = lines.chunks(2).map(|pair| {
        let [code, frame] = pair else { panic!("half of two lines: {pair:?}") };
        read_pair(code, frame).unwrap_or_else(|| panic!("not as it is written: {code}, {frame}"))
    });
    pairs.collect()
}

fn read_pair(code: &str, frame: &str) -> Option<(E, Answer)> {
    let code = E::from_code(code.parse().ok()?)?;
    let closes = frame.ends_with(" closed");
    let mut bytes = Bytes::from(super::file::unhex(frame.trim_end_matches(" closed"))?);
    let header = ReplyHeader::read(&mut bytes).ok()?;
    Some((code, Answer { header, body: bytes, closes }))
}
