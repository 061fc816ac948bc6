//! Who may change something over HTTP.
//!
//! - AD9  Whatever changes something is a POST of JSON, and is done for the owner of the data directory, who alone can connect to
//!   its socket, or over TCP for an identity that has WRITE on `/zookeeper/config`, or super: proven by its password in this very
//!   request, sent to a name that is this machine's, and by no other site's page. Each that is done is one line in the log.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use paddock_messages::path::CONFIG;
use paddock_messages::znode::{Acl, Perms};

use crate::auth::{AuthRules, add_auth, display_name, permits};
use crate::tree::SharedTree;

/// What a request says of itself and of whoever sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Of the process at the other end of the data directory's socket.
    pub owner: Option<Owner>,
    /// Where it came from, over TCP.
    pub remote: Option<IpAddr>,
    /// Headers, by name.
    pub host: Option<&'a str>,
    /// The page's that had a browser send it.
    pub origin: Option<&'a str>,
    /// What the body is.
    pub content_type: Option<&'a str>,
    /// `digest user:password`.
    pub authorization: Option<&'a str>,
}

/// Whoever is at the other end of the data directory's socket: its file lets nobody else come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The process.
    pub pid: i32,
}

/// Who has a change done; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Over the socket.
    Owner(Owner),
    /// By password, from there.
    Identity(String, IpAddr),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(Owner { uid, pid }) => write!(f, "user {uid}, process {pid}, over admin.sock"),
            Self::Identity(name, from) => write!(f, "{name} from {from}, over HTTP"),
        }
    }
}

/// Why it is not done, for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// HTTP 415.
    #[error("the body must be JSON: Content-Type: application/json")]
    NotJson,
    /// HTTP 403.
    #[error(
        "Host is neither an address, nor localhost, nor the name at which this member listens (metricsProvider.httpHost)"
    )]
    Host,
    /// HTTP 403.
    #[error("this request comes from a page of another site (Origin)")]
    Origin,
    /// HTTP 401.
    #[error("who are you? Authorization: digest USER:PASSWORD")]
    Unauthenticated,
    /// HTTP 403.
    #[error("this identity has no WRITE on {CONFIG}")]
    NotPermitted,
}

impl Refused {
    /// HTTP's number for it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotJson => 415,
            Self::Host | Self::Origin | Self::NotPermitted => 403,
            Self::Unauthenticated => 401,
        }
    }
}

/// Judges requests. Clones share the tree.
#[derive(Clone)]
pub struct Guard {
    /// How identities are proven and ACLs are read.
    pub rules: Arc<AuthRules>,
    /// Holds the ACL of `/zookeeper/config`.
    pub tree: Arc<SharedTree>,
    /// The name at which it listens, as configured.
    pub listens_at: String,
}

impl Guard {
    /// Who asks, if it may have something changed (AD9).
    ///
    /// # Errors
    /// It may not; nothing is to be done.
    pub fn judge(&self, asked: &Asked<'_>) -> Result<Who, Refused> {
        let acl = self.tree.read().node(CONFIG).map(|node| Arc::clone(node.acl()));
        judge(asked, &self.rules, acl.as_deref(), &self.listens_at)
    }
}

fn judge(
    asked: &Asked<'_>,
    rules: &AuthRules,
    acl: Option<&[Acl]>,
    listens_at: &str,
) -> Result<Who, Refused> {
    let is_json = asked.content_type.is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if !is_json {
        return Err(Refused::NotJson);
    }
    if let Some(owner) = asked.owner {
        return Ok(Who::Owner(owner));
    }
    let host = asked.host.filter(|host| is_ours(host, listens_at)).ok_or(Refused::Host)?;
    if asked.origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return Err(Refused::Origin);
    }
    let from = asked.remote.ok_or(Refused::Unauthenticated)?;
    let secret = asked.authorization.and_then(|it| {
        let (scheme, secret) = it.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("digest") && secret.contains(':')).then(|| secret.trim())
    });
    let secret = secret.ok_or(Refused::Unauthenticated)?;
    let ids = add_auth(Some("digest"), Some(secret.as_bytes()), from, rules);
    let ids = ids.map_err(|_| Refused::Unauthenticated)?;
    // What clients may without rights (skipACL) no stranger may over HTTP.
    let rules = &AuthRules { skip_acl: false, ..rules.clone() };
    let is_super = ids.iter().any(|id| id.scheme == "super");
    // An empty list permits everything to everybody; without the znode there is nothing to be permitted.
    let may = acl.is_some_and(|acl| !acl.is_empty() && permits(acl, Perms::WRITE, &ids, rules));
    if !is_super && !may {
        return Err(Refused::NotPermitted);
    }
    let name = ids.iter().map(display_name).find(|name| !name.is_empty()).unwrap_or("super");
    Ok(Who::Identity(name.to_owned(), from))
}

/// A page of another site can have a name of its own lead here, but no address.
fn is_ours(host: &str, listens_at: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(listens_at)
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;
    use paddock_messages::znode::Id;

    use super::*;
    use crate::auth::{DigestAlg, digest_of};

    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn id(user: &str) -> ByteString {
        digest_of(user.as_bytes(), DigestAlg::Sha1).into()
    }

    fn acl(entries: &[(Perms, &str, &str)]) -> Vec<Acl> {
        let entry = |(perms, scheme, id): &(Perms, &str, &str)| Acl {
            perms: *perms,
            id: Id::new(ByteString::from(*scheme), ByteString::from(*id)),
        };
        entries.iter().map(entry).collect()
    }

    /// One that is done, over TCP, by an operator with the right.
    fn good() -> Asked<'static> {
        Asked {
            owner: None,
            remote: Some(REMOTE),
            host: Some("127.0.0.1:7000"),
            origin: None,
            content_type: Some("application/json; charset=utf-8"),
            authorization: Some("digest op:secret"),
        }
    }

    fn judged(asked: Asked<'_>) -> Result<String, Refused> {
        let (op, reader) = (id("op:secret"), id("reader:secret"));
        let list = acl(&[
            (Perms::READ, "world", "anyone"),
            (Perms::WRITE, "digest", &op),
            (Perms::READ, "digest", &reader),
        ]);
        let rules = AuthRules { super_digest: Some(id("boss:b")), ..AuthRules::default() };
        judge(&asked, &rules, Some(&list), "one.example").map(|who| who.to_string())
    }

    #[test]
    fn ad9_a_change_is_done_for_the_owner_for_who_may_write_and_for_super() {
        assert_eq!(judged(good()), Ok("op from 127.0.0.1, over HTTP".into()));
        let boss = Asked { authorization: Some("Digest boss:b"), ..good() };
        assert_eq!(judged(boss), Ok("boss from 127.0.0.1, over HTTP".into()));
        let owner = Some(Owner { uid: 7, pid: 9 });
        let socket = Asked { owner, content_type: good().content_type, ..Asked::default() };
        assert_eq!(judged(socket), Ok("user 7, process 9, over admin.sock".into()));
        for host in ["localhost", "LOCALHOST:7000", "one.example:7000", "[::1]:7000", "::1", "10.0.0.1"] {
            assert!(judged(Asked { host: Some(host), ..good() }).is_ok(), "{host}");
        }
        assert!(judged(Asked { origin: Some("http://127.0.0.1:7000"), ..good() }).is_ok());
    }

    #[test]
    fn ad9_each_other_is_refused_with_its_reason() {
        for (asked, refused) in [
            (Asked { content_type: None, ..good() }, Refused::NotJson),
            (Asked { content_type: Some("text/plain"), ..good() }, Refused::NotJson), // as a form would have it
            (Asked { owner: Some(Owner { uid: 0, pid: 1 }), ..Asked::default() }, Refused::NotJson),
            (Asked { host: None, ..good() }, Refused::Host),
            (Asked { host: Some("evil.example:7000"), ..good() }, Refused::Host),
            (Asked { host: Some("127.0.0.1.evil.example"), ..good() }, Refused::Host),
            (Asked { host: Some(""), ..good() }, Refused::Host),
            (Asked { origin: Some("http://evil.example"), ..good() }, Refused::Origin),
            (Asked { origin: Some("http://127.0.0.1:7001"), ..good() }, Refused::Origin),
            (Asked { origin: Some("null"), ..good() }, Refused::Origin),
            (Asked { authorization: None, ..good() }, Refused::Unauthenticated),
            (Asked { authorization: Some("Basic b3A6c2VjcmV0"), ..good() }, Refused::Unauthenticated),
            (Asked { authorization: Some("digest op"), ..good() }, Refused::Unauthenticated),
            (Asked { remote: None, ..good() }, Refused::Unauthenticated),
            (Asked { authorization: Some("digest op:wrong"), ..good() }, Refused::NotPermitted),
            (Asked { authorization: Some("digest reader:secret"), ..good() }, Refused::NotPermitted),
            (Asked { authorization: Some("digest boss:c"), ..good() }, Refused::NotPermitted),
        ] {
            assert_eq!(judged(asked), Err(refused), "{asked:?}");
        }
    }

    #[test]
    fn ad9_without_a_list_only_super_may() {
        let rules = AuthRules { super_digest: Some(id("boss:b")), ..AuthRules::default() };
        let boss = Asked { authorization: Some("digest boss:b"), ..good() };
        for list in [None, Some(&[][..])] {
            assert_eq!(judge(&good(), &rules, list, ""), Err(Refused::NotPermitted));
            assert!(judge(&boss, &rules, list, "").is_ok());
        }
        let open = AuthRules { skip_acl: true, ..rules.clone() };
        let list = acl(&[(Perms::READ, "world", "anyone")]);
        assert_eq!(
            judge(&good(), &open, Some(&list), ""),
            Err(Refused::NotPermitted),
            "skipACL is for clients"
        );
        let off = AuthRules { digest_enabled: false, ..rules };
        assert_eq!(judge(&boss, &off, None, ""), Err(Refused::Unauthenticated));
    }
}
