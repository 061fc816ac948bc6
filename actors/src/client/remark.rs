//! What an operator may want to know about a client: what happened, and what to do about it (C12).

use bytestring::ByteString;
use paddock_messages::zxid::Zxid;

use super::Refusal;
use crate::admin::metrics::Reason;
use crate::tree::feed::CloseReason;

/// Why a request was refused, or a connection closed. Behind `; closed` or `; refused` each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// One connection too many.
    #[error("was closed as soon as it came: {0}")]
    Refused(#[from] Refusal),
    /// No client arbiter had room for one more new connection.
    #[error(
        "came while all client arbiters were busy with others that came; closed: raise clientArbiters if cores are idle"
    )]
    NotTaken,
    /// More handshakes than `connection_throttle_tokens` lets in.
    #[error(
        "connected while too many others did; closed (connection_throttle_tokens); raise it if clients do not all come back in time"
    )]
    Throttled,
    /// No session, as nobody is served.
    #[error(
        "asked for a session while this member serves nobody; closed: it tries another; srvr says what this one waits for"
    )]
    NotServing,
    /// No session, or no answer but an error, as there is no leader.
    #[error(
        "asked for what takes a leader while this member has none (read-only mode); refused: it has to wait, or ask another member"
    )]
    ReadOnly,
    /// No session now.
    #[error(
        "asked for a session while the disk is full, or owes so much that this one has no place or may be ending; closed: it asks again; if that goes on, look for lines about the disk"
    )]
    NotBegun,
    /// No such session any more.
    #[error(
        "named a session that has ended, or never was; refused: usual after an outage; else look whether it hangs for longer than its session timeout"
    )]
    NoSession,
    /// That session has another password.
    #[error(
        "named a session with a wrong password; refused: look where the client has it from; it gets a new session if it asks without"
    )]
    WrongPassword,
    /// Its session has a newer connection.
    #[error(
        "has its session on a newer connection; closed: no harm if the client connected anew; else two clients share one session"
    )]
    Moved,
    /// Its session is no more.
    #[error(
        "has lost its session, which expired or was closed through another connection; closed: look whether it hung, or who else uses the session"
    )]
    Ended,
    /// It could not go on with the next leader.
    #[error(
        "was cut as the leader was lost; closed: it connects again by itself; if that happens often, look at the network and the disks of the members"
    )]
    LeaderLost,
    /// Everybody is closed.
    #[error(
        "was connected when this member ceased to serve; closed: it goes to another; a line before this one says why"
    )]
    Ceased,
    /// A four-letter word that nobody could answer.
    #[error("sent a four-letter word while too many waited for their answers; closed: ask less often")]
    WordLeft,
    /// No handshake within so many ms.
    #[error(
        "sent no whole handshake within {0} ms; closed: look what connects there, or raise nio.sessionlessCnxnTimeout"
    )]
    HalfOpen(u64),
    /// A request that is none.
    #[error(
        "sent a request that cannot be decoded; refused: look which client library sends it, and whether something on the way alters it"
    )]
    Undecodable,
    /// An operation that there is not.
    #[error(
        "asked for operation {0}, which is none or not for clients; refused: look which client library sends it"
    )]
    Unimplemented(i32),
    /// A request that grows what is kept, while there is no memory for it.
    #[error(
        "asked to add znodes, data or watches, for which there is no memory; refused: raise memory.softLimit, or delete znodes"
    )]
    OutOfMemory,
    /// A large request, while those in flight have all that large ones may.
    #[error(
        "sent a request of {0} bytes while the large ones in progress had what largeRequestMaxBytes leaves them; closed: raise it if there is memory for more, or have clients keep less in one request"
    )]
    LargeRequests(usize),
    /// What waited for room among the requests in progress for too long.
    #[error(
        "asked for what then waited longer than throttled_op_wait_time while request_throttle_max_requests were in progress; refused, not executed: it may ask again; raise one of the two, or look why writes are slow"
    )]
    HeldTooLong,
    /// The same, for longer than a session timeout.
    #[error(
        "asked for what then waited longer than its session timeout while request_throttle_max_requests were in progress; closed (request_stale_latency_check): raise that limit, or look why writes are slow"
    )]
    Stale,
    /// Credentials that prove nothing.
    #[error(
        "sent credentials of a scheme that is unknown or switched off, or none; closed: have it use digest or ip, if those are switched on"
    )]
    AuthFailed,
    /// Another ensemble's name.
    #[error(
        "means an ensemble that ensembleAuthName does not name; closed, so that it tries another server: correct its connect string, or add the name"
    )]
    OtherEnsemble,
    /// It has not proved what it must.
    #[error(
        "asked for something before it proved an identity of enforce.auth.schemes; closed: give that client credentials"
    )]
    AuthRequired,
    /// More identities than one connection may have.
    #[error(
        "proved more identities than the 64, or 16 KiB, that a connection may have; closed: have it prove each once, and only those it needs"
    )]
    TooManyIds,
    /// `auth` in its ACLs stands for too much.
    #[error(
        "sent ACLs in which auth stands for more than twice jute.maxbuffer of identities; refused: use auth once in an ACL, or prove fewer identities"
    )]
    AclGrowth,
    /// A TLS ClientHello on the plain port.
    #[error("spoke TLS to the plain client port; closed: set the client to plain, TLS is not served")]
    Tls,
    /// An HTTP request on the client port.
    #[error(
        "spoke HTTP to the client port; closed: metrics have a port of their own (metricsProvider.httpPort)"
    )]
    Http,
    /// A first frame that is no handshake.
    #[error("sent a first frame that is no ZooKeeper handshake; closed: look what connects there")]
    NoHandshake,
    /// A frame length that cannot be.
    #[error(
        "sent a frame of length {0}; closed: raise jute.maxbuffer here and at the client if that is a request, else look what connects there"
    )]
    BadLength(i32),
    /// A request above `jute.maxbuffer`.
    #[error(
        "sent {length} bytes for {path:?}, more than jute.maxbuffer; refused: raise it here and at the client, or keep less in one znode"
    )]
    TooLarge {
        /// Of its frame.
        length: usize,
        /// If it could be read.
        path: Option<ByteString>,
    },
    /// Its handshake names a zxid this member has not reached.
    #[error(
        "has seen zxid {seen}, this server is at {here}; closed so that it asks another: if all are behind it, they have lost data or are not its ensemble"
    )]
    Ahead {
        /// By the client.
        seen: Zxid,
        /// Applied here.
        here: Zxid,
    },
    /// It took none of its replies for too long, or let too many pile up.
    #[error(
        "does not take its replies ({0} bytes wait); closed: look whether it hangs, or asks for more than its network carries"
    )]
    Deaf(usize),
    /// It said nothing for longer than its timeout.
    #[error(
        "was silent for longer than its session timeout; closed: look whether it hangs or is cut off, or have it ask for a longer one"
    )]
    Silent,
}

impl Remark {
    /// Under which it is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(Refusal::Host(_)) => Reason::HostLimit,
            Self::Refused(Refusal::Member(_)) => Reason::MemberLimit,
            Self::NotTaken => Reason::NotTaken,
            Self::Throttled => Reason::Throttled,
            Self::NotServing => Reason::NotServing,
            Self::ReadOnly => Reason::ReadOnly,
            Self::NotBegun => Reason::NotBegun,
            Self::NoSession => Reason::NoSession,
            Self::WrongPassword => Reason::WrongPassword,
            Self::Moved => Reason::Moved,
            Self::Ended => Reason::Ended,
            Self::LeaderLost => Reason::LeaderLost,
            Self::Ceased => Reason::Ceased,
            Self::WordLeft => Reason::WordLeft,
            Self::HalfOpen(_) => Reason::HalfOpen,
            Self::Undecodable => Reason::Undecodable,
            Self::Unimplemented(_) => Reason::Unimplemented,
            Self::OutOfMemory => Reason::Memory,
            Self::LargeRequests(_) => Reason::LargeRequests,
            Self::HeldTooLong | Self::Stale => Reason::HeldTooLong,
            Self::AuthFailed => Reason::AuthFailed,
            Self::OtherEnsemble => Reason::OtherEnsemble,
            Self::AuthRequired => Reason::AuthRequired,
            Self::TooManyIds | Self::AclGrowth => Reason::Identities,
            Self::Tls => Reason::Tls,
            Self::Http => Reason::Http,
            Self::NoHandshake => Reason::NoHandshake,
            Self::BadLength(_) => Reason::BadLength,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Ahead { .. } => Reason::Ahead,
            Self::Deaf(_) => Reason::Deaf,
            Self::Silent => Reason::Silent,
        }
    }
}

impl From<CloseReason> for Remark {
    fn from(why: CloseReason) -> Self {
        match why {
            CloseReason::SessionEnded => Self::Ended,
            CloseReason::SessionMoved => Self::Moved,
            CloseReason::SessionNotBegun => Self::NotBegun,
        }
    }
}
