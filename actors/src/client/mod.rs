//! One client arbiter: its connections, each session's pipeline, the answers to reads, the limits.
//!
//! [`ArbiterCore`] decides and touches no socket and no clock: bytes in, outboxes and submissions out.
//! Around it, on its one thread: [`hub`] (the arbiter's actor), [`connection`] (a task per socket),
//! [`fan_out`] (sends what many are told), [`listener`] (accepts), [`operator`] (what the process asks of itself). What
//! must hold:
//! - W1  Nothing leaves a connection with header zxid Z before the feed is drained through Z, and header
//!   zxids on a connection never go back. A write's reply carries its own zxid.
//! - W2  A batch of reads: drain; take the tree's guard; drain the little that is left; answer each at
//!   that zxid and register its watch. Nothing is drained between a registration and the outbox.
//! - W3  Under the guard, the tree's zxid is the one the feed is drained through.
//! - C1  Replies leave in the order of the requests. A read sees every earlier write of its session and
//!   no later one: what still waits when a further write comes goes to the Learner in front of it.
//! - C2  A watch that will be registered is announced to the feed, under the guard, before any change
//!   that it must see.
//! - C3  What a connection holds is bounded: its partial frame, requests in flight by count and bytes,
//!   its outbox; one that is idle at a tick holds no buffer.
//! - C4  A connection that is not read for want of the server's credit counts as alive; one whose client
//!   does not take its replies does not.
//! - C5  Mail about a closed connection reaches nobody: slots have generations.
//! - C6  A connection's outbox is bounded when something is appended, not when time passes. Reads wait
//!   until there is room: one begins while less than `outbox_full` is unsent; those between writes go to
//!   the Learner while all that they would be answered with, by what there is and what the connection's own
//!   requests add, and what is unsent, fit into half of `outbox_limit`. So a client that takes its answers is
//!   not closed for what it asked. Events cannot wait, nor what others add to those answers: with more than
//!   `outbox_limit` unsent, of events or when such an answer comes, the connection is closed.
//! - C7  While all outboxes of the arbiter hold more than `outboxes_limit`, no read begins: those that are
//!   due wait until enough is sent, or until those with the most are cut: 50 ms later, or at the tick.
//! - C8  A parked connection is not read, and nothing is answered on it but writes that were in flight when the
//!   leader was lost, as they are applied here, and what stands right behind them with something in flight behind it, in
//!   their order. Events go on, so none is missed and none stands behind a later reply.
//! - C9  A parked connection goes on only once the leader of this role has revalidated its session, within
//!   `park_ms` of the loss; else it is closed.
//! - C10 With `linearizable_reads`, a read of the tree is answered only behind a sync of the arbiter's own that was
//!   asked after the read came: by a state that has every write acknowledged before, by whichever member. One sync
//!   serves all reads that wait, of all connections; a write behind such a read waits for the read's answer.
//! - C11 A session of this member alone is answered its pings on the member's own word, and its connection ends with
//!   the leader. It becomes everybody's with the first request that needs that, which is told in front of it.
//! - C12 Whoever is refused, or closed without having asked for it, is counted under a reason, and a line names the
//!   client, what happened, and what to do. What is asked and answered in order, errors included, is no refusal.
//! - C13 While `throttler.max_requests` writes and syncs of the member are in flight, with the reads between them, no
//!   further one is taken on, but one for an arbiter that has none: its connection is not read, and goes on, the one
//!   held for longest first, as soon as there is room. What was held for longer than `op_wait_ms`, and what stands
//!   behind it, is refused and never executed.
//! - C14 The large requests in flight at the member have `large_max_bytes` together at most: one too many closes its
//!   connection, before it is whole if its length says so. What one has counts until it is answered or given up.
//! - C15 With `eager_acl_check` a write is refused by the ACLs that are here, unlogged, only if nothing that its session
//!   asked before is in flight: else its own earlier write could have been what permits it.
//! - C16 A handshake that comes while a lost leader's successor is waited for, or whose leader is lost, is asked of the
//!   next one, if that comes within `park_ms` of the loss; else its connection is closed. The same holds for the first
//!   leader of a member that has just started, within `park_ms` of when its data was loaded. One that is content with
//!   reading does not wait: another member may be in read-only mode already. One whose client gives up is not asked.
//! - C17 What was in flight when the leader was lost, and is not answered when the next one's word on the session comes, was
//!   not executed and never will be: it is asked again, once a leader, in its order and before anything newer, so that C1
//!   holds across leaders. If what is executed is not a beginning of its writes and syncs, or that cannot be told as
//!   several of them have its xid, the connection is closed. What is kept for it counts against C3 and C14.
//!
//! A panic while one connection is served ends the process: all connections of an arbiter share one
//! core, and a half-done step of it may have lost another client's watch.
//!
//! Source: compat wire; compat: NIOServerCnxn.java, FinalRequestProcessor.java, CommitProcessor.java.

pub mod connection;
mod connections;
mod core;
mod drain;
pub mod drops;
mod eager;
pub mod entrance;
mod expiry;
mod fan_out;
mod framing;
mod gates;
mod growth;
mod handshake;
pub mod hub;
mod intake;
mod large;
pub mod listener;
pub mod operator;
mod outbox;
mod parking;
mod pipeline;
mod read_syncs;
pub mod reads;
mod remark;
mod remarks;
mod room;
mod serve;
pub mod settings;
pub mod stats;
pub mod throttle;
mod throttler;
mod upkeep;

pub use self::core::{ArbiterCore, Notice, Serving};
pub use self::entrance::{Entrance, Refusal};
pub use self::gates::Gates;
pub use self::intake::MAX_ACL_GROWTH;
pub use self::parking::Parking;
pub use self::remark::Remark;
pub use self::remarks::Whom;
pub use self::settings::{Settings, Throttler};

#[cfg(test)]
mod tests;
