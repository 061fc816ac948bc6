use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;

fn block(from: End, to: End, lane: Lane) -> Block {
    Block { from, to, lane }
}

#[test]
fn each_end_drops_what_it_receives_and_nothing_else() {
    let (one, two) = (End::Member(1), End::Member(2));
    let blocks = BTreeSet::from([block(one, two, Lane::Election), block(End::Clients, one, Lane::All)]);
    let has = |to, line: &str| rules(to, &blocks).lines().filter(|it| *it == line).count();
    assert_eq!(has(two, "ip saddr 10.77.0.1 tcp dport 3888 counter drop"), 1);
    assert_eq!(has(two, "ip saddr 10.77.0.1 tcp sport 3888 counter drop"), 1);
    assert_eq!(has(one, "ip saddr 10.77.0.254 counter drop"), 1);
    assert_eq!([one, two, End::Clients].map(|to| rules(to, &blocks).matches("drop").count()), [1, 2, 0]);
}

#[test]
fn packets_are_added_up() {
    let listed = "ip saddr 10.77.0.1 counter packets 12 bytes 720 drop\nx counter packets 3 bytes 1 drop\n";
    assert_eq!((packets(listed), packets("chain receive {}")), (15, 0));
}

#[test]
fn a_command_that_fails_says_why() {
    let error = run("ip netns del paddock-there-is-none").unwrap_err();
    assert!(error.starts_with("ip netns del paddock-there-is-none: "), "{error}");
    assert!(run("there-is-no-such-program").unwrap_err().contains("No such file"));
    assert_eq!(run_with(&["cat"], &["-"], "in").unwrap(), "in");
}

/// What is sent to a member arrives, is dropped while blocked, and arrives late when healed; nothing of it is
/// left in the end, after a panic neither.
#[test]
fn blocks_hold_what_is_sent_until_they_are_healed() {
    let network = match Network::new(vec![1, 2]) {
        Ok(network) => network,
        Err(why) => return println!("\nskipped: no network namespaces here: {why}"),
    };
    let name = network.name.clone();
    let is_there = || std::path::Path::new("/run/netns").join(&name).exists();
    assert!(is_there());
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        network.inside(|network| {
            let listener = TcpListener::bind((address_of(End::Clients), 0)).unwrap();
            let port = listener.local_addr().unwrap().port().to_string();
            let words = network.prefix(1);
            let mut sender = std::process::Command::new(&words[0])
                .args(&words[1..])
                .args(["bash", "-c", "exec 3<>/dev/tcp/10.77.0.254/$0; cat <&3 >&3", &port])
                .spawn()
                .unwrap();
            let (mut echo, _) = listener.accept().unwrap();
            echo.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut byte = [0];
            echo.write_all(b"a").unwrap();
            echo.read_exact(&mut byte).unwrap();
            for lost in [
                block(End::Clients, End::Member(1), Lane::All),
                block(End::Member(1), End::Clients, Lane::All),
            ] {
                network.block([lost]);
                let before = network.dropped();
                echo.write_all(b"b").unwrap();
                echo.read_exact(&mut byte).unwrap_err();
                network.heal();
                assert!(network.dropped() > before, "{lost:?}");
                echo.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                echo.read_exact(&mut byte).unwrap();
                echo.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            }
            network.slow(1, Some(100));
            network.heal();
            sender.kill().unwrap();
            sender.wait().unwrap();
            // Another member is another machine: nobody listens there.
            TcpStream::connect((network.address(2), 2181)).unwrap_err();
            panic!("all of it is done");
        })
    }));
    let panic = ended.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"all of it is done"));
    assert!(!is_there());
}
