//! A network of its own for an ensemble: each member in a network namespace, on one bridge, with an address; what
//! is sent from one to another can be dropped without a word, and a member's line be slow.
//!
//! The bridge is in a namespace too, and whoever talks to the members is there: see [`Network::inside`]. The
//! machine's own network is never touched. Dropping a [`Network`] removes its namespaces; those that a killed
//! test left are removed by the next.
//!
//! For tests alone: once there is a network, what cannot be done with it is a panic.

mod commands;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::ensemble::Id;
use commands::{remove_leftovers, run, run_with, within};

/// Before the process id in the names of all namespaces.
const NAMES: &str = "paddock-";
/// Where members of the ensemble connect: for data, and for votes.
const PEER_PORTS: [(Lane, u16); 2] = [(Lane::Quorum, 2888), (Lane::Election, 3888)];
/// The table that says what is dropped.
const TABLE: &str = "inet paddock";

/// Whom packets come from, or go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A member.
    Member(Id),
    /// All that is [`Network::inside`].
    Clients,
}

/// Which packets between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Every one.
    All,
    /// Those of connections to the port for data.
    Quorum,
    /// Those of connections to the port for votes.
    Election,
}

/// What is dropped on its way, silently: nobody is told that a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The sender.
    pub from: End,
    /// The receiver, before which it is lost.
    pub to: End,
    /// Of what is sent.
    pub lane: Lane,
}

/// One network; dropping it removes it.
#[derive(Debug)]
pub struct Network {
    /// Of the bridge's namespace, and the beginning of those of the members.
    name: String,
    members: Vec<Id>,
    blocks: BTreeSet<Block>,
    slow: BTreeSet<Id>,
    dropped: u64,
}

impl Network {
    /// One for members with these ids, from 1 to at most 250.
    ///
    /// # Errors
    /// Why there can be none here: no rights, or a program is missing.
    pub fn new(members: Vec<Id>) -> Result<Self, String> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        remove_leftovers(NAMES);
        let name = format!("{NAMES}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let (blocks, slow) = (BTreeSet::new(), BTreeSet::new());
        let network = Self { name, members, blocks, slow, dropped: 0 }; // from here on its drop cleans up
        run(&format!("ip netns add {}", network.name))?;
        run_with(&within(&network.name), &["nft", "list", "ruleset"], "")?;
        network.build().unwrap_or_else(|error| panic!("{error}"));
        Ok(network)
    }

    fn build(&self) -> Result<(), String> {
        let hub = self.name.as_str();
        run(&format!("ip -n {hub} link set lo up"))?;
        run(&format!("ip -n {hub} link add bridge type bridge"))?;
        run(&format!("ip -n {hub} address add {}/24 dev bridge", address_of(End::Clients)))?;
        run(&format!("ip -n {hub} link set bridge up"))?;
        self.set_rules(End::Clients)?;
        for id in &self.members {
            let (member, address) = (self.namespace(End::Member(*id)), self.address(*id));
            run(&format!("ip netns add {member}"))?;
            run(&format!("ip -n {member} link set lo up"))?;
            run(&format!("ip -n {hub} link add member{id} type veth peer name eth0 netns {member}"))?;
            run(&format!("ip -n {hub} link set member{id} master bridge up"))?;
            run(&format!("ip -n {member} address add {address}/24 dev eth0"))?;
            run(&format!("ip -n {member} link set eth0 up"))?;
            self.set_rules(End::Member(*id))?;
        }
        Ok(())
    }

    /// Does something on a thread that reaches the members, as do all that it starts.
    pub fn inside<T: Send>(self, act: impl FnOnce(&mut Self) -> T + Send) -> T {
        let mut network = self;
        std::thread::scope(|scope| {
            let acting = scope.spawn(|| {
                let hub = File::open(format!("/run/netns/{}", network.name)).expect("it was made");
                move_into_link_name_space(hub.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("whoever makes a namespace may enter it");
                act(&mut network)
            });
            acting.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// A member's address.
    pub fn address(&self, id: Id) -> Ipv4Addr {
        address_of(End::Member(id))
    }

    /// What a member's process is to be started under; it ends up as the process itself.
    pub fn prefix(&self, id: Id) -> Vec<OsString> {
        within(&self.namespace(End::Member(id))).map(OsString::from).to_vec()
    }

    /// Drops these from now on, and nothing else.
    pub fn block(&mut self, blocks: impl IntoIterator<Item = Block>) {
        let before = std::mem::replace(&mut self.blocks, blocks.into_iter().collect());
        let changed: BTreeSet<_> = before.symmetric_difference(&self.blocks).map(|block| block.to).collect();
        for to in changed {
            self.dropped += self.dropped_before(to);
            self.set_rules(to).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// A member's line takes so much, in kbit/s, from the member to all others; `None` as much as there is.
    pub fn slow(&mut self, id: Id, kbit: Option<u32>) {
        let member = self.namespace(End::Member(id));
        let was = if kbit.is_some() { !self.slow.insert(id) } else { self.slow.remove(&id) };
        let on = |what: &str| format!("tc -n {member} qdisc {what} dev eth0 root");
        let command = match kbit {
            Some(kbit) => format!("{} tbf rate {kbit}kbit burst 4kb latency 500ms", on("replace")),
            None if was => on("del"),
            None => return,
        };
        run(&command).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Drops nothing any more, and nothing is slow.
    pub fn heal(&mut self) {
        self.block([]);
        self.slow.clone().into_iter().for_each(|id| self.slow(id, None));
    }

    /// Packets that were dropped by blocks which have ended.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn namespace(&self, end: End) -> String {
        match end {
            End::Member(id) => format!("{}-{id}", self.name),
            End::Clients => self.name.clone(),
        }
    }

    fn set_rules(&self, to: End) -> Result<(), String> {
        let rules = rules(to, &self.blocks);
        run_with(&within(&self.namespace(to)), &["nft", "-f", "-"], &rules).map(drop)
    }

    fn dropped_before(&self, to: End) -> u64 {
        let listed = run_with(&within(&self.namespace(to)), &["nft", "list", "table", "inet", "paddock"], "");
        packets(&listed.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let members = self.members.iter().map(|id| End::Member(*id));
        for end in members.chain([End::Clients]) {
            let _ = run(&format!("ip netns del {}", self.namespace(end))); // perhaps it was never made
        }
    }
}

fn address_of(end: End) -> Ipv4Addr {
    let last = match end {
        End::Member(id) => u8::try_from(id).expect("a small id"),
        End::Clients => 254,
    };
    Ipv4Addr::new(10, 77, 0, last)
}

/// The table of the one that receives, in the place of the one it had.
fn rules(to: End, blocks: &BTreeSet<Block>) -> String {
    let mut rules = format!("table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\nchain receive {{\n");
    rules.push_str("type filter hook input priority 0; policy accept;\n");
    for block in blocks.iter().filter(|block| block.to == to) {
        let from = format!("ip saddr {}", address_of(block.from));
        match PEER_PORTS.iter().find(|(lane, _)| *lane == block.lane) {
            None => writeln!(rules, "{from} counter drop"),
            Some((_, port)) => {
                writeln!(rules, "{from} tcp dport {port} counter drop\n{from} tcp sport {port} counter drop")
            }
        }
        .expect("a String takes everything");
    }
    rules + "}\n}\n"
}

/// The sum of all counters of a listed table.
fn packets(listed: &str) -> u64 {
    let counts = listed.split("counter packets ").skip(1).filter_map(|rest| rest.split(' ').next());
    counts.map(|count| count.parse::<u64>().expect("a count is a number")).sum()
}

#[cfg(test)]
mod tests;
