//! The tree as the Proposer's checks look at it.

use bytestring::ByteString;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::zxid::Zxid;

use super::data_tree::DataTree;
use super::pending::Image;
use super::prep::View;
use super::quota::OverQuota;

impl View for DataTree {
    fn last_zxid(&self) -> Zxid {
        self.last_zxid()
    }

    fn image(&self, path: &str) -> Option<Image> {
        let node = self.node(path)?;
        Some(Image {
            version: node.version(),
            aversion: node.aversion(),
            cversion: node.stored_cversion(),
            children: node.child_count(),
            mtime: node.mtime(),
            data_length: node.data().map_or(0, <[u8]>::len),
            owner: node.owner(),
            acl: (!node.is_open()).then(|| node.acl().clone()),
        })
    }

    fn session_timeout(&self, id: SessionId) -> Option<i32> {
        self.session_timeout(id)
    }

    fn ephemerals(&self, id: SessionId) -> Vec<ByteString> {
        self.ephemerals(id).map(Into::into).collect()
    }

    fn check_quota(&self, path: &str, more: (i64, i64), over: &mut Vec<OverQuota>) -> Result<(), ErrorCode> {
        self.check_quota(path, more, over)
    }
}
