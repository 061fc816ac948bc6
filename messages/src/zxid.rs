//! Transaction ids: which leader's epoch, and the how manyth transaction of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reign of one leader. Each new leader takes a number higher than any before it; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one, or `None` when all 2^32 are used up.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The zxid that marks this epoch's start; no transaction carries it.
    pub const fn start(self) -> Zxid {
        Zxid::new(self, 0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A transaction id: the epoch in the high 32 bits, a counter from 1 in the low 32. Ordered as the
/// transactions are. On the wire a signed 64-bit integer. Source: compat zab, "zxid".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zxid(pub u64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);

    /// The `counter`th transaction of `epoch`.
    pub const fn new(epoch: Epoch, counter: u32) -> Self {
        Self((epoch.0 as u64) << 32 | counter as u64)
    }

    /// The leader's reign that numbered it.
    pub const fn epoch(self) -> Epoch {
        Epoch((self.0 >> 32) as u32)
    }

    /// Its place within the epoch; 0 is the epoch's start.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next of the same epoch, or `None` at the counter's end: it must never wrap
    /// (ZOOKEEPER-1277).
    pub fn next(self) -> Option<Self> {
        self.counter().checked_add(1).map(|counter| Self::new(self.epoch(), counter))
    }

    /// As the wire carries it.
    pub const fn to_wire(self) -> i64 {
        self.0 as i64
    }

    /// From the wire; what a client sends may be any number.
    pub const fn from_wire(raw: i64) -> Self {
        Self(raw as u64)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch().0, self.counter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_epoch_then_counter_and_never_wraps() {
        let last = Zxid::new(Epoch(1), u32::MAX);
        assert!(last < Epoch(2).start());
        assert_eq!(last.next(), None);
        assert_eq!(Epoch(u32::MAX).next(), None);
        assert_eq!(Zxid::new(Epoch(1), 2).next(), Some(Zxid::new(Epoch(1), 3)));
        assert_eq!(Zxid::from_wire(Zxid::new(Epoch(0x8000_0000), 7).to_wire()).counter(), 7);
        assert_eq!(Zxid::new(Epoch(1), 2).to_string(), "0x100000002");
    }
}
