//! Timers of an actor. They fire through its mailbox, as one more turn: a context's own intervals
//! would starve while mail keeps coming, and would fire a dozen times after a stall.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, Message};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::host::{Ctx, Host, Service};

/// One timer of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u64);

/// A timer has fired. At most one of each timer is under way.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Fired(pub(super) TimerId);

/// What a timer does.
pub(super) type Action<S> = Box<dyn FnMut(&mut S, &mut Ctx<'_, S>)>;

/// The timers an actor has set; they end with it.
pub(super) struct Timers<S: Service> {
    set: BTreeMap<TimerId, Timer<S>>,
    made: u64,
}

struct Timer<S: Service> {
    action: Option<Action<S>>, // out while it runs
    once: bool,
    under_way: Rc<Cell<bool>>,
    task: JoinHandle<()>,
}

impl<S: Service> Timers<S> {
    pub(super) fn new() -> Self {
        Self { set: BTreeMap::new(), made: 0 }
    }

    /// Sets a timer that fires each `period`, or `once`, from one period on.
    pub(super) fn set(
        &mut self,
        period: Duration,
        once: bool,
        action: Action<S>,
        addr: Addr<Host<S>>,
    ) -> TimerId {
        self.made += 1;
        let id = TimerId(self.made);
        let under_way = Rc::new(Cell::new(false));
        let task = actix_rt::spawn(fire(id, period, once, under_way.clone(), addr));
        self.set.insert(id, Timer { action: Some(action), once, under_way, task });
        id
    }

    /// Unsets a timer; it never fires again. No effect on one that is not set.
    pub(super) fn unset(&mut self, id: TimerId) {
        if let Some(timer) = self.set.remove(&id) {
            timer.task.abort();
        }
    }

    /// What a timer that fired does, unless it was unset meanwhile.
    pub(super) fn take(&mut self, id: TimerId) -> Option<Action<S>> {
        let timer = self.set.get_mut(&id)?;
        timer.under_way.set(false);
        timer.action.take()
    }

    /// Gives back what [`Timers::take`] gave, for the next time.
    pub(super) fn put_back(&mut self, id: TimerId, action: Action<S>) {
        match self.set.get_mut(&id) {
            Some(timer) if !timer.once => timer.action = Some(action),
            _ => self.unset(id),
        }
    }
}

impl<S: Service> Drop for Timers<S> {
    fn drop(&mut self) {
        for timer in self.set.values() {
            timer.task.abort();
        }
    }
}

async fn fire<S: Service>(
    id: TimerId,
    period: Duration,
    once: bool,
    under_way: Rc<Cell<bool>>,
    addr: Addr<Host<S>>,
) {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay); // no burst after a stall
    loop {
        ticks.tick().await;
        if !under_way.replace(true) && addr.try_send(Fired(id)).is_err() {
            return; // the actor has ended
        }
        if once {
            return;
        }
    }
}
