//! What is known about the mail of one kind to one actor: it bounds the mail, and it is the metric.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::depth::Depth;
use super::times::{Times, TimesReading};

/// How much mail may be under way to one actor, and what happens at one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// An entrance: more is refused, and the sender knows what that means (stop reading, say no).
    Entrance(u64),
    /// Mail about work that was admitted at an entrance, so bounded by it: more is a bug of ours.
    /// It is reported to the meter's hook, which ends the process.
    Admitted(u64),
}

impl Bound {
    /// Mails that may be under way.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Entrance(limit) | Self::Admitted(limit) => limit,
        }
    }
}

/// What to do about a broken invariant, told in one sentence: a node ends, a test takes note.
pub type OnBroken = Arc<dyn Fn(&str) + Send + Sync>;

/// The meter of one message type on its way to one actor. Shared by the senders, the receiver and
/// whoever reads it; nobody waits for anybody.
pub struct Meter {
    actor: Arc<str>,
    message: &'static str,
    bound: Bound,
    on_broken: OnBroken,
    pub(super) depth: Depth,
    pub(super) wait: Times,
    pub(super) handle: Times,
    full: AtomicU64,
    gone: AtomicU64,
}

impl Meter {
    /// A meter for messages `M` to `actor` (its instance's name, as operators know it). `on_broken`
    /// is called when mail exceeds a [`Bound::Admitted`].
    pub fn new<M>(actor: Arc<str>, bound: Bound, on_broken: OnBroken) -> Arc<Self> {
        Self::of(short_name(std::any::type_name::<M>()), actor, bound, on_broken)
    }

    /// The same, where messages of one type are of several kinds: of those that operators know as `message`.
    pub fn of(message: &'static str, actor: Arc<str>, bound: Bound, on_broken: OnBroken) -> Arc<Self> {
        Arc::new(Self {
            actor,
            message,
            bound,
            on_broken,
            depth: Depth::default(),
            wait: Times::default(),
            handle: Times::default(),
            full: AtomicU64::new(0),
            gone: AtomicU64::new(0),
        })
    }

    /// The receiving actor.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The message type, without its modules.
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// How much may be under way.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Mails under way now: queued, or in the handler.
    pub fn depth(&self) -> u64 {
        self.depth.now()
    }

    /// Mails done with: handled, or dropped with their actor.
    pub fn handled(&self) -> u64 {
        self.depth.released()
    }

    /// All of it at about one moment.
    pub fn read(&self) -> MeterReading {
        let handled = self.depth.released(); // first, so that it never exceeds `posted`
        let posted = self.depth.reserved();
        MeterReading {
            depth: posted.saturating_sub(handled),
            posted,
            handled,
            refused_full: self.full.load(Relaxed),
            refused_gone: self.gone.load(Relaxed),
            limit: self.bound.limit(),
            wait: self.wait.read(),
            handle: self.handle.read(),
        }
    }

    /// Takes a place for one mail, or says why not.
    pub(super) fn admit(&self) -> bool {
        let admitted = self.depth.reserve(self.bound.limit());
        if !admitted {
            self.full.fetch_add(1, Relaxed);
            if let Bound::Admitted(limit) = self.bound {
                (self.on_broken)(&format!(
                    "more than {limit} {} under way to {}, though all of it was admitted",
                    self.message, self.actor
                ));
            }
        }
        admitted
    }

    /// Notes that the receiver was gone.
    pub(super) fn note_gone(&self) {
        self.gone.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}: {} of {:?}", self.message, self.actor, self.depth(), self.bound)
    }
}

/// A [`Meter`] as read at one moment. All counts but `depth` and `limit` only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterReading {
    /// Mails under way.
    pub depth: u64,
    /// Mails that were given a place.
    pub posted: u64,
    /// Mails done with: handled, or dropped with their actor.
    pub handled: u64,
    /// Mails refused because all places were taken.
    pub refused_full: u64,
    /// Mails handed back because the actor was gone; also counted in `posted` and `handled`.
    pub refused_gone: u64,
    /// Places there are.
    pub limit: u64,
    /// From the post until the handler began.
    pub wait: TimesReading,
    /// In the handler.
    pub handle: TimesReading,
}

impl MeterReading {
    /// Adds an earlier or sibling actor's reading of the same name: counts add up, limits too.
    pub fn merge(&mut self, other: &Self) {
        self.depth += other.depth;
        self.posted += other.posted;
        self.handled += other.handled;
        self.refused_full += other.refused_full;
        self.refused_gone += other.refused_gone;
        self.limit += other.limit;
        self.wait.merge(&other.wait);
        self.handle.merge(&other.handle);
    }
}

/// `a::b::Append` → `Append`; of a generic type the outer name.
fn short_name(full: &'static str) -> &'static str {
    let outer = full.split('<').next().unwrap_or(full);
    outer.rsplit("::").next().unwrap_or(outer)
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_messages_as_operators_know_them() {
        for (full, short) in [
            ("a::b::Append", "Append"),
            ("Append", "Append"),
            ("a::Batch<b::Request>", "Batch"),
            ("u32", "u32"),
        ] {
            assert_eq!(short_name(full), short);
        }
    }
}
