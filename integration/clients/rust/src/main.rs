//! HOST:PORT [PART-OF-A-NAME]: checks a server with the crate `zookeeper-client`, two clients in each
//! check, each behind a relay that can cut it off.

mod access;
mod locks;
mod peer;
mod watching;
mod znodes;

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use peer::Peer;
use zookeeper_client as zk;

/// How long any single wait may take: far above what a sound server needs, on a loaded machine too.
const LIMIT: Duration = Duration::from_secs(60);

const PERSISTENT: &zk::CreateOptions<'static> = &zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Body = fn(&mut Pair) -> Pin<Box<dyn Future<Output = Outcome> + '_>>;

/// The two clients of one check, and a folder of its own.
struct Pair {
    server: SocketAddr,
    a: Peer,
    b: Peer,
    root: String,
}

impl Pair {
    async fn new(server: SocketAddr) -> Outcome<Self> {
        let (a, b) = (Peer::connect(server).await?, Peer::connect(server).await?);
        let options = zk::CreateMode::PersistentSequential.with_acls(zk::Acls::anyone_all());
        let (_, number) = a.client.create("/rust-", b"", &options).await?;
        Ok(Self { server, a, b, root: format!("/rust-{number}") })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }
}

const CHECKS: &[(&str, Body)] = &[
    ("create, read, write and delete with versions", |pair| Box::pin(znodes::life(pair))),
    ("a multi happens whole or not at all", |pair| Box::pin(znodes::multi(pair))),
    ("several reads at one point", |pair| Box::pin(znodes::multi_read(pair))),
    ("ephemeral sequential names, gone with their session", |pair| Box::pin(znodes::ephemeral(pair))),
    ("containers, TTLs, counts and ephemerals", |pair| Box::pin(znodes::kinds(pair))),
    ("one-shot watches", |pair| Box::pin(watching::one_shot(pair))),
    ("one-shot watches survive a reconnect", |pair| Box::pin(watching::one_shot_survives(pair))),
    ("a persistent watch", |pair| Box::pin(watching::persistent(pair))),
    ("a persistent recursive watch", |pair| Box::pin(watching::recursive(pair))),
    ("a watch that is removed", |pair| Box::pin(watching::removed(pair))),
    ("lock, two clients and a reconnect", |pair| Box::pin(locks::lock(pair))),
    ("lock, holder's session ends", |pair| Box::pin(locks::holder_ends(pair))),
    ("a write that only the lock's holder may do", |pair| Box::pin(locks::guarded(pair))),
    ("digest auth, ACLs, who am I", |pair| Box::pin(access::digest(pair))),
    ("a session taken over by its password", |pair| Box::pin(access::taken_over(pair))),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(Ok(server)) = args.next().map(|server| server.parse()) else {
        eprintln!("usage: IP:PORT [PART-OF-A-NAME]");
        return ExitCode::from(2);
    };
    let only = args.next().unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for (name, body) in CHECKS.iter().filter(|(name, _)| name.contains(&only)) {
        let run = async {
            let mut pair = Pair::new(server).await?;
            body(&mut pair).await
        };
        match tokio::time::timeout(3 * LIMIT, run).await {
            Ok(Ok(())) => {
                passed += 1;
                println!("ok   {name}");
            }
            Ok(Err(error)) => {
                failed += 1;
                println!("FAIL {name}: {error}");
            }
            Err(_) => {
                failed += 1;
                println!("FAIL {name}: still running after three minutes");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fails unless what was found is what was wanted.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, found: T) -> Outcome {
    if wanted == found { Ok(()) } else { Err(format!("{what}: wanted {wanted:?}, found {found:?}").into()) }
}

/// Fails unless `result` is this refusal.
fn refused<T: std::fmt::Debug>(what: &str, wanted: zk::Error, result: Result<T, zk::Error>) -> Outcome {
    match result {
        Err(error) if error == wanted => Ok(()),
        other => Err(format!("{what}: wanted {wanted:?}, found {other:?}").into()),
    }
}

/// What `future` gives, which must come in time.
async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> Outcome<T> {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => Ok(value),
        Err(_) => Err(format!("nothing came within {LIMIT:?}: {what}").into()),
    }
}

/// Fails unless the event is this one.
fn is(event: &zk::WatchedEvent, kind: zk::EventType, path: &str) -> Outcome {
    equal("event", (kind, path), (event.event_type, event.path.as_str()))
}
