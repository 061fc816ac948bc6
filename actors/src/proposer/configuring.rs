//! `/zookeeper/config`: who is in the ensemble, for clients that look there. A new leader whose tree names others than
//! the configuration in force, which comes from a file until a reconfig has made one, writes it, as a txn like any
//! other: all members tell the same, and watches fire.
//!
//! Source: compat: ZKDatabase.initConfigInZKDatabase; Paddock's text has the zxid of its own txn as version.

use std::sync::Arc;

use paddock_messages::letters::Internal;
use paddock_messages::path;
use paddock_messages::zxid::Zxid;

use super::actor::ProposerActor;
use crate::membership;
use crate::runtime::Ctx;
use crate::tree::DataTree;

/// The version of the tree's configuration, if it names these members.
fn version(tree: &DataTree, members: &str) -> Option<Zxid> {
    let told = membership::members(tree.node(path::CONFIG).and_then(|node| node.data())?)?;
    (told.to_string() == members).then_some(Zxid(told.version))
}

impl ProposerActor {
    /// Proposes the members in force, once in an epoch, if the tree names others. What cannot be proposed now is with
    /// the next tick.
    pub(super) fn configure(&mut self, ctx: &mut Ctx<'_, Self>) {
        let Some(core) = self.core.as_mut().filter(|_| self.names_members) else { return };
        let members: Arc<str> = core.membership().now().members.to_string().into();
        if let Some(version) = version(&self.tree.read(), &members) {
            core.on_configured(version);
        } else {
            let before = core.last();
            self.on_internal(Internal::Configure(members), ctx);
            if self.core.as_ref().is_none_or(|core| core.last() == before) {
                return;
            }
        }
        self.names_members = false;
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::ids::{AttachNumber, SessionId};
    use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
    use paddock_messages::zxid::Epoch;

    use super::*;
    use crate::tree::events::Events;
    use crate::tree::{DataTree, TreeOptions};

    const THREE: &str =
        "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n";

    #[test]
    fn the_members_are_compared_and_the_version_is_not() {
        let mut tree = DataTree::new(TreeOptions::default());
        assert_eq!(version(&tree, THREE), None, "nobody has written it yet");
        let zxid = Zxid::new(Epoch(1), 1);
        let written = membership::text(THREE, zxid);
        assert!(written.ends_with(b"participant\nversion=100000001"));
        let (session, attach) = (SessionId::NONE, AttachNumber::default());
        let header = TxnHeader { session, attach, cxid: 0, zxid, time: 0 };
        tree.apply(&Txn { header, body: TxnBody::Reconfig { text: written } }, &mut Events::default());
        assert_eq!(version(&tree, THREE), Some(zxid));
        let (two, _) = THREE.split_at(THREE.find("server.3").unwrap());
        for other in [two, &THREE.replace("c:1:2", "d:1:2"), &format!("{THREE}server.4=d:1:2:observer\n"), ""]
        {
            assert_eq!(version(&tree, other), None, "{other}");
        }
    }
}
