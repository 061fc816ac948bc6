//! The shell around every actor: meters, turns, timers, the panic rule (R1, R2, R3, R5).

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix::dev::channel::{AddressReceiver, channel};
use actix::fut::{ActorFuture, wrap_future};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Running};
use paddock_messages::mail::{Bound, Mail, Outbox};
use tokio::task::JoinHandle;

use super::arbiter::{NotStarted, Place};
use super::exit::ExitCode;
use super::registry::{Duty, Enrolment};
use super::timers::{Fired, TimerId, Timers};
use super::{Clock, Env};

/// Units of work (a letter is one, unless its handler says more: [`Ctx::spend`]) before an actor lets
/// its thread's other tasks run. Measured: costs 6 ns a letter; without it a flood stopped every timer
/// and socket of the thread for as long as it lasted.
pub const TURNS_PER_YIELD: u32 = 64;

/// An actor's thin shell around its core. Each method is one turn: it may not block or run long.
pub trait Service: Sized + Unpin + 'static {
    /// The mailbox is open: set timers, spawn tasks. Called once, before any letter.
    fn started(&mut self, _ctx: &mut Ctx<'_, Self>) {}

    /// Some letters were handled and, for now, no more are there (or enough were): flush what they
    /// left behind, once for all of them (R2). Also called after a timer's action.
    fn drained(&mut self, _ctx: &mut Ctx<'_, Self>) {}

    /// The actor ends in good order. Mail that is queued is dropped.
    fn stopped(&mut self) {}
}

/// Takes letters of type `M`.
pub trait Serve<M>: Service {
    /// Handles one letter, in the order each sender posted.
    fn serve(&mut self, letter: M, ctx: &mut Ctx<'_, Self>);
}

/// An actor's mailbox before the actor: outboxes to it can be given away first, so that actors may
/// know each other in circles.
#[derive(Debug)]
pub struct Inbox<S: Service> {
    receiver: Receiver<S>,
    enrolment: Enrolment,
    env: Env,
}

/// The mailbox, without bound: the meters bound it.
struct Receiver<S: Service>(AddressReceiver<Host<S>>);

impl<S: Service> std::fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

impl<S: Service> Inbox<S> {
    /// Opens a mailbox and enters the actor on the roll under `name`.
    pub fn new(name: &str, duty: Duty, env: &Env) -> Self {
        let (_, receiver) = channel(0);
        Self { receiver: Receiver(receiver), enrolment: env.registry.enter(name, duty), env: env.clone() }
    }

    /// An outbox for letters `M`. All of one type share one meter, so must name one bound.
    pub fn outbox<M: Send + 'static>(&self, bound: Bound) -> Outbox<M>
    where
        S: Serve<M>,
    {
        let meter = self.enrolment.meter::<M>(bound, &self.env.fatal);
        Outbox::to_actor(meter, Addr::new(self.receiver.0.sender()).recipient())
    }

    /// Starts the actor on this thread, which must run a local task set (every arbiter does). It lives
    /// until it stops itself, or until it has neither an outbox nor a timer left.
    pub fn start_here(self, service: S) {
        let shell = Shell {
            enrolment: Some(self.enrolment),
            env: self.env,
            timers: Timers::new(),
            waited: Duration::ZERO,
            spent: 0,
            undrained: false,
            leaving: false,
            broken: false,
        };
        Context::with_receiver(self.receiver.0).run(Host { service, shell });
    }

    /// Starts the actor that `make` makes, at `place`. Fails if that thread has ended; the actor then
    /// counts as gone.
    pub fn start(self, place: &Place, make: impl FnOnce() -> S + Send + 'static) -> Result<(), NotStarted> {
        match place {
            Place::Here => self.start_here(make()),
            Place::On(arbiter) => {
                let name = self.enrolment.name().to_owned();
                if !arbiter.spawn_fn(move || self.start_here(make())) {
                    return Err(NotStarted(name));
                }
            }
        }
        Ok(())
    }
}

/// The actix actor: a service and what surrounds it.
pub struct Host<S: Service> {
    service: S,
    shell: Shell<S>,
}

struct Shell<S: Service> {
    enrolment: Option<Enrolment>, // until it leaves
    env: Env,
    timers: Timers<S>,
    waited: Duration, // the mail at hand, until it was opened
    spent: u32,       // units of work since the thread last went round
    undrained: bool,  // work was done since `drained`
    leaving: bool,
    broken: bool, // it panicked: none of its code may run any more
}

impl<S: Service> Shell<S> {
    fn enrolment(&self) -> &Enrolment {
        self.enrolment.as_ref().expect("kept until the actor has stopped")
    }
}

impl<S: Service> Host<S> {
    /// Lets the service do one thing, under the panic rule.
    fn turn(&mut self, doing: &str, actix: &mut Context<Self>, run: impl FnOnce(&mut S, &mut Ctx<'_, S>)) {
        let mut ctx = Ctx { actix, shell: &mut self.shell };
        let service = &mut self.service;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(service, &mut ctx))) {
            self.panicked(doing, panic);
        }
    }

    /// R3. In a node this does not return for a core actor; else the actor's task ends here.
    fn panicked(&mut self, doing: &str, panic: Box<dyn Any + Send>) -> ! {
        self.shell.broken = true;
        let enrolment = self.shell.enrolment();
        let reason = format!("{} panicked at {doing}: {}", enrolment.name(), panic_text(&*panic));
        match enrolment.duty() {
            Duty::Core | Duty::Disk => self.shell.env.fatal.end(ExitCode::Panic, &reason),
            Duty::Alone => tracing::error!("{reason}; this actor alone ends"),
        }
        resume_unwind(panic)
    }

    /// Counts the work of a turn; when there was enough, flushes and lets the thread go round (R1, R2).
    fn after_work(&mut self, actix: &mut Context<Self>) {
        self.shell.undrained = true;
        self.shell.spent = self.shell.spent.saturating_add(1);
        if self.shell.spent >= TURNS_PER_YIELD {
            self.drain(actix);
            actix.wait(wrap_future(tokio::task::yield_now()));
        }
    }

    fn drain(&mut self, actix: &mut Context<Self>) {
        self.shell.spent = 0;
        if std::mem::take(&mut self.shell.undrained) {
            self.turn("drained", actix, S::drained);
        }
    }
}

impl<S: Service> Actor for Host<S> {
    type Context = Context<Self>;

    fn started(&mut self, actix: &mut Context<Self>) {
        actix.spawn(AfterMail);
        self.turn("started", actix, S::started);
    }

    fn stopping(&mut self, actix: &mut Context<Self>) -> Running {
        if !self.shell.broken && !std::thread::panicking() {
            self.drain(actix);
        }
        Running::Stop
    }

    fn stopped(&mut self, actix: &mut Context<Self>) {
        if self.shell.broken || std::thread::panicking() {
            return; // its enrolment is dropped: gone
        }
        self.turn("stopped", actix, |service, _| service.stopped());
        let asked = self.shell.leaving || !actix.connected();
        if let Some(enrolment) = self.shell.enrolment.take()
            && asked
        {
            enrolment.leave(); // R5
        }
    }
}

/// Stands in the context behind the mailbox: actix polls it, at every wake, after the mail.
struct AfterMail;

impl<S: Service> ActorFuture<Host<S>> for AfterMail {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        host: &mut Host<S>,
        actix: &mut Context<Host<S>>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        host.drain(actix);
        // The last outbox and timer are gone: nothing can come any more, and actix ends the actor.
        if actix.connected() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl<S: Serve<M>, M: Send + 'static> Handler<Mail<M>> for Host<S> {
    type Result = ();

    fn handle(&mut self, mail: Mail<M>, actix: &mut Context<Self>) {
        let (letter, opened) = mail.open();
        self.shell.waited = opened.waited();
        self.turn(opened.meter().message(), actix, |service, ctx| service.serve(letter, ctx));
        drop(opened); // the handling ends here, not with the flush
        self.after_work(actix);
    }
}

impl<S: Service> Handler<Fired> for Host<S> {
    type Result = ();

    fn handle(&mut self, Fired(id): Fired, actix: &mut Context<Self>) {
        if let Some(mut action) = self.shell.timers.take(id) {
            self.turn("timer", actix, |service, ctx| action(service, ctx));
            self.shell.timers.put_back(id, action);
            self.after_work(actix);
        }
    }
}

/// What a service may ask of its surroundings during a turn.
pub struct Ctx<'a, S: Service> {
    actix: &'a mut Context<Host<S>>,
    shell: &'a mut Shell<S>,
}

impl<S: Service> Ctx<'_, S> {
    /// What the node's actors share.
    pub fn env(&self) -> &Env {
        &self.shell.env
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.shell.env.clock
    }

    /// How long the letter being handled lay in the mailbox, in µs. For the metrics only.
    pub fn waited_us(&self) -> u64 {
        self.shell.waited.as_micros() as u64
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        self.shell.enrolment().name()
    }

    /// Lets `action` run every `period` (above 0), first in one period from now. After a stall it runs
    /// once, not once for each period missed: read the clock, count nothing. Its turn comes behind
    /// mail already queued.
    pub fn every(
        &mut self,
        period: Duration,
        action: impl FnMut(&mut S, &mut Ctx<'_, S>) + 'static,
    ) -> TimerId {
        self.shell.timers.set(period, false, Box::new(action), self.actix.address())
    }

    /// Lets `action` run once, `delay` (above 0) from now, behind mail already queued then.
    pub fn after(
        &mut self,
        delay: Duration,
        action: impl FnOnce(&mut S, &mut Ctx<'_, S>) + 'static,
    ) -> TimerId {
        let mut action = Some(action);
        let run_once = move |service: &mut S, ctx: &mut Ctx<'_, S>| {
            if let Some(action) = action.take() {
                action(service, ctx);
            }
        };
        self.shell.timers.set(delay, true, Box::new(run_once), self.actix.address())
    }

    /// Unsets a timer: it never runs again, even if it is due.
    pub fn cancel(&mut self, timer: TimerId) {
        self.shell.timers.unset(timer);
    }

    /// Runs a task beside the actor, on its thread. It outlives the actor unless aborted, and a panic
    /// ends it alone; what it finds out it posts.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        actix_rt::spawn(task)
    }

    /// An outbox to this very actor, for its tasks; `bound` as everywhere for this type. While it is
    /// held the actor lives. Never for a loop: work that goes on is a timer's or a task's.
    pub fn outbox<M: Send + 'static>(&self, bound: Bound) -> Outbox<M>
    where
        S: Serve<M>,
    {
        let meter = self.shell.enrolment().meter::<M>(bound, &self.shell.env.fatal);
        Outbox::to_actor(meter, self.actix.address().recipient())
    }

    /// Says that this turn did `more` units of work than one (a batch of 200 requests: 199).
    pub fn spend(&mut self, more: u32) {
        self.shell.spent = self.shell.spent.saturating_add(more);
    }

    /// Ends the actor after this turn: `drained`, then `stopped`. Mail still queued is dropped, so
    /// whoever minds must have drained the senders by protocol.
    pub fn stop(&mut self) {
        self.shell.leaving = true;
        self.actix.stop();
    }

    /// Ends the process. Where that is only noted (tests), ends the actor without another turn.
    pub fn fatal(&mut self, code: ExitCode, reason: &str) {
        self.shell.env.fatal.end(code, reason);
        self.shell.broken = true;
        self.actix.stop();
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "(no text)",
    }
}

#[cfg(test)]
mod tests;
