//! Znodes of every kind, and several operations at once.

use std::time::Duration;

use zookeeper_client::{self as zk, Acls, CreateMode, Error};

use crate::{Outcome, PERSISTENT, Pair, equal, in_time, refused};

pub async fn life(pair: &mut Pair) -> Outcome {
    let path = pair.path("life");
    let (created, _) = pair.a.client.create(&path, b"first", PERSISTENT).await?;
    let (data, stat) = pair.b.client.get_data(&path).await?;
    equal("data", &b"first"[..], &data[..])?;
    equal("stat of create and get", created, stat)?;
    let written = pair.b.client.set_data(&path, b"second", Some(stat.version)).await?;
    equal("version", 1, written.version)?;
    refused("a stale write", Error::BadVersion, pair.a.client.set_data(&path, b"late", Some(0)).await)?;
    pair.a.reconnect().await?;
    equal("after the reconnect", (b"second".to_vec(), written), pair.a.client.get_data(&path).await?)?;
    let again = pair.a.client.create(&path, b"", PERSISTENT).await;
    refused("a second create", Error::NodeExists, again.map(drop))?;
    refused("a stale delete", Error::BadVersion, pair.a.client.delete(&path, Some(0)).await)?;
    pair.a.client.delete(&path, Some(1)).await?;
    refused("a second delete", Error::NoNode, pair.b.client.delete(&path, None).await)?;
    equal("at the end", None, pair.b.client.check_stat(&path).await?)
}

pub async fn multi(pair: &mut Pair) -> Outcome {
    let (x, y) = (pair.path("x"), pair.path("x/y"));
    let mut writer = pair.a.client.new_multi_writer();
    writer.add_create(&x, b"x", PERSISTENT)?;
    writer.add_create(&y, b"y", PERSISTENT)?;
    writer.add_check_version(&x, 7)?;
    let expected = zk::MultiWriteError::OperationFailed { index: 2, source: Error::BadVersion };
    equal("a failing check", Some(expected), writer.commit().await.err())?;
    equal("anything of it", None, pair.b.client.check_stat(&x).await?)?;
    let mut writer = pair.a.client.new_multi_writer();
    writer.add_create(&x, b"x", PERSISTENT)?;
    writer.add_create(&y, b"y", PERSISTENT)?;
    writer.add_set_data(&x, b"z", Some(0))?;
    writer.add_delete(&y, Some(0))?;
    let results = writer.commit().await?;
    equal("results", 4, results.len())?;
    let stat = pair.b.client.check_stat(&x).await?.ok_or("x is not there")?;
    equal("one zxid for all", (stat.czxid, stat.czxid), (stat.mzxid, stat.pzxid))?;
    equal(
        "what set data answers",
        zk::MultiWriteResult::SetData { stat: zk::Stat { cversion: 1, num_children: 1, ..stat } },
        match &results[2] {
            zk::MultiWriteResult::SetData { stat } => zk::MultiWriteResult::SetData { stat: *stat },
            other => return Err(format!("set data was answered {other:?}").into()),
        },
    )
}

pub async fn multi_read(pair: &mut Pair) -> Outcome {
    let path = pair.path("read");
    let (created, _) = pair.a.client.create(&path, b"data", PERSISTENT).await?;
    pair.b.reconnect().await?;
    let mut reader = pair.b.client.new_multi_reader();
    reader.add_get_data(&path)?;
    reader.add_get_children(&pair.root)?;
    reader.add_get_data(&pair.path("none"))?;
    match &reader.commit().await?[..] {
        [
            zk::MultiReadResult::Data { data, stat },
            zk::MultiReadResult::Children { children },
            zk::MultiReadResult::Error { err: Error::NoNode },
        ] => {
            equal("data", (&b"data"[..], created), (&data[..], *stat))?;
            equal("children", &["read".to_owned()][..], &children[..])
        }
        other => Err(format!("found {other:?}").into()),
    }
}

pub async fn ephemeral(pair: &mut Pair) -> Outcome {
    let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let prefix = pair.path("n-");
    for number in 0..3 {
        let (stat, sequence) = pair.b.client.create(&prefix, b"", &options).await?;
        equal("number", number, sequence.into_i64())?;
        equal("owner", pair.b.client.session_id().0, stat.ephemeral_owner)?;
        pair.b.reconnect().await?;
    }
    let last = pair.path("n-0000000002");
    let below = pair.b.client.create(&format!("{last}/child"), b"", PERSISTENT).await;
    refused("a child", Error::NoChildrenForEphemerals, below.map(drop))?;
    equal("ephemerals", 3, pair.b.client.list_ephemerals(&pair.root).await?.len())?;
    let (stat, gone) = pair.a.client.check_and_watch_stat(&last).await?;
    equal("there", true, stat.is_some())?;
    let another = crate::Peer::connect(pair.server).await?;
    drop(std::mem::replace(&mut pair.b, another)); // the last clone of a client ends its session
    let event = in_time("the end of the ephemeral", gone.changed()).await?;
    crate::is(&event, zk::EventType::NodeDeleted, &last)
}

pub async fn kinds(pair: &mut Pair) -> Outcome {
    let client = &pair.a.client;
    let container = CreateMode::Container.with_acls(Acls::anyone_all());
    let ttl =
        CreateMode::PersistentSequential.with_acls(Acls::anyone_all()).with_ttl(Duration::from_secs(3600));
    client.create(&pair.path("container"), b"", &container).await?;
    client.create(&pair.path("container/child"), b"", PERSISTENT).await?;
    let (stat, number) = client.create(&pair.path("ttl-"), b"", &ttl).await?;
    equal("number and owner", (1, 0), (number.into_i64(), stat.ephemeral_owner))?;
    client.mkdir(&pair.path("deep/er/still"), PERSISTENT).await?;
    equal("descendants", 6, pair.b.client.count_descendants_number(&pair.root).await?)?;
    pair.b.client.sync(&pair.root).await?;
    let mut children = pair.b.client.list_children(&pair.root).await?;
    children.sort();
    equal("children", vec!["container".to_owned(), "deep".into(), "ttl-0000000001".into()], children)?;
    let rooted = pair.b.client.clone().chroot(pair.root.clone()).map_err(|_| "no chroot")?;
    equal("below a chroot", true, rooted.check_stat("/container/child").await?.is_some())?;
    let (config, _) = pair.b.client.get_config().await?;
    equal("a server alone has no configuration", 0, config.len())
}
