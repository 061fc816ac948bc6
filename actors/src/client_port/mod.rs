//! Where clients are listened to: by the configuration in force, while the server runs.
//!
//! [`core::ClientPort`] decides; [`actor::ClientPortActor`] opens sockets, accepts on them and closes them.
//! - CP1  The server follows its own line in the last configuration that is known to be committed and that nothing is on its
//!   way to replace: never one that may not come to be, nor an older one than before. Who is not in it keeps its port.
//! - CP2  Clients are listened to at the old address until they are at the new one. Where both cannot be open at once, as they
//!   have the same port and one stands for all addresses, the old one is closed first, once it is known that the new one is
//!   this machine's; if the new one cannot be had then, the old one is opened again.
//! - CP3  Connections that exist stay, whatever is opened and closed.
//! - CP4  What cannot be had is tried again until it can be or a configuration says otherwise. A line says why, and what to
//!   do: one for each reason, not for each attempt.
//!
//! A line that names no client address leaves the server where its file has `clientPort`; if that too is only in the server's
//! line, nobody is listened to. The file is not rewritten, so what it says besides the line is still meant, and a restart comes
//! to the same. In Java it is so as well, but that the connections of a server that is to listen nowhere are closed: here CP3
//! has no exception.
//!
//! Source: compat ops, 6.4; compat zab, 10; QuorumPeer.java, processReconfig.

pub mod actor;
pub mod core;
mod remark;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

pub use remark::Remark;

/// Where clients are listened to now, for those who tell operators. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ListensAt(Arc<Mutex<Option<SocketAddr>>>);

impl ListensAt {
    /// There, or nowhere.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.lock()
    }

    fn set(&self, at: Option<SocketAddr>) {
        *self.0.lock() = at;
    }
}
