//! The client's side of an operator's connection ([`NewOperator`](crate::client::operator::NewOperator)): a session, one
//! reconfig, the end of the session.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use paddock_messages::client::ops::Reconfig;
use paddock_messages::client::session::{ConnectFields, ConnectRequest, ConnectResponse, PASSWORD_LEN};
use paddock_messages::client::{OpCode, ReplyHeader, RequestHeader, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::{DecodeError, Wire, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// A session is there within this, or there is none to be had.
const SESSION_WITHIN: Duration = Duration::from_secs(10);
/// A reconfig is answered within this; it waits for all writes before it, and the first one for the feature level.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// The end of the session is waited for no longer: it expires anyway.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);
/// The session timeout asked for, in ms. Pings keep it alive, as far as it is granted.
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// Far above the text of 255 members.
const MAX_FRAME: usize = 4 << 20;
/// The xid of the reconfig, and of the end behind it.
const RECONFIG: i32 = 1;
const CLOSE: i32 = 2;

/// Why there is no new configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// Nothing was asked.
    #[error("no session: {0}")]
    NoSession(Broken),
    /// The leader's answer; nothing has changed.
    #[error("{0}")]
    Refused(ErrorCode),
    /// It was asked, and may be done or not.
    #[error("no answer: {0}")]
    NoAnswer(Broken),
}

/// What became of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the connection was closed")]
    Closed(#[source] io::Error),
    #[error("nothing came within {0:?}")]
    Silent(Duration),
    #[error("what came cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
    #[error("what came is no answer to it")]
    Unexpected,
}

/// Asks for it by the connection, and waits so long for the answer: the text of the new configuration.
pub(super) async fn reconfig<S>(stream: S, asked: &Reconfig, within: Duration) -> Result<Bytes, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut link = Link { stream, inbox: BytesMut::new(), ping_every: SESSION_WITHIN };
    let began = timeout(SESSION_WITHIN, link.open()).await;
    began.unwrap_or(Err(Broken::Silent(SESSION_WITHIN))).map_err(Failed::NoSession)?;
    let answer = link.call(RECONFIG, OpCode::Reconfig, |to| asked.write(to), within).await;
    let (header, mut body) = answer.map_err(Failed::NoAnswer)?;
    let _ = link.call(CLOSE, OpCode::CloseSession, |_| {}, CLOSED_WITHIN).await; // it expires anyway
    match header.err {
        0 => {
            let text = Option::<Bytes>::read(&mut body).map_err(|error| Failed::NoAnswer(error.into()))?;
            text.ok_or(Failed::NoAnswer(Broken::Unexpected))
        }
        code => Err(ErrorCode::from_code(code).map_or(Failed::NoAnswer(Broken::Unexpected), Failed::Refused)),
    }
}

struct Link<S> {
    stream: S,
    /// What came and is no whole frame yet.
    inbox: BytesMut,
    /// A third of the session timeout.
    ping_every: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    async fn open(&mut self) -> Result<(), Broken> {
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: SESSION_TIMEOUT_MS,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; PASSWORD_LEN])),
        };
        self.send(|to| ConnectRequest { fields, read_only: Some(false) }.write(to)).await?;
        let response = ConnectResponse::read(&mut self.frame().await?)?;
        // 0 would say that there is no such session.
        let granted = u64::try_from(response.timeout_ms).ok().filter(|ms| *ms > 0);
        self.ping_every = Duration::from_millis(granted.ok_or(Broken::Unexpected)?.div_ceil(3));
        Ok(())
    }

    /// Asks, and takes the answer; says now and then that it is still there.
    async fn call(
        &mut self,
        xid: i32,
        opcode: OpCode,
        body: impl FnOnce(&mut Vec<u8>),
        within: Duration,
    ) -> Result<(ReplyHeader, Bytes), Broken> {
        let deadline = Instant::now() + within;
        let request = |to: &mut Vec<u8>| {
            RequestHeader { xid, opcode: opcode as i32 }.write(to);
            body(to);
        };
        timeout_at(deadline, self.send(request)).await.map_err(|_| Broken::Silent(within))??;
        loop {
            let next_ping = Instant::now() + self.ping_every;
            match timeout_at(deadline.min(next_ping), self.frame()).await {
                Ok(answer) => {
                    let mut answer = answer?;
                    let header = ReplyHeader::read(&mut answer)?;
                    match header.xid {
                        it if it == xid => return Ok((header, answer)),
                        xid::PING => {}
                        _ => return Err(Broken::Unexpected),
                    }
                }
                Err(_) if Instant::now() >= deadline => return Err(Broken::Silent(within)),
                Err(_) => {
                    let header = RequestHeader { xid: xid::PING, opcode: OpCode::Ping as i32 };
                    let ping = |to: &mut Vec<u8>| header.write(to);
                    timeout_at(deadline, self.send(ping)).await.map_err(|_| Broken::Silent(within))??;
                }
            }
        }
    }

    async fn send(&mut self, body: impl FnOnce(&mut Vec<u8>)) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        frame(&mut bytes, body);
        self.stream.write_all(&bytes).await.map_err(Broken::Closed)
    }

    /// The next frame's body. What has come stays if this is given up.
    async fn frame(&mut self) -> Result<Bytes, Broken> {
        loop {
            if let Some(length) = self.inbox.first_chunk::<4>().map(|four| i32::from_be_bytes(*four)) {
                let length = usize::try_from(length).ok().filter(|it| *it <= MAX_FRAME);
                let length = length.ok_or(Broken::Unexpected)?;
                if self.inbox.len() >= 4 + length {
                    self.inbox.advance(4);
                    return Ok(self.inbox.split_to(length).freeze());
                }
            }
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err(Broken::Closed(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(Broken::Closed(error)),
            }
        }
    }
}

#[cfg(test)]
#[path = "reconfig_client_tests.rs"]
mod tests;
