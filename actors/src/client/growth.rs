//! What is refused while the member's memory is tight: requests that grow the tree or the watch tables.
//!
//! The code is -127, THROTTLEDOP: zookeeper.h says of it "throttled and not executed at all, please
//! retry", which is exactly so, and Java's client since 3.6, kazoo and the C client know it. (-119, which
//! a full disk gives, tells a client to look for another server, and is wrong for a read; -125 tells it
//! that its own quota is full.) It is given on the spot, in the session's order, without a zxid.
//!
//! Only setWatches cannot be refused so: clients do not look at its error, and would wait for ever for
//! events that nobody sends. As many watches as there were when memory became tight, or as fit into 5 % of
//! the limit, may be registered again, so clients that reconnect go on, to a node that is tight from its
//! start as well; one that brings more is closed and tries again elsewhere.

use paddock_messages::client::request::{Read, ReadOp, Request, Write, WriteOp};

use super::core::ArbiterCore;

/// What becomes of a request for which there is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// It is answered with an error.
    Refused,
    /// Its connection is closed.
    Closes,
}

impl ArbiterCore {
    /// Whether there is no memory for a request.
    pub(super) fn over_memory(&self, request: &Request) -> Option<Excess> {
        if !self.entrance.gates().memory.is_tight() {
            return None;
        }
        self.excess(request)
    }

    fn excess(&self, request: &Request) -> Option<Excess> {
        let grows = match request {
            Request::Write(Write::One(op)) => self.op_grows(op),
            Request::Write(Write::Multi(ops)) => ops.iter().any(|op| self.op_grows(op)),
            Request::Read(Read::Exists(of) | Read::GetChildren2(of)) => of.watch,
            Request::Read(Read::One(ReadOp::GetData(of) | ReadOp::GetChildren(of))) => of.watch,
            Request::Read(Read::AddWatch(_)) => true,
            Request::Read(Read::SetWatches(standard, more)) => {
                let mut count = standard.data.len() + standard.exist.len() + standard.child.len();
                count += more.as_ref().map_or(0, |it| it.persistent.len() + it.persistent_recursive.len());
                return self.brings_more(count).then_some(Excess::Closes);
            }
            _ => false,
        };
        grows.then_some(Excess::Refused)
    }

    fn op_grows(&self, op: &WriteOp) -> bool {
        match op {
            WriteOp::Create(..) => true,
            WriteOp::SetData(of) => {
                let length = of.data.as_ref().map_or(0, |data| data.len());
                // A write still under way may change what is there: then this is judged by a moment ago.
                let tree = self.tree.read();
                tree.node(&of.path).is_some_and(|node| length > node.data().map_or(0, <[u8]>::len))
            }
            WriteOp::Delete(_) | WriteOp::Check(_) => false,
        }
    }

    /// Whether `count` further watches are more than there were when memory became tight.
    fn brings_more(&self, count: usize) -> bool {
        let own = usize::from(self.arbiter);
        let others = self.tree.feeds().iter().enumerate().filter(|(at, _)| *at != own);
        let others: usize = others.map(|(_, feed)| feed.watches()).sum();
        others + self.watches.len() + count > self.entrance.gates().memory.watches()
    }
}
