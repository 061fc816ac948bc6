//! Disks that have damaged what was written: a member does not start on such data, gives it up as an operator has it do, and
//! has no vote until it has all again (S6).
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use paddock_actors::storage::snapshot_files::restore;
use paddock_actors::storage::{
    Crash, Disk, DiskFile, MemoryDisk, OpenError, Options, discard, is_snapshot_name, open,
};
use paddock_actors::tree::TreeOptions;
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::node::NoStart;
use super::world::{Event, World};

/// Bits that are tried until one matters.
const TRIES: usize = 6;
/// In which an operation is that the giving up crashes at, if it does.
const MOST_OPERATIONS: u64 = 12;

/// A fifth of the seeds have such disks, but for mistakes that have nothing to do with them.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    let is_ours = fault == Some(EnsembleFault::CountDamaged);
    let wanted = is_ours || fault.is_none() && seed % 5 == 3;
    wanted.then(|| StdRng::seed_from_u64(seed ^ 0xDA3A6E))
}

/// What a flipped bit comes to.
enum Flip {
    /// The member does not start.
    Damage,
    /// All is there.
    Harmless,
    /// It stands in the last batch, which is then taken for one that a crash has torn: a disk that does that loses what it
    /// has synced, which nobody can notice.
    Unseen,
}

/// What a member would start with: how far its log goes, and its tree's digest.
fn starts(disk: &MemoryDisk, options: Options) -> Result<(Zxid, u64), NoStart> {
    let (mut logger, recovered) = open(disk.clone(), options)?;
    let restored = restore(disk, &mut logger, &recovered, TreeOptions::default(), recovered.watermark)?;
    Ok((recovered.last, restored.tree.digest()))
}

/// A file of the log or a snapshot, and a bit of what is written in it.
fn bit(disk: &MemoryDisk, rng: &mut StdRng) -> Option<(String, u64)> {
    let names = disk.list().ok()?.into_iter();
    let name = names.filter(|name| is_snapshot_name(name) || name.starts_with("segment.")).choose(rng)?;
    let file = disk.open(&name).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_at(&mut bytes, 0).ok()?;
    let written = bytes.iter().rposition(|byte| *byte != 0)? as u64 + 1;
    Some((name, rng.random_range(0..8 * written)))
}

impl World {
    /// A member's process ends, and a bit of its disk is another. Only where all others remember all, as where a disk is lost.
    pub(super) fn damage_a_disk(&mut self) {
        let Some(mut rng) = self.damages.take().filter(|_| !self.healing) else { return };
        let next_ms = rng.random_range(6_000..24_000);
        let may = |id: &ServerId| self.may_lose_its_disk(*id) && self.members[id].node.is_some();
        if let Some(id) = self.setup.members.iter().copied().filter(may).choose(&mut rng) {
            self.crash(id);
            self.flip(id, &mut rng);
        }
        self.damages = Some(rng);
        self.at(next_ms * 1_000, Event::Damage);
    }

    fn flip(&mut self, id: ServerId, rng: &mut StdRng) {
        let options = || self.setup.options(id);
        let disk = self.members[&id].disk.clone();
        let fork = || disk.fork(id.0, Crash::Kill);
        let Ok((last, digest)) = starts(&fork(), options()) else { return };
        for _ in 0..TRIES {
            let Some((name, bit)) = bit(&disk, rng) else { return };
            let flipped = fork();
            flipped.flip_bit(&name, bit);
            let flip = match starts(&flipped, options()) {
                Ok((found, read)) if found == last => {
                    assert_eq!(read, digest, "S3: {id} reads another tree, by bit {bit} of {name}");
                    Flip::Harmless
                }
                Ok(_) => Flip::Unseen,
                Err(_) => Flip::Damage,
            };
            match flip {
                Flip::Damage => {
                    disk.flip_bit(&name, bit);
                    self.met.count("faults: a damaged disk");
                    let member = self.member(id);
                    (member.is_damaged, member.is_whole, member.is_wiped) = (true, false, true);
                    return;
                }
                Flip::Harmless => {
                    disk.flip_bit(&name, bit);
                    self.met.count("flipped bits without consequence");
                }
                Flip::Unseen => {}
            }
        }
    }

    /// The member does not start because of it: its operator has it give up what it has.
    pub(super) fn on_damage(&mut self, id: ServerId, error: &NoStart) {
        let may = match error {
            NoStart::Open(error) => error.can_be_given_up(),
            NoStart::Restore(error) => error.can_be_given_up(),
            NoStart::Log(_) => false,
        };
        assert!(may, "S3: {id} does not start on a damaged disk: {error}");
        self.met.count("starts that damage refused");
        let options = self.setup.options(id);
        let crash_in = self.damages.as_mut().and_then(|rng| {
            let operations = rng.random_range(0..MOST_OPERATIONS);
            rng.random_bool(0.25).then_some(operations)
        });
        let member = self.member(id);
        member.disk = member.disk.restart(Crash::Kill);
        if let Some(operations) = crash_in {
            member.disk.crash_in(operations);
        }
        let done = discard(&member.disk, &options);
        let is_crashed = member.disk.is_crashed();
        member.disk = member.disk.restart(if is_crashed { Crash::PowerFailure } else { Crash::Kill });
        match done {
            Ok(()) if !is_crashed => {
                self.member(id).is_damaged = false;
                self.met.count("damaged disks given up");
            }
            Ok(()) | Err(OpenError::Full { .. } | OpenError::Io { .. } | OpenError::Unusable { .. }) => {
                self.met.count("damaged disks not given up at once");
            }
            Err(error) => panic!("S6: {id} cannot give its data up: {error}"),
        }
        self.restart_in(id, 500);
    }
}
