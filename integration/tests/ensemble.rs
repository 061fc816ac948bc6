//! Ensembles of real processes: killed, frozen, wiped, cut off from their quorum, and spoken to by strangers. What
//! they acknowledged is there on every member, sessions move and live, and members that come back hold what
//! the others hold.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

#[path = "ensemble/admin.rs"]
mod admin;
#[path = "ensemble/bad_links.rs"]
mod bad_links;
#[path = "ensemble/chaos/mod.rs"]
mod chaos;
#[path = "ensemble/client_port.rs"]
mod client_port;
#[path = "ensemble/clocks.rs"]
mod clocks;
#[path = "ensemble/config_znode.rs"]
mod config_znode;
#[path = "ensemble/damaged.rs"]
mod damaged;
#[path = "ensemble/diary.rs"]
mod diary;
#[path = "ensemble/digests.rs"]
mod digests;
#[path = "ensemble/expiry.rs"]
mod expiry;
#[path = "ensemble/forms.rs"]
mod forms;
#[path = "ensemble/frozen.rs"]
mod frozen;
#[path = "ensemble/full_disk.rs"]
mod full_disk;
#[path = "ensemble/growing.rs"]
mod growing;
#[path = "ensemble/identity.rs"]
mod identity;
#[path = "ensemble/joining.rs"]
mod joining;
#[path = "ensemble/killed.rs"]
mod killed;
#[path = "ensemble/limits.rs"]
mod limits;
#[path = "ensemble/linearizable.rs"]
mod linearizable;
#[path = "ensemble/load.rs"]
mod load;
#[path = "ensemble/local_sessions.rs"]
mod local_sessions;
#[path = "ensemble/member_changes.rs"]
mod member_changes;
#[path = "ensemble/metrics.rs"]
mod metrics;
#[path = "ensemble/names.rs"]
mod names;
#[path = "ensemble/no_quorum.rs"]
mod no_quorum;
#[path = "ensemble/old_disk.rs"]
mod old_disk;
#[path = "ensemble/operations.rs"]
mod operations;
#[path = "ensemble/operators.rs"]
mod operators;
#[path = "ensemble/order.rs"]
mod order;
#[path = "ensemble/parked.rs"]
mod parked;
#[path = "ensemble/power.rs"]
mod power;
#[path = "ensemble/read_only.rs"]
mod read_only;
#[path = "ensemble/reconfig.rs"]
mod reconfig;
#[path = "ensemble/recovering.rs"]
mod recovering;
#[path = "ensemble/rejoin.rs"]
mod rejoin;
#[path = "ensemble/relay.rs"]
mod relay;
#[path = "ensemble/roll_over.rs"]
mod roll_over;
#[path = "ensemble/rolling_restart.rs"]
mod rolling_restart;
#[path = "metrics/served.rs"]
mod served;
#[path = "ensemble/sessions.rs"]
mod sessions;
#[path = "ensemble/silent_lane.rs"]
mod silent_lane;
#[path = "ensemble/slow_disk.rs"]
mod slow_disk;
#[path = "ensemble/slow_follower.rs"]
mod slow_follower;
#[path = "ensemble/stampede.rs"]
mod stampede;
#[path = "ensemble/strangers.rs"]
mod strangers;
#[path = "ensemble/three.rs"]
mod three;
#[path = "ensemble/trees.rs"]
mod trees;
#[path = "ensemble/versions.rs"]
mod versions;
#[path = "ensemble/world.rs"]
mod world;
#[path = "ensemble/wrong_addresses.rs"]
mod wrong_addresses;
