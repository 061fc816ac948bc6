//! What a client sends: znodes before and after, and the load between.
//! - BN2  In an open loop a latency counts from the time at which the request was to be sent, so that a
//!   server that stalls is not asked less and judged by less.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::link::{Next, Work};
use super::requests::{Request, Verb, Znode};
use super::tally::Tally;
use super::window::Window;
use crate::args::BenchOp;

/// A fixed list of requests, as fast as they are answered.
pub(super) struct Sweep<I> {
    list: I,
    window: Arc<Window>,
}

impl<I: Iterator<Item = Request>> Sweep<I> {
    /// Ends early when the window is closed.
    pub(super) fn new(list: I, window: Arc<Window>) -> Self {
        Self { list, window }
    }
}

impl<I: Iterator<Item = Request>> Work for Sweep<I> {
    fn next(&mut self, now: u64) -> Next {
        let request = if self.window.is_open(now) { self.list.next() } else { None };
        request.map_or(Next::End, |request| Next::Send(request, now))
    }

    fn answered(&mut self, _request: Request, _since: u64, _now: u64) {}
}

/// When an open loop sends: evenly, the clients in turn.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begun: u64,
    /// Between two requests of this client, in ns.
    step: f64,
    /// Of the first request, in ns.
    offset: f64,
    sent: u64,
}

impl Schedule {
    fn next(&self) -> u64 {
        self.begun + (self.offset + self.step * self.sent as f64) as u64
    }

    /// Requests that were to be sent before `end` and were not.
    fn overdue(&self, end: u64) -> u64 {
        let planned = (end.saturating_sub(self.begun) as f64 - self.offset) / self.step;
        (planned.ceil().max(0.0) as u64).saturating_sub(self.sent)
    }
}

/// One client's share of the load.
pub(super) struct Load {
    op: BenchOp,
    read_percent: u64,
    znodes: u32,
    window: Arc<Window>,
    tally: Rc<RefCell<Tally>>,
    schedule: Option<Schedule>,
    /// Requests still to be sent.
    left: u64,
    sent: u64,
    draw: u64,
}

/// What [`Load::new`] takes.
pub(super) struct LoadOptions {
    pub(super) op: BenchOp,
    pub(super) read_percent: u8,
    pub(super) znodes: u32,
    /// Of all clients, a second.
    pub(super) rate: Option<f64>,
    /// The how manyth client, of how many.
    pub(super) client: (u32, u32),
    /// The most requests.
    pub(super) requests: u64,
}

impl Load {
    /// Begins when the window says so.
    pub(super) fn new(options: &LoadOptions, window: Arc<Window>, tally: Rc<RefCell<Tally>>) -> Self {
        let (client, clients) = options.client;
        let schedule = options.rate.map(|rate| {
            let every = 1e9 / rate;
            Schedule {
                begun: window.begun(),
                step: every * f64::from(clients),
                offset: every * f64::from(client),
                sent: 0,
            }
        });
        Self {
            op: options.op,
            read_percent: u64::from(options.read_percent),
            znodes: options.znodes,
            window,
            tally,
            schedule,
            left: options.requests,
            sent: 0,
            draw: u64::from(client) + 1,
        }
    }

    /// The fresh znodes that there may be now: those it asked for.
    pub(super) fn fresh(&self) -> u32 {
        if self.op == BenchOp::Create { self.sent.try_into().unwrap_or(u32::MAX) } else { 0 }
    }

    fn request(&mut self) -> Request {
        let fixed = Znode::Fixed((self.sent % u64::from(self.znodes)) as u32);
        let fresh = Znode::Fresh(self.sent as u32); // no share is larger, see `Job::share`
        match self.op {
            BenchOp::Set => Request::new(Verb::Set, fixed),
            BenchOp::Get => Request::new(Verb::Get, fixed),
            BenchOp::Exists => Request::new(Verb::Exists, fixed),
            BenchOp::Children => Request::new(Verb::Children, Znode::Directory),
            BenchOp::Create => Request::new(Verb::Create, fresh),
            BenchOp::Delete => Request::new(Verb::Delete, fresh),
            BenchOp::Mix => {
                let verb = if self.drawn() < self.read_percent { Verb::Get } else { Verb::Set };
                Request::new(verb, fixed)
            }
        }
    }

    /// 0 to 99, the same for each run. Source: Marsaglia, Xorshift RNGs (2003).
    fn drawn(&mut self) -> u64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        (self.draw >> 32) % 100
    }
}

impl Work for Load {
    fn next(&mut self, now: u64) -> Next {
        if self.left == 0 {
            return Next::End;
        }
        if !self.window.is_open(now) {
            self.left = 0;
            let end = self.window.end(now);
            self.tally.borrow_mut().unsent += self.schedule.map_or(0, |schedule| schedule.overdue(end));
            return Next::End;
        }
        let mut since = now;
        if let Some(schedule) = &mut self.schedule {
            since = schedule.next();
            if since > now {
                return Next::Wait(since);
            }
            schedule.sent += 1;
        }
        let request = self.request();
        self.left -= 1;
        self.sent += 1;
        Next::Send(request, since)
    }

    fn answered(&mut self, request: Request, since: u64, now: u64) {
        if self.window.counts(now) {
            self.tally.borrow_mut().record(request.verb.reads(), since, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(op: BenchOp, rate: Option<f64>, client: (u32, u32), requests: u64) -> Load {
        let window = Arc::new(Window::new());
        window.begin(1_000, 1_000, 11_000);
        let options = LoadOptions { op, read_percent: 70, znodes: 3, rate, client, requests };
        Load::new(&options, window, Rc::new(RefCell::new(Tally::new())))
    }

    #[test]
    fn bn2_an_open_loop_counts_from_the_intended_time() {
        // 1 M a second over 2 clients: this one is due at 1,000 (begun) + 1,000 (its turn), and each 2,000 ns.
        let mut load = load(BenchOp::Get, Some(1e6), (1, 2), u64::MAX);
        assert_eq!(load.next(1_000), Next::Wait(2_000));
        // The server let nothing through until 7,500: three are sent at once, each as old as it is.
        let since: Vec<_> = std::iter::from_fn(|| match load.next(7_500) {
            Next::Send(_, since) => Some(since),
            _ => None,
        })
        .collect();
        assert_eq!(since, [2_000, 4_000, 6_000]);
        assert_eq!(load.next(7_500), Next::Wait(8_000));
        load.answered(Request::new(Verb::Get, Znode::Fixed(0)), 2_000, 9_000);
        assert_eq!(load.tally.borrow().reads.max(), 7);
        // At the end, those of 8,000 and 10,000 were never sent.
        assert_eq!(load.next(19_000), Next::End); // it looks late
        assert_eq!(load.next(19_001), Next::End);
        assert_eq!(load.tally.borrow().unsent, 2);
    }

    #[test]
    fn a_closed_loop_sends_its_share_round_its_znodes() {
        let mut load = load(BenchOp::Set, None, (0, 1), 4);
        for key in [0, 1, 2, 0] {
            assert_eq!(load.next(5_000), Next::Send(Request::new(Verb::Set, Znode::Fixed(key)), 5_000));
        }
        assert_eq!((load.next(5_000), load.fresh()), (Next::End, 0));
    }

    #[test]
    fn a_mix_has_about_its_share_of_reads() {
        let mut load = load(BenchOp::Mix, None, (5, 6), u64::MAX);
        let reads = (0..10_000).filter(|_| load.request().verb == Verb::Get).count();
        assert!((6_800..7_200).contains(&reads), "{reads}");
    }

    #[test]
    fn a_sweep_ends_with_its_list_or_the_window() {
        let window = Arc::new(Window::new());
        let list = || (0..2).map(|key| Request::new(Verb::Create, Znode::Fixed(key)));
        let mut sweep = Sweep::new(list(), Arc::clone(&window));
        assert!(matches!((sweep.next(1), sweep.next(1)), (Next::Send(..), Next::Send(..))));
        assert_eq!(sweep.next(1), Next::End);
        window.close(1);
        assert_eq!(Sweep::new(list(), window).next(1), Next::End);
    }
}
