//! What clients do: they connect to members that serve, ask, ping, fall silent, and hear.

use paddock_actors::tree::feed::FeedItem;
use paddock_messages::ids::ServerId;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::world::{Event, Member, World};

impl World {
    /// What a member has for its clients.
    pub(super) fn answer(&mut self, id: ServerId, items: Vec<FeedItem>) {
        let now_ms = self.now_us / 1_000;
        for item in items {
            let truth = &mut self.truth.borrow_mut();
            for person in self.people.iter_mut().filter(|it| it.at() == Some(id)) {
                if person.receive(&item, now_ms, truth, &mut self.met) {
                    break;
                }
            }
        }
    }

    fn ping(&mut self, at: usize) {
        let now_ms = self.now_us / 1_000;
        let Some(member) = self.people[at].at() else { return };
        let Some(session) = self.people[at].ping(now_ms) else { return };
        let (life, timeout_ms) = (self.members[&member].life, self.people[at].timeout_ms);
        let mut answered = false;
        self.with(member, life, |node| answered = node.ping(session, timeout_ms));
        self.met.count(if answered { "pings answered" } else { "pings not answered" });
        if answered {
            self.people[at].pinged(now_ms);
        }
    }

    pub(super) fn client(&mut self, at: usize) {
        if let Some(us) = self.people[at].at().and_then(|member| self.frozen(member)) {
            return self.at(us, Event::Client(at)); // what it has sent is read then, before or after all else
        }
        let next = if self.healing { 5..80 } else { 10..400 };
        let next = self.rng.random_range(next);
        self.at(next * 1_000, Event::Client(at));
        let (now_ms, floor) = (self.now_us / 1_000, self.truth.borrow().acked());
        if self.quiet || self.people[at].silent_until_ms > now_ms {
            return;
        }
        if self.rng.random_bool(0.01) && !self.healing {
            // Often it comes back about when its session's time is up.
            let late = self.people[at].timeout_ms + self.rng.random_range(0..3_000);
            let any = self.rng.random_range(1_000..20_000);
            let silent = if self.rng.random_bool(0.7) { late } else { any };
            self.people[at].silent_until_ms = now_ms + silent;
            self.met.count("silences");
            return;
        }
        self.ping(at);
        if self.people[at].gives_up(now_ms) || self.rng.random_bool(0.005) {
            self.people[at].disconnected();
        }
        let (member, items) = match self.people[at].at() {
            Some(member) => {
                let Self { people, rng, .. } = self;
                (member, people[at].ask(floor, now_ms, rng))
            }
            None => {
                let seen = self.people[at].seen;
                let serving = |(id, member): (&ServerId, &Member)| {
                    let node = member.node.as_ref()?;
                    let serves = node.is_serving() && node.tree.read().last_zxid() >= seen;
                    serves.then_some(*id)
                };
                let serving: Vec<ServerId> = self.members.iter().filter_map(serving).collect();
                let Some(&member) = serving.choose(&mut self.rng) else { return };
                (member, vec![self.people[at].connect(member, now_ms)])
            }
        };
        if !items.is_empty() {
            let life = self.members[&member].life;
            self.with(member, life, |node| node.submit(items));
        }
    }
}
