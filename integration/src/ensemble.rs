//! An ensemble of real server processes on loopback or in a network made for it: each with a `zoo.cfg` and a folder of its own; killed, frozen,
//! wiped and asked what it is.
//!
//! For tests alone: what cannot be done, and what does not come in time, is a panic, and a panic while an
//! ensemble is there prints the end of each member's log.

mod member;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::network::{Lane, Network};
use crate::process::{Launch, ServerProcess};
use crate::relay::{Relay, Route};
pub use member::Ports;
use member::{MYID, Member, write_files};

/// How long anything may take; never reached when all is well.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// So much of each log is printed when a test fails.
const LAST_LINES: usize = 80;

/// A member's number: voters from 1, observers behind them.
pub type Id = u64;

/// What a member says that it is, while it serves clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It orders all writes.
    Leader,
    /// It votes and acknowledges.
    Follower,
    /// It only learns what was decided.
    Observer,
}

/// What an ensemble is to be like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Members that vote.
    pub voters: usize,
    /// Members that do not.
    pub observers: usize,
    /// The unit of all limits, in ms; session timeouts are 2 to 20 of it.
    pub tick_ms: u32,
    /// Further lines for every `zoo.cfg`, each in the place of a default with the same key.
    pub lines: String,
    /// How each is started, but for its file and port.
    pub launch: Launch,
}

impl Default for Shape {
    fn default() -> Self {
        Self { voters: 3, observers: 0, tick_ms: 1_000, lines: String::new(), launch: Launch::default() }
    }
}

/// Its members; dropping it kills those that run.
#[derive(Debug)]
pub struct Ensemble {
    dir: PathBuf,
    shape: Shape,
    members: BTreeMap<Id, Member>,
    /// By which members dial each other, if they do not do so directly.
    relay: Option<Relay>,
}

impl Ensemble {
    /// So many members, with their files below `dir`; none is started.
    pub fn new(dir: impl Into<PathBuf>, voters: usize, observers: usize) -> Self {
        Self::shaped(dir, Shape { voters, observers, ..Shape::default() })
    }

    /// The same, with more to say.
    pub fn shaped(dir: impl Into<PathBuf>, shape: Shape) -> Self {
        let ports = Ports::choose(shape.voters + shape.observers);
        Self::on(dir.into(), shape, (1..).zip(ports).map(|(id, ports)| (id, ports, Vec::new())))
    }

    /// The same, each member on a machine of its own as it were. The caller must be inside of the network.
    pub fn in_network(dir: impl Into<PathBuf>, shape: Shape, network: &Network) -> Self {
        let ids = 1..=(shape.voters + shape.observers) as Id;
        let places = ids.map(|id| (id, Ports::at(network.address(id)), network.prefix(id)));
        Self::on(dir.into(), shape, places)
    }

    /// The same on loopback, each member dialling the others through a relay: to each one's file the others are where
    /// the relay is. So what `/zookeeper/config` says is right for the leader that wrote it alone.
    pub fn relayed(dir: impl Into<PathBuf>, shape: Shape) -> Self {
        let mut ensemble = Self::shaped(dir, shape);
        let ids = ensemble.ids();
        let ways =
            ids.iter().flat_map(|from| ids.iter().filter(move |to| *to != from).map(move |to| (*from, *to)));
        let routes = ways.flat_map(|(from, to)| {
            let lanes = [Lane::Quorum, Lane::Election].into_iter().zip(ensemble.peer_addresses(to));
            lanes.map(move |(lane, address)| (Route { from, to, lane }, address))
        });
        ensemble.relay = Some(Relay::start(routes.collect::<Vec<_>>()));
        ids.into_iter().for_each(|id| ensemble.write_files(id));
        ensemble
    }

    fn on(dir: PathBuf, shape: Shape, places: impl Iterator<Item = (Id, Ports, Vec<OsString>)>) -> Self {
        let member = |(id, ports, prefix): (Id, Ports, _)| {
            let votes = id <= shape.voters as u64;
            (id, Member::new(id, votes, ports, dir.join(id.to_string())).under(prefix))
        };
        let members: BTreeMap<_, _> = places.map(member).collect();
        let ensemble = Self { dir, shape, members, relay: None };
        ensemble.members.keys().for_each(|id| ensemble.write_files(*id));
        ensemble
    }

    fn write_files(&self, id: Id) {
        write_files(id, &self.seen_by(id), &self.shape);
    }

    /// All members, as one's file is to describe them.
    fn seen_by(&self, id: Id) -> BTreeMap<Id, Member> {
        let seen = |member: &Member| match &self.relay {
            Some(relay) if member.id != id => {
                let port = |lane| relay.address(Route { from: id, to: member.id, lane }).port();
                member.description().dialled_at(port(Lane::Quorum), port(Lane::Election))
            }
            _ => member.description(),
        };
        self.members.iter().map(|(id, member)| (*id, seen(member))).collect()
    }

    /// One more, which nobody's file names but its own. It is not started.
    pub fn add_member(&mut self, votes: bool) -> Id {
        let id = self.members.keys().last().map_or(1, |last| last + 1);
        let ports = self.choose_place();
        self.members.insert(id, Member::new(id, votes, ports, self.dir.join(id.to_string())));
        self.write_files(id);
        id
    }

    /// Where a member could be.
    pub fn choose_place(&self) -> Ports {
        Ports::choose(1).into_iter().next().expect("one was asked for")
    }

    /// Has one that does not run listen elsewhere from its next start on, by its own file alone.
    pub fn relocate(&mut self, id: Id, ports: Ports) {
        let member = self.member_mut(id);
        assert!(member.process.is_none(), "member {id} runs");
        member.ports = ports;
        self.write_files(id);
    }

    /// Has a member's clients come to this port from now on, where a reconfig has put it. No file is changed.
    pub fn look_for_clients_at(&mut self, id: Id, port: u16) {
        let member = self.member_mut(id);
        member.ports = member.ports.with_client(port);
    }

    /// Has one that does not run name what is so by now in its file, from its next start on.
    pub fn correct_file(&mut self, id: Id) {
        assert!(self.member(id).process.is_none(), "member {id} runs");
        self.write_files(id);
    }

    /// Has one that does not run be at this place of the network from its next start on, which is no other member's.
    pub fn move_to(&mut self, id: Id, network: &Network, place: Id) {
        self.relocate(id, Ports::at(network.address(place)));
        self.member_mut(id).prefix = network.prefix(place);
    }

    /// What the members dial each other through.
    ///
    /// # Panics
    /// Unless they were made so, see [`Self::relayed`].
    pub fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("it was made with one")
    }

    /// Has a member that was never started keep its data on this disk, which is mounted there.
    pub fn put_on(&mut self, id: Id, disk: impl Into<PathBuf>) {
        let disk = disk.into();
        self.member_mut(id).put_on(disk.clone());
        self.write_files(id);
        let data = self.data_dir(id);
        for path in [data.join(MYID), data, disk] {
            // A power cut must not take what the operator has written.
            std::fs::File::open(path).and_then(|file| file.sync_all()).expect("the disk is new");
        }
    }

    /// All ids.
    pub fn ids(&self) -> Vec<Id> {
        self.members.keys().copied().collect()
    }

    /// Of those that vote.
    pub fn voters(&self) -> Vec<Id> {
        self.members.values().filter(|member| member.votes).map(|member| member.id).collect()
    }

    /// Of those that run and are not frozen.
    pub fn running(&self) -> Vec<Id> {
        self.members
            .values()
            .filter(|member| member.process.is_some() && !member.frozen)
            .map(|it| it.id)
            .collect()
    }

    fn member(&self, id: Id) -> &Member {
        self.members.get(&id).expect("an id of this ensemble")
    }

    fn member_mut(&mut self, id: Id) -> &mut Member {
        self.members.get_mut(&id).expect("an id of this ensemble")
    }

    fn process(&self, id: Id) -> &ServerProcess {
        self.member(id).process.as_ref().expect("it runs")
    }

    /// Starts those that do not run; does not wait.
    pub fn start_all(&mut self) {
        for member in self.members.values_mut().filter(|member| member.process.is_none()) {
            member.start(&self.shape.launch);
        }
    }

    /// Has one run with these variables, each `NAME=value`, from its next start on, and without those of before.
    pub fn set_variables(&mut self, id: Id, variables: &[&str]) {
        self.member_mut(id).variables = variables.iter().map(Into::into).collect();
    }

    /// Has one on loopback run under a command from its next start on, see [`Launch::under`].
    pub fn run_under(&mut self, id: Id, command: &[&str]) {
        self.member_mut(id).prefix = command.iter().map(Into::into).collect();
    }

    /// Starts one; does not wait, since it may have to wait for others itself.
    pub fn start(&mut self, id: Id) {
        let launch = self.shape.launch.clone();
        self.member_mut(id).start(&launch);
    }

    /// Kills one as `kill -9` does.
    pub fn kill(&mut self, id: Id) {
        let member = self.member_mut(id);
        member.process.as_mut().expect("it runs").kill().expect("it is our child");
        member.put_away();
    }

    /// Kills all that run, none before the others for as long as it takes to end.
    pub fn kill_all(&mut self) {
        let running = |member: &&mut Member| member.process.is_some();
        for member in self.members.values_mut().filter(running) {
            let process = member.process.as_ref().expect("it runs");
            process.signal(rustix::process::Signal::KILL).expect("it is our child");
        }
        for member in self.members.values_mut().filter(running) {
            member.process.as_mut().expect("it runs").wait().expect("it was killed");
            member.put_away();
        }
    }

    /// Asks one to stop (SIGTERM), which it must do in good order.
    pub fn stop(&mut self, id: Id) {
        let member = self.member_mut(id);
        let status = member.process.as_mut().expect("it runs").terminate().expect("it ends when asked to");
        member.put_away();
        assert!(status.success(), "member {id} stopped with {status}");
    }

    /// Waits until one has ended by itself.
    pub fn wait_for_end(&mut self, id: Id) -> ExitStatus {
        let member = self.member_mut(id);
        let status = member.process.as_mut().expect("it runs").wait().expect("it ends by itself");
        member.put_away();
        status
    }

    /// Stops one where it is (SIGSTOP), all its threads.
    pub fn freeze(&mut self, id: Id) {
        self.process(id).freeze().expect("it runs");
        self.member_mut(id).frozen = true;
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&mut self, id: Id) {
        self.process(id).thaw().expect("it runs");
        self.member_mut(id).frozen = false;
    }

    /// Deletes the data of one that does not run; it still knows who it is.
    pub fn wipe(&mut self, id: Id) {
        let member = self.member(id);
        assert!(member.process.is_none(), "member {id} runs");
        member.wipe();
    }

    /// The process of one that runs.
    pub fn pid(&self, id: Id) -> u32 {
        self.process(id).id()
    }

    /// Where one keeps its data.
    pub fn data_dir(&self, id: Id) -> PathBuf {
        self.member(id).data_dir()
    }

    /// Where clients connect to it.
    pub fn client_address(&self, id: Id) -> SocketAddr {
        self.member(id).ports.client()
    }

    /// Where clients connect, to all of them in the order of their ids.
    pub fn client_addresses(&self) -> Vec<SocketAddr> {
        self.members.values().map(|member| member.ports.client()).collect()
    }

    /// Where other members connect: for data, and for votes.
    pub fn peer_addresses(&self, id: Id) -> [SocketAddr; 2] {
        self.member(id).ports.peers()
    }

    /// Where Prometheus reads its metrics.
    pub fn metrics_address(&self, id: Id) -> SocketAddr {
        self.member(id).ports.metrics()
    }

    /// All that one has written since its last start.
    pub fn log(&self, id: Id) -> String {
        self.member(id).log()
    }

    /// All that one has written since its first.
    pub fn every_log(&self, id: Id) -> String {
        self.member(id).every_log()
    }

    /// What one says to `srvr`; `None` if it does not run, is frozen, or is not reached.
    pub fn srvr(&self, id: Id) -> Option<String> {
        self.member(id).srvr()
    }

    /// What one is; `None` if it does not serve clients.
    pub fn mode(&self, id: Id) -> Option<Mode> {
        self.member(id).mode()
    }

    /// The last txn that one has applied; `None` if it does not serve clients.
    pub fn zxid(&self, id: Id) -> Option<i64> {
        self.member(id).zxid()
    }

    /// The epoch of that txn.
    pub fn epoch(&self, id: Id) -> Option<i64> {
        self.zxid(id).map(|zxid| zxid >> 32)
    }

    /// The leader: the only one that says so, if enough others follow to be a quorum with it.
    pub fn leader(&self) -> Option<Id> {
        let modes: Vec<_> = self.running().into_iter().map(|id| (id, self.mode(id))).collect();
        let are = |wanted| modes.iter().filter(move |(_, mode)| *mode == Some(wanted)).map(|(id, _)| *id);
        let (leaders, followers): (Vec<_>, _) = (are(Mode::Leader).collect(), are(Mode::Follower).count());
        match leaders[..] {
            [leader] if followers + 1 > self.shape.voters / 2 => Some(leader),
            _ => None,
        }
    }

    /// Waits until there is a leader, and returns it.
    pub fn await_leader(&mut self) -> Id {
        self.wait_for("a leader with a quorum", |ensemble| ensemble.leader())
    }

    /// Waits until all that run, frozen ones apart, serve clients behind one leader, and returns it.
    pub fn await_all_serving(&mut self) -> Id {
        self.wait_for("service by all members", |ensemble| {
            let serves = |id: &Id| ensemble.mode(*id).is_some();
            ensemble.leader().filter(|_| ensemble.running().iter().all(serves))
        })
    }

    /// Waits until one does not serve clients.
    pub fn await_silence_of(&mut self, id: Id) {
        self.wait_for(&format!("the end of member {id}'s service"), |ensemble| {
            ensemble.mode(id).is_none().then_some(())
        });
    }

    /// Waits until one line of its log since its start has all of these, and returns it.
    pub fn await_line(&mut self, id: Id, parts: &[&str]) -> String {
        self.wait_for(&format!("a line of member {id} with {parts:?}"), |ensemble| {
            let log = ensemble.log(id);
            log.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        })
    }

    /// Waits until `look` finds something. A member that ends meanwhile, without being told to, is a panic.
    pub fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            for member in self.members.values_mut() {
                let ended = member.process.as_mut().and_then(|process| process.ended().expect("our child"));
                assert!(ended.is_none(), "member {} ended: {ended:?}", member.id);
            }
            let modes = || self.ids().iter().map(|id| (*id, self.mode(*id))).collect::<Vec<_>>();
            assert!(Instant::now() < deadline, "{what} did not come; members are {:?}", modes());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts another process with a member's id, without data, on ports of its own; everybody else is
    /// to it who they are. It is no member: dropping it kills it.
    pub fn start_double_of(&self, id: Id) -> ServerProcess {
        self.start_double(id, |_| {})
    }

    /// The same, on a copy of all files that one has which does not run: a machine that was cloned.
    pub fn start_clone_of(&self, id: Id) -> ServerProcess {
        assert!(self.member(id).process.is_none(), "member {id} runs");
        self.start_double(id, |double| {
            for entry in std::fs::read_dir(self.data_dir(id)).expect("our own folder") {
                let entry = entry.expect("our own folder");
                if entry.file_type().expect("it is there").is_file() {
                    std::fs::copy(entry.path(), double.join(entry.file_name())).expect("it is writable");
                }
            }
        })
    }

    /// `prepare` is given where it keeps its data.
    fn start_double(&self, id: Id, prepare: impl FnOnce(&Path)) -> ServerProcess {
        let ports = Ports::choose(1).pop().expect("one was asked for");
        let mut members = self.seen_by(id);
        let double = Member::new(id, self.member(id).votes, ports, self.dir.join(format!("double-of-{id}")));
        members.insert(id, double);
        write_files(id, &members, &self.shape);
        let double = &members[&id];
        prepare(&double.data_dir());
        Launch::of_file(double.file(), double.ports.client().port()).spawn().expect("a binary")
    }

    /// The folder that has everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for member in self.members.values() {
            let log = member.every_log();
            let lines: Vec<_> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LAST_LINES)..];
            eprintln!("-- the end of member {}'s log:\n{}", member.id, end.join("\n"));
        }
    }
}
