//! What is proposed goes to the other members, and is measured.

use std::sync::Arc;

use paddock_messages::letters::Proposal;

use super::actor::ProposerActor;
use super::lag::{self, Measure, measure};

/// The most bytes of proposals in one frame, about.
const FRAME_BYTES: usize = 8 << 20;

impl ProposerActor {
    /// To the other members' Learners, in frames that they read.
    pub(super) fn announce(&mut self, items: &Arc<Vec<Proposal>>, now_us: u64) {
        let Some(reigning) = &mut self.reigning else { return };
        let Measure { bytes, last, sizes } = measure(items);
        if let Some(last) = last {
            reigning.others.lag.lock().on_proposed(last, bytes as u64);
            reigning.times.on_proposed(last, now_us);
        }
        self.meters.proposal_sizes.note(sizes);
        if bytes <= FRAME_BYTES {
            return self.with_reign(|reign, out| reign.on_proposed(items, out));
        }
        let (mut part, mut bytes) = (Vec::new(), 0);
        for item in items.iter() {
            bytes += lag::bound(item);
            part.push(item.clone());
            if bytes > FRAME_BYTES {
                let whole = Arc::new(std::mem::take(&mut part));
                self.with_reign(|reign, out| reign.on_proposed(&whole, out));
                bytes = 0;
            }
        }
        if !part.is_empty() {
            let rest = Arc::new(part);
            self.with_reign(|reign, out| reign.on_proposed(&rest, out));
        }
    }
}
