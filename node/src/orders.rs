//! What operators may have done: who gives their orders to whom.

use std::sync::Arc;

use paddock_actors::admin::ensemble::Ensemble;
use paddock_actors::admin::members::Changer;
use paddock_actors::admin::move_leader::Mover;
use paddock_actors::client::operator::NewOperator;
use paddock_actors::runtime::Clock;
use paddock_actors::tree::SharedTree;
use paddock_messages::mail::{Bound, Outbox};

use crate::ensemble::Mailboxes;

/// Orders of operators: one is given after the other.
pub(crate) const ORDERS: Bound = Bound::Entrance(4);

/// None of a server alone.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) mover: Option<Arc<Mover>>,
    pub(crate) changer: Option<Arc<Changer>>,
}

impl Orders {
    /// Of a member; `hub` takes a connection for what is asked as clients ask it.
    pub(crate) fn new(
        (with, seen): (&Mailboxes, Ensemble),
        hub: Outbox<NewOperator>,
        tree: &Arc<SharedTree>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let order = with.quorum_peer.outbox(ORDERS);
        let mover = Mover::new(order, with.moves.clone(), seen.clone(), Arc::clone(clock));
        let changer = Changer::new(hub, seen, Arc::clone(tree), Arc::clone(clock));
        Self { mover: Some(Arc::new(mover)), changer: Some(Arc::new(changer)) }
    }
}
