//! What is said, and its bytes: identifiers, client protocol, transactions, mail between actors.
//! No I/O and no decisions.

pub mod error_code;
pub mod ids;
pub mod zxid;
