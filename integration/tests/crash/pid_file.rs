//! The pid file: there while the node has its data directory, and gone after an end in good order.

use std::fs;
use std::path::Path;
use std::process::Command;

use paddock_actors::runtime::ExitCode;
use paddock_integration::process::{Launch, binary};
use tempfile::tempdir;

use crate::refusals::refused;

fn pid_in(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[test]
fn the_pid_file_names_the_process_and_outlives_only_a_crash() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("paddock.pid");
    let flag = ["--pid-file".into(), file.clone().into_os_string()];
    let launch = Launch::new(dir.path().join("data")).args(flag);
    let mut server = launch.serve().unwrap();
    assert_eq!(pid_in(&file), server.id());

    // Another one on the same data is none: it leaves the file alone.
    let (code, log) = refused(&launch);
    assert_eq!(code, ExitCode::DataDirectoryLocked, "{log}");
    assert_eq!(pid_in(&file), server.id());

    server.kill().unwrap();
    assert_eq!(pid_in(&file), server.id(), "nobody was there to delete it");
    let mut server = launch.serve().unwrap();
    assert_eq!(pid_in(&file), server.id());
    server.wait_for_line(&["the pid file of a process that has ended is replaced", "paddock.pid"]);
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    assert!(!file.exists());
}

#[test]
fn the_pid_file_of_zkserver_sh_s_variable_is_written_too() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("zookeeper_server.pid");
    let variable = format!("ZOOPIDFILE={}", file.display());
    let mut server = Launch::new(dir.path().join("data")).under(["env", &variable]).serve().unwrap();
    assert_eq!(pid_in(&file), server.id());
    assert!(server.terminate().unwrap().success(), "{}", server.whole_log());
    assert!(!file.exists());
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_the_start_and_what_is_none_is_kept() {
    let dir = tempdir().unwrap();
    let (missing, other) = (dir.path().join("missing/paddock.pid"), dir.path().join("zoo.cfg"));
    fs::write(&other, "tickTime=2000\n").unwrap();
    for (file, why) in [(&missing, "No such file"), (&other, "something else in it than a process id")] {
        let flag = ["--pid-file".into(), file.clone().into_os_string()];
        let (code, log) = refused(&Launch::new(dir.path().join("data")).args(flag));
        let last = log.lines().last().unwrap();
        let parts = [&file.display().to_string(), "cannot write the pid file", why];
        assert!(code == ExitCode::BadConfiguration && parts.iter().all(|part| last.contains(part)), "{log}");
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), "tickTime=2000\n");
    let output = Command::new(binary().unwrap())
        .args(["check-config", "--pid-file", "/run/paddock.pid"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().any(|line| line.contains("pid_file") && line.contains("/run/paddock.pid")),
        "{text}"
    );
}
