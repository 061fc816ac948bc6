//! All that a member holds, read by a client; and that all members hold the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::wire::Wire;
use paddock_messages::znode::Stat;

use crate::world::client;

/// Data and stat by path.
pub(crate) type Tree = BTreeMap<String, (Bytes, Stat)>;

/// Znodes asked for at once.
const AT_ONCE: usize = 64;

/// Reads everything, level by level.
pub(crate) fn read(client: &mut RawClient) -> Result<Tree, ClientError> {
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let mut below = Vec::new();
        for paths in level.chunks(AT_ONCE) {
            for path in paths {
                let of = PathWatch { path: path.as_str().into(), watch: false };
                client.queue(OpCode::GetData, &of);
                client.queue(OpCode::GetChildren, &of);
            }
            client.flush()?;
            for path in paths {
                let mut body = client.reply()?.ok()?;
                let data = Option::<Bytes>::read(&mut body)?.unwrap_or_default();
                tree.insert(path.clone(), (data, Stat::read(&mut body)?));
                let children = Vec::<ByteString>::read(&mut client.reply()?.ok()?)?;
                let parent = path.trim_end_matches('/');
                below.extend(children.iter().map(|name| format!("{parent}/{name}")));
            }
        }
        level = below;
    }
    Ok(tree)
}

/// What one member holds, once it has caught up with the leader.
pub(crate) fn of(ensemble: &Ensemble, id: Id) -> Tree {
    let mut client = client(ensemble, id);
    let tree = client.sync("/").and_then(|()| read(&mut client));
    let tree = tree.unwrap_or_else(|error| panic!("reading all that member {id} holds: {error}"));
    client.close().unwrap_or_else(|error| panic!("member {id}: {error}"));
    tree
}

/// What all that run hold, which must be the same to the last field of each stat. Nobody may write meanwhile.
pub(crate) fn same(ensemble: &Ensemble) -> Tree {
    let mut trees = ensemble.running().into_iter().map(|id| (id, of(ensemble, id)));
    let (first, tree) = trees.next().expect("a member runs");
    for (id, other) in trees {
        let differences = differences(&tree, &other);
        assert!(differences.is_empty(), "members {first} and {id} differ: {differences:#?}");
    }
    tree
}

/// The first paths that are not the same in both, and what is there.
fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let paths = one.keys().chain(other.keys().filter(|path| !one.contains_key(*path)));
    let differing = paths.filter(|path| one.get(*path) != other.get(*path));
    differing.take(5).map(|path| format!("{path}: {:?} and {:?}", one.get(path), other.get(path))).collect()
}

#[test]
fn trees_that_differ_are_told_apart() {
    let znode = |data: &'static str, pzxid| (Bytes::from(data), Stat { pzxid, ..Stat::default() });
    let one = Tree::from([("/".to_owned(), znode("", 1)), ("/a".to_owned(), znode("a", 2))]);
    assert!(differences(&one, &one.clone()).is_empty());
    for (path, other) in [("/a", znode("b", 2)), ("/a", znode("a", 3)), ("/b", znode("", 4))] {
        let mut changed = one.clone();
        changed.insert(path.to_owned(), other);
        for found in [differences(&one, &changed), differences(&changed, &one)] {
            assert!(found.len() == 1 && found[0].starts_with(path), "{found:?}");
        }
    }
}
