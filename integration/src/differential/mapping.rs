//! What one server's zxids, session ids and times are on the other (Y2).

use std::collections::{BTreeMap, HashMap};

use super::deviations::Excuse;
use super::observe::{Frame, Piece, pieces};

/// Grows as pairs are met at the same places of the same replies.
#[derive(Debug, Default)]
pub struct Mapping {
    /// By how much Paddock's zxids are ahead, from which of Apache's on.
    ahead: BTreeMap<i64, i64>,
    /// The highest of Apache's zxids.
    highest: i64,
    sessions: HashMap<i64, i64>,
    back: HashMap<i64, i64>,
    times: [HashMap<i64, i64>; 2],
}

impl Mapping {
    /// Why the frames differ, if they do, in what is not excused. `opcode` is that of the request they
    /// answer.
    pub(crate) fn frames(
        &mut self,
        opcode: i32,
        java: &Frame,
        paddock: &Frame,
        excuse: Excuse,
    ) -> Result<(), String> {
        match (java, paddock) {
            (
                Frame::Reply { xid: jx, zxid: jz, err: je, body: jb },
                Frame::Reply { xid: px, zxid: pz, err: pe, body: pb },
            ) => {
                if jx != px || (je != pe && !excuse.err) {
                    return Err(format!("xid {jx}, err {je}; paddock: xid {px}, err {pe}"));
                }
                if !excuse.body {
                    self.bodies(&pieces(opcode, *je, jb), &pieces(opcode, *pe, pb))?;
                }
                if excuse.java_took > 0 {
                    self.shift(*jz, excuse.java_took);
                }
                let same = if excuse.no_zxid && *pz == -1 { Ok(()) } else { self.zxid(*jz, *pz) };
                same.map_err(|why| format!("header {why}"))
            }
            (
                Frame::Event { zxid: jz, kind: jk, state: js, path: jp },
                Frame::Event { zxid: pz, kind: pk, state: ps, path: pp },
            ) => {
                if (jk, js, jp) != (pk, ps, pp) {
                    return Err(format!("event {jk} {js} {jp:?}; paddock: {pk} {ps} {pp:?}"));
                }
                self.zxid(*jz, *pz).map_err(|why| format!("event {why}"))
            }
            (Frame::Handshake(jt, ji, _), Frame::Handshake(pt, pi, _)) => {
                if jt != pt {
                    return Err(format!("timeout {jt}; paddock: {pt}"));
                }
                self.session(*ji, *pi)
            }
            (java, paddock) if java == paddock => Ok(()),
            (java, paddock) => Err(format!("{java:?}; paddock: {paddock:?}")),
        }
    }

    fn bodies(&mut self, java: &[Piece], paddock: &[Piece]) -> Result<(), String> {
        if java.len() != paddock.len() {
            return Err(format!("body {java:?}; paddock: {paddock:?}"));
        }
        for (at, (j, p)) in java.iter().zip(paddock).enumerate() {
            self.piece(j, p)
                .map_err(|why| format!("body, piece {at}: {why}\n    {java:?}\n    {paddock:?}"))?;
        }
        Ok(())
    }

    fn piece(&mut self, java: &Piece, paddock: &Piece) -> Result<(), String> {
        match (java, paddock) {
            (Piece::Zxid(j), Piece::Zxid(p)) => self.zxid(*j, *p),
            (Piece::Session(j), Piece::Session(p)) => self.session(*j, *p),
            (Piece::Time { of: jz, ms: jt }, Piece::Time { of: pz, ms: pt }) => {
                self.time(0, *jz, *jt)?;
                self.time(1, *pz, *pt)
            }
            (j, p) if j == p => Ok(()),
            (j, p) => Err(format!("{j:?}; paddock: {p:?}")),
        }
    }

    /// Zxids differ by their epoch and by what only one server numbered; 0 and below are the same
    /// everywhere. The first pair says by how much; from then on every request takes as many on both.
    pub(crate) fn zxid(&mut self, java: i64, paddock: i64) -> Result<(), String> {
        if java <= 0 || paddock <= 0 {
            let same = java == paddock;
            return if same {
                Ok(())
            } else {
                Err(format!("zxid {java:#x}; paddock: {paddock:#x}: special values are equal"))
            };
        }
        self.highest = self.highest.max(java);
        if self.ahead.is_empty() {
            self.ahead.insert(0, paddock - java);
        }
        let expected = java + self.ahead_at(java);
        if paddock == expected {
            Ok(())
        } else {
            Err(format!("zxid {java:#x}; paddock: {paddock:#x}, not {expected:#x}"))
        }
    }

    /// From Apache's zxid `java` on, which is `paddock` here, both count alike.
    pub(crate) fn begins(&mut self, java: i64, paddock: i64) {
        self.ahead.insert(java, paddock - java);
    }

    fn ahead_at(&self, java: i64) -> i64 {
        self.ahead.range(..=java).next_back().map_or(0, |(_, &ahead)| ahead)
    }

    /// From `java` on, Paddock's zxids are so many fewer.
    fn shift(&mut self, java: i64, by: i64) {
        if !self.ahead.is_empty() {
            let ahead = self.ahead_at(java) - by;
            self.ahead.insert(java, ahead);
        }
    }

    /// So many zxids after the last that was seen are on Apache's server alone.
    pub(crate) fn java_took(&mut self, zxids: i64) {
        if zxids > 0 {
            self.shift(self.highest + 1, zxids);
        }
    }

    fn session(&mut self, java: i64, paddock: i64) -> Result<(), String> {
        let differ = || Err(format!("session {java:#x}; paddock: {paddock:#x}"));
        if java == 0 || paddock == 0 {
            return if java == paddock { Ok(()) } else { differ() };
        }
        let known = *self.sessions.entry(java).or_insert(paddock);
        let back = *self.back.entry(paddock).or_insert(java);
        if known == paddock && back == java { Ok(()) } else { differ() }
    }

    /// One txn has one time, on each server by itself; the fresh tree's is 0.
    fn time(&mut self, server: usize, zxid: i64, ms: i64) -> Result<(), String> {
        let known = *self.times[server].entry(zxid).or_insert(ms);
        if known == ms && (zxid > 0 || ms == 0) {
            return Ok(());
        }
        Err(format!("{} has the times {known} and {ms} for zxid {zxid:#x}", ["java", "paddock"][server]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y2_zxids_differ_by_one_number() {
        let mut mapping = Mapping::default();
        for (java, paddock, fits) in [
            (5, 105, true),
            (9, 109, true),
            (7, 107, true),
            (7, 108, false),
            (11, 112, false),
            (10, 10, false),
            (0, 0, true),
            (-1, -1, true),
            (-1, 0, false),
            (10, 0, false),
        ] {
            assert_eq!(mapping.zxid(java, paddock).is_ok(), fits, "{java} {paddock}");
        }
        mapping.java_took(1); // 12, after 11
        for (java, paddock, fits) in [(11, 111, true), (13, 112, true), (13, 113, false), (12, 112, false)] {
            assert_eq!(mapping.zxid(java, paddock).is_ok(), fits, "{java} {paddock}");
        }
    }

    #[test]
    fn y2_a_session_is_one_session_and_a_txn_has_one_time() {
        let mut mapping = Mapping::default();
        assert!(mapping.session(1, 11).is_ok());
        assert!(mapping.session(1, 12).is_err());
        assert!(mapping.session(2, 11).is_err());
        assert!(mapping.time(0, 7, 1000).is_ok());
        assert!(mapping.time(1, 7, 2000).is_ok());
        assert!(mapping.time(0, 7, 1001).is_err());
    }
}
