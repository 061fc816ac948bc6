//! A log and snapshots in two directories, and what is refused.

use std::fs::{read_dir, rename};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

use super::memory_disk::{MemoryFile, MemoryLock};
use super::pair::lies_with_snapshots;
use super::*;

/// The memory disk as two: that of the snapshots can be full by itself.
#[derive(Clone)]
struct TwoDisks {
    both: MemoryDisk,
    is_full: Arc<AtomicBool>,
}

impl Disk for TwoDisks {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn lock(&self) -> Result<MemoryLock, (PathBuf, io::Error)> {
        self.both.lock()
    }
    fn is_split(&self) -> bool {
        true
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.both.list()
    }
    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        self.both.open(name)
    }
    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let is_full = self.is_full.load(Relaxed) && lies_with_snapshots(name);
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { self.both.create(name) }
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.both.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.both.remove(name)
    }
    fn sync_dir(&self, name: &str) -> io::Result<()> {
        self.both.sync_dir(name)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.both.free_bytes()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.both.path(name)
    }
}

#[test]
fn s12_whatever_was_full_at_the_first_start_a_snapshot_has_its_pair() {
    let disk = TwoDisks { both: MemoryDisk::new(1), is_full: Arc::default() };
    let options = Options { reserve: Reserve::Inline, ..Options::new(ServerId(1), 7) };
    disk.is_full.store(true, Relaxed);
    let first = open(disk.clone(), options.clone());
    if let Err(error) = &first {
        assert!(matches!(error, OpenError::Full { file, .. } if *file == disk.path("pair")), "{error}");
    }
    disk.is_full.store(false, Relaxed);
    // A node that did start would go on as soon as there is space.
    let (mut logger, _) = first.or_else(|_| open(disk.clone(), options.clone())).unwrap();
    logger.append(Zxid(1), b"txn");
    logger.flush().unwrap();
    disk.is_full.store(true, Relaxed);
    logger.change_facts(|facts| facts.accepted_epoch = Epoch(1)).unwrap();
    logger.keep_pair().unwrap(); // the old one stays
    disk.is_full.store(false, Relaxed);
    let name = snapshot_name(Zxid(1));
    disk.create(&name).unwrap().write_at(b"a tree", 0).unwrap();
    disk.sync_dir(&name).unwrap();
    drop(logger); // a crash before it is entered
    let (mut logger, _) = open(disk.clone(), options.clone()).unwrap();
    disk.create(&name).unwrap().write_at(b"a tree", 0).unwrap();
    logger.add_snapshot(&name, Zxid(1)).unwrap();
    drop(logger);
    assert_eq!(open(disk, options).unwrap().1.snapshots.len(), 1);
}

/// Two directories below one that goes with the test.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("log")
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn open(&self) -> Result<(Logger<RealDisk>, Recovered), OpenError> {
        open_in(&self.log(), &self.data())
    }

    /// With one snapshot, of txn 2 of 3.
    fn filled() -> Self {
        let place = Self::new();
        let (mut logger, _) = place.open().unwrap();
        fill(&mut logger, &place.data());
        place
    }

    fn aside(&self, what: &Path) -> PathBuf {
        let aside = self.root.path().join("aside");
        rename(what, &aside).unwrap();
        aside
    }
}

fn open_in(log: &Path, data: &Path) -> Result<(Logger<RealDisk>, Recovered), OpenError> {
    let disk = RealDisk::split(log, data).unwrap();
    let salt = crc32c::crc32c(log.as_os_str().as_encoded_bytes()).into();
    let options =
        Options { segment_bytes: 64 << 10, admitted_bytes: 16 << 10, ..Options::new(ServerId(1), 7) };
    open(disk, Options { salt, reserve: Reserve::Inline, ..options })
}

fn fill(logger: &mut Logger<RealDisk>, data: &Path) {
    for zxid in 1..=3 {
        logger.append(Zxid(zxid), b"txn");
    }
    logger.flush().unwrap();
    let name = snapshot_name(Zxid(2));
    std::fs::write(data.join(&name), b"a tree").unwrap();
    logger.add_snapshot(&name, Zxid(2)).unwrap();
    logger.change_facts(|facts| facts.accepted_epoch = Epoch(3)).unwrap();
    logger.keep_pair().unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn s12_each_file_lies_in_its_directory_and_both_are_taken() {
    let place = Place::filled();
    assert_eq!(names(&place.data()), ["lock", "pair", "snapshot.0000000000000002"]);
    let segments = ["segment.0000000000000001", "segment.0000000000000002"];
    assert_eq!(names(&place.log()), [&["history", "history.spare", "lock"][..], &segments].concat());
    let (_held, recovered) = place.open().unwrap();
    assert_eq!((recovered.last, recovered.snapshots.len()), (Zxid(3), 1));
    // Neither is anybody else's meanwhile, alone or with another.
    let other = place.root.path().join("other");
    for (log, data, taken) in [
        (place.log(), place.data(), place.log()),
        (other.clone(), place.data(), place.data()),
        (place.log(), other, place.log()),
        (place.data(), place.data(), place.data()),
    ] {
        match open_in(&log, &data) {
            Err(OpenError::Locked { directory }) => assert_eq!(directory, taken),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{log:?} with {data:?}"),
        }
    }
}

#[test]
fn s12_what_does_not_belong_together_is_refused_and_left_alone() {
    let (place, other) = (Place::filled(), Place::filled());
    let stale = Place::new(); // its log was copied, and then it went on
    {
        let (mut logger, _) = stale.open().unwrap();
        fill(&mut logger, &stale.data());
        let copy = stale.root.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        for name in names(&stale.log()) {
            std::fs::copy(stale.log().join(&name), copy.join(&name)).unwrap();
        }
        logger.change_facts(|facts| facts.accepted_epoch = Epoch(4)).unwrap();
        logger.keep_pair().unwrap();
    }
    let empty = place.root.path().join("empty");
    for (log, data, because) in [
        (empty.clone(), place.data(), "the log is missing"),
        (place.log(), empty, "its snapshots are missing"),
        (other.log(), place.data(), "another log of this server"),
        (stale.root.path().join("copy"), stale.data(), "an older copy"),
    ] {
        let before = (names(&data), data.join("lock").exists());
        let refused = open_in(&log, &data).map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::NotAPair { .. }), "{refused}");
        assert!(refused.to_string().contains(because), "{refused}");
        assert!(!before.1 || names(&data) == before.0, "{because}");
        assert!(open_in(&log, &data).is_err(), "still");
    }
    for place in [&place, &other, &stale] {
        assert_eq!(place.open().unwrap().1.snapshots.len(), 1, "what belongs together is taken");
    }
}

#[test]
fn s12_a_log_moved_out_of_the_data_directory_is_the_same_log_and_a_half_moved_one_is_none() {
    let place = Place::new();
    let (mut logger, _) = open_in(&place.data(), &place.data()).unwrap();
    fill(&mut logger, &place.data());
    drop(logger);
    std::fs::create_dir(place.log()).unwrap();
    for name in names(&place.data()) {
        if name == "history" || name.starts_with("segment.") {
            let refused = place.open().map(drop).unwrap_err();
            assert!(matches!(refused, OpenError::Misplaced { .. }), "before {name} is moved: {refused}");
            rename(place.data().join(&name), place.log().join(&name)).unwrap();
        }
    }
    assert_eq!(place.open().unwrap().1.last, Zxid(3));
    rename(place.data().join("snapshot.0000000000000002"), place.log().join("snapshot.0000000000000002"))
        .unwrap();
    let refused = place.open().map(drop).unwrap_err();
    assert!(refused.to_string().contains("log/snapshot.0000000000000002: lies in the wrong"), "{refused}");
}

/// What is refused must say `because`, twice, and leave every file as it was.
fn refused(log: &Path, data: &Path, because: &str) {
    let state = || {
        let all = |it: &Path| {
            names(it).into_iter().filter(|name| name != "lock").map(|name| it.join(name)).collect()
        };
        let (mut files, more): (Vec<_>, Vec<_>) = (all(log), all(data));
        files.extend(more);
        files.into_iter().map(|file| (std::fs::read(&file).unwrap(), file)).collect::<Vec<_>>()
    };
    let before = state();
    for _ in 0..2 {
        let error = open_in(log, data).map(drop).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
        assert_eq!(error.contains("mounted"), because.contains("mounted"), "{error}");
        assert!(state() == before, "{because}: nothing was changed");
    }
}

#[test]
fn s12_a_start_cut_short_before_the_pair_was_written_goes_on() {
    for content in [None, Some(b"nonsense")] {
        let place = Place::new();
        drop(place.open().unwrap());
        let pair = place.data().join("pair");
        let sound = std::fs::read(&pair).unwrap();
        std::fs::remove_file(&pair).unwrap();
        if let Some(content) = content {
            std::fs::write(&pair, content).unwrap();
        }
        assert!(!place.open().unwrap().1.fresh, "no snapshot is missed");
        assert_eq!(std::fs::read(&pair).unwrap(), sound);
    }
}

#[test]
fn s12_a_pair_that_is_lost_damaged_or_newer_beside_snapshots_is_called_so() {
    let place = Place::filled();
    let pair = place.data().join("pair");
    let sound = std::fs::read(&pair).unwrap();
    std::fs::remove_file(&pair).unwrap();
    refused(&place.log(), &place.data(), "data/pair: missing beside ");
    for damage in [&b"nonsense"[..], b"", &sound[..sound.len() - 1], &[&sound[..], b"more"].concat()] {
        std::fs::write(&pair, damage).unwrap();
        refused(&place.log(), &place.data(), "data/pair: damaged, its checksum fails");
    }
    let mut newer = [&[2], &sound[1..sound.len() - 4]].concat();
    newer.extend(crc32c::crc32c(&newer).to_le_bytes());
    std::fs::write(&pair, newer).unwrap();
    refused(&place.log(), &place.data(), "data/pair: at byte 0, format 2 is newer");
    std::fs::write(&pair, sound).unwrap();
    assert_eq!(place.open().unwrap().1.snapshots.len(), 1);
}

#[test]
fn s12_snapshots_that_are_gone_with_their_pair_are_on_a_disk_that_is_not_mounted() {
    let place = Place::filled();
    std::fs::remove_file(place.data().join("pair")).unwrap();
    place.aside(&place.data().join("snapshot.0000000000000002"));
    refused(&place.log(), &place.data(), "its snapshots are missing; is their disk mounted?");
}

#[test]
fn s12_snapshots_of_which_an_older_log_knows_nothing_are_not_swept_for_want_of_a_pair() {
    let place = Place::new();
    drop(place.open().unwrap());
    let first = place.root.path().join("first");
    std::fs::create_dir(&first).unwrap();
    for name in names(&place.log()) {
        std::fs::copy(place.log().join(&name), first.join(&name)).unwrap();
    }
    let (mut logger, _) = place.open().unwrap();
    fill(&mut logger, &place.data());
    drop(logger);
    std::fs::remove_file(place.data().join("pair")).unwrap();
    refused(&first, &place.data(), "data/pair: missing beside ");
}

#[test]
fn s12_with_the_log_gone_a_damaged_pair_still_says_that_there_was_one() {
    let place = Place::filled();
    std::fs::write(place.data().join("pair"), b"nonsense").unwrap();
    place.aside(&place.log());
    std::fs::create_dir(place.log()).unwrap();
    refused(&place.log(), &place.data(), "the log is missing; is its disk mounted?");
    std::fs::remove_file(place.data().join("snapshot.0000000000000002")).unwrap();
    refused(&place.log(), &place.data(), "the log is missing; is its disk mounted?");
}

#[test]
fn s12_one_directory_needs_no_pair_and_so_an_operator_mends_two() {
    let place = Place::filled();
    let (log, data) = (place.log(), place.data());
    let sound = std::fs::read(data.join("pair")).unwrap();
    let move_log = |from: &Path, to: &Path| {
        for name in names(from).iter().filter(|it| *it == "history" || it.starts_with("segment.")) {
            rename(from.join(name), to.join(name)).unwrap();
        }
    };
    for content in [None, Some(b"nonsense")] {
        std::fs::remove_file(data.join("pair")).unwrap();
        if let Some(content) = content {
            std::fs::write(data.join("pair"), content).unwrap();
        }
        refused(&log, &data, "move `history` and all `segment.*` into dataDir");
        move_log(&log, &data);
        assert_eq!(open_in(&data, &data).map(drop).map_err(|it| it.to_string()), Ok(()), "{content:?}");
        assert_eq!(std::fs::read(data.join("pair")).unwrap(), sound);
        move_log(&data, &log);
        let (_logger, recovered) = place.open().unwrap();
        assert_eq!((recovered.last, recovered.snapshots.len()), (Zxid(3), 1));
    }
}

#[test]
fn s12_two_names_of_one_directory_are_one() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    std::os::unix::fs::symlink(place.data(), place.log()).unwrap();
    assert!(!RealDisk::split(place.log(), place.data()).unwrap().is_split());
    drop(place.open().unwrap());
}

#[test]
fn a_java_servers_snapshots_are_no_empty_directory() {
    for in_data in [true, false] {
        let place = Place::new();
        let java = if in_data { place.data() } else { place.log() }.join("version-2");
        std::fs::create_dir_all(&java).unwrap();
        match place.open() {
            Err(OpenError::JavaData { file }) => assert_eq!(file, java),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it would serve an empty tree"),
        }
        assert_eq!(names(java.parent().unwrap()), ["lock", "version-2"]);
    }
}
