//! Time, and all that happens in it.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use paddock_actors::storage::MemoryDisk;
use paddock_messages::ids::ServerId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::clients::{Ears, Person};
use super::clocks;
use super::crashing::Raid;
use super::damage;
use super::faults::{KINDS, Kind};
use super::flapping::{self, Flapping};
use super::levels;
use super::local::Locals;
use super::mail::{Letter, Part, Thread};
use super::moving;
use super::network::{Ctl, Network, pair};
use super::node::{Effect, Node};
use super::reconfiguring;
use super::setup::Setup;
use super::silent_disk;
use super::space::Filling;
use super::stopping;
use super::truth::Truth;
use crate::sim::Met;

/// How long things go wrong, in us.
pub(super) const TROUBLE_US: u64 = 60_000_000;
/// How often a process looks at its timers.
const TICK_US: u64 = 10_000;

pub(super) struct Member {
    pub(super) disk: MemoryDisk,
    pub(super) node: Option<Box<Node>>,
    /// How often it was started or ended: what was meant for an earlier process reaches nobody.
    pub(super) life: u64,
    pub(super) frozen_us: u64,
    /// The threads that stand still, and until when.
    pub(super) stalls: BTreeMap<Thread, u64>,
    pub(super) disk_busy: bool,
    pub(super) disk_slow_us: u64,
    /// Until then it answers nothing, or so late.
    pub(super) disk_silent_us: u64,
    pub(super) disk_late_until_us: u64,
    pub(super) disk_late_us: u64,
    /// When it was slow or silent last.
    pub(super) disk_ill_us: u64,
    pub(super) applying: bool,
    /// So much the machine's wall clock is ahead of a right one.
    pub(super) clock_ahead_ms: i64,
    /// Whether it belongs to the ensemble and remembers all, as far as was looked.
    pub(super) is_whole: bool,
    /// Its disk was replaced, and it does not again yet.
    pub(super) is_wiped: bool,
    /// No process starts on its disk.
    pub(super) is_damaged: bool,
    /// What its next process reads, if that is not drawn.
    pub(super) next_build: Option<u8>,
}

impl Member {
    fn new(seed: u64) -> Self {
        Self {
            disk: MemoryDisk::new(seed),
            node: None,
            life: 0,
            frozen_us: 0,
            stalls: BTreeMap::new(),
            disk_busy: false,
            disk_slow_us: 0,
            disk_silent_us: 0,
            disk_late_us: 0,
            disk_late_until_us: 0,
            disk_ill_us: 0,
            applying: false,
            clock_ahead_ms: 0,
            is_whole: false,
            is_wiped: false,
            is_damaged: false,
            next_build: None,
        }
    }
}

/// What is to happen.
pub(super) enum Event {
    Tick(ServerId, u64),
    Disk(ServerId, u64),
    Apply(ServerId, u64),
    /// A part of a process handles its next letter.
    Mail(ServerId, u64, Part),
    /// A thread of a process reads on for a learner.
    Read(ServerId, u64, u64),
    Ctl(ServerId, ServerId, u64, Ctl),
    Up(u64),
    Down(u64),
    Connected(u64),
    /// One end's process is told that the lane is closed.
    Closed(Closed),
    Crash(ServerId, u64),
    /// A process learns that the other end of its ctl lane is gone.
    LaneDown(ServerId, u64, ServerId),
    Start(ServerId, u64),
    Client(usize),
    Fault,
    Heal,
    Lanes,
    Disks,
    Clock,
    Stop,
    Move,
    Flap,
    Reconfig,
    Level,
    SilentDisk,
    Damage,
}

/// The end of a lane, as one of its ends is told.
pub(super) struct Closed {
    pub(super) lane: u64,
    /// Who is told, in which life, and of which role it was there.
    pub(super) to: (ServerId, u64, u64),
    pub(super) learner: ServerId,
}

pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) setup: Arc<Setup>,
    pub(super) truth: Rc<RefCell<Truth>>,
    pub(super) members: BTreeMap<ServerId, Member>,
    pub(super) network: Network,
    pub(super) people: Vec<Person>,
    pub(super) ears: Ears,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    posted: u64,
    pub(super) now_us: u64,
    pub(super) kinds: Vec<Kind>,
    pub(super) met: Met,
    pub(super) healing: bool,
    /// Who never comes back.
    pub(super) lost: BTreeSet<ServerId>,
    /// No client asks anything any more.
    pub(super) quiet: bool,
    /// How many are still to come.
    pub(super) ambushes: u32,
    /// Whom elections name, whatever was voted; nobody while they are honest.
    pub(super) misled: Vec<ServerId>,
    pub(super) filling: Option<Filling>,
    /// When clocks are set, and to what.
    pub(super) clocks: Option<StdRng>,
    /// When members are stopped in good order, and which.
    pub(super) stops: Option<StdRng>,
    /// When leads are moved, and to whom.
    pub(super) moves: Option<StdRng>,
    pub(super) flaps: Option<Flapping>,
    /// When the configuration changes, and to what.
    pub(super) reconfigs: Option<StdRng>,
    /// When a leader is alone with the reconfig that it has just proposed.
    pub(super) cut_offs: Option<StdRng>,
    pub(super) raids: Option<Raid>,
    /// Of which build members are, and when the feature level is to be raised.
    pub(super) builds: Option<StdRng>,
    pub(super) silent_disks: Option<StdRng>,
    pub(super) damages: Option<StdRng>,
    /// Until then no other fault begins.
    pub(super) calm_until_us: u64,
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
        let mut people: Vec<Person> = (0..rng.random_range(2..=4))
            .map(|_| Person::new(rng.random_range(4_000..9_000), &setup))
            .collect();
        people.extend(setup.readers(&mut rng));
        let filling = Filling::drawn(seed, &setup);
        let reconfigs = reconfiguring::drawn(seed, &setup);
        let cut_offs = reconfiguring::cut_offs(seed, &setup);
        let truth = Truth::with(Locals::of(&setup.settings));
        Self {
            rng,
            setup,
            truth: Rc::new(RefCell::new(truth)),
            members,
            network: Network::default(),
            people,
            ears: Ears::default(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            posted: 0,
            now_us: 0,
            kinds,
            met: Met::default(),
            healing: false,
            lost: BTreeSet::new(),
            quiet: false,
            ambushes: 0,
            misled: Vec::new(),
            filling,
            clocks: clocks::drawn(seed, fault),
            stops: stopping::drawn(seed, fault),
            moves: moving::drawn(seed, fault),
            flaps: flapping::drawn(seed, fault),
            reconfigs,
            cut_offs,
            raids: Raid::drawn(seed, fault),
            builds: levels::drawn(seed, fault),
            silent_disks: silent_disk::drawn(seed, fault),
            calm_until_us: 0,
            damages: damage::drawn(seed, fault),
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
        self.at(2_000_000, Event::Disks);
        self.at(1_000_000, Event::Clock);
        self.at(1_000_000, Event::Stop);
        self.at(1_000_000, Event::Move);
        self.at(1_000_000, Event::Flap);
        self.at(2_000_000, Event::Reconfig);
        self.at(5_000_000, Event::Level);
        self.at(2_000_000, Event::SilentDisk);
        self.at(4_000_000, Event::Damage);
        while self.now_us < TROUBLE_US {
            self.step();
        }
        self.recover_what_is_left();
        self.heal();
        self.met.add("simulated ms", self.now_us / 1_000);
        let truth = Rc::clone(&self.truth);
        let truth = truth.borrow();
        self.met.add("txns committed", truth.many());
        self.met.add("multis committed", truth.multis);
        self.met.add("members promoted", truth.promoted);
        self.met.add("reconfigs abandoned", truth.abandoned());
        truth.locals.note(&mut self.met);
        self.met.add("ephemerals that went with their session", truth.ephemerals);
        self.note_heard();
        for member in self.members.values().filter_map(|member| member.node.as_ref()) {
            member.met.iter().for_each(|(what, many)| self.met.add(what, *many));
        }
        self.met
    }

    pub(super) fn member(&mut self, id: ServerId) -> &mut Member {
        self.members.get_mut(&id).expect("it is one of the members")
    }

    pub(super) fn is_leading(&self, id: ServerId) -> bool {
        self.members[&id].node.as_ref().is_some_and(|node| node.is_leading())
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

    /// Lets a process do something, with all mail that need not wait, and does what comes of it.
    pub(super) fn with(&mut self, id: ServerId, life: u64, run: impl FnOnce(&mut Node)) {
        let (now_us, now_ms) = (self.now_us, self.now_us / 1_000);
        let misled = self.misled.choose(&mut self.rng).copied();
        let member = self.member(id);
        if member.life != life {
            return;
        }
        let Some(node) = &mut member.node else { return };
        member.stalls.retain(|_, until| *until > now_us);
        node.stalled = member.stalls.keys().copied().collect();
        node.now_ms = now_ms;
        node.misled = misled;
        run(node);
        loop {
            let Some(node) = &mut self.member(id).node else { return };
            node.run_mail();
            self.look_at_ended();
            if !self.attend(id) {
                break;
            }
        }
        let Some(node) = &mut self.member(id).node else { return };
        node.check();
        let ambush = std::mem::take(&mut node.ambush);
        if std::mem::take(&mut node.begins_reconfig) {
            self.cut_off(id);
        }
        self.after(id);
        if ambush {
            self.spring();
        }
        self.raid(id);
    }

    pub(super) fn after(&mut self, id: ServerId) {
        self.look_at_disk(id);
        let (now_us, disk_us) = (self.now_us, self.setup.disk_us);
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
            (member.life, member.disk_busy, member.applying, member.slow_us(now_us));
        let Some(node) = &mut member.node else { return };
        if node.ended.is_some() || node.disk.is_crashed() {
            self.met.count("processes that a disk ended");
            return self.crash(id);
        }
        if node.has_stopped {
            return self.has_stopped(id);
        }
        let (works, applies) = (!node.tasks.is_empty(), node.lp.core.is_ready());
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
            Effect::Configure(to, told) => self.send_ctl(id, to, Ctl::Configuration(told)),
            Effect::ToLeader(lane, packet) => self.send_up(lane, packet),
            Effect::ToLearner(lane, packet) => self.send_down(lane, packet),
            Effect::HangUp(lane) => self.close(lane),
            Effect::Open(leader, role) => {
                if let Some(node) = &mut self.member(id).node {
                    node.dials = Some((leader, role));
                }
            }
            Effect::Shut(upto) => self.shut(id, upto),
            Effect::Serve(role) => self.serve(id, role),
            Effect::Wake(part, us) => {
                let life = self.members[&id].life;
                self.at(us, Event::Mail(id, life, part));
            }
            Effect::Read(number) => {
                let (life, most) = (self.members[&id].life, self.setup.read_us);
                let us = self.rng.random_range(50..most) + self.members[&id].disk_slow_us;
                self.at(us, Event::Read(id, life, number));
            }
        }
    }

    fn happen(&mut self, event: Event) {
        if let Some(us) = self.held_up(&event) {
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
            }
            Event::Disk(..) | Event::Apply(..) => {}
            Event::Mail(id, life, part) => self.with(id, life, |node| node.wake(part)),
            Event::Read(id, life, number) => self.with(id, life, |node| node.read_on(number)),
            Event::Ctl(from, to, life, message) => self.deliver_ctl(from, (to, life), message),
            Event::Up(lane) => self.deliver_up(lane),
            Event::Down(lane) => self.deliver_down(lane),
            Event::Connected(lane) => self.connected(lane),
            Event::Closed(closed) => self.closed(&closed),
            Event::Crash(id, life) if self.members[&id].life == life => self.crash(id),
            Event::LaneDown(id, life, peer) => {
                if !self.network.ctl.contains_key(&pair(id, peer)) {
                    self.with(id, life, |node| node.post(Part::QuorumPeer, Letter::CtlLane(peer, false)));
                }
            }
            Event::Start(id, life) if self.members[&id].life == life && !self.lost.contains(&id) => {
                self.start(id);
            }
            Event::Crash(..) | Event::Start(..) => {}
            Event::Client(at) => self.client(at),
            Event::Fault if self.healing => {}
            Event::Fault if self.now_us < self.calm_until_us => {
                self.at(self.calm_until_us - self.now_us, Event::Fault);
            }
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
            Event::Disks => self.fill_or_free(),
            Event::Clock => self.set_a_clock(),
            Event::Stop => self.stop_one(),
            Event::Move => self.move_lead(),
            Event::Flap => self.flap(),
            Event::Reconfig => self.reconfigure_once(),
            Event::Level => self.ask_for_level(),
            Event::SilentDisk => self.silence_a_disk(),
            Event::Damage => self.damage_a_disk(),
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
}
