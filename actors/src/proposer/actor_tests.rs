//! The Proposer's shell of a leader whose disk is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paddock_config::Quorum;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Commit, Proposals, Request, TurnedAway};
use paddock_messages::level;
use paddock_messages::mail::Bound;
use paddock_messages::quorum::{Tail, ToLeader};
use paddock_messages::roles::{
    Asked, Confirmed, Establish, KeepEpoch, MemberLane, MemberMet, RoleEnded, SyncAsked,
};
use paddock_messages::zxid::{Epoch, Zxid};
use parking_lot::Mutex;

use super::actor::{DiskSpace, OwnLearner, ProposerActor, Reaping, Rules};
use super::core::{LAST_COUNTER, Room};
use super::leadership::{Leadership, Standing};
use super::reigning::{Others, Reigning};
use super::sync_plan::{Searched, Spares};
use super::synchronising::{Found, SyncSent};
use crate::admin::metrics::Meters;
use crate::membership::{Decide, Deciders};
use crate::runtime::{Ctx, Duty, Env, Inbox, Serve, Service, SystemClock};
use crate::storage::{LoggerThread, MemoryDisk, Options, Space, ThreadOptions, open};
use crate::tree::prep::PrepRules;
use crate::tree::{DataTree, SharedTree, TreeOptions};

const BOUND: Bound = Bound::Entrance(64);
const ME: ServerId = ServerId(1);
const EPOCH: Epoch = Epoch(5);
const ROLE: u64 = 1;

/// Everybody else: notes what is proposed, and why the role is to end.
struct Rest(Arc<Mutex<Vec<String>>>);

impl Service for Rest {}

macro_rules! takes {
    ($($letter:ty),*) => {
        $(impl Serve<$letter> for Rest {
            fn serve(&mut self, _: $letter, _: &mut Ctx<'_, Self>) {}
        })*
    };
}

takes!(
    Commit, TurnedAway, Confirmed, KeepEpoch, SyncAsked, Decide, Establish, MemberMet, MemberLane, Found,
    SyncSent
);

impl Serve<Proposals> for Rest {
    fn serve(&mut self, letter: Proposals, _: &mut Ctx<'_, Self>) {
        let txns = letter.items.iter().filter_map(|it| it.txn());
        self.0.lock().extend(txns.map(|txn| format!("{:?}", txn.header.zxid)));
    }
}

impl Serve<RoleEnded> for Rest {
    fn serve(&mut self, letter: RoleEnded, _: &mut Ctx<'_, Self>) {
        self.0.lock().push(letter.why.to_owned());
    }
}

fn three() -> Quorum {
    Quorum::Majority((1..=3).map(ServerId).collect())
}

/// Of member 1, behind which both others are in sync.
fn reign() -> Leadership<Deciders> {
    let last = Zxid::new(Epoch(3), 7);
    let standing = Standing { current_epoch: Epoch(3), last };
    let (mut reign, out) = (Leadership::new(ME, three().into(), Epoch(4), standing), &mut Vec::new());
    let others = [ServerId(2), ServerId(3)];
    let tail = Tail { committed: last, runs: vec![] };
    reign.start(out);
    for other in others {
        reign.on_connected(other, level::KNOWN);
        let info = ToLeader::LearnerInfo { accepted_epoch: Epoch(4), counts: true, asks_for_tree: false };
        reign.on_packet(other, info, out);
    }
    reign.on_accepted_kept(out);
    for other in others {
        let current_epoch = Epoch(3);
        reign.on_packet(other, ToLeader::AckEpoch { counts: true, current_epoch, tail: tail.clone() }, out);
    }
    reign.on_current_kept(out);
    for other in others {
        let found = Searched { log_start: Zxid::ZERO, floors: vec![(last, 0)], snapshot_bytes: 0 };
        reign.on_found(other, &found, out);
        reign.on_packet(other, ToLeader::AckNewLeader { upto: last }, out);
    }
    assert!(reign.can_hand_over(), "{reign:?}");
    reign
}

/// What a leader of this reign proposes of two sessions that begin, one before it is told that its disk is full.
async fn told_of(reign: Leadership<Deciders>) -> Vec<String> {
    let (env, _) = Env::recorded(Arc::new(SystemClock::new()));
    let mut tree = DataTree::new(TreeOptions::default());
    tree.begin_epoch(EPOCH);
    let (logger, _) = open(MemoryDisk::new(1), Options::new(ME, 1)).unwrap();
    let log = LoggerThread::start(logger, ThreadOptions::default(), &env, |_| {}).unwrap();
    let rest: Inbox<Rest> = Inbox::new("rest", Duty::Core, &env);
    let others = Others {
        lanes: BTreeMap::new(),
        ended: rest.outbox(BOUND),
        sync: rest.outbox(BOUND),
        decide: rest.outbox(BOUND),
        board: Default::default(),
        establish: rest.outbox(BOUND),
        met: rest.outbox(BOUND),
        lane: rest.outbox(BOUND),
        log: log.handle.clone(),
        found: rest.outbox(BOUND),
        sent: rest.outbox(BOUND),
        largest_txn: 1 << 20,
        lag: Default::default(),
    };
    let learner = OwnLearner {
        proposals: rest.outbox(BOUND),
        commits: rest.outbox(BOUND),
        turned_away: rest.outbox(BOUND),
        confirmed: rest.outbox(BOUND),
        keep: rest.outbox(BOUND),
    };
    let rules = Rules {
        by: three().into(),
        prep: PrepRules::default(),
        room: Room { admitted: 1 << 20, largest: 1 << 10 },
        last_counter: LAST_COUNTER,
        sync_limit: Duration::from_secs(10),
        names_members: false,
        spares: Spares { factor_millionths: 0, least_bytes: 0 },
        reads_level: level::KNOWN,
        raises_to: 0,
    };
    let reaping = Reaping { every: Duration::from_secs(60), max_per_minute: 0, never_used_ms: 0 };
    let mut reigning = Reigning::new(others);
    reigning.reign = Some(Box::new(reign));
    let (tree, meters) = (Arc::new(SharedTree::new(tree, 1)), Arc::new(Meters::default()));
    let mut actor =
        ProposerActor::new((ME, rules), (ROLE, None), Some(reigning), tree, learner, reaping, meters);
    actor.propose_in(EPOCH);
    let proposer: Inbox<ProposerActor> = Inbox::new("proposer", Duty::Core, &env);
    let (asked, space) = (proposer.outbox::<Asked>(BOUND), proposer.outbox::<DiskSpace>(BOUND));
    proposer.start_here(actor);
    let told = Arc::new(Mutex::new(Vec::new()));
    rest.start_here(Rest(Arc::clone(&told)));

    let open = |session| vec![Request::Open { session: SessionId(session), timeout_ms: 4_000 }];
    assert!(asked.post(Asked { role: ROLE, items: open(7) }).is_ok());
    assert!(space.post(DiskSpace(Space::Full { needed: 1 })).is_ok());
    assert!(asked.post(Asked { role: ROLE, items: open(8) }).is_ok());
    actix_rt::time::sleep(Duration::from_millis(200)).await;
    let told = told.lock();
    told.clone()
}

#[actix_rt::test]
async fn l8_a_leader_that_hands_over_for_a_full_disk_numbers_nothing_more() {
    let told = told_of(reign()).await;
    assert_eq!(told, ["5.1", "the disk is full, and others can lead"]);
}
