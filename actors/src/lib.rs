//! Every concern of a Paddock member is an actor: a pure core that decides, and a thin shell that does.

pub mod runtime;
pub mod storage;
