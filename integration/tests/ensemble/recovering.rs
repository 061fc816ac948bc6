//! A majority is lost for good: a new history is made of what is left, by an operator who is told what that may cost (NH1 to
//! NH6).

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::process::binary;
use paddock_integration::raw_client::RawClient;
use paddock_integration::rounds::{rounds, seed};
use paddock_messages::znode::CreateMode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::admin::{self, text};
use crate::member_changes::{member, place};
use crate::world::{client, client_for, serving};

/// The command, on a member that does not run.
fn command(ensemble: &Ensemble, on: Id, words: &[&str]) -> Command {
    let file = ensemble.data_dir(on).with_file_name("zoo.cfg");
    let mut command = Command::new(binary().unwrap());
    command.arg("recover").args(words).arg(file);
    command
}

/// What it says, of an operator who types so.
fn recover(ensemble: &Ensemble, on: Id, words: &[&str], typed: &str) -> Output {
    admin::typed(&mut command(ensemble, on, words), typed)
}

fn refused(ensemble: &Ensemble, on: Id, words: &[&str], says: &str) {
    let told = recover(ensemble, on, words, &format!("recover {on}\n"));
    let error = text(&told.stderr);
    assert!(told.status.code() == Some(1) && error.contains(says), "{words:?}: {told:?}");
    assert!(told.stdout.is_empty(), "{told:?}");
}

fn done(told: &Output) -> serde_json::Value {
    assert!(told.status.success(), "{}", text(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"))
}

fn directory(path: &Path) -> &str {
    path.to_str().expect("our own folder")
}

fn written(client: &mut RawClient, prefix: &str, count: usize) -> Vec<String> {
    let paths: Vec<String> = (0..count).map(|nth| format!("/{prefix}-{nth}")).collect();
    for path in &paths {
        client.create(path, b"acknowledged", CreateMode::Persistent).unwrap();
    }
    paths
}

fn all_there(client: &mut RawClient, paths: &[String]) {
    for path in paths {
        assert!(client.exists(path).unwrap().is_some(), "{path}");
    }
}

/// Waits until each of these has what the client has written last.
fn await_all_have(ensemble: &mut Ensemble, ids: &[Id], client: &RawClient) {
    ensemble.wait_for("all to have it", |it| {
        ids.iter().all(|id| it.zxid(*id) >= Some(client.last_zxid())).then_some(())
    });
}

/// The whole of the guide's section: one of three is left, which had everything.
#[test]
fn nh4_one_of_three_goes_on_with_its_sessions_and_others_join_it_with_empty_disks() {
    let (_dir, mut ensemble) = serving(3, 0, "");
    let mut before = client_for(&ensemble, 1, 20_000);
    let paths = written(&mut before, "before", 20);
    before.create("/lives", b"", CreateMode::Ephemeral).unwrap();
    let (session, seen) = (before.session().clone(), before.last_zxid());
    await_all_have(&mut ensemble, &[1, 2, 3], &before);

    let locked = recover(&ensemble, 1, &[], "");
    assert!(
        locked.status.code() == Some(21) && text(&locked.stderr).contains("another process uses"),
        "{locked:?}"
    );
    ensemble.stop(1);
    refused(&ensemble, 1, &[], "server 2 answers where the configuration has it");
    ensemble.kill(2);
    refused(&ensemble, 1, &[], "server 3 answers where the configuration has it");
    ensemble.kill(3);
    let data_2 = ensemble.data_dir(2);
    refused(&ensemble, 1, &["--also", directory(&data_2)], "servers 1, 2 are a quorum: start them");
    ensemble.wipe(2);
    // Looking changes nothing, and nothing is done that is not wanted.
    let looked = recover(&ensemble, 1, &["--look"], "");
    let shown = text(&looked.stdout);
    for says in [
        "server 1 of ensemble ",
        "not seen: the disks of 2, 3",
        "what others than those that are shown have acknowledged behind 0x",
        "server.3=127.0.0.1:",
        "ago; known to be committed: 0x",
    ] {
        assert!(looked.status.success() && shown.contains(says), "{says}: {shown}");
    }
    for typed in ["", "yes\n", "recover 2\n"] {
        let told = recover(&ensemble, 1, &[], typed);
        let error = text(&told.stderr);
        assert!(
            told.status.code() == Some(1) && error.contains("not wanted: nothing was changed"),
            "{error}"
        );
    }
    let look = |ensemble: &Ensemble| done(&recover(ensemble, 1, &["--look", "--json"], ""));
    let was = look(&ensemble);
    let told = recover(&ensemble, 1, &["--json"], "recover 1\n");
    let new = done(&told);
    let now = look(&ensemble);
    assert_ne!(was["ensemble"], now["ensemble"], "NH1");
    assert_eq!((&now["ensemble"], &now["current_epoch"]), (&new["ensemble"], &new["epoch"]));
    assert!(now["current_epoch"].as_u64() > was["accepted_epoch"].as_u64(), "NH1: {was} {now}");
    assert_eq!(now["unseen_voters"], serde_json::json!([]), "NH4");
    let record = std::fs::read_to_string(ensemble.data_dir(1).join("recover.log")).unwrap();
    assert!(record.lines().count() == 1 && record.contains(new["ensemble"].as_str().unwrap()), "{record}");

    ensemble.start(1);
    ensemble.wait_for("it leads alone", |it| (it.mode(1) == Some(Mode::Leader)).then_some(()));
    let mut client_1 = RawClient::reattach(ensemble.client_address(1), &session, seen).unwrap();
    all_there(&mut client_1, &paths);
    assert!(client_1.exists("/lives").unwrap().is_some(), "its session lives on");
    let more = written(&mut client_1, "after", 5);
    assert!(client_1.last_zxid() > seen, "zxids go on");

    // One that comes back on what it held is nobody's member.
    ensemble.start(3);
    ensemble.await_line(3, &["it belongs to ensemble"]);
    assert_eq!(ensemble.mode(3), None);
    ensemble.kill(3);
    ensemble.wipe(3);
    for id in [3, 2] {
        ensemble.start(id);
        let told = member(&ensemble, 1, &["add", &id.to_string(), &place(&ensemble, id)]).unwrap();
        assert!(told.members.iter().any(|line| line.starts_with(&format!("server.{id}="))), "{told:?}");
    }
    ensemble.await_all_serving();
    ensemble.kill(1);
    let leader = ensemble.await_leader();
    let mut client = client(&ensemble, leader);
    client.sync("/").unwrap();
    all_there(&mut client, &[paths, more].concat());
    written(&mut client, "last", 1);
}

/// Of five voters and an observer two voters are left, and the observer: the one that holds most is to go on, and what none of
/// those left can know is told.
#[test]
fn nh5_nh6_of_several_that_are_left_the_one_that_holds_most_goes_on() {
    let (_dir, mut ensemble) = serving(5, 1, "");
    let leader = ensemble.await_all_serving();
    let others: Vec<Id> = (1..=5).filter(|id| *id != leader).collect();
    let (less, more) = (others[0], others[1]);
    let mut writer = client(&ensemble, leader);
    let both = written(&mut writer, "both", 5);
    await_all_have(&mut ensemble, &[1, 2, 3, 4, 5, 6], &writer);
    ensemble.stop(less);
    ensemble.stop(6);
    let one = written(&mut writer, "one", 5);
    await_all_have(&mut ensemble, &[more], &writer);
    ensemble.stop(more);
    ensemble.kill_all();
    let lost: Vec<Id> = (1..=5).filter(|id| ![less, more].contains(id)).collect();
    lost.iter().for_each(|id| ensemble.wipe(*id));

    // As on machines of their own: each disk is looked at where it is.
    let told = done(&recover(&ensemble, more, &["--look", "--json"], ""));
    let file: PathBuf = ensemble.dir().join("more.json");
    std::fs::write(&file, told.to_string()).unwrap();
    let holds_more = format!("the disk of server {more} holds more, epoch ");
    refused(&ensemble, less, &["--also", directory(&file)], &holds_more);
    refused(&ensemble, 6, &["--also", directory(&ensemble.data_dir(more))], &holds_more);
    let also = [less, 6].map(|id| ensemble.data_dir(id));
    let words = ["--also", directory(&also[0]), "--also", directory(&also[1])];
    // Empty, and none of what is asked for.
    let empty = recover(&ensemble, more, &["--also", directory(&ensemble.data_dir(lost[0]))], "");
    assert!(text(&empty.stderr).contains("there is no data here"), "{empty:?}");
    let nothing = recover(&ensemble, lost[0], &[], "");
    assert!(nothing.status.code() == Some(3) && text(&nothing.stderr).contains("there is no data here"));
    let garbage = ensemble.dir().join("zoo.json");
    std::fs::write(&garbage, "{}").unwrap();
    refused(
        &ensemble,
        more,
        &["--also", directory(&garbage)],
        "not what paddock recover --look --json prints",
    );

    let told = recover(&ensemble, more, &[&words[..], &["--yes", "--json"]].concat(), "");
    let shown = text(&told.stderr);
    let unseen = lost.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for says in [format!("not seen: the disks of {unseen}\n"), format!("also: server {less} of ensemble ")] {
        assert!(shown.contains(&says), "{says}: {shown}");
    }
    done(&told);
    ensemble.start(more);
    ensemble.wait_for("it leads alone", |it| (it.mode(more) == Some(Mode::Leader)).then_some(()));
    all_there(&mut client(&ensemble, more), &[both, one].concat());
}

/// Two of four hold what any quorum of three had.
#[test]
fn nh6_half_of_four_have_lost_nothing_and_a_file_that_forbids_reconfigs_is_told() {
    let (_dir, mut ensemble) = serving(4, 0, "");
    let leader = ensemble.await_all_serving();
    let mut writer = client(&ensemble, leader);
    let paths = written(&mut writer, "safe", 5);
    await_all_have(&mut ensemble, &[1, 2, 3, 4], &writer);
    ensemble.stop(1);
    ensemble.stop(2);
    ensemble.kill_all();
    let look =
        |id: Id, words: &[&str]| done(&recover(&ensemble, id, &[&["--look", "--json"], words].concat(), ""));
    // Where the first was the leader, the other has seen its successor's epoch.
    let epoch = |id| look(id, &[])["current_epoch"].as_u64();
    let (best, other) = if epoch(1) < epoch(2) { (2, 1) } else { (1, 2) };
    assert_eq!(look(best, &[])["may_lose"], true);
    let also = ensemble.data_dir(other);
    let looked = look(best, &["--also", directory(&also)]);
    assert_eq!((&looked["may_lose"], &looked["unseen_voters"]), (&false.into(), &serde_json::json!([3, 4])));

    let forbids = recover(&ensemble, best, &["--set", "ensemble.reconfig=false"], "");
    assert_eq!(forbids.status.code(), Some(2), "{forbids:?}");
    assert!(text(&forbids.stderr).contains("delete that line"), "{forbids:?}");
    let told = recover(&ensemble, best, &["--also", directory(&also)], &format!("recover {best}\n"));
    assert!(text(&told.stderr).contains("nothing that was acknowledged is lost"), "{told:?}");
    assert!(text(&told.stdout).contains(&format!("server {best} is an ensemble of one")), "{told:?}");
    ensemble.start(best);
    ensemble.wait_for("it leads alone", |it| (it.mode(best) == Some(Mode::Leader)).then_some(()));
    all_there(&mut client(&ensemble, best), &paths);
}

#[test]
fn nh2_killed_while_it_is_done_it_can_be_done_again_and_nothing_is_lost() {
    let mut rng = StdRng::seed_from_u64(seed("killed while a history is made"));
    let (_dir, mut ensemble) = serving(3, 0, "");
    let mut writer = client(&ensemble, 1);
    let paths = written(&mut writer, "safe", 50);
    await_all_have(&mut ensemble, &[1], &writer);
    ensemble.stop(1);
    ensemble.kill_all();
    let ensemble_of = |ensemble: &Ensemble| {
        let told = done(&recover(ensemble, 1, &["--look", "--json"], ""));
        told["ensemble"].as_str().expect("it is a member").to_owned()
    };
    let (mut known, mut done_before, rounds) = (ensemble_of(&ensemble), 0_u64, rounds(30));
    for _ in 0..rounds {
        let mut child = command(&ensemble, 1, &["--yes", "--force"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Whoever answers is looked for first; the rest takes some milliseconds.
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = ensemble_of(&ensemble);
        done_before += u64::from(now != known);
        known = now;
    }
    println!("rounds: {rounds} killed while a history was made, {done_before} of them with another id");
    assert!(rounds < 20 || (1..rounds).contains(&done_before), "{done_before} of {rounds}");
    done(&recover(&ensemble, 1, &["--yes", "--force", "--json"], ""));
    refused(&ensemble, 1, &[], "server 1 is a quorum by itself: start it");
    ensemble.start(1);
    ensemble.wait_for("it leads alone", |it| (it.mode(1) == Some(Mode::Leader)).then_some(()));
    all_there(&mut client(&ensemble, 1), &paths);
}
