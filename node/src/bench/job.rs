//! What all threads of one measurement share.

use std::sync::Arc;

use std::net::SocketAddr;

use super::requests::{Request, Verb, Znode};
use super::window::{Clock, Window};
use crate::args::{Bench, BenchOp};

/// See the module.
pub(super) struct Job {
    pub(super) args: Bench,
    /// Of each server, in the order in which they were named; never empty.
    pub(super) addresses: Vec<SocketAddr>,
    /// The znode that the server named for us.
    pub(super) root: String,
    pub(super) clock: Clock,
    pub(super) window: Arc<Window>,
}

impl Job {
    /// The znode of one client.
    pub(super) fn directory(&self, client: u32) -> String {
        format!("{}/c{client:05}", self.root)
    }

    /// Where one client connects: they are dealt out to the servers in turn.
    pub(super) fn address(&self, client: u32) -> SocketAddr {
        self.addresses[client as usize % self.addresses.len()]
    }

    /// How many requests a client may send.
    pub(super) fn share(&self, client: u32) -> u64 {
        match (self.args.requests, self.args.op) {
            (Some(all), _) => share(all, client, self.args.clients),
            (None, BenchOp::Create) => u64::from(u32::MAX), // there are no more names
            (None, _) => u64::MAX,
        }
    }

    /// The znodes that the load deletes or creates, before it begins.
    pub(super) fn made_before(&self, client: u32) -> u32 {
        if self.args.op == BenchOp::Delete { self.share(client).try_into().unwrap_or(u32::MAX) } else { 0 }
    }

    /// What a client makes before the load.
    pub(super) fn set_up(&self, client: u32) -> impl Iterator<Item = Request> + use<> {
        let all = self.znodes(self.made_before(client));
        [Znode::Directory].into_iter().chain(all).map(|znode| Request::new(Verb::Create, znode))
    }

    /// What is to be removed after it, `fresh` znodes having been asked for at most.
    pub(super) fn tear_down(&self, fresh: u32) -> impl Iterator<Item = Request> + use<> {
        let all = self.znodes(fresh).chain([Znode::Directory]);
        all.map(|znode| Request::new(Verb::Remove, znode))
    }

    fn znodes(&self, fresh: u32) -> impl Iterator<Item = Znode> + use<> {
        (0..self.args.znodes).map(Znode::Fixed).chain((0..fresh).map(Znode::Fresh))
    }
}

fn share(all: u64, client: u32, clients: u32) -> u64 {
    let (client, clients) = (u64::from(client), u64::from(clients));
    all / clients + u64::from(client < all % clients)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    #[test]
    fn clients_are_dealt_out_to_the_servers() {
        let Command::Bench(args) = Arguments::parse_from(["paddock", "bench"]).command else {
            panic!("bench was asked for")
        };
        let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))).to_vec();
        let (root, clock, window) = ("/r".to_owned(), Clock::new(), Arc::new(Window::new()));
        let job = Job { args, addresses, root, clock, window };
        let ports: Vec<_> = (0..7).map(|client| job.address(client).port()).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn shares_add_up() {
        for (all, clients) in [(1, 1), (1, 3), (10, 3), (1_000_003, 16)] {
            assert_eq!((0..clients).map(|client| share(all, client, clients)).sum::<u64>(), all);
        }
        assert_eq!([share(10, 0, 3), share(10, 1, 3), share(10, 2, 3)], [4, 3, 3]);
    }
}
