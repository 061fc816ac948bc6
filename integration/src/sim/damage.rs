//! Bits that flip while the node is down.

use paddock_actors::storage::batch::{HEADER, Header, check_body};
use paddock_actors::storage::{Disk, DiskFile, MemoryDisk, is_snapshot_name};
use rand::Rng;
use rand::rngs::StdRng;

/// A bit that was flipped.
#[derive(Clone, Debug)]
pub(super) struct Flip {
    pub(super) file: String,
    bit: u64,
}

impl Flip {
    fn at(disk: &MemoryDisk, file: &str, byte: u64, rng: &mut StdRng) -> Self {
        let flip = Self { file: file.to_owned(), bit: byte * 8 + rng.random_range(0..8) };
        flip.invert(disk);
        flip
    }

    /// Flips it, or back.
    pub(super) fn invert(&self, disk: &MemoryDisk) {
        disk.flip_bit(&self.file, self.bit);
    }

    /// One in the newest snapshot.
    pub(super) fn in_snapshot(disk: &MemoryDisk, rng: &mut StdRng) -> Option<Self> {
        let names = disk.list().ok()?;
        let newest = names.iter().rfind(|name| is_snapshot_name(name))?;
        let len = disk.open(newest).and_then(|file| file.len()).ok().filter(|len| *len > 0)?;
        Some(Self::at(disk, newest, rng.random_range(0..len), rng))
    }

    /// One in a batch of the log's last segment that has another batch behind it, so that what is lost
    /// was durable: it must be noticed, unless it is in padding.
    pub(super) fn in_log(disk: &MemoryDisk, segment: &str, salt: u64, rng: &mut StdRng) -> Option<Self> {
        let file = disk.open(segment).ok()?;
        let mut bytes = vec![0; file.len().ok()? as usize];
        file.read_at(&mut bytes, 0).ok()?;
        let (mut at, mut last, mut number) = (0, 0, None);
        while let Some(Ok((header, _))) = bytes.get(at..).map(|rest| Header::decode(rest, salt)) {
            let body = at + HEADER..at + HEADER + header.length as usize;
            let sound = bytes.get(body).is_some_and(|body| check_body(&header, body).is_some());
            if !sound || number.is_some_and(|number| header.number != number + 1) {
                break;
            }
            (last, number) = (at, Some(header.number));
            at += header.size() as usize;
        }
        (last > 0).then(|| Self::at(disk, segment, rng.random_range(0..last as u64), rng))
    }
}
