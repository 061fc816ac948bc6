//! Members that find each other by name: a name that comes to mean another address, and one that means none. Who runs goes on, and
//! dials where the name leads by then.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use paddock_integration::ensemble::{Ensemble, Id, Shape};
use paddock_integration::network::Network;
use paddock_messages::znode::CreateMode;
use tempfile::TempDir;

use crate::trees;
use crate::world::client;

/// Where members are in the beginning, and where there is room for another machine.
const PLACES: [Id; 5] = [1, 2, 3, 4, 5];
/// Starts a member with this file in the place of `/etc/hosts`, which nobody else sees.
const WITH_HOSTS: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// Three members, none of them started, with names that one file gives to all.
struct Named<'a> {
    network: &'a Network,
    dir: TempDir,
    ensemble: Ensemble,
    /// The place of each member, by id less one.
    places: Vec<Id>,
}

impl<'a> Named<'a> {
    fn new(network: &'a Network) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Where its name leads is all that a member's file says of where it is.
        let shape = Shape { lines: "metricsProvider.httpHost=0.0.0.0".to_owned(), ..Shape::default() };
        let ensemble = Ensemble::in_network(dir.path(), shape, network);
        let mut named = Self { network, dir, ensemble, places: vec![1, 2, 3] };
        (1..=3).for_each(|id| named.use_names(id));
        named.name(&[1, 2, 3]);
        named
    }

    fn hosts(&self) -> PathBuf {
        self.dir.path().join("hosts")
    }

    fn place(&self, id: Id) -> Id {
        self.places[id as usize - 1]
    }

    /// The names of these members, and no others, lead where they are.
    fn name(&self, ids: &[Id]) {
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for id in ids {
            writeln!(text, "{} {}", self.network.address(self.place(*id)), name(*id)).unwrap();
        }
        fs::write(self.hosts(), text).unwrap(); // the same file, which is mounted
    }

    /// Has one that does not run know all members by name.
    fn use_names(&mut self, id: Id) {
        let file = self.ensemble.dir().join(id.to_string()).join("zoo.cfg");
        let mut text = fs::read_to_string(&file).unwrap();
        for member in 1..=3 {
            let at = self.network.address(self.place(member));
            let (by_address, by_name) =
                (format!("{at}:2888:3888;{at}:2181"), format!("{}:2888:3888;2181", name(member)));
            assert!(text.contains(&by_address), "{text}");
            text = text.replace(&by_address, &by_name);
        }
        fs::write(file, text).unwrap();
        let prefix = self.network.prefix(self.place(id));
        let words = prefix.iter().map(|word| word.to_str().unwrap().to_owned());
        let hosts = self.hosts().display().to_string();
        let words: Vec<_> = words.chain(["sh", "-c", WITH_HOSTS].map(str::to_owned)).chain([hosts]).collect();
        self.ensemble.run_under(id, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Stops one, and starts it at another place, with its data and an unchanged file.
    fn move_to(&mut self, id: Id, place: Id) {
        self.ensemble.stop(id);
        self.places[id as usize - 1] = place;
        self.ensemble.move_to(id, self.network, place);
        self.use_names(id);
        self.name(&[1, 2, 3]);
        self.ensemble.start(id);
    }
}

fn name(id: Id) -> String {
    format!("member{id}.test")
}

fn in_network(act: impl FnOnce(&mut Network) + Send) {
    match Network::new(PLACES.to_vec()) {
        Ok(network) => network.inside(act),
        Err(why) => println!("\nskipped: no network namespaces here: {why}"),
    }
}

/// The lowest id is dialled by all others, the greatest dials all of them.
#[test]
fn a_member_whose_name_comes_to_mean_another_address_is_found_there_by_those_that_run() {
    in_network(|network| {
        let mut named = Named::new(network);
        named.ensemble.start_all();
        let leader = named.ensemble.await_all_serving();
        client(&named.ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
        let mut version = 0;
        for (id, place) in [(1, 4), (3, 5)] {
            let others: Vec<_> = [1, 2, 3].into_iter().filter(|it| *it != id).collect();
            let pids: Vec<_> = others.iter().map(|it| named.ensemble.pid(*it)).collect();
            named.move_to(id, place);
            let leader = named.ensemble.await_all_serving();
            version = client(&named.ensemble, leader).set("/a", b"moved", version).unwrap().version;
            // It is needed from now on.
            let out = others[0];
            named.ensemble.kill(out);
            let leader = named.ensemble.await_all_serving();
            version = client(&named.ensemble, leader).set("/a", b"by two of three", version).unwrap().version;
            assert_eq!(named.ensemble.pid(others[1]), pids[1], "it was not started again");
            named.ensemble.start(out);
            named.ensemble.await_all_serving();
        }
        assert_eq!(trees::same(&named.ensemble)["/a"].1.version, version);
    });
}

#[test]
fn a_name_that_cannot_be_resolved_stops_nobody_else_and_is_told() {
    in_network(|network| {
        let mut named = Named::new(network);
        named.ensemble.start_all();
        let leader = named.ensemble.await_all_serving();
        client(&named.ensemble, leader).create("/a", b"", CreateMode::Persistent).unwrap();
        for (version, lost) in [(0, 1), (1, 3)] {
            let others: Vec<_> = [1, 2, 3].into_iter().filter(|it| *it != lost).collect();
            [1, 2, 3].into_iter().for_each(|id| named.ensemble.stop(id));
            named.name(&others);
            others.iter().for_each(|id| named.ensemble.start(*id));
            let leader = named.ensemble.await_all_serving();
            client(&named.ensemble, leader).set("/a", b"two of three", version).unwrap();
            // Of two that have no lane the one with the greater id dials at once, and the other after a while.
            let why = format!("{} cannot be resolved", name(lost));
            named.ensemble.await_line(others[1], &[&why]);
            named.name(&[1, 2, 3]);
            named.ensemble.start(lost);
            named.ensemble.await_all_serving();
            assert_eq!(trees::same(&named.ensemble)["/a"].1.version, version + 1);
        }
    });
}
