//! The world around one node: clients, network, clock, and what goes wrong.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use paddock_actors::storage::{MemoryDisk, Space};
use paddock_messages::ids::SessionId;
use paddock_messages::letters::Internal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::client::{Client, Heard};
use super::link::Link;
use super::mail::{Mail, Who};
use super::met::Met;
use super::node::{Action, Node};
use super::start::{Setup, TICK_MS, start};
use super::truth::Truth;
use super::{Fault, requests};

const STEPS: u32 = 4_000;
/// How often an arbiter ticks, in ms.
const INTERVAL_MS: u64 = TICK_MS / 4;
/// What scheduling may add to an expiry, in ms, beyond the tick and a half that is promised.
const SLACK_MS: u64 = 2_000;

fn client_is(client: &Client, id: SessionId) -> bool {
    client.session.as_ref().is_some_and(|held| held.id == id)
}

/// One client and how it behaves.
#[derive(Default)]
pub(super) struct Person {
    pub(super) client: Client,
    pub(super) link: Option<usize>,
    pub(super) timeout_ms: i32,
    pub(super) silent_until: u64,
    pub(super) next_ping: u64,
    /// Its session, if the last outage was longer than its timeout and it has not come back yet.
    pub(super) outlasted: Option<SessionId>,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) disk: MemoryDisk,
    pub(super) setup: Setup,
    pub(super) truth: Truth,
    pub(super) node: Node,
    pub(super) people: Vec<Person>,
    pub(super) links: Vec<Link>,
    pub(super) numbers: HashSet<String>,
    pub(super) heard: Heard,
    pub(super) met: Met,
    pub(super) now_ms: u64,
    pub(super) ticks: Vec<u64>,
    pub(super) second: u64,
    pub(super) reap: u64,
    pub(super) full_until: Option<u64>,
    pub(super) stalls: Vec<(u64, u64)>,
    pub(super) calm_since: u64,
    /// When the server ended which session.
    pub(super) ended: HashMap<SessionId, u64>,
    /// Nothing goes wrong any more.
    pub(super) healing: bool,
}

/// What may happen next.
#[derive(Clone, Copy)]
enum Next {
    Node(Action),
    Give(usize),
    Take(usize),
    Receive(usize),
}

impl World {
    pub(super) fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let setup = Setup::drawn(&mut rng, fault);
        let disk = MemoryDisk::new(rng.random());
        let (mut truth, mut met) = (Truth::new(), Met::default());
        let node = start(&disk, &setup, 0, &mut rng, &mut truth, &mut met).expect("an empty disk");
        let people = (0..rng.random_range(2..=5))
            .map(|_| Person { timeout_ms: rng.random_range(4_000..9_000), ..Person::default() })
            .collect();
        let ticks = (0..u64::from(setup.arbiters)).map(|at| INTERVAL_MS + at).collect();
        Self {
            rng,
            disk,
            setup,
            truth,
            node,
            people,
            links: Vec::new(),
            numbers: HashSet::new(),
            heard: Heard::default(),
            met,
            now_ms: 0,
            ticks,
            second: 1_000,
            reap: 5_000,
            full_until: None,
            stalls: Vec::new(),
            calm_since: 0,
            ended: HashMap::new(),
            healing: false,
        }
    }

    pub(super) fn run(mut self) -> Met {
        for _ in 0..STEPS {
            self.step();
        }
        self.heal();
        self.heard.note(&mut self.met);
        self.met.add("ACLs replaced", self.truth.acls_set);
        let disk = self.disk.counters();
        self.met.add("crashes at a write", disk.crashes_at_write);
        self.met.add("crashes at a sync", disk.crashes_at_sync);
        self.met.add("crashes at a name", disk.crashes_at_name);
        self.met.add("simulated ms", self.now_ms);
        self.met
    }

    fn step(&mut self) {
        if self.node.is_rolling() && self.rng.random_bool(0.05) {
            self.disturb_roll_over();
        }
        match self.rng.random_range(0..2_000) {
            0..300 => self.somebody_acts(),
            300..303 => self.node_crashes("crashes at any moment"),
            303..306 => self.disk.crash_in(self.rng.random_range(0..60)),
            306..307 => self.disk.fail_syncs(1),
            307..310 => {
                let most = [1, 4 << 10, 32 << 10][self.rng.random_range(0..3)];
                self.disk.set_capacity(self.disk.used_bytes() + self.rng.random_range(0..most));
                self.full_until = Some(self.now_ms + self.rng.random_range(1_000..8_000));
            }
            310..313 => self.stall(),
            313..330 => {
                let ms = self.rng.random_range(100..3_000);
                self.pass(ms);
            }
            _ => {
                self.happen();
            }
        }
        if self.rng.random_bool(0.3) {
            let ms = self.rng.random_range(0..4);
            self.advance(ms);
        }
        self.look();
    }

    /// What may go wrong between two epochs, sooner than chance would have it.
    fn disturb_roll_over(&mut self) {
        match self.rng.random_range(0..4) {
            0 => self.node_crashes("crashes at a roll-over"),
            1 => self.disk.crash_in(self.rng.random_range(0..4)),
            _ => {
                self.disk.set_capacity(self.disk.used_bytes());
                self.full_until = Some(self.now_ms + self.rng.random_range(1_000..8_000));
            }
        }
    }

    /// One of the things that may happen next; false if there is none.
    fn happen(&mut self) -> bool {
        let mut next: Vec<Next> = self.node.actions().into_iter().map(Next::Node).collect();
        for (at, link) in self.links.iter().enumerate() {
            let core = &self.node.arbiters[usize::from(link.arbiter)];
            let arrives = self.now_ms >= link.frozen_until && !link.to_server.is_empty();
            if !link.over && arrives && core.wants_read(link.conn) {
                next.push(Next::Give(at));
            }
            if link.is_due(&self.node) {
                next.push(Next::Take(at));
            }
            if !link.to_client.is_empty() || link.over {
                next.push(Next::Receive(at));
            }
        }
        if next.is_empty() {
            return false;
        }
        let Self { rng, node, truth, met, links, .. } = self;
        match next[rng.random_range(0..next.len())] {
            Next::Node(action) => node.act(action, rng, truth, met),
            Next::Give(at) => links[at].give(node, rng),
            Next::Take(at) => links[at].take(node, rng),
            Next::Receive(at) => self.receive(at),
        }
        self.look();
        true
    }

    /// What must be looked at after each step.
    fn look(&mut self) {
        let Self { links, node, .. } = self;
        links.iter_mut().for_each(|link| link.note(node));
        for (session, by_server) in self.truth.take_ended() {
            self.met.count(if by_server { "sessions expired" } else { "sessions closed" });
            if by_server {
                self.may_expire(session);
                self.ended.insert(session, self.now_ms);
            }
        }
        if self.node.ended.is_some() || self.disk.is_crashed() {
            let why =
                if self.disk.is_crashed() { "crashes at a disk operation" } else { "ends for a failed sync" };
            self.node_crashes(why);
        }
    }

    /// E1, E3: as far as its client knows yet.
    fn may_expire(&self, session: SessionId) {
        let mut held = self.people.iter().filter_map(|it| it.client.session.as_ref());
        if let Some(held) = held.find(|held| held.id == session) {
            let since = held.answered_ms;
            let lost = self.stalls.iter().filter(|(at, _)| *at >= since).map(|(_, ms)| *ms).sum::<u64>();
            let (now, earliest) = (self.now_ms, since + held.timeout_ms + lost);
            assert!(now >= earliest, "E1: {session} expires at {now}, not before {earliest}: {held:?}");
        }
    }

    fn receive(&mut self, at: usize) {
        let link = &mut self.links[at];
        let Some(who) = link.client else {
            link.to_client.clear();
            if link.over {
                self.forget(at);
            }
            return;
        };
        let Some((sent_ms, bytes)) = link.to_client.pop_front() else {
            self.forget(at);
            return;
        };
        let Self { people, truth, numbers, heard, .. } = self;
        let client = &mut people[who].client;
        let was_up = client.is_up;
        client.receive(&bytes, sent_ms, truth, numbers, heard);
        if client.is_up && !was_up {
            let lives_on = people[who].outlasted.take().is_some_and(|id| client_is(&people[who].client, id));
            self.met.add("sessions that came back after such an outage", u64::from(lives_on));
            let client = &mut people[who].client;
            let floor = self.truth.acked();
            let again = requests::set_watches(client, floor, self.setup.fault, &mut self.rng);
            self.links[at].to_server.extend(again);
        }
        // An answer that was under way when the session ended had promised as much.
        if let Some(held) = &people[who].client.session
            && let Some(&ended) = self.ended.get(&held.id)
        {
            let promised = held.answered_ms + held.timeout_ms;
            assert!(ended >= promised, "E1: {} ended at {ended}, not {promised}", held.id);
        }
    }

    /// A connection is gone on both sides.
    fn forget(&mut self, at: usize) {
        if let Some(who) = self.links[at].client {
            self.people[who].link = None;
            self.people[who].client.disconnected();
        }
        self.links.swap_remove(at);
        let moved = self.links.get(at).and_then(|link| link.client);
        if let Some(who) = moved {
            self.people[who].link = Some(at);
        }
    }

    fn somebody_acts(&mut self) {
        let who = self.rng.random_range(0..self.people.len());
        let (now, floor) = (self.now_ms, self.truth.acked());
        let person = &mut self.people[who];
        if person.silent_until > now {
            return;
        }
        let Some(at) = person.link else { return self.connect(who) };
        let held = person.client.session.as_ref();
        if held.is_some_and(|held| now >= held.answered_ms + held.timeout_ms) {
            return self.disconnect(who); // what every client does that hears nothing for so long
        }
        if !person.client.is_up {
            return;
        }
        match self.rng.random_range(0..200) {
            0 => {
                person.silent_until = now + self.rng.random_range(1_000..15_000);
                self.met.count("silences");
            }
            1..4 => {
                // Its last ping is held up, and arrives about when the session's time is up.
                let late = now + person.timeout_ms as u64 + self.rng.random_range(0..8) * INTERVAL_MS;
                person.silent_until = late;
                self.links[at].frozen_until = person.silent_until;
                self.links[at].to_server.extend(requests::ping(&mut person.client));
                self.met.count("pings held up");
            }
            4..7 => self.disconnect(who),
            7..10 => {
                self.links[at].client = None; // the server will learn of it later
                person.link = None;
                person.client.disconnected();
                self.met.count("takeovers");
                self.connect(who);
            }
            10..12 => {
                let bytes = requests::close(&mut person.client, floor);
                self.links[at].to_server.extend(bytes);
            }
            12..17 => {
                let bytes = requests::flood(&mut person.client, floor, &mut self.rng);
                self.links[at].to_server.extend(bytes);
            }
            draw => {
                let burst = if draw < 32 { self.rng.random_range(2..20) } else { 1 };
                for _ in 0..burst {
                    if person.client.due.len() < requests::MOST_DUE {
                        let bytes = requests::any(&mut person.client, floor, requests::LARGE, &mut self.rng);
                        self.links[at].to_server.extend(bytes);
                    }
                }
            }
        }
    }

    fn connect(&mut self, who: usize) {
        let arbiter = self.rng.random_range(0..self.setup.arbiters);
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1_024 + who as u16);
        let core = &mut self.node.arbiters[usize::from(arbiter)];
        let conn = core.on_accept(peer, self.now_ms).expect("there is no limit");
        let person = &mut self.people[who];
        let to_server = requests::handshake(&person.client, person.timeout_ms).into();
        person.next_ping = self.now_ms + person.timeout_ms as u64 / 3;
        person.link = Some(self.links.len());
        let link = Link {
            arbiter,
            conn,
            client: Some(who),
            to_server,
            to_client: Default::default(),
            answered_ms: None,
            frozen_until: 0,
            over: false,
        };
        self.links.push(link);
        self.met.count("connections");
    }

    fn disconnect(&mut self, who: usize) {
        if let Some(at) = self.people[who].link {
            if !self.links[at].over {
                self.links[at].hang_up(&mut self.node);
            }
            self.forget(at);
        }
    }

    /// Time passes with nobody hurrying: everything that can happen does, at its time.
    fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            let mut steps = 0;
            while self.happen() {
                steps += 1;
                assert!(steps < 20_000, "G1: it never comes to rest");
            }
            let timers = self.ticks.iter().chain([&self.second, &self.reap]);
            let next = timers.copied().min().unwrap_or(until).min(until).max(self.now_ms + 1);
            self.advance(next - self.now_ms);
            self.look();
        }
    }

    /// The machine stands still.
    fn stall(&mut self) {
        let ms = self.rng.random_range(1_500..12_000);
        self.stalls.push((self.now_ms, ms - 2 * INTERVAL_MS));
        self.now_ms += ms;
        self.node.now_ms = self.now_ms;
        self.calm_since = self.now_ms;
        self.met.count("stalls");
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.node.now_ms = self.now_ms;
        for arbiter in 0..self.setup.arbiters {
            if self.now_ms >= self.ticks[usize::from(arbiter)] {
                self.ticks[usize::from(arbiter)] = self.now_ms + INTERVAL_MS;
                self.node.tick(arbiter);
            }
        }
        if self.now_ms >= self.second {
            self.second = self.now_ms + 1_000;
            self.each_second();
        }
        if self.now_ms >= self.reap {
            self.reap = self.now_ms + 5_000;
            let due = self.node.tree.read().reapable(self.node.wall_ms(), 0, 10);
            self.met.add("znodes reaped", due.len() as u64);
            if !due.is_empty() {
                self.node.post(Who::Proposer, Who::Proposer, Mail::Expire(Internal::Reap(due)));
            }
        }
        self.pings();
        self.nobody_stays_too_long();
    }

    fn each_second(&mut self) {
        if self.full_until.is_some_and(|until| self.now_ms >= until) {
            self.disk.set_capacity(u64::MAX);
            self.full_until = None;
        }
        let node = &mut self.node;
        if node.space != Space::Enough || node.logger.is_reserving() {
            let done = node.logger.retry_reserve();
            node.logged(done);
        }
        if node.ended.is_none() && node.logger.wants_idle() {
            let done = node.logger.write_idle();
            node.logged(done);
        }
        let mut out = vec![];
        node.snapshotter.on_tick(self.now_ms, &mut out);
        node.perform_snapshotter(out, &mut self.met);
        let mut out = vec![];
        node.proposer.on_tick(&mut out);
        node.perform_proposer(out, &mut self.truth);
    }

    fn pings(&mut self) {
        for person in &mut self.people {
            let silent = person.silent_until > self.now_ms;
            let Some(at) = person.link.filter(|_| person.client.is_up && !silent) else { continue };
            let held = person.client.session.as_ref();
            let given_up = held.is_some_and(|held| self.now_ms >= held.answered_ms + held.timeout_ms);
            if self.now_ms >= person.next_ping && !given_up {
                person.next_ping = self.now_ms + person.timeout_ms as u64 / 3;
                self.links[at].to_server.extend(requests::ping(&mut person.client));
            }
        }
    }

    /// E2.
    fn nobody_stays_too_long(&mut self) {
        if self.node.space != Space::Enough || self.full_until.is_some() {
            self.calm_since = self.now_ms;
        }
        for (session, timeout_ms) in self.truth.tree().sessions() {
            let sign = *self.node.signs.entry(session).or_insert(self.now_ms);
            let latest = sign.max(self.calm_since) + timeout_ms as u64 + TICK_MS * 3 / 2 + SLACK_MS;
            assert!(self.now_ms <= latest, "E2: {session} is there at {}, silent since {sign}", self.now_ms);
        }
    }

    /// From here on nothing goes wrong, and everybody must get through.
    fn heal(&mut self) {
        self.healing = true;
        self.disk.set_capacity(u64::MAX);
        self.disk.fail_syncs(0);
        self.disk.crash_in(u64::MAX);
        self.full_until = None;
        self.pass(6_000);
        let snapshots = self.node.snapshots;
        for person in &mut self.people {
            (person.silent_until, person.client.done) = (0, (0, 0));
        }
        let began = self.now_ms;
        while self.people.iter().any(|it| it.client.done.0 == 0 || it.client.done.1 == 0)
            || self.node.snapshots == snapshots
        {
            assert!(self.now_ms < began + 60_000, "G1: somebody does not get through");
            let floor = self.truth.acked();
            for who in 0..self.people.len() {
                let person = &mut self.people[who];
                match person.link {
                    None => self.connect(who),
                    Some(at) if person.client.is_up && person.client.due.is_empty() => {
                        let bytes = requests::proof(&mut person.client, floor, &mut self.rng);
                        self.links[at].to_server.extend(bytes);
                    }
                    Some(_) => {}
                }
            }
            self.pass(200);
        }
        self.truth.check_ephemerals();
    }
}
