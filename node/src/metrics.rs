//! The member's metrics: what they are read from, for `mntr` and for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use paddock_actors::admin::actor::Metrics;
use paddock_actors::admin::collect;
use paddock_actors::admin::ensemble::{Ensemble, Sight};
use paddock_actors::admin::http::MetricsServer;
use paddock_actors::admin::metrics::{
    Gauges, Meters, ProcessFacts, Provider, mailboxes, mntr, mntr_ensemble, mntr_refusals, prometheus,
    prometheus_ensemble, refusals,
};
use paddock_actors::client::Entrance;
use paddock_actors::disk_watch::actor::prometheus as disk;
use paddock_actors::runtime::Env;
use paddock_actors::storage::SyncWatch;
use paddock_actors::tree::SharedTree;
use paddock_config::Config;

/// Everything that metrics are read from. Clones share it.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) provider: Provider,
    pub(crate) meters: Arc<Meters>,
    pub(crate) tree: Arc<SharedTree>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) env: Env,
    pub(crate) log: SyncWatch,
    /// Of a member of several.
    pub(crate) ensemble: Option<Ensemble>,
}

impl Sources {
    /// For the Admin.
    pub(crate) fn for_words(&self) -> Metrics {
        let (text, reset, meters) = (self.clone(), self.clone(), Arc::clone(&self.meters));
        Metrics {
            text: Arc::new(move || {
                mntr(&text.meters, &text.gauges(), text.provider)
                    + &text.of_ensemble()
                    + &mntr_refusals(&text.meters, text.provider)
            }),
            proposal_sizes: Box::new(move || meters.proposal_sizes.read()),
            reset: Box::new(move || reset.meters.reset(reset.provider)),
        }
    }

    /// Serves `/metrics` if Prometheus is the provider; without it nothing listens.
    pub(crate) fn serve(&self, config: &Config) -> Option<MetricsServer> {
        if self.provider != Provider::Prometheus {
            return None;
        }
        let (page, is_alone) = (self.clone(), !config.is_distributed());
        let address = (config.metrics.host.as_str(), config.metrics.port);
        MetricsServer::start_or_report(address, Arc::new(move || page.page()), is_alone, &self.env.fatal)
    }

    fn page(&self) -> String {
        let gauges = self.gauges();
        let mut page = prometheus(&self.meters, &gauges);
        if let Some(sight) = self.sight() {
            page += &prometheus_ensemble(&sight.gauges(self.meters.proposal_sizes.read()));
            page += &sight.prometheus();
        }
        page += &refusals(&self.meters);
        page += &mailboxes(&self.env.registry.totals());
        page += &gauges.process.prometheus();
        page += &disk(&self.log);
        page
    }

    fn sight(&self) -> Option<Sight> {
        self.ensemble.as_ref().map(|ensemble| ensemble.look(self.env.clock.now_ms()))
    }

    /// What `mntr` tells more of a member of several.
    fn of_ensemble(&self) -> String {
        let Some(sight) = self.sight().filter(|_| self.provider != Provider::None) else {
            return String::new();
        };
        let gauges = sight.gauges(self.meters.proposal_sizes.read());
        mntr_ensemble(&gauges, self.provider) + &sight.mntr()
    }

    fn gauges(&self) -> Gauges {
        let mut gauges = Gauges {
            uptime_ms: self.env.clock.now_ms(),
            connections: self.entrance.connections() as u64,
            outstanding: self.entrance.outstanding() as u64,
            watches: self.tree.feeds().iter().map(|feed| feed.watches() as u64).sum(),
            local_sessions: self.meters.local_sessions.load(Relaxed),
            process: ProcessFacts::read().unwrap_or_default(), // absent then
            ..Gauges::default()
        };
        collect::gauges_of_tree(&self.tree.read(), &mut gauges);
        gauges
    }
}
