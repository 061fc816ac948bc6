//! A server asked to stop: what is under way is answered or cut between two frames, the log is synced, and
//! nothing acknowledged is lost, in five seconds whatever the disk does.

use std::time::{Duration, Instant};

use paddock_actors::runtime::ExitCode;
use paddock_integration::power_cut::{Options, PowerCutFs};
use paddock_integration::process::{Launch, ServerProcess};
use rand::rngs::StdRng;
use tempfile::tempdir;

use crate::a_moment;
use crate::world::{World, config, seed};

/// What README promises.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Stops it; it must end in time with this code.
fn stop(server: &mut ServerProcess, expected: ExitCode) {
    let began = Instant::now();
    let status = server.terminate().expect("it is our child");
    let took = began.elapsed();
    let log = server.whole_log();
    assert_eq!(status.code(), Some(i32::from(expected.code())), "{status}:\n{log}");
    assert!(took < STOPS_WITHIN, "it took {took:?}:\n{log}");
}

/// CR1 to CR4, for a server that is asked to stop while all its clients keep it busy.
#[test]
fn a_server_stopped_under_load_ends_in_time_and_has_everything_it_acknowledged() {
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(dir.path().join("data")).file(config(dir.path(), ""));
    for arbiters in ["0", "4"] {
        let dir = dir.path().join(arbiters);
        let launch = Launch { data_dir: dir, ..launch.clone() };
        let launch = launch.args(["--set", &format!("client_arbiters={arbiters}")]);
        let mut world = World::new(launch, seed("stop"));
        for round in 0..3 {
            let stops = |server: &mut ServerProcess, rng: &mut StdRng| {
                a_moment(rng);
                stop(server, ExitCode::Finished);
                let log = server.whole_log();
                for part in ["SIGTERM: stopping", "stopped actors="] {
                    assert!(log.contains(part), "no {part:?} in\n{log}");
                }
                assert!(!log.contains("ERROR"), "{log}");
            };
            world.round(stops).unwrap_or_else(|found| panic!("round {round}: {found:#?}"));
        }
        world.finish().unwrap_or_else(|found| panic!("at the end: {found:#?}"));
        println!("rounds: 3 stops, {} acknowledged, {} open", world.acked, world.open);
        assert!(world.open > 0, "nothing was under way at any stop");
    }
}

/// The same on a disk that answers no sync any more: the log cannot be ended in good order, and the exit
/// code says so. (The kernel keeps what is left of the process until the disk answers.)
#[test]
fn a_server_stopped_while_its_disk_does_not_answer_ends_in_time_too() {
    let disk = PowerCutFs::mount(Options::default()).expect("mounting needs root and /dev/fuse");
    let dir = tempdir().expect("the temporary directory is writable");
    let launch = Launch::new(disk.path().join("data")).file(config(dir.path(), ""));
    let mut world = World::new(launch, seed("stop without a disk"));
    let stops = |server: &mut ServerProcess, _: &mut StdRng| {
        disk.hold_syncs(true);
        server.wait_for_line(&["the disk does not answer"]);
        let began = Instant::now();
        server.ask_to_stop().expect("it runs");
        while !server.is_over() && began.elapsed() < STOPS_WITHIN {
            std::thread::sleep(Duration::from_millis(5));
        }
        let is_over = server.is_over();
        disk.hold_syncs(false);
        if !is_over {
            server.kill().expect("it is our child"); // its clients wait for this
            panic!("it goes on:\n{}", server.log());
        }
        let status = server.wait().expect("it has ended");
        let log = server.whole_log();
        assert_eq!(status.code(), Some(i32::from(ExitCode::LogIo.code())), "{status}:\n{log}");
        let line = "the log did not end in time: the disk does not answer; nothing acknowledged is lost";
        assert!(log.contains(line), "{log}");
    };
    world.round(stops).unwrap_or_else(|found| panic!("{found:#?}"));
    world.finish().unwrap_or_else(|found| panic!("at the end: {found:#?}"));
    assert!(world.open > 0, "nothing waited for the disk");
}
