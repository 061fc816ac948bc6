//! The programs that make networks, and what they answer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Words before a command that is to run in a namespace.
pub(super) fn within(namespace: &str) -> [&str; 4] {
    ["ip", "netns", "exec", namespace]
}

/// Runs a command, its words apart by blanks.
pub(super) fn run(command: &str) -> Result<(), String> {
    let words: Vec<_> = command.split(' ').collect();
    run_with(&words, &[], "").map(drop)
}

/// Runs a command that reads `input`; returns what it wrote.
pub(super) fn run_with(words: &[&str], more: &[&str], input: &str) -> Result<String, String> {
    let command = [words, more].concat();
    let failed = |why: &str| format!("{}: {}", command.join(" "), why.trim());
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let written = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    written.map_err(|error| failed(&error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Removes namespaces of these names whose process, whose id follows, is no more.
pub(super) fn remove_leftovers(names: &str) {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(names).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if id.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = run(&format!("ip netns del {name}")); // another test may have been faster
        }
    }
}
