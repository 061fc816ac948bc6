//! The process ends, or the machine, and starts again.

use paddock_actors::storage::snapshot_files::RestoreError;
use paddock_actors::storage::{Crash, OpenError};
use rand::Rng;

use super::damage::Flip;
use super::met::Met;
use super::node::Node;
use super::start::{NoStart, start};
use super::world::World;

impl Node {
    /// The process ends here: notes between which outputs.
    pub(super) fn note_crash(&self, met: &mut Met) {
        for queue in self.mail.values() {
            if let Some((_, mail)) = queue.front() {
                met.count(mail.name());
            }
        }
        if self.logger.open_batch().1 > 0 {
            met.count("crashes between append and sync");
        }
        if self.learner.is_ready() {
            met.count("crashes with committed txns not applied");
        }
        if self.taking.is_some() {
            met.count("crashes during a snapshot");
        }
    }
}

impl World {
    pub(super) fn node_crashes(&mut self, why: &'static str) {
        self.met.count(why);
        self.node.note_crash(&mut self.met);
        let unsent = self.links.iter().any(|link| link.is_due(&self.node));
        self.met.add("crashes between reply and socket", u64::from(unsent));
        self.links.clear();
        for person in &mut self.people {
            person.link = None;
            person.client.disconnected();
        }
        let segment = self.node.logger.current_file();
        let segment = segment.file_name().and_then(|name| name.to_str()).expect("it has a name").to_owned();
        self.restart_disk();
        let mut flip = (!self.healing && self.rng.random_bool(0.2)).then(|| self.flip(&segment)).flatten();
        self.be_out();
        self.node = loop {
            if !self.healing && self.rng.random_bool(0.1) {
                self.disk.crash_in(self.rng.random_range(0..20));
            }
            let Self { disk, setup, now_ms, rng, truth, met, .. } = self;
            match start(disk, setup, *now_ms, rng, truth, met) {
                Ok(node) => break node,
                Err(_) if disk.is_crashed() => {
                    self.met.count("crashes during recovery");
                    self.restart_disk();
                }
                Err(error) => self.not_started(&error, &mut flip),
            }
        };
        self.met.count("recoveries");
        self.calm_since = self.now_ms;
    }

    /// Time passes without a server: at times more than any session's timeout. E1: it moves every deadline.
    fn be_out(&mut self) {
        let long = !self.healing && self.rng.random_bool(0.15);
        let outage = self.rng.random_range(if long { 9_000..20_000 } else { 0..5_000 });
        self.stalls.push((self.now_ms, outage));
        self.now_ms += outage;
        self.setup.outage_ms = outage;
        for person in &mut self.people {
            let held = person.client.session.as_ref();
            person.outlasted = held.filter(|held| outage > held.timeout_ms).map(|held| held.id);
        }
        self.met.add("outages longer than a session's timeout", u64::from(long));
    }

    fn restart_disk(&mut self) {
        let power = self.rng.random_bool(0.6);
        self.met.count(if power { "power failures" } else { "kills" });
        self.disk = self.disk.restart(if power { Crash::PowerFailure } else { Crash::Kill });
    }

    fn flip(&mut self, segment: &str) -> Option<Flip> {
        let Self { disk, rng, setup, .. } = self;
        if rng.random_bool(0.6) {
            Flip::in_snapshot(disk, rng)
        } else {
            Flip::in_log(disk, segment, setup.options.salt, rng)
        }
    }

    /// A refusal to start must have its reason; without it the next start must succeed.
    fn not_started(&mut self, error: &NoStart, flip: &mut Option<Flip>) {
        match error {
            NoStart::Open(OpenError::Full { .. }) | NoStart::Log(_) => {
                self.met.count("starts refused for want of space");
                self.disk.set_capacity(u64::MAX);
                self.full_until = None;
            }
            NoStart::Open(OpenError::DamagedLog { file, .. }) if flip.is_some() => {
                let flip = flip.take().expect("there is one");
                assert!(file.ends_with(&flip.file), "{error} blames another file than {}", flip.file);
                flip.invert(&self.disk);
                self.met.count("damage to the log refused");
            }
            NoStart::Restore(RestoreError::NoSnapshot { .. }) if flip.is_some() => {
                flip.take().expect("there is one").invert(&self.disk);
                self.met.count("damage to the only snapshot refused");
            }
            NoStart::Restore(RestoreError::History(_)) => self.disk.set_capacity(u64::MAX),
            error => panic!("D1: the node does not start: {error}, {flip:?}"),
        }
    }
}
