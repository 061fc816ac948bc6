//! What a leader reads of its own disk for a learner, on threads of their own: where their logs part, and what
//! the learner lacks.

use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::zxid::Zxid;

use super::actor::ProposerActor;
use super::reigning::Reigning;
use crate::peer_link::letters::Outgoing;
use crate::runtime::{Ctx, Serve};
use crate::storage::transfer::{Outlet, PIECE, channel, spawn_log, spawn_snapshot};
use crate::storage::{Command, LogView};

/// Mail from the thread that looked into our log for a learner.
#[derive(Debug)]
pub struct Found {
    learner: ServerId,
    lane: u64,
    /// The log's start, and what was asked.
    found: Result<(Zxid, Vec<Zxid>), String>,
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
        let tell = move |result: std::io::Result<(Zxid, Vec<Zxid>)>| {
            let letter = Found { learner, lane, found: result.map_err(|error| error.to_string()) };
            drop(found.post(letter)); // a Proposer that is gone serves no learner
        };
        self.view(move |view| {
            // Whoever appends must not wait for it.
            let look = tell.clone();
            let job = move || look(view.and_then(|view| Ok((view.log_start(), view.floors(&wanted)?))));
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

    pub(super) fn send_log(&mut self, to: ServerId, after: Zxid, upto: Zxid) {
        let Some((outlet, telling)) = self.outlet(to) else { return };
        self.view(move |view| {
            let (done, failed) = (telling.clone(), telling);
            let began = view
                .and_then(|view| spawn_log(view, (after, upto), PIECE, outlet, move |sent| done.tell(sent)));
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
            Ok((log_start, floors)) => reign.on_found(learner, log_start, &floors, out),
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
