//! A member's log is damaged: it does not start, gives its data up by an operator's command, and gets all of it back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::process::binary;
use paddock_messages::znode::CreateMode;

use crate::admin::{self, text};
use crate::no_quorum::{await_start, nobody_is_served_by};
use crate::trees;
use crate::world::{client, serving};

/// What the command says, of an operator who types so.
fn resync(ensemble: &Ensemble, on: Id, words: &[&str], typed: &str) -> Output {
    let file = ensemble.data_dir(on).with_file_name("zoo.cfg");
    admin::typed(Command::new(binary().unwrap()).arg("resync").args(words).arg(file), typed)
}

fn refused(ensemble: &Ensemble, on: Id, (words, typed): (&[&str], &str), code: ExitCode, says: &str) {
    let told = resync(ensemble, on, words, typed);
    let error = text(&told.stderr);
    assert!(
        told.status.code() == Some(i32::from(code.code())) && error.contains(says) && told.stdout.is_empty(),
        "{words:?}, {typed:?}: {told:?}"
    );
}

/// Flips one bit of the first record of the log in this directory, which has durable batches behind it.
pub(crate) fn damage(data_dir: &Path) -> PathBuf {
    let names = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == "segment");
    let segment = names.filter(is_segment).min().expect("a log has a segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[80] ^= 1;
    fs::write(&segment, bytes).unwrap();
    segment
}

fn does_not_start(ensemble: &mut Ensemble, id: Id) {
    ensemble.start(id);
    let status = ensemble.wait_for_end(id);
    let log = ensemble.log(id);
    assert_eq!(status.code(), Some(i32::from(ExitCode::DataDamaged.code())), "{log}");
    assert!(log.contains("damaged at byte") && log.contains("paddock resync"), "{log}");
}

#[test]
fn a_member_with_a_damaged_log_gives_it_up_when_told_to_and_has_no_vote_until_it_has_all_again() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let leader = ensemble.await_all_serving();
    let mut writes = client(&ensemble, leader);
    for nth in 0..50 {
        writes.create(&format!("/{nth}"), b"acknowledged", CreateMode::Persistent).unwrap();
    }
    trees::same(&ensemble);
    refused(&ensemble, 3, (&["--yes"], ""), ExitCode::DataDirectoryLocked, "another process uses");
    ensemble.kill(3);
    let is_sound = "the data of server 3 is sound, through 0x";
    refused(&ensemble, 3, (&["--yes"], ""), ExitCode::Unexpected, is_sound);
    ensemble.await_leader();
    client(&ensemble, 1).create("/only-1-and-2-have-it", b"", CreateMode::Persistent).unwrap();
    ensemble.kill_all();

    let segment = damage(&ensemble.data_dir(3));
    does_not_start(&mut ensemble, 3);
    for typed in ["", "yes\n", "resync 2\n"] {
        refused(&ensemble, 3, (&[], typed), ExitCode::Unexpected, "not wanted: nothing was changed");
    }
    does_not_start(&mut ensemble, 3);
    let done = resync(&ensemble, 3, &["--json"], "resync 3\n");
    assert!(done.status.success(), "{done:?}");
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["server"], 3);
    let damage = told["damage"].as_str().expect("why it was given up");
    assert!(
        damage.contains(segment.to_str().expect("our own folder")) && damage.contains("at byte"),
        "{told}"
    );
    assert!(!segment.exists(), "it is given up");

    // It would be a quorum with the second, which may have less than the first.
    for id in [2, 3] {
        ensemble.start(id);
        await_start(&mut ensemble, id);
    }
    nobody_is_served_by(&ensemble, &[2, 3]);
    ensemble.await_line(2, &["waiting for", "not heard of: server 1", "without a vote", "server 3"]);
    ensemble.start(1);
    ensemble.await_all_serving();
    let tree = trees::same(&ensemble);
    assert!(tree.contains_key("/only-1-and-2-have-it") && tree.contains_key("/49"));
    // It remembers now: two of three go on without the first.
    ensemble.kill(1);
    ensemble.await_leader();
    client(&ensemble, 3).create("/without-1", b"", CreateMode::Persistent).unwrap();
}

#[test]
fn a_member_gives_sound_data_up_by_force_alone() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    client(&ensemble, 4).create("/a", b"acknowledged", CreateMode::Persistent).unwrap();
    trees::same(&ensemble);
    ensemble.kill(4);
    refused(
        &ensemble,
        4,
        (&["--yes"], ""),
        ExitCode::Unexpected,
        "the data of server 4 is sound, through 0x",
    );
    let done = resync(&ensemble, 4, &["--yes", "--force"], "");
    let said = text(&done.stdout);
    assert!(done.status.success() && said.contains("server 4 has given its data up: start it"), "{done:?}");
    ensemble.start(4);
    ensemble.await_all_serving();
    assert!(trees::same(&ensemble).contains_key("/a"));

    // As where its disk is not mounted: nothing may begin there.
    ensemble.kill(4);
    ensemble.wipe(4);
    let there = |ensemble: &Ensemble| fs::read_dir(ensemble.data_dir(4)).unwrap().count();
    let before = there(&ensemble);
    let nothing = "there is no data here: is its disk mounted?";
    refused(&ensemble, 4, (&["--yes", "--force"], ""), ExitCode::DataDirectory, nothing);
    assert_eq!(there(&ensemble), before);
}
