//! Every concern of a Paddock member is an actor: a pure core that decides, and a thin shell that does.

pub mod admin;
pub mod auth;
pub mod client;
pub mod client_port;
pub mod disk_watch;
pub mod election;
pub mod learner;
pub mod membership;
pub mod memory;
pub mod peer_link;
pub mod proposer;
pub mod quorum;
pub mod quorum_peer;
pub mod recover;
pub mod runtime;
pub mod session;
pub mod snapshotter;
pub mod storage;
pub mod tree;
pub mod watch;
