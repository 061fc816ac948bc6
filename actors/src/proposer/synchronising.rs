//! What a leader reads of its own disk for a learner, on threads of their own: where their logs part, and what
//! the learner lacks.

use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::zxid::Zxid;

use super::actor::ProposerActor;
use super::reigning::Reigning;
use super::sync_plan::Searched;
use crate::peer_link::letters::Outgoing;
use crate::runtime::{Ctx, Serve};
use crate::storage::transfer::{Outlet, PIECE, Span, channel, spawn_log, spawn_snapshot};
use crate::storage::{Command, LogView};

/// Mail from the thread that looked into our log for a learner.
#[derive(Debug)]
pub struct Found {
    learner: ServerId,
    lane: u64,
    /// What was asked.
    found: Result<Searched, String>,
}

/// Mail from the thread that sent a learner our log or our snapshot.
#[derive(Debug)]
pub struct SyncSent {
    learner: ServerId,
    lane: u64,
    /// Up to where, if to its end.
    sent: Result<Zxid, String>,
}

impl Reigning {
    /// Asks the log's thread for a view, and lets `read` work with it on whatever thread it begins.
    fn view(&self, read: impl FnOnce(std::io::Result<LogView>) + Send + 'static) {
        // A Logger that has ended ends the process by itself.
        drop(self.others.log.send(Command::View { answer: Box::new(read) }));
    }

    pub(super) fn find(&mut self, learner: ServerId, wanted: Vec<Zxid>) {
        let Some(lane) = self.lanes.get(&learner).map(|lane| lane.number) else { return };
        let found = self.others.found.clone();
        let tell = move |result: std::io::Result<Searched>| {
            let letter = Found { learner, lane, found: result.map_err(|error| error.to_string()) };
            drop(found.post(letter)); // a Proposer that is gone serves no learner
        };
        self.view(move |view| {
            // Whoever appends must not wait for it.
            let look = tell.clone();
            let job = move || look(view.and_then(|view| search(&view, wanted)));
            if let Err(error) = std::thread::Builder::new().name("find".into()).spawn(job) {
                tell(Err(error));
            }
        });
    }

    /// Where the frames of a transfer go in, the lane's writer being told to take them out; and whom to tell that
    /// all are sent.
    fn outlet(&mut self, to: ServerId) -> Option<(Outlet, Telling)> {
        let (lane, writer) = (self.lanes.get(&to)?.number, self.writer(to)?);
        let (frames, taken) = channel();
        self.push(to, Outgoing::Stream(taken));
        let telling = Telling { learner: to, lane, sent: self.others.sent.clone() };
        Some((Outlet { writer, to: frames, label: format!("server {to}") }, telling))
    }

    pub(super) fn send_log(&mut self, to: ServerId, span: Span) {
        let Some((outlet, telling)) = self.outlet(to) else { return };
        self.view(move |view| {
            let (done, failed) = (telling.clone(), telling);
            let began =
                view.and_then(|view| spawn_log(view, span, PIECE, outlet, move |sent| done.tell(sent)));
            if let Err(error) = began {
                failed.tell(Err(error.to_string()));
            }
        });
    }

    pub(super) fn send_snapshot(&mut self, to: ServerId) {
        let Some((outlet, telling)) = self.outlet(to) else { return };
        self.view(move |view| {
            let (done, failed) = (telling.clone(), telling);
            if let Err(error) =
                view.and_then(|view| spawn_snapshot(view, outlet, move |sent| done.tell(sent)))
            {
                failed.tell(Err(error.to_string()));
            }
        });
    }
}

/// Where logs may part, and what the newest snapshot spares a learner from there on.
///
/// # Errors
/// The log cannot be read.
pub fn search(view: &LogView, mut wanted: Vec<Zxid>) -> std::io::Result<Searched> {
    let snapshot = view.snapshot_size();
    let asked = wanted.len();
    wanted.extend(snapshot.map(|(zxid, _)| zxid));
    let mut floors = view.floors(&wanted)?;
    let upto = floors.drain(asked..).next().map_or(0, |(_, bytes)| bytes);
    floors.iter_mut().for_each(|(_, bytes)| *bytes = upto.saturating_sub(*bytes));
    Ok(Searched {
        log_start: view.log_start(),
        floors,
        snapshot_bytes: snapshot.map_or(0, |(_, bytes)| bytes),
    })
}

/// Whom a transfer's thread tells how it ended.
#[derive(Clone)]
struct Telling {
    learner: ServerId,
    lane: u64,
    sent: Outbox<SyncSent>,
}

impl Telling {
    fn tell(self, sent: Result<Zxid, String>) {
        let Self { learner, lane, sent: to } = self;
        drop(to.post(SyncSent { learner, lane, sent })); // a Proposer that is gone serves no learner
    }
}

impl Serve<Found> for ProposerActor {
    fn serve(&mut self, Found { learner, lane, found }: Found, ctx: &mut Ctx<'_, Self>) {
        self.for_learner((learner, lane), ctx, |reign, out| match found {
            Ok(searched) => reign.on_found(learner, &searched, out),
            Err(error) => {
                tracing::error!(%learner, error, "our log cannot be read for a learner");
                reign.on_unreadable(learner, out);
            }
        });
    }
}

impl Serve<SyncSent> for ProposerActor {
    fn serve(&mut self, SyncSent { learner, lane, sent }: SyncSent, ctx: &mut Ctx<'_, Self>) {
        self.for_learner((learner, lane), ctx, |reign, out| match sent {
            Ok(upto) => reign.on_log_sent(learner, upto, out),
            Err(error) => {
                tracing::error!(%learner, error, "a learner could not be sent what it lacks");
                reign.on_unreadable(learner, out);
            }
        });
    }
}
