//! The actor of one client arbiter: takes new connections, ticks, passes on what clients asked.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use paddock_messages::ids::{ClientRef, ConnId};
use paddock_messages::letters::{Silent, Submissions, Touched};
use paddock_messages::mail::{Outbox, Refused};
use paddock_messages::roles::Over;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;

use super::connection;
use super::core::{ArbiterCore, Notice, Serving};
use super::fan_out::{MANY, SharedSocket};
use super::parking::Parking;
use super::remarks::{Line, Remarks, Whom};
use super::{Entrance, Settings, Throttler};
use crate::admin::metrics::{Meters, Reason};
use crate::auth::AuthRules;
use crate::runtime::{Clock, Ctx, ExitCode, Fatal, Inbox, Serve, Service};
use crate::tree::SharedTree;
use crate::watch::WatchDispatcher;

/// Mail to a hub: a socket that was accepted for it.
#[derive(Debug)]
pub struct NewClient {
    /// Not yet with any runtime.
    pub stream: TcpStream,
    /// From where.
    pub peer: SocketAddr,
    /// Its place among the descriptors there are for clients, held as long as its socket.
    pub place: OwnedSemaphorePermit,
}

/// Mail from a hub: a client sent a four-letter word; a [`WordAnswer`] is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordAsked {
    /// Who.
    pub client: ClientRef,
    /// What.
    pub word: [u8; 4],
    /// The number behind `stmk`.
    pub mask: Option<i64>,
}

/// Mail to a hub: send this and close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordAnswer {
    /// Who asked.
    pub conn: ConnId,
    /// The whole answer.
    pub text: Bytes,
}

/// Mail to a hub, from whoever decides about the member or asks for an operator.
pub enum Control {
    /// The member's role has this generation from now on: what clients asked in an older one and is not on its
    /// way yet is dropped.
    Begin(u64),
    /// Whom to serve from now on.
    Serve(Serving),
    /// Until when pings may be answered, in ms.
    Vouch {
        /// By the monotonic clock.
        until_ms: u64,
    },
    /// The leader is lost, or there is none yet: connections that can are parked, the others closed.
    Park,
    /// Close every connection.
    CloseAll,
    /// Look at the core on its own thread, and post what was found to whoever wants it.
    Ask(Box<dyn FnOnce(&mut ArbiterCore) + Send>),
}

/// What a hub is made from.
#[derive(Debug)]
pub struct HubSetup {
    /// Which arbiter: the number of its feed.
    pub arbiter: u16,
    /// Limits.
    pub settings: Arc<Settings>,
    /// ACLs.
    pub rules: Arc<AuthRules>,
    /// The tree and its feeds.
    pub tree: Arc<SharedTree>,
    /// Shared by all hubs of the member.
    pub entrance: Arc<Entrance>,
    /// The member's Learner.
    pub learner: Outbox<Submissions>,
    /// The member's SessionTracker.
    pub sessions: Outbox<Touched>,
    /// The same, for sessions that are to end.
    pub over: Outbox<Over>,
    /// The member's.
    pub meters: Arc<Meters>,
    /// Who answers four-letter words; without one they are closed unanswered.
    pub words: Option<Outbox<WordAsked>>,
    /// The mailbox of the dispatcher beside the hub.
    pub dispatcher: Inbox<WatchDispatcher>,
    /// How often signs of life are told: several times a tick.
    pub touch_every: Duration,
    /// Drawn for each process: see [`ArbiterCore::number_from`].
    pub generation: u32,
}

/// What the hub, the dispatcher and the connections of one arbiter share, all on its one thread. The
/// core is borrowed for a step and never across an await.
pub(crate) struct Shared {
    pub(super) core: RefCell<ArbiterCore>,
    places: RefCell<Vec<Option<Place>>>, // by slot
    woken: RefCell<Vec<ConnId>>,
    submitted: Notify,
    pub(super) many_told: Notify,
    is_flush_due: Cell<bool>,
    /// What clients ask is asked in it.
    role: Cell<u64>,
    clock: Arc<dyn Clock>,
    fatal: Fatal,
    meters: Arc<Meters>,
    arbiter: u16,
    learner: Outbox<Submissions>,
    words: Option<Outbox<WordAsked>>,
    remarks: RefCell<Remarks>,
}

/// What the shell keeps of a connection.
struct Place {
    generation: u32,
    /// Of its task, once that has begun.
    waker: Option<Waker>,
    socket: Option<SharedSocket>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client arbiter {}", self.arbiter)
    }
}

/// Sessions that one log line names.
const LISTED: usize = 8;

/// A step of the core that panics is half done, in a socket's task as well: other clients' watches and
/// replies may be lost, so the process ends.
pub(super) struct EndsOnPanic<'a>(&'a Fatal);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(ExitCode::Panic, "a client arbiter's core panicked");
        }
    }
}

impl Shared {
    /// Lets the core do one thing, and does what comes of it.
    pub(crate) fn step<R>(&self, run: impl FnOnce(&mut ArbiterCore, u64) -> R) -> R {
        let now_us = self.clock.now_us();
        let now_ms = now_us / 1_000;
        let _unfinished = self.unfinished();
        let mut core = self.core.borrow_mut();
        core.at_us(now_us);
        let result = run(&mut core, now_ms);
        let mut woken = self.woken.take();
        core.take_woken(&mut woken);
        if core.told() < MANY {
            core.take_told(MANY, &mut woken);
        } else {
            self.many_told.notify_one();
        }
        let notices = core.take_notices();
        if core.has_submissions() && !self.is_flush_due.replace(true) {
            self.submitted.notify_one();
        }
        drop(core);
        for conn in woken.drain(..) {
            self.wake(conn);
        }
        self.woken.replace(woken);
        notices.into_iter().for_each(|notice| self.perform(notice, now_ms));
        result
    }

    /// To be held while what must not be left half done is done.
    pub(super) fn unfinished(&self) -> EndsOnPanic<'_> {
        EndsOnPanic(&self.fatal)
    }

    /// Tells the meters what was done since the last time, and the log what it is owed.
    fn meter(&self) {
        self.remarks.borrow_mut().due(self.clock.now_ms()).iter().for_each(tell);
        self.meters.absorb(self.core.borrow_mut().tally());
    }

    /// Looks at the core.
    pub(super) fn look<R>(&self, look: impl FnOnce(&ArbiterCore) -> R) -> R {
        look(&self.core.borrow())
    }

    /// Lets `conn`'s task be woken when its state changes.
    pub(super) fn register(&self, conn: ConnId, waker: &Waker) {
        self.place(conn, |place| match &mut place.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        });
    }

    /// Does it to the connection's place, which is made if it is not there.
    fn place(&self, conn: ConnId, change: impl FnOnce(&mut Place)) {
        let mut places = self.places.borrow_mut();
        let at = conn.slot as usize;
        if places.len() <= at {
            places.resize_with(at + 1, || None);
        }
        match &mut places[at] {
            Some(place) if place.generation == conn.generation => change(place),
            other => {
                change(other.insert(Place { generation: conn.generation, waker: None, socket: None }));
            }
        }
    }

    /// The connection's socket, if it is a plain one.
    pub(super) fn socket(&self, conn: ConnId) -> Option<SharedSocket> {
        let places = self.places.borrow();
        let place = places.get(conn.slot as usize)?.as_ref()?;
        place.socket.clone().filter(|_| place.generation == conn.generation)
    }

    /// The connection's task has ended.
    pub(super) fn closed(&self, conn: ConnId) {
        self.tell_end(conn);
        self.step(|core, _| core.on_closed(conn));
        if let Some(place) = self.places.borrow_mut().get_mut(conn.slot as usize)
            && place.as_ref().is_some_and(|it| it.generation == conn.generation)
        {
            *place = None;
        }
    }

    /// For whoever looks at one client: at level debug only, with what there was of it.
    fn tell_end(&self, conn: ConnId) {
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(it) = self.look(|core| core.connection(conn))
        {
            let session = it.session.map_or_else(|| "none".to_owned(), |session| session.to_string());
            let (received, sent) = (it.stats.received, it.stats.sent);
            tracing::debug!(session, received, sent, "client {} is gone", it.peer);
        }
    }

    pub(super) fn wake(&self, conn: ConnId) {
        if let Some(Some(Place { generation, waker: Some(waker), .. })) =
            self.places.borrow().get(conn.slot as usize)
            && *generation == conn.generation
        {
            waker.wake_by_ref();
        }
    }

    fn perform(&self, notice: Notice, now_ms: u64) {
        match notice {
            Notice::FourLetter { conn, word, mask } => {
                let client = ClientRef { arbiter: self.arbiter, conn };
                let asked = self.words.as_ref().map(|to| to.post(WordAsked { client, word, mask }));
                if !matches!(asked, Some(Ok(()))) {
                    self.step(|core, _| core.leave_word(conn)); // nobody there, or too many ask
                }
            }
            Notice::Remark(whom, remark) => {
                let line = self.remarks.borrow_mut().say(whom, remark, now_ms);
                line.iter().for_each(tell);
            }
        }
    }

    /// Posts what clients asked, all of it at once, behind whatever connection has work now: one batch
    /// an arbiter's turn, not one a socket.
    async fn flush(self: Rc<Self>) {
        loop {
            self.submitted.notified().await;
            self.is_flush_due.set(false);
            let batch = self.core.borrow_mut().take_submissions();
            if !batch.is_empty()
                && self.learner.post(Submissions { role: self.role.get(), items: batch }).is_err()
            {
                return self.fatal.end(ExitCode::Unexpected, "a client arbiter cannot post to its Learner");
            }
        }
    }
}

/// See the module.
pub struct ClientHub {
    pub(super) shared: Rc<Shared>,
    sessions: Outbox<Touched>,
    over: Outbox<Over>,
    touch_every: Duration,
    /// How often connections that are held back look again (C13), if any may be.
    stall_time: Option<Duration>,
    park_ms: u64,
    /// Not taken by the tracker yet.
    untold: Option<Touched>,
    dispatcher: Option<Inbox<WatchDispatcher>>,
    tasks: Vec<JoinHandle<()>>,
}

impl ClientHub {
    /// To be called on the arbiter's own thread.
    pub fn new(setup: HubSetup, clock: Arc<dyn Clock>, fatal: Fatal) -> Self {
        let HubSetup { arbiter, settings, rules, tree, entrance, learner, .. } = setup;
        let park_ms = settings.park_ms;
        let Throttler { max_requests, stall_ms, .. } = settings.throttler;
        let stall_time = (max_requests > 0).then(|| Duration::from_millis(stall_ms.max(1)));
        let shared = Shared {
            core: RefCell::new(
                ArbiterCore::new(arbiter, settings, rules, tree, entrance).number_from(setup.generation),
            ),
            places: RefCell::default(),
            woken: RefCell::default(),
            submitted: Notify::new(),
            many_told: Notify::new(),
            is_flush_due: Cell::new(false),
            role: Cell::new(0),
            clock,
            fatal,
            meters: setup.meters,
            arbiter,
            learner,
            words: setup.words,
            remarks: RefCell::default(),
        };
        let dispatcher = Some(setup.dispatcher);
        let (sessions, over, touch_every) = (setup.sessions, setup.over, setup.touch_every);
        let (untold, tasks) = (None, Vec::new());
        let shared = Rc::new(shared);
        Self { shared, sessions, over, touch_every, stall_time, park_ms, untold, dispatcher, tasks }
    }

    /// Serves one connection over any stream, until it is closed; `None` if it is refused, which is
    /// remarked. `place` is kept as long.
    pub fn connect<S, P>(&self, stream: S, peer: SocketAddr, place: P) -> Option<ConnId>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        P: 'static,
    {
        let stream = Rc::new(RefCell::new(stream));
        self.connect_shared(&stream, peer, place)
    }

    fn connect_shared<S, P>(&self, stream: &Rc<RefCell<S>>, peer: SocketAddr, place: P) -> Option<ConnId>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        P: 'static,
    {
        let conn = self.shared.step(|core, now_ms| core.on_accept(peer, now_ms)).ok()?;
        tracing::debug!("client {peer} has come");
        let run = connection::run(Rc::clone(stream), conn, Rc::clone(&self.shared));
        actix_rt::spawn(async move {
            run.await;
            drop(place);
        });
        Some(conn)
    }

    /// The leader is lost; time is up for whom the next one does not come in time.
    fn park(&mut self, ctx: &mut Ctx<'_, Self>) {
        let Parking { parked, closed } = self.shared.step(ArbiterCore::park);
        if parked + closed > 0 {
            let within_ms = self.park_ms;
            tracing::info!(
                parked,
                closed,
                within_ms,
                "the leader is lost: clients wait for the next one (parkTime)"
            );
        }
        if self.park_ms > 0 {
            // Whoever comes meanwhile waits, too (C16).
            ctx.after(Duration::from_millis(self.park_ms + 1), |hub, _| {
                let closed = hub.shared.step(ArbiterCore::on_park_over);
                if closed > 0 {
                    tracing::warn!(closed, "clients waited for a leader in vain: closed (parkTime)");
                }
            });
        }
    }

    /// What was touched goes to the tracker; what it does not take now goes with the next.
    fn tick(&mut self) {
        let mut touched = self.shared.step(ArbiterCore::on_tick);
        self.shared.meter();
        if let Some(mut earlier) = self.untold.take() {
            earlier.sessions.append(&mut touched.sessions);
            touched.sessions = earlier.sessions;
        }
        if let Err(Refused::Full(touched)) = self.sessions.post(touched) {
            self.untold = Some(touched);
        }
    }
}

/// One line of the log.
pub(super) fn tell(line: &Line) {
    let Line { whom: Whom { peer, session }, remark, left_out } = line;
    tracing::info!(left_out, session = session.map(display), "client {peer} {remark}");
}

impl Service for ClientHub {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.start_here(WatchDispatcher::new(Rc::clone(&self.shared)));
        }
        self.tasks.push(ctx.spawn(Rc::clone(&self.shared).flush()));
        self.tasks.push(ctx.spawn(Rc::clone(&self.shared).fan_out()));
        ctx.every(self.touch_every, |hub, _| hub.tick());
        if let Some(stall_time) = self.stall_time {
            ctx.every(stall_time, |hub, _| hub.shared.step(ArbiterCore::on_stall_time));
        }
    }

    fn stopped(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Serve<NewClient> for ClientHub {
    fn serve(&mut self, NewClient { stream, peer, place }: NewClient, _: &mut Ctx<'_, Self>) {
        match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => {
                let stream = Rc::new(RefCell::new(stream));
                if let Some(conn) = self.connect_shared(&stream, peer, place) {
                    self.shared.place(conn, |it| it.socket = Some(stream));
                }
            }
            Err(error) => {
                self.shared.meters.refused.of(Reason::NotTaken).add(1);
                tracing::warn!("client {peer} was closed: its socket cannot be watched: {error}");
            }
        }
    }
}

impl Serve<WordAnswer> for ClientHub {
    fn serve(&mut self, answer: WordAnswer, _: &mut Ctx<'_, Self>) {
        self.shared.step(|core, _| core.answer_word(answer.conn, &answer.text));
    }
}

impl Serve<Silent> for ClientHub {
    fn serve(&mut self, Silent { role, sessions }: Silent, ctx: &mut Ctx<'_, Self>) {
        let expired = self.shared.step(|core, now_ms| core.on_expire(sessions, now_ms));
        if expired.is_empty() {
            return;
        }
        let first: Vec<_> = expired.iter().take(LISTED).map(|(session, _)| session).collect();
        tracing::info!(
            sessions = expired.len(),
            ?first,
            "silent for longer than their timeout: to be expired"
        );
        if self.over.post(Over { role, sessions: expired }).is_err() {
            ctx.fatal(ExitCode::ActorGone, "a client arbiter's Learner has ended");
        }
    }
}

impl Serve<Control> for ClientHub {
    fn serve(&mut self, control: Control, ctx: &mut Ctx<'_, Self>) {
        if matches!(control, Control::Ask(_)) {
            self.shared.meter(); // what is asked next may be the meters
        }
        match control {
            Control::Begin(role) => self.shared.role.set(role),
            Control::Park => return self.park(ctx),
            _ => {}
        }
        self.shared.step(|core, now_ms| match control {
            Control::Begin(_) => core.begin_role(),
            Control::Serve(whom) => core.serve(whom, now_ms),
            Control::Vouch { until_ms } => core.vouch(until_ms, now_ms),
            Control::CloseAll => core.close_all(),
            Control::Park => {} // above
            Control::Ask(ask) => ask(core),
        });
    }
}
