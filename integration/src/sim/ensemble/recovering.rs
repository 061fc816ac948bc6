//! A new history made of what is left, at the end of all trouble and before it is mended: on copies of the disks, as they
//! would be if all members lost their power at once, some of them for good. The run goes on as if nothing had been done.

use std::collections::{BTreeMap, BTreeSet};

use paddock_actors::recover::{
    BeginError, Beginning, Findings, Holding, Refusal, begin, configurations, judge,
};
use paddock_actors::storage::snapshot_files::{read_txn, restore};
use paddock_actors::storage::{Crash, MemoryDisk, open};
use paddock_actors::tree::TreeOptions;
use paddock_config::Members;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::world::World;

/// Others than a run's own draws, so that those stay what they were.
const DRAWS: u64 = 0x7ec0_4e12;
/// So many times are some members lost; with a mistake that shows there alone, more often.
const TIMES: [u64; 2] = [3, 12];

/// A disk that is left, and what an operator is shown of it.
struct Left {
    disk: MemoryDisk,
    holding: Holding,
}

/// What a disk comes to, opened.
struct Read {
    configurations: Vec<Members>,
    logged: BTreeSet<Zxid>,
    log_start: Zxid,
}

impl World {
    /// EN19.
    pub(super) fn recover_what_is_left(&mut self) {
        use EnsembleFault::{JudgeByFile, RecoverOnLess};
        if self.setup.fault.is_some_and(|fault| ![JudgeByFile, RecoverOnLess].contains(&fault)) {
            return; // it breaks what this rests on
        }
        for nth in 0..TIMES[usize::from(self.setup.fault.is_some())] {
            let mut rng = StdRng::seed_from_u64(self.setup.salt ^ DRAWS ^ nth);
            self.recover_once(&mut rng);
        }
    }

    fn recover_once(&mut self, rng: &mut StdRng) {
        let mut left = self.left(rng);
        let is_sound = |it: &Left| it.holding.ensemble.is_some() && !it.holding.is_incomplete;
        let best = left.values().filter(|it| is_sound(it)).map(|it| it.holding.rank()).max();
        let takes_any = self.setup.has(EnsembleFault::RecoverOnLess);
        let may: Vec<ServerId> = left
            .iter()
            .filter(|(_, it)| is_sound(it) && (takes_any || Some(it.holding.rank()) == best))
            .map(|(id, _)| *id)
            .collect();
        let Some(me) = may.choose(rng).copied() else { return };
        let Left { disk, holding: own } = left.remove(&me).expect("it is one of them");
        let mut others: Vec<Holding> = left.into_values().map(|it| it.holding).collect();
        if takes_any {
            // As if nobody compared what they hold.
            others.iter_mut().for_each(|it| (it.current_epoch, it.last) = own.rank());
        }
        let read = self.read(me, &disk);
        let running = BTreeSet::new();
        let findings =
            Findings { own: &own, others: &others, configurations: &read.configurations, running: &running };
        let verdict = judge(findings);
        // What is so for fewer is so for a quorum.
        let refused = |it: &Refusal| !matches!(it, Refusal::Quorum(_));
        if verdict.refusals.iter().any(refused) {
            return self.met.count("histories refused to what was left");
        }
        let may_lose = if self.setup.has(EnsembleFault::JudgeByFile) {
            let of_file = [self.setup.configuration(&self.setup.voters, &self.setup.named)];
            judge(Findings { configurations: &of_file, ..findings }).may_lose
        } else {
            verdict.may_lose
        };
        let lost = self.truth.borrow().lost_by(&read.logged, read.log_start);
        assert!(
            may_lose || lost.is_none(),
            "EN19: {me} would go on without {lost:?}, and nothing can be lost, it says: {verdict:?}"
        );
        let what = match (may_lose, lost.is_some()) {
            (false, _) => "histories made of what was left that could lose nothing",
            (true, false) => "histories made of what was left that could have lost something",
            (true, true) => "histories made of what was left that had lost something",
        };
        self.met.count(what);
        let seen = others.iter().map(Holding::seen_epoch).fold(own.seen_epoch(), Epoch::max);
        self.begin_anew(me, &disk, seen, &read, rng);
    }

    /// Those of some members, one at least.
    fn left(&self, rng: &mut StdRng) -> BTreeMap<ServerId, Left> {
        let ids: Vec<ServerId> = self.setup.members.iter().copied().collect();
        let many = rng.random_range(1..=ids.len());
        let kind = if rng.random() { Crash::PowerFailure } else { Crash::Kill };
        ids.choose_multiple(rng, many)
            .filter(|id| !self.members[id].is_damaged)
            .filter_map(|id| {
                let disk = self.members[id].disk.fork(self.setup.salt ^ id.0, kind);
                let held =
                    Holding::of(&disk).unwrap_or_else(|error| panic!("EN19: {id} cannot be read: {error}"));
                held.map(|holding| (*id, Left { disk, holding }))
            })
            .collect()
    }

    fn read(&self, me: ServerId, disk: &MemoryDisk) -> Read {
        let fails = |error: &dyn std::fmt::Display| -> ! { panic!("EN19: {me} cannot be opened: {error}") };
        let (mut logger, recovered) =
            open(disk.clone(), self.setup.options(me)).unwrap_or_else(|error| fails(&error));
        let options = TreeOptions::default();
        let restored = restore(disk, &mut logger, &recovered, options, recovered.watermark)
            .unwrap_or_else(|error| fails(&error));
        let committed = recovered.watermark.max(restored.tree.last_zxid());
        let of_file = || self.setup.configuration(&self.setup.voters, &self.setup.named);
        let mut behind = Vec::new();
        let mut reader = logger.reader(Zxid::ZERO).unwrap_or_else(|error| fails(&error));
        let mut logged = BTreeSet::new();
        while let Some((zxid, payload)) = reader.next_record().unwrap_or_else(|error| fails(&error)) {
            logged.insert(zxid);
            if zxid > committed {
                behind.push(read_txn(zxid, payload, options).unwrap_or_else(|error| fails(&error)));
            }
        }
        let configurations = configurations(&restored.tree, &behind, &of_file());
        Read { configurations, logged, log_start: recovered.log_start }
    }

    /// NH1 to NH4, though it is cut short once or twice.
    fn begin_anew(&mut self, me: ServerId, disk: &MemoryDisk, seen: Epoch, read: &Read, rng: &mut StdRng) {
        let mut disk = disk.restart(Crash::Kill);
        for last_try in [false, false, true] {
            let (mut logger, recovered) =
                open(disk.clone(), self.setup.options(me)).expect("it was opened before");
            let options = TreeOptions::default();
            let restored =
                restore(&disk, &mut logger, &recovered, options, recovered.last).expect("it was read before");
            let newest = restored.tree.membership().or_else(|| read.configurations.last().cloned());
            let members = newest.expect("there is one");
            let place = members.servers.get(&me).or_else(|| read.configurations[0].servers.get(&me)).cloned();
            // One whom no configuration names is given a place by its own file.
            let place = place.unwrap_or_else(|| self.setup.file(me).servers[&me].clone());
            let beginning = Beginning {
                server: me,
                ensemble: rng.random(),
                seen_epoch: seen,
                members,
                place,
                time_ms: 0,
            };
            if !last_try {
                disk.crash_in(rng.random_range(0..30));
            }
            match begin(&mut logger, &restored.tree, &beginning) {
                Ok((epoch, version)) => {
                    assert!(epoch > seen, "NH1: {me} begins {epoch}, and {seen} was seen");
                    drop(logger);
                    return self.has_begun(me, &disk.restart(Crash::PowerFailure), &beginning, version, read);
                }
                Err(BeginError::Log(_)) if disk.is_crashed() => {
                    drop(logger);
                    disk = disk.restart(Crash::PowerFailure);
                    self.met.count("histories made of what was left that were cut short");
                }
                Err(error) => panic!("EN19: {me} cannot begin: {error}"),
            }
        }
    }

    fn has_begun(
        &mut self,
        me: ServerId,
        disk: &MemoryDisk,
        beginning: &Beginning,
        version: Zxid,
        before: &Read,
    ) {
        let held = Holding::of(disk).expect("it is sound").expect("it is not empty");
        assert_eq!(held.ensemble, Some(format!("{:032x}", beginning.ensemble)), "NH1: {me}");
        assert_eq!((held.last, held.committed), (version, version), "NH4: {me}");
        let (mut logger, recovered) = open(disk.clone(), self.setup.options(me)).expect("it is sound");
        let restored = restore(disk, &mut logger, &recovered, TreeOptions::default(), recovered.watermark)
            .expect("it is sound");
        let members = restored.tree.membership().expect("it is in force");
        assert!(members.servers.keys().eq([&me]) && members.voters().contains(&me), "NH4: {me}: {members}");
        let mut reader = logger.reader(Zxid::ZERO).expect("it is sound");
        let mut there = BTreeSet::new();
        while let Some((zxid, _)) = reader.next_record().expect("it is sound") {
            there.insert(zxid);
        }
        assert!(before.logged.is_subset(&there), "NH3: {me} has lost what was logged");
        self.met.count("histories made of what was left");
    }
}
