//! A new history from what is left of an old one, when so many voters are lost for good that the others will never be a
//! quorum. Nobody but an operator can know that, so nothing here happens by itself: `paddock recover` shows what the disks
//! hold that are left, says what may be lost, and begins anew on one of them.
//!
//! - NH1 The new history has an ensemble id that nobody has had, and an epoch above all that any of the disks shown has
//!   seen. So no member of the old one follows it or is followed, whatever comes back.
//! - NH2 Who it belongs to is durable before anything is logged in the new epoch. Wherever it is cut short, the disk holds
//!   the old history as it was, or one that no member of the old one follows; done again, it comes to the same.
//! - NH3 All that the disk has logged stays, known to be committed or not: somebody may have been told so.
//! - NH4 From then on the one server decides alone, as an ensemble of one, which others join with empty disks.
//! - NH5 It is refused where it would be the wrong thing: where voters that are left are a quorum, where one of them runs,
//!   where another disk holds more, where this one holds a tree that a quorum has found to differ. An operator may force
//!   it; from a disk whose history is incomplete nothing begins at all.
//! - NH6 Nothing that was acknowledged is lost if those that are not seen are no quorum, by any of the configurations that
//!   the disk has logged and does not know to be over; else that may be, and is told.
//!
//! Why NH6 holds: what was acknowledged is on a quorum of the voters, so one of those that are seen has it. Of all seen,
//! the new history is made of the one with the highest (current epoch, last txn), and that has it too: in the same
//! epoch all logs are the beginning of one, and whoever leads a later epoch begins with all that was committed before.
//!
//! Source: compat zab, 3 and 10: who has all that was committed.

mod begin;
mod configurations;
mod holding;
mod judge;

pub use begin::{BeginError, Beginning, begin};
pub use configurations::configurations;
pub use holding::Holding;
pub use judge::{Findings, Refusal, Verdict, judge};
