//! The Snapshotter's shell: a thread per snapshot, and mail to the Logger about it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::mail::Outbox;
use paddock_messages::zxid::Zxid;

use super::core::{Ended, Output, Policy, Snapshotter};
use crate::admin::metrics::Meters;
use crate::learner::actor::Applied;
use crate::runtime::{Ctx, ExitCode, Rng, Serve, Service};
use crate::storage::snapshot::{Footer, SnapshotError};
use crate::storage::snapshot_files::take;
use crate::storage::{Command, Disk, LoggerHandle, Purged};
use crate::tree::SharedTree;

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// Mail from the snapshot's thread.
#[derive(Debug)]
pub struct Written(Result<(String, Footer), SnapshotError>);

/// Mail from the Logger's thread: the snapshot is in `history`, or is refused.
#[derive(Debug)]
pub struct Entered(pub Result<Zxid, String>);

/// Mail from the Logger's thread: what a purge deleted, or why it was refused.
#[derive(Debug)]
pub struct Deleted(pub Result<Purged, String>);

/// Mail from the Logger's thread: whether space is short.
#[derive(Clone, Copy, Debug)]
pub struct Short(pub bool);

/// See the module.
pub struct SnapshotterActor<D: Disk> {
    core: Snapshotter,
    disk: D,
    tree: Arc<SharedTree>,
    log: LoggerHandle,
    rng: Rng,
    /// To this very actor, for the thread.
    written: Outbox<Written>,
    out: Vec<Output>,
    began_us: u64,
    meters: Arc<Meters>,
}

impl<D: Disk + Unpin> SnapshotterActor<D> {
    /// `behind`: txns in the log that no snapshot holds.
    pub fn new(
        (policy, behind): (Policy, u64),
        disk: D,
        tree: Arc<SharedTree>,
        log: LoggerHandle,
        mut rng: Rng,
        written: Outbox<Written>,
        (now_ms, meters): (u64, Arc<Meters>),
    ) -> Self {
        let core = Snapshotter::new(policy, behind, now_ms, &mut |below| rng.below(below));
        Self { core, disk, tree, log, rng, written, out: Vec::new(), began_us: 0, meters }
    }

    fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        for order in std::mem::take(&mut self.out) {
            match order {
                Output::Begin => self.begin(ctx),
                // A Logger that has ended ends the process by itself.
                Output::Purge { keep } => drop(self.log.send(Command::Purge { keep })),
            }
        }
    }

    fn begin(&mut self, ctx: &mut Ctx<'_, Self>) {
        self.began_us = ctx.clock().now_us();
        let (disk, tree, written) = (self.disk.clone(), Arc::clone(&self.tree), self.written.clone());
        let fatal = ctx.env().fatal.clone();
        let thread = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            match catch_unwind(AssertUnwindSafe(|| take(&disk, &tree))) {
                // Refused only once the actor has ended: then the file is swept at the next start.
                Ok(taken) => drop(written.post(Written(taken.unwrap_or(Err(SnapshotError::Abandoned))))),
                Err(_) => fatal.end(ExitCode::Panic, "the thread that writes a snapshot panicked: see above"),
            }
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for a snapshot; tried again in 10 s");
            self.ended(Ended::Failed, ctx);
        }
    }

    fn ended(&mut self, ended: Ended, ctx: &mut Ctx<'_, Self>) {
        if ended == Ended::Failed {
            self.meters.snapshot_failed();
        }
        let (now, rng) = (ctx.clock().now_ms(), &mut self.rng);
        self.core.on_ended(ended, now, &mut |below| rng.below(below), &mut self.out);
        self.perform(ctx);
    }
}

impl<D: Disk + Unpin> Service for SnapshotterActor<D> {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(TICK, |this, ctx| {
            this.core.on_tick(ctx.clock().now_ms(), &mut this.out);
            this.perform(ctx);
        });
    }
}

impl<D: Disk + Unpin> Serve<Applied> for SnapshotterActor<D> {
    fn serve(&mut self, letter: Applied, ctx: &mut Ctx<'_, Self>) {
        self.core.on_applied(letter.txns, letter.bytes, ctx.clock().now_ms(), &mut self.out);
        self.perform(ctx);
    }
}

impl<D: Disk + Unpin> Serve<Written> for SnapshotterActor<D> {
    fn serve(&mut self, letter: Written, ctx: &mut Ctx<'_, Self>) {
        match letter.0 {
            Ok((name, footer)) => {
                tracing::info!(zxid = %footer.zxid, znodes = footer.count, "snapshot written to {name}");
                drop(self.log.send(Command::AddSnapshot { name, zxid: footer.zxid }));
            }
            Err(SnapshotError::Abandoned) => {
                tracing::info!("snapshot given up: too much changed while it was written; begun again");
                self.ended(Ended::GivenUp, ctx);
            }
            Err(error) => {
                tracing::warn!(%error, "snapshot failed; tried again in 10 s");
                self.ended(Ended::Failed, ctx);
            }
        }
    }
}

impl<D: Disk + Unpin> Serve<Entered> for SnapshotterActor<D> {
    fn serve(&mut self, letter: Entered, ctx: &mut Ctx<'_, Self>) {
        match letter.0 {
            Ok(zxid) => {
                let took_us = ctx.clock().now_us() - self.began_us;
                self.meters.snapshot_taken(took_us);
                tracing::info!(%zxid, ms = took_us / 1_000, "snapshot kept");
                self.ended(Ended::Kept, ctx);
            }
            Err(error) => {
                tracing::warn!(error, "snapshot not kept; tried again in 10 s");
                self.ended(Ended::Failed, ctx);
            }
        }
    }
}

impl<D: Disk + Unpin> Serve<Deleted> for SnapshotterActor<D> {
    fn serve(&mut self, letter: Deleted, ctx: &mut Ctx<'_, Self>) {
        self.core.on_purged(letter.0.is_ok(), ctx.clock().now_ms());
        match letter.0 {
            Ok(Purged { snapshots, segments }) if snapshots + segments > 0 => {
                tracing::info!(snapshots, segments, "purged: older files deleted");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error, "nothing purged; tried again in 10 s"),
        }
    }
}

impl<D: Disk + Unpin> Serve<Short> for SnapshotterActor<D> {
    fn serve(&mut self, letter: Short, ctx: &mut Ctx<'_, Self>) {
        let helps = self.core.on_space(letter.0, ctx.clock().now_ms(), &mut self.out);
        if letter.0 && !helps {
            tracing::warn!(
                "space is short, and purging is off (autopurge.purgeInterval=0): free some, or delete old snapshots \
                 by switching it on"
            );
        }
        self.perform(ctx);
    }
}
