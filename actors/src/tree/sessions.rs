//! The sessions and their timeouts, by id, in a table that is copied without visiting each of them.
//!
//! The table is a row of chunks, and a copy of it shares them: whoever changes one that is shared copies
//! that one first. So a snapshot has the sessions as they were, and neither its beginning nor any change
//! during it costs more than one reference a chunk, or the copying of one chunk.
//! - T11 Chunks hold at most [`CHUNK`] sessions, two neighbours more than half as many: a table of n
//!   sessions is copied by at most 1 + 4n / [`CHUNK`] references.

use std::sync::Arc;

use paddock_messages::ids::SessionId;

/// Sessions in one chunk, at most: 8 KiB.
const CHUNK: usize = 512;

/// With their timeouts in ms, by id.
type Chunk = Vec<(SessionId, i32)>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    /// None is empty.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The timeout of a session, in ms.
    pub(super) fn get(&self, id: SessionId) -> Option<i32> {
        let chunk = self.chunks.get(self.place(id))?;
        chunk.binary_search_by_key(&id, |entry| entry.0).ok().map(|at| chunk[at].1)
    }

    /// All, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }

    /// Adds a session, or gives it another timeout.
    pub(super) fn insert(&mut self, id: SessionId, timeout_ms: i32) {
        let (place, many) = (self.place(id), self.chunks.len());
        let Some(chunk) = self.chunks.get_mut(place) else { return self.append(id, timeout_ms) };
        match chunk.binary_search_by_key(&id, |entry| entry.0) {
            Ok(at) => Arc::make_mut(chunk)[at].1 = timeout_ms,
            Err(at) if chunk.len() < CHUNK => {
                Arc::make_mut(chunk).insert(at, (id, timeout_ms));
                self.len += 1;
            }
            // Ids rise, mostly: those full chunks stay full.
            Err(CHUNK) if place + 1 == many => self.append(id, timeout_ms),
            Err(_) => {
                let upper = Arc::make_mut(chunk).split_off(CHUNK / 2);
                self.chunks.insert(place + 1, Arc::new(upper));
                self.insert(id, timeout_ms);
            }
        }
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        let place = self.place(id);
        let Some(chunk) = self.chunks.get_mut(place) else { return };
        let Ok(at) = chunk.binary_search_by_key(&id, |entry| entry.0) else { return };
        Arc::make_mut(chunk).remove(at);
        self.len -= 1;
        if self.chunks[place].is_empty() {
            self.chunks.remove(place);
        } else {
            self.join(place);
            place.checked_sub(1).into_iter().for_each(|before| self.join(before));
        }
    }

    fn append(&mut self, id: SessionId, timeout_ms: i32) {
        self.chunks.push(Arc::new(vec![(id, timeout_ms)]));
        self.len += 1;
    }

    /// T11: makes one chunk of this and the next, if they are too small for two.
    fn join(&mut self, place: usize) {
        let small = |pair: &[Arc<Chunk>]| pair[0].len() + pair[1].len() <= CHUNK / 2;
        if self.chunks.get(place..place + 2).is_some_and(small) {
            let next = self.chunks.remove(place + 1);
            Arc::make_mut(&mut self.chunks[place]).extend_from_slice(&next);
        }
    }

    /// Where the chunk is that has `id` or would have it.
    fn place(&self, id: SessionId) -> usize {
        self.chunks.partition_point(|chunk| chunk[0].0 <= id).saturating_sub(1)
    }

    /// # Panics
    /// If T11 does not hold, or the order.
    pub(super) fn check(&self) {
        assert!(self.iter().map(|entry| entry.0).is_sorted_by(|a, b| a < b), "T11: sessions by id");
        assert_eq!(self.iter().count(), self.len, "T11: the number of sessions");
        assert!(self.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())), "T11: a chunk's length");
        let mut pairs = self.chunks.windows(2);
        assert!(pairs.all(|pair| pair[0].len() + pair[1].len() > CHUNK / 2), "T11: small neighbours");
    }

    /// References that a copy copies.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }
}

impl FromIterator<(SessionId, i32)> for Sessions {
    fn from_iter<I: IntoIterator<Item = (SessionId, i32)>>(all: I) -> Self {
        let mut sessions = Self::default();
        all.into_iter().for_each(|(id, timeout_ms)| sessions.insert(id, timeout_ms));
        sessions
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn check(sessions: &Sessions, expected: &BTreeMap<SessionId, i32>) {
        sessions.check();
        assert!(sessions.iter().eq(expected.iter().map(|(id, timeout)| (*id, *timeout))));
    }

    proptest! {
        /// Runs of ids come and go, as far as whole chunks, in any order; copies stay what they were.
        #[test]
        fn t11_the_table_is_a_map_and_a_copy_stays_what_it_was(
            runs in proptest::collection::vec((0..4u8, 0..3_000i64, 1..700i64, 1..4i64), 1..30),
        ) {
            let (mut sessions, mut expected) = (Sessions::default(), BTreeMap::new());
            let mut copy = (sessions.clone(), expected.clone());
            for (at, (kind, from, many, step)) in runs.into_iter().enumerate() {
                for id in (0..many).map(|nth| SessionId(from + nth * step)) {
                    if kind == 0 {
                        sessions.remove(id);
                        expected.remove(&id);
                    } else {
                        sessions.insert(id, at as i32);
                        expected.insert(id, at as i32);
                    }
                    prop_assert_eq!(sessions.get(id), expected.get(&id).copied());
                }
                check(&sessions, &expected);
                check(&copy.0, &copy.1);
                if kind == 3 {
                    copy = (sessions.clone(), expected.clone());
                }
            }
        }
    }

    #[test]
    fn t11_a_copy_takes_few_references_and_a_change_copies_one_chunk() {
        let mut sessions: Sessions = (0..200_000).map(|id| (SessionId(id), 1)).collect();
        assert_eq!(sessions.chunks(), 200_000_usize.div_ceil(CHUNK), "rising ids fill their chunks");
        let copy = sessions.clone();
        sessions.remove(SessionId(100_000));
        sessions.insert(SessionId(200_000), 1);
        let shared = sessions.chunks.iter().zip(&copy.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, copy.chunks() - 2);
        // All but one of each 400 end: what is left is as little to copy.
        (0..200_000).filter(|id| id % 400 != 0).for_each(|id| sessions.remove(SessionId(id)));
        sessions.check();
        assert_eq!((sessions.len(), sessions.chunks() <= 5), (500, true), "{}", sessions.chunks());
        assert_eq!(copy.len(), 200_000);
        copy.check();
    }
}
