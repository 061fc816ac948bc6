//! What becomes of a data directory that something has happened to: for each, whether it is served, the
//! exit code, and the line that says what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::process::{Launch, ProcessError};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use tempfile::tempdir;

use crate::order::PATIENCE;
use crate::refusals::{check_all, files, populated, refused, restore};
use crate::world::config;

/// What happens to a data directory at rest.
struct Case {
    name: &'static str,
    harm: fn(&Path),
    outcome: Outcome,
}

/// What is to come of it.
enum Outcome {
    /// It is served whole; so many lines of the log say all of this, and no other warns.
    Served(usize, &'static [&'static str]),
    /// It ends with this code, and nothing is touched; the log's last line says all of this.
    Refused(ExitCode, &'static [&'static str]),
}

use Outcome::{Refused, Served};

const CASES: &[Case] = &[
    Case { name: "nothing", harm: |_| {}, outcome: Served(0, &[]) },
    Case {
        name: "a torn tail",
        harm: |dir| {
            let segment = newest(dir, "segment.");
            let bytes = fs::read(&segment).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            fs::write(&segment, &bytes[..used - 3]).unwrap();
        },
        outcome: Served(
            1,
            &["WARN", "cut the tail of the log", "nothing is to be done", "segment.", "offset="],
        ),
    },
    Case {
        name: "a snapshot that was being written",
        harm: |dir| {
            let bytes = fs::read(newest(dir, "snapshot.")).unwrap();
            fs::write(dir.join("snapshot.tmp"), &bytes[..bytes.len() / 2]).unwrap();
        },
        outcome: Served(0, &[]),
    },
    Case {
        name: "half a snapshot that nobody has heard of",
        harm: |dir| {
            let bytes = fs::read(newest(dir, "snapshot.")).unwrap();
            fs::write(dir.join("snapshot.00000001000000ff"), &bytes[..bytes.len() / 2]).unwrap();
        },
        outcome: Served(0, &[]),
    },
    Case {
        name: "half of the newest snapshot",
        harm: |dir| {
            let snapshot = newest(dir, "snapshot.");
            let bytes = fs::read(&snapshot).unwrap();
            fs::write(&snapshot, &bytes[..bytes.len() / 2]).unwrap();
        },
        outcome: Served(
            1,
            &["ERROR", "this snapshot is deleted", "nothing is lost", "check the disk", "snapshot."],
        ),
    },
    Case {
        name: "the newest snapshot is gone",
        harm: |dir| fs::remove_file(newest(dir, "snapshot.")).unwrap(),
        outcome: Served(1, &["WARN", "this snapshot is missing", "takes its place", "snapshot."]),
    },
    Case {
        name: "a segment is gone",
        harm: |dir| fs::remove_file(named(dir, "segment.").remove(0)).unwrap(),
        outcome: Refused(
            ExitCode::DataDamaged,
            &["segment.", "this file of the log is missing", "restore it"],
        ),
    },
    Case {
        name: "history is gone",
        harm: |dir| fs::remove_file(dir.join("history")).unwrap(),
        outcome: Refused(ExitCode::DataDamaged, &["history: missing, but", "restore it, or move all files"]),
    },
    Case {
        name: "history is damaged",
        harm: |dir| change(&dir.join("history"), |bytes| bytes[20] ^= 4),
        outcome: Refused(ExitCode::DataDamaged, &["history: damaged", "restore the data directory"]),
    },
    Case {
        name: "a flipped bit in the log, and durable batches behind it",
        harm: |dir| change(&first_written(dir), |bytes| bytes[16] ^= 1),
        outcome: Refused(ExitCode::DataDamaged, &["segment.", "damaged at byte 0", "restore this file"]),
    },
    Case {
        name: "a newer history",
        harm: |dir| change(&dir.join("history"), |bytes| bytes[0] = 3),
        outcome: Refused(
            ExitCode::NewerFormat,
            &["history: at byte 0, format 3 is newer", "run the newer version"],
        ),
    },
    Case {
        name: "a newer snapshot",
        harm: |dir| {
            change(&newest(dir, "snapshot."), |bytes| {
                bytes[8] = 3; // behind the magic; sealed by the header's checksum
                let crc = crc32c::crc32c(&bytes[..12]).to_le_bytes();
                bytes[12..16].copy_from_slice(&crc);
            });
        },
        outcome: Refused(ExitCode::NewerFormat, &["snapshot.", "newer"]),
    },
    Case {
        name: "another server's id",
        harm: |dir| fs::write(dir.join("myid"), "7").unwrap(),
        outcome: Refused(
            ExitCode::OtherServer,
            &["the data of server 1, but myid says 7", "correct myid or dataDir"],
        ),
    },
    Case {
        name: "a Java server's data",
        harm: |dir| {
            let ours = files(dir).into_keys().filter(|path| !path.ends_with("lock"));
            ours.for_each(|path| fs::remove_file(path).unwrap());
            fs::create_dir(dir.join("version-2")).unwrap();
        },
        outcome: Refused(ExitCode::DataDirectory, &["version-2", "a ZooKeeper server on Java"]),
    },
];

/// The files whose names begin like this, oldest first.
pub(crate) fn named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(prefix);
    files(dir).into_keys().filter(has).collect()
}

/// The newest of them that anything was written to.
pub(crate) fn newest(dir: &Path, prefix: &str) -> PathBuf {
    let is_written = |path: &PathBuf| fs::read(path).unwrap().iter().any(|byte| *byte != 0);
    named(dir, prefix).into_iter().rev().find(is_written).unwrap()
}

/// The first segment that holds anything.
fn first_written(dir: &Path) -> PathBuf {
    named(dir, "segment.").into_iter().find(|path| fs::read(path).unwrap()[0] != 0).unwrap()
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Lines that somebody should read.
pub(crate) fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| [" WARN ", " ERROR "].iter().any(|level| line.contains(level))).collect()
}

/// What is wrong with how this case ended.
fn check(case: &Case, launch: &Launch) -> Option<String> {
    let data = &launch.data_dir;
    let harmed = files(data);
    match (&case.outcome, launch.serve()) {
        (Served(times, parts), Ok(mut server)) => {
            check_all(&server, case.name);
            server.kill().unwrap();
            let log = server.whole_log();
            let found = warnings(&log);
            let is_right = |line: &&str| parts.iter().all(|part| line.contains(part));
            let is_told = found.len() == *times && found.iter().all(is_right);
            (!is_told).then(|| format!("not {times} lines of {parts:?}, but {found:#?}"))
        }
        (Refused(code, parts), Err(ProcessError::Ended { status, log })) => {
            let last = log.lines().last().unwrap_or_default();
            let is_told = parts.iter().all(|part| last.contains(part));
            let is_right = status.code() == Some(i32::from(code.code())) && is_told;
            let touched = if files(data) == harmed { "" } else { " (and something was touched)" };
            (!is_right || !touched.is_empty())
                .then(|| format!("not {code:?} {parts:?}, but {status}: {last}{touched}"))
        }
        (_, served) => Some(format!("{:?}", served.map(|server| server.log()))),
    }
}

#[test]
fn every_state_of_a_data_directory_has_its_outcome() {
    let dir = tempdir().unwrap();
    // One more start, without snapshots: one that was not entered when the first ended is gone.
    let launch = populated(dir.path()).file(config(dir.path(), "snapCount=1000000"));
    let mut server = launch.serve().unwrap();
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let data = launch.data_dir.clone();
    let sound = files(&data);
    let mut wrong = Vec::new();
    for case in CASES {
        (case.harm)(&data);
        wrong.extend(check(case, &launch).map(|what| format!("{}: {what}", case.name)));
        let _ = fs::remove_dir(data.join("version-2"));
        restore(&data, &sound);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Once the log's beginning is purged, snapshots are all there is of it.
#[test]
fn snapshots_that_are_gone_and_not_in_the_log_stop_the_start() {
    let dir = tempdir().unwrap();
    let launch = Launch::new(dir.path().join("data"));
    let first = launch.clone().file(config(dir.path(), "snapCount=20"));
    let mut server = first.serve().unwrap();
    let mut client = RawClient::connect(server.address()).unwrap();
    client.create("/much", b"", CreateMode::Persistent).unwrap();
    while named(&launch.data_dir, "snapshot.0").len() < 7 {
        client.set("/much", &[7; 1_000_000], -1).unwrap();
    }
    client.close().unwrap();
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let launch = launch.file(config(dir.path(), "snapCount=1000000\nautopurge.purgeInterval=1"));
    let mut server = launch.serve().unwrap();
    let segment = launch.data_dir.join("segment.0000000000000001");
    let deadline = Instant::now() + PATIENCE;
    while segment.exists() {
        assert!(Instant::now() < deadline, "nothing is purged:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    let snapshots = named(&launch.data_dir, "snapshot.");
    snapshots.iter().for_each(|path| fs::remove_file(path).unwrap());
    let (code, log) = refused(&launch);
    assert_eq!(code, ExitCode::DataDamaged, "{log}");
    let last = log.lines().last().unwrap();
    let newest = snapshots.last().unwrap().display().to_string();
    let parts = [&newest, "this snapshot is missing, and the log begins only after", "restore it"];
    assert!(parts.iter().all(|part| last.contains(part)), "{last}: not {parts:?}");
}
