//! What operators may have done: who gives their orders to whom.

use std::sync::Arc;

use paddock_actors::admin::alone::Alone;
use paddock_actors::admin::ensemble::Ensemble;
use paddock_actors::admin::members::{Changer, Of};
use paddock_actors::admin::move_leader::Mover;
use paddock_actors::client::operator::NewOperator;
use paddock_actors::runtime::Clock;
use paddock_actors::tree::SharedTree;
use paddock_config::Config;
use paddock_config::members::Server;
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Bound, Outbox};

use crate::ensemble::{self, Mailboxes};
use crate::in_force::is_elsewhere;

/// Orders of operators: one is given after the other.
pub(crate) const ORDERS: Bound = Bound::Entrance(4);

/// Who carries them out.
pub(crate) struct Orders {
    /// None of a server alone.
    pub(crate) mover: Option<Arc<Mover>>,
    pub(crate) changer: Arc<Changer>,
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
        let changer = Changer::new(hub, Of::Ensemble(seen), Arc::clone(tree), Arc::clone(clock));
        Self { mover: Some(Arc::new(mover)), changer: Arc::new(changer) }
    }

    /// Of a server alone.
    pub(crate) fn alone(
        (me, config): (ServerId, &Config),
        hub: Outbox<NewOperator>,
        tree: &Arc<SharedTree>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (filed, config) = (config.members.servers.get(&me).cloned(), config.clone());
        let in_file = filed.clone();
        let may_listen = move |own: &Server| match &in_file {
            Some(file) if is_elsewhere(file, own) => Err(format!(
                "its file has it at server.{me}={file}, and it would not start with both: correct the file first, or order that"
            )),
            _ => ensemble::may_listen(own, &config).map_err(|error| error.to_string()),
        };
        let alone = Alone { me, filed, may_listen: Box::new(may_listen) };
        let changer = Changer::new(hub, Of::Alone(alone), Arc::clone(tree), Arc::clone(clock));
        Self { mover: None, changer: Arc::new(changer) }
    }
}
