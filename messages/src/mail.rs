//! Mail between actors: bounded, metered, never silently lost.
//!
//! A letter `M` is no actix message; [`Mail<M>`] is, and only an [`Outbox`] makes one, so mail that is
//! not metered does not compile. Mail is one-way: a reply is mail too. The bound is counted here, not
//! by actix, whose own capacity adds a slot for every sender. What must hold:
//! - M1  At most `limit` mails of a kind are under way to an actor, from however many senders.
//! - M2  A mail leaves the depth when it is handled or dropped, whoever drops it: nothing leaks.
//! - M3  A mail that is not taken comes back to its sender, at once, with the reason.
//! - M4  Mail over a [`Bound::Admitted`] is reported as a broken invariant.

mod depth;
mod meter;
mod times;
/// What [`depth`] counts with; a test puts a model checker's atomics in its place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quanta::Instant;

pub use self::meter::{Bound, Meter, MeterReading, OnBroken};
pub use self::times::{BUCKETS, Times, TimesReading, bucket_end_us, bucket_of};

/// One letter under way, and its place in the count.
#[derive(Debug)]
pub struct Mail<M> {
    body: M,
    posted_at: Instant, // for the metrics only: nothing decides by it
    ticket: Ticket,
}

impl<M: 'static> actix::Message for Mail<M> {
    type Result = ();
}

impl<M> Mail<M> {
    /// What is said.
    pub fn body(&self) -> &M {
        &self.body
    }

    /// Begins to handle it: its wait ends now. Keep the [`Opened`] until the work is done; dropping
    /// it ends the handling and frees the place.
    pub fn open(self) -> (M, Opened) {
        let opened_at = Instant::now();
        let waited = opened_at - self.posted_at;
        self.ticket.0.wait.record(waited);
        (self.body, Opened { opened_at, waited, ticket: self.ticket })
    }
}

/// A mail being handled: still part of the depth.
#[derive(Debug)]
pub struct Opened {
    opened_at: Instant,
    waited: Duration,
    ticket: Ticket,
}

impl Opened {
    /// The meter that counts it.
    pub fn meter(&self) -> &Meter {
        &self.ticket.0
    }

    /// From its post until it was opened. For the metrics only.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.ticket.0.handle.record(self.opened_at.elapsed());
    }
}

/// A place in a meter's depth, given back when dropped (M2).
struct Ticket(Arc<Meter>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.depth.release();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Takes a mail to its receiver's queue, or hands it back when the receiver is gone. Never waits.
type Deliver<M> = dyn Fn(Mail<M>) -> Result<(), Mail<M>> + Send + Sync;

/// Where letters `M` to one actor are posted; the only maker of [`Mail`]. Clones share the meter and
/// so the bound. Whoever holds one keeps the actor alive.
pub struct Outbox<M> {
    meter: Arc<Meter>,
    deliver: Arc<Deliver<M>>,
}

impl<M> Outbox<M> {
    /// An outbox counted by `meter` whose mail goes to `deliver`, which must keep the order of its
    /// calls and hand the mail back only when the receiver is gone.
    pub fn new(
        meter: Arc<Meter>,
        deliver: impl Fn(Mail<M>) -> Result<(), Mail<M>> + Send + Sync + 'static,
    ) -> Self {
        Self { meter, deliver: Arc::new(deliver) }
    }

    /// Posts `body` behind this sender's earlier mail. Never waits, never queues past the limit:
    /// whether it is taken is decided on the spot (M1, M3). Over a [`Bound::Admitted`] the meter's
    /// hook is told first; in a node it does not return (M4).
    pub fn post(&self, body: M) -> Result<(), Refused<M>> {
        if !self.meter.admit() {
            return Err(Refused::Full(body));
        }
        let ticket = Ticket(self.meter.clone());
        (self.deliver)(Mail { body, posted_at: Instant::now(), ticket }).map_err(|mail| {
            mail.ticket.0.note_gone();
            Refused::Gone(mail.body)
        })
    }

    /// What counts this mail.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl<M: Send + 'static> Outbox<M> {
    /// An outbox to an actix actor, whose mailbox must have capacity 0: actix's word for no bound of
    /// its own.
    pub fn to_actor(meter: Arc<Meter>, to: actix::Recipient<Mail<M>>) -> Self {
        Self::new(meter, move |mail| to.try_send(mail).map_err(actix::dev::SendError::into_inner))
    }
}

impl<M> Clone for Outbox<M> {
    fn clone(&self) -> Self {
        Self { meter: self.meter.clone(), deliver: self.deliver.clone() }
    }
}

impl<M> fmt::Debug for Outbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({:?})", self.meter)
    }
}

/// Why a letter was not taken, and the letter.
#[derive(PartialEq, Eq, thiserror::Error)]
pub enum Refused<M> {
    /// As many as may be are under way: post again when some are handled, or refuse in turn.
    #[error("the mailbox is full")]
    Full(M),
    /// The actor has ended and handles nothing more.
    #[error("the actor is gone")]
    Gone(M),
}

impl<M> Refused<M> {
    /// The letter back.
    pub fn into_body(self) -> M {
        match self {
            Self::Full(body) | Self::Gone(body) => body,
        }
    }

    /// Did the actor end?
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }
}

impl<M> fmt::Debug for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_gone() { "Gone(..)" } else { "Full(..)" })
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
