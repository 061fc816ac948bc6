//! One connection of a client arbiter, which is given bytes, cut anywhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, Entrance, Notice, Serving, Settings, reads};
use paddock_actors::tree::SharedTree;
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::ids::{AttachNumber, ConnId};
use paddock_messages::letters::{Asker, Submission};
use paddock_messages::wire::frame;

use super::writes::{SESSION, prepared, tree};

/// Frames up to this size, so that large ones are met too.
const MAX_FRAME: usize = 400;
/// Longer answers than this to so little are out of proportion.
const MOST_UNSENT: usize = 1 << 20;

struct Member {
    core: ArbiterCore,
    tree: Arc<SharedTree>,
    rules: Arc<AuthRules>,
    conn: ConnId,
    /// Four-letter words that asked for an answer.
    words: Vec<[u8; 4]>,
}

impl Member {
    fn new() -> Self {
        let tree = Arc::new(SharedTree::new(tree(), 1));
        let rules = Arc::new(AuthRules::default());
        let settings = Arc::new(Settings { max_frame: MAX_FRAME, ..Settings::default() });
        let entrance = Arc::new(Entrance::default());
        let mut core = ArbiterCore::new(0, settings, rules.clone(), tree.clone(), entrance);
        core.serve(Serving::Everybody, 0);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let conn = core.on_accept(peer, 0).expect("the first is no one too many");
        Self { core, tree, rules, conn, words: Vec::new() }
    }

    /// One that has a session.
    fn attached() -> Self {
        let mut member = Self::new();
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; 16])),
        };
        let mut hello = Vec::new();
        frame(&mut hello, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
        member.give(&hello);
        member
    }

    fn give(&mut self, bytes: &[u8]) {
        if self.core.wants_read(self.conn) {
            self.core.on_bytes(self.conn, bytes, 0);
        }
        self.settle();
    }

    /// Does the work of a Proposer and a Learner, and a client's that takes every answer.
    fn settle(&mut self) {
        loop {
            for notice in self.core.take_notices() {
                if let Notice::FourLetter { word, .. } = notice {
                    self.words.push(word);
                }
            }
            let batch = self.core.take_submissions();
            let idle = batch.is_empty();
            let mut writer = self.tree.write();
            for submission in batch {
                let (zxid, conn) = (writer.last_zxid(), self.conn);
                let item = match submission {
                    Submission::Open { timeout_ms, .. }
                    | Submission::Attach { timeout_ms, .. }
                    | Submission::Revalidate { timeout_ms, .. } => FeedItem::Attached {
                        conn,
                        session: SESSION,
                        attach: AttachNumber::default(),
                        timeout_ms,
                    },
                    Submission::Write { from, xid, write } => {
                        let txn = prepared(writer.tree_mut(), &from.ids, write);
                        let outcome = writer.apply(&txn);
                        FeedItem::Reply { conn, xid, zxid: txn.header.zxid, outcome }
                    }
                    Submission::Sync { xid, path, .. } => FeedItem::Synced { conn, xid, zxid, path },
                    Submission::SyncReads { number, .. } => FeedItem::ReadsSynced { number, zxid },
                    Submission::Upgrade { .. } => unreachable!("its session is everybody's"),
                    Submission::Read { from, xid, read } => {
                        let from: Asker = from;
                        let answer = Box::new(reads::answer(&writer, &self.rules, &from, read));
                        FeedItem::Read { conn, xid, zxid, answer }
                    }
                };
                writer.push(0, item);
            }
            writer.commit(|_| {});
            self.core.drain_feed(0);
            self.take_answers();
            if idle && !self.core.has_submissions() {
                return;
            }
        }
    }

    fn take_answers(&mut self) {
        let mut unsent = self.core.unsent(self.conn);
        assert!(unsent.len() < MOST_UNSENT, "FZ1: {} bytes of answers", unsent.len());
        let count = unsent.len();
        while unsent.has_remaining() {
            let length = unsent.get_u32() as usize;
            assert!((16..=unsent.len()).contains(&length), "an answer is a whole frame with a header");
            unsent.advance(length);
        }
        self.core.on_sent(self.conn, count, 0);
    }

    /// Gives `bytes` in pieces of `size`, at least 1.
    fn give_in_pieces(&mut self, bytes: &[u8], size: u8) {
        bytes.chunks(usize::from(size).max(1)).for_each(|piece| self.give(piece));
    }
}

/// From the first byte of a connection on: words, handshakes, strangers. The first byte says how the
/// rest is cut.
pub fn handshake(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    Member::new().give_in_pieces(bytes, size);
}

/// A four-letter word, or what is none, however it is cut.
pub fn word(data: &[u8]) {
    use paddock_actors::admin::four_letter::Word;
    let Some((&size, bytes)) = data.split_first() else { return };
    let mut member = Member::new();
    member.give_in_pieces(bytes, size);
    assert!(member.words.len() <= 1, "a connection has one word");
    if let Some(asked) = member.words.first() {
        assert_eq!(bytes.first_chunk(), Some(asked), "the word is what came first");
        member.core.answer_word(member.conn, b"answer");
        assert!(member.core.is_over(member.conn), "its answer ends the connection");
    }
    if let Some(word) = bytes.first_chunk().and_then(|word| Word::from_bytes(*word)) {
        assert!(word.refusal().starts_with(word.name()));
    }
}

/// Frames of a connection that has its session.
pub fn session(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    Member::attached().give_in_pieces(bytes, size);
}
