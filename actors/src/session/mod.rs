//! Which sessions are alive, and until when: the leader's decision alone.
//! [`core::SessionTracker`] decides; the actor beside it posts.
//!
//! - E1  A ping answered at t proves that the session lives until t + timeout: no session expires
//!   before that, however late this actor hears of the ping. The client arbiter that answers the pings
//!   has the last word ([`ArbiterCore::on_expire`](crate::client::ArbiterCore::on_expire)): it closes the
//!   connection before it asks the Proposer, and a reattachment since is spared by its number.
//! - E2  A silent session is gone after its timeout + 1.5 ticks, if the server is well meanwhile.
//! - E3  Time in which the server did not live (stopped, frozen, disk full) counts for nobody.
//! - E4  A session's expiry is asked for until it has ended, and its end is final.
//! - E5  Sessions that are a member's alone are judged there, whoever leads, by the same rules: the member's own
//!   word is enough for their pings. No leader hears of them.
//!
//! Source: Programmer's Guide, Sessions; compat: `SessionTrackerImpl`, `ExpiryQueue`.

pub mod actor;
pub mod core;
