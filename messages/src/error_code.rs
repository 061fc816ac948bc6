//! Every failure a client can be told. Source: compat wire, "Error codes".

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A failure as a client is told it, in a reply header's `err` or a multi's result.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* #[error($text)] $name = $code,)*
        }

        impl ErrorCode {
            /// All of them, in descending order of code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code with this number, if there is one.
            pub fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

error_codes! {
    /// An op of a multi that was not tried because an earlier one failed.
    RuntimeInconsistency = -2, "not executed: an earlier operation of the multi failed";
    /// The request cannot be decoded.
    Marshalling = -5, "the request cannot be decoded";
    /// An opcode this server does not have, or a feature that is off.
    Unimplemented = -6, "not implemented, or switched off";
    /// A bad path, flag, TTL or configuration text.
    BadArguments = -8, "bad arguments";
    /// A reconfig without a synced quorum of the new configuration.
    NewConfigNoQuorum = -13, "no quorum of the new configuration is connected";
    /// A reconfig while another is in progress.
    ReconfigInProgress = -14, "another reconfiguration is in progress";
    /// No znode at that path.
    NoNode = -101, "no such znode";
    /// The ACL grants none of the connection's identities this.
    NoAuth = -102, "not permitted by the ACL";
    /// The version given is not the current one.
    BadVersion = -103, "the version does not match";
    /// An ephemeral znode cannot have children.
    NoChildrenForEphemerals = -108, "ephemeral znodes cannot have children";
    /// A znode is already at that path.
    NodeExists = -110, "the znode already exists";
    /// A znode with children cannot be deleted.
    NotEmpty = -111, "the znode has children";
    /// The session is closing or unknown.
    SessionExpired = -112, "the session has expired";
    /// An ACL that is empty or malformed.
    InvalidAcl = -114, "invalid ACL";
    /// An auth packet that failed.
    AuthFailed = -115, "authentication failed";
    /// The session has attached elsewhere since; never on the wire.
    SessionMoved = -118, "the session has moved to another connection";
    /// A write on a server that takes none.
    NotReadOnly = -119, "this server takes no writes now";
    /// An ephemeral of a local session that may not be upgraded.
    EphemeralOnLocalSession = -120, "a local session cannot own ephemeral znodes";
    /// No such watch to remove or check.
    NoWatcher = -121, "no such watch";
    /// Op 16 while `reconfigEnabled` is false.
    ReconfigDisabled = -123, "reconfiguration is disabled";
    /// Enforced authentication, and no identity of a listed scheme.
    SessionClosedRequireSaslAuth = -124, "authentication is required";
    /// A hard quota would be exceeded.
    QuotaExceeded = -125, "the quota would be exceeded";
    /// Aged out in the request throttler.
    ThrottledOp = -127, "throttled";
}

impl ErrorCode {
    /// As the wire carries it: negative.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
        }
        assert_eq!(ErrorCode::from_code(0), None);
    }
}
