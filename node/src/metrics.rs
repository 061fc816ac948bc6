//! The member's metrics: what they are read from, for `mntr` and for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use paddock_actors::admin::actor::Metrics;
use paddock_actors::admin::api::Api;
use paddock_actors::admin::collect;
use paddock_actors::admin::ensemble::{Ensemble, Sight};
use paddock_actors::admin::guard::Guard;
use paddock_actors::admin::http::{Content, Http, Listeners, Pages};
use paddock_actors::admin::metrics::{
    Gauges, Meters, ProcessFacts, Provider, mailboxes, mntr, mntr_ensemble, mntr_refusals, prometheus,
    prometheus_ensemble, refusals,
};
use paddock_actors::admin::socket::{AdminSocket, SOCKET};
use paddock_actors::admin::status::{MemberStatus, Status};
use paddock_actors::auth::AuthRules;
use paddock_actors::client::Entrance;
use paddock_actors::disk_watch::actor::prometheus as disk;
use paddock_actors::runtime::{Env, ExitCode};
use paddock_actors::storage::SyncWatch;
use paddock_actors::tree::SharedTree;
use paddock_config::Config;
use paddock_messages::ids::ServerId;

use crate::orders::Orders;

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

    /// Serves `/metrics` if Prometheus is the provider, and what operators ask at the data directory's socket. A member
    /// goes on without either.
    pub(crate) fn serve(
        &self,
        config: &Config,
        rules: &Arc<AuthRules>,
        Orders { mover, changer }: Orders,
    ) -> Option<Http> {
        let mut listeners = Listeners::default();
        let metrics_are_wanted = self.provider == Provider::Prometheus;
        if metrics_are_wanted {
            let address = (config.metrics.host.as_str(), config.metrics.port);
            listeners = listeners.with_metrics(address, !config.is_distributed(), &self.env.fatal);
        }
        match AdminSocket::bind(&config.data_dir) {
            Ok(socket) => listeners = listeners.with_socket(socket),
            Err(error) => tracing::warn!(
                "{}: cannot be made: {error}; paddock status and paddock member do not reach this member",
                config.data_dir.join(SOCKET).display()
            ),
        }
        let page = self.clone();
        let metrics = metrics_are_wanted.then(|| -> Content { Arc::new(move || page.page()) });
        let guard = Guard {
            rules: Arc::clone(rules),
            tree: Arc::clone(&self.tree),
            listens_at: config.metrics.host.clone(),
        };
        let pages = Pages { metrics, api: Api { status: self.status(config), guard, mover, changer } };
        let is_scraped = metrics_are_wanted && !config.is_distributed();
        match Http::start(listeners, pages) {
            Ok(http) => http,
            Err(error) if is_scraped => {
                self.env.fatal.end(ExitCode::AdminServer, &error.to_string());
                None
            }
            Err(error) => {
                tracing::error!("{error}: this member goes on without");
                None
            }
        }
    }

    fn status(&self, config: &Config) -> Arc<dyn Fn() -> Status + Send + Sync> {
        let (filed, own) = (config.members.servers.clone(), alone(config));
        let of = self.clone();
        Arc::new(move || {
            let (zxid, level) = {
                let tree = of.tree.read();
                (tree.last_zxid(), tree.feature_level())
            };
            match of.sight() {
                Some(sight) => sight.status(zxid, &filed),
                None => Status {
                    mode_seconds: of.env.clock.now_ms() / 1_000,
                    epoch: Some(zxid.epoch().0),
                    zxid: format!("{:#x}", zxid.0),
                    feature_level: Some(level),
                    ..own.clone()
                },
            }
        })
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
            connection_drop_chance: self.entrance.drop_chance(),
            watches: self.tree.feeds().iter().map(|feed| feed.watches() as u64).sum(),
            local_sessions: self.meters.local_sessions.load(Relaxed),
            process: ProcessFacts::read().unwrap_or_default(), // absent then
            ..Gauges::default()
        };
        collect::gauges_of_tree(&self.tree.read(), &mut gauges);
        gauges
    }
}

/// A server alone, but for what changes.
fn alone(config: &Config) -> Status {
    let server = config.server_id.unwrap_or(ServerId(1)).0;
    let mode = "standalone".to_owned();
    let own = MemberStatus {
        server,
        is_voter: true,
        role: Some(mode.clone()),
        address: config.client_addr.map_or_else(String::new, |at| at.to_string()),
        ..MemberStatus::default()
    };
    Status {
        server,
        version: env!("CARGO_PKG_VERSION").into(),
        mode,
        is_serving: true,
        leader: Some(server),
        members: vec![own],
        ..Status::default()
    }
}
