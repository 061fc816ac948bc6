//! The Learner's shell beside arbiters that do not drain their feeds, and as its process ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::time::sleep;
use paddock_messages::ids::{AttachNumber, ConnId, ServerId, SessionId};
use paddock_messages::letters::{Commit, FeedReady, Internal, Proposal, Proposals, SessionChanges};
use paddock_messages::mail::{Bound, Outbox};
use paddock_messages::roles::{Asked, Begin, EpochKept, OwnAck};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use super::actor::{Applied, FEED_BYTES, FEED_LIMIT, FULL_FEED_PAUSE, LearnerActor, Peers};
use super::core::Learner;
use super::session_ids::SessionIds;
use crate::admin::metrics::Meters;
use crate::auth::AuthRules;
use crate::runtime::{Ctx, Duty, Env, Inbox, Serve, Service, SystemClock};
use crate::storage::{Command, Facts, LoggerThread, MemoryDisk, Options, ThreadOptions, open};
use crate::tree::feed::{CloseReason, FeedItem, ReadAnswer};
use crate::tree::{DataTree, SharedTree, TreeOptions};

/// Everybody else: takes the mail.
struct Rest;

impl Service for Rest {}

macro_rules! takes {
    ($($letter:ty),*) => {
        $(impl Serve<$letter> for Rest {
            fn serve(&mut self, _: $letter, _: &mut Ctx<'_, Self>) {}
        })*
    };
}

takes!(Asked, OwnAck, EpochKept, Internal, SessionChanges, FeedReady, Applied);

const CONN: ConnId = ConnId { slot: 0, generation: 0 };

fn close() -> FeedItem {
    FeedItem::Close { conn: CONN, why: CloseReason::SessionEnded }
}

fn answer(bytes: usize) -> FeedItem {
    let answer = ReadAnswer::Tree { err: None, body: vec![0; bytes], watch: None, found: None };
    FeedItem::Read { conn: CONN, xid: 1, zxid: Epoch(1).start(), answer: Box::new(answer) }
}

const BOUND: Bound = Bound::Entrance(64);

/// A server alone, in its role 1 and epoch 1, with two arbiters whose feeds nobody drains.
struct Alone {
    tree: Arc<SharedTree>,
    log: LoggerThread,
    proposals: Outbox<Proposals>,
    commits: Outbox<Commit>,
    begin: Outbox<Begin>,
}

fn started(env: &Env) -> Alone {
    let mut tree = DataTree::new(TreeOptions::default());
    tree.begin_epoch(Epoch(1));
    let tree = Arc::new(SharedTree::new(tree, 2));
    let (logger, _) = open(MemoryDisk::new(1), Options::new(ServerId(1), 1)).unwrap();
    let log = LoggerThread::start(logger, ThreadOptions::default(), env, |_| {}).unwrap();
    let rest: Inbox<Rest> = Inbox::new("rest", Duty::Core, env);
    let peers = Peers {
        asked: rest.outbox(BOUND),
        acks: rest.outbox(BOUND),
        kept: rest.outbox(BOUND),
        internal: rest.outbox(BOUND),
        sessions: rest.outbox(BOUND),
        dispatchers: vec![rest.outbox(BOUND), rest.outbox(BOUND)],
        snapshotter: rest.outbox(BOUND),
        grown: Arc::default(),
    };
    let core = Learner::new(ServerId(1), Epoch(1).start(), SessionIds::new(ServerId(1), 0, None));
    let rules = Arc::new(AuthRules::default());
    let logging = (log.handle.clone(), Arc::new(Meters::default()));
    let learner: Inbox<LearnerActor> = Inbox::new("learner", Duty::Core, env);
    let (role, trees) = ((1, Facts::default(), 7), (Arc::clone(&tree), rules));
    let (proposals, commits, begin) = (learner.outbox(BOUND), learner.outbox(BOUND), learner.outbox(BOUND));
    learner.start_here(LearnerActor::new(ServerId(1), role, core, trees, logging, peers, None));
    rest.start_here(Rest);
    Alone { tree, log, proposals, commits, begin }
}

/// The next txn, for the Learner in its role 1.
fn proposed(counter: u32) -> Proposals {
    let attach = AttachNumber { epoch: Epoch(1), counter: 1 };
    let (session, zxid) = (SessionId(i64::from(counter)), Zxid::new(Epoch(1), counter));
    let header = TxnHeader { session, attach, cxid: 0, zxid, time: 0 };
    let txn = Proposal::Txn(Txn { header, body: TxnBody::CreateSession { timeout_ms: 4_000 } });
    Proposals { role: 1, items: Arc::new(vec![txn]) }
}

async fn await_that(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(FULL_FEED_PAUSE).await;
    }
}

/// Posts one committed txn to a Learner, the second of whose two arbiters has this in its feed; then drains
/// it. Whether the txn was applied before that, and that it was in the end.
async fn is_applied_beside(mut items: Vec<FeedItem>) -> bool {
    let (env, _) = Env::recorded(Arc::new(SystemClock::new()));
    let Alone { tree, proposals, commits, .. } = started(&env);
    let zxid = Zxid::new(Epoch(1), 1);
    let feed = &tree.feeds()[1];
    feed.append(&mut items, Epoch(1).start());
    assert!(proposals.post(proposed(1)).is_ok());
    assert!(commits.post(Commit { role: 1, upto: zxid }).is_ok());
    sleep(20 * FULL_FEED_PAUSE).await;
    let applied = tree.read().last_zxid() == zxid;
    feed.drain(&mut Vec::new());
    await_that("a feed that has room again is not noticed", || tree.read().last_zxid() == zxid).await;
    applied
}

/// The log ends while what clients asked before they were closed is still on its way to it.
#[actix_rt::test]
async fn what_is_on_its_way_when_a_server_alone_is_to_end_is_dropped_and_ends_nothing_else() {
    let (env, endings) = Env::recorded(Arc::new(SystemClock::new()));
    let Alone { log, proposals, begin, .. } = started(&env);
    assert!(proposals.post(proposed(1)).is_ok());
    assert!(begin.post(Begin::LAST).is_ok());
    await_that("the log does not end", || log.thread.is_finished()).await;
    assert!(log.handle.send(Command::Shutdown).is_err(), "nothing can be appended any more");
    assert!(proposals.post(proposed(2)).is_ok());
    await_that("the letter is not taken", || {
        let of = |name: &'static str| env.registry.totals()[&("learner".into(), name)].handled;
        of("Proposals") == 2
    })
    .await;
    assert!(endings.codes().is_empty(), "{:?}", endings.codes());
}

#[actix_rt::test]
async fn nothing_is_applied_while_a_feed_is_full_and_all_goes_on_when_it_is_not() {
    let closes = |many| vec![close(); many];
    for (what, items, applied) in [
        ("nothing", vec![], true),
        ("as many items as may wait", closes(FEED_LIMIT), true),
        ("one item more", closes(FEED_LIMIT + 1), false),
        ("answers within their limit", vec![answer(FEED_BYTES / 2)], true),
        ("answers beyond their limit", vec![answer(FEED_BYTES), answer(FEED_BYTES)], false),
    ] {
        assert_eq!(is_applied_beside(items).await, applied, "{what}");
    }
}
