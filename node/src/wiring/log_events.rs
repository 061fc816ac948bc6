//! What follows from what the Logger's thread tells.

use std::cell::Cell;
use std::sync::Arc;

use paddock_actors::admin::metrics::{Meters, Synced};
use paddock_actors::learner::actor::Durable;
use paddock_actors::learner::roles::{Answered, LogAnswer};
use paddock_actors::proposer::actor::DiskSpace;
use paddock_actors::runtime::{Env, ExitCode};
use paddock_actors::snapshotter::actor::{Deleted, Entered, Short};
use paddock_actors::storage::{LoggerEvent, Space};
use paddock_messages::mail::Outbox;

use super::{ADMITTED, Mailboxes};

/// Where the Logger's answers go; called on its thread.
pub(super) fn log_events(
    mail: &Mailboxes,
    env: &Env,
    meters: Arc<Meters>,
) -> impl Fn(LoggerEvent) + Send + 'static {
    let durable: Outbox<Durable> = mail.learner.outbox(ADMITTED);
    let answers: Outbox<LogAnswer> = mail.learner.outbox(ADMITTED);
    let space: [Outbox<DiskSpace>; 2] = [mail.learner.outbox(ADMITTED), mail.proposer.outbox(ADMITTED)];
    let entered: Outbox<Entered> = mail.snapshotter.outbox(ADMITTED);
    let deleted: Outbox<Deleted> = mail.snapshotter.outbox(ADMITTED);
    let short: Outbox<Short> = mail.snapshotter.outbox(ADMITTED);
    let fatal = env.fatal.clone();
    let is_short = Cell::new(false);
    let answer = move |role, what| drop(answers.post(LogAnswer { role, what }));
    move |event| {
        // An actor that is gone is the guardian's business.
        match event {
            LoggerEvent::Persisted { role, persisted, bytes } => {
                drop(durable.post(Durable { role, upto: persisted.upto, bytes: bytes as u64 }));
            }
            LoggerEvent::Synced { records, sync_us, .. } => {
                meters.synced(&Synced { txns: u64::from(records), took_us: sync_us });
            }
            LoggerEvent::Space(room) => {
                space.iter().for_each(|told| drop(told.post(DiskSpace(room))));
                is_short.set(room != Space::Enough);
                drop(short.post(Short(is_short.get())));
            }
            LoggerEvent::FactsKept { role, facts } => answer(role, Answered::Kept(facts)),
            LoggerEvent::Truncated { role, .. } => answer(role, Answered::Truncated),
            LoggerEvent::Installed { role, .. } => answer(role, Answered::Installed),
            LoggerEvent::TreeReplaced { role } => answer(role, Answered::TreeReplaced),
            LoggerEvent::Drained { role, persisted } => answer(role, Answered::Drained(persisted)),
            LoggerEvent::FactsRefused { role, failure } => {
                answer(role, Answered::NotKept(failure.to_string()));
                drop(short.post(Short(true)));
                drop(short.post(Short(is_short.get()))); // perhaps that was short of a few bytes alone
            }
            LoggerEvent::SnapshotAdded { zxid, .. } => drop(entered.post(Entered(Ok(zxid)))),
            LoggerEvent::SnapshotRefused { failure } => {
                drop(entered.post(Entered(Err(failure.to_string()))));
            }
            LoggerEvent::Purged(purged) => drop(deleted.post(Deleted(Ok(purged)))),
            LoggerEvent::PurgeRefused { failure } => {
                drop(deleted.post(Deleted(Err(failure.to_string()))));
            }
            LoggerEvent::Refused { role, failure } => {
                tracing::warn!(%failure, "the log refused a command; it goes on");
                if let Some(role) = role {
                    answer(role, Answered::Refused(failure.to_string()));
                }
            }
            LoggerEvent::Failed(failure) => fatal.end(ExitCode::LogIo, &failure.to_string()),
            LoggerEvent::Panicked => fatal.end(ExitCode::Panic, "the logger's thread panicked"),
            LoggerEvent::Stopped => {}
        }
    }
}
