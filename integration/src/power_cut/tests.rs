use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};
use rustix::io::Errno;

use super::*;

fn disk() -> PowerCutFs {
    PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse")
}

fn cut(disk: &PowerCutFs, seed: u64) {
    disk.cut(seed);
    disk.power_on();
}

fn sync_dir(dir: &Path) {
    File::open(dir).unwrap().sync_all().unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().and_then(|error| Errno::from_io_error(&error))
}

#[test]
fn it_does_what_a_log_writing_server_asks_of_a_file_system() {
    let disk = disk();
    let dir = disk.path().join("data");
    fs::create_dir(&dir).unwrap();
    let mut log =
        OpenOptions::new().create_new(true).read(true).append(true).open(dir.join("log.tmp")).unwrap();
    log.write_all(&vec![3; 300_000]).unwrap(); // more than one FUSE write
    log.write_all(b"end").unwrap();
    log.sync_data().unwrap();
    log.set_len(100).unwrap();
    assert_eq!(log.metadata().unwrap().len(), 100);
    let refused = rustix::fs::fallocate(&log, rustix::fs::FallocateFlags::empty(), 0, 4096);
    assert_eq!(refused, Err(Errno::OPNOTSUPP));
    fs::write(dir.join("log.1"), b"old").unwrap();
    fs::rename(dir.join("log.tmp"), dir.join("log.1")).unwrap();
    sync_dir(&dir);
    assert_eq!(names(&dir), ["log.1"]);
    assert_eq!(fs::read(dir.join("log.1")).unwrap(), [3; 100]);
    assert!(dir.join("log.1").is_file() && dir.is_dir() && !dir.join("log.tmp").exists());
    for i in 0..500 {
        File::create(dir.join(format!("{i:03}"))).unwrap(); // more than one buffer of readdir
    }
    assert_eq!(names(&dir).len(), 501);
    assert_eq!(errno(fs::remove_dir(&dir)), Some(Errno::NOTEMPTY));
    fs::remove_file(dir.join("log.1")).unwrap();
    let mut unlinked = Vec::new();
    let mut log = {
        log.set_len(5).unwrap();
        log
    };
    std::io::Seek::rewind(&mut log).unwrap();
    log.read_to_end(&mut unlinked).unwrap();
    assert_eq!(unlinked, [3; 5], "an open file outlives its name");
}

#[test]
fn locks_exclude_between_handles() {
    let disk = disk();
    let path = disk.path().join("lock");
    let (first, second) = (File::create(&path).unwrap(), File::open(&path).unwrap());
    flock(&first, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(flock(&second, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
    drop(first);
    flock(&second, FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[test]
fn pc1_synced_data_survives_and_unsynced_data_is_lost_by_some_seed() {
    let disk = disk();
    let path = disk.path().join("log");
    let mut kept = 0;
    for seed in 0..40 {
        let file = File::create(&path).unwrap();
        file.write_all_at(&[1; 2048], 0).unwrap();
        file.sync_data().unwrap();
        sync_dir(disk.path());
        file.write_all_at(&[2; 2048], 2048).unwrap();
        cut(&disk, seed);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes[..2048], [1; 2048], "seed {seed}");
        kept += u32::from(bytes.len() == 4096 && bytes[2048..] == [2; 2048]);
    }
    assert!((1..30).contains(&kept), "all unsynced bytes survived {kept} of 40 cuts");
    assert!(disk.counters().sectors_dropped > 40 && disk.counters().cuts == 40);
}

#[test]
fn pc3_directory_changes_survive_as_a_prefix_and_whole() {
    let disk = disk();
    let (from, to) = (disk.path().join("history.tmp"), disk.path().join("history"));
    fs::write(&to, b"old").unwrap();
    File::open(&to).unwrap().sync_all().unwrap();
    sync_dir(disk.path());
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let mut file = File::create(&from).unwrap(); // 1
        file.write_all(b"new").unwrap();
        file.sync_all().unwrap();
        fs::rename(&from, &to).unwrap(); // 2
        File::create(disk.path().join("later")).unwrap(); // 3
        cut(&disk, seed);
        let content = fs::read_to_string(&to).unwrap();
        seen.insert((names(disk.path()).join(" "), content));
        // back to where it began
        for name in ["later", "history.tmp"] {
            let _ = fs::remove_file(disk.path().join(name));
        }
        fs::write(&to, b"old").unwrap();
        File::open(&to).unwrap().sync_all().unwrap();
        sync_dir(disk.path());
    }
    let prefixes =
        [("history", "new"), ("history", "old"), ("history history.tmp", "old"), ("history later", "new")];
    assert_eq!(seen, prefixes.map(|(names, content)| (names.to_owned(), content.to_owned())).into());
}

#[test]
fn pc3_a_new_file_needs_its_directory_synced_unless_journalled() {
    for (directories, survives_always) in [(DirDurability::OwnSync, false), (DirDurability::Journalled, true)]
    {
        let disk = PowerCutFs::mount(Options { directories, ..Options::default() }).unwrap();
        let path = disk.path().join("log");
        let mut survived = 0;
        for seed in 0..20 {
            File::create(&path).unwrap().sync_all().unwrap();
            cut(&disk, seed);
            survived += u32::from(path.exists());
            let _ = fs::remove_file(&path);
            sync_dir(disk.path());
        }
        assert_eq!(survived == 20, survives_always, "{directories:?}: {survived} of 20");
    }
}

#[test]
fn pc3_a_directory_that_its_parent_does_not_know_is_lost_with_all_in_it() {
    let disk = disk();
    let dir = disk.path().join("data");
    let mut lost = 0;
    for seed in 0..20 {
        fs::create_dir(&dir).unwrap();
        File::create(dir.join("log")).unwrap().sync_all().unwrap();
        sync_dir(&dir);
        cut(&disk, seed);
        if dir.exists() {
            assert_eq!(names(&dir), ["log"], "seed {seed}");
            fs::remove_file(dir.join("log")).unwrap();
            fs::remove_dir(&dir).unwrap();
            sync_dir(disk.path());
        } else {
            lost += 1;
        }
    }
    assert!((1..20).contains(&lost), "lost {lost} of 20");
}

#[test]
fn pc4_nothing_reaches_the_disk_after_the_cut() {
    let disk = disk();
    let path = disk.path().join("log");
    let file = File::create(&path).unwrap();
    file.sync_all().unwrap();
    sync_dir(disk.path());
    disk.cut(1);
    assert_eq!(errno(file.write_all_at(b"late", 0)), Some(Errno::IO));
    assert_eq!(errno(File::create(disk.path().join("new"))), Some(Errno::IO));
    assert_eq!(errno(fs::read_dir(disk.path())), Some(Errno::IO));
    disk.power_on();
    assert_eq!(errno(file.write_all_at(b"late", 0)), Some(Errno::IO), "the old handle stays dead");
    assert_eq!(errno(file.sync_all()), Some(Errno::IO));
    assert_eq!(fs::read(&path).unwrap(), b"");
    drop(file); // its release must not close the handles of now
    fs::write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn pc5_the_same_seed_leaves_the_same_bytes() {
    let run = |seed| {
        let disk = disk();
        for i in 0..8_u8 {
            let file = File::create(disk.path().join(i.to_string())).unwrap();
            file.write_all_at(&vec![i; 5000], 100).unwrap();
        }
        cut(&disk, seed);
        names(disk.path())
            .into_iter()
            .map(|name| fs::read(disk.path().join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn synchronous_writes_are_durable_when_they_return_and_direct_ones_are_not() {
    let disk = disk();
    let path = disk.path().join("log");
    File::create(&path).unwrap();
    sync_dir(disk.path());
    for (flags, always) in [(OFlags::DSYNC, true), (OFlags::SYNC, true), (OFlags::DIRECT, false)] {
        let mut survived = 0;
        for seed in 0..20_u64 {
            let flags = flags.bits().cast_signed();
            let file = OpenOptions::new().write(true).custom_flags(flags).open(&path).unwrap();
            let content = [seed as u8 + 1; 512];
            file.write_all_at(&content, 0).unwrap();
            cut(&disk, seed);
            survived += u32::from(fs::read(&path).unwrap() == content);
        }
        assert_eq!(survived == 20, always, "{flags:?}: {survived} of 20");
    }
}

#[test]
fn an_armed_cut_comes_before_the_sync_has_an_effect() {
    let disk = disk();
    let file = File::create(disk.path().join("log")).unwrap();
    disk.cut_at_sync(2, 3);
    file.sync_all().unwrap();
    assert!(!disk.wait_until_off(Duration::ZERO));
    assert_eq!(errno(file.sync_all()), Some(Errno::IO));
    assert!(disk.wait_until_off(Duration::ZERO));
    assert_eq!(disk.counters().syncs, 1);
}

#[test]
fn a_failing_sync_fails_once_and_makes_nothing_durable() {
    let disk = disk();
    let path = disk.path().join("log");
    let file = File::create(&path).unwrap();
    sync_dir(disk.path());
    disk.fail_sync(1);
    file.write_all_at(&[1; 512], 0).unwrap();
    assert_eq!(errno(file.sync_data()), Some(Errno::IO));
    assert_eq!(disk.counters().syncs, 1, "the directory's");
    file.sync_data().unwrap();
}

#[test]
fn space_runs_out_and_comes_back() {
    let disk = PowerCutFs::mount(Options { capacity: Some(64 << 10), ..Options::default() }).unwrap();
    let file = File::create(disk.path().join("log")).unwrap();
    file.set_len(1 << 30).unwrap(); // a hole takes no space
    file.write_all_at(&[1; 60 << 10], 0).unwrap();
    assert_eq!(errno(file.write_all_at(&[1; 8 << 10], 60 << 10)), Some(Errno::NOSPC));
    file.write_all_at(&[2; 60 << 10], 0).unwrap(); // over what is allocated: no further space
    assert_eq!((disk.used(), statvfs(disk.path()).unwrap().f_bavail), (60 << 10, 1));
    disk.set_capacity(None);
    file.write_all_at(&[1; 8 << 10], 60 << 10).unwrap();
    disk.set_capacity(Some(64 << 10));
    fs::remove_file(disk.path().join("log")).unwrap();
    drop(file);
    sync_dir(disk.path()); // also waits until the kernel has passed on that the file is closed
    assert_eq!(disk.used(), 0, "removed, synced and closed: its space is free");
}

#[test]
fn a_read_only_disk_refuses_changes_and_still_reads() {
    let disk = disk();
    let path = disk.path().join("log");
    fs::write(&path, b"data").unwrap();
    disk.set_read_only(true);
    assert_eq!(errno(fs::write(&path, b"more")), Some(Errno::ROFS));
    assert_eq!(errno(fs::remove_file(&path)), Some(Errno::ROFS));
    assert_eq!(fs::read(&path).unwrap(), b"data");
}
