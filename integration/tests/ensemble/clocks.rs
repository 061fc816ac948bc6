//! A member's calendar that jumps by a day, there and back: only the times written into znodes show it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::rounds::seed;
use paddock_messages::znode::CreateMode;

use crate::load::{ANSWERED_WITHIN, under_load};
use crate::world::{client, client_for, those, waiting};

const DAY_MS: i64 = 86_400_000;
/// What a machine's load can be taken for.
const HOUR_MS: i64 = 3_600_000;

/// Where Debian's `libfaketime` has what tells a process another time.
fn library() -> Option<PathBuf> {
    let dirs = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|dir| dir.path());
    dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|file| file.exists())
}

/// Has a member's calendar differ from the machine's from now on; what measures time stays as it is.
fn set_clock(ensemble: &Ensemble, id: Id, to: &str) {
    let (file, new) = (clock(ensemble, id), ensemble.dir().join("clock.new"));
    std::fs::write(&new, format!("{to}\n")).unwrap();
    std::fs::rename(new, file).unwrap(); // never half written
}

fn clock(ensemble: &Ensemble, id: Id) -> PathBuf {
    ensemble.dir().join(format!("clock-{id}"))
}

fn has_clocks_of_their_own(ensemble: &mut Ensemble, library: &Path) {
    for id in ensemble.ids() {
        set_clock(ensemble, id, "+0");
        let (library, clock) = (library.display(), clock(ensemble, id));
        let variables = [
            format!("LD_PRELOAD={library}"),
            format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        ensemble.set_variables(id, &variables.each_ref().map(String::as_str));
    }
}

#[test]
fn a_clock_that_jumps_by_a_day_ends_no_session_and_no_lead() {
    let Some(library) = library() else {
        println!("\nskipped: no libfaketime here");
        return;
    };
    let (_dir, mut ensemble) = waiting(3, 0, "");
    has_clocks_of_their_own(&mut ensemble, &library);
    ensemble.start_all();
    ensemble.await_all_serving();
    let told = under_load(&mut ensemble, seed("clocks"), ANSWERED_WITHIN, |ensemble, progress, _| {
        let leader = ensemble.await_leader();
        let follower = those(ensemble, Mode::Follower)[0];
        let epoch = ensemble.epoch(leader);
        let mut owner = client_for(ensemble, follower, 4_000);
        let written = owner.create("/owned", b"", CreateMode::Ephemeral).unwrap();
        let mut writes = client(ensemble, leader);
        writes.create("/when", b"", CreateMode::Persistent).unwrap();
        let start = writes.get("/when").unwrap().1.mtime;
        for (id, to, days) in [
            (leader, "+1d", 1),
            (leader, "-1d", -1),
            (leader, "+0", 0),
            (follower, "+1d", 0),
            (follower, "-1d", 0),
        ] {
            set_clock(ensemble, id, to);
            // It has got about: the owner's session would have run out meanwhile.
            let until = Instant::now() + std::time::Duration::from_millis(4_500);
            while Instant::now() < until {
                owner.ping().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            let jumped = writes.set("/when", b"", -1).unwrap().mtime - start - days * DAY_MS;
            assert!(
                (0..HOUR_MS).contains(&jumped),
                "member {id} at {to}: {jumped} ms beside what it should be"
            );
            assert_eq!(
                (ensemble.leader(), ensemble.epoch(leader)),
                (Some(leader), epoch),
                "member {id} at {to}"
            );
            progress.await_write_after(Instant::now());
        }
        assert!(owner.exists(&written).unwrap().is_some());
        // Who leads next goes by another clock: the order of writes does not.
        set_clock(ensemble, leader, "+1d");
        let mzxid = writes.set("/when", b"tomorrow", -1).unwrap().mzxid;
        ensemble.kill(leader);
        let next = ensemble.await_leader();
        let stat = client(ensemble, next).set("/when", b"today", -1).unwrap();
        assert!(stat.mzxid > mzxid && stat.mtime < start + HOUR_MS, "{stat:?}");
        ensemble.start(leader);
        ensemble.await_all_serving();
    });
    told.verify(&mut ensemble);
}
