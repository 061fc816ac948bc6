//! Mail to a plain thread, for work that blocks: one queue for letters of several kinds, with a meter for each
//! kind (R6).

use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};
use paddock_messages::mail::{Bound, Mail, Outbox, Refused};

use super::Env;
use super::registry::{Duty, Enrolment};

/// Letters of several kinds.
pub trait Kinds: Send + 'static {
    /// What operators know the kinds by: the message types of the metrics.
    const NAMES: &'static [&'static str];

    /// Which of them this one is.
    fn kind(&self) -> usize;
}

/// Where letters to one thread are posted. Clones share the meters, and keep the queue open.
pub struct ThreadOutbox<L>(Arc<[Outbox<L>]>);

impl<L: Kinds> ThreadOutbox<L> {
    /// Posts `letter` behind this sender's earlier ones, of whatever kind. Never waits.
    ///
    /// # Errors
    /// The letter back: as many of its kind as may be are under way, or the thread has ended.
    pub fn post(&self, letter: L) -> Result<(), Refused<L>> {
        self.0[letter.kind()].post(letter)
    }
}

impl<L> Clone for ThreadOutbox<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The thread's end of it. Dropped, it drops what waits; the thread is then off the roll, and its counts stay in
/// the totals.
pub struct ThreadInbox<L> {
    /// To take mail from. Disconnected once no outbox is left and nothing waits.
    pub queue: Receiver<Mail<L>>,
    _enrolment: Enrolment, // behind `queue`: what waited is counted as done with
}

/// A queue without a bound but the meters', `bound` for each kind, to the thread that operators know as `name`.
/// The guardian does not watch it: whoever has the thread tells of its end, and of what it waits for.
pub fn thread_mail<L: Kinds>(name: &str, bound: Bound, env: &Env) -> (ThreadOutbox<L>, ThreadInbox<L>) {
    let enrolment = env.registry.enter(name, Duty::Alone);
    let (to, queue) = unbounded();
    let outbox = |kind: &&'static str| {
        let to = to.clone();
        let meter = enrolment.meter_of(kind, bound, &env.fatal);
        Outbox::new(meter, move |mail: Mail<L>| to.send(mail).map_err(|gone| gone.0))
    };
    let outboxes = L::NAMES.iter().map(outbox).collect();
    (ThreadOutbox(outboxes), ThreadInbox { queue, _enrolment: enrolment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{ManualClock, Registry};

    #[derive(Debug, PartialEq, Eq)]
    enum Letter {
        Write(u32),
        Sync,
    }

    impl Kinds for Letter {
        const NAMES: &'static [&'static str] = &["Write", "Sync"];

        fn kind(&self) -> usize {
            match self {
                Self::Write(_) => 0,
                Self::Sync => 1,
            }
        }
    }

    /// Posted, handled, refused as full, refused as gone, and times of waiting and handling of one kind.
    fn counts(registry: &Registry, kind: &'static str) -> [u64; 6] {
        let of = registry.totals()[&("writer".into(), kind)];
        [of.posted, of.handled, of.refused_full, of.refused_gone, of.wait.count(), of.handle.count()]
    }

    #[test]
    fn r6_each_kind_has_its_own_meter_and_all_share_one_order() {
        let (env, _) = Env::recorded(Arc::new(ManualClock::default()));
        let (outbox, inbox) = thread_mail("writer", Bound::Entrance(2), &env);
        for letter in [Letter::Write(1), Letter::Sync, Letter::Write(2)] {
            outbox.clone().post(letter).unwrap();
        }
        assert!(matches!(outbox.post(Letter::Write(3)), Err(Refused::Full(Letter::Write(3)))));
        let took: Vec<_> = inbox.queue.try_iter().take(2).map(|mail| mail.open().0).collect();
        assert_eq!(took, [Letter::Write(1), Letter::Sync]);
        assert_eq!(counts(&env.registry, "Write"), [2, 1, 1, 0, 1, 1]);
        assert_eq!(counts(&env.registry, "Sync"), [1, 1, 0, 0, 1, 1]);
        drop(inbox);
        assert!(outbox.post(Letter::Sync).unwrap_err().is_gone());
        assert_eq!(counts(&env.registry, "Write"), [2, 2, 1, 0, 1, 1], "dropped with its thread");
        assert_eq!(counts(&env.registry, "Sync"), [2, 2, 0, 1, 1, 1]);
        assert!(env.registry.readings().is_empty(), "off the roll");
    }

    #[test]
    fn the_queue_ends_with_its_last_outbox() {
        let (env, _) = Env::recorded(Arc::new(ManualClock::default()));
        let (outbox, inbox) = thread_mail("writer", Bound::Entrance(2), &env);
        outbox.post(Letter::Sync).unwrap();
        drop(outbox);
        assert_eq!(inbox.queue.iter().count(), 1);
    }
}
