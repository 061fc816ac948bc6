//! What each learner has acknowledged in this reign: whoever comes back with less has lost it, and does not know.
//!
//! So it is where an older copy of a disk was put back. What such a one lacks it is sent; but if it had voted before it was,
//! a leader could have been elected without a write that was safe on its disk alone beside the old leader's.

use std::collections::BTreeMap;

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Acked(BTreeMap<ServerId, Zxid>);

impl Acked {
    /// It has everything up to here on disk. An epoch's start is no txn: no log need hold it.
    pub(super) fn on_ack(&mut self, from: ServerId, upto: Zxid) {
        if upto.counter() > 0 {
            let acked = self.0.entry(from).or_default();
            *acked = upto.max(*acked);
        }
    }

    /// It comes back with a log that ends at `last`: what it has acknowledged, if that is more. Each loss is told once.
    pub(super) fn on_return(&mut self, from: ServerId, last: Zxid) -> Option<Zxid> {
        self.0.remove(&from).filter(|acked| last < *acked)
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    #[test]
    fn who_comes_back_with_less_than_it_acknowledged_is_found_once() {
        let z = |counter| Zxid::new(Epoch(3), counter);
        let (two, three) = (ServerId(2), ServerId(3));
        let mut acked = Acked::default();
        assert_eq!(acked.on_return(two, z(1)), None, "it has acknowledged nothing yet");
        acked.on_ack(two, z(0));
        assert_eq!(acked.on_return(two, Zxid::new(Epoch(2), 9)), None, "an epoch's start is in no log");
        [(two, 5), (two, 7), (three, 6)].iter().for_each(|(from, upto)| acked.on_ack(*from, z(*upto)));
        acked.on_ack(two, z(6));
        assert_eq!((acked.on_return(two, z(6)), acked.on_return(two, z(6))), (Some(z(7)), None));
        assert_eq!(acked.on_return(three, z(6)), None, "it has all of it");
        acked.on_ack(two, z(9));
        assert_eq!(acked.on_return(two, z(12)), None, "it has more");
    }
}
