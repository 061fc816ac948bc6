//! Who may do what, and whose session it is.

use zookeeper_client::{Acl, Acls, AuthId, AuthUser, Client, CreateMode, Error, EventType, Permission};

use crate::{Outcome, Pair, equal, in_time, refused};

pub async fn digest(pair: &mut Pair) -> Outcome {
    let path = pair.path("secret");
    pair.a.client.auth("digest", b"alice:wonder").await?;
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    pair.a.client.create(&path, b"s", &options).await?;
    let (acl, _) = pair.a.client.get_acl(&path).await?;
    // echo -n alice:wonder | openssl sha1 -binary | base64
    let id = AuthId::new("digest", "alice:8y0lhh/7xkdEiwhX7vo9i+/Nmzc=");
    equal("ACL", vec![Acl::new(Permission::ALL, id)], acl)?;
    refused("a stranger's read", Error::NoAuth, pair.b.client.get_data(&path).await)?;
    pair.a.reconnect().await?;
    equal("data after a reconnect", b"s".to_vec(), pair.a.client.get_data(&path).await?.0)?;
    let users = pair.a.client.list_auth_users().await?;
    equal("who I am", true, users.contains(&AuthUser::new("digest", "alice")))?;
    pair.b.client.auth("digest", b"alice:wonder").await?;
    equal("data", b"s".to_vec(), pair.b.client.get_data(&path).await?.0)?;
    let stat = pair.b.client.set_acl(&path, &Acls::anyone_read(), Some(0)).await?;
    equal("the ACL's version", 1, stat.aversion)?;
    refused("a write that the ACL forbids", Error::NoAuth, pair.a.client.set_data(&path, b"", None).await)
}

/// A second client goes on with the session; the first one, moved away from, loses its connection.
pub async fn taken_over(pair: &mut Pair) -> Outcome {
    let address = pair.server.to_string();
    let first = Client::connector().with_detached().connect(&address).await?;
    let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let path = pair.path("mine");
    first.create(&path, b"", &options).await?;
    let session = first.into_session();
    let id = session.id();
    let second = Client::connector().with_session(session).connect(&address).await?;
    equal("session", id, second.session_id())?;
    equal("its ephemerals", vec![path.clone()], second.list_ephemerals("/").await?)?;
    let (_, gone) = pair.a.client.check_and_watch_stat(&path).await?;
    drop(second);
    let event = in_time("the end of the ephemeral", gone.changed()).await?;
    crate::is(&event, EventType::NodeDeleted, &path)
}
