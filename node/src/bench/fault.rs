//! Why a measurement ended before its time.

use std::io;
use std::time::Duration;

use super::replies::Problem;

/// What went wrong, in words for whoever reads the terminal; the server is named around it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot resolve the address: {0}")]
    Resolve(io::Error),
    #[error("cannot connect: {0}; is a server running there?")]
    Connect(io::Error),
    #[error(
        "closed the connection instead of answering the handshake: it does not serve (see `paddock health`), or its \
         limit of connections is reached (maxClientCnxns)"
    )]
    NotServing,
    #[error("refused to open a session")]
    NoSession,
    #[error("closed the connection with {0} requests unanswered; its log may say why (jute.maxbuffer?)")]
    Closed(usize),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("nothing came for {0:?} with {1} requests unanswered")]
    Silent(Duration, usize),
    #[error("wrong reply to {request} (xid {xid}): {problem}")]
    Wrong { request: String, xid: i32, problem: Problem },
    #[error("cannot create {0}…: {1}")]
    Root(String, Box<Fault>),
    #[error("refused: {0}")]
    Refused(String),
    #[error("{0} cannot be removed: {1}")]
    LeftBehind(String, Box<Fault>),
    #[error("it has znodes that this measurement did not make")]
    Foreign,
    #[error("interrupted")]
    Interrupted,
    #[error("cannot start a thread, a timer or a runtime here: {0}")]
    Local(io::Error),
    #[error("a thread of this program panicked")]
    Panicked,
}
