//! Watches over the actors without any code in them: reads every meter, and ends a node that cannot
//! be right any more (R4).
//!
//! [`Watch`] decides, from readings alone; [`Guardian`] is the actor that reads and reports. It runs on
//! an arbiter that no data crosses, so that a flood cannot silence it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::exit::ExitCode;
use super::host::{Ctx, Service};
use super::registry::{ActorId, ActorReading, Duty};

/// Ticks in a row, each on time, without progress after which an actor is stalled. At `peerTimeout` / 4
/// a tick this is 10 × `peerTimeout`: far above any pause of a live actor, so that it is never a guess.
pub const STALL_TICKS: u32 = 40;

/// Ticks without progress between two reports of an actor that waits for its disk: one `peerTimeout`.
const REPORT_TICKS: u32 = 4;

/// What the guardian found out about one actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The actor.
    pub actor: Arc<str>,
    /// What is the matter with it.
    pub state: State,
}

/// What can be the matter with an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has mail and handles none.
    Stalled {
        /// Ticks without progress.
        ticks: u32,
        /// The message types that wait, and how many of each.
        waiting: Vec<(&'static str, u64)>,
    },
    /// It waits for its disk, to be reported only.
    WaitsForDisk {
        /// Ticks without progress.
        ticks: u32,
    },
    /// It has ended and nobody asked it to.
    Gone,
}

impl Finding {
    /// The exit code, where the process cannot go on.
    pub fn fatal(&self) -> Option<ExitCode> {
        match self.state {
            State::Stalled { .. } => Some(ExitCode::Stalled),
            State::Gone => Some(ExitCode::ActorGone),
            State::WaitsForDisk { .. } => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actor = &self.actor;
        match &self.state {
            State::Stalled { ticks, waiting } => {
                write!(f, "{actor} is stalled: nothing handled for {ticks} guardian ticks, waiting:")?;
                waiting.iter().try_for_each(|(message, depth)| write!(f, " {depth} {message}"))
            }
            State::WaitsForDisk { ticks } => {
                write!(f, "{actor} waits for its disk: nothing handled for {ticks} guardian ticks")
            }
            State::Gone => write!(f, "{actor} is gone: it ended without being asked to"),
        }
    }
}

/// What is remembered between ticks: for each actor with mail, its progress and since when it has none.
#[derive(Debug)]
pub struct Watch {
    period_us: u64,
    last_tick_us: Option<u64>,
    with_mail: BTreeMap<ActorId, Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    handled: u64,
    ticks_unmoved: u32,
}

impl Watch {
    /// A watch that expects a tick each `period_us`.
    pub fn new(period_us: u64) -> Self {
        Self { period_us, last_tick_us: None, with_mail: BTreeMap::new() }
    }

    /// One tick at `now_us`: what is to be said about the actors as they are now.
    pub fn on_tick(&mut self, now_us: u64, actors: &[ActorReading]) -> Vec<Finding> {
        if !self.lived_through(now_us) {
            self.with_mail.clear(); // the others may have been frozen as long as we were
        }
        let before = std::mem::take(&mut self.with_mail);
        actors.iter().filter_map(|actor| self.look_at(actor, before.get(&actor.id))).collect()
    }

    /// Is this tick on time, within one period? If not, we were not there to see whether others moved.
    fn lived_through(&mut self, now_us: u64) -> bool {
        let last = self.last_tick_us.replace(now_us);
        last.is_some_and(|last| now_us.saturating_sub(last) < 2 * self.period_us)
    }

    fn look_at(&mut self, actor: &ActorReading, before: Option<&Progress>) -> Option<Finding> {
        if actor.duty == Duty::Alone {
            return None;
        }
        let finding = |state| Some(Finding { actor: actor.name.clone(), state });
        if actor.gone {
            return finding(State::Gone);
        }
        if actor.mail.iter().all(|mail| mail.depth == 0) {
            return None;
        }
        let handled = actor.mail.iter().map(|mail| mail.handled).sum();
        let ticks = before.filter(|before| before.handled == handled).map_or(0, |it| it.ticks_unmoved + 1);
        self.with_mail.insert(actor.id, Progress { handled, ticks_unmoved: ticks });
        match actor.duty {
            Duty::Disk if ticks > 0 && ticks.is_multiple_of(REPORT_TICKS) => {
                finding(State::WaitsForDisk { ticks })
            }
            Duty::Core if ticks >= STALL_TICKS => finding(State::Stalled { ticks, waiting: waiting(actor) }),
            _ => None,
        }
    }
}

fn waiting(actor: &ActorReading) -> Vec<(&'static str, u64)> {
    let with_mail = actor.mail.iter().filter(|mail| mail.depth > 0);
    with_mail.map(|mail| (mail.message, mail.depth)).collect()
}

/// The actor that watches. Stop it first when the node stops: actors whose thread ends count as gone.
#[derive(Debug)]
pub struct Guardian {
    watch: Watch,
    period: Duration,
}

impl Guardian {
    /// One that ticks each quarter of `peer_timeout_ms` (a member silent for this long is given up).
    pub fn new(peer_timeout_ms: u64) -> Self {
        let period = Duration::from_micros((peer_timeout_ms * 1_000 / 4).max(1));
        Self { watch: Watch::new(peer_timeout_ms * 1_000 / 4), period }
    }

    fn tick(&mut self, ctx: &mut Ctx<'_, Self>) {
        let actors = ctx.env().registry.readings();
        for finding in self.watch.on_tick(ctx.clock().now_us(), &actors) {
            match finding.fatal() {
                Some(code) => return ctx.fatal(code, &finding.to_string()),
                None => tracing::warn!("{finding}"),
            }
        }
    }
}

impl Service for Guardian {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(self.period, Self::tick);
    }
}

#[cfg(test)]
mod tests;
