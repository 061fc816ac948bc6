//! Who is on duty, and all their meters: what the guardian watches and operators scrape.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use paddock_messages::mail::{Bound, Meter, MeterReading, OnBroken};
use parking_lot::Mutex;

use super::exit::{ExitCode, Fatal};

/// What an actor's end, or its silence, means for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// The node cannot be right without it: a panic, a stall or an end nobody asked for ends the process.
    Core,
    /// As `Core`, but it waits for a disk (the Snapshotter): a stall is only reported, as it harms nobody.
    Disk,
    /// One of many, a client's or a link's: it dies alone, and its peers notice. Or a thread (R6), whose end is
    /// told by itself, and whose waits for the disk by `disk_watch`.
    Alone,
}

/// One actor instance. Never used twice, so an actor that was started anew is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u64);

/// All actors on duty and their meters. Clones share it. Off the hot path: locked when an actor
/// enters or leaves, and to read.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Roll>>);

#[derive(Debug, Default)]
struct Roll {
    entered: u64,
    on_duty: BTreeMap<ActorId, Arc<Entry>>,
    /// Meters of actors that have left, while an outbox or a mail may still move them.
    left: Vec<Arc<Meter>>,
    /// What the meters before those counted, so that an operator's counters never fall.
    past: Totals,
}

/// By actor name and message.
type Totals = BTreeMap<(Arc<str>, &'static str), MeterReading>;

fn add_to(totals: &mut Totals, meter: &Meter, on_duty: bool) {
    let mut reading = meter.read();
    if !on_duty {
        reading.limit = 0; // its places are no longer to be had
    }
    totals.entry((meter.actor().into(), meter.message())).or_default().merge(&reading);
}

impl Roll {
    /// Meters that nobody else holds any more have counted to the end.
    fn close_books(&mut self) {
        let past = &mut self.past;
        self.left.retain(|meter| {
            let moves = Arc::strong_count(meter) > 1;
            if !moves {
                add_to(past, meter, false);
            }
            moves
        });
    }
}

#[derive(Debug)]
struct Entry {
    id: ActorId,
    name: Arc<str>,
    duty: Duty,
    gone: AtomicBool,
    /// Each with the type of its letters, if it has them all.
    meters: Mutex<Vec<(Option<TypeId>, Arc<Meter>)>>,
}

impl Registry {
    /// Enters an actor under the name operators will know it by; instances that share a name are
    /// counted together in [`Registry::totals`].
    pub fn enter(&self, name: &str, duty: Duty) -> Enrolment {
        let mut roll = self.0.lock();
        roll.entered += 1;
        let id = ActorId(roll.entered);
        let entry =
            Entry { id, name: name.into(), duty, gone: AtomicBool::new(false), meters: Mutex::default() };
        let entry = Arc::new(entry);
        roll.on_duty.insert(id, entry.clone());
        Enrolment { registry: self.clone(), entry }
    }

    /// Every actor on duty, oldest first.
    pub fn readings(&self) -> Vec<ActorReading> {
        let entries: Vec<Arc<Entry>> = self.0.lock().on_duty.values().cloned().collect();
        entries.iter().map(|entry| entry.read()).collect()
    }

    /// By actor name and message, everything since the start, those that have left included.
    pub fn totals(&self) -> BTreeMap<(Arc<str>, &'static str), MeterReading> {
        let mut roll = self.0.lock(); // held throughout, or an actor that leaves would be missed or doubled
        roll.close_books();
        let mut totals = roll.past.clone();
        roll.left.iter().for_each(|meter| add_to(&mut totals, meter, false));
        for entry in roll.on_duty.values() {
            entry.meters.lock().iter().for_each(|(_, meter)| add_to(&mut totals, meter, true));
        }
        totals
    }

    fn leave(&self, entry: &Entry) {
        let mut roll = self.0.lock();
        roll.close_books();
        if roll.on_duty.remove(&entry.id).is_some() {
            roll.left.extend(entry.meters.lock().drain(..).map(|(_, meter)| meter));
        }
    }
}

impl Entry {
    fn read(&self) -> ActorReading {
        let meters = self.meters.lock();
        ActorReading {
            id: self.id,
            name: self.name.clone(),
            duty: self.duty,
            gone: self.gone.load(SeqCst),
            mail: meters.iter().map(|(_, meter)| MailReading::of(meter)).collect(),
        }
    }
}

/// An actor's place on the roll. Dropped without [`Enrolment::leave`], the actor counts as gone.
#[derive(Debug)]
pub struct Enrolment {
    registry: Registry,
    entry: Arc<Entry>,
}

impl Enrolment {
    /// Which instance.
    pub fn id(&self) -> ActorId {
        self.entry.id
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What its end means.
    pub fn duty(&self) -> Duty {
        self.entry.duty
    }

    /// The meter of letters `M` to this actor: made at the first call, the same ever after. Mail over
    /// a [`Bound::Admitted`] ends the process through `fatal`. Panics if asked for with another bound.
    pub fn meter<M: 'static>(&self, bound: Bound, fatal: &Fatal) -> Arc<Meter> {
        let mut meters = self.entry.meters.lock();
        if let Some((_, meter)) = meters.iter().find(|(id, _)| *id == Some(TypeId::of::<M>())) {
            assert_eq!(meter.bound(), bound, "one bound for {meter:?}");
            return meter.clone();
        }
        let meter = Meter::new::<M>(self.entry.name.clone(), bound, ending(fatal));
        meters.push((Some(TypeId::of::<M>()), meter.clone()));
        meter
    }

    /// Another meter: of letters of the kind that operators know as `message`. To be called once for each.
    pub fn meter_of(&self, message: &'static str, bound: Bound, fatal: &Fatal) -> Arc<Meter> {
        let meter = Meter::of(message, self.entry.name.clone(), bound, ending(fatal));
        self.entry.meters.lock().push((None, meter.clone()));
        meter
    }

    /// Goes off duty in good order; what was counted stays in the totals.
    pub fn leave(self) {
        self.registry.leave(&self.entry);
    }
}

/// What mail over a [`Bound::Admitted`] does.
fn ending(fatal: &Fatal) -> OnBroken {
    let fatal = fatal.clone();
    Arc::new(move |reason: &str| fatal.end(ExitCode::Unexpected, reason))
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        if self.entry.duty == Duty::Alone {
            return self.registry.leave(&self.entry);
        }
        self.entry.gone.store(true, SeqCst); // without effect after `leave`: nobody reads it any more
    }
}

/// An actor as read at one moment.
#[derive(Clone, Debug)]
pub struct ActorReading {
    /// Which instance.
    pub id: ActorId,
    /// The name operators know.
    pub name: Arc<str>,
    /// What its end means.
    pub duty: Duty,
    /// It has ended without leaving.
    pub gone: bool,
    /// Its mail, by message type, in the order the meters were made.
    pub mail: Vec<MailReading>,
}

/// The mail of one type: what the guardian needs of a meter.
#[derive(Clone, Copy, Debug)]
pub struct MailReading {
    /// The message type.
    pub message: &'static str,
    /// Mails under way.
    pub depth: u64,
    /// Mails done with.
    pub handled: u64,
}

impl MailReading {
    fn of(meter: &Meter) -> Self {
        let handled = meter.handled(); // first: a depth read later can only be too new, never stale
        Self { message: meter.message(), depth: meter.depth(), handled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vote;

    /// Posted, refused, under way, places.
    fn total(registry: &Registry) -> [u64; 4] {
        let totals = registry.totals();
        let reading = totals[&("election".into(), "Vote")];
        [reading.posted, reading.refused_full, reading.depth, reading.limit]
    }

    #[test]
    fn totals_never_fall_when_an_actor_leaves_and_comes_back() {
        use paddock_messages::mail::Outbox;
        let registry = Registry::default();
        let (fatal, _) = Fatal::recorded();
        for generation in 1..=3 {
            let actor = registry.enter("election", Duty::Core);
            let (to, queue) = std::sync::mpsc::channel();
            let meter = actor.meter::<Vote>(Bound::Entrance(1), &fatal);
            let outbox = Outbox::new(meter, move |mail| to.send(mail).map_err(|gone| gone.0));
            assert!(outbox.post(Vote).is_ok() && outbox.post(Vote).is_err());
            assert_eq!(total(&registry), [generation, generation, 1, 1], "on duty");
            assert_eq!(registry.readings().len(), 1);
            actor.leave();
            assert_eq!(total(&registry), [generation, generation, 1, 0], "left, a vote still queued");
            assert!(registry.readings().is_empty());
            drop(queue);
            assert_eq!(total(&registry), [generation, generation, 0, 0], "left, the queue dropped");
            drop(outbox);
            assert_eq!(total(&registry), [generation, generation, 0, 0], "left, and nobody knows it");
            assert!(registry.0.lock().left.is_empty());
        }
    }

    #[test]
    fn dropped_without_leaving_means_gone_except_for_those_that_die_alone() {
        for (duty, expected) in [(Duty::Core, Some(true)), (Duty::Disk, Some(true)), (Duty::Alone, None)] {
            let registry = Registry::default();
            drop(registry.enter("x", duty));
            assert_eq!(registry.readings().first().map(|actor| actor.gone), expected, "{duty:?}");
        }
    }

    #[test]
    fn one_meter_per_message_type() {
        let registry = Registry::default();
        let (fatal, _) = Fatal::recorded();
        let actor = registry.enter("election", Duty::Core);
        let meter = actor.meter::<Vote>(Bound::Entrance(1), &fatal);
        assert!(Arc::ptr_eq(&meter, &actor.meter::<Vote>(Bound::Entrance(1), &fatal)));
        assert!(!Arc::ptr_eq(&meter, &actor.meter::<u32>(Bound::Entrance(1), &fatal)));
        assert_eq!((meter.actor(), meter.message()), ("election", "Vote"));
    }
}
