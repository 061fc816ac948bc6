//! One round: clients, faults, healing, and the judgement of all that the clients were told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use paddock_integration::ensemble::{Ensemble, PATIENCE};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathVersion;
use paddock_messages::znode::CreateMode;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Met;
use super::bank::{self, INITIAL, Transfer};
use super::holders::{self, Ephemerals, SHORT_TIMEOUT_MS};
use super::link::{Link, World};
use super::list::{self, Append};
use super::locks::{self, Holding};
use super::nemesis::Nemesis;
use super::registers::{self, Op, Told};
use super::watchers::{self, WATCHED, Watcher, watched};
use super::watches::{self, Step};
use super::writers::{self, ACCOUNTS, REGISTERS, account, all_accounts, register};
use crate::load::StopsAll;
use crate::trees;
use crate::world::client;

/// The longest that an ensemble of this configuration grants.
const TIMEOUT_MS: i32 = 4_000;
/// Operations that must be done once all is healed.
const DONE_AFTER: u64 = 500;
/// Violations that are printed.
const SHOWN: usize = 10;
/// Within so long after the last fault all members serve, and clients write.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Round {
    /// All happens below.
    pub(super) root: String,
    pub(super) seed: u64,
    pub(super) reads_are_linearizable: bool,
}

/// What the clients brought home.
#[derive(Default)]
struct History {
    registers: Vec<Vec<Op>>,
    transfers: Vec<Transfer>,
    accounts: Vec<Vec<i64>>,
    appends: Vec<Append>,
    holdings: Vec<Holding>,
    ephemerals: Ephemerals,
    /// Of each client that watches.
    steps: Vec<Vec<Step>>,
    carried: u64,
    missed: u64,
    found: Vec<String>,
}

/// Starts clients, each with a number.
struct Clients<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    world: &'e World,
    seed: u64,
    started: AtomicU64,
}

/// A client's own, and what must not be.
type Brought<'s, T> = ScopedJoinHandle<'s, (T, Vec<String>)>;

impl<'s, 'e: 's> Clients<'s, 'e> {
    fn start<T: Send + 's>(
        &self,
        timeout_ms: i32,
        act: impl FnOnce(&mut Link<'e>, u64) -> T + Send + 's,
    ) -> Brought<'s, T> {
        let nth = 1 + self.started.fetch_add(1, Ordering::Relaxed);
        let (world, rng) = (self.world, StdRng::seed_from_u64(self.seed.wrapping_add(nth)));
        self.scope.spawn(move || {
            let mut link = Link::new(world, rng, timeout_ms);
            let brought = act(&mut link, nth);
            link.hang_up();
            (brought, link.found)
        })
    }
}

impl Round {
    pub(super) fn run(&self, nemesis: &mut Nemesis<'_>, time: Duration, met: &mut Met) {
        self.prepare(nemesis.ensemble);
        let world = World::new(nemesis.ensemble.client_addresses(), self.reads_are_linearizable);
        let epoch = nemesis.ensemble.await_leader();
        let epoch = nemesis.ensemble.wait_for("an epoch", |ensemble| ensemble.epoch(epoch));
        let mut history = self.play(&world, nemesis, time);
        let ensemble = &mut *nemesis.ensemble;
        self.judge(&mut history, &world);
        history.count(met);
        let elections = (world.newest.load(Ordering::Relaxed) >> 32) - epoch;
        for (what, times) in [
            ("done", world.done.load(Ordering::Relaxed)),
            ("refused", world.refused.load(Ordering::Relaxed)),
            ("unknown", world.unknown.load(Ordering::Relaxed)),
            ("connections of a session that had one before", world.moved.load(Ordering::Relaxed)),
            ("sessions expired", world.expired.load(Ordering::Relaxed)),
            ("elections", elections as u64),
        ] {
            *met.entry(what).or_default() += times;
        }
        let found = &history.found;
        assert!(found.is_empty(), "{} violations: {:#?}", found.len(), &found[..found.len().min(SHOWN)]);
        trees::same(ensemble);
        self.clear(ensemble);
    }

    fn prepare(&self, ensemble: &mut Ensemble) {
        let root = &self.root;
        let leader = ensemble.await_leader();
        let mut first = client(ensemble, leader);
        let mut create = |path: String, data: &str| {
            first.create(&path, data.as_bytes(), CreateMode::Persistent).unwrap();
        };
        create(root.clone(), "");
        ["transfers", "list", "lock", "guarded", "ephemerals"]
            .iter()
            .for_each(|name| create(format!("{root}/{name}"), ""));
        (0..REGISTERS).for_each(|nth| create(register(root, nth), "0"));
        (0..ACCOUNTS).for_each(|nth| create(account(root, nth), &INITIAL.to_string()));
        (0..WATCHED).for_each(|nth| create(watched(root, nth), ""));
        first.close().unwrap();
        // Else the first connection to a member may be to one that has not all of it.
        trees::same(ensemble);
    }

    /// Clients and faults, until all is healed again.
    fn play(&self, world: &World, nemesis: &mut Nemesis<'_>, time: Duration) -> History {
        let root = self.root.as_str();
        let mut history = History { registers: vec![Vec::new(); REGISTERS], ..History::default() };
        std::thread::scope(|scope| {
            let stops = StopsAll(&world.stop);
            let clients = Clients { scope, world, seed: self.seed, started: AtomicU64::new(0) };
            let registers = [(); 3]
                .map(|()| clients.start(TIMEOUT_MS, move |link, nth| writers::registers(link, root, nth)));
            let late = [(); 8]
                .map(|()| clients.start(TIMEOUT_MS, move |link, nth| writers::late_reads(link, root, nth)));
            let transfers = [(); 2]
                .map(|()| clients.start(TIMEOUT_MS, move |link, nth| writers::transfers(link, root, nth)));
            let appends = [(); 2]
                .map(|()| clients.start(TIMEOUT_MS, move |link, nth| writers::appends(link, root, nth)));
            let holdings =
                [(); 3].map(|()| clients.start(SHORT_TIMEOUT_MS, move |link, _| holders::locks(link, root)));
            let ephemerals = [(); 2].map(|()| {
                clients.start(SHORT_TIMEOUT_MS, move |link, nth| holders::ephemerals(link, root, nth))
            });
            let changes = clients.start(TIMEOUT_MS, move |link, _| watchers::changes(link, root));
            let watches = [(); 3].map(|()| {
                clients.start(TIMEOUT_MS, move |link, _| {
                    let mut watcher = Watcher::new(link, root);
                    (watcher.run(), watcher.carried, watcher.missed)
                })
            });
            nemesis.run(time);
            let healed = Instant::now();
            nemesis.ensemble.await_all_serving();
            let done = world.done.load(Ordering::Relaxed);
            nemesis.ensemble.wait_for("work by clients", |_| {
                (world.done.load(Ordering::Relaxed) >= done + DONE_AFTER).then_some(())
            });
            println!("chaos: all serve and clients work {:?} after the last fault", healed.elapsed());
            assert!(healed.elapsed() < HEALED_WITHIN, "after {:?}", healed.elapsed());
            drop(stops);
            for client in registers.into_iter().chain(late) {
                for (all, ops) in history.registers.iter_mut().zip(take(client, &mut history.found)) {
                    all.extend(ops);
                }
            }
            for client in transfers {
                let (transfers, reads) = take(client, &mut history.found);
                history.transfers.extend(transfers);
                history.accounts.extend(reads);
            }
            appends.into_iter().for_each(|it| history.appends.extend(take(it, &mut history.found)));
            holdings.into_iter().for_each(|it| history.holdings.extend(take(it, &mut history.found)));
            for client in ephemerals {
                let told = take(client, &mut history.found);
                history.ephemerals.there += told.there;
                history.ephemerals.gone += told.gone;
                history.found.extend(told.found);
            }
            take(changes, &mut history.found);
            for client in watches {
                let (steps, carried, missed) = take(client, &mut history.found);
                history.steps.push(steps);
                history.carried += carried;
                history.missed += missed;
            }
        });
        history
    }

    /// Reads what is there now, and adds all that must not be.
    fn judge(&self, history: &mut History, world: &World) {
        let root = self.root.as_str();
        let mut last = Link::new(world, StdRng::seed_from_u64(self.seed), TIMEOUT_MS);
        while !last.is_ready() {}
        last.sync(root).done().expect("all is healed");
        for nth in 0..REGISTERS {
            let (data, stat) = last.get(&register(root, nth), false).done().expect("all is healed");
            let value = data.parse().expect("a value is a number");
            history.found.extend(registers::judge(&history.registers[nth], (stat.version, value)));
        }
        let accounts = all_accounts(&mut last, root).done().expect("all is healed");
        history.accounts.push(accounts.iter().map(|(balance, _)| *balance).collect());
        let mut children =
            |name: &str| last.children(&format!("{root}/{name}")).done().expect("all is healed").0;
        let (markers, list) = (children("transfers"), children("list"));
        history.found.extend(bank::judge(&history.transfers, &history.accounts, &markers));
        history.found.extend(list::judge(&history.appends, &list));
        history.found.extend(locks::judge(history.holdings.clone()));
        history.steps.iter().for_each(|steps| history.found.extend(watches::judge(steps)));
        // Their clients have gone without a word.
        let deadline = Instant::now() + PATIENCE;
        while ["lock", "ephemerals"].iter().any(|name| !children(name).is_empty()) {
            assert!(Instant::now() < deadline, "ephemerals stay without a session");
            std::thread::sleep(Duration::from_millis(100));
        }
        history.found.append(&mut last.found);
        last.hang_up();
    }

    /// Takes away what has no end, so that rounds are alike.
    fn clear(&self, ensemble: &mut Ensemble) {
        let leader = ensemble.await_leader();
        let mut last = client(ensemble, leader);
        for parent in ["transfers", "list"].map(|name| format!("{}/{name}", self.root)) {
            for names in last.children(&parent).unwrap().chunks(64) {
                for name in names {
                    let path = format!("{parent}/{name}").into();
                    last.queue(OpCode::Delete, &PathVersion { path, version: -1 });
                }
                last.flush().unwrap();
                names.iter().for_each(|_| drop(last.reply().unwrap().ok().unwrap()));
            }
        }
        last.close().unwrap();
    }
}

fn take<T>(client: Brought<'_, T>, found: &mut Vec<String>) -> T {
    let (brought, more) = client.join().expect("a client's own assertions hold");
    found.extend(more);
    brought
}

impl History {
    fn count(&self, met: &mut Met) {
        let done = |op: &&Op| matches!(op.told, Told::Done { .. });
        let events = self.steps.iter().flatten().filter(|step| matches!(step, Step::Event { .. }));
        for (what, times) in [
            ("register operations", self.registers.iter().flatten().filter(done).count()),
            ("transfers", self.transfers.iter().filter(|one| one.done == Some(true)).count()),
            ("reads of all accounts", self.accounts.len()),
            ("appends", self.appends.iter().filter(|one| one.name.is_some()).count()),
            ("holdings", self.holdings.len()),
            ("fenced writes", self.holdings.iter().map(|one| one.writes.len()).sum()),
            ("ephemerals of living sessions", self.ephemerals.there as usize),
            ("ephemerals of ended sessions", self.ephemerals.gone as usize),
            ("watch events", events.count()),
            ("watches carried to another connection", self.carried as usize),
            ("watch events made up for", self.missed as usize),
        ] {
            *met.entry(what).or_default() += times as u64;
        }
    }
}
