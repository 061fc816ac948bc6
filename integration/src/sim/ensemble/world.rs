//! Time, and all that happens in it.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use paddock_actors::storage::{Crash, LogFailure, MemoryDisk, OpenError};
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::ids::ServerId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::clients::Person;
use super::faults::{KINDS, Kind};
use super::network::{Ctl, Network, pair};
use super::node::{Effect, NoStart, Node, Role};
use super::setup::Setup;
use super::truth::Truth;
use crate::sim::Met;

/// How long things go wrong, in us.
const TROUBLE_US: u64 = 60_000_000;
/// How often a process looks at its timers.
const TICK_US: u64 = 10_000;

pub(super) struct Member {
    pub(super) disk: MemoryDisk,
    pub(super) node: Option<Box<Node>>,
    /// How often it was started or ended: what was meant for an earlier process reaches nobody.
    pub(super) life: u64,
    pub(super) frozen_us: u64,
    pub(super) disk_busy: bool,
    pub(super) disk_slow_us: u64,
    applying: bool,
    /// Whether it belongs to the ensemble and remembers all, as far as was looked.
    pub(super) is_whole: bool,
    /// Its disk was replaced, and it does not again yet.
    pub(super) is_wiped: bool,
}

impl Member {
    fn new(seed: u64) -> Self {
        Self {
            disk: MemoryDisk::new(seed),
            node: None,
            life: 0,
            frozen_us: 0,
            disk_busy: false,
            disk_slow_us: 0,
            applying: false,
            is_whole: false,
            is_wiped: false,
        }
    }
}

/// What is to happen.
pub(super) enum Event {
    Tick(ServerId, u64),
    Disk(ServerId, u64),
    Apply(ServerId, u64),
    Ctl(ServerId, ServerId, u64, Ctl),
    Up(u64),
    Down(u64),
    Connected(u64),
    /// One end's process is told that the lane is closed.
    Closed {
        to: ServerId,
        life: u64,
        generation: u64,
        learner: ServerId,
    },
    Crash(ServerId, u64),
    /// A process learns that the other end of its ctl lane is gone.
    LaneDown(ServerId, u64, ServerId),
    Start(ServerId, u64),
    Client(usize),
    Fault,
    Heal,
    Lanes,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) setup: Arc<Setup>,
    pub(super) truth: Rc<RefCell<Truth>>,
    pub(super) members: BTreeMap<ServerId, Member>,
    pub(super) network: Network,
    pub(super) people: Vec<Person>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    posted: u64,
    pub(super) now_us: u64,
    pub(super) kinds: Vec<Kind>,
    pub(super) met: Met,
    pub(super) healing: bool,
    /// No client asks anything any more.
    pub(super) quiet: bool,
    /// How many are still to come.
    pub(super) ambushes: u32,
    /// Whom elections name, whatever was voted; nobody while they are honest.
    pub(super) misled: Vec<ServerId>,
}

impl World {
    pub(super) fn new(seed: u64, fault: Option<EnsembleFault>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let setup = Arc::new(Setup::drawn(&mut rng, fault));
        let many = rng.random_range(3..=6);
        let mut kinds: Vec<Kind> = KINDS.choose_multiple(&mut rng, many).copied().collect();
        if rng.random() && !kinds.contains(&Kind::Ambush) {
            kinds.push(Kind::Ambush);
        }
        let members = setup.members.iter().map(|id| (*id, Member::new(rng.random())));
        let members = members.collect();
        let people =
            (0..rng.random_range(2..=4)).map(|at| Person::new(at, rng.random_range(4_000..9_000))).collect();
        Self {
            rng,
            setup,
            truth: Rc::new(RefCell::new(Truth::default())),
            members,
            network: Network::default(),
            people,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            posted: 0,
            now_us: 0,
            kinds,
            met: Met::default(),
            healing: false,
            quiet: false,
            ambushes: 0,
            misled: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Met {
        for id in self.setup.members.clone() {
            let after = self.rng.random_range(0..1_500);
            self.restart_in(id, after);
        }
        for at in 0..self.people.len() {
            self.at(1_000, Event::Client(at));
        }
        self.at(500_000, Event::Fault);
        self.at(0, Event::Lanes);
        while self.now_us < TROUBLE_US {
            self.step();
        }
        self.heal();
        self.met.add("simulated ms", self.now_us / 1_000);
        self.met.add("txns committed", self.truth.borrow().many());
        for member in self.members.values().filter_map(|member| member.node.as_ref()) {
            member.met.iter().for_each(|(what, many)| self.met.add(what, *many));
        }
        self.met
    }

    pub(super) fn member(&mut self, id: ServerId) -> &mut Member {
        self.members.get_mut(&id).expect("it is one of the members")
    }

    pub(super) fn is_leading(&self, id: ServerId) -> bool {
        let node = self.members[&id].node.as_ref();
        node.is_some_and(|node| matches!(node.role, Role::Leading(_, Some(_))))
    }

    pub(super) fn at(&mut self, in_us: u64, event: Event) {
        self.posted += 1;
        self.queue.push(Reverse((self.now_us + in_us, self.posted)));
        self.events.insert(self.posted, event);
    }

    pub(super) fn crash_in(&mut self, id: ServerId, life: u64, us: u64) {
        self.at(us, Event::Crash(id, life));
    }

    pub(super) fn restart_in(&mut self, id: ServerId, ms: u64) {
        let life = self.members[&id].life;
        self.at(ms * 1_000, Event::Start(id, life));
    }

    pub(super) fn step(&mut self) {
        let Some(Reverse((at, number))) = self.queue.pop() else { panic!("EN5: nothing happens any more") };
        self.now_us = at;
        let event = self.events.remove(&number).expect("it was posted");
        self.happen(event);
    }

    /// Lets a process do something, and does what comes of it.
    pub(super) fn with(&mut self, id: ServerId, life: u64, run: impl FnOnce(&mut Node)) {
        let now_ms = self.now_us / 1_000;
        let misled = self.misled.choose(&mut self.rng).copied();
        let member = self.member(id);
        if member.life != life {
            return;
        }
        let Some(node) = &mut member.node else { return };
        node.now_ms = now_ms;
        node.misled = misled;
        run(node);
        node.check();
        let ambush = std::mem::take(&mut node.ambush);
        self.look_at_ended();
        self.after(id);
        if ambush {
            self.spring();
        }
    }

    /// EN7.
    fn look_at_ended(&mut self) {
        let now_ms = self.now_us / 1_000;
        let ended = self.truth.borrow_mut().take_ended();
        for session in ended {
            self.met.count("sessions expired");
            for person in self.people.iter().filter(|person| person.session == Some(session)) {
                let promised = person.promised_ms();
                assert!(
                    now_ms >= promised,
                    "EN7: {session} ends at {now_ms}, and was promised to live until {promised}"
                );
            }
        }
    }

    fn after(&mut self, id: ServerId) {
        let disk_us = self.setup.disk_us;
        loop {
            let Some(node) = &mut self.member(id).node else { return };
            let effects = std::mem::take(&mut node.effects);
            if effects.is_empty() {
                break;
            }
            effects.into_iter().for_each(|effect| self.perform(id, effect));
        }
        let member = self.member(id);
        let (life, disk_busy, applying, slow) =
            (member.life, member.disk_busy, member.applying, member.disk_slow_us);
        let Some(node) = &mut member.node else { return };
        if node.ended.is_some() || node.disk.is_crashed() {
            self.met.count("processes that a disk ended");
            return self.crash(id);
        }
        let (works, applies) = (!node.tasks.is_empty(), node.learner.is_ready());
        let facts = node.logger.facts();
        member.is_whole = facts.ensemble.is_some() && !facts.seed && !facts.must_resync;
        if member.is_whole && std::mem::take(&mut member.is_wiped) {
            self.met.count("amnesiac members healed");
        }
        if works && !disk_busy {
            self.member(id).disk_busy = true;
            let us = self.rng.random_range(100..disk_us) + slow;
            self.at(us, Event::Disk(id, life));
        }
        if applies && !applying {
            self.member(id).applying = true;
            let us = self.rng.random_range(0..1_000);
            self.at(us, Event::Apply(id, life));
        }
    }

    fn perform(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Notify(to, notification) => self.send_ctl(id, to, Ctl::Notification(notification)),
            Effect::Beat(to, beat) => self.send_ctl(id, to, Ctl::Heartbeat(beat)),
            Effect::ToLeader(packet) => {
                let Some(&lane) = self.network.of_learner.get(&id) else { return };
                let to = self.network.lanes[&lane].leader.0;
                let us = self.now_us + self.network.delay_us(id, to, &mut self.rng);
                let it = self.network.lanes.get_mut(&lane).expect("it is open");
                it.up.push_back(packet);
                it.up_us = it.up_us.max(us);
                let after = it.up_us - self.now_us;
                self.at(after, Event::Up(lane));
            }
            Effect::ToLearner(to, packet) => {
                let lane = self.network.of_learner.get(&to).copied();
                let Some(lane) = lane.filter(|lane| self.network.lanes[lane].leader.0 == id) else { return };
                let us = self.now_us + self.network.delay_us(id, to, &mut self.rng);
                let it = self.network.lanes.get_mut(&lane).expect("it is open");
                it.down.push_back(packet);
                it.down_us = it.down_us.max(us);
                let after = it.down_us - self.now_us;
                self.at(after, Event::Down(lane));
            }
            Effect::HangUp(on) => {
                let lane = self.network.of_learner.get(&on).copied();
                if let Some(lane) = lane.filter(|lane| self.network.lanes[lane].leader.0 == id) {
                    self.close(lane);
                }
            }
            Effect::CloseSession(session) => {
                let its = |it: &&mut Person| it.at() == Some(id) && it.session == Some(session);
                self.people.iter_mut().filter(its).for_each(Person::disconnected);
            }
            Effect::RoleEnded => {
                self.met.count("roles ended");
                self.role_ended(id);
            }
        }
    }

    fn frozen(&self, id: ServerId) -> Option<u64> {
        self.members[&id].frozen_us.checked_sub(self.now_us).filter(|left| *left > 0)
    }

    fn happen(&mut self, event: Event) {
        let owner = match &event {
            Event::Tick(id, _) | Event::Disk(id, _) | Event::Apply(id, _) | Event::Ctl(_, id, ..) => {
                Some(*id)
            }
            Event::Closed { to, .. } => Some(*to),
            Event::Up(lane) => self.network.lanes.get(lane).map(|lane| lane.leader.0),
            Event::Down(lane) => self.network.lanes.get(lane).map(|lane| lane.learner.0),
            _ => None,
        };
        if let Some(us) = owner.and_then(|id| self.frozen(id)) {
            let apart = self.rng.random_range(0..2_000); // timers, mail and sockets in any order
            return self.at(us + apart, event);
        }
        match event {
            Event::Tick(id, life) => self.tick(id, life),
            Event::Disk(id, life) if self.members[&id].life == life => {
                self.member(id).disk_busy = false;
                self.with(id, life, |node| {
                    node.work();
                    node.maybe_snapshot();
                });
            }
            Event::Apply(id, life) if self.members[&id].life == life => {
                self.member(id).applying = false;
                self.with(id, life, Node::apply);
                self.answer(id);
            }
            Event::Disk(..) | Event::Apply(..) => {}
            Event::Ctl(from, to, life, message) => self.with(to, life, |node| match message {
                Ctl::Notification(heard) => node.on_notification(from, heard),
                Ctl::Heartbeat(heard) => node.on_heartbeat(from, heard),
            }),
            Event::Up(lane) => self.deliver_up(lane),
            Event::Down(lane) => self.deliver_down(lane),
            Event::Connected(lane) => self.connected(lane),
            Event::Closed { to, life, generation, learner } => self.with(to, life, |node| {
                if node.generation == generation && learner == node.me {
                    node.leave("the leader has closed the data lane");
                } else if node.generation == generation {
                    node.on_learner_gone(learner);
                }
            }),
            Event::Crash(id, life) if self.members[&id].life == life => self.crash(id),
            Event::LaneDown(id, life, peer) => {
                if !self.network.ctl.contains_key(&pair(id, peer)) {
                    self.with(id, life, |node| node.on_lane(peer, false));
                }
            }
            Event::Start(id, life) if self.members[&id].life == life => self.start(id),
            Event::Crash(..) | Event::Start(..) => {}
            Event::Client(at) => self.client(at),
            Event::Fault if self.healing => {}
            Event::Fault => {
                self.break_something();
                let next = self.rng.random_range(100..4_000);
                self.at(next * 1_000, Event::Fault);
                if self.rng.random_bool(0.5) {
                    let whole = self.rng.random_range(100..5_000);
                    self.at(whole * 1_000, Event::Heal);
                }
            }
            Event::Heal => self.mend(),
            Event::Lanes => {
                self.look_at_lanes();
                self.at(25_000, Event::Lanes);
            }
        }
    }

    fn tick(&mut self, id: ServerId, life: u64) {
        if self.members[&id].life == life && self.members[&id].node.is_some() {
            self.with(id, life, Node::on_time);
            self.dial(id, life);
            self.at(TICK_US, Event::Tick(id, life));
        }
    }

    fn start(&mut self, id: ServerId) {
        let now_ms = self.now_us / 1_000;
        let Self { rng, setup, truth, members, met, .. } = self;
        let member = members.get_mut(&id).expect("it is one of the members");
        match Node::start(&member.disk, setup, id, now_ms, rng, truth, met) {
            Ok(node) => {
                member.life += 1;
                (member.node, member.disk_busy, member.applying) = (Some(Box::new(node)), false, false);
                let life = member.life;
                self.met.count("starts");
                self.at(0, Event::Tick(id, life));
                self.after(id);
            }
            Err(_) if member.disk.is_crashed() => {
                met.count("crashes during recovery");
                member.disk = member.disk.restart(Crash::PowerFailure);
                self.restart_in(id, 100);
            }
            Err(NoStart::Open(OpenError::Io { .. }) | NoStart::Log(LogFailure::Io { .. })) => {
                met.count("starts that a disk failed");
                member.disk = member.disk.restart(Crash::PowerFailure);
                self.restart_in(id, 100);
            }
            Err(error) => panic!("EN2: {id} does not start: {error}"),
        }
    }

    /// What the member's feed has for its clients.
    fn answer(&mut self, id: ServerId) {
        let Some(node) = &self.members[&id].node else { return };
        let mut items = Vec::new();
        node.tree.feeds()[0].drain(&mut items);
        let now_ms = self.now_us / 1_000;
        let node = self.member(id).node.as_mut().expect("it was there");
        for item in &items {
            if let FeedItem::Attached { session, attach, timeout_ms, .. } = item {
                node.attached(*session, *attach, *timeout_ms);
            }
        }
        for item in items {
            let truth = &mut self.truth.borrow_mut();
            for person in self.people.iter_mut().filter(|it| it.at() == Some(id)) {
                if person.receive(&item, now_ms, truth, &mut self.met) {
                    break;
                }
            }
        }
    }

    fn ping(&mut self, at: usize) {
        let now_ms = self.now_us / 1_000;
        let Some(member) = self.people[at].at() else { return };
        let Some(session) = self.people[at].ping(now_ms) else { return };
        let (life, timeout_ms) = (self.members[&member].life, self.people[at].timeout_ms);
        let mut answered = false;
        self.with(member, life, |node| answered = node.ping(session, timeout_ms));
        self.met.count(if answered { "pings answered" } else { "pings not answered" });
        if answered {
            self.people[at].pinged(now_ms);
        }
    }

    fn client(&mut self, at: usize) {
        if let Some(us) = self.people[at].at().and_then(|member| self.frozen(member)) {
            return self.at(us, Event::Client(at)); // what it has sent is read then, before or after all else
        }
        let next = if self.healing { 5..80 } else { 10..400 };
        let next = self.rng.random_range(next);
        self.at(next * 1_000, Event::Client(at));
        let (now_ms, floor) = (self.now_us / 1_000, self.truth.borrow().acked());
        if self.quiet || self.people[at].silent_until_ms > now_ms {
            return;
        }
        if self.rng.random_bool(0.01) && !self.healing {
            // Often it comes back about when its session's time is up.
            let late = self.people[at].timeout_ms + self.rng.random_range(0..3_000);
            let any = self.rng.random_range(1_000..20_000);
            let silent = if self.rng.random_bool(0.7) { late } else { any };
            self.people[at].silent_until_ms = now_ms + silent;
            self.met.count("silences");
            return;
        }
        self.ping(at);
        if self.people[at].gives_up(now_ms) || self.rng.random_bool(0.005) {
            self.people[at].disconnected();
        }
        let (member, items) = match self.people[at].at() {
            Some(member) => {
                let Self { people, rng, .. } = self;
                (member, people[at].ask(floor, now_ms, rng))
            }
            None => {
                let seen = self.people[at].seen;
                let serving = |(id, member): (&ServerId, &Member)| {
                    let node = member.node.as_ref()?;
                    let serves = node.is_serving() && node.tree.read().last_zxid() >= seen;
                    serves.then_some(*id)
                };
                let serving: Vec<ServerId> = self.members.iter().filter_map(serving).collect();
                let Some(&member) = serving.choose(&mut self.rng) else { return };
                (member, vec![self.people[at].connect(member, now_ms)])
            }
        };
        if !items.is_empty() {
            let life = self.members[&member].life;
            self.with(member, life, |node| node.submit(items));
            self.answer(member);
        }
    }
}
