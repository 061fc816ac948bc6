//! The log on a [`MemoryDisk`], by seed: random commands, crashes at any operation of the disk, full and
//! failing disks. After each start the log is compared with what may be there.
//!
//! `SEED=n cargo test -p paddock-actors storage::simulation` runs one seed, `SEEDS=n` that many.

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::{Disk, DiskFile, is_full};
use super::history::snapshot_name;
use super::logger::{ADMITTED_OVERHEAD, Faults, LogFailure, Logger, Options, Reserve, Space};
use super::memory_disk::{Crash, DiskCounters, MemoryDisk};
use super::model::{Checked, Model, Record, expect, matches};
use super::recovery::{OpenError, Recovered, open};

const STEPS: u32 = 60;
const ADMITTED: u64 = 16 << 10;

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    disk: DiskCounters,
    recoveries: u64,
    crashes_in_recovery: u64,
    torn: u64,
    unacked_found: u64,
    rolls: u64,
    purged_segments: u64,
    truncated: u64,
    truncated_after_crash: u64,
    refused: u64,
    installed: u64,
    full: u64,
    resumed: u64,
    damage: u64,
    last_batch_lost: u64,
}

struct World {
    rng: StdRng,
    disk: MemoryDisk,
    options: Options,
    logger: Option<Logger<MemoryDisk>>,
    /// What may be there; more than one while the outcome of a command is unknown.
    models: Vec<Model>,
    next: Zxid,
    committed: Zxid,
    /// The watermark of the last batch called persisted.
    carried: Zxid,
    admitted: u64,
    counters: Counters,
}

impl World {
    fn new(seed: u64, faults: Faults) -> Checked<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut options = Options::new(ServerId(1), rng.random());
        options.segment_bytes = [20 << 10, 32 << 10, 48 << 10][rng.random_range(0..3)];
        options.reserve = if rng.random() { Reserve::Inline } else { Reserve::Late };
        (options.admitted_bytes, options.faults) = (ADMITTED, faults);
        let mut world = Self {
            disk: MemoryDisk::new(rng.random()),
            rng,
            options,
            logger: None,
            models: vec![Model::default()],
            next: Zxid::new(Epoch(1), 1),
            committed: Zxid::ZERO,
            carried: Zxid::ZERO,
            admitted: 0,
            counters: Counters::default(),
        };
        world.arm();
        world.recover()?;
        Ok(world)
    }

    /// Lets the disk crash some operations from now, more often than not.
    fn arm(&mut self) {
        if self.rng.random_bool(0.6) {
            self.disk.crash_in(self.rng.random_range(0..60));
        }
    }

    fn model(&mut self) -> &mut Model {
        assert_eq!(self.models.len(), 1, "the outcome of every command is known while the logger lives");
        &mut self.models[0]
    }

    fn step(&mut self) -> Checked {
        let before = self.logger.as_ref().map_or(Space::Enough, Logger::space);
        match self.rng.random_range(0..100) {
            0..55 => self.write()?,
            55..62 => self.snapshot()?,
            62..67 => self.purge()?,
            67..73 => self.truncate()?,
            73..75 => self.install()?,
            75..80 => self.facts()?,
            80..82 => drop(self.command(Logger::retry_reserve, |_| ())?),
            82 => drop(self.command(Logger::write_idle, |_| ())?),
            83 => self.say_committed()?,
            84..88 => {
                let room = self.disk.used_bytes() + self.rng.random_range(0..4096);
                self.disk.set_capacity(room);
            }
            88..93 => {
                self.disk.set_capacity(u64::MAX);
                self.command(Logger::retry_reserve, |_| ())?;
                if let Some(logger) = self.logger.as_ref().filter(|logger| !logger.is_reserving()) {
                    expect(logger.space() == Space::Enough, || {
                        format!(
                            "space returned, and is not used: {:?} {:?} crashed {}",
                            logger.space(),
                            logger.reserved,
                            self.disk.is_crashed()
                        )
                    })?;
                }
            }
            93..95 => self.disk.fail_syncs(1),
            95..97 => self.disk.crash(),
            _ => self.arm(),
        }
        let after = self.logger.as_ref().map_or(Space::Enough, Logger::space);
        self.counters.full += u64::from(before == Space::Enough && after != Space::Enough);
        self.counters.resumed += u64::from(before != Space::Enough && after == Space::Enough);
        if self.logger.is_none() || self.disk.is_crashed() {
            self.recover()?;
        }
        Ok(())
    }

    /// Runs a command whose success does `effect` to the model. If it fails for good, either is possible.
    fn command<T>(
        &mut self,
        run: impl FnOnce(&mut Logger<MemoryDisk>) -> Result<T, LogFailure>,
        effect: impl FnOnce(&mut Model),
    ) -> Checked<Option<T>> {
        let Some(logger) = &mut self.logger else { return Ok(None) };
        let done = run(logger);
        let mut after = self.model().clone();
        effect(&mut after);
        match done {
            Ok(value) => {
                self.models = vec![after];
                Ok(Some(value))
            }
            Err(failure) if failure.is_fatal() => {
                if let LogFailure::Io { error, action, .. } = &failure {
                    expect(!is_full(error), || format!("S8: the disk is full while {action}"))?;
                }
                self.models.push(after);
                self.logger = None; // the process ends
                Ok(None)
            }
            Err(_) => {
                self.counters.refused += 1;
                Ok(None)
            }
        }
    }

    /// Appends and flushes in a few batches, never admitting more than it may before it looks at the space.
    fn write(&mut self) -> Checked {
        for _ in 0..self.rng.random_range(1..4) {
            if self.logger.is_none() {
                return Ok(());
            }
            for _ in 0..self.rng.random_range(0..5) {
                let size = [10, 100, 700, 3000][self.rng.random_range(0..4)];
                self.append(size);
            }
            if self.rng.random_bool(0.3) {
                self.committed = self.persisted().max(self.committed);
            }
            let committed = self.committed;
            let Some(logger) = &mut self.logger else { return Ok(()) };
            logger.commit(committed);
            let past = logger.past.len();
            self.flush()?;
            let now = self.logger.as_ref().map_or(0, |logger| logger.past.len());
            self.counters.rolls += u64::from(now > past);
        }
        Ok(())
    }

    fn append(&mut self, size: usize) {
        let payload: Vec<u8> = (0..self.rng.random_range(0..size)).map(|_| self.rng.random()).collect();
        let bytes = payload.len() as u64 + ADMITTED_OVERHEAD;
        let zxid = self.next;
        let Some(logger) = &mut self.logger else { return };
        let admit = logger.space() == Space::Enough && self.admitted + bytes <= ADMITTED;
        if admit {
            logger.append(zxid, &payload);
            self.admitted += bytes;
            self.next = if self.rng.random_bool(0.05) {
                Zxid::new(Epoch(zxid.epoch().0 + 1), 1)
            } else {
                zxid.next().unwrap()
            };
            self.model().open.push((zxid, payload));
        }
    }

    fn flush(&mut self) -> Checked {
        let writes = self.logger.is_some() && !self.model().open.is_empty();
        let done = self.command(Logger::flush, |model| model.records.append(&mut model.open))?;
        if let Some(persisted) = done {
            let expected = self.persisted();
            expect(persisted.upto == expected, || format!("S1: {persisted:?}, wrote through {expected:?}"))?;
            self.admitted = 0;
            if writes {
                self.carried = self.carried.max(self.committed.min(expected));
            }
        }
        Ok(())
    }

    /// MB5: with room, all that is durable is known to be committed from then on.
    fn say_committed(&mut self) -> Checked {
        self.flush()?;
        let Some(logger) = &self.logger else { return Ok(()) };
        let (has_room, zxid) = (logger.space() == Space::Enough, self.persisted());
        self.committed = self.committed.max(zxid);
        if self.command(|logger| logger.say_committed(zxid), |_| ())?.is_some() && has_room {
            self.carried = self.carried.max(zxid);
        }
        Ok(())
    }

    fn persisted(&mut self) -> Zxid {
        let model = self.model();
        model.records.last().map_or(model.start, |(zxid, _)| *zxid)
    }

    /// A snapshot file, finished and synced; false if the disk would not have it.
    fn snapshot_file(&self, zxid: Zxid) -> bool {
        let make = || {
            let file = self.disk.create(&snapshot_name(zxid))?;
            file.write_at(b"a tree", 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&snapshot_name(zxid))
        };
        make().is_ok()
    }

    fn snapshot(&mut self) -> Checked {
        self.flush()?;
        if self.logger.is_none() {
            return Ok(());
        }
        let zxid = self.persisted();
        let known = self.model().snapshots.contains(&zxid);
        if zxid == Zxid::ZERO || known || !self.snapshot_file(zxid) {
            return Ok(());
        }
        self.committed = self.committed.max(zxid);
        self.logger.iter_mut().for_each(|logger| logger.commit(zxid)); // a snapshot holds nothing else
        let name = snapshot_name(zxid);
        self.command(|logger| logger.add_snapshot(&name, zxid), |model| model.snapshots.push(zxid))?;
        Ok(())
    }

    fn purge(&mut self) -> Checked {
        let keep = self.rng.random_range(1..4);
        let purged = self.command(
            |logger| logger.purge(keep),
            |model| {
                let gone = model.snapshots.len().saturating_sub(keep);
                model.snapshots.drain(..gone);
            },
        )?;
        self.counters.purged_segments += purged.map_or(0, |purged| purged.segments as u64);
        Ok(())
    }

    fn truncate(&mut self) -> Checked {
        self.flush()?;
        if self.logger.is_none() {
            return Ok(());
        }
        let model = self.model();
        let last = model.records.len();
        let back = [0, 1, 3, 10, 40][self.rng.random_range(0..5)];
        let model = self.model();
        let to = model.records.get(last.saturating_sub(back + 1)).map_or(model.start, |(zxid, _)| *zxid);
        let may = to >= self.committed;
        let cut = move |model: &mut Model| model.records.retain(|(zxid, _)| *zxid <= to);
        let done = self.command(|logger| logger.truncate_after(to), cut)?;
        expect(done.is_none() || may, || format!("S10: {to:?} was cut below the watermark"))?;
        self.counters.truncated += u64::from(done.is_some() && back > 0);
        Ok(())
    }

    fn install(&mut self) -> Checked {
        self.flush()?;
        let zxid = self.next;
        if self.logger.is_none() || !self.snapshot_file(zxid) {
            return Ok(());
        }
        self.next = zxid.next().unwrap();
        let name = snapshot_name(zxid);
        let done = self.command(
            |logger| logger.install_snapshot(&name, zxid),
            |model| {
                *model = Model { facts: model.facts, start: zxid, snapshots: vec![zxid], ..Model::default() };
            },
        )?;
        if done.is_some() {
            self.counters.installed += 1;
        }
        if done.is_some() || self.logger.is_none() {
            self.committed = zxid;
        }
        Ok(())
    }

    fn facts(&mut self) -> Checked {
        let mut facts = self.model().facts;
        facts.accepted_epoch.0 += 1;
        facts.current_epoch.0 += self.rng.random_range(0..2);
        facts.ensemble = Some(self.rng.random());
        self.command(|logger| logger.change_facts(|kept| *kept = facts), |model| model.facts = facts)?;
        Ok(())
    }

    /// Ends the process, restarts it until it opens, and checks what it finds.
    fn recover(&mut self) -> Checked {
        self.logger = None;
        self.admitted = 0;
        loop {
            if self.counters.recoveries > 0 || self.disk.is_crashed() {
                let crash = if self.rng.random() { Crash::PowerFailure } else { Crash::Kill };
                self.disk = self.disk.restart(crash);
                if self.rng.random_bool(0.3) {
                    self.disk.crash_in(self.rng.random_range(0..30));
                }
            }
            match open(self.disk.clone(), self.options.clone()) {
                // The last thing it did was to delete files; it may have crashed at that.
                Ok(_) if self.disk.is_crashed() => self.counters.crashes_in_recovery += 1,
                Ok((logger, recovered)) => {
                    self.counters.recoveries += 1;
                    self.counters.torn += u64::from(recovered.torn.is_some());
                    let got = read(&logger)?;
                    self.logger = Some(logger);
                    return self.take(&recovered, got);
                }
                Err(_) if self.disk.is_crashed() => self.counters.crashes_in_recovery += 1,
                Err(OpenError::Full { .. }) => self.disk.set_capacity(u64::MAX),
                Err(error) => return Err(format!("does not open: {error}")),
            }
        }
    }

    /// One of the models must be what was found; it is the truth from here on.
    fn take(&mut self, recovered: &Recovered, got: Vec<Record>) -> Checked {
        let checks: Vec<Checked> = self.models.iter().map(|model| matches(model, recovered, &got)).collect();
        let Some(truth) = checks.iter().position(Result::is_ok) else {
            return Err(format!("{checks:?}"));
        };
        expect(recovered.watermark <= self.committed.max(recovered.log_start), || {
            format!("{:?} was never committed", recovered.watermark)
        })?;
        let (known, carried) = (recovered.watermark, self.carried);
        expect(known >= carried, || format!("{carried:?} was committed, {known:?} is known"))?;
        (self.committed, self.carried) = (known, known);
        let mut model = self.models.swap_remove(truth);
        self.counters.truncated_after_crash += u64::from(truth > 0);
        self.counters.unacked_found += u64::from(got.last() > model.records.last());
        let gone = model.records.iter().take_while(|(zxid, _)| *zxid <= recovered.log_start).cloned();
        model.records = gone.chain(got).collect();
        model.open.clear();
        self.models = vec![model];
        Ok(())
    }

    /// Damages one bit of a log at rest: found, or harmless, or in the very last batch.
    fn flip(&mut self) -> Checked {
        self.flush()?;
        let Some(logger) = self.logger.take() else { return Ok(()) };
        let before = read(&logger)?;
        let segments: Vec<_> = logger.past.iter().chain([&logger.current]).copied().collect();
        let segment = segments[self.rng.random_range(0..segments.len())];
        let last = (logger.current.end > 0).then_some(&logger.current).or(logger.past.last()).copied();
        if segment.end == 0 {
            return Ok(());
        }
        drop(logger);
        let byte = self.rng.random_range(0..segment.end);
        self.disk = self.disk.restart(Crash::Kill);
        self.disk.flip_bit(&segment.name(), byte * 8 + self.rng.random_range(0..8));
        let in_last = last.is_some_and(|last| last.entry == segment.entry && byte >= last.last_batch);
        match open(self.disk.clone(), self.options.clone()) {
            Ok((logger, _)) => {
                let got = read(&logger)?;
                self.counters.last_batch_lost += u64::from(got != before);
                expect(got == before || in_last, || format!("damage at byte {byte} was not found"))
            }
            Err(OpenError::DamagedLog { .. }) => {
                self.counters.damage += 1;
                Ok(())
            }
            Err(OpenError::Full { .. }) => Ok(()),
            Err(error) => Err(format!("damage at byte {byte}: {error}")),
        }
    }
}

fn read(logger: &Logger<MemoryDisk>) -> Checked<Vec<Record>> {
    let mut reader = logger.reader(Zxid::ZERO).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    while let Some((zxid, payload)) = reader.next_record().map_err(|error| error.to_string())? {
        records.push((zxid, payload.to_vec()));
    }
    Ok(records)
}

fn run(seed: u64, faults: Faults) -> Checked<Counters> {
    let mut world = World::new(seed, faults)?;
    for step in 0..STEPS {
        world.step().map_err(|error| format!("step {step}: {error}"))?;
    }
    world.flip()?;
    world.counters.disk = world.disk.counters();
    Ok(world.counters)
}

#[test]
fn s1_s2_s4_s5_s8_s10_hold_whatever_the_disk_does() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => seed.parse::<u64>().map(|seed| seed..seed + 1).unwrap(),
        Err(_) => 0..std::env::var("SEEDS").map_or(1000, |many| many.parse().unwrap()),
    };
    let many = seeds.end - seeds.start >= 1000;
    let mut all: Vec<Counters> = Vec::new();
    for seed in seeds {
        match run(seed, Faults::default()) {
            Ok(counters) => all.push(counters),
            Err(error) => {
                panic!("{error}\nSEED={seed} cargo test -p paddock-actors storage::simulation::s1")
            }
        }
    }
    let sum = |count: fn(&Counters) -> u64| all.iter().map(count).sum::<u64>();
    let reached = [
        ("recoveries", sum(|c| c.recoveries), 3000),
        ("crashes during recovery", sum(|c| c.crashes_in_recovery), 200),
        ("crashes at a write", sum(|c| c.disk.crashes_at_write), 400),
        ("crashes at a sync", sum(|c| c.disk.crashes_at_sync), 400),
        ("crashes at a name", sum(|c| c.disk.crashes_at_name), 200),
        ("sectors lost", sum(|c| c.disk.lost_sectors), 1200),
        ("sectors kept", sum(|c| c.disk.kept_sectors), 1500),
        ("names lost", sum(|c| c.disk.lost_names), 300),
        ("failed syncs", sum(|c| c.disk.failed_syncs), 500),
        ("torn tails", sum(|c| c.torn), 200),
        ("unacknowledged txns found", sum(|c| c.unacked_found), 400),
        ("rolls", sum(|c| c.rolls), 700),
        ("segments purged", sum(|c| c.purged_segments), 40),
        ("truncations", sum(|c| c.truncated), 400),
        ("changes found done after a crash in them", sum(|c| c.truncated_after_crash), 25),
        ("refusals", sum(|c| c.refused), 1000),
        ("installs", sum(|c| c.installed), 300),
        ("full disks announced", sum(|c| c.full), 250),
        ("resumed after a full disk", sum(|c| c.resumed), 200),
        ("damage found", sum(|c| c.damage), 350),
        ("last batches lost to damage", sum(|c| c.last_batch_lost), 30),
    ];
    for (what, count, _) in &reached {
        println!("{what}: {count}");
    }
    for (what, count, least) in reached {
        assert!(!many || count >= least, "{what}: {count}, expected {least}");
    }
}

/// Each rule broken on purpose must be noticed: otherwise the run above proves nothing.
#[test]
fn s1_s4_s5_s8_every_deliberate_fault_is_found() {
    let none = Faults::default();
    for (name, faults) in [
        ("no sync before persisted (S1)", Faults { skip_sync: true, ..none }),
        ("the last batch not written again (S4)", Faults { skip_rewrite: true, ..none }),
        ("a reserve not synced before history names it (S5)", Faults { skip_reserve_sync: true, ..none }),
        ("no room kept for what is admitted (S8)", Faults { ignore_room: true, ..none }),
    ] {
        let found = (0..500).find(|seed| run(*seed, faults).is_err());
        println!("{name}: found by seed {found:?}");
        assert!(found.is_some(), "{name} was not found");
    }
}
