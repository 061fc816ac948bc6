//! By which configurations may have been decided what a disk holds.

use paddock_config::Members;
use paddock_messages::path;
use paddock_messages::txn::{Txn, TxnBody};

use crate::membership::members;
use crate::tree::DataTree;

/// Those, the newest last: the one in force by the log, or else by the file, and those that are logged `behind` the tree and
/// not known to be committed. Before the first reconfig what `/zookeeper/config` tells comes first: the file of whoever has
/// led, which may name others than this server's.
pub fn configurations(tree: &DataTree, behind: &[Txn], file: &Members) -> Vec<Members> {
    let has_voters = |members: &Members| !members.voters().is_empty();
    let of_file = Some(file.clone()).filter(has_voters);
    let told = || tree.node(path::CONFIG).and_then(|znode| members(znode.data()?)).filter(has_voters);
    let in_force = match tree.membership() {
        Some(members) => vec![members],
        None => told().into_iter().chain(of_file).collect(),
    };
    let of_txn = |txn: &Txn| match &txn.body {
        TxnBody::Membership { to, .. } => members(to),
        _ => None,
    };
    in_force.into_iter().chain(behind.iter().filter_map(of_txn)).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use paddock_messages::ids::{AttachNumber, SessionId};
    use paddock_messages::txn::TxnHeader;
    use paddock_messages::zxid::{Epoch, Zxid};

    use super::*;
    use crate::membership::text;
    use crate::tree::{Events, TreeOptions};

    fn lines(ids: &str) -> String {
        ids.chars().map(|id| format!("server.{id}=h{id}:1:2:participant;3\n")).collect()
    }

    fn txn(counter: u32, body: fn(Bytes, Bytes) -> TxnBody, ids: [&str; 2]) -> Txn {
        let zxid = Zxid::new(Epoch(1), counter);
        let [from, to] = ids.map(|ids| text(&lines(ids), zxid));
        let (session, attach) = (SessionId::NONE, AttachNumber::default());
        Txn { header: TxnHeader { session, attach, cxid: 0, zxid, time: 0 }, body: body(from, to) }
    }

    /// The voters of each, of a server whose file names 1, 2 and 3.
    fn voters(applied: &[Txn], behind: &[Txn]) -> Vec<String> {
        let mut tree = DataTree::new(TreeOptions::default());
        applied.iter().for_each(|txn| _ = tree.apply(txn, &mut Events::unwanted()));
        let file = Members::read(&lines("123")).expect("members");
        let all = configurations(&tree, behind, &file);
        all.iter().map(|it| it.voters().iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn nh6_all_that_may_have_decided_is_asked_the_log_before_the_file_and_what_is_on_its_way_last() {
        let told = txn(1, |_, text| TxnBody::Reconfig { text }, ["", "1234"]);
        let reconfig = |counter, ids| txn(counter, |from, to| TxnBody::Membership { from, to }, ids);
        let (first, second) = (reconfig(2, ["123", "345"]), reconfig(3, ["345", "34567"]));
        assert_eq!(voters(&[], &[]), ["123"]);
        assert_eq!(voters(std::slice::from_ref(&told), &[]), ["1234", "123"], "a leader had another file");
        let applied = [told, first];
        assert_eq!(voters(&applied, &[]), ["345"]);
        assert_eq!(voters(&applied[..1], &applied[1..]), ["1234", "123", "345"]);
        assert_eq!(voters(&applied, &[second]), ["345", "34567"]);
    }
}
