//! The actor that lets its arbiter do what the feed brings.

use std::rc::Rc;

use paddock_messages::letters::FeedReady;

use crate::client::hub::Shared;
use crate::runtime::{Ctx, Serve, Service};

/// One per client arbiter, started by its ClientHub: woken by the Learner, it drains the feed into the
/// outboxes of the connections beside it.
#[derive(Debug)]
pub struct WatchDispatcher {
    shared: Rc<Shared>,
}

impl WatchDispatcher {
    /// Beside the hub that made `shared`.
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for WatchDispatcher {}

impl Serve<FeedReady> for WatchDispatcher {
    fn serve(&mut self, _: FeedReady, _: &mut Ctx<'_, Self>) {
        self.shared.step(|core, now_ms| core.drain_feed(now_ms));
    }
}
