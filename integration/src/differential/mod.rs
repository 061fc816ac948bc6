//! The same requests to Apache's server and to Paddock, and every difference in what comes back.
//!
//! A seed draws two sessions' operations ([`generate`]); [`run`] sends them one at a time to both
//! servers and, after each, pings both sessions, so that all events are in before anything is compared.
//! - Y1  Equal are: replies (error, body, stat), events and their order on each connection, closes.
//!   Children and other unordered lists are compared as sets; the events of one closeSession too.
//! - Y2  Zxids, session ids and times differ between servers: equal is how many zxids everything takes,
//!   refusals included, which session is meant, and that one txn has one time.
//! - Y3  What differs and may is in [`deviations`], field by field, with its reason; one that no seed meets
//!   is stale.
//! - Y4  What a run leaves behind, znode by znode, and the number of all znodes are equal, too.
//! - Y5  What a run is for is drawn: [`counters`] has what 200 seeds meet, and how often at least.
//!
//! A failure names its seed and the fewest operations that still show it ([`minimise`]).

pub(crate) mod body;
pub(crate) mod compare;
pub mod counters;
pub mod deviations;
pub mod generate;
mod link;
pub mod mapping;
pub mod minimise;

pub mod observe;
pub mod op;
pub mod run;
pub mod sequence_end;
pub mod servers;
