//! One connection's requests that are not answered yet, in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use paddock_messages::client::request::Read;
use paddock_messages::znode::Id;

use super::intake::is_write;
use super::large::Large;
use super::reads::needs_no_tree;

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) xid: i32,
    pub(super) opcode: i32,
    /// When it came, in µs.
    pub(super) since_us: u64,
    /// Its frame's bytes.
    pub(super) bytes: usize,
    /// Bytes that are kept free for its answer (C6); 0 while none are.
    pub(super) expected: usize,
    pub(super) what: What,
    /// Its part of what all large requests may have (C14).
    #[expect(dead_code, reason = "it is given back when the entry is dropped")]
    pub(super) large: Option<Large>,
}

/// What the answer waits for.
#[derive(Debug)]
pub(super) enum What {
    /// The feed: it was submitted to the Learner. `announced`: it will leave a watch (C2).
    Submitted { again: Again, is_read: bool, announced: bool },
    /// Its turn: the answer is this error.
    Refused { err: i32, zxid: Stamp },
    /// Its turn, and the arbiter's own sync of this number (C10); 0: none.
    Read { read: Box<Read>, again: Again, announced: bool, behind: u64 },
}

/// What it takes to ask a request once more (C17). Its bytes count as its frame's (C3), and are no copy.
#[derive(Clone, Debug)]
pub(super) struct Again {
    /// What stands behind its header; of a read that came with nothing submitted before it, which never is, nothing.
    pub(super) body: Bytes,
    /// The connection's identities when it came.
    pub(super) ids: Arc<[Id]>,
}

/// The header zxid of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// As any answer's.
    Current,
    /// 0: refused here, before the leader could be asked.
    Zero,
    /// -1: unknown opcodes.
    None,
}

/// The requests in flight of one connection (C1): at any time those submitted, with refusals and reads
/// of the arbiter's own between them, then those that only wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    submitted: usize,
    reads: usize,
    bytes: usize,
    /// Bytes of the writes among them, and of the largest since there was none.
    written: usize,
    largest: usize,
    expected: usize,
}

/// A connection that never had more in flight keeps no memory for more; one that had is likely to have it
/// again before the next tick.
const FEW: usize = 8;

impl Pipeline {
    pub(super) fn push(&mut self, entry: Entry) {
        self.submitted += usize::from(matches!(entry.what, What::Submitted { .. }));
        self.reads += usize::from(entry.what.is_read());
        self.bytes += entry.bytes;
        if entry.what.is_write() {
            self.written += entry.bytes;
            self.largest = self.largest.max(entry.bytes);
        }
        self.entries.push_back(entry);
    }

    /// Requests in flight.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those of them that the Learner has.
    pub(super) fn submitted(&self) -> usize {
        self.submitted
    }

    /// Bytes of their frames.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the writes in flight, and what none of them exceeds.
    pub(super) fn written(&self) -> (usize, usize) {
        (self.written, self.largest.min(self.written))
    }

    /// Reads among them.
    pub(super) fn reads(&self) -> usize {
        self.reads
    }

    /// Bytes that are kept free for the answers to some of them.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    /// Keeps of `room` what `most` says that each read behind what was submitted last may need, by its
    /// frame's bytes and the room left. False if it does not suffice; what was kept until then stays kept.
    pub(super) fn expect(
        &mut self,
        mut room: usize,
        mut most: impl FnMut(&Read, usize, usize) -> Option<usize>,
    ) -> bool {
        let waiting = self.entries.iter_mut().rev();
        for entry in waiting.take_while(|entry| !matches!(entry.what, What::Submitted { .. })) {
            let What::Read { read, .. } = &entry.what else { continue };
            if entry.expected > 0 {
                continue;
            }
            let Some(needs) = most(read, entry.bytes, room).filter(|needs| *needs <= room) else {
                return false;
            };
            room -= needs;
            entry.expected = needs;
            self.expected += needs;
        }
        true
    }

    /// Whether something submitted is not answered: a read that comes now must wait.
    pub(super) fn waits(&self) -> bool {
        self.submitted > 0
    }

    /// Whether a read that waits for a sync of the arbiter's own stands behind what was submitted last.
    pub(super) fn ends_behind_sync(&self) -> bool {
        let waiting = self.entries.iter().rev();
        waiting
            .take_while(|entry| !matches!(entry.what, What::Submitted { .. }))
            .any(|entry| matches!(entry.what, What::Read { behind: 1.., .. }))
    }

    /// What was submitted and is not answered (C17): in its order.
    pub(super) fn to_ask_again(&self) -> impl Iterator<Item = (&Entry, &Again)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Submitted { again, .. } => Some((entry, again)),
            _ => None,
        })
    }

    /// Whether the oldest is the only write that was submitted with this xid (C17). Of several nobody can tell which is
    /// meant: the leader that is lost may have refused the first without a txn, and numbered the next.
    pub(super) fn is_next(&self, xid: i32) -> bool {
        let is_it = |entry: &Entry| {
            entry.xid == xid && is_write(entry.opcode) && matches!(entry.what, What::Submitted { .. })
        };
        let mut entries = self.entries.iter();
        entries.next().is_some_and(is_it) && !entries.any(is_it)
    }

    /// The oldest, if it is its turn: nothing submitted stands before it.
    pub(super) fn due(&self) -> Option<&Entry> {
        self.entries.front().filter(|entry| !matches!(entry.what, What::Submitted { .. }))
    }

    /// Takes the oldest, whose turn it is.
    pub(super) fn take_due(&mut self) -> Option<Entry> {
        self.due()?;
        self.pop()
    }

    /// Takes the oldest, which was submitted and whose answer is here.
    pub(super) fn take_submitted(&mut self, xid: i32) -> Entry {
        let entry = self.pop().expect("C1: the feed answers only what is in flight");
        let submitted = matches!(entry.what, What::Submitted { .. });
        assert!(submitted && entry.xid == xid, "C1: an answer to xid {xid}, but {entry:?} is the oldest");
        self.submitted -= 1;
        entry
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes;
        self.expected -= entry.expected;
        self.reads -= usize::from(entry.what.is_read());
        if entry.what.is_write() {
            self.written -= entry.bytes;
            if self.written == 0 {
                self.largest = 0;
            }
        }
        if self.entries.capacity() <= FEW {
            self.settle();
        }
        Some(entry)
    }

    /// Gives back the memory of what was in flight, if nothing is (C3).
    pub(super) fn settle(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            self.entries = VecDeque::new();
        }
    }

    /// Before a further write or sync goes out: the reads of the tree that still wait go in front of
    /// it, each handed to `submit`. Only to be called when something submitted stands before them.
    pub(super) fn submit_reads(&mut self, mut submit: impl FnMut(i32, Read, Arc<[Id]>)) {
        let waiting = self.entries.iter_mut().rev();
        let mut mine: Vec<_> =
            waiting.take_while(|entry| !matches!(entry.what, What::Submitted { .. })).collect();
        for entry in mine.drain(..).rev() {
            let What::Read { read, again, announced, .. } = &entry.what else { continue };
            if needs_no_tree(read) {
                continue; // answered here, in its place between the two
            }
            let what = What::Submitted { again: again.clone(), is_read: true, announced: *announced };
            if let What::Read { read, again, .. } = std::mem::replace(&mut entry.what, what) {
                submit(entry.xid, *read, again.ids);
            }
            self.submitted += 1;
        }
    }

    /// Everything that is left, of a connection that is closed.
    pub(super) fn clear(&mut self) -> usize {
        let announced = self.entries.iter().filter(|entry| entry.what.is_announced()).count();
        *self = Self::default();
        announced
    }
}

impl What {
    fn is_read(&self) -> bool {
        matches!(self, Self::Submitted { is_read: true, .. } | Self::Read { .. })
    }

    fn is_write(&self) -> bool {
        matches!(self, Self::Submitted { is_read: false, .. })
    }

    /// Whether a watch of it was announced to the feed.
    pub(super) fn is_announced(&self) -> bool {
        match self {
            Self::Submitted { announced, .. } | Self::Read { announced, .. } => *announced,
            Self::Refused { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_what_was_in_flight_gives_its_memory_back_once_nothing_is() {
        let mut pipeline = Pipeline::default();
        let entry = |xid| {
            let what = What::Refused { err: 0, zxid: Stamp::Current };
            Entry { xid, opcode: 0, since_us: 0, bytes: 1, expected: 0, what, large: None }
        };
        (0..50).for_each(|xid| pipeline.push(entry(xid)));
        for left in (0..50).rev() {
            pipeline.settle();
            assert!(pipeline.entries.capacity() >= 50, "something is in flight");
            assert!(pipeline.take_due().is_some_and(|entry| entry.xid == 49 - left));
        }
        pipeline.settle();
        assert_eq!((pipeline.entries.capacity(), pipeline.bytes()), (0, 0));
        pipeline.push(entry(0));
        assert!(pipeline.take_due().is_some());
        assert_eq!(pipeline.entries.capacity(), 0, "little is given back at once");
    }
}
