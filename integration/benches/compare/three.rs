//! Three servers of a kind on loopback and the same disk, each a process with its own data; nothing of them stays.

use std::net::SocketAddr;
use std::time::Duration;

use paddock_integration::ensemble::{Ensemble, Id, Shape};
use paddock_integration::java_server;
use paddock_integration::process::Launch;
use tempfile::TempDir;

use crate::servers::{JVM, Kind, cpu_of};

/// Of each of the three.
const HEAP: &str = "-Xmx512m";
/// What an operator writes, and otherwise what both take for granted: `zoo_sample.cfg`'s limits in ticks, every
/// write on disk before its ack, logs in steps of 64 MiB. No metrics, no HTTP.
const LINES: &str = "\
initLimit=10
syncLimit=5
forceSync=yes
preAllocSize=65536
admin.enableServer=false
metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider";
const TICK_MS: u32 = 2_000;

pub(crate) struct Three {
    pub(crate) ensemble: Ensemble,
    _dir: TempDir,
}

impl Three {
    /// Returns once all of them serve.
    pub(crate) fn start(kind: Kind) -> Self {
        let dir = TempDir::with_prefix("three-").expect("TMPDIR is writable");
        let mut ensemble = Ensemble::shaped(dir.path(), shape(kind, 3, 0));
        ensemble.start_all();
        ensemble.await_all_serving();
        Self { ensemble, _dir: dir }
    }

    /// All of them, once all serve: the leader, then its followers.
    pub(crate) fn by_role(&mut self) -> [Id; 3] {
        let leader = self.ensemble.await_all_serving();
        let mut ids: [Id; 3] = self.ensemble.ids().try_into().expect("three were started");
        ids.sort_by_key(|id| *id != leader); // stable
        ids
    }

    pub(crate) fn addresses(&self, ids: impl IntoIterator<Item = Id>) -> Vec<SocketAddr> {
        ids.into_iter().map(|id| self.ensemble.client_address(id)).collect()
    }

    /// The last txn that one has applied.
    pub(crate) fn zxid(&self, id: Id) -> i64 {
        self.ensemble.zxid(id).expect("it serves")
    }

    /// See [`cpu_of`].
    pub(crate) fn cpu(&self, id: Id) -> Duration {
        cpu_of(self.ensemble.pid(id))
    }
}

/// An ensemble of such servers.
pub(crate) fn shape(kind: Kind, voters: usize, observers: usize) -> Shape {
    let launch = match kind {
        Kind::Java => java_server::launch(&[JVM, &[HEAP]].concat()).unwrap_or_else(|error| panic!("{error}")),
        Kind::Mock => unreachable!("it has no peers"),
        Kind::Paddock => Launch::default(),
    };
    Shape { voters, observers, tick_ms: TICK_MS, lines: LINES.to_owned(), launch }
}
