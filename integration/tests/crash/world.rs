//! A server that crashes again and again, its clients, and what must hold after each restart.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paddock_integration::process::{Launch, ServerProcess};
use paddock_integration::raw_client::{ClientError, RawClient, Session};
pub(crate) use paddock_integration::rounds::{rounds, seed};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::CreateMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::load::{Client, Load};
use crate::witness::{Ledger, Observed, Script, Violation};

const CLIENTS: usize = 4;
/// How long a load may take until it has been acknowledged often enough; never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// One server's life story.
pub(crate) struct World {
    pub(crate) launch: Launch,
    clients: Vec<Client>,
    ledger: Ledger,
    scripts: Vec<Script>,
    /// A session that was closed in the last round, and the ephemeral it owned.
    closed: Option<(Session, String)>,
    /// Whence rounds' kills and moments are drawn.
    pub(crate) rng: StdRng,
    /// Operations acknowledged in all rounds, and those sent whose fate was open at a crash.
    pub(crate) acked: u64,
    pub(crate) open: u64,
}

type Found = Result<(), Vec<Violation>>;

impl World {
    /// Nothing yet: the first round creates what the clients need.
    pub(crate) fn new(launch: Launch, seed: u64) -> Self {
        Self {
            launch,
            clients: Vec::new(),
            ledger: Ledger::new(CLIENTS),
            scripts: Vec::new(),
            closed: None,
            rng: StdRng::seed_from_u64(seed),
            acked: 0,
            open: 0,
        }
    }

    /// Starts the server, checks what survived, loads it and has `crash` end it once it has
    /// acknowledged a drawn number of operations. `crash` must leave no process behind.
    pub(crate) fn round(&mut self, crash: impl FnOnce(&mut ServerProcess, &mut StdRng)) -> Found {
        let mut server = self.start_and_check()?;
        self.prepare(&server).map_err(|error| broken("preparing the round", &error))?;
        let enough = if self.rng.random_bool(0.2) { 1 } else { self.rng.random_range(1..2000) };
        self.load(&mut server, enough, crash)
    }

    /// As [`Self::round`], for a server that is going to end by itself: `crash` waits for that.
    pub(crate) fn round_to_its_end(&mut self, crash: impl FnOnce(&mut ServerProcess, &mut StdRng)) -> Found {
        let mut server = self.start_and_check()?;
        self.prepare(&server).map_err(|error| broken("preparing the round", &error))?;
        self.load(&mut server, 0, crash)
    }

    /// Starts the server and lets `crash` end it before it may have come to serve anyone.
    pub(crate) fn crash_while_starting(
        &mut self,
        crash: impl FnOnce(&mut ServerProcess, &mut StdRng),
    ) -> Found {
        let started = self.launch.spawn();
        let mut server = started.map_err(|error| vec![Violation::NotServing(error.to_string())])?;
        crash(&mut server, &mut self.rng);
        Ok(())
    }

    /// Starts the server a last time, checks what survived, and stops it in good order.
    pub(crate) fn finish(&mut self) -> Found {
        let mut server = self.start_and_check()?;
        let status = server.terminate().map_err(|error| vec![Violation::NotServing(error.to_string())])?;
        match status.code() {
            Some(0) => Ok(()),
            _ => Err(vec![Violation::Broken(format!("it stopped with {status}:\n{}", server.whole_log()))]),
        }
    }

    fn start_and_check(&mut self) -> Result<ServerProcess, Vec<Violation>> {
        let started = self.launch.serve();
        let server = started.map_err(|error| vec![Violation::NotServing(error.to_string())])?;
        self.launch.port = server.address().port(); // clients find it again where it was
        if !self.clients.is_empty() {
            self.check(&server).map_err(|mut found| {
                found.push(Violation::Log(server.log()));
                found
            })?;
        }
        Ok(server)
    }

    /// What the last crash must have left: sessions, ephemerals, and everything acknowledged.
    fn check(&mut self, server: &ServerProcess) -> Found {
        let observed = self.observe(server).map_err(|error| broken("looking at what survived", &error))?;
        let mut found = self.ledger.settle(&self.scripts, &observed);
        found.extend(self.check_closed(server));
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn observe(&mut self, server: &ServerProcess) -> Result<Observed, ClientError> {
        let mut observed = Observed::default();
        for client in &mut self.clients {
            let mut connection = client.reattach(server.address())?;
            let (data, stat) = connection.get(&client.own_path())?;
            observed.own.push((stat.version, String::from_utf8_lossy(&data).into_owned()));
            let ephemeral = connection.exists(&client.ephemeral_path())?;
            let owner = ephemeral.ok_or(ClientError::Refused(ErrorCode::NoNode))?.ephemeral_owner;
            assert_eq!(owner, client.session.id, "the owner of {}", client.ephemeral_path());
            if client.id == 0 {
                observed.shared = connection.get("/shared")?.1.version;
                observed.children = connection.children("/sequence")?;
            }
            client.last_zxid = connection.last_zxid();
            connection.hang_up();
        }
        Ok(observed)
    }

    fn check_closed(&self, server: &ServerProcess) -> Option<Violation> {
        let (session, path) = self.closed.as_ref()?;
        let again = RawClient::reattach(server.address(), session, 0).map(|_| ());
        if !matches!(again, Err(ClientError::Expired)) {
            return Some(Violation::Broken(format!("session {:#x} was closed: {again:?}", session.id)));
        }
        let mut connection = RawClient::connect(server.address()).ok()?;
        match connection.exists(path) {
            Ok(None) => connection.close().err().map(|error| Violation::Broken(error.to_string())),
            other => Some(Violation::Broken(format!("{path} of a closed session: {other:?}"))),
        }
    }

    /// Makes what the clients need, or deletes the last round's children; opens and closes a session.
    fn prepare(&mut self, server: &ServerProcess) -> Result<(), ClientError> {
        let to = server.address();
        if self.clients.is_empty() {
            self.populate(server)?;
        } else {
            let client = &mut self.clients[0];
            let mut connection = client.reattach(to)?;
            delete_children(&mut connection)?;
            client.last_zxid = connection.last_zxid();
            connection.hang_up();
        }
        let mut passing = RawClient::connect(to)?;
        let path = format!("/passing-{}", self.ledger.round);
        passing.create(&path, b"", CreateMode::Ephemeral)?;
        self.closed = Some((passing.session().clone(), path));
        passing.close()
    }

    fn populate(&mut self, server: &ServerProcess) -> Result<(), ClientError> {
        for id in 0..CLIENTS {
            let mut connection = RawClient::connect(server.address())?;
            let mut client = Client { id, session: connection.session().clone(), last_zxid: 0 };
            connection.create(&client.own_path(), b"", CreateMode::Persistent)?;
            connection.create(&client.ephemeral_path(), b"", CreateMode::Ephemeral)?;
            if id == 0 {
                connection.create("/shared", b"", CreateMode::Persistent)?;
                connection.create("/sequence", b"", CreateMode::Persistent)?;
            }
            client.last_zxid = connection.last_zxid();
            self.clients.push(client);
            connection.hang_up();
        }
        Ok(())
    }

    /// Runs all scripts; once `enough` operations are acknowledged, `crash` ends the server.
    fn load(
        &mut self,
        server: &mut ServerProcess,
        enough: u64,
        crash: impl FnOnce(&mut ServerProcess, &mut StdRng),
    ) -> Found {
        let to = server.address();
        let acks = AtomicU64::new(0);
        let (ledger, rng) = (&self.ledger, &mut self.rng);
        // Nobody loads before all are attached: a crash in the middle of that would say nothing.
        let attached = Barrier::new(self.clients.len());
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| {
                    let own_version = ledger.own_version(client.id);
                    let (round, acks, attached) = (ledger.round, &acks, &attached);
                    scope.spawn(move || {
                        let connection = client.reattach(to);
                        attached.wait();
                        let connection = connection.map_err(|error| {
                            Violation::Broken(format!("client {} cannot attach: {error}", client.id))
                        })?;
                        Load { client, round, own_version, acks }.run(connection, u64::MAX)
                    })
                })
                .collect();
            let deadline = Instant::now() + PATIENCE;
            while acks.load(Ordering::Relaxed) < enough
                && !running.iter().all(|client| client.is_finished())
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_micros(200));
            }
            crash(server, rng);
            let running = running.into_iter();
            running.map(|client| client.join().expect("a client's own assertions hold")).collect()
        });
        assert!(acks.load(Ordering::Relaxed) >= enough, "no progress:\n{}", server.log());
        let (scripts, found): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        self.scripts = scripts.into_iter().flatten().collect();
        self.acked += self.scripts.iter().map(|script| script.acked).sum::<u64>();
        self.open += self.scripts.iter().map(|script| script.sent - script.acked).sum::<u64>();
        let found: Vec<_> = found.into_iter().filter_map(Result::err).collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

/// Deletes all sequential children, many at a time.
fn delete_children(connection: &mut RawClient) -> Result<(), ClientError> {
    for names in connection.children("/sequence")?.chunks(64) {
        for name in names {
            connection.queue_delete(&format!("/sequence/{name}"), 0);
        }
        connection.flush()?;
        names.iter().try_for_each(|_| connection.reply()?.ok().map(drop))?;
    }
    Ok(())
}

fn broken(doing: &str, error: &ClientError) -> Vec<Violation> {
    vec![Violation::Broken(format!("{doing}: {error}"))]
}

/// A `zoo.cfg` in `dir`: small segments and frequent snapshots, so that both change during a test,
/// unless `lines` say otherwise.
pub(crate) fn config(dir: &Path, lines: &str) -> PathBuf {
    const DEFAULTS: [(&str, &str); 4] = [
        ("clientPortAddress", "127.0.0.1"),
        ("maxClientCnxns", "0"),
        ("preAllocSize", "16384"), // KiB; less would be raised, with a warning
        ("snapCount", "5000"),
    ];
    let defaults = DEFAULTS.iter().filter(|(key, _)| !lines.contains(key));
    let text: String = defaults.map(|(key, value)| format!("{key}={value}\n")).collect();
    let path = dir.join("zoo.cfg");
    std::fs::write(&path, format!("{text}{lines}\n")).expect("the temporary directory is writable");
    path
}
