//! The data link's actor: the lane to the peer that leads, and the lane of the peer that follows.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paddock_messages::frame::Lane;
use tokio::io::AsyncWriteExt;

use super::letters::{self, Accepted, HangUp, LookAt, Open, Shut};
use super::link::{Greeted, Link, Newer, Peer, Task};
use super::outgoing::{self, Queue, Unsendable};
use super::room::Rooms;
use super::sides::{LearnerOutboxes, ProposerOutboxes, Side, Sides};
use super::status::LinkState;
use super::{dial, lane};
use crate::runtime::{Clock, Ctx, Serve, Service};

/// What a data link is made from.
#[derive(Clone, Debug)]
pub struct DataSetup {
    /// Whom it leads to, by its quorum ports.
    pub peer: Peer,
    /// How many lanes the process has made: the numbers of all data lanes come from here.
    pub lanes: Arc<AtomicU64>,
    /// What the peer's system does not take for so long closes a lane: a peer that is slow is synchronised anew.
    pub untaken: Duration,
    /// What may wait to be sent down a lane: with more it is closed.
    pub queue_bytes: usize,
    /// How far a lane is read ahead of whoever works on what came.
    pub read_ahead_bytes: usize,
    /// Who hears of the peer as a leader.
    pub learner: LearnerOutboxes,
    /// Who hears of the peer as a learner.
    pub proposer: ProposerOutboxes,
}

/// See the module above.
pub struct DataLink {
    shared: Rc<Shared>,
    /// The role in which the peer is followed, and the task that dials it.
    following: Option<(u64, Task)>,
    /// The highest role that was shut.
    shut: Option<u64>,
    /// The role in which this member leads.
    serving: Option<u64>,
    /// Carries the learner's lanes.
    learner: Option<Task>,
}

/// What the actor and the tasks of its lanes share, on their one thread.
struct Shared {
    link: Link,
    sides: Sides,
    made: Arc<AtomicU64>,
    queue_bytes: usize,
    read_ahead_bytes: usize,
    leader_lane: RefCell<Option<Up>>,
    learner_lane: RefCell<Option<Up>>,
    newer: Newer,
    /// What the link is about while no lane is up.
    resting: Cell<LinkState>,
}

/// A lane whose coming was told.
#[derive(Clone)]
struct Up {
    number: u64,
    role: u64,
    queue: Rc<Queue>,
}

impl DataLink {
    /// To be called on the thread it will run on.
    pub fn new(setup: DataSetup, clock: Arc<dyn Clock>) -> Self {
        let DataSetup { peer, lanes, untaken, queue_bytes, read_ahead_bytes, learner, proposer } = setup;
        let shared = Shared {
            sides: Sides { peer: peer.id, learner, proposer },
            link: Link::new(peer, Lane::Data, (None, untaken), clock),
            made: lanes,
            queue_bytes,
            read_ahead_bytes,
            leader_lane: RefCell::default(),
            learner_lane: RefCell::default(),
            newer: Newer::default(),
            resting: Cell::default(),
        };
        Self { shared: Rc::new(shared), following: None, shut: None, serving: None, learner: None }
    }

    /// Dials for `role`, first after `wait`, in place of what dialled before.
    fn follow(&mut self, role: u64, wait: Duration) {
        let shared = Rc::clone(&self.shared);
        let carry = async move |greeted| {
            let up = shared.up(Side::Leader, role, &greeted);
            shared.carry(Side::Leader, up, greeted).await;
        };
        let shared = Rc::clone(&self.shared);
        let task = Task::start(async move { dial::keep(&shared.link, wait, carry).await });
        self.following = Some((role, task));
    }

    /// Ends the task before the end is told, so that nothing is told after it.
    fn close(&mut self, side: Side, number: u64, why: &str) {
        match (side, &self.following) {
            (Side::Learner, _) => self.end_learner(),
            (Side::Leader, Some((role, _))) => self.follow(*role, dial::SHORTEST_PAUSE),
            (Side::Leader, None) => {}
        }
        self.shared.down(side, number, why);
    }

    /// What it has dialled meanwhile is closed, too.
    fn end_learner(&mut self) {
        self.learner = None;
        self.shared.newer.clear();
    }

    fn close_learner(&mut self, why: &str) {
        self.end_learner();
        let number = self.shared.lane(Side::Learner).borrow().as_ref().map(|up| up.number);
        if let Some(number) = number {
            self.shared.down(Side::Learner, number, why);
        }
    }

    fn end_following(&mut self, why: &str) {
        self.following = None;
        let number = self.shared.lane(Side::Leader).borrow().as_ref().map(|up| up.number);
        if let Some(number) = number {
            self.shared.down(Side::Leader, number, why);
        }
    }

    /// What the link is about has changed.
    fn settle(&self) {
        let resting = match (&self.following, self.serving) {
            (Some(_), _) => LinkState::Dialling,
            (None, Some(_)) => LinkState::Waiting,
            (None, None) => LinkState::Idle,
        };
        self.shared.resting.set(resting);
        self.shared.link.rest(self.shared.state());
    }
}

impl Service for DataLink {}

impl Serve<LookAt> for DataLink {
    fn serve(&mut self, LookAt(addresses): LookAt, _: &mut Ctx<'_, Self>) {
        self.shared.link.look_at(addresses);
    }
}

impl Serve<Open> for DataLink {
    fn serve(&mut self, Open { role }: Open, _: &mut Ctx<'_, Self>) {
        let known = self.shut.max(self.following.as_ref().map(|(role, _)| *role));
        if known.is_some_and(|known| role <= known) {
            return;
        }
        self.end_following("it is followed anew");
        self.follow(role, Duration::ZERO);
        self.settle();
    }
}

impl Serve<Shut> for DataLink {
    fn serve(&mut self, Shut { upto_role }: Shut, _: &mut Ctx<'_, Self>) {
        self.shut = self.shut.max(Some(upto_role));
        if self.following.as_ref().is_some_and(|(role, _)| *role <= upto_role) {
            self.end_following("it is followed no longer");
            self.settle();
        }
    }
}

impl Serve<HangUp> for DataLink {
    fn serve(&mut self, HangUp { lane }: HangUp, _: &mut Ctx<'_, Self>) {
        if let Some((side, _)) = self.shared.find(lane) {
            self.close(side, lane, "this server hangs up");
        }
    }
}

impl Serve<letters::Serve> for DataLink {
    fn serve(&mut self, letters::Serve { role }: letters::Serve, _: &mut Ctx<'_, Self>) {
        if self.serving != role {
            self.close_learner("this server does not lead any longer as it did");
            self.serving = role;
            self.settle();
        }
    }
}

impl Serve<Accepted> for DataLink {
    fn serve(&mut self, letter: Accepted, _: &mut Ctx<'_, Self>) {
        let (peer, address) = (letter.hello.from, letter.address);
        let Some(role) = self.serving else {
            tracing::debug!("server {peer} dials from {address}, but this server does not lead: closed");
            return;
        };
        match self.shared.link.take(letter) {
            Ok(greeted) if self.shared.learner_lane.borrow().is_some() => self.shared.newer.put(greeted),
            Ok(greeted) => {
                self.end_learner();
                let up = self.shared.up(Side::Learner, role, &greeted);
                let shared = Rc::clone(&self.shared);
                self.learner = Some(Task::start(async move { shared.take_turns(up, greeted).await }));
            }
            Err(why) => self.shared.link.complain(&why),
        }
    }
}

impl Serve<letters::Send> for DataLink {
    fn serve(&mut self, letters::Send { lane, items }: letters::Send, _: &mut Ctx<'_, Self>) {
        let Some((side, queue)) = self.shared.find(lane) else { return };
        if let Err(error) = items.into_iter().try_for_each(|item| queue.push(item)) {
            if let Unsendable::Unwritable(_) = error {
                tracing::error!("data lane {lane} with server {}: {error}", self.shared.link.peer.id);
            }
            self.close(side, lane, &error.to_string());
        }
    }
}

impl Shared {
    fn lane(&self, side: Side) -> &RefCell<Option<Up>> {
        match side {
            Side::Leader => &self.leader_lane,
            Side::Learner => &self.learner_lane,
        }
    }

    /// The lane of this number, if it is up.
    fn find(&self, number: u64) -> Option<(Side, Rc<Queue>)> {
        [Side::Leader, Side::Learner].into_iter().find_map(|side| {
            let lane = self.lane(side).borrow();
            lane.as_ref().filter(|up| up.number == number).map(|up| (side, Rc::clone(&up.queue)))
        })
    }

    fn state(&self) -> LinkState {
        let is_up = self.leader_lane.borrow().is_some() || self.learner_lane.borrow().is_some();
        if is_up { LinkState::Up } else { self.resting.get() }
    }

    fn up(&self, side: Side, role: u64, greeted: &Greeted) -> Up {
        let number = self.made.fetch_add(1, Relaxed) + 1;
        let writer = self.link.writer(greeted.speaking);
        let queue = Queue::new(writer, self.queue_bytes, Arc::clone(&self.link.peer.status));
        let up = Up { number, role, queue: Rc::new(queue) };
        self.lane(side).replace(Some(up.clone()));
        self.sides.up(side, role, number, greeted.speaking);
        self.link.on_up(number, greeted);
        up
    }

    /// Without effect if it is down already.
    fn down(&self, side: Side, number: u64, why: &str) {
        let up = self.lane(side).borrow_mut().take_if(|up| up.number == number);
        let Some(up) = up else { return };
        self.sides.down(side, up.role, number, why.to_owned());
        self.link.on_down(number, why, self.state());
    }

    /// Carries the learner's lane, which is up, and after it each newer one.
    async fn take_turns(&self, mut up: Up, mut greeted: Greeted) {
        let role = up.role;
        loop {
            let (number, mut newer) = (up.number, pin!(self.newer.answered()));
            greeted = tokio::select! {
                () = self.carry(Side::Learner, up, greeted) => newer.await,
                next = &mut newer => {
                    self.down(Side::Learner, number, "a newer connection replaces it");
                    next
                }
            };
            up = self.up(Side::Learner, role, &greeted);
        }
    }

    /// Until the lane is down.
    async fn carry(&self, side: Side, Up { number, queue, .. }: Up, greeted: Greeted) {
        let Greeted { stream, frames, first, .. } = greeted;
        let (from, mut to) = stream.into_split();
        let rooms = Rooms::new(self.read_ahead_bytes);
        let count = |count| self.link.on_read(count);
        let each = async |frame, length| {
            let room = rooms.take(length).await;
            self.sides.packet(side, number, frame, room)
        };
        let write = async {
            match to.write_all(&first).await {
                Ok(()) => outgoing::write(to, &queue).await,
                Err(error) => format!("it cannot be written to: {error}"),
            }
        };
        let why = tokio::select! {
            why = lane::read(from, frames, None, count, each) => why,
            why = write => why,
        };
        self.down(side, number, &why);
    }
}
