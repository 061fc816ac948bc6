//! Answers four-letter words: asks whoever knows, by mail, and puts the parts together. On the thread
//! that no data crosses, so an operator is answered while the core is busy.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paddock_messages::ids::ClientRef;
use paddock_messages::mail::{Bound, Outbox};

use super::collect::{self, ArbiterPart, Now};
use super::ensemble::{Ensemble, Sight};
use super::four_letter::{ConfFacts, Facts, Mode, Need, ServerFacts, SessionFacts, Sizes, Word, answer};
use crate::client::Entrance;
use crate::client::hub::{Control, WordAnswer, WordAsked};
use crate::client::stats::Latency;
use crate::client_port::ListensAt;
use crate::quorum_peer::Told;
use crate::runtime::{Ctx, Serve, Service};
use crate::session::actor::AskTracker;
use crate::tree::SharedTree;

/// Questions that may wait for their parts; one more is closed unanswered.
const MOST_OPEN: usize = 256;
/// How often the log says why there is no leader.
const TELL: Duration = Duration::from_secs(5);
/// What Java's trace mask is at first; kept, and without any effect.
const TRACE_MASK: i64 = 306;
/// Mail from those who were asked.
pub const PARTS: Bound = Bound::Entrance(8192);

/// A part of an answer.
#[derive(Debug)]
pub struct Part {
    question: u64,
    what: PartOf,
}

#[derive(Debug)]
enum PartOf {
    Arbiter(ArbiterPart),
    Sessions(SessionFacts),
}

/// The metrics, for `mntr` and `srst`.
pub struct Metrics {
    /// What follows version and states in `mntr`.
    pub text: Arc<dyn Fn() -> String + Send + Sync>,
    /// Of proposals, in bytes.
    pub proposal_sizes: Box<dyn Fn() -> Sizes + Send>,
    /// Forgets what `srst` forgets.
    pub reset: Box<dyn Fn() + Send>,
}

/// What it is made from.
pub struct AdminSetup {
    /// Which words are answered.
    pub whitelist: BTreeSet<String>,
    /// For `conf`; where clients are listened to by now may be elsewhere.
    pub conf: ConfFacts,
    /// There.
    pub listens_at: ListensAt,
    /// For `dirs`.
    pub directories: BTreeSet<PathBuf>,
    /// The tree.
    pub tree: Arc<SharedTree>,
    /// Connections and requests in flight.
    pub entrance: Arc<Entrance>,
    /// Each arbiter's hub, by arbiter.
    pub hubs: Vec<(Outbox<Control>, Outbox<WordAnswer>)>,
    /// The SessionTracker.
    pub sessions: Outbox<AskTracker>,
    /// Read and reset once every hub has told its own.
    pub metrics: Metrics,
    /// What there is to see of the others; none for a server alone.
    pub ensemble: Option<Ensemble>,
    /// To this very actor, for those who are asked.
    pub parts: Outbox<Part>,
}

/// See the module.
pub struct AdminActor {
    setup: AdminSetup,
    open: HashMap<u64, Question>,
    asked: u64,
    trace_mask: i64,
}

struct Question {
    from: ClientRef,
    word: Word,
    facts: Facts,
    latency: Latency,
    awaited: usize,
}

impl AdminActor {
    /// Answers what is asked of it.
    pub fn new(setup: AdminSetup) -> Self {
        Self { setup, open: HashMap::new(), asked: 0, trace_mask: TRACE_MASK }
    }

    fn reply(&self, to: ClientRef, text: String) {
        if let Some((_, answers)) = self.setup.hubs.get(usize::from(to.arbiter)) {
            // A hub that takes no mail has ended, and its clients with it.
            let _ = answers.post(WordAnswer { conn: to.conn, text: Bytes::from(text) });
        }
    }

    fn ask(&mut self, from: ClientRef, word: Word, mask: Option<i64>, ctx: &Ctx<'_, Self>) {
        let now = Now { ms: ctx.clock().now_ms(), wall_ms: ctx.clock().wall_ms() };
        if let (Word::Stmk, Some(mask)) = (word, mask) {
            self.trace_mask = mask;
        }
        self.asked += 1;
        let facts = self.local_facts(word, now);
        let question = self.asked;
        let awaited = self.ask_hubs(question, word, now) + self.ask_tracker(question, word, now);
        self.open.insert(question, Question { from, word, facts, latency: Latency::default(), awaited });
        self.finish(question);
    }

    fn local_facts(&self, word: Word, now: Now) -> Facts {
        let setup = &self.setup;
        let sight = setup.ensemble.as_ref().map(|ensemble| ensemble.look(now.ms));
        let mut server = ServerFacts {
            serving: true,
            connections: setup.entrance.connections() as u64,
            outstanding: setup.entrance.outstanding() as u64,
            ..ServerFacts::default()
        };
        if let Some(sight) = &sight {
            self.of_ensemble(sight, &mut server);
        }
        let tree = setup.tree.read();
        collect::of_tree(&tree, &mut server);
        let mut facts = Facts { server, trace_mask: self.trace_mask, ..Facts::default() };
        let needs = word.needs();
        if needs.contains(&Need::Digests) {
            facts.digests = collect::digests(&tree);
        }
        let ensemble = setup.ensemble.as_ref().filter(|_| needs.contains(&Need::Conf));
        let in_force = ensemble.map(|ensemble| (ensemble.me, ensemble.in_force(&tree)));
        drop(tree);
        if needs.contains(&Need::Conf) {
            facts.conf = setup.conf.clone();
            facts.conf.client_port = setup.listens_at.get().map_or(-1, |at| i32::from(at.port()));
            if let Some((me, members)) = in_force {
                let of_file = facts.conf.ensemble.take().unwrap_or_default();
                facts.conf.server_id = me.0; // without a myid, too
                facts.conf.ensemble = Some(of_file.of(me, &members));
            }
            if let (Mode::ReadOnly, Some(conf)) = (facts.server.mode, &mut facts.conf.ensemble) {
                conf.membership = None; // as in the Java server
            }
        }
        if needs.contains(&Need::Dirs) {
            facts.dirs = collect::dirs(&setup.directories);
        }
        if needs.contains(&Need::Environment) {
            facts.environment = collect::environment();
        }
        facts
    }

    fn of_ensemble(&self, sight: &Sight, server: &mut ServerFacts) {
        let reads_only = sight.serves_reads_only();
        server.serving = reads_only || sight.told() != Told::Looking;
        server.mode = match sight.told() {
            _ if reads_only => Mode::ReadOnly,
            Told::Leading => Mode::Leader,
            Told::Observing => Mode::Observer,
            Told::Looking | Told::Following => Mode::Follower,
        };
        server.proposal_sizes =
            (sight.told() == Told::Leading).then(|| (self.setup.metrics.proposal_sizes)());
        server.outlook = sight.outlook();
        server.peer_state = Some(sight.peer_state()).filter(|_| !reads_only); // as in the Java server
        server.observer_master = sight.observer_master();
    }

    /// AD7.
    fn tell(&mut self, ctx: &mut Ctx<'_, Self>) {
        let now_ms = ctx.clock().now_ms();
        let outlook = self.setup.ensemble.as_ref().and_then(|ensemble| ensemble.look(now_ms).outlook());
        if let Some(outlook) = outlook {
            tracing::warn!("{outlook}");
        }
    }

    /// How many of the hubs will answer.
    fn ask_hubs(&self, question: u64, word: Word, now: Now) -> usize {
        let needs = |need| word.needs().contains(&need);
        let (connections, watches) = (needs(Need::Connections), needs(Need::Watches));
        let (crst, srst) = (needs(Need::ResetConnections), needs(Need::ResetServer));
        let hubs = self.setup.hubs.iter().filter(|(hub, _)| {
            let parts = self.setup.parts.clone();
            let look = Control::Ask(Box::new(move |core| {
                if crst {
                    core.reset_connections();
                }
                if srst {
                    core.reset_totals();
                }
                let part = ArbiterPart {
                    totals: core.totals(),
                    connections: if connections { collect::connections(core, now) } else { Vec::new() },
                    watches: if watches { collect::watches(core) } else { Default::default() },
                };
                // Refused only when nobody waits for it any more.
                let _ = parts.post(Part { question, what: PartOf::Arbiter(part) });
            }));
            hub.post(look).is_ok()
        });
        hubs.count()
    }

    fn ask_tracker(&self, question: u64, word: Word, now: Now) -> usize {
        if !word.needs().contains(&Need::Sessions) {
            return 0;
        }
        let (parts, tree) = (self.setup.parts.clone(), Arc::clone(&self.setup.tree));
        let told = self.setup.ensemble.as_ref().map(|ensemble| ensemble.role.get().told);
        let is_learner = told.is_some_and(|told| told != Told::Leading);
        let ask = AskTracker(Box::new(move |tracker, local| {
            let what = PartOf::Sessions(collect::sessions((tracker, local), &tree.read(), is_learner, now));
            let _ = parts.post(Part { question, what });
        }));
        usize::from(self.setup.sessions.post(ask).is_ok())
    }

    fn finish(&mut self, question: u64) {
        if self.open.get(&question).is_none_or(|open| open.awaited > 0) {
            return;
        }
        let Some(Question { from, word, mut facts, latency, .. }) = self.open.remove(&question) else {
            return;
        };
        if word.needs().contains(&Need::Metrics) {
            facts.metrics = (self.setup.metrics.text)();
        }
        if word.needs().contains(&Need::ResetServer) {
            (self.setup.metrics.reset)();
        }
        facts.server.min_latency_ms = latency.min_ms;
        facts.server.avg_latency_ms = latency.mean_ms();
        facts.server.max_latency_ms = latency.max_ms;
        self.reply(from, answer(word, &facts));
    }
}

impl Service for AdminActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(TELL, Self::tell);
    }
}

impl Serve<WordAsked> for AdminActor {
    fn serve(&mut self, asked: WordAsked, ctx: &mut Ctx<'_, Self>) {
        match Word::from_bytes(asked.word) {
            Some(word) if !word.is_allowed(&self.setup.whitelist) => self.reply(asked.client, word.refusal()),
            Some(word) if self.open.len() < MOST_OPEN => self.ask(asked.client, word, asked.mask, ctx),
            _ => self.reply(asked.client, String::new()),
        }
    }
}

impl Serve<Part> for AdminActor {
    fn serve(&mut self, part: Part, _: &mut Ctx<'_, Self>) {
        let Some(open) = self.open.get_mut(&part.question) else { return };
        open.awaited -= 1;
        match part.what {
            PartOf::Arbiter(part) => collect::add(part, &mut open.latency, &mut open.facts),
            PartOf::Sessions(facts) => open.facts.sessions = facts,
        }
        self.finish(part.question);
    }
}
