//! [`ArbiterCore`]: what happens on one client arbiter, and what is to be done about it.
//!
//! In: a connection came, gave bytes, took bytes, ended; the feed has something; time passed. Out, to be
//! fetched after each: woken connections (look at [`ArbiterCore::unsent`], [`ArbiterCore::wants_read`],
//! [`ArbiterCore::is_over`] again), those that were told of a change (at [`ArbiterCore::unsent`]), submissions for
//! the Learner, notices.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use paddock_messages::ids::{ClientRef, ConnId, SessionId};
use paddock_messages::letters::{Asker, Submission};
use paddock_messages::zxid::Zxid;

use super::connections::{Connection, Connections, Phase};
use super::outbox::Spare;
use super::read_syncs::ReadSyncs;
use super::remark::Remark;
use super::remarks::Whom;
use super::stats::Totals;
use super::{Entrance, Refusal, Settings};
use crate::admin::metrics::ClientTally;
use crate::auth::{AuthRules, ip_id};
use crate::tree::SharedTree;
use crate::tree::feed::FeedItem;
use crate::watch::{Mistake, Watches};

/// Whom this member serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Nobody: handshakes are closed unanswered.
    Nobody,
    /// Everybody.
    Everybody,
    /// Without a quorum: reads only, for clients that said they would do with that.
    ReadOnly,
}

/// What the shell must do or say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A four-letter word came; [`ArbiterCore::answer_word`] sends the answer and closes. `mask` is
    /// the number behind `stmk`.
    FourLetter {
        /// Who asked.
        conn: ConnId,
        /// What.
        word: [u8; 4],
        /// For `stmk`.
        mask: Option<i64>,
    },
    /// To be logged, at a limited rate.
    Remark(Whom, Remark),
}

/// How many notices wait at most for the shell; further ones are dropped: they are for the log only.
const NOTICES: usize = 256;

/// See the module. One per client arbiter, on its thread alone.
#[derive(Debug)]
pub struct ArbiterCore {
    pub(super) arbiter: u16,
    pub(super) settings: Arc<Settings>,
    pub(super) rules: Arc<AuthRules>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) conns: Connections,
    pub(super) watches: Watches,
    /// Watches announced and not yet registered (C2).
    pub(super) announced: usize,
    /// What the feed was told last.
    pub(super) told: usize,
    pub(super) serving: Serving,
    /// The leader is lost, and the next one is waited for until then, in ms (C16).
    pub(super) leader_until_ms: Option<u64>,
    /// Until when pings may be answered, in ms.
    pub(super) vouched_until_ms: u64,
    /// Whether some were not.
    pub(super) owes_pings: bool,
    pub(super) now_ms: u64,
    /// The same time in µs, where it is known as exactly.
    pub(super) exact_us: u64,
    /// Everything up to here is done: the zxid of what leaves now (W1).
    pub(super) at: Zxid,
    pub(super) items: Vec<FeedItem>,
    /// Connections whose oldest request is due.
    pub(super) ready: VecDeque<ConnId>,
    /// Of those, the ones that need the tree.
    pub(super) readers: VecDeque<ConnId>,
    pub(super) read_syncs: ReadSyncs,
    /// Connections that are held back, the first for longest (C13).
    pub(super) held: VecDeque<ConnId>,
    /// Of them, the one whose turn it is.
    pub(super) released: Option<ConnId>,
    /// Writes and syncs in flight here, and what the entrance was told of them.
    pub(super) submitted: usize,
    pub(super) submitted_told: usize,
    /// Connections that may be able to go on with their inbox.
    pub(super) resumable: VecDeque<ConnId>,
    pub(super) woken: Vec<ConnId>,
    /// Connections with nothing to send but what they were told; each once.
    pub(super) fan_out: VecDeque<ConnId>,
    pub(super) touched: Vec<ConnId>,
    /// Sessions whose connection ended after a sign of life that is not yet told.
    pub(super) last_signs: Vec<SessionId>,
    /// Sessions whose connection ended, and until when each was promised to live, in ms (E1).
    pub(super) departed: HashMap<SessionId, u64>,
    pub(super) submissions: Vec<Submission>,
    pub(super) notices: Vec<Notice>,
    pub(super) by_session: HashMap<SessionId, ConnId>,
    /// Bytes that all connections are still to be sent, and of them, which of the tally's are in it (C7).
    pub(super) owed: usize,
    pub(super) made: usize,
    /// While it is exceeded, no read begins.
    pub(super) roof: usize,
    /// When connections were last cut for what they are owed, or might have been.
    pub(super) relieved_ms: u64,
    /// Requests in flight here, and what the entrance was told of them.
    pub(super) in_flight: usize,
    pub(super) in_flight_told: usize,
    pub(super) spare: Spare,
    pub(super) event: Vec<u8>,
    pub(super) totals: Totals,
    /// For the metrics; the shell takes it now and then.
    pub(super) tally: ClientTally,
}

/// So many bytes are read, about, of one whose handshake waits.
const WAITS_WITH: usize = 4 << 10;

impl ArbiterCore {
    /// The core of client arbiter number `arbiter` of `tree`'s feeds; it serves nobody yet.
    pub fn new(
        arbiter: u16,
        settings: Arc<Settings>,
        rules: Arc<AuthRules>,
        tree: Arc<SharedTree>,
        entrance: Arc<Entrance>,
    ) -> Self {
        let mut core = Self {
            arbiter,
            roof: settings.outboxes_limit,
            relieved_ms: 0,
            settings,
            rules,
            tree,
            entrance,
            conns: Connections::default(),
            watches: Watches::default(),
            announced: 0,
            told: 0,
            serving: Serving::Nobody,
            leader_until_ms: None,
            vouched_until_ms: u64::MAX,
            owes_pings: false,
            now_ms: 0,
            exact_us: 0,
            at: Zxid::ZERO,
            items: Vec::new(),
            ready: VecDeque::new(),
            readers: VecDeque::new(),
            read_syncs: ReadSyncs::default(),
            held: VecDeque::new(),
            released: None,
            submitted: 0,
            submitted_told: 0,
            resumable: VecDeque::new(),
            woken: Vec::new(),
            fan_out: VecDeque::new(),
            touched: Vec::new(),
            last_signs: Vec::new(),
            departed: HashMap::new(),
            submissions: Vec::new(),
            notices: Vec::new(),
            by_session: HashMap::new(),
            owed: 0,
            made: 0,
            in_flight: 0,
            in_flight_told: 0,
            spare: Spare::default(),
            event: Vec::new(),
            totals: Totals::default(),
            tally: ClientTally::default(),
        };
        core.drain();
        core
    }

    /// The generation of each slot's first connection is one more; the arbiter's own syncs are numbered behind it.
    pub fn number_from(mut self, generation: u32) -> Self {
        self.conns.first_generation = generation;
        self.read_syncs.number_from(generation);
        self
    }

    /// Its watches are wrong on purpose, for the tests that must find it.
    pub fn mistake(&mut self, mistake: Mistake) {
        self.watches.make(mistake);
    }

    /// A socket was accepted. Refused: to be closed at once.
    pub fn on_accept(&mut self, peer: SocketAddr, now_ms: u64) -> Result<ConnId, Refusal> {
        self.now_ms = now_ms;
        if let Err(refusal) = self.entrance.enter(peer.ip(), &self.settings) {
            self.tally.connections_rejected += 1;
            self.tally.refused(Remark::from(refusal).reason());
            self.notice(Notice::Remark(Whom { peer, session: None }, refusal.into()));
            return Err(refusal);
        }
        let ids = Arc::from([ip_id(peer.ip())]);
        Ok(self.conns.insert(Connection::new(peer, ids, now_ms)))
    }

    /// A connection gave bytes. Only to be called while [`Self::wants_read`]; what comes after the
    /// connection is over is ignored.
    pub fn on_bytes(&mut self, conn: ConnId, bytes: &[u8], now_ms: u64) {
        self.now_ms = now_ms;
        let Some(connection) = self.conns.get_mut(conn) else { return };
        if matches!(connection.phase, Phase::Closing | Phase::Word) {
            return; // nothing of it will be looked at
        }
        connection.inbox.push(bytes);
        self.pump(conn);
        self.go_on();
    }

    /// The client will send no more. True if the connection still has something to do: netcat ends its
    /// side before it reads the answer to a four-letter word.
    pub fn on_end_of_input(&mut self, conn: ConnId) -> bool {
        self.conns
            .get(conn)
            .is_some_and(|it| matches!(it.phase, Phase::Word | Phase::Leaving | Phase::Closing))
    }

    /// The feed has something, or may have.
    pub fn drain_feed(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.drain();
        self.go_on();
    }

    /// Closes every connection, with what is in its outbox sent.
    pub fn close_all(&mut self) {
        for slot in 0..self.conns.slots() {
            if let Some((conn, _)) = self.conns.in_slot(slot) {
                self.close(conn, Remark::Ceased);
            }
        }
    }

    /// What a connection is to be sent.
    pub fn unsent(&self, conn: ConnId) -> &[u8] {
        self.conns.get(conn).map_or(&[], |it| it.outbox.unsent())
    }

    /// Whether its socket is to be read.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|it| {
            it.stall.is_none()
                && it.parked.is_none()
                && match it.phase {
                    Phase::First | Phase::Open | Phase::Word => true,
                    // Who gives up meanwhile is not asked for (C16): its end is behind what little it sends.
                    Phase::Waiting => it.inbox.len() < WAITS_WITH,
                    _ => false,
                }
        })
    }

    /// Whether its socket is to be closed as soon as nothing is unsent (or at once, if it is unknown).
    pub fn is_over(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_none_or(|it| it.phase == Phase::Closing)
    }

    /// Takes the connections whose state changed since the last call, for the shell to look at.
    pub fn take_woken(&mut self, into: &mut Vec<ConnId>) {
        for conn in self.woken.drain(..) {
            if let Some(connection) = self.conns.get_mut(conn) {
                connection.is_woken = false;
            }
            into.push(conn);
        }
    }

    /// Whether there is something for the Learner.
    pub fn has_submissions(&self) -> bool {
        !self.submissions.is_empty() || self.owes_read_sync()
    }

    /// Takes what is for the Learner, in order.
    pub fn take_submissions(&mut self) -> Vec<Submission> {
        let sync = self.next_read_sync();
        self.submissions.extend(sync);
        let next = Vec::with_capacity(self.submissions.len()); // most likely as many again
        std::mem::replace(&mut self.submissions, next)
    }

    /// Takes what the shell must do or say.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Answers a four-letter word, and closes.
    pub fn answer_word(&mut self, conn: ConnId, answer: &[u8]) {
        let Self { conns, spare, .. } = self;
        if let Some(connection) = conns.get_mut(conn).filter(|it| it.phase == Phase::Word) {
            connection.outbox.to(spare).extend_from_slice(answer);
            self.owed += answer.len();
            self.end(conn);
        }
    }

    /// A four-letter word has nobody who could answer it now: closes.
    pub fn leave_word(&mut self, conn: ConnId) {
        self.close(conn, Remark::WordLeft);
    }

    /// The last zxid whose effects are all in the outboxes.
    pub fn drained(&self) -> Zxid {
        self.at
    }

    /// The watches here, for operators.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// The session of the connection in `slot`, as watches name it.
    pub fn session_in_slot(&mut self, slot: u32) -> Option<SessionId> {
        self.conns.in_slot(slot).map(|(_, it)| it.session)
    }

    /// Packets and latencies of all connections since the last reset.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What was counted for the metrics, to be taken and left empty.
    pub fn tally(&mut self) -> &mut ClientTally {
        self.settle_owed();
        self.made = 0; // it will be taken
        &mut self.tally
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES || matches!(notice, Notice::FourLetter { .. }) {
            self.notices.push(notice);
        }
    }

    pub(super) fn remark(&mut self, conn: ConnId, remark: Remark) {
        if let Some(it) = self.conns.get(conn) {
            let session = Some(it.session).filter(|session| *session != SessionId::NONE);
            let whom = Whom { peer: it.peer, session };
            self.tally.refused(remark.reason());
            self.notice(Notice::Remark(whom, remark));
        }
    }

    pub(super) fn client(&self, conn: ConnId) -> ClientRef {
        ClientRef { arbiter: self.arbiter, conn }
    }

    pub(super) fn asker(connection: &Connection) -> Asker {
        Asker { session: connection.session, attach: connection.attach, ids: connection.ids.clone() }
    }

    /// Lets the shell look at a connection.
    pub(super) fn wake(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get_mut(conn).filter(|it| !it.is_woken) {
            connection.is_woken = true;
            self.woken.push(conn);
        }
    }

    /// Closes a connection once its outbox is sent, and says why (C12): nothing more of it is decoded, answered
    /// or watched.
    pub(super) fn close(&mut self, conn: ConnId, why: Remark) {
        if !self.is_over(conn) {
            self.remark(conn, why);
            self.end(conn);
        }
    }

    /// The same, as the client wished: nothing is said.
    pub(super) fn end(&mut self, conn: ConnId) {
        self.forget_pending(conn);
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.phase = Phase::Closing;
            connection.took_ms = self.now_ms;
            self.wake(conn);
        }
    }

    /// A connection is no more.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.settle_owed();
        self.forget_pending(conn);
        if let Some(connection) = self.conns.remove(conn) {
            self.entrance.leave(connection.peer.ip());
            self.owed = self.owed.saturating_sub(connection.outbox.unsent().len());
            self.tally.connections_dropped += u64::from(connection.phase != Phase::Closing);
            if connection.is_touched && connection.session != SessionId::NONE {
                self.last_signs.push(connection.session);
            }
        }
    }

    /// Drops what a connection waits for: its requests, watches, bytes, and its name.
    fn forget_pending(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(conn) else { return };
        self.in_flight -= connection.pipeline.len();
        self.submitted -= connection.pipeline.submitted();
        self.announced -= connection.pipeline.clear();
        connection.inbox = super::framing::Inbox::default();
        connection.owed_pings = 0;
        connection.parked = None;
        self.watches.close(conn.slot);
        if self.by_session.get(&connection.session) == Some(&conn) {
            let (session, until_ms) = (connection.session, connection.promised_ms());
            self.by_session.remove(&session);
            self.keep_promise(session, until_ms);
        }
        self.tell_in_flight();
    }

    pub(super) fn tell_in_flight(&mut self) {
        if self.in_flight != self.in_flight_told {
            self.entrance.in_flight(self.in_flight_told, self.in_flight);
            self.in_flight_told = self.in_flight;
        }
        if self.submitted != self.submitted_told {
            self.entrance.submitted_in_flight(self.submitted_told, self.submitted);
            self.submitted_told = self.submitted;
        }
    }
}
