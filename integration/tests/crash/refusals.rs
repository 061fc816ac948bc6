//! Data directories that a server must not serve from: each with its exit code and what to do about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::{Launch, ProcessError};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::tempdir;

use crate::order::PATIENCE;
use crate::world::{config, seed};

/// Starts a server that must end by itself; its exit code and its log.
pub(crate) fn refused(launch: &Launch) -> (ExitCode, String) {
    match launch.serve() {
        Err(ProcessError::Ended { status, log }) => {
            let code = ExitCode::ALL.into_iter().find(|code| status.code() == Some(i32::from(code.code())));
            (code.unwrap_or_else(|| panic!("it ended with {status}:\n{log}")), log)
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it serves"),
    }
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path());
    let first = launch.serve().expect("the first serves");
    let (code, log) = refused(&launch);
    assert_eq!(code, ExitCode::DataDirectoryLocked, "{log}");
    assert!(log.contains(&dir.path().display().to_string()), "{log}");
    let mut client = RawClient::connect(first.address()).expect("the first still serves");
    client.create("/a", b"", CreateMode::Persistent).expect("and writes");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = disk.path().join("data");
    fs::create_dir(&dir).expect("the disk is writable");
    disk.set_read_only(true);
    let file = disk.path().join("data/none"); // cannot even be made
    for dir in [dir, file] {
        let (code, log) = refused(&Launch::new(&dir));
        assert_eq!(code, ExitCode::DataDirectory, "{log}");
        assert!(log.contains(&dir.display().to_string()), "{log}");
    }
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let dir = tempdir().expect("the temporary directory is writable");
    let file = dir.path().join("data");
    fs::write(&file, b"").expect("the temporary directory is writable");
    let (code, log) = refused(&Launch::new(&file));
    assert_eq!(code, ExitCode::DataDirectory, "{log}");
    assert!(log.contains(&file.display().to_string()), "{log}");
}

const ZNODES: usize = 120;

/// A server's directory with [`ZNODES`] acknowledged znodes, a snapshot and a log behind it, at rest.
pub(crate) fn populated(dir: &Path) -> Launch {
    let launch = Launch::new(dir.join("data")).file(config(dir, "snapCount=60"));
    let mut server = launch.serve().expect("it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    for i in 0..ZNODES {
        client.create(&path(i), &data(i), CreateMode::Persistent).expect("a write");
    }
    let deadline = Instant::now() + PATIENCE;
    while !names_a_snapshot(&launch.data_dir) {
        assert!(Instant::now() < deadline, "no snapshot is entered:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    client.close().expect("it closes");
    let status = server.terminate().expect("it stops");
    assert!(status.success(), "{status}: {}", server.whole_log());
    launch
}

/// Whether one has been entered into `history`: its name stands there as it is.
fn names_a_snapshot(data: &Path) -> bool {
    let history = fs::read(data.join("history")).expect("a server has begun it");
    history.windows(9).any(|bytes| bytes == b"snapshot.")
}

fn path(i: usize) -> String {
    format!("/znode-{i}")
}

fn data(i: usize) -> Vec<u8> {
    format!("data of {i} ").repeat(1 + i % 50).into_bytes()
}

#[test]
fn s12_a_log_of_its_own_is_refused_when_it_is_anothers_or_gone_and_nothing_is_touched() {
    let (dir, other) = (tempdir().expect("writable"), tempdir().expect("writable"));
    let split = |dir: &Path, log: &Path| config(dir, &format!("snapCount=60\ndataLogDir={}", log.display()));
    let start = |dir: &Path| {
        let launch = Launch::new(dir.join("data")).file(split(dir, &dir.join("log")));
        let mut server = launch.serve().expect("it serves");
        let mut client = RawClient::connect(server.address()).expect("it serves");
        (0..ZNODES)
            .for_each(|i| drop(client.create(&path(i), &data(i), CreateMode::Persistent).expect("a write")));
        client.close().expect("it closes");
        assert!(server.terminate().expect("it stops").success(), "{}", server.whole_log());
        launch
    };
    let (launch, _) = (start(dir.path()), start(other.path()));
    let names = |path: &str| files(&dir.path().join(path)).into_keys().collect::<Vec<_>>();
    let (in_data, in_log) = (format!("{:?}", names("data")), format!("{:?}", names("log")));
    assert!(in_data.contains("snapshot.") && !in_data.contains("segment."), "{in_data}");
    assert!(
        in_log.contains("segment.") && in_log.contains("history") && !in_log.contains("snapshot."),
        "{in_log}"
    );
    let before = (files(&launch.data_dir), files(&other.path().join("log")));
    for (log, because) in [
        (other.path().join("log"), "another log of this server"),
        (dir.path().join("not-mounted"), "is its disk mounted?"),
        (launch.data_dir.clone(), "do not belong together"),
    ] {
        split(dir.path(), &log);
        let (code, said) = refused(&launch);
        assert_eq!(code, ExitCode::DataDamaged, "{said}");
        assert!(said.contains(because), "{said}");
        assert_eq!((files(&launch.data_dir), files(&other.path().join("log"))), before, "{because}");
    }
    split(dir.path(), &dir.path().join("log"));
    let server = launch.serve().expect("with its own it serves");
    let mut client = RawClient::connect(server.address()).expect("it serves");
    assert_eq!(client.get(&path(ZNODES - 1)).expect("a read").0, data(ZNODES - 1));
}

#[test]
fn data_in_a_newer_format_is_refused_and_left_alone() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = populated(dir.path());
    let history = launch.data_dir.join("history");
    let mut bytes = fs::read(&history).expect("every data directory has it");
    bytes[0] = 3; // the format's number; nothing behind it can be read by an older version
    fs::write(&history, bytes).expect("our own file");
    let before = files(&launch.data_dir);
    let (code, log) = refused(&launch);
    assert_eq!(code, ExitCode::NewerFormat, "{log}");
    assert!(log.contains(&history.display().to_string()), "{log}");
    assert_eq!(files(&launch.data_dir), before, "nothing is touched");
}

#[test]
fn data_of_another_server_is_refused_and_left_alone() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = populated(dir.path());
    fs::write(launch.data_dir.join("myid"), "7").expect("our own directory");
    let before = files(&launch.data_dir);
    let (code, log) = refused(&launch);
    assert_eq!(code, ExitCode::OtherServer, "{log}");
    assert!(log.contains("server 1") && log.contains('7'), "{log}");
    assert_eq!(files(&launch.data_dir), before, "nothing is touched");
}

/// The plain files of a directory and their bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries =
        fs::read_dir(dir).expect("the data directory is there").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(&path).expect("a file")))
        .collect()
}

/// Puts a directory back as it was.
pub(crate) fn restore(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    files(dir).keys().for_each(|path| fs::remove_file(path).expect("our own file"));
    before.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("our own file"));
}

/// Flips one bit of `bytes`, nine times in ten where something is written rather than in padding.
fn flip(bytes: &mut [u8], rng: &mut StdRng) -> usize {
    let written: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = match written.is_empty() || rng.random_bool(0.1) {
        true => rng.random_range(0..bytes.len()),
        false => written[rng.random_range(0..written.len())],
    };
    bytes[at] ^= 1 << rng.random_range(0..8);
    at
}

/// A flipped bit is either without consequence, and then everything acknowledged is there, or it is
/// named and the server does not serve. What it must never be is served.
#[test]
fn a_flipped_bit_is_named_or_harmless() {
    let seed = seed("bit flips");
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = populated(dir.path());
    let before = files(&launch.data_dir);
    let (mut named, mut harmless) = (BTreeMap::<String, u32>::new(), 0);
    for (path, bytes) in before.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for _ in 0..12 {
            let mut flipped = bytes.clone();
            let at = flip(&mut flipped, &mut rng);
            fs::write(path, &flipped).expect("our own file");
            let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
            match launch.serve() {
                Ok(server) => {
                    check_all(&server, &format!("{name} flipped at byte {at}"));
                    harmless += 1;
                }
                Err(ProcessError::Ended { status, log }) => {
                    // A flip in a format's number makes it look newer.
                    let codes =
                        [ExitCode::DataDamaged, ExitCode::NewerFormat].map(|code| i32::from(code.code()));
                    let refused = status.code().is_some_and(|code| codes.contains(&code));
                    assert!(refused, "{name} flipped at byte {at}: {status}\n{log}");
                    assert!(log.contains(&name), "{name} flipped at byte {at} is not named:\n{log}");
                    *named.entry(name).or_default() += 1;
                }
                Err(error) => panic!("{name} flipped at byte {at}: {error}"),
            }
            restore(&launch.data_dir, &before);
        }
    }
    println!("harmless: {harmless}, named: {named:?}");
    assert!(
        named.keys().any(|name| name.starts_with("segment")),
        "no flip in the log was noticed: {named:?}"
    );
    assert!(named.len() >= 2, "only in one file was a flip noticed: {named:?}");
}

pub(crate) fn check_all(server: &paddock_integration::process::ServerProcess, what: &str) {
    let mut client = RawClient::connect(server.address()).unwrap_or_else(|error| panic!("{what}: {error}"));
    for i in 0..ZNODES {
        let found = client.get(&path(i)).unwrap_or_else(|error| panic!("{what}: {}: {error}", path(i)));
        assert_eq!(found.0, data(i), "{what}: {}", path(i));
    }
}
