//! The crate's lock recipe.

use std::time::Duration;

use zookeeper_client::{Acls, Client, CreateMode, Error, LockClient, LockOptions, LockPrefix};

use crate::{Outcome, PERSISTENT, Pair, equal, in_time};

async fn acquire<'a>(client: &'a Client, folder: &str) -> Outcome<LockClient<'a>> {
    let ancestors = CreateMode::Container.with_acls(Acls::anyone_all());
    let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(ancestors)?;
    Ok(client.lock(LockPrefix::new_curator(folder, "lock-")?, b"", options).await?)
}

/// Returns once so many stand in line.
async fn in_line(client: &Client, folder: &str, count: usize) -> Outcome {
    in_time("a queue of the right length", async {
        while client.list_children(folder).await?.len() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), Error>(())
    })
    .await?
    .map_err(Into::into)
}

pub async fn lock(pair: &mut Pair) -> Outcome {
    let Pair { a, b, root, .. } = pair;
    let folder = format!("{root}/lock");
    let (holder, waiter) = (a.client.clone(), b.client.clone());
    let held = acquire(&holder, &folder).await?;
    let mut waiting = Box::pin(acquire(&waiter, &folder));
    tokio::select! {
        other = &mut waiting => return Err(format!("B has what A holds: {:?}", other.is_ok()).into()),
        line = in_line(&holder, &folder, 2) => line?,
    }
    for peer in [a, b] {
        tokio::select! {
            other = &mut waiting => return Err(format!("B has what A holds: {:?}", other.is_ok()).into()),
            again = peer.reconnect() => again?,
        }
    }
    equal("in line, after the reconnects", 2, holder.list_children(&folder).await?.len())?;
    drop(held);
    drop(in_time("the lock", waiting).await??);
    in_line(&holder, &folder, 0).await
}

pub async fn holder_ends(pair: &mut Pair) -> Outcome {
    let folder = pair.path("lock");
    let held = acquire(&pair.a.client, &folder).await?.into_owned();
    let waiter = pair.b.client.clone();
    let mut waiting = Box::pin(acquire(&waiter, &folder));
    tokio::select! {
        other = &mut waiting => return Err(format!("B has what A holds: {:?}", other.is_ok()).into()),
        line = in_line(&waiter, &folder, 2) => line?,
    }
    let another = crate::Peer::connect(pair.server).await?;
    drop(std::mem::replace(&mut pair.a, another));
    drop(held);
    let got = in_time("the lock", waiting).await??;
    equal("in line", 1, waiter.list_children(&folder).await?.len())?;
    drop(got);
    Ok(())
}

pub async fn guarded(pair: &mut Pair) -> Outcome {
    let (folder, path) = (pair.path("lock"), pair.path("guarded"));
    let client = pair.a.client.clone();
    let held = acquire(&client, &folder).await?;
    held.create(&path, b"1", PERSISTENT).await?;
    pair.a.reconnect().await?;
    held.set_data(&path, b"2", None).await?;
    pair.b.client.delete(held.lock_path(), None).await?; // behind the holder's back
    equal(
        "a write without the lock",
        Some(Error::RuntimeInconsistent),
        held.set_data(&path, b"3", None).await.err(),
    )?;
    equal("data", b"2".to_vec(), pair.b.client.get_data(&path).await?.0)
}
