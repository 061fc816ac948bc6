//! From bytes to frames: lengths are checked before memory is taken, and what is too large is passed
//! over without being kept.

use bytes::{Buf, Bytes, BytesMut};

use super::settings::DISCARDED_FRAMES;

/// How much of a frame that is too large is looked at: its header, and the path if it is not long.
const HEAD: usize = 268;
/// Leftovers up to this size get a buffer of their own rather than pin the one they came in.
const SMALL: usize = 1024;

/// The next thing that a connection's bytes hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Not all of it is there yet.
    More,
    /// A frame's body.
    Frame(Bytes),
    /// The beginning of a frame too large to be decoded, and its length; the rest is passed over.
    TooLarge(Bytes, usize),
    /// No length a client may send.
    Bad(i32),
}

/// What has come of a connection's bytes and is not yet used; empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    kept: BytesMut,
    skip: usize,
}

impl Inbox {
    /// Bytes that are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Adds what the socket gave.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        let passed = self.skip.min(bytes.len());
        bytes.advance(passed);
        self.skip -= passed;
        if self.kept.is_empty() {
            self.kept = BytesMut::from(bytes);
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    /// The first four bytes, if they are there; they stay.
    pub(super) fn first_word(&self) -> Option<[u8; 4]> {
        self.kept.first_chunk().copied()
    }

    /// The length that the next frame announces, if it is one.
    pub(super) fn next_length(&self) -> Option<usize> {
        usize::try_from(i32::from_be_bytes(self.first_word()?)).ok()
    }

    /// The eight bytes behind the first four, if they are there.
    pub(super) fn mask_behind_word(&self) -> Option<i64> {
        Some(i64::from_be_bytes(*self.kept.get(4..)?.first_chunk()?))
    }

    /// The opcode of the next frame's request, if it is there; it stays.
    pub(super) fn next_opcode(&self) -> Option<i32> {
        Some(i32::from_be_bytes(*self.kept.get(8..)?.first_chunk()?))
    }

    /// Whether all of the next frame is there.
    pub(super) fn has_whole(&self) -> bool {
        self.next_length().is_some_and(|length| self.kept.len() - 4 >= length)
    }

    /// Takes the next frame of at most `max` bytes.
    pub(super) fn next(&mut self, max: usize) -> Next {
        let Some(word) = self.first_word() else { return Next::More };
        let announced = i32::from_be_bytes(word);
        let Ok(length) = usize::try_from(announced) else { return Next::Bad(announced) };
        if length > max.saturating_mul(DISCARDED_FRAMES) {
            return Next::Bad(announced);
        }
        let whole = length <= max;
        let needed = if whole { length } else { length.min(HEAD) };
        if self.kept.len() < 4 + needed {
            return Next::More;
        }
        self.kept.advance(4);
        let body = self.kept.split_to(needed).freeze();
        if whole {
            return Next::Frame(body);
        }
        let rest = length - needed;
        let there = rest.min(self.kept.len());
        self.kept.advance(there);
        self.skip = rest - there;
        Next::TooLarge(body, length)
    }

    /// Gives back what memory it can, after frames were taken.
    pub(super) fn settle(&mut self) {
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        } else if self.kept.len() <= SMALL {
            self.kept = BytesMut::from(&self.kept[..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 600;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], body].concat()
    }

    fn all(inbox: &mut Inbox) -> Vec<Next> {
        let mut found = Vec::new();
        loop {
            match inbox.next(MAX) {
                Next::More => return found,
                Next::Bad(length) => return found.into_iter().chain([Next::Bad(length)]).collect(),
                next => found.push(next),
            }
        }
    }

    #[test]
    fn frames_come_out_however_the_bytes_are_cut() {
        let large = vec![7; MAX + 1];
        let bytes = [framed(b"one"), framed(b""), framed(&large), framed(&[8; MAX])].concat();
        let expected = vec![
            Next::Frame(Bytes::from_static(b"one")),
            Next::Frame(Bytes::new()),
            Next::TooLarge(Bytes::copy_from_slice(&large[..HEAD]), MAX + 1),
            Next::Frame(Bytes::from_static(&[8; MAX])),
        ];
        for size in [1, 2, 3, 5, 7, 64, 1000, bytes.len()] {
            let (mut inbox, mut found) = (Inbox::default(), Vec::new());
            for piece in bytes.chunks(size) {
                inbox.push(piece);
                found.extend(all(&mut inbox));
                inbox.settle();
            }
            assert_eq!(found, expected, "in pieces of {size}");
            assert_eq!((inbox.kept.capacity(), inbox.skip), (0, 0), "C3: idle, it holds nothing");
        }
    }

    #[test]
    fn lengths_no_client_may_send_are_refused_at_once() {
        let limit = (MAX * DISCARDED_FRAMES) as i32;
        for (length, bad) in
            [(-1, true), (i32::MIN, true), (i32::MAX, true), (limit + 1, true), (limit, false)]
        {
            let mut inbox = Inbox::default();
            inbox.push(&length.to_be_bytes());
            assert_eq!(inbox.next(MAX), if bad { Next::Bad(length) } else { Next::More });
        }
    }

    #[test]
    fn c3_what_is_too_large_is_never_kept() {
        let mut inbox = Inbox::default();
        inbox.push(&((MAX * DISCARDED_FRAMES) as u32).to_be_bytes());
        for _ in 0..MAX * DISCARDED_FRAMES / 100 {
            inbox.push(&[0; 100]);
            inbox.next(MAX);
            inbox.settle();
            assert!(inbox.kept.capacity() <= 2 * HEAD, "{}", inbox.kept.capacity());
        }
        assert_eq!((inbox.kept.len(), inbox.skip), (0, 0));
    }
}
