//! The operations guide does what it says: each of its blocks of commands is run, in its order, on machines that are
//! directories and addresses in a network of their own. What is acknowledged in between is there at the end.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use paddock_actors::admin::status::Status;
use paddock_integration::network::Network;
use paddock_integration::process::{Launch, ServerProcess, binary};
use paddock_integration::raw_client::RawClient;
use paddock_messages::znode::CreateMode;
use tempfile::TempDir;

use crate::damaged::damage;

const GUIDE: &str = include_str!("../../../node/OPERATIONS.md");
const MACHINES: [&str; 5] = ["one", "two", "three", "four", "five"];
/// What a machine has of its own.
const PLACES: [&str; 3] = ["/etc/paddock", "/var/lib/paddock", "/usr/local/bin"];
/// To another machine, with everything below.
const RSYNC: &str = "#!/bin/sh\nmkdir -p \"$3\" && exec cp -a \"$2.\" \"$3\"\n";
/// Here all is one user's.
const RUNUSER: &str = "#!/bin/sh\n[ \"$1 $2 $3\" = '-u paddock --' ] && shift 3 && exec \"$@\"\n";

/// One thing that the guide has done.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    /// Commands on a machine, by their lines.
    Run(&'a str, Vec<&'a str>),
    /// A machine is gone.
    Kill(&'a str),
    /// A machine has lost its power, and its disk a bit of the log.
    Damage(&'a str),
}

/// The guide's blocks of commands, which say where they are run, and machines that are gone between them.
fn steps(guide: &str) -> Vec<Step<'_>> {
    let (mut steps, mut lines) = (Vec::new(), guide.lines());
    while let Some(line) = lines.next() {
        let event = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(machine) = event.and_then(|it| it.strip_prefix("kill ")) {
            steps.push(Step::Kill(machine));
        } else if let Some(machine) = event.and_then(|it| it.strip_prefix("damage ")) {
            steps.push(Step::Damage(machine));
        } else if line == "```sh" {
            let on = lines
                .next()
                .and_then(|line| line.strip_prefix("# on "))
                .expect("a block says where it is run");
            steps.push(Step::Run(on, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    steps
}

struct Machines {
    root: TempDir,
    running: BTreeMap<String, ServerProcess>,
    written: Vec<String>,
}

impl Machines {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let tools = root.path().join("tools");
        fs::create_dir(&tools).unwrap();
        for (name, tool) in [("rsync", RSYNC), ("runuser", RUNUSER)] {
            fs::write(tools.join(name), tool).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink(binary().unwrap(), root.path().join("paddock")).unwrap();
        Self { root, running: BTreeMap::new(), written: Vec::new() }
    }

    fn of(&self, machine: &str, place: &str) -> PathBuf {
        self.root.path().join(machine).join(place.trim_start_matches('/'))
    }

    /// The guide's words, with this test's directories and addresses.
    fn here(&self, on: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for (nth, machine) in (1..).zip(MACHINES) {
            let there = self.root.path().join(machine).join("");
            text = text.replace(&format!("{machine}.example:/"), &there.display().to_string());
            // All share one machine: each listens to clients at its own address alone.
            for peers in ["2888:3888", "2889:3889"] {
                let (line, own) = (format!("{machine}.example:{peers};"), address(nth));
                text = text.replace(&line, &format!("{own}:{peers};{own}:"));
            }
            text = text.replace(&format!("{machine}.example"), &address(nth).to_string());
            if machine == on {
                text = text.replace(
                    "clientPort=2181",
                    &format!("clientPort=2181\nclientPortAddress={}", address(nth)),
                );
            }
        }
        for place in PLACES {
            // Not where it stands behind a machine's own directory already.
            let own = self.of(on, place).display().to_string();
            text = text
                .replace(&format!(" {place}"), &format!(" {own}"))
                .replace(&format!("={place}"), &format!("={own}"));
        }
        text
    }

    fn bash(&self, on: &str, script: &str) {
        let script = self.here(on, script);
        let path = std::env::var("PATH").unwrap();
        let own = self.of(on, "/usr/local/bin");
        let told = Command::new("timeout")
            .args(["120", "bash", "-euo", "pipefail", "-c", &script])
            .current_dir(self.root.path())
            .env("PATH", format!("{}:{}:{path}", own.display(), self.root.path().join("tools").display()))
            .output()
            .unwrap();
        assert!(told.status.success(), "on {on}:\n{script}\n{told:?}\n{}", self.logs());
    }

    fn start(&mut self, on: &str) {
        let launch = Launch {
            binary: Some(self.of(on, "/usr/local/bin/paddock")),
            ..Launch::of_file(self.of(on, "/etc/paddock/zoo.cfg"), 2181)
        };
        let server = launch.spawn().unwrap();
        server.wait_for_line(&["clients", "address="]); // as systemd is told
        assert!(self.running.insert(on.to_owned(), server).is_none(), "{on} runs");
    }

    fn stop(&mut self, on: &str) {
        let mut server = self.running.remove(on).unwrap_or_else(|| panic!("nothing runs on {on}"));
        assert!(server.terminate().unwrap().success(), "{}", server.log());
    }

    fn kill(&mut self, on: &str) {
        self.running.remove(on).unwrap_or_else(|| panic!("nothing runs on {on}")).kill().unwrap();
    }

    /// The machine whose server leads.
    fn leader(&self) -> String {
        let leads = |on: &&String| {
            let mut asked = Command::new(binary().unwrap());
            let told =
                asked.args(["status", "--json"]).arg(self.of(on, "/etc/paddock/zoo.cfg")).output().unwrap();
            serde_json::from_slice::<Status>(&told.stdout).is_ok_and(|status| status.mode == "leader")
        };
        self.running.keys().find(leads).unwrap_or_else(|| panic!("nobody leads:\n{}", self.logs())).clone()
    }

    fn run(&mut self, on: &str, lines: &[&str]) {
        let on = if on == "the leader" { self.leader() } else { on.to_owned() };
        let mut script = String::new();
        for line in lines {
            let Some(order) = line.strip_prefix("systemctl ") else {
                script += &format!("{line}\n");
                continue;
            };
            self.bash(&on, &std::mem::take(&mut script));
            match order.split_once(' ').unwrap() {
                ("start", "paddock") => self.start(&on),
                ("stop", "paddock") => self.stop(&on),
                ("restart", "paddock") => {
                    self.stop(&on);
                    self.start(&on);
                }
                other => panic!("{other:?}"),
            }
        }
        self.bash(&on, &script);
    }

    /// A znode by a member that serves, if any is there yet.
    fn write(&mut self) {
        let path = format!("/{}", self.written.len());
        let client = self.running.keys().find_map(|on| RawClient::connect(client_address(on)).ok());
        if let Some(mut client) = client {
            client.create(&path, b"", CreateMode::Persistent).unwrap();
            client.close().unwrap();
            self.written.push(path);
        }
    }

    fn logs(&self) -> String {
        let of = |(on, server): (&String, &ServerProcess)| format!("== {on}\n{}\n", server.log());
        self.running.iter().map(of).collect()
    }
}

fn address(nth: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, nth)
}

fn client_address(on: &str) -> SocketAddr {
    let nth = (1..).zip(MACHINES).find(|(_, machine)| *machine == on).expect("one of them").0;
    SocketAddr::from((address(nth), 2181))
}

#[test]
fn the_operations_guide_is_run_block_by_block_and_nothing_acknowledged_is_lost() {
    let story = |_: &mut Network| {
        let mut machines = Machines::new();
        let steps = steps(GUIDE);
        for step in &steps {
            match step {
                Step::Run(on, lines) => machines.run(on, lines),
                Step::Kill(on) => machines.kill(on),
                Step::Damage(on) => {
                    machines.kill(on);
                    damage(&machines.of(on, "/var/lib/paddock"));
                }
            }
            machines.write();
        }
        // What the guide ends with, whatever it began with.
        let running: Vec<&str> = machines.running.keys().map(String::as_str).collect();
        assert_eq!((running, steps.len() > 20), (vec!["one", "two"], true));
        assert!(machines.written.len() > steps.len() / 2, "{:?}", machines.written);
        for on in ["one", "two"] {
            let mut client = RawClient::connect(client_address(on)).unwrap();
            client.sync("/").unwrap();
            for path in &machines.written {
                assert!(client.exists(path).unwrap().is_some(), "{on}: {path}");
            }
        }
    };
    match Network::new(Vec::new()) {
        Ok(network) => network.inside(story),
        Err(why) => println!("\nskipped: no network namespaces here: {why}"),
    }
}

#[test]
fn the_guides_blocks_are_found_with_their_machines() {
    let guide = "text\n```sh\n# on two\na\nb\n```\n```ini\n[x]\n```\n<!-- kill two -->\n<!-- damage one -->\n```sh\n# on the leader\nc\n```\n";
    let (two, leader) = (Step::Run("two", vec!["a", "b"]), Step::Run("the leader", vec!["c"]));
    let expected = [two, Step::Kill("two"), Step::Damage("one"), leader];
    assert_eq!(steps(guide), expected);
}

#[test]
fn the_guides_commands_stay_in_this_tests_directories() {
    let machines = Machines::new();
    let own = |on: &str| machines.root.path().join(on).display().to_string();
    let here = |text: &str| machines.here("two", text);
    assert_eq!(here("mkdir -p /etc/paddock /var/lib/paddock"), {
        let two = own("two");
        format!("mkdir -p {two}/etc/paddock {two}/var/lib/paddock")
    });
    assert_eq!(here("dataDir=/var/lib/paddock"), format!("dataDir={}/var/lib/paddock", own("two")));
    assert_eq!(here("x one.example:2888:3888;2181"), "x 127.0.1.1:2888:3888;127.0.1.1:2181");
    assert_eq!(here("clientPort=2181"), "clientPort=2181\nclientPortAddress=127.0.1.2");
    let copy = here("rsync -a /var/lib/paddock/ five.example:/var/lib/paddock/");
    assert_eq!(copy, format!("rsync -a {}/var/lib/paddock/ {}/var/lib/paddock/", own("two"), own("five")));
    assert!(Path::new(&own("two")).starts_with(std::env::temp_dir()));
}

/// Code that prints, without its breaks of lines in strings.
fn sources(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// What the table of symptoms has in code letters, without what differs each time.
fn quoted(guide: &str) -> Vec<&str> {
    let (_, table) = guide.split_once("## When something is wrong").unwrap();
    let rows = table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let seen = rows.map(|row| row.split(" | ").next().unwrap());
    let words = seen.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.flat_map(|words| words.split('…')).map(str::trim).filter(|part| part.len() > 8).collect()
}

#[test]
fn what_the_guide_says_that_logs_say_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let code: String = ["actors/src", "config/src", "node/src"].map(|dir| sources(&root.join(dir))).concat();
    let mut joined = String::new();
    for line in code.lines() {
        match line.strip_suffix('\\') {
            Some(open) => joined += open.trim_start(),
            None => joined += &format!("{}\n", line.trim_start()),
        }
    }
    let quoted = quoted(GUIDE);
    assert!(quoted.len() > 20, "{quoted:?}");
    let of_rusts_library = ["memory allocation of", "bytes failed"];
    let ours = quoted.iter().filter(|part| !of_rusts_library.contains(part));
    let missing: Vec<_> = ours.filter(|part| !joined.contains(**part)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
