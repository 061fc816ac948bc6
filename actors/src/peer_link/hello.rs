//! Who may speak: the first frame of each lane, and how it is judged.

use std::io;
use std::time::Duration;

use paddock_messages::frame::{self, Frame, FrameError, FrameReader, FrameWriter, Hello, Lane, Versions};
use paddock_messages::ids::ServerId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::Identity;

/// How long a peer may take to say who it is.
pub const HELLO_WITHIN: Duration = Duration::from_secs(2);
/// Bytes that are read at once before the hello. A hello has at most 4 KiB, and the frame reader refuses what
/// claims more: two of these are all that a stranger can make us hold.
const CHUNK: usize = 4 << 10;
/// Bytes that are read before the hello, should that ever not be so.
const MOST_BEFORE: usize = 64 << 10;

/// Why a peer may not speak here, and what an operator can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Somebody who holds connections open, or a server that does not get on.
    #[error("it said no hello within {} s", HELLO_WITHIN.as_secs())]
    Slow,
    /// It refuses us, does not lead, or was only a probe.
    #[error(
        "it closed the connection before its hello: if it is a member, its own log says why; if that says nothing, this is not a \
         port for members: compare the server.N line with its clientPort"
    )]
    Closed,
    /// The connection broke.
    #[error("the connection broke before its hello: {0}")]
    Io(#[from] io::Error),
    /// Another protocol, or a hello that nobody understands.
    #[error("{0}: is that address another program's, or another version's?")]
    Frame(#[from] FrameError),
    /// More bytes than any hello has.
    #[error("it said no hello in its first {MOST_BEFORE} bytes")]
    Endless,
    /// Nobody of ours.
    #[error(
        "it is server {0}, which is no member here: add it by a reconfig, or compare the server.N lines of both"
    )]
    Stranger(ServerId),
    /// A copied myid, or this server's own address under another's name.
    #[error("it is server {0}, as this one is: each server needs a myid of its own, and an address")]
    Namesake(ServerId),
    /// The address leads to another member.
    #[error(
        "it is server {found}, where server {expected} should be: correct the server.N lines or its myid"
    )]
    Another {
        /// Who it is.
        found: ServerId,
        /// Who was dialled.
        expected: ServerId,
    },
    /// The address leads here, by mistake.
    #[error(
        "it means to reach server {to}, and this is server {me}: correct its server.N lines or the myid here"
    )]
    Mistaken {
        /// Whom it wants.
        to: ServerId,
        /// Who we are.
        me: ServerId,
    },
    /// The two ports of a server.N line, exchanged.
    #[error("it opens a {theirs} lane where {ours} lanes belong: compare the order of the ports of server.N")]
    Lane {
        /// As its hello says.
        theirs: Lane,
        /// By the port.
        ours: Lane,
    },
    /// It should wait to be dialled.
    #[error(
        "server {0} has the lower id, so that this server dials it, and one of them belongs to no ensemble yet: see why a ctl lane \
         with it does not come up"
    )]
    Direction(ServerId),
    /// It has other data.
    #[error(
        "it belongs to ensemble {theirs:032x} and this server to {ours:032x}: one of them has another's data, or \
         another's address"
    )]
    Ensemble {
        /// Its.
        theirs: u128,
        /// This member's.
        ours: u128,
    },
    /// Its build cannot read what the ensemble has begun to log (FL3).
    #[error(
        "the ensemble is at feature level {level}, which takes frames of version {needs}, and it speaks {theirs}: run a newer \
         build there, as on the other members"
    )]
    Level {
        /// Of the ensemble.
        level: u8,
        /// The lowest version of frames that will do.
        needs: u8,
        /// What it speaks.
        theirs: Versions,
    },
    /// Builds too far apart.
    #[error("{0}: upgrade the older one in smaller steps")]
    Version(#[from] frame::NoCommonVersion),
}

/// What this member says first, to `to`.
pub(super) fn ours(us: &Identity, to: ServerId, lane: Lane) -> Hello {
    Hello { from: us.me, ensemble: us.ensemble, lane, speaks: us.told(), to }
}

/// The same as bytes.
pub(super) fn ours_written(us: &Identity, to: ServerId, lane: Lane) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = Frame::Hello(ours(us, to, lane));
    let written = FrameWriter::new(us.speaks.lowest, us.largest_txn).write(&frame, &mut bytes);
    written.expect("a hello has no part that cannot be written, and every build writes it");
    bytes
}

/// Waits for the hello, for [`HELLO_WITHIN`]; what came behind it stays in `frames`.
pub(super) async fn read<R>(from: &mut R, frames: &mut FrameReader) -> Result<Hello, Refusal>
where
    R: AsyncRead + Unpin,
{
    let hello = async {
        let mut chunk = [0; CHUNK];
        let mut before = 0;
        while before < MOST_BEFORE {
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return Err(Refusal::Closed);
            }
            before += count;
            frames.feed(&chunk[..count]);
            if let Some(Frame::Hello(hello)) = frames.take()? {
                return Ok(hello);
            }
        }
        Err(Refusal::Endless)
    };
    timeout(HELLO_WITHIN, hello).await.unwrap_or(Err(Refusal::Slow))
}

/// PL8: it may be of a configuration that we have not heard of, or elsewhere than we have heard: it is heard, whoever is to dial.
fn is_of_our_ensemble(hello: &Hello, us: &Identity, lane: Lane) -> bool {
    lane == Lane::Ctl && hello.ensemble.is_some() && hello.ensemble == us.ensemble
}

/// The version to speak with whoever sent `hello` down a lane of this kind, which was dialled to reach
/// `dialled`, or else accepted.
pub(super) fn judge(
    hello: &Hello,
    us: &Identity,
    lane: Lane,
    dialled: Option<ServerId>,
) -> Result<u8, Refusal> {
    let (from, me) = (hello.from, us.me);
    if from == me {
        return Err(Refusal::Namesake(from));
    }
    let is_ours = is_of_our_ensemble(hello, us, lane);
    match dialled {
        Some(expected) if from != expected => return Err(Refusal::Another { found: from, expected }),
        None if !us.members.contains(&from) && !is_ours => return Err(Refusal::Stranger(from)),
        _ => {}
    }
    if hello.to != me {
        return Err(Refusal::Mistaken { to: hello.to, me });
    }
    if hello.lane != lane {
        return Err(Refusal::Lane { theirs: hello.lane, ours: lane });
    }
    if let (Some(theirs), Some(ours)) = (hello.ensemble, us.ensemble)
        && theirs != ours
    {
        return Err(Refusal::Ensemble { theirs, ours });
    }
    if dialled.is_none() && lane == Lane::Ctl && from < me && !is_ours {
        return Err(Refusal::Direction(from));
    }
    let needs = us.told().lowest;
    if us.level > 0 && hello.speaks.highest < needs {
        return Err(Refusal::Level { level: us.level, needs, theirs: hello.speaks });
    }
    Ok(frame::speak(us.told(), hello.speaks)?)
}
