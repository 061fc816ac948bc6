//! Watches of every kind: once, for good, of a subtree; across a reconnect; removed.
//!
//! Only one-shot watches cross a reconnect here: this version of the crate says setWatches after it,
//! never setWatches2, so no server hears of its persistent watches again.

use zookeeper_client::{AddWatchMode, EventType};

use crate::{Outcome, PERSISTENT, Pair, equal, in_time, is};

pub async fn one_shot(pair: &mut Pair) -> Outcome {
    let path = pair.path("seen");
    let (stat, created) = pair.b.client.check_and_watch_stat(&path).await?;
    equal("not there yet", None, stat)?;
    let (_, child) = pair.b.client.list_and_watch_children(&pair.root).await?;
    let (stat, _) = pair.a.client.create(&path, b"", PERSISTENT).await?;
    let event = in_time("creation", created.changed()).await?;
    is(&event, EventType::NodeCreated, &path)?;
    equal("event's zxid", stat.czxid, event.zxid)?;
    is(&in_time("a new child", child.changed()).await?, EventType::NodeChildrenChanged, &pair.root)?;
    let (_, _, changed) = pair.b.client.get_and_watch_data(&path).await?;
    let first = pair.a.client.set_data(&path, b"1", None).await?;
    pair.a.client.set_data(&path, b"2", None).await?;
    let event = in_time("a change", changed.changed()).await?;
    is(&event, EventType::NodeDataChanged, &path)?;
    equal("the first change's zxid", first.mzxid, event.zxid)
}

pub async fn one_shot_survives(pair: &mut Pair) -> Outcome {
    let Pair { a, b, root, .. } = pair;
    let [quiet, gone, new] = ["quiet", "gone", "new"].map(|name| format!("{root}/{name}"));
    for path in [&quiet, &gone] {
        a.client.create(path, b"", PERSISTENT).await?;
    }
    let watching = b.client.clone();
    let (_, _, on_quiet) = watching.get_and_watch_data(&quiet).await?;
    let (_, _, on_gone) = watching.get_and_watch_data(&gone).await?;
    let (_, on_new) = watching.check_and_watch_stat(&new).await?;
    b.reconnect_after(async || {
        a.client.delete(&gone, None).await?;
        a.client.create(&new, b"", PERSISTENT).await?;
        Ok(())
    })
    .await?;
    is(&in_time("deleted while cut off", on_gone.changed()).await?, EventType::NodeDeleted, &gone)?;
    is(&in_time("created while cut off", on_new.changed()).await?, EventType::NodeCreated, &new)?;
    a.client.set_data(&quiet, b"x", None).await?;
    is(&in_time("changed afterwards", on_quiet.changed()).await?, EventType::NodeDataChanged, &quiet)
}

pub async fn persistent(pair: &mut Pair) -> Outcome {
    let Pair { a, b, root, .. } = pair;
    let (path, child) = (format!("{root}/kept"), format!("{root}/kept/child"));
    let watching = b.client.clone();
    let mut watcher = watching.watch(&path, AddWatchMode::Persistent).await?;
    a.client.create(&path, b"", PERSISTENT).await?;
    a.client.set_data(&path, b"1", None).await?;
    a.reconnect().await?;
    a.client.create(&child, b"", PERSISTENT).await?;
    a.client.set_data(&child, b"unseen", None).await?;
    a.client.delete(&child, None).await?;
    a.client.delete(&path, None).await?;
    for kind in [
        EventType::NodeCreated,
        EventType::NodeDataChanged,
        EventType::NodeChildrenChanged,
        EventType::NodeChildrenChanged,
        EventType::NodeDeleted,
    ] {
        let event = in_time("an event", next(&mut watcher)).await?;
        is(&event, kind, &path)?;
    }
    Ok(())
}

/// The next event of a znode: those of the session come, too.
async fn next(watcher: &mut zookeeper_client::PersistentWatcher) -> zookeeper_client::WatchedEvent {
    loop {
        let event = watcher.changed().await;
        if event.event_type != EventType::Session {
            return event;
        }
    }
}

pub async fn recursive(pair: &mut Pair) -> Outcome {
    let Pair { a, b, root, .. } = pair;
    let (top, below) = (format!("{root}/top"), format!("{root}/top/below"));
    let watching = b.client.clone();
    let mut watcher = watching.watch(root, AddWatchMode::PersistentRecursive).await?;
    a.client.create(&top, b"", PERSISTENT).await?;
    a.client.create(&below, b"", PERSISTENT).await?;
    a.reconnect().await?;
    let changed = a.client.set_data(&below, b"x", None).await?;
    a.client.delete(&below, None).await?;
    for (kind, path) in [
        (EventType::NodeCreated, &top),
        (EventType::NodeCreated, &below),
        (EventType::NodeDataChanged, &below),
        (EventType::NodeDeleted, &below),
    ] {
        let event = in_time("an event", next(&mut watcher)).await?;
        is(&event, kind, path)?;
        if kind == EventType::NodeDataChanged {
            equal("event's zxid", changed.mzxid, event.zxid)?;
        }
    }
    Ok(())
}

#[expect(deprecated, reason = "dropped, they would not say how it went")]
pub async fn removed(pair: &mut Pair) -> Outcome {
    let path = pair.path("dull");
    pair.a.client.create(&path, b"", PERSISTENT).await?;
    let (_, _, once) = pair.b.client.get_and_watch_data(&path).await?;
    pair.b.reconnect().await?;
    let kept = pair.b.client.watch(&path, AddWatchMode::Persistent).await?;
    once.remove().await?;
    kept.remove().await?;
    // Had the server kept them, it would send what the client does not know: it would break the connection.
    pair.a.client.set_data(&path, b"x", None).await?;
    equal("data", b"x".to_vec(), pair.b.client.get_data(&path).await?.0)
}
