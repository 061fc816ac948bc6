//! Why clients were refused or closed: a family of Paddock's own beside ZooKeeper's names.

use super::{Counter, Meters, Provider};
use crate::admin::line;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request or a connection was refused, or a connection closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// As the metrics call it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// `maxClientCnxns`.
    HostLimit = "max_client_cnxns",
    /// `maxCnxns`.
    MemberLimit = "max_cnxns",
    /// `connection_throttle_tokens`.
    Throttled = "connection_throttle",
    /// No session while the disk is full or does not answer.
    NotBegun = "session_not_begun",
    /// TLS on the plain port.
    Tls = "tls",
    /// HTTP on the client port.
    Http = "http",
    /// A first frame that is no handshake.
    NoHandshake = "no_handshake",
    /// No handshake in time.
    HalfOpen = "half_open",
    /// A frame's length that cannot be.
    BadLength = "bad_length",
    /// A request above `jute.maxbuffer`.
    TooLarge = "too_large",
    /// A request that cannot be decoded.
    Undecodable = "undecodable",
    /// Identities beyond what one connection may prove, or one request put into its ACLs.
    Identities = "identities",
    /// A client that has seen more than this server has.
    Ahead = "ahead",
    /// A client that does not take its replies.
    Deaf = "deaf",
    /// A client that said nothing for too long.
    Silent = "silent",
    /// A request for which `memory.softLimit` leaves no room.
    Memory = "memory",
    /// Beyond `largeRequestMaxBytes`.
    LargeRequests = "large_requests",
    /// Held back by `request_throttle_max_requests` for too long.
    HeldTooLong = "request_throttle",
    /// No client arbiter took the connection.
    NotTaken = "not_taken",
    /// A handshake while nobody is served.
    NotServing = "not_serving",
    /// What takes a leader, in read-only mode.
    ReadOnly = "read_only",
    /// A handshake for a session that is not there.
    NoSession = "no_session",
    /// A handshake with another password than the session's.
    WrongPassword = "wrong_password",
    /// Its session goes on through a newer connection.
    Moved = "session_moved",
    /// Its session ended elsewhere.
    Ended = "session_ended",
    /// It could not go on with the next leader.
    LeaderLost = "leader_lost",
    /// All connections were closed: the member stops, or may not serve.
    Ceased = "ceased_to_serve",
    /// A four-letter word that nobody could answer.
    WordLeft = "word_unanswered",
    /// An operation that there is not.
    Unimplemented = "unimplemented",
    /// Credentials that prove nothing.
    AuthFailed = "auth_failed",
    /// The name of another ensemble.
    OtherEnsemble = "other_ensemble",
    /// A request before the identity that `enforce.auth.schemes` wants.
    AuthRequired = "auth_required",
}

/// One counter a reason.
#[derive(Debug, Default)]
pub struct Refused([Counter; Reason::COUNT]);

impl Refused {
    /// Of one reason.
    pub fn of(&self, reason: Reason) -> &Counter {
        &self.0[reason as usize]
    }
}

/// `paddock_refused_total` in Prometheus' text.
pub fn refusals(meters: &Meters) -> String {
    let mut text = String::from(
        "# HELP paddock_refused_total requests refused and connections closed, by reason\n\
         # TYPE paddock_refused_total counter\n",
    );
    for reason in Reason::ALL {
        let count = meters.refused.of(*reason).get();
        line!(&mut text, "paddock_refused_total{{reason=\"{}\"}} {count}", reason.name());
    }
    text
}

/// The same for `mntr`.
pub fn mntr_refusals(meters: &Meters, provider: Provider) -> String {
    let mut text = String::new();
    for reason in Reason::ALL.iter().filter(|_| provider != Provider::None) {
        let count = meters.refused.of(*reason).get();
        line!(&mut text, "zk_paddock_refused_{}\t{count}", reason.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::ClientTally;
    use super::*;

    #[test]
    fn each_reason_moves_its_own_line_and_srst_forgets_them() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
            let meters = Meters::default();
            let mut tally = ClientTally::default();
            tally.refused(*reason);
            meters.absorb(&mut tally);
            meters.absorb(&mut tally); // it was taken
            let (page, words) = (refusals(&meters), mntr_refusals(&meters, Provider::Default));
            assert!(page.contains(&format!("{{reason=\"{}\"}} 1\n", reason.name())), "{page}");
            assert!(words.contains(&format!("zk_paddock_refused_{}\t1\n", reason.name())), "{words}");
            assert_eq!((page.matches("} 1\n").count(), words.matches("\t1\n").count()), (1, 1));
            meters.reset(Provider::Default);
            assert!(!refusals(&meters).contains("} 1\n"));
        }
        assert_eq!(mntr_refusals(&Meters::default(), Provider::None), "");
    }
}
