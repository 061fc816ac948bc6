//! What an operator is told of it.

use std::net::SocketAddr;

/// What has become of a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// It is done.
    #[error("clients are listened to at {at}, as the configuration in force has it{}", left(.before.as_ref()))]
    Listens {
        /// Where.
        at: SocketAddr,
        /// And no longer there.
        before: Option<SocketAddr>,
    },
    /// Nowhere.
    #[error(
        "nobody can connect any more: the configuration in force names no client address for this server, nor has its file a \
         clientPort; connections that exist stay. To have it served again, name one (paddock member move)"
    )]
    Closed,
    /// Not yet.
    #[error(
        "the configuration in force has clients come to {wanted}, and this server cannot listen there: {why}; {}, and it tries \
         again every {} s. Free that port (ss -ltnp shows whose it is), give this machine that address, or name another \
         (paddock member move). If the server is to run on another machine, stop it here and start it there",
         meanwhile(.listens_at.as_ref()), super::actor::TRY_EVERY.as_secs()
    )]
    CannotYet {
        /// Where, as the line has it.
        wanted: String,
        /// What the system says.
        why: String,
        /// Where it listens instead.
        listens_at: Option<SocketAddr>,
    },
}

fn left(before: Option<&SocketAddr>) -> String {
    before.map_or_else(String::new, |it| format!(", and no longer at {it}; connections that exist stay"))
}

fn meanwhile(listens_at: Option<&SocketAddr>) -> String {
    listens_at.map_or_else(|| "nobody can connect".into(), |at| format!("it goes on listening at {at}"))
}
