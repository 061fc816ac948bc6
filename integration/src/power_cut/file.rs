//! The bytes of one file: what reads return now, and what of it a power cut may take back.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

/// Bytes a disk writes as one: it holds either the old or the new, never half of each.
pub(super) const SECTOR: usize = 512;
/// Bytes in which space is allocated, as a file system's blocks are.
pub(super) const CHUNK: usize = 4096;
/// Older contents remembered for each unsynced sector, the synced one among them.
const MAX_VERSIONS: usize = 4;

/// One sector's bytes; `None` is a hole, which reads as zeros.
type Sector = Option<Box<[u8; SECTOR]>>;

/// A sparse file with, for every sector written since the last sync, the contents it had before.
#[derive(Clone, Default)]
pub(super) struct FileData {
    size: u64,
    synced_size: u64,
    chunks: BTreeMap<u64, Box<[u8; CHUNK]>>,
    /// By sector number: earlier contents, the synced one first.
    unsynced: BTreeMap<u64, Vec<Sector>>,
    /// The file before an unsynced truncation: a truncation happens whole or not at all.
    before_shrink: Option<Box<FileData>>,
}

impl FileData {
    /// Length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Space taken, in bytes; holes take none.
    pub(super) fn allocated(&self) -> u64 {
        (self.chunks.len() * CHUNK) as u64
    }

    /// Further bytes of space a write of `len` bytes at `offset` would take.
    pub(super) fn needed(&self, offset: u64, len: usize) -> u64 {
        let missing = chunks_of(offset, len).filter(|chunk| !self.chunks.contains_key(chunk));
        (missing.count() * CHUNK) as u64
    }

    /// Up to `len` bytes from `offset`; fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(len as u64));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        for (at, part) in split(offset, bytes.len(), CHUNK) {
            if let Some(chunk) = self.chunks.get(&(at / CHUNK as u64)) {
                let from = (at % CHUNK as u64) as usize;
                let to = (at - offset) as usize;
                bytes[to..to + part].copy_from_slice(&chunk[from..from + part]);
            }
        }
        bytes
    }

    /// Writes `bytes` at `offset`; the file grows as needed. Nothing of it is durable yet.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (at, part) in split(offset, bytes.len(), SECTOR) {
            self.remember(at / SECTOR as u64);
            let chunk = self.chunks.entry(at / CHUNK as u64).or_insert_with(|| Box::new([0; CHUNK]));
            let (from, to) = ((at - offset) as usize, (at % CHUNK as u64) as usize);
            chunk[to..to + part].copy_from_slice(&bytes[from..from + part]);
        }
        self.size = self.size.max(offset + bytes.len() as u64);
    }

    /// Sets the length: what lies beyond is gone, what is added is a hole.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.before_shrink = Some(Box::new(self.clone()));
            self.drop_beyond(size);
            self.synced_size = size;
        }
        self.size = size;
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&mut self) {
        self.synced_size = self.size;
        self.unsynced.clear();
        self.before_shrink = None;
    }

    /// Takes back a drawn part of what is unsynced; returns how many sectors that were.
    pub(super) fn cut(&mut self, rng: &mut StdRng) -> u64 {
        if let Some(before) = self.before_shrink.take()
            && rng.random()
        {
            *self = *before;
            return self.cut(rng);
        }
        // Rates between nothing and everything: each extreme finds other faults than the middle.
        let survives = [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)];
        let mut dropped = 0;
        for (sector, mut versions) in std::mem::take(&mut self.unsynced) {
            if !rng.random_bool(survives) {
                let version = versions.swap_remove(rng.random_range(0..versions.len()));
                self.put_back(sector, &version);
                dropped += 1;
            }
        }
        let size = match rng.random_range(0..3) {
            0 => self.synced_size,
            1 => self.size,
            _ => rng.random_range(self.synced_size.min(self.size)..=self.size),
        };
        self.drop_beyond(size);
        self.size = size;
        self.sync();
        dropped
    }

    /// Keeps the present content of `sector`, which is about to be written over.
    fn remember(&mut self, sector: u64) {
        let old = self.sector(sector);
        let versions = self.unsynced.entry(sector).or_default();
        if versions.len() == MAX_VERSIONS {
            versions.remove(1); // never the first: that is the synced one
        }
        versions.push(old);
    }

    fn sector(&self, sector: u64) -> Sector {
        let (chunk, from) = place(sector);
        let chunk = self.chunks.get(&chunk)?;
        let bytes = chunk[from..from + SECTOR].try_into().expect("a slice of SECTOR bytes");
        Some(Box::new(bytes))
    }

    fn put_back(&mut self, sector: u64, content: &Sector) {
        let (chunk, from) = place(sector);
        if let Some(chunk) = self.chunks.get_mut(&chunk) {
            chunk[from..from + SECTOR].copy_from_slice(content.as_deref().unwrap_or(&[0; SECTOR]));
        }
    }

    /// Forgets all bytes from `size` on, old versions of them included.
    fn drop_beyond(&mut self, size: u64) {
        self.chunks.split_off(&size.div_ceil(CHUNK as u64));
        if let Some(chunk) = self.chunks.get_mut(&(size / CHUNK as u64)) {
            chunk[(size % CHUNK as u64) as usize..].fill(0);
        }
        self.unsynced.split_off(&size.div_ceil(SECTOR as u64));
        let tail = (size % SECTOR as u64) as usize;
        for version in self.unsynced.get_mut(&(size / SECTOR as u64)).into_iter().flatten().flatten() {
            version[tail..].fill(0);
        }
    }
}

/// The chunk in which `sector` lies, and where in it.
fn place(sector: u64) -> (u64, usize) {
    let at = sector * SECTOR as u64;
    (at / CHUNK as u64, (at % CHUNK as u64) as usize)
}

fn chunks_of(offset: u64, len: usize) -> impl Iterator<Item = u64> {
    split(offset, len, CHUNK).map(|(at, _)| at / CHUNK as u64)
}

/// Cuts `len` bytes at `offset` where multiples of `unit` lie: (offset, length) of each part.
fn split(offset: u64, len: usize, unit: usize) -> impl Iterator<Item = (u64, usize)> {
    let end = offset + len as u64;
    let next = move |at: u64| end.min((at / unit as u64 + 1) * unit as u64);
    std::iter::successors((len > 0).then_some(offset), move |at| Some(next(*at)).filter(|at| *at < end))
        .map(move |at| (at, (next(at) - at) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn cut(mut file: FileData, seed: u64) -> FileData {
        file.cut(&mut StdRng::seed_from_u64(seed));
        file
    }

    #[test]
    fn reads_see_every_write_at_any_offset() {
        let mut file = FileData::default();
        let mut plain = vec![0_u8; 20_000];
        for (i, (offset, len)) in
            [(0, 10), (5, 600), (4090, 20), (511, 2), (8000, 9000), (19_999, 1)].into_iter().enumerate()
        {
            let bytes = vec![i as u8 + 1; len];
            file.write(offset as u64, &bytes);
            plain[offset..offset + len].copy_from_slice(&bytes);
        }
        assert_eq!(file.size(), 20_000);
        for (offset, len) in [(0, 20_000), (4095, 2), (7777, 3000), (19_990, 100), (30_000, 5)] {
            let expected = &plain[offset.min(20_000)..(offset + len).min(20_000)];
            assert_eq!(file.read(offset as u64, len), expected, "{len} bytes at {offset}");
        }
        assert_eq!(file.allocated(), 5 * CHUNK as u64);
    }

    #[test]
    fn pc1_what_was_synced_survives_every_cut() {
        let mut file = FileData::default();
        file.write(100, &[7; 3000]);
        file.sync();
        for seed in 0..50 {
            assert_eq!(cut(file.clone(), seed).read(0, 9999), file.read(0, 9999), "seed {seed}");
        }
        file.write(4096, &[8; 4096]); // elsewhere, unsynced: the synced part stays as it is
        for seed in 0..50 {
            assert_eq!(cut(file.clone(), seed).read(0, 3100), file.read(0, 3100), "seed {seed}");
        }
    }

    #[test]
    fn pc2_an_unsynced_sector_is_one_of_its_versions_and_each_occurs() {
        let mut file = FileData::default();
        file.write(0, &[1; 1024]);
        file.sync();
        file.write(0, &[2; 1024]);
        file.write(0, &[3; 1024]);
        let mut seen = [[0_u32; 4]; 2];
        for seed in 0..300 {
            let after = cut(file.clone(), seed).read(0, 1024);
            for (sector, seen) in seen.iter_mut().enumerate() {
                let bytes = &after[sector * SECTOR..(sector + 1) * SECTOR];
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn sector, seed {seed}");
                seen[bytes[0] as usize] += 1;
            }
        }
        for seen in seen {
            assert_eq!(seen[0], 0, "bytes that nobody wrote");
            assert!(seen[1..].iter().all(|count| *count > 20), "{seen:?}");
        }
    }

    #[test]
    fn pc2_a_truncation_is_whole_or_not_at_all() {
        let mut file = FileData::default();
        file.write(0, &[1; 5000]);
        file.sync();
        file.set_size(0);
        file.write(0, &[2; 512]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let after = cut(file.clone(), seed);
            let bytes = after.read(0, 9999);
            match after.size() {
                5000 => assert_eq!(bytes, [1; 5000], "seed {seed}"),
                len => assert!(len <= 512 && !bytes.contains(&1), "seed {seed}: {len} bytes"),
            }
            seen.insert((after.size(), bytes.first().copied()));
        }
        assert!(seen.contains(&(5000, Some(1))) && seen.contains(&(0, None)), "{seen:?}");
        assert!(seen.contains(&(512, Some(2))) && seen.contains(&(512, Some(0))), "{seen:?}");
    }

    #[test]
    fn what_is_cut_off_reads_as_zeros_when_the_file_grows_again() {
        let mut file = FileData::default();
        file.write(0, &[9; 1000]);
        file.set_size(700);
        file.set_size(1000);
        assert_eq!(file.read(690, 310), [&[9; 10][..], &[0; 300][..]].concat());
    }
}
