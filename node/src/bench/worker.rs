//! A thread with its share of the clients, each a task.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, interval_at};

use super::fault::Fault;
use super::job::Job;
use super::link::{Link, Next, Work};
use super::load::{Load, LoadOptions, Sweep};
use super::replies::Replies;
use super::requests::{Request, Requests};
use super::tally::Tally;

/// Requests in flight while znodes are made or removed.
pub(super) const SWEEP_WINDOW: usize = 256;
/// Connections that a thread makes at a time: a server's backlog may be short.
const CONNECTING: usize = 32;
/// How often a thread tells what it has counted.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a thread tells.
pub(super) enum Event {
    /// One of its clients is set up.
    Ready,
    /// What has been counted since it told the last time.
    Counted(Box<Tally>),
    /// What was left of that at its end.
    Rest(Box<Tally>),
    /// A client is through: it has asked for so many fresh znodes, and ended well or not.
    Ended { client: u32, fresh: u32, fault: Option<Fault> },
}

/// Starts the thread with that number; its clients begin when `go` turns true.
pub(super) fn start(
    job: Arc<Job>,
    number: u32,
    events: UnboundedSender<Event>,
    go: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let name = format!("bench-{number}");
    Builder::new().name(name).spawn(move || LocalSet::new().block_on(&runtime, work(job, number, events, go)))
}

async fn work(job: Arc<Job>, number: u32, events: UnboundedSender<Event>, go: watch::Receiver<bool>) {
    let tally = Rc::new(RefCell::new(Tally::new()));
    let doors = Rc::new(Semaphore::new(CONNECTING));
    let mine = (number..job.args.clients).step_by(job.args.threads as usize);
    let tasks: Vec<_> = mine
        .map(|client| {
            let (tally, doors) = (Rc::clone(&tally), Rc::clone(&doors));
            let member =
                Client { job: Arc::clone(&job), client, tally, doors, events: events.clone(), fresh: 0 };
            spawn_local(member.live(go.clone()))
        })
        .collect();
    let teller = spawn_local(tell(Rc::clone(&tally), events.clone(), go));
    for task in tasks {
        // A panic is seen by who joins the thread.
        task.await.expect("a client's task is never aborted");
    }
    teller.abort();
    let _ = events.send(Event::Rest(Box::new(tally.borrow_mut().take())));
}

async fn tell(tally: Rc<RefCell<Tally>>, events: UnboundedSender<Event>, mut go: watch::Receiver<bool>) {
    if go.wait_for(|go| *go).await.is_err() {
        return;
    }
    let mut times = interval_at(Instant::now() + TELL_EVERY, TELL_EVERY);
    loop {
        times.tick().await;
        let counted = tally.borrow_mut().take();
        if events.send(Event::Counted(Box::new(counted))).is_err() {
            return;
        }
    }
}

struct Client {
    job: Arc<Job>,
    client: u32,
    tally: Rc<RefCell<Tally>>,
    doors: Rc<Semaphore>,
    events: UnboundedSender<Event>,
    fresh: u32,
}

impl Client {
    async fn live(mut self, go: watch::Receiver<bool>) {
        let fault = self.try_live(go).await.err();
        // Nobody listens only if the main thread is gone, and the process with it.
        let _ = self.events.send(Event::Ended { client: self.client, fresh: self.fresh, fault });
    }

    async fn try_live(&mut self, mut go: watch::Receiver<bool>) -> Result<(), Fault> {
        let job = Arc::clone(&self.job);
        let mut link = {
            let _door = self.doors.acquire().await.expect("it is never closed");
            Link::open(job.address(self.client), job.clock).await?
        };
        let requests = Requests::new(job.directory(self.client), job.args.value_size as usize);
        let mut replies = Replies::new(job.args.znodes);
        self.fresh = job.made_before(self.client);
        let mut set_up = Sweep::new(job.set_up(self.client), Arc::clone(&job.window));
        link.run(&requests, &mut replies, &mut set_up, SWEEP_WINDOW).await?;
        let _ = self.events.send(Event::Ready);
        let mut hold = Hold;
        tokio::select! {
            fault = link.run(&requests, &mut replies, &mut hold, 1) => return fault,
            _ = go.wait_for(|go| *go) => {}
        }
        let mut load = Load::new(&self.options(), Arc::clone(&job.window), Rc::clone(&self.tally));
        let ran = link.run(&requests, &mut replies, &mut load, job.args.pipeline as usize).await;
        self.fresh = self.fresh.max(load.fresh());
        ran?;
        link.close().await
    }

    fn options(&self) -> LoadOptions {
        let args = &self.job.args;
        LoadOptions {
            op: args.op,
            read_percent: args.read_percent,
            znodes: args.znodes,
            rate: args.rate,
            client: (self.client, args.clients),
            requests: self.job.share(self.client),
        }
    }
}

/// Nothing to send, for as long as others are not ready; the session is kept alive.
struct Hold;

impl Work for Hold {
    fn next(&mut self, _now: u64) -> Next {
        Next::Wait(u64::MAX)
    }

    fn answered(&mut self, _request: Request, _since: u64, _now: u64) {}
}
