//! A connection that the process makes to itself, to ask what an operator has ordered (AD10): the only one that begins
//! with rights. No client can have one: it is a pair of sockets without a name, and comes by mail. Other members are believed
//! what they say of whose requests they forward, these too.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use paddock_messages::ids::ConnId;

use super::connection;
use super::connections::Connection;
use super::core::ArbiterCore;
use super::hub::ClientHub;
use crate::auth;
use crate::runtime::{Ctx, Serve};

/// As whom lists of connections name it.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Mail to a hub: a connection for an operator. Whoever has its other end may do all that super may.
#[derive(Debug)]
pub struct NewOperator {
    /// One end of such a pair, not yet with any runtime.
    pub stream: UnixStream,
    /// The operator says that a new voter may be missing.
    pub forces: bool,
}

impl ArbiterCore {
    /// An operator's connection is here. No limit for clients turns it away: clients may have used all of them up.
    pub fn on_operator(&mut self, forces: bool, now_ms: u64) -> ConnId {
        self.now_ms = now_ms;
        self.entrance.enter_anyway(HERE.ip());
        self.conns.insert(Connection::new(HERE, Arc::from(auth::operator(forces)), now_ms))
    }

    pub(super) fn is_operators(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|it| auth::is_operator(&it.ids))
    }
}

impl Serve<NewOperator> for ClientHub {
    fn serve(&mut self, NewOperator { stream, forces }: NewOperator, _: &mut Ctx<'_, Self>) {
        match tokio::net::UnixStream::from_std(stream) {
            Ok(stream) => {
                let conn = self.shared.step(|core, now_ms| core.on_operator(forces, now_ms));
                let stream = Rc::new(RefCell::new(stream));
                actix_rt::spawn(connection::run(stream, conn, Rc::clone(&self.shared)));
            }
            // It is closed, which whoever waits for the answer sees.
            Err(error) => {
                tracing::warn!("an operator's order is not taken: its socket cannot be watched: {error}");
            }
        }
    }
}
