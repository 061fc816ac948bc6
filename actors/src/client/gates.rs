//! What may hold clients up beside counts: the member's memory, and the rate at which they connect.

use std::sync::Arc;

use super::throttle::Throttle;
use crate::memory::Gate;

/// Open unless the wiring says otherwise.
#[derive(Debug, Default)]
pub struct Gates {
    /// Set by the member's memory actor.
    pub memory: Arc<Gate>,
    /// Of handshakes.
    pub throttle: Throttle,
}
