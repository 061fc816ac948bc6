//! What clients do: they connect to members that serve, ask, ping, fall silent, and hear.

use paddock_messages::ids::ServerId;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::clients::Person;
use super::world::{Event, Member, World};

impl World {
    /// Those who are connected to a member give what they have, and take what it has for them: mostly at once.
    /// Whether it has something more to do then.
    pub(super) fn attend(&mut self, id: ServerId) -> bool {
        let now_ms = self.now_us / 1_000;
        let Self { members, people, truth, ears, met, rng, setup, .. } = self;
        let Some(member) = members.get_mut(&id) else { return false };
        let (life, Some(node)) = (member.life, &mut member.node) else { return false };
        for person in people.iter_mut() {
            if person.at() != Some(id) {
                continue;
            }
            if let Some(parked) = person.give(node) {
                let with_read_between = u64::from(parked.with_read_between);
                met.count("connections that went on with the next leader");
                met.add("connections that went on with a read between writes", with_read_between);
            }
            let Some(link) = &mut person.link else { continue };
            let (conn, is_told) = (link.conn, node.has_unsent(link.conn));
            if is_told {
                let sent_ms = *link.answered_ms.get_or_insert(now_ms);
                if rng.random_bool(0.1) {
                    continue; // its socket is slow
                }
                link.answered_ms = None;
                let own = person.own_session();
                let bytes = node.take(conn);
                let with = (&mut *truth.borrow_mut(), &mut *ears, &mut *met);
                person.hear(bytes, (sent_ms, now_ms), with, (setup, rng));
                let now = (id, life, node.hub_of(conn).role);
                own.into_iter().for_each(|session| person.has_lost(session, now, ears));
            }
            person.look_at_reign(
                (id, life, node.hub_of(conn).role),
                node.is_over(conn),
                setup.settings.upgrades_local_sessions,
            );
            if !node.is_over(conn) {
                person.look_at_service(node.hub_of(conn));
            }
            if node.is_over(conn) && !node.has_unsent(conn) {
                node.hang_up(conn);
                person.disconnected();
            }
        }
        node.has_mail()
    }

    /// A client is not connected any more; its member mostly learns of it.
    fn disconnect(&mut self, at: usize) {
        let Some(link) = &self.people[at].link else { return };
        let (member, conn) = (link.member, link.conn);
        self.people[at].disconnected();
        if self.rng.random_bool(0.7) {
            let life = self.members[&member].life;
            self.with(member, life, |node| node.hang_up(conn));
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
        let is_local = self.people[at].client.session.as_ref().is_some_and(|session| session.is_local);
        let falls_silent = if is_local { 0.06 } else { 0.01 }; // most of those end with their member's role
        if self.rng.random_bool(falls_silent) && !self.healing {
            // Often it comes back about when its session's time is up.
            let late = self.people[at].timeout_ms() + self.rng.random_range(0..3_000);
            let any = self.rng.random_range(1_000..20_000);
            let silent = if self.rng.random_bool(0.7) { late } else { any };
            self.people[at].silent_until_ms = now_ms + silent;
            self.met.count("silences");
            return;
        }
        if self.leaves_to_read(at) || self.people[at].gives_up(now_ms) || self.rng.random_bool(0.005) {
            self.disconnect(at);
        }
        let Some(member) = self.people[at].at() else { return self.connect(at) };
        let Self { people, rng, truth, .. } = self;
        people[at].ask(floor, now_ms, rng);
        people[at].tell_wanted(&mut truth.borrow_mut());
        let life = self.members[&member].life;
        self.with(member, life, |_| {});
    }

    /// It dials a member: mostly one that serves, and has what it was told.
    fn connect(&mut self, at: usize) {
        let reads_at = self.reads_at(at);
        let seen = self.people[at].client.last_zxid;
        let now_us = self.now_us;
        let any = self.rng.random_bool(0.1);
        let may_serve = |(id, member): (&ServerId, &Member)| {
            let node = member.node.as_ref().filter(|_| member.frozen_us <= now_us)?;
            let serves = any || node.is_serving() && node.tree.read().last_zxid() >= seen;
            serves.then_some(*id)
        };
        let serving: Vec<ServerId> = self.members.iter().filter_map(may_serve).collect();
        let back =
            reads_at.or_else(|| self.goes_back(at, &serving)).or_else(|| self.goes_round(at, &serving));
        let Some(member) = back.or_else(|| serving.choose(&mut self.rng).copied()) else { return };
        let life = self.members[&member].life;
        let mut conn = None;
        self.with(member, life, |node| conn = Some(node.accept()));
        let Some(conn) = conn.filter(|_| self.members[&member].life == life) else { return };
        self.people[at].connect(member, conn, now_us / 1_000);
        self.with(member, life, |_| {});
    }

    /// EN7.
    pub(super) fn look_at_ended(&mut self) {
        let now_ms = self.now_us / 1_000;
        let ended = self.truth.borrow_mut().take_ended();
        for (session, by_servers) in ended {
            self.met.count(if by_servers { "sessions expired" } else { "sessions closed" });
            if !by_servers {
                continue;
            }
            self.ears.ended.insert(session, now_ms);
            for person in self.people.iter().filter(|person| person.session() == Some(session)) {
                let promised = person.promised_ms();
                assert!(
                    now_ms >= promised,
                    "EN7: {session} ends at {now_ms}, and was promised to live until {promised}"
                );
            }
        }
    }

    /// What clients have met.
    pub(super) fn note_heard(&mut self) {
        let Self { ears, met, people, setup, .. } = self;
        ears.heard.note(met);
        met.add("pings overtaken", ears.heard.overtaken);
        met.add("writes acknowledged", people.iter().map(Person::done).sum());
        let carried = people.iter().map(|it| it.client.watching.origins.carried()).sum();
        met.add("watches fired during a failover", carried);
        let fresh = if setup.settings.linearizable_reads { ears.heard.reads_checked } else { 0 };
        met.add("linearizable reads checked", fresh);
    }
}
