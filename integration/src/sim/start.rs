//! From what a crash left to a running node, as `paddock serve` does it, and what must be so then.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, Entrance, Serving, Settings};
use paddock_actors::learner::core::Learner;
use paddock_actors::learner::session_ids::SessionIds;
use paddock_actors::proposer::{LAST_COUNTER, Majority, Proposer, Room};
use paddock_actors::quorum_peer::reign;
use paddock_actors::session::core::SessionTracker;
use paddock_actors::snapshotter::core::{Policy, Snapshotter};
use paddock_actors::storage::snapshot_files::{RestoreError, restore};
use paddock_actors::storage::{
    LogFailure, Logger, MemoryDisk, OpenError, Options, Recovered, Reserve, Space, open,
};
use paddock_actors::tree::prep::PrepRules;
use paddock_actors::tree::{SharedTree, TreeOptions};
use paddock_actors::watch::Mistake;
use paddock_messages::codec;
use paddock_messages::ids::AttachNumber;
use paddock_messages::letters::{Home, SessionChange};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;

use super::Fault;
use super::met::Met;
use super::node::{EPOCH_MS, ME, Node};
use super::truth::Truth;

/// A tick of the server, in ms.
pub(super) const TICK_MS: u64 = 2_000;
/// The most a txn takes in memory.
const TXN_LIMIT: usize = 1 << 20;

/// How this world's node is set up, start after start.
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) arbiters: u16,
    pub(super) policy: Policy,
    pub(super) settings: Arc<Settings>,
    /// The counter of an epoch's last txn.
    pub(super) last_counter: u32,
    /// How likely it is that the disk is not ready when the log would be written: only where requests pile
    /// up behind it does it matter how much is let in.
    pub(super) busy_disk: f64,
    /// How long there was no node before the start, in ms.
    pub(super) outage_ms: u64,
    pub(super) fault: Option<Fault>,
}

/// More than any request of the simulated clients comes to in the log.
const LARGEST: u64 = 8 << 10;

impl Setup {
    /// What the log has room for, as the Proposer is told.
    fn room(&self) -> Room {
        let ignored = self.fault == Some(Fault::IgnoreCredit);
        let admitted = if ignored { u64::MAX } else { self.options.admitted_bytes };
        Room { admitted, largest: LARGEST }
    }

    pub(super) fn drawn(rng: &mut StdRng, fault: Option<Fault>) -> Self {
        let mut options = Options::new(ME, rng.random());
        options.segment_bytes = [16 << 10, 48 << 10][rng.random_range(0..2)];
        options.admitted_bytes = [10 << 10, 16 << 10, 48 << 10][rng.random_range(0..3)];
        options.reserve = if rng.random() { Reserve::Inline } else { Reserve::Late };
        options.force_sync = fault != Some(Fault::NoSync);
        let settings = Settings {
            max_connections_per_host: 0,
            outstanding_limit: [rng.random_range(4..24), 100][rng.random_range(0..2)],
            max_in_flight: rng.random_range(2..16),
            ..Settings::default()
        };
        Self {
            options,
            arbiters: rng.random_range(1..=3),
            policy: Policy {
                txns: rng.random_range(10..80),
                bytes: None,
                keep: rng.random_range(1..=3),
                purge_every_ms: Some(5_000),
            },
            settings: Arc::new(settings),
            busy_disk: if rng.random_bool(0.15) { 0.95 } else { 0.0 },
            outage_ms: 0,
            last_counter: if rng.random() { rng.random_range(1..60) } else { LAST_COUNTER },
            fault,
        }
    }
}

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoStart {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Log(#[from] LogFailure),
}

pub(super) fn start(
    disk: &MemoryDisk,
    setup: &Setup,
    now_ms: u64,
    rng: &mut StdRng,
    truth: &mut Truth,
    met: &mut Met,
) -> Result<Node, NoStart> {
    let (mut logger, recovered) = open(disk.clone(), setup.options.clone())?;
    met.add("torn tails cut", u64::from(recovered.torn.is_some()));
    truth.recover(&logged(&logger, &recovered)?, Zxid(recovered.log_start.0 + 1));
    let reign = reign(&recovered, rng.random()).expect("there are epochs enough");
    let options = TreeOptions { hash_seed: rng.random(), ..TreeOptions::default() };
    let mut restored = restore(disk, &mut logger, &recovered, options, reign.committed)?;
    if restored.bad_snapshots > 0 {
        let older = restored.snapshot > Zxid::ZERO;
        met.count(if older { "recoveries from an older snapshot" } else { "recoveries from the log alone" });
    }
    met.add("recoveries from a snapshot", u64::from(restored.snapshot > Zxid::ZERO));
    met.add("txns replayed", restored.replayed);
    assert_eq!(restored.tree.digest(), truth.tree().digest(), "D2: the digests after a restart");
    assert!(restored.tree.sessions().eq(truth.tree().sessions()), "D2: the sessions after a restart");
    let skip = setup.fault == Some(Fault::ForgetEpoch) && !recovered.fresh;
    if !skip {
        logger.change_facts(|facts| *facts = reign.facts)?;
    }
    restored.tree.begin_epoch(reign.epoch);
    truth.begin_epoch(reign.epoch);

    let sessions: Vec<_> = restored.tree.sessions().collect();
    let highest = sessions.iter().map(|(id, _)| *id).filter(|id| id.0 >> 56 == 1).max();
    let ids = SessionIds::new(ME, (EPOCH_MS + now_ms) as i64, highest);
    let mut tracker = SessionTracker::new(usize::from(setup.arbiters), TICK_MS, now_ms);
    let forgotten = if setup.fault == Some(Fault::ForgetOutage) { setup.outage_ms as i32 } else { 0 };
    let lives = |(session, timeout_ms): (_, i32)| SessionChange::Lives {
        session,
        attach: AttachNumber::default(),
        timeout_ms: (timeout_ms - forgotten).max(1),
        home: Home::Arbiter(0),
    };
    tracker.on_changes(&sessions.iter().copied().map(lives).collect::<Vec<_>>());
    let tree = Arc::new(SharedTree::new(restored.tree, usize::from(setup.arbiters)));
    let (rules, entrance) = (Arc::new(AuthRules::default()), Arc::new(Entrance::default()));
    let mut arbiters: Vec<_> = (0..setup.arbiters)
        .map(|at| {
            let tree = Arc::clone(&tree);
            ArbiterCore::new(at, Arc::clone(&setup.settings), Arc::clone(&rules), tree, Arc::clone(&entrance))
        })
        .collect();
    arbiters.iter_mut().for_each(|core| core.serve(Serving::Everybody, 0));
    let mistake = match setup.fault {
        Some(Fault::PersistentOnce) => Some(Mistake::PersistentOnce),
        Some(Fault::KeepRemoved) => Some(Mistake::KeepRemoved),
        _ => None,
    };
    arbiters.iter_mut().for_each(|core| mistake.into_iter().for_each(|mistake| core.mistake(mistake)));
    let prep = PrepRules { extended_types: true, ..PrepRules::default() };
    let quorum = Majority(BTreeSet::from([ME]));
    let last = tree.read().last_zxid();
    Ok(Node {
        disk: disk.clone(),
        arbiters,
        learner: Learner::new(ME, last, ids),
        proposer: Proposer::new(ME, reign.epoch, quorum, prep, setup.room())
            .with_last_counter(setup.last_counter),
        sessions: tracker,
        snapshotter: Snapshotter::new(setup.policy, restored.replayed, now_ms, &mut |below| {
            rng.random_range(0..below)
        }),
        taking: None,
        rules,
        mail: BTreeMap::new(),
        posted: 0,
        space: Space::Enough, // a full disk is announced by the first look at it
        logger,
        tree,
        logged: 0,
        fault: setup.fault,
        ended: None,
        busy_disk: setup.busy_disk,
        signs: sessions.iter().map(|(session, _)| (*session, now_ms)).collect(),
        now_ms,
        snapshots: 0,
    })
}

/// The txns that the log holds.
fn logged(logger: &Logger<MemoryDisk>, recovered: &Recovered) -> Result<Vec<Arc<Txn>>, RestoreError> {
    let mut reader = logger.reader(Zxid(recovered.log_start.0 + 1))?;
    let mut txns = Vec::new();
    while let Some((zxid, payload)) = reader.next_record()? {
        let txn: Txn = codec::decode::<_, TXN_LIMIT>(payload).expect("what was logged is a txn");
        assert_eq!(txn.header.zxid, zxid);
        txns.push(Arc::new(txn));
    }
    Ok(txns)
}
