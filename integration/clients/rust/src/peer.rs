//! One client behind a relay of its own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use zookeeper_client as zk;

use crate::{Outcome, equal, in_time};

const SESSION: Duration = Duration::from_secs(20);

/// A client whose connection can be cut.
pub struct Peer {
    pub client: zk::Client,
    states: zk::StateWatcher,
    /// Whether connections go through; falling to false cuts those there are.
    through: watch::Sender<bool>,
}

impl Peer {
    /// A client that has its session.
    pub async fn connect(server: SocketAddr) -> Outcome<Self> {
        let (through, gate) = watch::channel(true);
        let relay = TcpListener::bind("127.0.0.1:0").await?;
        let address = relay.local_addr()?.to_string();
        tokio::spawn(accept(relay, server, gate));
        let client = zk::Client::connector().with_session_timeout(SESSION).connect(&address).await?;
        let states = client.state_watcher();
        Ok(Self { client, states, through })
    }

    /// Cuts the connection and returns once the client has it again, on the same session.
    pub async fn reconnect(&mut self) -> Outcome {
        self.reconnect_after(async || Ok(())).await
    }

    /// Like [`Self::reconnect`]; `meanwhile` runs while this client is cut off and knows it.
    pub async fn reconnect_after(&mut self, meanwhile: impl AsyncFnOnce() -> Outcome) -> Outcome {
        let before = self.client.session_id();
        self.through.send_replace(false);
        self.become_state(zk::SessionState::Disconnected).await?;
        meanwhile().await?;
        self.through.send_replace(true);
        self.become_state(zk::SessionState::SyncConnected).await?;
        equal("session after the reconnect", before, self.client.session_id())
    }

    async fn become_state(&mut self, wanted: zk::SessionState) -> Outcome {
        while self.states.peek_state() != wanted {
            in_time(&format!("the state {wanted:?}"), self.states.changed()).await?;
        }
        Ok(())
    }
}

async fn accept(relay: TcpListener, server: SocketAddr, gate: watch::Receiver<bool>) {
    while let Ok((client, _)) = relay.accept().await {
        let mut gate = gate.clone();
        if *gate.borrow() {
            tokio::spawn(async move {
                // Either side's end, or the gate's fall, ends the connection: both sockets are dropped.
                tokio::select! {
                    _ = pass(client, server) => {}
                    _ = gate.wait_for(|through| !through) => {}
                }
            });
        }
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}
