//! The ctl link's actor: votes and heartbeats of two members, for as long as both live.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::frame::{Frame, FrameWriter, Kind, Lane, can_say};
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::{Heartbeat, Notification};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::letters::{
    Accepted, CtlDown, CtlUp, HeardConfiguration, HeardHeartbeat, HeardNotification, LookAt,
    SendConfiguration, SendHeartbeat, SendNotification,
};
use super::link::{Greeted, Link, Newer, Peer, Task};
use super::sides::told;
use super::status::LinkState;
use super::{dial, lane};
use crate::membership::Told;
use crate::runtime::{Clock, Ctx, Serve, Service};

/// To whoever watches over the members.
#[derive(Clone, Debug)]
pub struct CtlOutboxes {
    /// The peer is connected.
    pub up: Outbox<CtlUp>,
    /// And is no longer.
    pub down: Outbox<CtlDown>,
    /// An entrance: over its bound they are dropped.
    pub notification: Outbox<HeardNotification>,
    /// An entrance: over its bound they are dropped.
    pub heartbeat: Outbox<HeardHeartbeat>,
    /// An entrance: over its bound they are dropped.
    pub configuration: Outbox<HeardConfiguration>,
}

/// What a ctl link is made from.
#[derive(Clone, Debug)]
pub struct CtlSetup {
    /// Whom it leads to, by its election ports.
    pub peer: Peer,
    /// A lane on which nothing comes for so long is closed: `peerTimeout`.
    pub silence: Duration,
    /// Who hears of it.
    pub to: CtlOutboxes,
}

/// See the module above.
pub struct CtlLink {
    shared: Rc<Shared>,
    task: Option<Task>,
}

/// What the actor and the task of its lane share, on their one thread.
struct Shared {
    link: Link,
    /// Nothing for so long ends a lane.
    silence: Duration,
    to: CtlOutboxes,
    slots: Slots,
    newer: Newer,
    /// Lanes there were.
    made: Cell<u64>,
    /// The one that is up.
    current: Cell<Option<u64>>,
}

/// What waits to be sent: of each kind the newest.
#[derive(Default)]
struct Slots {
    /// The word that names an heir, which the vote behind it must not overtake (EL11).
    farewell: Cell<Option<Notification>>,
    notification: Cell<Option<Notification>>,
    heartbeat: Cell<Option<Heartbeat>>,
    configuration: Cell<Option<Told>>,
    ready: Notify,
}

impl CtlLink {
    /// To be called on the thread it will run on.
    pub fn new(setup: CtlSetup, clock: Arc<dyn Clock>) -> Self {
        let CtlSetup { peer, silence, to } = setup;
        let link = Link::new(peer, Lane::Ctl, (Some(silence), silence), clock);
        let (slots, newer, made, current) = Default::default();
        Self { shared: Rc::new(Shared { link, silence, to, slots, newer, made, current }), task: None }
    }
}

impl Service for CtlLink {
    fn started(&mut self, _: &mut Ctx<'_, Self>) {
        self.begin();
    }
}

/// Where the peer is may change, and with that who dials: once no lane is up.
impl Serve<LookAt> for CtlLink {
    fn serve(&mut self, LookAt(addresses): LookAt, _: &mut Ctx<'_, Self>) {
        let dialled = self.shared.is_dialler();
        self.shared.link.look_at(addresses);
        if dialled != self.shared.is_dialler() && self.shared.current.get().is_none() {
            self.task = None;
            self.shared.newer.clear();
            self.begin();
        }
    }
}

impl CtlLink {
    /// Without a lane.
    fn begin(&mut self) {
        self.shared.link.rest(self.shared.resting());
        let shared = Rc::clone(&self.shared);
        self.task = Some(Task::start(async move {
            if !shared.is_dialler() {
                let greeted = shared.ask().await;
                shared.take_turns(shared.up(&greeted), greeted).await;
            }
            shared.dial(Duration::ZERO).await;
        }));
    }
}

impl Serve<Accepted> for CtlLink {
    fn serve(&mut self, letter: Accepted, _: &mut Ctx<'_, Self>) {
        let greeted = match self.shared.link.take(letter) {
            Ok(greeted) => greeted,
            Err(why) => return self.shared.link.complain(&why),
        };
        let dials = self.shared.is_dialler();
        if self.shared.current.get().is_some() {
            // One that we dial asks only where its end of the lane is gone: ours ends by silence.
            return if dials { drop(greeted) } else { self.shared.newer.put(greeted) };
        }
        self.task = None;
        self.shared.newer.clear();
        let number = self.shared.up(&greeted);
        let shared = Rc::clone(&self.shared);
        self.task = Some(Task::start(async move {
            if dials {
                shared.carry(number, greeted).await; // it may be elsewhere than we look for it (PL8)
            } else {
                shared.take_turns(number, greeted).await;
            }
            shared.dial(dial::SHORTEST_PAUSE).await;
        }));
    }
}

impl Serve<SendNotification> for CtlLink {
    fn serve(&mut self, letter: SendNotification, _: &mut Ctx<'_, Self>) {
        let SendNotification(next) = letter;
        let waiting = self.shared.slots.notification.replace(Some(next));
        let is_new = self.shared.current.get().is_some() && !next.names_an_heir();
        if let Some(farewell) = waiting.filter(|it| is_new && it.names_an_heir()) {
            self.shared.slots.farewell.set(Some(farewell));
        }
        self.shared.slots.ready.notify_one();
    }
}

impl Serve<SendHeartbeat> for CtlLink {
    fn serve(&mut self, letter: SendHeartbeat, _: &mut Ctx<'_, Self>) {
        if self.shared.current.get().is_some() {
            self.shared.slots.heartbeat.set(Some(letter.0));
            self.shared.slots.ready.notify_one();
        }
    }
}

impl Serve<SendConfiguration> for CtlLink {
    fn serve(&mut self, letter: SendConfiguration, _: &mut Ctx<'_, Self>) {
        if self.shared.current.get().is_some() {
            self.shared.slots.configuration.set(Some(letter.0));
            self.shared.slots.ready.notify_one();
        }
    }
}

impl Shared {
    fn is_dialler(&self) -> bool {
        self.link.peer.identity.lock().me > self.link.peer.id && self.link.has_address()
    }

    /// A lane that the peer, who is to dial, does not open.
    async fn ask(&self) -> Greeted {
        dial::ask(&self.link, self.silence).await
    }

    /// What the link is about while no lane is up.
    fn resting(&self) -> LinkState {
        if self.is_dialler() { LinkState::Dialling } else { LinkState::Waiting }
    }

    fn up(&self, greeted: &Greeted) -> u64 {
        let number = self.made.get() + 1;
        self.made.set(number);
        self.current.set(Some(number));
        told(&self.to.up.post(CtlUp(self.link.peer.id)));
        self.link.on_up(number, greeted);
        number
    }

    fn down(&self, number: u64, why: &str) {
        if self.current.get() == Some(number) {
            self.current.set(None);
            self.slots.farewell.set(None);
            self.slots.heartbeat.set(None);
            self.slots.configuration.set(None);
            told(&self.to.down.post(CtlDown(self.link.peer.id)));
            self.link.on_down(number, why, self.resting());
        }
    }

    /// Dials from now on, and carries each lane.
    async fn dial(&self, wait: Duration) {
        let carry = async |greeted| self.carry(self.up(&greeted), greeted).await;
        dial::keep(&self.link, wait, carry).await;
    }

    /// Carries the lane, which is up, and after it each newer one, until it is for us to dial.
    async fn take_turns(&self, mut number: u64, mut greeted: Greeted) {
        loop {
            let mut newer = pin!(self.newer.answered());
            greeted = tokio::select! {
                () = self.carry(number, greeted) => {
                    if self.is_dialler() {
                        return;
                    }
                    tokio::select! {
                        next = &mut newer => next,
                        next = self.ask() => next,
                    }
                }
                next = &mut newer => {
                    self.down(number, "a newer connection replaces it");
                    next
                }
            };
            number = self.up(&greeted);
        }
    }

    /// Until the lane is down.
    async fn carry(&self, number: u64, greeted: Greeted) {
        let Greeted { stream, frames, speaking, first, .. } = greeted;
        let (from, to) = stream.into_split();
        let count = |count| self.link.on_read(count);
        let each = async |frame, _| self.hear(frame);
        let why = tokio::select! {
            why = lane::read(from, frames, self.link.silence, count, each) => why,
            why = self.write(to, (self.link.writer(speaking), speaking), first) => why,
        };
        self.down(number, &why);
    }

    /// Passes on what the peer says, or drops it: never waits.
    fn hear(&self, frame: Frame) -> Result<(), String> {
        let from = self.link.peer.id;
        let is_taken = match frame {
            Frame::Notification(notification) => {
                self.to.notification.post(HeardNotification { from, notification }).is_ok()
            }
            Frame::Heartbeat(heartbeat) => self.to.heartbeat.post(HeardHeartbeat { from, heartbeat }).is_ok(),
            Frame::Configuration(configuration) => {
                let told = Told::read(&configuration).ok_or("a configuration that is none")?;
                self.to.configuration.post(HeardConfiguration { from, told }).is_ok()
            }
            other => return Err(format!("{:?} does not belong there", other.kind())),
        };
        if !is_taken {
            tracing::debug!("server {from} says more than is heard"); // the meters count them
        }
        Ok(())
    }

    /// Writes the newest of each kind; tells why it ends.
    async fn write<W: AsyncWrite + Unpin>(
        &self,
        mut to: W,
        (writer, speaking): (FrameWriter, u8),
        mut buffer: Vec<u8>,
    ) -> String {
        loop {
            let farewell = self.slots.farewell.take().map(Frame::Notification);
            let notification = self.slots.notification.take().map(Frame::Notification);
            let heartbeat = self.slots.heartbeat.take().map(Frame::Heartbeat);
            let told = self.slots.configuration.take().filter(|_| can_say(Kind::Configuration, speaking));
            let configuration = told.map(|told| Frame::Configuration(told.write()));
            for frame in [farewell, notification, heartbeat, configuration].iter().flatten() {
                if let Err(error) = writer.write(frame, &mut buffer) {
                    return format!("a packet cannot be written: {error}");
                }
            }
            if buffer.is_empty() {
                self.slots.ready.notified().await;
                continue;
            }
            let written = async { to.write_all(&buffer).await.and(to.flush().await) };
            if let Err(error) = written.await {
                return format!("it cannot be written to: {error}");
            }
            self.link.peer.status.lock().bytes_sent += buffer.len() as u64;
            buffer.clear();
        }
    }
}
