//! What a connection is still to be sent. Buffers are shared: a connection that has nothing to send has
//! none.

use crate::admin::metrics::ClientTally;

/// Buffers for the arbiter's outboxes; no more are kept than a burst needs.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

const SPARE_BUFFERS: usize = 64;
const SPARE_BYTES: usize = 64 << 10;

/// Bytes in order, from the first that the socket has not taken.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// No more of what is unsent than this is events.
    events: usize,
}

impl Outbox {
    /// Where to append.
    pub(super) fn to(&mut self, spare: &mut Spare) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = spare.0.pop().unwrap_or_default();
        }
        &mut self.bytes
    }

    /// What is still to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Appends an event.
    pub(super) fn tell(&mut self, event: &[u8], spare: &mut Spare) {
        self.to(spare).extend_from_slice(event);
        self.events += event.len();
    }

    /// How much of what is unsent nobody asked for, at most.
    pub(super) fn unasked(&self) -> usize {
        self.events.min(self.unsent().len())
    }

    /// The socket took `count` bytes.
    pub(super) fn took(&mut self, count: usize, spare: &mut Spare) {
        self.sent += count;
        debug_assert!(self.sent <= self.bytes.len(), "no more can be taken than there is");
        if self.sent == self.bytes.len() {
            self.sent = 0;
            spare.give(std::mem::take(&mut self.bytes));
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent); // at most as many bytes move as were sent
            self.sent = 0;
        }
        self.events = self.unasked();
    }
}

/// Lets `write` append a reply's frame, and counts it.
pub(super) fn counted(to: &mut Vec<u8>, tally: &mut ClientTally, write: impl FnOnce(&mut Vec<u8>)) {
    let before = to.len();
    write(to);
    tally.packets_sent += 1;
    tally.responded((to.len() - before) as u64);
}

impl Spare {
    fn give(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_BYTES && self.0.len() < SPARE_BUFFERS {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_events_that_were_taken_are_forgotten_though_the_outbox_is_never_empty() {
        let (mut spare, mut outbox) = (Spare::default(), Outbox::default());
        outbox.to(&mut spare).push(b'a');
        for _ in 0..50 {
            outbox.tell(&[b'e'; 100], &mut spare);
            outbox.to(&mut spare).push(b'a');
            outbox.took(101, &mut spare);
            assert_eq!(outbox.unasked(), 1, "one byte is left");
        }
        outbox.to(&mut spare).extend_from_slice(&[b'a'; 500]);
        assert_eq!(outbox.unasked(), 1);
    }

    #[test]
    fn c3_an_outbox_that_is_sent_holds_no_buffer() {
        let (mut spare, mut outbox) = (Spare::default(), Outbox::default());
        outbox.to(&mut spare).extend_from_slice(b"abcdef");
        outbox.took(4, &mut spare);
        assert_eq!(outbox.unsent(), b"ef");
        outbox.to(&mut spare).extend_from_slice(b"gh");
        assert_eq!(outbox.unsent(), b"efgh");
        outbox.took(4, &mut spare);
        assert_eq!((outbox.unsent(), outbox.bytes.capacity(), spare.0.len()), (&b""[..], 0, 1));
        outbox.to(&mut spare).extend_from_slice(&vec![0; SPARE_BYTES + 1]);
        outbox.took(SPARE_BYTES + 1, &mut spare);
        assert_eq!(spare.0.len(), 0, "large ones are freed");
    }
}
