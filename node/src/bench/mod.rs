//! `paddock bench`: loads any ZooKeeper server and says how many requests a second it answers, and how
//! soon. What it measures is only worth as much as what it checks, so it checks every reply.
//!
//! All happens below one znode that the server numbers, so that two measurements never meet, and that
//! is removed again.
//! - BN3  Whatever ends a measurement — its time, an interrupt, a wrong reply — no znode that it made
//!   stays, unless the server cannot be reached any more, which is said; and no other is touched.

mod fault;
mod job;
mod link;
mod load;
mod replies;
#[cfg(test)]
mod replies_tests;
mod report;
mod requests;
mod tally;
#[cfg(test)]
mod tests;
mod timer;
mod window;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{Create, PathVersion};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::{Acl, AclEntry, CreateMode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::args::{Bench, BenchOp};
use crate::limits;
use fault::Fault;
use job::Job;
use link::Link;
use load::Sweep;
use replies::Replies;
use report::{Report, progress};
use requests::Requests;
use tally::Tally;
use window::{Clock, Window};
use worker::{Event, SWEEP_WINDOW};

/// Measures, prints the result to stdout and progress to stderr. Exit codes: see `args`.
pub(crate) fn run(args: &Bench) -> ExitCode {
    if args.op == BenchOp::Delete && args.requests.is_none() {
        eprintln!("--op delete needs --requests: so many znodes are created first");
        return ExitCode::from(2);
    }
    limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime.map_err(Fault::Local).and_then(|runtime| runtime.block_on(measure(args)));
    let measured =
        measured.unwrap_or_else(|fault| Measured { faults: vec![fault.to_string()], ..Measured::default() });
    measured.print(args)
}

/// What came of it.
#[derive(Default)]
struct Measured {
    /// None if the load never began.
    counted: Option<(Tally, f64)>,
    interrupted: bool,
    faults: Vec<String>,
}

impl Measured {
    fn print(&self, args: &Bench) -> ExitCode {
        let nothing = (Tally::new(), 0.0);
        let (tally, seconds) = self.counted.as_ref().unwrap_or(&nothing);
        let report =
            Report { args, tally, seconds: *seconds, interrupted: self.interrupted, faults: &self.faults };
        if args.json {
            println!("{}", report.json());
        } else if self.counted.is_some() {
            print!("{}", report.text());
        }
        for fault in &self.faults {
            eprintln!("{}: {fault}", args.server);
        }
        if self.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

async fn measure(args: &Bench) -> Result<Measured, Fault> {
    let mut signals = Signals::new()?;
    let clock = Clock::new();
    let (addresses, link) = tokio::select! {
        all = connect_to_all(&args.server, clock) => all?,
        () = signals.recv() => return Err(Fault::Interrupted), // nothing is made yet
    };
    let made = make_root(link, &args.path).await;
    let root = made.map_err(|fault| Fault::Root(args.path.clone(), Box::new(fault)))?;
    let window = Arc::new(Window::new());
    let job = Arc::new(Job { args: args.clone(), addresses, root, clock, window });
    let mut conductor = Conductor::new(Arc::clone(&job));
    conductor.conduct(&mut signals).await;
    let removed = tokio::select! {
        removed = remove(&job, &conductor.fresh) => removed,
        () = signals.recv() => Err(Fault::Interrupted),
    };
    if let Err(fault) = removed {
        conductor.faults.push(Fault::LeftBehind(job.root.clone(), Box::new(fault)).to_string());
    }
    Ok(conductor.measured())
}

/// SIGINT and SIGTERM.
struct Signals(Signal, Signal);

impl Signals {
    fn new() -> Result<Self, Fault> {
        let listen = |kind| signal(kind).map_err(Fault::Local);
        Ok(Self(listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?))
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// An address of each of these servers, all of which must serve, and a link to the first.
async fn connect_to_all(servers: &str, clock: Clock) -> Result<(Vec<SocketAddr>, Link), Fault> {
    let mut servers = servers.split(',');
    let (address, first) = connect(servers.next().expect("a text has a first part"), clock).await?;
    let mut addresses = vec![address];
    for server in servers {
        let (address, link) = connect(server, clock).await?;
        link.close().await?;
        addresses.push(address);
    }
    Ok((addresses, first))
}

/// The first of the name's addresses that serves: `localhost` may have two, and a server one of them.
async fn connect(server: &str, clock: Clock) -> Result<(SocketAddr, Link), Fault> {
    let mut fault = Fault::Resolve(io::ErrorKind::NotFound.into());
    for address in tokio::net::lookup_host(server).await.map_err(Fault::Resolve)? {
        match Link::open(address, clock).await {
            Ok(link) => return Ok((address, link)),
            Err(failed) => fault = failed,
        }
    }
    Err(fault)
}

/// Creates the znode that all others are below; the server completes its name.
async fn make_root(mut link: Link, path: &str) -> Result<String, Fault> {
    let acl = Some(Acl::open().iter().map(AclEntry::from).collect());
    let flags = CreateMode::PersistentSequential as i32;
    let create = Create { path: path.into(), data: Some(Bytes::new()), acl, flags };
    let mut made = link.call(OpCode::Create, |to| create.write(to)).await?.map_err(refused)?;
    let root = ByteString::read(&mut made).map_err(|error| Fault::Refused(error.to_string()))?;
    link.close().await?;
    Ok(root.to_string())
}

fn refused(code: i32) -> Fault {
    Fault::Refused(ErrorCode::from_code(code).map_or(format!("error {code}"), |code| code.to_string()))
}

/// Removes all that may have been made, on a new connection: BN3.
async fn remove(job: &Job, fresh: &[u32]) -> Result<(), Fault> {
    let many: u64 = fresh.iter().map(|fresh| u64::from(*fresh) + u64::from(job.args.znodes)).sum();
    if many > 100_000 {
        eprintln!("removing up to {many} znodes below {} (interrupt again to leave them)", job.root);
    }
    let mut link = Link::open(job.addresses[0], job.clock).await?;
    for (client, fresh) in (0..).zip(fresh) {
        let requests = Requests::new(job.directory(client), 0);
        let mut sweep = Sweep::new(job.tear_down(*fresh), Arc::new(Window::new()));
        link.run(&requests, &mut Replies::new(0), &mut sweep, SWEEP_WINDOW).await?;
    }
    let root = PathVersion { path: job.root.as_str().into(), version: -1 };
    match link.call(OpCode::Delete, |to| root.write(to)).await? {
        Ok(_) => link.close().await,
        Err(code) if code == ErrorCode::NotEmpty.code() => Err(Fault::Foreign),
        Err(code) => Err(refused(code)),
    }
}

/// Leads the threads from set-up to end, and adds up what they count.
struct Conductor {
    job: Arc<Job>,
    total: Tally,
    /// Since progress was last told, and by how many threads.
    interval: Tally,
    heard: u32,
    told: u64,
    ready: u32,
    /// Of each client, how many fresh znodes there may be.
    fresh: Vec<u32>,
    begun: bool,
    interrupted: bool,
    faults: Vec<String>,
    go: watch::Sender<bool>,
}

impl Conductor {
    fn new(job: Arc<Job>) -> Self {
        let fresh = (0..job.args.clients).map(|client| job.made_before(client)).collect();
        Self {
            job,
            total: Tally::new(),
            interval: Tally::new(),
            heard: 0,
            told: 0,
            ready: 0,
            fresh,
            begun: false,
            interrupted: false,
            faults: Vec::new(),
            go: watch::Sender::new(false),
        }
    }

    async fn conduct(&mut self, signals: &mut Signals) {
        let (sender, mut events) = unbounded_channel();
        let threads: Result<Vec<_>, _> = (0..self.job.args.threads)
            .map(|number| worker::start(Arc::clone(&self.job), number, sender.clone(), self.go.subscribe()))
            .collect();
        drop(sender);
        match threads {
            Ok(threads) => {
                self.listen(&mut events, signals).await;
                self.join(threads);
            }
            Err(error) => {
                self.fail(&Fault::Local(error));
                self.listen(&mut events, signals).await; // those that did start
            }
        }
    }

    /// Until all threads are through.
    async fn listen(&mut self, events: &mut UnboundedReceiver<Event>, signals: &mut Signals) {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => return,
                },
                () = signals.recv() => {
                    self.interrupted = true;
                    self.end();
                }
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Ready => {
                self.ready += 1;
                if self.ready == self.job.args.clients && !self.interrupted && self.faults.is_empty() {
                    self.begin();
                }
            }
            Event::Counted(tally) => self.on_counted(&tally),
            Event::Rest(tally) => self.total.add(&tally),
            Event::Ended { client, fresh, fault } => {
                self.fresh[client as usize] = fresh;
                if let Some(fault) = fault {
                    self.fail(&fault);
                }
            }
        }
    }

    fn begin(&mut self) {
        let (args, now) = (&self.job.args, self.job.clock.now());
        let (from, until) = match args.requests {
            Some(_) => (now, u64::MAX),
            None => {
                let from = now + (args.warmup * 1e9) as u64;
                (from, from + (args.seconds * 1e9) as u64)
            }
        };
        self.job.window.begin(now, from, until);
        (self.begun, self.told) = (true, now);
        self.go.send_replace(true);
    }

    fn end(&mut self) {
        self.job.window.close(self.job.clock.now());
        self.go.send_replace(true);
    }

    /// The first thing that goes wrong ends all; what follows from it is not told.
    fn fail(&mut self, fault: &Fault) {
        self.end();
        if self.faults.is_empty() {
            self.faults.push(fault.to_string());
        }
    }

    fn on_counted(&mut self, tally: &Tally) {
        self.total.add(tally);
        self.interval.add(tally);
        self.heard += 1;
        let now = self.job.clock.now();
        if self.heard == self.job.args.threads && self.job.window.is_open(now) {
            let (at, interval) = (now - self.job.window.begun(), now - self.told);
            eprintln!("{}", progress(at as f64 / 1e9, interval as f64 / 1e9, &self.interval.take()));
            (self.heard, self.told) = (0, now);
        }
    }

    fn join(&mut self, threads: Vec<JoinHandle<()>>) {
        for thread in threads {
            if thread.join().is_err() {
                self.fail(&Fault::Panicked);
            }
        }
    }

    fn measured(self) -> Measured {
        let seconds = self.job.window.length(self.total.last) as f64 / 1e9;
        let counted = self.begun.then_some((self.total, seconds));
        Measured { counted, interrupted: self.interrupted, faults: self.faults }
    }
}
