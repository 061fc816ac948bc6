//! Clients that watch znodes which others change.

use std::time::Instant;

use bytes::Bytes;
use paddock_integration::ensemble::PATIENCE;
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{SetData, SetWatches};
use rand::Rng;

use super::link::{Link, Outcome};
use super::watches::Step;

/// Znodes that are watched.
pub(super) const WATCHED: usize = 4;

pub(super) fn watched(root: &str, nth: usize) -> String {
    format!("{root}/watched-{nth}")
}

/// Changes them.
pub(super) fn changes(link: &mut Link<'_>, root: &str) {
    while !link.world.is_over() {
        if link.is_ready() {
            let path = watched(root, link.rng.random_range(0..WATCHED)).into();
            link.ask(OpCode::SetData, &SetData { path, data: Some(Bytes::from_static(b"x")), version: -1 });
        }
    }
}

/// One that watches.
pub(super) struct Watcher<'a, 'w> {
    link: &'a mut Link<'w>,
    root: String,
    steps: Vec<Step>,
    /// Which znodes have a watch that has told nothing yet.
    armed: [bool; WATCHED],
    /// The connection that they are on.
    on: (i64, u64),
    /// Connections over which it took watches, and events that they made up for.
    pub(super) carried: u64,
    pub(super) missed: u64,
}

impl<'a, 'w> Watcher<'a, 'w> {
    pub(super) fn new(link: &'a mut Link<'w>, root: &str) -> Self {
        let (root, steps, armed) = (root.to_owned(), Vec::new(), [false; WATCHED]);
        Self { link, root, steps, armed, on: (0, 0), carried: 0, missed: 0 }
    }

    /// Watches until the world is over, when all is healed, and then looks at each once more.
    pub(super) fn run(&mut self) -> Vec<Step> {
        while !self.link.world.is_over() {
            self.turn(None);
        }
        let (mut left, deadline): (Vec<_>, _) = ((0..WATCHED).collect(), Instant::now() + PATIENCE);
        while let Some(nth) = left.last() {
            assert!(Instant::now() < deadline, "nobody serves the client that watches");
            if self.turn(Some(*nth)) {
                left.pop();
            }
        }
        std::mem::take(&mut self.steps)
    }

    /// Looks at one, or at any; false if nothing was seen.
    fn turn(&mut self, nth: Option<usize>) -> bool {
        if !self.link.is_ready() || !self.carry() {
            return false;
        }
        let nth = nth.unwrap_or_else(|| self.link.rng.random_range(0..WATCHED));
        let path = watched(&self.root, nth);
        let synced = self.link.rng.random_bool(0.5) || self.link.world.is_over();
        if synced {
            let answer = self.link.sync(&path);
            self.take_events();
            if answer.done().is_none() {
                return false;
            }
        }
        let watch = !self.armed[nth];
        let answer = self.link.get(&path, watch);
        self.take_events();
        let Outcome::Done((_, stat)) = answer else { return false };
        self.armed[nth] |= watch;
        self.steps.push(Step::Read { path, version: stat.version, mzxid: stat.mzxid, synced, watch });
        true
    }

    /// Takes its watches to a new connection; false if that cannot be done now.
    fn carry(&mut self) -> bool {
        let now = (self.link.sessions, self.link.connections);
        if now.0 != self.on.0 {
            self.armed = [false; WATCHED];
            self.steps.push(Step::Expired);
        } else if now != self.on && self.armed.contains(&true) {
            let mine = (0..WATCHED).filter(|nth| self.armed[*nth]);
            let data = mine.map(|nth| watched(&self.root, nth).into()).collect();
            let (exist, child) = (Vec::new(), Vec::new());
            let watches = SetWatches { relative_zxid: self.link.last_zxid, data, exist, child };
            let answer = self.link.ask(OpCode::SetWatches, &watches);
            let before = self.steps.len();
            self.take_events();
            if answer.done().is_none() {
                return false;
            }
            self.carried += 1;
            self.missed += (self.steps.len() - before) as u64;
        }
        self.on = now;
        true
    }

    fn take_events(&mut self) {
        for (zxid, path) in self.link.events() {
            let nth = (0..WATCHED).find(|nth| watched(&self.root, *nth) == path);
            if let Some(nth) = nth {
                self.armed[nth] = false;
            }
            self.steps.push(Step::Event { path, zxid });
        }
    }
}
