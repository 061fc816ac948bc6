//! What is said, and its bytes: identifiers, client protocol, transactions, mail between actors.
//! No I/O and no decisions.

pub mod client;
pub mod codec;
pub mod error_code;
pub mod frame;
pub mod ids;
pub mod letters;
pub mod level;
pub mod mail;
pub mod path;
pub mod quorum;
pub mod roles;
pub mod txn;
pub mod wire;
pub mod znode;
pub mod zxid;
