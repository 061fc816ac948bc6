//! Tables: what happens, and what the member does then.
//!
//! A vote is `leader@epoch.counter`. What happens is one of
//! - `look 1.5`, `look` without a vote; `settle following 3@1.5`; `leave`, `leave for good`, `leave to 2`, `leave for good to 2`
//! - `up 2 3`, `down 2`: links
//! - `at 220`: it is so many ms; every other event happens at the same time as the one before
//! - `2: looking 7 3@1.5`: a notification from 2, with its round; `-` is no vote
//!
//! and what is done is `looking 7 3@1.5 to 2 3`, `decided 3@1.5`, with `; ` between.

mod historic;
mod leaving;
mod runs;
mod table;
mod world;

use paddock_config::Members;
use paddock_messages::zxid::{Epoch, Zxid};

use super::*;

pub(super) fn vote(leader: u64, epoch: u32, counter: u32) -> Vote {
    Vote { peer_epoch: Epoch(epoch), zxid: Zxid::new(Epoch(epoch), counter), leader: ServerId(leader) }
}

/// `servers` members, of which those in `observers` have no vote, with these groups and weights.
fn members(servers: u64, observers: &[u64], more: &str) -> paddock_config::Quorum {
    let role = |id| if observers.contains(&id) { "observer" } else { "participant" };
    let line = |id| format!("server.{id}=host{id}:2888:3888:{}\n", role(id));
    let text: String = (1..=servers).map(line).collect();
    Members::read(&(text + more)).unwrap().quorum()
}

struct Table {
    me: ServerId,
    election: Election<paddock_config::Quorum>,
    now_ms: u64,
}

impl Table {
    fn of(me: u64, quorum: paddock_config::Quorum) -> Self {
        Self { me: ServerId(me), election: Election::new(ServerId(me), quorum), now_ms: 0 }
    }

    fn step(&mut self, what: &str) -> String {
        let mut out = Vec::new();
        let (first, rest) = what.split_once(' ').unwrap_or((what, ""));
        let election = &mut self.election;
        match first {
            "look" => {
                let own = read_vote(&format!("{}@{rest}", self.me)).filter(|_| !rest.is_empty());
                election.look(own, self.now_ms, &mut out);
            }
            "settle" => {
                let (state, vote) = rest.split_once(' ').unwrap();
                election.settle(read_state(state), read_vote(vote).unwrap(), &mut out);
            }
            "leave" => {
                let (for_good, heir) =
                    rest.strip_prefix("for good").map_or((false, rest), |rest| (true, rest.trim_start()));
                let heir = heir.strip_prefix("to ").map(|heir| ServerId(heir.parse().unwrap()));
                election.leave(for_good, heir, &mut out);
            }
            "up" | "down" => {
                for peer in rest.split(' ') {
                    election.on_link(ServerId(peer.parse().unwrap()), first == "up", self.now_ms, &mut out);
                }
            }
            "at" => {
                self.now_ms = rest.parse().unwrap();
                election.on_time(self.now_ms, &mut out);
            }
            from => {
                let from = ServerId(from.trim_end_matches(':').parse().unwrap());
                let said: Vec<&str> = rest.split(' ').collect();
                let [state, round, vote] = said[..] else { panic!("{what}") };
                let (state, round, vote) = (read_state(state), round.parse().unwrap(), read_vote(vote));
                let heard = Notification { state, vote, round, memory: Memory::Whole };
                election.on_notification(from, heard, self.now_ms, &mut out);
            }
        }
        election.check();
        text(&out)
    }

    fn check(&mut self, steps: &[(&str, &str)]) {
        for (at, (what, expected)) in steps.iter().enumerate() {
            assert_eq!(self.step(what), *expected, "step {}: {what}", at + 1);
        }
    }
}

/// The member `me` of so many voters.
fn check(me: u64, voters: u64, steps: &[(&str, &str)]) {
    Table::of(me, members(voters, &[], "")).check(steps);
}

fn read_state(text: &str) -> PeerState {
    match text {
        "looking" => PeerState::Looking,
        "following" => PeerState::Following,
        "leading" => PeerState::Leading,
        "observing" => PeerState::Observing,
        _ => panic!("{text}"),
    }
}

fn read_vote(text: &str) -> Option<Vote> {
    let (leader, txn) = text.split_once('@')?;
    let (epoch, counter) = txn.split_once('.')?;
    Some(vote(leader.parse().ok()?, epoch.parse().ok()?, counter.parse().ok()?))
}

fn vote_text(vote: &Vote) -> String {
    format!("{}@{}.{}", vote.leader, vote.peer_epoch, vote.zxid.counter())
}

fn said(notification: &Notification) -> String {
    let vote = notification.vote.as_ref().map_or("-".to_owned(), vote_text);
    format!("{:?} {} {vote}", notification.state, notification.round).to_lowercase()
}

/// What is told to several one after the other is one item.
fn text(out: &[Output]) -> String {
    let mut items: Vec<(String, String)> = Vec::new();
    for output in out {
        match output {
            Output::Decided(vote) => items.push((format!("decided {}", vote_text(vote)), String::new())),
            Output::Send { to, notification } => {
                let said = format!("{} to", said(notification));
                match items.last_mut() {
                    Some((last, others)) if *last == said => others.push_str(&format!(" {to}")),
                    _ => items.push((said, format!(" {to}"))),
                }
            }
        }
    }
    items.into_iter().map(|(what, to)| what + &to).collect::<Vec<_>>().join("; ")
}
