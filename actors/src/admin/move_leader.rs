//! An operator's order that another lead, from the order to who leads after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::roles::MoveLeader;
use serde::{Deserialize, Serialize};

use super::ensemble::Ensemble;
use crate::quorum_peer::MoveTold;
use crate::runtime::Clock;

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The QuorumPeer answers an order within this, in ms, unless its thread stands still.
const ANSWER_MS: u64 = 5_000;
/// So long, in ms, the next leader and this member may take until it follows.
const FOLLOW_MS: u64 = 30_000;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Who leads.
    pub leader: u64,
    /// The epoch that it leads.
    pub epoch: u32,
    /// From the order until this member followed it, in ms.
    pub took_ms: u64,
}

/// Gives the order to the member's QuorumPeer, and looks on.
pub struct Mover {
    order: Outbox<MoveLeader>,
    told: MoveTold,
    ensemble: Ensemble,
    clock: Arc<dyn Clock>,
    is_busy: AtomicBool,
    numbers: AtomicU64,
}

/// Another order may be given once it is dropped.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Mover {
    /// The orders of one member.
    pub fn new(order: Outbox<MoveLeader>, told: MoveTold, ensemble: Ensemble, clock: Arc<dyn Clock>) -> Self {
        Self { order, told, ensemble, clock, is_busy: AtomicBool::new(false), numbers: AtomicU64::new(0) }
    }

    /// Has `to` lead, or whoever is the most caught up; answers once this member follows it.
    ///
    /// # Errors
    /// Why the lead was not moved, or who leads instead, in words for an operator.
    pub async fn move_leader(&self, to: Option<ServerId>) -> Result<Moved, String> {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return Err("another order to move the lead is under way".to_owned());
        }
        let _busy = Busy(&self.is_busy);
        let began_ms = self.clock.now_ms();
        let led = self.ensemble.look(began_ms).epoch();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        if self.order.post(MoveLeader { number, to }).is_err() {
            return Err(
                "this member does not take the order: it ends, or its thread of elections stands still"
                    .to_owned(),
            );
        }
        let answer = self.look_until(began_ms + ANSWER_MS, || self.told.answer_to(number)).await;
        let heir = match answer {
            None => {
                return Err(format!(
                    "this member has not taken the order up within {ANSWER_MS} ms, and may do so yet: see its log"
                ));
            }
            Some(Err(refused)) => return Err(refused.to_string()),
            Some(Ok(heir)) => heir,
        };
        let next = self.look_until(began_ms + FOLLOW_MS, || {
            let sight = self.ensemble.look(self.clock.now_ms());
            let (leader, epoch) = sight.leader().zip(sight.epoch())?;
            (Some(epoch) > led).then_some((leader, epoch))
        });
        match next.await {
            Some((leader, epoch)) if leader == heir => {
                let took_ms = self.clock.now_ms().saturating_sub(began_ms);
                Ok(Moved { leader: leader.0, epoch: epoch.0, took_ms })
            }
            Some((leader, epoch)) => Err(format!(
                "server {leader} leads epoch {epoch}: it was elected instead of server {heir}, which was to lead"
            )),
            None => {
                let outlook = self.ensemble.look(self.clock.now_ms()).outlook().unwrap_or_default();
                Err(format!(
                    "server {heir} was to lead, and after {FOLLOW_MS} ms this member follows nobody: {outlook}"
                ))
            }
        }
    }

    async fn look_until<T>(&self, deadline_ms: u64, look: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if self.clock.now_ms() > deadline_ms {
                return None;
            }
            actix_rt::time::sleep(LOOK_EVERY).await;
        }
    }
}
