//! Starts actors and keeps them honest: mailbox first, own thread or shared; clock and seed; how the
//! process ends.
//!
//! Every actor is a [`Service`] inside a [`Host`], which takes the times, counts, yields and applies
//! the panic rule; letters reach it only as `Mail` through an `Outbox`. What must hold:
//! - R1  A turn never keeps its thread: after [`TURNS_PER_YIELD`] units of work the thread goes round.
//! - R2  After mail was handled, `drained` follows: once the mailbox is empty, after each
//!   [`TURNS_PER_YIELD`] units at the latest, and before the actor ends in good order.
//! - R3  A panic in an actor the node cannot do without ends the process; in any other it ends that
//!   actor alone. No code of an actor runs after its panic.
//! - R4  Such an actor that has mail and handles none for [`guardian::STALL_TICKS`] ticks which the
//!   guardian lived through on time, or that is gone, ends the process. A freeze of the whole process is
//!   no stall.
//! - R5  An actor that ends in good order leaves the roll, and its counts stay in the totals.
//! - R6  Mail to a plain thread is metered as an actor's is: by kind, and in one queue, so that it is handled in the
//!   order of its posts.

pub mod arbiter;
pub mod clock;
pub mod exit;
pub mod guardian;
pub mod host;
pub mod listening;
pub mod registry;
pub mod rng;
mod thread_mail;
mod timers;
mod vital;

use std::sync::Arc;

pub use self::arbiter::{NamedArbiter, Place};
pub use self::clock::{Clock, ManualClock, SystemClock, VirtualClock};
pub use self::exit::{Endings, ExitCode, Fatal};
pub use self::host::{Ctx, Host, Inbox, Serve, Service, TURNS_PER_YIELD};
pub use self::registry::{Duty, Registry};
pub use self::rng::Rng;
pub use self::thread_mail::{Kinds, ThreadInbox, ThreadOutbox, thread_mail};
pub use self::timers::TimerId;
pub use self::vital::spawn_vital;

/// What every actor of one node shares. Clones share it too.
#[derive(Clone, Debug)]
pub struct Env {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is on duty.
    pub registry: Registry,
    /// How the process ends.
    pub fatal: Fatal,
}

impl Env {
    /// The machine's clock and a process that really ends.
    pub fn real() -> Self {
        Self::new(Arc::new(SystemClock::new()), Fatal::process())
    }

    /// An empty roll with the given clock and ending.
    pub fn new(clock: Arc<dyn Clock>, fatal: Fatal) -> Self {
        Self { clock, registry: Registry::default(), fatal }
    }

    /// `clock`, and endings that are noted instead of happening.
    pub fn recorded(clock: Arc<dyn Clock>) -> (Self, Endings) {
        let (fatal, endings) = Fatal::recorded();
        (Self::new(clock, fatal), endings)
    }
}
