//! What is to be ordered of the configuration in force, and what need not be asked as it makes no sense: pure.
//!
//! Each order holds only as long as that configuration does, so that nobody undoes what another did meanwhile.

use paddock_actors::admin::members::ChangeOrder;
use paddock_config::members::Server;
use paddock_config::{Members, PeerType};
use paddock_messages::ids::ServerId;

/// Adds it as an observer; `None` if it is one, at that place, already.
pub(super) fn add(now: &Members, id: ServerId, server: &Server) -> Result<Option<ChangeOrder>, String> {
    let Some(there) = now.servers.get(&id) else {
        let observer = Server { role: PeerType::Observer, ..server.clone() };
        return with(now, id, observer).map(Some);
    };
    let is_there = there.addresses == server.addresses
        && (server.client.is_none() || there.client == server.client)
        && (server.secure_client.is_none() || there.secure_client == server.secure_client);
    if !is_there {
        return Err(format!(
            "server {id} is a member already, as {there}: paddock member move has it elsewhere"
        ));
    }
    match there.role {
        PeerType::Observer => Ok(None),
        PeerType::Participant => Err(format!("server {id} votes already, as {there}")),
    }
}

/// Makes a server alone an ensemble of one, which others find at its `own` line.
pub(super) fn grow(me: ServerId, own: Option<&Server>) -> Result<ChangeOrder, String> {
    let own = own.ok_or_else(|| alone(me))?;
    if own.role == PeerType::Observer {
        return Err(format!("server {me} is alone: an ensemble of one needs its vote"));
    }
    Ok(ChangeOrder { members: Some(format!("server.{me}={own}")), ..ChangeOrder::default() })
}

/// What to do first with a server alone.
pub(super) fn alone(me: ServerId) -> String {
    format!(
        "server {me} is alone, so that others would not find it: say first where they do: paddock member add {me} \
         'HOST:2888:3888;CLIENTPORT', with HOST as they reach this machine"
    )
}

/// Has it elsewhere, with the role that it has; a client port that is not named stays.
pub(super) fn relocate(now: &Members, id: ServerId, server: &Server) -> Result<ChangeOrder, String> {
    let there = known(now, id)?;
    sure(now)?;
    let moved = Server {
        addresses: server.addresses.clone(),
        role: there.role,
        client: server.client.clone().or_else(|| there.client.clone()),
        secure_client: server.secure_client.clone().or_else(|| there.secure_client.clone()),
    };
    if moved == *there {
        return Err(format!("server {id} is there already, as {there}"));
    }
    with(now, id, moved)
}

/// What is to be done once it is ordered that a server be at `address`, and was `there` before.
pub(super) fn after_move(id: ServerId, there: Option<&Server>, server: &Server, address: &str) -> String {
    match (there, &server.client) {
        (Some(there), Some(client)) if there.addresses == server.addresses => format!(
            "server {id} listens to clients at {client} as soon as it knows, and no longer where it did: connections that exist \
             stay, and nothing is to be started anew (its log says so, or why it cannot yet); have its file say the same"
        ),
        _ => format!(
            "server {id} is looked for at {address}: stop it now, and start it there with a file that says so"
        ),
    }
}

/// Removes it.
pub(super) fn remove(now: &Members, id: ServerId) -> Result<ChangeOrder, String> {
    known(now, id)?;
    if !now.groups.is_empty() {
        let mut rest = now.clone();
        rest.servers.remove(&id);
        return all_named(now, id, &rest);
    }
    Ok(ChangeOrder { leave: Some(id.to_string()), ..on(now) })
}

/// Gives it a vote.
pub(super) fn promote(now: &Members, id: ServerId) -> Result<ChangeOrder, String> {
    with_role(now, id, PeerType::Participant, "votes already")
}

/// Takes its vote.
pub(super) fn demote(now: &Members, id: ServerId) -> Result<ChangeOrder, String> {
    with_role(now, id, PeerType::Observer, "is an observer already")
}

fn with_role(now: &Members, id: ServerId, role: PeerType, already: &str) -> Result<ChangeOrder, String> {
    let server = known(now, id)?;
    sure(now)?;
    if server.role == role {
        return Err(format!("server {id} {already}"));
    }
    let server = Server { role, ..server.clone() };
    if !now.groups.is_empty() {
        let mut changed = now.clone();
        changed.servers.insert(id, server);
        return all_named(now, id, &changed);
    }
    with(now, id, server)
}

fn known(now: &Members, id: ServerId) -> Result<&Server, String> {
    let all = || list(now.servers.keys());
    now.servers.get(&id).ok_or_else(|| format!("server {id} is no member: these are {}", all()))
}

/// With this line for it. ZooKeeper lets no server join without a client port, which files often have elsewhere, nor where
/// there are groups: then all are named.
fn with(now: &Members, id: ServerId, server: Server) -> Result<ChangeOrder, String> {
    if server.client.is_some() && now.groups.is_empty() {
        return Ok(ChangeOrder { join: Some(format!("server.{id}={server}")), ..on(now) });
    }
    let mut changed = now.clone();
    changed.servers.insert(id, server);
    named(now, &changed)
}

/// What stands in a member's own file is nothing to say again of others, where the file is not what is in force.
fn sure(now: &Members) -> Result<(), String> {
    if now.version > 0 {
        return Ok(());
    }
    Err("this server's file names other members than /zookeeper/config, or it has had no leader yet: order this on the leader's \
         data directory, or correct the file and start the server anew"
        .to_owned())
}

/// The same of a change that must not touch the groups: which one gets a vote, and what it weighs, is for a person to say.
fn all_named(now: &Members, id: ServerId, changed: &Members) -> Result<ChangeOrder, String> {
    if changed.voters() == now.voters() {
        return named(now, changed);
    }
    Err(format!(
        "voters are in groups here, and this would change them: name all members and groups in a reconfig by a client, with \
         server {id} as it is to be"
    ))
}

fn named(now: &Members, changed: &Members) -> Result<ChangeOrder, String> {
    sure(now)?;
    Ok(ChangeOrder { members: Some(changed.to_string()), ..on(now) })
}

/// Only while this is in force.
fn on(now: &Members) -> ChangeOrder {
    let version = (now.version > 0).then(|| format!("{:x}", now.version));
    ChangeOrder { version, ..ChangeOrder::default() }
}

/// Who votes and who does not, in words.
pub(super) fn who(members: &Members) -> String {
    let voters = members.voters();
    let observers: Vec<_> = members.servers.keys().filter(|id| !voters.contains(id)).collect();
    let observing =
        if observers.is_empty() { String::new() } else { format!("; observers {}", list(observers)) };
    format!("voters {}{observing}", list(&voters))
}

fn list<'a>(ids: impl IntoIterator<Item = &'a ServerId>) -> String {
    ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:1:2:participant\n\
        server.3=c:1:2:observer;c:3\nserver.4=d:1:2:observer\n";

    fn now() -> Members {
        Members { version: 0x1_0000_0003, ..Members::read(LINES).unwrap() }
    }

    /// An order in short, or why there is none.
    fn told(order: Result<ChangeOrder, String>) -> String {
        match order {
            Ok(ChangeOrder { join: Some(line), version: Some(version), .. }) => {
                format!("join {line} @{version}")
            }
            Ok(ChangeOrder { leave: Some(id), version: Some(version), .. }) => {
                format!("leave {id} @{version}")
            }
            Ok(ChangeOrder { members: Some(all), version: Some(version), .. }) => {
                let differ: Vec<_> = all.lines().filter(|line| !LINES.contains(line)).collect();
                format!("all {} of {} @{version}", differ.join(" "), all.lines().count())
            }
            Ok(other) => panic!("{other:?}"),
            Err(why) => why,
        }
    }

    fn added(id: u64, line: &str) -> String {
        match add(&now(), ServerId(id), &Server::read(line).unwrap()) {
            Ok(None) => "there".into(),
            other => told(other.map(Option::unwrap)),
        }
    }

    #[test]
    fn roles_change_and_lines_stay_and_what_makes_no_sense_is_not_asked() {
        let now = now();
        for (order, expected) in [
            (promote(&now, ServerId(3)), "join server.3=c:1:2:participant;c:3 @100000003"),
            (promote(&now, ServerId(4)), "all server.4=d:1:2:participant of 4 @100000003"),
            (promote(&now, ServerId(1)), "server 1 votes already"),
            (promote(&now, ServerId(9)), "server 9 is no member: these are 1, 2, 3, 4"),
            (demote(&now, ServerId(1)), "join server.1=a:1:2:observer;0.0.0.0:3 @100000003"),
            (demote(&now, ServerId(2)), "all server.2=b:1:2:observer of 4 @100000003"),
            (demote(&now, ServerId(3)), "server 3 is an observer already"),
            (remove(&now, ServerId(2)), "leave 2 @100000003"),
            (remove(&now, ServerId(9)), "server 9 is no member: these are 1, 2, 3, 4"),
        ] {
            assert_eq!(told(order), expected);
        }
        let unknown = Members { version: 0, ..now.clone() };
        assert_eq!(remove(&unknown, ServerId(2)).unwrap().version, None, "there is no version to ask for");
        let (line, explicit) = (Server::read("x:1:2").unwrap(), Server::read("x:1:2;3").unwrap());
        for unsure in [
            promote(&unknown, ServerId(3)),
            demote(&unknown, ServerId(1)),
            relocate(&unknown, ServerId(1), &explicit),
            add(&unknown, ServerId(5), &line).map(Option::unwrap),
        ] {
            assert!(unsure.unwrap_err().starts_with("this server's file names other members"));
        }
        let added = add(&unknown, ServerId(5), &explicit).unwrap().unwrap();
        assert_eq!((added.members, added.version), (None, None), "it says nothing of the others");
        assert_eq!(who(&now), "voters 1, 2; observers 3, 4");
    }

    #[test]
    fn a_server_alone_becomes_a_member_where_it_is_said_to_be() {
        let of = |line: Option<&str>| grow(ServerId(7), line.map(|it| Server::read(it).unwrap()).as_ref());
        let order = of(Some("a:1:2;3")).unwrap();
        assert_eq!(order.members.as_deref(), Some("server.7=a:1:2:participant;0.0.0.0:3"));
        assert!(of(None).unwrap_err().contains("paddock member add 7 'HOST:2888:3888;CLIENTPORT'"));
        assert!(of(Some("a:1:2:observer;3")).unwrap_err().contains("needs its vote"));
    }

    #[test]
    fn who_is_added_comes_as_an_observer_and_one_that_has_come_goes_on() {
        for (id, line, expected) in [
            (5, "e:1:2;3", "join server.5=e:1:2:observer;0.0.0.0:3 @100000003"),
            (5, "e:1:2:participant", "all server.5=e:1:2:observer of 5 @100000003"),
            (3, "c:1:2;c:3", "there"),
            (4, "d:1:2", "there"),
            (3, "c:1:2", "there"), // its client port is known
            (1, "a:1:2;3", "server 1 votes already, as a:1:2:participant;0.0.0.0:3"),
            (
                3,
                "c:1:9;c:3",
                "server 3 is a member already, as c:1:2:observer;c:3: paddock member move has it elsewhere",
            ),
            (
                4,
                "d:1:2;5",
                "server 4 is a member already, as d:1:2:observer: paddock member move has it elsewhere",
            ),
        ] {
            assert_eq!(added(id, line), expected, "{id} {line}");
        }
    }

    #[test]
    fn who_moves_keeps_its_role_and_the_client_port_that_is_not_named() {
        for (id, line, expected) in [
            (1, "x:1:2", "join server.1=x:1:2:participant;0.0.0.0:3 @100000003"),
            (1, "a:1:2;4", "join server.1=a:1:2:participant;0.0.0.0:4 @100000003"),
            (3, "x:8:9;x:7", "join server.3=x:8:9:observer;x:7 @100000003"),
            (4, "x:8:9", "all server.4=x:8:9:observer of 4 @100000003"),
            (1, "a:1:2", "server 1 is there already, as a:1:2:participant;0.0.0.0:3"),
            (9, "x:1:2", "server 9 is no member: these are 1, 2, 3, 4"),
        ] {
            let order = relocate(&now(), ServerId(id), &Server::read(line).unwrap());
            assert_eq!(told(order), expected, "{id} {line}");
        }
    }

    #[test]
    fn who_moves_is_started_anew_unless_only_its_clients_come_elsewhere() {
        for (line, expected) in [
            ("a:1:2;4", "server 1 listens to clients at 0.0.0.0:4 as soon as it knows"),
            ("a:1:9;3", "server 1 is looked for at a:1:9;3: stop it now"),
            ("x:1:2", "server 1 is looked for at x:1:2: stop it now"),
        ] {
            let (now, server) = (now(), Server::read(line).unwrap());
            let told = after_move(ServerId(1), now.servers.get(&ServerId(1)), &server, line);
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn with_groups_observers_come_and_go_and_votes_are_for_a_person() {
        let lines = format!("{LINES}group.1=1\ngroup.2=2\n");
        let groups = Members { version: 3, ..Members::read(&lines).unwrap() };
        let observer = add(&groups, ServerId(5), &Server::read("e:1:2;3").unwrap()).unwrap().unwrap();
        let all = observer.members.unwrap();
        assert!(all.contains("server.5=e:1:2:observer") && all.contains("group.2=2"), "{all}");
        assert!(!remove(&groups, ServerId(3)).unwrap().members.unwrap().contains("server.3"));
        for refused in
            [promote(&groups, ServerId(3)), demote(&groups, ServerId(1)), remove(&groups, ServerId(2))]
        {
            assert!(refused.unwrap_err().starts_with("voters are in groups here"));
        }
    }
}
